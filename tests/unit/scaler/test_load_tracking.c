/*
 * Load tracking over simulated load, second by second: steps, dips, spikes, noise, missing data.
 */
#include "scaler/engine/parts.h"
#include "tests/unit/scaler/engine_world.h"

#define LABEL "app/web/0123456789abcdef/targetgroup/web/0123456789abcdef"

static int64_t start_ms;                   /* the curve's 0 */
static double (*load_at)(int second);      /* requests in the second; NAN: no datapoint */
static double (*in_flight_at)(int second); /* NULL: no such metric */
static unsigned seed;

/* Rough normal noise of variance 1, the same for the same second. */
static double noise(int second)
{
	unsigned x = (unsigned)second * 2654435761u + seed * 40503u;
	double sum = 0;

	for (int i = 0; i < 12; i++) {
		x ^= x << 13;
		x ^= x >> 17;
		x ^= x << 5;
		sum += (double)(x >> 8) / (1 << 24);
	}
	return sum - 6;
}

static int metric(void *arg, const struct metric_request *request)
{
	const char *tg = doc_str(json_array_get(request->dimensions, 1), "Value", "");
	double (*curve)(int) = NULL;
	int found = 0;

	(void)arg;
	if (strcmp(request->namespace, "AWS/EC2") == 0)
		return 0; /* how busy each instance is, asked when one is to go */
	assert_string_equal(tg, "targetgroup/web/0123456789abcdef");
	assert_string_equal(request->namespace, "AWS/ApplicationELB");
	if (strcmp(request->name, "RequestCount") == 0)
		curve = load_at;
	if (strcmp(request->name, "InFlightRequestCount") == 0)
		curve = in_flight_at;
	for (int i = 0; curve && i < request->n; i++) {
		int64_t at_ms = request->end_ms - (request->n - i) * 1000LL * request->period_s;
		double sum = 0;

		for (int k = 0; k < request->period_s; k++)
			sum += curve((int)((at_ms - start_ms) / 1000) + k);
		if (isnan(sum))
			continue;
		request->values[i] = sum;
		found++;
	}
	return found;
}

static struct policy *load_policy(struct world *world, const char *members)
{
	json_t *config = json_loads(members, 0, NULL);

	assert_non_null(config);
	json_object_set_new(config, "ResourceLabel", json_string(LABEL));
	world_policy(world, json_pack("{s:s, s:s, s:o}", "PolicyName", "load", "PolicyType",
				      "LoadTracking", "LoadTrackingConfiguration", config));
	return group_policy(world->group, "load");
}

/* A group in service whose curve begins now; what was before is the curve's too. */
static struct world *loaded(int min, int max, int desired, double (*load)(int), const char *members)
{
	struct world *world = world_new(min, max, desired);

	load_at = load;
	in_flight_at = NULL;
	world_pass(world, 5);
	assert_int_equal(group_count(world->group).in_service, desired);
	start_ms = (world->now_ms + 999) / 1000 * 1000;
	world->now_ms = start_ms;
	world->metric = metric;
	(void)load_policy(world, members);
	return world;
}

static double constant;

static double steady(int second)
{
	(void)second;
	return constant;
}

static double step(int second)
{
	return second < 0 ? 350 : 900;
}

static void a_step_in_load_is_met_at_once_with_all_that_it_needs(void **state)
{
	struct world *world = loaded(1, 20, 4, step, "{\"RequestsPerTarget\": 100}");
	int seconds = 0;

	(void)state;
	while (world->group->desired == 4 && seconds < 30) {
		world_pass(world, 1);
		seconds++;
	}
	assert_true(seconds <= 5);
	assert_int_equal(world->group->desired, 9); /* ceil(900 / 100): +5 */
	assert_int_equal(world->n_runs, 3 + 3);     /* of three zones */
	assert_non_null(strstr(TAILQ_FIRST(&world->group->activities)->cause,
			       "a load of 900.0 requests per second triggered load tracking policy "
			       "load changing the desired capacity from 4 to 9"));
	world_pass(world, 60);
	assert_int_equal(world->group->desired, 9); /* what is on its way is not ordered twice */
	world_free(world);
}

static double dip(int second)
{
	return second >= 0 && second < 60 ? 300 : 900;
}

static void a_dip_of_a_minute_takes_nothing_away(void **state)
{
	struct world *world = loaded(1, 20, 9, dip, "{\"RequestsPerTarget\": 100}");

	(void)state;
	world_pass(world, 600);
	assert_int_equal(world->group->desired, 9);
	world_free(world);
}

static double spike(int second)
{
	return second % 60 < 2 && second >= 0 ? 1500 : 350;
}

static double fall(int second)
{
	return second < 0 ? 1900 : 500;
}

static void load_that_has_gone_is_followed_a_tenth_a_minute(void **state)
{
	struct world *world = loaded(1, 40, 20, fall, "{\"RequestsPerTarget\": 100}");
	int last = 20;

	(void)state;
	world_pass(world, 300);
	assert_int_equal(world->group->desired, 20); /* the long window has seen 1900 */
	for (int minute = 0; minute < 25; minute++) {
		world_pass(world, 60);
		assert_true(last - world->group->desired <= (last / 10 > 1 ? last / 10 : 1));
		last = world->group->desired;
	}
	/* 500 / 100 is 5, but 5 would be at 100 %: 6 are at 83, which is under 90. */
	assert_int_equal(world->group->desired, 6);
	world_pass(world, 600);
	assert_int_equal(world->group->desired, 6);
	world_free(world);
}

static void who_is_left_carries_the_load_with_room_to_spare(void **state)
{
	static const struct {
		double load;
		int desired, settles;
	} table[] = {
	    {850, 12, 10},               /* 9 would be at 94 % */
	    {850, 10, 10}, {800, 10, 9}, /* 9 are at 89 % */
	    {90, 2, 1},    {95, 2, 2},   {0, 5, 1},
	};

	(void)state;
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		struct world *world;

		constant = table[i].load;
		world = loaded(1, 40, table[i].desired, steady, "{\"RequestsPerTarget\": 100}");
		world_pass(world, 900);
		assert_int_equal(world->group->desired, table[i].settles);
		world_free(world);
	}
}

static void the_formula_with_margin_and_tolerance(void **state)
{
	static const struct {
		double load;
		const char *config;
		int desired, result;
	} table[] = {
	    {900, "{\"RequestsPerTarget\": 100}", 4, 9},
	    {900, "{\"RequestsPerTarget\": 100, \"Margin\": 25}", 4, 12},
	    /* 21 is no more than 20 x 1.1. */
	    {2050, "{\"RequestsPerTarget\": 100}", 20, 20},
	    {2050, "{\"RequestsPerTarget\": 100, \"Tolerance\": 0}", 20, 21},
	    {2250, "{\"RequestsPerTarget\": 100}", 20, 23},
	    {420, "{\"RequestsPerTarget\": 100}", 4, 5},
	    {9000, "{\"RequestsPerTarget\": 100}", 4, 30},
	};

	(void)state;
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		struct world *world;

		constant = table[i].load;
		world = loaded(1, 30, table[i].desired, steady, table[i].config);
		world_pass(world, 10);
		assert_int_equal(world->group->desired, table[i].result);
		world_free(world);
	}
}

static double slow_service(int second)
{
	(void)second;
	return 30; /* 50 requests a second that take 0.6 s */
}

static double pile(int second)
{
	return second < 0 ? 8 : 8 + 100.0 * second;
}

static void what_takes_long_is_seen_by_what_is_in_flight(void **state)
{
	struct world *world;

	(void)state;
	constant = 50;
	world = loaded(2, 20, 2, steady, "{\"RequestsPerTarget\": 100, \"InFlightPerTarget\": 8}");
	in_flight_at = slow_service;
	world_pass(world, 20); /* newcomers first have time to work off what waits */
	assert_int_equal(world->group->desired, 2);
	world_pass(world, 15);
	assert_int_equal(world->group->desired, 4); /* 30 / 8 */
	world_free(world);

	/* What piles up in front of too few is no demand: no more than twice those in service. */
	world = loaded(1, 50, 2, steady, "{\"InFlightPerTarget\": 8}");
	in_flight_at = pile;
	world_pass(world, 45);
	assert_int_equal(world->group->desired, 4);
	world_pass(world, 40);
	assert_int_equal(world->group->desired, 8);
	world_free(world);
}

static double silent(int second)
{
	return second < 0 ? 750 : NAN;
}

static double holes(int second)
{
	return second % 400 > 380 ? NAN : 100;
}

static void without_figures_nothing_moves(void **state)
{
	struct world *world = loaded(1, 20, 8, silent, "{\"RequestsPerTarget\": 100}");

	(void)state;
	world_pass(world, 600);
	assert_int_equal(world->group->desired, 8);
	world_free(world);

	/* A hole of twenty seconds is no reason to stay for ever, but none to go either. */
	world = loaded(1, 20, 2, holes, "{\"RequestsPerTarget\": 100}");
	world_pass(world, 1200);
	assert_in_range(world->group->desired, 1, 2);
	world_free(world);
}

static void in_flight_without_figures_keeps_what_is_there(void **state)
{
	struct world *world;

	(void)state;
	constant = 10;
	world = loaded(1, 20, 8, steady, "{\"RequestsPerTarget\": 100, \"InFlightPerTarget\": 8}");
	world_pass(world, 900);
	assert_int_equal(world->group->desired, 8);
	constant = 1500; /* out goes by what is known */
	world_pass(world, 10);
	assert_int_equal(world->group->desired, 15);
	world_free(world);
}

static void with_disable_scale_in_nothing_is_taken_away(void **state)
{
	struct world *world;

	(void)state;
	constant = 10;
	world = loaded(1, 20, 8, steady, "{\"RequestsPerTarget\": 100, \"DisableScaleIn\": true}");
	world_pass(world, 900);
	assert_int_equal(world->group->desired, 8);
	world_free(world);
}

static void the_rate_of_scaling_in_survives_a_restart(void **state)
{
	struct world *world;
	int before;

	(void)state;
	constant = 10;
	world = loaded(1, 20, 10, steady, "{\"RequestsPerTarget\": 100}");
	while (world->group->desired == 10)
		world_pass(world, 1);
	before = world->group->desired;
	assert_int_equal(before, 9);
	for (int i = 0; i < 58; i++) {
		world_restart(world);
		world_pass(world, 1);
		assert_int_equal(world->group->desired, before);
	}
	world_pass(world, 5);
	assert_int_equal(world->group->desired, 8);
	world_free(world);
}

/* Poisson-like around 85 % of what four can do. */
static double noisy(int second)
{
	double mean = 340, value = mean + sqrt(mean) * noise(second);

	return value > 0 ? value : 0;
}

/* Bursts: every second a factor of its own. */
static double bursty(int second)
{
	return 300 * exp(0.4 * noise(second));
}

static double wave(int second)
{
	return 600 + 400 * sin(second / 3600.0 * 6.2831853) + 25 * noise(second);
}

/* How often the direction of desired changes in two hours. */
static int turns(double (*load)(int), unsigned with_seed)
{
	struct world *world;
	int direction = 0, n = 0, last = 4;

	seed = with_seed;
	world = loaded(1, 40, 4, load, "{\"RequestsPerTarget\": 100}");
	for (int i = 0; i < 7200; i++) {
		int moved;

		world_pass(world, 1);
		moved = (world->group->desired > last) - (world->group->desired < last);
		n += moved != 0 && direction != 0 && moved != direction;
		direction = moved ? moved : direction;
		last = world->group->desired;
	}
	world_free(world);
	return n;
}

static void spikes_order_at_most_once(void **state)
{
	(void)state;
	assert_in_range(turns(spike, 1), 0, 1);
}

static void noise_does_not_make_it_swing(void **state)
{
	(void)state;
	for (unsigned i = 1; i <= 5; i++) {
		assert_in_range(turns(noisy, i), 0, 2);
		assert_in_range(turns(bursty, i), 0, 12);
		/* Two hours of an hourly wave have four turns of their own. */
		assert_in_range(turns(wave, i), 2, 8);
	}
}

static void what_max_holds_back_is_told(void **state)
{
	struct world *world;

	(void)state;
	constant = 1100;
	world = loaded(1, 8, 8, steady, "{\"RequestsPerTarget\": 100}");
	world_pass(world, 10);
	assert_int_equal(world->group->desired, 8);
	assert_int_equal(world->group->wanted, 11);
	world_free(world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_step_in_load_is_met_at_once_with_all_that_it_needs),
	    cmocka_unit_test(a_dip_of_a_minute_takes_nothing_away),
	    cmocka_unit_test(spikes_order_at_most_once),
	    cmocka_unit_test(load_that_has_gone_is_followed_a_tenth_a_minute),
	    cmocka_unit_test(who_is_left_carries_the_load_with_room_to_spare),
	    cmocka_unit_test(the_formula_with_margin_and_tolerance),
	    cmocka_unit_test(what_takes_long_is_seen_by_what_is_in_flight),
	    cmocka_unit_test(without_figures_nothing_moves),
	    cmocka_unit_test(in_flight_without_figures_keeps_what_is_there),
	    cmocka_unit_test(with_disable_scale_in_nothing_is_taken_away),
	    cmocka_unit_test(the_rate_of_scaling_in_survives_a_restart),
	    cmocka_unit_test(noise_does_not_make_it_swing),
	    cmocka_unit_test(what_max_holds_back_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
