/* scaler/api/cloudwatch: the handlers over a memory store and a clock moved by hand. */
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

static int on_alarm(void *arg, const struct alarm_event *event, struct err *err)
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

static void on_data(void *arg)
{
	((struct fixture *)arg)->data++;
}

static void start(struct fixture *f)
{
	struct err err = {0};

	f->cw = cloudwatch_new(f->store, &f->clock, "us-east-1", "000000000000", &err);
	assert_non_null(f->cw);
	cloudwatch_on_alarm(f->cw, on_alarm, f);
	cloudwatch_on_data(f->cw, on_data, f);
}

static int set_up(void **state)
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

static int tear_down(void **state)
{
	struct fixture *f = *state;

	cloudwatch_free(f->cw);
	store_close(f->store);
	free(f);
	return 0;
}

/* Calls the action; input is JSON with ' for ", and may be NULL for {}. */
static json_t *call(struct fixture *f, const char *action, json_t *input)
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

static json_t *json(const char *format, ...)
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

static void call_ok(struct fixture *f, const char *action, json_t *input)
{
	json_t *output = call(f, action, input);

	if (output == NULL)
		fail_msg("%s: %s %s", action, f->error.code, f->error.message);
	json_decref(output);
}

static void call_fails(struct fixture *f, const char *action, json_t *input, const char *code)
{
	json_t *output = call(f, action, input);

	assert_null(output);
	assert_string_equal(f->error.code, code);
}

static void put(struct fixture *f, const char *datum)
{
	call_ok(f, "PutMetricData",
		json("{'Namespace':'Lab','MetricData':[{'MetricName':'Load',%s}]}", datum));
}

static void put_fails(struct fixture *f, const char *datum, const char *code)
{
	call_fails(f, "PutMetricData",
		   json("{'Namespace':'Lab','MetricData':[{'MetricName':'Good','Value':1},"
			"{'MetricName':'Load',%s}]}",
			datum),
		   code);
	assert_non_null(strstr(f->error.message, "MetricData.member.2."));
}

static json_t *get(struct fixture *f, const char *more)
{
	return call(f, "GetMetricStatistics",
		    json("{'Namespace':'Lab','MetricName':'Load',%s}", more));
}

#define LAST_HOUR "'StartTime':'2026-01-01T09:00:00Z','EndTime':'2026-01-01T10:01:00Z'"

static void data_put_in_every_form_are_read_back(void **state)
{
	struct fixture *f = *state;
	json_t *output, *point;

	put(f, "'Value':5,'StorageResolution':1");
	put(f, "'Values':[10,20,100],'Counts':[50,45,5],'Timestamp':'2026-01-01T09:30:00.5Z'");
	put(f, "'Values':[1,2],'Timestamp':'2026-01-01T09:31:00Z'");
	put(f, "'StatisticValues':{'SampleCount':4,'Sum':8,'Minimum':1,'Maximum':3},"
	       "'Timestamp':'2026-01-01T09:32:00Z'");
	assert_int_equal(f->data, 4);
	output =
	    get(f, "'Period':60,'Statistics':['Average','Sum','SampleCount','Minimum','Maximum'],"
		   "'ExtendedStatistics':['p95','p50']," LAST_HOUR);
	assert_string_equal(doc_str(output, "Label", ""), "Load");
	assert_int_equal(json_array_size(doc_array(output, "Datapoints")), 4);
	point = json_array_get(doc_array(output, "Datapoints"), 0);
	assert_string_equal(doc_str(point, "Timestamp", ""), "2026-01-01T09:30:00Z");
	assert_string_equal(doc_str(point, "Unit", ""), "None");
	assert_true(doc_num(point, "Average", 0) == 19);
	assert_true(doc_num(point, "SampleCount", 0) == 100);
	assert_true(doc_num(doc_object(point, "ExtendedStatistics"), "p95", 0) == 20);
	assert_true(doc_num(doc_object(point, "ExtendedStatistics"), "p50", 0) == 10);
	point = json_array_get(doc_array(output, "Datapoints"), 2);
	assert_true(doc_num(point, "Sum", 0) == 8);
	assert_true(doc_num(point, "Maximum", 0) == 3);
	assert_null(doc_object(point, "ExtendedStatistics"));
	point = json_array_get(doc_array(output, "Datapoints"), 3);
	assert_string_equal(doc_str(point, "Timestamp", ""), "2026-01-01T10:00:00Z");
	assert_true(doc_num(point, "Minimum", 0) == 5);
	json_decref(output);
}

static void units_are_separate_datapoints_sorted_by_time(void **state)
{
	struct fixture *f = *state;
	json_t *output, *list;

	put(f, "'Value':1,'Unit':'Seconds','Timestamp':'2026-01-01T09:31:00Z'");
	put(f, "'Value':2,'Unit':'Count','Timestamp':'2026-01-01T09:30:00Z'");
	put(f, "'Value':3,'Unit':'Seconds','Timestamp':'2026-01-01T09:29:00Z'");
	output = get(f, "'Period':60,'Statistics':['Sum']," LAST_HOUR);
	list = doc_array(output, "Datapoints");
	assert_int_equal(json_array_size(list), 3);
	assert_true(doc_num(json_array_get(list, 0), "Sum", 0) == 3);
	assert_string_equal(doc_str(json_array_get(list, 1), "Unit", ""), "Count");
	json_decref(output);
	output = get(f, "'Period':60,'Statistics':['Sum'],'Unit':'Count'," LAST_HOUR);
	assert_int_equal(json_array_size(doc_array(output, "Datapoints")), 1);
	json_decref(output);
	output = get(
	    f,
	    "'Period':60,'Statistics':['Sum'],'Dimensions':[{'Name':'A','Value':'1'}]," LAST_HOUR);
	assert_int_equal(json_array_size(doc_array(output, "Datapoints")), 0);
	json_decref(output);
}

static void bad_data_are_refused_and_nothing_of_the_call_is_kept(void **state)
{
	struct fixture *f = *state;
	char many[2048];
	size_t len = 0;

	for (int i = 0; i < 151; i++)
		len += (size_t)snprintf(many + len, sizeof(many) - len, "%s1",
					i == 0 ? "'Values':[" : ",");
	snprintf(many + len, sizeof(many) - len, "]");
	put_fails(f, "'Value':1e300", "InvalidParameterValue");
	put_fails(f, "'Value':-1e300", "InvalidParameterValue");
	put_fails(f, many, "InvalidParameterValue");
	put_fails(f, "'Values':[1,2,3],'Counts':[1,2]", "InvalidParameterValue");
	put_fails(f, "'Values':[1],'Counts':[-1]", "InvalidParameterValue");
	put_fails(f, "'Values':[1e108],'Counts':[1e108]", "InvalidParameterValue");
	put_fails(f, "'Value':1,'Values':[1]", "InvalidParameterCombination");
	put_fails(f, "'Unit':'None'", "MissingParameter");
	put_fails(f, "'Value':1,'Unit':'Apples'", "InvalidParameterValue");
	put_fails(f, "'Value':1,'StorageResolution':5", "InvalidParameterValue");
	put_fails(f, "'Value':1,'Timestamp':'2025-12-17T10:00:00Z'", "InvalidParameterValue");
	put_fails(f, "'Value':1,'Timestamp':'2026-01-01T13:00:00Z'", "InvalidParameterValue");
	put_fails(f, "'Value':1,'Timestamp':'noon'", "InvalidParameterValue");
	put_fails(f, "'Value':1,'Dimensions':[{'Name':'A','Value':'1'},{'Name':'A','Value':'2'}]",
		  "InvalidParameterValue");
	put_fails(f, "'Value':1,'Dimensions':[{'Name':':A','Value':'1'}]", "InvalidParameterValue");
	put_fails(f, "'Value':1,'Dimensions':[{'Name':'A','Value':''}]", "InvalidParameterValue");
	put_fails(f, "'Value':1,'Dimensions':[{'Name':'A','Value':'\\u0007'}]",
		  "InvalidParameterValue");
	put_fails(f, "'StatisticValues':{'SampleCount':1,'Sum':1,'Minimum':2,'Maximum':1}",
		  "InvalidParameterValue");
	put_fails(f, "'StatisticValues':{'SampleCount':-1,'Sum':1,'Minimum':1,'Maximum':1}",
		  "InvalidParameterValue");
	put_fails(f, "'StatisticValues':{'SampleCount':1,'Sum':1}", "InvalidParameterValue");
	call_fails(f, "PutMetricData",
		   json("{'Namespace':':x','MetricData':[{'MetricName':'Good','Value':1}]}"),
		   "InvalidParameterValue");
	call_fails(f, "PutMetricData", json("{'Namespace':'Lab','MetricData':[]}"),
		   "MissingParameter");
	assert_int_equal(f->data, 0);
	assert_int_equal(metrics_usage(cloudwatch_metrics(f->cw)).metrics, 0);
}

static void a_megabyte_of_a_name_is_refused(void **state)
{
	struct fixture *f = *state;
	char *huge = malloc((1 << 20) + 1);
	json_t *output;

	memset(huge, 'x', 1 << 20);
	huge[1 << 20] = '\0';
	call_fails(f, "PutMetricData",
		   json_pack("{s:s, s:[{s:s, s:i}]}", "Namespace", "Lab", "MetricData",
			     "MetricName", huge, "Value", 1),
		   "InvalidParameterValue");
	call_fails(f, "PutMetricData",
		   json_pack("{s:s, s:[{s:s, s:i}]}", "Namespace", huge, "MetricData", "MetricName",
			     "m", "Value", 1),
		   "InvalidParameterValue");
	output = call(f, "ListMetrics", json_pack("{s:s}", "MetricName", huge));
	assert_int_equal(json_array_size(doc_array(output, "Metrics")), 0);
	json_decref(output);
	call_fails(f, "ListMetrics", json_pack("{s:s}", "NextToken", huge), "InvalidNextToken");
	free(huge);
}

static void statistics_are_asked_for_within_limits(void **state)
{
	struct fixture *f = *state;
	json_t *output;

	assert_null(get(f, "'Period':60,'Statistics':['Sum'],"
			   "'StartTime':'2026-01-01T00:00:00Z','EndTime':'2026-01-02T01:00:00Z'"));
	assert_string_equal(f->error.code, "InvalidParameterCombination");
	assert_string_equal(
	    f->error.message,
	    "You have requested up to 1,500 datapoints, which exceeds the limit of "
	    "1,440. You may reduce the datapoints requested by increasing Period, or "
	    "decreasing the time range.");
	output = get(f, "'Period':60,'Statistics':['Sum'],"
			"'StartTime':'2026-01-01T00:00:30Z','EndTime':'2026-01-02T00:00:30Z'");
	assert_int_equal(json_array_size(doc_array(output, "Datapoints")), 0);
	json_decref(output);
	assert_null(get(f, "'Period':45,'Statistics':['Sum']," LAST_HOUR));
	assert_string_equal(f->error.code, "InvalidParameterValue");
	assert_null(get(f, "'Period':60," LAST_HOUR));
	assert_string_equal(f->error.code, "MissingParameter");
	assert_null(get(f, "'Period':60,'Statistics':['p50']," LAST_HOUR));
	assert_null(get(f, "'Period':60,'ExtendedStatistics':['p101']," LAST_HOUR));
	assert_null(get(f, "'Period':60,'Statistics':['Sum'],"
			   "'StartTime':'2026-01-01T10:00:00Z','EndTime':'2026-01-01T10:00:00Z'"));
	assert_string_equal(f->error.code, "InvalidParameterValue");
}

static size_t count_pages(struct fixture *f, const char *filter, size_t *n)
{
	json_t *output = NULL;
	char token[1024] = "";
	size_t pages = 0;

	*n = 0;
	do {
		json_t *input = json("{%s}", filter);

		if (token[0] != '\0')
			json_object_set_new(input, "NextToken", json_string(token));
		output = call(f, "ListMetrics", input);
		assert_non_null(output);
		*n += json_array_size(doc_array(output, "Metrics"));
		snprintf(token, sizeof(token), "%s", doc_str(output, "NextToken", ""));
		json_decref(output);
		pages++;
	} while (token[0] != '\0');
	return pages;
}

static void metrics_are_listed_by_filters_and_pages(void **state)
{
	struct fixture *f = *state;
	size_t n;

	for (int i = 0; i < 1000; i++)
		call_ok(f, "PutMetricData",
			json("{'Namespace':'Lab','MetricData':[{'MetricName':'Load','Value':1,"
			     "'Dimensions':[{'Name':'Id','Value':'i-%d'},{'Name':'Zone',"
			     "'Value':'%s'}]}]}",
			     i, i % 4 == 0 ? "a" : "b"));
	assert_int_equal(count_pages(f, "", &n), 2);
	assert_int_equal(n, 1000);
	put(f, "'Value':1");
	assert_int_equal(count_pages(f, "'Namespace':'Lab'", &n), 3);
	assert_int_equal(n, 1001);
	assert_int_equal(count_pages(f, "'Dimensions':[{'Name':'Zone','Value':'a'}]", &n), 1);
	assert_int_equal(n, 250);
	assert_int_equal(count_pages(f, "'Dimensions':[{'Name':'Zone'}]", &n), 2);
	assert_int_equal(n, 1000);
	count_pages(f, "'MetricName':'Other'", &n);
	assert_int_equal(n, 0);
	f->clock.virtual_ms += 4 * 3600000LL;
	put(f, "'Value':1");
	count_pages(f, "'RecentlyActive':'PT3H'", &n);
	assert_int_equal(n, 1);
	call_fails(f, "ListMetrics", json("{'NextToken':'zz'}"), "InvalidNextToken");
}

/* ---- alarms ---- */

static json_t *alarm_input(const char *name, const char *more)
{
	return json("{'AlarmName':'%s','Namespace':'Lab','MetricName':'Load','Statistic':'Average',"
		    "'Period':60,'EvaluationPeriods':1,'Threshold':50,"
		    "'ComparisonOperator':'GreaterThanThreshold'%s}",
		    name, more);
}

static void put_alarm(struct fixture *f, const char *name, const char *more)
{
	call_ok(f, "PutMetricAlarm", alarm_input(name, more));
}

static const char *state_of(struct fixture *f, const char *name)
{
	return doc_str(cloudwatch_alarm(f->cw, name), "StateValue", "(none)");
}

static void tick_until(struct fixture *f, int64_t until_ms)
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

static void a_new_alarm_is_described_with_every_member(void **state)
{
	struct fixture *f = *state;
	json_t *output, *alarm, *expected;

	put_alarm(f, "high",
		  ",'DatapointsToAlarm':1,'TreatMissingData':'notBreaching',"
		  "'AlarmActions':['" POLICY "'],'Unit':'Percent',"
		  "'AlarmDescription':'Too much','Dimensions':[{'Name':'G','Value':'web'}]");
	output = call(f, "DescribeAlarms", json("{'AlarmNames':['high','other']}"));
	alarm = json_array_get(doc_array(output, "MetricAlarms"), 0);
	expected = json(
	    "{'AlarmName':'high','AlarmArn':'arn:aws:cloudwatch:us-east-1:000000000000:alarm:high',"
	    "'AlarmDescription':'Too much','AlarmConfigurationUpdatedTimestamp':"
	    "'2026-01-01T10:00:00.000Z','ActionsEnabled':true,'OKActions':[],'AlarmActions':["
	    "'" POLICY
	    "'],'InsufficientDataActions':[],'StateValue':'INSUFFICIENT_DATA','StateReason':"
	    "'Unchecked: Initial alarm "
	    "creation','StateUpdatedTimestamp':'2026-01-01T10:00:00.000Z',"
	    "'StateTransitionedTimestamp':'2026-01-01T10:00:00.000Z','MetricName':'Load',"
	    "'Namespace':'Lab','Statistic':'Average','Dimensions':[{'Name':'G','Value':'web'}],"
	    "'Period':60,'Unit':'Percent','EvaluationPeriods':1,'DatapointsToAlarm':1,"
	    "'Threshold':50,'ComparisonOperator':'GreaterThanThreshold',"
	    "'TreatMissingData':'notBreaching'}");
	assert_int_equal(json_array_size(doc_array(output, "MetricAlarms")), 1);
	assert_int_equal(json_array_size(doc_array(output, "CompositeAlarms")), 0);
	assert_true(json_equal(alarm, expected));
	json_decref(expected);
	json_decref(output);
}

static void an_alarm_fires_and_runs_its_policy_once_a_minute(void **state)
{
	struct fixture *f = *state;

	put_alarm(f, "high", ",'AlarmActions':['" POLICY "','" TOPIC "']");
	put(f, "'Value':80");
	/* In ALARM from 10:01:01 to 10:05:31. */
	tick_until(f, T0 + 60999);
	assert_string_equal(state_of(f, "high"), "INSUFFICIENT_DATA");
	tick_until(f, T0 + 61000);
	assert_string_equal(state_of(f, "high"), "ALARM");
	assert_int_equal(f->changes, 1);
	assert_int_equal(f->runs, 1);
	assert_true(f->value == 80);
	for (int i = 1; i <= 4; i++) {
		put(f, "'Value':90");
		tick_until(f, T0 + 61000 + i * 60000LL - 1);
		assert_int_equal(f->runs, i);
		tick_until(f, T0 + 61000 + i * 60000LL);
		assert_int_equal(f->runs, i + 1);
	}
	assert_int_equal(f->repeats, 4);
	assert_int_equal(f->changes, 1);
	put(f, "'Value':10");
	tick_until(f, T0 + 400000);
	assert_string_equal(state_of(f, "high"), "OK");
	assert_int_equal(f->changes, 2);
	tick_until(f, T0 + 1000000);
	assert_true(f->runs <= 6);
	assert_string_equal(state_of(f, "high"), "INSUFFICIENT_DATA");
}

static void short_alarms_react_to_the_data_itself(void **state)
{
	struct fixture *f = *state;

	put_alarm(f, "fast", ",'Period':1,'EvaluationPeriods':3,'AlarmActions':['" POLICY "']");
	tick_until(f, T0 + 3000);
	for (int i = 0; i < 4; i++) {
		f->clock.virtual_ms = T0 + 3000 + i * 1000LL + 50;
		put(f, "'Value':90,'StorageResolution':1");
		cloudwatch_tick(f->cw, f->clock.virtual_ms);
	}
	assert_int_equal(f->runs, 1);
	assert_string_equal(state_of(f, "fast"), "ALARM");
	assert_int_equal(f->clock.virtual_ms, T0 + 6050);
}

static void a_step_policy_gets_the_value_of_a_state_set_by_hand(void **state)
{
	struct fixture *f = *state;

	put_alarm(f, "high", ",'AlarmActions':['" POLICY "']");
	call_ok(f, "SetAlarmState",
		json_pack("{s:s, s:s, s:s, s:s}", "AlarmName", "high", "StateValue", "ALARM",
			  "StateReason", "testing", "StateReasonData",
			  "{\"recentDatapoints\":[60,77.5]}"));
	assert_int_equal(f->runs, 1);
	assert_true(f->value == 77.5);
	assert_string_equal(doc_str(cloudwatch_alarm(f->cw, "high"), "StateReason", ""), "testing");
	call_ok(f, "SetAlarmState",
		json("{'AlarmName':'high','StateValue':'ALARM','StateReason':'again'}"));
	assert_int_equal(f->runs, 1);
	assert_false(doc_has(cloudwatch_alarm(f->cw, "high"), "StateReasonData"));
	/* The next evaluation overrides it. */
	tick_until(f, T0 + 9999);
	assert_string_equal(state_of(f, "high"), "ALARM");
	tick_until(f, T0 + 30000);
	assert_string_equal(state_of(f, "high"), "INSUFFICIENT_DATA");
	call_fails(f, "SetAlarmState",
		   json("{'AlarmName':'low','StateValue':'OK','StateReason':''}"),
		   "ResourceNotFound");
	call_fails(f, "SetAlarmState",
		   json("{'AlarmName':'high','StateValue':'OK','StateReason':'',"
			"'StateReasonData':'{'}"),
		   "InvalidFormat");
}

static void disabled_actions_do_not_run(void **state)
{
	struct fixture *f = *state;

	put_alarm(f, "high", ",'ActionsEnabled':false,'AlarmActions':['" POLICY "']");
	call_ok(f, "SetAlarmState",
		json("{'AlarmName':'high','StateValue':'ALARM','StateReason':'x'}"));
	assert_int_equal(f->changes, 1);
	assert_int_equal(f->runs, 0);
	call_ok(f, "EnableAlarmActions", json("{'AlarmNames':['high','nobody']}"));
	assert_true(doc_bool(cloudwatch_alarm(f->cw, "high"), "ActionsEnabled", false));
	call_ok(f, "DisableAlarmActions", json("{'AlarmNames':['high']}"));
	assert_false(doc_bool(cloudwatch_alarm(f->cw, "high"), "ActionsEnabled", true));
}

static void a_callback_may_delete_the_alarm_that_calls(void **state)
{
	struct fixture *f = *state;

	f->deletes = true;
	put_alarm(f, "high", ",'AlarmActions':['" POLICY "','" TOPIC "']");
	put(f, "'Value':80");
	tick_until(f, T0 + 120000);
	assert_int_equal(f->runs, 1);
	assert_null(cloudwatch_alarm(f->cw, "high"));
	put_alarm(f, "high", ",'AlarmActions':['" POLICY "','" TOPIC "']");
	call_ok(f, "SetAlarmState",
		json("{'AlarmName':'high','StateValue':'ALARM','StateReason':'x'}"));
	assert_null(cloudwatch_alarm(f->cw, "high"));
}

static void an_alarm_put_again_keeps_its_state(void **state)
{
	struct fixture *f = *state;

	put_alarm(f, "high", ",'AlarmActions':['" POLICY "']");
	call_ok(f, "SetAlarmState",
		json("{'AlarmName':'high','StateValue':'ALARM','StateReason':'x'}"));
	f->clock.virtual_ms += 1000;
	put_alarm(f, "high", ",'Threshold':70");
	assert_string_equal(state_of(f, "high"), "ALARM");
	assert_true(doc_num(cloudwatch_alarm(f->cw, "high"), "Threshold", 0) == 70);
	assert_int_equal(
	    json_array_size(doc_array(cloudwatch_alarm(f->cw, "high"), "AlarmActions")), 0);
	assert_string_equal(
	    doc_str(cloudwatch_alarm(f->cw, "high"), "AlarmConfigurationUpdatedTimestamp", ""),
	    "2026-01-01T10:00:01.000Z");
}

static void alarms_survive_a_restart_and_keep_their_state_without_data(void **state)
{
	struct fixture *f = *state;

	put_alarm(f, "high", ",'EvaluationPeriods':3,'AlarmActions':['" POLICY "']");
	call_ok(f, "SetAlarmState",
		json("{'AlarmName':'high','StateValue':'ALARM','StateReason':'x'}"));
	cloudwatch_free(f->cw);
	start(f);
	assert_string_equal(state_of(f, "high"), "ALARM");
	f->runs = 0;
	tick_until(f, T0 + 200000);
	assert_string_equal(state_of(f, "high"), "ALARM");
	assert_int_equal(f->runs, 3);
	tick_until(f, T0 + 300000);
	assert_string_equal(state_of(f, "high"), "INSUFFICIENT_DATA");
}

static void bad_alarms_are_refused(void **state)
{
	struct fixture *f = *state;

	call_fails(f, "PutMetricAlarm", alarm_input("a", ",'AlarmActions':['page-me']"),
		   "InvalidParameterValue");
	assert_string_equal(f->error.message, "Invalid arn syntax: page-me");
	call_fails(f, "PutMetricAlarm", alarm_input("a", ",'Period':45"), "InvalidParameterValue");
	call_fails(f, "PutMetricAlarm", alarm_input("a", ",'DatapointsToAlarm':2"),
		   "InvalidParameterCombination");
	call_fails(f, "PutMetricAlarm", alarm_input("a", ",'Metrics':[{'Id':'m'}]"),
		   "InvalidParameterCombination");
	call_fails(f, "PutMetricAlarm",
		   json("{'AlarmName':'a','EvaluationPeriods':1,'Threshold':1,"
			"'ComparisonOperator':'LessThanThreshold','Metrics':[{'Id':'m'}]}"),
		   "InvalidParameterValue");
	assert_non_null(strstr(f->error.message, "exactly one of MetricStat and Expression"));
	call_fails(f, "PutMetricAlarm", json("{'AlarmName':'a'}"), "MissingParameter");
	call_fails(f, "PutMetricAlarm", alarm_input("a", ",'Dimensions':[{'Name':'A','Value':''}]"),
		   "InvalidParameterValue");
	assert_null(cloudwatch_alarm(f->cw, "a"));
}

static size_t describe(struct fixture *f, const char *filter)
{
	json_t *output = call(f, "DescribeAlarms", json("{%s}", filter));
	size_t n;

	assert_non_null(output);
	n = json_array_size(doc_array(output, "MetricAlarms"));
	json_decref(output);
	return n;
}

static void alarms_are_described_by_filters_and_pages(void **state)
{
	struct fixture *f = *state;
	json_t *output;
	char name[16];

	for (int i = 0; i < 120; i++) {
		snprintf(name, sizeof(name), "%s-%03d", i % 2 ? "odd" : "even", i);
		put_alarm(f, name, i == 7 ? ",'OKActions':['" TOPIC "']" : "");
	}
	call_ok(f, "SetAlarmState",
		json("{'AlarmName':'odd-003','StateValue':'OK','StateReason':'x'}"));
	assert_int_equal(describe(f, ""), 50);
	assert_int_equal(describe(f, "'MaxRecords':100"), 100);
	assert_int_equal(describe(f, "'AlarmNamePrefix':'odd-00'"), 5);
	assert_int_equal(describe(f, "'StateValue':'OK'"), 1);
	assert_int_equal(describe(f, "'ActionPrefix':'arn:aws:sns'"), 1);
	assert_int_equal(describe(f, "'AlarmTypes':['CompositeAlarm']"), 0);
	assert_int_equal(describe(f, "'AlarmTypes':['CompositeAlarm','MetricAlarm']"), 50);
	output = call(f, "DescribeAlarms", json("{'MaxRecords':100}"));
	assert_string_equal(
	    doc_str(json_array_get(doc_array(output, "MetricAlarms"), 0), "AlarmName", ""),
	    "even-000");
	assert_int_equal(describe(f, ""), 50);
	{
		json_t *input =
		    json_pack("{s:O}", "NextToken", json_object_get(output, "NextToken"));
		json_t *rest = call(f, "DescribeAlarms", input);

		assert_int_equal(json_array_size(doc_array(rest, "MetricAlarms")), 20);
		assert_false(doc_has(rest, "NextToken"));
		json_decref(rest);
	}
	json_decref(output);
	output = call(f, "DescribeAlarmsForMetric",
		      json("{'Namespace':'Lab','MetricName':'Load','Period':60}"));
	assert_int_equal(json_array_size(doc_array(output, "MetricAlarms")), 120);
	json_decref(output);
	output = call(f, "DescribeAlarmsForMetric",
		      json("{'Namespace':'Lab','MetricName':'Load','Statistic':'Sum'}"));
	assert_int_equal(json_array_size(doc_array(output, "MetricAlarms")), 0);
	json_decref(output);
}

static void deleting_names_what_was_not_there(void **state)
{
	struct fixture *f = *state;

	put_alarm(f, "a", "");
	put_alarm(f, "b", "");
	call_fails(f, "DeleteAlarms", json("{'AlarmNames':['a','x']}"), "ResourceNotFound");
	assert_int_equal(f->error.http_status, 404);
	assert_null(cloudwatch_alarm(f->cw, "a"));
	call_ok(f, "DeleteAlarms", json("{'AlarmNames':['b']}"));
	assert_int_equal(describe(f, ""), 0);
}

static void the_file_owns_only_what_it_made(void **state)
{
	struct fixture *f = *state;
	json_t *first = json_array(), *second = json_array();
	struct err err = {0};

	put_alarm(f, "api", "");
	json_array_append_new(first, alarm_input("one", ""));
	json_array_append_new(first, alarm_input("two", ""));
	json_array_append_new(second, alarm_input("two", ""));
	assert_int_equal(cloudwatch_apply_file(f->cw, first, &err), 0);
	assert_int_equal(describe(f, ""), 3);
	f->clock.virtual_ms += 60000;
	assert_int_equal(cloudwatch_apply_file(f->cw, second, &err), 0);
	assert_int_equal(describe(f, ""), 2);
	assert_null(cloudwatch_alarm(f->cw, "one"));
	/* What says the same is left alone. */
	assert_string_equal(
	    doc_str(cloudwatch_alarm(f->cw, "two"), "AlarmConfigurationUpdatedTimestamp", ""),
	    "2026-01-01T10:00:00.000Z");
	json_array_append_new(second, alarm_input("bad", ",'Period':7"));
	assert_int_equal(cloudwatch_apply_file(f->cw, second, &err), -1);
	assert_string_equal(err.text, "MetricAlarms[1] bad: Period must be 1, 5, 10, 20, 30 or a "
				      "multiple of 60");
	assert_int_equal(cloudwatch_apply_file(f->cw, NULL, &err), 0);
	assert_int_equal(describe(f, ""), 1);
	json_decref(first);
	json_decref(second);
}

static json_t *history(struct fixture *f, const char *filter)
{
	json_t *output = call(f, "DescribeAlarmHistory", json("{'AlarmName':'high'%s}", filter));

	assert_non_null(output);
	return output;
}

static const char *summary(json_t *output, size_t i)
{
	return doc_str(json_array_get(doc_array(output, "AlarmHistoryItems"), i), "HistorySummary",
		       "");
}

struct sent {
	char topic[128], subject[128];
	json_t *message;
};

static int on_notice(void *arg, const struct cloudwatch_notice *notice, struct err *err)
{
	struct sent *sent = arg;

	(void)err;
	assert_null(sent->message); /* once a change */
	snprintf(sent->topic, sizeof(sent->topic), "%s", notice->topic);
	snprintf(sent->subject, sizeof(sent->subject), "%s", notice->subject);
	sent->message = json_loads(notice->message, 0, NULL);
	assert_non_null(sent->message);
	return 0;
}

static void a_topic_is_told_in_the_words_of_aws(void **state)
{
	struct fixture *f = *state;
	struct sent sent = {0};
	const json_t *trigger;
	json_t *output;

	put_alarm(f, "high", ",'AlarmActions':['" TOPIC "']");
	cloudwatch_on_notice(f->cw, on_notice, &sent);
	call_ok(f, "SetAlarmState",
		json("{'AlarmName':'high','StateValue':'ALARM','StateReason':'why'}"));
	assert_string_equal(sent.topic, TOPIC);
	assert_string_equal(sent.subject, "ALARM: \"high\" in US East (N. Virginia)");
	assert_string_equal(doc_str(sent.message, "AlarmName", ""), "high");
	assert_string_equal(doc_str(sent.message, "AWSAccountId", ""), "000000000000");
	assert_string_equal(doc_str(sent.message, "NewStateValue", ""), "ALARM");
	assert_string_equal(doc_str(sent.message, "OldStateValue", ""), "INSUFFICIENT_DATA");
	assert_string_equal(doc_str(sent.message, "NewStateReason", ""), "why");
	assert_string_equal(doc_str(sent.message, "StateChangeTime", ""),
			    "2026-01-01T10:00:00.000+0000");
	assert_string_equal(doc_str(sent.message, "Region", ""), "US East (N. Virginia)");
	trigger = doc_object(sent.message, "Trigger");
	assert_string_equal(doc_str(trigger, "Statistic", ""), "AVERAGE");
	assert_string_equal(doc_str(trigger, "StatisticType", ""), "Statistic");
	cloudwatch_notice_done(f->cw, "high", TOPIC, NULL);
	output = history(f, "");
	assert_string_equal(summary(output, 0), "Successfully executed action " TOPIC);
	json_decref(output);
	json_decref(sent.message);
}

static void what_happened_to_an_alarm_is_told(void **state)
{
	struct fixture *f = *state;
	json_t *output, *rest;

	put_alarm(f, "high", ",'AlarmActions':['" POLICY "','" TOPIC "']");
	put_alarm(f, "other", "");
	f->fails = true;
	call_ok(f, "SetAlarmState",
		json("{'AlarmName':'high','StateValue':'ALARM','StateReason':'x'}"));
	call_ok(f, "DeleteAlarms", json("{'AlarmNames':['high']}"));
	output = history(f, "");
	assert_int_equal(json_array_size(doc_array(output, "AlarmHistoryItems")), 5);
	assert_string_equal(summary(output, 0), "Alarm \"high\" deleted");
	assert_string_equal(summary(output, 1),
			    "Failed to execute action " TOPIC
			    ". Received error: \"nothing here publishes to topics\"");
	assert_string_equal(summary(output, 2), "Failed to execute action " POLICY
						". Received error: \"no such policy\"");
	assert_string_equal(summary(output, 3), "Alarm updated from INSUFFICIENT_DATA to ALARM");
	assert_string_equal(summary(output, 4), "Alarm \"high\" created");
	json_decref(output);
	output = history(f, ",'HistoryItemType':'StateUpdate'");
	assert_int_equal(json_array_size(doc_array(output, "AlarmHistoryItems")), 1);
	json_decref(output);
	output = history(f, ",'ScanBy':'TimestampAscending','MaxRecords':2");
	assert_string_equal(summary(output, 0), "Alarm \"high\" created");
	rest = history(f, ",'ScanBy':'TimestampAscending','MaxRecords':2");
	json_decref(rest);
	rest = call(f, "DescribeAlarmHistory",
		    json("{'AlarmName':'high','ScanBy':'TimestampAscending','NextToken':'%s'}",
			 doc_str(output, "NextToken", "")));
	assert_int_equal(json_array_size(doc_array(rest, "AlarmHistoryItems")), 3);
	assert_false(doc_has(rest, "NextToken"));
	json_decref(rest);
	json_decref(output);
}

static void alarms_have_tags(void **state)
{
	struct fixture *f = *state;
	const char *arn = "arn:aws:cloudwatch:us-east-1:000000000000:alarm:high";
	json_t *output, *tags;

	put_alarm(f, "high", ",'Tags':[{'Key':'team','Value':'web'}]");
	call_ok(
	    f, "TagResource",
	    json("{'ResourceARN':'%s','Tags':[{'Key':'a','Value':'1'},{'Key':'b','Value':'2'}]}",
		 arn));
	call_ok(f, "UntagResource", json("{'ResourceARN':'%s','TagKeys':['a','zz']}", arn));
	output = call(f, "ListTagsForResource", json("{'ResourceARN':'%s'}", arn));
	tags = doc_array(output, "Tags");
	assert_int_equal(json_array_size(tags), 2);
	assert_string_equal(doc_kv_get(tags, "team", ""), "web");
	assert_string_equal(doc_kv_get(tags, "b", ""), "2");
	json_decref(output);
	call_fails(f, "ListTagsForResource", json("{'ResourceARN':'%sx'}", arn),
		   "ResourceNotFoundException");
	call_fails(f, "ListTagsForResource", json("{'ResourceARN':'x'}"), "InvalidParameterValue");
	/* They go with the alarm. */
	call_ok(f, "DeleteAlarms", json("{'AlarmNames':['high']}"));
	put_alarm(f, "high", "");
	output = call(f, "ListTagsForResource", json("{'ResourceARN':'%s'}", arn));
	assert_int_equal(json_array_size(doc_array(output, "Tags")), 0);
	json_decref(output);
}

#define QUERY(id, more) \
	"{'Id':'" id "','MetricStat':{'Metric':{'Namespace':'Lab','MetricName':'Load'}," \
	"'Period':60,'Stat':'Sum'}" more "}"

static void metric_data_are_newest_first(void **state)
{
	struct fixture *f = *state;
	json_t *output, *result;

	put(f, "'Value':1,'Timestamp':'2026-01-01T09:29:00Z'");
	put(f, "'Value':2,'Timestamp':'2026-01-01T09:30:00Z'");
	output = call(f, "GetMetricData",
		      json("{'MetricDataQueries':[" QUERY("m1", "") "," QUERY(
			  "m2", ",'ReturnData':false") "]," LAST_HOUR "}"));
	assert_int_equal(json_array_size(doc_array(output, "MetricDataResults")), 1);
	result = json_array_get(doc_array(output, "MetricDataResults"), 0);
	assert_string_equal(doc_str(result, "Label", ""), "Load");
	assert_string_equal(json_string_value(json_array_get(doc_array(result, "Timestamps"), 0)),
			    "2026-01-01T09:30:00Z");
	assert_true(json_real_value(json_array_get(doc_array(result, "Values"), 0)) == 2);
	json_decref(output);
	call_fails(f, "GetMetricData",
		   json("{'MetricDataQueries':[{'Id':'e','Expression':'m1*2'}]," LAST_HOUR "}"),
		   "ValidationError");
	assert_non_null(strstr(f->error.message, "no query with the Id 'm1'"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(data_put_in_every_form_are_read_back),
	    TEST(units_are_separate_datapoints_sorted_by_time),
	    TEST(bad_data_are_refused_and_nothing_of_the_call_is_kept),
	    TEST(a_megabyte_of_a_name_is_refused),
	    TEST(statistics_are_asked_for_within_limits),
	    TEST(metrics_are_listed_by_filters_and_pages),
	    TEST(a_new_alarm_is_described_with_every_member),
	    TEST(an_alarm_fires_and_runs_its_policy_once_a_minute),
	    TEST(short_alarms_react_to_the_data_itself),
	    TEST(a_step_policy_gets_the_value_of_a_state_set_by_hand),
	    TEST(disabled_actions_do_not_run),
	    TEST(a_callback_may_delete_the_alarm_that_calls),
	    TEST(an_alarm_put_again_keeps_its_state),
	    TEST(alarms_survive_a_restart_and_keep_their_state_without_data),
	    TEST(bad_alarms_are_refused),
	    TEST(alarms_are_described_by_filters_and_pages),
	    TEST(deleting_names_what_was_not_there),
	    TEST(the_file_owns_only_what_it_made),
	    TEST(a_topic_is_told_in_the_words_of_aws),
	    TEST(what_happened_to_an_alarm_is_told),
	    TEST(alarms_have_tags),
	    TEST(metric_data_are_newest_first),
	};

	log_start("test", LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
