/*
 * Instance refreshes beside what else happens: other sizes, suspended processes, protection,
 * failing launches, other replacements; and what ends or undoes them.
 */
#include "tests/unit/scaler/refresh_world.h"

static void two_at_a_time_take_five_times_boot_and_warm_up(void **state)
{
	struct world *world = settled(10, 20);
	struct seen seen;

	(void)state;
	start(world, "{'Preferences': {'MinHealthyPercentage': 80, 'InstanceWarmup': 240}}");
	seen = watch(world, 2000);
	assert_string_equal(status(world), "Successful");
	assert_int_equal(seen.least, 8);
	assert_in_range(seen.seconds, 5 * 240, 5 * 245);
	world_free(world);
}

static void a_new_desired_capacity_counts_at_once(void **state)
{
	struct world *world = settled(10, 40);
	struct err err = {0};
	struct seen seen;

	(void)state;
	start(world, "{'Preferences': {'MinHealthyPercentage': 90, 'InstanceWarmup': 30}}");
	world_pass(world, 5);
	assert_int_equal(world->n_terminates, 1);
	assert_int_equal(engine_set_desired(world->group, 30, world->now_ms, &err), 0);
	world_pass(world, 40);
	seen = watch(world, 400);
	assert_int_equal(seen.least, 27);
	assert_int_equal(seen.most, 30);
	assert_int_equal(world->n_terminates, 10); /* the later ones are new */
	world_free(world);
}

static void a_scale_in_meanwhile_takes_the_old_ones(void **state)
{
	struct world *world = settled(6, 20);
	const struct instance *instance;
	struct err err = {0};

	(void)state;
	json_object_set_new(world->group->document, "TerminationPolicies",
			    json_pack("[s]", "NewestInstance"));
	start(world, "{'Preferences': {'MinHealthyPercentage': 50, 'InstanceWarmup': 600}}");
	world_pass(world, 10);
	assert_int_equal(world->n_terminates, 3);
	assert_int_equal(engine_set_desired(world->group, 3, world->now_ms, &err), 0);
	world_pass(world, 10);
	assert_int_equal(world->n_terminates, 6);
	TAILQ_FOREACH (instance, &world->group->instances, link)
		assert_false(instance->is_outdated);
	world_free(world);
}

static void instances_on_standby_are_waited_for_ended_or_left(void **state)
{
	static const struct {
		const char *choice, *status;
		int terminates;
	} table[] = {
	    {"Wait", "Failed", 1}, {"Terminate", "Successful", 2}, {"Ignore", "Successful", 1}};

	(void)state;
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		struct world *world = settled(2, 20);
		json_t *input = quoted("{'Preferences': {'InstanceWarmup': 0}}");
		struct err err = {0};

		assert_non_null(engine_take_out(world->engine, world->group,
						TAILQ_FIRST(&world->group->instances), false,
						world->now_ms));
		world->group->desired = 1;
		world_pass(world, 3);
		json_object_set_new(doc_object(input, "Preferences"), "StandbyInstances",
				    json_string(table[i].choice));
		assert_non_null(
		    engine_start_refresh(world->engine, world->group, input, world->now_ms, &err));
		json_decref(input);
		(void)watch(world, 3700);
		assert_string_equal(status(world), table[i].status);
		assert_int_equal(world->n_terminates, table[i].terminates);
		world_free(world);
	}
}

static void the_patience_is_an_hour_or_what_a_tag_says(void **state)
{
	struct world *world = settled(1, 20);
	struct seen seen;

	(void)state;
	json_object_set_new(
	    world->group->document, "Tags",
	    json_pack("[{s:s, s:s}]", "Key", "albatross:refresh-patience", "Value", "600"));
	TAILQ_FIRST(&world->group->instances)->is_protected = true;
	start(world, "{'Preferences': {'InstanceWarmup': 0}}");
	world_pass(world, 2);
	assert_non_null(strstr(doc_str(refresh_of(world), "StatusReason", ""),
			       TAILQ_FIRST(&world->group->instances)->id));
	seen = watch(world, 1000);
	assert_in_range(seen.seconds, 590, 605);
	assert_string_equal(status(world), "Failed");
	world_free(world);
}

static void protection_that_falls_lets_it_go_on(void **state)
{
	struct world *world = settled(1, 20);

	(void)state;
	TAILQ_FIRST(&world->group->instances)->is_protected = true;
	start(world, "{'Preferences': {'InstanceWarmup': 0}}");
	world_pass(world, 3000);
	assert_string_equal(status(world), "InProgress");
	TAILQ_FIRST(&world->group->instances)->is_protected = false;
	(void)watch(world, 60);
	assert_string_equal(status(world), "Successful");
	world_free(world);
}

static void a_pause_takes_nothing_from_its_patience(void **state)
{
	static const char *const processes[] = {"InstanceRefresh", "Launch", "Terminate"};

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct world *world = settled(3, 20);

		start(world, "{'Preferences': {'InstanceWarmup': 30}}");
		world_pass(world, 5);
		json_object_set_new(world->group->document, "SuspendedProcesses",
				    json_pack("[{s:s}]", "ProcessName", processes[i]));
		world_pass(world, 3600);
		world_restart(world);
		world_pass(world, 3600);
		assert_string_equal(status(world), "InProgress");
		assert_non_null(strstr(doc_str(refresh_of(world), "StatusReason", ""), "Paused"));
		assert_int_equal(world->n_terminates, 1);
		json_object_set_new(world->group->document, "SuspendedProcesses", json_array());
		(void)watch(world, 300);
		assert_string_equal(status(world), "Successful");
		world_free(world);
	}
}

static void an_alarm_rolls_it_back_while_it_bakes_too(void **state)
{
	struct world *world = settled(2, 20);
	const struct instance *instance;

	(void)state;
	json_object_set_new(doc_object(world->group->document, "LaunchTemplate"), "Version",
			    json_string("6"));
	start(world, "{'DesiredConfiguration': {'LaunchTemplate': {'LaunchTemplateName': 'newer', "
		     "'Version': '7'}}, 'Preferences': {'InstanceWarmup': 0, 'BakeTime': 600, "
		     "'AutoRollback': true, 'AlarmSpecification': {'Alarms': ['errors']}}}");
	while (strcmp(status(world), "Baking") != 0)
		world_pass(world, 1);
	engine_refresh_alarm(world->group, "errors", world->now_ms);
	assert_string_equal(status(world), "RollbackInProgress");
	(void)watch(world, 100);
	assert_string_equal(status(world), "RollbackSuccessful");
	TAILQ_FOREACH (instance, &world->group->instances, link)
		assert_string_equal(instance->template_name, "students");
	world_free(world);
}

/* What each launch comes to: the newer template's never get healthy. */
static void newcomers_that_are_never_healthy_stop_it_and_it_rolls_back(void **state)
{
	struct world *world = world_new(0, 20, 10);
	const struct instance *instance;
	int old = 0;

	(void)state;
	json_object_set_new(world->group->document, "HealthCheckType", json_string("ELB"));
	json_object_set_new(doc_object(world->group->document, "LaunchTemplate"), "Version",
			    json_string("6"));
	engine_attach(world->group, WORLD_TARGET_GROUP);
	world_pass(world, 60);
	world->sickly = "unhealthy";
	start(world, "{'DesiredConfiguration': {'LaunchTemplate': {'LaunchTemplateName': 'newer', "
		     "'Version': '7'}}, 'Preferences': {'InstanceWarmup': 0, 'AutoRollback': "
		     "true}}");
	for (int i = 0; i < 600 && strcmp(status(world), "RollbackInProgress") != 0; i++)
		world_pass(world, 1);
	assert_string_equal(status(world), "RollbackInProgress");
	assert_non_null(
	    strstr(doc_str(doc_object(refresh_of(world), "RollbackDetails"), "RollbackReason", ""),
		   "Last reason: an ELB system health check failure"));
	TAILQ_FOREACH (instance, &world->group->instances, link)
		old += instance->state == INSTANCE_IN_SERVICE &&
		       strcmp(instance->template_name, "students") == 0;
	assert_int_equal(old, 9); /* nine of ten serve on, whatever the newcomers do */
	world->sickly = NULL;
	(void)watch(world, 300);
	assert_string_equal(status(world), "RollbackSuccessful");
	world_pass(world, 100);
	assert_int_equal(group_count(world->group).in_service, 10);
	world_free(world);
}

static void while_launches_fail_nothing_more_is_taken_away(void **state)
{
	struct world *world = settled(10, 20);

	(void)state;
	start(world, "{'Preferences': {'MinHealthyPercentage': 50, 'InstanceWarmup': 0, "
		     "'CheckpointPercentages': [10, 100], 'CheckpointDelay': 1}}");
	world->run_error = "InvalidAMIID.NotFound";
	world_pass(world, 10);
	assert_int_equal(world->n_terminates, 1);
	assert_non_null(strstr(doc_str(refresh_of(world), "StatusReason", ""), "failed in a row"));
	world->run_error = NULL;
	(void)watch(world, 200);
	assert_string_equal(status(world), "Successful");
	world_free(world);
}

static void a_refresh_and_other_replacements_share_one_ceiling(void **state)
{
	struct world *world = settled(10, 10);
	struct seen seen;

	(void)state;
	json_object_set_new(
	    world->group->document, "InstanceMaintenancePolicy",
	    json_pack("{s:i, s:i}", "MinHealthyPercentage", 100, "MaxHealthyPercentage", 120));
	start(world, "{'Preferences': {'InstanceWarmup': 30}}");
	world_pass(world, 1);
	assert_int_equal(world->group->surge, 2);
	TAILQ_FIRST(&world->group->instances)->is_user_marked = true;
	TAILQ_NEXT(TAILQ_FIRST(&world->group->instances), link)->is_user_marked = true;
	seen = watch(world, 600);
	assert_string_equal(status(world), "Successful");
	assert_int_equal(seen.most, 12);
	assert_int_equal(group_actual(world->group), 10);
	world_free(world);
}

static void after_fourteen_days_it_fails(void **state)
{
	struct world *world = settled(2, 20);

	(void)state;
	start(world, "{'Preferences': {'InstanceWarmup': 1000000000}}");
	world_pass(world, 5);
	json_object_set_new(
	    world->group->document, "Tags",
	    json_pack("[{s:s, s:s}]", "Key", "albatross:refresh-patience", "Value", "1209600"));
	world->now_ms += 14LL * 86400 * 1000 - 60000;
	world_pass(world, 30);
	assert_string_equal(status(world), "InProgress");
	world_pass(world, 60);
	assert_string_equal(status(world), "Failed");
	world_free(world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(two_at_a_time_take_five_times_boot_and_warm_up),
	    cmocka_unit_test(a_new_desired_capacity_counts_at_once),
	    cmocka_unit_test(a_scale_in_meanwhile_takes_the_old_ones),
	    cmocka_unit_test(instances_on_standby_are_waited_for_ended_or_left),
	    cmocka_unit_test(the_patience_is_an_hour_or_what_a_tag_says),
	    cmocka_unit_test(protection_that_falls_lets_it_go_on),
	    cmocka_unit_test(a_pause_takes_nothing_from_its_patience),
	    cmocka_unit_test(an_alarm_rolls_it_back_while_it_bakes_too),
	    cmocka_unit_test(newcomers_that_are_never_healthy_stop_it_and_it_rolls_back),
	    cmocka_unit_test(while_launches_fail_nothing_more_is_taken_away),
	    cmocka_unit_test(a_refresh_and_other_replacements_share_one_ceiling),
	    cmocka_unit_test(after_fourteen_days_it_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
