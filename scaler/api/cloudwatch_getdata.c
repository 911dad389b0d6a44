/*
 * GetMetricData, without metric math.  Control thread only.
 */
#include <stdlib.h>
#include <string.h>

#include "common/doc/doc.h"
#include "scaler/api/cloudwatch_state.h"

enum { MAX_QUERIES = 500, MAX_DATAPOINTS = 100800, MAX_PERIOD_S = 86400 };

struct range {
	int64_t start_ms, end_ms;
	bool is_ascending;
	size_t max; /* datapoints of one query */
};

static json_t *refuse(struct aws_error *error, const char *id, const char *what)
{
	aws_error_set(error, 400, "ValidationError", "Error in query '%s': %s", id, what);
	return NULL;
}

static int read_range(const json_t *input, size_t n_queries, struct range *range,
		      struct aws_error *error)
{
	int64_t max = doc_int(input, "MaxDatapoints", MAX_DATAPOINTS);

	if (max < 1 || max > MAX_DATAPOINTS)
		max = MAX_DATAPOINTS;
	range->max = (size_t)max / n_queries > 0 ? (size_t)max / n_queries : 1;
	range->is_ascending = strcmp(doc_str(input, "ScanBy", ""), "TimestampAscending") == 0;
	if (clock_parse_iso(doc_str(input, "StartTime", ""), &range->start_ms) == 0 &&
	    clock_parse_iso(doc_str(input, "EndTime", ""), &range->end_ms) == 0 &&
	    range->start_ms < range->end_ms)
		return 0;
	aws_error_set(error, 400, "ValidationError",
		      "The parameter StartTime must be less than the parameter EndTime.");
	return -1;
}

static json_t *tell(const json_t *wanted, const char *label, const struct metric_point points[],
		    size_t n, bool is_ascending)
{
	json_t *times = json_array(), *values = json_array();

	for (size_t i = 0; i < n; i++) {
		const struct metric_point *point = &points[is_ascending ? i : n - 1 - i];
		char time[CLOCK_TEXT_MAX];

		json_array_append_new(times, json_string(clock_format_iso(point->at_ms, time)));
		json_array_append_new(values, json_real(point->value));
	}
	return json_pack("{s:s, s:s, s:o, s:o, s:s}", "Id", doc_str(wanted, "Id", ""), "Label",
			 doc_str(wanted, "Label", label), "Timestamps", times, "Values", values,
			 "StatusCode", "Complete");
}

/* Fills query from a MetricStat. */
static bool read_stat(const json_t *stat, struct metric_query *query,
		      struct metric_dimension dimensions[], struct aws_error *error)
{
	int64_t period = doc_int(stat, "Period", 0);
	const char *unit = doc_str(stat, "Unit", NULL);
	bool is_short = period == 1 || period == 5 || period == 10 || period == 20 || period == 30;

	query->unit = unit != NULL ? metric_unit_from_name(unit) : METRIC_UNIT_ANY;
	query->period_s = (int)period;
	if (!is_short && (period <= 0 || period % 60 != 0 || period > MAX_PERIOD_S)) {
		aws_error_set(error, 400, "ValidationError",
			      "Period must be 1, 5, 10, 20, 30 or a multiple of 60 up to %d",
			      MAX_PERIOD_S);
		return false;
	}
	if (statistic_parse(doc_str(stat, "Stat", ""), &query->statistic) != 0) {
		aws_error_set(error, 400, "ValidationError",
			      "The value %.64s for parameter Stat is not supported.",
			      doc_str(stat, "Stat", ""));
		return false;
	}
	return cloudwatch_key(doc_object(stat, "Metric"), &query->key, dimensions, error) == 0;
}

static json_t *answer_one(const struct cloudwatch *cw, const json_t *wanted,
			  const struct range *range, struct aws_error *error)
{
	const json_t *stat = doc_object(wanted, "MetricStat");
	struct metric_dimension dimensions[METRIC_DIMENSIONS_MAX];
	struct metric_query query = {.start_ms = range->start_ms, .end_ms = range->end_ms};
	struct metric_point *points;
	json_t *result = NULL;
	size_t n;

	if (doc_has(wanted, "Expression"))
		return refuse(error, doc_str(wanted, "Id", ""),
			      "metric math (the parameter Expression) is not supported yet; use "
			      "MetricStat");
	if (stat == NULL)
		return refuse(error, doc_str(wanted, "Id", ""), "MetricStat is required");
	if (!read_stat(stat, &query, dimensions, error))
		return NULL;
	points = calloc(range->max, sizeof(*points));
	if (points != NULL) {
		n = metrics_query(cw->metrics, &query, points, range->max);
		result = tell(wanted, query.key.name, points, n, range->is_ascending);
	}
	free(points);
	return result;
}

json_t *handle_GetMetricData(void *context, const struct aws_call *call, const json_t *input,
			     struct aws_error *error)
{
	const json_t *queries = doc_array(input, "MetricDataQueries"), *one;
	size_t i, n = json_array_size(queries);
	struct range range;
	json_t *results;

	(void)call;
	if (n == 0 || n > MAX_QUERIES) {
		aws_error_set(
		    error, 400, "ValidationError",
		    "The collection MetricDataQueries must have between 1 and %d members.",
		    MAX_QUERIES);
		return NULL;
	}
	if (read_range(input, n, &range, error) != 0)
		return NULL;
	results = json_array();
	json_array_foreach (queries, i, one) {
		json_t *result = answer_one(context, one, &range, error);

		if (result == NULL) {
			json_decref(results);
			return NULL;
		}
		if (doc_bool(one, "ReturnData", true))
			json_array_append_new(results, result);
		else
			json_decref(result);
	}
	return json_pack("{s:o, s:[]}", "MetricDataResults", results, "Messages");
}
