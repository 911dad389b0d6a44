/*
 * The tick: for each group, what is known is taken further, then desired and actual are
 * brought together, then what is to be done is handed out.  Pure.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "scaler/engine/parts.h"

const char *const ENGINE_KEYS = "autoscaling/";

struct engine *engine_new(const char *region, const char *account, struct id_source *ids)
{
	struct engine *engine = calloc(1, sizeof *engine);

	if (!engine)
		return NULL;
	text_copy(engine->region, sizeof engine->region, region);
	text_copy(engine->account, sizeof engine->account, account);
	engine->ids = ids;
	TAILQ_INIT(&engine->groups);
	TAILQ_INIT(&engine->old_activities);
	TAILQ_INIT(&engine->events.list);
	engine->removed = json_array();
	engine->configs = json_object();
	engine->new_configs = json_array();
	if (engine->removed && engine->configs && engine->new_configs)
		return engine;
	engine_free(engine);
	return NULL;
}

void engine_set_zones(struct engine *engine, int (*offset)(const char *zone, int64_t at_s))
{
	engine->zone_offset = offset;
}

void engine_set_dry_run(struct engine *engine)
{
	engine->is_dry_run = true;
}

bool engine_is_dry_run(const struct engine *engine)
{
	return engine->is_dry_run;
}

void engine_free(struct engine *engine)
{
	struct activity *activity;
	struct group *group;

	if (!engine)
		return;
	while ((group = TAILQ_FIRST(&engine->groups))) {
		TAILQ_REMOVE(&engine->groups, group, link);
		group_free(group);
	}
	while ((activity = TAILQ_FIRST(&engine->old_activities))) {
		TAILQ_REMOVE(&engine->old_activities, activity, link);
		activity_free(activity);
	}
	events_free(engine);
	json_decref(engine->removed);
	json_decref(engine->configs);
	json_decref(engine->new_configs);
	json_decref(engine->prices);
	free(engine);
}

void engine_set_prices(struct engine *engine, const json_t *prices)
{
	json_decref(engine->prices);
	engine->prices = json_deep_copy(prices);
}

struct group *engine_group(struct engine *engine, const char *name)
{
	struct group *group;

	TAILQ_FOREACH (group, &engine->groups, link) {
		if (strcmp(group->name, name) == 0)
			return group;
	}
	return NULL;
}

struct group *engine_group_of(struct engine *engine, const char *instance_id,
			      struct instance **instance)
{
	struct group *group;

	TAILQ_FOREACH (group, &engine->groups, link) {
		*instance = group_instance(group, instance_id);
		if (*instance)
			return group;
	}
	return NULL;
}

void actions_fini(struct actions *actions)
{
	free(actions->items);
	memset(actions, 0, sizeof *actions);
}

static bool grow(struct actions *actions)
{
	size_t cap = actions->cap ? 2 * actions->cap : 16;
	struct action *items = reallocarray(actions->items, cap, sizeof *items);

	if (!items) {
		actions->is_failed = true;
		return false;
	}
	actions->items = items;
	actions->cap = cap;
	return true;
}

struct action *action_add(struct tick *tick, enum action_kind kind, const struct group *group,
			  const struct instance *instance)
{
	struct actions *actions = tick->actions;
	struct action *action;

	if (actions->n == actions->cap && !grow(actions))
		return NULL;
	action = &actions->items[actions->n++];
	memset(action, 0, sizeof *action);
	action->kind = kind;
	memcpy(action->group, group->name, sizeof action->group);
	memcpy(action->launch_id, instance->launch_id, sizeof action->launch_id);
	memcpy(action->instance_id, instance->id, sizeof action->instance_id);
	return action;
}

static void reconcile(struct tick *tick, struct group *group)
{
	int actual = group_actual(group), wanted = group->desired + group->surge;

	if (actual < wanted)
		actual += warm_take(tick, group, wanted - actual);
	if (actual < wanted)
		launch_missing(tick, group, cost_room(tick->engine, group, wanted - actual));
	else if (actual > wanted && !group->is_deleting && !group_is_suspended(group, "Terminate"))
		terminate_surplus(tick, group, actual - wanted);
	if (actual >= wanted && group->replacing > 0) {
		group->replacing = 0;
		group->is_dirty = true;
	}
	if (actual == group->desired)
		group_forget_why(group);
}

void engine_forget_key(struct engine *engine, const char *kind, const char *group, const char *id)
{
	char key[2 * NAME_MAX_LEN + 64];

	snprintf(key, sizeof key, "%s%s/%s%s%s", ENGINE_KEYS, kind, group, id ? ":" : "",
		 id ? id : "");
	json_array_append_new(engine->removed, json_string(key));
}

static void sweep_instances(struct engine *engine, struct group *group)
{
	struct instance *instance, *next;

	TAILQ_FOREACH_SAFE (instance, &group->instances, link, next) {
		if (instance->state != INSTANCE_TERMINATED)
			continue;
		engine_forget_key(engine, "instance", group->name, instance->launch_id);
		TAILQ_REMOVE(&group->instances, instance, link);
		instance_free(instance);
	}
}

static void bury(struct engine *engine, struct group *group)
{
	struct activity *activity;
	struct schedule *schedule;
	struct policy *policy;

	while ((activity = TAILQ_LAST(&group->activities, activities))) {
		TAILQ_REMOVE(&group->activities, activity, link);
		activity->is_group_deleted = true;
		activity->is_dirty = true;
		TAILQ_INSERT_HEAD(&engine->old_activities, activity, link);
	}
	activities_trim(engine, &engine->old_activities, 2 * MAX_ACTIVITIES);
	TAILQ_FOREACH (policy, &group->policies, link) {
		prediction_drop(engine, group, policy);
		engine_forget_key(engine, "policy", group->name, policy->name);
	}
	TAILQ_FOREACH (schedule, &group->schedules, link)
		engine_forget_key(engine, "schedule", group->name, schedule->name);
	engine_forget_key(engine, "group", group->name, NULL);
	TAILQ_REMOVE(&engine->groups, group, link);
	group_free(group);
}

void engine_remove_policy(struct engine *engine, struct group *group, struct policy *policy)
{
	if (group->proposal.policy == policy)
		policies_forget_proposal(group);
	prediction_drop(engine, group, policy);
	engine_forget_key(engine, "policy", group->name, policy->name);
	TAILQ_REMOVE(&group->policies, policy, link);
	policy_free(policy);
}

/* What capacity the group is to have. */
static void decide(struct tick *tick, struct group *group)
{
	schedules_run(tick, group);
	tracking_run(tick, group);
	predict_run(tick, group);
	policies_run(tick, group);
}

static void tick_group(struct tick *tick, struct group *group)
{
	group_learn_facts(group);
	if (tick->engine->is_dry_run) {
		decide(tick, group);
		group_forget_facts(group);
		return;
	}
	launch_progress(tick, group);
	health_check(tick, group);
	decide(tick, group);
	refresh_run(tick, group);
	spot_run(tick, group);
	replace_run(tick, group);
	launch_zones_known(tick, group);
	reconcile(tick, group);
	warm_run(tick, group);
	launch_hand_out(tick, group);
	register_progress(tick, group);
	register_hand_out(tick, group);
	terminate_progress(tick, group);
	membership_progress(tick, group);
	sweep_instances(tick->engine, group);
	group_forget_facts(group);
}

void engine_tick(struct engine *engine, const struct metric_source *metrics, int64_t now_ms,
		 struct actions *actions)
{
	static const struct metric_source nothing;
	struct tick tick = {.engine = engine,
			    .metrics = metrics ? metrics : &nothing,
			    .now_ms = now_ms,
			    .actions = actions};
	struct group *group, *next;

	engine->ticks++;
	clock_look(engine, now_ms);
	TAILQ_FOREACH_SAFE (group, &engine->groups, link, next) {
		tick_group(&tick, group);
		if (group->is_deleting && TAILQ_EMPTY(&group->instances) && group->unknown == 0)
			bury(engine, group);
	}
}
