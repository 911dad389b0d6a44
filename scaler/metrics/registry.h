/*
 * The inside of struct metrics, shared by series.c (which changes it) and query.c (which reads
 * it).  Inside scaler/metrics only.
 */
#ifndef SCALER_METRICS_REGISTRY_H
#define SCALER_METRICS_REGISTRY_H

#include <uthash.h>

#include "scaler/metrics/chunk.h"
#include "scaler/metrics/series.h"

enum {
	/* Names, dimensions and a separator each. */
	METRIC_TOKEN_MAX = 2 * (METRIC_NAME_MAX + 1) +
			   METRIC_DIMENSIONS_MAX * (METRIC_NAME_MAX + METRIC_VALUE_MAX + 2) + 1,
};

/* Stands between the parts of a token; no part may hold it or anything below. */
#define METRIC_TOKEN_SEPARATOR '\x1f'

struct metric_stream {
	struct stream stream;
	struct metric *metric;
	struct metric_stream *next;
};

struct metric {
	UT_hash_handle hh;
	TAILQ_ENTRY(metric) recency;
	struct metrics *metrics;
	struct metric_key key; /* strings point into text */
	struct metric_dimension *dimensions;
	char *token, *text;
	int64_t newest_ms, put_ms;
	struct metric_stream *streams;
	/* For keep.h. */
	uint64_t id; /* 0: has none yet */
	bool is_kept;
	UT_hash_handle hh_id;
};

/* The key of a document that is to be deleted. */
struct gone {
	STAILQ_ENTRY(gone) link;
	char key[];
};

TAILQ_HEAD(metric_list, metric);

struct metrics {
	struct metric *by_token;
	struct metric_list by_recency; /* longest silent first */
	size_t n, max;
	struct chunk_pool pool;
	uint64_t put;
	struct metric **sorted; /* by token; valid while is_sorted */
	bool is_sorted;
	/* For keep.h. */
	uint64_t last_id;
	struct metric *by_id; /* only while documents come back */
	STAILQ_HEAD(, gone) gone;
	size_t kept_bytes;
};

/* The text that names the key, into token[METRIC_TOKEN_MAX]; its length, or -1 if it is no key. */
int metric_key_token(const struct metric_key *key, char token[]);

enum metrics_result metrics_find_or_add(struct metrics *metrics, const struct metric_key *key,
					int64_t now_ms, struct metric **metric);
void metrics_remove(struct metric *metric);
struct stream *metrics_stream_of(struct metric *metric, int unit); /* NULL without memory */

/* keep.c: what has a document goes. */
void metrics_chunk_gone(struct chunk *chunk);
void metrics_metric_gone(struct metric *metric);

struct metric *metrics_find(const struct metrics *metrics, const struct metric_key *key);

#endif
