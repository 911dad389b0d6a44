/*
 * The arithmetic of step and simple scaling: which step a metric falls into, how many instances an
 * adjustment stands for, what capacity comes of it.  Pure.  AWS: "Step and simple scaling
 * policies".
 */
#include <math.h>
#include <string.h>

#include "scaler/engine/parts.h"

/* Above the threshold the lower bound belongs to the step and the upper one does not, below it is
 * the other way round; an absent bound is infinite. */
static bool is_in_step(const json_t *step, double difference)
{
	double lower = doc_num(step, "MetricIntervalLowerBound", -INFINITY);
	double upper = doc_num(step, "MetricIntervalUpperBound", INFINITY);

	if (difference >= 0)
		return difference >= lower && difference < upper;
	return difference > lower && difference <= upper;
}

const json_t *adjust_step(const json_t *steps, double difference)
{
	const json_t *step;
	size_t i;

	json_array_foreach (steps, i, step) {
		if (is_in_step(step, difference))
			return step;
	}
	return NULL;
}

/* Towards zero, but never to zero. */
static int percent_of(int capacity, int percent)
{
	double change = (double)capacity * percent / 100;

	if (change > 0 && change < 1)
		return 1;
	if (change < 0 && change > -1)
		return -1;
	return (int)trunc(change);
}

int adjust_change(const json_t *policy, int adjustment, int capacity)
{
	const char *type = doc_str(policy, "AdjustmentType", "ChangeInCapacity");
	int least = (int)doc_int(policy, "MinAdjustmentMagnitude", 1), change;

	if (strcmp(type, "ExactCapacity") == 0)
		return adjustment - capacity;
	if (strcmp(type, "PercentChangeInCapacity") != 0)
		return adjustment;
	change = percent_of(capacity, adjustment);
	/* Of a group of none every percentage is none, but the magnitude is asked for all the same.
	 */
	if (adjustment > 0 && change < least)
		return least;
	if (adjustment < 0 && change > -least)
		return -least;
	return change;
}

int adjust_clamp(const struct group *group, int64_t capacity)
{
	if (capacity < group->min)
		return group->min;
	return capacity > group->max ? group->max : (int)capacity;
}
