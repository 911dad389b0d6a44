/*
 * Which scaling policies may be put: each type's own rules; of those that track something
 * policy_check_tracking.c.  AWS: PutScalingPolicy.
 */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/doc/doc.h"
#include "scaler/api/groups.h"
#include "scaler/api/reply.h"

enum { STEPS_MAX = 20 };

static int refuse(struct aws_error *error, const char *why)
{
	reply_invalid(error, "%s", why);
	return -1;
}

/* ---- step and simple ---- */

static int check_adjustment_type(const json_t *input, struct aws_error *error)
{
	static const char *const types[] = {"ChangeInCapacity", "ExactCapacity",
					    "PercentChangeInCapacity"};
	const char *type = doc_str(input, "AdjustmentType", NULL);

	if (!type)
		return refuse(error, "You must specify an AdjustmentType for policy type: "
				     "SimpleScaling or StepScaling");
	if (doc_has(input, "MinAdjustmentMagnitude") &&
	    (strcmp(type, types[2]) != 0 || doc_int(input, "MinAdjustmentMagnitude", 0) < 1))
		return refuse(error, "MinAdjustmentMagnitude is at least 1 and goes with the "
				     "AdjustmentType PercentChangeInCapacity only");
	for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
		if (strcmp(types[i], type) == 0)
			return 0;
	}
	reply_invalid(error,
		      "The adjustment type '%s' is not valid. Valid ones are ChangeInCapacity, "
		      "ExactCapacity and PercentChangeInCapacity",
		      type);
	return -1;
}

static int check_exact(const json_t *input, int64_t adjustment, struct aws_error *error)
{
	if (strcmp(doc_str(input, "AdjustmentType", ""), "ExactCapacity") == 0 && adjustment < 0)
		return refuse(error, "With the AdjustmentType ExactCapacity the ScalingAdjustment "
				     "must not be negative");
	return 0;
}

static int check_simple(const json_t *input, struct aws_error *error)
{
	if (check_adjustment_type(input, error) < 0)
		return -1;
	if (!doc_has(input, "ScalingAdjustment"))
		return refuse(error, "You must specify a ScalingAdjustment for policy type: "
				     "SimpleScaling");
	if (json_array_size(doc_array(input, "StepAdjustments")) > 0)
		return refuse(error, "StepAdjustments are not supported for policy type: "
				     "SimpleScaling");
	if (doc_int(input, "Cooldown", 0) < 0)
		return refuse(error, "Cooldown must be greater than or equal to 0");
	return check_exact(input, doc_int(input, "ScalingAdjustment", 0), error);
}

struct interval {
	double lower, upper;
};

static int compare_intervals(const void *a, const void *b)
{
	const struct interval *left = a, *right = b;

	return (left->lower > right->lower) - (left->lower < right->lower);
}

static int read_step(const json_t *input, const json_t *step, struct interval *interval,
		     struct aws_error *error)
{
	interval->lower = doc_num(step, "MetricIntervalLowerBound", -INFINITY);
	interval->upper = doc_num(step, "MetricIntervalUpperBound", INFINITY);
	if (isinf(interval->lower) && isinf(interval->upper))
		return refuse(error, "A step adjustment needs a MetricIntervalLowerBound or a "
				     "MetricIntervalUpperBound");
	if (interval->lower >= interval->upper)
		return refuse(error, "The MetricIntervalUpperBound of a step adjustment must be "
				     "greater than its MetricIntervalLowerBound");
	return check_exact(input, doc_int(step, "ScalingAdjustment", 0), error);
}

static bool differ(double a, double b)
{
	return a < b || a > b;
}

/* intervals: sorted by lower bound.  Those of equal lower bound overlap. */
static int check_intervals(const struct interval intervals[], size_t n, struct aws_error *error)
{
	for (size_t i = 1; i < n; i++) {
		if (intervals[i].lower < intervals[i - 1].upper)
			return refuse(error, "The step adjustments overlap: their intervals must "
					     "not");
		if (differ(intervals[i].lower, intervals[i - 1].upper))
			return refuse(error, "There is a gap between the intervals of the step "
					     "adjustments");
	}
	if (intervals[0].lower < 0 && !isinf(intervals[0].lower))
		return refuse(error, "If one step adjustment has a negative lower bound, one must "
				     "have no MetricIntervalLowerBound");
	if (intervals[n - 1].upper > 0 && !isinf(intervals[n - 1].upper))
		return refuse(error, "If one step adjustment has a positive upper bound, one must "
				     "have no MetricIntervalUpperBound");
	return 0;
}

static int check_steps(const json_t *input, struct aws_error *error)
{
	const json_t *steps = doc_array(input, "StepAdjustments"), *step;
	struct interval intervals[STEPS_MAX];
	size_t n = json_array_size(steps), i;

	if (n == 0)
		return refuse(error, "At least one StepAdjustment must be specified for policy "
				     "type: StepScaling");
	if (n > STEPS_MAX) {
		aws_error_set(error, 400, "LimitExceeded",
			      "A policy can have %d step adjustments at most.", STEPS_MAX);
		return -1;
	}
	json_array_foreach (steps, i, step) {
		if (read_step(input, step, &intervals[i], error) < 0)
			return -1;
	}
	qsort(intervals, n, sizeof intervals[0], compare_intervals);
	return check_intervals(intervals, n, error);
}

static int check_step(const json_t *input, struct aws_error *error)
{
	const char *aggregation = doc_str(input, "MetricAggregationType", "Average");

	if (check_adjustment_type(input, error) < 0)
		return -1;
	if (doc_has(input, "ScalingAdjustment"))
		return refuse(error, "ScalingAdjustment is not supported for policy type: "
				     "StepScaling");
	if (strcmp(aggregation, "Average") != 0 && strcmp(aggregation, "Minimum") != 0 &&
	    strcmp(aggregation, "Maximum") != 0)
		return refuse(error, "MetricAggregationType must be Average, Minimum or Maximum");
	return check_steps(input, error);
}

int policy_check(const json_t *input, bool is_from_file, struct aws_error *error)
{
	const char *type = doc_str(input, "PolicyType", "SimpleScaling");

	if (strchr(doc_str(input, "PolicyName", ""), ':'))
		return refuse(error, "The policy name may hold no colon");
	if (doc_int(input, "EstimatedInstanceWarmup", 0) < 0)
		return refuse(error, "EstimatedInstanceWarmup must be greater than or equal to 0");
	if (strcmp(type, "SimpleScaling") == 0)
		return check_simple(input, error);
	if (strcmp(type, "StepScaling") == 0)
		return check_step(input, error);
	if (strcmp(type, "TargetTrackingScaling") == 0)
		return policy_check_tracking(input, is_from_file, error);
	if (strcmp(type, "LoadTracking") == 0)
		return policy_check_load(input, is_from_file, error);
	if (strcmp(type, "PredictiveScaling") == 0)
		return policy_check_predictive(input, is_from_file, error);
	reply_invalid(error,
		      "The policy type '%s' is not valid. Valid ones are SimpleScaling, "
		      "StepScaling, TargetTrackingScaling, PredictiveScaling and LoadTracking",
		      type);
	return -1;
}
