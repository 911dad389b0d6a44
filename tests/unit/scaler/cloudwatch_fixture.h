/*
 * What the tests of scaler/api/cloudwatch share: its handlers over a memory store and a clock moved
 * by hand.
 */
#ifndef TESTS_UNIT_SCALER_CLOUDWATCH_FIXTURE_H
#define TESTS_UNIT_SCALER_CLOUDWATCH_FIXTURE_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/log.h"
#include "common/doc/doc.h"
#include "scaler/api/cloudwatch.h"

#define T0 1767261600000LL /* 2026-01-01T10:00:00Z */
#define POLICY \
	"arn:aws:autoscaling:us-east-1:000000000000:scalingPolicy:0b1b3c4d:autoScalingGroupName/" \
	"web:policyName/out"
#define TOPIC "arn:aws:sns:us-east-1:000000000000:ops"

struct fixture {
	struct clock clock;
	struct store *store;
	struct cloudwatch *cw;
	struct aws_error error;
	int changes, runs, repeats, data;
	bool fails, deletes;
	enum alarm_state old_state, new_state;
	double value;
	char actions[256];
};

static inline int on_alarm(void *arg, const struct alarm_event *event, struct err *err)
{
	struct fixture *f = arg;

	assert_string_equal(doc_str(event->alarm, "AlarmName", ""), event->name);
	assert_string_equal(doc_str(event->alarm, "StateValue", ""),
			    alarm_state_name(event->new_state));
	if (event->action == NULL) {
		f->changes++;
		f->old_state = event->old_state;
		f->new_state = event->new_state;
		return 0;
	}
	f->runs++;
	f->repeats += event->is_repeat;
	f->value = event->has_value ? event->value : NAN;
	if (f->deletes)
		assert_int_equal(cloudwatch_delete_alarm(f->cw, event->name, err), 0);
	if (!f->fails)
		return 0;
	err_set(err, 1, "no such policy");
	return -1;
}

static inline void on_data(void *arg)
{
	((struct fixture *)arg)->data++;
}

static inline void start(struct fixture *f)
{
	struct err err = {0};

	f->cw = cloudwatch_new(f->store, &f->clock, "us-east-1", "000000000000", &err);
	assert_non_null(f->cw);
	cloudwatch_on_alarm(f->cw, on_alarm, f);
	cloudwatch_on_data(f->cw, on_data, f);
}

static inline int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct err err = {0};

	f->clock = (struct clock){true, T0};
	f->store = store_open("memory:", &err);
	assert_non_null(f->store);
	start(f);
	*state = f;
	return 0;
}

static inline int tear_down(void **state)
{
	struct fixture *f = *state;

	cloudwatch_free(f->cw);
	store_close(f->store);
	free(f);
	return 0;
}

/* Calls the action; input is JSON with ' for ", and may be NULL for {}. */
static inline json_t *call(struct fixture *f, const char *action, json_t *input)
{
	struct aws_call about = {.action = action};
	json_t *output = NULL;

	f->error = (struct aws_error){0};
	for (size_t i = 0; i < cloudwatch_n_actions; i++)
		if (strcmp(cloudwatch_actions[i].name, action) == 0)
			output = cloudwatch_actions[i].handle(f->cw, &about, input, &f->error);
	if (output == NULL && f->error.http_status == 0)
		fail_msg("%s: no output and no error", action);
	json_decref(input);
	return output;
}

static inline json_t *json(const char *format, ...)
{
	char text[8192];
	va_list args;
	json_error_t error;
	json_t *value;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	for (char *c = text; *c != '\0'; c++)
		if (*c == '\'')
			*c = '"';
	value = json_loads(text, 0, &error);
	if (value == NULL)
		fail_msg("%s in %s", error.text, text);
	return value;
}

static inline void call_ok(struct fixture *f, const char *action, json_t *input)
{
	json_t *output = call(f, action, input);

	if (output == NULL)
		fail_msg("%s: %s %s", action, f->error.code, f->error.message);
	json_decref(output);
}

static inline void call_fails(struct fixture *f, const char *action, json_t *input,
			      const char *code)
{
	json_t *output = call(f, action, input);

	assert_null(output);
	assert_string_equal(f->error.code, code);
}

static inline void put(struct fixture *f, const char *datum)
{
	call_ok(f, "PutMetricData",
		json("{'Namespace':'Lab','MetricData':[{'MetricName':'Load',%s}]}", datum));
}

static inline void put_fails(struct fixture *f, const char *datum, const char *code)
{
	call_fails(f, "PutMetricData",
		   json("{'Namespace':'Lab','MetricData':[{'MetricName':'Good','Value':1},"
			"{'MetricName':'Load',%s}]}",
			datum),
		   code);
	assert_non_null(strstr(f->error.message, "MetricData.member.2."));
}

static inline json_t *get(struct fixture *f, const char *more)
{
	return call(f, "GetMetricStatistics",
		    json("{'Namespace':'Lab','MetricName':'Load',%s}", more));
}

#define LAST_HOUR "'StartTime':'2026-01-01T09:00:00Z','EndTime':'2026-01-01T10:01:00Z'"

static inline json_t *alarm_input(const char *name, const char *more)
{
	return json("{'AlarmName':'%s','Namespace':'Lab','MetricName':'Load','Statistic':'Average',"
		    "'Period':60,'EvaluationPeriods':1,'Threshold':50,"
		    "'ComparisonOperator':'GreaterThanThreshold'%s}",
		    name, more);
}

static inline void put_alarm(struct fixture *f, const char *name, const char *more)
{
	call_ok(f, "PutMetricAlarm", alarm_input(name, more));
}

static inline const char *state_of(struct fixture *f, const char *name)
{
	return doc_str(cloudwatch_alarm(f->cw, name), "StateValue", "(none)");
}

static inline void tick_until(struct fixture *f, int64_t until_ms)
{
	for (;;) {
		int64_t due_ms = cloudwatch_next_due_ms(f->cw);

		if (due_ms > until_ms)
			break;
		if (due_ms > f->clock.virtual_ms)
			f->clock.virtual_ms = due_ms;
		cloudwatch_tick(f->cw, f->clock.virtual_ms);
	}
	f->clock.virtual_ms = until_ms;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

#endif
