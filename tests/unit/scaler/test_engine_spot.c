/*
 * Spot instances that EC2 may take back, or takes.
 */
#include "scaler/engine/replace.h"
#include "tests/unit/scaler/engine_world.h"

/* A group of 4, half of it Spot, all in service and proven. */
static struct world *spot_world(bool rebalances)
{
	struct world *world = world_new(0, 10, 4);
	json_t *input =
	    json_pack("{s:b, s:{s:{s:{s:s, s:s}, s:[{s:s}, {s:s}]}, s:{s:i, s:s}}}",
		      "CapacityRebalance", rebalances, "MixedInstancesPolicy", "LaunchTemplate",
		      "LaunchTemplateSpecification", "LaunchTemplateName", "students", "Version",
		      "1", "Overrides", "InstanceType", "m5.large", "InstanceType", "c5.large",
		      "InstancesDistribution", "OnDemandPercentageAboveBaseCapacity", 50,
		      "SpotAllocationStrategy", "capacity-optimized-prioritized");
	struct err err = {0};

	assert_int_equal(engine_update_group(world->group, input, world->now_ms, &err), 0);
	json_decref(input);
	world_pass(world, 60);
	assert_int_equal(group_count(world->group).in_service, 4);
	return world;
}

static int count_spot(const struct world *world)
{
	const struct instance *instance;
	int n = 0;

	TAILQ_FOREACH (instance, &world->group->instances, link)
		n += instance->is_spot && instance_is_live(instance);
	return n;
}

static const char *any_of(const struct world *world, bool is_spot, char id[ID_TEXT_MAX])
{
	const struct instance *instance;

	TAILQ_FOREACH (instance, &world->group->instances, link) {
		if (instance->is_spot == is_spot)
			snprintf(id, ID_TEXT_MAX, "%s", instance->id);
	}
	return id;
}

static bool is_there(const struct world *world, const char *id)
{
	const struct instance *instance;

	TAILQ_FOREACH (instance, &world->group->instances, link) {
		if (strcmp(instance->id, id) == 0)
			return true;
	}
	return false;
}

static void a_recommendation_is_answered_by_a_successor_first(void **state)
{
	struct world *world = spot_world(true);
	char id[ID_TEXT_MAX];
	int most = 0;

	(void)state;
	assert_true(
	    engine_spot_notice(world->engine, any_of(world, true, id), false, world->now_ms));
	for (int i = 0; i < 90; i++) {
		world_pass(world, 1);
		assert_true(group_count(world->group).in_service >= 4);
		most = group_actual(world->group) > most ? group_actual(world->group) : most;
	}
	assert_int_equal(most, 5);
	assert_int_equal(group_actual(world->group), 4);
	assert_int_equal(count_spot(world), 2);
	assert_false(is_there(world, id));
	world_free(world);
}

static void without_capacity_rebalance_a_recommendation_changes_nothing(void **state)
{
	struct world *world = spot_world(false);
	char id[ID_TEXT_MAX];
	int runs = world->n_runs;

	(void)state;
	assert_true(
	    engine_spot_notice(world->engine, any_of(world, true, id), false, world->now_ms));
	world_pass(world, 300);
	assert_int_equal(world->n_runs, runs);
	assert_true(is_there(world, id));
	world_free(world);
}

static void a_notice_is_survived_at_every_second(void **state)
{
	(void)state;
	for (int second = 0; second < 100; second += 3) {
		struct world *world = spot_world(false);
		char id[ID_TEXT_MAX];

		assert_true(engine_spot_notice(world->engine, any_of(world, true, id), true,
					       world->now_ms));
		world_pass(world, second);
		assert_int_equal(engine_changes(world->engine, world_save, world), 0);
		world_restart(world);
		world_pass(world, 200);
		assert_int_equal(group_count(world->group).in_service, 4);
		assert_int_equal(world_in_state(world, "running"), 4);
		assert_int_equal(count_spot(world), 2);
		assert_false(is_there(world, id));
		world_free(world);
	}
}

static void a_notice_is_heeded_in_time_though_no_successor_comes(void **state)
{
	struct world *world = spot_world(false);
	char id[ID_TEXT_MAX];

	(void)state;
	engine_attach(world->group, WORLD_TARGET_GROUP);
	world_pass(world, 60);
	world->full_market = "spot";
	assert_true(
	    engine_spot_notice(world->engine, any_of(world, true, id), true, world->now_ms));
	world_pass(world, 70);
	assert_int_equal(world->n_deregisters, 0);
	world_pass(world, 10);
	assert_int_equal(world->n_deregisters, 1);
	world->full_market = NULL;
	world_pass(world, 300);
	assert_int_equal(group_count(world->group).in_service, 4);
	assert_int_equal(count_spot(world), 2);
	world_free(world);
}

static void what_ec2_takes_back_is_no_failed_launch_and_its_pool_is_avoided(void **state)
{
	struct world *world = spot_world(false);
	char id[ID_TEXT_MAX];
	const struct instance *instance;

	(void)state;
	world_set_state(world_instance(world, any_of(world, true, id)), "terminated",
			"Server.SpotInstanceTermination");
	world_pass(world, 3);
	assert_int_equal(world->group->breaker.row, 0);
	assert_int_equal(group_actual(world->group), 4);
	assert_int_equal(count_spot(world), 2);
	TAILQ_FOREACH (instance, &world->group->instances, link) {
		if (instance->is_spot && instance->launch_ms > world->now_ms - 10000)
			assert_string_equal(instance->type, "c5.large");
	}
	world_free(world);
}

static void notices_for_others_are_not_ours(void **state)
{
	struct world *world = spot_world(true);
	char id[ID_TEXT_MAX];

	(void)state;
	assert_false(engine_spot_notice(world->engine, "i-00000000000000000", true, world->now_ms));
	assert_false(
	    engine_spot_notice(world->engine, any_of(world, false, id), true, world->now_ms));
	world_free(world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_recommendation_is_answered_by_a_successor_first),
	    cmocka_unit_test(without_capacity_rebalance_a_recommendation_changes_nothing),
	    cmocka_unit_test(a_notice_is_survived_at_every_second),
	    cmocka_unit_test(a_notice_is_heeded_in_time_though_no_successor_comes),
	    cmocka_unit_test(what_ec2_takes_back_is_no_failed_launch_and_its_pool_is_avoided),
	    cmocka_unit_test(notices_for_others_are_not_ours),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
