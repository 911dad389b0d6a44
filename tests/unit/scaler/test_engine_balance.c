/*
 * Balance between zones: who is moved, how many at a time, what it may cost and what holds it back.
 */
#include "scaler/engine/replace.h"
#include "tests/unit/scaler/engine_world.h"

static const char *const zone_names[] = {"us-east-1a", "us-east-1b", "us-east-1c"};
static const char *const subnets[] = {"subnet-a", "subnet-b", "subnet-c"};

/* The group's zones, as EC2 tells them: of a, b and c those in letters. */
static void zones(struct world *world, const char *letters)
{
	json_t *list = json_array();

	for (const char *c = letters; *c; c++)
		json_array_append_new(list, json_pack("{s:s, s:s}", "AvailabilityZone",
						      zone_names[*c - 'a'], "SubnetId",
						      subnets[*c - 'a']));
	engine_zones_seen(world->group, list);
	json_decref(list);
}

/* NULL: nothing is suspended. */
static void suspend(struct world *world, const char *process)
{
	json_object_set_new(world->group->document, "SuspendedProcesses",
			    process ? json_pack("[{s:s}]", "ProcessName", process) : json_array());
}

static int in_zone(const struct world *world, char letter)
{
	const struct instance *instance;
	int n = 0;

	TAILQ_FOREACH (instance, &world->group->instances, link)
		n += instance->state == INSTANCE_IN_SERVICE &&
		     strcmp(instance->zone, zone_names[letter - 'a']) == 0;
	return n;
}

/* So many in service in each of the zones a, b, c. */
static struct world *filled(int a, int b, int c, int max)
{
	const int counts[] = {a, b, c};
	struct world *world = world_new(0, max, 0);
	struct err err = {0};
	int total = 0;

	for (int i = 0; i < 3; i++) {
		char letter[] = {(char)('a' + i), '\0'};

		zones(world, letter);
		total += counts[i];
		suspend(world, "AZRebalance");
		assert_int_equal(engine_set_desired(world->group, total, world->now_ms, &err), 0);
		world_pass(world, 50);
		assert_int_equal(in_zone(world, letter[0]), counts[i]);
	}
	suspend(world, NULL);
	zones(world, "abc");
	world->n_runs = 0;
	return world;
}

struct seen {
	int least, most;
};

static struct seen watch(struct world *world, int seconds)
{
	struct seen seen = {.least = 100000};

	for (int i = 0; i < seconds; i++) {
		struct group_counts counts;

		world_pass(world, 1);
		counts = group_count(world->group);
		seen.least = counts.in_service < seen.least ? counts.in_service : seen.least;
		if (counts.in_service + counts.pending > seen.most)
			seen.most = counts.in_service + counts.pending;
	}
	return seen;
}

static void assert_zones(const struct world *world, int a, int b, int c)
{
	assert_int_equal(in_zone(world, 'a'), a);
	assert_int_equal(in_zone(world, 'b'), b);
	assert_int_equal(in_zone(world, 'c'), c);
}

static void four_in_one_of_two_zones_become_two_and_two(void **state)
{
	struct world *world = filled(4, 0, 0, 4);
	struct seen seen;

	(void)state;
	zones(world, "ab");
	seen = watch(world, 300);
	assert_zones(world, 2, 2, 0);
	assert_int_equal(seen.least, 4);
	assert_int_equal(seen.most, 5); /* the maximum, 4, and one */
	assert_int_equal(world->n_terminates, 2);
	assert_int_equal(world->n_runs, 2);
	world_free(world);
}

static void only_differences_of_two_are_moved(void **state)
{
	static const struct {
		int before[3];
		const char *zones;
		int after[3], moves;
	} table[] = {
	    {{3, 1, 0}, "ab", {2, 2, 0}, 1},  {{2, 1, 0}, "ab", {2, 1, 0}, 0},
	    {{2, 2, 0}, "abc", {0, 0, 1}, 1}, /* from a or from b */
	    {{3, 2, 2}, "abc", {3, 2, 2}, 0}, {{5, 0, 1}, "abc", {2, 2, 2}, 3},
	};

	(void)state;
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		const int *before = table[i].before, *after = table[i].after;
		struct world *world = filled(before[0], before[1], before[2], 20);

		zones(world, table[i].zones);
		world_pass(world, 400);
		assert_int_equal(world->n_terminates, table[i].moves);
		assert_int_equal(in_zone(world, 'c'), after[2]);
		if (after[0])
			assert_zones(world, after[0], after[1], after[2]);
		world_free(world);
	}
}

static void a_group_of_thirty_passes_its_maximum_by_three(void **state)
{
	struct world *world = filled(30, 0, 0, 30);
	struct seen seen;

	(void)state;
	json_object_set_new(
	    world->group->document, "Tags",
	    json_pack("[{s:s, s:s}]", "Key", "albatross:zone-moves-per-hour", "Value", "100"));
	zones(world, "ab");
	seen = watch(world, 600);
	assert_zones(world, 15, 15, 0);
	assert_int_equal(seen.most, 33);
	assert_int_equal(seen.least, 30);
	world_free(world);
}

static void moves_have_a_budget_an_hour(void **state)
{
	struct world *world = filled(12, 0, 0, 12);

	(void)state;
	zones(world, "ab");
	world_pass(world, 1800);
	assert_int_equal(world->n_terminates, 4);
	assert_int_equal(world->group->balance, BALANCE_SPENT);
	world_restart(world);
	zones(world, "ab");
	world_pass(world, 600);
	assert_int_equal(world->n_terminates, 4);
	world_pass(world, 1800);
	assert_zones(world, 6, 6, 0);
	world_free(world);
}

static void protected_instances_are_not_moved(void **state)
{
	struct world *world = filled(4, 0, 0, 8);
	struct instance *instance;
	int n = 0;

	(void)state;
	TAILQ_FOREACH (instance, &world->group->instances, link)
		instance->is_protected = n++ < 3;
	zones(world, "ab");
	world_pass(world, 300);
	assert_zones(world, 3, 1, 0);
	assert_int_equal(world->group->balance, BALANCE_PROTECTED);
	assert_int_equal(world->n_terminates, 1);
	world_free(world);
}

static void nothing_moves_while_rebalancing_launches_or_ends_are_suspended(void **state)
{
	static const char *const processes[] = {"AZRebalance", "Launch", "Terminate"};

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct world *world = filled(4, 0, 0, 8);

		suspend(world, processes[i]);
		zones(world, "ab");
		world_pass(world, 200);
		assert_int_equal(world->n_runs, 0);
		assert_int_equal(world->n_terminates, 0);
		suspend(world, NULL);
		world_pass(world, 200);
		assert_zones(world, 2, 2, 0);
		world_free(world);
	}
}

static void a_zone_that_is_gone_from_the_group_is_emptied(void **state)
{
	struct world *world = filled(2, 2, 2, 6);
	const struct activity *activity;
	int launches = 0, ends = 0;
	struct seen seen;

	(void)state;
	zones(world, "ab");
	seen = watch(world, 200);
	assert_zones(world, 3, 3, 0);
	assert_int_equal(seen.least, 6);
	assert_int_equal(seen.most, 7);
	TAILQ_FOREACH (activity, &world->group->activities, link) {
		launches += strstr(activity->cause, "invalid availability zones us-east-1c had 2 "
						    "instances respectively. An instance was "
						    "launched to aid in migrating") != NULL;
		ends += strstr(activity->cause, "instances were launched to balance instances in "
						"zones us-east-1c with other zones resulting in "
						"more than desired number of instances in the "
						"group.  At ") != NULL;
	}
	assert_int_equal(launches, 1);
	assert_int_equal(ends, 2);
	world_free(world);
}

static void causes_tell_the_zones_and_their_sizes(void **state)
{
	struct world *world = filled(2, 0, 0, 4);
	const struct activity *activity;
	bool is_told = false;

	(void)state;
	zones(world, "ab");
	world_pass(world, 100);
	TAILQ_FOREACH (activity, &world->group->activities, link)
		is_told |= strstr(activity->cause,
				  " availability zones us-east-1a us-east-1b had 2 0 instances "
				  "respectively. An instance was launched to aid in balancing "
				  "the group's zones.") != NULL;
	assert_true(is_told);
	world_free(world);
}

static void a_poor_zone_without_room_is_tried_and_costs_nothing(void **state)
{
	struct world *world = filled(4, 0, 0, 8);

	(void)state;
	world->full_zone = zone_names[1];
	zones(world, "ab");
	world_pass(world, 600);
	assert_zones(world, 4, 0, 0);
	assert_int_equal(world->n_terminates, 0);
	assert_true(world->n_runs >= 1);
	assert_true(world->n_runs <= 8);
	world->full_zone = NULL;
	world_pass(world, 1300);
	assert_zones(world, 2, 2, 0);
	world_free(world);
}

static const char *busy_id;

static double by_id(int64_t at_ms, const char *id)
{
	(void)at_ms;
	return busy_id && strcmp(id, busy_id) == 0 ? 90 : 5;
}

static void the_idle_are_moved_before_the_busy(void **state)
{
	struct world *world = filled(2, 0, 0, 4);
	char id[ID_TEXT_MAX];

	(void)state;
	/* Which one would go is the lowest id of the two. */
	const struct instance *first = TAILQ_FIRST(&world->group->instances);
	const struct instance *second = TAILQ_NEXT(first, link);

	memcpy(id, strcmp(first->id, second->id) < 0 ? first->id : second->id, sizeof id);
	busy_id = id;
	world->curve = by_id;
	zones(world, "ab");
	world_pass(world, 100);
	assert_zones(world, 1, 1, 0);
	assert_non_null(group_instance(world->group, id));
	busy_id = NULL;
	world_free(world);
}

static void a_maintenance_policy_without_room_above_ends_first(void **state)
{
	struct world *world = filled(4, 0, 0, 4);
	struct seen seen;

	(void)state;
	json_object_set_new(
	    world->group->document, "InstanceMaintenancePolicy",
	    json_pack("{s:i, s:i}", "MinHealthyPercentage", 50, "MaxHealthyPercentage", 100));
	zones(world, "ab");
	seen = watch(world, 300);
	assert_zones(world, 2, 2, 0);
	assert_int_equal(seen.most, 4);
	assert_int_equal(seen.least, 3);
	world_free(world);
}

/* Four in zone a beside a pool in that letter's zone, when zone b is added. */
static struct world *pooled(char letter, json_t *policy)
{
	const char pool_zone[] = {letter, '\0'};
	struct world *world = filled(4, 0, 0, 4);
	json_t *pool = json_pack("{s:i}", "MinSize", 2);
	struct err err = {0};

	suspend(world, "AZRebalance");
	zones(world, pool_zone);
	assert_int_equal(engine_put_warm_pool(world->group, pool, &err), 0);
	json_decref(pool);
	world_pass(world, 30);
	assert_int_equal(warm_count(world->group), 2);
	json_object_set_new(world->group->document, "InstanceMaintenancePolicy", policy);
	suspend(world, NULL);
	zones(world, "ab");
	world->n_runs = world->n_terminates = 0;
	return world;
}

static void a_move_that_ends_first_takes_nothing_warm_from_the_fuller_zone(void **state)
{
	(void)state;
	for (int max = 100; max <= 150; max += 50) {
		struct world *world = pooled('a', json_pack("{s:i, s:i}", "MinHealthyPercentage",
							    50, "MaxHealthyPercentage", max));
		struct seen seen = watch(world, 300);

		assert_zones(world, 2, 2, 0);
		assert_int_equal(world->n_terminates, 2);
		assert_int_equal(world->n_runs, 2);
		assert_int_equal(warm_count(world->group), 2);
		assert_true(seen.least >= 2);
		world_free(world);
	}
}

static void a_move_that_ends_first_takes_what_is_warm_in_the_poorer_zone(void **state)
{
	struct world *world = pooled(
	    'b', json_pack("{s:i, s:i}", "MinHealthyPercentage", 50, "MaxHealthyPercentage", 100));
	const struct instance *instance;
	int n_warmed = 0;

	(void)state;
	(void)watch(world, 300);
	assert_zones(world, 2, 2, 0);
	TAILQ_FOREACH (instance, &world->group->instances, link)
		n_warmed += instance->state == INSTANCE_IN_SERVICE && instance->entry_id[0];
	assert_int_equal(n_warmed, 2);
	assert_int_equal(warm_count(world->group), 2); /* filled up again */
	world_free(world);
}

static void killed_at_every_second_the_moves_are_as_many(void **state)
{
	struct world *world = filled(4, 0, 0, 4);
	int most = 0;

	(void)state;
	zones(world, "ab");
	for (int i = 0; i < 300; i++) {
		struct actions actions = {0};

		world->now_ms += 1000;
		world_view(world);
		world_tick_only(world, &actions);
		if (i % 2 == 0)
			for (size_t k = 0; k < actions.n; k++)
				world_do(world, &actions.items[k]);
		actions_fini(&actions);
		if (i % 41 == 0) {
			world_restart(world);
			zones(world, "ab");
		}
		most = group_actual(world->group) > most ? group_actual(world->group) : most;
	}
	world_pass(world, 200);
	assert_int_equal(most, 5);
	assert_zones(world, 2, 2, 0);
	assert_int_equal(world_in_state(world, "running"), 4);
	world_free(world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(four_in_one_of_two_zones_become_two_and_two),
	    cmocka_unit_test(only_differences_of_two_are_moved),
	    cmocka_unit_test(a_group_of_thirty_passes_its_maximum_by_three),
	    cmocka_unit_test(moves_have_a_budget_an_hour),
	    cmocka_unit_test(protected_instances_are_not_moved),
	    cmocka_unit_test(nothing_moves_while_rebalancing_launches_or_ends_are_suspended),
	    cmocka_unit_test(a_zone_that_is_gone_from_the_group_is_emptied),
	    cmocka_unit_test(causes_tell_the_zones_and_their_sizes),
	    cmocka_unit_test(a_poor_zone_without_room_is_tried_and_costs_nothing),
	    cmocka_unit_test(the_idle_are_moved_before_the_busy),
	    cmocka_unit_test(a_maintenance_policy_without_room_above_ends_first),
	    cmocka_unit_test(a_move_that_ends_first_takes_nothing_warm_from_the_fuller_zone),
	    cmocka_unit_test(a_move_that_ends_first_takes_what_is_warm_in_the_poorer_zone),
	    cmocka_unit_test(killed_at_every_second_the_moves_are_as_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
