/*
 * Ways of instances into a warm pool, out of it and back: stopped and started, with their hooks.
 * A launch takes from the pool before anything new is asked of EC2; with ReuseOnScaleIn a scale-in
 * gives back.  Each step follows from the instance's stored state and what EC2 says of it, so that
 * nothing is lost with the program.  Pure.
 */
#include <stdio.h>
#include <string.h>

#include "scaler/engine/parts.h"

enum {
	POWER_MAX_MS = 15 * 60 * 1000, /* to stop or to start: given up after that */
	ASK_AGAIN_MS = 10 * 1000,      /* EC2 has taken the call, and its list does not show it */
	REFUSALS_MAX = 5,
};

/* ---- stopping and starting ---- */

/* The activity of its way in, out of, or back into the pool. */
static struct activity *way_of(const struct group *group, const struct instance *instance)
{
	return instance->state == INSTANCE_RETURNING ? activity_find(group, instance->end_id)
						     : instance_entry(group, instance);
}

static void ask(struct tick *tick, struct group *group, struct instance *instance,
		enum action_kind kind)
{
	struct action *action;

	if (instance->is_busy || instance->retry_ms > tick->now_ms)
		return;
	action = action_add(tick, kind, group, instance);
	if (!action)
		return;
	action->hibernates = instance->pool_state == POOL_HIBERNATED;
	instance->is_busy = true;
}

void engine_power_done(struct engine *engine, const struct action *action, const char *error_code,
		       const char *message, int64_t now_ms)
{
	struct group *group = engine_group(engine, action->group);
	struct instance *instance = group ? group_launching(group, action->launch_id) : NULL;
	char why[MESSAGE_MAX];

	if (!instance)
		return;
	instance->is_busy = false;
	/* It may be on its way out by now. */
	if (!instance_is_pooled(instance) && instance->state != INSTANCE_PENDING)
		return;
	instance->retry_ms = now_ms + ASK_AGAIN_MS;
	if (!error_code)
		return;
	instance->retry_ms = now_ms + 1000;
	if (strcmp(error_code, "NoAnswer") == 0 || strcmp(error_code, NOT_ASKED) == 0)
		return;
	/* Where there is no room another instance is asked for at once. */
	if (strcmp(error_code, "InsufficientInstanceCapacity") == 0)
		instance->tries = REFUSALS_MAX;
	else if (instance->tries < REFUSALS_MAX)
		instance->tries++;
	instance->retry_ms = now_ms + (1000LL << instance->tries);
	snprintf(why, sizeof why, "%s the instance failed: %.60s: %.120s",
		 action->kind == ACTION_START ? "Starting" : "Stopping", error_code,
		 message ? message : "");
	text_mend(why);
	activity_say(way_of(group, instance), why);
}

void warm_stop(struct tick *tick, struct group *group, struct instance *instance)
{
	ask(tick, group, instance, ACTION_STOP);
}

static bool has_failed(const struct tick *tick, const struct instance *instance)
{
	return instance->tries >= REFUSALS_MAX || tick->now_ms - instance->pool_ms > POWER_MAX_MS;
}

/* EC2's word for it, in a copy. */
static const char *why_failed(const struct group *group, const struct instance *instance,
			      const char *otherwise, char why[MESSAGE_MAX])
{
	const struct activity *way = way_of(group, instance);

	text_copy(why, MESSAGE_MAX,
		  instance->tries >= REFUSALS_MAX && way ? way->message : otherwise);
	return why;
}

/* ---- out of the pool ---- */

static bool may_take(const struct instance *instance)
{
	/* Just after a start of the program EC2 has not been asked yet: it is as it was. */
	bool is_there = instance->ec2 == EC2_UNKNOWN || instance->ec2 == EC2_RUNNING ||
			instance->ec2 == EC2_STOPPED;

	return instance->state == INSTANCE_WARM && is_there && !instance->is_busy &&
	       !instance->is_unhealthy && !instance->is_user_marked && !instance->is_outdated;
}

static int live_in_zone(const struct group *group, const char *zone)
{
	const struct instance *instance;
	int n = 0;

	TAILQ_FOREACH (instance, &group->instances, link)
		n += instance_is_live(instance) && strcmp(instance->zone, zone) == 0;
	return n;
}

static int fewest_in_zone(const struct group *group)
{
	int fewest = group->n_zones > 0 ? live_in_zone(group, group->zones[0].name) : 0;

	for (int i = 1; i < group->n_zones; i++) {
		int n = live_in_zone(group, group->zones[i].name);

		fewest = n < fewest ? n : fewest;
	}
	return fewest;
}

/* Places that moves between zones have freed in this tick: a maintenance policy has no room above,
 * so who goes goes first. */
static int freed_by_moves(const struct tick *tick, const struct group *group)
{
	const struct instance *instance;
	int n = 0;

	TAILQ_FOREACH (instance, &group->instances, link)
		n += instance->state == INSTANCE_TERMINATING &&
		     instance->doomed == REPLACE_CROWDED && instance->end_ms == tick->now_ms;
	return n;
}

/* Of the zone where the group has the fewest; of these the one that waits longest.  for_balance:
 * what goes beyond the desired capacity, or in place of a move, evens the zones out or stays. */
static struct instance *next_out(const struct group *group, bool for_balance)
{
	struct instance *instance, *best = NULL;
	int fewest = 0, poorest = fewest_in_zone(group);

	TAILQ_FOREACH (instance, &group->instances, link) {
		int n;

		if (!may_take(instance) || !zones_have(group, instance))
			continue;
		n = live_in_zone(group, instance->zone);
		if (for_balance && n > poorest)
			continue;
		if (best && (n > fewest || (n == fewest && instance->pool_ms >= best->pool_ms)))
			continue;
		best = instance;
		fewest = n;
	}
	return best;
}

static bool take_one(struct tick *tick, struct group *group, struct instance *instance,
		     const char *cause, bool is_replacement)
{
	struct activity *activity = activity_start(tick->engine, group, cause, tick->now_ms);

	if (!activity)
		return false;
	snprintf(activity->description, sizeof activity->description,
		 "Launching a new EC2 instance from warm pool: %s", instance->id);
	activity->alarms = is_replacement ? NULL : json_incref(group->why_alarms);
	text_copy(activity->zone, sizeof activity->zone, instance->zone);
	text_copy(activity->subnet_id, sizeof activity->subnet_id, instance->subnet_id);
	text_copy(instance->entry_id, sizeof instance->entry_id, activity->id);
	hooks_forget(instance);
	instance->state = INSTANCE_PENDING;
	instance->is_warm = false;
	instance->is_from_pool = true;
	instance->pool_ms = tick->now_ms;
	instance->tries = 0;
	instance->retry_ms = 0;
	instance->reason[0] = '\0';
	return true;
}

int warm_take(struct tick *tick, struct group *group, int n)
{
	int actual = group_actual(group), taken = 0, unbound;

	if (!group_warm_pool(group))
		return 0;
	n = launch_allowed(group, n, tick->now_ms);
	unbound = group->desired - freed_by_moves(tick, group) - actual;
	while (taken < n) {
		struct instance *instance = next_out(group, taken >= unbound);
		bool is_replacement = group->replacing > 0;
		char cause[CAUSE_MAX];

		if (!instance)
			break;
		launch_cause(tick, group, actual, n, is_replacement, cause);
		if (!take_one(tick, group, instance, cause, is_replacement))
			break;
		group->replacing -= is_replacement;
		group->is_dirty = true;
		taken++;
	}
	return taken;
}

/* It runs; what follows has tries of its own. */
static void started(struct instance *instance)
{
	if (instance->pool_ms == 0)
		return;
	instance->pool_ms = 0;
	instance->tries = 0;
	instance->retry_ms = 0;
	instance->is_dirty = true;
}

/* It was stopped: until it runs there is nothing else to do about it. */
static bool start_up(struct tick *tick, struct group *group, struct instance *instance)
{
	char why[MESSAGE_MAX];

	switch (instance->ec2) {
	case EC2_RUNNING:
		started(instance);
		return false;
	case EC2_SHUTTING_DOWN:
	case EC2_TERMINATED:
		return false;
	case EC2_STOPPED:
		if (!has_failed(tick, instance))
			ask(tick, group, instance, ACTION_START);
		break;
	case EC2_UNKNOWN:
	case EC2_PENDING:
	case EC2_STOPPING:
		break;
	}
	if (has_failed(tick, instance))
		launch_give_up(
		    tick, group, instance,
		    why_failed(group, instance, "The instance did not start again.", why));
	return true;
}

/* ---- into the pool ---- */

static void warmed(struct tick *tick, struct group *group, struct instance *instance)
{
	bool is_back = instance->state == INSTANCE_RETURNING;

	activity_end(way_of(group, instance), ACTIVITY_SUCCESSFUL, tick->now_ms);
	hooks_forget(instance);
	instance->state = INSTANCE_WARM;
	instance->pool_ms = tick->now_ms;
	instance->tries = 0;
	instance->retry_ms = 0;
	instance->in_service_ms = 0;
	instance->is_proven = instance->is_protected = instance->skips_elb = false;
	/* Launches work, as far as the pool can tell. */
	if (!is_back)
		breaker_succeeded(group, instance);
}

static void cannot_settle(struct tick *tick, struct group *group, struct instance *instance)
{
	char why[MESSAGE_MAX];

	(void)why_failed(group, instance, "The instance did not stop.", why);
	if (instance->state == INSTANCE_WARMING) {
		launch_give_up(tick, group, instance, why);
		return;
	}
	activity_say(way_of(group, instance), why);
	warm_end(tick->engine, group, instance, "its failure to stop", tick->now_ms);
}

/* Its hooks are done: it is brought into the state in which it is to wait. */
static void settle(struct tick *tick, struct group *group, struct instance *instance)
{
	bool is_to_run = instance->pool_state == POOL_RUNNING;

	if (instance->pool_ms == 0) {
		instance->pool_ms = tick->now_ms;
		instance->tries = 0;
		instance->is_dirty = true;
	}
	if (instance->ec2 == (is_to_run ? EC2_RUNNING : EC2_STOPPED))
		warmed(tick, group, instance);
	else if (has_failed(tick, instance))
		cannot_settle(tick, group, instance);
	else if (instance->ec2 == EC2_RUNNING)
		ask(tick, group, instance, ACTION_STOP);
}

bool warm_progress(struct tick *tick, struct group *group, struct instance *instance)
{
	if (instance->state == INSTANCE_PENDING)
		return instance->is_from_pool && start_up(tick, group, instance);
	if (instance->hook_phase < HOOKS_PROCEED || instance->ec2 == EC2_SHUTTING_DOWN ||
	    instance->ec2 == EC2_TERMINATED)
		return false;
	settle(tick, group, instance);
	return true;
}

/* ---- back into the pool ---- */

bool warm_has_room(const struct group *group, const struct instance *instance)
{
	const json_t *reuse = doc_object(group_warm_pool(group), "InstanceReusePolicy");

	return doc_bool(reuse, "ReuseOnScaleIn", false) && instance->state == INSTANCE_IN_SERVICE &&
	       !instance->is_unhealthy && !instance->is_outdated &&
	       instance->doomed == REPLACE_NOT && instance_is_running(instance) &&
	       zones_have(group, instance) && warm_count(group) < warm_pool_size(group);
}

struct activity *warm_return(struct tick *tick, struct group *group, struct instance *instance,
			     const char *cause)
{
	struct activity *activity = activity_start(tick->engine, group, cause, tick->now_ms);

	if (!activity)
		return NULL;
	snprintf(activity->description, sizeof activity->description,
		 "Moving EC2 instance to warm pool: %s", instance->id);
	text_copy(activity->zone, sizeof activity->zone, instance->zone);
	text_copy(activity->subnet_id, sizeof activity->subnet_id, instance->subnet_id);
	text_copy(instance->end_id, sizeof instance->end_id, activity->id);
	hooks_forget(instance);
	instance->state = INSTANCE_RETURNING;
	instance->is_warm = true;
	instance->is_attached = false; /* from now on as if launched by the group */
	instance->pool_state = warm_state(group);
	instance->pool_ms = 0;
	instance->end_ms = tick->now_ms;
	instance->tries = 0;
	instance->retry_ms = 0;
	return activity;
}

void warm_come_back(struct tick *tick, struct group *group, struct instance *instance)
{
	bool is_gone = instance->ec2 == EC2_TERMINATED || instance->ec2 == EC2_SHUTTING_DOWN;

	if (is_gone) {
		warm_end(tick->engine, group, instance,
			 "an EC2 health check indicating it has been terminated or stopped",
			 tick->now_ms);
		return;
	}
	if (instance->hook_phase >= HOOKS_PROCEED) {
		settle(tick, group, instance);
		return;
	}
	if (!terminate_has_left(tick, group, instance))
		return;
	switch (hooks_pass(tick, group, instance)) {
	case HOOKS_ASK_WAIT:
		return;
	case HOOKS_ASK_CONTINUE:
		settle(tick, group, instance);
		return;
	case HOOKS_ASK_ABANDON:
		warm_end(tick->engine, group, instance,
			 "a lifecycle hook that abandoned its return", tick->now_ms);
		/* They have run. */
		instance->hook_phase = HOOKS_PROCEED;
		return;
	}
}
