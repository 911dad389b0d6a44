/*
 * Chunks of datapoints and their folding from level to level.  Pure; one owner.
 */
#include "scaler/metrics/chunk.h"

#include <stdlib.h>
#include <string.h>

#define HOUR_MS (3600LL * 1000)
#define DAY_MS (24 * HOUR_MS)

const struct chunk_level chunk_levels[CHUNK_LEVELS] = {
    {1000, 3 * HOUR_MS},
    {60 * 1000LL, 15 * DAY_MS},
    {300 * 1000LL, 63 * DAY_MS},
    {HOUR_MS, 455 * DAY_MS},
};

void chunk_pool_init(struct chunk_pool *pool, size_t limit_bytes,
		     void (*on_empty)(struct stream *stream))
{
	*pool = (struct chunk_pool){.limit_bytes = limit_bytes, .on_empty = on_empty};
	for (int i = 0; i < CHUNK_LEVELS; i++)
		TAILQ_INIT(&pool->ages[i]);
	TAILQ_INIT(&pool->dirty);
}

size_t chunk_pool_bytes(const struct chunk_pool *pool)
{
	size_t bytes = 0;

	for (int i = 0; i < CHUNK_LEVELS; i++)
		bytes += pool->bytes[i];
	return bytes;
}

static int64_t span_ms(int level)
{
	return chunk_levels[level].slot_ms * CHUNK_SLOTS;
}

int64_t chunk_end_ms(const struct chunk *chunk)
{
	return chunk->start_ms + span_ms(chunk->level);
}

static int64_t floor_to(int64_t ms, int64_t step)
{
	int64_t rest = ms % step;

	return ms - (rest < 0 ? rest + step : rest);
}

static void charge(struct chunk_pool *pool, struct chunk *chunk, size_t more, size_t less)
{
	chunk->bytes += more - less;
	pool->bytes[chunk->level] += more - less;
}

/* ---- timelines ---- */

uint32_t timeline_from(const struct timeline *timeline, int64_t at_ms)
{
	uint32_t low = 0, high = timeline->n;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (chunk_end_ms(timeline->chunks[middle]) <= at_ms)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static int timeline_insert(struct timeline *timeline, uint32_t index, struct chunk *chunk)
{
	if (timeline->n == timeline->cap) {
		uint32_t cap = timeline->cap == 0 ? 4 : timeline->cap * 2;
		struct chunk **larger = realloc(
		    timeline->chunks, cap * sizeof(struct chunk *)); /* pointers: not charged */

		if (larger == NULL)
			return -1;
		timeline->chunks = larger;
		timeline->cap = cap;
	}
	memmove(&timeline->chunks[index + 1], &timeline->chunks[index],
		(timeline->n - index) * sizeof(struct chunk *));
	timeline->chunks[index] = chunk;
	timeline->n++;
	return 0;
}

static void timeline_remove(struct timeline *timeline, const struct chunk *chunk)
{
	uint32_t index = timeline_from(timeline, chunk->start_ms);

	CHECK(index < timeline->n && timeline->chunks[index] == chunk);
	timeline->n--;
	memmove(&timeline->chunks[index], &timeline->chunks[index + 1],
		(timeline->n - index) * sizeof(struct chunk *));
}

static bool stream_is_empty(const struct stream *stream)
{
	for (int i = 0; i < CHUNK_LEVELS; i++)
		if (stream->levels[i].n > 0)
			return false;
	return true;
}

/* ---- one chunk ---- */

static void free_dists(struct chunk *chunk)
{
	for (int i = 0; chunk->dists != NULL && i < CHUNK_SLOTS; i++) {
		if (chunk->dists[i] == NULL)
			continue;
		dist_fini(chunk->dists[i]);
		free(chunk->dists[i]);
	}
	free(chunk->dists);
}

void chunk_mark(struct chunk_pool *pool, struct chunk *chunk)
{
	if (!pool->is_tracked || chunk->is_dirty)
		return;
	chunk->is_dirty = true;
	TAILQ_INSERT_TAIL(&pool->dirty, chunk, dirty);
}

/* Takes it out of its timeline and of the pool. */
static void chunk_unlink(struct chunk_pool *pool, struct chunk *chunk)
{
	if (chunk->is_dirty)
		TAILQ_REMOVE(&pool->dirty, chunk, dirty);
	if (pool->is_tracked && chunk->kept_bytes > 0 && pool->on_gone != NULL)
		pool->on_gone(chunk);
	timeline_remove(&chunk->stream->levels[chunk->level], chunk);
	TAILQ_REMOVE(&pool->ages[chunk->level], chunk, age);
	pool->bytes[chunk->level] -= chunk->bytes;
}

static void chunk_free(struct chunk *chunk)
{
	free_dists(chunk);
	free(chunk->data);
	free(chunk);
}

static struct chunk *chunk_new(struct chunk_pool *pool, struct stream *stream, int level,
			       int64_t start_ms)
{
	struct timeline *timeline = &stream->levels[level];
	struct chunk *chunk = calloc(1, sizeof(*chunk));

	if (chunk == NULL)
		return NULL;
	chunk->stream = stream;
	chunk->level = level;
	chunk->start_ms = start_ms;
	chunk->data = malloc(CHUNK_SLOTS * sizeof(double));
	if (chunk->data == NULL ||
	    timeline_insert(timeline, timeline_from(timeline, start_ms), chunk) != 0) {
		chunk_free(chunk);
		return NULL;
	}
	TAILQ_INSERT_TAIL(&pool->ages[level], chunk, age);
	charge(pool, chunk, sizeof(*chunk) + CHUNK_SLOTS * sizeof(double), 0);
	return chunk;
}

static struct chunk *chunk_at(struct chunk_pool *pool, struct stream *stream, int level,
			      int64_t at_ms)
{
	struct timeline *timeline = &stream->levels[level];
	int64_t start_ms = floor_to(at_ms, span_ms(level));
	uint32_t index = timeline->n;

	/* Nearly always the newest. */
	if (index > 0 && timeline->chunks[index - 1]->start_ms == start_ms)
		return timeline->chunks[index - 1];
	index = timeline_from(timeline, start_ms);
	if (index < timeline->n && timeline->chunks[index]->start_ms == start_ms)
		return timeline->chunks[index];
	return chunk_new(pool, stream, level, start_ms);
}

static bool is_single(const struct stat_set *set)
{
	return set->count == 1 && set->min == set->max && set->sum == set->min;
}

/* All samples have one value, so the set tells the distribution (AWS: "Min = Max"). */
static bool is_uniform(const struct stat_set *set)
{
	return set->min == set->max;
}

struct stat_set chunk_slot(const struct chunk *chunk, int slot)
{
	double value;

	if (chunk->is_sets)
		return ((const struct stat_set *)(const void *)chunk->data)[slot];
	value = chunk->data[slot];
	return (struct stat_set){1, value, value, value};
}

int chunk_slot_dist(const struct chunk *chunk, int slot, struct dist *dist)
{
	struct stat_set set = chunk_slot(chunk, slot);

	if (is_uniform(&set))
		return dist_add(dist, set.min, set.count);
	if (chunk->dists != NULL && chunk->dists[slot] != NULL)
		return dist_merge(dist, chunk->dists[slot]);
	dist->is_unknown = true;
	return 0;
}

static int make_sets(struct chunk_pool *pool, struct chunk *chunk)
{
	struct stat_set *sets = malloc(CHUNK_SLOTS * sizeof(*sets));

	if (sets == NULL)
		return -1;
	for (int i = 0; i < CHUNK_SLOTS; i++)
		if (chunk->present & 1ULL << i)
			sets[i] = chunk_slot(chunk, i);
	free(chunk->data);
	chunk->data = (double *)(void *)sets;
	chunk->is_sets = true;
	charge(pool, chunk, CHUNK_SLOTS * sizeof(*sets), CHUNK_SLOTS * sizeof(double));
	return 0;
}

static void drop_dist(struct chunk_pool *pool, struct chunk *chunk, int slot)
{
	struct dist *dist = chunk->dists != NULL ? chunk->dists[slot] : NULL;

	if (dist == NULL)
		return;
	charge(pool, chunk, 0, sizeof(*dist) + dist->cap * sizeof(dist->entries[0]));
	dist_fini(dist);
	free(dist);
	chunk->dists[slot] = NULL;
}

/* The slot's distribution, made when it has none. */
static struct dist *dist_at(struct chunk_pool *pool, struct chunk *chunk, int slot)
{
	if (chunk->dists == NULL) {
		chunk->dists = calloc(CHUNK_SLOTS, sizeof(struct dist *));
		if (chunk->dists == NULL)
			return NULL;
		charge(pool, chunk, CHUNK_SLOTS * sizeof(struct dist *), 0);
	}
	if (chunk->dists[slot] == NULL) {
		chunk->dists[slot] = calloc(1, sizeof(struct dist));
		if (chunk->dists[slot] == NULL)
			return NULL;
		charge(pool, chunk, sizeof(struct dist), 0);
	}
	return chunk->dists[slot];
}

static int add_entries(struct dist *dist, const struct chunk_sample *sample)
{
	for (size_t i = 0; i < sample->n_entries; i++)
		if (dist_add(dist, sample->entries[i].value, sample->entries[i].count) != 0)
			return -1;
	return 0;
}

/*
 * Keeps the values of the slot, whose set is still the one before the sample, known where they
 * can be: a slot of unlike values without distribution stays unknown for ever.
 */
static void add_dist(struct chunk_pool *pool, struct chunk *chunk, int slot,
		     const struct chunk_sample *sample)
{
	bool is_present = chunk->present & 1ULL << slot;
	struct stat_set before = is_present ? chunk_slot(chunk, slot) : (struct stat_set){0};
	struct stat_set after = before;
	struct dist *dist;
	size_t cap;

	stat_set_merge(&after, &sample->set);
	if (is_uniform(&after))
		return;
	if (after.min < 0 || (sample->entries == NULL && !is_uniform(&sample->set)) ||
	    (is_present && !is_uniform(&before) &&
	     (chunk->dists == NULL || chunk->dists[slot] == NULL))) {
		drop_dist(pool, chunk, slot);
		return;
	}
	dist = dist_at(pool, chunk, slot);
	if (dist == NULL)
		return;
	cap = dist->cap;
	if ((is_present && dist->n == 0 && dist_add(dist, before.min, before.count) != 0) ||
	    (sample->entries != NULL ? add_entries(dist, sample)
				     : dist_add(dist, sample->set.min, sample->set.count)) != 0)
		dist->is_unknown = true;
	charge(pool, chunk, dist->cap * sizeof(dist->entries[0]), cap * sizeof(dist->entries[0]));
}

static void store_set(struct chunk *chunk, int slot, const struct stat_set *set)
{
	if (chunk->is_sets)
		((struct stat_set *)(void *)chunk->data)[slot] = *set;
	else
		chunk->data[slot] = set->min;
	chunk->present |= 1ULL << slot;
}

int stream_add(struct chunk_pool *pool, struct stream *stream, int level, int64_t at_ms,
	       const struct chunk_sample *sample)
{
	struct chunk *chunk = chunk_at(pool, stream, level, at_ms);
	struct stat_set set = {0};
	int slot;

	if (chunk == NULL)
		return -1;
	slot = (int)((at_ms - chunk->start_ms) / chunk_levels[level].slot_ms);
	if (chunk->present & 1ULL << slot)
		set = chunk_slot(chunk, slot);
	stat_set_merge(&set, &sample->set);
	if (!chunk->is_sets && !is_single(&set) && make_sets(pool, chunk) != 0)
		return -1;
	add_dist(pool, chunk, slot, sample);
	store_set(chunk, slot, &set);
	stat_set_merge(&chunk->total, &sample->set);
	chunk_mark(pool, chunk);
	return 0;
}

void stream_fini(struct chunk_pool *pool, struct stream *stream)
{
	for (int level = 0; level < CHUNK_LEVELS; level++) {
		struct timeline *timeline = &stream->levels[level];

		while (timeline->n > 0) {
			struct chunk *chunk = timeline->chunks[timeline->n - 1];

			chunk_unlink(pool, chunk);
			chunk_free(chunk);
		}
		free(timeline->chunks);
		*timeline = (struct timeline){0};
	}
}

/* ---- folding ---- */

static void fold_slot(struct chunk_pool *pool, struct chunk *chunk, int slot)
{
	struct stream *stream = chunk->stream;
	int64_t at_ms = chunk->start_ms + slot * chunk_levels[chunk->level].slot_ms;
	struct chunk_sample sample = {.set = chunk_slot(chunk, slot)};
	struct dist dist = {0};

	/* Without sent values the distribution of a minute's seconds is not worth 30 times the
	 * memory. */
	if (stream->has_distributions && chunk_slot_dist(chunk, slot, &dist) == 0 &&
	    !dist.is_unknown) {
		dist_compact(&dist);
		sample.entries = dist.entries;
		sample.n_entries = dist.n;
	}
	if (stream_add(pool, stream, chunk->level + 1, at_ms, &sample) != 0)
		pool->folded_early++; /* lost, for want of memory */
	dist_fini(&dist);
}

/* Seconds of single values fold as one set: their spread is not kept (see fold_slot). */
static void fold_total(struct chunk_pool *pool, struct chunk *chunk)
{
	struct chunk_sample sample = {.set = chunk->total};

	if (stream_add(pool, chunk->stream, chunk->level + 1, chunk->start_ms, &sample) != 0)
		pool->folded_early++;
}

static void fold(struct chunk_pool *pool, struct chunk *chunk)
{
	struct stream *stream = chunk->stream;

	chunk_unlink(pool, chunk);
	if (chunk->level == 0 && !stream->has_distributions)
		fold_total(pool, chunk);
	else if (chunk->level + 1 < CHUNK_LEVELS)
		for (int i = 0; i < CHUNK_SLOTS; i++)
			if (chunk->present & 1ULL << i)
				fold_slot(pool, chunk, i);
	chunk_free(chunk);
	if (stream_is_empty(stream))
		pool->on_empty(stream);
}

void chunk_pool_age(struct chunk_pool *pool, int64_t now_ms)
{
	for (int level = 0; level < CHUNK_LEVELS; level++) {
		int64_t before_ms = now_ms - chunk_levels[level].kept_ms;
		struct chunk *oldest;

		while ((oldest = TAILQ_FIRST(&pool->ages[level])) != NULL &&
		       chunk_end_ms(oldest) <= before_ms)
			fold(pool, oldest);
	}
}

void chunk_pool_shrink(struct chunk_pool *pool)
{
	while (chunk_pool_bytes(pool) > pool->limit_bytes) {
		int largest = 0;
		struct chunk *oldest;

		for (int i = 1; i < CHUNK_LEVELS; i++)
			if (pool->bytes[i] > pool->bytes[largest])
				largest = i;
		oldest = TAILQ_FIRST(&pool->ages[largest]);
		CHECK(oldest != NULL);
		fold(pool, oldest);
		pool->folded_early++;
	}
}
