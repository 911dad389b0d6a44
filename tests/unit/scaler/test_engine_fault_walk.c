/*
 * The fault walk: each flow is run once to count its steps (each commit, each call made, each
 * answer taken in), then once for each step with the program killed there and started again from
 * the store: before the commit, after it and before a call, after a call whose answer is lost, and
 * at two of these one after the other.  The end is the same as without, with as many instances
 * ever launched (none leaked, none doubled), and no activity is left open.
 */
#include "scaler/api/autoscaling.h"
#include "scaler/engine/parts.h"
#include "tests/unit/scaler/engine_world.h"

enum { NEVER = -1, CALM_S = 60, LONGEST_S = 2400, TOLD_MAX = 200 };

struct walk {
	struct world *world;
	int step;               /* how many steps there were so far */
	int kills[2];           /* at which the program is killed */
	int second;             /* since the flow began */
	int quiet;              /* seconds without a step */
	char mark[ID_TEXT_MAX]; /* an instance that the flow is about */
};

struct flow {
	const char *name;
	int min, max, desired;
	bool is_race;        /* how many are launched depends on when the program is killed */
	const char *subnets; /* at the start */
	void (*prepare)(struct walk *walk); /* before the walk begins */
	/* What people do, each second until it returns false. */
	bool (*act)(struct walk *walk);
};

/* ---- what people ask for ---- */

static int commit(void *arg, struct err *err)
{
	struct walk *walk = arg;

	(void)err;
	assert_int_equal(engine_changes(walk->world->engine, world_save, walk->world), 0);
	engine_saved(walk->world->engine);
	return 0;
}

/* input is taken over. */
static void ask(struct walk *walk, const char *name, json_t *input)
{
	struct clock clock = {true, walk->world->now_ms};
	struct autoscaling as = {
	    .engine = walk->world->engine, .clock = &clock, .commit = commit, .commit_arg = walk};
	struct aws_call call = {.action = name};
	struct aws_error error = {0};
	json_t *output = NULL;

	if (!doc_has(input, "InstanceId"))
		json_object_set_new(input, "AutoScalingGroupName", json_string("web"));
	for (size_t i = 0; i < autoscaling_n_actions; i++) {
		if (strcmp(autoscaling_actions[i].name, name) == 0)
			output = autoscaling_actions[i].handle(&as, &call, input, &error);
	}
	if (!output)
		print_error("%s: %s\n", name, error.message);
	assert_non_null(output);
	json_decref(output);
	json_decref(input);
}

static struct instance *nth(const struct walk *walk, enum instance_state state, int n)
{
	struct instance *instance;

	TAILQ_FOREACH (instance, &walk->world->group->instances, link) {
		if (instance->state == state && n-- == 0)
			return instance;
	}
	return NULL;
}

static json_t *first_ids(const struct walk *walk, enum instance_state state)
{
	const struct instance *instance = nth(walk, state, 0);

	assert_non_null(instance);
	return json_pack("{s:[s]}", "InstanceIds", instance->id);
}

/* ---- the flows ---- */

static void set_desired(struct walk *walk, int desired)
{
	ask(walk, "SetDesiredCapacity", json_pack("{s:i}", "DesiredCapacity", desired));
}

static bool scale_out(struct walk *walk)
{
	set_desired(walk, 5);
	return false;
}

static bool scale_in(struct walk *walk)
{
	set_desired(walk, 1);
	return false;
}

static bool die(struct walk *walk)
{
	world_set_state(world_instance(walk->world, nth(walk, INSTANCE_IN_SERVICE, 1)->id),
			"terminated", "Server.InternalError");
	return false;
}

static bool fall_ill(struct walk *walk)
{
	ask(walk, "SetInstanceHealth",
	    json_pack("{s:s, s:s}", "InstanceId", nth(walk, INSTANCE_IN_SERVICE, 1)->id,
		      "HealthStatus", "Unhealthy"));
	return false;
}

static void replace_one_at_a_time(struct walk *walk)
{
	ask(walk, "UpdateAutoScalingGroup",
	    json_pack("{s:{s:i, s:i}}", "InstanceMaintenancePolicy", "MinHealthyPercentage", 100,
		      "MaxHealthyPercentage", 150));
}

static bool refresh_by(struct walk *walk, int min, int max, bool is_to_version_2)
{
	json_t *input = json_pack("{s:{s:i, s:i, s:i}}", "Preferences", "MinHealthyPercentage", min,
				  "MaxHealthyPercentage", max, "InstanceWarmup", 3);

	if (is_to_version_2)
		json_object_set_new(input, "DesiredConfiguration",
				    json_pack("{s:{s:s, s:s}}", "LaunchTemplate",
					      "LaunchTemplateName", "students", "Version", "2"));
	ask(walk, "StartInstanceRefresh", input);
	return false;
}

static bool refresh_in_place(struct walk *walk)
{
	return refresh_by(walk, 50, 100, false);
}

static bool refresh_with_surge(struct walk *walk)
{
	return refresh_by(walk, 100, 150, true);
}

static void take_version_1(struct walk *walk)
{
	ask(walk, "UpdateAutoScalingGroup",
	    json_pack("{s:{s:s, s:s}}", "LaunchTemplate", "LaunchTemplateName", "students",
		      "Version", "1"));
}

static bool roll_back(struct walk *walk)
{
	if (walk->second == 0)
		return !refresh_by(walk, 50, 100, true);
	if (walk->second < 4)
		return true;
	ask(walk, "RollbackInstanceRefresh", json_object());
	return false;
}

static bool cancel(struct walk *walk)
{
	if (walk->second == 0)
		return !refresh_by(walk, 50, 100, true);
	if (walk->second < 4)
		return true;
	ask(walk, "CancelInstanceRefresh", json_object());
	return false;
}

static bool stand_by(struct walk *walk)
{
	json_t *input;

	if (walk->second == 0) {
		input = first_ids(walk, INSTANCE_IN_SERVICE);
		json_object_set_new(input, "ShouldDecrementDesiredCapacity", json_true());
		ask(walk, "EnterStandby", input);
	}
	if (!nth(walk, INSTANCE_STANDBY, 0))
		return true;
	ask(walk, "ExitStandby", first_ids(walk, INSTANCE_STANDBY));
	return false;
}

static bool detach(struct walk *walk)
{
	json_t *input = first_ids(walk, INSTANCE_IN_SERVICE);

	json_object_set_new(input, "ShouldDecrementDesiredCapacity", json_false());
	ask(walk, "DetachInstances", input);
	return false;
}

static bool attach(struct walk *walk)
{
	walk->world->foreign =
	    json_pack("{s:s, s:s, s:s, s:{s:s}, s:{s:s}}", "InstanceId", "i-0123456789abcdef0",
		      "InstanceType", "t2.micro", "SubnetId", "subnet-a", "Placement",
		      "AvailabilityZone", "us-east-1a", "State", "Name", "running");
	ask(walk, "AttachInstances", json_pack("{s:[s]}", "InstanceIds", "i-0123456789abcdef0"));
	return false;
}

static void put_hooks(struct walk *walk, const char *result)
{
	static const char *const ways[] = {"LAUNCHING", "TERMINATING"};

	for (int i = 0; i < 2; i++) {
		char way[64];

		snprintf(way, sizeof way, "autoscaling:EC2_INSTANCE_%s", ways[i]);
		ask(walk, "PutLifecycleHook",
		    json_pack("{s:s, s:s, s:i, s:s}", "LifecycleHookName", ways[i],
			      "LifecycleTransition", way, "HeartbeatTimeout", 30, "DefaultResult",
			      result));
	}
}

static void let_hooks_time_out(struct walk *walk)
{
	put_hooks(walk, "CONTINUE");
}

static void take_hooks_away(struct walk *walk)
{
	ask(walk, "DeleteLifecycleHook", json_pack("{s:s}", "LifecycleHookName", "LAUNCHING"));
	ask(walk, "DeleteLifecycleHook", json_pack("{s:s}", "LifecycleHookName", "TERMINATING"));
}

/* One more with a hook that abandons it, then without. */
static bool abandon(struct walk *walk)
{
	if (walk->second == 0) {
		put_hooks(walk, "ABANDON");
		set_desired(walk, 4);
	}
	if (walk->second < 34)
		return true;
	take_hooks_away(walk);
	return false;
}

static bool delete_by_force(struct walk *walk)
{
	ask(walk, "DeleteAutoScalingGroup", json_pack("{s:b}", "ForceDelete", 1));
	return false;
}

static bool delete_while_launching(struct walk *walk)
{
	if (walk->second == 0)
		set_desired(walk, 5);
	if (walk->second < 1)
		return true;
	return delete_by_force(walk);
}

static bool schedule(struct walk *walk)
{
	char at[CLOCK_TEXT_MAX];

	ask(walk, "PutScheduledUpdateGroupAction",
	    json_pack("{s:s, s:s, s:i}", "ScheduledActionName", "s", "StartTime",
		      clock_format_iso(walk->world->now_ms + 5000, at), "DesiredCapacity", 5));
	return false;
}

static bool end_one(struct walk *walk)
{
	ask(walk, "TerminateInstanceInAutoScalingGroup",
	    json_pack("{s:s, s:b}", "InstanceId", nth(walk, INSTANCE_IN_SERVICE, 0)->id,
		      "ShouldDecrementDesiredCapacity", 1));
	return false;
}

static void put_pool(struct walk *walk)
{
	ask(walk, "PutWarmPool",
	    json_pack("{s:i, s:i, s:{s:b}}", "MinSize", 1, "MaxGroupPreparedCapacity", 5,
		      "InstanceReusePolicy", "ReuseOnScaleIn", 1));
}

static bool fill_pool(struct walk *walk)
{
	put_pool(walk);
	return false;
}

static bool drop_pool(struct walk *walk)
{
	ask(walk, "DeleteWarmPool", json_pack("{s:b}", "ForceDelete", 0));
	return false;
}

static bool rebalance(struct walk *walk)
{
	ask(walk, "UpdateAutoScalingGroup",
	    json_pack("{s:s}", "VPCZoneIdentifier", "subnet-a,subnet-b,subnet-c"));
	world_show_zones(walk->world);
	return false;
}

static bool change_target_group(struct walk *walk)
{
	bool is_out = walk->second == 0;

	if (walk->second != 0 && walk->second != 10)
		return true;
	ask(walk, is_out ? "DetachLoadBalancerTargetGroups" : "AttachLoadBalancerTargetGroups",
	    json_pack("{s:[s]}", "TargetGroupARNs", WORLD_TARGET_GROUP));
	return is_out;
}

static bool scale_out_into_little_room(struct walk *walk)
{
	walk->world->room = walk->second < 20 ? 1 : 0;
	if (walk->second == 0)
		set_desired(walk, 5);
	return walk->second < 20;
}

static const struct flow flows[] = {
    {"scale out", 1, 9, 2, false, "", NULL, scale_out},
    {"scale out with little room", 1, 9, 2, false, "subnet-a", NULL, scale_out_into_little_room},
    {"scale in with drain", 1, 9, 4, false, "", NULL, scale_in},
    {"an instance dies", 1, 9, 3, false, "", NULL, die},
    {"an instance is unhealthy", 1, 9, 3, false, "", NULL, fall_ill},
    {"a successor first", 1, 9, 3, false, "", replace_one_at_a_time, fall_ill},
    {"refresh", 1, 9, 3, false, "", NULL, refresh_in_place},
    {"refresh with surge", 1, 9, 3, false, "", NULL, refresh_with_surge},
    {"rollback", 1, 9, 4, false, "", take_version_1, roll_back},
    {"cancelled refresh", 1, 9, 4, false, "", NULL, cancel},
    {"standby and back", 1, 9, 3, false, "", NULL, stand_by},
    {"detach", 1, 9, 3, false, "", NULL, detach},
    {"attach", 1, 9, 2, false, "", NULL, attach},
    {"hooks on the way in", 1, 9, 2, false, "", let_hooks_time_out, scale_out},
    {"hooks on the way out", 1, 9, 4, false, "", let_hooks_time_out, scale_in},
    {"an abandoned launch", 1, 9, 3, false, "", NULL, abandon},
    {"deletion by force", 1, 9, 3, false, "", NULL, delete_by_force},
    {"deletion amid launches", 1, 9, 2, true, "", NULL, delete_while_launching},
    {"a schedule", 1, 9, 2, false, "", NULL, schedule},
    {"one ended by hand", 1, 9, 3, false, "", NULL, end_one},
    {"a warm pool is filled", 1, 9, 2, false, "", NULL, fill_pool},
    {"out of the warm pool", 1, 9, 2, false, "", put_pool, scale_out},
    {"back into the warm pool", 1, 9, 4, false, "", put_pool, scale_in},
    {"a warm pool is deleted", 1, 9, 2, false, "", put_pool, drop_pool},
    {"zones are balanced", 1, 9, 4, false, "subnet-a", NULL, rebalance},
    {"a target group goes and comes", 1, 9, 3, false, "", NULL, change_target_group},
};

/* ---- walking ---- */

/* A step is over; true: and with it the program. */
static bool dies_here(struct walk *walk)
{
	int step = walk->step++;

	walk->quiet = 0;
	if (step != walk->kills[0] && step != walk->kills[1])
		return false;
	world_restart(walk->world);
	return true;
}

static void act(struct walk *walk, const struct actions *actions)
{
	for (size_t i = 0; i < actions->n; i++) {
		if (dies_here(walk))
			return;
		world_do(walk->world, &actions->items[i]);
		if (dies_here(walk))
			return;
	}
}

static void tick(struct walk *walk)
{
	struct world *world = walk->world;
	struct metric_source metrics = {world_metric, world};
	struct actions actions = {0};
	struct err err = {0};

	engine_tick(world->engine, &metrics, world->now_ms, &actions);
	if ((actions.n > 0 || engine_has_changes(world->engine)) && dies_here(walk))
		goto out;
	assert_int_equal(commit(walk, &err), 0);
	act(walk, &actions);
out:
	actions_fini(&actions);
	world->group = engine_group(world->engine, "web");
}

static void pass(struct walk *walk)
{
	walk->world->now_ms += 1000;
	walk->quiet++;
	world_view(walk->world);
	tick(walk);
}

static void settle(struct walk *walk)
{
	for (int i = 0; i < LONGEST_S && walk->quiet < CALM_S; i++)
		pass(walk);
}

static void start_from(struct walk *walk, const char *subnets)
{
	if (!subnets[0])
		return;
	ask(walk, "UpdateAutoScalingGroup", json_pack("{s:s}", "VPCZoneIdentifier", subnets));
	world_show_zones(walk->world);
}

static int count_zone(const struct world *world, const char *zone)
{
	const struct instance *instance;
	int n = 0;

	if (!world->group)
		return 0;
	TAILQ_FOREACH (instance, &world->group->instances, link)
		n += instance_is_live(instance) && strcmp(instance->zone, zone) == 0;
	return n;
}

static int count_open(const struct world *world)
{
	const struct activity *activity;
	int n = 0;

	if (world->group) {
		TAILQ_FOREACH (activity, &world->group->activities, link)
			n += activity->end_ms == 0;
	}
	TAILQ_FOREACH (activity, &world->engine->old_activities, link)
		n += activity->end_ms == 0;
	return n;
}

/* How it all stands, without names and times. */
static void tell(const struct walk *walk, bool is_race, char text[TOLD_MAX])
{
	const struct world *world = walk->world;
	struct group_counts counts = {0};
	int refreshing = 0;

	if (world->group) {
		counts = group_count(world->group);
		refreshing = group_is_refreshing(world->group);
	}
	snprintf(text, TOLD_MAX,
		 "group %d desired %d in service %d pending %d terminating %d standby %d warm %d "
		 "zones %d %d %d refreshing %d; EC2 running %d stopped %d in all %zu left %zu; "
		 "targets %zu; open %d",
		 world->group != NULL, world->group ? world->group->desired : 0, counts.in_service,
		 counts.pending, counts.terminating, counts.standby, counts.warm,
		 count_zone(world, "us-east-1a"), count_zone(world, "us-east-1b"),
		 count_zone(world, "us-east-1c"), refreshing, world_in_state(world, "running"),
		 world_in_state(world, "stopped"), is_race ? 0 : json_array_size(world->ec2),
		 json_array_size(world->left), json_object_size(world->targets), count_open(world));
}

/* Returns how many steps there were. */
static int run(const struct flow *flow, int kill, int other, char told[TOLD_MAX])
{
	struct walk walk = {.kills = {NEVER, NEVER}};
	bool goes_on = true;
	int steps;

	walk.world = world_new(flow->min, flow->max, flow->desired);
	start_from(&walk, flow->subnets);
	engine_attach(walk.world->group, WORLD_TARGET_GROUP);
	if (flow->prepare)
		flow->prepare(&walk);
	settle(&walk);
	walk.step = walk.quiet = 0;
	walk.kills[0] = kill;
	walk.kills[1] = other;
	for (; walk.second < LONGEST_S && (goes_on || walk.quiet < CALM_S); walk.second++) {
		if (goes_on)
			goes_on = flow->act(&walk);
		pass(&walk);
	}
	tell(&walk, flow->is_race, told);
	steps = walk.step;
	world_free(walk.world);
	return steps;
}

static void check(const struct flow *flow, int kill, int other, const char *wanted)
{
	char told[TOLD_MAX];

	(void)run(flow, kill, other, told);
	if (strcmp(told, wanted) == 0)
		return;
	print_error("%s, killed at %d and %d\nwanted: %s\nfound:  %s\n", flow->name, kill, other,
		    wanted, told);
	fail();
}

static void killed_at_any_step_of_any_flow_it_ends_the_same(void **state)
{
	int total = 0;

	(void)state;
	for (size_t i = 0; i < sizeof flows / sizeof flows[0]; i++) {
		char wanted[TOLD_MAX];
		int steps = run(&flows[i], NEVER, NEVER, wanted);

		assert_true(steps > 2);
		for (int k = 0; k < steps; k++) {
			check(&flows[i], k, NEVER, wanted);
			/* Once more, right after the start and a little later. */
			check(&flows[i], k, k + 1, wanted);
			check(&flows[i], k, k + 3, wanted);
		}
		if (getenv("ALBATROSS_LOUD"))
			print_message("%s: %d steps: %s\n", flows[i].name, steps, wanted);
		total += steps;
	}
	print_message("%zu flows, %d steps\n", sizeof flows / sizeof flows[0], total);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(killed_at_any_step_of_any_flow_it_ends_the_same),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
