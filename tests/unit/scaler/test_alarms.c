/* scaler/metrics/alarm: AWS's tables of missing data, reasons, and what is no alarm. */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "scaler/metrics/alarm.h"
#include "scaler/metrics/alarm_text.h"

#define T0 1786097040000LL /* 2026-08-07T10:04:00Z */

static json_t *definition(int n, int m, int period_s)
{
	return json_pack("{s:s, s:s, s:s, s:s, s:i, s:i, s:i, s:f, s:s, s:[{s:s, s:s}]}",
			 "AlarmName", "high", "Namespace", "AWS/EC2", "MetricName",
			 "CPUUtilization", "Statistic", "Average", "Period", period_s,
			 "EvaluationPeriods", n, "DatapointsToAlarm", m, "Threshold", 50.0,
			 "ComparisonOperator", "GreaterThanThreshold", "Dimensions", "Name",
			 "AutoScalingGroupName", "Value", "web");
}

static struct alarm_rule rule_of(json_t *document)
{
	struct alarm_rule rule;
	struct err err = {0};

	if (alarm_rule_init(&rule, document, &err) != 0)
		fail_msg("%s", err.text);
	json_decref(document);
	return rule;
}

/* "0 - X - X", newest right; 0 = 10, X = 90.  Gives slots newest first. */
static size_t read_slots(const char *text, struct alarm_slot slots[])
{
	size_t n = (strlen(text) + 1) / 2;

	for (size_t i = 0; i < n; i++) {
		char c = text[2 * (n - 1 - i)];

		slots[i] = (struct alarm_slot){.is_real = c != '-',
					       .value = c == 'X' ? 90 : 10,
					       .samples = 1,
					       .at_ms = T0 - (int64_t)i * 60000LL};
	}
	return n;
}

/* NOLINTNEXTLINE(readability-function-size): a table and its walk */
static void missing_data_is_treated_as_the_tables_of_aws_have_it(void **state)
{
	enum { KEEP = -1, NODATA = ALARM_INSUFFICIENT_DATA, OK = ALARM_OK, ALARM = ALARM_ALARM };
	static const struct {
		const char *slots;
		int m;
		int expected[4]; /* missing, ignore, breaching, notBreaching */
	} rows[] = {
	    {"0 - X - X", 3, {OK, OK, OK, OK}},
	    {"0 - - - -", 3, {OK, OK, OK, OK}},
	    {"- - - - -", 3, {NODATA, KEEP, ALARM, OK}},
	    {"0 X X - X", 3, {ALARM, ALARM, ALARM, ALARM}},
	    {"- - X - -", 3, {ALARM, KEEP, ALARM, OK}},
	    {"- - - - X", 3, {KEEP, KEEP, ALARM, OK}},
	    {"- - - X -", 3, {KEEP, KEEP, ALARM, OK}},
	    {"0 - X - X", 2, {ALARM, ALARM, ALARM, ALARM}},
	    {"0 0 X 0 X", 2, {ALARM, ALARM, ALARM, ALARM}},
	    {"0 - X - -", 2, {OK, OK, ALARM, OK}},
	    {"- - - - 0", 2, {OK, OK, ALARM, OK}},
	    {"- - - X -", 2, {ALARM, KEEP, ALARM, OK}},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct alarm_rule rule = rule_of(definition(3, rows[i].m, 60));
		struct alarm_slot slots[8];
		size_t n = read_slots(rows[i].slots, slots);

		assert_int_equal(alarm_range(&rule), 5);
		for (int missing = 0; missing < 4; missing++) {
			int expected = rows[i].expected[missing];

			rule.missing = (enum alarm_missing)missing;
			for (int old = NODATA; old <= ALARM; old++) {
				int got = (int)alarm_judge(&rule, slots, n, (enum alarm_state)old);

				if (got != (expected == KEEP ? old : expected))
					fail_msg("row %s M=%d missing=%d old=%d: %d", rows[i].slots,
						 rows[i].m, missing, old, got);
			}
		}
		alarm_rule_fini(&rule);
	}
}

static void the_threshold_itself_does_not_breach(void **state)
{
	static const double values[] = {49, 51, 50, 51, 52};
	static const int expected[] = {ALARM_INSUFFICIENT_DATA, ALARM_OK, ALARM_OK, ALARM_OK,
				       ALARM_ALARM};
	struct alarm_rule rule = rule_of(definition(2, 2, 60));
	struct metrics *metrics = metrics_new(NULL);
	enum alarm_state now = ALARM_INSUFFICIENT_DATA;
	struct alarm_verdict verdict;

	(void)state;
	for (int i = 0; i < 5; i++) {
		int64_t at_ms = T0 + i * 60000LL;

		assert_int_equal(
		    metrics_put_value(metrics, &rule.query.key, 0, 60, values[i], at_ms),
		    METRICS_OK);
		/* The running minute does not count. */
		assert_int_equal(alarm_evaluate(&rule, metrics, now, at_ms + 60999, &verdict), 0);
		json_decref(verdict.reason_data);
		assert_int_equal(verdict.state, i == 0 ? ALARM_INSUFFICIENT_DATA : now);
		assert_int_equal(alarm_evaluate(&rule, metrics, now, at_ms + 61000, &verdict), 0);
		json_decref(verdict.reason_data);
		now = verdict.state;
		if (i > 0)
			assert_int_equal(now, expected[i]);
		assert_true(verdict.has_value);
		assert_true(verdict.value == values[i]);
	}
	metrics_free(metrics);
	alarm_rule_fini(&rule);
}

static void a_second_alarm_reacts_when_its_seconds_are_over(void **state)
{
	struct alarm_rule rule = rule_of(definition(3, 3, 1));
	struct metrics *metrics = metrics_new(NULL);
	struct alarm_verdict verdict;

	(void)state;
	assert_int_equal(alarm_interval_ms(&rule), 1000);
	for (int i = 0; i < 3; i++)
		assert_int_equal(
		    metrics_put_value(metrics, &rule.query.key, 0, 1, 80, T0 + i * 1000LL),
		    METRICS_OK);
	assert_int_equal(alarm_evaluate(&rule, metrics, ALARM_OK, T0 + 2999, &verdict), 0);
	assert_int_equal(verdict.state, ALARM_OK);
	assert_int_equal(alarm_evaluate(&rule, metrics, ALARM_OK, T0 + 3000, &verdict), 0);
	assert_int_equal(verdict.state, ALARM_ALARM);
	json_decref(verdict.reason_data);
	metrics_free(metrics);
	alarm_rule_fini(&rule);
}

static void reasons_are_in_the_words_of_aws(void **state)
{
	struct alarm_rule rule = rule_of(definition(3, 3, 60));
	struct metrics *metrics = metrics_new(NULL);
	static const double values[] = {80, 91.5, 88.25};
	struct alarm_verdict verdict;
	char *text;

	(void)state;
	for (int i = 0; i < 3; i++)
		assert_int_equal(metrics_put_value(metrics, &rule.query.key, 0, 60, values[i],
						   T0 - 180000 + i * 60000LL),
				 METRICS_OK);
	assert_int_equal(alarm_evaluate(&rule, metrics, ALARM_OK, T0 + 40985, &verdict), 0);
	assert_int_equal(verdict.state, ALARM_ALARM);
	assert_string_equal(
	    verdict.reason,
	    "Threshold Crossed: 3 out of the last 3 datapoints [88.25 (07/08/26 10:03:00), 91.5 "
	    "(07/08/26 10:02:00), 80.0 (07/08/26 10:01:00)] were greater than the threshold (50.0) "
	    "(minimum 3 datapoints for OK -> ALARM transition).");
	text = json_dumps(verdict.reason_data, JSON_COMPACT);
	assert_string_equal(
	    text,
	    "{\"version\":\"1.0\",\"queryDate\":\"2026-08-07T10:04:40.985+0000\",\"startDate\":"
	    "\"2026-08-07T10:01:00.000+0000\",\"statistic\":\"Average\",\"period\":60,"
	    "\"recentDatapoints\":[80.0,91.5,88.25],\"threshold\":50.0,\"evaluatedDatapoints\":["
	    "{\"timestamp\":\"2026-08-07T10:03:00.000+0000\",\"sampleCount\":1.0,\"value\":88.25},"
	    "{\"timestamp\":\"2026-08-07T10:02:00.000+0000\",\"sampleCount\":1.0,\"value\":91.5},"
	    "{\"timestamp\":\"2026-08-07T10:01:00.000+0000\",\"sampleCount\":1.0,\"value\":80.0}]"
	    "}");
	free(text);
	json_decref(verdict.reason_data);
	rule.comparison = ALARM_LESS;
	rule.datapoints_to_alarm = 3;
	assert_int_equal(alarm_evaluate(&rule, metrics, ALARM_ALARM, T0 + 1000, &verdict), 0);
	json_decref(verdict.reason_data);
	assert_string_equal(
	    verdict.reason,
	    "Threshold Crossed: 3 out of the last 3 datapoints [88.25 (07/08/26 10:03:00), 91.5 "
	    "(07/08/26 10:02:00), 80.0 (07/08/26 10:01:00)] were not less than the threshold "
	    "(50.0) "
	    "(minimum 1 datapoint for ALARM -> OK transition).");
	metrics_free(metrics);
	alarm_rule_fini(&rule);
}

static void assert_reason(struct alarm_rule *rule, struct metrics *metrics,
			  enum alarm_missing missing, enum alarm_state old, const char *reason)
{
	struct alarm_verdict verdict;

	rule->missing = missing;
	assert_int_equal(alarm_evaluate(rule, metrics, old, T0 + 1000, &verdict), 0);
	assert_string_equal(verdict.reason, reason);
	json_decref(verdict.reason_data);
}

static void missing_data_has_its_own_reasons(void **state)
{
	struct alarm_rule rule = rule_of(definition(3, 3, 60)), one = rule_of(definition(1, 1, 60));
	struct metrics *metrics = metrics_new(NULL);

	(void)state;
	assert_reason(&one, metrics, ALARM_MISSING_MISSING, ALARM_OK,
		      "Insufficient Data: 1 datapoint was unknown.");
	assert_reason(&rule, metrics, ALARM_MISSING_MISSING, ALARM_OK,
		      "Insufficient Data: 3 datapoints were unknown.");
	assert_reason(&rule, metrics, ALARM_MISSING_BREACHING, ALARM_OK,
		      "Threshold Crossed: no datapoints were received for 3 periods and 3 missing "
		      "datapoints were treated as [Breaching].");
	assert_reason(&one, metrics, ALARM_MISSING_NOT_BREACHING, ALARM_ALARM,
		      "Threshold Crossed: no datapoints were received for 1 period and 1 missing "
		      "datapoint was treated as [NonBreaching].");
	assert_int_equal(metrics_put_value(metrics, &rule.query.key, 0, 60, 90, T0 - 60000),
			 METRICS_OK);
	assert_reason(&rule, metrics, ALARM_MISSING_BREACHING, ALARM_OK,
		      "Threshold Crossed: 1 datapoint was received for 3 periods and 2 missing "
		      "datapoints were treated as [Breaching].");
	metrics_free(metrics);
	alarm_rule_fini(&rule);
	alarm_rule_fini(&one);
}

static void numbers_are_written_as_java_does(void **state)
{
	static const struct {
		double value;
		const char *text;
	} rows[] = {
	    {50, "50.0"},
	    {0, "0.0"},
	    {-0.5, "-0.5"},
	    {99.83333333333333, "99.83333333333333"},
	    {0.29, "0.29"},
	    {0.001, "0.001"},
	    {0.00012, "1.2E-4"},
	    {1e7, "1.0E7"},
	    {1234567, "1234567.0"},
	    {1e6, "1000000.0"},
	    {12345678.9, "1.23456789E7"},
	    {2.348542582773833e108, "2.348542582773833E108"},
	    {-1.7976931348623157e308, "-1.7976931348623157E308"},
	    {NAN, "NaN"},
	};
	char text[ALARM_NUMBER_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_string_equal(alarm_format_number(rows[i].value, text), rows[i].text);
}

static void too_few_samples_of_a_percentile_keep_the_state(void **state)
{
	json_t *document = definition(1, 1, 60);
	struct alarm_rule rule;
	struct alarm_slot slot = {true, 90, 999, T0};

	(void)state;
	json_object_del(document, "Statistic");
	json_object_set_new(document, "ExtendedStatistic", json_string("p99"));
	json_object_set_new(document, "EvaluateLowSampleCountPercentile", json_string("ignore"));
	rule = rule_of(document);
	assert_int_equal(alarm_judge(&rule, &slot, 1, ALARM_OK), ALARM_OK);
	slot.samples = 1000;
	assert_int_equal(alarm_judge(&rule, &slot, 1, ALARM_OK), ALARM_ALARM);
	alarm_rule_fini(&rule);
}

static void assert_refused(const char *member, json_t *value, int code)
{
	json_t *document = definition(3, 2, 60);
	struct alarm_rule rule;
	struct err err = {0};

	if (value == NULL)
		json_object_del(document, member);
	else
		json_object_set_new(document, member, value);
	assert_int_equal(alarm_rule_init(&rule, document, &err), -1);
	assert_int_equal(err.code, code);
	assert_true(strlen(err.text) > 10);
	json_decref(document);
}

static void what_is_no_alarm_is_refused_with_a_reason(void **state)
{
	char *huge = malloc(1 << 20);

	(void)state;
	memset(huge, 'x', (1 << 20) - 1);
	huge[(1 << 20) - 1] = '\0';
	assert_refused("Period", json_integer(45), ERANGE);
	assert_refused("Period", json_integer(0), ERANGE);
	assert_refused("Period", json_integer(INT64_MAX - 7), EINVAL);
	assert_refused("EvaluationPeriods", json_integer(1441), EINVAL);
	assert_refused("EvaluationPeriods", json_integer(INT64_MAX), EINVAL);
	assert_refused("DatapointsToAlarm", json_integer(4), EINVAL);
	assert_refused("DatapointsToAlarm", json_integer(0), EINVAL);
	assert_refused("Threshold", NULL, ENODATA);
	assert_refused("MetricName", NULL, ENODATA);
	assert_refused("Statistic", NULL, EINVAL);
	assert_refused("Statistic", json_string("p99"), ERANGE);
	assert_refused("ExtendedStatistic", json_string("p99"), EINVAL);
	assert_refused("TreatMissingData", json_string("Breaching"), ERANGE);
	assert_refused("Unit", json_string("Apples"), ERANGE);
	assert_refused("MetricName", json_string(huge), ERANGE);
	assert_refused("ComparisonOperator", json_string("GreaterThanUpperThreshold"), ENOTSUP);
	assert_refused("Metrics", json_pack("[{s:s}]", "Id", "m1"), EINVAL);
	assert_refused("Dimensions",
		       json_pack("[{s:s,s:s},{s:s,s:s}]", "Name", "A", "Value", "1", "Name", "A",
				 "Value", "2"),
		       ERANGE);
	free(huge);
}

/* ---- alarms on Metrics ---- */

static json_t *queue_metric(const char *id, int period)
{
	return json_pack("{s:s, s:{s:{s:s, s:s}, s:i, s:s}, s:b}", "Id", id, "MetricStat", "Metric",
			 "Namespace", "Queue", "MetricName", id, "Period", period, "Stat",
			 "Average", "ReturnData", 0);
}

static json_t *math_document(const char *expression, int period)
{
	return json_pack("{s:s, s:i, s:i, s:f, s:s, s:[o, o, {s:s, s:s}]}", "AlarmName", "backlog",
			 "EvaluationPeriods", 3, "DatapointsToAlarm", 2, "Threshold", 10.0,
			 "ComparisonOperator", "GreaterThanThreshold", "Metrics",
			 queue_metric("visible", 60), queue_metric("inservice", period), "Id", "e1",
			 "Expression", expression);
}

static void put_queue(struct metrics *metrics, const char *name, int minute, double value)
{
	struct metric_datum datum = {.key = {"Queue", name, NULL, 0},
				     .resolution_s = 60,
				     .at_ms = T0 + minute * 60000LL,
				     .set = {1, value, value, value}};

	assert_int_equal(metrics_put(metrics, &datum, T0), METRICS_OK);
}

static void an_alarm_on_an_expression_is_judged_on_its_points(void **state)
{
	struct alarm_rule rule =
	    rule_of(math_document("FILL(visible,0)/IF(inservice<1,1,inservice)", 60));
	struct metrics *metrics = metrics_new(NULL);
	struct alarm_verdict verdict;

	(void)state;
	assert_int_equal(rule.query.period_s, 60);
	for (int i = 0; i < 5; i++)
		put_queue(metrics, "inservice", i, i < 3 ? 0 : 2);
	put_queue(metrics, "visible", 3, 50);
	put_queue(metrics, "visible", 4, 30);
	/* The minutes: 0 (nobody counts as one), 50 / 2, 30 / 2. */
	assert_int_equal(
	    alarm_evaluate(&rule, metrics, ALARM_OK, T0 + 5 * 60000LL + 1000, &verdict), 0);
	assert_int_equal(verdict.state, ALARM_ALARM);
	assert_true(verdict.value == 15);
	assert_int_equal(verdict.n_real, 3);
	assert_non_null(strstr(verdict.reason, "2 out of the last 3 datapoints [15.0 ("));
	assert_null(json_object_get(verdict.reason_data, "statistic"));
	json_decref(verdict.reason_data);
	metrics_free(metrics);
	alarm_rule_fini(&rule);
}

static void assert_math_refused(json_t *document, int code, const char *why)
{
	struct alarm_rule rule;
	struct err err = {0};

	assert_int_equal(alarm_rule_init(&rule, document, &err), -1);
	assert_int_equal(err.code, code);
	if (strstr(err.text, why) == NULL)
		fail_msg("%s", err.text);
	json_decref(document);
}

static void what_is_no_alarm_on_an_expression_is_refused(void **state)
{
	json_t *document = math_document("visible", 60);

	(void)state;
	json_object_set_new(document, "MetricName", json_string("Load"));
	assert_math_refused(document, EINVAL, "mutually exclusive");
	assert_math_refused(math_document("visible", 300), EINVAL, "same period");
	assert_math_refused(math_document("visible+", 60), ERANGE, "Invalid syntax");
	document = math_document("visible", 60);
	json_object_set_new(json_array_get(json_object_get(document, "Metrics"), 0), "ReturnData",
			    json_true());
	assert_math_refused(document, EINVAL, "Exactly one");
	document = math_document("visible", 60);
	for (int i = 0; i < 9; i++) {
		char id[16];

		snprintf(id, sizeof(id), "m%d", i);
		json_array_append_new(json_object_get(document, "Metrics"), queue_metric(id, 60));
	}
	assert_math_refused(document, EINVAL, "more than 10 metrics");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(missing_data_is_treated_as_the_tables_of_aws_have_it),
	    cmocka_unit_test(the_threshold_itself_does_not_breach),
	    cmocka_unit_test(a_second_alarm_reacts_when_its_seconds_are_over),
	    cmocka_unit_test(reasons_are_in_the_words_of_aws),
	    cmocka_unit_test(missing_data_has_its_own_reasons),
	    cmocka_unit_test(numbers_are_written_as_java_does),
	    cmocka_unit_test(too_few_samples_of_a_percentile_keep_the_state),
	    cmocka_unit_test(what_is_no_alarm_is_refused_with_a_reason),
	    cmocka_unit_test(an_alarm_on_an_expression_is_judged_on_its_points),
	    cmocka_unit_test(what_is_no_alarm_on_an_expression_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
