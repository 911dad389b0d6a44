/*
 * Warm pools: instances that have started up once and wait, stopped or running, beside the group.
 * Here are the configuration (in the group's document), the pool's size, which follows the group's
 * desired capacity, the health of those that wait, and their replacement in a refresh.  The ways in
 * and out are warm_ways.c; launching and leaving for good launch.c and terminate.c.  Pure.  AWS:
 * "Warm pools for Amazon EC2 Auto Scaling".
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "scaler/engine/parts.h"

enum {
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

enum pool_state warm_state(const struct group *group)
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

void warm_end(struct engine *engine, struct group *group, struct instance *instance,
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
			warm_end(engine, group, instance,
				 "a user request that deleted the warm pool", now_ms);
	}
	return 0;
}

/* ---- refresh ---- */

struct pool_census {
	int old, warm, transit; /* transit: newcomers on their way in */
};

static struct pool_census take_census(const struct group *group)
{
	struct pool_census census = {0};
	const struct instance *instance;

	TAILQ_FOREACH (instance, &group->instances, link) {
		if (!instance_is_pooled(instance))
			continue;
		census.old += instance->is_outdated;
		census.warm += instance->state == INSTANCE_WARM && !instance->is_unhealthy;
		census.transit += !instance->is_outdated && instance->state != INSTANCE_WARM;
	}
	return census;
}

static int percent_of(int n, int64_t percent)
{
	return (int)((n * percent + 99) / 100);
}

static void take_old(struct tick *tick, struct group *group, int n)
{
	struct instance *instance;

	TAILQ_FOREACH (instance, &group->instances, link) {
		bool is_to_go = instance_is_pooled(instance) && instance->is_outdated &&
				instance->id[0] != '\0';

		if (is_to_go && n-- > 0)
			warm_end(tick->engine, group, instance, "an instance refresh",
				 tick->now_ms);
	}
}

static void show_progress(struct group *group, json_t *refresh, const struct pool_census *census,
			  int64_t now_ms)
{
	int total = (int)doc_int(refresh, "PoolTotal", 0);
	int open = census->old + census->transit < total ? census->old + census->transit : total;
	json_t *pool =
	    json_pack("{s:i, s:i}", "PercentageComplete",
		      total ? 100 * (total - open) / total : 100, "InstancesToUpdate", open);
	json_t *live =
	    json_pack("{s:I, s:I}", "PercentageComplete",
		      (json_int_t)doc_int(refresh, "PercentageComplete", 0), "InstancesToUpdate",
		      (json_int_t)doc_int(refresh, "InstancesToUpdate", 0));
	json_t *details =
	    json_pack("{s:o, s:o}", "LivePoolProgress", live, "WarmPoolProgress", pool);

	if (!json_equal(details, doc_object(refresh, "ProgressDetails"))) {
		json_object_set(refresh, "ProgressDetails", details);
		json_object_set_new(refresh, "ProgressMs", json_integer(now_ms));
		group->is_dirty = true;
	}
	json_decref(details);
}

/* The group's own instances are done.  Newcomers first, as far as MaxHealthyPercentage allows; then
 * as many of the old ones leave as MinHealthyPercentage can spare; with no room for either, one at
 * a time. */
bool warm_refresh(struct tick *tick, struct group *group, json_t *refresh)
{
	const json_t *preferences = doc_object(refresh, "Preferences");
	int size = warm_pool_size(group), down;
	int floor = percent_of(size, doc_int(preferences, "MinHealthyPercentage", 90));
	int ceiling = percent_of(size, doc_int(preferences, "MaxHealthyPercentage", 100));
	struct pool_census census = take_census(group);

	if (!group_warm_pool(group) || doc_int(refresh, "PoolTotal", 0) == 0)
		return false;
	show_progress(group, refresh, &census, tick->now_ms);
	if (census.old == 0 && census.transit == 0 && warm_count(group) >= size)
		return false;
	group->pool_surge = ceiling - size < census.old ? ceiling - size : census.old;
	if (group->pool_surge < 0)
		group->pool_surge = 0;
	down = census.warm - floor;
	if (down <= 0 && census.transit == 0 && group->pool_surge == 0 && warm_count(group) >= size)
		down = 1;
	if (down > 0)
		take_old(tick, group, down);
	return true;
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

	if (!why && may_replace && !zones_have(group, instance)) {
		warm_end(tick->engine, group, instance,
			 "the removal of its Availability Zone from the group", tick->now_ms);
		return;
	}
	if (!why) {
		/* Somebody else has started it. */
		if (instance->ec2 == EC2_RUNNING && instance->pool_state != POOL_RUNNING)
			warm_stop(tick, group, instance);
		return;
	}
	instance->is_dirty |= !instance->is_unhealthy;
	instance->is_unhealthy = true;
	if (!may_replace)
		return;
	warm_end(tick->engine, group, instance, why, tick->now_ms);
	if (is_fresh && !instance->is_user_marked &&
	    strcmp(instance->reason_code, "Client.UserInitiatedShutdown") != 0)
		breaker_failed(tick->engine, group, instance,
			       instance->reason[0] ? instance->reason : why, tick->now_ms);
}

/* ---- size ---- */

int warm_count(const struct group *group)
{
	const struct instance *instance;
	int n = 0;

	TAILQ_FOREACH (instance, &group->instances, link)
		n += instance_is_pooled(instance);
	return n;
}

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
		instance->pool_state = warm_state(group);
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
		order = (int)b->is_outdated - (int)a->is_outdated;
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
		warm_come_back(tick, group, instance);
	} else if (instance->state == INSTANCE_IN_SERVICE && instance->is_from_pool) {
		instance->is_from_pool = false;
		instance->is_dirty = true;
	}
}

void warm_run(struct tick *tick, struct group *group)
{
	int actual, wanted = warm_pool_size(group) + group->pool_surge;
	struct instance *instance;

	if (!group_warm_pool(group))
		return;
	TAILQ_FOREACH (instance, &group->instances, link)
		run_one(tick, group, instance);
	actual = warm_count(group);
	/* The group comes first. */
	if (actual < wanted && group_actual(group) >= group->desired)
		fill(tick, group, actual, wanted - actual);
	else if (actual > wanted && !group->is_deleting && !group_is_suspended(group, "Terminate"))
		trim(tick, group, actual, actual - wanted);
	if (is_pending_delete(group))
		bury(group);
}
