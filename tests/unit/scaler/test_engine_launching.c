/*
 * How many are launched or ended, and where: examples of what a group makes of
 * its instances' states and of its zones.  AWS: "How Auto Scaling balances
 * capacity", "Auto Scaling instance lifecycle".
 */
#include "scaler/engine/parts.h"
#include "tests/unit/scaler/engine_world.h"

/* An instance that is in a state already. */
static struct instance *put(struct world *world, enum instance_state state, const char *letter)
{
	struct instance *instance = instance_new(world->group);
	char id[ID_TEXT_MAX];
	json_t *ec2;

	assert_non_null(instance);
	snprintf(instance->id, sizeof instance->id, "%s", id_ec2(&world->ids, "i", id));
	id_uuid(&world->ids, instance->launch_id);
	snprintf(instance->zone, sizeof instance->zone, "us-east-1%s", letter);
	snprintf(instance->subnet_id, sizeof instance->subnet_id, "subnet-%s", letter);
	instance->state = state;
	instance->has_run = true;
	instance->is_proven = state == INSTANCE_IN_SERVICE;
	instance->ec2 = EC2_RUNNING;
	instance->launch_ms = world->now_ms - 3600 * 1000;
	instance->in_service_ms = instance->launch_ms;
	instance->end_ms = world->now_ms;
	ec2 = json_pack("{s:s, s:s, s:s, s:{s:s}, s:{s:s}}", "InstanceId", instance->id, "SubnetId",
			instance->subnet_id, "LaunchTime", "2026-08-07T09:00:00Z", "Placement",
			"AvailabilityZone", instance->zone, "State", "Name", "running");
	json_array_append_new(world->ec2, ec2);
	return instance;
}

static void fill(struct world *world, int a, int b, int c)
{
	const int counts[] = {a, b, c};

	for (int zone = 0; zone < 3; zone++) {
		const char letter[] = {(char)('a' + zone), '\0'};

		for (int i = 0; i < counts[zone]; i++)
			(void)put(world, INSTANCE_IN_SERVICE, letter);
	}
}

static void set_desired(struct world *world, int desired)
{
	struct err err = {0};

	assert_int_equal(engine_set_desired(world->group, desired, world->now_ms, &err), 0);
}

static void assert_zones(const struct world *world, int a, int b, int c)
{
	int counts[MAX_ZONES];

	zones_count(world->group, counts);
	assert_int_equal(counts[0], a);
	assert_int_equal(counts[1], b);
	assert_int_equal(counts[2], c);
}

/* Zones are filled here, not made even. */
static void no_rebalancing(struct world *world)
{
	json_object_set_new(world->group->document, "SuspendedProcesses",
			    json_pack("[{s:s}]", "ProcessName", "AZRebalance"));
}

/* ---- how many ---- */

static void pending_counts_and_standby_and_terminating_do_not(void **state)
{
	struct world *world = world_new(0, 10, 0);

	(void)state;
	fill(world, 1, 1, 1);
	put(world, INSTANCE_PENDING, "a")->launch_ms = world->now_ms;
	put(world, INSTANCE_STANDBY, "b");
	put(world, INSTANCE_TERMINATING, "c");
	set_desired(world, 5);
	world_pass(world, 1);
	assert_int_equal(world->n_runs, 1);
	assert_int_equal(group_actual(world->group), 5);
	world_free(world);
}

static void a_surplus_takes_the_pending_first(void **state)
{
	struct world *world = world_new(0, 10, 0);

	(void)state;
	fill(world, 1, 1, 1);
	for (int i = 0; i < 2; i++) {
		struct instance *instance = put(world, INSTANCE_PENDING, "a");

		instance->ec2 = EC2_PENDING;
		instance->has_run = false;
		instance->launch_ms = world->now_ms;
	}
	set_desired(world, 3);
	world_tick(world);
	assert_int_equal(group_count(world->group).in_service, 3);
	assert_int_equal(group_count(world->group).pending, 0);
	assert_int_equal(group_count(world->group).terminating, 2);
	world_free(world);
}

/* ---- where ---- */

static void launches_fill_the_lowest_zones(void **state)
{
	static const struct {
		int before[3], more, after[3];
	} examples[] = {
	    {{3, 1, 2}, 4, {4, 3, 3}}, {{0, 0, 0}, 7, {3, 2, 2}}, {{2, 2, 0}, 3, {3, 2, 2}},
	    {{2, 2, 0}, 2, {2, 2, 2}}, {{2, 2, 2}, 1, {3, 2, 2}},
	};

	(void)state;
	for (size_t i = 0; i < sizeof examples / sizeof examples[0]; i++) {
		const int *before = examples[i].before, *after = examples[i].after;
		struct world *world = world_new(0, 20, 0);

		no_rebalancing(world);
		fill(world, before[0], before[1], before[2]);
		set_desired(world, before[0] + before[1] + before[2] + examples[i].more);
		world_pass(world, 3);
		assert_zones(world, after[0], after[1], after[2]);
		world_free(world);
	}
}

static void scale_in_begins_in_the_fullest_zone_and_goes_on_in_all(void **state)
{
	struct world *world = world_new(0, 20, 0);
	int counts[MAX_ZONES];

	(void)state;
	fill(world, 3, 2, 2);
	set_desired(world, 6);
	world_pass(world, 3);
	assert_zones(world, 2, 2, 2);
	set_desired(world, 5);
	world_pass(world, 3);
	zones_count(world->group, counts);
	assert_int_equal(counts[0] + counts[1] + counts[2], 5);
	for (int i = 0; i < 3; i++)
		assert_in_range(counts[i], 1, 2);
	world_free(world);
}

/* ---- limits and the desired capacity ---- */

static void update(struct world *world, json_t *input)
{
	struct err err = {0};

	assert_int_equal(engine_update_group(world->group, input, world->now_ms, &err), 0);
	json_decref(input);
}

static void the_desired_capacity_follows_new_limits(void **state)
{
	json_t *input = json_pack("{s:s, s:i, s:i, s:{s:s}, s:[s]}", "AutoScalingGroupName", "new",
				  "MinSize", 1, "MaxSize", 3, "LaunchTemplate",
				  "LaunchTemplateName", "t", "AvailabilityZones", "us-east-1a");
	struct world *world = world_new(0, 1, 0);
	struct err err = {0};

	(void)state;
	world->group = engine_create_group(world->engine, input, world->now_ms, &err);
	assert_int_equal(world->group->desired, 1);
	update(world, json_pack("{s:i}", "MinSize", 2));
	assert_int_equal(world->group->desired, 2);
	update(world, json_pack("{s:i, s:i}", "MaxSize", 1, "MinSize", 1));
	assert_int_equal(world->group->desired, 1);
	update(world, json_pack("{s:i}", "MaxSize", 3));
	assert_int_equal(engine_set_desired(world->group, 4, world->now_ms, &err), -1);
	assert_string_equal(err.text, "New SetDesiredCapacity value 4 is above max value 3 for the "
				      "AutoScalingGroup.");
	json_decref(input);
	world_free(world);
}

/* ---- launches that fail ---- */

static void an_instance_whose_disk_cannot_be_read_is_a_failed_launch(void **state)
{
	struct world *world = world_new(1, 1, 1);
	const struct activity *activity;

	(void)state;
	world->loses_run_answers = false;
	world->now_ms += 1000;
	world_tick(world);
	world_set_state(json_array_get(world->ec2, 0), "terminated", "Client.InternalError");
	world_pass(world, 2);
	activity = TAILQ_FIRST(&world->group->activities);
	assert_string_equal(activity_status_name(activity->status), "Failed");
	assert_non_null(strstr(activity->message, "Client.InternalError"));
	assert_int_equal(world->n_runs, 1);
	world_pass(world, 20);
	assert_int_equal(world->n_runs, 2);
	assert_int_equal(group_count(world->group).in_service, 1);
	world_free(world);
}

static void an_instance_that_stays_pending_is_given_up_after_a_quarter_of_an_hour(void **state)
{
	struct world *world = world_new(1, 1, 1);

	(void)state;
	world_pass(world, 1);
	for (int second = 0; second < 1000; second++) {
		world_set_state(json_array_get(world->ec2, 0), "pending", NULL);
		world_pass(world, 1);
		if (world->n_terminates > 0)
			break;
	}
	assert_int_equal(world->n_terminates, 1);
	assert_in_range(world->now_ms - 1786096805000, 900 * 1000, 905 * 1000);
	world_free(world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(pending_counts_and_standby_and_terminating_do_not),
	    cmocka_unit_test(a_surplus_takes_the_pending_first),
	    cmocka_unit_test(launches_fill_the_lowest_zones),
	    cmocka_unit_test(scale_in_begins_in_the_fullest_zone_and_goes_on_in_all),
	    cmocka_unit_test(the_desired_capacity_follows_new_limits),
	    cmocka_unit_test(an_instance_whose_disk_cannot_be_read_is_a_failed_launch),
	    cmocka_unit_test(an_instance_that_stays_pending_is_given_up_after_a_quarter_of_an_hour),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
