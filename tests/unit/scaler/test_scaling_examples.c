/*
 * The worked examples of AWS's documents on scaling, by the minute as AWS measures: target
 * tracking, several policies at once, cooldown, steps, limits, warm-up.
 */
#include <errno.h>

#include "scaler/engine/parts.h"
#include "tests/unit/scaler/engine_world.h"

enum { MINUTE = 60, QUARTER = 15 * 60, WARMUP = 7200 };

/* Of each instance, each minute; sparse: only every so many minutes has a datapoint. */
static double value;
static int sparse_min;
static struct world *shared;

static bool is_warm(const char *id)
{
	const struct instance *instance = group_instance(shared->group, id);

	return instance && shared->now_ms - instance->in_service_ms >= 1000 * WARMUP;
}

static int by_the_minute(void *arg, const struct metric_request *request)
{
	const char *id = doc_str(json_array_get(request->dimensions, 0), "Value", "");
	struct world *world = arg;
	int found = 0;

	if (request->period_s != MINUTE)
		return 0;
	for (int i = 0; i < request->n; i++) {
		int64_t at_ms = request->end_ms - (request->n - i) * 60000LL;

		if (at_ms < world->data_from_ms || at_ms / 60000 % sparse_min != 0)
			continue;
		/* Those that warm up are at 5: who counts them in gets it wrong. */
		request->values[i] = is_warm(id) ? value : 5;
		found++;
	}
	return found;
}

/* So many in service and warm, besides them some that warm up; data begins now. */
static struct world *measured(int max, int warm, int warming)
{
	struct world *world = world_new(0, max, warm + warming);
	struct instance *instance;
	int i = 0;

	world_pass(world, 5);
	assert_int_equal(group_count(world->group).in_service, warm + warming);
	world->now_ms = (world->now_ms + 599999) / 600000 * 600000;
	TAILQ_FOREACH (instance, &world->group->instances, link)
		instance->in_service_ms = world->now_ms - (i++ < warm ? 2000 * WARMUP : 0);
	world->metric = by_the_minute;
	world->data_from_ms = world->now_ms;
	sparse_min = 1;
	shared = world;
	return world;
}

static void the_table_of_needs_comes_out_of_the_engine(void **state)
{
	static const struct {
		int warm, warming;
		double metric, target;
		int result;
	} table[] = {
	    {10, 0, 150, 100, 15}, {4, 0, 75, 50, 6},
	    {3, 0, 51, 50, 4},     {10, 0, 44, 50, 9}, /* 8.8; the low alarm, at 45, is on */
	    {10, 0, 46, 50, 10},                       /* it is not */
	    {2, 0, 34, 50, 2},                         /* it is, at 35, but 1.36 are two */
	    {2, 0, 24, 50, 1},     {5, 0, 0, 50, 0},
	    {4, 2, 80, 50, 7},                        /* 6.4 of the six that there are or will be */
	    {4, 2, 74, 50, 6},     {4, 2, 10, 50, 6}, /* nothing goes while something warms up */
	};

	(void)state;
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		struct world *world = measured(100, table[i].warm, table[i].warming);

		value = table[i].metric;
		world_cpu_policy(world, "cpu", table[i].target, WARMUP, false);
		while (world->group->desired == table[i].warm + table[i].warming &&
		       world->now_ms < world->data_from_ms + (QUARTER + 70) * 1000)
			world_pass(world, 1);
		assert_int_equal(world->group->desired, table[i].result);
		world_free(world);
	}
}

static int64_t seconds_to_change(struct world *world)
{
	int desired = world->group->desired;
	int64_t from_ms = world->now_ms;

	while (world->group->desired == desired && world->now_ms < from_ms + 3600000)
		world_pass(world, 1);
	return (world->now_ms - from_ms) / 1000;
}

static void a_fresh_policy_takes_three_minutes_out_and_fifteen_in(void **state)
{
	struct world *world = measured(100, 10, 0);

	(void)state;
	value = 80;
	world_cpu_policy(world, "cpu", 50, WARMUP, false);
	assert_in_range(seconds_to_change(world), 3 * MINUTE, 3 * MINUTE + 2);
	world_free(world);

	world = measured(100, 10, 0);
	value = 20;
	world_cpu_policy(world, "cpu", 50, WARMUP, false);
	/* The minute in which the policy came is not wholly its own. */
	assert_in_range(seconds_to_change(world), QUARTER, QUARTER + MINUTE + 2);
	world_free(world);
}

/* Basic monitoring: four of five minutes are missing. */
static void a_datapoint_each_five_minutes_moves_nothing(void **state)
{
	struct world *world = measured(100, 10, 0);

	(void)state;
	value = 80;
	sparse_min = 5;
	world_cpu_policy(world, "cpu", 50, WARMUP, false);
	assert_true(seconds_to_change(world) >= 3600);
	world_free(world);
}

static void thresholds_of_the_low_alarm_are_those_that_were_seen(void **state)
{
	static const struct {
		int n;
		double target, low;
	} table[] = {
	    {0, 60, 54},   {20, 40, 36}, {7, 50, 42.5}, {4, 50, 37.5}, {2, 50, 35},  {3, 40, 28},
	    {1, 75, 52.5}, {2, 30, 21},  {3, 60, 42},   {1, 20, 14},   {10, 50, 45},
	};

	(void)state;
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		struct world *world = measured(100, table[i].n, 0);
		json_t *alarm;

		world_cpu_policy(world, "cpu", table[i].target, WARMUP, false);
		alarm = tracking_alarm(world->group, group_policy(world->group, "cpu"), false);
		assert_true(fabs(doc_num(alarm, "Threshold", 0) - table[i].low) < 1e-6);
		assert_int_equal(doc_int(alarm, "EvaluationPeriods", 0), 15);
		assert_int_equal(doc_int(alarm, "Period", 0), 60);
		assert_string_equal(doc_str(alarm, "ComparisonOperator", ""), "LessThanThreshold");
		json_decref(alarm);
		alarm = tracking_alarm(world->group, group_policy(world->group, "cpu"), true);
		assert_true(fabs(doc_num(alarm, "Threshold", 0) - table[i].target) < 1e-6);
		assert_int_equal(doc_int(alarm, "EvaluationPeriods", 0), 3);
		assert_string_equal(doc_str(alarm, "ComparisonOperator", ""),
				    "GreaterThanThreshold");
		json_decref(alarm);
		world_free(world);
	}
}

/* ---- several policies ---- */

/* What the policy would have of ten instances, as a target for the one value there is. */
static void add_wish(struct world *world, const char *name, double capacity, bool disables_in)
{
	double n = group_count(world->group).in_service;

	world_cpu_policy(world, name, value * n / (capacity - 0.1), WARMUP, disables_in);
}

static void two_that_track_go_in_only_as_far_as_both_agree(void **state)
{
	struct world *world = measured(100, 10, 0);

	(void)state;
	value = 40;
	add_wish(world, "cpu", 8, false);
	add_wish(world, "requests", 10, false);
	world_pass(world, QUARTER + 70);
	assert_int_equal(world->group->desired, 10);
	world_free(world);

	world = measured(100, 10, 0);
	value = 40;
	add_wish(world, "cpu", 8, false);
	add_wish(world, "requests", 7, false);
	(void)seconds_to_change(world);
	assert_int_equal(world->group->desired, 8);
	world_free(world);
}

static void one_that_may_not_take_away_is_not_asked(void **state)
{
	struct world *world = measured(100, 8, 0);

	(void)state;
	value = 40;
	add_wish(world, "a", 6, false);
	add_wish(world, "b", 4, true);
	(void)seconds_to_change(world);
	assert_int_equal(world->group->desired, 6);
	world_free(world);
}

static void what_max_holds_back_is_told(void **state)
{
	struct world *world = measured(8, 8, 0);

	(void)state;
	value = 40;
	add_wish(world, "cpu", 11, false);
	world_pass(world, 3 * MINUTE + 5);
	assert_int_equal(world->group->desired, 8);
	assert_int_equal(world->group->wanted, 11);
	world_free(world);
}

/* ---- simple and step scaling ---- */

static struct policy *add_policy(struct world *world, json_t *document)
{
	assert_non_null(document);
	world_policy(world, document);
	return group_policy(world->group, doc_str(document, "PolicyName", ""));
}

static void run_by_alarm(struct world *world, struct policy *policy, double difference)
{
	struct policy_run run = {.has_value = true, .value = difference, .threshold = 0};
	struct err err = {0};

	assert_int_equal(engine_alarm_policy(world->group, policy, &run, world->now_ms, &err), 0);
}

static struct policy *simple(struct world *world, const char *type, int adjustment)
{
	return add_policy(world, json_pack("{s:s, s:s, s:s, s:i, s:i}", "PolicyName", "simple",
					   "PolicyType", "SimpleScaling", "AdjustmentType", type,
					   "ScalingAdjustment", adjustment, "Cooldown", 300));
}

static void the_cooldown_begins_when_the_instance_is_in_service(void **state)
{
	struct world *world = measured(100, 4, 0);
	struct policy *policy = simple(world, "ChangeInCapacity", 1);
	int64_t start_ms = world->now_ms;

	(void)state;
	run_by_alarm(world, policy, 1);
	world_tick(world);
	assert_int_equal(world->group->desired, 5);
	world->is_ec2_down = true; /* in service 90 s after */
	while (world->now_ms < start_ms + 89000)
		world_pass(world, 1);
	world->is_ec2_down = false;
	while (group_count(world->group).in_service < 5)
		world_pass(world, 1);
	assert_in_range(world->now_ms - start_ms, 89000, 93000);
	for (; world->now_ms < start_ms + 389000; world_pass(world, 1)) {
		run_by_alarm(world, policy, 1);
		assert_int_equal(world->group->desired, 5);
	}
	/* Target tracking does not look at it. */
	world_pass(world, 4);
	run_by_alarm(world, policy, 1);
	world_pass(world, 1);
	assert_int_equal(world->group->desired, 6);
	world_free(world);
}

static void target_tracking_acts_while_simple_scaling_cools_down(void **state)
{
	struct world *world = measured(100, 4, 0);

	(void)state;
	run_by_alarm(world, simple(world, "ChangeInCapacity", 1), 1);
	world_pass(world, 10);
	assert_true(group_is_cooling_down(world->group, world->now_ms));
	value = 100;
	world_cpu_policy(world, "cpu", 50, WARMUP, false);
	world_pass(world, 3 * MINUTE + 5);
	assert_int_equal(world->group->desired, 8); /* 4 warm at 100 */
	world_free(world);
}

static void an_alarm_that_comes_while_it_cools_down_is_dropped(void **state)
{
	struct world *world = measured(100, 4, 0);
	struct policy *policy = simple(world, "ChangeInCapacity", 1);

	(void)state;
	run_by_alarm(world, policy, 1);
	world_pass(world, 10);
	run_by_alarm(world, policy, 1);
	world_pass(world, 600); /* it is not kept for later */
	assert_int_equal(world->group->desired, 5);
	world_free(world);
}

static void limits_and_rounding_of_adjustments(void **state)
{
	static const struct {
		int capacity, max;
		const char *type;
		int adjustment, result;
	} table[] = {
	    {1, 9, "PercentChangeInCapacity", -50, 0}, /* -0.5 is -1 */
	    {3, 9, "PercentChangeInCapacity", 10, 4},  /* 0.3 is +1 */
	    {2, 5, "ExactCapacity", 7, 5},
	    {10, 99, "PercentChangeInCapacity", 127, 22}, /* 12.7 is 12 */
	    {10, 99, "PercentChangeInCapacity", -67, 4},  /* -6.7 is -6 */
	    {2, 9, "ChangeInCapacity", -5, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		struct world *world = measured(table[i].max, table[i].capacity, 0);

		run_by_alarm(world, simple(world, table[i].type, table[i].adjustment), 1);
		world_tick(world);
		assert_int_equal(world->group->desired, table[i].result);
		world_free(world);
	}
}

static void weights_make_a_small_decrement_nothing(void **state)
{
	struct world *world = measured(100, 8, 0);
	struct instance *instance;
	struct policy *policy =
	    add_policy(world, json_pack("{s:s, s:s, s:s, s:i, s:[{s:f, s:i}, {s:f, s:i}]}",
					"PolicyName", "step", "PolicyType", "StepScaling",
					"AdjustmentType", "ChangeInCapacity",
					"EstimatedInstanceWarmup", WARMUP, "StepAdjustments",
					"MetricIntervalUpperBound", 0.0, "ScalingAdjustment", -1,
					"MetricIntervalLowerBound", 0.0, "ScalingAdjustment", 1));

	(void)state;
	TAILQ_FOREACH (instance, &world->group->instances, link)
		instance->weight = 4;
	world->group->desired = 30; /* of 32 */
	run_by_alarm(world, policy, -5);
	policies_run(&(struct tick){.engine = world->engine, .now_ms = world->now_ms},
		     world->group);
	assert_int_equal(world->group->desired, 30);
	run_by_alarm(world, policy, 5);
	policies_run(&(struct tick){.engine = world->engine, .now_ms = world->now_ms},
		     world->group);
	assert_int_equal(world->group->desired, 33);
	world_free(world);
}

/* ---- limits, warm-up ---- */

static int set_sizes(struct world *world, const char *member, int number)
{
	json_t *update = json_pack("{s:i}", member, number);
	struct err err = {0};

	assert_int_equal(engine_update_group(world->group, update, world->now_ms, &err), 0);
	json_decref(update);
	return world->group->desired;
}

static void desired_follows_the_limits(void **state)
{
	struct world *world = world_new(1, 3, 1);
	json_t *input = json_pack("{s:s, s:i, s:i}", "AutoScalingGroupName", "other", "MinSize", 1,
				  "MaxSize", 3);
	struct err err = {0};
	const struct group *other = engine_create_group(world->engine, input, world->now_ms, &err);

	(void)state;
	assert_non_null(other);
	assert_int_equal(other->desired, 1); /* not given: the least */
	json_decref(input);
	assert_int_equal(set_sizes(world, "MinSize", 2), 2);
	assert_int_equal(set_sizes(world, "MinSize", 1), 2);
	assert_int_equal(set_sizes(world, "MaxSize", 1), 1);
	assert_int_equal(set_sizes(world, "MaxSize", 3), 1);
	assert_int_equal(engine_set_desired(world->group, 4, world->now_ms, &err), -1);
	assert_string_equal(err.text, "New SetDesiredCapacity value 4 is above max value 3 for the "
				      "AutoScalingGroup.");
	world_free(world);
}

static void people_and_schedules_take_away_while_something_warms_up(void **state)
{
	struct world *world = measured(100, 4, 2);
	struct err err = {0};
	json_t *input;
	char at[CLOCK_TEXT_MAX];

	(void)state;
	value = 5;
	world_cpu_policy(world, "cpu", 50, WARMUP, false);
	world_pass(world, QUARTER + 70);
	assert_int_equal(world->group->desired, 6);
	assert_int_equal(engine_set_desired(world->group, 5, world->now_ms, &err), 0);
	input = json_pack("{s:s, s:s, s:i}", "ScheduledActionName", "evening", "StartTime",
			  clock_format_iso(world->now_ms + 30000, at), "DesiredCapacity", 4);
	assert_int_equal(
	    engine_put_schedule(world->engine, world->group, input, world->now_ms, &err), 0);
	json_decref(input);
	world_pass(world, 31);
	assert_int_equal(world->group->desired, 4);
	world_free(world);
}

static void warm_ups_fall_back_on_one_another(void **state)
{
	static const struct {
		const char *group, *policy;
		int warmup_s;
	} table[] = {
	    {"{}", "{}", 300},
	    {"{\"DefaultCooldown\": 120}", "{}", 120},
	    {"{\"DefaultCooldown\": 120, \"DefaultInstanceWarmup\": 0}", "{}", 0},
	    {"{\"DefaultInstanceWarmup\": 60}", "{}", 60},
	    {"{\"DefaultInstanceWarmup\": 60}", "{\"EstimatedInstanceWarmup\": 10}", 10},
	};

	(void)state;
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		struct group group = {.document = json_loads(table[i].group, 0, NULL)};
		struct policy policy = {.document = json_loads(table[i].policy, 0, NULL)};

		assert_int_equal(policy_warmup_ms(&group, &policy), 1000 * table[i].warmup_s);
		json_decref(group.document);
		json_decref(policy.document);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_table_of_needs_comes_out_of_the_engine),
	    cmocka_unit_test(a_fresh_policy_takes_three_minutes_out_and_fifteen_in),
	    cmocka_unit_test(a_datapoint_each_five_minutes_moves_nothing),
	    cmocka_unit_test(thresholds_of_the_low_alarm_are_those_that_were_seen),
	    cmocka_unit_test(two_that_track_go_in_only_as_far_as_both_agree),
	    cmocka_unit_test(one_that_may_not_take_away_is_not_asked),
	    cmocka_unit_test(what_max_holds_back_is_told),
	    cmocka_unit_test(the_cooldown_begins_when_the_instance_is_in_service),
	    cmocka_unit_test(target_tracking_acts_while_simple_scaling_cools_down),
	    cmocka_unit_test(an_alarm_that_comes_while_it_cools_down_is_dropped),
	    cmocka_unit_test(limits_and_rounding_of_adjustments),
	    cmocka_unit_test(weights_make_a_small_decrement_nothing),
	    cmocka_unit_test(desired_follows_the_limits),
	    cmocka_unit_test(people_and_schedules_take_away_while_something_warms_up),
	    cmocka_unit_test(warm_ups_fall_back_on_one_another),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
