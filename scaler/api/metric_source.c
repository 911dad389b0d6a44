/*
 * Datapoints for the engine, out of what PutMetricData has brought: of one metric, or of metric
 * math over several.
 */
#include "scaler/api/metric_source.h"

#include "common/base/log.h"
#include "common/doc/doc.h"
#include "scaler/metrics/math.h"

enum { DIMENSIONS_MAX = METRIC_DIMENSIONS_MAX, POINTS_MAX = 512 };

static int64_t start_of(const struct metric_request *request)
{
	return request->end_ms - request->n * 1000LL * request->period_s;
}

/* Into its period's place; 1 if it is one of those asked for. */
static int take(const struct metric_request *request, int64_t at_ms, double value)
{
	int64_t after_ms = at_ms - start_of(request);
	int64_t index = after_ms / (1000LL * request->period_s);

	if (after_ms < 0 || index >= request->n)
		return 0;
	request->values[index] = value;
	return 1;
}

/* ---- metric math ---- */

/* The queries with the request's period; NULL without memory. */
static json_t *with_period(const struct metric_request *request)
{
	json_t *queries = json_deep_copy(request->queries), *query;
	size_t i;

	json_array_foreach (queries, i, query) {
		json_t *stat = doc_object(query, "MetricStat");

		if (stat)
			json_object_set_new(stat, "Period", json_integer(request->period_s));
	}
	return queries;
}

static int read_set(const struct metric_store *store, const struct math_set *set,
		    const struct metric_request *request, struct err *err)
{
	struct math_results results;
	int found = 0;

	if (math_set_evaluate(set, store->metrics, start_of(request), request->end_ms,
			      store->now_ms, &results, err) < 0)
		return 0;
	for (size_t i = 0; results.n > 0 && i < results.list[0].n; i++)
		found +=
		    take(request, results.list[0].points[i].at_ms, results.list[0].points[i].value);
	math_results_fini(&results);
	return found;
}

static int read_math(const struct metric_store *store, const struct metric_request *request)
{
	json_t *queries = with_period(request);
	struct err err = {0};
	struct math_set *set = queries ? math_set_new(queries, &err) : NULL;
	int found = set ? read_set(store, set, request, &err) : 0;

	if (err.text[0])
		log_debug("metric-math-failed", "why=\"%s\"", err.text);
	math_set_free(set);
	json_decref(queries);
	return found;
}

/* ---- one metric ---- */

int metric_source_read(void *arg, const struct metric_request *request)
{
	const struct metric_store *store = arg;
	struct metric_dimension dimensions[DIMENSIONS_MAX];
	struct metric_query query = {
	    .key = {request->namespace, request->name, dimensions, 0},
	    .unit = request->unit ? metric_unit_from_name(request->unit) : METRIC_UNIT_ANY,
	    .period_s = request->period_s,
	    .start_ms = start_of(request),
	    .end_ms = request->end_ms,
	};
	struct metric_point points[POINTS_MAX];
	const json_t *dimension;
	int found = 0;
	size_t i, n;

	if (request->queries)
		return read_math(store, request);
	json_array_foreach (request->dimensions, i, dimension) {
		if (query.key.n_dimensions == DIMENSIONS_MAX)
			return 0;
		dimensions[query.key.n_dimensions].name = doc_str(dimension, "Name", "");
		dimensions[query.key.n_dimensions++].value = doc_str(dimension, "Value", "");
	}
	if (statistic_parse(request->statistic, &query.statistic) != 0)
		return 0;
	n = metrics_query(store->metrics, &query, points, POINTS_MAX);
	for (i = 0; i < n; i++)
		found += take(request, points[i].at_ms, points[i].value);
	return found;
}
