/* scaler/api/cloudwatch: alarms put, judged, described. */
#include "tests/unit/scaler/cloudwatch_fixture.h"

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

static int count_notice(void *arg, const struct cloudwatch_notice *notice, struct err *err)
{
	(void)notice;
	(void)err;
	++*(int *)arg;
	return 0;
}

/* In ALARM from 10:00:02 to 10:04:30. */
static void policies_run_each_minute_of_an_alarm_and_topics_once(void **state)
{
	struct fixture *f = *state;
	int told = 0;

	cloudwatch_on_notice(f->cw, count_notice, &told);
	put_alarm(f, "high",
		  ",'AlarmActions':['" POLICY "','" TOPIC "'],'TreatMissingData':'ignore'");
	tick_until(f, T0 + 2000);
	call_ok(f, "SetAlarmState",
		json("{'AlarmName':'high','StateValue':'ALARM','StateReason':'test'}"));
	for (int minute = 0; minute <= 4; minute++) {
		tick_until(f, T0 + minute * 60000LL + 1999);
		assert_int_equal(f->runs, minute == 0 ? 1 : minute);
		tick_until(f, T0 + minute * 60000LL + 2000);
		assert_int_equal(f->runs, minute + 1);
	}
	tick_until(f, T0 + 270000);
	call_ok(f, "SetAlarmState",
		json("{'AlarmName':'high','StateValue':'OK','StateReason':'test'}"));
	tick_until(f, T0 + 600000);
	assert_int_equal(f->runs, 5);
	assert_int_equal(f->repeats, 4);
	assert_int_equal(told, 1);
}

/* It gives a number, where a series is needed. */
static void an_expression_that_fails_is_told_of(void **state)
{
	struct fixture *f = *state;
	json_t *output;

	call_ok(f, "PutMetricAlarm",
		json("{'AlarmName':'sum','EvaluationPeriods':1,'Threshold':1,"
		     "'ComparisonOperator':'GreaterThanThreshold','Metrics':["
		     "{'Id':'m1','MetricStat':{'Metric':{'Namespace':'Lab','MetricName':'Load'},"
		     "'Period':60,'Stat':'Sum'},'ReturnData':false},"
		     "{'Id':'e1','Expression':'SUM(m1)'}]}"));
	put(f, "'Value':80");
	tick_until(f, T0 + 120000);
	output = call(f, "DescribeAlarms", json("{'AlarmNames':['sum']}"));
	assert_string_equal(
	    doc_str(json_array_get(doc_array(output, "MetricAlarms"), 0), "EvaluationState", ""),
	    "EVALUATION_ERROR");
	json_decref(output);
	assert_string_equal(state_of(f, "sum"), "INSUFFICIENT_DATA");
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
	char name[32];

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

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(a_new_alarm_is_described_with_every_member),
	    TEST(an_alarm_fires_and_runs_its_policy_once_a_minute),
	    TEST(policies_run_each_minute_of_an_alarm_and_topics_once),
	    TEST(an_expression_that_fails_is_told_of),
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
	};

	log_start("test", LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
