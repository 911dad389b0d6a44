/*
 * Which types and markets a mixed group launches, and what it does where there is no room.
 */
#include "tests/unit/scaler/mixed_world.h"

/* ---- strategies ---- */

static void on_demand_types_are_taken_in_their_order_or_by_price(void **state)
{
	struct world *world = mixed_world(2, TWO_TYPES, "{}");

	(void)state;
	world_pass(world, 3);
	assert_int_equal(count(world, "m5.large", NULL, NULL), 2);
	world_free(world);
	world = mixed_world(2, TWO_TYPES, "{\"OnDemandAllocationStrategy\": \"lowest-price\"}");
	world_pass(world, 3);
	assert_int_equal(count(world, "c5.large", NULL, NULL), 2);
	world_free(world);
}

/* An m5.xlarge at 0.192 of weight 4 is cheaper a unit than a c5.large at 0.085 of weight 1. */
static void the_lowest_price_is_that_of_a_unit(void **state)
{
	struct world *world = mixed_world(
	    8,
	    "[{\"InstanceType\": \"c5.large\", \"WeightedCapacity\": \"1\"}, {\"InstanceType\": "
	    "\"m5.xlarge\", \"WeightedCapacity\": \"4\"}]",
	    "{\"OnDemandAllocationStrategy\": \"lowest-price\"}");

	(void)state;
	world_pass(world, 3);
	assert_int_equal(count(world, "m5.xlarge", NULL, NULL), 2);
	world_free(world);
}

static void the_files_prices_win(void **state)
{
	json_t *own = parse("[{\"InstanceType\": \"c5.large\", \"OnDemand\": 9.5}, "
			    "{\"InstanceType\": \"odd.one\", \"OnDemand\": 2, \"Spot\": 0.5}]");

	(void)state;
	assert_true(fabs(price_of(NULL, "c5.large", false) - 0.085) < 1e-9);
	assert_true(fabs(price_of(NULL, "t3.micro", false) - 0.0104) < 1e-9);
	assert_true(fabs(price_of(NULL, "m5.4xlarge", false) - 0.768) < 1e-9);
	assert_true(isnan(price_of(NULL, "odd.one", false)));
	assert_true(isnan(price_of(NULL, "m5.metal", false)));
	assert_true(isnan(price_of(NULL, "", false)));
	assert_true(fabs(price_of(own, "c5.large", false) - 9.5) < 1e-9);
	assert_true(fabs(price_of(own, "c5.large", true) - 9.5 * PRICES_SPOT_SHARE) < 1e-9);
	assert_true(fabs(price_of(own, "odd.one", true) - 0.5) < 1e-9);
	json_decref(own);
}

#define FOUR_TYPES \
	"[{\"InstanceType\": \"m5.large\"}, {\"InstanceType\": \"c5.large\"}, " \
	"{\"InstanceType\": \"r5.large\"}, {\"InstanceType\": \"c6g.large\"}]"

static void lowest_price_spot_is_spread_over_the_cheapest_pools(void **state)
{
	struct world *world = mixed_world(12, FOUR_TYPES, ALL_SPOT("lowest-price"));

	(void)state;
	world_pass(world, 3);
	assert_int_equal(count(world, "c6g.large", "spot", NULL), 6);
	assert_int_equal(count(world, "c5.large", "spot", NULL), 6);
	assert_int_equal(count(world, NULL, NULL, "us-east-1b"), 4);
	world_free(world);
}

static void capacity_optimized_avoids_what_failed_lately(void **state)
{
	struct world *world =
	    mixed_world(3, FOUR_TYPES, ALL_SPOT("capacity-optimized-prioritized"));

	(void)state;
	world->full_type = "m5.large";
	world_pass(world, 4);
	assert_int_equal(count(world, "c5.large", "spot", NULL), 3);
	world->full_type = NULL;
	world_pass(world, 600); /* open again, and still not trusted */
	set_desired(world, 6);
	world_pass(world, 3);
	assert_int_equal(count(world, "c5.large", "spot", NULL), 6);
	world_pass(world, 3 * 3600);
	set_desired(world, 9);
	world_pass(world, 3);
	assert_int_equal(count(world, "m5.large", "spot", NULL), 3);
	world_free(world);
}

static void capacity_optimized_spreads_over_pools_that_nothing_tells_apart(void **state)
{
	struct world *world = mixed_world(12, FOUR_TYPES, ALL_SPOT("capacity-optimized"));

	(void)state;
	world_pass(world, 3);
	assert_int_equal(count(world, "m5.large", "spot", NULL), 3);
	assert_int_equal(count(world, "c6g.large", "spot", NULL), 3);
	world_free(world);
}

static void price_capacity_optimized_takes_the_cheapest_that_has_not_failed(void **state)
{
	struct world *world = mixed_world(3, FOUR_TYPES, ALL_SPOT("price-capacity-optimized"));

	(void)state;
	world->full_type = "c6g.large";
	world_pass(world, 4);
	assert_int_equal(count(world, "c5.large", "spot", NULL), 3);
	world_free(world);
}

/* ---- no room ---- */

static void a_type_without_room_is_replaced_by_the_next_at_once(void **state)
{
	struct world *world = mixed_world(6, TWO_TYPES, "{}");

	(void)state;
	world->full_type = "m5.large";
	world_pass(world, 3);
	assert_int_equal(count(world, "c5.large", NULL, NULL), 6);
	assert_int_equal(count(world, NULL, NULL, "us-east-1a"), 2);
	world_free(world);
}

static void another_type_is_tried_before_another_zone(void **state)
{
	struct world *world = mixed_world(3, TWO_TYPES, "{}");

	(void)state;
	world->full_type = "m5.large";
	world->full_zone = "us-east-1b";
	world_pass(world, 4);
	assert_int_equal(count(world, "c5.large", NULL, "us-east-1b"), 1);
	assert_int_equal(count(world, "m5.large", NULL, NULL), 2);
	world_free(world);
}

static void spot_without_room_does_not_become_on_demand(void **state)
{
	struct world *world = mixed_world(4, TWO_TYPES, HALF_SPOT);

	(void)state;
	world->full_market = "spot";
	world_pass(world, 60);
	assert_int_equal(count(world, NULL, "on-demand", NULL), 2);
	assert_int_equal(count(world, NULL, "spot", NULL), 0);
	world->full_market = NULL;
	world_pass(world, 120);
	assert_int_equal(count(world, NULL, "spot", NULL), 2);
	world_free(world);
}

static void on_demand_without_room_does_not_hold_spot_back(void **state)
{
	struct world *world = mixed_world(4, TWO_TYPES, HALF_SPOT);

	(void)state;
	world->full_market = "on-demand";
	world_pass(world, 5);
	assert_int_equal(count(world, NULL, "spot", NULL), 2);
	world_free(world);
}

/* A fifth more or less, and up to a second until the next tick. */
static void pools_without_room_are_asked_again_after_9_18_36_seconds(void **state)
{
	struct world *world = mixed_world(1, "[{\"InstanceType\": \"m5.large\"}]", "{}");
	int waits = 0, last = 1;

	(void)state;
	world->full_type = "m5.large";
	for (int i = 1; i < 3; i++)
		world->group->zones[i].closed_until_ms = INT64_MAX;
	world_pass(world, 1);
	assert_int_equal(world->n_runs, 1);
	for (int second = 2; second < 400; second++) {
		int before = world->n_runs;

		world_pass(world, 1);
		if (world->n_runs == before)
			continue;
		assert_in_range(second - last, (9 << waits) * 8 / 10, (9 << waits) * 12 / 10 + 1);
		last = second;
		waits++;
	}
	assert_in_range(waits, 5, 6);
	world_free(world);
}

static void pools_without_room_are_remembered_over_a_restart(void **state)
{
	struct world *world = mixed_world(3, TWO_TYPES, "{}");
	int runs;

	(void)state;
	world->full_market = "on-demand";
	world_pass(world, 100);
	runs = world->n_runs;
	world_restart(world);
	world_pass(world, 5);
	assert_true(world->n_runs - runs <= 6);
	world_free(world);
}

static void a_limit_on_a_type_holds_in_all_zones(void **state)
{
	struct world *world = mixed_world(3, TWO_TYPES, "{}");

	(void)state;
	world->full_type = "m5.large";
	world->full_code = "VcpuLimitExceeded";
	world_pass(world, 4);
	assert_int_equal(count(world, "c5.large", NULL, NULL), 3);
	world_free(world);
}

static void fewer_instances_than_asked_for_are_taken_and_the_rest_sought_elsewhere(void **state)
{
	struct world *world = mixed_world(12, TWO_TYPES, "{}");

	(void)state;
	world->room = 3;
	world_pass(world, 4);
	assert_int_equal(count(world, NULL, NULL, NULL), 12);
	assert_int_equal(count(world, "m5.large", NULL, NULL), 9);
	assert_int_equal(count(world, "c5.large", NULL, NULL), 3);
	assert_int_equal(json_array_size(world->ec2), 12);
	world_free(world);
}

static void balanced_only(struct world *world)
{
	json_object_set_new(world->group->document, "AvailabilityZoneDistribution",
			    json_pack("{s:s}", "CapacityDistributionStrategy", "balanced-only"));
}

static void balanced_only_accepts_a_shortfall(void **state)
{
	struct world *world = world_new(6, 6, 6);

	(void)state;
	balanced_only(world);
	world->full_zone = "us-east-1b";
	world_pass(world, 60);
	assert_int_equal(count(world, NULL, NULL, "us-east-1a"), 2);
	assert_int_equal(count(world, NULL, NULL, "us-east-1b"), 0);
	assert_int_equal(count(world, NULL, NULL, "us-east-1c"), 2);
	world->full_zone = NULL;
	world_pass(world, 120);
	assert_int_equal(count(world, NULL, NULL, "us-east-1b"), 2);
	world_free(world);
}

/* 5 calls at once, then two a second; a thousand instances are not many more calls than it takes.
 */
static void calls_are_no_more_than_ec2_takes(void **state)
{
	struct world *world = world_new(0, 1000, 0);
	struct err err = {0};

	(void)state;
	world_pass(world, 1);
	engine_pace_runs(world->engine, 5, 2);
	assert_int_equal(engine_set_desired(world->group, 1000, world->now_ms, &err), 0);
	world_pass(world, 1);
	assert_int_equal(world->n_runs, 5);
	for (int second = 1; second <= 40; second++) {
		world_pass(world, 1);
		assert_true(world->n_runs <= 5 + 2 * second);
	}
	assert_int_equal(group_actual(world->group), 1000);
	assert_int_equal(json_array_size(world->ec2), 1000);
	world_free(world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(on_demand_types_are_taken_in_their_order_or_by_price),
	    cmocka_unit_test(the_lowest_price_is_that_of_a_unit),
	    cmocka_unit_test(the_files_prices_win),
	    cmocka_unit_test(lowest_price_spot_is_spread_over_the_cheapest_pools),
	    cmocka_unit_test(capacity_optimized_avoids_what_failed_lately),
	    cmocka_unit_test(capacity_optimized_spreads_over_pools_that_nothing_tells_apart),
	    cmocka_unit_test(price_capacity_optimized_takes_the_cheapest_that_has_not_failed),
	    cmocka_unit_test(a_type_without_room_is_replaced_by_the_next_at_once),
	    cmocka_unit_test(another_type_is_tried_before_another_zone),
	    cmocka_unit_test(spot_without_room_does_not_become_on_demand),
	    cmocka_unit_test(on_demand_without_room_does_not_hold_spot_back),
	    cmocka_unit_test(pools_without_room_are_asked_again_after_9_18_36_seconds),
	    cmocka_unit_test(pools_without_room_are_remembered_over_a_restart),
	    cmocka_unit_test(a_limit_on_a_type_holds_in_all_zones),
	    cmocka_unit_test(
		fewer_instances_than_asked_for_are_taken_and_the_rest_sought_elsewhere),
	    cmocka_unit_test(balanced_only_accepts_a_shortfall),
	    cmocka_unit_test(calls_are_no_more_than_ec2_takes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
