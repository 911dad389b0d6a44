/*
 * The registry of metrics: names, puts, ageing, lists.  Where datapoints lie is chunk.c, reading
 * them query.c.
 */
#include "scaler/metrics/series.h"

#include <stdlib.h>
#include <string.h>

#include "scaler/metrics/keep.h"
#include "scaler/metrics/registry.h"

#define SILENT_MS (3LL * 3600 * 1000)

enum { DEFAULT_MAX_METRICS = 100000, DEFAULT_MEMORY = 256 << 20 };

/* ---- keys ---- */

/* Appends text and a separator; NULL when the text is no name or there is no room. */
static char *append(char *at, const char *end, const char *text, size_t max)
{
	size_t len = 0;

	if (text == NULL)
		return NULL;
	while (text[len] != '\0') {
		/* Longer in bytes than in characters: UTF-8 is let through. */
		if ((unsigned char)text[len] <= METRIC_TOKEN_SEPARATOR || ++len > max)
			return NULL;
	}
	if (len == 0 || (size_t)(end - at) < len + 1)
		return NULL;
	memcpy(at, text, len);
	at[len] = METRIC_TOKEN_SEPARATOR;
	return at + len + 1;
}

/* Fills sorted[] by name.  -1: a name stands twice, or there are too many. */
static int sort_dimensions(const struct metric_key *key, const struct metric_dimension *sorted[])
{
	if (key->n_dimensions > METRIC_DIMENSIONS_MAX)
		return -1;
	for (size_t i = 0; i < key->n_dimensions; i++) {
		const struct metric_dimension *one = &key->dimensions[i];
		size_t at = i;
		int order = 1;

		if (one->name == NULL)
			return -1;
		while (at > 0 && (order = strcmp(one->name, sorted[at - 1]->name)) < 0) {
			sorted[at] = sorted[at - 1];
			at--;
		}
		if (at > 0 && order == 0)
			return -1;
		sorted[at] = one;
	}
	return 0;
}

int metric_key_token(const struct metric_key *key, char token[])
{
	const struct metric_dimension *sorted[METRIC_DIMENSIONS_MAX];
	const char *end = token + METRIC_TOKEN_MAX;
	char *at;

	if (sort_dimensions(key, sorted) != 0)
		return -1;
	at = append(token, end, key->namespace, METRIC_NAME_MAX);
	if (at != NULL)
		at = append(at, end, key->name, METRIC_NAME_MAX);
	for (size_t i = 0; at != NULL && i < key->n_dimensions; i++) {
		at = append(at, end, sorted[i]->name, METRIC_NAME_MAX);
		if (at != NULL)
			at = append(at, end, sorted[i]->value, METRIC_VALUE_MAX);
	}
	if (at == NULL)
		return -1;
	*at = '\0';
	return (int)(at - token);
}

bool metric_key_is_valid(const struct metric_key *key)
{
	char token[METRIC_TOKEN_MAX];

	return metric_key_token(key, token) >= 0;
}

/* NOLINTNEXTLINE(readability-function-size): uthash's macro, not ours */
struct metric *metrics_find(const struct metrics *metrics, const struct metric_key *key)
{
	char token[METRIC_TOKEN_MAX];
	struct metric *metric;
	int len = metric_key_token(key, token);

	if (len < 0)
		return NULL;
	/* NOLINTNEXTLINE(clang-analyzer-core.*): uthash reads what metric_key_token() wrote */
	HASH_FIND(hh, metrics->by_token, token, (unsigned)len, metric);
	return metric;
}

/* ---- metrics ---- */

static void metric_free(struct metric *metric)
{
	while (metric->streams != NULL) {
		struct metric_stream *next = metric->streams->next;

		stream_fini(&metric->metrics->pool, &metric->streams->stream);
		free(metric->streams);
		metric->streams = next;
	}
	free(metric->dimensions);
	free(metric->token);
	free(metric->text);
	free(metric);
}

/* NOLINTNEXTLINE(readability-function-size): uthash's macro, not ours */
void metrics_remove(struct metric *metric)
{
	struct metrics *metrics = metric->metrics;

	if (metrics->pool.is_tracked)
		metrics_metric_gone(metric);
	HASH_DEL(metrics->by_token, metric);
	TAILQ_REMOVE(&metrics->by_recency, metric, recency);
	metrics->n--;
	metrics->is_sorted = false;
	metric_free(metric);
}

/* Cuts the copy of the token into the key's parts. */
static void split_key(struct metric *metric)
{
	const char **parts[2] = {&metric->key.namespace, &metric->key.name};
	char *at = metric->text;
	size_t n = 0;

	while (*at != '\0') {
		char *separator = strchr(at, METRIC_TOKEN_SEPARATOR);
		struct metric_dimension *dimension = &metric->dimensions[n < 2 ? 0 : n / 2 - 1];

		*separator = '\0';
		if (n < 2)
			*parts[n] = at;
		else if (n % 2 == 0)
			dimension->name = at;
		else
			dimension->value = at;
		at = separator + 1;
		n++;
	}
	metric->key.dimensions = metric->dimensions;
}

/* NOLINTNEXTLINE(readability-function-size): uthash's macro, not ours */
static struct metric *metric_new(struct metrics *metrics, const char *token, size_t len,
				 size_t n_dimensions)
{
	struct metric *metric = calloc(1, sizeof(*metric));

	if (metric == NULL)
		return NULL;
	metric->metrics = metrics;
	metric->token = strdup(token);
	metric->text = strdup(token);
	metric->dimensions = calloc(n_dimensions + 1, sizeof(metric->dimensions[0]));
	if (metric->token == NULL || metric->text == NULL || metric->dimensions == NULL)
		goto oom;
	metric->key.n_dimensions = n_dimensions;
	split_key(metric);
	metric->newest_ms = INT64_MIN;
	HASH_ADD_KEYPTR(hh, metrics->by_token, metric->token, (unsigned)len, metric);
	if (metric->hh.tbl == NULL)
		goto oom;
	TAILQ_INSERT_TAIL(&metrics->by_recency, metric, recency);
	metrics->n++;
	metrics->is_sorted = false;
	return metric;
oom:
	metric_free(metric);
	return NULL;
}

static void on_empty(struct stream *stream)
{
	struct metric *metric = stream->owner;
	struct metric_stream **at = &metric->streams;
	struct metric_stream *mine;

	while (&(*at)->stream != stream)
		at = &(*at)->next;
	mine = *at;
	*at = mine->next;
	stream_fini(&metric->metrics->pool, stream);
	free(mine);
	if (metric->streams == NULL)
		metrics_remove(metric);
}

struct stream *metrics_stream_of(struct metric *metric, int unit)
{
	struct metric_stream *stream;

	for (stream = metric->streams; stream != NULL; stream = stream->next)
		if (stream->stream.unit == unit)
			return &stream->stream;
	stream = calloc(1, sizeof(*stream));
	if (stream == NULL)
		return NULL;
	stream->stream.owner = metric;
	stream->stream.unit = unit;
	stream->next = metric->streams;
	metric->streams = stream;
	return &stream->stream;
}

/* ---- the module ---- */

struct metrics *metrics_new(const struct metrics_limits *limits)
{
	struct metrics *metrics = calloc(1, sizeof(*metrics));
	size_t memory = limits != NULL ? limits->memory_bytes : 0;

	if (metrics == NULL)
		return NULL;
	metrics->max = limits != NULL ? limits->max_metrics : 0;
	if (metrics->max == 0)
		metrics->max = DEFAULT_MAX_METRICS;
	TAILQ_INIT(&metrics->by_recency);
	STAILQ_INIT(&metrics->gone);
	chunk_pool_init(&metrics->pool, memory == 0 ? DEFAULT_MEMORY : memory, on_empty);
	metrics->pool.on_gone = metrics_chunk_gone;
	return metrics;
}

void metrics_free(struct metrics *metrics)
{
	if (metrics == NULL)
		return;
	metrics->pool.is_tracked = false;
	metrics_written(metrics, true);
	while (!TAILQ_EMPTY(&metrics->by_recency))
		metrics_remove(TAILQ_FIRST(&metrics->by_recency));
	free(metrics->sorted);
	free(metrics);
}

/* Room for one more metric, if need be in place of the one that has been silent longest. */
static bool make_room(struct metrics *metrics, int64_t now_ms)
{
	struct metric *silent = TAILQ_FIRST(&metrics->by_recency);

	if (metrics->n < metrics->max)
		return true;
	if (silent == NULL || silent->put_ms > now_ms - SILENT_MS)
		return false;
	metrics_remove(silent);
	return true;
}

/* NOLINTNEXTLINE(readability-function-size): uthash's macro, not ours */
enum metrics_result metrics_find_or_add(struct metrics *metrics, const struct metric_key *key,
					int64_t now_ms, struct metric **metric)
{
	char token[METRIC_TOKEN_MAX];
	int len = metric_key_token(key, token);

	if (len <= 0)
		return METRICS_BAD;
	/* NOLINTNEXTLINE(clang-analyzer-core.*): metric_key_token() filled len bytes */
	HASH_FIND(hh, metrics->by_token, token, (unsigned)len, *metric);
	if (*metric != NULL)
		return METRICS_OK;
	if (!make_room(metrics, now_ms))
		return METRICS_FULL;
	*metric = metric_new(metrics, token, (size_t)len, key->n_dimensions);
	return *metric != NULL ? METRICS_OK : METRICS_NO_MEMORY;
}

static int add_datum(struct metrics *metrics, struct metric *metric,
		     const struct metric_datum *datum, int64_t now_ms)
{
	struct stream *stream = metrics_stream_of(metric, datum->unit);
	struct chunk_sample sample = {.set = datum->set};
	bool is_old = datum->at_ms < now_ms - chunk_levels[0].kept_ms;

	if (stream == NULL)
		return -1;
	if (datum->values != NULL && datum->n_values > 0) {
		sample.entries = datum->values;
		sample.n_entries = datum->n_values;
		sample.set = (struct stat_set){0};
		for (size_t i = 0; i < datum->n_values; i++) {
			const struct dist_entry *one = &datum->values[i];
			struct stat_set set = {one->count, one->count * one->value, one->value,
					       one->value};

			stat_set_merge(&sample.set, &set);
		}
		stream->has_distributions |= datum->n_values > 1;
	}
	if (sample.set.count <= 0)
		return 0;
	return stream_add(&metrics->pool, stream, datum->resolution_s == 1 && !is_old ? 0 : 1,
			  datum->at_ms, &sample);
}

enum metrics_result metrics_put(struct metrics *metrics, const struct metric_datum *datum,
				int64_t now_ms)
{
	struct metric *metric;
	enum metrics_result result = metrics_find_or_add(metrics, &datum->key, now_ms, &metric);

	if (result != METRICS_OK)
		return result;
	metric->put_ms = now_ms;
	if (datum->at_ms > metric->newest_ms)
		metric->newest_ms = datum->at_ms;
	TAILQ_REMOVE(&metrics->by_recency, metric, recency);
	TAILQ_INSERT_TAIL(&metrics->by_recency, metric, recency);
	if (add_datum(metrics, metric, datum, now_ms) != 0)
		return METRICS_NO_MEMORY;
	metrics->put++;
	chunk_pool_shrink(&metrics->pool); /* may remove any metric, this one too */
	return METRICS_OK;
}

enum metrics_result metrics_put_value(struct metrics *metrics, const struct metric_key *key,
				      int unit, int resolution_s, double value, int64_t now_ms)
{
	struct metric_datum datum = {
	    .key = *key,
	    .unit = unit,
	    .resolution_s = resolution_s,
	    .at_ms = now_ms,
	    .set = {1, value, value, value},
	};

	return metrics_put(metrics, &datum, now_ms);
}

void metrics_tick(struct metrics *metrics, int64_t now_ms)
{
	chunk_pool_age(&metrics->pool, now_ms);
	chunk_pool_shrink(&metrics->pool);
}

/* ---- lists ---- */

static int compare_tokens(const void *a, const void *b)
{
	const struct metric *const *x = a, *const *y = b;

	return strcmp((*x)->token, (*y)->token);
}

/* False without memory: the list is then empty. */
static bool sort_metrics(struct metrics *metrics)
{
	struct metric **sorted;
	size_t n = 0;

	if (metrics->is_sorted)
		return true;
	sorted = realloc(metrics->sorted, (metrics->n + 1) * sizeof(struct metric *));
	if (sorted == NULL)
		return false;
	metrics->sorted = sorted;
	for (struct metric *m = metrics->by_token; m != NULL; m = m->hh.next)
		sorted[n++] = m;
	qsort(sorted, n, sizeof(struct metric *), compare_tokens);
	metrics->is_sorted = true;
	return true;
}

static size_t index_after(const struct metrics *metrics, const char *token)
{
	size_t low = 0, high = metrics->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(metrics->sorted[middle]->token, token) <= 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

void metrics_list(struct metrics *metrics, const char *after_token, metrics_list_fn fn, void *arg)
{
	if (!sort_metrics(metrics))
		return;
	for (size_t i = after_token != NULL ? index_after(metrics, after_token) : 0; i < metrics->n;
	     i++) {
		const struct metric *metric = metrics->sorted[i];
		struct metric_info info = {metric->key, metric->newest_ms, metric->token};

		if (!fn(arg, &info))
			return;
	}
}

struct metrics_usage metrics_usage(const struct metrics *metrics)
{
	return (struct metrics_usage){
	    .metrics = metrics->n,
	    .bytes = chunk_pool_bytes(&metrics->pool),
	    .limit_bytes = metrics->pool.limit_bytes,
	    .kept_bytes = metrics->kept_bytes,
	    .datapoints_put = metrics->put,
	    .folded_early = metrics->pool.folded_early,
	};
}
