/*
 * Launches that fail: how long the next one waits, when only probes are launched, what is kept
 * for inspection and when the administration suspends.
 */
#include "scaler/engine/parts.h"
#include "tests/unit/scaler/engine_world.h"

static const struct activity *newest(const struct world *world)
{
	return TAILQ_FIRST(&world->group->activities);
}

/* Seconds until the next call of RunInstances. */
static int until_next_run(struct world *world, int limit_s)
{
	int before = world->n_runs, seconds = 0;

	while (world->n_runs == before && seconds < limit_s) {
		world_pass(world, 1);
		seconds++;
	}
	assert_true(seconds < limit_s);
	return seconds;
}

static void end_all(struct world *world)
{
	json_t *instance;
	size_t i;

	json_array_foreach (world->ec2, i, instance)
		world_set_state(instance, "terminated", "Client.InstanceInitiatedShutdown");
}

static void refused_launches_wait_9_18_36_seconds_and_at_most_15_minutes(void **state)
{
	static const int waits[] = {9, 18, 36, 72, 144, 288, 576, 900, 900, 900};
	struct world *world = world_new(1, 1, 1);
	int differ = 0;

	(void)state;
	world->run_error = "InvalidAMIID.NotFound";
	assert_int_equal(until_next_run(world, 2), 1);
	for (size_t i = 0; i < sizeof waits / sizeof waits[0]; i++) {
		int seconds = until_next_run(world, 1200);

		assert_in_range(seconds, waits[i] * 8 / 10, waits[i] * 12 / 10 + 1);
		differ += seconds != waits[i];
	}
	assert_true(differ > 0); /* a fifth more or less, so that groups do not march in step */
	assert_string_equal(activity_status_name(newest(world)->status), "Failed");
	assert_int_equal(newest(world)->progress, 100);
	assert_string_equal(
	    newest(world)->message,
	    "The image id '[ami-1]' does not exist. Launching EC2 instance failed.");
	world_free(world);
}

static void after_three_in_a_row_one_probe_at_a_time_is_launched(void **state)
{
	struct world *world = world_new(0, 20, 10);
	char text[MESSAGE_MAX];
	int most = 0;

	(void)state;
	for (int i = 0; i < 200; i++) {
		world_pass(world, 1);
		if (breaker_is_open(world->group) && group_actual(world->group) > most &&
		    world->n_runs > 3)
			most = group_actual(world->group);
		end_all(world);
	}
	assert_true(breaker_is_open(world->group));
	assert_int_equal(most, 1);
	assert_true(world->n_runs <= 3 + 6); /* three zones at once, then the steps of 200 s */
	assert_non_null(breaker_hold(world->group, world->now_ms, text));
	assert_non_null(strstr(text, "launches have failed in a row"));
	assert_non_null(strstr(text, "Client.InstanceInitiatedShutdown"));
	world_free(world);
}

static void a_probe_that_works_closes_it_and_the_rest_follows(void **state)
{
	struct world *world = world_new(0, 20, 10);
	char text[MESSAGE_MAX];

	(void)state;
	world->run_error = "InvalidAMIID.NotFound";
	world_pass(world, 40);
	assert_true(breaker_is_open(world->group));
	world->run_error = NULL;
	world->n_runs = 0;
	world_restart(world);
	assert_true(breaker_is_open(world->group));
	(void)until_next_run(world, 100);
	world_pass(world, 10);
	assert_int_equal(group_actual(world->group), 1);
	assert_string_equal(breaker_hold(world->group, world->now_ms, text), text);
	assert_non_null(strstr(text, "is being watched"));
	world_pass(world, 40);
	assert_int_equal(group_count(world->group).in_service, 10);
	assert_false(breaker_is_open(world->group));
	assert_null(breaker_hold(world->group, world->now_ms, text));
	world_free(world);
}

static void the_last_failed_one_is_kept_until_the_next_launch(void **state)
{
	json_t *hook = json_pack("{s:s, s:s, s:i, s:s}", "LifecycleHookName", "check",
				 "LifecycleTransition", "autoscaling:EC2_INSTANCE_LAUNCHING",
				 "HeartbeatTimeout", 30, "DefaultResult", "ABANDON");
	struct world *world = world_new(0, 2, 0);
	struct err err = {0};
	int running;

	(void)state;
	assert_int_equal(engine_put_hook(world->group, hook, &err), 0);
	assert_int_equal(engine_set_desired(world->group, 1, world->now_ms, &err), 0);
	while (!breaker_is_open(world->group))
		world_pass(world, 1);
	world_pass(world, 5);
	assert_int_equal(world->n_terminates, 2);
	assert_int_equal(world_in_state(world, "running"), 1);
	assert_non_null(strstr(newest(world)->message, "kept for inspection"));
	world_restart(world);
	world_pass(world, 5);
	assert_int_equal(world->n_terminates, 2);
	running = until_next_run(world, 60);
	assert_true(running > 0);
	world_pass(world, 3);
	assert_int_equal(world->n_terminates, 3);
	json_decref(hook);
	world_free(world);
}

static void what_is_kept_goes_when_no_launch_is_wanted_any_more(void **state)
{
	json_t *hook = json_pack("{s:s, s:s, s:i, s:s}", "LifecycleHookName", "check",
				 "LifecycleTransition", "autoscaling:EC2_INSTANCE_LAUNCHING",
				 "HeartbeatTimeout", 30, "DefaultResult", "ABANDON");
	struct world *world = world_new(0, 2, 0);
	struct err err = {0};

	(void)state;
	assert_int_equal(engine_put_hook(world->group, hook, &err), 0);
	assert_int_equal(engine_set_desired(world->group, 1, world->now_ms, &err), 0);
	while (!breaker_is_open(world->group))
		world_pass(world, 1);
	assert_int_equal(engine_set_desired(world->group, 0, world->now_ms, &err), 0);
	world_pass(world, 600);
	assert_int_equal(world->n_terminates, 2);
	world_pass(world, 310);
	assert_int_equal(world->n_terminates, 3);
	assert_true(TAILQ_EMPTY(&world->group->instances));
	json_decref(hook);
	world_free(world);
}

static const json_t *suspended(const json_t *description)
{
	return json_array_get(doc_array(description, "SuspendedProcesses"), 0);
}

static void a_day_of_failures_is_a_suspension_that_shows_and_probes_every_hour(void **state)
{
	struct world *world = world_new(1, 1, 1);
	json_t *description;

	(void)state;
	world->run_error = "InvalidAMIID.NotFound";
	world_pass(world, 23 * 3600);
	assert_false(world->group->breaker.is_suspended);
	world_pass(world, 2 * 3600);
	assert_true(world->group->breaker.is_suspended);
	description = group_describe(world->group, false);
	assert_string_equal(doc_str(suspended(description), "ProcessName", ""), "Launch");
	assert_non_null(strstr(doc_str(suspended(description), "SuspensionReason", ""),
			       "The image id '[ami-1]' does not exist"));
	json_decref(description);
	assert_null(suspended(world->group->document));
	(void)until_next_run(world, 3601);
	assert_in_range(until_next_run(world, 3700), 3595, 3605);
	world->run_error = NULL;
	world_restart(world);
	assert_true(world->group->breaker.is_suspended);
	(void)until_next_run(world, 3602);
	world_pass(world, 40);
	assert_false(world->group->breaker.is_suspended);
	assert_int_equal(group_count(world->group).in_service, 1);
	world_free(world);
}

static void resuming_launches_by_hand_tries_at_once(void **state)
{
	struct world *world = world_new(1, 1, 1);

	(void)state;
	world->run_error = "InvalidAMIID.NotFound";
	world_pass(world, 3600);
	world->run_error = NULL;
	breaker_reset(world->group);
	world_pass(world, 4);
	assert_int_equal(group_count(world->group).in_service, 1);
	world_free(world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(refused_launches_wait_9_18_36_seconds_and_at_most_15_minutes),
	    cmocka_unit_test(after_three_in_a_row_one_probe_at_a_time_is_launched),
	    cmocka_unit_test(a_probe_that_works_closes_it_and_the_rest_follows),
	    cmocka_unit_test(the_last_failed_one_is_kept_until_the_next_launch),
	    cmocka_unit_test(what_is_kept_goes_when_no_launch_is_wanted_any_more),
	    cmocka_unit_test(a_day_of_failures_is_a_suspension_that_shows_and_probes_every_hour),
	    cmocka_unit_test(resuming_launches_by_hand_tries_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
