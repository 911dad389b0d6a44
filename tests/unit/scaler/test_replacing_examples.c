/*
 * Worked examples of AWS's documents on replacing instances: refreshes of instances that take time
 * to boot, stops at checkpoints, moves between zones beyond the maximum, grace, forecasts.
 */
#include "scaler/engine/forecast.h"
#include "tests/unit/scaler/refresh_world.h"

enum { MINUTE = 60 };

/* A second in which no instance runs before it has been pending for so long. */
static void pass_booting(struct world *world, int boot_s)
{
	json_t *instance;
	size_t i;

	world->now_ms += 1000;
	world_view(world);
	json_array_foreach (world->ec2, i, instance) {
		int64_t age_s = doc_int(instance, "AgeForTest", 0) + 1;
		bool runs =
		    strcmp(doc_str(doc_object(instance, "State"), "Name", ""), "running") == 0;

		json_object_set_new(instance, "AgeForTest", json_integer(age_s));
		if (runs && age_s < boot_s)
			world_set_state(instance, "pending", NULL);
	}
	world_tick(world);
}

static void have_all_booted(struct world *world)
{
	json_t *instance;
	size_t i;

	json_array_foreach (world->ec2, i, instance)
		json_object_set_new(instance, "AgeForTest", json_integer(10000));
}

static void refreshes_take_boot_and_warm_up_for_each_batch(void **state)
{
	static const struct {
		const char *input;
		int max, boot_s, batches, seconds;
	} table[] = {
	    {"{'Preferences': {'MinHealthyPercentage': 90, 'MaxHealthyPercentage': 100, "
	     "'InstanceWarmup': 60}}",
	     20, 30, 10, 900},
	    {"{'Preferences': {'MinHealthyPercentage': 100, 'MaxHealthyPercentage': 200, "
	     "'InstanceWarmup': 60}}",
	     20, 30, 1, 90},
	    {"{'Preferences': {'MinHealthyPercentage': 80, 'MaxHealthyPercentage': 100, "
	     "'InstanceWarmup': 240}}",
	     20, 60, 5, 1500},
	};

	(void)state;
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		struct world *world = settled(10, table[i].max);
		int seconds = 0, last = 0;

		have_all_booted(world);
		start(world, table[i].input);
		for (; !is_over(world) && seconds < 2000; seconds++) {
			pass_booting(world, table[i].boot_s);
			/* By whole batches, as far as they go one after another. */
			if (table[i].batches > 1 && percent(world) >= 0 && percent(world) != last) {
				assert_int_equal(percent(world) - last, 100 / table[i].batches);
				last = percent(world);
			}
		}
		assert_string_equal(status(world), "Successful");
		assert_int_equal(percent(world), 100);
		/* A few seconds of each batch are the engine's. */
		assert_in_range(seconds, table[i].seconds,
				table[i].seconds + 5 * (table[i].batches + 1));
		world_free(world);
	}
}

static void checkpoints_of_20_and_50_percent_by_the_minute(void **state)
{
	static const struct {
		int minute, ended, percent;
		const char *status;
	} table[] = {
	    {1, 2, 0, "InProgress"},   {9, 2, 0, "InProgress"},   /* they warm up */
	    {11, 2, 20, "InProgress"}, {24, 2, 20, "InProgress"}, /* the first stop */
	    {26, 4, 20, "InProgress"}, {34, 4, 20, "InProgress"},
	    {36, 5, 40, "InProgress"}, {44, 5, 40, "InProgress"}, /* only one: 50 are enough */
	    {46, 5, 50, "InProgress"}, {59, 5, 50, "InProgress"}, /* the second stop */
	    {61, 5, 50, "Successful"},
	};
	struct world *world = settled(10, 20);
	int seconds = 0;

	(void)state;
	start(world, "{'Preferences': {'MinHealthyPercentage': 80, 'InstanceWarmup': 600, "
		     "'CheckpointPercentages': [20, 50], 'CheckpointDelay': 900}}");
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		world_pass(world, table[i].minute * MINUTE - seconds);
		seconds = table[i].minute * MINUTE;
		assert_int_equal(world->n_terminates, table[i].ended);
		assert_int_equal(percent(world), table[i].percent);
		assert_string_equal(status(world), table[i].status);
	}
	world_free(world);
}

/* How often the percentage was told as that of a checkpoint that was reached. */
static int count_told(const struct world *world, const char *percentage)
{
	struct event_query query = {.limit = 100};
	json_t *shown = engine_events_describe(world->engine, &query);
	const json_t *event;
	int n = 0;
	size_t i;

	json_array_foreach (doc_array(shown, "Events"), i, event) {
		const json_t *detail = doc_object(event, "detail");

		n += strcmp(doc_str(detail, "CheckpointPercentage", ""), percentage) == 0;
	}
	json_decref(shown);
	return n;
}

static void of_checkpoints_passed_at_once_the_highest_is_told(void **state)
{
	struct world *world = settled(2, 4);

	(void)state;
	start(world, "{'Preferences': {'MinHealthyPercentage': 50, 'InstanceWarmup': 60, "
		     "'CheckpointPercentages': [10, 40, 100], 'CheckpointDelay': 900}}");
	world_pass(world, 5 * MINUTE);
	assert_int_equal(percent(world), 50);
	assert_int_equal(count_told(world, "40"), 1);
	assert_int_equal(count_told(world, "10") + count_told(world, "50"), 0);
	world_free(world);
}

static void see_zones(struct world *world, bool has_second)
{
	json_t *zones =
	    json_pack("[{s:s, s:s}]", "AvailabilityZone", "us-east-1a", "SubnetId", "subnet-a");

	if (has_second)
		json_array_append_new(zones, json_pack("{s:s, s:s}", "AvailabilityZone",
						       "us-east-1b", "SubnetId", "subnet-b"));
	engine_zones_seen(world->group, zones);
	json_decref(zones);
}

static void a_group_of_fifty_passes_its_maximum_by_five(void **state)
{
	struct world *world = world_new(0, 50, 0);
	struct err err = {0};
	int most = 0, least = 50;

	(void)state;
	json_object_set_new(
	    world->group->document, "Tags",
	    json_pack("[{s:s, s:s}]", "Key", "albatross:zone-moves-per-hour", "Value", "100"));
	see_zones(world, false);
	assert_int_equal(engine_set_desired(world->group, 50, world->now_ms, &err), 0);
	world_pass(world, 60);
	assert_int_equal(group_count(world->group).in_service, 50);
	see_zones(world, true);
	for (int i = 0; i < 600; i++) {
		struct group_counts counts;
		int n;

		world_pass(world, 1);
		counts = group_count(world->group);
		n = counts.in_service + counts.pending;
		most = n > most ? n : most;
		least = counts.in_service < least ? counts.in_service : least;
	}
	assert_int_equal(most, 55);
	assert_int_equal(least, 50);
	assert_int_equal(world->n_terminates, 25);
	world_free(world);
}

static void grace_of_300_seconds_is_the_load_balancers_not_ec2s(void **state)
{
	struct world *world = world_new(1, 8, 2);
	const struct instance *sick, *stopped;
	int64_t from_ms;

	(void)state;
	json_object_set_new(world->group->document, "HealthCheckType", json_string("ELB"));
	json_object_set_new(world->group->document, "HealthCheckGracePeriod", json_integer(300));
	engine_attach(world->group, WORLD_TARGET_GROUP);
	engine_delay_seen(world->engine, WORLD_TARGET_GROUP, 120000);
	world_pass(world, 6);
	sick = TAILQ_FIRST(&world->group->instances);
	stopped = TAILQ_NEXT(sick, link);
	from_ms = sick->in_service_ms;
	assert_true(from_ms > 0 && stopped->in_service_ms == from_ms);
	while (world->now_ms < from_ms + 100000)
		world_pass(world, 1);
	json_object_set_new(world->targets, sick->id, json_string("unhealthy"));
	world_set_state(world_instance(world, stopped->id), "stopped", NULL);
	world_pass(world, 3);
	assert_int_equal(world->n_terminates, 1); /* the one that has stopped */
	assert_false(sick->is_unhealthy);
	while (world->now_ms < from_ms + 299000)
		world_pass(world, 1);
	assert_false(sick->is_unhealthy);
	assert_int_equal(world->n_terminates, 1);
	world_pass(world, 5);
	assert_int_equal(world->n_terminates, 2);
	world_free(world);
}

static void without_a_warm_up_of_its_own_a_refresh_takes_the_groups_or_the_grace(void **state)
{
	static const struct {
		const char *group, *input;
		int warmup_s;
	} table[] = {
	    {"{'HealthCheckGracePeriod': 90}", "{}", 90},
	    {"{'HealthCheckGracePeriod': 90, 'DefaultInstanceWarmup': 40}", "{}", 40},
	    {"{'HealthCheckGracePeriod': 90, 'DefaultInstanceWarmup': 40}",
	     "{'Preferences': {'InstanceWarmup': 20}}", 20},
	};

	(void)state;
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		struct world *world = settled(1, 5);
		json_t *group = quoted(table[i].group);
		struct seen seen;

		json_object_update(world->group->document, group);
		json_decref(group);
		start(world, table[i].input);
		seen = watch(world, 200);
		assert_string_equal(status(world), "Successful");
		assert_in_range(seen.seconds, table[i].warmup_s, table[i].warmup_s + 10);
		world_free(world);
	}
}

/* 8.4 are nine. */
static void a_forecast_of_420_percent_at_50_wants_nine(void **state)
{
	(void)state;
	assert_int_equal(forecast_capacity(420, 1, 50), 9);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(refreshes_take_boot_and_warm_up_for_each_batch),
	    cmocka_unit_test(checkpoints_of_20_and_50_percent_by_the_minute),
	    cmocka_unit_test(of_checkpoints_passed_at_once_the_highest_is_told),
	    cmocka_unit_test(a_group_of_fifty_passes_its_maximum_by_five),
	    cmocka_unit_test(grace_of_300_seconds_is_the_load_balancers_not_ec2s),
	    cmocka_unit_test(without_a_warm_up_of_its_own_a_refresh_takes_the_groups_or_the_grace),
	    cmocka_unit_test(a_forecast_of_420_percent_at_50_wants_nine),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
