/* See shape.h: launch templates, Auto Scaling groups and what belongs to them,
 * alarms. */
#include <stdio.h>
#include <string.h>

#include "common/doc/doc.h"
#include "lb/import/shape.h"

enum { PATH_TEXT_MAX = 320 };

static const struct file_member group_members[] = {
    {"AutoScalingGroupName", MEMBER_KEPT, NULL},
    {"MinSize", MEMBER_KEPT, NULL},
    {"MaxSize", MEMBER_KEPT, NULL},
    {"DesiredCapacity", MEMBER_KEPT, NULL},
    {"LaunchConfigurationName", MEMBER_KEPT, NULL},
    {"LaunchTemplate", MEMBER_KEPT, NULL},
    {"MixedInstancesPolicy", MEMBER_KEPT, NULL},
    {"AvailabilityZones", MEMBER_KEPT, NULL},
    {"VPCZoneIdentifier", MEMBER_KEPT, NULL},
    {"TargetGroupARNs", MEMBER_KEPT, NULL},
    {"LoadBalancerNames", MEMBER_LOST, NULL},
    {"HealthCheckType", MEMBER_KEPT, "\"EC2\""},
    {"HealthCheckGracePeriod", MEMBER_KEPT, "0"},
    {"DefaultCooldown", MEMBER_KEPT, "300"},
    {"DefaultInstanceWarmup", MEMBER_KEPT, "-1"},
    {"TerminationPolicies", MEMBER_KEPT, "[\"Default\"]"},
    {"NewInstancesProtectedFromScaleIn", MEMBER_KEPT, "false"},
    {"MaxInstanceLifetime", MEMBER_KEPT, "0"},
    {"CapacityRebalance", MEMBER_KEPT, "false"},
    {"PlacementGroup", MEMBER_KEPT, NULL},
    {"Context", MEMBER_KEPT, NULL},
    {"DesiredCapacityType", MEMBER_KEPT, "\"units\""},
    {"InstanceMaintenancePolicy", MEMBER_KEPT, NULL},
    {"Tags", MEMBER_COMPUTED, NULL},
    {"TrafficSources", MEMBER_COMPUTED, NULL}, /* the target groups again */
    {"AutoScalingGroupARN", MEMBER_COMPUTED, NULL},
    {"PredictedCapacity", MEMBER_COMPUTED, NULL},
    {"Instances", MEMBER_COMPUTED, NULL},
    {"CreatedTime", MEMBER_COMPUTED, NULL},
    {"Status", MEMBER_COMPUTED, NULL},
    {"ServiceLinkedRoleARN", MEMBER_COMPUTED, NULL},
    {"EnabledMetrics", MEMBER_COMPUTED, NULL}, /* all are kept here, always */
    {"SuspendedProcesses", MEMBER_LOST, NULL},
    {"WarmPoolConfiguration", MEMBER_LOST, NULL},
    {"WarmPoolSize", MEMBER_LOST, "0"},
};

static const struct file_member policy_members[] = {
    {"AutoScalingGroupName", MEMBER_KEPT, NULL},
    {"PolicyName", MEMBER_KEPT, NULL},
    {"PolicyType", MEMBER_KEPT, "\"SimpleScaling\""},
    {"AdjustmentType", MEMBER_KEPT, NULL},
    {"MinAdjustmentStep", MEMBER_KEPT, NULL},
    {"MinAdjustmentMagnitude", MEMBER_KEPT, NULL},
    {"ScalingAdjustment", MEMBER_KEPT, NULL},
    {"Cooldown", MEMBER_KEPT, NULL},
    {"MetricAggregationType", MEMBER_KEPT, "\"Average\""},
    {"StepAdjustments", MEMBER_KEPT, NULL},
    {"EstimatedInstanceWarmup", MEMBER_KEPT, NULL},
    {"TargetTrackingConfiguration", MEMBER_COMPUTED, NULL}, /* without its defaults */
    {"PredictiveScalingConfiguration", MEMBER_KEPT, NULL},
    {"Enabled", MEMBER_KEPT, "true"},
    {"PolicyARN", MEMBER_COMPUTED, NULL},
    {"Alarms", MEMBER_COMPUTED, NULL},
};

static const struct file_member schedule_members[] = {
    {"AutoScalingGroupName", MEMBER_KEPT, NULL},
    {"ScheduledActionName", MEMBER_KEPT, NULL},
    {"StartTime", MEMBER_KEPT, NULL},
    {"EndTime", MEMBER_KEPT, NULL},
    {"Recurrence", MEMBER_KEPT, NULL},
    {"TimeZone", MEMBER_KEPT, NULL},
    {"MinSize", MEMBER_KEPT, NULL},
    {"MaxSize", MEMBER_KEPT, NULL},
    {"DesiredCapacity", MEMBER_KEPT, NULL},
    {"Time", MEMBER_COMPUTED, NULL}, /* StartTime's old name */
    {"ScheduledActionARN", MEMBER_COMPUTED, NULL},
};

static const struct file_member hook_members[] = {
    {"AutoScalingGroupName", MEMBER_KEPT, NULL},  {"LifecycleHookName", MEMBER_KEPT, NULL},
    {"LifecycleTransition", MEMBER_KEPT, NULL},   {"DefaultResult", MEMBER_KEPT, "\"ABANDON\""},
    {"HeartbeatTimeout", MEMBER_KEPT, "3600"},    {"NotificationMetadata", MEMBER_KEPT, NULL},
    {"NotificationTargetARN", MEMBER_KEPT, NULL}, {"RoleARN", MEMBER_KEPT, NULL},
    {"GlobalTimeout", MEMBER_COMPUTED, NULL},
};

static const struct file_member alarm_members[] = {
    {"AlarmName", MEMBER_KEPT, NULL},
    {"AlarmDescription", MEMBER_KEPT, NULL},
    {"Namespace", MEMBER_KEPT, NULL},
    {"MetricName", MEMBER_KEPT, NULL},
    {"Dimensions", MEMBER_KEPT, NULL},
    {"Statistic", MEMBER_KEPT, NULL},
    {"ExtendedStatistic", MEMBER_KEPT, NULL},
    {"Period", MEMBER_KEPT, NULL},
    {"Unit", MEMBER_KEPT, NULL},
    {"EvaluationPeriods", MEMBER_KEPT, NULL},
    {"DatapointsToAlarm", MEMBER_KEPT, NULL},
    {"Threshold", MEMBER_KEPT, NULL},
    {"ComparisonOperator", MEMBER_KEPT, NULL},
    {"TreatMissingData", MEMBER_KEPT, "\"missing\""},
    {"EvaluateLowSampleCountPercentile", MEMBER_KEPT, NULL},
    {"Metrics", MEMBER_KEPT, NULL},
    {"ThresholdMetricId", MEMBER_KEPT, NULL},
    {"ActionsEnabled", MEMBER_KEPT, "true"},
    {"OKActions", MEMBER_KEPT, NULL},
    {"AlarmActions", MEMBER_KEPT, NULL},
    {"InsufficientDataActions", MEMBER_KEPT, NULL},
    {"Tags", MEMBER_COMPUTED, NULL},
    {"AlarmArn", MEMBER_COMPUTED, NULL},
    {"AlarmConfigurationUpdatedTimestamp", MEMBER_COMPUTED, NULL},
    {"StateValue", MEMBER_COMPUTED, NULL},
    {"StateReason", MEMBER_COMPUTED, NULL},
    {"StateReasonData", MEMBER_COMPUTED, NULL},
    {"StateUpdatedTimestamp", MEMBER_COMPUTED, NULL},
    {"StateTransitionedTimestamp", MEMBER_COMPUTED, NULL},
    {"EvaluationState", MEMBER_COMPUTED, NULL},
};

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

/* One kind of entry of the file. */
struct kind {
	const char *section, *name;
	const struct file_member *members;
	size_t n;
	/* What the table cannot say; NULL = nothing. */
	void (*finish)(json_t *made, const json_t *described, const json_t *names, const char *path,
		       json_t *notes);
};

/* ---- what each kind has beside its table ---- */

static int by_string(const void *a, const void *b)
{
	return strcmp(json_string_value(*(json_t *const *)a),
		      json_string_value(*(json_t *const *)b));
}

static void rename_all(json_t *list, const json_t *names)
{
	json_t *text, *name;
	size_t i;

	json_array_foreach (list, i, text) {
		name = json_object_get(names, json_string_value(text));
		if (name)
			json_array_set(list, i, name);
	}
}

/* A file has one version of each template: a number in the cloud means nothing
 * here. */
static void finish_template_spec(json_t *spec, const char *path, json_t *notes)
{
	const char *version = doc_str(spec, "Version", "$Default");

	if (doc_has(spec, "LaunchTemplateName"))
		json_object_del(spec, "LaunchTemplateId");
	if (version[0] != '$')
		shape_note(notes, path,
			   "version %s of the launch template becomes $Default: a file holds one "
			   "version",
			   version);
	if (strcmp(version, "$Latest") != 0)
		json_object_del(spec, "Version"); /* it is $Default then */
}

static void finish_group(json_t *made, const json_t *described, const json_t *names,
			 const char *path, json_t *notes)
{
	json_t *mixed = doc_object(doc_object(made, "MixedInstancesPolicy"), "LaunchTemplate");
	json_t *spec = doc_object(made, "LaunchTemplate");
	json_t *groups = doc_array(made, "TargetGroupARNs");

	if (groups) {
		rename_all(groups, names);
		json_object_set_new(made, "TargetGroupARNs",
				    shape_sorted(json_incref(groups), by_string));
	}
	if (doc_has(made, "VPCZoneIdentifier")) /* subnets say which zones */
		json_object_del(made, "AvailabilityZones");
	if (spec)
		finish_template_spec(spec, path, notes);
	if (doc_object(mixed, "LaunchTemplateSpecification"))
		finish_template_spec(doc_object(mixed, "LaunchTemplateSpecification"), path, notes);
	shape_put(made, "Tags", shape_tags(doc_array(described, "Tags"), path, notes));
}

static void finish_policy(json_t *made, const json_t *described, const json_t *names,
			  const char *path, json_t *notes)
{
	json_t *tracking = json_deep_copy(doc_object(described, "TargetTrackingConfiguration"));

	(void)names;
	(void)path;
	(void)notes;
	if (!tracking)
		return;
	if (!doc_bool(tracking, "DisableScaleIn", false))
		json_object_del(tracking, "DisableScaleIn");
	json_object_set_new(made, "TargetTrackingConfiguration", tracking);
	json_object_del(made, "MetricAggregationType");
}

/* Of an action that recurs, AWS tells the next time as its StartTime. */
static void finish_schedule(json_t *made, const json_t *described, const json_t *names,
			    const char *path, json_t *notes)
{
	(void)described;
	(void)names;
	(void)path;
	(void)notes;
	if (doc_has(made, "Recurrence"))
		json_object_del(made, "StartTime");
}

/* CloudWatch's "app/web/1f.." and "targetgroup/web/2e.." as the name in
 * between. */
static void rename_dimensions(json_t *dimensions)
{
	json_t *dimension;
	size_t i;

	json_array_foreach (dimensions, i, dimension) {
		const char *value = doc_str(dimension, "Value", "");
		const char *name = strchr(value, '/'), *end = name ? strchr(name + 1, '/') : NULL;
		bool is_ours =
		    strncmp(value, "app/", 4) == 0 || strncmp(value, "targetgroup/", 12) == 0;

		if (is_ours && end)
			json_object_set_new(dimension, "Value",
					    json_stringn(name + 1, (size_t)(end - name - 1)));
	}
}

static int by_dimension(const void *a, const void *b)
{
	return strcmp(doc_str(*(json_t *const *)a, "Name", ""),
		      doc_str(*(json_t *const *)b, "Name", ""));
}

static void finish_alarm(json_t *made, const json_t *described, const json_t *names,
			 const char *path, json_t *notes)
{
	static const char *const actions[] = {"OKActions", "AlarmActions",
					      "InsufficientDataActions"};

	for (size_t i = 0; i < COUNT(actions); i++)
		rename_all(doc_array(made, actions[i]), names);
	if (strcmp(doc_str(made, "Namespace", ""), "AWS/ApplicationELB") == 0)
		rename_dimensions(doc_array(made, "Dimensions"));
	if (doc_has(made, "Dimensions"))
		json_object_set_new(
		    made, "Dimensions",
		    shape_sorted(json_incref(doc_array(made, "Dimensions")), by_dimension));
	shape_put(made, "Tags", shape_tags(doc_array(described, "Tags"), path, notes));
}

static const struct kind kinds[] = {
    {"AutoScalingGroups", "AutoScalingGroupName", group_members, COUNT(group_members),
     finish_group},
    {"ScalingPolicies", "PolicyName", policy_members, COUNT(policy_members), finish_policy},
    {"ScheduledActions", "ScheduledActionName", schedule_members, COUNT(schedule_members),
     finish_schedule},
    {"LifecycleHooks", "LifecycleHookName", hook_members, COUNT(hook_members), NULL},
    {"MetricAlarms", "AlarmName", alarm_members, COUNT(alarm_members), finish_alarm},
};

static json_t *make(const struct kind *kind, const json_t *described, const json_t *names,
		    json_t *notes)
{
	char path[PATH_TEXT_MAX];
	json_t *made;

	snprintf(path, sizeof(path), "%s[%.255s]", kind->section,
		 doc_str(described, kind->name, ""));
	made = shape_object(described, kind->members, kind->n, path, notes);
	if (kind->finish)
		kind->finish(made, described, names, path, notes);
	return made;
}

static int by_name(const void *a, const void *b)
{
	static const char *const members[] = {
	    "AutoScalingGroupName", "PolicyName", "ScheduledActionName",
	    "LifecycleHookName",    "AlarmName",  "LaunchTemplateName"};
	const json_t *one = *(json_t *const *)a, *other = *(json_t *const *)b;

	for (size_t i = 0; i < COUNT(members); i++) {
		int order = strcmp(doc_str(one, members[i], ""), doc_str(other, members[i], ""));

		if (order)
			return order;
	}
	return 0;
}

static void make_all(const json_t *from, const json_t *names, json_t *config, json_t *notes)
{
	for (size_t k = 0; k < COUNT(kinds); k++) {
		json_t *list = json_array(), *item;
		size_t i;

		json_array_foreach (doc_array(from, kinds[k].section), i, item)
			json_array_append_new(list, make(&kinds[k], item, names, notes));
		shape_put(config, kinds[k].section, shape_sorted(list, by_name));
	}
}

/* ---- launch templates ---- */

static json_t *template_entry(const char *name, const char *description, const json_t *data,
			      json_t *tags)
{
	json_t *entry =
	    json_pack("{s:s,s:s*,s:o}", "LaunchTemplateName", name, "VersionDescription",
		      description, "LaunchTemplateData", json_deep_copy(data));

	if (json_array_size(tags) > 0)
		json_object_set_new(
		    entry, "TagSpecifications",
		    json_pack("[{s:s,s:O}]", "ResourceType", "launch-template", "Tags", tags));
	json_decref(tags);
	return entry;
}

static json_t *templates_of(const json_t *found, json_t *notes)
{
	json_t *list = json_array();
	const json_t *item;
	size_t i;

	json_array_foreach (doc_array(found, "LaunchTemplates"), i, item) {
		const json_t *version = doc_object(item, "Version");
		const char *name = doc_str(version, "LaunchTemplateName", "");
		char path[PATH_TEXT_MAX];

		snprintf(path, sizeof(path), "LaunchTemplates[%.128s]", name);
		json_array_append_new(
		    list, template_entry(name, doc_str(version, "VersionDescription", NULL),
					 doc_object(version, "LaunchTemplateData"),
					 shape_tags(doc_array(item, "Tags"), path, notes)));
	}
	return shape_sorted(list, by_name);
}

void shape_scaling(const json_t *found, json_t *config, json_t *notes)
{
	json_t *names = shape_names(found);

	shape_put(config, "LaunchTemplates", templates_of(found, notes));
	make_all(found, names, config, notes);
	json_decref(names);
}

static json_t *templates_of_file(const json_t *file)
{
	json_t *list = json_array();
	const json_t *item;
	size_t i;

	json_array_foreach (doc_array(file, "LaunchTemplates"), i, item) {
		const json_t *tags = json_array_get(doc_array(item, "TagSpecifications"), 0);

		json_array_append_new(
		    list, template_entry(doc_str(item, "LaunchTemplateName", ""),
					 doc_str(item, "VersionDescription", NULL),
					 doc_object(item, "LaunchTemplateData"),
					 shape_tags(doc_array(tags, "Tags"), "", NULL)));
	}
	return shape_sorted(list, by_name);
}

void shape_scaling_of_file(const json_t *file, const json_t *names, json_t *config)
{
	shape_put(config, "LaunchTemplates", templates_of_file(file));
	make_all(file, names, config, NULL);
}
