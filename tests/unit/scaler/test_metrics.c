/* scaler/metrics/statistic: names, distributions, trimmed statistics. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "scaler/metrics/statistic.h"

static void assert_near(double value, double expected, double within)
{
	if (!(fabs(value - expected) <= within))
		fail_msg("%.12g is not within %g of %.12g", value, within, expected);
}

static double ask(struct dist *dist, const struct stat_set *set, const char *name)
{
	struct statistic statistic;
	double value = NAN;

	assert_int_equal(statistic_parse(name, &statistic), 0);
	assert_true(statistic_value(&statistic, set, dist, &value));
	return value;
}

static void names_of_statistics_are_read(void **state)
{
	static const char *const good[] = {
	    "SampleCount", "Sum",         "Average",  "Minimum",  "Maximum",
	    "p0",          "p50",         "p99.9",    "p100",     "p99.9999999999",
	    "tm90",        "TM(10%:90%)", "TM(:200)", "TM(150:)", "wm98",
	    "tc90",        "TC(0.1:0.3)", "ts90",     "PR(:20)",  "PR(100:2000)",
	    "IQM",         "WM(10%:90%)",
	};
	static const char *const bad[] = {
	    "",          "average",
	    "p",         "p101",
	    "p-1",       "pNaN",
	    "p1e1",      "p50%",
	    "tm",        "tm101",
	    "TM(:)",     "TM()",
	    "TM(5:1)",   "TM(10%:90)",
	    "PR(5)",     "pr90",
	    "PR(1%:2%)", "TM(1:2",
	    "p inf",     "TM(1:101%)",
	    "p1.2.3",    "TM(0:999999999999999999999999999999999999)",
	};
	struct statistic statistic;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		if (statistic_parse(good[i], &statistic) != 0)
			fail_msg("%s was refused", good[i]);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (statistic_parse(bad[i], &statistic) == 0)
			fail_msg("%s was taken", bad[i]);
}

static void units_have_names(void **state)
{
	(void)state;
	for (int i = 0; i < METRIC_UNIT_COUNT; i++)
		assert_int_equal(metric_unit_from_name(metric_unit_name(i)), i);
	assert_int_equal(metric_unit_from_name("None"), METRIC_UNIT_NONE);
	assert_int_equal(metric_unit_from_name("percent"), -1);
	assert_null(metric_unit_name(METRIC_UNIT_ANY));
}

/* Values [10,20,100], Counts [50,45,5]. */
static void values_with_counts_give_percentiles_and_trims(void **state)
{
	struct stat_set set = {100, 1900, 10, 100};
	struct dist dist = {0};

	(void)state;
	assert_int_equal(dist_add(&dist, 100, 5), 0);
	assert_int_equal(dist_add(&dist, 10, 50), 0);
	assert_int_equal(dist_add(&dist, 20, 45), 0);
	assert_near(ask(NULL, &set, "Average"), 19, 0);
	assert_near(ask(&dist, &set, "p50"), 10, 0);
	assert_near(ask(&dist, &set, "p50.1"), 20, 0);
	assert_near(ask(&dist, &set, "p90"), 20, 0);
	assert_near(ask(&dist, &set, "p95"), 20, 0);
	assert_near(ask(&dist, &set, "p99"), 100, 0);
	assert_near(ask(&dist, &set, "p0"), 10, 0);
	assert_near(ask(&dist, &set, "p100"), 100, 0);
	assert_near(ask(&dist, &set, "TM(0%:95%)"), 14.74, 0.005);
	assert_near(ask(&dist, &set, "tm95"), 14.74, 0.005);
	assert_near(ask(&dist, &set, "TM(:20)"), 1400.0 / 95, 1e-9);
	assert_near(ask(&dist, &set, "PR(:20)"), 95, 1e-9);
	assert_near(ask(&dist, &set, "PR(10:20)"), 45, 1e-9);
	assert_near(ask(&dist, &set, "tc90"), 90, 1e-9);
	assert_near(ask(&dist, &set, "ts50"), 500, 1e-9);
	assert_near(ask(&dist, &set, "IQM"), (25 * 10 + 25 * 20) / 50.0, 1e-9);
	assert_near(ask(&dist, &set, "wm95"), (1400 + 5 * 20) / 100.0, 1e-9);
	assert_near(ask(&dist, &set, "WM(:50)"), (1400 + 5 * 50) / 100.0, 1e-9);
	dist_fini(&dist);
}

/* {n 2, sum 30, min 10, max 20} and 40. */
static void sets_merge(void **state)
{
	struct stat_set set = {2, 30, 10, 20};
	const struct stat_set one = {1, 40, 40, 40}, none = {0};
	struct statistic p50;
	double value;

	(void)state;
	stat_set_merge(&set, &one);
	stat_set_merge(&set, &none);
	assert_near(set.count, 3, 0);
	assert_near(ask(NULL, &set, "Average"), 23.333, 0.001);
	assert_near(set.min, 10, 0);
	assert_near(set.max, 40, 0);
	assert_int_equal(statistic_parse("p50", &p50), 0);
	assert_false(statistic_value(&p50, &set, NULL, &value));
	assert_false(statistic_value(&p50, &none, NULL, &value));
}

static void many_distinct_values_are_bucketed_within_one_percent(void **state)
{
	struct stat_set set = {100000, 0, 1, 100000};
	struct dist dist = {0};

	(void)state;
	for (int i = 1; i <= 100000; i++)
		assert_int_equal(dist_add(&dist, (double)((i * 7919LL) % 100000 + 1), 1), 0);
	assert_true(dist.is_bucketed);
	assert_true(dist.cap <= 4096);
	for (int p = 1; p < 100; p++) {
		char name[16];

		snprintf(name, sizeof(name), "p%d", p);
		assert_near(ask(&dist, &set, name), p * 1000.0, p * 1000.0 * 0.0101);
	}
	assert_near(ask(&dist, &set, "p100"), 100000, 1000);
	dist_compact(&dist);
	assert_near(ask(&dist, &set, "p50"), 50000, 505);
	dist_fini(&dist);
}

static void negative_values_leave_percentiles_unknown(void **state)
{
	struct stat_set set = {2, 0, -1, 1};
	struct dist dist = {0};
	struct statistic p50;
	double value;

	(void)state;
	assert_int_equal(dist_add(&dist, 1, 1), 0);
	assert_int_equal(dist_add(&dist, -1, 1), 0);
	assert_int_equal(statistic_parse("p50", &p50), 0);
	assert_false(statistic_value(&p50, &set, &dist, &value));
	dist_fini(&dist);
}

static void extreme_values_do_no_harm(void **state)
{
	struct stat_set set = {3, 2e108, 0, 2e108};
	struct dist dist = {0};

	(void)state;
	assert_int_equal(dist_add(&dist, 0, 0), 0); /* a count of 0 is nothing */
	assert_int_equal(dist.n, 0);
	assert_int_equal(dist_add(&dist, 0, 1), 0);
	assert_int_equal(dist_add(&dist, 5e-324, 1), 0);
	assert_int_equal(dist_add(&dist, 2e108, 1), 0);
	dist_compact(&dist);
	assert_near(ask(&dist, &set, "p100") / 2e108, 1, 0.0101);
	assert_near(ask(&dist, &set, "p1"), 0, 0);
	dist_fini(&dist);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(names_of_statistics_are_read),
	    cmocka_unit_test(units_have_names),
	    cmocka_unit_test(values_with_counts_give_percentiles_and_trims),
	    cmocka_unit_test(sets_merge),
	    cmocka_unit_test(many_distinct_values_are_bucketed_within_one_percent),
	    cmocka_unit_test(negative_values_leave_percentiles_unknown),
	    cmocka_unit_test(extreme_values_do_no_harm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
