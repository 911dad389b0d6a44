/*
 * See aws.h.
 */
#include "scaler/sim/aws.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/doc/doc.h"

struct tracker {
	const json_t *policy;
	char arn[ARN_MAX], high[NAME_MAX_LEN], low[NAME_MAX_LEN];
	double target;
	bool may_scale_in;
	int shown_n;      /* the size that the low alarm is for */
	double low_value; /* what the low alarm last said */
};

struct sim_aws {
	const struct sim_group *group;
	struct sim_alarms *alarms;
	struct tracker *trackers;
	int n;
};

/* ---- alarms ---- */

static json_t *metric_of(const struct sim_aws *aws, const json_t *policy)
{
	const json_t *config = doc_object(policy, "TargetTrackingConfiguration");
	const json_t *spec = doc_object(config, "PredefinedMetricSpecification");
	const json_t *custom = doc_object(config, "CustomizedMetricSpecification");
	const char *type = doc_str(spec, "PredefinedMetricType", "");
	const char *label = doc_str(spec, "ResourceLabel", "");
	const char *target_group = strstr(label, "/targetgroup/");

	if (custom)
		return json_pack("{s:s, s:s, s:s, s:O*}", "Namespace",
				 doc_str(custom, "Namespace", ""), "MetricName",
				 doc_str(custom, "MetricName", ""), "Statistic",
				 doc_str(custom, "Statistic", "Average"), "Dimensions",
				 json_object_get(custom, "Dimensions"));
	if (target_group)
		return json_pack("{s:s, s:s, s:s, s:[{s:s, s:s%}, {s:s, s:s}]}", "Namespace",
				 "AWS/ApplicationELB", "MetricName", "RequestCountPerTarget",
				 "Statistic", "Sum", "Dimensions", "Name", "LoadBalancer", "Value",
				 label, (size_t)(target_group - label), "Name", "TargetGroup",
				 "Value", target_group + 1);
	return json_pack("{s:s, s:s, s:s, s:[{s:s, s:s}]}", "Namespace", "AWS/EC2", "MetricName",
			 strcmp(type, "ASGAverageCPUUtilization") == 0 ? "CPUUtilization"
								       : "Network",
			 "Statistic", "Average", "Dimensions", "Name", "AutoScalingGroupName",
			 "Value", aws->group->name);
}

static json_t *alarm_of(const struct sim_aws *aws, const struct tracker *tracker, bool is_high)
{
	double low = tracking_low_fraction(group_count(aws->group->group).in_service);
	json_t *alarm = metric_of(aws, tracker->policy);

	json_object_update_new(
	    alarm,
	    json_pack("{s:s, s:[s], s:i, s:i, s:f, s:s}", "AlarmName",
		      is_high ? tracker->high : tracker->low, "AlarmActions", tracker->arn,
		      "Period", 60, "EvaluationPeriods", is_high ? 3 : 15, "Threshold",
		      is_high ? tracker->target : tracker->target * low, "ComparisonOperator",
		      is_high ? "GreaterThanThreshold" : "LessThanThreshold"));
	if (!is_high && !tracker->may_scale_in)
		json_object_del(alarm, "AlarmActions");
	return alarm;
}

void sim_aws_pass(struct sim_aws *aws)
{
	int n = group_count(aws->group->group).in_service;
	struct cloudwatch *cloudwatch = sim_alarms_cloudwatch(aws->alarms);

	for (int i = 0; i < aws->n; i++) {
		struct tracker *tracker = &aws->trackers[i];
		json_t *alarm;
		struct err err = {0};

		if (tracker->shown_n == n)
			continue;
		tracker->shown_n = n;
		alarm = alarm_of(aws, tracker, false);
		(void)!cloudwatch_put_alarm(cloudwatch, alarm, &err);
		json_decref(alarm);
	}
}

static int add(struct sim_aws *aws, const json_t *policy, struct sim_run *run, struct err *err)
{
	struct tracker *tracker = &aws->trackers[aws->n];
	const json_t *config = doc_object(policy, "TargetTrackingConfiguration");
	const char *name = doc_str(policy, "PolicyName", "");
	json_t *alarms;
	int result;

	snprintf(tracker->arn, sizeof tracker->arn,
		 "arn:aws:autoscaling:us-east-1:000000000000:scalingPolicy:%d:autoScalingGroupName/"
		 "x:policyName/%.200s",
		 aws->n, name);
	snprintf(tracker->high, sizeof tracker->high, "AlarmHigh-%d-%.200s", aws->n, name);
	snprintf(tracker->low, sizeof tracker->low, "AlarmLow-%d-%.200s", aws->n, name);
	tracker->policy = policy;
	tracker->target = doc_num(config, "TargetValue", 1);
	tracker->may_scale_in = !doc_bool(config, "DisableScaleIn", false);
	tracker->shown_n = group_count(aws->group->group).in_service;
	alarms = json_pack("[o, o]", alarm_of(aws, tracker, true), alarm_of(aws, tracker, false));
	result = sim_alarms_add(aws->alarms, alarms, run, err);
	json_decref(alarms);
	aws->n += result == 0;
	return result;
}

struct sim_aws *sim_aws_new(const struct sim_group *group, struct sim_alarms *alarms,
			    const json_t *policies, struct sim_run *run, struct err *err)
{
	struct sim_aws *aws = calloc(1, sizeof *aws);
	const json_t *policy;
	size_t i;

	if (aws)
		aws->trackers = calloc(json_array_size(policies) + 1, sizeof *aws->trackers);
	if (!aws || !aws->trackers) {
		free(aws);
		err_set(err, ENOMEM, "out of memory");
		return NULL;
	}
	aws->group = group;
	aws->alarms = alarms;
	json_array_foreach (policies, i, policy) {
		if (doc_bool(policy, "Enabled", true) && add(aws, policy, run, err) < 0) {
			sim_aws_free(aws);
			return NULL;
		}
	}
	return aws;
}

void sim_aws_free(struct sim_aws *aws)
{
	if (!aws)
		return;
	free(aws->trackers);
	free(aws);
}

/* ---- actions ---- */

int64_t sim_aws_warmup_s(const struct group *group, const json_t *policy)
{
	int64_t otherwise = doc_int(group->document, "DefaultInstanceWarmup",
				    doc_int(group->document, "DefaultCooldown", 300));

	return doc_int(policy, "EstimatedInstanceWarmup", otherwise);
}

struct counts {
	int warm, warming, terminating;
};

static struct counts count(const struct group *group, const json_t *policy, int64_t now_ms)
{
	int64_t warmup_ms = 1000 * sim_aws_warmup_s(group, policy);
	const struct instance *instance;
	struct counts counts = {0};

	TAILQ_FOREACH (instance, &group->instances, link) {
		bool is_in = instance->state == INSTANCE_IN_SERVICE;
		bool is_warm = is_in && now_ms - instance->in_service_ms >= warmup_ms;

		counts.warm += is_warm;
		counts.warming += instance_is_live(instance) && !is_warm;
		counts.terminating += instance->state == INSTANCE_TERMINATING;
	}
	return counts;
}

static void set_desired(struct group *group, int desired, int64_t now_ms)
{
	struct err err = {0};

	desired = desired < group->min ? group->min : desired;
	desired = desired > group->max ? group->max : desired;
	if (desired != group->desired)
		(void)!engine_set_desired(group, desired, now_ms, &err);
}

static void scale_out(struct group *group, const struct tracker *tracker,
		      const struct alarm_event *event)
{
	struct counts counts = count(group, tracker->policy, event->at_ms);
	int n = counts.warm > 0 ? counts.warm : counts.warming;
	int need = tracking_need(n, event->value, tracker->target);

	if (need > group->desired)
		set_desired(group, need, event->at_ms);
}

static bool is_low(struct sim_aws *aws, const struct tracker *tracker)
{
	const json_t *alarm = cloudwatch_alarm(sim_alarms_cloudwatch(aws->alarms), tracker->low);

	return strcmp(doc_str(alarm, "StateValue", ""), "ALARM") == 0;
}

/* Only when all that may take away want to, and nothing warms up; what the largest needs stays. */
static void scale_in(struct sim_aws *aws, struct group *group, struct tracker *tracker,
		     const struct alarm_event *event)
{
	int most = 0;

	tracker->low_value = event->value;
	for (int i = 0; i < aws->n; i++) {
		const struct tracker *other = &aws->trackers[i];
		struct counts counts = count(group, other->policy, event->at_ms);
		int need = tracking_need(counts.warm + counts.terminating, other->low_value,
					 other->target);

		if (!other->may_scale_in)
			continue;
		if (counts.warming > 0 || !is_low(aws, other))
			return;
		most = need > most ? need : most;
	}
	if (most < group->desired)
		set_desired(group, most, event->at_ms);
}

bool sim_aws_on_alarm(struct sim_aws *aws, const struct alarm_event *event)
{
	struct group *group = aws->group->group;

	for (int i = 0; i < aws->n; i++) {
		struct tracker *tracker = &aws->trackers[i];

		if (strcmp(tracker->arn, event->action) != 0)
			continue;
		if (!event->has_value || event->new_state != ALARM_ALARM)
			return true;
		if (strcmp(event->name, tracker->high) == 0)
			scale_out(group, tracker, event);
		else
			scale_in(aws, group, tracker, event);
		return true;
	}
	return false;
}
