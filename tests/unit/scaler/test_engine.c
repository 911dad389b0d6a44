/*
 * The engine's tick over a fake EC2: launches, zones, failures, crashes, terminations,
 * health.  Target tracking is test_engine_tracking.c.
 */
#include "tests/unit/scaler/engine_world.h"

static const struct activity *newest(const struct world *world)
{
	return TAILQ_FIRST(&world->group->activities);
}

static int zone_count(const struct world *world, const char *zone)
{
	const struct instance *instance;
	int n = 0;

	TAILQ_FOREACH (instance, &world->group->instances, link)
		n += strcmp(instance->zone, zone) == 0 && instance->state == INSTANCE_IN_SERVICE;
	return n;
}

static void a_new_group_reaches_its_desired_capacity(void **state)
{
	struct world *world = world_new(2, 4, 2);

	(void)state;
	world_pass(world, 3);
	assert_int_equal(group_count(world->group).in_service, 2);
	assert_string_equal(activity_status_name(newest(world)->status), "Successful");
	assert_string_equal(
	    newest(world)->cause,
	    "At 2026-08-07T10:00:05Z a user request created an AutoScalingGroup changing the "
	    "desired capacity from 0 to 2.  At 2026-08-07T10:00:06Z an instance was started in "
	    "response to a difference between desired and actual capacity, increasing the "
	    "capacity from 0 to 2.");
	assert_non_null(strstr(newest(world)->description, "Launching a new EC2 instance: i-"));
	world_free(world);
}

static void seven_instances_fill_three_zones_3_2_2(void **state)
{
	struct world *world = world_new(7, 7, 7);

	(void)state;
	world_pass(world, 3);
	assert_int_equal(zone_count(world, "us-east-1a"), 3);
	assert_int_equal(zone_count(world, "us-east-1b"), 2);
	assert_int_equal(zone_count(world, "us-east-1c"), 2);
	assert_int_equal(world->n_runs, 3); /* one call a zone */
	world_free(world);
}

static void scale_in_takes_from_the_fullest_zone_first(void **state)
{
	struct world *world = world_new(1, 7, 7);
	struct err err = {0};

	(void)state;
	world_pass(world, 3);
	assert_int_equal(engine_set_desired(world->group, 6, world->now_ms, &err), 0);
	world_pass(world, 4);
	assert_int_equal(zone_count(world, "us-east-1a"), 2);
	assert_non_null(strstr(newest(world)->cause,
			       "a user request explicitly set group desired capacity changing the "
			       "desired capacity from 7 to 6.  At "));
	assert_non_null(strstr(newest(world)->cause, "shrinking the capacity from 7 to 6.  At "));
	assert_non_null(strstr(newest(world)->cause, " was selected for termination."));
	assert_int_equal(world_in_state(world, "terminated"), 1);
	world_free(world);
}

static void a_full_zone_sends_the_launch_to_another_at_once(void **state)
{
	struct world *world = world_new(3, 3, 3);

	(void)state;
	world->full_zone = "us-east-1b";
	world_pass(world, 4);
	assert_int_equal(group_count(world->group).in_service, 3);
	assert_int_equal(zone_count(world, "us-east-1b"), 0);
	world_free(world);
}

static void a_thousand_instances_are_launched_a_hundred_at_a_time(void **state)
{
	struct world *world = world_new(0, 1000, 0);
	struct actions actions = {0};
	struct err err = {0};
	int count = 0;

	(void)state;
	world_pass(world, 1);
	assert_int_equal(engine_set_desired(world->group, 1000, world->now_ms, &err), 0);
	world_tick_only(world, &actions);
	for (size_t i = 0; i < actions.n; i++)
		count += actions.items[i].kind == ACTION_LAUNCH ? actions.items[i].count : 0;
	assert_int_equal(count, 100);
	for (size_t i = 0; i < actions.n; i++)
		world_do(world, &actions.items[i]);
	actions_fini(&actions);
	world_pass(world, 12);
	assert_int_equal(group_count(world->group).in_service, 1000);
	world_free(world);
}

static void the_same_template_and_zones_again_end_no_waiting(void **state)
{
	struct world *world = world_new(1, 1, 1);
	struct err err = {0};
	json_t *update = json_object();

	(void)state;
	json_object_set_new(update, "LaunchTemplate",
			    json_deep_copy(doc_object(world->group->document, "LaunchTemplate")));
	world->run_error = "InvalidAMIID.NotFound";
	world_pass(world, 70); /* after 64 s comes 136 s */
	json_object_set_new(update, "AvailabilityZones",
			    json_deep_copy(doc_array(world->group->document, "AvailabilityZones")));
	assert_int_equal(engine_update_group(world->group, update, world->now_ms, &err), 0);
	world->run_error = NULL;
	world_pass(world, 3);
	assert_int_equal(group_count(world->group).in_service, 0);
	assert_true(world->group->breaker.after_ms > world->now_ms);
	json_decref(update);
	world_free(world);
}

static void a_new_template_ends_the_waiting(void **state)
{
	struct world *world = world_new(1, 1, 1);
	struct err err = {0};
	json_t *update = json_pack("{s:{s:s}}", "LaunchTemplate", "LaunchTemplateName", "better");

	(void)state;
	world->run_error = "InvalidAMIID.NotFound";
	world_pass(world, 70);
	world->run_error = NULL;
	assert_int_equal(engine_update_group(world->group, update, world->now_ms, &err), 0);
	world_pass(world, 3);
	assert_int_equal(group_count(world->group).in_service, 1);
	json_decref(update);
	world_free(world);
}

static void instances_that_die_at_once_are_not_launched_in_a_loop(void **state)
{
	struct world *world = world_new(1, 1, 1);
	json_t *instance;
	size_t k;

	(void)state;
	for (int i = 0; i < 60; i++) {
		world_pass(world, 1);
		json_array_foreach (world->ec2, k, instance)
			world_set_state(instance, "terminated", "Client.InstanceInitiatedShutdown");
	}
	assert_true(world->n_runs <= 5); /* at about 0, 9, 27 s */
	assert_true(world->n_runs >= 3);
	assert_string_equal(activity_status_name(newest(world)->status), "Failed");
	assert_non_null(strstr(newest(world)->message, "Client.InstanceInitiatedShutdown"));
	world_free(world);
}

static void one_that_ends_by_itself_right_after_it_was_in_service_is_a_failed_launch(void **state)
{
	struct world *world = world_new(1, 1, 1);

	(void)state;
	world_pass(world, 3);
	assert_int_equal(group_count(world->group).in_service, 1);
	world_set_state(json_array_get(world->ec2, 0), "terminated",
			"Client.InstanceInitiatedShutdown");
	world_pass(world, 5);
	assert_int_equal(world->n_runs, 1);
	assert_string_equal(activity_status_name(newest(world)->status), "Failed");
	assert_null(TAILQ_NEXT(newest(world), link));
	world_pass(world, 10);
	assert_int_equal(world->n_runs, 2);
	world_free(world);
}

static void killed_before_the_call_repeats_it_with_the_same_token(void **state)
{
	struct world *world = world_new(2, 2, 2);
	struct actions actions = {0};
	int n_same = 0;

	(void)state;
	world_tick_only(world, &actions);
	assert_int_equal(actions.n, 2);
	world_restart(world);
	world_pass(world, 3);
	assert_int_equal(json_array_size(world->ec2), 2);
	for (size_t i = 0; i < 2; i++) {
		const char *token = doc_str(json_array_get(world->ec2, i), "ClientToken", "");

		n_same += strcmp(token, actions.items[0].token) == 0;
		n_same += strcmp(token, actions.items[1].token) == 0;
	}
	assert_int_equal(n_same, 2);
	assert_int_equal(group_count(world->group).in_service, 2);
	actions_fini(&actions);
	world_free(world);
}

static void killed_after_the_call_neither_leaks_nor_doubles(void **state)
{
	struct world *world = world_new(5, 5, 5);

	(void)state;
	world->loses_run_answers = true;
	world_tick(world);
	assert_int_equal(json_array_size(world->ec2), 5);
	world->loses_run_answers = false;
	world_restart(world);
	world_pass(world, 3);
	assert_int_equal(json_array_size(world->ec2), 5);
	assert_int_equal(group_count(world->group).in_service, 5);
	world_free(world);
}

static void an_instance_seen_with_our_token_is_adopted_without_a_call(void **state)
{
	struct world *world = world_new(1, 1, 1);

	(void)state;
	world->loses_run_answers = true;
	world_tick(world);
	world_restart(world);
	world_view(world);
	assert_int_equal(group_count(world->group).pending, 1);
	assert_string_not_equal(TAILQ_FIRST(&world->group->instances)->id, "");
	world_pass(world, 2);
	assert_int_equal(world->n_runs, 1);
	assert_int_equal(group_count(world->group).in_service, 1);
	world_free(world);
}

static void killed_at_every_step_keeps_one_instance_for_each_wanted(void **state)
{
	struct world *world = world_new(1, 6, 4);
	struct err err = {0};

	(void)state;
	for (int round = 0; round < 40; round++) {
		struct actions actions = {0};

		if (round == 10)
			assert_int_equal(engine_set_desired(world->group, 6, world->now_ms, &err),
					 0);
		if (round == 20)
			assert_int_equal(engine_set_desired(world->group, 2, world->now_ms, &err),
					 0);
		world->now_ms += 1000;
		world_view(world);
		world_tick_only(world, &actions);
		/* Half of the actions happen, then the program is killed. */
		world->loses_run_answers = round % 3 == 0;
		for (size_t i = 0; i < actions.n / 2 + (size_t)(round % 2); i++) {
			if (i < actions.n)
				world_do(world, &actions.items[i]);
		}
		actions_fini(&actions);
		world_restart(world);
	}
	world->loses_run_answers = false;
	world_pass(world, 10);
	assert_int_equal(group_count(world->group).in_service, 2);
	assert_int_equal(world_in_state(world, "running"), 2);
	world_free(world);
}

static void a_leaked_instance_is_ended_after_the_guard_time(void **state)
{
	struct world *world = world_new(1, 1, 1);

	(void)state;
	world_pass(world, 3);
	json_t *stray = json_deep_copy(json_array_get(world->ec2, 0));
	json_object_set_new(stray, "InstanceId", json_string("i-0123456789abcdef0"));
	json_object_set_new(stray, "ClientToken",
			    json_string("11111111-2222-4333-8444-555555555555_us-east-1a_1"));
	json_array_append_new(world->ec2, stray);
	world_pass(world, 200);
	assert_int_equal(world_in_state(world, "running"), 2);
	world_pass(world, 110);
	assert_int_equal(world_in_state(world, "running"), 1);
	assert_int_equal(group_count(world->group).in_service, 1);
	world_free(world);
}

static void an_ec2_that_does_not_answer_is_asked_again_with_the_same_token(void **state)
{
	struct world *world = world_new(1, 1, 1);
	char token[TOKEN_MAX];

	(void)state;
	world->is_ec2_down = true;
	world_pass(world, 100);
	memcpy(token, TAILQ_FIRST(&world->group->instances)->token, sizeof token);
	assert_string_equal(newest(world)->message,
			    "EC2 gave no answer, trying again: Connection refused");
	assert_string_equal(activity_status_name(newest(world)->status), "InProgress");
	world->is_ec2_down = false;
	world_pass(world, 35);
	assert_int_equal(group_count(world->group).in_service, 1);
	assert_string_equal(TAILQ_FIRST(&world->group->instances)->token, token);
	assert_string_equal(newest(world)->message, "");
	world_free(world);
}

static void an_instance_missing_from_one_answer_is_not_gone(void **state)
{
	struct world *world = world_new(1, 1, 1);

	(void)state;
	world_pass(world, 40);
	json_array_clear(world->ec2);
	world_pass(world, 100);
	assert_int_equal(group_count(world->group).in_service, 1);
	world_pass(world, 30);
	assert_int_equal(json_array_size(world->ec2), 1); /* its replacement */
	world_free(world);
}

static void a_terminated_instance_is_replaced_at_once_and_the_cause_says_why(void **state)
{
	struct world *world = world_new(2, 2, 2);
	const struct activity *activity;
	bool is_told = false;

	(void)state;
	world_pass(world, 60);
	world_set_state(json_array_get(world->ec2, 0), "terminated",
			"Client.UserInitiatedShutdown");
	world_pass(world, 3);
	assert_int_equal(group_count(world->group).in_service, 2);
	assert_int_equal(world_in_state(world, "running"), 2);
	assert_non_null(strstr(newest(world)->cause,
			       "an instance was launched in response to an unhealthy instance "
			       "needing to be replaced."));
	TAILQ_FOREACH (activity, &world->group->activities, link)
		is_told |= strstr(activity->cause,
				  "an instance was taken out of service in response to an EC2 "
				  "health check indicating it has been terminated or stopped.") &&
			   strstr(activity->description, "Terminating EC2 instance: i-");
	assert_true(is_told);
	world_free(world);
}

static struct world *world_with_target_group(int n)
{
	struct world *world = world_new(1, 8, n);

	json_object_set_new(world->group->document, "HealthCheckType", json_string("ELB"));
	json_object_set_new(world->group->document, "HealthCheckGracePeriod", json_integer(300));
	engine_attach(world->group, WORLD_TARGET_GROUP);
	engine_delay_seen(world->engine, WORLD_TARGET_GROUP, 120000);
	return world;
}

static void instances_are_registered_before_they_are_in_service(void **state)
{
	struct world *world = world_with_target_group(2);

	(void)state;
	world_pass(world, 2);
	assert_int_equal(group_count(world->group).in_service, 0);
	world_pass(world, 4);
	assert_int_equal(world->n_registers, 2);
	assert_int_equal(group_count(world->group).in_service, 2);
	assert_int_equal(TAILQ_FIRST(&world->group->attachments)->state, ATTACHMENT_IN_SERVICE);
	world_free(world);
}

static void scale_in_drains_before_it_terminates(void **state)
{
	struct world *world = world_with_target_group(2);
	struct err err = {0};

	(void)state;
	world_pass(world, 6);
	world->keeps_draining = true;
	assert_int_equal(engine_set_desired(world->group, 1, world->now_ms, &err), 0);
	world_pass(world, 20);
	assert_int_equal(world->n_deregisters, 1);
	assert_int_equal(world->n_terminates, 0);
	assert_string_equal(activity_status_name(newest(world)->status),
			    "WaitingForELBConnectionDraining");
	world->keeps_draining = false;
	world_pass(world, 4);
	assert_int_equal(world->n_terminates, 1);
	assert_string_equal(activity_status_name(newest(world)->status), "Successful");
	world_free(world);
}

static void a_drain_that_never_ends_is_bounded_by_the_delay(void **state)
{
	struct world *world = world_with_target_group(2);
	struct err err = {0};

	(void)state;
	world_pass(world, 6);
	world->keeps_draining = true;
	assert_int_equal(engine_set_desired(world->group, 1, world->now_ms, &err), 0);
	world_pass(world, 118);
	assert_int_equal(world->n_terminates, 0);
	world_pass(world, 8);
	assert_int_equal(world->n_terminates, 1);
	world_free(world);
}

static void elb_verdicts_wait_for_the_grace_period(void **state)
{
	struct world *world = world_with_target_group(2);
	const char *id;

	(void)state;
	world_pass(world, 6);
	id = TAILQ_FIRST(&world->group->instances)->id;
	json_object_set_new(world->targets, id, json_string("unhealthy"));
	world_pass(world, 250);
	assert_int_equal(world->n_terminates, 0);
	world_pass(world, 60);
	assert_int_equal(world->n_terminates, 1);
	assert_int_equal(group_count(world->group).in_service, 2);
	world_free(world);
}

static void unhealthy_targets_are_replaced_one_at_a_time(void **state)
{
	struct world *world = world_with_target_group(5);
	const struct instance *instance;
	int n = 0, worst = 0;

	(void)state;
	json_object_set_new(world->group->document, "HealthCheckGracePeriod", json_integer(0));
	world_pass(world, 8);
	TAILQ_FOREACH (instance, &world->group->instances, link) {
		if (n++ < 3)
			json_object_set_new(world->targets, instance->id, json_string("unhealthy"));
	}
	for (int i = 0; i < 60; i++) {
		int out;

		world_pass(world, 1);
		out = 5 - group_count(world->group).in_service;
		worst = out > worst ? out : worst;
	}
	assert_int_equal(worst, 1);
	assert_int_equal(world->n_terminates, 3);
	world_free(world);
}

static void a_load_balancer_that_lost_its_targets_gets_them_again(void **state)
{
	struct world *world = world_with_target_group(2);

	(void)state;
	world_pass(world, 6);
	engine_health_seen(world->engine, WORLD_TARGET_GROUP, NULL, world->now_ms);
	json_object_clear(world->targets);
	world_pass(world, 3);
	assert_int_equal(json_object_size(world->targets), 2);
	world_free(world);
}

static void a_target_taken_out_by_hand_stays_out(void **state)
{
	struct world *world = world_with_target_group(2);

	(void)state;
	world_pass(world, 6);
	json_object_clear(world->targets);
	world_pass(world, 10);
	assert_int_equal(json_object_size(world->targets), 0);
	world_free(world);
}

static void a_detached_target_group_loses_the_instances_and_they_stay(void **state)
{
	struct world *world = world_with_target_group(2);

	(void)state;
	world_pass(world, 6);
	engine_detach(world->group, WORLD_TARGET_GROUP);
	world_pass(world, 5);
	assert_int_equal(world->n_deregisters, 2);
	assert_true(TAILQ_EMPTY(&world->group->attachments));
	assert_int_equal(group_count(world->group).in_service, 2);
	world_free(world);
}

static void deleting_by_force_ends_everything_and_keeps_the_activities(void **state)
{
	struct world *world = world_new(2, 2, 2);

	(void)state;
	world_pass(world, 3);
	engine_delete_group(world->engine, world->group, world->now_ms);
	world_pass(world, 4);
	assert_null(world->group);
	assert_int_equal(world_in_state(world, "running"), 0);
	assert_false(TAILQ_EMPTY(&world->engine->old_activities));
	assert_null(json_object_get(world->store, "autoscaling/group/web"));
	world_free(world);
}

static void limits_move_the_desired_capacity_along(void **state)
{
	struct world *world = world_new(1, 3, 1);
	struct err err = {0};
	json_t *update = json_pack("{s:i}", "MinSize", 2);

	(void)state;
	assert_int_equal(engine_update_group(world->group, update, 0, &err), 0);
	assert_int_equal(world->group->desired, 2);
	json_decref(update);
	update = json_pack("{s:i, s:i}", "MinSize", 1, "MaxSize", 1);
	assert_int_equal(engine_update_group(world->group, update, 0, &err), 0);
	assert_int_equal(world->group->desired, 1);
	json_decref(update);
	assert_int_equal(engine_set_desired(world->group, 4, 0, &err), -1);
	assert_string_equal(err.text, "New SetDesiredCapacity value 4 is above max value 1 for the "
				      "AutoScalingGroup.");
	world_free(world);
}

/* ---- who goes ---- */

static struct instance *add(struct world *world, const char *id, const char *zone,
			    const char *version, int age_min)
{
	struct instance *instance = calloc(1, sizeof *instance);

	snprintf(instance->id, sizeof instance->id, "%s", id);
	snprintf(instance->launch_id, sizeof instance->launch_id, "%s", id);
	snprintf(instance->zone, sizeof instance->zone, "%s", zone);
	snprintf(instance->template_name, sizeof instance->template_name, "students");
	snprintf(instance->template_version, sizeof instance->template_version, "%s", version);
	instance->state = INSTANCE_IN_SERVICE;
	instance->launch_ms = world->now_ms - age_min * 60000;
	instance->registered = json_array();
	instance->draining = json_array();
	TAILQ_INSERT_TAIL(&world->group->instances, instance, link);
	return instance;
}

static const char *chosen(struct world *world)
{
	struct engine *engine = world->engine;
	struct actions actions = {0};
	const struct instance *instance;
	struct err err = {0};

	world->group->desired = group_count(world->group).in_service;
	assert_int_equal(
	    engine_set_desired(world->group, world->group->desired - 1, world->now_ms, &err), 0);
	engine_tick(engine, NULL, world->now_ms, &actions);
	actions_fini(&actions);
	TAILQ_FOREACH (instance, &world->group->instances, link) {
		if (instance->state == INSTANCE_TERMINATING)
			return instance->id;
	}
	return "";
}

static void the_oldest_version_in_the_fullest_zone_goes_first(void **state)
{
	struct world *world = world_new(0, 8, 0);

	(void)state;
	add(world, "i1", "us-east-1a", "1", 50);
	add(world, "i2", "us-east-1a", "2", 10);
	add(world, "i3", "us-east-1b", "2", 59);
	assert_string_equal(chosen(world), "i1");
	world_free(world);
}

static void equal_zones_and_versions_leave_it_to_the_billing_hour(void **state)
{
	struct world *world = world_new(0, 8, 0);

	(void)state;
	add(world, "i1", "us-east-1a", "2", 55);
	add(world, "i3", "us-east-1b", "2", 59);
	assert_string_equal(chosen(world), "i3");
	world_free(world);
}

static void newest_instance_policy_takes_the_newest_of_the_zone(void **state)
{
	struct world *world = world_new(0, 8, 0);

	(void)state;
	json_object_set_new(world->group->document, "TerminationPolicies",
			    json_pack("[s]", "NewestInstance"));
	add(world, "i1", "us-east-1a", "1", 50);
	add(world, "i2", "us-east-1a", "2", 10);
	add(world, "i3", "us-east-1b", "2", 1);
	assert_string_equal(chosen(world), "i2");
	world_free(world);
}

static void protected_instances_stay_even_if_that_unbalances(void **state)
{
	struct world *world = world_new(0, 8, 0);

	(void)state;
	add(world, "i1", "us-east-1a", "1", 50)->is_protected = true;
	add(world, "i2", "us-east-1a", "1", 50)->is_protected = true;
	add(world, "i4", "us-east-1a", "1", 50)->is_protected = true;
	add(world, "i3", "us-east-1b", "1", 50);
	assert_string_equal(chosen(world), "i3");
	world_free(world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_new_group_reaches_its_desired_capacity),
	    cmocka_unit_test(seven_instances_fill_three_zones_3_2_2),
	    cmocka_unit_test(scale_in_takes_from_the_fullest_zone_first),
	    cmocka_unit_test(a_full_zone_sends_the_launch_to_another_at_once),
	    cmocka_unit_test(a_thousand_instances_are_launched_a_hundred_at_a_time),
	    cmocka_unit_test(the_same_template_and_zones_again_end_no_waiting),
	    cmocka_unit_test(a_new_template_ends_the_waiting),
	    cmocka_unit_test(instances_that_die_at_once_are_not_launched_in_a_loop),
	    cmocka_unit_test(
		one_that_ends_by_itself_right_after_it_was_in_service_is_a_failed_launch),
	    cmocka_unit_test(killed_before_the_call_repeats_it_with_the_same_token),
	    cmocka_unit_test(killed_after_the_call_neither_leaks_nor_doubles),
	    cmocka_unit_test(an_instance_seen_with_our_token_is_adopted_without_a_call),
	    cmocka_unit_test(killed_at_every_step_keeps_one_instance_for_each_wanted),
	    cmocka_unit_test(a_leaked_instance_is_ended_after_the_guard_time),
	    cmocka_unit_test(an_ec2_that_does_not_answer_is_asked_again_with_the_same_token),
	    cmocka_unit_test(an_instance_missing_from_one_answer_is_not_gone),
	    cmocka_unit_test(a_terminated_instance_is_replaced_at_once_and_the_cause_says_why),
	    cmocka_unit_test(instances_are_registered_before_they_are_in_service),
	    cmocka_unit_test(scale_in_drains_before_it_terminates),
	    cmocka_unit_test(a_drain_that_never_ends_is_bounded_by_the_delay),
	    cmocka_unit_test(elb_verdicts_wait_for_the_grace_period),
	    cmocka_unit_test(unhealthy_targets_are_replaced_one_at_a_time),
	    cmocka_unit_test(a_load_balancer_that_lost_its_targets_gets_them_again),
	    cmocka_unit_test(a_target_taken_out_by_hand_stays_out),
	    cmocka_unit_test(a_detached_target_group_loses_the_instances_and_they_stay),
	    cmocka_unit_test(deleting_by_force_ends_everything_and_keeps_the_activities),
	    cmocka_unit_test(limits_move_the_desired_capacity_along),
	    cmocka_unit_test(the_oldest_version_in_the_fullest_zone_goes_first),
	    cmocka_unit_test(equal_zones_and_versions_leave_it_to_the_billing_hour),
	    cmocka_unit_test(newest_instance_policy_takes_the_newest_of_the_zone),
	    cmocka_unit_test(protected_instances_stay_even_if_that_unbalances),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
