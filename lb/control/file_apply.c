/* See file_apply.h.  Load balancers, target groups and the copy; listeners and rules are in
 * file_listeners.c. */
#include "lb/control/file_apply.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/ids.h"
#include "common/doc/doc.h"
#include "lb/api/rule_uses.h"
#include "lb/api/target_index.h"
#include "lb/control/file_step.h"

#define FILE_KEY "elb/file"

/* An error answer of a handler as an error of the file. */
static void from_aws(struct err *err, const struct aws_error *error)
{
	err_set(err, EINVAL, "%s (%s)", error->message, error->code);
}

json_t *file_call(struct file_step *step, const char *action, const json_t *input, struct err *err)
{
	aws_handler_fn handle = elb_action_find(action);
	struct aws_error error = {0};
	json_t *answer;

	CHECK(handle);
	answer = handle(&step->api, step->call, input, &error);
	if (!answer)
		from_aws(err, &error);
	return answer;
}

int file_do(struct file_step *step, const char *action, json_t *input, struct err *err)
{
	json_t *answer = file_call(step, action, input, err);

	json_decref(input);
	json_decref(answer);
	return answer ? 0 : -1;
}

static json_t *set_of(const json_t *list)
{
	json_t *set = json_object();
	const json_t *text;
	size_t i;

	json_array_foreach (list, i, text)
		json_object_set_new(set, json_string_value(text), json_true());
	return set;
}

bool file_made(struct file_step *step, const char *arn)
{
	if (!step->is_before)
		step->is_before = set_of(step->before);
	return json_object_get(step->is_before, arn) != NULL;
}

void file_note(struct file_step *step, json_t *arn)
{
	json_array_append(step->now, arn);
}

/* {Key: Value} of the file as the API's list. */
static json_t *attribute_list(const json_t *map)
{
	json_t *list = json_array();
	const char *key;
	json_t *value;

	json_object_foreach ((json_t *)map, key, value)
		json_array_append_new(list, json_pack("{s:s,s:O}", "Key", key, "Value", value));
	return list;
}

int file_apply_attributes(struct file_step *step, const char *arn, const json_t *map,
			  const char *action, const char *member, struct err *err)
{
	char key[ELB_KEY_MAX];
	json_t *document, *list;
	const json_t *earlier;
	size_t i;
	int result;

	if (resource_side_key(arn, "attributes", key) < 0)
		return -1;
	document = store_get(step->api.store, key, NULL);
	json_array_foreach (doc_array(step->attributes_before, arn), i, earlier)
		doc_kv_remove(doc_array(document, "Attributes"), json_string_value(earlier));
	if (document && store_put_one(step->api.store, key, document, err) != STORE_OK)
		return -1;
	if (json_object_size(map) == 0)
		return 0;
	list = attribute_list(map);
	result =
	    file_do(step, action, json_pack("{s:s,s:O}", member, arn, "Attributes", list), err);
	if (result == 0) {
		json_t *keys = json_array();
		const json_t *pair;

		json_array_foreach (list, i, pair)
			json_array_append(keys, json_object_get(pair, "Key"));
		json_object_set_new(step->attributes_now, arn, keys);
	}
	json_decref(list);
	return result;
}

static void move_tags(struct file_step *step, struct store_txn *txn, const char *from,
		      const char *to)
{
	char from_key[ELB_KEY_MAX], to_key[ELB_KEY_MAX];
	json_t *tags;

	if (resource_side_key(from, "tags", from_key) < 0 ||
	    resource_side_key(to, "tags", to_key) < 0)
		return;
	tags = store_get(step->api.store, from_key, NULL);
	if (!tags)
		return;
	store_delete(txn, from_key);
	store_put(txn, to_key, tags);
}

/*
 * Makes the document anew by the create handler, so that everything is checked and every default
 * filled in, and puts it where the old one was, with the members of old that identify it.
 */
static int recreate(struct file_step *step, enum resource_kind kind, const json_t *old,
		    json_t *made, const char *const kept[], struct err *err)
{
	const char *arn_member =
	    kind == RESOURCE_LOAD_BALANCER ? "LoadBalancerArn" : "TargetGroupArn";
	char key[ELB_KEY_MAX], new_key[ELB_KEY_MAX];
	struct store_txn *txn;
	json_t *document;

	if (resource_key(doc_str(old, arn_member, ""), kind, key) < 0 ||
	    resource_key(doc_str(made, arn_member, ""), kind, new_key) < 0)
		return -1;
	document = store_get(step->api.store, new_key, NULL);
	for (size_t i = 0; kept[i]; i++)
		json_object_set(document, kept[i], json_object_get(old, kept[i]));
	txn = store_begin(step->api.store);
	store_delete(txn, new_key);
	store_put(txn, key, document);
	move_tags(step, txn, doc_str(made, arn_member, ""), doc_str(old, arn_member, ""));
	return store_commit(txn, err) == STORE_OK ? 0 : -1;
}

static int delete_key_of(struct file_step *step, const char *arn, enum resource_kind kind,
			 struct err *err)
{
	char key[ELB_KEY_MAX];

	if (resource_key(arn, kind, key) < 0)
		return -1;
	return store_delete_one(step->api.store, key, err) == STORE_OK ? 0 : -1;
}

/* The file's object without the members that are the file's own, under the API's name. */
static json_t *input_of(const json_t *object, const char *name_member)
{
	static const char *const own[] = {"Listeners",      "Rules",         "Attributes",
					  "Targets",        "ListenAddress", "LoadBalancerName",
					  "TargetGroupName"};
	json_t *input = json_copy((json_t *)object);

	if (!input)
		return NULL;
	json_object_set(input, "Name", json_object_get(object, name_member));
	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
		json_object_del(input, own[i]);
	return input;
}

/* New reference: the file's targets, each with its port, as the group's may change later. */
static json_t *targets_of(const json_t *group)
{
	json_t *targets = json_deep_copy(doc_array(group, "Targets"));
	json_t *target;
	size_t i;

	json_array_foreach (targets, i, target) {
		if (!doc_has(target, "Port"))
			json_object_set(target, "Port", json_object_get(group, "Port"));
	}
	return targets ? targets : json_array();
}

static int call_with_targets(struct file_step *step, const char *action, const char *arn,
			     json_t *targets, struct err *err)
{
	if (json_array_size(targets) == 0)
		return 0;
	return file_do(step, action,
		       json_pack("{s:s,s:O}", "TargetGroupArn", arn, "Targets", targets), err);
}

/* New array: those of earlier that are not among targets. */
static json_t *targets_gone(const json_t *earlier, const json_t *targets)
{
	struct target_index *index = target_index_new(targets, 0);
	json_t *gone = json_array(), *target;
	size_t i;

	json_array_foreach (earlier, i, target) {
		if (index && target_index_find(index, doc_str(target, "Id", ""),
					       doc_int(target, "Port", 0)) < 0)
			json_array_append(gone, target);
	}
	target_index_free(index);
	return gone;
}

/* Registers the file's targets; deregisters those that only an earlier file named. */
static int apply_targets(struct file_step *step, const char *arn, const json_t *group,
			 struct err *err)
{
	json_t *targets = targets_of(group);
	json_t *gone = targets_gone(doc_array(step->targets_before, arn), targets);
	int result = call_with_targets(step, "DeregisterTargets", arn, gone, err);

	if (result == 0)
		result = call_with_targets(step, "RegisterTargets", arn, targets, err);
	json_object_set(step->targets_now, arn, targets);
	json_decref(gone);
	json_decref(targets);
	return result;
}

static int apply_group(struct file_step *step, const json_t *object, struct err *err)
{
	static const char *const kept[] = {"TargetGroupArn", NULL};
	const char *name = doc_str(object, "TargetGroupName", "");
	json_t *old = resource_by_name(&step->api, RESOURCE_TARGET_GROUP, name);
	json_t *input = input_of(object, "TargetGroupName");
	json_t *answer = NULL, *made;
	char arn[ARN_TEXT_MAX];
	int result = -1;

	if (old &&
	    delete_key_of(step, doc_str(old, "TargetGroupArn", ""), RESOURCE_TARGET_GROUP, err) < 0)
		goto out;
	answer = file_call(step, "CreateTargetGroup", input, err);
	if (!answer)
		goto out;
	made = json_array_get(doc_array(answer, "TargetGroups"), 0);
	if (old && recreate(step, RESOURCE_TARGET_GROUP, old, made, kept, err) < 0)
		goto out;
	snprintf(arn, sizeof(arn), "%s", doc_str(old ? old : made, "TargetGroupArn", ""));
	file_note(step, json_object_get(old ? old : made, "TargetGroupArn"));
	result = apply_targets(step, arn, object, err);
	if (result == 0)
		result =
		    file_apply_attributes(step, arn, doc_object(object, "Attributes"),
					  "ModifyTargetGroupAttributes", "TargetGroupArn", err);
out:
	json_decref(answer);
	json_decref(input);
	json_decref(old);
	return result;
}

static json_t *create_load_balancer(struct file_step *step, const json_t *object, struct err *err)
{
	json_t *input = input_of(object, "LoadBalancerName");
	struct aws_error error = {0};
	json_t *answer = elb_load_balancer_create(&step->api, step->call, input,
						  doc_str(object, "ListenAddress", ""), &error);

	json_decref(input);
	if (!answer)
		from_aws(err, &error);
	return answer;
}

static int apply_load_balancer(struct file_step *step, const json_t *object, struct err *err)
{
	static const char *const kept[] = {"LoadBalancerArn", "CreatedTime", NULL};
	const char *name = doc_str(object, "LoadBalancerName", "");
	json_t *old = resource_by_name(&step->api, RESOURCE_LOAD_BALANCER, name);
	json_t *answer = NULL, *made;
	char arn[ARN_TEXT_MAX];
	int result = -1;

	if (old && delete_key_of(step, doc_str(old, "LoadBalancerArn", ""), RESOURCE_LOAD_BALANCER,
				 err) < 0)
		goto out;
	answer = create_load_balancer(step, object, err);
	if (!answer)
		goto out;
	made = json_array_get(doc_array(answer, "LoadBalancers"), 0);
	if (old && recreate(step, RESOURCE_LOAD_BALANCER, old, made, kept, err) < 0)
		goto out;
	snprintf(arn, sizeof(arn), "%s", doc_str(old ? old : made, "LoadBalancerArn", ""));
	file_note(step, json_object_get(old ? old : made, "LoadBalancerArn"));
	result = file_apply_attributes(step, arn, doc_object(object, "Attributes"),
				       "ModifyLoadBalancerAttributes", "LoadBalancerArn", err);
	if (result == 0)
		result = file_apply_listeners(step, arn, object, err);
out:
	json_decref(answer);
	json_decref(old);
	return result;
}

static bool names(const json_t *config, const char *section, const char *member, const char *name)
{
	return doc_find(doc_array(config, section), member, name) != NULL;
}

/* The name is the last part but one of the ARN of a load balancer and of a group. */
static void name_in(const char *arn, char name[64])
{
	const char *end = strrchr(arn, '/'), *start = end;

	while (start && start > arn && start[-1] != '/')
		start--;
	snprintf(name, 64, "%.*s", end ? (int)(end - start) : 0, start ? start : "");
}

/* What an earlier file made and this one does not name. */
static int delete_stale(struct file_step *step, const json_t *config, enum resource_kind kind,
			struct err *err)
{
	bool is_group = kind == RESOURCE_TARGET_GROUP;
	const char *section = is_group ? "TargetGroups" : "LoadBalancers";
	const char *member = is_group ? "TargetGroupName" : "LoadBalancerName";
	const json_t *entry;
	size_t i;

	json_array_foreach (step->before, i, entry) {
		const char *arn = json_string_value(entry);
		char name[64];

		if (resource_kind_of(arn) != kind || !resource_exists(&step->api, arn))
			continue;
		name_in(arn, name);
		if (names(config, section, member, name))
			continue;
		if (file_do(
			step, is_group ? "DeleteTargetGroup" : "DeleteLoadBalancer",
			json_pack("{s:s}", is_group ? "TargetGroupArn" : "LoadBalancerArn", arn),
			err) < 0) {
			err_wrap(err, "%s that the file no longer names: ", name);
			return -1;
		}
	}
	return 0;
}

typedef int (*apply_fn)(struct file_step *step, const json_t *object, struct err *err);

static int apply_section(struct file_step *step, const json_t *config, const char *section,
			 apply_fn apply, struct err *err)
{
	const json_t *object;
	size_t i;

	json_array_foreach (doc_array(config, section), i, object) {
		if (apply(step, object, err) < 0) {
			err_wrap(err, "%s[%zu]%s", section, i, err->text[0] == '.' ? "" : ": ");
			return -1;
		}
	}
	return 0;
}

/* Also for listeners that were there before: their address may be another, or the port taken. */
static int check_ports_of(struct file_step *step, const char *arn, struct err *err)
{
	const struct elb_hooks *hooks = step->api.hooks;
	struct aws_error ignored = {0};
	json_t *load_balancer, *listeners;
	const json_t *listener;
	int result = 0;
	size_t i;

	load_balancer = resource_get(&step->api, RESOURCE_LOAD_BALANCER, arn, &ignored);
	listeners = resource_children(&step->api, arn, RESOURCE_LISTENER);
	json_array_foreach (listeners, i, listener) {
		if (result < 0)
			break;
		result = hooks->port_check(step->api.hooks_context,
					   doc_str(load_balancer, "ListenAddress", ""),
					   (int)doc_int(listener, "Port", 0), err);
	}
	if (result < 0)
		err_wrap(err,
			 "load balancer %s: ", doc_str(load_balancer, "LoadBalancerName", "?"));
	json_decref(listeners);
	json_decref(load_balancer);
	return result;
}

static int check_ports(struct file_step *step, struct err *err)
{
	const json_t *arn;
	size_t i;

	if (!step->api.hooks || !step->api.hooks->port_check)
		return 0;
	json_array_foreach (step->now, i, arn) {
		if (resource_kind_of(json_string_value(arn)) == RESOURCE_LOAD_BALANCER &&
		    check_ports_of(step, json_string_value(arn), err) < 0)
			return -1;
	}
	return 0;
}

/* Everything, on the fork.  Groups go last, when nothing uses them any more. */
static int apply_all(struct file_step *step, const json_t *config, struct err *err)
{
	struct store_txn *txn;
	json_t *mark;

	if (delete_stale(step, config, RESOURCE_LOAD_BALANCER, err) < 0 ||
	    apply_section(step, config, "TargetGroups", apply_group, err) < 0 ||
	    apply_section(step, config, "LoadBalancers", apply_load_balancer, err) < 0 ||
	    delete_stale(step, config, RESOURCE_TARGET_GROUP, err) < 0 ||
	    check_ports(step, err) < 0)
		return -1;
	mark = json_pack("{s:O,s:O,s:O}", "Made", step->now, "Targets", step->targets_now,
			 "Attributes", step->attributes_now);
	if (!mark) {
		err_set(err, ENOMEM, "out of memory");
		return -1;
	}
	txn = store_begin(step->api.store);
	store_put_frozen(txn, FILE_KEY, mark);
	return store_commit(txn, err) == STORE_OK ? 0 : -1;
}

static void count_change(void *arg, const char *key, const json_t *was, const json_t *is)
{
	static const char *const nouns[] = {"elb/loadbalancer/", "elb/targetgroup/",
					    "elb/listener/", "elb/listener-rule/"};
	struct file_changes *changes = arg;

	for (size_t i = 0; i < sizeof(nouns) / sizeof(nouns[0]); i++) {
		if (strncmp(key, nouns[i], strlen(nouns[i])) != 0)
			continue;
		++*(!was ? &changes->created : !is ? &changes->deleted : &changes->changed);
		return;
	}
	if (strcmp(key, FILE_KEY) != 0)
		changes->settings++;
}

static json_t *member_or(const json_t *mark, const char *member, json_t *otherwise)
{
	json_t *value = json_incref(json_object_get(mark, member));

	if (!value)
		return otherwise;
	json_decref(otherwise);
	return value;
}

static void step_init(struct file_step *step, struct elb_api *api, const json_t *config)
{
	const json_t *mark = store_peek(api->store, FILE_KEY, NULL);

	step->api = *api;
	step->api.is_of_file = true;
	step->config = config;
	step->before = member_or(mark, "Made", json_array());
	step->targets_before = member_or(mark, "Targets", json_object());
	step->attributes_before = member_or(mark, "Attributes", json_object());
	step->now = json_array();
	step->targets_now = json_object();
	step->attributes_now = json_object();
	step->groups = json_object();
	STAILQ_INIT(&step->changed);
}

static void step_fini(struct file_step *step)
{
	struct file_rule *rule;

	while ((rule = STAILQ_FIRST(&step->changed))) {
		STAILQ_REMOVE_HEAD(&step->changed, link);
		free(rule);
	}
	json_decref(step->is_before);
	json_decref(step->before);
	json_decref(step->targets_before);
	json_decref(step->attributes_before);
	json_decref(step->now);
	json_decref(step->targets_now);
	json_decref(step->attributes_now);
	json_decref(step->groups);
}

/* On a fork of the store, which is taken over whole or not at all. */
static int apply_on_fork(struct file_step *step, struct file_changes *changes, struct err *err)
{
	struct store *fork = store_fork(step->api.store, err);
	struct rule_uses *own = NULL;
	int result = -1;

	if (!fork)
		return -1;
	step->api.store = fork;
	if (!step->api.uses)
		step->api.uses = own = rule_uses_new(fork, err);
	else if (rule_uses_follow(step->api.uses, fork) < 0)
		step->api.uses = NULL; /* rules are read through */
	if (apply_all(step, step->config, err) == 0) {
		store_differences(fork, count_change, changes);
		result = store_merge(fork, err) == STORE_OK ? 0 : -1;
	}
	if (result < 0)
		store_revert(fork);
	store_close(fork);
	rule_uses_free(own);
	return result;
}

/* Once the store has the rules, these are what is remembered. */
static void keep_memory(struct file_step *step, const struct store *store)
{
	const struct file_rule *rule;
	char key[ELB_KEY_MAX];

	STAILQ_FOREACH (rule, &step->changed, link) {
		if (resource_key(rule->arn, RESOURCE_RULE, key) == 0)
			file_memory_add(step->memory, store_peek(store, key, NULL), rule->digest);
	}
	file_memory_finish(step->memory);
}

int file_apply(struct elb_api *api, const struct aws_call *call, const json_t *config,
	       struct file_memory *memory, struct file_changes *changes, struct err *err)
{
	struct file_step step = {.call = call, .memory = memory};
	struct file_changes done = {0};
	int result;

	step_init(&step, api, config);
	file_memory_start(memory);
	result = apply_on_fork(&step, &done, err);
	if (result == 0)
		keep_memory(&step, api->store);
	if (result == 0 && changes)
		*changes = done;
	step_fini(&step);
	return result;
}
