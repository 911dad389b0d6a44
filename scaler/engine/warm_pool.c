/*
 * Warm pools: instances that have started up once and wait, stopped or running, beside the group.
 * Its size follows the group's desired capacity; a launch takes from the pool before anything new
 * is asked of EC2; with ReuseOnScaleIn a scale-in gives back.  The configuration stands in the
 * group's document, each instance's way in its own state and in what EC2 says of it, so that
 * nothing is lost with the program.  Launching and leaving for good are launch.c and terminate.c.
 * Pure.  AWS: "Warm pools for Amazon EC2 Auto Scaling".
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "scaler/engine/parts.h"

enum {
	POWER_MAX_MS = 15 * 60 * 1000, /* to stop or to start: given up after that */
	ASK_AGAIN_MS = 10 * 1000,      /* EC2 has taken the call, and its list does not show it */
	REFUSALS_MAX = 5,
	FRESH_MS = 120 * 1000, /* what ends this soon after warming up never worked */
};

static const char *const CONFIGURATION = "WarmPoolConfiguration"; /* in the group's document */

/* ---- the configuration ---- */

const json_t *group_warm_pool(const struct group *group)
{
	return doc_object(group->document, CONFIGURATION);
}

static bool is_pending_delete(const struct group *group)
{
	return doc_has(group_warm_pool(group), "Status");
}

int warm_pool_size(const struct group *group)
{
	const json_t *pool = group_warm_pool(group);
	int prepared = (int)doc_int(pool, "MaxGroupPreparedCapacity", -1);
	int min = (int)doc_int(pool, "MinSize", 0), size;

	if (!pool || group->is_deleting || is_pending_delete(group))
		return 0;
	size = (prepared < 0 ? group->max : prepared) - group->desired;
	return size > min ? size : min;
}

static enum pool_state wanted_state(const struct group *group)
{
	const char *name = doc_str(group_warm_pool(group), "PoolState", "Stopped");

	if (strcmp(name, "Running") == 0)
		return POOL_RUNNING;
	return strcmp(name, "Hibernated") == 0 ? POOL_HIBERNATED : POOL_STOPPED;
}

/* What the input leaves out has its default, but for MaxGroupPreparedCapacity: that stays, and -1
 * takes it away. */
int engine_put_warm_pool(struct group *group, const json_t *input, struct err *err)
{
	const json_t *before = group_warm_pool(group);
	int prepared = (int)doc_int(input, "MaxGroupPreparedCapacity",
				    doc_int(before, "MaxGroupPreparedCapacity", -1));
	json_t *pool;

	if (is_pending_delete(group)) {
		err_set(err, EBUSY, "The warm pool of the group %s is being deleted.", group->name);
		return -1;
	}
	pool = json_pack("{s:i, s:s}", "MinSize", (int)doc_int(input, "MinSize", 0), "PoolState",
			 doc_str(input, "PoolState", "Stopped"));
	if (prepared >= 0)
		json_object_set_new(pool, "MaxGroupPreparedCapacity", json_integer(prepared));
	if (doc_has(input, "InstanceReusePolicy"))
		json_object_set(pool, "InstanceReusePolicy",
				json_object_get(input, "InstanceReusePolicy"));
	if (json_object_set_new(group->document, CONFIGURATION, pool) < 0) {
		err_set(err, ENOMEM, "out of memory");
		return -1;
	}
	group->is_dirty = true;
	return 0;
}

static void end_one(struct engine *engine, struct group *group, struct instance *instance,
		    const char *why, int64_t now_ms)
{
	char cause[CAUSE_MAX] = "";

	cause_add(cause, now_ms, "an instance was taken out of the warm pool in response to %s",
		  why);
	(void)terminate_begin(engine, group, instance, cause, now_ms);
}

int engine_delete_warm_pool(struct engine *engine, struct group *group, bool is_forced,
			    int64_t now_ms)
{
	json_t *pool = doc_object(group->document, CONFIGURATION);
	struct instance *instance;

	if (!pool)
		return -1;
	json_object_set_new(pool, "Status", json_string("PendingDelete"));
	group->is_dirty = true;
	TAILQ_FOREACH (instance, &group->instances, link) {
		if (!instance->is_warm || instance->state == INSTANCE_TERMINATED)
			continue;
		instance->is_forced |= is_forced;
		instance->is_dirty = true;
		if (instance->state != INSTANCE_TERMINATING)
			end_one(engine, group, instance,
				"a user request that deleted the warm pool", now_ms);
	}
	return 0;
}

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
	if (strcmp(error_code, "NoAnswer") == 0)
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

/* Of the zone where the group has the fewest; of these the one that waits longest. */
static struct instance *next_out(const struct group *group)
{
	struct instance *instance, *best = NULL;
	int fewest = 0;

	TAILQ_FOREACH (instance, &group->instances, link) {
		int n;

		if (!may_take(instance))
			continue;
		n = live_in_zone(group, instance->zone);
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
	int actual = group_actual(group), taken = 0;

	if (!group_warm_pool(group))
		return 0;
	n = launch_allowed(group, n, tick->now_ms);
	while (taken < n) {
		struct instance *instance = next_out(group);
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
	end_one(tick->engine, group, instance, "its failure to stop", tick->now_ms);
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

static int count_pooled(const struct group *group)
{
	const struct instance *instance;
	int n = 0;

	TAILQ_FOREACH (instance, &group->instances, link)
		n += instance_is_pooled(instance);
	return n;
}

bool warm_has_room(const struct group *group, const struct instance *instance)
{
	const json_t *reuse = doc_object(group_warm_pool(group), "InstanceReusePolicy");

	return doc_bool(reuse, "ReuseOnScaleIn", false) && instance->state == INSTANCE_IN_SERVICE &&
	       !instance->is_unhealthy && !instance->is_outdated && instance_is_running(instance) &&
	       count_pooled(group) < warm_pool_size(group);
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
	instance->pool_state = wanted_state(group);
	instance->pool_ms = 0;
	instance->end_ms = tick->now_ms;
	instance->tries = 0;
	instance->retry_ms = 0;
	return activity;
}

static void come_back(struct tick *tick, struct group *group, struct instance *instance)
{
	bool is_gone = instance->ec2 == EC2_TERMINATED || instance->ec2 == EC2_SHUTTING_DOWN;

	if (is_gone) {
		end_one(tick->engine, group, instance,
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
		end_one(tick->engine, group, instance, "a lifecycle hook that abandoned its return",
			tick->now_ms);
		/* They have run. */
		instance->hook_phase = HOOKS_PROCEED;
		return;
	}
}

/* ---- health of those that wait ---- */

/* Why it is to be ended; NULL: it is not. */
static const char *verdict(const struct group *group, const struct instance *instance)
{
	bool is_down = instance->ec2 == EC2_STOPPED || instance->ec2 == EC2_STOPPING;
	bool is_gone = instance->ec2 == EC2_TERMINATED || instance->ec2 == EC2_SHUTTING_DOWN;

	if (instance->is_user_marked)
		return "a user health-check";
	if (group_is_suspended(group, "HealthCheck"))
		return NULL;
	if (is_gone || (is_down && instance->pool_state == POOL_RUNNING))
		return "an EC2 health check indicating it has been terminated or stopped";
	return NULL;
}

static void check_one(struct tick *tick, struct group *group, struct instance *instance)
{
	bool may_replace = !group_is_suspended(group, "ReplaceUnhealthy") &&
			   !group_is_suspended(group, "Terminate");
	const char *why = verdict(group, instance);
	bool is_fresh = tick->now_ms - instance->pool_ms < FRESH_MS;

	if (!why) {
		/* Somebody else has started it. */
		if (instance->ec2 == EC2_RUNNING && instance->pool_state != POOL_RUNNING)
			ask(tick, group, instance, ACTION_STOP);
		return;
	}
	instance->is_dirty |= !instance->is_unhealthy;
	instance->is_unhealthy = true;
	if (!may_replace)
		return;
	end_one(tick->engine, group, instance, why, tick->now_ms);
	if (is_fresh && !instance->is_user_marked &&
	    strcmp(instance->reason_code, "Client.UserInitiatedShutdown") != 0)
		breaker_failed(tick->engine, group, instance,
			       instance->reason[0] ? instance->reason : why, tick->now_ms);
}

/* ---- size ---- */

static void count_zones(const struct group *group, int counts[MAX_ZONES])
{
	const struct instance *instance;

	memset(counts, 0, sizeof(int) * MAX_ZONES);
	TAILQ_FOREACH (instance, &group->instances, link) {
		for (int i = 0; i < group->n_zones && instance_is_pooled(instance); i++) {
			const struct zone *zone = &group->zones[i];

			counts[i] += strcmp(zone->name, instance->zone) == 0 &&
				     (zone->subnet_id[0] == '\0' ||
				      strcmp(zone->subnet_id, instance->subnet_id) == 0);
		}
	}
}

static void fill(struct tick *tick, struct group *group, int actual, int missing)
{
	int counts[MAX_ZONES], n = launch_allowed(group, missing, tick->now_ms);
	char cause[CAUSE_MAX] = "";

	/* After failures the pool waits for what it has under way. */
	if (!group->has_zones || (group->breaker.row > 0 && group_count(group).warming > 0))
		return;
	if (group->breaker.row > 0 && n > 1)
		n = 1;
	cause_add(cause, tick->now_ms,
		  "an instance was started in response to a difference between the warm pool's "
		  "desired and actual size, increasing the size from %d to %d",
		  actual, actual + n);
	count_zones(group, counts);
	for (int i = 0; i < n; i++) {
		int zone = zones_poorest(group, counts, tick->now_ms);
		struct instance *instance;

		if (zone < 0)
			return;
		/* As a replacement: no alarm asked for it. */
		instance = launch_decide(tick, group, &group->zones[zone], cause, true);
		if (!instance)
			return;
		instance->state = INSTANCE_WARMING;
		instance->is_warm = true;
		instance->pool_state = wanted_state(group);
		text_copy(instance_entry(group, instance)->description,
			  sizeof instance_entry(group, instance)->description,
			  "Launching a new EC2 instance into warm pool");
		counts[zone]++;
	}
}

static int pooled_in_zone(const struct group *group, const char *zone)
{
	const struct instance *instance;
	int n = 0;

	TAILQ_FOREACH (instance, &group->instances, link)
		n += instance_is_pooled(instance) && strcmp(instance->zone, zone) == 0;
	return n;
}

/* < 0: a leaves before b.  What is not warm yet is missed least; then the default policy. */
static int compare(const struct group *group, const struct instance *a, const struct instance *b,
		   int64_t now_ms)
{
	int order = (int)b->is_unhealthy - (int)a->is_unhealthy;

	if (order == 0)
		order = (int)(b->state == INSTANCE_WARMING) - (int)(a->state == INSTANCE_WARMING);
	if (order == 0)
		order = pooled_in_zone(group, b->zone) - pooled_in_zone(group, a->zone);
	if (order == 0)
		order = terminate_compare(group, "Default", a, b, now_ms);
	return order ? order : strcmp(a->id, b->id);
}

static struct instance *next_excess(const struct group *group, int64_t now_ms)
{
	struct instance *instance, *best = NULL;

	TAILQ_FOREACH (instance, &group->instances, link) {
		/* One that is just being asked for cannot be ended: it has no id yet. */
		if (instance_is_pooled(instance) && instance->id[0] &&
		    (!best || compare(group, instance, best, now_ms) < 0))
			best = instance;
	}
	return best;
}

static void trim(struct tick *tick, struct group *group, int actual, int excess)
{
	for (int i = 0; i < excess; i++) {
		struct instance *instance = next_excess(group, tick->now_ms);
		char cause[CAUSE_MAX] = "";

		if (!instance)
			return;
		cause_add(cause, tick->now_ms,
			  "an instance was taken out of the warm pool in response to a difference "
			  "between its desired and actual size, shrinking the size from %d to %d",
			  actual, actual - excess);
		cause_add(cause, tick->now_ms, "instance %s was selected for termination",
			  instance->id);
		if (!terminate_begin(tick->engine, group, instance, cause, tick->now_ms))
			return;
	}
}

static void bury(struct group *group)
{
	const struct instance *instance;

	TAILQ_FOREACH (instance, &group->instances, link) {
		if (instance->is_warm && instance->state != INSTANCE_TERMINATED)
			return;
	}
	json_object_del(group->document, CONFIGURATION);
	group->is_dirty = true;
}

static void run_one(struct tick *tick, struct group *group, struct instance *instance)
{
	if (instance->state == INSTANCE_WARM) {
		check_one(tick, group, instance);
	} else if (instance->state == INSTANCE_RETURNING) {
		come_back(tick, group, instance);
	} else if (instance->state == INSTANCE_IN_SERVICE && instance->is_from_pool) {
		instance->is_from_pool = false;
		instance->is_dirty = true;
	}
}

void warm_run(struct tick *tick, struct group *group)
{
	int actual, wanted = warm_pool_size(group);
	struct instance *instance;

	if (!group_warm_pool(group))
		return;
	TAILQ_FOREACH (instance, &group->instances, link)
		run_one(tick, group, instance);
	actual = count_pooled(group);
	/* The group comes first. */
	if (actual < wanted && group_actual(group) >= group->desired)
		fill(tick, group, actual, wanted - actual);
	else if (actual > wanted && !group->is_deleting && !group_is_suspended(group, "Terminate"))
		trim(tick, group, actual, actual - wanted);
	if (is_pending_delete(group))
		bury(group);
}
