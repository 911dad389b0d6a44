/*
 * The file's listeners (known by their port) and rules (known by their priority).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/ids.h"
#include "common/doc/doc.h"
#include "lb/control/file_step.h"

/* The ARN of the group that the holder names, borrowed; NULL when there is none, or it is an ARN.
 */
static json_t *group_arn(struct file_step *step, const json_t *holder)
{
	const char *name = doc_str(holder, "TargetGroupArn", NULL);
	json_t *arn, *group;

	if (!name || arn_is(name))
		return NULL;
	arn = json_object_get(step->groups, name);
	if (arn)
		return arn;
	group = resource_by_name(&step->api, RESOURCE_TARGET_GROUP, name);
	if (group)
		json_object_set(step->groups, name, json_object_get(group, "TargetGroupArn"));
	json_decref(group);
	return json_object_get(step->groups, name);
}

/* A name instead of an ARN becomes the ARN. */
static void resolve_group(struct file_step *step, json_t *holder)
{
	json_t *arn = group_arn(step, holder);

	if (arn)
		json_object_set(holder, "TargetGroupArn", arn);
}

/* New reference: the actions with ARNs. */
static json_t *resolve_actions(struct file_step *step, const json_t *actions)
{
	json_t *copy = json_deep_copy(actions);
	json_t *action, *tuple;
	size_t i, j;

	json_array_foreach (copy, i, action) {
		resolve_group(step, action);
		json_array_foreach (doc_array(doc_object(action, "ForwardConfig"), "TargetGroups"),
				    j, tuple)
			resolve_group(step, tuple);
	}
	return copy;
}

/* New reference to the child whose member says value; NULL. */
static json_t *find_child(json_t *children, const char *member, int64_t value)
{
	json_t *child, *found = NULL;
	size_t i;

	json_array_foreach (children, i, child) {
		const char *text = doc_str(child, member, NULL);
		int64_t own = text ? strtoll(text, NULL, 10) : doc_int(child, member, -1);

		if (own == value)
			found = json_incref(child);
	}
	json_decref(children);
	return found;
}

/* A member of object in input, when it is there. */
static void hand_on(json_t *input, const json_t *object, const char *member)
{
	if (doc_has(object, member))
		json_object_set(input, member, json_object_get(object, member));
}

/* What the file no longer says of transforms is no more. */
static json_t *modify_input(const json_t *old, const json_t *object, json_t *actions)
{
	json_t *input =
	    json_pack("{s:O,s:O,s:O}", "RuleArn", json_object_get(old, "RuleArn"), "Conditions",
		      doc_array(object, "Conditions"), "Actions", actions);

	hand_on(input, object, "Transforms");
	if (json_array_size(doc_array(object, "Transforms")) == 0)
		json_object_set_new(input, "ResetTransforms", json_true());
	return input;
}

static json_t *create_input(const char *listener_arn, const json_t *object, json_t *actions)
{
	json_t *input = json_pack("{s:s,s:O,s:O,s:O}", "ListenerArn", listener_arn, "Priority",
				  json_object_get(object, "Priority"), "Conditions",
				  doc_array(object, "Conditions"), "Actions", actions);

	hand_on(input, object, "Transforms");
	hand_on(input, object, "Tags");
	return input;
}

/* ---- rules: what is as it was costs little ---- */

/* Of the file's rule and of the groups that it names. */
static uint64_t digest_of(struct file_step *step, const json_t *object)
{
	uint64_t digest = doc_digest(object);
	const json_t *action, *tuple;
	size_t i, j;

	json_array_foreach (doc_array(object, "Actions"), i, action) {
		digest = digest * 31 + doc_digest(group_arn(step, action));
		json_array_foreach (doc_array(doc_object(action, "ForwardConfig"), "TargetGroups"),
				    j, tuple)
			digest = digest * 31 + doc_digest(group_arn(step, tuple));
	}
	return digest;
}

static void note_rule(struct file_step *step, json_t *arn, uint64_t digest)
{
	struct file_rule *rule = malloc(sizeof(*rule));

	file_note(step, arn);
	if (!rule)
		return; /* not remembered: applied anew next time */
	rule->digest = digest;
	snprintf(rule->arn, sizeof(rule->arn), "%s", json_string_value(arn));
	STAILQ_INSERT_TAIL(&step->changed, rule, link);
}

/* old: the rule with this priority, or NULL. */
static int change_rule(struct file_step *step, const char *listener_arn, const json_t *old,
		       const json_t *object, uint64_t digest, struct err *err)
{
	json_t *actions = resolve_actions(step, doc_array(object, "Actions"));
	json_t *input =
	    old ? modify_input(old, object, actions) : create_input(listener_arn, object, actions);
	json_t *answer = file_call(step, old ? "ModifyRule" : "CreateRule", input, err);

	if (answer)
		note_rule(step,
			  json_object_get(json_array_get(doc_array(answer, "Rules"), 0), "RuleArn"),
			  digest);
	json_decref(actions);
	json_decref(input);
	json_decref(answer);
	return answer ? 0 : -1;
}

static int apply_rule(struct file_step *step, const char *listener_arn, const json_t *old,
		      const json_t *object, struct err *err)
{
	uint64_t digest = digest_of(step, object);

	if (!old || !file_memory_has(step->memory, old, digest))
		return change_rule(step, listener_arn, old, object, digest, err);
	file_note(step, json_object_get(old, "RuleArn"));
	return 0;
}

static bool has_child(const json_t *objects, const char *member, int64_t value)
{
	const json_t *object;
	size_t i;

	json_array_foreach (objects, i, object) {
		if (doc_int(object, member, -1) == value)
			return true;
	}
	return false;
}

enum { PRIORITIES = 50001 }; /* 0 is nobody's */

/* The rules that a listener had, by priority. */
struct old_rules {
	json_t *rules[PRIORITIES]; /* held; NULL = none */
	bool is_named[PRIORITIES]; /* by the file, too */
};

static size_t place_of(int64_t priority)
{
	return priority > 0 && priority < PRIORITIES ? (size_t)priority : 0;
}

static bool gather_rule(void *arg, const char *key, const json_t *rule, int64_t revision)
{
	struct old_rules *old = arg;
	size_t place = place_of(strtoll(doc_str(rule, "Priority", ""), NULL, 10));

	(void)key;
	(void)revision;
	if (place > 0 && !old->rules[place])
		old->rules[place] = json_incref((json_t *)rule);
	return true;
}

static struct old_rules *old_rules_new(struct file_step *step, const char *listener_arn)
{
	struct old_rules *old = calloc(1, sizeof(*old));
	char prefix[ELB_KEY_MAX + 16];

	if (old && resource_children_prefix(listener_arn, RESOURCE_RULE, prefix) == 0)
		store_scan(step->api.store, prefix, gather_rule, old);
	return old;
}

static void old_rules_free(struct old_rules *old)
{
	for (size_t i = 0; i < PRIORITIES; i++)
		json_decref(old->rules[i]);
	free(old);
}

/* Rules that an earlier file made here and this one does not name. */
static int delete_stale_rules(struct file_step *step, struct old_rules *old, const json_t *rules,
			      struct err *err)
{
	const json_t *object;
	size_t i;

	json_array_foreach (rules, i, object)
		old->is_named[place_of(doc_int(object, "Priority", 0))] = true;
	for (i = 1; i < PRIORITIES; i++) {
		const char *arn = doc_str(old->rules[i], "RuleArn", "");

		if (!old->rules[i] || old->is_named[i] || !file_made(step, arn))
			continue;
		if (file_do(step, "DeleteRule", json_pack("{s:s}", "RuleArn", arn), err) < 0)
			return -1;
	}
	return 0;
}

static int apply_rules(struct file_step *step, const char *listener_arn, const json_t *rules,
		       struct err *err)
{
	struct old_rules *old = old_rules_new(step, listener_arn);
	const json_t *rule;
	int result;
	size_t i;

	if (!old) {
		err_set(err, ENOMEM, "out of memory");
		return -1;
	}
	result = delete_stale_rules(step, old, rules, err);
	json_array_foreach (rules, i, rule) {
		if (result < 0)
			break;
		result = apply_rule(step, listener_arn,
				    old->rules[place_of(doc_int(rule, "Priority", 0))], rule, err);
		if (result < 0)
			err_wrap(err, ".Rules[%zu]: ", i);
	}
	old_rules_free(old);
	return result;
}

static json_t *listener_input(const char *load_balancer_arn, const json_t *old,
			      const json_t *object, json_t *actions)
{
	json_t *input = json_pack("{s:s,s:s,s:O,s:O}", old ? "ListenerArn" : "LoadBalancerArn",
				  old ? doc_str(old, "ListenerArn", "") : load_balancer_arn,
				  "Protocol", doc_str(object, "Protocol", "HTTP"), "Port",
				  json_object_get(object, "Port"), "DefaultActions", actions);

	if (input && !old && doc_has(object, "Tags"))
		json_object_set(input, "Tags", doc_array(object, "Tags"));
	return input;
}

static int apply_attributes_and_rules(struct file_step *step, const char *arn, const json_t *object,
				      struct err *err)
{
	if (file_apply_attributes(step, arn, doc_object(object, "Attributes"),
				  "ModifyListenerAttributes", "ListenerArn", err) < 0) {
		err_wrap(err, ".Attributes: ");
		return -1;
	}
	return apply_rules(step, arn, doc_array(object, "Rules"), err);
}

static int apply_listener(struct file_step *step, const char *load_balancer_arn,
			  const json_t *object, struct err *err)
{
	json_t *old =
	    find_child(resource_children(&step->api, load_balancer_arn, RESOURCE_LISTENER), "Port",
		       doc_int(object, "Port", 0));
	json_t *actions = resolve_actions(step, doc_array(object, "DefaultActions"));
	json_t *input = listener_input(load_balancer_arn, old, object, actions);
	json_t *answer = file_call(step, old ? "ModifyListener" : "CreateListener", input, err);
	const char *arn =
	    doc_str(json_array_get(doc_array(answer, "Listeners"), 0), "ListenerArn", "");
	int result = -1;

	if (answer) {
		file_note(step, json_object_get(json_array_get(doc_array(answer, "Listeners"), 0),
						"ListenerArn"));
		result = apply_attributes_and_rules(step, arn, object, err);
	} else {
		err_wrap(err, ": ");
	}
	json_decref(answer);
	json_decref(input);
	json_decref(actions);
	json_decref(old);
	return result;
}

static int delete_stale_listeners(struct file_step *step, const char *load_balancer_arn,
				  const json_t *listeners, struct err *err)
{
	json_t *children = resource_children(&step->api, load_balancer_arn, RESOURCE_LISTENER);
	const json_t *child;
	int result = 0;
	size_t i;

	json_array_foreach (children, i, child) {
		const char *arn = doc_str(child, "ListenerArn", "");

		if (result == 0 && file_made(step, arn) &&
		    !has_child(listeners, "Port", doc_int(child, "Port", 0)))
			result = file_do(step, "DeleteListener",
					 json_pack("{s:s}", "ListenerArn", arn), err);
	}
	json_decref(children);
	return result;
}

int file_apply_listeners(struct file_step *step, const char *load_balancer_arn,
			 const json_t *load_balancer, struct err *err)
{
	const json_t *listeners = doc_array(load_balancer, "Listeners");
	const json_t *listener;
	size_t i;

	if (delete_stale_listeners(step, load_balancer_arn, listeners, err) < 0)
		return -1;
	json_array_foreach (listeners, i, listener) {
		if (apply_listener(step, load_balancer_arn, listener, err) < 0) {
			err_wrap(err, ".Listeners[%zu]", i);
			return -1;
		}
	}
	return 0;
}
