/*
 * Instance refreshes, step by step under a moved clock.
 */
#include <errno.h>

#include "tests/unit/scaler/refresh_world.h"

static void ten_instances_go_one_at_a_time_by_default(void **state)
{
	struct world *world = settled(10, 20);
	struct seen seen;

	(void)state;
	start(world, "{'Preferences': {'InstanceWarmup': 60}}");
	assert_string_equal(status(world), "Pending");
	seen = watch(world, 1000);
	assert_string_equal(status(world), "Successful");
	assert_int_equal(seen.least, 9);
	assert_int_equal(seen.most, 10);
	assert_in_range(seen.seconds, 600, 650); /* ten times warm-up and some boot */
	for (int i = 0; i <= 10; i++)
		assert_int_equal(seen.percents[i], 10 * i);
	assert_int_equal(world->n_terminates, 10);
	assert_int_equal(json_array_size(world->ec2), 20);
	world_free(world);
}

static void with_room_for_all_they_are_replaced_at_once(void **state)
{
	struct world *world = settled(10, 10); /* may pass the maximum */
	struct seen seen;

	(void)state;
	start(world, "{'Preferences': {'MinHealthyPercentage': 100, 'MaxHealthyPercentage': 200, "
		     "'InstanceWarmup': 60}}");
	seen = watch(world, 200);
	assert_string_equal(status(world), "Successful");
	assert_int_equal(seen.least, 10);
	assert_int_equal(seen.most, 20);
	assert_in_range(seen.seconds, 60, 75);
	assert_int_equal(group_actual(world->group), 10);
	world_free(world);
}

static void percentages_bound_every_step(void **state)
{
	static const struct {
		int desired;
		const char *preferences;
		int least, most, first_launched, first_ended;
	} table[] = {
	    {3, "{'MinHealthyPercentage': 90}", 2, 3, 1, 1},
	    {2, "{'MinHealthyPercentage': 100, 'MaxHealthyPercentage': 100}", 1, 2, 1, 1},
	    {4, "{'MinHealthyPercentage': 50, 'MaxHealthyPercentage': 125}", 2, 5, 3, 2},
	    {10, "{'MinHealthyPercentage': 100, 'MaxHealthyPercentage': 110}", 10, 11, 1, 0},
	    {5, "{'MinHealthyPercentage': 0}", 0, 5, 5, 5},
	    {100, "{'MinHealthyPercentage': 90}", 90, 100, 10, 10},
	};

	(void)state;
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		struct world *world = settled(table[i].desired, 200);
		json_t *input = json_pack("{s:o}", "Preferences", quoted(table[i].preferences));
		struct err err = {0};
		struct seen seen;

		json_object_set_new(doc_object(input, "Preferences"), "InstanceWarmup",
				    json_integer(20));
		assert_non_null(
		    engine_start_refresh(world->engine, world->group, input, world->now_ms, &err));
		json_decref(input);
		world_pass(world, 1);
		assert_int_equal(group_count(world->group).pending, table[i].first_launched);
		assert_int_equal(group_count(world->group).terminating, table[i].first_ended);
		seen = watch(world, 2000);
		assert_string_equal(status(world), "Successful");
		assert_true(seen.least >= table[i].least);
		assert_int_equal(seen.most, table[i].most);
		assert_int_equal(group_actual(world->group), table[i].desired);
		world_free(world);
	}
}

static void what_matches_is_skipped(void **state)
{
	struct world *world = settled(10, 20);
	struct instance *instance;
	int i = 0;

	(void)state;
	TAILQ_FOREACH (instance, &world->group->instances, link)
		snprintf(instance->template_version, ZONE_MAX, "%d", i++ < 4 ? 2 : 1);
	start(world, "{'Preferences': {'SkipMatching': true, 'InstanceWarmup': 0}}");
	world->group->template_seen_ms = world->now_ms;
	world->group->default_version = 2;
	world_pass(world, 1);
	assert_int_equal(doc_int(refresh_of(world), "Total", 0), 6);
	(void)watch(world, 200);
	assert_int_equal(world->n_terminates, 6);
	world_free(world);

	world = settled(2, 20);
	TAILQ_FOREACH (instance, &world->group->instances, link)
		snprintf(instance->template_version, ZONE_MAX, "2");
	start(world, "{'Preferences': {'SkipMatching': true}}");
	world->group->template_seen_ms = world->now_ms;
	world->group->default_version = 2;
	world_pass(world, 1);
	assert_string_equal(status(world), "Successful");
	assert_int_equal(percent(world), 100);
	assert_int_equal(world->n_runs, 0);
	world_free(world);
}

static void checkpoints_stop_and_go_on(void **state)
{
	struct world *world = settled(10, 20);
	struct seen seen;
	int stops = 0;

	(void)state;
	start(world, "{'Preferences': {'MinHealthyPercentage': 80, 'InstanceWarmup': 600, "
		     "'CheckpointPercentages': [20, 50], 'CheckpointDelay': 900}}");
	world_pass(world, 1);
	assert_int_equal(group_count(world->group).pending, 2);
	world_pass(world, 620);
	assert_int_equal(percent(world), 20);
	assert_string_equal(doc_str(refresh_of(world), "StatusReason", ""),
			    "Waiting at a checkpoint.");
	world_restart(world);
	world_pass(world, 850);
	assert_int_equal(percent(world), 20);
	assert_int_equal(world->n_terminates, 2);
	seen = watch(world, 4000);
	assert_string_equal(status(world), "Successful");
	assert_int_equal(percent(world), 50);
	assert_int_equal(world->n_terminates, 5);
	for (int i = 0; i < seen.n_percents; i++)
		stops += seen.percents[i] == 50;
	assert_int_equal(stops, 1);
	/* Two batches, a stop of 15 minutes after them. */
	assert_in_range(seen.seconds, 600 + 600 + 900, 600 + 600 + 900 + 120);
	world_free(world);
}

static void several_checkpoints_passed_at_once_are_one_stop(void **state)
{
	struct world *world = settled(2, 20);
	struct seen seen;

	(void)state;
	start(world, "{'Preferences': {'InstanceWarmup': 0, 'CheckpointPercentages': [10, 40, "
		     "100], 'CheckpointDelay': 100}}");
	seen = watch(world, 1000);
	assert_in_range(seen.seconds, 100, 130);
	assert_int_equal(percent(world), 100);
	world_free(world);
}

static void protected_instances_are_waited_for_or_not(void **state)
{
	struct world *world = settled(2, 20);

	(void)state;
	TAILQ_FIRST(&world->group->instances)->is_protected = true;
	start(world, "{'Preferences': {'InstanceWarmup': 0}}");
	world_pass(world, 60);
	assert_int_equal(percent(world), 50);
	assert_non_null(strstr(doc_str(refresh_of(world), "StatusReason", ""), "protected"));
	world_pass(world, 3600);
	assert_string_equal(status(world), "Failed");
	world_free(world);

	world = settled(2, 20);
	TAILQ_FIRST(&world->group->instances)->is_protected = true;
	start(world, "{'Preferences': {'InstanceWarmup': 0, 'ScaleInProtectedInstances': "
		     "'Ignore'}}");
	(void)watch(world, 100);
	assert_int_equal(world->n_terminates, 1);
	world_free(world);

	world = settled(2, 20);
	TAILQ_FIRST(&world->group->instances)->is_protected = true;
	start(world, "{'Preferences': {'InstanceWarmup': 0, 'ScaleInProtectedInstances': "
		     "'Refresh'}}");
	(void)watch(world, 100);
	assert_int_equal(world->n_terminates, 2);
	world_free(world);
}

static void a_cancelled_refresh_finishes_what_it_began(void **state)
{
	struct world *world = settled(4, 20);
	struct err err = {0};

	(void)state;
	start(world, "{'Preferences': {'InstanceWarmup': 30}}");
	world_pass(world, 2);
	assert_non_null(engine_cancel_refresh(world->group, &err));
	world_pass(world, 5);
	assert_string_equal(status(world), "Cancelling");
	assert_null(engine_cancel_refresh(world->group, &err));
	assert_int_equal(err.code, ENOENT);
	world_pass(world, 40);
	assert_string_equal(status(world), "Cancelled");
	assert_int_equal(world->n_terminates, 1);
	assert_int_equal(group_count(world->group).in_service, 4);
	world_free(world);
}

static void the_desired_configuration_is_the_groups_after_success(void **state)
{
	struct world *world = settled(2, 20);
	const struct instance *instance;

	(void)state;
	start(world, "{'DesiredConfiguration': {'LaunchTemplate': {'LaunchTemplateName': 'newer', "
		     "'Version': '7'}}, 'Preferences': {'InstanceWarmup': 0}}");
	assert_string_equal(
	    doc_str(doc_object(world->group->document, "LaunchTemplate"), "LaunchTemplateName", ""),
	    "students");
	(void)watch(world, 100);
	assert_string_equal(
	    doc_str(doc_object(world->group->document, "LaunchTemplate"), "LaunchTemplateName", ""),
	    "newer");
	TAILQ_FOREACH (instance, &world->group->instances, link) {
		assert_string_equal(instance->template_name, "newer");
		assert_string_equal(instance->template_version, "7");
	}
	world_free(world);
}

static void a_refresh_is_rolled_back_by_hand(void **state)
{
	struct world *world = settled(4, 20);
	const struct instance *instance;
	struct err err = {0};

	(void)state;
	json_object_set_new(doc_object(world->group->document, "LaunchTemplate"), "Version",
			    json_string("6"));
	start(world, "{'DesiredConfiguration': {'LaunchTemplate': {'LaunchTemplateName': 'newer', "
		     "'Version': '7'}}, 'Preferences': {'InstanceWarmup': 10}}");
	while (percent(world) < 50)
		world_pass(world, 1);
	assert_non_null(engine_roll_back_refresh(world->group, world->now_ms, &err));
	assert_string_equal(status(world), "RollbackInProgress");
	world_pass(world, 1);
	world_restart(world);
	(void)watch(world, 300);
	assert_string_equal(status(world), "RollbackSuccessful");
	assert_int_equal(percent(world), 0);
	TAILQ_FOREACH (instance, &world->group->instances, link)
		assert_string_equal(instance->template_name, "students");
	assert_int_equal(doc_int(doc_object(refresh_of(world), "RollbackDetails"),
				 "PercentageCompleteOnRollback", 0),
			 50);
	world_free(world);
}

static void without_something_to_go_back_to_there_is_no_rollback(void **state)
{
	struct world *world = settled(2, 20);
	struct err err = {0};

	(void)state;
	assert_null(engine_roll_back_refresh(world->group, world->now_ms, &err));
	assert_int_equal(err.code, ENOENT);
	start(world, "{}");
	assert_null(engine_roll_back_refresh(world->group, world->now_ms, &err));
	assert_int_equal(err.code, EINVAL);
	world_free(world);
}

static void launches_that_fail_one_after_another_stop_it(void **state)
{
	struct world *world = settled(4, 20);

	(void)state;
	start(world, "{'Preferences': {'InstanceWarmup': 0}}");
	world->run_error = "InvalidAMIID.NotFound";
	(void)watch(world, 200);
	assert_string_equal(status(world), "Failed");
	assert_non_null(strstr(doc_str(refresh_of(world), "StatusReason", ""), "launches fail"));
	assert_int_equal(world->n_terminates, 1); /* the others serve on */
	world_free(world);
}

static void an_alarm_fails_it_or_rolls_it_back(void **state)
{
	struct world *world = settled(4, 20);

	(void)state;
	start(world, "{'Preferences': {'InstanceWarmup': 30, 'AlarmSpecification': {'Alarms': "
		     "['errors']}}}");
	world_pass(world, 5);
	engine_refresh_alarm(world->group, "others", world->now_ms);
	assert_string_equal(status(world), "InProgress");
	engine_refresh_alarm(world->group, "errors", world->now_ms);
	assert_string_equal(status(world), "Failed");
	world_pass(world, 60);
	assert_int_equal(world->n_terminates, 1);
	assert_int_equal(group_count(world->group).in_service, 4);
	world_free(world);
}

static void newcomers_must_pass_their_target_groups_check(void **state)
{
	struct world *world = world_new(0, 20, 2);
	struct instance *instance;

	(void)state;
	engine_attach(world->group, WORLD_TARGET_GROUP);
	world_pass(world, 60);
	world->sickly = "initial";
	start(world, "{'Preferences': {'InstanceWarmup': 0, 'MinHealthyPercentage': 50}}");
	world_pass(world, 60);
	assert_int_equal(world->n_terminates, 1);
	assert_non_null(strstr(doc_str(refresh_of(world), "StatusReason", ""), "warming up"));
	world->sickly = NULL;
	TAILQ_FOREACH (instance, &world->group->instances, link)
		json_object_set_new(world->targets, instance->id, json_string("healthy"));
	(void)watch(world, 100);
	assert_int_equal(world->n_terminates, 2);
	world_free(world);
}

static void a_target_group_that_nothing_uses_is_not_waited_for(void **state)
{
	struct world *world = world_new(0, 20, 2);

	(void)state;
	engine_attach(world->group, WORLD_TARGET_GROUP);
	world->sickly = "unused";
	world_pass(world, 60);
	start(world, "{'Preferences': {'InstanceWarmup': 0, 'MinHealthyPercentage': 50}}");
	(void)watch(world, 100);
	assert_string_equal(status(world), "Successful");
	world_free(world);
}

static void a_refresh_bakes_before_it_succeeds(void **state)
{
	struct world *world = settled(2, 20);
	struct seen seen;

	(void)state;
	start(world, "{'Preferences': {'InstanceWarmup': 0, 'BakeTime': 120}}");
	seen = watch(world, 1000);
	assert_in_range(seen.seconds, 120, 150);
	assert_string_equal(status(world), "Successful");
	world_free(world);
}

static void a_suspended_refresh_pauses(void **state)
{
	struct world *world = settled(3, 20);

	(void)state;
	json_object_set_new(world->group->document, "SuspendedProcesses",
			    json_pack("[{s:s}]", "ProcessName", "InstanceRefresh"));
	start(world, "{'Preferences': {'InstanceWarmup': 0}}");
	world_pass(world, 60);
	assert_int_equal(world->n_terminates, 0);
	json_object_set_new(world->group->document, "SuspendedProcesses", json_array());
	(void)watch(world, 200);
	assert_int_equal(world->n_terminates, 3);
	world_free(world);
}

static void a_second_refresh_waits_for_the_first(void **state)
{
	struct world *world = settled(2, 20);
	json_t *input = json_object();
	struct err err = {0};

	(void)state;
	start(world, "{'Preferences': {'InstanceWarmup': 0}}");
	assert_null(engine_start_refresh(world->engine, world->group, input, world->now_ms, &err));
	assert_int_equal(err.code, EBUSY);
	(void)watch(world, 100);
	assert_non_null(
	    engine_start_refresh(world->engine, world->group, input, world->now_ms, &err));
	assert_int_equal(json_array_size(world->group->refreshes), 2);
	json_decref(input);
	world_free(world);
}

static void an_empty_group_is_refreshed_at_once(void **state)
{
	struct world *world = settled(0, 20);

	(void)state;
	start(world, "{}");
	world_pass(world, 1);
	assert_string_equal(status(world), "Successful");
	assert_int_equal(percent(world), 100);
	world_free(world);
}

static void activities_say_that_it_was_a_refresh(void **state)
{
	struct world *world = settled(2, 20);
	const struct activity *activity;
	int launches = 0, ends = 0;

	(void)state;
	start(world, "{'Preferences': {'InstanceWarmup': 0}}");
	(void)watch(world, 100);
	TAILQ_FOREACH (activity, &world->group->activities, link) {
		launches += strstr(activity->cause, "an instance was launched in response to an "
						    "instance refresh") != NULL;
		ends += strstr(activity->cause, "an instance was taken out of service in response "
						"to an instance refresh") != NULL;
	}
	assert_int_equal(launches, 2);
	assert_int_equal(ends, 2);
	world_free(world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(ten_instances_go_one_at_a_time_by_default),
	    cmocka_unit_test(with_room_for_all_they_are_replaced_at_once),
	    cmocka_unit_test(percentages_bound_every_step),
	    cmocka_unit_test(what_matches_is_skipped),
	    cmocka_unit_test(checkpoints_stop_and_go_on),
	    cmocka_unit_test(several_checkpoints_passed_at_once_are_one_stop),
	    cmocka_unit_test(protected_instances_are_waited_for_or_not),
	    cmocka_unit_test(a_cancelled_refresh_finishes_what_it_began),
	    cmocka_unit_test(the_desired_configuration_is_the_groups_after_success),
	    cmocka_unit_test(a_refresh_is_rolled_back_by_hand),
	    cmocka_unit_test(without_something_to_go_back_to_there_is_no_rollback),
	    cmocka_unit_test(launches_that_fail_one_after_another_stop_it),
	    cmocka_unit_test(an_alarm_fails_it_or_rolls_it_back),
	    cmocka_unit_test(newcomers_must_pass_their_target_groups_check),
	    cmocka_unit_test(a_target_group_that_nothing_uses_is_not_waited_for),
	    cmocka_unit_test(a_refresh_bakes_before_it_succeeds),
	    cmocka_unit_test(a_suspended_refresh_pauses),
	    cmocka_unit_test(a_second_refresh_waits_for_the_first),
	    cmocka_unit_test(an_empty_group_is_refreshed_at_once),
	    cmocka_unit_test(activities_say_that_it_was_a_refresh),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
