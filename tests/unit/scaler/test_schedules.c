/*
 * Cron expressions in time zones, and the scheduled actions that use them.
 */
#include <errno.h>

#include "common/base/time_zone.h"
#include "scaler/engine/cron.h"
#include "scaler/engine/parts.h"
#include "tests/unit/scaler/engine_world.h"

static int offset_of(const void *zone, int64_t at_s)
{
	return time_zone_offset(zone, at_s);
}

static int64_t ms(const char *iso)
{
	int64_t at_ms;

	assert_int_equal(clock_parse_iso(iso, &at_ms), 0);
	return at_ms;
}

static void next_is(const char *expression, const char *zone, const char *after,
		    const char *expected)
{
	char text[CLOCK_TEXT_MAX];
	struct cron cron;

	assert_int_equal(cron_parse(&cron, expression), 0);
	clock_format_iso(cron_next_ms(&cron, ms(after), offset_of, zone), text);
	assert_string_equal(text, expected);
}

static void expressions_that_cannot_be_are_refused(void **state)
{
	static const char *const bad[] = {
	    "",           "* * * *",      "* * * * * *", "60 * * * *",         "* 24 * * *",
	    "* * 0 * *",  "* * 32 * *",   "* * * 13 *",  "* * * 0 *",          "* * * * 8",
	    "a * * * *",  "*/0 * * * *",  "5-1 * * * *", "1,,2 * * * *",       "1- * * * *",
	    "-1 * * * *", "* * * FEBR *", "@daily",      "99999999999 * * * *"};
	struct cron cron;

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_int_equal(cron_parse(&cron, bad[i]), -1);
	assert_int_equal(cron_parse(&cron, "*/15 9-17 1,15 JAN-mar Mon-FRI"), 0);
	assert_int_equal(cron_parse(&cron, "  0   0 * * 7  "), 0);
}

static void fields_say_when(void **state)
{
	(void)state;
	/* Tuesday 06:30. */
	next_is("30 6 * * 2", "UTC", "2026-08-07T10:00:00Z", "2026-08-11T06:30:00Z");
	next_is("*/15 * * * *", "UTC", "2026-08-07T10:00:00Z", "2026-08-07T10:15:00Z");
	next_is("*/15 * * * *", "UTC", "2026-08-07T10:14:59Z", "2026-08-07T10:15:00Z");
	next_is("0 0 1 1 *", "UTC", "2026-08-07T10:00:00Z", "2027-01-01T00:00:00Z");
	next_is("0 0 29 2 *", "UTC", "2026-08-07T10:00:00Z", "2028-02-29T00:00:00Z");
	next_is("0 12 * * 0", "UTC", "2026-08-07T10:00:00Z", "2026-08-09T12:00:00Z");
	next_is("0 12 * * 7", "UTC", "2026-08-07T10:00:00Z", "2026-08-09T12:00:00Z");
	next_is("0 12 * * SUN", "UTC", "2026-08-07T10:00:00Z", "2026-08-09T12:00:00Z");
	next_is("59 23 31 12 *", "UTC", "2026-12-31T23:59:00Z", "2027-12-31T23:59:00Z");
	next_is("5/20 * * * *", "UTC", "2026-08-07T10:26:00Z", "2026-08-07T10:45:00Z");
}

static void with_both_days_restricted_either_will_do(void **state)
{
	(void)state;
	/* The 13th, or a Friday; 2026-08-07 is a Friday. */
	next_is("0 0 13 * 5", "UTC", "2026-08-07T10:00:00Z", "2026-08-13T00:00:00Z");
	next_is("0 0 13 * 5", "UTC", "2026-08-13T00:00:00Z", "2026-08-14T00:00:00Z");
}

static void zones_move_with_their_summer_time(void **state)
{
	(void)state;
	/* 18:00 in New York is 23:00 UTC in winter, 22:00 in summer. */
	next_is("0 18 * * 1-5", "America/New_York", "2026-01-05T00:00:00Z", "2026-01-05T23:00:00Z");
	next_is("0 18 * * 1-5", "America/New_York", "2026-07-06T00:00:00Z", "2026-07-06T22:00:00Z");
	next_is("30 5 * * *", "Asia/Kolkata", "2026-08-07T10:00:00Z", "2026-08-08T00:00:00Z");
}

static void a_time_that_does_not_exist_runs_once_after_the_gap(void **state)
{
	(void)state;
	/* A Sunday, so nothing of 1-5; 02:30 becomes 03:00 local. */
	next_is("*/15 9-17 * * 1-5", "Europe/Berlin", "2026-03-28T00:00:00Z",
		"2026-03-30T07:00:00Z");
	next_is("30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", "2026-03-29T01:00:00Z");
	next_is("30 2 * * *", "Europe/Berlin", "2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z");
	/* Many times in the gap are one run. */
	next_is("*/10 * * * *", "Europe/Berlin", "2026-03-29T00:50:00Z", "2026-03-29T01:00:00Z");
	next_is("*/10 * * * *", "Europe/Berlin", "2026-03-29T01:00:00Z", "2026-03-29T01:10:00Z");
}

static void a_time_that_occurs_twice_runs_the_first_time_only(void **state)
{
	(void)state;
	/* 2026-10-25, 03:00 CEST becomes 02:00 CET at 01:00Z. */
	next_is("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", "2026-10-25T00:30:00Z");
	next_is("30 2 * * *", "Europe/Berlin", "2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z");
	next_is("30 2 * * *", "Europe/Berlin", "2026-10-25T01:10:00Z", "2026-10-26T01:30:00Z");
	/* The clock goes back over midnight in Havana: 00:30 of the day has been already. */
	next_is("30 0 * * *", "America/Havana", "2026-11-01T03:00:00Z", "2026-11-01T04:30:00Z");
	next_is("30 0 * * *", "America/Havana", "2026-11-01T04:30:00Z", "2026-11-02T05:30:00Z");
}

static void a_date_that_never_comes_has_no_time(void **state)
{
	struct cron cron;

	(void)state;
	assert_int_equal(cron_parse(&cron, "0 0 30 2 *"), 0);
	assert_true(cron_next_ms(&cron, ms("2026-08-07T10:00:00Z"), offset_of, "UTC") == INT64_MAX);
}

/* ---- actions ---- */

static int put(struct world *world, const char *text, struct err *err)
{
	char *copy = strdup(text);
	json_t *input;
	int result;

	for (char *c = copy; *c; c++) {
		if (*c == '\'')
			*c = '"';
	}
	input = json_loads(copy, 0, NULL);
	assert_non_null(input);
	result = engine_put_schedule(world->engine, world->group, input, world->now_ms, err);
	json_decref(input);
	free(copy);
	return result;
}

static void put_good(struct world *world, const char *text)
{
	struct err err = {0};

	assert_int_equal(put(world, text, &err), 0);
}

static struct world *started(void)
{
	struct world *world = world_new(1, 5, 1); /* 2026-08-07T10:00:05Z */

	engine_set_zones(world->engine, time_zone_offset);
	world_pass(world, 5);
	return world;
}

static void an_action_runs_once_at_its_time_and_is_gone(void **state)
{
	struct world *world = started();
	const struct activity *activity;

	(void)state;
	put_good(world, "{'ScheduledActionName': 'noon', 'StartTime': '2026-08-07T10:01:00Z', "
			"'MinSize': 3, 'MaxSize': 8}");
	world_pass(world, 49);
	assert_int_equal(world->group->min, 1);
	world_pass(world, 3);
	assert_int_equal(world->group->min, 3);
	assert_int_equal(world->group->max, 8);
	assert_int_equal(world->group->desired, 3); /* pulled up to the limit */
	assert_null(group_schedule(world->group, "noon"));
	assert_int_equal(json_object_size(world->store) > 0, 1);
	assert_null(json_object_get(world->store, "autoscaling/schedule/web:noon"));
	activity = TAILQ_FIRST(&world->group->activities);
	assert_non_null(strstr(activity->cause,
			       "a scheduled action noon update of AutoScalingGroup constraints to "
			       "min: 3, max: 8, desired: 3 changing the desired capacity from 1 to "
			       "3"));
	world_free(world);
}

static void a_recurrence_runs_again_and_survives_restarts(void **state)
{
	struct world *world = started();

	(void)state;
	put_good(world, "{'ScheduledActionName': 'minutely', 'Recurrence': '* * * * *', "
			"'DesiredCapacity': 2}");
	world_pass(world, 60);
	assert_int_equal(world->group->desired, 2);
	world->group->desired = 1;
	world_restart(world);
	engine_set_zones(world->engine, time_zone_offset);
	world_pass(world, 60);
	assert_int_equal(world->group->desired, 2);
	world_free(world);
}

static void what_came_due_while_the_program_was_down_runs_once_at_the_start(void **state)
{
	struct world *world = started();

	(void)state;
	put_good(world, "{'ScheduledActionName': 'quarter', 'Recurrence': '*/15 * * * *', "
			"'DesiredCapacity': 4}");
	world_pass(world, 1);
	world_restart(world);
	engine_set_zones(world->engine, time_zone_offset);
	world->now_ms += 40LL * 60 * 1000;
	world_pass(world, 1);
	assert_int_equal(world->group->desired, 4);
	assert_true(group_schedule(world->group, "quarter")->next_ms == ms("2026-08-07T10:45:00Z"));
	world_free(world);
}

static void suspended_actions_are_not_replayed(void **state)
{
	struct world *world = started();

	(void)state;
	put_good(world, "{'ScheduledActionName': 'minutely', 'Recurrence': '*/2 * * * *', "
			"'DesiredCapacity': 2}");
	json_object_set_new(world->group->document, "SuspendedProcesses",
			    json_pack("[{s:s}]", "ProcessName", "ScheduledActions"));
	world_pass(world, 125);
	json_object_set_new(world->group->document, "SuspendedProcesses", json_array());
	world_pass(world, 30);
	assert_int_equal(world->group->desired, 1);
	world_pass(world, 120);
	assert_int_equal(world->group->desired, 2);
	world_free(world);
}

static void an_action_outside_the_limits_fails_in_an_activity_and_changes_nothing(void **state)
{
	struct world *world = started();
	const struct activity *activity;

	(void)state;
	put_good(world, "{'ScheduledActionName': 'far', 'Recurrence': '* * * * *', "
			"'DesiredCapacity': 9}");
	world_pass(world, 61);
	assert_int_equal(world->group->desired, 1);
	activity = TAILQ_FIRST(&world->group->activities);
	assert_int_equal(activity->status, ACTIVITY_FAILED);
	assert_non_null(strstr(activity->message, "between the specified min size"));
	world_free(world);
}

static void an_action_ends_with_its_end_time(void **state)
{
	struct world *world = started();

	(void)state;
	put_good(world, "{'ScheduledActionName': 'short', 'Recurrence': '* * * * *', "
			"'DesiredCapacity': 2, 'EndTime': '2026-08-07T10:02:30Z'}");
	world_pass(world, 55);
	assert_non_null(group_schedule(world->group, "short"));
	world_pass(world, 60);
	assert_null(group_schedule(world->group, "short"));
	assert_int_equal(world->group->desired, 2);
	world_free(world);
}

static void times_that_cannot_be_are_refused(void **state)
{
	static const struct {
		const char *input;
		int code;
	} table[] = {
	    {"{'ScheduledActionName': 'a', 'MinSize': 1}", EINVAL},
	    {"{'ScheduledActionName': 'a', 'StartTime': '2026-08-07T10:00:00Z'}", EINVAL},
	    {"{'ScheduledActionName': 'a', 'Recurrence': '* * * * *', 'EndTime': "
	     "'2026-08-07T09:00:00Z'}",
	     EINVAL},
	    {"{'ScheduledActionName': 'a', 'StartTime': '2026-08-08T10:00:00Z', 'EndTime': "
	     "'2026-08-08T09:00:00Z'}",
	     EINVAL},
	    {"{'ScheduledActionName': 'a', 'Recurrence': '0 0 30 2 *'}", EINVAL},
	    {"{'ScheduledActionName': 'a', 'StartTime': '2026-08-09T00:00:00Z'}", EEXIST},
	};
	struct world *world = started();

	(void)state;
	put_good(world, "{'ScheduledActionName': 'b', 'StartTime': '2026-08-09T00:00:00Z', "
			"'MinSize': 1}");
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		struct err err = {0};

		assert_int_equal(put(world, table[i].input, &err), -1);
		assert_int_equal(err.code, table[i].code);
	}
	/* Itself it may be put again. */
	put_good(world, "{'ScheduledActionName': 'b', 'StartTime': '2026-08-09T00:00:00Z', "
			"'MinSize': 2}");
	world_free(world);
}

static void with_a_start_and_a_recurrence_the_start_is_the_first_run(void **state)
{
	struct world *world = started();

	(void)state;
	put_good(world, "{'ScheduledActionName': 'both', 'StartTime': '2026-08-07T10:00:30Z', "
			"'Recurrence': '0 12 * * *', 'DesiredCapacity': 2}");
	world_pass(world, 25);
	assert_int_equal(world->group->desired, 2);
	assert_true(group_schedule(world->group, "both")->next_ms == ms("2026-08-07T12:00:00Z"));
	world_free(world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(expressions_that_cannot_be_are_refused),
	    cmocka_unit_test(fields_say_when),
	    cmocka_unit_test(with_both_days_restricted_either_will_do),
	    cmocka_unit_test(zones_move_with_their_summer_time),
	    cmocka_unit_test(a_time_that_does_not_exist_runs_once_after_the_gap),
	    cmocka_unit_test(a_time_that_occurs_twice_runs_the_first_time_only),
	    cmocka_unit_test(a_date_that_never_comes_has_no_time),
	    cmocka_unit_test(an_action_runs_once_at_its_time_and_is_gone),
	    cmocka_unit_test(a_recurrence_runs_again_and_survives_restarts),
	    cmocka_unit_test(what_came_due_while_the_program_was_down_runs_once_at_the_start),
	    cmocka_unit_test(suspended_actions_are_not_replayed),
	    cmocka_unit_test(an_action_outside_the_limits_fails_in_an_activity_and_changes_nothing),
	    cmocka_unit_test(an_action_ends_with_its_end_time),
	    cmocka_unit_test(times_that_cannot_be_are_refused),
	    cmocka_unit_test(with_a_start_and_a_recurrence_the_start_is_the_first_run),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
