/*
 * Metrics that AWS alone has: what policies watch and nobody sends here is asked of CloudWatch
 * (Scaler.CloudWatchEndpoint) once a minute, and kept like what is sent.  Of AWS/EC2 that are the
 * instances' own figures, which make the group's together; of anything else the first answer goes
 * back two weeks, for who forecasts.  Control thread only.
 */
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/doc/doc.h"
#include "scaler/cloud/rim_parts.h"

enum {
	EVERY_MS = 60 * 1000,
	SOON_MS = 5 * 1000, /* when there is something new to ask for */
	MINUTE_MS = 60 * 1000,
	RECENT_MS = 15 * 60 * 1000,
	QUERIES_MAX = 500, /* of one GetMetricData */
	PAST_QUERIES_MAX = 20,
	PERIOD_S = 60,
	PAST_PERIOD_S = 300,
};

#define PAST_MS (14LL * 24 * 3600 * 1000 - 3600 * 1000)

/* One question under way. */
struct metric_ask {
	struct rim *rim;
	json_t *metrics; /* array of what is asked for, by the number in its query's Id */
	LIST_ENTRY(metric_ask) link;
};

/* ---- what is wanted ---- */

struct wanted {
	struct rim *rim;
	json_t *metrics; /* {key: {Namespace, MetricName, Dimensions, Stat, Group?, From}} */
	int64_t now_ms;
};

static bool is_ec2(const json_t *metric)
{
	return strcmp(doc_str(metric, "Namespace", ""), "AWS/EC2") == 0;
}

static size_t read_dimensions(const json_t *list, struct metric_dimension dimensions[])
{
	const json_t *one;
	size_t i, n = 0;

	json_array_foreach (list, i, one) {
		if (n < METRIC_DIMENSIONS_MAX)
			dimensions[n++] = (struct metric_dimension){doc_str(one, "Name", ""),
								    doc_str(one, "Value", "")};
	}
	return n;
}

/* Has somebody sent it here lately? */
static bool is_sent(const struct wanted *wanted, const json_t *metric)
{
	struct metric_dimension dimensions[METRIC_DIMENSIONS_MAX];
	struct metric_key key = {doc_str(metric, "Namespace", ""),
				 doc_str(metric, "MetricName", ""), dimensions,
				 read_dimensions(doc_array(metric, "Dimensions"), dimensions)};
	struct metric_point point;

	return metrics_statistic(cloudwatch_metrics(wanted->rim->config.cloudwatch), &key,
				 "SampleCount", PERIOD_S, wanted->now_ms - RECENT_MS,
				 wanted->now_ms, &point, 1) > 0;
}

/* Takes metric. */
static void want(struct wanted *wanted, json_t *metric)
{
	char *key = metric ? json_dumps(metric, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
	const json_t *before = key ? json_object_get(wanted->rim->asked_metrics, key) : NULL;

	if (key && !json_object_get(wanted->metrics, key) && (before || !is_sent(wanted, metric))) {
		json_object_set_new(metric, "From", json_integer(doc_int(before, "From", 0)));
		json_object_set(wanted->metrics, key, metric);
	}
	free(key);
	json_decref(metric);
}

static void want_of_instances(struct wanted *wanted, const struct group *group, const char *name)
{
	const struct instance *instance;

	TAILQ_FOREACH (instance, &group->instances, link) {
		if (instance->state == INSTANCE_IN_SERVICE && instance->id[0])
			want(wanted, json_pack("{s:s, s:s, s:[{s:s, s:s}], s:s, s:s}", "Namespace",
					       "AWS/EC2", "MetricName", name, "Dimensions", "Name",
					       "InstanceId", "Value", instance->id, "Stat",
					       "Average", "Group", group->name));
	}
}

static void want_of_targets(struct wanted *wanted, const char *label, const char *name)
{
	const char *target_group = label ? strstr(label, "/targetgroup/") : NULL;

	if (target_group)
		want(wanted,
		     json_pack("{s:s, s:s, s:[{s:s, s:s%}, {s:s, s:s}], s:s}", "Namespace",
			       "AWS/ApplicationELB", "MetricName", name, "Dimensions", "Name",
			       "LoadBalancer", "Value", label, (size_t)(target_group - label),
			       "Name", "TargetGroup", "Value", target_group + 1, "Stat", "Sum"));
}

static void want_predefined(struct wanted *wanted, const struct group *group, const json_t *spec)
{
	const char *type = doc_str(spec, "PredefinedMetricType", "");
	const char *label = doc_str(spec, "ResourceLabel", NULL);

	if (strstr(type, "CPUUtilization"))
		want_of_instances(wanted, group, "CPUUtilization");
	else if (strstr(type, "NetworkIn"))
		want_of_instances(wanted, group, "NetworkIn");
	else if (strstr(type, "NetworkOut"))
		want_of_instances(wanted, group, "NetworkOut");
	if (strstr(type, "RequestCountPerTarget") || strcmp(type, "ALBRequestCount") == 0)
		want_of_targets(wanted, label, "RequestCountPerTarget");
	if (strcmp(type, "ALBRequestCount") == 0 || strstr(type, "TargetGroupRequestCount"))
		want_of_targets(wanted, label, "RequestCount");
}

static void want_metric(struct wanted *wanted, const json_t *metric, const char *statistic)
{
	json_t *dimensions = doc_array(metric, "Dimensions");

	if (doc_has(metric, "MetricName"))
		want(wanted, json_pack("{s:s, s:s, s:o, s:s}", "Namespace",
				       doc_str(metric, "Namespace", ""), "MetricName",
				       doc_str(metric, "MetricName", ""), "Dimensions",
				       dimensions ? json_deep_copy(dimensions) : json_array(),
				       "Stat", statistic));
}

static void want_queries(struct wanted *wanted, const json_t *queries)
{
	const json_t *query;
	size_t i;

	json_array_foreach (queries, i, query) {
		const json_t *stat = doc_object(query, "MetricStat");

		want_metric(wanted, doc_object(stat, "Metric"), doc_str(stat, "Stat", ""));
	}
}

static void want_of_policy(struct wanted *wanted, const struct group *group,
			   const struct policy *policy)
{
	static const char *const predefined[] = {"PredefinedMetricPairSpecification",
						 "PredefinedScalingMetricSpecification",
						 "PredefinedLoadMetricSpecification"};
	static const char *const customized[] = {"CustomizedScalingMetricSpecification",
						 "CustomizedLoadMetricSpecification",
						 "CustomizedCapacityMetricSpecification"};
	const json_t *tracking = doc_object(policy->document, "TargetTrackingConfiguration");
	const json_t *own = doc_object(tracking, "CustomizedMetricSpecification");
	const json_t *config = doc_object(policy->document, "PredictiveScalingConfiguration");
	const json_t *spec = json_array_get(doc_array(config, "MetricSpecifications"), 0);

	want_predefined(wanted, group, doc_object(tracking, "PredefinedMetricSpecification"));
	want_metric(wanted, own, doc_str(own, "Statistic", "Average"));
	want_queries(wanted, doc_array(own, "Metrics"));
	for (size_t i = 0; i < sizeof predefined / sizeof predefined[0]; i++)
		want_predefined(wanted, group, doc_object(spec, predefined[i]));
	for (size_t i = 0; i < sizeof customized / sizeof customized[0]; i++)
		want_queries(wanted,
			     doc_array(doc_object(spec, customized[i]), "MetricDataQueries"));
}

/* ---- answers ---- */

static void put(struct rim *rim, const json_t *metric, const struct metric_key *key, double value,
		int64_t at_ms)
{
	struct metric_datum datum = {.key = *key,
				     .unit = METRIC_UNIT_NONE,
				     .resolution_s = 60,
				     .at_ms = at_ms,
				     .set = {1, value, value, value}};

	if (metrics_put(cloudwatch_metrics(rim->config.cloudwatch), &datum, rim_now_ms()) !=
	    METRICS_OK)
		log_debug("metric-dropped", "metric=%s", doc_str(metric, "MetricName", ""));
}

/* An instance's figure is one of its group's too. */
static void take_point(struct rim *rim, const json_t *metric, double value, int64_t at_ms)
{
	struct metric_dimension dimensions[METRIC_DIMENSIONS_MAX];
	struct metric_dimension group = {"AutoScalingGroupName", doc_str(metric, "Group", "")};
	struct metric_key key = {doc_str(metric, "Namespace", ""),
				 doc_str(metric, "MetricName", ""), dimensions,
				 read_dimensions(doc_array(metric, "Dimensions"), dimensions)};

	put(rim, metric, &key, value, at_ms);
	if (!doc_has(metric, "Group"))
		return;
	key.dimensions = &group;
	key.n_dimensions = 1;
	put(rim, metric, &key, value, at_ms);
}

/* The newest minute of what is put together from many senders may still grow. */
static int64_t whole_until_ms(const json_t *metric)
{
	int64_t minute_ms = rim_now_ms() / MINUTE_MS * MINUTE_MS;

	return is_ec2(metric) ? minute_ms : minute_ms - MINUTE_MS;
}

static void take_result(struct rim *rim, json_t *metric, const json_t *result)
{
	int64_t from_ms = doc_int(metric, "From", 0), newest_ms = from_ms;
	int64_t until_ms = whole_until_ms(metric), at_ms;
	const json_t *times = doc_array(result, "Timestamps"),
		     *values = doc_array(result, "Values");

	for (size_t i = 0; i < json_array_size(times); i++) {
		const char *time = json_string_value(json_array_get(times, i));
		const json_t *value = json_array_get(values, i);

		if (!time || !json_is_number(value) || clock_parse_iso(time, &at_ms) < 0 ||
		    at_ms < from_ms || at_ms >= until_ms)
			continue;
		take_point(rim, metric, json_number_value(value), at_ms);
		newest_ms = at_ms + MINUTE_MS > newest_ms ? at_ms + MINUTE_MS : newest_ms;
	}
	if (from_ms == 0 && newest_ms == 0)
		newest_ms = rim_now_ms() - RECENT_MS;
	json_object_set_new(metric, "From", json_integer(newest_ms));
}

static void ask_free(struct metric_ask *ask)
{
	LIST_REMOVE(ask, link);
	json_decref(ask->metrics);
	free(ask);
}

static void on_answer(void *arg, const json_t *output, const struct aws_error *error)
{
	struct metric_ask *ask = arg;
	struct rim *rim = ask->rim;
	const json_t *result;
	size_t i;

	if (!rim_note_answer(&rim->monitoring_reach, error) && !output)
		log_warn("metrics-not-read", "why=\"%s\"", error->message);
	json_array_foreach (doc_array(output, "MetricDataResults"), i, result) {
		const char *id = doc_str(result, "Id", "q");
		json_t *metric = json_array_get(ask->metrics, strtoul(id + 1, NULL, 10));

		if (metric)
			take_result(rim, metric, result);
	}
	ask_free(ask);
	rim_wake(rim);
}

/* ---- questions ---- */

static json_t *query_of(const json_t *metric, size_t number, int period_s)
{
	return json_pack("{s:o, s:{s:{s:O, s:O, s:O}, s:i, s:O}}", "Id",
			 json_sprintf("q%zu", number), "MetricStat", "Metric", "Namespace",
			 json_object_get(metric, "Namespace"), "MetricName",
			 json_object_get(metric, "MetricName"), "Dimensions",
			 json_object_get(metric, "Dimensions"), "Period", period_s, "Stat",
			 json_object_get(metric, "Stat"));
}

/* Metrics is taken. */
static void ask_cloudwatch(struct rim *rim, json_t *metrics, int64_t from_ms, int period_s,
			   int64_t now_ms)
{
	struct metric_ask *ask = calloc(1, sizeof *ask);
	char start[CLOCK_TEXT_MAX], end[CLOCK_TEXT_MAX];
	json_t *queries = json_array(), *input;
	struct err err = {0};
	const json_t *metric;
	size_t i;

	json_array_foreach (metrics, i, metric)
		json_array_append_new(queries, query_of(metric, i, period_s));
	input = json_pack("{s:s, s:s, s:o}", "StartTime",
			  clock_format_iso(from_ms / MINUTE_MS * MINUTE_MS, start), "EndTime",
			  clock_format_iso(now_ms / MINUTE_MS * MINUTE_MS, end),
			  "MetricDataQueries", queries);
	if (!ask) {
		json_decref(metrics);
		json_decref(input);
		return;
	}
	ask->rim = rim;
	ask->metrics = metrics;
	LIST_INSERT_HEAD(&rim->metric_asks, ask, link);
	if (!input ||
	    !aws_client_call(rim->monitoring, "GetMetricData", input, on_answer, ask, &err)) {
		log_warn("metrics-not-asked-for", "why=\"%s\"", err.text);
		ask_free(ask);
	}
	json_decref(input);
}

/* Those of which much, or only the newest, is to be known. */
static void ask_for(struct rim *rim, json_t *metrics, bool is_past, int64_t now_ms)
{
	size_t most = is_past ? PAST_QUERIES_MAX : QUERIES_MAX;
	int64_t from_ms = now_ms - (is_past ? PAST_MS : RECENT_MS);
	json_t *part = json_array(), *metric;
	const char *key;

	json_object_foreach (metrics, key, metric) {
		if (is_past != (doc_int(metric, "From", 0) == 0 && !is_ec2(metric)))
			continue;
		json_array_append(part, metric);
		if (json_array_size(part) < most)
			continue;
		ask_cloudwatch(rim, part, from_ms, is_past ? PAST_PERIOD_S : PERIOD_S, now_ms);
		part = json_array();
	}
	if (json_array_size(part) > 0)
		ask_cloudwatch(rim, part, from_ms, is_past ? PAST_PERIOD_S : PERIOD_S, now_ms);
	else
		json_decref(part);
}

/* Changes when there may be something new to ask for. */
static uint64_t occasion(const struct rim *rim)
{
	const struct policy *policy;
	const struct group *group;
	uint64_t sum = 0;

	TAILQ_FOREACH (group, &rim->engine->groups, link) {
		sum = sum * 31 + group->launched + (uint64_t)group_count(group).in_service;
		TAILQ_FOREACH (policy, &group->policies, link)
			sum = sum * 31 + 1;
	}
	return sum;
}

void rim_poll_metrics(struct rim *rim, int64_t now_ms)
{
	struct wanted wanted = {rim, NULL, now_ms};
	const struct policy *policy;
	const struct group *group;
	int64_t since_ms = now_ms - rim->metrics_asked_ms;

	if (!rim->monitoring || !LIST_EMPTY(&rim->metric_asks) ||
	    (since_ms >= 0 && since_ms < SOON_MS) ||
	    (since_ms >= 0 && since_ms < EVERY_MS && occasion(rim) == rim->metrics_occasion))
		return;
	rim->metrics_asked_ms = now_ms;
	rim->metrics_occasion = occasion(rim);
	wanted.metrics = json_object();
	TAILQ_FOREACH (group, &rim->engine->groups, link) {
		TAILQ_FOREACH (policy, &group->policies, link)
			want_of_policy(&wanted, group, policy);
	}
	json_decref(rim->asked_metrics);
	rim->asked_metrics = wanted.metrics;
	ask_for(rim, rim->asked_metrics, true, now_ms);
	ask_for(rim, rim->asked_metrics, false, now_ms);
}

void rim_free_metric_polls(struct rim *rim)
{
	if (rim->monitoring)
		aws_client_free(rim->monitoring);
	while (!LIST_EMPTY(&rim->metric_asks))
		ask_free(LIST_FIRST(&rim->metric_asks));
	json_decref(rim->asked_metrics);
}
