/*
 * Who enters slow start and who leaves it (lb/control/registry_watch.h).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "common/base/clock.h"
#include "lb/control/registry_watch.h"
#include "lb/routing/slow_start.h"

enum { DURATION_S = 30, TARGETS = 3 };

struct world {
	struct live_group group;
	struct live_target targets[TARGETS];
};

static int setup(void **state)
{
	static struct world world;

	memset(&world, 0, sizeof(world));
	TAILQ_INIT(&world.group.targets);
	world.group.slow_start_s = DURATION_S;
	*state = &world;
	return 0;
}

static struct live_target *join(struct world *world, int i)
{
	struct live_target *live = &world->targets[i];

	live->group = &world->group;
	health_init(&live->health);
	live_target_join(live);
	TAILQ_INSERT_TAIL(&world->group.targets, live, link);
	return live;
}

static void become(struct live_target *live, enum target_state state)
{
	health_set(&live->health, state, HEALTH_REASON_NONE);
	live_target_publish(live);
}

static bool is_in(const struct live_target *live)
{
	return slow_start_is_in(live->ramp_from_ms, live->group->slow_start_s,
				clock_monotonic_us() / 1000);
}

/* The first, healthy and not in slow start. */
static struct live_target *steady(struct world *world)
{
	struct live_target *live = join(world, 0);

	become(live, TARGET_HEALTHY);
	assert_false(is_in(live));
	return live;
}

static void c14_11_a_target_enters_when_it_becomes_healthy_beside_a_steady_one(void **state)
{
	struct live_target *late;

	steady(*state);
	late = join(*state, 1);
	assert_false(is_in(late));
	become(late, TARGET_HEALTHY);
	assert_true(is_in(late));
}

static void c14_11_what_is_registered_together_in_an_empty_group_does_not_enter(void **state)
{
	struct world *world = *state;

	for (int i = 0; i < TARGETS; i++)
		join(world, i);
	for (int i = 0; i < TARGETS; i++) {
		become(&world->targets[i], TARGET_HEALTHY);
		assert_false(is_in(&world->targets[i]));
	}
}

static void c14_11_who_was_healthy_before_it_was_turned_on_does_not_enter(void **state)
{
	struct world *world = *state;
	struct live_target *late;

	world->group.slow_start_s = 0;
	steady(world);
	late = join(world, 1);
	become(late, TARGET_HEALTHY);
	world->group.slow_start_s = DURATION_S;
	live_target_publish(late);
	assert_false(is_in(late));
}

static void c14_11_nobody_enters_beside_those_that_are_in_it_themselves(void **state)
{
	struct world *world = *state;
	struct live_target *first = steady(world), *second, *third;

	second = join(world, 1);
	third = join(world, 2);
	become(second, TARGET_HEALTHY);
	become(first, TARGET_UNHEALTHY);
	become(third, TARGET_HEALTHY);
	assert_true(is_in(second));
	assert_false(is_in(third));
}

static void c14_11_it_ends_when_the_duration_is_over(void **state)
{
	struct live_target *late;

	steady(*state);
	late = join(*state, 1);
	become(late, TARGET_HEALTHY);
	late->ramp_from_ms -= DURATION_S * 1000 - 1000;
	assert_true(is_in(late));
	late->ramp_from_ms -= 1000;
	assert_false(is_in(late));
	live_target_publish(late); /* whatever else is told of it meanwhile */
	assert_false(is_in(late));
}

static void c14_11_it_ends_with_health_and_begins_anew_with_it(void **state)
{
	struct world *world = *state;
	struct live_target *late;
	int64_t first;

	steady(world);
	late = join(world, 1);
	become(late, TARGET_HEALTHY);
	late->ramp_from_ms -= 20 * 1000;
	first = late->ramp_from_ms;
	become(late, TARGET_UNHEALTHY);
	assert_int_equal(late->ramp_from_ms, 0);
	become(late, TARGET_HEALTHY);
	assert_true(late->ramp_from_ms > first);
	become(late, TARGET_DRAINING);
	assert_int_equal(late->ramp_from_ms, 0);
}

static void c14_11_a_founder_that_recovers_enters_like_any_other(void **state)
{
	struct world *world = *state;
	struct live_target *one = join(world, 0), *two = join(world, 1);

	become(one, TARGET_HEALTHY);
	become(two, TARGET_HEALTHY);
	become(two, TARGET_UNHEALTHY);
	become(two, TARGET_HEALTHY);
	assert_true(is_in(two));
	assert_false(is_in(one));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, setup)
	const struct CMUnitTest tests[] = {
	    TEST(c14_11_a_target_enters_when_it_becomes_healthy_beside_a_steady_one),
	    TEST(c14_11_what_is_registered_together_in_an_empty_group_does_not_enter),
	    TEST(c14_11_who_was_healthy_before_it_was_turned_on_does_not_enter),
	    TEST(c14_11_nobody_enters_beside_those_that_are_in_it_themselves),
	    TEST(c14_11_it_ends_when_the_duration_is_over),
	    TEST(c14_11_it_ends_with_health_and_begins_anew_with_it),
	    TEST(c14_11_a_founder_that_recovers_enters_like_any_other),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
