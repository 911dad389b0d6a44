/*
 * Instances that come and go by a person's hand: standby, detaching and attaching.  Who leaves is
 * deregistered and drained first, as before a termination, and goes on running.  Being the
 * group's is the tag: attached ones get it before anything else, detached ones lose it last.
 * Pure.  AWS: "Temporarily removing instances", "Detach or attach instances".
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "scaler/engine/parts.h"

static void end_entry(struct group *group, struct instance *instance, enum activity_status status,
		      int64_t now_ms)
{
	activity_end(instance_entry(group, instance), status, now_ms);
}

/* ---- out ---- */

struct way {
	enum instance_state state;
	const char *description; /* before the id */
	const char *verb; /* the cause: "instance I was VERB in response to a user request" */
};

static const struct way to_standby = {INSTANCE_ENTERING_STANDBY, "Moving EC2 instance to Standby",
				      "moved to standby"};
static const struct way to_detached = {INSTANCE_DETACHING, "Detaching EC2 instance", "detached"};

static struct activity *begin(struct engine *engine, struct group *group, struct instance *instance,
			      const struct way *way, const char *cause, int64_t now_ms)
{
	struct activity *activity = activity_start(engine, group, cause, now_ms);

	if (!activity)
		return NULL;
	snprintf(activity->description, sizeof activity->description, "%s: %s", way->description,
		 instance->id);
	text_copy(activity->zone, sizeof activity->zone, instance->zone);
	text_copy(activity->subnet_id, sizeof activity->subnet_id, instance->subnet_id);
	activity_progress(activity, ACTIVITY_IN_PROGRESS, 50);
	text_copy(instance->end_id, sizeof instance->end_id, activity->id);
	end_entry(group, instance, ACTIVITY_CANCELLED, now_ms);
	hooks_forget(instance);
	instance->doomed = REPLACE_NOT;
	instance->state = way->state;
	instance->end_ms = now_ms;
	instance->tries = 0;
	instance->retry_ms = 0;
	return activity;
}

struct activity *engine_take_out(struct engine *engine, struct group *group,
				 struct instance *instance, bool is_for_good, int64_t now_ms)
{
	const struct way *way = is_for_good ? &to_detached : &to_standby;
	int units = instance_is_live(instance) ? instance_units(instance) : 0;
	int actual = group_actual(group), after = actual - units;
	char cause[CAUSE_MAX] = "";

	cause_add(cause, now_ms,
		  "instance %s was %s in response to a user request, shrinking the capacity from "
		  "%d to %d",
		  instance->id, way->verb, actual, after);
	return begin(engine, group, instance, way, cause, now_ms);
}

void attach_failed(struct engine *engine, struct group *group, struct instance *instance,
		   const char *why, int64_t now_ms)
{
	struct activity *activity = instance_entry(group, instance);
	char cause[CAUSE_MAX] = "";

	activity_say(activity, why);
	activity_end(activity, ACTIVITY_FAILED, now_ms);
	if (group->desired > group->min) {
		group->desired--;
		group->is_dirty = true;
	}
	instance->is_dirty = true;
	if (!instance->is_tagged && json_array_size(instance->registered) == 0 &&
	    json_array_size(instance->registering) == 0) {
		instance->state = INSTANCE_TERMINATED; /* of us, it never was */
		return;
	}
	cause_add(cause, now_ms, "instance %s could not be attached", instance->id);
	(void)begin(engine, group, instance, &to_detached, cause, now_ms);
}

/* ---- in ---- */

static struct activity *enter(struct engine *engine, struct group *group, struct instance *instance,
			      const char *cause, const char *description, int64_t now_ms)
{
	struct activity *activity = activity_start(engine, group, cause, now_ms);

	if (!activity)
		return NULL;
	snprintf(activity->description, sizeof activity->description, "%s: %s", description,
		 instance->id);
	text_copy(activity->zone, sizeof activity->zone, instance->zone);
	text_copy(activity->subnet_id, sizeof activity->subnet_id, instance->subnet_id);
	text_copy(instance->entry_id, sizeof instance->entry_id, activity->id);
	hooks_forget(instance);
	instance->state = INSTANCE_PENDING;
	instance->tries = 0;
	instance->retry_ms = 0;
	instance->is_unhealthy = instance->is_user_marked = false;
	return activity;
}

struct activity *engine_exit_standby(struct engine *engine, struct group *group,
				     struct instance *instance, int64_t now_ms)
{
	int actual = group_actual(group);
	char cause[CAUSE_MAX] = "";

	cause_add(cause, now_ms,
		  "instance %s was moved out of standby in response to a user request, increasing "
		  "the capacity from %d to %d",
		  instance->id, actual, actual + instance_units(instance));
	return enter(engine, group, instance, cause, "Moving EC2 instance out of Standby", now_ms);
}

int engine_attach_instance(struct engine *engine, struct group *group, const char *id,
			   int64_t now_ms, struct err *err)
{
	struct instance *instance = instance_new(group);
	int actual = group_actual(group) - 1; /* without it */
	char cause[CAUSE_MAX] = "";
	struct activity *activity;

	if (!instance)
		goto oom;
	text_copy(instance->id, sizeof instance->id, id);
	cause_add(cause, now_ms,
		  "instance %s was attached in response to a user request, increasing the capacity "
		  "from %d to %d",
		  id, actual, actual + 1);
	instance->launch_ms = now_ms;
	instance->is_attached = true;
	activity =
	    enter(engine, group, instance, cause, "Attaching an existing EC2 instance", now_ms);
	if (!activity)
		goto fail;
	text_copy(instance->launch_id, sizeof instance->launch_id, activity->id);
	return 0;
fail:
	TAILQ_REMOVE(&group->instances, instance, link);
	instance_free(instance);
oom:
	err_set(err, ENOMEM, "out of memory");
	return -1;
}

/* ---- following ---- */

static void hand_out(struct tick *tick, struct group *group, struct instance *instance,
		     enum action_kind kind)
{
	if (instance->is_busy || instance->retry_ms > tick->now_ms)
		return;
	if (action_add(tick, kind, group, instance))
		instance->is_busy = true;
}

static void stand_by(struct tick *tick, struct group *group, struct instance *instance)
{
	if (!terminate_has_left(tick, group, instance))
		return;
	instance->state = INSTANCE_STANDBY;
	instance->is_dirty = true;
	activity_end(activity_find(group, instance->end_id), ACTIVITY_SUCCESSFUL, tick->now_ms);
}

/* Nobody checks the health of what stands by, but what is gone need not be kept. */
static void check_standby(struct tick *tick, struct group *group, struct instance *instance)
{
	char cause[CAUSE_MAX] = "";

	if (instance->ec2 != EC2_TERMINATED)
		return;
	cause_add(cause, tick->now_ms, "instance %s was found terminated while in standby",
		  instance->id);
	(void)terminate_begin(tick->engine, group, instance, cause, tick->now_ms);
}

/* A person has ended it. */
static void check_retained(struct instance *instance)
{
	if (instance->ec2 != EC2_TERMINATED)
		return;
	instance->state = INSTANCE_TERMINATED;
	instance->is_dirty = true;
}

static void progress_one(struct tick *tick, struct group *group, struct instance *instance)
{
	switch (instance->state) {
	case INSTANCE_PENDING:
		if (instance->is_attached && instance->zone[0] && !zones_have(group, instance))
			attach_failed(tick->engine, group, instance,
				      "The instance is in no Availability Zone of the group.",
				      tick->now_ms);
		else if (instance->is_attached && !instance->is_tagged)
			hand_out(tick, group, instance, ACTION_TAG);
		return;
	case INSTANCE_ENTERING_STANDBY:
		stand_by(tick, group, instance);
		return;
	case INSTANCE_STANDBY:
		check_standby(tick, group, instance);
		return;
	case INSTANCE_RETAINED:
		check_retained(instance);
		return;
	case INSTANCE_DETACHING:
		if (terminate_has_left(tick, group, instance))
			hand_out(tick, group, instance, ACTION_UNTAG);
		return;
	case INSTANCE_IN_SERVICE:
	case INSTANCE_TERMINATING:
	case INSTANCE_TERMINATED:
	case INSTANCE_WARMING:
	case INSTANCE_WARM:
	case INSTANCE_RETURNING:
		return;
	}
}

void membership_progress(struct tick *tick, struct group *group)
{
	struct instance *instance;

	TAILQ_FOREACH (instance, &group->instances, link)
		progress_one(tick, group, instance);
}

/* ---- answers ---- */

static void tagged(struct engine *engine, struct group *group, struct instance *instance,
		   const char *error_code, const char *message, int64_t now_ms)
{
	if (error_code) {
		attach_failed(engine, group, instance, message ? message : error_code, now_ms);
		return;
	}
	instance->is_tagged = true;
	instance->is_dirty = true;
}

static void untagged(struct group *group, struct instance *instance, int64_t now_ms)
{
	activity_end(activity_find(group, instance->end_id), ACTIVITY_SUCCESSFUL, now_ms);
	instance->state = INSTANCE_TERMINATED;
	instance->is_dirty = true;
}

void engine_tag_done(struct engine *engine, const struct action *action, const char *error_code,
		     const char *message, int64_t now_ms)
{
	struct group *group = engine_group(engine, action->group);
	struct instance *instance = group ? group_launching(group, action->launch_id) : NULL;
	bool is_silent = error_code && (strcmp(error_code, "NoAnswer") == 0 ||
					strcmp(error_code, NOT_ASKED) == 0);
	bool is_unknown = error_code && strncmp(error_code, "InvalidInstanceID", 17) == 0;

	if (!instance)
		return;
	instance->is_busy = false;
	if (is_silent) {
		instance->retry_ms = now_ms + 1000;
		return;
	}
	if (action->kind == ACTION_TAG && instance->state == INSTANCE_PENDING)
		tagged(engine, group, instance, error_code, message, now_ms);
	else if (action->kind == ACTION_TAG && !error_code)
		instance->is_tagged = instance->is_dirty = true;
	else if (action->kind == ACTION_TAG && is_unknown)
		instance->ec2 = EC2_TERMINATED; /* there is none */
	else if (action->kind == ACTION_UNTAG && (!error_code || is_unknown))
		untagged(group, instance, now_ms);
	else
		instance->retry_ms = now_ms + 10000;
}
