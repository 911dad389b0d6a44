/*
 * Standby, detaching, attaching, protection, lifecycle hooks and suspended processes.
 */
#include <errno.h>

#include "scaler/engine/parts.h"
#include "tests/unit/scaler/engine_world.h"

static struct instance *first(const struct world *world)
{
	return TAILQ_FIRST(&world->group->instances);
}

static const struct activity *newest(const struct world *world)
{
	return TAILQ_FIRST(&world->group->activities);
}

static const char *lifecycle(const struct instance *instance)
{
	static char text[ZONE_MAX];

	return instance_lifecycle(instance, text);
}

static void suspend(struct world *world, const char *process)
{
	json_object_set_new(world->group->document, "SuspendedProcesses",
			    process ? json_pack("[{s:s}]", "ProcessName", process) : json_array());
}

static struct world *balanced(int desired)
{
	struct world *world = world_new(0, 10, desired);

	engine_attach(world->group, WORLD_TARGET_GROUP);
	world_pass(world, 5);
	assert_int_equal(group_count(world->group).in_service, desired);
	return world;
}

/* ---- standby ---- */

static void standby_takes_out_of_the_target_groups_and_back(void **state)
{
	struct world *world = balanced(2);
	struct instance *instance = first(world);
	char id[ID_TEXT_MAX];

	(void)state;
	memcpy(id, instance->id, sizeof id);
	world->group->desired--;
	world->group->is_dirty = true;
	assert_non_null(
	    engine_take_out(world->engine, world->group, instance, false, world->now_ms));
	assert_string_equal(lifecycle(instance), "EnteringStandby");
	world_pass(world, 5);
	assert_string_equal(lifecycle(instance), "Standby");
	assert_int_equal(newest(world)->status, ACTIVITY_SUCCESSFUL);
	assert_non_null(strstr(newest(world)->cause,
			       "was moved to standby in response to a user request, shrinking the "
			       "capacity from 2 to 1"));
	assert_int_equal(json_object_size(world->targets), 1);
	assert_int_equal(group_actual(world->group), 1);
	assert_int_equal(world->n_runs, 2); /* nothing in its place */
	world_restart(world);
	world_pass(world, 5);
	instance = group_instance(world->group, id);
	assert_string_equal(lifecycle(instance), "Standby");
	assert_non_null(engine_exit_standby(world->engine, world->group, instance, world->now_ms));
	world->group->desired++;
	assert_string_equal(lifecycle(instance), "Pending");
	world_pass(world, 5);
	assert_string_equal(lifecycle(instance), "InService");
	assert_int_equal(json_object_size(world->targets), 2);
	assert_int_equal(newest(world)->status, ACTIVITY_SUCCESSFUL);
	assert_int_equal(world->n_terminates, 0);
	world_free(world);
}

static void standby_without_decrement_is_replaced_and_may_not_overfill(void **state)
{
	struct world *world = balanced(2);

	(void)state;
	assert_non_null(
	    engine_take_out(world->engine, world->group, first(world), false, world->now_ms));
	world_pass(world, 10);
	assert_int_equal(group_count(world->group).in_service, 2);
	assert_int_equal(group_count(world->group).standby, 1);
	world_free(world);
}

/* ---- detach and attach ---- */

static void a_detached_instance_runs_on_without_the_groups_tag(void **state)
{
	struct world *world = balanced(2);

	(void)state;
	world->group->desired--;
	world->group->is_dirty = true;
	assert_non_null(
	    engine_take_out(world->engine, world->group, first(world), true, world->now_ms));
	world_pass(world, 5);
	assert_int_equal(json_array_size(world->left), 1);
	assert_int_equal(json_array_size(world->ec2), 1);
	assert_int_equal(world->n_terminates, 0);
	assert_int_equal(group_actual(world->group), 1);
	assert_null(TAILQ_NEXT(first(world), link));
	assert_int_equal(newest(world)->status, ACTIVITY_SUCCESSFUL);
	assert_int_equal(json_object_size(world->targets), 1);
	world_free(world);
}

static void a_detachment_goes_on_after_a_restart(void **state)
{
	struct world *world = balanced(1);
	struct actions actions = {0};

	(void)state;
	world->group->desired--;
	world->group->is_dirty = true;
	assert_non_null(
	    engine_take_out(world->engine, world->group, first(world), true, world->now_ms));
	world->now_ms += 1000;
	world_tick_only(world, &actions); /* killed before the call */
	actions_fini(&actions);
	world_restart(world);
	world_pass(world, 10);
	assert_int_equal(json_array_size(world->left), 1);
	assert_null(first(world));
	world_free(world);
}

static json_t *foreign_instance(const char *id, const char *state)
{
	return json_pack("{s:s, s:s, s:i, s:s, s:s, s:s, s:{s:s}, s:{s:s}}", "InstanceId", id,
			 "ClientToken", "mine", "AmiLaunchIndex", 0, "InstanceType", "t3.large",
			 "SubnetId", "subnet-b", "LaunchTime", "2026-08-01T00:00:00Z", "Placement",
			 "AvailabilityZone", "us-east-1b", "State", "Name", state);
}

static void an_attached_instance_gets_the_tag_and_serves(void **state)
{
	struct world *world = balanced(1);
	struct instance *instance;
	struct err err = {0};

	(void)state;
	world->foreign = foreign_instance("i-0aaaaaaaaaaaaaaaa", "running");
	assert_int_equal(engine_attach_instance(world->engine, world->group, "i-0aaaaaaaaaaaaaaaa",
						world->now_ms, &err),
			 0);
	world->group->desired++;
	world_pass(world, 5);
	instance = group_instance(world->group, "i-0aaaaaaaaaaaaaaaa");
	assert_string_equal(lifecycle(instance), "InService");
	assert_string_equal(instance->zone, "us-east-1b");
	assert_string_equal(instance->type, "t3.large");
	assert_int_equal(json_object_size(world->targets), 2);
	assert_int_equal(world->n_runs, 1);
	assert_string_equal(newest(world)->description,
			    "Attaching an existing EC2 instance: i-0aaaaaaaaaaaaaaaa");
	assert_int_equal(newest(world)->status, ACTIVITY_SUCCESSFUL);
	world_free(world);
}

static void what_ec2_does_not_have_is_not_attached_and_desired_falls_back(void **state)
{
	struct world *world = balanced(1);
	struct err err = {0};

	(void)state;
	assert_int_equal(engine_attach_instance(world->engine, world->group, "i-0bbbbbbbbbbbbbbbb",
						world->now_ms, &err),
			 0);
	world->group->desired++;
	world_pass(world, 5);
	assert_int_equal(world->group->desired, 1);
	assert_null(group_instance(world->group, "i-0bbbbbbbbbbbbbbbb"));
	assert_int_equal(newest(world)->status, ACTIVITY_FAILED);
	assert_non_null(strstr(newest(world)->message, "does not exist"));
	assert_int_equal(world->n_runs, 1);
	world_free(world);
}

static void what_does_not_run_is_let_go_not_ended(void **state)
{
	struct world *world = balanced(1);
	struct err err = {0};

	(void)state;
	world->foreign = foreign_instance("i-0aaaaaaaaaaaaaaaa", "stopped");
	assert_int_equal(engine_attach_instance(world->engine, world->group, "i-0aaaaaaaaaaaaaaaa",
						world->now_ms, &err),
			 0);
	world->group->desired++;
	world_pass(world, 10);
	assert_int_equal(json_array_size(world->left), 1);
	assert_int_equal(world->n_terminates, 0);
	assert_int_equal(world->group->desired, 1);
	world_free(world);
}

/* ---- protection ---- */

static void a_scale_in_waits_for_protection_to_fall_and_says_so_once(void **state)
{
	struct world *world = balanced(2);
	struct instance *instance;
	struct err err = {0};
	int n = 0;
	const struct activity *activity;

	(void)state;
	TAILQ_FOREACH (instance, &world->group->instances, link)
		instance->is_protected = true;
	assert_int_equal(engine_set_desired(world->group, 0, world->now_ms, &err), 0);
	world_pass(world, 10);
	assert_int_equal(group_actual(world->group), 2);
	TAILQ_FOREACH (activity, &world->group->activities, link)
		n += strstr(activity->description, "protected from scale-in") != NULL;
	assert_int_equal(n, 1);
	TAILQ_FOREACH (instance, &world->group->instances, link)
		instance->is_protected = false;
	world_pass(world, 10);
	assert_int_equal(group_actual(world->group), 0);
	assert_int_equal(world->n_terminates, 2);
	world_free(world);
}

/* ---- hooks ---- */

static void hook(struct world *world, const char *transition, int heartbeat_s, const char *result)
{
	json_t *input =
	    json_pack("{s:s, s:s, s:i, s:s}", "LifecycleHookName", "hook", "LifecycleTransition",
		      transition, "HeartbeatTimeout", heartbeat_s, "DefaultResult", result);
	struct err err = {0};

	assert_int_equal(engine_put_hook(world->group, input, &err), 0);
	json_decref(input);
}

static int answer(struct world *world, const char *result)
{
	json_t *input = json_pack("{s:s, s:s, s:s?}", "LifecycleHookName", "hook", "InstanceId",
				  first(world)->id, "LifecycleActionResult", result);
	struct err err = {0};
	int done = result ? engine_complete_hook(world->group, input, &err)
			  : engine_beat_hook(world->group, input, world->now_ms, &err);

	json_decref(input);
	return done;
}

static const char *const launching = "autoscaling:EC2_INSTANCE_LAUNCHING";
static const char *const terminating = "autoscaling:EC2_INSTANCE_TERMINATING";

static struct world *hooked(const char *transition, int heartbeat_s, const char *result)
{
	struct world *world = world_new(0, 10, 0);
	struct err err = {0};

	engine_attach(world->group, WORLD_TARGET_GROUP);
	hook(world, transition, heartbeat_s, result);
	assert_int_equal(engine_set_desired(world->group, 1, world->now_ms, &err), 0);
	world_pass(world, 3);
	return world;
}

static void a_launch_waits_for_its_hook_before_it_is_registered(void **state)
{
	struct world *world = hooked(launching, 600, "ABANDON");

	(void)state;
	world_pass(world, 30);
	assert_string_equal(lifecycle(first(world)), "Pending:Wait");
	assert_int_equal(world->n_registers, 0);
	assert_string_equal(activity_status_name(newest(world)->status), "MidLifecycleAction");
	world_restart(world);
	world_pass(world, 5);
	assert_string_equal(lifecycle(first(world)), "Pending:Wait");
	assert_int_equal(answer(world, "CONTINUE"), 0);
	assert_int_equal(answer(world, "CONTINUE"), -1); /* no longer active */
	world_pass(world, 3);
	assert_string_equal(lifecycle(first(world)), "InService");
	assert_int_equal(world->n_registers, 1);
	world_free(world);
}

static void an_unanswered_hook_takes_its_default_result(void **state)
{
	struct world *world = hooked(launching, 60, "CONTINUE");

	(void)state;
	world_pass(world, 50);
	assert_string_equal(lifecycle(first(world)), "Pending:Wait");
	world_pass(world, 15);
	assert_string_equal(lifecycle(first(world)), "InService");
	world_free(world);
}

static void heartbeats_prolong_a_hook_up_to_a_hundred_times(void **state)
{
	struct world *world = hooked(launching, 60, "CONTINUE");
	int64_t start_ms = world->now_ms;

	(void)state;
	while (strcmp(lifecycle(first(world)), "Pending:Wait") == 0) {
		assert_int_equal(answer(world, NULL), 0);
		world_pass(world, 50);
		assert_true(world->now_ms - start_ms < 6100LL * 1000);
	}
	assert_in_range((world->now_ms - start_ms) / 1000, 5950, 6060);
	world_free(world);
}

static void an_abandoned_launch_is_ended_cancelled_and_replaced_later(void **state)
{
	struct world *world = hooked(launching, 600, "ABANDON");
	struct activity *activity;

	(void)state;
	activity = activity_find(world->group, first(world)->launch_id);
	assert_int_equal(answer(world, "ABANDON"), 0);
	world_pass(world, 5);
	assert_int_equal(activity->status, ACTIVITY_CANCELLED);
	assert_int_equal(world->n_terminates, 1);
	assert_int_equal(world->n_runs, 1);
	world_pass(world, 10);
	assert_int_equal(world->n_runs, 2);
	world_free(world);
}

static void a_termination_waits_for_its_hook_after_the_drain(void **state)
{
	struct world *world = hooked(terminating, 300, "CONTINUE");
	struct err err = {0};

	(void)state;
	world_pass(world, 5);
	assert_int_equal(engine_set_desired(world->group, 0, world->now_ms, &err), 0);
	world_pass(world, 10);
	assert_string_equal(lifecycle(first(world)), "Terminating:Wait");
	assert_int_equal(world->n_deregisters, 1);
	assert_int_equal(world->n_terminates, 0);
	assert_int_equal(answer(world, "ABANDON"), 0); /* ends all the same */
	world_pass(world, 3);
	assert_int_equal(world->n_terminates, 1);
	assert_null(first(world));
	world_free(world);
}

static void a_hook_does_not_wait_for_the_dead(void **state)
{
	struct world *world = hooked(terminating, 7200, "CONTINUE");
	struct err err = {0};

	(void)state;
	world_pass(world, 5);
	assert_int_equal(engine_set_desired(world->group, 0, world->now_ms, &err), 0);
	world_pass(world, 10);
	assert_string_equal(lifecycle(first(world)), "Terminating:Wait");
	world_set_state(world_instance(world, first(world)->id), "terminated", NULL);
	world_pass(world, 3);
	assert_null(first(world));
	world_free(world);
}

static void a_deleted_hook_abandons_launches(void **state)
{
	struct world *world = hooked(launching, 600, "CONTINUE");

	(void)state;
	assert_int_equal(engine_remove_hook(world->group, "hook"), 0);
	assert_int_equal(engine_remove_hook(world->group, "hook"), -1);
	world_pass(world, 3);
	assert_int_equal(world->n_terminates, 1);
	world_pass(world, 20);
	assert_int_equal(group_count(world->group).in_service, 1);
	world_free(world);
}

static void force_asks_no_hook(void **state)
{
	struct world *world = hooked(terminating, 7200, "CONTINUE");

	(void)state;
	world_pass(world, 5);
	engine_delete_group(world->engine, world->group, world->now_ms);
	for (int i = 0; i < 10 && world->group; i++)
		world_pass(world, 1);
	assert_null(world->group);
	world_free(world);
}

/* ---- lifetime ---- */

static void instances_that_are_too_old_go_one_after_another(void **state)
{
	struct world *world = balanced(3);
	int least = 3;

	(void)state;
	json_object_set_new(world->group->document, "MaxInstanceLifetime", json_integer(86400));
	TAILQ_NEXT(first(world), link)->is_protected = true;
	world_pass(world, 100);
	assert_int_equal(world->n_terminates, 0);
	world->now_ms += 86400LL * 1000;
	for (int i = 0; i < 60; i++) {
		world_pass(world, 1);
		if (group_count(world->group).in_service < least)
			least = group_count(world->group).in_service;
	}
	assert_int_equal(least, 2);
	assert_int_equal(world->n_terminates, 2); /* the protected one stays */
	assert_int_equal(group_count(world->group).in_service, 3);
	world_free(world);
}

/* ---- suspended processes ---- */

static void without_launch_nothing_is_launched_until_it_is_resumed(void **state)
{
	struct world *world = balanced(1);
	struct err err = {0};

	(void)state;
	suspend(world, "Launch");
	assert_int_equal(engine_set_desired(world->group, 3, world->now_ms, &err), 0);
	world_pass(world, 10);
	assert_int_equal(world->n_runs, 1);
	suspend(world, NULL);
	world_pass(world, 5);
	assert_int_equal(group_count(world->group).in_service, 3);
	world_free(world);
}

static void without_terminate_nothing_is_taken_away(void **state)
{
	struct world *world = balanced(2);
	struct err err = {0};

	(void)state;
	suspend(world, "Terminate");
	assert_int_equal(engine_set_desired(world->group, 1, world->now_ms, &err), 0);
	world_pass(world, 10);
	assert_int_equal(group_actual(world->group), 2);
	suspend(world, NULL);
	world_pass(world, 5);
	assert_int_equal(group_actual(world->group), 1);
	world_free(world);
}

static void without_replacement_the_unhealthy_are_only_marked(void **state)
{
	struct world *world = balanced(1);

	(void)state;
	suspend(world, "ReplaceUnhealthy");
	first(world)->is_user_marked = true;
	world_pass(world, 5);
	assert_true(first(world)->is_unhealthy);
	assert_string_equal(lifecycle(first(world)), "InService");
	suspend(world, NULL);
	world_pass(world, 10);
	assert_int_equal(world->n_runs, 2);
	assert_int_equal(group_count(world->group).in_service, 1);
	assert_false(first(world)->is_unhealthy);
	world_free(world);
}

static void without_health_check_only_people_condemn(void **state)
{
	struct world *world = balanced(1);

	(void)state;
	suspend(world, "HealthCheck");
	world_set_state(world_instance(world, first(world)->id), "stopped", NULL);
	world_pass(world, 5);
	assert_string_equal(lifecycle(first(world)), "InService");
	first(world)->is_user_marked = true;
	world_pass(world, 1);
	assert_string_equal(lifecycle(first(world)), "Terminating");
	world_free(world);
}

static void what_comes_while_registration_is_suspended_is_never_registered(void **state)
{
	struct world *world = balanced(1);
	struct err err = {0};

	(void)state;
	suspend(world, "AddToLoadBalancer");
	assert_int_equal(engine_set_desired(world->group, 2, world->now_ms, &err), 0);
	world_pass(world, 5);
	assert_int_equal(group_count(world->group).in_service, 2);
	assert_int_equal(world->n_registers, 1);
	suspend(world, NULL);
	world_pass(world, 10);
	assert_int_equal(world->n_registers, 1);
	world_free(world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(standby_takes_out_of_the_target_groups_and_back),
	    cmocka_unit_test(standby_without_decrement_is_replaced_and_may_not_overfill),
	    cmocka_unit_test(a_detached_instance_runs_on_without_the_groups_tag),
	    cmocka_unit_test(a_detachment_goes_on_after_a_restart),
	    cmocka_unit_test(an_attached_instance_gets_the_tag_and_serves),
	    cmocka_unit_test(what_ec2_does_not_have_is_not_attached_and_desired_falls_back),
	    cmocka_unit_test(what_does_not_run_is_let_go_not_ended),
	    cmocka_unit_test(a_scale_in_waits_for_protection_to_fall_and_says_so_once),
	    cmocka_unit_test(a_launch_waits_for_its_hook_before_it_is_registered),
	    cmocka_unit_test(an_unanswered_hook_takes_its_default_result),
	    cmocka_unit_test(heartbeats_prolong_a_hook_up_to_a_hundred_times),
	    cmocka_unit_test(an_abandoned_launch_is_ended_cancelled_and_replaced_later),
	    cmocka_unit_test(a_termination_waits_for_its_hook_after_the_drain),
	    cmocka_unit_test(a_hook_does_not_wait_for_the_dead),
	    cmocka_unit_test(a_deleted_hook_abandons_launches),
	    cmocka_unit_test(force_asks_no_hook),
	    cmocka_unit_test(instances_that_are_too_old_go_one_after_another),
	    cmocka_unit_test(without_launch_nothing_is_launched_until_it_is_resumed),
	    cmocka_unit_test(without_terminate_nothing_is_taken_away),
	    cmocka_unit_test(without_replacement_the_unhealthy_are_only_marked),
	    cmocka_unit_test(without_health_check_only_people_condemn),
	    cmocka_unit_test(what_comes_while_registration_is_suspended_is_never_registered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
