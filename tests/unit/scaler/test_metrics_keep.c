/* scaler/metrics/keep: what was put comes back from its documents. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "scaler/metrics/keep.h"

#define HOUR (3600LL * 1000LL)
#define T0 1767225600000LL /* 2026-01-01T00:00:00Z */

static const struct metric_dimension dims[] = {{"AutoScalingGroupName", "web"}, {"Zone", "a"}};
static const struct metric_key key = {"Lab", "Load", dims, 2};

/* A store: an object of documents by key. */
static void write_change(void *arg, const char *name, json_t *document)
{
	if (document != NULL)
		assert_int_equal(json_object_set_new(arg, name, document), 0);
	else
		json_object_del(arg, name);
}

static struct metrics *tracked(void)
{
	struct metrics *metrics = metrics_new(NULL);

	assert_non_null(metrics);
	metrics_track(metrics);
	return metrics;
}

static void save(struct metrics *metrics, json_t *store)
{
	while (metrics_changes(metrics, 3, write_change, store))
		metrics_written(metrics, true);
	metrics_written(metrics, true);
}

/* A new one with what the store holds; refused counts the documents it did not take. */
static struct metrics *restored(json_t *store, int64_t now_ms, int *refused)
{
	static const char *const prefixes[] = {METRICS_KEPT_NAMES, METRICS_KEPT_DATA};
	struct metrics *metrics = tracked();
	const char *name;
	json_t *document;

	*refused = 0;
	for (int i = 0; i < 2; i++)
		json_object_foreach (store, name, document)
			if (strncmp(name, prefixes[i], strlen(prefixes[i])) == 0)
				*refused += metrics_restore(metrics, name, document, now_ms) != 0;
	metrics_restored(metrics);
	return metrics;
}

static void put(struct metrics *metrics, int resolution_s, int64_t at_ms, double value)
{
	struct metric_datum datum = {.key = key,
				     .unit = metric_unit_from_name("Percent"),
				     .resolution_s = resolution_s,
				     .at_ms = at_ms,
				     .set = {1, value, value, value}};

	assert_int_equal(metrics_put(metrics, &datum, at_ms), METRICS_OK);
}

static double ask(const struct metrics *metrics, const char *statistic, int period_s, int64_t at_ms)
{
	struct metric_point point;

	if (metrics_statistic(metrics, &key, statistic, period_s, at_ms, at_ms + period_s * 1000,
			      &point, 1) == 0)
		return NAN;
	return point.value;
}

static void test_seconds_minutes_and_values_come_back(void **state)
{
	static const struct dist_entry values[] = {{10, 50}, {20, 45}, {100, 5}};
	struct metric_datum datum = {.key = key,
				     .unit = metric_unit_from_name("Percent"),
				     .resolution_s = 60,
				     .at_ms = T0 + HOUR,
				     .values = values,
				     .n_values = 3};
	struct metrics *metrics = tracked(), *again;
	json_t *store = json_object();
	int refused;

	(void)state;
	for (int i = 0; i < 90; i++)
		put(metrics, 1, T0 + i * 1000, i + 0.1);
	put(metrics, 1, T0 + 89000, 1000);
	assert_int_equal(metrics_put(metrics, &datum, T0 + HOUR), METRICS_OK);
	save(metrics, store);
	again = restored(store, T0 + HOUR, &refused);
	assert_int_equal(refused, 0);
	assert_int_equal(metrics_usage(again).metrics, 1);
	assert_true(ask(again, "Sum", 1, T0 + 59000) == 59.1);
	assert_true(ask(again, "SampleCount", 1, T0 + 89000) == 2);
	assert_true(ask(again, "Sum", 60, T0) == ask(metrics, "Sum", 60, T0));
	assert_true(ask(again, "p95", 60, T0 + HOUR) == 20);
	assert_true(ask(again, "p99", 60, T0 + HOUR) == 100);
	assert_true(ask(again, "p50", 60, T0) == ask(metrics, "p50", 60, T0));
	metrics_free(metrics);
	metrics_free(again);
	json_decref(store);
}

static void test_only_changes_are_given_out(void **state)
{
	struct metrics *metrics = tracked();
	json_t *store = json_object(), *changes = json_object();

	(void)state;
	for (int i = 0; i < 10; i++)
		put(metrics, 1, T0 + i * 60000LL, i);
	save(metrics, store);
	assert_int_equal(json_object_size(store), 11); /* 10 chunks, one name */
	save(metrics, changes);
	assert_int_equal(json_object_size(changes), 0);
	put(metrics, 1, T0 + 9 * 60000LL, 1);
	save(metrics, changes);
	assert_int_equal(json_object_size(changes), 1);
	metrics_free(metrics);
	json_decref(store);
	json_decref(changes);
}

static void test_what_is_folded_replaces_what_it_was(void **state)
{
	struct metrics *metrics = tracked(), *again;
	json_t *store = json_object();
	int refused;

	(void)state;
	for (int i = 0; i < 10; i++)
		put(metrics, 1, T0 + i * 60000LL, i);
	save(metrics, store);
	metrics_tick(metrics, T0 + 4 * HOUR);
	save(metrics, store);
	assert_int_equal(json_object_size(store), 2); /* one chunk of minutes, one name */
	again = restored(store, T0 + 4 * HOUR, &refused);
	assert_int_equal(refused, 0);
	assert_true(ask(again, "SampleCount", 600, T0) == 10);
	assert_true(ask(again, "Sum", 600, T0) == 45);
	/* And goes in the end. */
	for (int day = 1; day < 500; day++)
		metrics_tick(again, T0 + day * 24 * HOUR);
	save(again, store);
	assert_int_equal(json_object_size(store), 0);
	metrics_free(metrics);
	metrics_free(again);
	json_decref(store);
}

static void test_what_was_not_written_is_given_again(void **state)
{
	struct metrics *metrics = tracked();
	json_t *lost = json_object(), *store = json_object();

	(void)state;
	put(metrics, 1, T0, 1);
	put(metrics, 1, T0 + 60000, 1);
	(void)metrics_changes(metrics, 100, write_change, lost);
	metrics_written(metrics, false);
	save(metrics, store);
	assert_true(json_equal(lost, store));
	metrics_free(metrics);
	json_decref(lost);
	json_decref(store);
}

static void test_spoilt_documents_are_left_out(void **state)
{
	struct metrics *metrics = tracked(), *again;
	json_t *store = json_object(), *document, *copy;
	const char *name, *text;
	int refused;
	void *next;

	(void)state;
	put(metrics, 1, T0, 1);
	save(metrics, store);
	copy = json_deep_copy(store);
	json_object_foreach_safe (copy, next, name, document) {
		text = json_string_value(json_object_get(document, "Slots"));
		if (text == NULL)
			continue;
		for (size_t len = 0; len < strlen(text); len++) {
			json_t *broken = json_pack("{s:s%}", "Slots", text, len);

			json_object_set_new(store, name, broken);
			again = restored(store, T0, &refused);
			assert_true(refused == 1 || len >= strlen(text) - 4);
			metrics_free(again);
		}
		json_object_set_new(store, "cw/data/9/0/1/1", json_incref(document));
		json_object_set_new(store, "cw/data/0/-7/1/1", json_incref(document));
		json_object_set_new(store, "cw/data/x", json_incref(document));
		json_object_set_new(store, name, json_incref(document));
	}
	again = restored(store, T0, &refused);
	assert_int_equal(refused, 3);
	assert_true(ask(again, "Sum", 1, T0) == 1);
	metrics_free(again);
	metrics_free(metrics);
	json_decref(store);
	json_decref(copy);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_seconds_minutes_and_values_come_back),
	    cmocka_unit_test(test_only_changes_are_given_out),
	    cmocka_unit_test(test_what_is_folded_replaces_what_it_was),
	    cmocka_unit_test(test_what_was_not_written_is_given_again),
	    cmocka_unit_test(test_spoilt_documents_are_left_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
