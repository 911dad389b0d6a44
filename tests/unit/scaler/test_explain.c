/* What a group says it would do next, and what holds it back. */
#include "tests/unit/scaler/engine_world.h"

static json_t *explain(struct world *world)
{
	json_t *answer = group_explain(world->engine, world->group, NULL, world->now_ms);

	assert_non_null(answer);
	return answer;
}

/* The text of the first hold of that name; NULL: it is none. */
static const char *hold(const json_t *answer, const char *name)
{
	const json_t *entry;
	size_t i;

	json_array_foreach (doc_array(answer, "Holds"), i, entry) {
		if (strcmp(doc_str(entry, "Hold", ""), name) == 0)
			return doc_str(entry, "Why", "");
	}
	return NULL;
}

static const char *next(const json_t *answer)
{
	return json_string_value(json_array_get(doc_array(answer, "Next"), 0));
}

static void a_calm_group_says_that_nothing_is_to_come(void **state)
{
	struct world *world = world_new(2, 4, 2);
	json_t *answer;

	(void)state;
	world_pass(world, 5);
	answer = explain(world);
	assert_string_equal(next(answer), "nothing: live and desired capacity agree");
	assert_int_equal(doc_int(answer, "LiveCapacity", 0), 2);
	assert_int_equal(doc_int(doc_object(answer, "Instances"), "InService", 0), 2);
	json_decref(answer);
	world_free(world);
}

static void what_is_missing_is_what_comes_next(void **state)
{
	struct world *world = world_new(2, 9, 2);
	struct err err = {0};
	json_t *answer;

	(void)state;
	world_pass(world, 5);
	assert_int_equal(engine_set_desired(world->group, 5, world->now_ms, &err), 0);
	answer = explain(world);
	assert_string_equal(next(answer), "launch 3: desired is 5, live are 2");
	json_decref(answer);
	world_free(world);
}

static void protection_is_told_where_it_keeps_a_scale_in_waiting(void **state)
{
	struct world *world = world_new(1, 4, 2);
	struct instance *instance;
	struct err err = {0};
	json_t *answer;

	(void)state;
	world_pass(world, 5);
	TAILQ_FOREACH (instance, &world->group->instances, link)
		instance->is_protected = true;
	assert_int_equal(engine_set_desired(world->group, 1, world->now_ms, &err), 0);
	answer = explain(world);
	assert_string_equal(
	    hold(answer, "ScaleInProtection"),
	    "1 too many, but all 2 remaining instances are protected from scale-in.");
	json_decref(answer);
	TAILQ_FIRST(&world->group->instances)->is_protected = false;
	answer = explain(world);
	assert_non_null(strstr(next(answer), TAILQ_FIRST(&world->group->instances)->id));
	json_decref(answer);
	world_free(world);
}

static void launches_that_fail_are_a_hold_with_its_end(void **state)
{
	struct world *world = world_new(1, 4, 1);
	json_t *answer;

	(void)state;
	world->run_error = "InvalidAMIID.NotFound";
	world_pass(world, 2);
	answer = explain(world);
	assert_non_null(strstr(hold(answer, "LaunchFailures"), "failed in a row"));
	assert_true(doc_str(json_array_get(doc_array(answer, "Holds"), 0), "Until", "")[0]);
	json_decref(answer);
	world_free(world);
}

static void a_suspended_process_is_a_hold(void **state)
{
	struct world *world = world_new(1, 4, 1);
	struct err err = {0};
	json_t *answer;

	(void)state;
	world_pass(world, 5);
	json_array_append_new(doc_array(world->group->document, "SuspendedProcesses"),
			      json_pack("{s:s, s:s}", "ProcessName", "Launch", "SuspensionReason",
					"User suspended at 2026-08-07T10:00:00Z"));
	assert_int_equal(engine_set_desired(world->group, 2, world->now_ms, &err), 0);
	answer = explain(world);
	assert_string_equal(hold(answer, "SuspendedProcess"),
			    "1 more would be launched, but Launch is suspended.");
	json_decref(answer);
	world_free(world);
}

static void warming_instances_hold_scale_in_until_they_are_warm(void **state)
{
	struct world *world = world_new(2, 4, 2);
	json_t *answer;

	(void)state;
	json_object_set_new(world->group->document, "DefaultInstanceWarmup", json_integer(60));
	world_pass(world, 5);
	answer = explain(world);
	assert_non_null(hold(answer, "InstanceWarmup"));
	json_decref(answer);
	world_pass(world, 61);
	answer = explain(world);
	assert_null(hold(answer, "InstanceWarmup"));
	json_decref(answer);
	world_free(world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_calm_group_says_that_nothing_is_to_come),
	    cmocka_unit_test(what_is_missing_is_what_comes_next),
	    cmocka_unit_test(protection_is_told_where_it_keeps_a_scale_in_waiting),
	    cmocka_unit_test(launches_that_fail_are_a_hold_with_its_end),
	    cmocka_unit_test(a_suspended_process_is_a_hold),
	    cmocka_unit_test(warming_instances_hold_scale_in_until_they_are_warm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
