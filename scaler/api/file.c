/*
 * The configuration file's groups and policies, applied to the running state by the same
 * functions that answer the API.  First everything is checked, then everything is applied.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/base/log.h"
#include "common/doc/doc.h"
#include "scaler/api/groups.h"
#include "scaler/api/reply.h"

static const char *const FILE_TARGETS = "FileTargetGroups"; /* what the file attached */
static const char *const FROM_FILE = "IsFromFile";

/* ---- checking ---- */

static int refuse(struct err *err, const char *section, size_t i, const char *why)
{
	err_set(err, EINVAL, "%s[%zu]: %s", section, i, why);
	return -1;
}

static int check_groups(const json_t *config, struct err *err)
{
	const json_t *input;
	size_t i;

	json_array_foreach (doc_array(config, "AutoScalingGroups"), i, input) {
		struct aws_error error = {0};

		if (doc_has(input, "LaunchConfigurationName"))
			return refuse(err, "AutoScalingGroups", i,
				      "LaunchConfigurationName is not supported in a file; "
				      "LaunchTemplate is");
		if (group_check_create(input, true, &error) < 0)
			return refuse(err, "AutoScalingGroups", i, error.message);
	}
	return 0;
}

/* Does the group that the entry names exist, or will it? */
static int check_group_of(struct autoscaling *as, const json_t *config, const char *section,
			  size_t i, struct err *err)
{
	const json_t *input = json_array_get(doc_array(config, section), i);
	const char *group = doc_str(input, "AutoScalingGroupName", "");
	char why[NAME_MAX_LEN + 64];

	if (doc_find(doc_array(config, "AutoScalingGroups"), "AutoScalingGroupName", group) ||
	    engine_group(as->engine, group))
		return 0;
	snprintf(why, sizeof why, "there is no group '%s'", group);
	return refuse(err, section, i, why);
}

static int check_policies(struct autoscaling *as, const json_t *config, struct err *err)
{
	const json_t *input;
	size_t i;

	json_array_foreach (doc_array(config, "ScalingPolicies"), i, input) {
		struct aws_error error = {0};

		if (policy_check(input, true, &error) < 0)
			return refuse(err, "ScalingPolicies", i, error.message);
		if (check_group_of(as, config, "ScalingPolicies", i, err) < 0)
			return -1;
	}
	return 0;
}

static int check_schedules(struct autoscaling *as, const json_t *config, struct err *err)
{
	const json_t *input;
	size_t i;

	json_array_foreach (doc_array(config, "ScheduledActions"), i, input) {
		struct aws_error error = {0};

		if (schedule_check(input, &error) < 0)
			return refuse(err, "ScheduledActions", i, error.message);
		if (!doc_has(input, "StartTime") && !doc_has(input, "Time") &&
		    !doc_has(input, "Recurrence"))
			return refuse(err, "ScheduledActions", i,
				      "a StartTime or a Recurrence is needed");
		if (check_group_of(as, config, "ScheduledActions", i, err) < 0)
			return -1;
	}
	return 0;
}

static int check_hooks(struct autoscaling *as, const json_t *config, struct err *err)
{
	const json_t *input;
	size_t i;

	json_array_foreach (doc_array(config, "LifecycleHooks"), i, input) {
		struct aws_error error = {0};

		if (hook_check(input, &error) < 0)
			return refuse(err, "LifecycleHooks", i, error.message);
		if (!doc_has(input, "LifecycleTransition"))
			return refuse(err, "LifecycleHooks", i, "a LifecycleTransition is needed");
		if (check_group_of(as, config, "LifecycleHooks", i, err) < 0)
			return -1;
	}
	return 0;
}

static int check_pools(struct autoscaling *as, const json_t *config, struct err *err)
{
	const json_t *input;
	size_t i;

	json_array_foreach (doc_array(config, "WarmPools"), i, input) {
		const char *name = doc_str(input, "AutoScalingGroupName", "");
		const struct group *group = engine_group(as->engine, name);

		if (check_group_of(as, config, "WarmPools", i, err) < 0)
			return -1;
		if (doc_has(doc_find(doc_array(config, "AutoScalingGroups"), "AutoScalingGroupName",
				     name),
			    "MixedInstancesPolicy"))
			return refuse(err, "WarmPools", i,
				      "a group with a mixed instances policy cannot have a pool");
		if (group && doc_has(group_warm_pool(group), "Status"))
			return refuse(err, "WarmPools", i,
				      "the group's pool is still being deleted");
	}
	return 0;
}

static int check_alarms(const json_t *config, struct err *err)
{
	const json_t *input;
	size_t i;

	json_array_foreach (doc_array(config, "MetricAlarms"), i, input) {
		struct alarm_rule rule;
		struct err why = {0};

		if (alarm_rule_init(&rule, input, &why) < 0)
			return refuse(err, "MetricAlarms", i, why.text);
		alarm_rule_fini(&rule);
	}
	return 0;
}

int autoscaling_check_file(struct autoscaling *as, const json_t *config, struct err *err)
{
	if (check_groups(config, err) < 0 || check_policies(as, config, err) < 0 ||
	    check_schedules(as, config, err) < 0 || check_hooks(as, config, err) < 0 ||
	    check_pools(as, config, err) < 0)
		return -1;
	return check_alarms(config, err);
}

/* ---- applying: target groups ---- */

/* Does what is attached (an ARN, or a name not known yet) mean this entry of the file? */
static bool means(const char *attached, const char *entry)
{
	char part[ARN_MAX];

	if (strcmp(attached, entry) == 0)
		return true;
	snprintf(part, sizeof part, ":targetgroup/%.200s/", entry);
	return strncmp(entry, "arn:", 4) != 0 && strstr(attached, part);
}

static const char *attached_as(const struct group *group, const char *entry)
{
	const struct attachment *attachment;

	TAILQ_FOREACH (attachment, &group->attachments, link) {
		if (attachment->state != ATTACHMENT_REMOVING && means(attachment->arn, entry))
			return attachment->arn;
	}
	return NULL;
}

static void apply_target_groups(struct group *group, const json_t *input)
{
	json_t *wanted = doc_array(input, "TargetGroupARNs"), *entry;
	const json_t *before = doc_array(group->document, FILE_TARGETS);
	char arn[ARN_MAX];
	size_t i;

	json_array_foreach (before, i, entry) {
		const char *name = attached_as(group, json_string_value(entry));

		if (!name || doc_list_has(wanted, json_string_value(entry)))
			continue;
		snprintf(arn, sizeof arn, "%s", name);
		engine_detach(group, arn);
	}
	json_array_foreach (wanted, i, entry) {
		if (!attached_as(group, json_string_value(entry)))
			engine_attach(group, json_string_value(entry));
	}
	if (wanted)
		json_object_set_new(group->document, FILE_TARGETS, json_deep_copy(wanted));
	else
		json_object_del(group->document, FILE_TARGETS);
}

/* ---- applying: groups ---- */

/* The file is the whole truth about what it names: what it leaves out has its default. */
static json_t *update_of(const json_t *input)
{
	json_t *update =
	    json_pack("{s:i, s:s, s:i, s:[s], s:b, s:b, s:i, s:{s:s}}", "DefaultCooldown", 300,
		      "HealthCheckType", "EC2", "HealthCheckGracePeriod", 0, "TerminationPolicies",
		      "Default", "NewInstancesProtectedFromScaleIn", 0, "CapacityRebalance", 0,
		      "DefaultInstanceWarmup", -1, "AvailabilityZoneDistribution",
		      "CapacityDistributionStrategy", "balanced-best-effort");

	if (update && json_object_update(update, (json_t *)input) < 0) {
		json_decref(update);
		return NULL;
	}
	/* The capacity is the run time's, inside the limits. */
	json_object_del(update, "DesiredCapacity");
	return update;
}

static void apply_tags(struct group *group, const json_t *input)
{
	json_t *tags = json_array();
	const json_t *tag;
	size_t i;

	json_array_foreach (doc_array(input, "Tags"), i, tag)
		json_array_append_new(tags,
				      json_pack("{s:s, s:s, s:s, s:s, s:b}", "ResourceId",
						group->name, "ResourceType", "auto-scaling-group",
						"Key", doc_str(tag, "Key", ""), "Value",
						doc_str(tag, "Value", ""), "PropagateAtLaunch",
						doc_bool(tag, "PropagateAtLaunch", false)));
	json_object_set_new(group->document, "Tags", tags);
}

static int update_group(struct autoscaling *as, struct group *group, const json_t *input,
			struct err *err)
{
	json_t *update = update_of(input);
	int result = -1;

	if (!update)
		err_set(err, ENOMEM, "out of memory");
	else
		result = engine_update_group(group, update, reply_now_ms(as), err);
	json_decref(update);
	if (result < 0)
		return -1;
	if (!doc_has(input, "VPCZoneIdentifier"))
		json_object_del(group->document, "VPCZoneIdentifier");
	if (doc_has(input, "Tags"))
		apply_tags(group, input);
	apply_target_groups(group, input);
	return 0;
}

/* Its group is being deleted, perhaps since before a restart: that comes first. */
static bool is_going(struct autoscaling *as, const json_t *input)
{
	const char *name = doc_str(input, "AutoScalingGroupName", "");
	const struct group *group = engine_group(as->engine, name);

	return group && group->is_deleting;
}

static int apply_group(struct autoscaling *as, const json_t *input, struct err *err)
{
	const char *name = doc_str(input, "AutoScalingGroupName", "");
	struct group *group = engine_group(as->engine, name);

	if (group && update_group(as, group, input, err) < 0)
		return -1;
	if (!group) {
		group = engine_create_group(as->engine, input, reply_now_ms(as), err);
		if (!group)
			return -1;
		apply_target_groups(group, input);
	}
	group->is_from_file = true;
	group->is_dirty = true;
	return 0;
}

static void drop_groups(struct autoscaling *as, const json_t *config)
{
	const json_t *named = doc_array(config, "AutoScalingGroups");
	struct group *group, *next;

	TAILQ_FOREACH_SAFE (group, &as->engine->groups, link, next) {
		if (group->is_from_file && !group->is_deleting &&
		    !doc_find(named, "AutoScalingGroupName", group->name))
			group_delete(as, group);
	}
}

/* ---- applying: policies ---- */

/* Is there an entry of that name for the group? */
static bool names(const json_t *list, const struct group *group, const char *member,
		  const char *name)
{
	const json_t *input;
	size_t i;

	json_array_foreach (list, i, input) {
		if (strcmp(doc_str(input, member, ""), name) == 0 &&
		    strcmp(doc_str(input, "AutoScalingGroupName", ""), group->name) == 0)
			return true;
	}
	return false;
}

static void drop_policies(struct autoscaling *as, const json_t *config)
{
	struct policy *policy, *next;
	struct group *group;

	TAILQ_FOREACH (group, &as->engine->groups, link) {
		TAILQ_FOREACH_SAFE (policy, &group->policies, link, next) {
			if (doc_bool(policy->document, FROM_FILE, false) &&
			    !names(doc_array(config, "ScalingPolicies"), group, "PolicyName",
				   policy->name))
				policy_delete(as, group, policy);
		}
	}
}

static int apply_policy(struct autoscaling *as, const json_t *input, struct err *err)
{
	struct group *group = engine_group(as->engine, doc_str(input, "AutoScalingGroupName", ""));
	struct aws_error error = {0};
	struct policy *policy = group ? policy_put(as, group, input, &error) : NULL;

	if (!policy) {
		err_set(err, EINVAL, "%s", group ? error.message : "its group is gone");
		return -1;
	}
	json_object_set_new(policy->document, FROM_FILE, json_true());
	return 0;
}

/* ---- applying: scheduled actions ---- */

static void drop_schedules(struct autoscaling *as, const json_t *config)
{
	struct schedule *schedule, *next;
	struct group *group;

	TAILQ_FOREACH (group, &as->engine->groups, link) {
		TAILQ_FOREACH_SAFE (schedule, &group->schedules, link, next) {
			if (doc_bool(schedule->document, FROM_FILE, false) &&
			    !names(doc_array(config, "ScheduledActions"), group,
				   "ScheduledActionName", schedule->name))
				engine_remove_schedule(as->engine, group, schedule);
		}
	}
}

/* A file is read again and again: what it wants once and had its time is no mistake. */
static bool is_past(struct autoscaling *as, const json_t *input)
{
	int64_t now_ms = reply_now_ms(as), at_ms;
	const char *start = doc_str(input, "StartTime", doc_str(input, "Time", ""));

	if (clock_parse_iso(doc_str(input, "EndTime", ""), &at_ms) == 0 && at_ms <= now_ms)
		return true;
	return !doc_has(input, "Recurrence") && clock_parse_iso(start, &at_ms) == 0 &&
	       at_ms <= now_ms;
}

static int apply_schedule(struct autoscaling *as, const json_t *input, struct err *err)
{
	struct group *group = engine_group(as->engine, doc_str(input, "AutoScalingGroupName", ""));
	json_t *copy = json_deep_copy(input);
	struct aws_error error = {0};
	struct schedule *schedule;
	int64_t start_ms;

	if (clock_parse_iso(doc_str(copy, "StartTime", ""), &start_ms) == 0 &&
	    start_ms <= reply_now_ms(as))
		json_object_del(copy, "StartTime");
	if (!group || schedule_put(as, group, copy, &error) < 0) {
		json_decref(copy);
		err_set(err, EINVAL, "%s", group ? error.message : "its group is gone");
		return -1;
	}
	json_decref(copy);
	schedule = group_schedule(group, doc_str(input, "ScheduledActionName", ""));
	json_object_set_new(schedule->document, FROM_FILE, json_true());
	return 0;
}

/* ---- applying: lifecycle hooks ---- */

static void drop_hooks(struct autoscaling *as, const json_t *config)
{
	struct group *group;

	TAILQ_FOREACH (group, &as->engine->groups, link) {
		for (size_t i = json_array_size(group_hooks(group)); i > 0; i--) {
			const json_t *hook = json_array_get(group_hooks(group), i - 1);
			char name[NAME_MAX_LEN];

			snprintf(name, sizeof name, "%s", doc_str(hook, "LifecycleHookName", ""));
			if (doc_bool(hook, FROM_FILE, false) &&
			    !names(doc_array(config, "LifecycleHooks"), group, "LifecycleHookName",
				   name))
				(void)!engine_remove_hook(group, name);
		}
	}
}

static int apply_hook(struct autoscaling *as, const json_t *input, struct err *err)
{
	struct group *group = engine_group(as->engine, doc_str(input, "AutoScalingGroupName", ""));
	struct aws_error error = {0};

	if (!group || hook_put(as, group, input, &error) < 0) {
		err_set(err, EINVAL, "%s", group ? error.message : "its group is gone");
		return -1;
	}
	json_object_set_new(doc_find(group_hooks(group), "LifecycleHookName",
				     doc_str(input, "LifecycleHookName", "")),
			    FROM_FILE, json_true());
	return 0;
}

/* ---- applying: warm pools ---- */

static void drop_pools(struct autoscaling *as, const json_t *config)
{
	struct group *group;

	TAILQ_FOREACH (group, &as->engine->groups, link) {
		if (doc_bool(group_warm_pool(group), FROM_FILE, false) &&
		    !doc_find(doc_array(config, "WarmPools"), "AutoScalingGroupName", group->name))
			(void)!engine_delete_warm_pool(as->engine, group, false, reply_now_ms(as));
	}
}

static int apply_pool(struct autoscaling *as, const json_t *input, struct err *err)
{
	struct group *group = engine_group(as->engine, doc_str(input, "AutoScalingGroupName", ""));
	json_t *copy = json_copy((json_t *)input);
	int result = -1;

	/* The file is the whole truth: what it leaves out does not stay. */
	if (copy && !doc_has(copy, "MaxGroupPreparedCapacity"))
		json_object_set_new(copy, "MaxGroupPreparedCapacity", json_integer(-1));
	if (!group)
		err_set(err, EINVAL, "its group is gone");
	else if (!copy)
		err_set(err, ENOMEM, "out of memory");
	else
		result = engine_put_warm_pool(group, copy, err);
	json_decref(copy);
	if (result == 0)
		json_object_set_new((json_t *)group_warm_pool(group), FROM_FILE, json_true());
	return result;
}

int autoscaling_apply_file(struct autoscaling *as, const json_t *config, struct err *err)
{
	const json_t *input;
	size_t i;

	drop_pools(as, config);
	drop_hooks(as, config);
	drop_schedules(as, config);
	drop_policies(as, config);
	drop_groups(as, config);
	json_array_foreach (doc_array(config, "AutoScalingGroups"), i, input) {
		if (is_going(as, input)) {
			log_warn("group-not-applied",
				 "group=%s why=\"it is still being deleted; the file creates it "
				 "when it is read again\"",
				 doc_str(input, "AutoScalingGroupName", ""));
			continue;
		}
		if (apply_group(as, input, err) < 0) {
			err_wrap(err, "AutoScalingGroups[%zu]: ", i);
			return -1;
		}
	}
	json_array_foreach (doc_array(config, "LifecycleHooks"), i, input) {
		if (!is_going(as, input) && apply_hook(as, input, err) < 0) {
			err_wrap(err, "LifecycleHooks[%zu]: ", i);
			return -1;
		}
	}
	json_array_foreach (doc_array(config, "WarmPools"), i, input) {
		if (!is_going(as, input) && apply_pool(as, input, err) < 0) {
			err_wrap(err, "WarmPools[%zu]: ", i);
			return -1;
		}
	}
	json_array_foreach (doc_array(config, "ScalingPolicies"), i, input) {
		if (!is_going(as, input) && apply_policy(as, input, err) < 0) {
			err_wrap(err, "ScalingPolicies[%zu]: ", i);
			return -1;
		}
	}
	json_array_foreach (doc_array(config, "ScheduledActions"), i, input) {
		if (!is_going(as, input) && !is_past(as, input) &&
		    apply_schedule(as, input, err) < 0) {
			err_wrap(err, "ScheduledActions[%zu]: ", i);
			return -1;
		}
	}
	return as->commit(as->commit_arg, err);
}
