/*
 * Which policies that track something may be put: target tracking, with predefined, customized and
 * computed metrics, and load tracking.  AWS: TargetTrackingConfiguration.
 */
#include <stdio.h>
#include <string.h>

#include "common/doc/doc.h"
#include "scaler/api/groups.h"
#include "scaler/api/reply.h"
#include "scaler/metrics/math.h"

enum { PERIODS_MAX = 500 }; /* of a window */

static int refuse(struct aws_error *error, const char *why)
{
	reply_invalid(error, "%s", why);
	return -1;
}

/* A file may leave the label out: its group's only target group is meant. */
static int check_label(const char *label, const char *who, bool is_from_file,
		       struct aws_error *error)
{
	if (!label && is_from_file)
		return 0;
	if (!label) {
		reply_invalid(error, "%s needs a ResourceLabel: app/NAME/ID/targetgroup/NAME/ID",
			      who);
		return -1;
	}
	if (strncmp(label, "app/", 4) == 0 && strstr(label, "/targetgroup/"))
		return 0;
	reply_invalid(error,
		      "The resource label '%s' is not of the form app/NAME/ID/targetgroup/NAME/ID",
		      label);
	return -1;
}

static int check_predefined(const json_t *spec, bool is_from_file, struct aws_error *error)
{
	static const char *const types[] = {"ASGAverageCPUUtilization", "ASGAverageNetworkIn",
					    "ASGAverageNetworkOut", "ALBRequestCountPerTarget"};
	const char *type = doc_str(spec, "PredefinedMetricType", "");
	const char *label = doc_str(spec, "ResourceLabel", NULL);
	bool is_known = false;

	for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
		is_known |= strcmp(types[i], type) == 0;
	if (!is_known) {
		reply_invalid(error, "The predefined metric type '%s' is not supported", type);
		return -1;
	}
	return strcmp(type, types[3]) == 0 ? check_label(label, type, is_from_file, error) : 0;
}

/* ---- customized metrics ---- */

static int check_period(const json_t *holder, struct aws_error *error)
{
	static const int periods[] = {1, 5, 10, 20, 30, 60};
	int64_t period = doc_int(holder, "Period", 60);

	for (size_t i = 0; i < sizeof periods / sizeof periods[0]; i++) {
		if (period == periods[i])
			return 0;
	}
	return refuse(error,
		      "The Period of a customized metric is 10, 30 or 60 seconds (or 1, 5 or "
		      "20, which AWS has not)");
}

static int check_unit(const json_t *holder, struct aws_error *error)
{
	const char *unit = doc_str(holder, "Unit", NULL);

	if (!unit || metric_unit_from_name(unit) >= 0)
		return 0;
	reply_invalid(error, "The unit '%s' is not one of CloudWatch's", unit);
	return -1;
}

/* The Period that stands for one that is left out, as the engine has it. */
static json_t *with_periods(const json_t *metrics)
{
	json_t *queries = json_deep_copy(metrics), *query;
	int64_t longest = 0;
	size_t i;

	json_array_foreach (queries, i, query) {
		const json_t *stat = doc_object(query, "MetricStat");
		int64_t period = doc_int(stat ? stat : query, "Period", 0);

		longest = period > longest ? period : longest;
	}
	json_array_foreach (queries, i, query) {
		json_t *stat = doc_object(query, "MetricStat");

		if (stat && !doc_has(stat, "Period"))
			json_object_set_new(stat, "Period", json_integer(longest ? longest : 60));
	}
	return queries;
}

static int compile(const json_t *metrics, struct aws_error *error)
{
	json_t *queries = with_periods(metrics);
	struct err err = {0};
	struct math_set *set = queries ? math_set_new(queries, &err) : NULL;

	if (!set)
		reply_invalid(error, "%s", queries ? err.text : "out of memory");
	math_set_free(set);
	json_decref(queries);
	return set ? 0 : -1;
}

static int check_math(const json_t *spec, struct aws_error *error)
{
	const json_t *metrics = doc_array(spec, "Metrics"), *query;
	int64_t period = 0;
	int returned = 0;
	size_t i;

	if (doc_has(spec, "MetricName") || doc_has(spec, "Namespace") ||
	    doc_has(spec, "Statistic") || doc_has(spec, "Dimensions") || doc_has(spec, "Unit") ||
	    doc_has(spec, "Period"))
		return refuse(error, "A CustomizedMetricSpecification has either Metrics or a "
				     "single metric, not both");
	if (json_array_size(metrics) == 0 || json_array_size(metrics) > 10)
		return refuse(error, "Metrics has 1 to 10 entries");
	json_array_foreach (metrics, i, query) {
		const json_t *stat = doc_object(query, "MetricStat");
		const json_t *holder = stat ? stat : query;
		int64_t own = doc_int(holder, "Period", 0);

		if (check_period(holder, error) < 0 || check_unit(stat, error) < 0)
			return -1;
		if (own && period && own != period)
			return refuse(error, "All metrics of a policy have the same Period");
		period = own ? own : period;
		returned += doc_bool(query, "ReturnData", true);
	}
	if (returned != 1)
		return refuse(error, "Exactly one entry of Metrics returns data: the others have "
				     "ReturnData false");
	return compile(metrics, error);
}

static int check_customized(const json_t *spec, struct aws_error *error)
{
	if (doc_has(spec, "Metrics"))
		return check_math(spec, error);
	if (!doc_has(spec, "Namespace") || !doc_has(spec, "MetricName") ||
	    !doc_has(spec, "Statistic"))
		return refuse(error, "A CustomizedMetricSpecification needs Namespace, MetricName "
				     "and Statistic, or Metrics");
	return check_period(spec, error) < 0 ? -1 : check_unit(spec, error);
}

/* With a Period of its own a window is looked at in no longer ones. */
static int check_windows(const json_t *config, const json_t *customized, struct aws_error *error)
{
	int64_t period = doc_int(customized, "Period", 0), window = 0;
	const json_t *query;
	size_t i;

	json_array_foreach (doc_array(customized, "Metrics"), i, query) {
		const json_t *stat = doc_object(query, "MetricStat");
		int64_t own = doc_int(stat ? stat : query, "Period", 0);

		period = own > period ? own : period;
	}
	window = doc_int(config, "ScaleOutWindow", 0);
	if (doc_int(config, "ScaleInWindow", 0) > window)
		window = doc_int(config, "ScaleInWindow", 0);
	if (period == 0 || window <= PERIODS_MAX * period)
		return 0;
	reply_invalid(error,
		      "A window has %d periods at most: ScaleOutWindow and ScaleInWindow "
		      "are too long for a Period of %d seconds",
		      PERIODS_MAX, (int)period);
	return -1;
}

int policy_check_tracking(const json_t *input, bool is_from_file, struct aws_error *error)
{
	const json_t *config = doc_object(input, "TargetTrackingConfiguration");
	const json_t *predefined = doc_object(config, "PredefinedMetricSpecification");
	const json_t *customized = doc_object(config, "CustomizedMetricSpecification");

	if (!config || (!predefined == !customized))
		return refuse(error, "TargetTrackingScaling needs a TargetTrackingConfiguration "
				     "with a predefined or a customized metric, not both");
	if (!(doc_num(config, "TargetValue", 0) > 0))
		return refuse(error, "TargetValue must be greater than 0");
	if (predefined)
		return check_predefined(predefined, is_from_file, error);
	return check_customized(customized, error) < 0 ? -1
						       : check_windows(config, customized, error);
}

/* ---- load tracking ---- */

int policy_check_load(const json_t *input, bool is_from_file, struct aws_error *error)
{
	const json_t *config = doc_object(input, "LoadTrackingConfiguration");
	double requests = doc_num(config, "RequestsPerTarget", 0);
	double in_flight = doc_num(config, "InFlightPerTarget", 0);

	if (!config)
		return refuse(error, "LoadTracking needs a LoadTrackingConfiguration");
	if (requests < 0 || in_flight < 0 || (requests <= 0 && in_flight <= 0))
		return refuse(error, "RequestsPerTarget or InFlightPerTarget, or both, must be "
				     "greater than 0");
	return check_label(doc_str(config, "ResourceLabel", NULL), "LoadTracking", is_from_file,
			   error);
}
