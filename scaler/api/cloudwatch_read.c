/*
 * GetMetricStatistics and ListMetrics.  Control thread only.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/doc/doc.h"
#include "scaler/api/cloudwatch_state.h"

enum { MAX_POINTS = 1440, MAX_PERIOD_S = 86400, PAGE = 500, MAX_EXTENDED = 10 };

#define RECENT_MS (3LL * 3600 * 1000)

/* ---- GetMetricStatistics ---- */

static int read_period(const json_t *input, struct metric_query *query, struct aws_error *error)
{
	int64_t period = doc_int(input, "Period", 0);
	bool is_short = period == 1 || period == 5 || period == 10 || period == 20 || period == 30;

	if (!is_short && (period <= 0 || period % 60 != 0)) {
		aws_error_set(error, 400, "InvalidParameterValue",
			      "The parameter Period must be 1, 5, 10, 20, 30 or a multiple of 60.");
		return -1;
	}
	if (period > MAX_PERIOD_S) {
		aws_error_set(error, 400, "InvalidParameterValue",
			      "The parameter Period must be less than or equal to %d.",
			      MAX_PERIOD_S);
		return -1;
	}
	query->period_s = (int)period;
	return 0;
}

/* 1500 as "1,500" */
static void format_thousands(int64_t n, char text[32])
{
	if (n >= 1000000)
		snprintf(text, 32, "%lld,%03d,%03d", (long long)(n / 1000000),
			 (int)(n / 1000 % 1000), (int)(n % 1000));
	else if (n >= 1000)
		snprintf(text, 32, "%d,%03d", (int)(n / 1000), (int)(n % 1000));
	else
		snprintf(text, 32, "%d", (int)n);
}

static int read_range(const json_t *input, struct metric_query *query, struct aws_error *error)
{
	char text[32];
	int64_t n;

	if (clock_parse_iso(doc_str(input, "StartTime", ""), &query->start_ms) != 0 ||
	    clock_parse_iso(doc_str(input, "EndTime", ""), &query->end_ms) != 0) {
		aws_error_set(error, 400, "InvalidParameterValue",
			      "The parameters StartTime and EndTime must be times.");
		return -1;
	}
	if (query->start_ms >= query->end_ms) {
		aws_error_set(error, 400, "InvalidParameterValue",
			      "The parameter StartTime must be less than the parameter EndTime.");
		return -1;
	}
	n = (query->end_ms - query->start_ms) / (query->period_s * 1000LL);
	/* Of periods under a minute only whole ones are shown. */
	if (query->period_s < 60)
		query->end_ms -= query->end_ms % (query->period_s * 1000LL);
	if (n <= MAX_POINTS)
		return 0;
	format_thousands(n, text);
	aws_error_set(
	    error, 400, "InvalidParameterCombination",
	    "You have requested up to %s datapoints, which exceeds the limit of 1,440. You "
	    "may reduce the datapoints requested by increasing Period, or decreasing the "
	    "time range.",
	    text);
	return -1;
}

/* Are all names of the list statistics of the kind? */
static int check_statistics(const json_t *list, const char *parameter, bool is_simple,
			    struct aws_error *error)
{
	struct statistic statistic;
	const json_t *one;
	size_t i;

	json_array_foreach (list, i, one) {
		const char *name = json_string_value(one);

		if (name != NULL && statistic_parse(name, &statistic) == 0 &&
		    statistic_is_simple(&statistic) == is_simple)
			continue;
		aws_error_set(error, 400, "InvalidParameterValue",
			      "The value %.64s for parameter %s.member.%zu is invalid.",
			      name != NULL ? name : "", parameter, i + 1);
		return -1;
	}
	return 0;
}

static int read_statistics(const json_t *input, struct aws_error *error)
{
	const json_t *simple = doc_array(input, "Statistics");
	const json_t *extended = doc_array(input, "ExtendedStatistics");

	if (json_array_size(simple) + json_array_size(extended) == 0) {
		aws_error_set(
		    error, 400, "MissingParameter",
		    "At least one of the parameters Statistics and ExtendedStatistics must be "
		    "specified.");
		return -1;
	}
	if (json_array_size(extended) > MAX_EXTENDED) {
		aws_error_set(error, 400, "InvalidParameterValue",
			      "The collection ExtendedStatistics must not have a size greater than "
			      "%d.",
			      MAX_EXTENDED);
		return -1;
	}
	if (check_statistics(simple, "Statistics", true, error) != 0)
		return -1;
	return check_statistics(extended, "ExtendedStatistics", false, error);
}

static int compare_datapoints(const void *a, const void *b)
{
	const json_t *const *x = a, *const *y = b;

	return strcmp(doc_str(*x, "Timestamp", ""), doc_str(*y, "Timestamp", ""));
}

/* What is being put together for one unit. */
struct answer {
	const struct metrics *metrics;
	struct metric_query query;
	struct metric_point *times, *points; /* [MAX_POINTS] */
	json_t **datapoints;                 /* [MAX_POINTS]: the object of times[i], borrowed */
	size_t n;
};

/* Adds the statistic to the datapoints of its times. */
static void add_statistic(struct answer *answer, const char *name, bool is_simple)
{
	size_t n, at = 0;

	if (statistic_parse(name, &answer->query.statistic) != 0)
		return;
	n = metrics_query(answer->metrics, &answer->query, answer->points, MAX_POINTS);
	for (size_t i = 0; i < n; i++) {
		json_t *map;

		while (at < answer->n && answer->times[at].at_ms < answer->points[i].at_ms)
			at++;
		if (at == answer->n || answer->times[at].at_ms != answer->points[i].at_ms)
			continue;
		map = is_simple ? answer->datapoints[at]
				: doc_object(answer->datapoints[at], "ExtendedStatistics");
		if (map == NULL) {
			map = json_object();
			json_object_set_new(answer->datapoints[at], "ExtendedStatistics", map);
		}
		json_object_set_new(map, name, json_real(answer->points[i].value));
	}
}

/* The datapoints of the query's unit, appended to list. */
static void add_unit(struct answer *answer, const json_t *input, json_t *list)
{
	const json_t *name;
	size_t i;

	answer->query.statistic = (struct statistic){.kind = STATISTIC_SAMPLE_COUNT};
	answer->n = metrics_query(answer->metrics, &answer->query, answer->times, MAX_POINTS);
	for (i = 0; i < answer->n; i++) {
		char time[CLOCK_TEXT_MAX];

		answer->datapoints[i] = json_pack("{s:s, s:s}", "Timestamp",
						  clock_format_iso(answer->times[i].at_ms, time),
						  "Unit", metric_unit_name(answer->query.unit));
		json_array_append_new(list, answer->datapoints[i]);
	}
	json_array_foreach (doc_array(input, "Statistics"), i, name)
		add_statistic(answer, json_string_value(name), true);
	json_array_foreach (doc_array(input, "ExtendedStatistics"), i, name)
		add_statistic(answer, json_string_value(name), false);
}

/* By time, units mixed: list, or NULL without memory.  Takes list. */
static json_t *sorted(json_t *list)
{
	size_t n = json_array_size(list);
	const json_t **order = calloc(n + 1, sizeof(json_t *));
	json_t *result = json_array();

	for (size_t i = 0; order != NULL && i < n; i++)
		order[i] = json_array_get(list, i);
	if (order != NULL)
		qsort(order, n, sizeof(json_t *), compare_datapoints);
	for (size_t i = 0; order != NULL && i < n; i++)
		json_array_append(result, (json_t *)order[i]);
	free(order);
	json_decref(list);
	return result;
}

static json_t *answer_units(struct answer *answer, const json_t *input)
{
	const char *unit = doc_str(input, "Unit", NULL);
	int units[METRIC_UNIT_COUNT] = {0};
	size_t n = 1;
	json_t *list = json_array();

	if (unit != NULL)
		units[0] = metric_unit_from_name(unit);
	else
		n = metrics_units(answer->metrics, &answer->query.key, units);
	for (size_t i = 0; i < n; i++) {
		if (units[i] == METRIC_UNIT_ANY)
			continue;
		answer->query.unit = units[i];
		add_unit(answer, input, list);
	}
	return n > 1 ? sorted(list) : list;
}

json_t *handle_GetMetricStatistics(void *context, const struct aws_call *call, const json_t *input,
				   struct aws_error *error)
{
	const struct cloudwatch *cw = context;
	struct metric_dimension dimensions[METRIC_DIMENSIONS_MAX];
	struct answer answer = {.metrics = cw->metrics};
	json_t *datapoints = NULL;

	(void)call;
	if (cloudwatch_key(input, &answer.query.key, dimensions, error) != 0 ||
	    read_period(input, &answer.query, error) != 0 ||
	    read_range(input, &answer.query, error) != 0 || read_statistics(input, error) != 0)
		return NULL;
	answer.times = calloc(MAX_POINTS, sizeof(answer.times[0]));
	answer.points = calloc(MAX_POINTS, sizeof(answer.points[0]));
	answer.datapoints = calloc(MAX_POINTS, sizeof(json_t *));
	if (answer.times != NULL && answer.points != NULL && answer.datapoints != NULL)
		datapoints = answer_units(&answer, input);
	free(answer.times);
	free(answer.points);
	free(answer.datapoints);
	if (datapoints == NULL) {
		aws_error_set(error, 500, "InternalServiceError", "out of memory");
		return NULL;
	}
	return json_pack("{s:s, s:o}", "Label", answer.query.key.name, "Datapoints", datapoints);
}

/* ---- ListMetrics ---- */

struct listing {
	const char *namespace, *name; /* NULL: any */
	const json_t *filters;
	int64_t since_ms;
	json_t *list;
	char *last; /* the token of the last one listed; owned */
	bool is_more;
};

/* Does the metric have the dimension, with this value where one is given? */
static bool has_dimension(const struct metric_key *key, const json_t *filter)
{
	const char *name = doc_str(filter, "Name", ""), *value = doc_str(filter, "Value", NULL);

	for (size_t i = 0; i < key->n_dimensions; i++)
		if (strcmp(key->dimensions[i].name, name) == 0)
			return value == NULL || strcmp(key->dimensions[i].value, value) == 0;
	return false;
}

static bool matches(const struct listing *listing, const struct metric_info *info)
{
	const json_t *filter;
	size_t i;

	if (info->newest_ms < listing->since_ms ||
	    (listing->namespace != NULL && strcmp(listing->namespace, info->key.namespace) != 0) ||
	    (listing->name != NULL && strcmp(listing->name, info->key.name) != 0))
		return false;
	json_array_foreach (listing->filters, i, filter)
		if (!has_dimension(&info->key, filter))
			return false;
	return true;
}

static bool list_metric(void *arg, const struct metric_info *info)
{
	struct listing *listing = arg;
	json_t *dimensions;

	if (!matches(listing, info))
		return true;
	if (json_array_size(listing->list) == PAGE) {
		listing->is_more = true;
		return false;
	}
	dimensions = json_array();
	for (size_t i = 0; i < info->key.n_dimensions; i++)
		json_array_append_new(dimensions,
				      json_pack("{s:s, s:s}", "Name", info->key.dimensions[i].name,
						"Value", info->key.dimensions[i].value));
	json_array_append_new(listing->list,
			      json_pack("{s:s, s:s, s:o}", "Namespace", info->key.namespace,
					"MetricName", info->key.name, "Dimensions", dimensions));
	if (json_array_size(listing->list) == PAGE) {
		free(listing->last);
		listing->last = strdup(info->token);
	}
	return true;
}

json_t *handle_ListMetrics(void *context, const struct aws_call *call, const json_t *input,
			   struct aws_error *error)
{
	struct cloudwatch *cw = context;
	const char *token = doc_str(input, "NextToken", NULL);
	int64_t now_ms = cloudwatch_now_ms(cw);
	struct listing listing = {
	    .namespace = doc_str(input, "Namespace", NULL),
	    .name = doc_str(input, "MetricName", NULL),
	    .filters = doc_array(input, "Dimensions"),
	    .since_ms = now_ms - (doc_has(input, "RecentlyActive") ? RECENT_MS : METRIC_PAST_MS),
	};
	char *after = NULL, *next = NULL;
	json_t *output;

	(void)call;
	if (token != NULL && (after = cloudwatch_token_decode(token, error)) == NULL)
		return NULL;
	listing.list = json_array();
	metrics_list(cw->metrics, after, list_metric, &listing);
	free(after);
	output = json_pack("{s:o}", "Metrics", listing.list);
	if (listing.is_more && listing.last != NULL)
		next = cloudwatch_token_encode(listing.last);
	if (next != NULL)
		json_object_set_new(output, "NextToken", json_string(next));
	free(listing.last);
	free(next);
	return output;
}
