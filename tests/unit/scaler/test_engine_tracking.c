/*
 * Target tracking over simulated load, second by second.
 */
#include "tests/unit/scaler/engine_world.h"

static int64_t start_ms;
static double total; /* load of the whole group in percent of one instance */
static struct world *shared;

/* The load is shared evenly by those in service. */
static double shared_load(int64_t at_ms, const char *id)
{
	int n = group_count(shared->group).in_service;
	double value = n > 0 ? total / n : 0;

	(void)at_ms;
	(void)id;
	return value > 100 ? 100 : value;
}

static double noisy_load(int64_t at_ms, const char *id)
{
	unsigned x = (unsigned)(at_ms / 1000) * 2654435761u + (unsigned)id[5];

	return shared_load(at_ms, id) + (double)(x >> 16 & 31) - 15.5;
}

static struct world *tracked(int min, int max, int desired, int warmup_s)
{
	struct world *world = world_new(min, max, desired);

	shared = world;
	world_cpu_policy(world, "cpu50", 50, warmup_s, false);
	total = 0;
	world_pass(world, 5);
	start_ms = world->now_ms;
	world->curve = shared_load;
	return world;
}

static void the_arithmetic_is_that_of_the_documents(void **state)
{
	(void)state;
	assert_int_equal(tracking_need(10, 150, 100), 15);
	assert_int_equal(tracking_need(4, 75, 50), 6);
	assert_int_equal(tracking_need(3, 51, 50), 4);
	assert_int_equal(tracking_need(10, 44, 50), 9);
	assert_int_equal(tracking_need(10, 46, 50), 10);
	assert_int_equal(tracking_need(2, 34, 50), 2);
	assert_int_equal(tracking_need(2, 24, 50), 1);
	assert_int_equal(tracking_need(5, 0, 50), 0);
	assert_int_equal(tracking_need(4, 80, 50), 7);
	assert_int_equal(tracking_need(4, 74, 50), 6);
	assert_int_equal(tracking_need(0, 74, 50), 0);
}

static void the_low_alarm_depends_on_the_size(void **state)
{
	static const struct {
		int n;
		double fraction;
	} table[] = {{0, .90}, {1, .70}, {2, .70}, {3, .70},  {4, .75},  {5, .80},
		     {6, .80}, {7, .85}, {9, .85}, {10, .90}, {100, .90}};

	(void)state;
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
		assert_true(fabs(tracking_low_fraction(table[i].n) - table[i].fraction) < 1e-6);
}

static void a_step_in_load_launches_within_five_seconds(void **state)
{
	struct world *world = tracked(2, 10, 2, 10);
	int seconds = 0;

	(void)state;
	world_pass(world, 60);
	world->data_from_ms = world->now_ms;
	total = 180; /* 90 % on each of two */
	while (world->group->desired == 2 && seconds < 30) {
		world_pass(world, 1);
		seconds++;
	}
	assert_true(seconds <= 5);
	assert_int_equal(world->group->desired, 4); /* ceil(2 x 90 / 50) */
	assert_non_null(strstr(TAILQ_FIRST(&world->group->activities)->cause,
			       "triggered policy cpu50 changing the desired capacity from 2 to 4"));
	world_free(world);
}

/* seconds until the group of two grows under the load, which lasts for so long; 0: it does not */
static int seconds_to_launch(double load, int lasting)
{
	struct world *world = tracked(2, 10, 2, 10);
	int seconds = 0;

	world_pass(world, 60);
	total = load;
	world->data_from_ms = world->now_ms;
	for (int i = 1; i <= 20 && seconds == 0; i++) {
		total = i <= lasting ? load : 20;
		world_pass(world, 1);
		seconds = world->group->desired > 2 ? i : 0;
	}
	world_free(world);
	return seconds;
}

static void two_seconds_far_above_the_target_are_enough(void **state)
{
	(void)state;
	assert_int_equal(seconds_to_launch(200, 20), 2);
	assert_int_equal(seconds_to_launch(152, 20), 2);
	assert_int_equal(seconds_to_launch(148, 20), 3);
	assert_int_equal(seconds_to_launch(110, 20), 3);
	/* The world's curve shows the present load for every second: what has passed is not seen.
	 */
	assert_int_equal(seconds_to_launch(200, 1), 0);
	assert_int_equal(seconds_to_launch(140, 2), 0);
}

static void warming_instances_are_not_ordered_twice(void **state)
{
	struct world *world = tracked(2, 10, 2, 60);

	(void)state;
	world_pass(world, 70);
	total = 180;
	world_pass(world, 60);
	assert_int_equal(world->group->desired, 4);
	world_pass(world, 120);
	assert_int_equal(world->group->desired, 4);
	world_free(world);
}

static void capacity_goes_back_after_fifteen_quiet_seconds(void **state)
{
	struct world *world = tracked(2, 4, 2, 5);

	(void)state;
	world_pass(world, 20);
	total = 400;
	world_pass(world, 30);
	assert_int_equal(world->group->desired, 4);
	total = 4;
	world->curve = shared_load;
	world->data_from_ms = world->now_ms;
	world_pass(world, 14);
	assert_int_equal(world->group->desired, 4);
	world_pass(world, 4);
	assert_int_equal(world->group->desired, 2);
	world_pass(world, 10);
	assert_int_equal(group_count(world->group).in_service, 2);
	world_free(world);
}

static void nothing_is_taken_away_while_an_instance_warms_up(void **state)
{
	struct world *world = tracked(1, 8, 2, 100);

	(void)state;
	total = 0;
	world_pass(world, 90);
	assert_int_equal(world->group->desired, 2);
	world_pass(world, 30);
	assert_int_equal(world->group->desired, 1);
	world_free(world);
}

static void noise_around_the_target_does_not_flap(void **state)
{
	struct world *world = tracked(2, 10, 4, 5);
	int changes = 0, last = 4;

	(void)state;
	total = 170; /* 42.5 % each, +-15 */
	world->curve = noisy_load;
	for (int i = 0; i < 3600; i++) {
		world_pass(world, 1);
		changes += world->group->desired != last;
		last = world->group->desired;
	}
	assert_true(changes <= 3);
	world_free(world);
}

static void missing_data_changes_nothing(void **state)
{
	struct world *world = tracked(1, 10, 4, 5);

	(void)state;
	world->curve = NULL;
	world->cpu = NAN;
	world_pass(world, 300);
	assert_int_equal(world->group->desired, 4);
	world_free(world);
}

static void max_size_is_never_passed_and_min_never_undercut(void **state)
{
	struct world *world = tracked(2, 4, 2, 5);

	(void)state;
	total = 1000;
	world_pass(world, 100);
	assert_int_equal(world->group->desired, 4);
	total = 0;
	world_pass(world, 100);
	assert_int_equal(world->group->desired, 2);
	world_free(world);
}

static void disable_scale_in_keeps_the_capacity(void **state)
{
	struct world *world = world_new(1, 8, 4);

	(void)state;
	shared = world;
	world_cpu_policy(world, "up-only", 50, 5, true);
	world->curve = shared_load;
	total = 0;
	world_pass(world, 100);
	assert_int_equal(world->group->desired, 4);
	world_free(world);
}

static void the_larger_of_two_policies_wins(void **state)
{
	struct world *world = world_new(1, 20, 8);

	(void)state;
	shared = world;
	world_cpu_policy(world, "a", 25, 5, false);
	world_cpu_policy(world, "b", 50, 5, true); /* may not take away: no veto either */
	world->curve = shared_load;
	total = 8 * 16; /* a: in, to 6; b: would need 3 */
	world_pass(world, 40);
	assert_int_equal(world->group->desired, 6);
	world_free(world);

	world = world_new(1, 20, 8);
	shared = world;
	world_cpu_policy(world, "a", 50, 5, false);
	world_cpu_policy(world, "b", 25, 5, true); /* needs more than a would leave */
	world->curve = shared_load;
	total = 8 * 12.5;
	world_pass(world, 120);
	assert_int_equal(world->group->desired, 4);
	world_free(world);

	world = world_new(1, 20, 8);
	shared = world;
	world_cpu_policy(world, "a", 50, 5, false);
	world_cpu_policy(world, "b", 12, 5, false); /* wants to keep: it has a veto */
	world->curve = shared_load;
	total = 8 * 11;
	world_pass(world, 60);
	assert_int_equal(world->group->desired, 8);
	world_free(world);
}

static void a_day_of_waves_follows_the_load(void **state)
{
	struct world *world = tracked(2, 20, 2, 20);

	(void)state;
	for (int minute = 0; minute < 24 * 60; minute++) {
		total = 500 + 400 * sin(minute / 120.0 * 3.14159265);
		world_pass(world, 10);
		if (minute > 30 && group_count(world->group).in_service > 0)
			assert_true(total / group_count(world->group).in_service < 75);
	}
	assert_true(world_in_state(world, "running") == world->group->desired ||
		    group_count(world->group).pending + group_count(world->group).terminating > 0);
	world_free(world);
}

static int requests(void *arg, const struct metric_request *request)
{
	const char *lb = doc_str(json_array_get(request->dimensions, 0), "Value", "");
	const char *tg = doc_str(json_array_get(request->dimensions, 1), "Value", "");

	if (strcmp(lb, "app/web/0123456789abcdef") != 0 ||
	    strcmp(tg, "targetgroup/web/fedcba9876543210") != 0 || request->period_s != 1 ||
	    strcmp(request->statistic, "Sum") != 0)
		return 0;
	for (int i = 0; i < request->n; i++)
		request->values[i] = *(double *)arg;
	return request->n;
}

static void requests_by_the_second_are_held_against_a_target_by_the_minute(void **state)
{
	struct world *world = world_new(1, 9, 2);
	double per_second = 25;
	struct metric_source metrics = {requests, &per_second};
	struct actions actions = {0};

	(void)state;
	world_pass(world, 15); /* what was measured of fewer asks for fewer */
	world_policy(world,
		     json_pack("{s:s, s:s, s:{s:i, s:{s:s, s:s}}}", "PolicyName", "req",
			       "PolicyType", "TargetTrackingScaling", "TargetTrackingConfiguration",
			       "TargetValue", 600, "PredefinedMetricSpecification",
			       "PredefinedMetricType", "ALBRequestCountPerTarget", "ResourceLabel",
			       "app/web/0123456789abcdef/targetgroup/web/fedcba9876543210"));
	engine_tick(world->engine, &metrics, world->now_ms, &actions);
	assert_int_equal(world->group->desired, 5); /* 2 x 25 x 60 / 600 */
	actions_fini(&actions);
	world_free(world);
}

static double half_silent(int64_t at_ms, const char *id)
{
	(void)at_ms;
	return strcmp(id, TAILQ_FIRST(&shared->group->instances)->id) == 0 ? 90 : NAN;
}

static void an_instance_without_figures_asks_for_no_others(void **state)
{
	struct world *world = tracked(1, 10, 4, 5);

	(void)state;
	world_pass(world, 10);
	world->curve = half_silent;
	world_pass(world, 30);
	assert_int_equal(world->group->desired, 4); /* ceil(1 x 90 / 50) is fewer than there are */
	world_free(world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_arithmetic_is_that_of_the_documents),
	    cmocka_unit_test(the_low_alarm_depends_on_the_size),
	    cmocka_unit_test(a_step_in_load_launches_within_five_seconds),
	    cmocka_unit_test(two_seconds_far_above_the_target_are_enough),
	    cmocka_unit_test(warming_instances_are_not_ordered_twice),
	    cmocka_unit_test(capacity_goes_back_after_fifteen_quiet_seconds),
	    cmocka_unit_test(nothing_is_taken_away_while_an_instance_warms_up),
	    cmocka_unit_test(noise_around_the_target_does_not_flap),
	    cmocka_unit_test(missing_data_changes_nothing),
	    cmocka_unit_test(max_size_is_never_passed_and_min_never_undercut),
	    cmocka_unit_test(disable_scale_in_keeps_the_capacity),
	    cmocka_unit_test(the_larger_of_two_policies_wins),
	    cmocka_unit_test(requests_by_the_second_are_held_against_a_target_by_the_minute),
	    cmocka_unit_test(an_instance_without_figures_asks_for_no_others),
	    cmocka_unit_test(a_day_of_waves_follows_the_load),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
