/*
 * Step and simple scaling: the worked examples of AWS's documents, cooldown, several policies at
 * once, what activities say of alarms.
 */
#include <errno.h>

#include "scaler/engine/parts.h"
#include "tests/unit/scaler/engine_world.h"

static json_t *parse(const char *text)
{
	json_t *document = json_loads(text, 0, NULL);

	assert_non_null(document);
	return document;
}

/* The example policy of the guide, for a threshold of 50. */
static const char *const example =
    "{'PolicyName': 'step', 'PolicyType': 'StepScaling', 'PolicyARN': 'arn:step', 'Enabled': true,"
    " 'AdjustmentType': 'PercentChangeInCapacity', 'EstimatedInstanceWarmup': 300,"
    " 'StepAdjustments': ["
    "  {'MetricIntervalLowerBound': 0, 'MetricIntervalUpperBound': 10, 'ScalingAdjustment': 0},"
    "  {'MetricIntervalLowerBound': 10, 'MetricIntervalUpperBound': 20, 'ScalingAdjustment': 10},"
    "  {'MetricIntervalLowerBound': 20, 'ScalingAdjustment': 30},"
    "  {'MetricIntervalLowerBound': -10, 'MetricIntervalUpperBound': 0, 'ScalingAdjustment': 0},"
    "  {'MetricIntervalLowerBound': -20, 'MetricIntervalUpperBound': -10, 'ScalingAdjustment': "
    "-10},"
    "  {'MetricIntervalUpperBound': -20, 'ScalingAdjustment': -30}]}";

static json_t *quoted(const char *text)
{
	char *copy = strdup(text);
	json_t *document;

	for (char *c = copy; *c; c++) {
		if (*c == '\'')
			*c = '"';
	}
	document = parse(copy);
	free(copy);
	return document;
}

static struct policy *add_policy(struct world *world, const char *text)
{
	json_t *document = quoted(text);

	world_policy(world, document);
	return group_policy(world->group, doc_str(document, "PolicyName", ""));
}

/* A group of n in service, the last of which still warm up. */
static struct world *settled(int max, int n, int warming)
{
	struct world *world = world_new(0, max, n);
	struct instance *instance;
	int i = 0;

	world_pass(world, 5);
	assert_int_equal(group_count(world->group).in_service, n);
	TAILQ_FOREACH (instance, &world->group->instances, link)
		instance->in_service_ms = world->now_ms - (i++ < n - warming ? 400000 : 1000);
	return world;
}

static int execute(struct world *world, struct policy *policy, double value, double threshold)
{
	struct policy_run run = {.has_value = true, .value = value, .threshold = threshold};
	struct err err = {0};

	assert_int_equal(engine_execute_policy(world->group, policy, &run, world->now_ms, &err), 0);
	return world->group->desired;
}

static void the_guides_example_of_step_scaling_comes_out(void **state)
{
	static const struct {
		int desired, warming;
		double metric;
		int result;
	} table[] = {
	    {10, 0, 59.9, 10}, {10, 0, 60, 11}, {11, 1, 62, 11}, {11, 1, 70, 13},
	    {11, 0, 70, 14},   {14, 0, 40, 13}, {13, 0, 30, 10}, {13, 1, 30, 13},
	};

	(void)state;
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		struct world *world = settled(100, table[i].desired, table[i].warming);
		struct policy *policy = add_policy(world, example);

		assert_int_equal(execute(world, policy, table[i].metric, 50), table[i].result);
		world_free(world);
	}
}

static void percentages_round_towards_zero_but_never_to_it(void **state)
{
	json_t *policy = quoted("{'AdjustmentType': 'PercentChangeInCapacity'}");
	json_t *magnitude =
	    quoted("{'AdjustmentType': 'PercentChangeInCapacity', 'MinAdjustmentMagnitude': 2}");

	(void)state;
	assert_int_equal(adjust_change(policy, 127, 10), 12);
	assert_int_equal(adjust_change(policy, 67, 1), 1);
	assert_int_equal(adjust_change(policy, -58, 1), -1);
	assert_int_equal(adjust_change(policy, -667, 1), -6);
	assert_int_equal(adjust_change(policy, 10, 3), 1);
	assert_int_equal(adjust_change(policy, -50, 1), -1);
	assert_int_equal(adjust_change(policy, 0, 10), 0);
	assert_int_equal(adjust_change(magnitude, 25, 4), 2);
	json_decref(policy);
	json_decref(magnitude);
}

static void ends_of_steps_belong_to_the_side_away_from_the_threshold(void **state)
{
	json_t *document = quoted(example);
	const json_t *steps = doc_array(document, "StepAdjustments");

	(void)state;
	assert_int_equal(doc_int(adjust_step(steps, 9.99), "ScalingAdjustment", 9), 0);
	assert_int_equal(doc_int(adjust_step(steps, 10), "ScalingAdjustment", 9), 10);
	assert_int_equal(doc_int(adjust_step(steps, 20), "ScalingAdjustment", 9), 30);
	assert_int_equal(doc_int(adjust_step(steps, -9.99), "ScalingAdjustment", 9), 0);
	assert_int_equal(doc_int(adjust_step(steps, -10), "ScalingAdjustment", 9), -10);
	assert_int_equal(doc_int(adjust_step(steps, -20), "ScalingAdjustment", 9), -30);
	json_decref(document);
	document = quoted("[{'MetricIntervalLowerBound': 10, 'ScalingAdjustment': 1}]");
	assert_null(adjust_step(document, 5));
	json_decref(document);
}

static void a_step_without_a_value_cannot_be_run(void **state)
{
	struct world *world = settled(10, 2, 0);
	struct policy *policy = add_policy(world, example);
	struct policy_run run = {.has_value = false};
	struct err err = {0};

	(void)state;
	assert_int_equal(engine_execute_policy(world->group, policy, &run, world->now_ms, &err),
			 -1);
	assert_int_equal(err.code, EINVAL);
	world_free(world);
}

static void exact_capacity_is_held_inside_the_limits(void **state)
{
	struct world *world = settled(5, 2, 0);
	struct policy *policy = add_policy(
	    world, "{'PolicyName': 'exact', 'PolicyType': 'SimpleScaling', 'AdjustmentType': "
		   "'ExactCapacity', 'ScalingAdjustment': 7}");

	(void)state;
	assert_int_equal(execute(world, policy, 0, 0), 5);
	assert_non_null(strstr(world->group->why, "a user request executed policy exact changing "
						  "the desired capacity from 2 to 5"));
	world_free(world);
}

static const char *const plus_one =
    "{'PolicyName': 'plus', 'PolicyType': 'SimpleScaling', 'PolicyARN': 'arn:plus', "
    "'AdjustmentType': 'ChangeInCapacity', 'ScalingAdjustment': 1, 'Cooldown': 300}";

static void alarm(struct world *world, struct policy *policy, double value, double threshold)
{
	struct policy_run run = {.has_value = true, .value = value, .threshold = threshold};
	struct err err = {0};

	run.alarm = quoted("{'AlarmName': 'busy', 'NewStateValue': 'ALARM', 'Trigger': {}}");
	assert_int_equal(engine_alarm_policy(world->group, policy, &run, world->now_ms, &err), 0);
	json_decref(run.alarm);
}

static void simple_scaling_waits_for_its_activity_and_then_for_the_cooldown(void **state)
{
	struct world *world = settled(10, 1, 0);
	struct policy *policy = add_policy(world, plus_one);
	int64_t start_ms = world->now_ms;
	int64_t in_service_ms;

	(void)state;
	alarm(world, policy, 1, 0);
	world_pass(world, 1);
	assert_int_equal(world->group->desired, 2);
	alarm(world, policy, 1, 0); /* the launch is under way */
	world_pass(world, 5);
	assert_int_equal(world->group->desired, 2);
	in_service_ms = TAILQ_FIRST(&world->group->activities)->end_ms;
	assert_true(in_service_ms > start_ms);
	while (world->now_ms + 1000 < in_service_ms + 300000) {
		alarm(world, policy, 1, 0);
		world_pass(world, 1);
		assert_int_equal(world->group->desired, 2);
	}
	world_pass(world, 1);
	alarm(world, policy, 1, 0);
	world_pass(world, 1);
	assert_int_equal(world->group->desired, 3);
	world_free(world);
}

static void the_cooldown_survives_a_restart(void **state)
{
	struct world *world = settled(10, 1, 0);

	(void)state;
	alarm(world, add_policy(world, plus_one), 1, 0);
	world_pass(world, 10);
	assert_true(group_is_cooling_down(world->group, world->now_ms));
	world_restart(world);
	assert_true(group_is_cooling_down(world->group, world->now_ms));
	assert_false(group_is_cooling_down(world->group, world->now_ms + 400000));
	world_free(world);
}

static void a_person_may_respect_the_cooldown_or_not(void **state)
{
	struct world *world = settled(10, 1, 0);
	struct policy *policy = add_policy(world, plus_one);
	struct policy_run run = {.honors_cooldown = true};
	struct err err = {0};

	(void)state;
	assert_int_equal(engine_execute_policy(world->group, policy, &run, world->now_ms, &err), 0);
	world_pass(world, 10);
	assert_int_equal(engine_execute_policy(world->group, policy, &run, world->now_ms, &err),
			 -1);
	assert_int_equal(err.code, EBUSY);
	run.honors_cooldown = false;
	assert_int_equal(engine_execute_policy(world->group, policy, &run, world->now_ms, &err), 0);
	assert_int_equal(world->group->desired, 3);
	world_free(world);
}

static void of_policies_that_fire_together_the_largest_capacity_wins(void **state)
{
	struct world *world = settled(20, 10, 0);
	struct policy *step = add_policy(world, example), *plus = add_policy(world, plus_one);

	(void)state;
	alarm(world, step, 30, 50); /* -3 */
	alarm(world, plus, 1, 0);   /* +1 */
	world_pass(world, 1);
	assert_int_equal(world->group->desired, 11);
	world_free(world);

	world = settled(20, 10, 0);
	step = add_policy(world, example);
	alarm(world, step, 30, 50); /* -3 */
	alarm(world, step, 51, 50); /* 0 %: stays */
	world_pass(world, 1);
	assert_int_equal(world->group->desired, 10);
	world_free(world);
}

static void tracking_and_a_step_are_weighed_together(void **state)
{
	struct world *world = settled(20, 10, 0);
	struct policy *step = add_policy(world, example);

	(void)state;
	world_cpu_policy(world, "cpu50", 50, 0, false);
	world->cpu = 60; /* needs 12 */
	world->data_from_ms = world->now_ms - 60000;
	alarm(world, step, 60, 50); /* 11 */
	world_pass(world, 1);
	assert_int_equal(world->group->desired, 12);
	world_free(world);
}

static void activities_name_the_alarm_behind_them(void **state)
{
	struct world *world = settled(10, 1, 0);
	const struct activity *activity;

	(void)state;
	alarm(world, add_policy(world, plus_one), 1, 0);
	world_pass(world, 3);
	activity = TAILQ_FIRST(&world->group->activities);
	assert_non_null(strstr(activity->cause, "a monitor alarm busy in state ALARM triggered "
						"policy plus changing the desired capacity from 1 "
						"to 2"));
	assert_int_equal(json_array_size(activity->alarms), 1);
	world_restart(world);
	activity = TAILQ_FIRST(&world->group->activities);
	assert_string_equal(doc_str(json_array_get(activity->alarms, 0), "AlarmName", ""), "busy");
	json_t *shown = activity_describe(world->engine, activity);
	assert_non_null(strstr(doc_str(shown, "Details", ""), "\"InvokingAlarms\":[{"));
	json_decref(shown);
	world_free(world);
}

static void a_disabled_or_suspended_policy_does_nothing(void **state)
{
	struct world *world = settled(10, 1, 0);
	struct policy *policy = add_policy(world, plus_one);

	(void)state;
	json_object_set_new(policy->document, "Enabled", json_false());
	alarm(world, policy, 1, 0);
	world_pass(world, 1);
	assert_int_equal(world->group->desired, 1);
	json_object_set_new(policy->document, "Enabled", json_true());
	json_object_set_new(world->group->document, "SuspendedProcesses",
			    json_pack("[{s:s}]", "ProcessName", "AlarmNotification"));
	alarm(world, policy, 1, 0);
	world_pass(world, 1);
	assert_int_equal(world->group->desired, 1);
	world_free(world);
}

static void an_instance_that_dies_right_after_it_was_healthy_slows_launches_down(void **state)
{
	struct world *world = world_new(1, 2, 1);
	int launches = 0;

	(void)state;
	engine_attach(world->group, WORLD_TARGET_GROUP);
	for (int i = 0; i < 300; i++) {
		json_t *instance;
		size_t k;

		world_pass(world, 1);
		json_array_foreach (world->ec2, k, instance) {
			const char *id = doc_str(instance, "InstanceId", "");

			if (strcmp(doc_str(world->targets, id, ""), "healthy") == 0 &&
			    group_instance(world->group, id) &&
			    group_instance(world->group, id)->is_proven)
				world_set_state(instance, "terminated", "Client.InternalError");
		}
	}
	launches = world->n_runs;
	assert_in_range(launches, 3, 8); /* 9, 18, 36, 72, 144 s apart */
	world_free(world);
}

static void an_ec2_that_is_down_from_the_start_is_told_in_an_activity(void **state)
{
	struct world *world = world_new(0, 2, 0);
	struct err err = {0};
	const struct activity *activity;

	(void)state;
	world->group->has_zones = false;
	assert_int_equal(engine_set_desired(world->group, 1, world->now_ms, &err), 0);
	world_pass(world, 20);
	activity = TAILQ_FIRST(&world->group->activities);
	assert_non_null(activity);
	assert_int_equal(activity->status, ACTIVITY_IN_PROGRESS);
	assert_non_null(strstr(activity->message, "EC2 has given no answer"));
	world->group->has_zones = true;
	world_pass(world, 5);
	assert_int_equal(activity->status, ACTIVITY_CANCELLED);
	assert_int_equal(group_count(world->group).in_service, 1);
	world_free(world);
}

static void text_that_is_cut_ends_with_a_whole_character(void **state)
{
	char text[16];

	(void)state;
	snprintf(text, sizeof text, "%s", "abc\xc3\xa4");
	text_mend(text);
	assert_string_equal(text, "abc\xc3\xa4");
	text[4] = '\0';
	text_mend(text);
	assert_string_equal(text, "abc");
	snprintf(text, sizeof text, "%s", "a\xe2\x82");
	text_mend(text);
	assert_string_equal(text, "a");
	snprintf(text, sizeof text, "%s", "a\xe2\x82\xac");
	text_mend(text);
	assert_string_equal(text, "a\xe2\x82\xac");
	snprintf(text, sizeof text, "%s", "plain");
	text_mend(text);
	assert_string_equal(text, "plain");
}

static void policies_that_would_undo_each_other_are_found(void **state)
{
	static const struct {
		int min, max;
		double high, low;
		int out, in;
		int capacity; /* at which they do; 0: never */
	} table[] = {
	    {1, 10, 70, 50, 1, -1, 1}, /* 70 on one is 35 on two */
	    {3, 10, 70, 50, 1, -1, 0}, /* 70 on three is 52.5 on four; 50 on three 75 on two */
	    {4, 10, 70, 30, 1, -1, 0}, {2, 10, 60, 50, 3, -1, 2},
	    {5, 5, 60, 59, 1, -1, 0},  /* there is nowhere to go */
	    {4, 10, 60, 50, 0, -2, 5}, /* 50 on five is 62.5 on four */
	};

	(void)state;
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		struct group group = {.min = table[i].min, .max = table[i].max};
		json_t *out = json_pack("{s:s, s:i}", "AdjustmentType", "ChangeInCapacity",
					"ScalingAdjustment", table[i].out);
		json_t *in =
		    json_pack("{s:s, s:[{s:i, s:i}]}", "AdjustmentType", "ChangeInCapacity",
			      "StepAdjustments", "MetricIntervalUpperBound", 0, "ScalingAdjustment",
			      table[i].in);
		struct flap_side above = {out, table[i].high}, below = {in, table[i].low};
		struct flap flap = {0};

		assert_int_equal(flap_find(&group, &above, &below, &flap), table[i].capacity != 0);
		assert_int_equal(flap.capacity, table[i].capacity);
		json_decref(out);
		json_decref(in);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_guides_example_of_step_scaling_comes_out),
	    cmocka_unit_test(percentages_round_towards_zero_but_never_to_it),
	    cmocka_unit_test(ends_of_steps_belong_to_the_side_away_from_the_threshold),
	    cmocka_unit_test(a_step_without_a_value_cannot_be_run),
	    cmocka_unit_test(exact_capacity_is_held_inside_the_limits),
	    cmocka_unit_test(simple_scaling_waits_for_its_activity_and_then_for_the_cooldown),
	    cmocka_unit_test(the_cooldown_survives_a_restart),
	    cmocka_unit_test(a_person_may_respect_the_cooldown_or_not),
	    cmocka_unit_test(of_policies_that_fire_together_the_largest_capacity_wins),
	    cmocka_unit_test(tracking_and_a_step_are_weighed_together),
	    cmocka_unit_test(activities_name_the_alarm_behind_them),
	    cmocka_unit_test(policies_that_would_undo_each_other_are_found),
	    cmocka_unit_test(a_disabled_or_suspended_policy_does_nothing),
	    cmocka_unit_test(an_instance_that_dies_right_after_it_was_healthy_slows_launches_down),
	    cmocka_unit_test(an_ec2_that_is_down_from_the_start_is_told_in_an_activity),
	    cmocka_unit_test(text_that_is_cut_ends_with_a_whole_character),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
