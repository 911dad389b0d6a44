/*
 * Metrics as documents: see keep.h.  Pure; one owner.
 */
#include "scaler/metrics/keep.h"

#include <inttypes.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/doc/doc.h"
#include "scaler/metrics/registry.h"

enum { KEY_MAX = 96, FORMAT = 1, BYTES_MAX = 64 << 10 };

/* What a chunk's bytes begin with. */
struct head {
	uint32_t format;
	uint32_t is_sets;
	uint64_t present;
};

/* Before the entries of a slot's distribution, behind the slots. */
struct dist_head {
	uint32_t slot, n;
};

/* ---- keys ---- */

static void name_key(uint64_t id, char key[KEY_MAX])
{
	snprintf(key, KEY_MAX, METRICS_KEPT_NAMES "%016" PRIx64, id);
}

static void chunk_key(const struct chunk *chunk, char key[KEY_MAX])
{
	const struct metric *metric = chunk->stream->owner;

	snprintf(key, KEY_MAX, METRICS_KEPT_DATA "%d/%014" PRId64 "/%016" PRIx64 "/%d",
		 chunk->level, chunk->start_ms, metric->id, chunk->stream->unit);
}

/* ---- changes ---- */

void metrics_track(struct metrics *metrics)
{
	metrics->pool.is_tracked = true;
}

/* Without memory for it the document stays, and its data come back at the next start. */
static void note_gone(struct metrics *metrics, const char *key)
{
	struct gone *gone = malloc(sizeof(*gone) + strlen(key) + 1);

	if (gone == NULL)
		return;
	memcpy(gone->key, key, strlen(key) + 1);
	STAILQ_INSERT_TAIL(&metrics->gone, gone, link);
}

void metrics_chunk_gone(struct chunk *chunk)
{
	const struct metric *metric = chunk->stream->owner;
	char key[KEY_MAX];

	chunk_key(chunk, key);
	note_gone(metric->metrics, key);
	metric->metrics->kept_bytes -= chunk->kept_bytes;
	chunk->kept_bytes = 0;
}

void metrics_metric_gone(struct metric *metric)
{
	char key[KEY_MAX];

	if (metric->id == 0)
		return;
	name_key(metric->id, key);
	if (metric->is_kept)
		note_gone(metric->metrics, key);
}

/* ---- a chunk as bytes ---- */

static void add_dists(const struct chunk *chunk, struct buf *bytes)
{
	size_t left = METRICS_KEPT_ENTRIES_MAX;

	for (uint32_t i = 0; chunk->dists != NULL && i < CHUNK_SLOTS; i++) {
		const struct dist *dist = chunk->dists[i];
		struct dist_head head = {i, dist != NULL ? dist->n : 0};

		if (head.n == 0 || dist->is_unknown || head.n > left)
			continue;
		left -= head.n;
		buf_add(bytes, &head, sizeof(head));
		buf_add(bytes, dist->entries, head.n * sizeof(dist->entries[0]));
	}
}

static json_t *chunk_document(const struct chunk *chunk)
{
	struct head head = {FORMAT, chunk->is_sets, chunk->present};
	size_t size = chunk->is_sets ? sizeof(struct stat_set) : sizeof(double);
	struct buf bytes = {0};
	json_t *document = NULL;
	unsigned char *text;

	buf_add(&bytes, &head, sizeof(head));
	for (uint64_t left = chunk->present; left != 0; left &= left - 1)
		buf_add(&bytes, (const char *)chunk->data + (size_t)__builtin_ctzll(left) * size,
			size);
	add_dists(chunk, &bytes);
	text = buf_failed(&bytes) ? NULL : malloc(bytes.len / 3 * 4 + 5);
	if (text != NULL) {
		EVP_EncodeBlock(text, (const unsigned char *)bytes.data, (int)bytes.len);
		document = json_pack("{s:s, s:b}", "Slots", text, "Distributions",
				     chunk->stream->has_distributions);
	}
	free(text);
	buf_fini(&bytes);
	return document;
}

/* ---- giving out ---- */

static json_t *metric_document(const struct metric *metric)
{
	json_t *dimensions = json_array();

	for (size_t i = 0; i < metric->key.n_dimensions; i++)
		json_array_append_new(dimensions, json_pack("{s:s, s:s}", "Name",
							    metric->key.dimensions[i].name, "Value",
							    metric->key.dimensions[i].value));
	return json_pack("{s:s, s:s, s:o}", "Namespace", metric->key.namespace, "MetricName",
			 metric->key.name, "Dimensions", dimensions);
}

static bool give_name(struct metric *metric, metrics_write_fn fn, void *arg)
{
	char key[KEY_MAX];
	json_t *document;

	if (metric->is_kept)
		return true;
	document = metric_document(metric);
	if (document == NULL)
		return false;
	if (metric->id == 0)
		metric->id = ++metric->metrics->last_id;
	name_key(metric->id, key);
	metric->is_kept = true;
	fn(arg, key, document);
	return true;
}

static void give_chunk(struct metrics *metrics, struct chunk *chunk, metrics_write_fn fn, void *arg)
{
	char key[KEY_MAX];
	json_t *document;

	TAILQ_REMOVE(&metrics->pool.dirty, chunk, dirty);
	chunk->is_dirty = false;
	if (!give_name(chunk->stream->owner, fn, arg))
		return;
	document = chunk_document(chunk);
	if (document == NULL)
		return;
	metrics->kept_bytes -= chunk->kept_bytes;
	chunk->kept_bytes =
	    sizeof(struct head) + json_string_length(json_object_get(document, "Slots"));
	metrics->kept_bytes += chunk->kept_bytes;
	chunk_key(chunk, key);
	fn(arg, key, document);
}

/* The oldest of the finest level that has any are kept no more. */
static void keep_less(struct metrics *metrics, metrics_write_fn fn, void *arg)
{
	char key[KEY_MAX];
	struct chunk *chunk;

	for (int level = 0; level < CHUNK_LEVELS; level++) {
		TAILQ_FOREACH (chunk, &metrics->pool.ages[level], age) {
			if (metrics->kept_bytes <= METRICS_KEPT_MAX)
				return;
			if (chunk->kept_bytes == 0)
				continue;
			metrics->kept_bytes -= chunk->kept_bytes;
			chunk->kept_bytes = 0;
			chunk_key(chunk, key);
			fn(arg, key, NULL);
		}
	}
}

bool metrics_changes(struct metrics *metrics, size_t max, metrics_write_fn fn, void *arg)
{
	struct gone *gone;
	struct chunk *chunk;
	size_t n = 0;

	STAILQ_FOREACH (gone, &metrics->gone, link)
		fn(arg, gone->key, NULL);
	while (n++ < max && (chunk = TAILQ_FIRST(&metrics->pool.dirty)) != NULL)
		give_chunk(metrics, chunk, fn, arg);
	keep_less(metrics, fn, arg);
	return !TAILQ_EMPTY(&metrics->pool.dirty);
}

void metrics_written(struct metrics *metrics, bool is_good)
{
	struct gone *gone;
	struct chunk *chunk;

	while (is_good && (gone = STAILQ_FIRST(&metrics->gone)) != NULL) {
		STAILQ_REMOVE_HEAD(&metrics->gone, link);
		free(gone);
	}
	if (is_good)
		return;
	for (struct metric *metric = metrics->by_token; metric != NULL; metric = metric->hh.next)
		metric->is_kept = false;
	for (int level = 0; level < CHUNK_LEVELS; level++)
		TAILQ_FOREACH (chunk, &metrics->pool.ages[level], age)
			chunk_mark(&metrics->pool, chunk);
}

/* ---- coming back ---- */

/* Bytes that are being read. */
struct cursor {
	const unsigned char *at, *end;
};

static bool take(struct cursor *cursor, void *into, size_t n)
{
	if ((size_t)(cursor->end - cursor->at) < n)
		return false;
	memcpy(into, cursor->at, n);
	cursor->at += n;
	return true;
}

static bool is_sane(const struct stat_set *set)
{
	return set->count > 0 && set->min <= set->max && set->sum == set->sum;
}

/* The slots' sets, then their values where those are known; false: the bytes are no chunk. */
struct slots {
	struct head head;
	struct stat_set sets[CHUNK_SLOTS];
	struct chunk_sample samples[CHUNK_SLOTS]; /* entries point into the bytes */
};

static bool read_sets(struct cursor *cursor, struct slots *slots)
{
	if (!take(cursor, &slots->head, sizeof(slots->head)) || slots->head.format != FORMAT ||
	    slots->head.present >> CHUNK_SLOTS != 0)
		return false;
	for (uint64_t left = slots->head.present; left != 0; left &= left - 1) {
		struct stat_set *set = &slots->sets[__builtin_ctzll(left)];
		double value;

		if (slots->head.is_sets ? !take(cursor, set, sizeof(*set))
					: !take(cursor, &value, sizeof(value)))
			return false;
		if (!slots->head.is_sets)
			*set = (struct stat_set){1, value, value, value};
		if (!is_sane(set))
			return false;
		slots->samples[__builtin_ctzll(left)].set = *set;
	}
	return true;
}

static bool read_dists(struct cursor *cursor, struct slots *slots)
{
	struct dist_head head;

	while (cursor->at < cursor->end) {
		if (!take(cursor, &head, sizeof(head)) || head.slot >= CHUNK_SLOTS ||
		    head.n > METRICS_KEPT_ENTRIES_MAX ||
		    (size_t)(cursor->end - cursor->at) < head.n * sizeof(struct dist_entry))
			return false;
		/* All parts have sizes that are multiples of 8, as has the start of the bytes. */
		slots->samples[head.slot].entries = (const void *)cursor->at;
		slots->samples[head.slot].n_entries = head.n;
		cursor->at += head.n * sizeof(struct dist_entry);
	}
	return true;
}

static int add_slots(struct metric *metric, struct stream *stream, int level, int64_t start_ms,
		     const struct slots *slots)
{
	struct chunk_pool *pool = &metric->metrics->pool;

	for (uint64_t left = slots->head.present; left != 0; left &= left - 1) {
		int slot = __builtin_ctzll(left);
		int64_t at_ms = start_ms + slot * chunk_levels[level].slot_ms;

		if (stream_add(pool, stream, level, at_ms, &slots->samples[slot]) != 0)
			return -1;
		if (at_ms > metric->newest_ms)
			metric->newest_ms = metric->put_ms = at_ms;
	}
	return 0;
}

/* The chunk just filled is in the store as it is. */
static void mark_kept(struct metrics *metrics, struct stream *stream, int level, int64_t start_ms,
		      size_t len)
{
	struct timeline *timeline = &stream->levels[level];
	uint32_t i = timeline_from(timeline, start_ms);
	struct chunk *chunk = i < timeline->n ? timeline->chunks[i] : NULL;

	if (chunk == NULL || chunk->start_ms != start_ms)
		return;
	if (chunk->is_dirty)
		TAILQ_REMOVE(&metrics->pool.dirty, chunk, dirty);
	chunk->is_dirty = false;
	chunk->kept_bytes = sizeof(struct head) + len;
	metrics->kept_bytes += chunk->kept_bytes;
}

/* What the key of a chunk tells. */
struct chunk_place {
	int level, unit;
	int64_t start_ms;
	uint64_t id;
};

static bool read_place(const char *key, struct chunk_place *place)
{
	if (sscanf(key + strlen(METRICS_KEPT_DATA), "%d/%" SCNd64 "/%" SCNx64 "/%d", &place->level,
		   &place->start_ms, &place->id, &place->unit) != 4)
		return false;
	return place->level >= 0 && place->level < CHUNK_LEVELS && place->unit >= 0 &&
	       place->unit < METRIC_UNIT_COUNT &&
	       place->start_ms % (chunk_levels[place->level].slot_ms * CHUNK_SLOTS) == 0;
}

static int restore_bytes(struct metric *metric, const struct chunk_place *place,
			 const unsigned char *bytes, size_t len)
{
	struct cursor cursor = {bytes, bytes + len};
	struct slots *slots = calloc(1, sizeof(*slots));
	struct stream *stream;
	int result = -1;

	if (slots != NULL && read_sets(&cursor, slots) && read_dists(&cursor, slots) &&
	    (stream = metrics_stream_of(metric, place->unit)) != NULL)
		result = add_slots(metric, stream, place->level, place->start_ms, slots);
	free(slots);
	return result;
}

static int restore_text(struct metric *metric, const struct chunk_place *place, const char *text)
{
	size_t len = strlen(text), padding = 0;
	unsigned char *bytes;
	int result = -1;

	if (len == 0 || len % 4 != 0 || len > BYTES_MAX)
		return -1;
	bytes = malloc(len / 4 * 3);
	if (bytes == NULL)
		return -1;
	while (padding < 2 && text[len - 1 - padding] == '=')
		padding++;
	if (EVP_DecodeBlock(bytes, (const unsigned char *)text, (int)len) == (int)(len / 4 * 3))
		result = restore_bytes(metric, place, bytes, len / 4 * 3 - padding);
	free(bytes);
	return result;
}

/* NOLINTNEXTLINE(readability-function-size): uthash's macro, not ours */
static int restore_chunk(struct metrics *metrics, const char *key, const json_t *document)
{
	const char *text = doc_str(document, "Slots", "");
	struct metric *metric = NULL;
	struct chunk_place place;
	struct stream *stream;

	if (!read_place(key, &place))
		return -1;
	HASH_FIND(hh_id, metrics->by_id, &place.id, sizeof(place.id), metric);
	if (metric == NULL || restore_text(metric, &place, text) != 0)
		return -1;
	stream = metrics_stream_of(metric, place.unit);
	if (stream == NULL)
		return -1;
	stream->has_distributions |= doc_bool(document, "Distributions", false);
	mark_kept(metrics, stream, place.level, place.start_ms, strlen(text));
	return 0;
}

/* The metric of the document; NULL when it names none. */
static struct metric *read_name(struct metrics *metrics, const json_t *document, int64_t now_ms)
{
	struct metric_dimension dimensions[METRIC_DIMENSIONS_MAX];
	const json_t *list = doc_array(document, "Dimensions"), *one;
	struct metric_key name = {doc_str(document, "Namespace", ""),
				  doc_str(document, "MetricName", ""), dimensions,
				  json_array_size(list)};
	struct metric *metric = NULL;
	size_t i;

	if (name.n_dimensions > METRIC_DIMENSIONS_MAX)
		return NULL;
	json_array_foreach (list, i, one)
		dimensions[i] =
		    (struct metric_dimension){doc_str(one, "Name", ""), doc_str(one, "Value", "")};
	if (metrics_find_or_add(metrics, &name, now_ms, &metric) != METRICS_OK)
		return NULL;
	return metric;
}

/* NOLINTNEXTLINE(readability-function-size): uthash's macro, not ours */
static int restore_name(struct metrics *metrics, const char *key, const json_t *document,
			int64_t now_ms)
{
	uint64_t id = strtoull(key + strlen(METRICS_KEPT_NAMES), NULL, 16);
	struct metric *metric = id != 0 ? read_name(metrics, document, now_ms) : NULL;

	if (metric == NULL || metric->id != 0)
		return -1;
	metric->id = id;
	metric->is_kept = true;
	if (id > metrics->last_id)
		metrics->last_id = id;
	HASH_ADD(hh_id, metrics->by_id, id, sizeof(metric->id), metric);
	return 0;
}

int metrics_restore(struct metrics *metrics, const char *key, const json_t *document,
		    int64_t now_ms)
{
	if (strncmp(key, METRICS_KEPT_NAMES, strlen(METRICS_KEPT_NAMES)) == 0)
		return restore_name(metrics, key, document, now_ms);
	if (strncmp(key, METRICS_KEPT_DATA, strlen(METRICS_KEPT_DATA)) == 0)
		return restore_chunk(metrics, key, document);
	return -1;
}

void metrics_restored(struct metrics *metrics)
{
	struct metric *metric, *next;

	HASH_CLEAR(hh_id, metrics->by_id);
	HASH_ITER(hh, metrics->by_token, metric, next)
	if (metric->streams == NULL)
		metrics_remove(metric);
}
