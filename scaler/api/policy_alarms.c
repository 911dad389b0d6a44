/* See policy_alarms.h. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/base/log.h"
#include "common/doc/doc.h"
#include "scaler/api/policy_alarms.h"

static const char *const sides[] = {"High", "Low"}; /* their order in Alarms too */

static json_t *dimension(const char *name, const char *value, size_t len)
{
	return json_pack("{s:s, s:s%}", "Name", name, "Value", value, len);
}

/* LoadBalancer and TargetGroup out of a ResourceLabel; none while it is not known. */
static json_t *label_dimensions(const char *label)
{
	const char *target_group = strstr(label, "/targetgroup/");
	json_t *out = json_array();

	if (!target_group)
		return out;
	json_array_append_new(out,
			      dimension("LoadBalancer", label, (size_t)(target_group - label)));
	json_array_append_new(out,
			      dimension("TargetGroup", target_group + 1, strlen(target_group + 1)));
	return out;
}

static int set_metric(json_t *alarm, const struct group *group, const json_t *config)
{
	const json_t *spec = doc_object(config, "PredefinedMetricSpecification");
	const json_t *custom = doc_object(config, "CustomizedMetricSpecification");
	const char *type = doc_str(spec, "PredefinedMetricType", "");
	const char *name = "CPUUtilization", *namespace = "AWS/EC2", *statistic = "Average";
	json_t *dimensions;

	if (strcmp(type, "ALBRequestCountPerTarget") == 0) {
		name = "RequestCountPerTarget";
		namespace = "AWS/ApplicationELB";
		statistic = "Sum";
		dimensions = label_dimensions(doc_str(spec, "ResourceLabel", ""));
	} else if (custom) {
		name = doc_str(custom, "MetricName", "");
		namespace = doc_str(custom, "Namespace", "");
		statistic = doc_str(custom, "Statistic", "Average");
		dimensions = json_deep_copy(doc_array(custom, "Dimensions"));
	} else {
		if (strcmp(type, "ASGAverageNetworkIn") == 0)
			name = "NetworkIn";
		else if (strcmp(type, "ASGAverageNetworkOut") == 0)
			name = "NetworkOut";
		dimensions =
		    json_pack("[{s:s, s:s}]", "Name", "AutoScalingGroupName", "Value", group->name);
	}
	if (!dimensions)
		dimensions = json_array();
	return json_object_set_new(alarm, "MetricName", json_string(name)) |
	       json_object_set_new(alarm, "Namespace", json_string(namespace)) |
	       json_object_set_new(alarm, "Statistic", json_string(statistic)) |
	       json_object_set_new(alarm, "Dimensions", dimensions);
}

static double threshold(const struct group *group, const struct policy *policy, bool is_high)
{
	const json_t *config = doc_object(policy->document, "TargetTrackingConfiguration");
	const json_t *spec = doc_object(config, "PredefinedMetricSpecification");
	double target = doc_num(config, "TargetValue", 0);
	bool is_per_minute =
	    strcmp(doc_str(spec, "PredefinedMetricType", ""), "ALBRequestCountPerTarget") == 0;

	/* The target is a minute's sum; the alarm sees its own period's. */
	if (is_per_minute && policy->period_s == 1)
		target /= 60;
	return is_high ? target : target * tracking_low_fraction(group_count(group).in_service);
}

static json_t *alarm_input(const struct group *group, const struct policy *policy, bool is_high,
			   const char *name)
{
	const json_t *config = doc_object(policy->document, "TargetTrackingConfiguration");
	const char *arn = doc_str(policy->document, "PolicyARN", "");
	char description[ARN_MAX + 128];
	json_t *alarm;

	snprintf(description, sizeof description,
		 "DO NOT EDIT OR DELETE. For TargetTrackingScaling policy %s.", arn);
	alarm =
	    json_pack("{s:s, s:s, s:b, s:[s], s:i, s:i, s:f, s:s}", "AlarmName", name,
		      "AlarmDescription", description, "ActionsEnabled", 1, "AlarmActions", arn,
		      "Period", policy->period_s == 1 ? 1 : 60, "EvaluationPeriods",
		      is_high ? 3 : 15, "Threshold", threshold(group, policy, is_high),
		      "ComparisonOperator", is_high ? "GreaterThanThreshold" : "LessThanThreshold");
	if (!alarm || set_metric(alarm, group, config) != 0) {
		json_decref(alarm);
		return NULL;
	}
	if (!is_high && doc_bool(config, "DisableScaleIn", false))
		json_object_del(alarm, "AlarmActions");
	return alarm;
}

static int put_alarms(struct cloudwatch *cloudwatch, const struct group *group,
		      struct policy *policy, struct err *err)
{
	const json_t *entry;
	size_t i;

	policy->shown_period_s = policy->period_s;
	policy->shown_low = tracking_low_fraction(group_count(group).in_service);
	policy->is_alarm_stale = false;
	json_array_foreach (doc_array(policy->document, "Alarms"), i, entry) {
		const char *name = doc_str(entry, "AlarmName", "");
		json_t *input = alarm_input(group, policy, i == 0, name);
		int result = input && cloudwatch ? cloudwatch_put_alarm(cloudwatch, input, err) : 0;

		json_decref(input);
		if (result < 0)
			return -1;
	}
	return 0;
}

int policy_alarms_create(struct engine *engine, struct cloudwatch *cloudwatch, struct group *group,
			 struct policy *policy, struct err *err)
{
	json_t *alarms = json_array();

	for (size_t i = 0; i < sizeof sides / sizeof sides[0]; i++) {
		char uuid[ID_TEXT_MAX], name[2 * NAME_MAX_LEN], arn[2 * ARN_MAX];

		/* Alarm names have 255 characters: a long group name is cut. */
		snprintf(name, sizeof name, "TargetTracking-%.180s-Alarm%s-%s", group->name,
			 sides[i], id_uuid(engine->ids, uuid));
		snprintf(arn, sizeof arn, "arn:aws:cloudwatch:%s:%s:alarm:%s", engine->region,
			 engine->account, name);
		json_array_append_new(alarms,
				      json_pack("{s:s, s:s}", "AlarmName", name, "AlarmARN", arn));
	}
	if (json_object_set_new(policy->document, "Alarms", alarms) < 0) {
		err_set(err, ENOMEM, "out of memory");
		return -1;
	}
	policy->is_dirty = true;
	return put_alarms(cloudwatch, group, policy, err);
}

static bool is_stale(const struct group *group, const struct policy *policy)
{
	double low = tracking_low_fraction(group_count(group).in_service);

	return policy->is_alarm_stale || policy->shown_period_s != policy->period_s ||
	       policy->shown_low < low || policy->shown_low > low;
}

void policy_alarms_refresh(struct cloudwatch *cloudwatch, const struct group *group,
			   struct policy *policy)
{
	struct err err = {0};

	if (is_stale(group, policy) && put_alarms(cloudwatch, group, policy, &err) < 0)
		log_warn("alarm-not-kept", "group=%s policy=%s why=\"%s\"", group->name,
			 policy->name, err.text);
}

void policy_alarms_delete(struct cloudwatch *cloudwatch, const struct policy *policy)
{
	const json_t *entry;
	size_t i;

	json_array_foreach (doc_array(policy->document, "Alarms"), i, entry) {
		struct err err = {0};

		if (cloudwatch &&
		    cloudwatch_delete_alarm(cloudwatch, doc_str(entry, "AlarmName", ""), &err) < 0)
			log_warn("alarm-not-deleted", "policy=%s why=\"%s\"", policy->name,
				 err.text);
	}
}
