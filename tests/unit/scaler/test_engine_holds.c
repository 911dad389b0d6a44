/*
 * What holds a group back, in words.
 */
#include "scaler/engine/replace.h"
#include "tests/unit/scaler/engine_world.h"

/* The text of a kind; NULL: there is no such hold. */
static const char *held(const struct world *world, const char *kind)
{
	static struct hold holds[MAX_HOLDS];
	int n = group_holds(world->group, world->now_ms, holds);

	for (int i = 0; i < n; i++) {
		if (strcmp(holds[i].kind, kind) == 0)
			return holds[i].text;
	}
	return NULL;
}

static void suspend(struct world *world, const char *process)
{
	json_object_set_new(world->group->document, "SuspendedProcesses",
			    json_pack("[{s:s}]", "ProcessName", process));
}

static struct world *settled(int desired)
{
	struct world *world = world_new(0, 20, desired);

	json_object_set_new(world->group->document, "DefaultInstanceWarmup", json_integer(0));
	world_pass(world, 60);
	return world;
}

static void a_group_at_rest_is_held_by_nothing(void **state)
{
	struct world *world = settled(3);
	struct hold holds[MAX_HOLDS];

	(void)state;
	assert_int_equal(group_holds(world->group, world->now_ms, holds), 0);
	world_free(world);
}

static void suspended_processes_are_named_when_they_matter(void **state)
{
	struct world *world = settled(3);
	struct err err = {0};

	(void)state;
	suspend(world, "Launch");
	assert_null(held(world, "SuspendedProcess"));
	assert_int_equal(engine_set_desired(world->group, 5, world->now_ms, &err), 0);
	world_pass(world, 3);
	assert_string_equal(held(world, "SuspendedProcess"),
			    "2 more would be launched, but Launch is suspended.");
	suspend(world, "Terminate");
	assert_int_equal(engine_set_desired(world->group, 2, world->now_ms, &err), 0);
	assert_string_equal(held(world, "SuspendedProcess"),
			    "1 would be ended, but Terminate is suspended.");
	world_free(world);
}

static void failed_launches_are_told_with_the_time_of_the_next(void **state)
{
	struct world *world = settled(1);
	struct err err = {0};

	(void)state;
	world->run_error = "InvalidAMIID.NotFound";
	assert_int_equal(engine_set_desired(world->group, 2, world->now_ms, &err), 0);
	world_pass(world, 2);
	assert_non_null(
	    strstr(held(world, "LaunchFailures"),
		   "1 launch has failed in a row, the next one is tried at 2026-08-07"));
	assert_non_null(strstr(held(world, "LaunchFailures"),
			       "Last reason: The image id '[ami-1]' does not exist"));
	world_free(world);
}

static void protection_is_told_with_the_numbers(void **state)
{
	struct world *world = settled(2);
	struct instance *instance;
	struct err err = {0};

	(void)state;
	TAILQ_FOREACH (instance, &world->group->instances, link)
		instance->is_protected = true;
	assert_int_equal(engine_set_desired(world->group, 1, world->now_ms, &err), 0);
	world_pass(world, 2);
	assert_string_equal(
	    held(world, "ScaleInProtection"),
	    "1 too many, but all 2 remaining instances are protected from scale-in.");
	world_free(world);
}

static void what_is_to_be_replaced_is_named_with_its_reason(void **state)
{
	struct world *world = settled(2);
	const struct instance *first = TAILQ_FIRST(&world->group->instances);

	(void)state;
	json_object_set_new(
	    world->group->document, "InstanceMaintenancePolicy",
	    json_pack("{s:i, s:i}", "MinHealthyPercentage", 100, "MaxHealthyPercentage", 150));
	TAILQ_FIRST(&world->group->instances)->is_user_marked = true;
	world_pass(world, 5);
	assert_string_equal(instance_replace_reason(first), "it is unhealthy");
	assert_null(instance_replace_reason(TAILQ_NEXT(first, link)));
	assert_non_null(strstr(held(world, "Replacement"), "1 is to be replaced, i-"));
	assert_non_null(strstr(held(world, "Replacement"), " first because it is unhealthy"));
	world_free(world);
}

static void many_that_fail_are_told_and_how_many_may_go(void **state)
{
	struct world *world = world_new(0, 20, 5);
	const struct instance *instance;
	int n = 0;

	(void)state;
	json_object_set_new(world->group->document, "HealthCheckType", json_string("ELB"));
	engine_attach(world->group, WORLD_TARGET_GROUP);
	world_pass(world, 60);
	world->sickly = "initial";
	TAILQ_FOREACH (instance, &world->group->instances, link) {
		if (n++ < 3)
			json_object_set_new(world->targets, instance->id, json_string("unhealthy"));
	}
	world_pass(world, 10);
	assert_non_null(strstr(held(world, "ReplacementBudget"),
			       "2 of 4 instances fail the load balancer's check: at most 1 is "
			       "replaced at a time"));
	TAILQ_FOREACH (instance, &world->group->instances, link)
		json_object_set_new(world->targets, instance->id, json_string("unhealthy"));
	world_pass(world, 10);
	assert_non_null(strstr(held(world, "MassFailure"), "none is replaced before"));
	world_free(world);
}

static void warm_up_is_told_with_its_end(void **state)
{
	struct world *world = world_new(0, 20, 2);

	(void)state;
	world_pass(world, 10);
	assert_non_null(strstr(held(world, "InstanceWarmup"), "2 instances warm up"));
	world_pass(world, 300);
	assert_null(held(world, "InstanceWarmup"));
	world_free(world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_group_at_rest_is_held_by_nothing),
	    cmocka_unit_test(suspended_processes_are_named_when_they_matter),
	    cmocka_unit_test(failed_launches_are_told_with_the_time_of_the_next),
	    cmocka_unit_test(protection_is_told_with_the_numbers),
	    cmocka_unit_test(what_is_to_be_replaced_is_named_with_its_reason),
	    cmocka_unit_test(many_that_fail_are_told_and_how_many_may_go),
	    cmocka_unit_test(warm_up_is_told_with_its_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
