/*
 * Groups: created, changed, deleted, described.  Pure; what follows from a change is for the
 * next tick.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "scaler/engine/mixed.h"

/* Members of CreateAutoScalingGroup and UpdateAutoScalingGroup that are kept as given. */
static const char *const kept[] = {
    "DefaultCooldown",
    "DefaultInstanceWarmup",
    "LaunchTemplate",
    "AvailabilityZones",
    "VPCZoneIdentifier",
    "HealthCheckType",
    "HealthCheckGracePeriod",
    "TerminationPolicies",
    "NewInstancesProtectedFromScaleIn",
    "MaxInstanceLifetime",
    "CapacityRebalance",
    "ServiceLinkedRoleARN",
    "Context",
    "PlacementGroup",
    "AvailabilityZoneDistribution",
    "DeletionProtection",
    "InstanceMaintenancePolicy",
    "InstanceLifecyclePolicy",
};

int group_actual(const struct group *group)
{
	const struct instance *instance;
	int n = 0;

	TAILQ_FOREACH (instance, &group->instances, link)
		n += instance_is_live(instance) ? instance_units(instance) : 0;
	return n;
}

/* instance_units() or 1 each. */
static struct group_counts count(const struct group *group, bool is_in_units)
{
	struct group_counts counts = {0};
	const struct instance *instance;

	TAILQ_FOREACH (instance, &group->instances, link) {
		enum instance_state state = instance->state;
		int n = is_in_units ? instance_units(instance) : 1;
		bool is_ending = state == INSTANCE_TERMINATING;

		counts.pending += state == INSTANCE_PENDING ? n : 0;
		counts.in_service += state == INSTANCE_IN_SERVICE ? n : 0;
		counts.terminating += is_ending && !instance->is_warm ? n : 0;
		counts.warm_terminating += is_ending && instance->is_warm ? n : 0;
		counts.warming += state == INSTANCE_WARMING || state == INSTANCE_RETURNING ? n : 0;
		counts.warm += state == INSTANCE_WARM ? n : 0;
		counts.standby +=
		    state == INSTANCE_STANDBY || state == INSTANCE_ENTERING_STANDBY ? n : 0;
		counts.unhealthy += instance->is_unhealthy ? n : 0;
	}
	return counts;
}

struct group_counts group_count(const struct group *group)
{
	return count(group, false);
}

struct group_counts group_capacity(const struct group *group)
{
	return count(group, true);
}

bool group_is_moving(const struct group *group)
{
	const struct instance *instance;

	TAILQ_FOREACH (instance, &group->instances, link) {
		if (!instance_is_settled(instance))
			return true;
	}
	return group->is_deleting;
}

struct instance *group_instance(const struct group *group, const char *id)
{
	struct instance *instance;

	TAILQ_FOREACH (instance, &group->instances, link) {
		if (instance->id[0] && strcmp(instance->id, id) == 0)
			return instance;
	}
	return NULL;
}

struct instance *group_launching(const struct group *group, const char *launch_id)
{
	struct instance *instance;

	TAILQ_FOREACH (instance, &group->instances, link) {
		if (strcmp(instance->launch_id, launch_id) == 0)
			return instance;
	}
	return NULL;
}

struct policy *group_policy(const struct group *group, const char *name)
{
	struct policy *policy;

	TAILQ_FOREACH (policy, &group->policies, link) {
		if (strcmp(policy->name, name) == 0 ||
		    strcmp(doc_str(policy->document, "PolicyARN", ""), name) == 0)
			return policy;
	}
	return NULL;
}

struct attachment *group_attachment(const struct group *group, const char *arn)
{
	struct attachment *attachment;

	TAILQ_FOREACH (attachment, &group->attachments, link) {
		if (strcmp(attachment->arn, arn) == 0)
			return attachment;
	}
	return NULL;
}

struct attachment *group_attachment_add(struct group *group, const char *arn)
{
	struct attachment *attachment = group_attachment(group, arn);

	if (attachment)
		return attachment;
	attachment = calloc(1, sizeof *attachment);
	if (!attachment)
		return NULL;
	text_copy(attachment->arn, sizeof attachment->arn, arn);
	attachment->delay_ms = -1;
	TAILQ_INSERT_TAIL(&group->attachments, attachment, link);
	return attachment;
}

void group_attachment_free(struct group *group, struct attachment *attachment)
{
	TAILQ_REMOVE(&group->attachments, attachment, link);
	json_decref(attachment->health);
	free(attachment);
}

void policy_free(struct policy *policy)
{
	if (!policy)
		return;
	json_decref(policy->document);
	prediction_free(policy->prediction);
	load_memory_free(policy->memory);
	free(policy);
}

void group_free(struct group *group)
{
	struct instance *instance, *next_instance;
	struct activity *activity, *next_activity;
	struct policy *policy, *next_policy;
	struct schedule *schedule, *next_schedule;
	struct attachment *attachment, *next_attachment;

	if (!group)
		return;
	TAILQ_FOREACH_SAFE (instance, &group->instances, link, next_instance)
		instance_free(instance);
	TAILQ_FOREACH_SAFE (activity, &group->activities, link, next_activity)
		activity_free(activity);
	TAILQ_FOREACH_SAFE (policy, &group->policies, link, next_policy)
		policy_free(policy);
	TAILQ_FOREACH_SAFE (schedule, &group->schedules, link, next_schedule)
		schedule_free(schedule);
	TAILQ_FOREACH_SAFE (attachment, &group->attachments, link, next_attachment)
		group_attachment_free(group, attachment);
	json_decref(group->document);
	json_decref(group->refreshes);
	json_decref(group->pools);
	json_decref(group->why_alarms);
	json_decref(group->proposal.alarm);
	free(group);
}

static bool is_any_suspended(const struct group *group)
{
	return json_array_size(doc_array(group->document, "SuspendedProcesses")) > 0;
}

void group_learn_facts(struct group *group)
{
	group->facts.is_any_suspended = is_any_suspended(group);
	group->facts.checks_elb = group_checks_elb(group);
	group->facts.grace_ms = group_grace_ms(group);
	group->facts.is_known = true;
}

void group_forget_facts(struct group *group)
{
	group->facts.is_known = false;
}

int64_t group_grace_ms(const struct group *group)
{
	return group->facts.is_known ? group->facts.grace_ms
				     : 1000 * doc_int(group->document, "HealthCheckGracePeriod", 0);
}

bool group_checks_elb(const struct group *group)
{
	if (group->facts.is_known)
		return group->facts.checks_elb;
	return strstr(doc_str(group->document, "HealthCheckType", "EC2"), "ELB") != NULL;
}

bool group_is_suspended(const struct group *group, const char *process)
{
	if (group->facts.is_known && !group->facts.is_any_suspended)
		return false;
	return doc_find(doc_array(group->document, "SuspendedProcesses"), "ProcessName", process) !=
	       NULL;
}

int64_t group_warmup_ms(const struct group *group)
{
	int64_t cooldown = doc_int(group->document, "DefaultCooldown", 300);

	return 1000 * doc_int(group->document, "DefaultInstanceWarmup", cooldown);
}

const json_t *group_config(const struct group *group)
{
	return doc_has(group->document, "RefreshTemplate") ||
		       doc_has(group->document, "RefreshMixedInstancesPolicy")
		   ? NULL
		   : doc_object(group->document, "LaunchConfiguration");
}

void group_forget_template(struct group *group)
{
	group->latest_version = group->default_version = 0;
	group->template_seen_ms = 0;
	group->is_dirty = true;
}

void group_template_version(const struct group *group, char version[ZONE_MAX])
{
	const char *wanted = doc_str(group_template(group), "Version", "$Default");
	int number =
	    strcmp(wanted, "$Latest") == 0 ? group->latest_version : group->default_version;

	if (wanted[0] != '$')
		text_copy(version, ZONE_MAX, wanted);
	else if (number > 0)
		snprintf(version, ZONE_MAX, "%d", number);
	else
		version[0] = '\0';
}

void group_read_zones(struct group *group)
{
	const json_t *zone;
	size_t i;

	group->has_zones = false;
	group->n_zones = 0;
	json_array_foreach (doc_array(group->document, "AvailabilityZones"), i, zone) {
		if (group->n_zones == MAX_ZONES)
			return;
		memset(&group->zones[group->n_zones], 0, sizeof group->zones[0]);
		text_copy(group->zones[group->n_zones++].name, ZONE_MAX, json_string_value(zone));
	}
}

void group_change_desired(struct group *group, int desired, int64_t now_ms, const char *event)
{
	if (desired == group->desired)
		return;
	cause_add(group->why, now_ms, "%s changing the desired capacity from %d to %d", event,
		  group->desired, desired);
	group->desired = desired;
	group->is_dirty = true;
}

void group_note_alarm(struct group *group, json_t *alarm)
{
	json_t *alarms = group->why_alarms ? json_copy(group->why_alarms) : json_array();

	/* What has been handed to activities is shared: a new list, not a longer one. */
	if (alarms && alarm && json_array_append(alarms, alarm) == 0) {
		json_decref(group->why_alarms);
		group->why_alarms = json_incref(alarms);
		group->is_dirty = true;
	}
	json_decref(alarms);
}

void group_forget_why(struct group *group)
{
	if (!group->why[0] && !group->why_alarms)
		return;
	group->why[0] = '\0';
	json_decref(group->why_alarms);
	group->why_alarms = NULL;
	group->is_dirty = true;
}

/* ---- create, update, delete ---- */

static int set_default(json_t *document, const char *member, json_t *value)
{
	if (!json_object_get(document, member))
		return json_object_set_new(document, member, value);
	json_decref(value);
	return 0;
}

static int fill_defaults(json_t *document)
{
	int failed = 0;

	failed |= set_default(document, "DefaultCooldown", json_integer(300));
	failed |= set_default(document, "HealthCheckType", json_string("EC2"));
	failed |= set_default(document, "HealthCheckGracePeriod", json_integer(0));
	failed |= set_default(document, "TerminationPolicies", json_pack("[s]", "Default"));
	failed |= set_default(document, "NewInstancesProtectedFromScaleIn", json_false());
	failed |= set_default(document, "CapacityRebalance", json_false());
	failed |= set_default(document, "AvailabilityZones", json_array());
	failed |= set_default(document, "LoadBalancerNames", json_array());
	failed |= set_default(document, "TargetGroupARNs", json_array());
	failed |= set_default(document, "SuspendedProcesses", json_array());
	failed |= set_default(document, "EnabledMetrics", json_array());
	failed |= set_default(document, "Tags", json_array());
	failed |=
	    set_default(document, "AvailabilityZoneDistribution",
			json_pack("{s:s}", "CapacityDistributionStrategy", "balanced-best-effort"));
	return failed;
}

/* A launch configuration never changes: the group keeps what it says.  It, a template and a mixed
 * instances policy stand in for each other. */
static int copy_source(json_t *document, const json_t *input)
{
	const json_t *config = doc_object(input, "LaunchConfiguration");

	if (doc_has(input, "LaunchTemplate") || doc_has(input, "MixedInstancesPolicy")) {
		json_object_del(document, "LaunchConfiguration");
		json_object_del(document, "LaunchConfigurationName");
		json_object_del(document, doc_has(input, "LaunchTemplate") ? "MixedInstancesPolicy"
									   : "LaunchTemplate");
	}
	if (doc_has(input, "MixedInstancesPolicy")) {
		json_t *policy = json_deep_copy(doc_object(input, "MixedInstancesPolicy"));

		return json_object_set_new(document, "MixedInstancesPolicy", policy) < 0
			   ? -1
			   : mixed_fill_defaults(policy);
	}
	if (!config)
		return 0;
	json_object_del(document, "LaunchTemplate");
	json_object_del(document, "MixedInstancesPolicy");
	json_object_set_new(document, "LaunchConfigurationName",
			    json_string(doc_str(config, "LaunchConfigurationName", "")));
	return json_object_set_new(document, "LaunchConfiguration", json_deep_copy(config));
}

static int copy_members(json_t *document, const json_t *input)
{
	for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++) {
		json_t *value = json_object_get(input, kept[i]);

		if (value && json_object_set_new(document, kept[i], json_deep_copy(value)) < 0)
			return -1;
	}
	if (copy_source(document, input) < 0)
		return -1;
	/* -1 takes the warm-up away again. */
	if (doc_int(document, "DefaultInstanceWarmup", 0) < 0)
		json_object_del(document, "DefaultInstanceWarmup");
	if (doc_int(doc_object(document, "InstanceMaintenancePolicy"), "MinHealthyPercentage", 0) <
	    0)
		json_object_del(document, "InstanceMaintenancePolicy");
	if (doc_has(document, "MaxInstanceLifetime") &&
	    doc_int(document, "MaxInstanceLifetime", 0) == 0)
		json_object_del(document, "MaxInstanceLifetime");
	return 0;
}

static int copy_tags(json_t *document, const json_t *input, const char *name)
{
	json_t *tags = json_array();
	const json_t *tag;
	size_t i;

	json_array_foreach (doc_array(input, "Tags"), i, tag) {
		json_t *copy =
		    json_pack("{s:s, s:s, s:s, s:s, s:b}", "ResourceId", name, "ResourceType",
			      "auto-scaling-group", "Key", doc_str(tag, "Key", ""), "Value",
			      doc_str(tag, "Value", ""), "PropagateAtLaunch",
			      doc_bool(tag, "PropagateAtLaunch", false));
		if (json_array_append_new(tags, copy) < 0) {
			json_decref(tags);
			return -1;
		}
	}
	return json_object_set_new(document, "Tags", tags);
}

static int check_sizes(int min, int max, int desired, struct err *err)
{
	if (min > max)
		err_set(err, ERANGE,
			"Max bound, %d, must be greater than or equal to min bound, %d", max, min);
	else if (desired < min)
		err_set(err, ERANGE,
			"Desired capacity:%d must be between the specified min size:%d and max "
			"size:%d",
			desired, min, max);
	else if (desired > max)
		err_set(err, ERANGE,
			"Desired capacity:%d must be between the specified min size:%d and max "
			"size:%d",
			desired, min, max);
	else
		return 0;
	return -1;
}

static void name_group(struct engine *engine, struct group *group, int64_t now_ms)
{
	char arn[ARN_MAX + NAME_MAX_LEN], uuid[ID_TEXT_MAX], at[CLOCK_TEXT_MAX];

	snprintf(arn, sizeof arn,
		 "arn:aws:autoscaling:%s:%s:autoScalingGroup:%s:autoScalingGroupName/%s",
		 engine->region, engine->account, id_uuid(engine->ids, uuid), group->name);
	json_object_set_new(group->document, "AutoScalingGroupARN", json_string(arn));
	json_object_set_new(group->document, "CreatedTime",
			    json_string(clock_format_iso_ms(now_ms, at)));
	json_object_set_new(group->document, "AutoScalingGroupName", json_string(group->name));
	if (!doc_has(group->document, "ServiceLinkedRoleARN")) {
		snprintf(arn, sizeof arn,
			 "arn:aws:iam::%s:role/aws-service-role/autoscaling.amazonaws.com/"
			 "AWSServiceRoleForAutoScaling",
			 engine->account);
		json_object_set_new(group->document, "ServiceLinkedRoleARN", json_string(arn));
	}
}

static void insert_by_name(struct engine *engine, struct group *group)
{
	struct group *other;

	TAILQ_FOREACH (other, &engine->groups, link) {
		if (strcmp(group->name, other->name) < 0) {
			TAILQ_INSERT_BEFORE(other, group, link);
			return;
		}
	}
	TAILQ_INSERT_TAIL(&engine->groups, group, link);
}

struct group *group_new(struct engine *engine, const char *name)
{
	struct group *group = calloc(1, sizeof *group);

	if (!group)
		return NULL;
	TAILQ_INIT(&group->instances);
	TAILQ_INIT(&group->activities);
	TAILQ_INIT(&group->policies);
	TAILQ_INIT(&group->schedules);
	TAILQ_INIT(&group->attachments);
	text_copy(group->name, sizeof group->name, name);
	group->document = json_object();
	group->refreshes = json_array();
	group->pools = json_array();
	group->engine = engine;
	group->wanted = -1;
	if (!group->document || !group->refreshes || !group->pools) {
		group_free(group);
		return NULL;
	}
	group->is_dirty = true;
	insert_by_name(engine, group);
	return group;
}

struct group *engine_create_group(struct engine *engine, const json_t *input, int64_t now_ms,
				  struct err *err)
{
	int min = (int)doc_int(input, "MinSize", 0), max = (int)doc_int(input, "MaxSize", 0);
	int desired = (int)doc_int(input, "DesiredCapacity", min);
	const json_t *arn;
	struct group *group;
	size_t i;

	if (check_sizes(min, max, desired, err) < 0)
		return NULL;
	group = group_new(engine, doc_str(input, "AutoScalingGroupName", ""));
	if (!group)
		goto oom;
	if (copy_members(group->document, input) < 0 || fill_defaults(group->document) != 0 ||
	    copy_tags(group->document, input, group->name) < 0)
		goto fail;
	name_group(engine, group, now_ms);
	group->min = min;
	group->max = max;
	group_change_desired(group, desired, now_ms, "a user request created an AutoScalingGroup");
	json_array_foreach (doc_array(input, "TargetGroupARNs"), i, arn)
		engine_attach(group, json_string_value(arn));
	group_read_zones(group);
	return group;
fail:
	TAILQ_REMOVE(&engine->groups, group, link);
	group_free(group);
oom:
	err_set(err, ENOMEM, "out of memory");
	return NULL;
}

/* The template as one of its names and a version: the rest is what EC2 has told us about it. */
static bool is_other_template(const json_t *before, const json_t *after)
{
	static const char *const names[] = {"LaunchTemplateId", "LaunchTemplateName"};

	if (!after)
		return false;
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		const char *name = doc_str(after, names[i], NULL);

		if (name && strcmp(name, doc_str(before, names[i], "")) != 0)
			return true;
	}
	return strcmp(doc_str(before, "Version", "$Default"),
		      doc_str(after, "Version", "$Default")) != 0;
}

static bool is_other(const json_t *document, const json_t *input, const char *member)
{
	const json_t *value = json_object_get(input, member);

	return value && !json_equal(value, json_object_get(document, member));
}

/* A new source of instances or new zones: what failed before says nothing about them.  The same
 * again (the file, read at every start) does not count. */
static bool changes_launches(const struct group *group, const json_t *input)
{
	return is_other_template(doc_object(group->document, "LaunchTemplate"),
				 doc_object(input, "LaunchTemplate")) ||
	       is_other(group->document, input, "LaunchConfigurationName") ||
	       (doc_has(input, "MixedInstancesPolicy") &&
		mixed_is_other(doc_object(group->document, "MixedInstancesPolicy"),
			       doc_object(input, "MixedInstancesPolicy"))) ||
	       is_other(group->document, input, "AvailabilityZones") ||
	       is_other(group->document, input, "VPCZoneIdentifier");
}

int group_set_sizes(struct group *group, const json_t *input, const char *who, int64_t now_ms,
		    struct err *err)
{
	int min = (int)doc_int(input, "MinSize", group->min);
	int max = (int)doc_int(input, "MaxSize", group->max);
	int desired = group->desired;
	char event[NAME_MAX_LEN + 160];

	if (doc_has(input, "DesiredCapacity"))
		desired = (int)doc_int(input, "DesiredCapacity", desired);
	else if (desired < min)
		desired = min;
	else if (desired > max)
		desired = max;
	if (check_sizes(min, max, desired, err) < 0)
		return -1;
	snprintf(event, sizeof event,
		 "%s update of AutoScalingGroup constraints to min: %d, max: %d, desired: %d", who,
		 min, max, desired);
	group->min = min;
	group->max = max;
	group->is_dirty = true;
	group_change_desired(group, desired, now_ms, event);
	return 0;
}

int engine_update_group(struct group *group, const json_t *input, int64_t now_ms, struct err *err)
{
	bool is_new_start = changes_launches(group, input);

	if (group_set_sizes(group, input, "a user request", now_ms, err) < 0)
		return -1;
	if (copy_members(group->document, input) < 0) {
		err_set(err, ENOMEM, "out of memory");
		return -1;
	}
	if (doc_has(input, "AvailabilityZones") || doc_has(input, "VPCZoneIdentifier"))
		group_read_zones(group);
	if (is_new_start) {
		breaker_reset(group);
		pools_forget(group);
	}
	if (doc_has(input, "LaunchTemplate") || doc_has(input, "MixedInstancesPolicy"))
		group_forget_template(group);
	mixed_reweigh(group);
	return 0;
}

int engine_set_desired(struct group *group, int desired, int64_t now_ms, struct err *err)
{
	if (desired > group->max || desired < group->min) {
		err_set(err, ERANGE,
			"New SetDesiredCapacity value %d is %s value %d for the AutoScalingGroup.",
			desired, desired > group->max ? "above max" : "below min",
			desired > group->max ? group->max : group->min);
		return -1;
	}
	group_change_desired(group, desired, now_ms,
			     "a user request explicitly set group desired capacity");
	return 0;
}

void engine_delete_group(struct engine *engine, struct group *group, int64_t now_ms)
{
	struct instance *instance;

	group->min = group->max = group->desired = 0;
	group->is_deleting = true;
	group->is_dirty = true;
	TAILQ_FOREACH (instance, &group->instances, link) {
		char cause[CAUSE_MAX] = "";

		instance->is_forced = true;
		instance->is_dirty = true;
		if (instance->state == INSTANCE_TERMINATING ||
		    instance->state == INSTANCE_TERMINATED || instance->state == INSTANCE_DETACHING)
			continue;
		cause_add(cause, now_ms,
			  "instance %s was taken out of service in response to a user request",
			  instance->id[0] ? instance->id : "(being launched)");
		(void)terminate_begin(engine, group, instance, cause, now_ms);
	}
}

/* ---- launch configurations ---- */

int engine_add_config(struct engine *engine, json_t *document)
{
	const char *name = doc_str(document, "LaunchConfigurationName", "");

	if (json_array_append_new(engine->new_configs, json_string(name)) < 0) {
		json_decref(document);
		return -1;
	}
	return json_object_set_new(engine->configs, name, document);
}

void engine_remove_config(struct engine *engine, const char *name)
{
	instance_drop_target_group(engine->new_configs, name);
	engine_forget_key(engine, "config", name, NULL);
	json_object_del(engine->configs, name);
}
