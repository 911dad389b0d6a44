/*
 * Forecasts of synthetic weeks: daily and weekly patterns, trends, noise, gaps; and what becomes of
 * them in capacity.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "scaler/engine/forecast.h"

enum { START = 20454 * 24 }; /* 2026-01-01T00:00:00Z */

static double noise; /* in parts of the load */

static double unit(int64_t hour)
{
	uint64_t x = (uint64_t)hour * 6364136223846793005u + 1442695040888963407u;

	x ^= x >> 29;
	x *= 0xbf58476d1ce4e5b9u;
	x ^= x >> 32;
	return (double)(x >> 11) / (double)(1ULL << 53) - 0.5;
}

static double noisy(int64_t hour, double load)
{
	return load * (1 + 2 * noise * unit(hour));
}

/* 100 at night, 500 in office hours. */
static double daily(int64_t hour)
{
	int64_t of_day = hour % 24;

	return noisy(hour, of_day >= 8 && of_day < 18 ? 500 : 100);
}

/* The same, but quiet on two days of seven. */
static double weekly(int64_t hour)
{
	return hour % 168 >= 120 ? noisy(hour, 80) : daily(hour);
}

static double smooth(int64_t hour)
{
	return noisy(hour, 300 + 200 * sin(2 * M_PI * (double)hour / 24));
}

/* It grows by a tenth of its first mean each day. */
static double growing(int64_t hour)
{
	return smooth(hour) + 30 * (double)(hour - START) / 24;
}

static double constant(int64_t hour)
{
	(void)hour;
	return 400;
}

static double random_load(int64_t hour)
{
	double x = unit(hour) + 0.5;

	return x * x * x * x * 1000;
}

static struct forecast made(double (*load)(int64_t hour), int hours)
{
	double values[FORECAST_HISTORY];
	struct forecast forecast;

	for (int i = 0; i < hours; i++)
		values[i] = load(START + i);
	assert_int_equal(forecast_make(values, (size_t)hours, START, &forecast), 0);
	return forecast;
}

/* Mean error of the two days forecast, in percent of the mean load. */
static double miss(double (*load)(int64_t hour), int hours, const struct forecast *forecast)
{
	double missed = 0, all = 0;

	for (int i = 0; i < FORECAST_AHEAD; i++) {
		missed += fabs(forecast->load[i] - load(START + hours + i));
		all += load(START + hours + i);
	}
	return 100 * missed / all;
}

static void patterns_are_found_and_carried_on(void **state)
{
	static const struct {
		double (*load)(int64_t hour);
		int hours;
		double noise;
		double miss; /* percent, at most */
	} table[] = {
	    {constant, 24, 0, 0.01}, {constant, 336, 0, 0.01}, {daily, 24, 0, 0.01},
	    {daily, 48, 0, 0.01},    {daily, 100, 0, 0.01},    {daily, 336, 0, 0.01},
	    {daily, 336, 0.1, 8},    {weekly, 192, 0, 0.01},   {weekly, 336, 0, 0.01},
	    {weekly, 336, 0.1, 8},   {weekly, 300, 0, 0.01},   {smooth, 72, 0, 0.01},
	    {smooth, 336, 0, 0.01},  {smooth, 336, 0.2, 12},   {growing, 240, 0, 0.01},
	    {growing, 336, 0.05, 6},
	};

	(void)state;
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		struct forecast forecast;
		double missed;

		noise = table[i].noise;
		forecast = made(table[i].load, table[i].hours);
		missed = miss(table[i].load, table[i].hours, &forecast);
		if (!(missed <= table[i].miss))
			fail_msg("row %zu: missed by %.2f %%, by %s", i, missed,
				 forecast_model_name(forecast.model));
		assert_false(forecast.error > table[i].miss / 100 * 2);
	}
	noise = 0;
}

static void the_model_is_the_one_that_was_nearest(void **state)
{
	(void)state;
	assert_int_equal(made(daily, 100).model, FORECAST_HOUR_OF_DAY);
	assert_int_equal(made(weekly, 300).model, FORECAST_HOUR_OF_WEEK);
	assert_int_equal(made(growing, 300).model, FORECAST_CURVE);
}

static void a_day_of_hours_is_needed(void **state)
{
	double values[48];
	struct forecast forecast;

	(void)state;
	for (int i = 0; i < 48; i++)
		values[i] = i < 24 ? NAN : daily(START + i);
	assert_int_equal(forecast_make(values, 47, START, &forecast), -1);
	assert_int_equal(forecast_make(values, 48, START, &forecast), 0);
	assert_true(isnan(forecast.error)); /* nothing is left to test it by */
	assert_true(fabs(forecast.load[10] - 500) < 1e-9);
	assert_int_equal(forecast_make(values, 0, START, &forecast), -1);
}

static void gaps_do_no_harm(void **state)
{
	double values[FORECAST_HISTORY];
	struct forecast forecast;

	(void)state;
	for (int i = 0; i < FORECAST_HISTORY; i++)
		values[i] = i % 5 == 3 || (i > 100 && i < 130) ? NAN : weekly(START + i);
	values[FORECAST_HISTORY - 1] = NAN;
	assert_int_equal(forecast_make(values, FORECAST_HISTORY, START, &forecast), 0);
	assert_true(miss(weekly, FORECAST_HISTORY, &forecast) < 3);
}

static double doubled_today(int64_t hour)
{
	return hour >= START + 312 ? 2 * daily(hour) : daily(hour);
}

static double tenfold_today(int64_t hour)
{
	return hour >= START + 312 ? 10 * daily(hour) : daily(hour);
}

static void an_unusual_day_carries_on_by_half_a_day(void **state)
{
	struct forecast forecast = made(doubled_today, FORECAST_HISTORY);

	(void)state;
	/* 336 hours: the next one is the first of a day, 100 on others. */
	assert_true(fabs(forecast.load[0] - 100 * (1 + pow(0.5, 1.0 / 24))) < 1e-6);
	assert_true(fabs(forecast.load[23] - 100 * 1.5) < 1e-6);
	assert_true(fabs(forecast.load[47] - 100 * 1.25) < 1e-6);
	/* Of ten times the load no more than twice is believed. */
	assert_true(made(tenfold_today, FORECAST_HISTORY).load[0] < 200);
}

static void most_hours_stay_below_the_upper_estimate(void **state)
{
	struct forecast forecast;
	int below = 0, of = 0;

	(void)state;
	noise = 0.2;
	for (int hours = 200; hours <= FORECAST_HISTORY; hours += 8) {
		forecast = made(daily, hours);
		for (int i = 0; i < 24; i++) {
			below += daily(START + hours + i) <= forecast.upper[i];
			of++;
		}
	}
	noise = 0;
	assert_true(below > of * 85 / 100);
	forecast = made(daily, 300);
	assert_true(fabs(forecast.upper[5] - forecast.load[5]) < 1e-6);
}

static void what_has_no_pattern_has_a_large_error(void **state)
{
	struct forecast forecast = made(random_load, FORECAST_HISTORY);

	(void)state;
	assert_true(forecast.error > 0.5);
	noise = 0.1;
	assert_true(made(weekly, FORECAST_HISTORY).error < 0.2);
	noise = 0;
}

static void a_load_of_nothing_is_forecast_as_nothing(void **state)
{
	double values[FORECAST_HISTORY] = {0};
	struct forecast forecast;

	(void)state;
	assert_int_equal(forecast_make(values, FORECAST_HISTORY, START, &forecast), 0);
	for (int i = 0; i < FORECAST_AHEAD; i++)
		assert_true(forecast.load[i] >= 0 && forecast.upper[i] < 1e-6);
	assert_true(forecast.error < 1e-9);
}

static void capacity_keeps_the_metric_at_the_target(void **state)
{
	static const struct {
		double load, relation, target;
		int capacity;
	} table[] = {
	    {400, 1, 50, 8},           {401, 1, 50, 9},           {0, 1, 50, 0},
	    {36000, 1.0 / 60, 100, 6}, {36001, 1.0 / 60, 100, 7}, {1e300, 1, 1e-9, 1000000},
	};

	(void)state;
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
		assert_int_equal(
		    forecast_capacity(table[i].load, table[i].relation, table[i].target),
		    table[i].capacity);
}

static void the_relation_is_learnt_from_the_past(void **state)
{
	double load[48], metric[48], capacity[48];

	(void)state;
	for (int i = 0; i < 48; i++) {
		load[i] = 1000 + 100 * i;
		capacity[i] = 2 + i % 3;
		metric[i] = 0.02 * load[i] / capacity[i];
	}
	assert_true(fabs(forecast_relation(load, metric, capacity, 48) - 0.02) < 1e-9);
	assert_true(forecast_correlation(load, metric, capacity, 48) > 0.999);
	for (int i = 0; i < 48; i++)
		metric[i] = 50;
	assert_true(isnan(forecast_correlation(load, metric, capacity, 48)));
	for (int i = 5; i < 48; i++)
		capacity[i] = NAN;
	assert_true(isnan(forecast_relation(load, metric, capacity, 48)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(patterns_are_found_and_carried_on),
	    cmocka_unit_test(the_model_is_the_one_that_was_nearest),
	    cmocka_unit_test(a_day_of_hours_is_needed),
	    cmocka_unit_test(gaps_do_no_harm),
	    cmocka_unit_test(an_unusual_day_carries_on_by_half_a_day),
	    cmocka_unit_test(most_hours_stay_below_the_upper_estimate),
	    cmocka_unit_test(what_has_no_pattern_has_a_large_error),
	    cmocka_unit_test(a_load_of_nothing_is_forecast_as_nothing),
	    cmocka_unit_test(capacity_keeps_the_metric_at_the_target),
	    cmocka_unit_test(the_relation_is_learnt_from_the_past),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
