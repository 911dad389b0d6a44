/* scaler/api/cloudwatch: composite alarms whose actions another alarm suppresses. */
#include "tests/unit/scaler/cloudwatch_fixture.h"

enum { SECONDS = 40 };

/* What was published, and in which second. */
struct heard {
	struct fixture *f;
	char text[256];
};

static int hear(void *arg, const struct cloudwatch_notice *notice, struct err *err)
{
	struct heard *heard = arg;
	size_t len = strlen(heard->text);

	(void)err;
	assert_string_equal(notice->alarm, "both");
	snprintf(heard->text + len, sizeof(heard->text) - len, "%s%d %.*s", len > 0 ? ", " : "",
		 (int)((heard->f->clock.virtual_ms - T0) / 1000),
		 (int)strcspn(notice->subject, ":"), notice->subject);
	return 0;
}

static void set_state(struct fixture *f, const char *name, const char *state)
{
	call_ok(f, "SetAlarmState",
		json("{'AlarmName':'%s','StateValue':'%s','StateReason':'test'}", name, state));
}

static json_t *described(struct fixture *f)
{
	json_t *output = call(f, "DescribeAlarms", json("{'AlarmTypes':['CompositeAlarm']}"));
	json_t *alarm = json_incref(json_array_get(doc_array(output, "CompositeAlarms"), 0));

	json_decref(output);
	assert_non_null(alarm);
	return alarm;
}

static const char *suppressed_by(struct fixture *f)
{
	return doc_str(cloudwatch_alarm(f->cw, "both"), "ActionsSuppressedBy", "-");
}

static void pass(struct fixture *f, int seconds)
{
	for (int i = 0; i < seconds; i++)
		tick_until(f, f->clock.virtual_ms + 1000);
}

/* "both" is in ALARM while "high" is; "quiet" suppresses it, with these periods. */
static void put_both(struct fixture *f, int wait, int extension)
{
	put_alarm(f, "high", ",'TreatMissingData':'ignore'");
	put_alarm(f, "quiet", ",'TreatMissingData':'ignore'");
	set_state(f, "high", "OK");
	set_state(f, "quiet", "OK");
	call_ok(f, "PutCompositeAlarm",
		json("{'AlarmName':'both','AlarmRule':'ALARM(high)','AlarmActions':['" TOPIC
		     "'],'OKActions':['" TOPIC "'],'ActionsSuppressor':'quiet',"
		     "'ActionsSuppressorWaitPeriod':%d,'ActionsSuppressorExtensionPeriod':%d}",
		     wait, extension));
	/* Its first OK has passed. */
	pass(f, wait + 2);
	f->clock.virtual_ms = T0 + 60000;
	cloudwatch_tick(f->cw, f->clock.virtual_ms);
}

/* Events "second alarm state;...", with h for high, q for quiet and A or O for the state. */
static void play(struct fixture *f, const char *events, struct heard *heard)
{
	int64_t from_ms = f->clock.virtual_ms;

	heard->f = f;
	cloudwatch_on_notice(f->cw, hear, heard);
	heard->text[0] = '\0';
	for (int second = 0; second < SECONDS; second++) {
		char key[16];

		tick_until(f, from_ms + second * 1000);
		snprintf(key, sizeof(key), " %d", second);
		for (const char *at = events; (at = strstr(at, key)) != NULL; at++) {
			const char *what = at + strlen(key);

			if (*what == 'h' || *what == 'q')
				set_state(f, *what == 'h' ? "high" : "quiet",
					  what[1] == 'A' ? "ALARM" : "OK");
		}
	}
}

static void actions_wait_and_are_suppressed(void **state)
{
	static const struct {
		const char *events;
		int wait, extension;
		const char *heard; /* in seconds after the minute */
	} table[] = {
	    /* No suppressor in sight: only the wait. */
	    {" 2hA", 0, 0, "62 ALARM"},
	    {" 2hA", 5, 0, "67 ALARM"},
	    /* The suppressor comes within the wait, goes, and the extension passes. */
	    {" 2hA 4qA 10qO", 5, 3, "73 ALARM"},
	    {" 2hA 4qA 10qO", 5, 0, "70 ALARM"},
	    /* It comes after the wait: too late. */
	    {" 2hA 9qA 12qO", 5, 3, "67 ALARM"},
	    /* It is there before. */
	    {" 1qA 4hA 10qO", 2, 4, "74 ALARM"},
	    /* What is over when the suppression ends, is not told. */
	    {" 1qA 4hA 8hO 10qO", 0, 0, ""},
	    {" 2hA 4hO", 5, 0, ""},
	    /* A new change waits anew. */
	    {" 2hA 4hO 6hA", 5, 0, "71 ALARM"},
	    /* Within the extension of a suppressor that has gone. */
	    {" 1qA 3qO 5hA", 0, 9, "72 ALARM"},
	    /* It comes back within the extension. */
	    {" 1qA 2hA 5qO 8qA 12qO", 0, 6, "78 ALARM"},
	    /* Both ways. */
	    {" 2hA 20hO", 3, 0, "65 ALARM, 83 OK"},
	    /* OK after an ALARM that was told is told when the suppression is over. */
	    {" 2hA 5qA 8hO 12qO", 0, 2, "62 ALARM, 74 OK"},
	};
	struct fixture *f;

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		void *own = NULL;
		struct heard heard;

		set_up(&own);
		f = own;
		put_both(f, table[i].wait, table[i].extension);
		play(f, table[i].events, &heard);
		if (strcmp(heard.text, table[i].heard) != 0)
			fail_msg("row %zu: \"%s\", not \"%s\"", i, heard.text, table[i].heard);
		tear_down(&own);
	}
}

static void what_holds_the_actions_back_is_shown(void **state)
{
	struct fixture *f = *state;
	json_t *alarm;

	put_both(f, 5, 3);
	assert_string_equal(suppressed_by(f), "-");
	set_state(f, "high", "ALARM");
	pass(f, 1);
	assert_string_equal(suppressed_by(f), "WaitPeriod");
	set_state(f, "quiet", "ALARM");
	pass(f, 2);
	assert_string_equal(suppressed_by(f), "Alarm");
	alarm = described(f);
	assert_string_equal(doc_str(alarm, "ActionsSuppressedReason", ""),
			    "Actions suppressed by quiet");
	assert_string_equal(doc_str(alarm, "ActionsSuppressor", ""), "quiet");
	assert_int_equal(doc_int(alarm, "ActionsSuppressorWaitPeriod", 0), 5);
	assert_int_equal(doc_int(alarm, "ActionsSuppressorExtensionPeriod", 0), 3);
	assert_string_equal(doc_str(alarm, "StateValue", ""), "ALARM");
	json_decref(alarm);
	set_state(f, "quiet", "OK");
	pass(f, 2);
	assert_string_equal(suppressed_by(f), "ExtensionPeriod");
	pass(f, 3);
	assert_string_equal(suppressed_by(f), "-");
}

static void suppression_outlives_a_restart(void **state)
{
	struct fixture *f = *state;
	struct heard heard = {.f = f};

	put_both(f, 5, 3);
	set_state(f, "quiet", "ALARM");
	set_state(f, "high", "ALARM");
	pass(f, 3);
	cloudwatch_free(f->cw);
	start(f);
	cloudwatch_on_notice(f->cw, hear, &heard);
	pass(f, 20);
	assert_string_equal(heard.text, "");
	assert_string_equal(suppressed_by(f), "Alarm");
	set_state(f, "quiet", "OK");
	pass(f, 10);
	assert_non_null(strstr(heard.text, " ALARM"));
	assert_string_equal(suppressed_by(f), "-");
}

static void what_cannot_suppress_is_refused(void **state)
{
	static const struct {
		const char *more, *code;
	} table[] = {
	    {"'ActionsSuppressor':'quiet'", "MissingParameter"},
	    {"'ActionsSuppressor':'quiet','ActionsSuppressorWaitPeriod':1", "MissingParameter"},
	    {"'ActionsSuppressorWaitPeriod':1", "InvalidParameterCombination"},
	    {"'ActionsSuppressor':'none','ActionsSuppressorWaitPeriod':1,"
	     "'ActionsSuppressorExtensionPeriod':1",
	     "InvalidParameterValue"},
	    {"'ActionsSuppressor':'both','ActionsSuppressorWaitPeriod':1,"
	     "'ActionsSuppressorExtensionPeriod':1",
	     "InvalidParameterValue"},
	    {"'ActionsSuppressor':'quiet','ActionsSuppressorWaitPeriod':-1,"
	     "'ActionsSuppressorExtensionPeriod':1",
	     "InvalidParameterValue"},
	};
	struct fixture *f = *state;

	put_both(f, 0, 0);
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		call_fails(f, "PutCompositeAlarm",
			   json("{'AlarmName':'both','AlarmRule':'ALARM(high)',%s}", table[i].more),
			   table[i].code);
	/* The suppressor stays as long as it is named. */
	call(f, "DeleteAlarms", json("{'AlarmNames':['quiet']}"));
	assert_non_null(cloudwatch_alarm(f->cw, "quiet"));
	call_ok(f, "PutCompositeAlarm",
		json("{'AlarmName':'both','AlarmRule':'ALARM(high)',"
		     "'ActionsSuppressor':'arn:aws:cloudwatch:us-east-1:000000000000:alarm:quiet',"
		     "'ActionsSuppressorWaitPeriod':1,'ActionsSuppressorExtensionPeriod':1}"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(actions_wait_and_are_suppressed),
	    TEST(what_holds_the_actions_back_is_shown),
	    TEST(suppression_outlives_a_restart),
	    TEST(what_cannot_suppress_is_refused),
	};

	log_start("test", LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
