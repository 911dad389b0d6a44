/*
 * Lifecycle hooks: instances wait on their way in and out until every hook has answered, or its
 * heartbeat has run out.  Definitions stand in the group's document, what an instance waits for in
 * its own list: {LifecycleHookName, LifecycleActionToken, DefaultResult, HeartbeatS, DeadlineMs,
 * LastMs, Result}.  Pure.  AWS: "Lifecycle hooks".
 */
#include <errno.h>
#include <string.h>

#include "scaler/engine/parts.h"

static const char *const LAUNCHING = "autoscaling:EC2_INSTANCE_LAUNCHING";
static const char *const TERMINATING = "autoscaling:EC2_INSTANCE_TERMINATING";
static const char *const HOOKS = "LifecycleHooks"; /* in the group's document */

enum { GLOBAL_MAX_S = 172800, HEARTBEAT_S = 3600 };

static json_t *find(const json_t *list, const char *name)
{
	return doc_find(list, "LifecycleHookName", name);
}

const json_t *group_hooks(const struct group *group)
{
	return doc_array(group->document, HOOKS);
}

/* ---- definitions ---- */

static void set_timeouts(json_t *hook)
{
	int64_t heartbeat_s = doc_int(hook, "HeartbeatTimeout", HEARTBEAT_S);
	int64_t global_s = 100 * heartbeat_s;

	json_object_set_new(hook, "HeartbeatTimeout", json_integer(heartbeat_s));
	json_object_set_new(hook, "GlobalTimeout",
			    json_integer(global_s < GLOBAL_MAX_S ? global_s : GLOBAL_MAX_S));
	if (!doc_has(hook, "DefaultResult"))
		json_object_set_new(hook, "DefaultResult", json_string("ABANDON"));
}

static json_t *new_hook(const struct group *group, const char *name)
{
	return json_pack("{s:s, s:s}", "LifecycleHookName", name, "AutoScalingGroupName",
			 group->name);
}

int engine_put_hook(struct group *group, const json_t *input, struct err *err)
{
	static const char *const members[] = {
	    "LifecycleTransition",   "HeartbeatTimeout", "DefaultResult",
	    "NotificationTargetARN", "RoleARN",          "NotificationMetadata"};
	const char *name = doc_str(input, "LifecycleHookName", "");
	json_t *hooks = doc_array(group->document, HOOKS);
	json_t *hook = find(hooks, name);

	if (!hook && !doc_has(input, "LifecycleTransition")) {
		err_set(err, EINVAL, "A new lifecycle hook needs a LifecycleTransition");
		return -1;
	}
	if (!hook && json_array_size(hooks) >= MAX_HOOKS) {
		err_set(err, EDQUOT, "The group has %d lifecycle hooks already.", MAX_HOOKS);
		return -1;
	}
	if (!hooks) {
		hooks = json_array();
		json_object_set_new(group->document, HOOKS, hooks);
	}
	if (!hook) {
		hook = new_hook(group, name);
		if (json_array_append_new(hooks, hook) < 0) {
			err_set(err, ENOMEM, "out of memory");
			return -1;
		}
	}
	for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) {
		const char *text = doc_str(input, members[i], NULL);

		/* An empty text takes what was there away. */
		if (text && !text[0])
			json_object_del(hook, members[i]);
		else if (doc_has(input, members[i]))
			json_object_set(hook, members[i], json_object_get(input, members[i]));
	}
	set_timeouts(hook);
	group->is_dirty = true;
	return 0;
}

static void drop(json_t *list, const char *name)
{
	for (size_t i = json_array_size(list); i > 0; i--) {
		if (strcmp(doc_str(json_array_get(list, i - 1), "LifecycleHookName", ""), name) ==
		    0)
			json_array_remove(list, i - 1);
	}
}

int engine_remove_hook(struct group *group, const char *name)
{
	json_t *hooks = doc_array(group->document, HOOKS);
	struct instance *instance;

	if (!find(hooks, name))
		return -1;
	drop(hooks, name);
	group->is_dirty = true;
	TAILQ_FOREACH (instance, &group->instances, link) {
		json_t *waiting = find(instance->hooks, name);
		bool is_launch = instance_is_launching(instance);

		if (!waiting)
			continue;
		json_object_set_new(waiting, "Result",
				    json_string(is_launch ? "ABANDON" : "CONTINUE"));
		instance->is_dirty = true;
	}
	return 0;
}

/* ---- at work ---- */

void hooks_forget(struct instance *instance)
{
	json_array_clear(instance->hooks);
	instance->hook_phase = HOOKS_NOT_YET;
	instance->is_dirty = true;
}

static bool runs_hooks(const struct instance *instance)
{
	/* Those who are attached or come back from standby are not launched. */
	return instance->state != INSTANCE_PENDING || instance->is_from_pool ||
	       (!instance->is_attached && !instance->entry_id[0]);
}

static json_t *begin_one(struct engine *engine, const json_t *hook, int64_t now_ms)
{
	json_int_t heartbeat_s = doc_int(hook, "HeartbeatTimeout", HEARTBEAT_S);
	json_int_t deadline_ms = now_ms + 1000 * heartbeat_s;
	json_int_t last_ms = now_ms + 1000 * doc_int(hook, "GlobalTimeout", GLOBAL_MAX_S);
	char token[ID_TEXT_MAX];

	return json_pack("{s:s, s:s, s:s, s:I, s:I, s:I}", "LifecycleHookName",
			 doc_str(hook, "LifecycleHookName", ""), "LifecycleActionToken",
			 id_uuid(engine->ids, token), "DefaultResult",
			 doc_str(hook, "DefaultResult", "ABANDON"), "HeartbeatS", heartbeat_s,
			 "DeadlineMs", deadline_ms, "LastMs", last_ms);
}

static void begin_all(struct tick *tick, struct group *group, struct instance *instance)
{
	const char *transition = instance_is_launching(instance) ? LAUNCHING : TERMINATING;
	const json_t *hook;
	size_t i;

	json_array_foreach (group_hooks(group), i, hook) {
		json_t *waiting;

		if (!runs_hooks(instance) ||
		    strcmp(doc_str(hook, "LifecycleTransition", ""), transition) != 0)
			continue;
		waiting = begin_one(tick->engine, hook, tick->now_ms);
		if (json_array_append_new(instance->hooks, waiting) == 0)
			event_of_hook(group, instance, hook, waiting, tick->now_ms);
	}
	instance->hook_phase = json_array_size(instance->hooks) > 0 ? HOOKS_WAIT : HOOKS_NONE;
	instance->is_dirty = true;
}

/* What the hook says by now; NULL: nothing. */
static const char *result_of(const json_t *waiting, int64_t now_ms)
{
	const char *result = doc_str(waiting, "Result", NULL);

	if (result)
		return result;
	if (now_ms < doc_int(waiting, "DeadlineMs", 0) && now_ms < doc_int(waiting, "LastMs", 0))
		return NULL;
	return doc_str(waiting, "DefaultResult", "ABANDON");
}

/* One that abandons speaks for all. */
static enum hooks_answer collect(struct instance *instance, int64_t now_ms)
{
	for (size_t i = json_array_size(instance->hooks); i > 0; i--) {
		const char *result = result_of(json_array_get(instance->hooks, i - 1), now_ms);

		if (!result)
			continue;
		if (strcmp(result, "ABANDON") == 0)
			return HOOKS_ASK_ABANDON;
		json_array_remove(instance->hooks, i - 1);
		instance->is_dirty = true;
	}
	return json_array_size(instance->hooks) > 0 ? HOOKS_ASK_WAIT : HOOKS_ASK_CONTINUE;
}

enum hooks_answer hooks_pass(struct tick *tick, struct group *group, struct instance *instance)
{
	bool is_launch = instance_is_launching(instance);
	enum hooks_answer answer;

	if (instance->hook_phase == HOOKS_NOT_YET)
		begin_all(tick, group, instance);
	if (instance->hook_phase != HOOKS_WAIT)
		return HOOKS_ASK_CONTINUE;
	activity_progress(is_launch ? instance_entry(group, instance)
				    : activity_find(group, instance->end_id),
			  ACTIVITY_MID_LIFECYCLE, is_launch ? 40 : 60);
	answer = collect(instance, tick->now_ms);
	if (answer == HOOKS_ASK_WAIT)
		return answer;
	json_array_clear(instance->hooks);
	instance->hook_phase = HOOKS_PROCEED;
	instance->is_dirty = true;
	return answer;
}

/* ---- answers ---- */

/* The action that token or instance_id (one of them may be NULL) and the hook's name mean. */
static json_t *find_action(const struct group *group, const char *hook, const char *token,
			   const char *instance_id, struct instance **owner)
{
	TAILQ_FOREACH (*owner, &group->instances, link) {
		json_t *waiting = find((*owner)->hooks, hook);
		const char *own = doc_str(waiting, "LifecycleActionToken", "");

		if (!waiting || doc_has(waiting, "Result"))
			continue;
		if (token ? strcmp(own, token) == 0 : strcmp((*owner)->id, instance_id) == 0)
			return waiting;
	}
	return NULL;
}

static json_t *named_action(const struct group *group, const json_t *input, struct instance **owner,
			    struct err *err)
{
	const char *token = doc_str(input, "LifecycleActionToken", NULL);
	const char *id = doc_str(input, "InstanceId", "");
	json_t *action =
	    find_action(group, doc_str(input, "LifecycleHookName", ""), token, id, owner);

	if (!action)
		err_set(err, ENOENT, "No active Lifecycle Action found with %s %s",
			token ? "token" : "instance ID", token ? token : id);
	return action;
}

int engine_complete_hook(struct group *group, const json_t *input, struct err *err)
{
	struct instance *instance;
	json_t *action = named_action(group, input, &instance, err);

	if (!action)
		return -1;
	json_object_set(action, "Result", json_object_get(input, "LifecycleActionResult"));
	instance->is_dirty = true;
	return 0;
}

int engine_beat_hook(struct group *group, const json_t *input, int64_t now_ms, struct err *err)
{
	struct instance *instance;
	json_t *action = named_action(group, input, &instance, err);

	if (!action)
		return -1;
	json_object_set_new(action, "DeadlineMs",
			    json_integer(now_ms + 1000 * doc_int(action, "HeartbeatS", 0)));
	instance->is_dirty = true;
	return 0;
}
