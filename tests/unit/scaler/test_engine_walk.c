/*
 * A random walk through all that can be asked of a group, with faults and restarts under way: the
 * invariants hold at every step, and when nothing more is asked the group comes to rest as it
 * should be.
 */
#include "scaler/engine/replace.h"
#include "tests/unit/scaler/engine_world.h"

enum { WALKS = 80, STEPS = 250, MAX_SIZE = 8 };

static uint64_t seed;

static int dice(int n)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (int)((seed >> 33) % (uint64_t)n);
}

static struct instance *any(const struct world *world, enum instance_state state)
{
	struct instance *instance;
	int skip = dice(4);

	TAILQ_FOREACH (instance, &world->group->instances, link) {
		if (instance->state == state && instance->id[0] && skip-- <= 0)
			return instance;
	}
	return NULL;
}

static void shift(struct world *world, int by)
{
	world->group->desired += by;
	world->group->is_dirty = true;
}

static void stand_by(struct world *world)
{
	struct instance *instance = any(world, INSTANCE_IN_SERVICE);
	bool is_for_good = dice(2) == 0;

	if (!instance || world->group->desired == world->group->min)
		return;
	assert_non_null(
	    engine_take_out(world->engine, world->group, instance, is_for_good, world->now_ms));
	shift(world, -1);
}

static void come_back(struct world *world)
{
	struct instance *instance = any(world, INSTANCE_STANDBY);

	if (!instance || world->group->desired == world->group->max)
		return;
	assert_non_null(engine_exit_standby(world->engine, world->group, instance, world->now_ms));
	shift(world, 1);
}

static void resize(struct world *world)
{
	struct err err = {0};
	int span = world->group->max - world->group->min + 1;

	assert_int_equal(
	    engine_set_desired(world->group, world->group->min + dice(span), world->now_ms, &err),
	    0);
}

static void relimit(struct world *world)
{
	int min = dice(3);
	json_t *input = json_pack("{s:i, s:i}", "MinSize", min, "MaxSize", min + 1 + dice(5));
	struct err err = {0};

	assert_int_equal(engine_update_group(world->group, input, world->now_ms, &err), 0);
	json_decref(input);
}

static void suspend(struct world *world)
{
	static const char *const names[] = {"Launch",           "Terminate",       "HealthCheck",
					    "ReplaceUnhealthy", "InstanceRefresh", "AZRebalance"};

	json_object_set_new(world->group->document, "SuspendedProcesses",
			    dice(3) ? json_array()
				    : json_pack("[{s:s}]", "ProcessName", names[dice(6)]));
}

static void hook(struct world *world)
{
	json_t *input = json_pack(
	    "{s:s, s:s, s:i, s:s}", "LifecycleHookName", dice(2) ? "in" : "out",
	    "LifecycleTransition",
	    dice(2) ? "autoscaling:EC2_INSTANCE_LAUNCHING" : "autoscaling:EC2_INSTANCE_TERMINATING",
	    "HeartbeatTimeout", 30, "DefaultResult", dice(3) ? "CONTINUE" : "ABANDON");
	struct err err = {0};

	if (dice(2))
		assert_int_equal(engine_put_hook(world->group, input, &err), 0);
	else
		(void)!engine_remove_hook(world->group, dice(2) ? "in" : "out");
	json_decref(input);
}

static void refresh(struct world *world)
{
	json_t *input =
	    json_pack("{s:{s:i, s:i, s:i}}", "Preferences", "MinHealthyPercentage", 50 + dice(51),
		      "MaxHealthyPercentage", 100 + dice(51), "InstanceWarmup", dice(20));
	struct err err = {0};

	if (dice(3) == 0)
		(void)!engine_cancel_refresh(world->group, &err);
	else
		(void)!engine_start_refresh(world->engine, world->group, input, world->now_ms,
					    &err);
	json_decref(input);
}

static void hurt(struct world *world)
{
	static const char *const states[] = {"terminated", "stopped"};
	struct instance *instance = any(world, dice(3) ? INSTANCE_IN_SERVICE : INSTANCE_WARM);

	if (instance && dice(2))
		instance->is_user_marked = instance->is_dirty = true;
	else if (instance)
		world_set_state(world_instance(world, instance->id), states[dice(2)],
				"Server.InternalError");
}

static void protect(struct world *world)
{
	struct instance *instance = any(world, INSTANCE_IN_SERVICE);

	if (!instance)
		return;
	instance->is_protected = !instance->is_protected;
	instance->is_dirty = true;
}

static void schedule(struct world *world)
{
	json_t *input = json_pack("{s:s, s:s, s:i}", "ScheduledActionName", "s", "Recurrence",
				  "* * * * *", "DesiredCapacity", world->group->min);
	struct err err = {0};

	if (dice(2))
		(void)!engine_put_schedule(world->engine, world->group, input, world->now_ms, &err);
	else if (group_schedule(world->group, "s"))
		engine_remove_schedule(world->engine, world->group,
				       group_schedule(world->group, "s"));
	json_decref(input);
}

static void pool(struct world *world)
{
	static const char *const states[] = {"Stopped", "Running", "Hibernated"};
	json_t *input =
	    json_pack("{s:i, s:i, s:s, s:{s:b}}", "MinSize", dice(3), "MaxGroupPreparedCapacity",
		      dice(MAX_SIZE) - 1, "PoolState", states[dice(3)], "InstanceReusePolicy",
		      "ReuseOnScaleIn", dice(2));
	struct err err = {0};

	if (dice(4))
		(void)!engine_put_warm_pool(world->group, input, &err);
	else
		(void)!engine_delete_warm_pool(world->engine, world->group, dice(2), world->now_ms);
	json_decref(input);
}

static void save(struct world *world)
{
	assert_int_equal(engine_changes(world->engine, world_save, world), 0);
	engine_saved(world->engine);
}

/* Killed after a commit, with the actions handed out and lost. */
static void die(struct world *world)
{
	struct actions actions = {0};

	world_tick_only(world, &actions);
	actions_fini(&actions);
	world_restart(world);
}

static void fault(struct world *world)
{
	world->is_ec2_down = dice(3) == 0;
	world->loses_run_answers = dice(3) == 0;
	world->run_error = dice(4) == 0 ? "InvalidAMIID.NotFound" : NULL;
	world->full_zone = dice(3) == 0 ? "us-east-1a" : NULL;
	world->start_error = dice(4) == 0 ? "InsufficientInstanceCapacity" : NULL;
	world->stop_error = dice(4) == 0 ? "UnsupportedOperation" : NULL;
}

static void maintain(struct world *world)
{
	json_t *policy = json_pack("{s:i, s:i}", "MinHealthyPercentage", 50 + dice(51),
				   "MaxHealthyPercentage", 100 + dice(51));

	json_object_set_new(world->group->document, "InstanceMaintenancePolicy", policy);
	if (dice(2))
		json_object_del(world->group->document, "InstanceMaintenancePolicy");
}

/* The load balancer's check fails for one, or for all, or for nobody any more. */
static void sicken(struct world *world)
{
	const char *state = dice(2) ? "unhealthy" : "healthy", *id;
	const struct instance *one = any(world, INSTANCE_IN_SERVICE);
	bool is_for_all = dice(3) == 0;
	json_t *target;

	json_object_foreach (world->targets, id, target) {
		bool is_it = one && strcmp(one->id, id) == 0;

		if (strcmp(json_string_value(target), "draining") != 0 && (is_for_all || is_it))
			json_object_set_new(world->targets, id, json_string(state));
	}
	world->sickly = dice(4) == 0 ? "unhealthy" : NULL;
}

static void rezone(struct world *world)
{
	int gone = dice(4);
	json_t *subnets =
	    json_pack("[{s:s,s:s},{s:s,s:s},{s:s,s:s}]", "AvailabilityZone", "us-east-1a",
		      "SubnetId", "subnet-a", "AvailabilityZone", "us-east-1b", "SubnetId",
		      "subnet-b", "AvailabilityZone", "us-east-1c", "SubnetId", "subnet-c");

	if (gone < 3)
		json_array_remove(subnets, (size_t)gone);
	engine_zones_seen(world->group, subnets);
	json_decref(subnets);
}

static void age(struct world *world)
{
	json_object_set_new(world->group->document, "MaxInstanceLifetime",
			    json_integer(dice(2) ? 86400 : 0));
	if (dice(3) == 0)
		world->now_ms += 80000LL * 1000;
}

static void ask(struct world *world)
{
	static void (*const wishes[])(struct world *) = {
	    stand_by, come_back, resize, relimit, suspend,  hook,   refresh, hurt, protect,
	    schedule, die,       fault,  pool,    maintain, sicken, rezone,  age};

	wishes[dice((int)(sizeof wishes / sizeof wishes[0]))](world);
	save(world);
}

static int terminating(const struct group *group)
{
	const struct instance *instance;
	int n = 0;

	TAILQ_FOREACH (instance, &group->instances, link)
		n += instance->state == INSTANCE_TERMINATING;
	return n;
}

static void check(const struct world *world)
{
	const struct group *group = world->group;
	const struct instance *one, *other;

	assert_in_range(group->desired, group->min, group->max);
	assert_int_equal(group_count(group).warm_terminating + group_count(group).terminating,
			 terminating(group));
	assert_true(group->surge >= 0 && group->surge <= group->desired);
	TAILQ_FOREACH (one, &group->instances, link) {
		for (other = TAILQ_NEXT(one, link); other; other = TAILQ_NEXT(other, link)) {
			assert_string_not_equal(one->launch_id, other->launch_id);
			if (one->id[0])
				assert_string_not_equal(one->id, other->id);
		}
	}
}

/* All faults and wishes are over. */
static void rest(struct world *world)
{
	struct instance *instance;
	struct err err = {0};
	json_t *target;
	const char *id;

	world->is_ec2_down = world->loses_run_answers = false;
	world->sickly = NULL;
	json_object_foreach (world->targets, id, target)
		if (strcmp(json_string_value(target), "draining") != 0)
			json_object_set_new(world->targets, id, json_string("healthy"));
	world->run_error = world->full_zone = world->start_error = world->stop_error = NULL;
	world_restart(world); /* answers that were lost are waited for by the one that asked */
	json_object_set_new(world->group->document, "MaxInstanceLifetime", json_integer(0));
	json_object_set_new(
	    world->group->document, "Tags",
	    json_pack("[{s:s, s:s}]", "Key", "albatross:zone-moves-per-hour", "Value", "1000"));
	json_object_set_new(world->group->document, "SuspendedProcesses", json_array());
	(void)!engine_remove_hook(world->group, "in");
	(void)!engine_remove_hook(world->group, "out");
	(void)!engine_cancel_refresh(world->group, &err);
	breaker_reset(world->group); /* a day may have gone by without a launch that worked */
	if (group_schedule(world->group, "s"))
		engine_remove_schedule(world->engine, world->group,
				       group_schedule(world->group, "s"));
	TAILQ_FOREACH (instance, &world->group->instances, link)
		instance->is_protected = false;
	world->group->is_dirty = true;
	world_pass(world, 2400);
}

static void assert_zones_even(const struct group *group)
{
	const json_t *policy = doc_object(group->document, "InstanceMaintenancePolicy");
	int counts[MAX_ZONES], most = 0, least = 1000;

	/* Without room above, what is missing comes from the warm pool, wherever that is. */
	if (warm_count(group) > 0 && doc_int(policy, "MaxHealthyPercentage", 200) == 100)
		return;

	zones_count(group, counts);
	for (int i = 0; i < group->n_zones; i++) {
		most = counts[i] > most ? counts[i] : most;
		least = counts[i] < least ? counts[i] : least;
	}
	assert_true(most - least <= 1);
}

static void check_rest(const struct world *world)
{
	const struct instance *instance;
	int n_standby = 0, n_pool = 0, n_warm_running = 0;
	int n_running = world_in_state(world, "running");

	TAILQ_FOREACH (instance, &world->group->instances, link) {
		assert_true(instance_is_settled(instance));
		n_standby += instance->state == INSTANCE_STANDBY && instance->ec2 == EC2_RUNNING;
		n_pool += instance->state == INSTANCE_WARM;
		n_warm_running +=
		    instance->state == INSTANCE_WARM && instance->pool_state == POOL_RUNNING;
	}
	assert_int_equal(n_pool, warm_pool_size(world->group));
	assert_int_equal(group_actual(world->group), world->group->desired);
	assert_int_equal(n_running, world->group->desired + n_standby + n_warm_running);
	assert_int_equal(world->group->surge, 0);
	assert_true(replace_count(world->group, REPLACE_NOT) == 0);
	assert_zones_even(world->group);
	assert_false(group_is_refreshing(world->group));
}

static void walk(uint64_t start)
{
	struct world *world = world_new(0, MAX_SIZE, 2);

	seed = start;
	if (dice(2))
		engine_attach(world->group, WORLD_TARGET_GROUP);
	if (dice(2))
		json_object_set_new(world->group->document, "HealthCheckType", json_string("ELB"));
	for (int i = 0; i < STEPS; i++) {
		if (dice(3) == 0)
			ask(world);
		world_pass(world, 1 + dice(5));
		check(world);
	}
	rest(world);
	check_rest(world);
	world_free(world);
}

static void whatever_is_asked_the_group_stays_in_order_and_comes_to_rest(void **state)
{
	(void)state;
	for (uint64_t i = 1; i <= WALKS; i++)
		walk(i * 7919);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(whatever_is_asked_the_group_stays_in_order_and_comes_to_rest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
