/*
 * Rules: create, describe in order of priority, modify, reorder, delete.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/ids.h"
#include "common/doc/doc.h"
#include "lb/api/resource.h"
#include "lb/api/rule_parts.h"
#include "lb/api/rule_uses.h"

enum { PRIORITY_MAX = 50000 };

/* The default rule stands behind all others. */
static int64_t priority_of(const json_t *rule)
{
	const char *text = doc_str(rule, "Priority", "default");

	return strcmp(text, "default") == 0 ? INT64_MAX : strtoll(text, NULL, 10);
}

static void page_key(const json_t *item, char key[ELB_KEY_MAX])
{
	int64_t priority = priority_of(item);

	/* Rules of several listeners may be asked for together. */
	snprintf(key, ELB_KEY_MAX, "%05" PRId64 " %s", priority == INT64_MAX ? 99999 : priority,
		 resource_suffix(doc_str(item, "RuleArn", "")));
}

struct ranked {
	int64_t priority;
	json_t *rule;
};

static int by_priority(const void *a, const void *b)
{
	const struct ranked *x = a, *y = b;

	if (x->priority != y->priority)
		return (x->priority > y->priority) - (x->priority < y->priority);
	return strcmp(doc_str(x->rule, "RuleArn", ""), doc_str(y->rule, "RuleArn", ""));
}

/* New array in order; takes over list; NULL without memory. */
static json_t *sorted(json_t *list)
{
	size_t n = json_array_size(list);
	struct ranked *ranked = calloc(n + 1, sizeof(*ranked));
	json_t *result = json_array();

	if (!ranked || !result)
		goto out;
	for (size_t i = 0; i < n; i++) {
		json_t *rule = json_array_get(list, i);

		ranked[i] = (struct ranked){priority_of(rule), rule};
	}
	qsort(ranked, n, sizeof(*ranked), by_priority);
	for (size_t i = 0; i < n; i++) {
		if (json_array_append(result, ranked[i].rule) < 0)
			goto out;
	}
	free(ranked);
	json_decref(list);
	return result;
out:
	free(ranked);
	json_decref(result);
	json_decref(list);
	return NULL;
}

static bool gather_rule(void *arg, const char *key, const json_t *rule, int64_t revision)
{
	(void)key;
	(void)revision;
	return json_array_append(arg, (json_t *)rule) == 0;
}

/* New array of the store's own documents: to be read, not changed. */
static json_t *rules_of(struct elb_api *api, const char *listener_arn)
{
	char prefix[ELB_KEY_MAX + 16];
	json_t *list = json_array();

	if (list && resource_children_prefix(listener_arn, RESOURCE_RULE, prefix) == 0)
		store_scan(api->store, prefix, gather_rule, list);
	return list;
}

/* The listener that a rule's ARN names. */
static void listener_arn_of(const char *rule_arn, char arn[ARN_TEXT_MAX])
{
	const char *at = strstr(rule_arn, ":listener-rule/");
	char *last;

	snprintf(arn, ARN_TEXT_MAX, "%.*s:listener/%s", (int)(at - rule_arn), rule_arn,
		 at + strlen(":listener-rule/"));
	last = strrchr(arn, '/');
	if (last)
		*last = '\0';
}

struct priority_search {
	int64_t priority;
	bool is_found;
};

static bool search_priority(void *arg, const char *key, const json_t *rule, int64_t revision)
{
	struct priority_search *search = arg;

	(void)key;
	(void)revision;
	search->is_found = priority_of(rule) == search->priority;
	return !search->is_found;
}

static bool is_in_use(struct elb_api *api, const char *listener_arn, int64_t priority)
{
	struct priority_search search = {.priority = priority};
	char prefix[ELB_KEY_MAX + 16];

	if (rule_uses_are_complete(api->uses))
		return rule_uses_priority(api->uses, listener_arn, priority);
	if (resource_children_prefix(listener_arn, RESOURCE_RULE, prefix) == 0)
		store_scan(api->store, prefix, search_priority, &search);
	return search.is_found;
}

static void error_priority(struct aws_error *error, int64_t priority)
{
	aws_error_set(error, 400, "PriorityInUse", "Priority '%" PRId64 "' is currently in use",
		      priority);
}

/* The parts of a rule that a call gives; owned. */
struct parts {
	json_t *conditions, *actions, *transforms;
};

static void drop_parts(struct parts *parts)
{
	json_decref(parts->conditions);
	json_decref(parts->actions);
	json_decref(parts->transforms);
}

/* Takes over the parts. */
static json_t *build(const char *listener_arn, int64_t priority, const struct parts *parts)
{
	const char *at = strstr(listener_arn, ":listener/");
	char arn[ARN_TEXT_MAX], id[ID_TEXT_MAX], text[32];

	snprintf(arn, sizeof(arn), "%.*s:listener-rule/%s/%s", (int)(at - listener_arn),
		 listener_arn, at + strlen(":listener/"), id_hex16(NULL, id));
	snprintf(text, sizeof(text), "%" PRId64, priority);
	return json_pack("{s:s,s:s,s:o,s:o,s:o,s:b}", "RuleArn", arn, "Priority", text,
			 "Conditions", parts->conditions, "Actions", parts->actions, "Transforms",
			 parts->transforms, "IsDefault", 0);
}

static json_t *put_new(struct elb_api *api, json_t *rule, const json_t *tags,
		       struct aws_error *error)
{
	const char *arn = doc_str(rule, "RuleArn", "");
	char key[ELB_KEY_MAX];
	struct store_txn *txn;

	if (!rule || resource_key(arn, RESOURCE_RULE, key) < 0) {
		error_memory(error);
		goto fail;
	}
	txn = store_begin(api->store);
	if (resource_put_tags(txn, arn, tags, error) < 0) {
		store_abort(txn);
		goto fail;
	}
	store_put_frozen(txn, key, json_incref(rule));
	if (resource_commit(txn, error) == 0)
		return resource_answer("Rules", rule);
fail:
	json_decref(rule);
	return NULL;
}

static int complete_parts(struct elb_api *api, const json_t *listener, const json_t *input,
			  struct parts *parts, struct aws_error *error)
{
	parts->conditions = rule_conditions_complete(doc_array(input, "Conditions"), error);
	if (!parts->conditions)
		return -1;
	parts->actions = rule_actions_complete(api, listener, doc_array(input, "Actions"), error);
	if (!parts->actions)
		return -1;
	parts->transforms = rule_transforms_complete(doc_array(input, "Transforms"), error);
	return parts->transforms ? 0 : -1;
}

json_t *handle_CreateRule(void *context, const struct aws_call *call, const json_t *input,
			  struct aws_error *error)
{
	struct elb_api *api = context;
	const char *listener_arn = doc_str(input, "ListenerArn", "");
	int64_t priority = doc_int(input, "Priority", 0);
	const json_t *listener = resource_peek(api, RESOURCE_LISTENER, listener_arn, error);
	struct parts parts = {0};
	int result = -1;

	(void)call;
	if (!listener)
		return NULL;
	if (is_in_use(api, listener_arn, priority))
		error_priority(error, priority);
	else
		result = complete_parts(api, listener, input, &parts, error);
	if (result == 0)
		return put_new(api, build(listener_arn, priority, &parts), doc_array(input, "Tags"),
			       error);
	drop_parts(&parts);
	return NULL;
}

json_t *handle_DescribeRules(void *context, const struct aws_call *call, const json_t *input,
			     struct aws_error *error)
{
	struct elb_api *api = context;
	const json_t *arns = doc_array(input, "RuleArns");
	const char *listener_arn = doc_str(input, "ListenerArn", NULL);
	json_t *list = NULL;

	(void)call;
	if ((json_array_size(arns) > 0) == (listener_arn != NULL)) {
		error_validation(error, "You must specify either listener rule ARNs or a listener "
					"ARN");
		return NULL;
	}
	if (listener_arn) {
		if (!resource_peek(api, RESOURCE_LISTENER, listener_arn, error))
			return NULL;
		list = rules_of(api, listener_arn);
	} else {
		list = resource_get_all(api, RESOURCE_RULE, arns, error);
	}
	list = list ? sorted(list) : NULL;
	return list ? resource_page(input, "Rules", list, page_key, error) : NULL;
}

/* New reference to a rule that may be changed, or NULL with error. */
static json_t *get_changeable(struct elb_api *api, const char *arn, const char *verb,
			      struct aws_error *error)
{
	json_t *rule = resource_get(api, RESOURCE_RULE, arn, error);

	if (!rule || !doc_bool(rule, "IsDefault", false))
		return rule;
	json_decref(rule);
	aws_error_set(error, 400, "OperationNotPermitted", "Default rule '%.300s' cannot be %s",
		      arn, verb);
	return NULL;
}

static int modify_conditions(json_t *rule, const json_t *input, struct aws_error *error)
{
	const json_t *given = doc_array(input, "Conditions");
	json_t *part;

	if (json_array_size(given) == 0)
		return 0;
	part = rule_conditions_complete(given, error);
	return part ? json_object_set_new(rule, "Conditions", part) : -1;
}

static int modify_actions(struct elb_api *api, json_t *rule, const json_t *input,
			  struct aws_error *error)
{
	const json_t *given = doc_array(input, "Actions");
	char listener_arn[ARN_TEXT_MAX];
	const json_t *listener;
	json_t *part;

	if (json_array_size(given) == 0)
		return 0;
	listener_arn_of(doc_str(rule, "RuleArn", ""), listener_arn);
	listener = resource_peek(api, RESOURCE_LISTENER, listener_arn, error);
	part = rule_actions_complete(api, listener, given, error);
	return part ? json_object_set_new(rule, "Actions", part) : -1;
}

static int modify_transforms(json_t *rule, const json_t *input, struct aws_error *error)
{
	const json_t *given = doc_array(input, "Transforms");
	bool resets = doc_bool(input, "ResetTransforms", false);
	json_t *part;

	if (json_array_size(given) > 0 && resets) {
		error_validation(error,
				 "You cannot specify both 'Transforms' and 'ResetTransforms'");
		return -1;
	}
	if (json_array_size(given) == 0 && !resets)
		return 0;
	part = rule_transforms_complete(given, error);
	return part ? json_object_set_new(rule, "Transforms", part) : -1;
}

static int put_rule(struct elb_api *api, json_t *rule, struct aws_error *error)
{
	char key[ELB_KEY_MAX];
	struct store_txn *txn;

	if (resource_key(doc_str(rule, "RuleArn", ""), RESOURCE_RULE, key) < 0)
		return -1;
	txn = store_begin(api->store);
	store_put_frozen(txn, key, json_incref(rule));
	return resource_commit(txn, error);
}

json_t *handle_ModifyRule(void *context, const struct aws_call *call, const json_t *input,
			  struct aws_error *error)
{
	struct elb_api *api = context;
	json_t *rule = get_changeable(api, doc_str(input, "RuleArn", ""), "modified", error);

	(void)call;
	if (!rule)
		return NULL;
	if (modify_conditions(rule, input, error) == 0 &&
	    modify_actions(api, rule, input, error) == 0 &&
	    modify_transforms(rule, input, error) == 0 && put_rule(api, rule, error) == 0)
		return resource_answer("Rules", rule);
	json_decref(rule);
	return NULL;
}

json_t *handle_DeleteRule(void *context, const struct aws_call *call, const json_t *input,
			  struct aws_error *error)
{
	struct elb_api *api = context;
	const char *arn = doc_str(input, "RuleArn", "");
	json_t *rule = get_changeable(api, arn, "deleted", error);
	struct store_txn *txn;

	(void)call;
	if (!rule)
		return NULL;
	json_decref(rule);
	txn = store_begin(api->store);
	resource_delete(txn, arn);
	return resource_commit(txn, error) == 0 ? json_object() : NULL;
}

/* The rule's new priority, or its own when the call does not name it. */
static int64_t new_priority(const json_t *named, const json_t *rule)
{
	const json_t *given = json_object_get(named, doc_str(rule, "RuleArn", ""));

	return given ? json_integer_value(given) : priority_of(rule);
}

/* All as one step: two rules may swap. */
static int set_priorities(json_t *rules, const json_t *named, struct aws_error *error)
{
	uint8_t taken[PRIORITY_MAX / 8 + 1] = {0};
	json_t *rule;
	size_t i;

	json_array_foreach (rules, i, rule) {
		char text[32];
		int64_t priority = new_priority(named, rule);

		if (priority == INT64_MAX)
			continue;
		if (priority < 1 || priority > PRIORITY_MAX ||
		    taken[priority / 8] >> (priority % 8) & 1) {
			error_priority(error, priority);
			return -1;
		}
		taken[priority / 8] |= (uint8_t)(1u << (priority % 8));
		snprintf(text, sizeof(text), "%" PRId64, priority);
		json_object_set_new(rule, "Priority", json_string(text));
	}
	return 0;
}

/* Also gathers {ARN: priority}, of two for one rule the first. */
static int check_pairs(struct elb_api *api, const json_t *pairs, char listener_arn[ARN_TEXT_MAX],
		       json_t *named, struct aws_error *error)
{
	const json_t *pair;
	size_t i;

	listener_arn[0] = '\0';
	json_array_foreach (pairs, i, pair) {
		const char *arn = doc_str(pair, "RuleArn", "");
		json_t *rule = get_changeable(api, arn, "given a priority", error);
		char own[ARN_TEXT_MAX];

		if (!rule)
			return -1;
		json_decref(rule);
		listener_arn_of(arn, own);
		if (listener_arn[0] && strcmp(own, listener_arn) != 0) {
			error_validation(error, "Rules must belong to the same listener");
			return -1;
		}
		memcpy(listener_arn, own, sizeof(own));
		if (!json_object_get(named, arn))
			json_object_set_new(named, arn, json_integer(doc_int(pair, "Priority", 0)));
	}
	return listener_arn[0] ? 0 : -1;
}

/* Writes those that the call named; they are the answer, too. */
static json_t *put_named(struct elb_api *api, const json_t *rules, const json_t *named,
			 struct aws_error *error)
{
	struct store_txn *txn = store_begin(api->store);
	json_t *list = json_array();
	char key[ELB_KEY_MAX];
	json_t *rule;
	size_t i;

	json_array_foreach (rules, i, rule) {
		const char *arn = doc_str(rule, "RuleArn", "");

		if (!json_object_get(named, arn) || resource_key(arn, RESOURCE_RULE, key) < 0)
			continue;
		store_put_frozen(txn, key, json_incref(rule));
		json_array_append(list, rule);
	}
	if (resource_commit(txn, error) == 0)
		return json_pack("{s:o}", "Rules", list);
	json_decref(list);
	return NULL;
}

json_t *handle_SetRulePriorities(void *context, const struct aws_call *call, const json_t *input,
				 struct aws_error *error)
{
	struct elb_api *api = context;
	const json_t *pairs = doc_array(input, "RulePriorities");
	char listener_arn[ARN_TEXT_MAX];
	json_t *named = json_object(), *rules = NULL, *answer = NULL;

	(void)call;
	if (check_pairs(api, pairs, listener_arn, named, error) < 0) {
		if (!error->http_status)
			error_validation(error, "You must specify at least one rule");
		goto out;
	}
	rules = resource_children(api, listener_arn, RESOURCE_RULE);
	if (set_priorities(rules, named, error) == 0)
		answer = put_named(api, rules, named, error);
out:
	json_decref(rules);
	json_decref(named);
	return answer;
}
