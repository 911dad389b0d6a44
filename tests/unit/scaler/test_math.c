/* scaler/metrics/math: expressions over metrics. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "scaler/metrics/math.h"

#define T0 1767261600000LL /* 2026-01-01T10:00:00Z, a Thursday */
#define MINUTE 60000LL
#define END (T0 + 5 * MINUTE)

/* m1 {10:00 6, 10:01 4}, m2 {10:00 3}, gap {10:00 1, 10:02 3}, none {} */
static struct metrics *some_metrics(void)
{
	struct metrics *metrics = metrics_new(NULL);
	static const struct {
		const char *name;
		int minute;
		double value;
	} data[] = {{"m1", 0, 6}, {"m1", 1, 4}, {"m2", 0, 3}, {"gap", 0, 1}, {"gap", 2, 3}};

	assert_non_null(metrics);
	for (size_t i = 0; i < sizeof(data) / sizeof(data[0]); i++) {
		struct metric_datum datum = {
		    .key = {"Lab", data[i].name, NULL, 0},
		    .resolution_s = 60,
		    .at_ms = T0 + data[i].minute * MINUTE,
		    .set = {1, data[i].value, data[i].value, data[i].value}};

		assert_int_equal(metrics_put(metrics, &datum, T0), METRICS_OK);
	}
	return metrics;
}

static json_t *metric_query(const char *id)
{
	return json_pack("{s:s, s:{s:{s:s, s:s}, s:i, s:s}, s:b}", "Id", id, "MetricStat", "Metric",
			 "Namespace", "Lab", "MetricName", id, "Period", 60, "Stat", "Average",
			 "ReturnData", 0);
}

static json_t *queries_for(const char *expression)
{
	return json_pack("[o, o, o, o, {s:s, s:s}]", metric_query("m1"), metric_query("m2"),
			 metric_query("gap"), metric_query("none"), "Id", "e1", "Expression",
			 expression);
}

/* "10:00 2, 10:01 5; ..." of the expression's series, or "! why". */
static const char *value_of(const char *expression)
{
	static char text[2048];
	struct metrics *metrics = some_metrics();
	json_t *queries = queries_for(expression);
	struct err err = {0};
	struct math_set *set = math_set_new(queries, &err);
	struct math_results results;
	size_t at = 0;

	text[0] = '\0';
	if (set == NULL || math_set_evaluate(set, metrics, T0, END, END, &results, &err) != 0) {
		snprintf(text, sizeof(text), "! %s", err.text);
	} else {
		for (size_t i = 0; i < results.n; i++) {
			at += snprintf(text + at, sizeof(text) - at, "%s", i > 0 ? "; " : "");
			for (size_t k = 0; k < results.list[i].n; k++)
				at += snprintf(
				    text + at, sizeof(text) - at, "%s%d:%g", k > 0 ? " " : "",
				    (int)((results.list[i].points[k].at_ms - T0) / MINUTE),
				    results.list[i].points[k].value);
		}
		math_results_fini(&results);
	}
	math_set_free(set);
	json_decref(queries);
	metrics_free(metrics);
	return text;
}

static void is(const char *expression, const char *expected)
{
	const char *value = value_of(expression);

	if (strcmp(value, expected) != 0)
		fail_msg("%s: %s, not %s", expression, value, expected);
}

static void fails(const char *expression, const char *why)
{
	const char *value = value_of(expression);

	if (value[0] != '!' || strstr(value, why) == NULL)
		fail_msg("%s: %s, not %s", expression, value, why);
}

static void test_the_reference_s_examples(void **state)
{
	(void)state;
	is("m1/m2", "0:2");
	is("FILL(m1,0)/METRIC_COUNT(METRICS())", "0:1.5 1:1 2:0 3:0 4:0");
	/* Backlog per instance; no instance counts as one. */
	is("FILL(m1,0)/IF(m2<1,1,m2)", "0:2");
	is("FILL(m1,0)/IF(FILL(m2,0)<1,1,m2)", "0:2 1:4 2:0 3:0 4:0");
}

static void test_arithmetic_counts_a_missing_point_as_zero(void **state)
{
	(void)state;
	is("m1+m2", "0:9 1:4");
	is("m1-m2", "0:3 1:4");
	is("m2*m1", "0:18 1:0");
	is("m1*2", "0:12 1:8");
	is("100/m1", "0:16.6667 1:25");
	is("-m1", "0:-6 1:-4");
	is("m1^2", "0:36 1:16");
	is("m1/0", "");
	is("none+1", "");
	is("m1+none", "0:6 1:4");
	is("m1+AVG(none)", "");
}

static void test_operators_bind_as_usual(void **state)
{
	(void)state;
	is("m2*0+2+3*4", "0:14");
	is("m2*0+(2+3)*4", "0:20");
	is("m2*0-2^2", "0:-4");
	is("m2*0+2^3^2", "0:512");
	is("m2*0+10-4-3", "0:3");
	is("m2*0+16/4/2", "0:2");
	is("m2*0+1.5e1 + .5", "0:15.5");
	is("m1 > 4 AND m2 > 1 OR m1 == 4", "0:1 1:1");
	is("m1 > 4 && (m2 > 1 || m1 == 4)", "0:1 1:0");
}

static void test_comparisons_give_one_or_zero(void **state)
{
	(void)state;
	is("m1>4", "0:1 1:0");
	is("m1>=4", "0:1 1:1");
	is("m1<m2", "0:0 1:0");
	is("m1!=m2", "0:1 1:1");
	is("m2==0", "0:0");
	is("m1<=4", "0:0 1:1");
}

static void test_aggregates_make_numbers_or_go_across_arrays(void **state)
{
	(void)state;
	is("m1-AVG(m1)", "0:1 1:-1");
	is("m2*0+SUM(m1)", "0:10");
	is("m2*0+MIN(m1)*100+MAX(m1)", "0:406");
	is("m2*0+STDDEV(m1)", "0:1");
	is("m2*0+FIRST(m1)*10+LAST(m1)", "0:64");
	is("m2*0+DATAPOINT_COUNT(m1)", "0:2");
	is("SUM([m1,m2])", "0:9 1:4");
	is("AVG([m1,m2])", "0:4.5 1:4");
	is("MAX([m1,m2,gap])", "0:6 1:4 2:3");
	is("SUM(METRICS())", "0:10 1:4 2:3");
	is("SUM(METRICS(\"m\"))", "0:9 1:4");
	is("METRICS('m')", "0:6 1:4; 0:3");
	is("METRICS('m')*2", "0:12 1:8; 0:6");
	is("FIRST(METRICS())", "0:6 1:4");
	is("m2*0+METRIC_COUNT([m1,m2])", "0:2");
}

static void test_functions_of_points_and_steps(void **state)
{
	(void)state;
	is("ABS(m2-m1)", "0:3 1:4");
	is("CEIL(m1/4)", "0:2 1:1");
	is("FLOOR(m1/4)", "0:1 1:1");
	is("LOG10(m1*0+1000)", "0:3 1:3");
	is("LOG(m1*0)", "");
	is("DIFF(gap)", "2:2");
	is("DIFF_TIME(gap)", "2:120");
	is("RATE(gap)", "2:0.0166667");
	is("RUNNING_SUM(m1)", "0:6 1:10");
	is("m1*0+PERIOD(m1)", "0:60 1:60");
	is("HOUR(m1)*100+MINUTE(m1)", "0:1000 1:1001");
	is("DAY(m2)", "0:4");
	is("YEAR(m2)*10000+MONTH(m2)*100+DATE(m2)", "0:2.02601e+07");
	is("EPOCH(m1)-EPOCH(m1)", "0:0 1:0");
}

static void test_filling(void **state)
{
	(void)state;
	is("FILL(m1, 0)", "0:6 1:4 2:0 3:0 4:0");
	is("FILL(gap, REPEAT)", "0:1 1:1 2:3 3:3 4:3");
	is("FILL(gap, LINEAR)", "0:1 1:2 2:3");
	is("FILL(gap, m1)", "0:1 1:4 2:3");
	is("FILL(none, 7)", "0:7 1:7 2:7 3:7 4:7");
	is("FILL(none, REPEAT)", "");
	is("SUM(FILL(METRICS('m'), 1))", "0:9 1:5 2:2 3:2 4:2");
	is("TIME_SERIES(5)", "0:5 1:5 2:5 3:5 4:5");
	fails("FILL(m1, SIDEWAYS)", "REPEAT or LINEAR");
	fails("FILL(1, 2)", "needs a time series");
}

static void test_choosing(void **state)
{
	(void)state;
	is("IF(m1>4, 1, 0)", "0:1 1:0");
	is("IF(m1>4, m1)", "0:6");
	is("IF(m2, m1, 9)", "0:6 1:9");
	is("IF(1, m1, m2)", "0:6 1:4");
	is("IF(0, m1, m2)", "0:3");
	is("m2*0+IF(1<2, 5, 6)", "0:5");
	fails("IF(METRICS(), 1, 2)", "array");
}

static void test_arrays_are_cut_and_sorted(void **state)
{
	(void)state;
	is("REMOVE_EMPTY([m1,none,m2])", "0:6 1:4; 0:3");
	is("SLICE([m1,m2,gap],1)", "0:3");
	is("SLICE([m1,m2,gap],0,2)", "0:6 1:4; 0:3");
	is("SORT([m1,m2,gap],MAX,ASC)", "0:3; 0:1 2:3; 0:6 1:4");
	is("SORT([m2,m1],AVG,DESC,1)", "0:6 1:4");
	fails("SORT([m1],COLOUR,ASC)", "SORT needs");
}

static void test_what_is_wrong_is_told(void **state)
{
	(void)state;
	fails("", "is expected");
	fails("m1+", "is expected");
	fails("(m1", "closing parenthesis");
	fails("m1 m2", "character 4");
	fails("m9", "no query with the Id 'm9'");
	fails("FOO(m1)", "no function FOO");
	fails("SUM(m1)", "a time series must come of it");
	fails("1+1", "a time series must come of it");
	fails("FILL(m1)", "too few");
	fails("ABS(m1,m2)", "too many");
	fails("e1", "circle");
	fails("m1 + \"x\"", "a text stands");
	fails("BIG", "no query");
	fails("m1 + 1..5", "no number");
	fails("[m1,1]+0", "made of time series");
}

static void test_depth_and_length_are_limited(void **state)
{
	char text[3000];

	(void)state;
	memset(text, '(', 100);
	strcpy(text + 100, "m1");
	fails(text, "too deeply");
	memset(text, '-', 100);
	fails(text, "too deeply");
	memset(text, ' ', 2500);
	strcpy(text + 2500, "m1");
	fails(text, "too long");
	text[0] = '\0';
	for (int i = 0; i < 1000; i++)
		strcat(text, "1+");
	strcat(text, "m1");
	fails(text, "too long");
}

static void refused(const char *json, const char *why)
{
	json_t *queries = json_loads(json, 0, NULL);
	struct err err = {0};

	assert_non_null(queries);
	assert_null(math_set_new(queries, &err));
	if (strstr(err.text, why) == NULL)
		fail_msg("%s: %s", json, err.text);
	json_decref(queries);
}

static void test_queries_are_checked(void **state)
{
	(void)state;
	refused("[]", "between 1 and 500");
	refused("[{\"Id\":\"E1\",\"Expression\":\"1\"}]", "lower-case letter");
	refused("[{\"Id\":\"e1\"}]", "exactly one of");
	refused("[{\"Id\":\"e1\",\"Expression\":\"1\"},{\"Id\":\"e1\",\"Expression\":\"1\"}]",
		"stands twice");
	refused("[{\"Id\":\"a\",\"Expression\":\"b\"},{\"Id\":\"b\",\"Expression\":\"a\"}]",
		"circle");
	refused("[{\"Id\":\"a\",\"MetricStat\":{\"Metric\":{\"Namespace\":\"n\",\"MetricName\":"
		"\"m\"},\"Period\":61,\"Stat\":\"Sum\"}}]",
		"Period must be");
	refused("[{\"Id\":\"a\",\"MetricStat\":{\"Metric\":{\"Namespace\":\"n\",\"MetricName\":"
		"\"m\"},\"Period\":60,\"Stat\":\"Total\"}}]",
		"names no statistic");
}

static void test_huge_times_do_not_run_for_ever(void **state)
{
	struct metrics *metrics = some_metrics();
	json_t *queries = queries_for("FILL(none, REPEAT)");
	struct err err = {0};
	struct math_set *set = math_set_new(queries, &err);
	struct math_results results;

	(void)state;
	assert_non_null(set);
	assert_int_equal(
	    math_set_evaluate(set, metrics, 0, INT64_MAX / 4, INT64_MAX / 4, &results, &err), -1);
	assert_non_null(strstr(err.text, "too many datapoints"));
	math_set_free(set);
	json_decref(queries);
	metrics_free(metrics);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_the_reference_s_examples),
	    cmocka_unit_test(test_arithmetic_counts_a_missing_point_as_zero),
	    cmocka_unit_test(test_operators_bind_as_usual),
	    cmocka_unit_test(test_comparisons_give_one_or_zero),
	    cmocka_unit_test(test_aggregates_make_numbers_or_go_across_arrays),
	    cmocka_unit_test(test_functions_of_points_and_steps),
	    cmocka_unit_test(test_filling),
	    cmocka_unit_test(test_choosing),
	    cmocka_unit_test(test_arrays_are_cut_and_sorted),
	    cmocka_unit_test(test_what_is_wrong_is_told),
	    cmocka_unit_test(test_depth_and_length_are_limited),
	    cmocka_unit_test(test_queries_are_checked),
	    cmocka_unit_test(test_huge_times_do_not_run_for_ever),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
