/*
 * Who goes in a scale-in: the termination policies one by one and in order, what goes before them
 * and what tells equals apart.
 */
#include "scaler/engine/replace.h"
#include "tests/unit/scaler/engine_world.h"

/* As made from a version of the group's template (students), so many minutes ago. */
static struct instance *add(struct world *world, const char *id, char zone, const char *version,
			    int age_min)
{
	struct instance *instance = instance_new(world->group);

	assert_non_null(instance);
	snprintf(instance->id, sizeof instance->id, "%s", id);
	snprintf(instance->launch_id, sizeof instance->launch_id, "%s", id);
	snprintf(instance->zone, sizeof instance->zone, "us-east-1%c", zone);
	snprintf(instance->template_name, sizeof instance->template_name, "students");
	snprintf(instance->template_version, sizeof instance->template_version, "%s", version);
	instance->state = INSTANCE_IN_SERVICE;
	instance->is_proven = true;
	instance->launch_ms = world->now_ms - age_min * 60000LL;
	instance->in_service_ms = instance->launch_ms;
	return instance;
}

static void configured(struct instance *instance, const char *name, int64_t made_ms)
{
	instance->template_name[0] = instance->template_version[0] = '\0';
	snprintf(instance->config_name, sizeof instance->config_name, "%s", name);
	instance->config_ms = made_ms;
}

static void policies(struct world *world, const char *first, const char *second)
{
	json_object_set_new(world->group->document, "TerminationPolicies",
			    second ? json_pack("[s, s]", first, second) : json_pack("[s]", first));
}

/* Ends one; its id. */
static const char *chosen(struct world *world)
{
	struct metric_source metrics = {world_metric, world};
	const struct instance *instance, *gone = NULL;
	struct actions actions = {0};
	struct err err = {0};
	int before = group_actual(world->group);

	world->group->desired = before;
	assert_int_equal(engine_set_desired(world->group, before - 1, world->now_ms, &err), 0);
	engine_tick(world->engine, &metrics, world->now_ms, &actions);
	actions_fini(&actions);
	TAILQ_FOREACH (instance, &world->group->instances, link) {
		if (instance->state == INSTANCE_TERMINATING && instance->end_ms == world->now_ms)
			gone = instance;
	}
	world->now_ms += 1000;
	return gone ? gone->id : "";
}

static void an_unhealthy_one_goes_whatever_the_policies_say(void **state)
{
	struct world *world = world_new(0, 8, 0);

	(void)state;
	policies(world, "OldestInstance", NULL);
	json_object_set_new(world->group->document, "SuspendedProcesses",
			    json_pack("[{s:s}]", "ProcessName", "ReplaceUnhealthy"));
	add(world, "i1", 'a', "1", 50);
	add(world, "i2", 'a', "1", 40);
	add(world, "i3", 'b', "1", 1)->is_user_marked = true;
	assert_string_equal(chosen(world), "i3");
	world_free(world);
}

static void oldest_launch_template_takes_other_templates_before_old_versions(void **state)
{
	struct world *world = world_new(0, 8, 0);
	struct instance *other;

	(void)state;
	policies(world, "OldestLaunchTemplate", NULL);
	add(world, "i1", 'a', "1", 50);
	add(world, "i2", 'a', "2", 60);
	other = add(world, "i3", 'a', "9", 5);
	snprintf(other->template_name, sizeof other->template_name, "teachers");
	assert_string_equal(chosen(world), "i3");
	assert_string_equal(chosen(world), "i1");
	assert_string_equal(chosen(world), "i2");
	world_free(world);
}

static void oldest_launch_configuration_goes_by_when_it_was_made(void **state)
{
	struct world *world = world_new(0, 8, 0);

	(void)state;
	policies(world, "OldestLaunchConfiguration", NULL);
	add(world, "i1", 'a', "1", 50);
	configured(add(world, "i2", 'a', "", 5), "newer", 2000);
	configured(add(world, "i3", 'a', "", 4), "older", 1000);
	assert_string_equal(chosen(world), "i3");
	assert_string_equal(chosen(world), "i2");
	assert_string_equal(chosen(world), "i1"); /* of a template: last */
	world_free(world);
}

static void closest_to_next_instance_hour_goes_by_the_minutes_of_its_hour(void **state)
{
	struct world *world = world_new(0, 8, 0);

	(void)state;
	policies(world, "ClosestToNextInstanceHour", NULL);
	add(world, "i1", 'a', "1", 50);
	add(world, "i2", 'a', "1", 61);
	add(world, "i3", 'a', "1", 118);
	assert_string_equal(chosen(world), "i3");
	assert_string_equal(chosen(world), "i1");
	world_free(world);
}

static void oldest_and_newest_go_by_the_launch(void **state)
{
	struct world *world = world_new(0, 8, 0);

	(void)state;
	add(world, "i1", 'a', "1", 50);
	add(world, "i2", 'a', "1", 10);
	add(world, "i3", 'a', "1", 99);
	policies(world, "OldestInstance", NULL);
	assert_string_equal(chosen(world), "i3");
	policies(world, "NewestInstance", NULL);
	assert_string_equal(chosen(world), "i2");
	world_free(world);
}

static void each_policy_is_asked_where_those_before_it_leave_several(void **state)
{
	struct world *world = world_new(0, 8, 0);

	(void)state;
	policies(world, "OldestLaunchTemplate", "NewestInstance");
	add(world, "i1", 'a', "2", 1);
	add(world, "i2", 'a', "1", 50);
	add(world, "i3", 'a', "1", 40);
	assert_string_equal(chosen(world), "i3");
	world_free(world);
}

static void the_default_takes_configurations_then_old_versions_then_the_hour(void **state)
{
	struct world *world = world_new(0, 8, 0);

	(void)state;
	add(world, "i1", 'a', "2", 30);
	add(world, "i2", 'a', "2", 59);
	add(world, "i3", 'a', "1", 10);
	configured(add(world, "i4", 'a', "", 5), "newer", 2000);
	assert_string_equal(chosen(world), "i4");
	assert_string_equal(chosen(world), "i3");
	assert_string_equal(chosen(world), "i2");
	world_free(world);
}

static void the_oldest_version_of_the_fullest_zone_goes_not_the_fullest_hour(void **state)
{
	struct world *world = world_new(0, 8, 0);

	(void)state;
	add(world, "i1", 'a', "1", 50);
	add(world, "i2", 'a', "2", 10);
	add(world, "i3", 'b', "2", 59);
	assert_string_equal(chosen(world), "i1");
	world_free(world);
}

static void of_three_two_and_two_the_first_is_of_the_three_the_second_of_any(void **state)
{
	struct world *world = world_new(0, 8, 0);

	(void)state;
	policies(world, "OldestInstance", NULL);
	add(world, "i1", 'b', "1", 99);
	add(world, "i2", 'b', "1", 5);
	add(world, "i3", 'a', "1", 40);
	add(world, "i4", 'a', "1", 41);
	add(world, "i5", 'a', "1", 42);
	add(world, "i6", 'c', "1", 3);
	add(world, "i7", 'c', "1", 2);
	assert_string_equal(chosen(world), "i5");
	assert_string_equal(chosen(world), "i1");
	world_free(world);
}

static void the_youngest_that_is_not_in_service_yet_goes_first_but_not_from_a_hook(void **state)
{
	struct world *world = world_new(0, 8, 0);
	struct instance *one;

	(void)state;
	policies(world, "OldestInstance", NULL);
	json_object_set_new(world->group->document, "SuspendedProcesses",
			    json_pack("[{s:s}]", "ProcessName", "AZRebalance"));
	add(world, "i1", 'a', "1", 50);
	for (int i = 2; i <= 4; i++) {
		char id[ID_TEXT_MAX];

		snprintf(id, sizeof id, "i%d", i);
		one = add(world, id, 'a', "1", 12 - i);
		one->state = INSTANCE_PENDING;
		one->ec2 = EC2_PENDING;
	}
	one->hook_phase = HOOKS_WAIT; /* the youngest's hook is at work */
	assert_string_equal(chosen(world), "i3");
	assert_string_equal(chosen(world), "i2");
	assert_string_equal(chosen(world), "i1");
	world_free(world);
}

static void what_is_to_be_replaced_anyway_goes_before_the_policies(void **state)
{
	struct world *world = world_new(0, 8, 0);

	(void)state;
	policies(world, "OldestInstance", NULL);
	json_object_set_new(
	    world->group->document, "InstanceMaintenancePolicy",
	    json_pack("{s:i, s:i}", "MinHealthyPercentage", 100, "MaxHealthyPercentage", 150));
	add(world, "i1", 'a', "1", 50);
	add(world, "i2", 'b', "1", 40);
	replace_mark(add(world, "i3", 'c', "1", 30), REPLACE_AT_RISK, "");
	assert_string_equal(chosen(world), "i3");
	world_free(world);
}

static double busy_but_i2(int64_t at_ms, const char *id)
{
	(void)at_ms;
	return strcmp(id, "i2") == 0 ? 5 : 80;
}

static void among_equals_the_least_loaded_goes(void **state)
{
	struct world *world = world_new(0, 8, 0);

	(void)state;
	world->curve = busy_but_i2;
	add(world, "i1", 'a', "1", 50);
	add(world, "i2", 'a', "1", 50);
	add(world, "i3", 'a', "1", 50);
	assert_string_equal(chosen(world), "i2");
	assert_string_equal(chosen(world), "i1"); /* as loaded as the other: the lower id */
	world_free(world);
}

static void when_all_are_protected_nothing_ends_and_an_activity_says_so(void **state)
{
	struct world *world = world_new(0, 8, 0);
	const struct activity *activity;

	(void)state;
	add(world, "i1", 'a', "1", 50)->is_protected = true;
	add(world, "i2", 'b', "1", 50)->is_protected = true;
	assert_string_equal(chosen(world), "");
	assert_int_equal(world->group->desired, 1);
	activity = TAILQ_FIRST(&world->group->activities);
	assert_string_equal(activity->message, "Could not scale to desired capacity because all "
					       "remaining instances are protected from scale-in.");
	assert_string_equal(activity_status_name(activity->status), "Cancelled");
	world_free(world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(an_unhealthy_one_goes_whatever_the_policies_say),
	    cmocka_unit_test(oldest_launch_template_takes_other_templates_before_old_versions),
	    cmocka_unit_test(oldest_launch_configuration_goes_by_when_it_was_made),
	    cmocka_unit_test(closest_to_next_instance_hour_goes_by_the_minutes_of_its_hour),
	    cmocka_unit_test(oldest_and_newest_go_by_the_launch),
	    cmocka_unit_test(each_policy_is_asked_where_those_before_it_leave_several),
	    cmocka_unit_test(the_default_takes_configurations_then_old_versions_then_the_hour),
	    cmocka_unit_test(the_oldest_version_of_the_fullest_zone_goes_not_the_fullest_hour),
	    cmocka_unit_test(of_three_two_and_two_the_first_is_of_the_three_the_second_of_any),
	    cmocka_unit_test(
		the_youngest_that_is_not_in_service_yet_goes_first_but_not_from_a_hook),
	    cmocka_unit_test(what_is_to_be_replaced_anyway_goes_before_the_policies),
	    cmocka_unit_test(among_equals_the_least_loaded_goes),
	    cmocka_unit_test(when_all_are_protected_nothing_ends_and_an_activity_says_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
