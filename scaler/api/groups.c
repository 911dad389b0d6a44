/*
 * Auto Scaling groups: create, update, delete, describe, desired capacity.
 */
#include <stdio.h>
#include <string.h>

#include "common/doc/doc.h"
#include "scaler/api/groups.h"
#include "scaler/api/mixed.h"
#include "scaler/api/policy_alarms.h"
#include "scaler/api/reply.h"

/* ---- what can be asked for ---- */

static bool is_name(const char *name)
{
	for (const char *c = name; *c; c++) {
		if (*c < 33 || *c > 126 || *c == ':')
			return false;
	}
	return name[0] != '\0' && strlen(name) < NAME_MAX_LEN;
}

/* Members that AWS takes and we do not: said, not ignored. */
static const char *unsupported_member(const json_t *input)
{
	static const char *const members[] = {
	    "InstanceId",
	    "LoadBalancerNames",
	};

	for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) {
		const json_t *value = json_object_get(input, members[i]);

		if (value && !(json_is_array(value) && json_array_size(value) == 0) &&
		    !(json_is_integer(value) && json_integer_value(value) == 0))
			return members[i];
	}
	if (strcmp(doc_str(input, "DesiredCapacityType", "units"), "units") != 0)
		return "DesiredCapacityType";
	return NULL;
}

static bool is_termination_policy(const char *name)
{
	static const char *const names[] = {"Default",
					    "OldestInstance",
					    "NewestInstance",
					    "OldestLaunchTemplate",
					    "OldestLaunchConfiguration",
					    "ClosestToNextInstanceHour",
					    "AllocationStrategy"};

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		if (strcmp(names[i], name) == 0)
			return true;
	}
	return false;
}

static int check_policies(const json_t *input, struct aws_error *error)
{
	const json_t *policies = doc_array(input, "TerminationPolicies"), *policy;
	size_t i;

	json_array_foreach (policies, i, policy) {
		const char *name = json_string_value(policy);
		bool is_last = i + 1 == json_array_size(policies);

		if (is_termination_policy(name) && (is_last || strcmp(name, "Default") != 0))
			continue;
		if (strcmp(name, "Default") == 0)
			reply_invalid(error, "The termination policy Default must be the last one");
		else
			reply_invalid(error, "The termination policy '%s' is not supported", name);
		return -1;
	}
	return 0;
}

static int check_health_type(const json_t *input, struct aws_error *error)
{
	const char *text = doc_str(input, "HealthCheckType", "EC2");

	while (*text) {
		size_t len = strcspn(text, ", ");
		bool is_known = (len == 3 && strncmp(text, "EC2", 3) == 0) ||
				(len == 3 && strncmp(text, "ELB", 3) == 0);

		if (len > 0 && !is_known) {
			reply_invalid(error,
				      "The health check type '%.*s' is not supported; EC2 "
				      "and ELB are",
				      (int)len, text);
			return -1;
		}
		text += len + strspn(text + len, ", ");
	}
	return 0;
}

/* At most one source of instances: the policy has its template inside. */
static int check_sources(const json_t *input, struct aws_error *error)
{
	static const char *const sources[] = {"LaunchTemplate", "LaunchConfigurationName",
					      "MixedInstancesPolicy"};
	const char *first = NULL;

	for (size_t i = 0; i < sizeof sources / sizeof sources[0]; i++) {
		if (!doc_has(input, sources[i]))
			continue;
		if (first) {
			reply_invalid(error,
				      "Valid requests must contain either %s or %s, not both",
				      first, sources[i]);
			return -1;
		}
		first = sources[i];
	}
	return 0;
}

static int check_template(const json_t *input, struct aws_error *error)
{
	const json_t *template = doc_object(input, "LaunchTemplate");
	const json_t *policy = doc_object(input, "MixedInstancesPolicy");

	if (check_sources(input, error) < 0 ||
	    (template && mixed_check_template(template, error) < 0))
		return -1;
	return policy ? mixed_check(policy, error) : 0;
}

static int check_numbers(const json_t *input, struct aws_error *error)
{
	static const char *const members[] = {"MinSize", "MaxSize", "DesiredCapacity",
					      "DefaultCooldown", "HealthCheckGracePeriod"};

	for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) {
		if (doc_int(input, members[i], 0) >= 0)
			continue;
		reply_invalid(error, "%s must be greater than or equal to 0", members[i]);
		return -1;
	}
	return 0;
}

static int check_lifetime(const json_t *input, struct aws_error *error)
{
	int64_t lifetime_s = doc_int(input, "MaxInstanceLifetime", 0);

	if (lifetime_s == 0 || lifetime_s >= 86400)
		return 0;
	reply_invalid(error, "MaxInstanceLifetime must be 0 or at least 86400 seconds");
	return -1;
}

/* Both or neither; -1 twice takes it away. */
static int check_maintenance(const json_t *input, struct aws_error *error)
{
	const json_t *policy = doc_object(input, "InstanceMaintenancePolicy");
	int64_t min = doc_int(policy, "MinHealthyPercentage", -2);
	int64_t max = doc_int(policy, "MaxHealthyPercentage", -2);

	if (!policy || (min == -1 && max == -1))
		return 0;
	if (min >= 0 && max >= 100 && max - min <= 100)
		return 0;
	reply_invalid(error,
		      "An InstanceMaintenancePolicy needs a MinHealthyPercentage of 0 to 100 and a "
		      "MaxHealthyPercentage of 100 to 200 that differ by 100 at most, or -1 for "
		      "both");
	return -1;
}

static int check_lifecycle(const json_t *input, struct aws_error *error)
{
	const json_t *triggers =
	    doc_object(doc_object(input, "InstanceLifecyclePolicy"), "RetentionTriggers");
	const char *action = doc_str(triggers, "TerminateHookAbandon", "retain");

	if (strcmp(action, "retain") == 0 || strcmp(action, "terminate") == 0)
		return 0;
	reply_invalid(error, "TerminateHookAbandon '%s' is not valid: retain and terminate are",
		      action);
	return -1;
}

static int check_common(const json_t *input, struct aws_error *error)
{
	const char *member = unsupported_member(input);

	if (member) {
		reply_invalid(error, "%s is not supported yet", member);
		return -1;
	}
	if (check_policies(input, error) < 0 || check_health_type(input, error) < 0 ||
	    check_numbers(input, error) < 0 || check_maintenance(input, error) < 0 ||
	    check_lifetime(input, error) < 0 || check_lifecycle(input, error) < 0)
		return -1;
	return check_template(input, error);
}

int group_check_create(const json_t *input, bool is_from_file, struct aws_error *error)
{
	const char *name = doc_str(input, "AutoScalingGroupName", "");
	int64_t min = doc_int(input, "MinSize", 0), max = doc_int(input, "MaxSize", 0);
	int64_t desired = doc_int(input, "DesiredCapacity", min);
	const char *subnets = doc_str(input, "VPCZoneIdentifier", "");

	if (!is_name(name)) {
		reply_invalid(error,
			      "The group name '%s' is not valid: 1 to 255 printable "
			      "characters without spaces and colons",
			      name);
		return -1;
	}
	if (check_common(input, error) < 0)
		return -1;
	if (!doc_object(input, "LaunchTemplate") && !doc_has(input, "LaunchConfigurationName") &&
	    !doc_object(input, "MixedInstancesPolicy")) {
		reply_invalid(error, "Valid requests must contain either LaunchTemplate, "
				     "LaunchConfigurationName, InstanceId or MixedInstancesPolicy "
				     "parameter. All but InstanceId are supported.");
		return -1;
	}
	if (doc_has(input, "MixedInstancesPolicy") &&
	    mixed_check_whole(doc_object(input, "MixedInstancesPolicy"), error) < 0)
		return -1;
	/* In the file, no zone means: every zone that has a default subnet. */
	if (!is_from_file && !subnets[0] &&
	    json_array_size(doc_array(input, "AvailabilityZones")) == 0) {
		reply_invalid(error, "At least one Availability Zone or VPC Subnet is required.");
		return -1;
	}
	if (min > max || desired < min || desired > max) {
		reply_invalid(error,
			      "Desired capacity:%lld must be between the specified min size:%lld "
			      "and max size:%lld",
			      (long long)desired, (long long)min, (long long)max);
		return -1;
	}
	return 0;
}

/* ---- create, update, delete ---- */

static int check_hooks(const json_t *hooks, struct aws_error *error)
{
	const json_t *hook;
	size_t i;

	json_array_foreach (hooks, i, hook) {
		if (hook_check(hook, error) < 0)
			return -1;
		if (doc_has(hook, "LifecycleTransition"))
			continue;
		reply_invalid(error, "A new lifecycle hook needs a LifecycleTransition");
		return -1;
	}
	return 0;
}

/* What comes with a new group: target groups by their newer name, and hooks. */
static int add_extras(struct autoscaling *as, struct group *group, const json_t *input,
		      struct aws_error *error)
{
	json_t *arns = traffic_sources_arns(input, error);
	const json_t *arn, *hook;
	size_t i;

	json_array_foreach (arns, i, arn)
		engine_attach(group, json_string_value(arn));
	json_decref(arns);
	json_array_foreach (doc_array(input, "LifecycleHookSpecificationList"), i, hook) {
		if (hook_put(as, group, hook, error) < 0)
			return -1;
	}
	return 0;
}

static int check_extras(const json_t *input, struct aws_error *error)
{
	json_t *arns = traffic_sources_arns(input, error);

	if (!arns)
		return -1;
	json_decref(arns);
	return check_hooks(doc_array(input, "LifecycleHookSpecificationList"), error);
}

/* The input with what its launch configuration says (new reference), or NULL with error. */
static json_t *with_config(struct autoscaling *as, const json_t *input, struct aws_error *error)
{
	const char *name = doc_str(input, "LaunchConfigurationName", NULL);
	json_t *config = name ? json_object_get(as->engine->configs, name) : NULL;
	json_t *copy;

	if (name && !config)
		return reply_invalid(
		    error,
		    "Launch configuration name not found - Launch configuration %s "
		    "not found",
		    name);
	copy = json_copy((json_t *)input);
	if (!copy)
		aws_error_set(error, 500, "InternalFailure", "out of memory");
	else if (config)
		json_object_set(copy, "LaunchConfiguration", config);
	return copy;
}

json_t *handle_CreateAutoScalingGroup(void *context, const struct aws_call *call,
				      const json_t *input, struct aws_error *error)
{
	const char *name = doc_str(input, "AutoScalingGroupName", "");
	struct autoscaling *as = context;
	struct err err = {0};
	size_t n = 0;
	struct group *group;
	json_t *whole;

	(void)call;
	if (group_check_create(input, false, error) < 0 ||
	    target_groups_check(doc_array(input, "TargetGroupARNs"), error) < 0 ||
	    check_extras(input, error) < 0)
		return NULL;
	if (engine_group(as->engine, name)) {
		aws_error_set(
		    error, 400, "AlreadyExists",
		    "AutoScalingGroup by this name already exists - A group with the name "
		    "%s already exists",
		    name);
		return NULL;
	}
	TAILQ_FOREACH (group, &as->engine->groups, link)
		n++;
	if (n >= MAX_GROUPS) {
		aws_error_set(error, 400, "LimitExceeded", "There are %d groups already.",
			      MAX_GROUPS);
		return NULL;
	}
	whole = with_config(as, input, error);
	if (!whole)
		return NULL;
	group = engine_create_group(as->engine, whole, reply_now_ms(as), &err);
	json_decref(whole);
	if (!group)
		return reply_invalid(error, "%s", err.text);
	if (add_extras(as, group, input, error) < 0)
		return NULL;
	return reply_written(as, json_object(), error);
}

json_t *handle_UpdateAutoScalingGroup(void *context, const struct aws_call *call,
				      const json_t *input, struct aws_error *error)
{
	struct autoscaling *as = context;
	struct group *group = reply_group(as, input, error);
	struct err err = {0};
	json_t *whole;
	int result;

	(void)call;
	if (!group || check_common(input, error) < 0)
		return NULL;
	if (group->is_deleting) {
		aws_error_set(error, 400, "ScalingActivityInProgress",
			      "AutoScalingGroup '%s' is being deleted", group->name);
		return NULL;
	}
	if (group_warm_pool(group) && doc_has(input, "MixedInstancesPolicy"))
		return reply_invalid(error, "A group with a warm pool cannot have a mixed "
					    "instances policy.");
	whole = with_config(as, input, error);
	if (whole && mixed_merge(group, whole, error) < 0) {
		json_decref(whole);
		whole = NULL;
	}
	if (!whole)
		return NULL;
	result = engine_update_group(group, whole, reply_now_ms(as), &err);
	json_decref(whole);
	if (result < 0)
		return reply_invalid(error, "%s", err.text);
	return reply_written(as, json_object(), error);
}

void group_delete(struct autoscaling *as, struct group *group)
{
	struct policy *policy, *next;

	TAILQ_FOREACH_SAFE (policy, &group->policies, link, next)
		policy_delete(as, group, policy);
	engine_delete_group(as->engine, group, reply_now_ms(as));
}

/* Those on standby and on their way out of the group are still its. */
static bool holds_instances(const struct group *group)
{
	const struct instance *instance;

	TAILQ_FOREACH (instance, &group->instances, link) {
		if (instance->state != INSTANCE_TERMINATING &&
		    instance->state != INSTANCE_TERMINATED)
			return true;
	}
	return false;
}

static bool has_running_activity(const struct group *group)
{
	const struct activity *activity;

	TAILQ_FOREACH (activity, &group->activities, link) {
		if (activity->end_ms == 0)
			return true;
	}
	return false;
}

json_t *handle_DeleteAutoScalingGroup(void *context, const struct aws_call *call,
				      const json_t *input, struct aws_error *error)
{
	struct autoscaling *as = context;
	struct group *group = reply_group(as, input, error);
	bool is_forced = doc_bool(input, "ForceDelete", false);

	(void)call;
	if (!group)
		return NULL;
	if (!is_forced && holds_instances(group)) {
		aws_error_set(error, 400, "ResourceInUse",
			      "You cannot delete an AutoScalingGroup while there are instances or "
			      "pending Spot instance request(s) still in the group.");
		return NULL;
	}
	if (!is_forced && has_running_activity(group)) {
		aws_error_set(error, 400, "ScalingActivityInProgress",
			      "You cannot delete an AutoScalingGroup while there are scaling "
			      "activities in progress for that group.");
		return NULL;
	}
	if (!TAILQ_EMPTY(&group->instances) && !reply_may_touch(as, error))
		return NULL;
	group_delete(as, group);
	return reply_written(as, json_object(), error);
}

/* ---- desired capacity ---- */

json_t *handle_SetDesiredCapacity(void *context, const struct aws_call *call, const json_t *input,
				  struct aws_error *error)
{
	struct autoscaling *as = context;
	struct group *group = reply_group(as, input, error);
	struct err err = {0};

	(void)call;
	if (!group)
		return NULL;
	if (doc_bool(input, "HonorCooldown", false) &&
	    group_is_cooling_down(group, reply_now_ms(as))) {
		aws_error_set(
		    error, 400, "ScalingActivityInProgress",
		    "Scaling activity is in progress, or the group's cooldown is not over.");
		return NULL;
	}
	if (engine_set_desired(group, (int)doc_int(input, "DesiredCapacity", 0), reply_now_ms(as),
			       &err) < 0)
		return reply_invalid(error, "%s", err.text);
	return reply_written(as, json_object(), error);
}

/* ---- describe ---- */

/* tag-key, tag-value, tag:KEY: values OR, filters AND. */
static bool tag_matches(const json_t *tag, const char *filter, const json_t *values)
{
	if (strcmp(filter, "tag-key") == 0)
		return doc_list_has(values, doc_str(tag, "Key", ""));
	if (strcmp(filter, "tag-value") == 0)
		return doc_list_has(values, doc_str(tag, "Value", ""));
	return strcmp(filter + strlen("tag:"), doc_str(tag, "Key", "")) == 0 &&
	       doc_list_has(values, doc_str(tag, "Value", ""));
}

static bool matches(const struct group *group, const json_t *filters)
{
	const json_t *filter, *tag;
	size_t i, k;

	json_array_foreach (filters, i, filter) {
		bool is_met = false;

		json_array_foreach (doc_array(group->document, "Tags"), k, tag)
			is_met |= tag_matches(tag, doc_str(filter, "Name", ""),
					      doc_array(filter, "Values"));
		if (!is_met)
			return false;
	}
	return true;
}

static int check_filters(const json_t *filters, struct aws_error *error)
{
	const json_t *filter;
	size_t i;

	json_array_foreach (filters, i, filter) {
		const char *name = doc_str(filter, "Name", "");

		if (strcmp(name, "tag-key") == 0 || strcmp(name, "tag-value") == 0 ||
		    strncmp(name, "tag:", 4) == 0)
			continue;
		reply_invalid(error,
			      "The filter '%s' is not supported; tag-key, tag-value and "
			      "tag:KEY are",
			      name);
		return -1;
	}
	return 0;
}

json_t *handle_DescribeAutoScalingGroups(void *context, const struct aws_call *call,
					 const json_t *input, struct aws_error *error)
{
	bool with_instances = doc_bool(input, "IncludeInstances", true);
	const json_t *filters = doc_array(input, "Filters");
	struct autoscaling *as = context;
	const struct group *group;
	json_t *items;

	(void)call;
	if (check_filters(filters, error) < 0)
		return NULL;
	items = json_array();
	TAILQ_FOREACH (group, &as->engine->groups, link) {
		if (reply_wants(input, "AutoScalingGroupNames", group->name) &&
		    matches(group, filters))
			json_array_append_new(items, group_describe(group, with_instances));
	}
	return reply_page(input, "AutoScalingGroups", items, 50, 100, error);
}
