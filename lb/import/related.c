/* See shape.h: which alarms have to do with what is imported. */
#include <string.h>

#include "common/doc/doc.h"
#include "lb/import/shape.h"

static bool names_one(const json_t *list, const char *member, const char *name)
{
	const json_t *item;
	size_t i;

	json_array_foreach (list, i, item) {
		const json_t *described = doc_object(item, "Described");

		if (strcmp(doc_str(described ? described : item, member, ""), name) == 0)
			return true;
	}
	return false;
}

/* Does the ARN of one of them end in the dimension's value?  "app/web/1f..",
 * "targetgroup/.." */
static bool is_part_of_one(const json_t *list, const char *member, const char *value)
{
	const json_t *item;
	size_t i;

	json_array_foreach (list, i, item) {
		const char *arn = doc_str(doc_object(item, "Described"), member, "");
		size_t len = strlen(arn), n = strlen(value);

		if (n > 0 && n < len && strcmp(arn + len - n, value) == 0)
			return true;
	}
	return false;
}

static bool dimension_is_related(const json_t *found, const json_t *dimension)
{
	const char *name = doc_str(dimension, "Name", ""), *value = doc_str(dimension, "Value", "");

	if (strcmp(name, "AutoScalingGroupName") == 0)
		return names_one(doc_array(found, "AutoScalingGroups"), "AutoScalingGroupName",
				 value);
	if (strcmp(name, "LoadBalancer") == 0)
		return is_part_of_one(doc_array(found, "LoadBalancers"), "LoadBalancerArn", value);
	if (strcmp(name, "TargetGroup") == 0)
		return is_part_of_one(doc_array(found, "TargetGroups"), "TargetGroupArn", value);
	return false;
}

static bool alarm_is_related(const json_t *found, const json_t *alarm)
{
	static const char *const actions[] = {"OKActions", "AlarmActions",
					      "InsufficientDataActions"};
	const json_t *item;
	size_t i;

	/* Target tracking makes its own again. */
	if (strncmp(doc_str(alarm, "AlarmName", ""), "TargetTracking-", 15) == 0)
		return false;
	json_array_foreach (doc_array(alarm, "Dimensions"), i, item) {
		if (dimension_is_related(found, item))
			return true;
	}
	for (size_t a = 0; a < sizeof(actions) / sizeof(actions[0]); a++) {
		json_array_foreach (doc_array(alarm, actions[a]), i, item) {
			if (names_one(doc_array(found, "ScalingPolicies"), "PolicyARN",
				      json_string_value(item)))
				return true;
		}
	}
	return false;
}

json_t *shape_related_alarms(const json_t *found)
{
	json_t *list = json_array(), *alarm;
	size_t i;

	json_array_foreach (doc_array(found, "MetricAlarms"), i, alarm) {
		if (alarm_is_related(found, alarm))
			json_array_append(list, alarm);
	}
	return list;
}
