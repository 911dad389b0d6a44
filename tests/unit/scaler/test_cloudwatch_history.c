/* scaler/api/cloudwatch: what alarms say, and what is said of them. */
#include "tests/unit/scaler/cloudwatch_fixture.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(a_topic_is_told_in_the_words_of_aws),
	    TEST(what_happened_to_an_alarm_is_told),
	    TEST(alarms_have_tags),
	};

	log_start("test", LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
