/*
 * Warm pools: their size, in and out, hooks on both ways, reuse, and the program killed at every
 * step.
 */
#include "tests/unit/scaler/warm_world.h"

/* ---- size ---- */

static int size_of(json_t *pool, int desired, int max)
{
	struct world *world = world_new(0, max, desired);
	int size;

	put(world, pool);
	size = warm_pool_size(world->group);
	world_free(world);
	return size;
}

static void the_pool_is_what_max_or_the_prepared_capacity_lacks_at_least_min(void **state)
{
	(void)state;
	assert_int_equal(size_of(json_object(), 6, 10), 4);
	assert_int_equal(size_of(json_pack("{s:i}", "MaxGroupPreparedCapacity", 8), 6, 10), 2);
	assert_int_equal(
	    size_of(json_pack("{s:i, s:i}", "MaxGroupPreparedCapacity", 8, "MinSize", 3), 6, 10),
	    3);
	assert_int_equal(size_of(json_pack("{s:i}", "MaxGroupPreparedCapacity", 0), 6, 10), 0);
}

static void what_is_left_out_has_its_default_but_the_prepared_capacity_stays(void **state)
{
	struct world *world = world_new(0, 10, 6);

	(void)state;
	put(world, json_pack("{s:i, s:i, s:s}", "MaxGroupPreparedCapacity", 8, "MinSize", 3,
			     "PoolState", "Running"));
	put(world, json_object());
	assert_int_equal(warm_pool_size(world->group), 2);
	assert_string_equal(doc_str(group_warm_pool(world->group), "PoolState", ""), "Stopped");
	put(world, json_pack("{s:i}", "MaxGroupPreparedCapacity", -1));
	assert_int_equal(warm_pool_size(world->group), 4);
	world_free(world);
}

/* ---- in ---- */

static void a_pool_fills_after_the_group_and_stops_what_has_started(void **state)
{
	struct world *world = pooled(2, 6, json_object());
	const struct activity *activity = activity_like(world, "into warm pool: i-");
	json_t *shown = group_describe(world->group, true);

	(void)state;
	assert_int_equal(group_count(world->group).in_service, 2);
	assert_int_equal(count(world, "Warmed:Stopped"), 4);
	assert_int_equal(world_in_state(world, "stopped"), 4);
	assert_int_equal(world->n_stops, 4);
	assert_int_equal(world->n_registers, 2); /* none of the pool's */
	assert_non_null(activity);
	assert_int_equal(activity->status, ACTIVITY_SUCCESSFUL);
	assert_non_null(strstr(activity->cause, "increasing the size from 0 to 4."));
	assert_int_equal(doc_int(shown, "WarmPoolSize", -1), 4);
	assert_int_equal(json_array_size(doc_array(shown, "Instances")), 2);
	json_decref(shown);
	world_free(world);
}

static void a_running_pool_stops_nothing(void **state)
{
	struct world *world = pooled(1, 3, json_pack("{s:s}", "PoolState", "Running"));

	(void)state;
	assert_int_equal(count(world, "Warmed:Running"), 2);
	assert_int_equal(world_in_state(world, "running"), 3);
	assert_int_equal(world->n_stops, 0);
	world_free(world);
}

static void the_pool_is_spread_over_the_zones(void **state)
{
	struct world *world = pooled(0, 6, json_object());
	const struct instance *instance;
	int n[3] = {0};

	(void)state;
	TAILQ_FOREACH (instance, &world->group->instances, link)
		n[instance->zone[9] - 'a']++;
	assert_int_equal(n[0], 2);
	assert_int_equal(n[1], 2);
	assert_int_equal(n[2], 2);
	world_free(world);
}

static void one_that_cannot_be_stopped_is_ended_and_the_next_waits(void **state)
{
	struct world *world = world_new(0, 1, 0);

	(void)state;
	put(world, json_object());
	world->stop_error = "UnsupportedOperation";
	world_pass(world, 70);
	assert_non_null(activity_like(world, "Stopping the instance failed: UnsupportedOperation"));
	assert_true(world->n_terminates >= 1);
	assert_true(world->n_runs <= 3);
	world->stop_error = NULL;
	world_pass(world, 60);
	assert_int_equal(count(world, "Warmed:Stopped"), 1);
	assert_int_equal(world->group->breaker.row, 0);
	world_free(world);
}

/* ---- out ---- */

static void a_scale_out_starts_what_is_warm_before_it_launches(void **state)
{
	struct world *world = pooled(1, 4, json_pack("{s:i}", "MaxGroupPreparedCapacity", 3));
	const struct activity *activity;

	(void)state;
	assert_int_equal(count(world, "Warmed:Stopped"), 2);
	assert_int_equal(json_array_size(world->ec2), 3);
	set_desired(world, 4);
	world_pass(world, 8);
	assert_int_equal(group_count(world->group).in_service, 4);
	assert_int_equal(world->n_starts, 2);
	assert_int_equal(json_array_size(world->ec2), 4);
	assert_int_equal(count(world, "Warmed:Stopped"), 0); /* 3 - 4 */
	activity = activity_like(world, "Launching a new EC2 instance from warm pool: i-");
	assert_non_null(activity);
	assert_int_equal(activity->status, ACTIVITY_SUCCESSFUL);
	assert_non_null(strstr(activity->cause, "changing the desired capacity from 1 to 4."));
	assert_non_null(strstr(activity->cause, "increasing the capacity from 1 to "));
	world_free(world);
}

static void a_running_pool_serves_without_a_start(void **state)
{
	struct world *world = pooled(1, 3, json_pack("{s:s}", "PoolState", "Running"));

	(void)state;
	set_desired(world, 3);
	world_pass(world, 3);
	assert_int_equal(group_count(world->group).in_service, 3);
	assert_int_equal(world->n_starts, 0);
	assert_int_equal(json_array_size(world->ec2), 3);
	world_free(world);
}

static void the_pool_is_filled_up_again(void **state)
{
	struct world *world =
	    pooled(1, 9, json_pack("{s:i, s:i}", "MaxGroupPreparedCapacity", 0, "MinSize", 2));

	(void)state;
	set_desired(world, 2);
	world_pass(world, 12);
	assert_int_equal(group_count(world->group).in_service, 2);
	assert_int_equal(count(world, "Warmed:Stopped"), 2);
	assert_int_equal(world->n_starts, 1);
	assert_int_equal(world_in_state(world, "stopped"), 2);
	world_free(world);
}

static void an_unhealthy_instance_is_replaced_out_of_the_pool(void **state)
{
	struct world *world =
	    pooled(2, 2, json_pack("{s:i, s:i}", "MaxGroupPreparedCapacity", 0, "MinSize", 1));
	struct instance *instance = find(world, "InService");

	(void)state;
	world->now_ms += 200000; /* not a newcomer any more */
	instance->is_user_marked = true;
	world_pass(world, 5);
	assert_int_equal(group_count(world->group).in_service, 2);
	assert_int_equal(world->n_starts, 1);
	assert_non_null(strstr(activity_like(world, "from warm pool")->cause,
			       "in response to an unhealthy instance needing to be replaced."));
	world_pass(world, 10);
	assert_int_equal(count(world, "Warmed:Stopped"), 1);
	world_free(world);
}

static void what_does_not_start_is_ended_and_replaced(void **state)
{
	struct world *world = pooled(0, 1, json_object());

	(void)state;
	world->start_error = "InsufficientInstanceCapacity";
	set_desired(world, 1);
	world_pass(world, 60);
	world->start_error = NULL;
	world_pass(world, 60);
	assert_int_equal(group_count(world->group).in_service, 1);
	assert_int_equal(world->n_terminates, 1);
	assert_non_null(activity_like(
	    world, "Starting the instance failed: InsufficientInstanceCapacity: EC2 would not"));
	world_free(world);
}

static void protection_comes_with_service(void **state)
{
	struct world *world = pooled(0, 1, json_object());

	(void)state;
	json_object_set_new(world->group->document, "NewInstancesProtectedFromScaleIn",
			    json_true());
	assert_false(find(world, "Warmed:Stopped")->is_protected);
	set_desired(world, 1);
	world_pass(world, 5);
	assert_true(find(world, "InService")->is_protected);
	world_free(world);
}

/* ---- excess ---- */

static void excess_leaves_by_the_default_policy(void **state)
{
	struct world *world = pooled(0, 6, json_object());
	struct instance *instance;
	char old_id[ID_TEXT_MAX] = "";

	(void)state;
	TAILQ_FOREACH (instance, &world->group->instances, link) {
		bool is_old = strcmp(instance->zone, "us-east-1b") == 0 && !old_id[0];

		snprintf(instance->template_version, sizeof instance->template_version, "%d",
			 is_old ? 1 : 2);
		if (is_old)
			memcpy(old_id, instance->id, sizeof old_id);
	}
	put(world, json_pack("{s:i}", "MaxGroupPreparedCapacity", 5));
	world_pass(world, 3);
	assert_int_equal(count(world, "Warmed:Stopped"), 5);
	assert_null(group_instance(world->group, old_id));
	assert_non_null(activity_like(world, "Terminating EC2 instance from warm pool: i-"));
	assert_non_null(
	    strstr(activity_like(world, old_id)->cause, "shrinking the size from 6 to 5."));
	world_free(world);
}

static void a_deleted_pool_empties_and_goes(void **state)
{
	struct world *world = pooled(1, 3, json_object());
	struct err err = {0};
	json_t *input = json_object();

	(void)state;
	put_hook(world, "out", "autoscaling:EC2_INSTANCE_TERMINATING");
	assert_int_equal(engine_delete_warm_pool(world->engine, world->group, false, world->now_ms),
			 0);
	assert_int_equal(engine_put_warm_pool(world->group, input, &err), -1);
	assert_int_equal(err.code, EBUSY);
	json_decref(input);
	world_pass(world, 5);
	assert_int_equal(count(world, "Warmed:Terminating:Wait"), 2);
	assert_int_equal(group_count(world->group).terminating, 0);
	world_restart(world);
	/* By force, now. */
	assert_int_equal(engine_delete_warm_pool(world->engine, world->group, true, world->now_ms),
			 0);
	world_pass(world, 5);
	assert_null(group_warm_pool(world->group));
	assert_int_equal(group_count(world->group).in_service, 1);
	assert_int_equal(world_in_state(world, "terminated"), 2);
	assert_int_equal(engine_delete_warm_pool(world->engine, world->group, true, world->now_ms),
			 -1);
	world_free(world);
}

static void a_forced_deletion_of_the_group_takes_the_pool_along(void **state)
{
	struct world *world = pooled(1, 3, json_object());

	(void)state;
	engine_delete_group(world->engine, world->group, world->now_ms);
	world_pass(world, 5);
	assert_null(world->group);
	assert_int_equal(world_in_state(world, "terminated"), 3);
	world_free(world);
}

/* ---- hooks ---- */

static void launch_hooks_run_on_the_way_in_and_on_the_way_out(void **state)
{
	struct world *world = world_new(0, 1, 0);
	struct instance *instance;

	(void)state;
	put_hook(world, "in", "autoscaling:EC2_INSTANCE_LAUNCHING");
	put(world, json_object());
	world_pass(world, 5);
	instance = find(world, "Warmed:Pending:Wait");
	assert_non_null(instance);
	assert_int_equal(world->n_stops, 0);
	answer(world, "in", instance->id, "CONTINUE");
	world_tick(world);
	assert_non_null(find(world, "Warmed:Pending:Proceed"));
	world_pass(world, 3);
	assert_non_null(find(world, "Warmed:Stopped"));
	set_desired(world, 1);
	world_pass(world, 5);
	instance = find(world, "Pending:Wait");
	assert_non_null(instance);
	answer(world, "in", instance->id, "CONTINUE");
	world_pass(world, 3);
	assert_non_null(find(world, "InService"));
	/* Out of standby they do not run. */
	assert_non_null(
	    engine_take_out(world->engine, world->group, instance, false, world->now_ms));
	world->group->desired = 0;
	world_pass(world, 3);
	assert_non_null(engine_exit_standby(world->engine, world->group, instance, world->now_ms));
	world->group->desired = 1;
	world_pass(world, 3);
	assert_non_null(find(world, "InService"));
	world_free(world);
}

static void an_abandoned_warm_up_is_ended_and_tried_again_later(void **state)
{
	struct world *world = world_new(0, 1, 0);

	(void)state;
	put_hook(world, "in", "autoscaling:EC2_INSTANCE_LAUNCHING");
	put(world, json_object());
	world_pass(world, 4);
	answer(world, "in", find(world, "Warmed:Pending:Wait")->id, "ABANDON");
	world_pass(world, 4);
	assert_int_equal(world->n_terminates, 1);
	assert_int_equal(world->n_runs, 1);
	world_pass(world, 10);
	assert_int_equal(world->n_runs, 2);
	world_free(world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_pool_is_what_max_or_the_prepared_capacity_lacks_at_least_min),
	    cmocka_unit_test(what_is_left_out_has_its_default_but_the_prepared_capacity_stays),
	    cmocka_unit_test(a_pool_fills_after_the_group_and_stops_what_has_started),
	    cmocka_unit_test(a_running_pool_stops_nothing),
	    cmocka_unit_test(the_pool_is_spread_over_the_zones),
	    cmocka_unit_test(one_that_cannot_be_stopped_is_ended_and_the_next_waits),
	    cmocka_unit_test(a_scale_out_starts_what_is_warm_before_it_launches),
	    cmocka_unit_test(a_running_pool_serves_without_a_start),
	    cmocka_unit_test(the_pool_is_filled_up_again),
	    cmocka_unit_test(an_unhealthy_instance_is_replaced_out_of_the_pool),
	    cmocka_unit_test(what_does_not_start_is_ended_and_replaced),
	    cmocka_unit_test(protection_comes_with_service),
	    cmocka_unit_test(excess_leaves_by_the_default_policy),
	    cmocka_unit_test(a_deleted_pool_empties_and_goes),
	    cmocka_unit_test(a_forced_deletion_of_the_group_takes_the_pool_along),
	    cmocka_unit_test(launch_hooks_run_on_the_way_in_and_on_the_way_out),
	    cmocka_unit_test(an_abandoned_warm_up_is_ended_and_tried_again_later),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
