/* The guard rail of cost: what it lets through, and what it says. */
#include "tests/unit/scaler/engine_world.h"

static void price(struct world *world, double dollars)
{
	json_t *prices = json_pack("[{s:s, s:f}]", "InstanceType", "t2.micro", "OnDemand", dollars);

	engine_set_prices(world->engine, prices);
	json_decref(prices);
}

static void launches_stop_below_the_limit_and_go_on_when_it_rises(void **state)
{
	struct world *world = world_new(1, 9, 1);
	struct err err = {0};
	json_t *answer;

	(void)state;
	price(world, 0.1);
	engine_limit_cost(world->engine, 0.35);
	world_pass(world, 3);
	assert_int_equal(engine_set_desired(world->group, 9, world->now_ms, &err), 0);
	world_pass(world, 10);
	assert_int_equal(group_actual(world->group), 3);
	assert_float_equal(engine_hourly_cost(world->engine), 0.3, 1e-9);
	answer = group_explain(world->engine, world->group, NULL, world->now_ms);
	assert_string_equal(doc_str(json_array_get(doc_array(answer, "Holds"), 0), "Hold", ""),
			    "MaxHourlyCost");
	json_decref(answer);
	engine_limit_cost(world->engine, 0.5); /* exactly five */
	world_pass(world, 10);
	assert_int_equal(group_actual(world->group), 5);
	engine_limit_cost(world->engine, 0);
	world_pass(world, 10);
	assert_int_equal(group_actual(world->group), 9);
	world_free(world);
}

static void a_lower_limit_ends_nothing(void **state)
{
	struct world *world = world_new(1, 9, 4);

	(void)state;
	price(world, 0.1);
	world_pass(world, 5);
	engine_limit_cost(world->engine, 0.1);
	world_pass(world, 10);
	assert_int_equal(group_actual(world->group), 4);
	assert_int_equal(world->n_terminates, 0);
	world_free(world);
}

static void what_has_no_known_price_is_not_held(void **state)
{
	struct world *world = world_new(1, 9, 1);
	struct instance *instance;
	struct err err = {0};

	(void)state;
	engine_limit_cost(world->engine, 0.01);
	world_pass(world, 3);
	TAILQ_FOREACH (instance, &world->group->instances, link)
		snprintf(instance->type, sizeof instance->type, "x.unknown");
	assert_int_equal(engine_set_desired(world->group, 2, world->now_ms, &err), 0);
	world_pass(world, 5);
	assert_int_equal(group_actual(world->group), 2);
	world_free(world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(launches_stop_below_the_limit_and_go_on_when_it_rises),
	    cmocka_unit_test(a_lower_limit_ends_nothing),
	    cmocka_unit_test(what_has_no_known_price_is_not_held),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
