/*
 * Warm pools: instances that come back, die, are refreshed, and a program that is killed.
 */
#include "tests/unit/scaler/warm_world.h"

/* ---- reuse ---- */

static json_t *reuse(void)
{
	return json_pack("{s:{s:b}}", "InstanceReusePolicy", "ReuseOnScaleIn", 1);
}

static void a_scale_in_gives_back_to_the_pool(void **state)
{
	struct world *world = pooled(3, 4, reuse());
	const struct activity *activity;

	(void)state;
	assert_int_equal(count(world, "Warmed:Stopped"), 1);
	world->keeps_draining = true;
	set_desired(world, 1);
	world_pass(world, 2);
	assert_int_equal(count(world, "Warmed:Pending"), 2);
	world->keeps_draining = false;
	world_pass(world, 8);
	assert_int_equal(count(world, "Warmed:Stopped"), 3);
	assert_int_equal(world->n_terminates, 0);
	assert_int_equal(json_array_size(world->ec2), 4);
	assert_int_equal(json_object_size(world->targets), 1);
	activity = activity_like(world, "Moving EC2 instance to warm pool: i-");
	assert_int_equal(activity->status, ACTIVITY_SUCCESSFUL);
	assert_non_null(strstr(activity->cause, "shrinking the capacity from 3 to 1."));
	set_desired(world, 4);
	world_pass(world, 8);
	assert_int_equal(group_count(world->group).in_service, 4);
	assert_int_equal(json_array_size(world->ec2), 4);
	world_free(world);
}

static void what_the_pool_has_no_room_for_is_ended(void **state)
{
	struct world *world = pooled(3, 4,
				     json_pack("{s:i, s:{s:b}}", "MaxGroupPreparedCapacity", 2,
					       "InstanceReusePolicy", "ReuseOnScaleIn", 1));

	(void)state;
	set_desired(world, 1);
	world_pass(world, 8);
	assert_int_equal(count(world, "Warmed:Stopped"), 1);
	assert_int_equal(world->n_terminates, 1);
	world_free(world);
}

static void a_return_waits_for_the_terminating_hook(void **state)
{
	struct world *world = pooled(2, 2, reuse());
	struct instance *instance;

	(void)state;
	put_hook(world, "out", "autoscaling:EC2_INSTANCE_TERMINATING");
	set_desired(world, 0);
	world_pass(world, 5);
	assert_int_equal(count(world, "Warmed:Pending:Wait"), 2);
	instance = find(world, "Warmed:Pending:Wait");
	answer(world, "out", instance->id, "CONTINUE");
	world_pass(world, 4);
	assert_int_equal(count(world, "Warmed:Stopped"), 1);
	answer(world, "out", find(world, "Warmed:Pending:Wait")->id, "ABANDON");
	world_pass(world, 4);
	assert_int_equal(world->n_terminates, 1); /* its hook is not asked again */
	world_free(world);
}

/* ---- health ---- */

static void a_dead_instance_of_the_pool_is_replaced(void **state)
{
	struct world *world = pooled(0, 1, json_object());
	struct instance *instance = find(world, "Warmed:Stopped");

	(void)state;
	world_set_state(world_instance(world, instance->id), "terminated",
			"Client.UserInitiatedShutdown");
	world_pass(world, 10);
	assert_int_equal(count(world, "Warmed:Stopped"), 1);
	assert_int_equal(world->n_runs, 2);
	assert_non_null(strstr(activity_like(world, "Terminating EC2 instance from")->cause,
			       "an EC2 health check indicating it has been terminated or stopped"));
	world_free(world);
}

static void a_running_pool_does_not_keep_what_has_stopped(void **state)
{
	struct world *world = pooled(0, 1, json_pack("{s:s}", "PoolState", "Running"));
	struct instance *instance = find(world, "Warmed:Running");

	(void)state;
	world_set_state(world_instance(world, instance->id), "stopped",
			"Client.UserInitiatedShutdown");
	world_pass(world, 10);
	assert_int_equal(count(world, "Warmed:Running"), 1);
	assert_int_equal(world->n_terminates, 1);
	world_free(world);
}

static void what_somebody_starts_is_stopped_again(void **state)
{
	struct world *world = pooled(0, 1, json_object());
	struct instance *instance = find(world, "Warmed:Stopped");

	(void)state;
	world_set_state(world_instance(world, instance->id), "running", NULL);
	world_pass(world, 3);
	assert_int_equal(world->n_stops, 2);
	assert_int_equal(world_in_state(world, "stopped"), 1);
	world_free(world);
}

/* ---- refresh ---- */

static void refresh(struct world *world, int min, int max)
{
	json_t *input = json_pack("{s:{s:i, s:i, s:i}}", "Preferences", "MinHealthyPercentage", min,
				  "MaxHealthyPercentage", max, "InstanceWarmup", 0);
	struct err err = {0};

	assert_non_null(
	    engine_start_refresh(world->engine, world->group, input, world->now_ms, &err));
	json_decref(input);
}

static const char *refresh_status(const struct world *world)
{
	return doc_str(json_array_get(world->group->refreshes, 0), "Status", "");
}

static void a_refresh_replaces_the_group_and_then_its_pool(void **state)
{
	struct world *world = pooled(2, 4, json_object());
	int64_t start_ms = world->now_ms;
	const struct instance *instance;
	const json_t *details;

	(void)state;
	refresh(world, 50, 100);
	while (strcmp(refresh_status(world), "Successful") != 0 &&
	       world->now_ms < start_ms + 300000) {
		world_pass(world, 1);
		/* Nothing old comes out of the pool, and the pool waits for the group. */
		TAILQ_FOREACH (instance, &world->group->instances, link) {
			assert_false(instance->state == INSTANCE_PENDING && instance->is_outdated);
			if (instance->state == INSTANCE_TERMINATING && instance->is_warm)
				assert_int_equal(doc_int(json_array_get(world->group->refreshes, 0),
							 "InstancesToUpdate", -1),
						 0);
		}
	}
	assert_string_equal(refresh_status(world), "Successful");
	TAILQ_FOREACH (instance, &world->group->instances, link)
		assert_true(instance->launch_ms > start_ms ||
			    instance->state == INSTANCE_TERMINATING);
	assert_int_equal(count(world, "Warmed:Stopped"), 2);
	assert_int_equal(group_count(world->group).in_service, 2);
	details = doc_object(json_array_get(world->group->refreshes, 0), "ProgressDetails");
	assert_int_equal(doc_int(doc_object(details, "WarmPoolProgress"), "PercentageComplete", 0),
			 100);
	world_free(world);
}

/* A hundred in service and a pool of ten, between 90 % and 120 %: the pool stays between 9 and 12,
 * after the group between 90 and 120. */
static void a_refresh_keeps_group_and_pool_each_within_its_percentages(void **state)
{
	struct world *world =
	    pooled(100, 200, json_pack("{s:i, s:i}", "MaxGroupPreparedCapacity", 0, "MinSize", 10));
	int least = 100, most = 0, pool_least = 10, pool_most = 0;

	(void)state;
	world_pass(world, 20);
	assert_int_equal(count(world, "Warmed:Stopped"), 10);
	refresh(world, 90, 120);
	for (int i = 0; i < 900 && strcmp(refresh_status(world), "Successful") != 0; i++) {
		int live, pool;

		world_pass(world, 1);
		live = group_count(world->group).in_service;
		pool = count(world, "Warmed:Stopped");
		least = live < least ? live : least;
		most = live > most ? live : most;
		pool_least = pool < pool_least ? pool : pool_least;
		pool_most =
		    warm_count(world->group) > pool_most ? warm_count(world->group) : pool_most;
	}
	assert_string_equal(refresh_status(world), "Successful");
	assert_true(least >= 90 && most <= 120 && most > 100);
	assert_true(pool_least >= 9 && pool_most <= 12 && pool_most > 10);
	world_free(world);
}

static void killed_at_every_step_a_refresh_comes_to_its_end(void **state)
{
	(void)state;
	for (int step = 1; step < 40; step += 3) {
		struct world *world = pooled(1, 2, json_object());
		struct actions actions = {0};

		refresh(world, 0, 100);
		world_pass(world, step);
		world_tick_only(world, &actions);
		actions_fini(&actions);
		world_restart(world);
		world_pass(world, 60);
		assert_string_equal(refresh_status(world), "Successful");
		assert_int_equal(count(world, "Warmed:Stopped"), 1);
		assert_int_equal(world_in_state(world, "running"), 1);
		assert_int_equal(world_in_state(world, "stopped"), 1);
		world_free(world);
	}
}

static void what_waits_in_a_zone_that_the_group_has_left_is_replaced(void **state)
{
	struct world *world = pooled(0, 3, json_object());
	json_t *subnets =
	    json_pack("[{s:s, s:s}]", "AvailabilityZone", "us-east-1a", "SubnetId", "subnet-a");
	const struct instance *instance;

	(void)state;
	engine_zones_seen(world->group, subnets);
	json_decref(subnets);
	world_pass(world, 12);
	assert_int_equal(count(world, "Warmed:Stopped"), 3);
	TAILQ_FOREACH (instance, &world->group->instances, link)
		assert_string_equal(instance->zone, "us-east-1a");
	world_free(world);
}

/* ---- the program dies ---- */

/* Every second either goes by, or ends with the program killed after it has decided and stored,
 * before anything of that is done. */
static void run_with_deaths(int step, bool at_once)
{
	struct world *world = world_new(0, 6, 1);
	struct actions actions = {0};

	engine_attach(world->group, WORLD_TARGET_GROUP);
	put(world, json_pack("{s:i, s:{s:b}}", "MaxGroupPreparedCapacity", 3, "InstanceReusePolicy",
			     "ReuseOnScaleIn", 1));
	for (int i = 0; i < 60; i++) {
		if (i == 15)
			set_desired(world, 3);
		if (i == 35)
			set_desired(world, 1);
		world_pass(world, 1);
		if (i != step && !(at_once && i % (step + 1) == 0))
			continue;
		world_tick_only(world, &actions);
		actions_fini(&actions);
		memset(&actions, 0, sizeof actions);
		world_restart(world);
	}
	world_pass(world, 30);
	assert_int_equal(group_count(world->group).in_service, 1);
	assert_int_equal(count(world, "Warmed:Stopped"), 2);
	assert_int_equal(world_in_state(world, "running"), 1);
	assert_int_equal(world_in_state(world, "stopped"), 2);
	assert_int_equal(json_array_size(world->ec2), 3); /* none leaked, none doubled */
	assert_int_equal(world->n_terminates, 0);
	world_free(world);
}

static void killed_at_every_step_the_pool_neither_leaks_nor_doubles(void **state)
{
	(void)state;
	for (int step = 0; step < 60; step++)
		run_with_deaths(step, false);
	for (int step = 1; step < 10; step++)
		run_with_deaths(step, true);
}

static void after_a_restart_what_waits_is_taken_before_ec2_has_been_asked(void **state)
{
	struct world *world = pooled(0, 2, json_object());

	(void)state;
	world_restart(world);
	set_desired(world, 2);
	world_tick(world);
	assert_int_equal(count(world, "Pending"), 2);
	assert_int_equal(json_array_size(world->ec2), 2);
	world_pass(world, 5);
	assert_int_equal(group_count(world->group).in_service, 2);
	assert_int_equal(world->n_starts, 2);
	world_free(world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_scale_in_gives_back_to_the_pool),
	    cmocka_unit_test(what_the_pool_has_no_room_for_is_ended),
	    cmocka_unit_test(a_return_waits_for_the_terminating_hook),
	    cmocka_unit_test(a_dead_instance_of_the_pool_is_replaced),
	    cmocka_unit_test(a_running_pool_does_not_keep_what_has_stopped),
	    cmocka_unit_test(what_somebody_starts_is_stopped_again),
	    cmocka_unit_test(a_refresh_replaces_the_group_and_then_its_pool),
	    cmocka_unit_test(a_refresh_keeps_group_and_pool_each_within_its_percentages),
	    cmocka_unit_test(killed_at_every_step_a_refresh_comes_to_its_end),
	    cmocka_unit_test(what_waits_in_a_zone_that_the_group_has_left_is_replaced),
	    cmocka_unit_test(killed_at_every_step_the_pool_neither_leaks_nor_doubles),
	    cmocka_unit_test(after_a_restart_what_waits_is_taken_before_ec2_has_been_asked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
