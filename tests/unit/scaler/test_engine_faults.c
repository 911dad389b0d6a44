/*
 * Faults one by one: what the property tests (test_engine_properties.c) have found, each as the
 * shortest story that shows it.
 */
#include "scaler/engine/parts.h"
#include "tests/unit/scaler/engine_world.h"

static struct world *serving(int desired)
{
	struct world *world = world_new(0, 9, desired);

	engine_attach(world->group, WORLD_TARGET_GROUP);
	world_pass(world, 40);
	assert_int_equal(group_count(world->group).in_service, desired);
	return world;
}

static struct instance *first(const struct world *world)
{
	return TAILQ_FIRST(&world->group->instances);
}

static void set_desired(struct world *world, int desired)
{
	struct err err = {0};

	assert_int_equal(engine_set_desired(world->group, desired, world->now_ms, &err), 0);
}

/* Time passes without anything being carried out; the actions of that kind, counted. */
static int count_handed_out(struct world *world, enum action_kind kind)
{
	struct actions actions = {0};
	int n = 0;

	world->now_ms += 1000;
	world_view(world);
	world_tick_only(world, &actions);
	for (size_t i = 0; i < actions.n; i++)
		n += actions.items[i].kind == kind;
	actions_fini(&actions);
	return n;
}

static void a_registration_without_an_answer_is_taken_back_before_the_instance_ends(void **state)
{
	struct world *world = world_new(0, 9, 1);
	struct actions actions = {0};

	(void)state;
	engine_attach(world->group, WORLD_TARGET_GROUP);
	for (int i = 0; i < 9 && world->n_registers == 0; i++) {
		world->now_ms += 1000;
		world_view(world);
		actions_fini(&actions);
		world_tick_only(world, &actions);
		for (size_t k = 0; k < actions.n; k++)
			world_do(world, &actions.items[k]);
	}
	actions_fini(&actions);
	assert_int_equal(world->n_registers, 1);
	world_restart(world); /* before the answer was written */
	set_desired(world, 0);
	world_pass(world, 60);
	assert_int_equal(world->n_deregisters, 1);
	assert_int_equal(world_in_state(world, "running"), 0);
	assert_int_equal(json_object_size(world->targets), 0);
	world_free(world);
}

static void a_newcomer_that_dies_leaves_its_target_group(void **state)
{
	struct world *world = serving(1);
	const char *id;

	(void)state;
	set_desired(world, 2);
	while (world->n_registers < 2)
		world_pass(world, 1);
	id = TAILQ_NEXT(first(world), link)->id;
	assert_non_null(json_object_get(world->targets, id));
	TAILQ_NEXT(first(world), link)->state = INSTANCE_PENDING; /* as if not in service yet */
	world_set_state(world_instance(world, id), "terminated", "Server.InternalError");
	world_pass(world, 60);
	assert_int_equal(json_object_size(world->targets), 2);
	assert_int_equal(group_count(world->group).in_service, 2);
	world_free(world);
}

static void who_was_just_detached_from_its_target_group_drains_before_it_ends(void **state)
{
	struct world *world = serving(1);

	(void)state;
	engine_delay_seen(world->engine, WORLD_TARGET_GROUP, 60000);
	world->keeps_draining = true;
	engine_detach(world->group, WORLD_TARGET_GROUP);
	world_pass(world, 3);
	assert_int_equal(world->n_deregisters, 1);
	set_desired(world, 0);
	world_pass(world, 50);
	assert_int_equal(world->n_terminates, 0);
	world_pass(world, 20);
	assert_int_equal(world->n_terminates, 1);
	world_free(world);
}

static void a_deregistration_without_an_answer_does_not_keep_an_instance_out(void **state)
{
	struct world *world = serving(1);
	struct actions actions = {0};

	(void)state;
	engine_detach(world->group, WORLD_TARGET_GROUP);
	world->now_ms += 1000;
	world_tick_only(world, &actions);
	assert_int_equal(actions.items[0].kind, ACTION_DEREGISTER);
	json_object_clear(world->targets); /* done, but */
	engine_deregister_done(world->engine, &actions.items[0], "NoAnswer", world->now_ms);
	actions_fini(&actions);
	engine_attach(world->group, WORLD_TARGET_GROUP);
	world_pass(world, 20);
	assert_non_null(json_object_get(world->targets, first(world)->id));
	world_free(world);
}

static void answers_in_any_order_name_the_right_instances(void **state)
{
	struct world *world = world_new(0, 9, 4);
	struct actions actions = {0};
	const struct instance *instance;
	json_t *made, *turned = json_array(), *one;
	size_t i;

	(void)state;
	world->now_ms += 1000;
	world_tick_only(world, &actions);
	made = world_run(world, &actions.items[0]);
	assert_int_equal(json_array_size(made), 2);
	json_array_foreach (made, i, one)
		json_array_insert(turned, 0, one);
	engine_launch_done(world->engine, &actions.items[0],
			   &(struct launch_answer){.instances = turned}, world->now_ms);
	TAILQ_FOREACH (instance, &world->group->instances, link) {
		json_array_foreach (made, i, one) {
			if (strcmp(instance->id, doc_str(one, "InstanceId", "")) == 0)
				assert_int_equal(instance->token_index, (int)i);
		}
	}
	json_decref(made);
	json_decref(turned);
	actions_fini(&actions);
	world_free(world);
}

static void what_is_being_attached_is_not_scaled_in(void **state)
{
	struct world *world = serving(1);
	struct err err = {0};

	(void)state;
	assert_int_equal(engine_attach_instance(world->engine, world->group, "i-0123456789abcdef0",
						world->now_ms, &err),
			 0);
	/* EC2 does not say whether it has put the tag on: the other one goes. */
	assert_int_equal(count_handed_out(world, ACTION_TAG), 1);
	assert_int_equal(count_handed_out(world, ACTION_TERMINATE), 0);
	assert_int_equal(TAILQ_NEXT(first(world), link)->state, INSTANCE_PENDING);
	assert_int_equal(first(world)->state, INSTANCE_TERMINATING);
	world_free(world);
}

static void a_launch_refused_while_its_group_goes_leaves_no_activity_open(void **state)
{
	struct world *world = world_new(0, 9, 1);
	struct launch_answer refusal = {NULL, "UnauthorizedOperation", "You may not", true};
	struct actions actions = {0};
	const struct activity *activity;

	(void)state;
	world->now_ms += 1000;
	world_tick_only(world, &actions);
	engine_delete_group(world->engine, world->group, world->now_ms);
	engine_launch_done(world->engine, &actions.items[0], &refusal, world->now_ms);
	actions_fini(&actions);
	world_pass(world, 2);
	assert_null(world->group);
	TAILQ_FOREACH (activity, &world->engine->old_activities, link)
		assert_true(activity->end_ms > 0);
	world_free(world);
}

static void a_launch_whose_answer_is_on_its_way_is_no_stray(void **state)
{
	struct world *world = world_new(0, 9, 1);
	struct actions actions = {0};
	json_t *made;

	(void)state;
	world->now_ms += 1000;
	world_tick_only(world, &actions);
	made = world_run(world, &actions.items[0]);
	world->now_ms += 3600 * 1000; /* our clock is ahead of EC2's */
	world_view(world);
	assert_int_equal(world_in_state(world, "terminated"), 0);
	json_decref(made);
	actions_fini(&actions);
	world_free(world);
}

static void a_group_goes_only_after_instances_that_nobody_knows(void **state)
{
	struct world *world = serving(1);
	struct action lost = {.token = "01234567-0123-4123-8123-0123456789ab_us-east-1a_1",
			      .zone = "us-east-1a",
			      .count = 1};

	(void)state;
	json_decref(world_run(world, &lost));
	world_pass(world, 2);
	engine_delete_group(world->engine, world->group, world->now_ms);
	world_pass(world, 30);
	assert_null(world->group);
	assert_int_equal(world_in_state(world, "running"), 0);
	world_free(world);
}

static void a_store_that_was_full_is_not_the_load_balancers_silence(void **state)
{
	struct world *world = serving(1);
	struct actions actions = {0};

	(void)state;
	engine_delay_seen(world->engine, WORLD_TARGET_GROUP, 0);
	set_desired(world, 0);
	for (int i = 0; i < 400; i++) {
		world->now_ms += 1000;
		world_view(world);
		world_tick_only(world, &actions);
		for (size_t k = 0; k < actions.n; k++)
			engine_deregister_done(world->engine, &actions.items[k], NOT_ASKED,
					       world->now_ms);
		actions_fini(&actions);
	}
	assert_int_equal(first(world)->state, INSTANCE_TERMINATING);
	world_pass(world, 60);
	assert_int_equal(world->n_deregisters, 1);
	assert_int_equal(world->n_terminates, 1);
	world_free(world);
}

static void a_clock_set_back_by_hours_holds_nothing_back(void **state)
{
	struct world *world = serving(2);

	(void)state;
	engine_delay_seen(world->engine, WORLD_TARGET_GROUP, 20000);
	world->keeps_draining = true;
	world->run_error = "InvalidAMIID.NotFound";
	set_desired(world, 3);
	world_pass(world, 200);
	world->run_error = NULL;
	set_desired(world, 1);
	world_pass(world, 5);
	world->now_ms -= 5LL * 3600 * 1000;
	world_pass(world, 60);
	assert_int_equal(world->n_terminates, 1);
	set_desired(world, 2);
	world_pass(world, 1000); /* the longest wait between launches, and not hours */
	assert_int_equal(group_count(world->group).in_service, 2);
	world_free(world);
}

static void a_clock_that_jumps_is_no_long_absence(void **state)
{
	struct world *world = serving(1);
	json_t *shown = world->ec2;

	(void)state;
	world->ec2 = json_array();
	world_pass(world, 3);
	world->now_ms += 3600 * 1000;
	world_pass(world, 3);
	json_decref(world->ec2);
	world->ec2 = shown;
	world_pass(world, 3);
	assert_int_equal(group_count(world->group).in_service, 1);
	assert_int_equal(world->n_runs, 1);
	world_free(world);
}

static void a_refresh_with_surge_launches_as_many_as_it_replaces(void **state)
{
	struct world *world = serving(3);
	json_t *input = json_pack("{s:{s:i, s:i, s:i}}", "Preferences", "MinHealthyPercentage", 100,
				  "MaxHealthyPercentage", 150, "InstanceWarmup", 3);
	struct err err = {0};

	(void)state;
	assert_non_null(
	    engine_start_refresh(world->engine, world->group, input, world->now_ms, &err));
	world_pass(world, 120);
	assert_false(group_is_refreshing(world->group));
	assert_int_equal(json_array_size(world->ec2), 6);
	json_decref(input);
	world_free(world);
}

static void a_mark_of_ill_health_goes_with_it(void **state)
{
	struct world *world = serving(1);

	(void)state;
	json_object_set_new(world->group->document, "SuspendedProcesses",
			    json_pack("[{s:s}]", "ProcessName", "ReplaceUnhealthy"));
	first(world)->is_user_marked = true;
	world_pass(world, 2);
	assert_true(first(world)->is_unhealthy);
	first(world)->is_user_marked = false;
	world_pass(world, 2);
	assert_false(first(world)->is_unhealthy);
	world_free(world);
}

static void what_the_engine_changes_is_not_the_stores_before_it_is_written(void **state)
{
	struct world *world = serving(2);
	struct metric_source metrics = {world_metric, world};
	json_t *input = json_pack("{s:{s:i}}", "Preferences", "MinHealthyPercentage", 50), *before;
	struct actions actions = {0};
	struct err err = {0};

	(void)state;
	assert_non_null(
	    engine_start_refresh(world->engine, world->group, input, world->now_ms, &err));
	assert_int_equal(engine_changes(world->engine, world_save, world), 0);
	world_restart(world);
	before = json_deep_copy(world->store);
	engine_tick(world->engine, &metrics, world->now_ms, &actions);
	assert_true(json_equal(before, world->store));
	actions_fini(&actions);
	json_decref(before);
	json_decref(input);
	world_free(world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(
		a_registration_without_an_answer_is_taken_back_before_the_instance_ends),
	    cmocka_unit_test(a_newcomer_that_dies_leaves_its_target_group),
	    cmocka_unit_test(who_was_just_detached_from_its_target_group_drains_before_it_ends),
	    cmocka_unit_test(a_deregistration_without_an_answer_does_not_keep_an_instance_out),
	    cmocka_unit_test(answers_in_any_order_name_the_right_instances),
	    cmocka_unit_test(what_is_being_attached_is_not_scaled_in),
	    cmocka_unit_test(a_launch_refused_while_its_group_goes_leaves_no_activity_open),
	    cmocka_unit_test(a_launch_whose_answer_is_on_its_way_is_no_stray),
	    cmocka_unit_test(a_group_goes_only_after_instances_that_nobody_knows),
	    cmocka_unit_test(a_store_that_was_full_is_not_the_load_balancers_silence),
	    cmocka_unit_test(a_clock_set_back_by_hours_holds_nothing_back),
	    cmocka_unit_test(a_clock_that_jumps_is_no_long_absence),
	    cmocka_unit_test(a_refresh_with_surge_launches_as_many_as_it_replaces),
	    cmocka_unit_test(a_mark_of_ill_health_goes_with_it),
	    cmocka_unit_test(what_the_engine_changes_is_not_the_stores_before_it_is_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
