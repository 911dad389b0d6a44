/*
 * Reading metrics: datapoints of all levels put together into periods.  Pure; changes nothing.
 */
#include <stdlib.h>
#include <string.h>

#include "scaler/metrics/registry.h"

enum { FEW_PERIODS = 64 };

/* One period that is being put together. */
struct cell {
	struct stat_set set;
	struct dist dist;
	int unit;
};

struct reading {
	const struct metric_query *query;
	int64_t start_ms, end_ms, period_ms; /* start on a period's edge */
	bool wants_dist;
	struct cell *cells;
	size_t n;
	bool is_out_of_memory;
};

/* Can periods of this length be made of the level's slots? */
static bool level_fits(int level, int64_t period_ms)
{
	return period_ms % chunk_levels[level].slot_ms == 0;
}

static struct cell *cell_at(struct reading *reading, int64_t at_ms, int unit)
{
	struct cell *cell = &reading->cells[(at_ms - reading->start_ms) / reading->period_ms];

	cell->unit = unit;
	return cell;
}

static void read_slot(struct reading *reading, const struct chunk *chunk, int slot)
{
	int64_t at_ms = chunk->start_ms + slot * chunk_levels[chunk->level].slot_ms;
	struct cell *cell = cell_at(reading, at_ms, chunk->stream->unit);
	struct stat_set set = chunk_slot(chunk, slot);

	stat_set_merge(&cell->set, &set);
	if (reading->wants_dist && chunk_slot_dist(chunk, slot, &cell->dist) != 0)
		reading->is_out_of_memory = true;
}

/* Those of the chunk's slots with data that begin in [start, end), as bits. */
static uint64_t slots_inside(const struct reading *reading, const struct chunk *chunk)
{
	int64_t slot_ms = chunk_levels[chunk->level].slot_ms;
	int64_t before = (reading->start_ms - chunk->start_ms + slot_ms - 1) / slot_ms;
	int64_t up_to = (reading->end_ms - chunk->start_ms + slot_ms - 1) / slot_ms;
	uint64_t slots = chunk->present;

	if (before >= 64 || up_to <= 0)
		return 0;
	if (before > 0)
		slots &= ~UINT64_C(0) << before;
	if (up_to < 64)
		slots &= ~(~UINT64_C(0) << up_to);
	return slots;
}

static void read_chunk(struct reading *reading, const struct chunk *chunk)
{
	bool is_inside = chunk->start_ms >= reading->start_ms &&
			 chunk_end_ms(chunk) <= reading->end_ms &&
			 reading->period_ms % (chunk_end_ms(chunk) - chunk->start_ms) == 0;

	if (is_inside && !reading->wants_dist) {
		struct cell *cell = cell_at(reading, chunk->start_ms, chunk->stream->unit);

		stat_set_merge(&cell->set, &chunk->total);
		return;
	}
	for (uint64_t left = slots_inside(reading, chunk); left != 0; left &= left - 1)
		read_slot(reading, chunk, __builtin_ctzll(left));
}

static void read_stream(struct reading *reading, const struct stream *stream)
{
	for (int level = 0; level < CHUNK_LEVELS; level++) {
		const struct timeline *timeline = &stream->levels[level];

		if (!level_fits(level, reading->period_ms))
			continue;
		for (uint32_t i = timeline_from(timeline, reading->start_ms);
		     i < timeline->n && timeline->chunks[i]->start_ms < reading->end_ms; i++)
			read_chunk(reading, timeline->chunks[i]);
	}
}

/* Narrows [start, end) to where the stream has data, so that the number of cells is bounded by
 * what is kept. */
static void widen(const struct stream *stream, int64_t period_ms, int64_t *from, int64_t *to)
{
	for (int level = 0; level < CHUNK_LEVELS; level++) {
		const struct timeline *timeline = &stream->levels[level];

		if (timeline->n == 0 || !level_fits(level, period_ms))
			continue;
		if (timeline->chunks[0]->start_ms < *from)
			*from = timeline->chunks[0]->start_ms;
		if (chunk_end_ms(timeline->chunks[timeline->n - 1]) > *to)
			*to = chunk_end_ms(timeline->chunks[timeline->n - 1]);
	}
}

static bool is_wanted(const struct metric_query *query, const struct metric_stream *stream)
{
	return query->unit == METRIC_UNIT_ANY || query->unit == stream->stream.unit;
}

static int64_t floor_to(int64_t ms, int64_t step)
{
	int64_t rest = ms % step;

	return ms - (rest < 0 ? rest + step : rest);
}

/* Sets the reading's bounds; false when there is nothing to read. */
static bool bound(struct reading *reading, const struct metric *metric)
{
	int64_t from = INT64_MAX, to = INT64_MIN;

	for (const struct metric_stream *s = metric->streams; s != NULL; s = s->next)
		if (is_wanted(reading->query, s))
			widen(&s->stream, reading->period_ms, &from, &to);
	if (from < reading->query->start_ms)
		from = reading->query->start_ms;
	if (to > reading->query->end_ms)
		to = reading->query->end_ms;
	if (from >= to)
		return false;
	reading->start_ms = floor_to(from, reading->period_ms);
	reading->end_ms = to;
	reading->n =
	    (size_t)((to - reading->start_ms + reading->period_ms - 1) / reading->period_ms);
	return true;
}

/* The periods that have a value, the newest max of them. */
static size_t give(struct reading *reading, struct metric_point out[], size_t max)
{
	size_t n = 0, first = reading->n;

	for (; first > 0 && n < max; first--)
		n += reading->cells[first - 1].set.count > 0;
	n = 0;
	for (size_t i = first; i < reading->n; i++) {
		struct cell *cell = &reading->cells[i];
		struct metric_point point = {
		    .at_ms = reading->start_ms + (int64_t)i * reading->period_ms,
		    .samples = cell->set.count,
		    .unit = cell->unit,
		};

		if (statistic_value(&reading->query->statistic, &cell->set, &cell->dist,
				    &point.value))
			out[n++] = point;
	}
	return n;
}

static size_t read_metric(struct reading *reading, const struct metric *metric,
			  struct metric_point out[], size_t max)
{
	size_t n = 0;

	for (const struct metric_stream *s = metric->streams; s != NULL; s = s->next)
		if (is_wanted(reading->query, s))
			read_stream(reading, &s->stream);
	if (!reading->is_out_of_memory)
		n = give(reading, out, max);
	if (reading->wants_dist)
		for (size_t i = 0; i < reading->n; i++)
			dist_fini(&reading->cells[i].dist);
	return n;
}

/* ---- periods that are slots ---- */

/* The metric's only stream that is wanted; NULL: there are several, or none. */
static const struct stream *only_stream(const struct metric_query *query,
					const struct metric *metric)
{
	const struct stream *only = NULL;

	for (const struct metric_stream *s = metric->streams; s != NULL; s = s->next) {
		if (!is_wanted(query, s))
			continue;
		if (only != NULL)
			return NULL;
		only = &s->stream;
	}
	return only;
}

static size_t give_slots(const struct reading *reading, const struct chunk *chunk,
			 struct metric_point out[])
{
	size_t n = 0;

	for (uint64_t left = slots_inside(reading, chunk); left != 0; left &= left - 1) {
		int slot = __builtin_ctzll(left);
		struct stat_set set = chunk_slot(chunk, slot);
		struct metric_point *point = &out[n];

		if (!statistic_value(&reading->query->statistic, &set, NULL, &point->value))
			continue;
		point->at_ms = chunk->start_ms + slot * reading->period_ms;
		point->samples = set.count;
		point->unit = chunk->stream->unit;
		n++;
	}
	return n;
}

/* What the engine asks for at each tick: seconds, of which nothing is to be put together.
 * bench/fleet: -13 % of the tick. */
static size_t read_slots(const struct reading *reading, const struct stream *stream,
			 struct metric_point out[])
{
	const struct timeline *timeline = &stream->levels[0];
	size_t n = 0;

	for (uint32_t i = timeline_from(timeline, reading->start_ms);
	     i < timeline->n && timeline->chunks[i]->start_ms < reading->end_ms; i++)
		n += give_slots(reading, timeline->chunks[i], out + n);
	return n;
}

size_t metrics_query(const struct metrics *metrics, const struct metric_query *query,
		     struct metric_point out[], size_t max)
{
	struct cell few[FEW_PERIODS];
	const struct metric *metric = metrics_find(metrics, &query->key);
	struct reading reading = {
	    .query = query,
	    .period_ms = query->period_s * 1000LL,
	    .wants_dist = !statistic_is_simple(&query->statistic),
	};
	const struct stream *stream;
	size_t n;

	if (metric == NULL || query->period_s <= 0 || !bound(&reading, metric))
		return 0;
	stream = only_stream(query, metric);
	if (stream != NULL && reading.period_ms == chunk_levels[0].slot_ms && !reading.wants_dist &&
	    reading.n <= max)
		return read_slots(&reading, stream, out);
	reading.cells = reading.n <= FEW_PERIODS ? few : calloc(reading.n, sizeof(few[0]));
	if (reading.cells == NULL)
		return 0;
	if (reading.cells == few)
		memset(few, 0, reading.n * sizeof(few[0]));
	n = read_metric(&reading, metric, out, max);
	if (reading.cells != few)
		free(reading.cells);
	return n;
}

/* NOLINTNEXTLINE(readability-function-size): the short call for what would be a struct */
size_t metrics_statistic(const struct metrics *metrics, const struct metric_key *key,
			 const char *statistic, int period_s, int64_t start_ms, int64_t end_ms,
			 struct metric_point out[], size_t max)
{
	struct metric_query query = {
	    .key = *key,
	    .unit = METRIC_UNIT_ANY,
	    .period_s = period_s,
	    .start_ms = start_ms,
	    .end_ms = end_ms,
	};

	if (statistic_parse(statistic, &query.statistic) != 0)
		return 0;
	return metrics_query(metrics, &query, out, max);
}

size_t metrics_units(const struct metrics *metrics, const struct metric_key *key, int units[])
{
	const struct metric *metric = metrics_find(metrics, key);
	size_t n = 0;

	if (metric == NULL)
		return 0;
	for (const struct metric_stream *s = metric->streams; s != NULL; s = s->next)
		units[n++] = s->stream.unit;
	return n;
}
