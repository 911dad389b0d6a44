/*
 * Mixed instances policies: the split between the markets, weights, allocation strategies, pools
 * without room, and who goes in a scale-in.
 */
#include "tests/unit/scaler/mixed_world.h"

/* ---- the split ---- */

/* AWS: "Example: on-demand base and percentage". */
static void the_on_demand_share_is_the_base_and_a_part_of_the_rest(void **state)
{
	static const struct {
		int base, percent, capacity, on_demand;
	} examples[] = {
	    {10, 50, 10, 10}, {10, 50, 20, 15}, {10, 50, 25, 18}, {10, 50, 40, 25}, {0, 50, 3, 2},
	    {2, 33, 10, 5},   {0, 0, 10, 0},    {0, 100, 10, 10}, {10, 0, 4, 4},    {0, 50, 0, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof examples / sizeof examples[0]; i++) {
		json_t *policy = distribution(examples[i].base, examples[i].percent);

		assert_int_equal(mixed_on_demand(policy, examples[i].capacity),
				 examples[i].on_demand);
		json_decref(policy);
	}
	assert_int_equal(mixed_on_demand(NULL, 7), 7);
}

static void launches_keep_the_share(void **state)
{
	struct world *world = mixed_world(3, TWO_TYPES, HALF_SPOT);

	(void)state;
	world_pass(world, 3);
	assert_int_equal(count(world, NULL, "on-demand", NULL), 2);
	assert_int_equal(count(world, NULL, "spot", NULL), 1);
	set_desired(world, 10);
	world_pass(world, 3);
	assert_int_equal(count(world, NULL, "on-demand", NULL), 5);
	assert_int_equal(count(world, NULL, "spot", NULL), 5);
	assert_int_equal(count(world, "m5.large", "on-demand", NULL), 5);
	world_free(world);
}

static void the_share_survives_a_restart_before_any_answer(void **state)
{
	struct world *world = mixed_world(4, TWO_TYPES, HALF_SPOT);

	(void)state;
	world->loses_run_answers = true;
	world_pass(world, 1);
	world_restart(world);
	world->loses_run_answers = false;
	world_pass(world, 5);
	assert_int_equal(json_array_size(world->ec2), 4);
	assert_int_equal(count(world, NULL, "on-demand", NULL), 2);
	assert_int_equal(count(world, NULL, "spot", NULL), 2);
	world_free(world);
}

static void a_launch_tells_type_market_and_price_and_has_them_in_its_token(void **state)
{
	struct world *world = mixed_world(1, TWO_TYPES,
					  "{\"OnDemandPercentageAboveBaseCapacity\": 0, "
					  "\"SpotMaxPrice\": \"0.05\"}");
	struct actions actions = {0};
	const json_t *members, *options;

	(void)state;
	world->now_ms += 1000;
	world_tick_only(world, &actions);
	assert_int_equal(actions.n, 1);
	assert_non_null(strstr(actions.items[0].token, "_us-east-1a_c5.large"));
	assert_true(strlen(actions.items[0].token) <= 64);
	members = engine_run_members(world->group, actions.items[0].launch_id);
	assert_string_equal(doc_str(members, "InstanceType", ""), "c5.large");
	options = doc_object(members, "InstanceMarketOptions");
	assert_string_equal(doc_str(options, "MarketType", ""), "spot");
	assert_string_equal(doc_str(doc_object(options, "SpotOptions"), "MaxPrice", ""), "0.05");
	actions_fini(&actions);
	world_free(world);
}

/* ---- weights ---- */

static void one_type_of_weight_4_makes_12_units_of_10(void **state)
{
	struct world *world = mixed_world(
	    10, "[{\"InstanceType\": \"m5.xlarge\", \"WeightedCapacity\": \"4\"}]", "{}");
	json_t *shown, *instance;

	(void)state;
	world_pass(world, 3);
	assert_int_equal(count(world, NULL, NULL, NULL), 3);
	assert_int_equal(group_actual(world->group), 12);
	shown = group_describe(world->group, true);
	instance = json_array_get(doc_array(shown, "Instances"), 0);
	assert_string_equal(doc_str(instance, "WeightedCapacity", ""), "4");
	assert_string_equal(doc_str(instance, "InstanceType", ""), "m5.xlarge");
	json_decref(shown);
	world_free(world);
}

static void units_are_shown_in_the_cause(void **state)
{
	struct world *world = mixed_world(
	    10, "[{\"InstanceType\": \"m5.xlarge\", \"WeightedCapacity\": \"4\"}]", "{}");

	(void)state;
	world_pass(world, 1);
	assert_non_null(strstr(TAILQ_FIRST(&world->group->activities)->cause,
			       "increasing the capacity from 0 to 12."));
	world_free(world);
}

static void a_decrement_smaller_than_the_overshoot_does_nothing(void **state)
{
	struct world *world = mixed_world(
	    10, "[{\"InstanceType\": \"m5.xlarge\", \"WeightedCapacity\": \"4\"}]", "{}");

	(void)state;
	world_pass(world, 3);
	set_desired(world, 9); /* 12 - 4 would be 8 */
	world_pass(world, 5);
	assert_int_equal(count(world, NULL, NULL, NULL), 3);
	set_desired(world, 8);
	world_pass(world, 5);
	assert_int_equal(count(world, NULL, NULL, NULL), 2);
	world_free(world);
}

static void a_light_instance_goes_where_a_heavy_one_is_too_much(void **state)
{
	struct world *world = mixed_world(
	    8, "[{\"InstanceType\": \"m5.2xlarge\", \"WeightedCapacity\": \"8\"}]", "{}");

	(void)state;
	world_pass(world, 3);
	use(world,
	    "[{\"InstanceType\": \"m5.large\", \"WeightedCapacity\": \"2\"}, {\"InstanceType\": "
	    "\"m5.2xlarge\", \"WeightedCapacity\": \"8\"}]",
	    "{}");
	set_desired(world, 10);
	world_pass(world, 3);
	assert_int_equal(group_actual(world->group), 10);
	set_desired(world, 8);
	world_pass(world, 5);
	assert_int_equal(count(world, "m5.2xlarge", NULL, NULL), 1);
	assert_int_equal(count(world, "m5.large", NULL, NULL), 0);
	world_free(world);
}

static void new_weights_hold_for_the_instances_there_are(void **state)
{
	struct world *world = mixed_world(2, TWO_TYPES, "{}");

	(void)state;
	world_pass(world, 3);
	assert_int_equal(group_actual(world->group), 2);
	use(world, "[{\"InstanceType\": \"m5.large\", \"WeightedCapacity\": \"3\"}]", "{}");
	assert_int_equal(group_actual(world->group), 6);
	use(world, TWO_TYPES, "{}");
	assert_int_equal(group_actual(world->group), 2);
	world_free(world);
}

static struct instance *first_of(const struct world *world)
{
	return TAILQ_FIRST(&world->group->instances);
}

static void who_is_ended_takes_its_weight_along(void **state)
{
	struct world *world = mixed_world(
	    8, "[{\"InstanceType\": \"m5.xlarge\", \"WeightedCapacity\": \"4\"}]", "{}");
	struct err err = {0};

	(void)state;
	world_pass(world, 3);
	assert_non_null(engine_terminate_instance(world->engine, world->group, first_of(world),
						  true, world->now_ms, &err));
	assert_int_equal(world->group->desired, 4);
	world->group->min = 2;
	world_pass(world, 5);
	assert_null(engine_terminate_instance(world->engine, world->group, first_of(world), true,
					      world->now_ms, &err));
	assert_int_equal(world->group->desired, 4);
	assert_int_equal(group_actual(world->group), 4);
	world_free(world);
}

static void who_is_attached_counts_for_the_weight_of_its_type(void **state)
{
	struct world *world =
	    mixed_world(4, "[{\"InstanceType\": \"t2.micro\", \"WeightedCapacity\": \"2\"}]", "{}");
	const char *id = "i-0123456789abcdef0";
	struct err err = {0};

	(void)state;
	world_pass(world, 3);
	world->foreign =
	    json_pack("{s:s, s:s, s:s, s:s, s:{s:s}, s:{s:s}}", "InstanceId", id, "InstanceType",
		      "t2.micro", "SubnetId", "subnet-a", "LaunchTime", "2026-08-07T09:00:00Z",
		      "Placement", "AvailabilityZone", "us-east-1a", "State", "Name", "running");
	assert_int_equal(
	    engine_attach_instance(world->engine, world->group, id, world->now_ms, &err), 0);
	world->group->desired++;
	world_pass(world, 5);
	assert_int_equal(world->group->desired, 6);
	assert_int_equal(group_actual(world->group), 6);
	assert_int_equal(count(world, NULL, NULL, NULL), 3);
	world_free(world);
}

/* ---- crashes ---- */

/* Killed after a commit, with what was handed out lost. */
static void die(struct world *world)
{
	struct actions actions = {0};

	world_tick_only(world, &actions);
	actions_fini(&actions);
	world_restart(world);
}

static int market_units(const struct world *world, bool is_spot)
{
	struct mixed_units units = mixed_count(world->group);

	return is_spot ? units.spot : units.on_demand;
}

/* Up, without room for some, down again: wherever it is killed, twice, all is accounted for. */
static void killed_at_every_step_a_mixed_group_is_as_it_should_be(void **state)
{
	(void)state;
	for (int step = 0; step < 24; step++) {
		struct world *world =
		    mixed_world(10,
				"[{\"InstanceType\": \"m5.large\", \"WeightedCapacity\": \"1\"}, "
				"{\"InstanceType\": \"m5.xlarge\", \"WeightedCapacity\": \"2\"}]",
				HALF_SPOT);
		const struct instance *instance;

		world->full_type = "m5.large";
		world->full_market = "spot";
		world->room = 2;
		for (int i = 0; i < 24; i++) {
			if (i == step || i == step + 3)
				die(world);
			world->loses_run_answers = i == step + 1;
			if (i == 12)
				set_desired(world, 6);
			world_pass(world, 1);
		}
		world->loses_run_answers = false;
		world->room = 0;
		world_restart(world); /* an answer that was lost is waited for by who asked */
		world_pass(world, 200);
		TAILQ_FOREACH (instance, &world->group->instances, link)
			assert_true(instance_is_settled(instance));
		assert_in_range(group_actual(world->group), 6, 7);
		assert_int_equal(count(world, NULL, NULL, NULL), world_in_state(world, "running"));
		assert_int_equal(market_units(world, false), 3);
		assert_in_range(market_units(world, true), 3, 4);
		world_free(world);
	}
}

/* ---- scale-in ---- */

static void the_market_over_its_share_gives_first(void **state)
{
	struct world *world = mixed_world(10, TWO_TYPES, HALF_SPOT);

	(void)state;
	world_pass(world, 3);
	set_desired(world, 6);
	world_pass(world, 5);
	assert_int_equal(count(world, NULL, "on-demand", NULL), 3);
	assert_int_equal(count(world, NULL, "spot", NULL), 3);
	world_free(world);
}

static void the_allocation_strategy_policy_ends_what_fits_least(void **state)
{
	struct world *world = mixed_world(3, TWO_TYPES, "{}");

	(void)state;
	world->full_type = "m5.large";
	world_pass(world, 4);
	world->full_type = NULL;
	world_pass(world, 100);
	set_desired(world, 6);
	world_pass(world, 4);
	assert_int_equal(count(world, "m5.large", NULL, NULL), 3);
	json_object_set_new(world->group->document, "TerminationPolicies",
			    json_pack("[s]", "AllocationStrategy"));
	set_desired(world, 3);
	world_pass(world, 5);
	assert_int_equal(count(world, "m5.large", NULL, NULL), 3);
	world_free(world);
}

/* ---- refresh, policies ---- */

static void refresh_to(struct world *world, const char *overrides, int min, int max)
{
	json_t *input =
	    json_pack("{s:{s:{s:{s:{s:s, s:s}, s:o}}}, s:{s:i, s:i, s:b, s:i}}",
		      "DesiredConfiguration", "MixedInstancesPolicy", "LaunchTemplate",
		      "LaunchTemplateSpecification", "LaunchTemplateName", "students", "Version",
		      "1", "Overrides", parse(overrides), "Preferences", "MinHealthyPercentage",
		      min, "MaxHealthyPercentage", max, "SkipMatching", 1, "InstanceWarmup", 5);
	struct err err = {0};

	assert_non_null(
	    engine_start_refresh(world->engine, world->group, input, world->now_ms, &err));
	json_decref(input);
}

static const char *refresh_status(const struct world *world)
{
	return doc_str(json_array_get(world->group->refreshes, 0), "Status", "");
}

static void a_refresh_brings_another_policy_and_skips_what_matches_it(void **state)
{
	struct world *world = mixed_world(2, TWO_TYPES, "{}");
	json_t *kept;

	(void)state;
	world_pass(world, 3);
	world->full_type = "m5.large";
	set_desired(world, 4);
	world_pass(world, 40);
	assert_int_equal(count(world, "c5.large", NULL, NULL), 2);
	world->full_type = NULL;
	refresh_to(world, "[{\"InstanceType\": \"r5.large\"}, {\"InstanceType\": \"c5.large\"}]",
		   90, 100);
	world_pass(world, 20);
	world_restart(world);
	world_pass(world, 120);
	assert_string_equal(refresh_status(world), "Successful");
	assert_int_equal(count(world, "r5.large", NULL, NULL), 2);
	assert_int_equal(count(world, "c5.large", NULL, NULL), 2);
	kept = doc_object(world->group->document, "MixedInstancesPolicy");
	assert_int_equal(json_array_size(mixed_overrides(kept)), 2);
	assert_false(doc_has(world->group->document, "RefreshMixedInstancesPolicy"));
	world_free(world);
}

static void a_refresh_of_heavy_instances_counts_units(void **state)
{
	struct world *world = mixed_world(
	    12, "[{\"InstanceType\": \"m5.xlarge\", \"WeightedCapacity\": \"4\"}]", "{}");
	int least = 99;

	(void)state;
	world_pass(world, 40);
	refresh_to(world, "[{\"InstanceType\": \"c5.xlarge\", \"WeightedCapacity\": \"4\"}]", 60,
		   100);
	for (int i = 0; i < 200; i++) {
		int serving = 0;
		const struct instance *instance;

		world_pass(world, 1);
		TAILQ_FOREACH (instance, &world->group->instances, link)
			serving +=
			    instance->state == INSTANCE_IN_SERVICE ? instance_units(instance) : 0;
		least = serving < least ? serving : least;
	}
	assert_string_equal(refresh_status(world), "Successful");
	assert_int_equal(count(world, "c5.xlarge", NULL, NULL), 3);
	assert_int_equal(least, 8); /* 60 % of 12 is 8 */
	world_free(world);
}

static void a_refresh_whose_percentages_have_no_room_for_a_heavy_one_takes_one(void **state)
{
	struct world *world = mixed_world(
	    12, "[{\"InstanceType\": \"m5.xlarge\", \"WeightedCapacity\": \"4\"}]", "{}");

	(void)state;
	world_pass(world, 40);
	refresh_to(world, "[{\"InstanceType\": \"c5.xlarge\", \"WeightedCapacity\": \"4\"}]", 90,
		   100);
	world_pass(world, 200);
	assert_string_equal(refresh_status(world), "Successful");
	assert_int_equal(count(world, "c5.xlarge", NULL, NULL), 3);
	world_free(world);
}

static void a_step_counts_units(void **state)
{
	struct world *world = mixed_world(
	    8, "[{\"InstanceType\": \"m5.xlarge\", \"WeightedCapacity\": \"4\"}]", "{}");
	json_t *document =
	    json_pack("{s:s, s:s, s:s, s:b, s:i, s:[{s:f, s:i}]}", "PolicyName", "out",
		      "PolicyType", "StepScaling", "AdjustmentType", "PercentChangeInCapacity",
		      "Enabled", 1, "EstimatedInstanceWarmup", 0, "StepAdjustments",
		      "MetricIntervalLowerBound", 0.0, "ScalingAdjustment", 50);
	struct policy_run run = {.value = 90, .threshold = 50, .has_value = true};
	struct err err = {0};

	(void)state;
	world_pass(world, 5);
	world_policy(world, document);
	assert_int_equal(engine_execute_policy(world->group, group_policy(world->group, "out"),
					       &run, world->now_ms, &err),
			 0);
	assert_int_equal(world->group->desired, 12);
	world_free(world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_on_demand_share_is_the_base_and_a_part_of_the_rest),
	    cmocka_unit_test(launches_keep_the_share),
	    cmocka_unit_test(the_share_survives_a_restart_before_any_answer),
	    cmocka_unit_test(a_launch_tells_type_market_and_price_and_has_them_in_its_token),
	    cmocka_unit_test(one_type_of_weight_4_makes_12_units_of_10),
	    cmocka_unit_test(units_are_shown_in_the_cause),
	    cmocka_unit_test(a_decrement_smaller_than_the_overshoot_does_nothing),
	    cmocka_unit_test(a_light_instance_goes_where_a_heavy_one_is_too_much),
	    cmocka_unit_test(new_weights_hold_for_the_instances_there_are),
	    cmocka_unit_test(who_is_ended_takes_its_weight_along),
	    cmocka_unit_test(who_is_attached_counts_for_the_weight_of_its_type),
	    cmocka_unit_test(killed_at_every_step_a_mixed_group_is_as_it_should_be),
	    cmocka_unit_test(the_market_over_its_share_gives_first),
	    cmocka_unit_test(the_allocation_strategy_policy_ends_what_fits_least),
	    cmocka_unit_test(a_refresh_brings_another_policy_and_skips_what_matches_it),
	    cmocka_unit_test(a_refresh_of_heavy_instances_counts_units),
	    cmocka_unit_test(a_refresh_whose_percentages_have_no_room_for_a_heavy_one_takes_one),
	    cmocka_unit_test(a_step_counts_units),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
