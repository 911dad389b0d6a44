/*
 * Which predictive policies may be put.  AWS: PutScalingPolicy, PredictiveScalingConfiguration.
 */
#include <stdio.h>
#include <string.h>

#include "common/doc/doc.h"
#include "scaler/api/groups.h"
#include "scaler/api/reply.h"
#include "scaler/metrics/math.h"

enum { QUERIES_MAX = 10, BUFFER_MAX_S = 3599, QUERY_PERIOD_S = 3600 };

static int refuse(struct aws_error *error, const char *why)
{
	reply_invalid(error, "%s", why);
	return -1;
}

/* ---- predefined metrics ---- */

static int check_label(const char *type, const char *label, bool is_from_file,
		       struct aws_error *error)
{
	bool is_alb = strncmp(type, "ALB", 3) == 0;

	if (!is_alb && label)
		reply_invalid(error, "A ResourceLabel cannot be specified for %s", type);
	else if (is_alb && !label && !is_from_file)
		reply_invalid(error, "%s needs a ResourceLabel: app/NAME/ID/targetgroup/NAME/ID",
			      type);
	else if (label && (strncmp(label, "app/", 4) != 0 || !strstr(label, "/targetgroup/")))
		reply_invalid(error,
			      "The resource label '%s' is not of the form "
			      "app/NAME/ID/targetgroup/NAME/ID",
			      label);
	else
		return 0;
	return -1;
}

static int check_predefined(const json_t *spec, const char *member, const char *const types[],
			    bool is_from_file, struct aws_error *error)
{
	const json_t *metric = doc_object(spec, member);
	const char *type = doc_str(metric, "PredefinedMetricType", "");

	for (; *types; types++) {
		if (strcmp(*types, type) == 0)
			return check_label(type, doc_str(metric, "ResourceLabel", NULL),
					   is_from_file, error);
	}
	reply_invalid(error, "The predefined metric type '%s' is not valid for %s", type, member);
	return -1;
}

/* ---- customized metrics ---- */

/* AWS's queries of this kind have no period. */
static json_t *with_period(const json_t *queries)
{
	json_t *copy = json_deep_copy(queries), *query;
	size_t i;

	json_array_foreach (copy, i, query) {
		json_t *stat = doc_object(query, "MetricStat");

		if (stat)
			json_object_set_new(stat, "Period", json_integer(QUERY_PERIOD_S));
	}
	return copy;
}

static int check_math(const json_t *queries, const char *member, struct aws_error *error)
{
	json_t *copy = with_period(queries);
	struct err err = {0};
	struct math_set *set = copy ? math_set_new(copy, &err) : NULL;
	bool is_good = set != NULL;

	if (!is_good)
		reply_invalid(error, "%s: %s", member, err.text);
	math_set_free(set);
	json_decref(copy);
	return is_good ? 0 : -1;
}

static int check_queries(const json_t *spec, const char *member, struct aws_error *error)
{
	const json_t *queries = doc_array(doc_object(spec, member), "MetricDataQueries"), *query;
	int returned = 0;
	size_t i;

	json_array_foreach (queries, i, query)
		returned += doc_bool(query, "ReturnData", true);
	if (json_array_size(queries) == 0 || json_array_size(queries) > QUERIES_MAX) {
		reply_invalid(error, "%s must have between 1 and %d MetricDataQueries", member,
			      QUERIES_MAX);
		return -1;
	}
	if (returned != 1) {
		reply_invalid(error, "Exactly one of the MetricDataQueries of %s must return data",
			      member);
		return -1;
	}
	return check_math(queries, member, error);
}

/* ---- the specification ---- */

static const char *const PAIR = "PredefinedMetricPairSpecification";
static const char *const SCALING = "PredefinedScalingMetricSpecification";
static const char *const LOAD = "PredefinedLoadMetricSpecification";
static const char *const OWN_SCALING = "CustomizedScalingMetricSpecification";
static const char *const OWN_LOAD = "CustomizedLoadMetricSpecification";
static const char *const OWN_CAPACITY = "CustomizedCapacityMetricSpecification";

/* A pair, or one scaling and one load metric. */
static int check_members(const json_t *spec, struct aws_error *error)
{
	int scaling = doc_has(spec, SCALING) + doc_has(spec, OWN_SCALING);
	int load = doc_has(spec, LOAD) + doc_has(spec, OWN_LOAD);

	if (doc_has(spec, PAIR) && (scaling || load || doc_has(spec, OWN_CAPACITY)))
		return refuse(error, "A predefined metric pair cannot be combined with other "
				     "metric specifications");
	if (!doc_has(spec, PAIR) && (scaling != 1 || load != 1))
		return refuse(error, "A metric specification must have either a predefined metric "
				     "pair, or one scaling metric and one load metric");
	if (doc_has(spec, OWN_CAPACITY) && !doc_has(spec, OWN_SCALING) && !doc_has(spec, OWN_LOAD))
		return refuse(error, "A customized capacity metric needs a customized scaling or "
				     "load metric");
	return 0;
}

static int check_spec(const json_t *spec, bool is_from_file, struct aws_error *error)
{
	static const char *const pairs[] = {"ASGCPUUtilization", "ASGNetworkIn", "ASGNetworkOut",
					    "ALBRequestCount", NULL};
	static const char *const scalings[] = {"ASGAverageCPUUtilization", "ASGAverageNetworkIn",
					       "ASGAverageNetworkOut", "ALBRequestCountPerTarget",
					       NULL};
	static const char *const loads[] = {"ASGTotalCPUUtilization", "ASGTotalNetworkIn",
					    "ASGTotalNetworkOut", "ALBTargetGroupRequestCount",
					    NULL};

	if (!(doc_num(spec, "TargetValue", 0) > 0))
		return refuse(error, "TargetValue must be greater than 0");
	if (check_members(spec, error) < 0)
		return -1;
	if (doc_has(spec, PAIR))
		return check_predefined(spec, PAIR, pairs, is_from_file, error);
	if (doc_has(spec, SCALING) ? check_predefined(spec, SCALING, scalings, is_from_file, error)
				   : check_queries(spec, OWN_SCALING, error))
		return -1;
	if (doc_has(spec, LOAD) ? check_predefined(spec, LOAD, loads, is_from_file, error)
				: check_queries(spec, OWN_LOAD, error))
		return -1;
	return doc_has(spec, OWN_CAPACITY) ? check_queries(spec, OWN_CAPACITY, error) : 0;
}

/* ---- the rest ---- */

static int check_one_of(const json_t *config, const char *member, const char *first,
			const char *second, struct aws_error *error)
{
	const char *value = doc_str(config, member, first);

	if (strcmp(value, first) == 0 || strcmp(value, second) == 0)
		return 0;
	reply_invalid(error, "%s must be %s or %s", member, first, second);
	return -1;
}

static int check_limits(const json_t *config, struct aws_error *error)
{
	const char *behavior = doc_str(config, "MaxCapacityBreachBehavior", "HonorMaxCapacity");
	int64_t buffer_s = doc_int(config, "SchedulingBufferTime", 0);
	int64_t buffer = doc_int(config, "MaxCapacityBuffer", 0);
	bool may_increase = strcmp(behavior, "IncreaseMaxCapacity") == 0;

	if (check_one_of(config, "Mode", "ForecastOnly", "ForecastAndScale", error) < 0 ||
	    check_one_of(config, "MaxCapacityBreachBehavior", "HonorMaxCapacity",
			 "IncreaseMaxCapacity", error) < 0)
		return -1;
	if (buffer_s < 0 || buffer_s > BUFFER_MAX_S)
		return refuse(error, "SchedulingBufferTime must be between 0 and 3599 seconds");
	if (buffer < 0 || buffer > 100)
		return refuse(error, "MaxCapacityBuffer must be between 0 and 100 percent");
	if (may_increase && !doc_has(config, "MaxCapacityBuffer"))
		return refuse(error, "MaxCapacityBuffer is required when "
				     "MaxCapacityBreachBehavior is IncreaseMaxCapacity");
	if (!may_increase && doc_has(config, "MaxCapacityBuffer"))
		return refuse(error, "MaxCapacityBuffer can be specified only when "
				     "MaxCapacityBreachBehavior is IncreaseMaxCapacity");
	return 0;
}

int policy_check_predictive(const json_t *input, bool is_from_file, struct aws_error *error)
{
	const json_t *config = doc_object(input, "PredictiveScalingConfiguration");
	const json_t *specs = doc_array(config, "MetricSpecifications");

	if (!config)
		return refuse(error, "You must specify a PredictiveScalingConfiguration for policy "
				     "type: PredictiveScaling");
	if (json_array_size(specs) != 1)
		return refuse(error, "A PredictiveScalingConfiguration must have exactly one "
				     "metric specification");
	if (check_limits(config, error) < 0)
		return -1;
	return check_spec(json_array_get(specs, 0), is_from_file, error);
}
