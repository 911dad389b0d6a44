/*
 * Groups with a warm pool, for the tests of what becomes of them.
 */
#ifndef TESTS_UNIT_SCALER_WARM_WORLD_H
#define TESTS_UNIT_SCALER_WARM_WORLD_H

#include "scaler/engine/parts.h"
#include "tests/unit/scaler/engine_world.h"
#include <errno.h>

static inline void put(struct world *world, json_t *input)
{
	struct err err = {0};

	assert_int_equal(engine_put_warm_pool(world->group, input, &err), 0);
	json_decref(input);
}

/* A group with its target group and a pool of the defaults, all at rest. */
static inline struct world *pooled(int desired, int max, json_t *pool)
{
	struct world *world = world_new(0, max, desired);

	engine_attach(world->group, WORLD_TARGET_GROUP);
	put(world, pool);
	world_pass(world, 12);
	return world;
}

static inline void set_desired(struct world *world, int desired)
{
	struct err err = {0};

	assert_int_equal(engine_set_desired(world->group, desired, world->now_ms, &err), 0);
}

static inline void put_hook(struct world *world, const char *name, const char *transition)
{
	json_t *input = json_pack("{s:s, s:s, s:i}", "LifecycleHookName", name,
				  "LifecycleTransition", transition, "HeartbeatTimeout", 60);
	struct err err = {0};

	assert_int_equal(engine_put_hook(world->group, input, &err), 0);
	json_decref(input);
}

static inline void answer(struct world *world, const char *name, const char *id, const char *result)
{
	json_t *input = json_pack("{s:s, s:s, s:s}", "LifecycleHookName", name, "InstanceId", id,
				  "LifecycleActionResult", result);
	struct err err = {0};

	assert_int_equal(engine_complete_hook(world->group, input, &err), 0);
	json_decref(input);
}

/* The first instance in that state, as DescribeWarmPool names it; NULL: none. */
static inline struct instance *find(const struct world *world, const char *state)
{
	struct instance *instance;
	char text[ZONE_MAX];

	TAILQ_FOREACH (instance, &world->group->instances, link) {
		if (strcmp(instance_lifecycle(instance, text), state) == 0)
			return instance;
	}
	return NULL;
}

static inline int count(const struct world *world, const char *state)
{
	const struct instance *instance;
	char text[ZONE_MAX];
	int n = 0;

	TAILQ_FOREACH (instance, &world->group->instances, link)
		n += strcmp(instance_lifecycle(instance, text), state) == 0;
	return n;
}

static inline const struct activity *activity_like(const struct world *world,
						   const char *description)
{
	const struct activity *activity;

	TAILQ_FOREACH (activity, &world->group->activities, link) {
		if (strstr(activity->description, description))
			return activity;
	}
	fail_msg("no activity like %s", description);
	abort();
}

#endif
