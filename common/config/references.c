/* See references.h.  Sets of names are JSON objects: name -> where it stands. */
#include "common/config/references.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/ids.h"
#include "common/doc/doc.h"

struct scope {
	const json_t *config;
	json_t *target_groups, *launch_templates, *groups;
	json_t *policies; /* false as its place: of several groups */
	json_t *ports;    /* "ADDRESS:PORT" */
	struct err *err;

	/* Of the load balancer that is being checked. */
	const char *address;
	size_t load_balancer;
};

typedef int (*check_fn)(struct scope *scope, const json_t *item, size_t index);

/* Every item of a list; the error's path grows by the list's name and the index. */
static int check_each(struct scope *scope, const json_t *object, const char *member, check_fn check)
{
	const json_t *item;
	size_t i;

	json_array_foreach (doc_array(object, member), i, item) {
		if (check(scope, item, i) == 0)
			continue;
		err_wrap(scope->err, "%s[%zu]%s", member, i, json_is_object(item) ? "." : ": ");
		return -1;
	}
	return 0;
}

static int out_of_memory(struct scope *scope)
{
	err_set(scope->err, ENOMEM, "out of memory");
	return -1;
}

/* Names. */

/* Puts name into a set, with its place; an error when it is there. */
static int claim(struct scope *scope, json_t *set, const char *name, const char *place,
		 const char *said)
{
	const char *other = json_string_value(json_object_get(set, name));

	if (other != NULL) {
		err_set(scope->err, EINVAL, "%s is also that of %s", said, other);
		return -1;
	}
	if (json_object_set_new(set, name, json_string(place)) != 0)
		return out_of_memory(scope);
	return 0;
}

/* Names are unique in a section, or, with owner, among those of one owner. */
static int check_unique(struct scope *scope, const char *section, const char *member,
			const char *owner, json_t *set)
{
	const json_t *item;
	size_t i;

	json_array_foreach (doc_array(scope->config, section), i, item) {
		const char *name = doc_str(item, member, "");
		char place[64], said[300];
		char *key;
		int status;

		snprintf(place, sizeof(place), "%s[%zu]", section, i);
		snprintf(said, sizeof(said), "'%s'", name);
		if (asprintf(&key, "%s%s%s", owner == NULL ? "" : doc_str(item, owner, ""),
			     owner == NULL ? "" : "/", name) < 0)
			return out_of_memory(scope);
		status = claim(scope, set, key, place, said);
		free(key);
		if (status != 0) {
			err_wrap(scope->err, "%s.%s: ", place, member);
			return -1;
		}
	}
	return 0;
}

/* For names that nothing refers to. */
static int check_unique_only(struct scope *scope, const char *section, const char *member,
			     const char *owner)
{
	json_t *set = json_object();
	int status =
	    set == NULL ? out_of_memory(scope) : check_unique(scope, section, member, owner, set);

	json_decref(set);
	return status;
}

/* Policies have their names from their groups; alarms name them without. */
static int collect_policy(struct scope *scope, const json_t *policy, size_t index)
{
	const char *name = doc_str(policy, "PolicyName", "");
	bool is_known = json_object_get(scope->policies, name) != NULL;

	(void)index;
	if (json_object_set_new(scope->policies, name, json_boolean(!is_known)) != 0)
		return out_of_memory(scope);
	return 0;
}

/* Alarms name topics as they name policies. */
static int collect_topics(struct scope *scope)
{
	const json_t *topic;
	size_t i;

	json_array_foreach (doc_array(doc_object(scope->config, "Scaler"), "Topics"), i, topic) {
		const char *name = doc_str(topic, "Name", "");

		if (json_object_get(scope->policies, name) == NULL &&
		    json_object_set_new(scope->policies, name, json_true()) != 0)
			return out_of_memory(scope);
	}
	return 0;
}

static int collect_names(struct scope *scope)
{
	if (check_unique_only(scope, "LoadBalancers", "LoadBalancerName", NULL) != 0 ||
	    check_unique(scope, "TargetGroups", "TargetGroupName", NULL, scope->target_groups) !=
		0 ||
	    check_unique(scope, "LaunchTemplates", "LaunchTemplateName", NULL,
			 scope->launch_templates) != 0 ||
	    check_unique(scope, "AutoScalingGroups", "AutoScalingGroupName", NULL, scope->groups) !=
		0 ||
	    check_unique_only(scope, "ScalingPolicies", "PolicyName", "AutoScalingGroupName") !=
		0 ||
	    check_unique_only(scope, "ScheduledActions", "ScheduledActionName",
			      "AutoScalingGroupName") != 0 ||
	    check_unique_only(scope, "LifecycleHooks", "LifecycleHookName",
			      "AutoScalingGroupName") != 0 ||
	    check_unique_only(scope, "WarmPools", "AutoScalingGroupName", NULL) != 0 ||
	    check_unique_only(scope, "MetricAlarms", "AlarmName", NULL) != 0)
		return -1;
	if (check_each(scope, scope->config, "ScalingPolicies", collect_policy) != 0)
		return -1;
	return collect_topics(scope);
}

/* The nearest name of a set, borrowed; NULL when none is near. */
static const char *nearest_in(json_t *set, const char *name)
{
	const char **names = calloc(json_object_size(set) + 1, sizeof(*names));
	const char *key, *nearest;
	json_t *place;
	size_t n = 0;

	if (names == NULL)
		return NULL;
	json_object_foreach (set, key, place)
		names[n++] = key;
	nearest = doc_nearest(name, names);
	free(names);
	return nearest;
}

/* what: "target group". */
static int check_named(struct scope *scope, json_t *set, const char *what, const char *name)
{
	const char *nearest;

	if (json_object_get(set, name) != NULL)
		return 0;
	nearest = nearest_in(set, name);
	if (nearest != NULL)
		err_set(scope->err, ENOENT,
			"there is no %s '%.255s' in this file; did you mean '%.100s'?", what, name,
			nearest);
	else
		err_set(scope->err, ENOENT, "there is no %s '%.255s' in this file", what, name);
	return -1;
}

/* An ARN is of something that may be anywhere. */
static int check_named_or_arn(struct scope *scope, json_t *set, const char *what, const char *name)
{
	if (strncmp(name, "arn:", 4) != 0)
		return check_named(scope, set, what, name);
	if (arn_is(name))
		return 0;
	err_set(scope->err, EINVAL, "'%.255s' is not a whole ARN", name);
	return -1;
}

/* Load balancers. */

static int check_target_group_arn(struct scope *scope, const json_t *object, size_t index)
{
	const char *name = doc_str(object, "TargetGroupArn", NULL);

	(void)index;
	if (name == NULL ||
	    check_named_or_arn(scope, scope->target_groups, "target group", name) == 0)
		return 0;
	err_wrap(scope->err, "TargetGroupArn: ");
	return -1;
}

static int check_action(struct scope *scope, const json_t *action, size_t index)
{
	if (check_target_group_arn(scope, action, index) != 0)
		return -1;
	if (check_each(scope, doc_object(action, "ForwardConfig"), "TargetGroups",
		       check_target_group_arn) == 0)
		return 0;
	err_wrap(scope->err, "ForwardConfig.");
	return -1;
}

static int check_rule(struct scope *scope, const json_t *rule, size_t index)
{
	(void)index;
	return check_each(scope, rule, "Actions", check_action);
}

enum { PRIORITY_MAX = 50000 }; /* the shape's */

static int check_priorities(struct scope *scope, const json_t *listener)
{
	uint32_t *taken = calloc(PRIORITY_MAX + 1, sizeof(*taken)); /* by which rule, from 1 on */
	const json_t *rule;
	int status = 0;
	size_t i;

	if (taken == NULL)
		return out_of_memory(scope);
	json_array_foreach (doc_array(listener, "Rules"), i, rule) {
		int64_t priority = doc_int(rule, "Priority", 0);

		if (priority < 0 || priority > PRIORITY_MAX)
			continue;
		if (taken[priority] == 0) {
			taken[priority] = (uint32_t)i + 1;
			continue;
		}
		err_set(scope->err, EINVAL,
			"Rules[%zu].Priority: %" PRId64 " is also that of Rules[%" PRIu32 "]", i,
			priority, taken[priority] - 1);
		status = -1;
		break;
	}
	free(taken);
	return status;
}

static int check_port(struct scope *scope, const json_t *listener, size_t index)
{
	int64_t port = doc_int(listener, "Port", 0);
	char key[128], place[80];

	if (port == 0) {
		err_set(scope->err, EINVAL, "Port: required, but missing");
		return -1;
	}
	snprintf(key, sizeof(key), "%s:%" PRId64, scope->address, port);
	snprintf(place, sizeof(place), "LoadBalancers[%zu].Listeners[%zu]", scope->load_balancer,
		 index);
	if (claim(scope, scope->ports, key, place, key) == 0)
		return 0;
	err_wrap(scope->err, "Port: ");
	return -1;
}

static int check_listener(struct scope *scope, const json_t *listener, size_t index)
{
	if (check_port(scope, listener, index) != 0 || check_priorities(scope, listener) != 0 ||
	    check_each(scope, listener, "DefaultActions", check_action) != 0 ||
	    check_each(scope, listener, "Rules", check_rule) != 0)
		return -1;
	return 0;
}

static int check_load_balancer(struct scope *scope, const json_t *load_balancer, size_t index)
{
	unsigned char room[sizeof(struct in6_addr)];

	scope->load_balancer = index;
	scope->address = doc_str(load_balancer, "ListenAddress", "0.0.0.0");
	if (inet_pton(AF_INET, scope->address, room) != 1 &&
	    inet_pton(AF_INET6, scope->address, room) != 1) {
		err_set(scope->err, EINVAL, "ListenAddress: '%.64s' is not an IP address",
			scope->address);
		return -1;
	}
	return check_each(scope, load_balancer, "Listeners", check_listener);
}

/* Groups. */

static int check_target_group_name(struct scope *scope, const json_t *item, size_t index)
{
	(void)index;
	return check_named_or_arn(scope, scope->target_groups, "target group",
				  json_string_value(item));
}

/* A name that the file lacks may be of a template that EC2 has, unless the file defines some of its
 * own: then it is a slip more often than not, and LaunchTemplateId is there for the rest. */
static int check_template(struct scope *scope, const json_t *object, const char *member)
{
	const char *name = doc_str(doc_object(object, member), "LaunchTemplateName", NULL);

	if (name == NULL || json_object_size(scope->launch_templates) == 0 ||
	    check_named(scope, scope->launch_templates, "launch template", name) == 0)
		return 0;
	err_wrap(scope->err, "%s.LaunchTemplateName: ", member);
	return -1;
}

static int check_override(struct scope *scope, const json_t *override, size_t index)
{
	(void)index;
	return check_template(scope, override, "LaunchTemplateSpecification");
}

static int check_mixed_instances(struct scope *scope, const json_t *group)
{
	const json_t *template =
	    doc_object(doc_object(group, "MixedInstancesPolicy"), "LaunchTemplate");

	if (check_template(scope, template, "LaunchTemplateSpecification") == 0 &&
	    check_each(scope, template, "Overrides", check_override) == 0)
		return 0;
	err_wrap(scope->err, "MixedInstancesPolicy.LaunchTemplate.");
	return -1;
}

static int check_sizes(struct scope *scope, const json_t *object, size_t index)
{
	int64_t min = doc_int(object, "MinSize", 0);
	int64_t max = doc_int(object, "MaxSize", INT64_MAX);
	int64_t desired = doc_int(object, "DesiredCapacity", min);

	(void)index;
	if (min > max) {
		err_set(scope->err, EINVAL,
			"MinSize: %" PRId64 " is more than MaxSize, which is %" PRId64, min, max);
		return -1;
	}
	if (desired >= min && desired <= max)
		return 0;
	err_set(scope->err, EINVAL,
		"DesiredCapacity: %" PRId64 " is %s than M%sSize, which is %" PRId64, desired,
		desired < min ? "less" : "more", desired < min ? "in" : "ax",
		desired < min ? min : max);
	return -1;
}

static int check_group(struct scope *scope, const json_t *group, size_t index)
{
	if (check_sizes(scope, group, index) != 0 ||
	    check_template(scope, group, "LaunchTemplate") != 0 ||
	    check_mixed_instances(scope, group) != 0)
		return -1;
	return check_each(scope, group, "TargetGroupARNs", check_target_group_name);
}

static int check_group_name(struct scope *scope, const json_t *object, size_t index)
{
	(void)index;
	if (check_named(scope, scope->groups, "auto scaling group",
			doc_str(object, "AutoScalingGroupName", "")) == 0)
		return 0;
	err_wrap(scope->err, "AutoScalingGroupName: ");
	return -1;
}

static int check_scheduled_action(struct scope *scope, const json_t *action, size_t index)
{
	if (check_sizes(scope, action, index) != 0)
		return -1;
	return check_group_name(scope, action, index);
}

/* Alarms. */

static int check_alarm_action(struct scope *scope, const json_t *item, size_t index)
{
	const char *name = json_string_value(item);

	(void)index;
	if (check_named_or_arn(scope, scope->policies, "scaling policy", name) != 0)
		return -1;
	if (!json_is_false(json_object_get(scope->policies, name)))
		return 0;
	err_set(scope->err, EINVAL,
		"several groups have a scaling policy '%.255s'; give them names of their own",
		name);
	return -1;
}

static int check_alarm(struct scope *scope, const json_t *alarm, size_t index)
{
	(void)index;
	if (check_each(scope, alarm, "AlarmActions", check_alarm_action) != 0 ||
	    check_each(scope, alarm, "OKActions", check_alarm_action) != 0)
		return -1;
	return check_each(scope, alarm, "InsufficientDataActions", check_alarm_action);
}

static int check_all(struct scope *scope)
{
	static const struct {
		const char *section;
		check_fn check;
	} sections[] = {
	    {"LoadBalancers", check_load_balancer}, {"AutoScalingGroups", check_group},
	    {"ScalingPolicies", check_group_name},  {"ScheduledActions", check_scheduled_action},
	    {"LifecycleHooks", check_group_name},   {"WarmPools", check_group_name},
	    {"MetricAlarms", check_alarm},
	};

	if (scope->target_groups == NULL || scope->launch_templates == NULL ||
	    scope->groups == NULL || scope->policies == NULL || scope->ports == NULL)
		return out_of_memory(scope);
	if (collect_names(scope) != 0)
		return -1;
	for (size_t i = 0; i < sizeof(sections) / sizeof(sections[0]); i++) {
		if (check_each(scope, scope->config, sections[i].section, sections[i].check) != 0)
			return -1;
	}
	return 0;
}

int config_check_references(const json_t *config, struct err *err)
{
	struct scope scope = {
	    .config = config,
	    .target_groups = json_object(),
	    .launch_templates = json_object(),
	    .groups = json_object(),
	    .policies = json_object(),
	    .ports = json_object(),
	    .err = err,
	};
	int status = check_all(&scope);

	json_decref(scope.target_groups);
	json_decref(scope.launch_templates);
	json_decref(scope.groups);
	json_decref(scope.policies);
	json_decref(scope.ports);
	return status;
}
