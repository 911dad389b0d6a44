/* common/base/hist: error bounds, quantiles, merging, subtracting. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/hist.h"
#include "common/base/ids.h"

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static uint64_t distance(uint64_t a, uint64_t b)
{
	return a > b ? a - b : b - a;
}

/* Of all magnitudes alike. */
static uint64_t any_value(struct id_source *source)
{
	return id_random(source) >> (24 + id_random(source) % 40);
}

static void every_value_lies_near_its_buckets_value(void **state)
{
	struct id_source source = {.state = 1};

	(void)state;
	for (int i = 0; i < 200000; i++) {
		uint64_t value = any_value(&source);
		uint64_t shown = hist_bucket_value(hist_bucket_of(value));

		assert_true(distance(shown, value) * (2 * (uint64_t)HIST_SUB) <= value);
	}
	for (uint64_t value = 0; value < 2 * (uint64_t)HIST_SUB; value++)
		assert_int_equal(hist_bucket_value(hist_bucket_of(value)), value);
}

static void buckets_are_in_order_and_without_a_gap(void **state)
{
	size_t before = 0;

	(void)state;
	for (uint64_t value = 1; value < 100000; value++) {
		size_t bucket = hist_bucket_of(value);

		assert_true(bucket == before || bucket == before + 1);
		before = bucket;
	}
	for (size_t i = 0; i < HIST_BUCKETS; i++)
		assert_int_equal(hist_bucket_of(hist_bucket_value(i)), i);
	for (unsigned bits = 6; bits < HIST_VALUE_BITS; bits++)
		assert_int_equal(hist_bucket_of(UINT64_C(1) << bits),
				 hist_bucket_of((UINT64_C(1) << bits) - 1) + 1);
}

static void values_too_large_count_as_the_largest(void **state)
{
	struct hist *hist = calloc(1, sizeof(*hist));

	(void)state;
	assert_int_equal(hist_bucket_of((UINT64_C(1) << HIST_VALUE_BITS) - 1), HIST_BUCKETS - 1);
	assert_int_equal(hist_bucket_of(UINT64_C(1) << HIST_VALUE_BITS), HIST_BUCKETS - 1);
	assert_int_equal(hist_bucket_of(UINT64_MAX), HIST_BUCKETS - 1);
	hist_record(hist, UINT64_MAX);
	assert_true(hist->max == UINT64_MAX);
	assert_int_equal(hist_quantile(hist, 1), hist_bucket_value(HIST_BUCKETS - 1));
	free(hist);
}

static void quantiles_are_within_the_error_bound(void **state)
{
	static const double quantiles[] = {0.001, 0.01, 0.25, 0.5, 0.9, 0.99, 0.999, 1};
	enum { N = 20000 };
	struct id_source source = {.state = 2};
	struct hist *hist = calloc(1, sizeof(*hist));
	uint64_t *values = calloc(N, sizeof(*values));

	(void)state;
	for (int i = 0; i < N; i++) {
		values[i] = any_value(&source);
		hist_record(hist, values[i]);
	}
	qsort(values, N, sizeof(*values), compare);
	for (size_t i = 0; i < sizeof(quantiles) / sizeof(quantiles[0]); i++) {
		uint64_t exact = values[(size_t)(quantiles[i] * N + 0.999999) - 1];

		assert_true(distance(hist_quantile(hist, quantiles[i]), exact) * HIST_SUB <= exact);
	}
	assert_true(hist->max == values[N - 1]);
	assert_true(hist_quantile(hist, 1) <= values[N - 1]);
	free(values);
	free(hist);
}

static void an_empty_histogram_has_quantile_zero(void **state)
{
	struct hist *hist = calloc(1, sizeof(*hist));

	(void)state;
	assert_int_equal(hist_quantile(hist, 0.5), 0);
	hist_record(hist, 0);
	assert_int_equal(hist_quantile(hist, 0.99), 0);
	hist_record(hist, 100);
	assert_int_equal(hist_quantile(hist, 0.5), 0);
	assert_int_equal(hist_quantile(hist, 0.51), 100);
	free(hist);
}

static void merging_is_as_if_all_were_recorded_in_one(void **state)
{
	struct id_source source = {.state = 3};
	struct hist *one = calloc(3, sizeof(*one)), *two = one + 1, *both = one + 2;

	(void)state;
	for (int i = 0; i < 5000; i++) {
		uint64_t value = any_value(&source);

		hist_record(i % 3 == 0 ? one : two, value);
		hist_record(both, value);
	}
	hist_merge(one, two);
	assert_memory_equal(one, both, sizeof(*both));
	free(one);
}

static void subtracting_an_earlier_copy_leaves_what_came_since(void **state)
{
	struct id_source source = {.state = 4};
	struct hist *live = calloc(3, sizeof(*live)), *earlier = live + 1, *since = live + 2;

	(void)state;
	for (int i = 0; i < 5000; i++)
		hist_record(live, any_value(&source));
	hist_record(live, 1000000);
	hist_copy(earlier, live);
	for (int i = 0; i < 5000; i++) {
		uint64_t value = id_random(&source) % 100000;

		hist_record(live, value);
		hist_record(since, value);
	}
	hist_subtract(live, earlier);
	assert_memory_equal(live->buckets, since->buckets, sizeof(live->buckets));
	assert_int_equal(live->count, 5000);
	assert_int_equal(live->sum, since->sum);
	/* The exact one is not known any more: the bucket's stands for it. */
	assert_true(distance(live->max, since->max) * HIST_SUB <= since->max);
	free(live);
}

static void a_maximum_that_came_since_stays_exact(void **state)
{
	struct hist *live = calloc(2, sizeof(*live)), *earlier = live + 1;

	(void)state;
	hist_record(live, 500);
	hist_copy(earlier, live);
	hist_record(live, (1 << 20) + (1 << 15) - 1); /* the upper end of a bucket */
	hist_subtract(live, earlier);
	assert_int_equal(live->max, (1 << 20) + (1 << 15) - 1);
	hist_subtract(live, live);
	assert_int_equal(live->max, 0);
	assert_int_equal(live->count, 0);
	free(live);
}

static void subtracting_never_goes_below_zero(void **state)
{
	struct hist *live = calloc(2, sizeof(*live)), *more = live + 1;

	(void)state;
	hist_record(live, 7);
	hist_record(more, 7);
	hist_record(more, 7);
	hist_subtract(live, more);
	assert_int_equal(live->count, 0);
	assert_int_equal(live->sum, 0);
	assert_int_equal(live->buckets[7], 0);
	free(live);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_value_lies_near_its_buckets_value),
	    cmocka_unit_test(buckets_are_in_order_and_without_a_gap),
	    cmocka_unit_test(values_too_large_count_as_the_largest),
	    cmocka_unit_test(quantiles_are_within_the_error_bound),
	    cmocka_unit_test(an_empty_histogram_has_quantile_zero),
	    cmocka_unit_test(merging_is_as_if_all_were_recorded_in_one),
	    cmocka_unit_test(subtracting_an_earlier_copy_leaves_what_came_since),
	    cmocka_unit_test(a_maximum_that_came_since_stays_exact),
	    cmocka_unit_test(subtracting_never_goes_below_zero),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
