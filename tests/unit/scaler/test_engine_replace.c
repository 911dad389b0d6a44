/*
 * Replacement of instances that still run: in which order, how many at a time, and what holds it
 * back: maintenance policies, mass failures, lifetimes.  Zones are test_engine_balance.c.
 */
#include "scaler/engine/replace.h"
#include "tests/unit/scaler/engine_world.h"

static struct world *serving(int desired, int max)
{
	struct world *world = world_new(0, max, desired);

	json_object_set_new(world->group->document, "HealthCheckType", json_string("ELB"));
	engine_attach(world->group, WORLD_TARGET_GROUP);
	engine_delay_seen(world->engine, WORLD_TARGET_GROUP, 0);
	world_pass(world, 150);
	assert_int_equal(group_count(world->group).in_service, desired);
	assert_int_equal(world->group->breaker.row, 0);
	world->n_runs = 0;
	return world;
}

static void maintain(struct world *world, int min, int max)
{
	json_object_set_new(
	    world->group->document, "InstanceMaintenancePolicy",
	    json_pack("{s:i, s:i}", "MinHealthyPercentage", min, "MaxHealthyPercentage", max));
}

/* The first n say so to the load balancer. */
static void call(struct world *world, int n, const char *state)
{
	const struct instance *instance;

	TAILQ_FOREACH (instance, &world->group->instances, link) {
		if (n-- > 0)
			json_object_set_new(world->targets, instance->id, json_string(state));
	}
}

struct seen {
	int least, most, ended_at_once;
};

static struct seen watch(struct world *world, int seconds)
{
	struct seen seen = {.least = 100000};

	for (int i = 0; i < seconds; i++) {
		struct group_counts counts;
		int before = world->n_terminates, ended;

		world_pass(world, 1);
		counts = group_count(world->group);
		ended = world->n_terminates - before;
		seen.least = counts.in_service < seen.least ? counts.in_service : seen.least;
		if (counts.in_service + counts.pending > seen.most)
			seen.most = counts.in_service + counts.pending;
		seen.ended_at_once = ended > seen.ended_at_once ? ended : seen.ended_at_once;
	}
	return seen;
}

static bool is_told(const struct world *world, const char *cause, const char *description)
{
	const struct activity *activity;

	TAILQ_FOREACH (activity, &world->group->activities, link) {
		if (strstr(activity->cause, cause) && strstr(activity->description, description))
			return true;
	}
	return false;
}

/* ---- order ---- */

static void without_a_policy_one_goes_and_the_next_is_launched_at_once(void **state)
{
	struct world *world = serving(3, 3);
	struct seen seen;

	(void)state;
	call(world, 1, "unhealthy");
	world_pass(world, 1);
	assert_int_equal(group_count(world->group).terminating, 1);
	assert_int_equal(group_count(world->group).pending, 1);
	seen = watch(world, 20);
	assert_int_equal(seen.most, 3);
	assert_true(is_told(world, "an ELB system health check failure", "Terminating"));
	assert_true(
	    is_told(world, "an unhealthy instance needing to be replaced", "Launching a new"));
	world_free(world);
}

static void bounds_are_the_policys_percentages_of_the_desired_capacity(void **state)
{
	static const struct {
		int desired, min, max, floor, ceiling;
	} table[] = {
	    {100, 90, 120, 90, 120}, {100, 100, 110, 100, 110}, {100, 90, 100, 90, 100},
	    {10, 90, 110, 9, 11},    {3, 90, 100, 3, 3},        {4, 50, 125, 2, 5},
	    {3, 100, 110, 3, 4}, /* always room for one more */
	    {7, 0, 100, 0, 7},
	};
	struct world *world = world_new(0, 200, 0);

	(void)state;
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		struct replace_bounds bounds;

		maintain(world, table[i].min, table[i].max);
		world->group->desired = table[i].desired;
		bounds = replace_bounds(world->group, REPLACE_AGED);
		assert_int_equal(bounds.floor, table[i].floor);
		assert_int_equal(bounds.ceiling, table[i].ceiling);
	}
	world_free(world);
}

static void without_a_policy_only_zones_and_spot_launch_first(void **state)
{
	struct world *world = world_new(0, 50, 0);
	struct group *group = world->group;

	(void)state;
	group->desired = 50;
	assert_int_equal(replace_bounds(group, REPLACE_UNHEALTHY).ceiling, 50);
	assert_int_equal(replace_bounds(group, REPLACE_AGED).ceiling, 50);
	assert_int_equal(replace_bounds(group, REPLACE_AT_RISK).floor, 50);
	assert_int_equal(replace_bounds(group, REPLACE_AT_RISK).ceiling, 55);
	assert_int_equal(replace_bounds(group, REPLACE_CROWDED).ceiling, 55);
	group->desired = 4;
	group->max = 4;
	assert_int_equal(replace_bounds(group, REPLACE_CROWDED).ceiling, 5);
	group->desired = group->max = 30;
	assert_int_equal(replace_bounds(group, REPLACE_CROWDED).ceiling, 33);
	world_free(world);
}

static void
a_policy_above_100_launches_first_and_ends_the_old_one_when_the_new_is_ready(void **state)
{
	struct world *world = serving(10, 10);
	struct seen seen;

	(void)state;
	maintain(world, 100, 110);
	json_object_set_new(world->group->document, "DefaultInstanceWarmup", json_integer(60));
	call(world, 1, "unhealthy");
	seen = watch(world, 60);
	assert_int_equal(seen.least, 10);
	assert_int_equal(seen.most, 11); /* the maximum is 10 */
	assert_int_equal(world->n_terminates, 0);
	world_restart(world);
	seen = watch(world, 20);
	assert_int_equal(world->n_terminates, 1);
	assert_int_equal(seen.least, 10);
	assert_int_equal(group_actual(world->group), 10);
	assert_int_equal(world->group->surge, 0);
	assert_int_equal(world->n_runs, 1);
	world_free(world);
}

static void what_gets_well_before_its_successor_is_ready_stays(void **state)
{
	struct world *world = serving(10, 10);
	const struct instance *first = TAILQ_FIRST(&world->group->instances);

	(void)state;
	maintain(world, 100, 110);
	json_object_set_new(world->group->document, "DefaultInstanceWarmup", json_integer(60));
	call(world, 1, "unhealthy");
	world_pass(world, 30);
	assert_true(first->is_unhealthy);
	call(world, 1, "healthy");
	world_pass(world, 100);
	assert_false(first->is_unhealthy);
	assert_int_equal(world->n_terminates, 1); /* of eleven one is too many */
	assert_int_equal(group_count(world->group).in_service, 10);
	world_free(world);
}

static void a_policy_without_room_replaces_one_at_a_time(void **state)
{
	struct world *world = serving(3, 3);
	struct seen seen;

	(void)state;
	maintain(world, 90, 100);
	call(world, 2, "unhealthy");
	seen = watch(world, 60);
	assert_int_equal(seen.least, 2);
	assert_int_equal(seen.most, 3);
	assert_int_equal(world->n_terminates, 2);
	world_free(world);
}

static void a_dead_one_is_not_waited_for_whatever_the_policy(void **state)
{
	struct world *world = serving(3, 3);

	(void)state;
	maintain(world, 100, 110);
	world_set_state(world_instance(world, TAILQ_FIRST(&world->group->instances)->id),
			"terminated", "Client.UserInitiatedShutdown");
	world_pass(world, 2);
	assert_int_equal(group_count(world->group).pending, 1);
	assert_int_equal(group_actual(world->group), 3);
	world_free(world);
}

/* ---- how many ---- */

static void of_a_hundred_with_thirty_unhealthy_ten_go_at_a_time(void **state)
{
	struct world *world = serving(100, 100);
	int gone = 0, rounds = 0;

	(void)state;
	json_object_set_new(world->group->document, "DefaultInstanceWarmup", json_integer(60));
	world_pass(world, 60);
	call(world, 30, "unhealthy");
	for (int i = 0; i < 300; i++) {
		int before = world->n_terminates;

		world_pass(world, 1);
		assert_true(group_count(world->group).in_service >= 90);
		if (world->n_terminates == before)
			continue;
		assert_int_equal(world->n_terminates - before, 10);
		assert_true(rounds == 0 || i - gone >= 60);
		gone = i;
		rounds++;
	}
	assert_int_equal(rounds, 3);
	assert_int_equal(world->n_terminates, 30);
	world_free(world);
}

static void a_tag_says_how_many_go_at_a_time(void **state)
{
	struct world *world = serving(20, 20);

	(void)state;
	json_object_set_new(
	    world->group->document, "Tags",
	    json_pack("[{s:s, s:s}]", "Key", "albatross:replace-percent", "Value", "25"));
	call(world, 8, "unhealthy");
	world_pass(world, 1);
	assert_int_equal(group_count(world->group).terminating, 5);
	world_free(world);
}

static void those_that_people_mark_go_without_a_limit(void **state)
{
	struct world *world = serving(6, 6);
	struct instance *instance;

	(void)state;
	TAILQ_FOREACH (instance, &world->group->instances, link)
		instance->is_user_marked = true;
	world_pass(world, 2);
	assert_int_equal(group_count(world->group).terminating + world->n_terminates >= 6, 1);
	world_pass(world, 10);
	assert_int_equal(group_count(world->group).in_service, 6);
	assert_true(is_told(world, "a user health-check", "Terminating"));
	world_free(world);
}

static void a_newcomer_that_is_never_healthy_goes_too(void **state)
{
	struct world *world = serving(4, 8);
	struct err err = {0};

	(void)state;
	world->sickly = "unhealthy";
	assert_int_equal(engine_set_desired(world->group, 5, world->now_ms, &err), 0);
	world_pass(world, 120);
	assert_true(breaker_is_open(world->group));
	assert_true(world->n_terminates >= 2);
	assert_int_equal(group_count(world->group).unhealthy, 1); /* kept */
	world_free(world);
}

/* ---- many at once ---- */

static void when_all_fail_none_goes_before_a_newcomer_works(void **state)
{
	struct world *world = serving(4, 4);
	struct seen seen;

	(void)state;
	call(world, 4, "unhealthy");
	world->sickly = "initial";
	seen = watch(world, 100);
	assert_int_equal(world->n_terminates, 0);
	assert_int_equal(seen.least, 4);
	assert_int_equal(seen.most, 5);
	assert_true(is_told(world, "4 of 4 instances were found unhealthy", "Holding"));
	world->sickly = NULL;
	for (struct instance *i = TAILQ_FIRST(&world->group->instances); i;
	     i = TAILQ_NEXT(i, link)) {
		const char *now = json_string_value(json_object_get(world->targets, i->id));

		if (now && strcmp(now, "initial") == 0)
			json_object_set_new(world->targets, i->id, json_string("healthy"));
	}
	seen = watch(world, 200);
	assert_int_equal(world->n_terminates, 4);
	assert_true(seen.least >= 3);
	assert_int_equal(group_actual(world->group), 4);
	world_free(world);
}

static void when_all_fail_and_recover_nobody_was_replaced(void **state)
{
	struct world *world = serving(4, 4);

	(void)state;
	call(world, 4, "unhealthy");
	world->sickly = "initial";
	world_pass(world, 50);
	world_restart(world);
	world_pass(world, 50);
	call(world, 4, "healthy");
	world_pass(world, 50);
	assert_int_equal(world->n_terminates, 1); /* the one that was launched beside them */
	assert_int_equal(group_count(world->group).in_service, 4);
	assert_int_equal(group_count(world->group).unhealthy, 0);
	world_free(world);
}

static void many_that_fail_under_load_are_held_for_a_quarter_of_an_hour(void **state)
{
	struct world *world = serving(10, 10);

	(void)state;
	world_cpu_policy(world, "cpu", 50, 0, false);
	world->cpu = 95;
	world_pass(world, 60);
	call(world, 7, "unhealthy");
	world_pass(world, 600);
	assert_int_equal(world->n_terminates, 0);
	assert_int_equal(world->n_runs, 0);
	assert_int_equal(world->group->fleet.state, FLEET_HELD);
	assert_true(is_told(world, "7 of 10 instances were found unhealthy", "Holding"));
	world_pass(world, 400);
	assert_true(world->n_terminates > 0);
	assert_true(world->n_runs >= world->n_terminates);
	world_free(world);
}

static void under_load_the_policies_launch_instead(void **state)
{
	struct world *world = serving(4, 20);

	(void)state;
	world_cpu_policy(world, "cpu", 50, 0, false);
	world->cpu = 95;
	while (group_actual(world->group) == 4)
		world_pass(world, 1);
	call(world, 4, "unhealthy");
	while (group_count(world->group).in_service < 8)
		world_pass(world, 1);
	assert_int_equal(world->n_terminates, 0);
	world_free(world);
}

static void while_launches_fail_the_unhealthy_are_kept(void **state)
{
	struct world *world = serving(10, 10);

	(void)state;
	world->run_error = "InvalidAMIID.NotFound";
	call(world, 3, "unhealthy");
	world_pass(world, 200);
	assert_int_equal(world->n_terminates, 1);
	world->run_error = NULL;
	world_pass(world, 600);
	assert_int_equal(world->n_terminates, 3);
	assert_int_equal(group_count(world->group).in_service, 10);
	world_free(world);
}

/* ---- lifetime ---- */

static int64_t day_ms = 86400LL * 1000;

static void live_for_a_day(struct world *world)
{
	json_object_set_new(world->group->document, "MaxInstanceLifetime", json_integer(86400));
}

static void lifetimes_end_one_at_a_time_and_early_enough_for_the_last(void **state)
{
	struct world *world = serving(10, 10);
	int64_t born_ms = TAILQ_FIRST(&world->group->instances)->launch_ms;
	struct seen seen;

	(void)state;
	live_for_a_day(world);
	/* Three minutes for each: the first goes half an hour before the end of its time. */
	world->now_ms = born_ms + day_ms - 40 * 60000;
	world_pass(world, 8 * 60);
	assert_int_equal(world->n_terminates, 0);
	seen = watch(world, 33 * 60);
	assert_int_equal(world->n_terminates, 10);
	assert_int_equal(seen.ended_at_once, 1);
	assert_int_equal(seen.least, 9);
	assert_true(is_told(world, "reaching its maximum lifetime", "Terminating"));
	world_pass(world, 3600);
	assert_int_equal(world->n_terminates, 10);
	world_free(world);
}

static void lifetimes_that_are_over_end_a_tenth_at_a_time(void **state)
{
	struct world *world = serving(40, 40);
	struct seen seen;

	(void)state;
	live_for_a_day(world);
	world->now_ms += 2 * day_ms;
	seen = watch(world, 200);
	assert_int_equal(seen.least, 36);
	assert_int_equal(seen.ended_at_once, 4);
	assert_int_equal(world->n_terminates, 40);
	world_free(world);
}

static void with_a_policy_a_lifetime_ends_when_the_successor_is_ready(void **state)
{
	struct world *world = serving(2, 2);
	struct seen seen;

	(void)state;
	maintain(world, 100, 150);
	live_for_a_day(world);
	world->now_ms += 2 * day_ms;
	seen = watch(world, 200);
	assert_int_equal(seen.least, 2);
	assert_int_equal(seen.most, 3);
	assert_int_equal(world->n_terminates, 2);
	assert_true(is_told(world, "an instance reaching its maximum lifetime", "Launching"));
	world_free(world);
}

static void protected_instances_outlive_the_others(void **state)
{
	struct world *world = serving(3, 3);
	struct instance *instance = TAILQ_FIRST(&world->group->instances);

	(void)state;
	live_for_a_day(world);
	instance->is_protected = true;
	instance->is_dirty = true;
	world->now_ms += day_ms;
	world_pass(world, 300);
	assert_int_equal(world->n_terminates, 2);
	world->now_ms += day_ms / 10;
	world_pass(world, 100);
	assert_int_equal(world->n_terminates, 3);
	world_free(world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(without_a_policy_one_goes_and_the_next_is_launched_at_once),
	    cmocka_unit_test(bounds_are_the_policys_percentages_of_the_desired_capacity),
	    cmocka_unit_test(without_a_policy_only_zones_and_spot_launch_first),
	    cmocka_unit_test(
		a_policy_above_100_launches_first_and_ends_the_old_one_when_the_new_is_ready),
	    cmocka_unit_test(what_gets_well_before_its_successor_is_ready_stays),
	    cmocka_unit_test(a_policy_without_room_replaces_one_at_a_time),
	    cmocka_unit_test(a_dead_one_is_not_waited_for_whatever_the_policy),
	    cmocka_unit_test(of_a_hundred_with_thirty_unhealthy_ten_go_at_a_time),
	    cmocka_unit_test(a_tag_says_how_many_go_at_a_time),
	    cmocka_unit_test(those_that_people_mark_go_without_a_limit),
	    cmocka_unit_test(a_newcomer_that_is_never_healthy_goes_too),
	    cmocka_unit_test(when_all_fail_none_goes_before_a_newcomer_works),
	    cmocka_unit_test(when_all_fail_and_recover_nobody_was_replaced),
	    cmocka_unit_test(many_that_fail_under_load_are_held_for_a_quarter_of_an_hour),
	    cmocka_unit_test(under_load_the_policies_launch_instead),
	    cmocka_unit_test(while_launches_fail_the_unhealthy_are_kept),
	    cmocka_unit_test(lifetimes_end_one_at_a_time_and_early_enough_for_the_last),
	    cmocka_unit_test(lifetimes_that_are_over_end_a_tenth_at_a_time),
	    cmocka_unit_test(with_a_policy_a_lifetime_ends_when_the_successor_is_ready),
	    cmocka_unit_test(protected_instances_outlive_the_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
