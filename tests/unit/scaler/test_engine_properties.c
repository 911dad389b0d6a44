/*
 * Property tests: the engine in a world in which everything fails (chaos_world.h), asked for
 * everything (chaos_wishes.h), keeps its laws (chaos_laws.h) at each of a million steps, and comes
 * to rest as it should be when the faults and the wishes end.
 *
 * Each walk is made by its seed alone; a broken law tells it.  ALBATROSS_SEED=n walks that one
 * again and tells every step; ALBATROSS_STEPS=n changes how many steps there are in all,
 * ALBATROSS_SECONDS=n how long they may take.
 */
#include <sys/mman.h>
#include <sys/wait.h>

#include "tests/unit/scaler/chaos_laws.h"
#include "tests/unit/scaler/chaos_wishes.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { STEPS = 60000 };
#else
enum { STEPS = 1000000 };
#endif

enum {
	SECONDS = 240, /* it fails then: so slow is no machine */
	WALK_STEPS = 1500,
	REST_S = 6000, /* a launch waits 900 s at most, then a failed one is kept as long; a drain
			  takes 300 */
	CALM_STEPS = 30,
	CROWDED_STEPS = 100,
	EVEN_S =
	    6 * 3600, /* moves between zones have a budget an hour, and pauses after failures */
	HOUR_MS = 3600 * 1000,
};

/* ---- load ---- */

static double level; /* of CPU, of the walk under way */

static double load_curve(int64_t at_ms, const char *id)
{
	return level + (double)((at_ms / 1000 * 7919 + id[5]) % 13);
}

static int read_metric(void *arg, const struct metric_request *request)
{
	struct chaos *chaos = arg;
	const json_t *dimension = json_array_get(request->dimensions, 0);

	/* A minute at once is what a choice among instances looks at, no policy. */
	if (strcmp(doc_str(dimension, "Name", ""), "InstanceId") == 0 && request->n != 60)
		law_metrics_of_warm_ones_only(chaos, doc_str(dimension, "Value", ""));
	return world_metric(chaos->world, request);
}

/* ---- weather ---- */

static void add_fault(struct chaos *chaos, struct weather *weather)
{
	static const char *const zones[] = {"us-east-1a", "us-east-1b", "us-east-1c"};

	switch (dice(chaos, 19)) {
	case 0:
		weather->refuses = 50 + dice(chaos, 900);
		return;
	case 1:
		weather->throttles = 50 + dice(chaos, 900);
		return;
	case 2:
		weather->loses = 50 + dice(chaos, 900);
		return;
	case 3:
		weather->does_less = 500;
		return;
	case 4:
	case 5:
		weather->delays = 50 + dice(chaos, 950);
		return;
	case 6:
		weather->hides = 1 + dice(chaos, 20);
		return;
	case 7:
		weather->dies = 1 + dice(chaos, 20);
		return;
	case 8:
		weather->flaps = 10 + dice(chaos, 500);
		return;
	case 9:
		weather->dies_young = 100 + dice(chaos, 900);
		return;
	case 10:
	case 11:
		weather->crashes = 1 + dice(chaos, 60);
		return;
	case 12:
		weather->unsaved = 1 + dice(chaos, 60);
		return;
	case 13:
		weather->jumps = dice(chaos, 20);
		return;
	case 14:
		weather->repeats = 500;
		return;
	case 15:
		weather->full_zone = zones[dice(chaos, 3)];
		return;
	case 16:
		weather->is_ec2_down = true;
		return;
	case 17:
		weather->is_elb_down = true;
		return;
	default:
		weather->is_store_down = true;
		return;
	}
}

static void change_weather(struct chaos *chaos)
{
	memset(&chaos->weather, 0, sizeof chaos->weather);
	level = dice(chaos, 100);
	note(chaos, "weather, load %d", (int)level);
	for (int n = dice(chaos, 3) ? dice(chaos, 5) : 0; n > 0; n--)
		add_fault(chaos, &chaos->weather);
}

static void jump(struct chaos *chaos)
{
	int64_t ahead_ms = dice(chaos, 3) ? dice(chaos, 12 * HOUR_MS) - 6 * HOUR_MS : 0;

	chaos->world->now_ms = chaos->true_ms + ahead_ms;
	chaos->jump_ms = chaos->world->now_ms;
	note(chaos, "the clock jumps to %lld s ahead", (long long)ahead_ms / 1000);
}

/* ---- a step ---- */

static void act(struct chaos *chaos, const struct actions *actions, bool is_written)
{
	for (size_t i = 0; i < actions->n; i++) {
		const struct action *action = &actions->items[i];

		if (!is_written) {
			refuse_call(chaos, action);
			continue;
		}
		if (chance(chaos, chaos->weather.crashes)) {
			die(chaos, "between the commit and a call");
			return;
		}
		if (action->kind == ACTION_LAUNCH)
			law_a_token_stands_for_one_call(chaos, action);
		if (action->kind == ACTION_TERMINATE)
			law_of_terminations(chaos, action);
		take_off(chaos, action);
	}
}

static void tick(struct chaos *chaos, int64_t passed_ms)
{
	struct metric_source metrics = {read_metric, chaos};
	struct world *world = chaos->world;
	struct actions actions = {0};
	struct law_tick law;
	struct err err = {0};
	bool is_written;

	law_note_before(chaos, &law);
	engine_tick(world->engine, &metrics, world->now_ms, &actions);
	world->group = engine_group(world->engine, "web");
	hold_laws(chaos, passed_ms);
	if (chance(chaos, chaos->weather.crashes)) {
		die(chaos, "before the commit");
	} else {
		is_written = commit(chaos, &err) == 0;
		act(chaos, &actions, is_written);
	}
	chaos->law = NULL;
	actions_fini(&actions);
}

static void step(struct chaos *chaos, int64_t passed_ms)
{
	chaos->step++;
	chaos->true_ms += passed_ms;
	chaos->world->now_ms += passed_ms;
	if (chance(chaos, chaos->weather.jumps))
		jump(chaos);
	if (chaos->weather.is_elb_down)
		chaos->elb_trouble_ms = chaos->world->now_ms;
	for (int i = 0; i < chaos->n_machines; i++) {
		age_machine(chaos, &chaos->machines[i]);
		age_target(chaos, &chaos->machines[i]);
	}
	if (chaos->step % 32 == 0)
		purge_machines(chaos);
	land_due(chaos);
	if (dice(chaos, 8))
		look_at_ec2(chaos);
	if (dice(chaos, 3) == 0)
		look_at_elb(chaos);
	if (chance(chaos, chaos->weather.unsaved))
		die(chaos, "with answers that are not written");
	tick(chaos, passed_ms);
}

static int64_t pick_pause(struct chaos *chaos)
{
	int n = dice(chaos, 20);

	if (n < 14)
		return 1000;
	if (n < 17)
		return 250;
	return n < 19 ? 5000 : 30000;
}

/* ---- rest ---- */

/* Half of the walks end with a zone that is full while people still ask for this and that: the
 * group is uneven, or its warm pool is, when it comes to rest. */
static void crowd_the_zones(struct chaos *chaos)
{
	static const char *const zones[] = {"us-east-1a", "us-east-1b", "us-east-1c"};

	memset(&chaos->weather, 0, sizeof chaos->weather);
	if (dice(chaos, 2))
		return;
	note(chaos, "a zone is full");
	(void)call_api(chaos, "ResumeProcesses", json_object());
	chaos->weather.full_zone = zones[dice(chaos, 3)];
	for (int i = 0; i < CROWDED_STEPS; i++) {
		static const wish_fn wishes[] = {wish_update, wish_desired, wish_termination,
						 wish_warm_pool};

		if (chaos->world->group && dice(chaos, 10) == 0)
			wishes[dice(chaos, 4)](chaos);
		step(chaos, 2000);
	}
}

static void stop_wishing(struct chaos *chaos)
{
	struct instance *instance;
	struct err err = {0};
	struct group *group = chaos->world->group;

	if (!group)
		return;
	(void)call_api(chaos, "ResumeProcesses", json_object());
	(void)call_api(chaos, "UpdateAutoScalingGroup",
		       json_pack("{s:b}", "NewInstancesProtectedFromScaleIn", false));
	(void)call_api(chaos, "CancelInstanceRefresh", json_object());
	(void)call_api(chaos, "DeleteLifecycleHook", json_pack("{s:s}", "LifecycleHookName", "in"));
	(void)call_api(chaos, "DeleteLifecycleHook",
		       json_pack("{s:s}", "LifecycleHookName", "out"));
	while (!TAILQ_EMPTY(&group->schedules))
		engine_remove_schedule(chaos->world->engine, group, TAILQ_FIRST(&group->schedules));
	while (!TAILQ_EMPTY(&group->policies))
		engine_remove_policy(chaos->world->engine, group, TAILQ_FIRST(&group->policies));
	TAILQ_FOREACH (instance, &group->instances, link)
		instance->is_protected = false, instance->is_dirty = true;
	hold(chaos, commit(chaos, &err) == 0, "the store works", "");
}

static void come_to_rest(struct chaos *chaos)
{
	int calm = 0;

	crowd_the_zones(chaos);
	memset(&chaos->weather, 0, sizeof chaos->weather);
	chaos->world->now_ms = chaos->true_ms;
	chaos->jump_ms = chaos->true_ms;
	note(chaos, "rest");
	stop_wishing(chaos);
	for (int i = 0; i < REST_S / 2 && calm < CALM_STEPS; i++) {
		step(chaos, 2000);
		calm = unrest(chaos) || unrest_of_targets(chaos) ? 0 : calm + 1;
	}
	law_of_rest(chaos);
	for (int i = 0; i < EVEN_S / 10 && unevenness(chaos); i++)
		step(chaos, 10000);
	for (int i = 0; i < REST_S / 2 && unrest(chaos); i++)
		step(chaos, 2000);
	law_zones_are_even_at_rest(chaos);
}

/* ---- walks ---- */

static struct chaos *chaos_new(uint64_t seed, bool is_loud)
{
	struct chaos *chaos = calloc(1, sizeof *chaos);

	assert_non_null(chaos);
	chaos->seed = seed;
	chaos->dice = seed * 7919 + 17;
	chaos->is_loud = is_loud;
	chaos->world = world_new(0, MAX_SIZE, 2);
	chaos->world->curve = load_curve;
	chaos->world->ids.state = seed;
	chaos->true_ms = chaos->world->now_ms;
	chaos->tokens = json_object();
	return chaos;
}

static void chaos_free(struct chaos *chaos)
{
	world_free(chaos->world);
	json_decref(chaos->tokens);
	free(chaos);
}

/* Returns how many steps it took. */
static int walk(uint64_t seed, bool is_loud)
{
	struct chaos *chaos = chaos_new(seed, is_loud);
	int steps;

	if (dice(chaos, 2))
		engine_attach(chaos->world->group, WORLD_TARGET_GROUP);
	change_weather(chaos);
	for (int i = 0; i < WALK_STEPS; i++) {
		if (chance(chaos, 15))
			change_weather(chaos);
		if (dice(chaos, 6) == 0)
			make_wish(chaos);
		step(chaos, pick_pause(chaos));
	}
	come_to_rest(chaos);
	steps = chaos->step;
	chaos_free(chaos);
	return steps;
}

static long from_environment(const char *name, long otherwise)
{
	const char *text = getenv(name);

	return text ? atol(text) : otherwise;
}

/* The program's n-th of n_workers; goes on until all have walked so many steps. */
_Noreturn static void work(long n, long n_workers, long steps, long *walked)
{
	int64_t until_us =
	    clock_monotonic_us() + 1000000LL * from_environment("ALBATROSS_SECONDS", SECONDS);

	for (uint64_t seed = (uint64_t)n + 1; *walked < steps && clock_monotonic_us() < until_us;
	     seed += (uint64_t)n_workers)
		__atomic_add_fetch(walked, walk(seed, false), __ATOMIC_RELAXED);
	_exit(0);
}

static void whatever_fails_and_is_asked_the_laws_hold(void **state)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN), steps = from_environment("ALBATROSS_STEPS", STEPS);
	long *walked =
	    mmap(NULL, sizeof *walked, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	const char *seed = getenv("ALBATROSS_SEED");
	int failed = 0, status;

	(void)state;
	assert_ptr_not_equal(walked, MAP_FAILED);
	if (seed) {
		(void)walk(strtoull(seed, NULL, 10), true);
		return;
	}
	n = n < 1 ? 1 : n > 8 ? 8 : n;
	for (long i = 0; i < n; i++) {
		if (fork() == 0)
			work(i, n, steps, walked);
	}
	for (long i = 0; i < n; i++) {
		assert_true(wait(&status) > 0);
		failed += status != 0;
	}
	print_message("%ld steps\n", *walked);
	assert_int_equal(failed, 0);
	assert_true(*walked >= steps);
	munmap(walked, sizeof *walked);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(whatever_fails_and_is_asked_the_laws_hold),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
