/*
 * Memory runs out at the n-th allocation of a day in CloudWatch's life, for every n: nothing
 * crashes, leaks or loses count.  (The Makefile links *_oom with --wrap.)
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/log.h"
#include "scaler/api/cloudwatch.h"

#define T0 1767261600000LL
#define POLICY "arn:aws:autoscaling:us-east-1:0:scalingPolicy:1:autoScalingGroupName/w:policyName/o"

#include "tests/unit/oom.h"

static void *json_malloc(size_t size)
{
	return __wrap_malloc(size);
}

static int on_alarm(void *arg, const struct alarm_event *event, struct err *err)
{
	(void)arg;
	(void)err;
	return event->name != NULL ? 0 : -1;
}

static const struct {
	const char *action, *input;
} calls[] = {
    {"PutMetricAlarm",
     "{\"AlarmName\":\"a\",\"Namespace\":\"Lab\",\"MetricName\":\"Load\",\"Statistic\":\"Sum\","
     "\"Period\":60,\"EvaluationPeriods\":1,\"Threshold\":5,\"ComparisonOperator\":"
     "\"GreaterThanThreshold\",\"AlarmActions\":[\"" POLICY "\"],"
     "\"Tags\":[{\"Key\":\"k\",\"Value\":\"v\"}]}"},
    {"PutMetricData",
     "{\"Namespace\":\"Lab\",\"MetricData\":[{\"MetricName\":\"Load\",\"Values\":[7,8]},"
     "{\"MetricName\":\"Load\",\"Value\":9,\"Unit\":\"Count\",\"StorageResolution\":1,"
     "\"Dimensions\":[{\"Name\":\"A\",\"Value\":\"1\"}]}]}"},
    {"SetAlarmState", "{\"AlarmName\":\"a\",\"StateValue\":\"OK\",\"StateReason\":\"x\","
		      "\"StateReasonData\":\"{\\\"recentDatapoints\\\":[1]}\"}"},
    {"GetMetricStatistics",
     "{\"Namespace\":\"Lab\",\"MetricName\":\"Load\",\"Period\":60,\"Statistics\":[\"Sum\"],"
     "\"ExtendedStatistics\":[\"p50\"],\"StartTime\":\"2026-01-01T10:00:00Z\","
     "\"EndTime\":\"2026-01-01T11:00:00Z\"}"},
    {"GetMetricData",
     "{\"MetricDataQueries\":[{\"Id\":\"m\",\"MetricStat\":{\"Metric\":{\"Namespace\":\"Lab\","
     "\"MetricName\":\"Load\"},\"Period\":60,\"Stat\":\"p50\"}}],\"StartTime\":"
     "\"2026-01-01T10:00:00Z\",\"EndTime\":\"2026-01-01T11:00:00Z\",\"MaxDatapoints\":10}"},
    {"ListMetrics", "{}"},
    {"DescribeAlarms", "{\"MaxRecords\":1}"},
    {"DescribeAlarmHistory", "{\"MaxRecords\":1}"},
    {"ListTagsForResource",
     "{\"ResourceARN\":\"arn:aws:cloudwatch:us-east-1:000000000000:alarm:a\"}"},
    {"DeleteAlarms", "{\"AlarmNames\":[\"a\"]}"},
};

enum { N_CALLS = sizeof(calls) / sizeof(calls[0]) };

static json_t *inputs[N_CALLS];

static void call_action(struct cloudwatch *cw, const char *action, const json_t *input)
{
	struct aws_call call = {.action = action};
	struct aws_error error = {0};

	for (size_t i = 0; i < cloudwatch_n_actions; i++)
		if (strcmp(cloudwatch_actions[i].name, action) == 0)
			json_decref(cloudwatch_actions[i].handle(cw, &call, input, &error));
}

/* From a start to an end, with allocation n failing. */
static void live(struct store *store, long n)
{
	struct clock clock = {true, T0};
	struct err err = {0};
	struct cloudwatch *cw;

	countdown = n;
	cw = cloudwatch_new(store, &clock, "us-east-1", "000000000000", &err);
	if (cw == NULL)
		return;
	cloudwatch_on_alarm(cw, on_alarm, NULL);
	for (size_t i = 0; i < N_CALLS; i++) {
		call_action(cw, calls[i].action, inputs[i]);
		clock.virtual_ms += 61000;
		cloudwatch_tick(cw, clock.virtual_ms);
	}
	metrics_tick(cloudwatch_metrics(cw), T0 + METRIC_PAST_MS * 2);
	cloudwatch_free(cw);
}

static void memory_may_run_out_anywhere(void **state)
{
	struct err err = {0};

	(void)state;
	for (size_t i = 0; i < N_CALLS; i++) {
		inputs[i] = json_loads(calls[i].input, 0, NULL);
		assert_non_null(inputs[i]);
	}
	for (long n = 0;; n++) {
		struct store *store = store_open("memory:", &err);

		assert_non_null(store);
		has_failed = false;
		live(store, n);
		countdown = -1;
		store_close(store);
		if (!has_failed)
			break;
		assert_true(n < 100000);
	}
	for (size_t i = 0; i < N_CALLS; i++)
		json_decref(inputs[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(memory_may_run_out_anywhere),
	};

	log_start("test", LOG_LEVEL_ERROR);
	json_set_alloc_funcs(json_malloc, free);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
