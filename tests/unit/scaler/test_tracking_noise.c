/*
 * Target tracking by the second on load that is not smooth: what is noise, what is a step, how
 * often the capacity turns.  The loop is closed: the load of a second is shared by those that
 * served in it.
 */
#include "scaler/engine/parts.h"
#include "tests/unit/scaler/engine_world.h"

enum { SECONDS = 3 * 3600 };

static struct {
	int64_t start_ms;
	double (*total)(int second); /* percent of one instance, or requests in the second */
	double noise;                /* of one instance's figure, standard deviation */
	int served[SECONDS];         /* instances, in that second */
	unsigned seed;
	bool is_silent; /* no figures at all */
} load;

/* Rough normal noise of variance 1, the same for the same second and name. */
static double normal(int second, unsigned name)
{
	unsigned x = (unsigned)second * 2654435761u + load.seed * 40503u + name * 97u + 1;
	double sum = 0;

	for (int i = 0; i < 12; i++) {
		x ^= x << 13;
		x ^= x >> 17;
		x ^= x << 5;
		sum += (double)(x >> 8) / (1 << 24);
	}
	return sum - 6;
}

static int served(int second)
{
	return second < 0 ? load.served[0] : load.served[second];
}

static double cpu(int second, const char *id)
{
	double value = load.total(second) / (served(second) ? served(second) : 1);

	value += load.noise * normal(second, (unsigned)(id[4] << 16 | id[5] << 8 | id[6]));
	return value < 0 ? 0 : value > 100 ? 100 : value;
}

static double requests(int second)
{
	return load.total(second) / (served(second) ? served(second) : 1);
}

static int metric(void *arg, const struct metric_request *request)
{
	bool is_cpu = strcmp(request->name, "CPUUtilization") == 0;
	const struct world *world = arg;
	const json_t *dimension = json_array_get(request->dimensions, 0);
	const char *id = doc_str(dimension, "Value", "");
	int found = 0;

	if (load.is_silent || (is_cpu && strcmp(doc_str(dimension, "Name", ""), "InstanceId") != 0))
		return 0;
	for (int i = 0; i < request->n; i++) {
		int64_t at_ms = request->end_ms - (request->n - i) * 1000LL * request->period_s;
		int second = (int)((at_ms - load.start_ms) / 1000);
		double sum = 0;

		if (at_ms + 1000LL * request->period_s > world->now_ms)
			continue;
		for (int k = 0; k < request->period_s; k++)
			sum += is_cpu ? cpu(second + k, id) : requests(second + k);
		request->values[i] = is_cpu ? sum / request->period_s : sum;
		found++;
	}
	return found;
}

static struct world *loaded(int desired, double (*total)(int), double noise)
{
	struct world *world = world_new(1, 60, desired);

	world_pass(world, 5);
	world->now_ms = (world->now_ms + 999) / 1000 * 1000;
	load.start_ms = world->now_ms;
	load.total = total;
	load.noise = noise;
	load.is_silent = false;
	memset(load.served, 0, sizeof load.served);
	load.served[0] = desired;
	world->metric = metric;
	return world;
}

static void pass(struct world *world)
{
	int second = (int)((world->now_ms - load.start_ms) / 1000);

	load.served[second] = group_count(world->group).in_service;
	world_pass(world, 1);
	load.served[second + 1] = group_count(world->group).in_service;
}

static void request_policy(struct world *world, double per_second)
{
	world_policy(world,
		     json_pack("{s:s, s:s, s:i, s:{s:f, s:{s:s, s:s}}}", "PolicyName", "requests",
			       "PolicyType", "TargetTrackingScaling", "EstimatedInstanceWarmup", 10,
			       "TargetTrackingConfiguration", "TargetValue", 60 * per_second,
			       "PredefinedMetricSpecification", "PredefinedMetricType",
			       "ALBRequestCountPerTarget", "ResourceLabel",
			       "app/web/0123456789abcdef/targetgroup/web/0123456789abcdef"));
}

struct course {
	int changes, turns, least, most;
};

static struct course follow(struct world *world, int seconds)
{
	struct course course = {0, 0, world->group->desired, world->group->desired};
	int last = world->group->desired, direction = 0;

	for (int i = 0; i < seconds; i++) {
		int moved;

		pass(world);
		moved = (world->group->desired > last) - (world->group->desired < last);
		course.changes += moved != 0;
		course.turns += moved != 0 && direction != 0 && moved != direction;
		direction = moved ? moved : direction;
		last = world->group->desired;
		course.least = last < course.least ? last : course.least;
		course.most = last > course.most ? last : course.most;
	}
	return course;
}

/* ---- noise ---- */

static double just_below(int second)
{
	(void)second;
	return 180; /* 45 % of each of four */
}

static void cpu_that_jitters_below_the_target_does_not_swing(void **state)
{
	(void)state;
	for (load.seed = 1; load.seed <= 6; load.seed++) {
		struct world *world = loaded(4, just_below, 4 * load.seed);
		struct course course;

		world_cpu_policy(world, "cpu", 50, 10, false);
		course = follow(world, 7200);
		assert_in_range(course.turns, 0, 6);
		assert_in_range(course.most, 4, 6);
		world_free(world);
	}
}

/* Requests that come by chance: as many as 0.9 of what four are to have. */
static double by_chance(int second)
{
	return fmax(0, 360 + sqrt(360) * normal(second, 7));
}

static double few_by_chance(int second)
{
	return fmax(0, floor(18 + sqrt(18) * normal(second, 7) + 0.5));
}

static void requests_that_come_by_chance_do_not_swing(void **state)
{
	(void)state;
	for (load.seed = 1; load.seed <= 5; load.seed++) {
		struct world *world = loaded(4, by_chance, 0);

		request_policy(world, 100);
		assert_in_range(follow(world, 7200).turns, 0, 2);
		world_free(world);

		world = loaded(4, few_by_chance, 0);
		request_policy(world, 5);
		assert_in_range(follow(world, 7200).turns, 0, 4);
		world_free(world);
	}
}

/* Two seconds of five times the load, again and again. */
static double spikes(int second)
{
	bool is_spike = second > 0 && second % 97 < 2;

	return (is_spike ? 1750 : 350) + 15 * normal(second, 3);
}

static double rare_spikes(int second)
{
	return second > 0 && second % 701 == 0 ? 1500 : 350;
}

static void spikes_are_answered_until_they_are_known(void **state)
{
	struct world *world;

	(void)state;
	load.seed = 1;
	world = loaded(4, spikes, 0);
	request_policy(world, 100);
	assert_in_range(follow(world, 7200).turns, 0, 4);
	world_free(world);

	/* Too rare to be remembered, but each that fooled it makes it wait longer for the next. */
	world = loaded(4, rare_spikes, 0);
	request_policy(world, 100);
	assert_in_range(follow(world, 10000).turns, 0, 9);
	world_free(world);
}

static double on_and_off(int second)
{
	return second / 60 % 2 ? 150 : 390;
}

static void a_group_that_was_too_quick_to_shrink_takes_its_time(void **state)
{
	struct world *world = loaded(4, on_and_off, 0);
	struct course course;

	(void)state;
	load.seed = 1;
	request_policy(world, 100);
	course = follow(world, 3000); /* fifty changes of the load */
	assert_in_range(course.turns, 1, 8);
	assert_int_equal(world->group->desired, 4);
	world_free(world);
}

static double wave(int second)
{
	return 600 - 400 * cos(second / 3600.0 * 6.2831853) + 20 * normal(second, 5);
}

static void a_wave_is_followed_and_noise_adds_few_turns(void **state)
{
	(void)state;
	for (load.seed = 1; load.seed <= 4; load.seed++) {
		struct world *world = loaded(4, wave, 0);
		struct course course;

		request_policy(world, 100);
		course = follow(world, 7200);
		assert_in_range(course.turns, 3, 7); /* two waves have three of their own */
		assert_in_range(course.most, 10, 12);
		assert_in_range(course.least, 2, 4);
		world_free(world);
	}
}

/* ---- steps ---- */

static double factor;
static int step_at;

static double step(int second)
{
	double base = second < step_at ? 350 : 350 * factor;

	return base + sqrt(base) * normal(second, 9);
}

/* Seconds from the step to the first launch; whole ones, as the load balancer counts. */
static int reaction(double with_factor)
{
	struct world *world = loaded(4, step, 0);
	int seconds = 0;

	factor = with_factor;
	step_at = 60;
	request_policy(world, 100);
	while (world->group->desired == 4 && seconds < 200) {
		pass(world);
		seconds++;
	}
	world_free(world);
	return seconds - step_at;
}

static void the_larger_the_step_the_sooner(void **state)
{
	(void)state;
	for (load.seed = 1; load.seed <= 20; load.seed++) {
		assert_int_equal(reaction(3), 1);
		assert_int_equal(reaction(2.2), 1);
		assert_in_range(reaction(1.6), 1, 3);
		assert_in_range(reaction(1.3), 3, 10);
	}
}

static void a_step_that_lasts_is_met_in_full(void **state)
{
	struct world *world = loaded(4, step, 0);

	(void)state;
	load.seed = 3;
	factor = 3;
	step_at = 60;
	request_policy(world, 100);
	(void)follow(world, 90);
	assert_in_range(world->group->desired, 11, 12); /* 1050 of 100 each */
	world_free(world);
}

/* Figures of before the newcomers came must not be read as of so many more. */
static void newcomers_do_not_multiply_what_was_measured_without_them(void **state)
{
	struct world *world = loaded(4, step, 0);

	(void)state;
	load.seed = 4;
	factor = 3;
	step_at = 60;
	request_policy(world, 100);
	assert_in_range(follow(world, 600).most, 11, 12);
	world_free(world);
}

/* ---- windows ---- */

static json_t *windows(const struct world *world)
{
	const struct policy *policy = TAILQ_FIRST(&world->group->policies);

	return doc_object(policy->document, "TargetTrackingConfiguration");
}

static double fall(int second)
{
	return second < 30 ? 380 : 100;
}

static void windows_of_the_policy_take_the_place_of_the_rules(void **state)
{
	struct world *world = loaded(4, step, 0);
	int seconds = 0;

	(void)state;
	load.seed = 2;
	factor = 3;
	step_at = 60;
	request_policy(world, 100);
	json_object_set_new(windows(world), "ScaleOutWindow", json_integer(20));
	while (world->group->desired == 4 && seconds < 200) {
		pass(world);
		seconds++;
	}
	assert_int_equal(seconds, step_at + 20);
	world_free(world);

	world = loaded(4, fall, 0);
	request_policy(world, 100);
	json_object_set_new(windows(world), "ScaleInWindow", json_integer(300));
	for (seconds = 0; world->group->desired == 4 && seconds < 1000; seconds++)
		pass(world);
	/* In periods of five seconds. */
	assert_in_range(seconds, 30 + 295, 30 + 310);
	assert_int_equal(world->group->desired, 1);
	world_free(world);
}

/* ---- missing figures ---- */

static double low(int second)
{
	(void)second;
	return 40;
}

static void what_is_not_known_is_not_taken_away(void **state)
{
	struct world *world = loaded(4, low, 0);

	(void)state;
	request_policy(world, 100);
	world_cpu_policy(world, "cpu", 50, 10, false);
	load.is_silent = true;
	assert_int_equal(follow(world, 900).changes, 0);
	load.is_silent = false;
	(void)follow(world, 60);
	assert_int_equal(world->group->desired, 1);
	world_free(world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(cpu_that_jitters_below_the_target_does_not_swing),
	    cmocka_unit_test(requests_that_come_by_chance_do_not_swing),
	    cmocka_unit_test(spikes_are_answered_until_they_are_known),
	    cmocka_unit_test(a_group_that_was_too_quick_to_shrink_takes_its_time),
	    cmocka_unit_test(a_wave_is_followed_and_noise_adds_few_turns),
	    cmocka_unit_test(the_larger_the_step_the_sooner),
	    cmocka_unit_test(a_step_that_lasts_is_met_in_full),
	    cmocka_unit_test(newcomers_do_not_multiply_what_was_measured_without_them),
	    cmocka_unit_test(windows_of_the_policy_take_the_place_of_the_rules),
	    cmocka_unit_test(what_is_not_known_is_not_taken_away),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
