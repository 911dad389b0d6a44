/*
 * Composite alarms: what PutCompositeAlarm checks, and how their state comes from the alarms they
 * name.  They are alarms like the others in all else (cloudwatch_alarm.c, cloudwatch_run.c).
 * Control thread only.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/base/ids.h"
#include "common/base/log.h"
#include "common/doc/doc.h"
#include "scaler/api/cloudwatch_state.h"

/* Composites that name each other in a circle are judged in turn, but no oftener than this. */
#define COMPOSITE_EVERY_MS 1000

enum { TRIGGERS_MAX = 20 };

static int check_children(const struct cloudwatch *cw, const struct alarm_expression *expression,
			  struct err *err)
{
	for (size_t i = 0; i < alarm_expression_count(expression); i++) {
		const char *name = alarm_expression_name(expression, i);

		if (cloudwatch_find_alarm(cw, name) != NULL)
			continue;
		err_set(
		    err, ERANGE,
		    "Could not save the composite alarm as alarms [%.256s] in the alarm rule do "
		    "not exist",
		    name);
		return -1;
	}
	return 0;
}

static int check_actions(const json_t *input, const char *member, struct err *err)
{
	const json_t *one;
	size_t i;

	json_array_foreach (doc_array(input, member), i, one) {
		struct arn arn;

		if (arn_parse(json_string_value(one), &arn) == 0 &&
		    strcmp(arn.service, "autoscaling") != 0 && strcmp(arn.service, "automate") != 0)
			continue;
		err_set(err, ERANGE,
			"Invalid use of %.256s: composite alarms have no EC2 or Auto Scaling "
			"actions",
			json_string_value(one));
		return -1;
	}
	return 0;
}

int cloudwatch_check_composite(const struct cloudwatch *cw, const json_t *input, struct err *err)
{
	static const char *const lists[] = {"OKActions", "AlarmActions", "InsufficientDataActions"};
	struct alarm_expression *expression;
	int result;

	if (cloudwatch_check_suppressor(cw, input, err) != 0)
		return -1;
	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
		if (check_actions(input, lists[i], err) != 0)
			return -1;
	expression = alarm_expression_parse(doc_str(input, "AlarmRule", ""), err);
	if (expression == NULL)
		return -1;
	result = check_children(cw, expression, err);
	alarm_expression_free(expression);
	return result;
}

const struct alarm *cloudwatch_composite_over(const struct cloudwatch *cw, const char *name)
{
	for (const struct alarm *alarm = cw->alarms; alarm != NULL; alarm = alarm->hh.next)
		if (alarm->expression != NULL && strcmp(alarm->name, name) != 0 &&
		    (alarm_expression_names(alarm->expression, name) ||
		     cloudwatch_is_suppressor_of(alarm, name)))
			return alarm;
	return NULL;
}

void cloudwatch_hasten_composites(struct cloudwatch *cw, const char *name, int64_t now_ms)
{
	for (struct alarm *alarm = cw->alarms; alarm != NULL; alarm = alarm->hh.next) {
		if (alarm->expression == NULL ||
		    (!alarm_expression_names(alarm->expression, name) &&
		     !cloudwatch_is_suppressor_of(alarm, name)))
			continue;
		alarm->due_ms = alarm->judged_ms + COMPOSITE_EVERY_MS;
		if (alarm->due_ms < now_ms)
			alarm->due_ms = now_ms;
	}
}

/* ---- judging ---- */

static enum alarm_state state_of(void *arg, const char *name)
{
	const struct alarm *alarm = cloudwatch_find_alarm(arg, name);

	return alarm != NULL ? alarm->state : ALARM_INSUFFICIENT_DATA;
}

/* The one that changed last: it is what moved the composite. */
static const struct alarm *trigger_of(const struct cloudwatch *cw, const struct alarm *composite)
{
	const struct alarm *last = NULL;
	const char *newest = "";

	for (size_t i = 0; i < alarm_expression_count(composite->expression); i++) {
		const struct alarm *alarm =
		    cloudwatch_find_alarm(cw, alarm_expression_name(composite->expression, i));
		const char *at =
		    alarm != NULL ? doc_str(alarm->document, "StateTransitionedTimestamp", "") : "";

		if (alarm == NULL || strcmp(at, newest) < 0)
			continue;
		last = alarm;
		newest = at;
	}
	return last;
}

/* "Friday 14 August, 2026 15:41:01 UTC" */
static void format_long_time(const char *iso, char text[], size_t size)
{
	int64_t ms = 0;
	time_t seconds;
	struct tm tm;

	text[0] = '\0';
	if (clock_parse_iso(iso, &ms) != 0)
		return;
	seconds = (time_t)(ms / 1000);
	gmtime_r(&seconds, &tm);
	if (strftime(text, size, "%A %d %B, %Y %H:%M:%S UTC", &tm) == 0)
		text[0] = '\0';
}

static void write_reason(const struct alarm *trigger, struct buf *reason)
{
	char time[64];

	if (trigger == NULL) {
		buf_add_str(reason, "The alarm rule is constant");
		return;
	}
	format_long_time(doc_str(trigger->document, "StateTransitionedTimestamp", ""), time,
			 sizeof(time));
	buf_printf(reason, "%s transitioned to %s at %s",
		   doc_str(trigger->document, "AlarmArn", ""), alarm_state_name(trigger->state),
		   time);
}

/* The alarms of the rule in ALARM, or the one that moved it. */
static json_t *reason_data(const struct cloudwatch *cw, const struct alarm *composite,
			   const struct alarm *trigger)
{
	json_t *list = json_array();

	for (size_t i = 0; i < alarm_expression_count(composite->expression); i++) {
		const struct alarm *alarm =
		    cloudwatch_find_alarm(cw, alarm_expression_name(composite->expression, i));

		if (alarm == NULL || (alarm != trigger && alarm->state != ALARM_ALARM) ||
		    json_array_size(list) == TRIGGERS_MAX)
			continue;
		json_array_append_new(
		    list, json_pack("{s:s, s:{s:s, s:s}}", "arn",
				    doc_str(alarm->document, "AlarmArn", ""), "state", "value",
				    alarm_state_name(alarm->state), "timestamp",
				    doc_str(alarm->document, "StateTransitionedTimestamp", "")));
	}
	return json_pack("{s:o}", "triggeringAlarms", list);
}

static void judge_rule(struct cloudwatch *cw, struct alarm *alarm, int64_t now_ms)
{
	struct alarm_change change = {.at_ms = now_ms};
	const struct alarm *trigger;
	struct buf reason = {0};
	struct err err = {0};
	json_t *data;
	char *text;

	change.state =
	    alarm_expression_holds(alarm->expression, state_of, cw) ? ALARM_ALARM : ALARM_OK;
	if (change.state == alarm->state)
		return;
	trigger = trigger_of(cw, alarm);
	data = reason_data(cw, alarm, trigger);
	text = json_dumps(data, JSON_COMPACT);
	json_decref(data);
	write_reason(trigger, &reason);
	change.reason = buf_text(&reason);
	change.reason_data = text;
	if (cloudwatch_change(cw, alarm, &change, &err) != 0) {
		alarm->due_ms = now_ms + COMPOSITE_EVERY_MS;
		log_error("alarm-not-written", "alarm=\"%s\" why=\"%s\"", alarm->name, err.text);
	}
	free(text);
	buf_fini(&reason);
}

void cloudwatch_judge_composite(struct cloudwatch *cw, struct alarm *alarm, int64_t now_ms)
{
	alarm->due_ms = INT64_MAX;
	alarm->judged_ms = now_ms;
	judge_rule(cw, alarm, now_ms);
	if (!alarm->is_gone && cloudwatch_is_suppressible(alarm))
		cloudwatch_suppress(cw, alarm, now_ms);
}
