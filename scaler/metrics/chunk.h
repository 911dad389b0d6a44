/*
 * How datapoints lie in memory: a stream (one metric in one unit) has four timelines of
 * chunks of 60 slots, by resolution (1 s, 1 min, 5 min, 1 h); a chunk that has grown old is
 * folded into slots of the next.  Every datum is in exactly one timeline.  Inside scaler/metrics
 * only; see series.h for what it is good for.
 */
#ifndef SCALER_METRICS_CHUNK_H
#define SCALER_METRICS_CHUNK_H

#include <bsd/sys/queue.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "scaler/metrics/statistic.h"

enum { CHUNK_SLOTS = 60, CHUNK_LEVELS = 4 };

struct chunk_level {
	int64_t slot_ms, kept_ms;
};
extern const struct chunk_level chunk_levels[CHUNK_LEVELS];

struct chunk {
	TAILQ_ENTRY(chunk) age; /* in the pool, by creation */
	struct stream *stream;  /* borrowed: has this chunk in a timeline */
	int64_t start_ms;
	int level;
	uint64_t present; /* bit per slot */
	/* Single values take 8 bytes a slot; the first slot that holds more makes it sets. */
	bool is_sets;
	double *data;        /* double[60] or struct stat_set[60] */
	struct dist **dists; /* NULL, or [60] of which each may be NULL: see chunk_slot() */
	struct stat_set total;
	size_t bytes;
	/* For keep.h. */
	TAILQ_ENTRY(chunk) dirty; /* while is_dirty */
	bool is_dirty;            /* has changed since it was given out */
	size_t kept_bytes;        /* of its document; 0: there is none */
};

struct timeline {
	struct chunk **chunks; /* by start */
	uint32_t n, cap;
};

struct stream {
	void *owner;
	int unit;
	bool has_distributions; /* values with counts were sent: kept also in coarser slots */
	struct timeline levels[CHUNK_LEVELS];
};

TAILQ_HEAD(chunk_list, chunk);

struct chunk_pool {
	struct chunk_list ages[CHUNK_LEVELS]; /* oldest first */
	size_t bytes[CHUNK_LEVELS];
	size_t limit_bytes;
	uint64_t folded_early;
	/* A stream lost its last chunk; it may be freed. */
	void (*on_empty)(struct stream *stream);
	bool is_tracked;         /* changes are noted in dirty, and: */
	struct chunk_list dirty; /* longest dirty first */
	/* A chunk that has a document is about to go. */
	void (*on_gone)(struct chunk *chunk);
};

void chunk_pool_init(struct chunk_pool *pool, size_t limit_bytes,
		     void (*on_empty)(struct stream *stream));

/* It has changed. */
void chunk_mark(struct chunk_pool *pool, struct chunk *chunk);

/* Samples to add.  entries NULL: known only as far as the set tells. */
struct chunk_sample {
	struct stat_set set;
	const struct dist_entry *entries;
	size_t n_entries;
};

/* -1 without memory. */
MUST_CHECK int stream_add(struct chunk_pool *pool, struct stream *stream, int level, int64_t at_ms,
			  const struct chunk_sample *sample);
void stream_fini(struct chunk_pool *pool, struct stream *stream);

/* Folds what is too old, and then the oldest until the limit is kept.  Calls on_empty. */
void chunk_pool_age(struct chunk_pool *pool, int64_t now_ms);
void chunk_pool_shrink(struct chunk_pool *pool);
size_t chunk_pool_bytes(const struct chunk_pool *pool);

/* The set of a present slot. */
struct stat_set chunk_slot(const struct chunk *chunk, int slot);
/* Adds the slot's values to dist (which becomes unknown when they are not). -1 without memory. */
MUST_CHECK int chunk_slot_dist(const struct chunk *chunk, int slot, struct dist *dist);
int64_t chunk_end_ms(const struct chunk *chunk);
/* The index of the first chunk that ends after at_ms. */
uint32_t timeline_from(const struct timeline *timeline, int64_t at_ms);

#endif
