/* scaler/metrics/series: what is put can be read by any period, and memory stays bounded. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/clock.h"
#include "scaler/metrics/series.h"

#define DAY (24 * HOUR)
#define T0 1767225600000LL /* 2026-01-01T00:00:00Z */
#define HOUR (3600LL * 1000LL)

static const struct metric_dimension group_dims[] = {{"AutoScalingGroupName", "web"},
						     {"Zone", "a"}};
static const struct metric_dimension swapped_dims[] = {{"Zone", "a"},
						       {"AutoScalingGroupName", "web"}};
static const struct metric_key key = {"Lab", "Load", group_dims, 2};

static int new_metrics(void **state)
{
	*state = metrics_new(NULL);
	return *state == NULL;
}

static int free_metrics(void **state)
{
	metrics_free(*state);
	return 0;
}

static void put(struct metrics *metrics, int resolution_s, int64_t at_ms, double value)
{
	struct metric_datum datum = {
	    .key = key,
	    .resolution_s = resolution_s,
	    .at_ms = at_ms,
	    .set = {1, value, value, value},
	};

	assert_int_equal(metrics_put(metrics, &datum, at_ms), METRICS_OK);
}

static void put_values(struct metrics *metrics, int resolution_s, int64_t at_ms,
		       const struct dist_entry values[], size_t n)
{
	struct metric_datum datum = {
	    .key = key,
	    .resolution_s = resolution_s,
	    .at_ms = at_ms,
	    .values = values,
	    .n_values = n,
	};

	assert_int_equal(metrics_put(metrics, &datum, at_ms), METRICS_OK);
}

/* NOLINTNEXTLINE(readability-function-size): tests read better without a struct */
static size_t get(struct metrics *metrics, const char *statistic, int period_s, int64_t start_ms,
		  int64_t end_ms, struct metric_point out[], size_t max)
{
	return metrics_statistic(metrics, &key, statistic, period_s, start_ms, end_ms, out, max);
}

static double get_one(struct metrics *metrics, const char *statistic, int period_s,
		      int64_t start_ms)
{
	struct metric_point point[2];

	assert_int_equal(
	    get(metrics, statistic, period_s, start_ms, start_ms + period_s * 1000LL, point, 2), 1);
	assert_int_equal(point[0].at_ms, start_ms);
	return point[0].value;
}

static void seconds_are_put_together_into_any_period(void **state)
{
	struct metrics *metrics = *state;
	static const int periods[] = {1, 5, 10, 20, 30, 60, 120, 300, 600};
	struct metric_point points[700];

	for (int i = 0; i < 600; i++)
		put(metrics, 1, T0 + i * 1001LL, i);
	for (size_t p = 0; p < sizeof(periods) / sizeof(periods[0]); p++) {
		size_t n = get(metrics, "Sum", periods[p], T0, T0 + 600000, points, 700);

		assert_int_equal(n, 600 / periods[p]);
		for (size_t i = 0; i < n; i++) {
			double from = (double)(i * periods[p]), len = periods[p];

			assert_int_equal(points[i].at_ms, T0 + (int64_t)from * 1000LL);
			assert_true(points[i].value == len * from + len * (len - 1) / 2);
			assert_true(points[i].samples == len);
		}
	}
	assert_true(get_one(metrics, "Average", 60, T0) == 29.5);
	assert_true(get_one(metrics, "Minimum", 60, T0 + 60000) == 60);
	assert_true(get_one(metrics, "Maximum", 60, T0 + 60000) == 119);
	assert_true(get_one(metrics, "SampleCount", 300, T0) == 300);
	assert_true(get_one(metrics, "p50", 60, T0) == 29);
	assert_true(get_one(metrics, "p90", 10, T0) == 8);
}

static void minutes_are_cut_to_the_minute_and_have_no_seconds(void **state)
{
	struct metrics *metrics = *state;
	struct metric_point points[8];

	put(metrics, 60, T0 + 59999, 10);
	put(metrics, 60, T0 + 1, 20);
	put(metrics, 60, T0 + 60000, 40);
	assert_int_equal(get(metrics, "Average", 60, T0, T0 + 120000, points, 8), 2);
	assert_int_equal(points[0].at_ms, T0);
	assert_true(points[0].value == 15);
	assert_int_equal(points[1].at_ms, T0 + 60000);
	assert_int_equal(get(metrics, "Average", 30, T0, T0 + 120000, points, 8), 0);
	assert_true(get_one(metrics, "p50", 60, T0) == 10);
}

static void the_order_of_dimensions_does_not_matter_but_the_set_does(void **state)
{
	struct metrics *metrics = *state;
	struct metric_key other = {"Lab", "Load", swapped_dims, 2};
	struct metric_point point;

	put(metrics, 1, T0, 7);
	assert_int_equal(metrics_statistic(metrics, &other, "Sum", 1, T0, T0 + 1000, &point, 1), 1);
	other.n_dimensions = 1;
	assert_int_equal(metrics_statistic(metrics, &other, "Sum", 1, T0, T0 + 1000, &point, 1), 0);
	assert_int_equal(metrics_usage(metrics).metrics, 1);
}

static void units_are_kept_apart_and_read_together(void **state)
{
	struct metrics *metrics = *state;
	int units[METRIC_UNIT_COUNT];
	struct metric_query query = {.key = key, .period_s = 60, .end_ms = T0 + HOUR};
	struct metric_point point;

	assert_int_equal(
	    metrics_put_value(metrics, &key, metric_unit_from_name("Seconds"), 1, 2, T0),
	    METRICS_OK);
	assert_int_equal(metrics_put_value(metrics, &key, METRIC_UNIT_NONE, 1, 4, T0), METRICS_OK);
	assert_int_equal(metrics_units(metrics, &key, units), 2);
	assert_int_equal(statistic_parse("Sum", &query.statistic), 0);
	query.unit = metric_unit_from_name("Seconds");
	assert_int_equal(metrics_query(metrics, &query, &point, 1), 1);
	assert_true(point.value == 2);
	assert_int_equal(point.unit, query.unit);
	query.unit = METRIC_UNIT_ANY;
	assert_int_equal(metrics_query(metrics, &query, &point, 1), 1);
	assert_true(point.value == 6);
	query.unit = metric_unit_from_name("Bytes");
	assert_int_equal(metrics_query(metrics, &query, &point, 1), 0);
}

static void late_and_early_points_find_their_place(void **state)
{
	struct metrics *metrics = *state;
	struct metric_point points[8];
	static const int order[] = {50, 3, 200, 7, 0, 130, 3};

	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++)
		put(metrics, 1, T0 + order[i] * 1000LL, order[i]);
	assert_int_equal(get(metrics, "Sum", 1, T0, T0 + HOUR, points, 8), 6);
	assert_int_equal(points[1].at_ms, T0 + 3000);
	assert_true(points[1].value == 6);
	assert_int_equal(points[5].at_ms, T0 + 200000);
	/* Only the newest when there are more than asked for. */
	assert_int_equal(get(metrics, "Sum", 1, T0, T0 + HOUR, points, 2), 2);
	assert_int_equal(points[0].at_ms, T0 + 130000);
	/* Start is inclusive, end is not. */
	assert_int_equal(get(metrics, "Sum", 1, T0 + 3000, T0 + 50000, points, 8), 2);
}

static void a_start_inside_a_period_is_rounded_down(void **state)
{
	struct metrics *metrics = *state;
	struct metric_point points[8];
	int64_t asked_ms = T0 + 5 * 60000LL + 23000; /* at :05:23, the last 10 s by 10 s */

	for (int i = 0; i < 600; i++)
		put(metrics, 1, T0 + i * 1000LL, 1);
	assert_int_equal(get(metrics, "Sum", 10, asked_ms - 10000, asked_ms, points, 8), 2);
	assert_int_equal(points[0].at_ms, T0 + 5 * 60000LL + 10000);
	assert_true(points[0].value == 10);
	assert_true(points[1].value == 3);
}

static void values_with_counts_keep_their_distribution(void **state)
{
	struct metrics *metrics = *state;
	static const struct dist_entry values[] = {{10, 50}, {20, 45}, {100, 5}};

	put_values(metrics, 1, T0, values, 3);
	assert_true(get_one(metrics, "SampleCount", 1, T0) == 100);
	assert_true(get_one(metrics, "Sum", 60, T0) == 1900);
	assert_true(get_one(metrics, "Average", 60, T0) == 19);
	assert_true(get_one(metrics, "p50", 60, T0) == 10);
	assert_true(get_one(metrics, "p95", 60, T0) == 20);
	assert_true(get_one(metrics, "p99", 60, T0) == 100);
	put(metrics, 1, T0, 1000);
	assert_true(get_one(metrics, "p100", 1, T0) == 1000);
	assert_true(get_one(metrics, "SampleCount", 1, T0) == 101);
}

static void statistic_sets_have_no_percentiles_unless_uniform(void **state)
{
	struct metrics *metrics = *state;
	struct metric_datum datum = {
	    .key = key, .resolution_s = 60, .at_ms = T0, .set = {4, 20, 5, 5}};
	struct metric_point point;

	assert_int_equal(metrics_put(metrics, &datum, T0), METRICS_OK);
	assert_true(get_one(metrics, "p90", 60, T0) == 5);
	datum.set = (struct stat_set){2, 30, 10, 20};
	assert_int_equal(metrics_put(metrics, &datum, T0), METRICS_OK);
	put(metrics, 60, T0, 40);
	assert_int_equal(get(metrics, "p90", 60, T0, T0 + 60000, &point, 1), 0);
	assert_true(get_one(metrics, "Sum", 60, T0) == 90);
	assert_true(get_one(metrics, "Maximum", 60, T0) == 40);
	/* Once unknown, always unknown. */
	assert_int_equal(get(metrics, "p90", 60, T0, T0 + 60000, &point, 1), 0);
}

static void seconds_become_minutes_after_three_hours(void **state)
{
	struct metrics *metrics = *state;
	static const struct dist_entry values[] = {{10, 50}, {20, 45}, {100, 5}};
	struct metric_point points[200];

	for (int i = 0; i < 120; i++)
		put_values(metrics, 1, T0 + i * 1000LL, values, 3);
	metrics_tick(metrics, T0 + 3 * HOUR);
	assert_int_equal(get(metrics, "Sum", 1, T0, T0 + HOUR, points, 200), 120);
	metrics_tick(metrics, T0 + 3 * HOUR + 60000);
	assert_int_equal(get(metrics, "Sum", 1, T0, T0 + HOUR, points, 200), 60);
	metrics_tick(metrics, T0 + 3 * HOUR + 120000);
	assert_int_equal(get(metrics, "Sum", 1, T0, T0 + HOUR, points, 200), 0);
	assert_int_equal(get(metrics, "Sum", 60, T0, T0 + HOUR, points, 200), 2);
	assert_true(points[0].value == 60 * 1900);
	assert_true(fabs(get_one(metrics, "p50", 60, T0) - 10) <= 0.101);
	assert_true(fabs(get_one(metrics, "p99", 60, T0) - 100) <= 1.01);
	/* What comes that late goes to the minutes at once. */
	struct metric_datum late = {
	    .key = key, .resolution_s = 1, .at_ms = T0 + 5000, .set = {1, 100, 100, 100}};

	assert_int_equal(metrics_put(metrics, &late, T0 + 4 * HOUR), METRICS_OK);
	assert_true(get_one(metrics, "SampleCount", 60, T0) == 6001);
}

static void data_grows_coarser_with_age_and_goes_in_the_end(void **state)
{
	struct metrics *metrics = *state;
	struct metric_point points[100];

	for (int i = 0; i < 60; i++)
		put(metrics, 60, T0 + i * 60000LL, i);
	metrics_tick(metrics, T0 + 16 * DAY);
	assert_int_equal(get(metrics, "Sum", 60, T0, T0 + HOUR, points, 100), 0);
	assert_int_equal(get(metrics, "Sum", 300, T0, T0 + HOUR, points, 100), 12);
	assert_true(points[1].value == 5 + 6 + 7 + 8 + 9);
	metrics_tick(metrics, T0 + 64 * DAY);
	assert_int_equal(get(metrics, "Sum", 300, T0, T0 + HOUR, points, 100), 0);
	assert_int_equal(get(metrics, "Sum", 3600, T0, T0 + HOUR, points, 100), 1);
	assert_true(points[0].value == 1770);
	metrics_tick(metrics, T0 + 460 * DAY);
	assert_int_equal(metrics_usage(metrics).metrics, 0);
	assert_int_equal(metrics_usage(metrics).bytes, 0);
}

static void memory_stays_under_its_limit(void **state)
{
	struct metrics_limits limits = {.memory_bytes = 200000};
	struct metrics *metrics = metrics_new(&limits);
	struct metric_point point[2];
	static const struct dist_entry values[] = {{1, 1}, {2, 2}, {3, 3}, {4, 4}};

	(void)state;
	for (int i = 0; i < 3000; i++) {
		put(metrics, 1, T0 + i * 1000LL, 1);
		put_values(metrics, 1, T0 + i * 1000LL, values, 4);
		assert_true(metrics_usage(metrics).bytes <= 200000);
	}
	assert_true(metrics_usage(metrics).folded_early > 0);
	/* Nothing was lost: only its seconds. */
	assert_int_equal(get(metrics, "SampleCount", 3600, T0, T0 + HOUR, point, 2), 1);
	assert_true(point[0].value == 3000 * 11);
	metrics_free(metrics);
}

static enum metrics_result put_named(struct metrics *metrics, const char *name, int64_t now_ms)
{
	struct metric_key named = {"Lab", name, NULL, 0};

	return metrics_put_value(metrics, &named, METRIC_UNIT_NONE, 60, 1, now_ms);
}

static void the_number_of_metrics_is_limited_and_silent_ones_give_way(void **state)
{
	struct metrics_limits limits = {.max_metrics = 2};
	struct metrics *metrics = metrics_new(&limits);

	(void)state;
	assert_int_equal(put_named(metrics, "a", T0), METRICS_OK);
	assert_int_equal(put_named(metrics, "b", T0 + HOUR), METRICS_OK);
	assert_int_equal(put_named(metrics, "c", T0 + 2 * HOUR), METRICS_FULL);
	assert_int_equal(put_named(metrics, "c", T0 + 4 * HOUR), METRICS_OK);
	assert_int_equal(metrics_usage(metrics).metrics, 2);
	metrics_free(metrics);
}

static void what_is_no_name_is_refused(void **state)
{
	struct metrics *metrics = *state;
	static const struct metric_dimension twice[] = {{"A", "1"}, {"B", "2"}, {"A", "3"}};
	static const struct metric_dimension empty[] = {{"A", ""}};
	struct metric_dimension many[METRIC_DIMENSIONS_MAX + 1];
	char names[METRIC_DIMENSIONS_MAX + 1][16];
	char *huge = malloc(1 << 20);
	struct metric_key k = {"Lab", "m", twice, 3};

	memset(huge, 'x', (1 << 20) - 1);
	huge[(1 << 20) - 1] = '\0';
	for (int i = 0; i <= METRIC_DIMENSIONS_MAX; i++) {
		snprintf(names[i], sizeof(names[i]), "d%d", i);
		many[i] = (struct metric_dimension){names[i], "v"};
	}
	assert_int_equal(metrics_put_value(metrics, &k, 0, 1, 1, T0), METRICS_BAD);
	k = (struct metric_key){"Lab", "m", empty, 1};
	assert_int_equal(metrics_put_value(metrics, &k, 0, 1, 1, T0), METRICS_BAD);
	k = (struct metric_key){"Lab", huge, NULL, 0};
	assert_int_equal(metrics_put_value(metrics, &k, 0, 1, 1, T0), METRICS_BAD);
	k = (struct metric_key){"Lab",
				"a\x1f"
				"b",
				NULL, 0};
	assert_int_equal(metrics_put_value(metrics, &k, 0, 1, 1, T0), METRICS_BAD);
	k = (struct metric_key){"", "m", NULL, 0};
	assert_int_equal(metrics_put_value(metrics, &k, 0, 1, 1, T0), METRICS_BAD);
	k = (struct metric_key){NULL, "m", NULL, 0};
	assert_int_equal(metrics_put_value(metrics, &k, 0, 1, 1, T0), METRICS_BAD);
	k = (struct metric_key){"Lab", "m", many, METRIC_DIMENSIONS_MAX + 1};
	assert_int_equal(metrics_put_value(metrics, &k, 0, 1, 1, T0), METRICS_BAD);
	k.n_dimensions--;
	assert_int_equal(metrics_put_value(metrics, &k, 0, 1, 1, T0), METRICS_OK);
	free(huge);
}

struct listing {
	char names[16][32];
	size_t n, max;
	char token[256];
};

static bool list_one(void *arg, const struct metric_info *info)
{
	struct listing *listing = arg;

	snprintf(listing->names[listing->n], sizeof(listing->names[0]), "%s/%s",
		 info->key.namespace, info->key.name);
	snprintf(listing->token, sizeof(listing->token), "%s", info->token);
	return ++listing->n < listing->max;
}

static void metrics_are_listed_in_order_and_by_pages(void **state)
{
	struct metrics *metrics = *state;
	struct listing listing = {.max = 2};

	put_named(metrics, "c", T0);
	put_named(metrics, "a", T0);
	put_named(metrics, "b", T0);
	metrics_list(metrics, NULL, list_one, &listing);
	assert_int_equal(listing.n, 2);
	assert_string_equal(listing.names[0], "Lab/a");
	assert_string_equal(listing.names[1], "Lab/b");
	put_named(metrics, "aa", T0);
	listing.max = 16;
	metrics_list(metrics, listing.token, list_one, &listing);
	assert_int_equal(listing.n, 3);
	assert_string_equal(listing.names[2], "Lab/c");
}

/* 10,000 metrics a second and the reads of 1,000 groups must be a small part of a second. */
static void ten_thousand_metrics_a_second_are_cheap(void **state)
{
	struct metrics *metrics = *state;
	enum { METRICS = 10000, SECONDS = 20 };
	char(*ids)[24] = calloc(METRICS, sizeof(*ids));
	struct metric_dimension dims[2] = {{"LoadBalancer", "app/web/50dc6c495c0c9188"}, {0}};
	struct metric_key k = {"AWS/ApplicationELB", "RequestCountPerTarget", dims, 2};
	struct metric_point points[32];
	int64_t start_us, put_us, read_us;

	dims[1].name = "InstanceId";
	for (int i = 0; i < METRICS; i++)
		snprintf(ids[i], sizeof(ids[i]), "i-%017x", i);
	start_us = clock_monotonic_us();
	for (int s = 0; s < SECONDS; s++) {
		for (int i = 0; i < METRICS; i++) {
			dims[1].value = ids[i];
			assert_int_equal(metrics_put_value(metrics, &k, 0, 1, i, T0 + s * 1000LL),
					 METRICS_OK);
		}
		metrics_tick(metrics, T0 + s * 1000LL);
	}
	put_us = (clock_monotonic_us() - start_us) / SECONDS;
	start_us = clock_monotonic_us();
	for (int i = 0; i < 1000; i++) {
		dims[1].value = ids[i];
		metrics_statistic(metrics, &k, "Average", 1, T0, T0 + SECONDS * 1000LL, points, 32);
	}
	read_us = clock_monotonic_us() - start_us;
	print_message("10,000 puts: %d us; 1,000 reads: %d us\n", (int)put_us, (int)read_us);
	/* Generous: the sanitizers and a busy machine take their part. */
	assert_true(put_us < 500000);
	assert_true(read_us < 500000);
	free(ids);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, new_metrics, free_metrics)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(seconds_are_put_together_into_any_period),
	    TEST(minutes_are_cut_to_the_minute_and_have_no_seconds),
	    TEST(the_order_of_dimensions_does_not_matter_but_the_set_does),
	    TEST(units_are_kept_apart_and_read_together),
	    TEST(late_and_early_points_find_their_place),
	    TEST(a_start_inside_a_period_is_rounded_down),
	    TEST(values_with_counts_keep_their_distribution),
	    TEST(statistic_sets_have_no_percentiles_unless_uniform),
	    TEST(seconds_become_minutes_after_three_hours),
	    TEST(data_grows_coarser_with_age_and_goes_in_the_end),
	    TEST(memory_stays_under_its_limit),
	    TEST(the_number_of_metrics_is_limited_and_silent_ones_give_way),
	    TEST(what_is_no_name_is_refused),
	    TEST(metrics_are_listed_in_order_and_by_pages),
	    TEST(ten_thousand_metrics_a_second_are_cheap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
