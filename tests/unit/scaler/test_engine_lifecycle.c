/*
 * The ways of an instance as AWS describes them: hooks and their timers, drains, standby, attaching
 * and detaching, protection, retained instances, and the words in which activities say why.
 */
#include <errno.h>

#include "scaler/engine/parts.h"
#include "tests/unit/scaler/engine_world.h"

static const char *const LAUNCHING = "autoscaling:EC2_INSTANCE_LAUNCHING";
static const char *const TERMINATING = "autoscaling:EC2_INSTANCE_TERMINATING";

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

/* The first instance in that state; NULL: none. */
static struct instance *find(const struct world *world, const char *state)
{
	struct instance *instance;

	TAILQ_FOREACH (instance, &world->group->instances, link) {
		if (strcmp(lifecycle(instance), state) == 0)
			return instance;
	}
	return NULL;
}

static void set_desired(struct world *world, int desired)
{
	struct err err = {0};

	assert_int_equal(engine_set_desired(world->group, desired, world->now_ms, &err), 0);
}

static void put_hook(struct world *world, const char *name, const char *transition, int heartbeat_s,
		     const char *result)
{
	json_t *input =
	    json_pack("{s:s, s:s, s:i, s:s}", "LifecycleHookName", name, "LifecycleTransition",
		      transition, "HeartbeatTimeout", heartbeat_s, "DefaultResult", result);
	struct err err = {0};

	assert_int_equal(engine_put_hook(world->group, input, &err), 0);
	json_decref(input);
}

static int answer(struct world *world, const char *name, const char *result)
{
	json_t *input = json_pack("{s:s, s:s, s:s}", "LifecycleHookName", name, "InstanceId",
				  first(world)->id, "LifecycleActionResult", result);
	struct err err = {0};
	int done = engine_complete_hook(world->group, input, &err);

	json_decref(input);
	return done;
}

static int beat(struct world *world, const char *name)
{
	json_t *input =
	    json_pack("{s:s, s:s}", "LifecycleHookName", name, "InstanceId", first(world)->id);
	struct err err = {0};
	int done = engine_beat_hook(world->group, input, world->now_ms, &err);

	json_decref(input);
	return done;
}

static struct world *balanced(int desired)
{
	struct world *world = world_new(0, 10, desired);

	engine_attach(world->group, WORLD_TARGET_GROUP);
	engine_delay_seen(world->engine, WORLD_TARGET_GROUP, 120000);
	world_pass(world, 6);
	assert_int_equal(group_count(world->group).in_service, desired);
	return world;
}

/* ---- hooks ---- */

static void a_beat_at_minute_30_of_an_hour_ends_the_wait_at_minute_90(void **state)
{
	struct world *world = world_new(0, 3, 1);
	int64_t start_ms;

	(void)state;
	put_hook(world, "in", LAUNCHING, 3600, "CONTINUE");
	world_pass(world, 3);
	start_ms = world->now_ms;
	assert_string_equal(lifecycle(first(world)), "Pending:Wait");
	world_pass(world, 1800);
	assert_int_equal(beat(world, "in"), 0);
	world_pass(world, 3590);
	assert_string_equal(lifecycle(first(world)), "Pending:Wait");
	world_pass(world, 15);
	assert_string_equal(lifecycle(first(world)), "InService");
	assert_in_range((world->now_ms - start_ms) / 60000, 90, 91);
	world_free(world);
}

static void the_global_timeout_is_100_heartbeats_and_two_days_at_most(void **state)
{
	static const int pairs[][2] = {{30, 3000}, {1728, 172800}, {7200, 172800}};

	(void)state;
	for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
		struct world *world = world_new(0, 3, 0);

		put_hook(world, "in", LAUNCHING, pairs[i][0], "CONTINUE");
		assert_int_equal(
		    doc_int(json_array_get(group_hooks(world->group), 0), "GlobalTimeout", 0),
		    pairs[i][1]);
		world_free(world);
	}
}

static void all_hooks_of_a_transition_must_answer(void **state)
{
	struct world *world = world_new(0, 3, 1);

	(void)state;
	put_hook(world, "one", LAUNCHING, 600, "ABANDON");
	put_hook(world, "two", LAUNCHING, 600, "ABANDON");
	put_hook(world, "out", TERMINATING, 600, "ABANDON");
	world_pass(world, 3);
	assert_int_equal(json_array_size(first(world)->hooks), 2);
	assert_int_equal(answer(world, "one", "CONTINUE"), 0);
	world_pass(world, 5);
	assert_string_equal(lifecycle(first(world)), "Pending:Wait");
	assert_int_equal(answer(world, "two", "CONTINUE"), 0);
	world_pass(world, 2);
	assert_string_equal(lifecycle(first(world)), "InService");
	world_free(world);
}

static void one_abandonment_of_a_termination_skips_the_other_hooks(void **state)
{
	struct world *world = world_new(0, 3, 1);

	(void)state;
	put_hook(world, "one", TERMINATING, 600, "CONTINUE");
	put_hook(world, "two", TERMINATING, 600, "CONTINUE");
	world_pass(world, 4);
	set_desired(world, 0);
	world_pass(world, 3);
	assert_int_equal(answer(world, "one", "CONTINUE"), 0);
	world_pass(world, 3);
	assert_string_equal(lifecycle(first(world)), "Terminating:Wait");
	assert_int_equal(answer(world, "two", "ABANDON"), 0);
	world_pass(world, 3);
	assert_int_equal(world->n_terminates, 1);
	world_free(world);
}

/* Launch, wait 30 s, terminate, launch again: not for ever at that pace. */
static void launches_whose_hook_never_answers_become_rare(void **state)
{
	struct world *world = world_new(0, 3, 1);

	(void)state;
	put_hook(world, "in", LAUNCHING, 30, "ABANDON");
	world_pass(world, 3600);
	assert_in_range(world->n_runs, 3, 12);
	world_free(world);
}

static void
a_hook_with_a_launch_abandoned_leaves_a_cancelled_activity_and_a_new_launch(void **state)
{
	struct world *world = world_new(0, 3, 1);
	const struct activity *activity;

	(void)state;
	put_hook(world, "in", LAUNCHING, 600, "ABANDON");
	world_pass(world, 3);
	activity = instance_entry(world->group, first(world));
	assert_int_equal(answer(world, "in", "ABANDON"), 0);
	world_pass(world, 15);
	assert_int_equal(activity->status, ACTIVITY_CANCELLED);
	assert_int_equal(world->n_terminates, 1);
	assert_int_equal(world->n_runs, 2);
	world_free(world);
}

static void an_instance_that_ec2_ends_in_its_launch_hook_is_not_waited_for(void **state)
{
	struct world *world = world_new(0, 3, 1);

	(void)state;
	put_hook(world, "in", LAUNCHING, 7200, "CONTINUE");
	world_pass(world, 3);
	world_set_state(world_instance(world, first(world)->id), "terminated",
			"Client.UserInitiatedShutdown");
	world_pass(world, 4);
	assert_int_equal(world->n_runs, 2);
	world_free(world);
}

/* ---- what hooks retain ---- */

static void retain(struct world *world)
{
	json_object_set_new(
	    world->group->document, "InstanceLifecyclePolicy",
	    json_pack("{s:{s:s}}", "RetentionTriggers", "TerminateHookAbandon", "retain"));
}

static void an_abandoned_termination_is_retained_where_the_group_says_so(void **state)
{
	struct world *world = world_new(0, 3, 2);
	struct err err = {0};

	(void)state;
	retain(world);
	put_hook(world, "out", TERMINATING, 30, "ABANDON");
	world_pass(world, 4);
	set_desired(world, 1);
	world_pass(world, 40);
	assert_int_equal(world_in_state(world, "running"), 2);
	assert_non_null(find(world, "Terminating:Retained"));
	assert_int_equal(group_actual(world->group), 1);
	assert_int_equal(newest(world)->status, ACTIVITY_CANCELLED);
	assert_non_null(strstr(newest(world)->message, "is retained"));
	world_restart(world);
	world_pass(world, 60);
	assert_int_equal(world->n_terminates, 0);
	assert_int_equal(world->n_runs, 2);
	/* A person ends it; its hooks have run. */
	assert_non_null(engine_terminate_instance(world->engine, world->group,
						  find(world, "Terminating:Retained"), true,
						  world->now_ms, &err));
	world_pass(world, 3);
	assert_int_equal(world->n_terminates, 1);
	assert_int_equal(world->group->desired, 1);
	world_free(world);
}

static void what_is_retained_and_ended_by_somebody_is_forgotten(void **state)
{
	struct world *world = world_new(0, 3, 1);

	(void)state;
	retain(world);
	put_hook(world, "out", TERMINATING, 30, "ABANDON");
	world_pass(world, 4);
	set_desired(world, 0);
	world_pass(world, 40);
	world_set_state(world_instance(world, first(world)->id), "terminated", NULL);
	world_pass(world, 3);
	assert_null(first(world));
	world_free(world);
}

static void who_continues_is_not_retained(void **state)
{
	struct world *world = world_new(0, 3, 1);

	(void)state;
	retain(world);
	put_hook(world, "out", TERMINATING, 30, "CONTINUE");
	world_pass(world, 4);
	set_desired(world, 0);
	world_pass(world, 40);
	assert_int_equal(world->n_terminates, 1);
	world_free(world);
}

/* ---- drains ---- */

/* A deregistration delay of two minutes: no new requests at once, and the end after the last open
 * one, or after the delay. */
static void new_requests_stop_at_once_and_the_instance_ends_with_the_drain(void **state)
{
	for (int busy_s = 10; busy_s <= 200; busy_s += 190) {
		struct world *world = balanced(1);

		(void)state;
		world->keeps_draining = true;
		set_desired(world, 0);
		world_pass(world, 1);
		assert_int_equal(world->n_deregisters, 1);
		world_pass(world, busy_s < 110 ? busy_s : 110);
		assert_int_equal(world->n_terminates, 0);
		assert_string_equal(activity_status_name(newest(world)->status),
				    "WaitingForELBConnectionDraining");
		if (busy_s < 110)
			world->keeps_draining = false;
		world_pass(world, busy_s < 110 ? 3 : 15);
		assert_int_equal(world->n_terminates, 1);
		world_free(world);
	}
}

/* ---- standby, protection, attaching ---- */

static void grace_begins_again_after_standby(void **state)
{
	struct world *world = balanced(1);
	struct instance *instance = first(world);

	(void)state;
	json_object_set_new(world->group->document, "HealthCheckType", json_string("ELB"));
	json_object_set_new(world->group->document, "HealthCheckGracePeriod", json_integer(300));
	world_pass(world, 400);
	assert_non_null(
	    engine_take_out(world->engine, world->group, instance, false, world->now_ms));
	world->group->desired = 0;
	world_pass(world, 4);
	/* Nobody asks for its health there. */
	world_set_state(world_instance(world, instance->id), "stopped", NULL);
	world_pass(world, 30);
	assert_string_equal(lifecycle(instance), "Standby");
	world_set_state(world_instance(world, instance->id), "running", NULL);
	world_pass(world, 2);
	world->sickly = "unhealthy";
	assert_non_null(engine_exit_standby(world->engine, world->group, instance, world->now_ms));
	world->group->desired = 1;
	world_pass(world, 290);
	assert_int_equal(world->n_terminates, 0);
	world_pass(world, 30);
	assert_int_equal(world->n_runs, 2); /* a newcomer, now */
	world_free(world);
}

static void protection_does_not_save_from_people_or_ill_health(void **state)
{
	struct world *world = balanced(2);
	struct instance *one = first(world), *other = TAILQ_NEXT(one, link);
	struct err err = {0};

	(void)state;
	one->is_protected = other->is_protected = true;
	assert_non_null(
	    engine_terminate_instance(world->engine, world->group, one, true, world->now_ms, &err));
	world_set_state(world_instance(world, other->id), "terminated", "Server.InternalError");
	world_pass(world, 10);
	assert_int_equal(world->n_terminates, 1);
	assert_int_equal(world->group->desired, 1);
	assert_int_equal(world_in_state(world, "terminated"), 2);
	world_free(world);
}

static struct world *with_foreign(const char *zone)
{
	struct world *world = balanced(1);

	world->foreign =
	    json_pack("{s:s, s:s, s:s, s:{s:s}, s:{s:s}}", "InstanceId", "i-0123456789abcdef0",
		      "InstanceType", "t2.micro", "LaunchTime", "2026-08-07T09:00:00.000Z",
		      "Placement", "AvailabilityZone", zone, "State", "Name", "running");
	return world;
}

static void attach(struct world *world)
{
	struct err err = {0};

	assert_int_equal(engine_attach_instance(world->engine, world->group, "i-0123456789abcdef0",
						world->now_ms, &err),
			 0);
	world->group->desired++;
	world_pass(world, 8);
}

static void an_attached_instance_inherits_protection_and_no_hook_runs(void **state)
{
	struct world *world = with_foreign("us-east-1b");
	const struct instance *instance;

	(void)state;
	put_hook(world, "in", LAUNCHING, 600, "ABANDON");
	json_object_set_new(world->group->document, "NewInstancesProtectedFromScaleIn",
			    json_true());
	attach(world);
	instance = group_instance(world->group, "i-0123456789abcdef0");
	assert_non_null(instance);
	assert_string_equal(lifecycle(instance), "InService");
	assert_true(instance->is_protected);
	world_free(world);
}

static void what_is_in_no_zone_of_the_group_is_not_attached_and_not_ended(void **state)
{
	struct world *world = with_foreign("us-east-1f");

	(void)state;
	attach(world);
	world_pass(world, 60);
	assert_null(group_instance(world->group, "i-0123456789abcdef0"));
	assert_int_equal(world->group->desired, 1);
	assert_int_equal(world->n_terminates, 0);
	assert_int_equal(json_array_size(world->left), 1);
	world_free(world);
}

/* ---- words ---- */

static void assert_cause(const struct activity *activity, const char *cause)
{
	assert_non_null(activity);
	assert_string_equal(activity->cause, cause);
}

static void a_first_launch_says_who_made_the_group(void **state)
{
	struct world *world = world_new(0, 3, 2);

	(void)state;
	world_tick(world);
	assert_cause(newest(world),
		     "At 2026-08-07T10:00:05Z a user request created an AutoScalingGroup changing "
		     "the desired capacity from 0 to 2.  At 2026-08-07T10:00:05Z an instance was "
		     "started in response to a difference between desired and actual capacity, "
		     "increasing the capacity from 0 to 2.");
	assert_non_null(strstr(newest(world)->description, "Launching a new EC2 instance: i-"));
	world_free(world);
}

static void a_scale_in_says_who_wanted_it_and_who_was_chosen(void **state)
{
	struct world *world = world_new(0, 3, 3);
	char cause[CAUSE_MAX];

	(void)state;
	world_pass(world, 5);
	set_desired(world, 2);
	world->now_ms += 7000;
	world_tick(world);
	snprintf(cause, sizeof cause,
		 "At 2026-08-07T10:00:10Z a user request explicitly set group desired capacity "
		 "changing the desired capacity from 3 to 2.  At 2026-08-07T10:00:17Z an instance "
		 "was taken out of service in response to a difference between desired and actual "
		 "capacity, shrinking the capacity from 3 to 2.  At 2026-08-07T10:00:17Z instance "
		 "%s was selected for termination.",
		 strrchr(newest(world)->description, ' ') + 1);
	assert_cause(newest(world), cause);
	assert_non_null(strstr(newest(world)->description, "Terminating EC2 instance: i-"));
	world_free(world);
}

static void an_update_says_its_constraints(void **state)
{
	struct world *world = world_new(0, 3, 1);
	json_t *input = json_pack("{s:i, s:i}", "MinSize", 2, "MaxSize", 4);
	struct err err = {0};

	(void)state;
	world_pass(world, 4);
	assert_int_equal(engine_update_group(world->group, input, world->now_ms, &err), 0);
	json_decref(input);
	world_tick(world);
	assert_non_null(strstr(newest(world)->cause,
			       "a user request update of AutoScalingGroup constraints to min: 2, "
			       "max: 4, desired: 2 changing the desired capacity from 1 to 2."));
	world_free(world);
}

static void people_and_health_are_named_as_aws_names_them(void **state)
{
	struct world *world = world_new(0, 5, 4);
	struct instance *one, *two, *three, *four;
	struct err err = {0};

	(void)state;
	world_pass(world, 5);
	one = first(world);
	two = TAILQ_NEXT(one, link);
	three = TAILQ_NEXT(two, link);
	four = TAILQ_NEXT(three, link);
	assert_non_null(
	    engine_terminate_instance(world->engine, world->group, one, true, world->now_ms, &err));
	assert_non_null(strstr(newest(world)->cause, "was taken out of service in response to a "
						     "user request, shrinking the capacity from 4 "
						     "to 3."));
	assert_non_null(engine_take_out(world->engine, world->group, two, true, world->now_ms));
	assert_non_null(strstr(newest(world)->description, "Detaching EC2 instance: i-"));
	assert_non_null(strstr(newest(world)->cause, "was detached in response to a user request, "
						     "shrinking the capacity from 3 to 2."));
	assert_non_null(engine_take_out(world->engine, world->group, three, false, world->now_ms));
	assert_non_null(strstr(newest(world)->description, "Moving EC2 instance to Standby: i-"));
	assert_non_null(strstr(newest(world)->cause, "was moved to standby in response to a user "
						     "request, shrinking the capacity from 2 to "
						     "1."));
	world->group->desired = 1;
	world_pass(world, 3);
	assert_non_null(engine_exit_standby(world->engine, world->group, three, world->now_ms));
	world->group->desired = 2;
	assert_non_null(
	    strstr(newest(world)->description, "Moving EC2 instance out of Standby: i-"));
	assert_non_null(strstr(newest(world)->cause, "was moved out of standby in response to a "
						     "user request, increasing the capacity from "
						     "1 to 2."));
	world_pass(world, 3);
	world_set_state(world_instance(world, four->id), "stopped", "Client.UserInitiatedShutdown");
	world_view(world);
	world_tick(world);
	TAILQ_FOREACH (one, &world->group->instances, link)
		if (one->state == INSTANCE_TERMINATING)
			break;
	assert_non_null(one);
	assert_non_null(strstr(activity_find(world->group, one->end_id)->cause,
			       "an instance was taken out of service in response to an EC2 health "
			       "check indicating it has been terminated or stopped."));
	world_free(world);
}

static void a_failed_launch_says_ec2s_words_twice(void **state)
{
	struct world *world = world_new(0, 3, 1);

	(void)state;
	world->run_error = "InvalidAMIID.NotFound";
	world_tick(world);
	assert_string_equal(newest(world)->description,
			    "Launching a new EC2 instance.  Status Reason: The image id '[ami-1]' "
			    "does not exist. Launching EC2 instance failed.");
	assert_string_equal(newest(world)->message, "The image id '[ami-1]' does not exist. "
						    "Launching EC2 instance failed.");
	assert_int_equal(newest(world)->progress, 100);
	world_free(world);
}

static void progress_goes_from_30_by_40_to_100_in_and_from_50_by_60_out(void **state)
{
	struct world *world = world_new(0, 3, 1);

	(void)state;
	put_hook(world, "in", LAUNCHING, 600, "ABANDON");
	put_hook(world, "out", TERMINATING, 600, "ABANDON");
	world_pass(world, 3);
	assert_string_equal(activity_status_name(newest(world)->status), "MidLifecycleAction");
	assert_int_equal(newest(world)->progress, 40);
	assert_int_equal(answer(world, "in", "CONTINUE"), 0);
	world_pass(world, 2);
	assert_int_equal(newest(world)->progress, 100);
	set_desired(world, 0);
	world_pass(world, 3);
	assert_int_equal(newest(world)->progress, 60);
	assert_string_equal(activity_status_name(newest(world)->status), "MidLifecycleAction");
	world_free(world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_beat_at_minute_30_of_an_hour_ends_the_wait_at_minute_90),
	    cmocka_unit_test(the_global_timeout_is_100_heartbeats_and_two_days_at_most),
	    cmocka_unit_test(all_hooks_of_a_transition_must_answer),
	    cmocka_unit_test(one_abandonment_of_a_termination_skips_the_other_hooks),
	    cmocka_unit_test(launches_whose_hook_never_answers_become_rare),
	    cmocka_unit_test(
		a_hook_with_a_launch_abandoned_leaves_a_cancelled_activity_and_a_new_launch),
	    cmocka_unit_test(an_instance_that_ec2_ends_in_its_launch_hook_is_not_waited_for),
	    cmocka_unit_test(an_abandoned_termination_is_retained_where_the_group_says_so),
	    cmocka_unit_test(what_is_retained_and_ended_by_somebody_is_forgotten),
	    cmocka_unit_test(who_continues_is_not_retained),
	    cmocka_unit_test(new_requests_stop_at_once_and_the_instance_ends_with_the_drain),
	    cmocka_unit_test(grace_begins_again_after_standby),
	    cmocka_unit_test(protection_does_not_save_from_people_or_ill_health),
	    cmocka_unit_test(an_attached_instance_inherits_protection_and_no_hook_runs),
	    cmocka_unit_test(what_is_in_no_zone_of_the_group_is_not_attached_and_not_ended),
	    cmocka_unit_test(a_first_launch_says_who_made_the_group),
	    cmocka_unit_test(a_scale_in_says_who_wanted_it_and_who_was_chosen),
	    cmocka_unit_test(an_update_says_its_constraints),
	    cmocka_unit_test(people_and_health_are_named_as_aws_names_them),
	    cmocka_unit_test(a_failed_launch_says_ec2s_words_twice),
	    cmocka_unit_test(progress_goes_from_30_by_40_to_100_in_and_from_50_by_60_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
