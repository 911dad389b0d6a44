/*
 * Alarms at work: judged when due, their changes of state written down, their actions run.
 * Control thread only.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/ids.h"
#include "common/base/log.h"
#include "common/doc/doc.h"
#include "scaler/api/cloudwatch_state.h"

#define REPEAT_MS 60000 /* AWS: scaling policies run once a minute while the alarm stays */

static const char *actions_member(enum alarm_state state)
{
	switch (state) {
	case ALARM_INSUFFICIENT_DATA:
		return "InsufficientDataActions";
	case ALARM_OK:
		return "OKActions";
	case ALARM_ALARM:
		return "AlarmActions";
	}
	return "";
}

static const json_t *actions_of(const struct alarm *alarm)
{
	if (!doc_bool(alarm->document, "ActionsEnabled", true))
		return NULL;
	return doc_array(alarm->document, actions_member(alarm->state));
}

static bool is_scaling_policy(const char *text)
{
	struct arn arn;

	return arn_parse(text, &arn) == 0 && strcmp(arn.service, "autoscaling") == 0 &&
	       strncmp(arn.resource, "scalingPolicy:", strlen("scalingPolicy:")) == 0;
}

int64_t cloudwatch_repeat_ms(const struct alarm *alarm, int64_t since_ms)
{
	const json_t *one;
	size_t i;

	json_array_foreach (actions_of(alarm), i, one)
		if (is_scaling_policy(json_string_value(one)))
			return since_ms + REPEAT_MS;
	return INT64_MAX;
}

/* ---- actions ---- */

void cloudwatch_note_action(struct cloudwatch *cw, const struct alarm_event *event, const char *why)
{
	json_t *data = json_pack("{s:s, s:s, s:s, s:s?}", "version", "1.0", "actionState",
				 why == NULL ? "Succeeded" : "Failed", "notificationResource",
				 event->action, "error", why);

	if (why == NULL)
		cloudwatch_note(cw, event->name, "Action", data, "Successfully executed action %s",
				event->action);
	else
		cloudwatch_note(cw, event->name, "Action", data,
				"Failed to execute action %s. Received error: \"%s\"",
				event->action, why);
}

static void run_action(struct cloudwatch *cw, struct alarm_event *event)
{
	struct err err = {0};

	if (cloudwatch_is_topic(event->action)) {
		/* Topics hear of changes only; the outcome comes later. */
		if (!event->is_repeat && cloudwatch_notify(cw, event, &err) != 0)
			cloudwatch_notice_done(cw, event->name, event->action, err.text);
		return;
	}
	if (!is_scaling_policy(event->action)) {
		if (event->is_repeat)
			return;
		log_warn("alarm-action-not-supported", "alarm=\"%s\" action=%s", event->name,
			 event->action);
		cloudwatch_note_action(cw, event, "actions of this kind are not supported");
		return;
	}
	if (cw->on_alarm == NULL)
		err_set(&err, ENOSYS, "nothing here runs scaling policies");
	else if (cw->on_alarm(cw->on_alarm_arg, event, &err) == 0) {
		cloudwatch_note_action(cw, event, NULL);
		return;
	}
	log_warn("alarm-action-failed", "alarm=\"%s\" action=%s why=\"%s\"", event->name,
		 event->action, err.text);
	cloudwatch_note_action(cw, event, err.text);
}

/* These fill event->action and event->alarm in.  The alarm may be forgotten or changed by what is
 * called. */
static void tell(struct cloudwatch *cw, const struct alarm *alarm, struct alarm_event *event)
{
	json_t *document = json_incref(alarm->document);
	struct err ignored = {0};

	if (cw->on_alarm != NULL) {
		event->alarm = document;
		event->action = NULL;
		cw->busy++;
		cw->on_alarm(cw->on_alarm_arg, event, &ignored);
		cw->busy--;
	}
	json_decref(document);
}

static void run_actions(struct cloudwatch *cw, struct alarm *alarm, struct alarm_event *event)
{
	json_t *document = json_incref(alarm->document);
	const json_t *actions = actions_of(alarm), *one;
	size_t i;

	event->alarm = document;
	cw->busy++;
	json_array_foreach (actions, i, one) {
		if (alarm->is_gone)
			break;
		event->action = json_string_value(one);
		run_action(cw, event);
	}
	cw->busy--;
	json_decref(document);
}

void cloudwatch_run_actions(struct cloudwatch *cw, struct alarm *alarm, enum alarm_state old_state,
			    int64_t at_ms)
{
	struct alarm_event event = {
	    .name = alarm->name, .old_state = old_state, .new_state = alarm->state, .at_ms = at_ms};

	run_actions(cw, alarm, &event);
}

/* ---- changes ---- */

static json_t *history_state(const char *value, const char *reason, const char *data)
{
	json_t *parsed = data != NULL ? json_loads(data, 0, NULL) : NULL;

	return json_pack("{s:s, s:s, s:o*}", "stateValue", value, "stateReason", reason,
			 "stateReasonData", parsed);
}

static void note_change(struct cloudwatch *cw, const struct alarm *alarm,
			const struct alarm_change *change)
{
	const char *from = alarm_state_name(alarm->state), *to = alarm_state_name(change->state);
	json_t *data =
	    json_pack("{s:s, s:o, s:o}", "version", "1.0", "oldState",
		      history_state(from, doc_str(alarm->document, "StateReason", ""),
				    doc_str(alarm->document, "StateReasonData", NULL)),
		      "newState", history_state(to, change->reason, change->reason_data));

	cloudwatch_note(cw, alarm->name, "StateUpdate", data, "Alarm updated from %s to %s", from,
			to);
	log_info("alarm-state", "alarm=\"%s\" from=%s to=%s why=\"%s\"", alarm->name, from, to,
		 change->reason);
}

static int write_change(struct cloudwatch *cw, struct alarm *alarm,
			const struct alarm_change *change, struct err *err)
{
	char time[CLOCK_TEXT_MAX];
	json_t *changes;
	int result;

	clock_format_iso_ms(change->at_ms, time);
	changes = json_pack("{s:s, s:s, s:s?, s:s}", "StateValue", alarm_state_name(change->state),
			    "StateReason", change->reason, "StateReasonData", change->reason_data,
			    "StateUpdatedTimestamp", time);
	if (changes == NULL) {
		err_set(err, ENOMEM, "out of memory");
		return -1;
	}
	if (change->state != alarm->state)
		json_object_set_new(changes, "StateTransitionedTimestamp", json_string(time));
	result = cloudwatch_rewrite(cw, alarm, changes, err);
	json_decref(changes);
	return result;
}

int cloudwatch_change(struct cloudwatch *cw, struct alarm *alarm, const struct alarm_change *change,
		      struct err *err)
{
	struct alarm_event event = {
	    .name = alarm->name,
	    .old_state = alarm->state,
	    .new_state = change->state,
	    .has_value = alarm->has_value,
	    .value = alarm->value,
	    .threshold = alarm->rule.threshold,
	    .at_ms = change->at_ms,
	};
	json_t *before = json_incref(alarm->document);

	if (write_change(cw, alarm, change, err) != 0) {
		json_decref(before);
		return -1;
	}
	if (change->state != event.old_state) {
		struct alarm was = {
		    .name = alarm->name, .document = before, .state = event.old_state};

		cw->transitions++;
		note_change(cw, &was, change);
		alarm->state = change->state;
		alarm->repeat_ms = cloudwatch_repeat_ms(alarm, change->at_ms);
		cloudwatch_hasten_composites(cw, alarm->name, change->at_ms);
		tell(cw, alarm, &event);
		if (cloudwatch_is_suppressible(alarm) && !alarm->is_gone)
			cloudwatch_suppress_change(cw, alarm, change->at_ms);
		else
			run_actions(cw, alarm, &event);
	}
	json_decref(before);
	return 0;
}

/* ---- judging ---- */

static bool is_held(const struct alarm *alarm, const struct alarm_verdict *verdict, int64_t now_ms)
{
	return now_ms < alarm->hold_ms && verdict->n_real < (size_t)alarm->rule.evaluation_periods;
}

static void apply_verdict(struct cloudwatch *cw, struct alarm *alarm,
			  const struct alarm_verdict *verdict, int64_t now_ms)
{
	char *data = json_dumps(verdict->reason_data, JSON_COMPACT);
	struct alarm_change change = {verdict->state, verdict->reason, data, now_ms};
	struct err err = {0};

	if (cloudwatch_change(cw, alarm, &change, &err) != 0)
		log_error("alarm-not-written", "alarm=\"%s\" why=\"%s\"", alarm->name, err.text);
	free(data);
}

static void judge(struct cloudwatch *cw, struct alarm *alarm, int64_t now_ms)
{
	int64_t interval_ms = alarm_interval_ms(&alarm->rule);
	struct alarm_verdict verdict;

	cw->evaluations++;
	if (alarm->expression != NULL) {
		cloudwatch_judge_composite(cw, alarm, now_ms);
		return;
	}
	/* Minutes count a second after they are over: be there then. */
	alarm->due_ms = now_ms - (now_ms - 1000) % interval_ms + interval_ms;
	if (alarm_evaluate(&alarm->rule, cw->metrics, alarm->state, now_ms, &verdict) != 0) {
		log_error("alarm-not-judged", "alarm=\"%s\" why=\"out of memory\"", alarm->name);
		return;
	}
	alarm->is_unread = verdict.is_unread;
	alarm->has_value = verdict.has_value;
	alarm->value = verdict.value;
	if (verdict.state != alarm->state && !is_held(alarm, &verdict, now_ms))
		apply_verdict(cw, alarm, &verdict, now_ms);
	json_decref(verdict.reason_data);
}

static void repeat(struct cloudwatch *cw, struct alarm *alarm, int64_t now_ms)
{
	struct alarm_event event = {
	    .name = alarm->name,
	    .old_state = alarm->state,
	    .new_state = alarm->state,
	    .is_repeat = true,
	    .has_value = alarm->has_value,
	    .value = alarm->value,
	    .threshold = alarm->rule.threshold,
	    .at_ms = now_ms,
	};

	alarm->repeat_ms += REPEAT_MS;
	if (alarm->repeat_ms <= now_ms)
		alarm->repeat_ms = now_ms + REPEAT_MS;
	run_actions(cw, alarm, &event);
}

static bool is_due(const struct alarm *alarm, int64_t now_ms)
{
	return alarm->due_ms <= now_ms || alarm->repeat_ms <= now_ms;
}

void cloudwatch_judge_due(struct cloudwatch *cw, int64_t now_ms)
{
	size_t n = 0;
	struct alarm **due;

	for (const struct alarm *alarm = cw->alarms; alarm != NULL; alarm = alarm->hh.next)
		n += is_due(alarm, now_ms);
	due = n > 0 ? malloc(n * sizeof(struct alarm *)) : NULL;
	if (due == NULL)
		return;
	n = 0;
	for (struct alarm *alarm = cw->alarms; alarm != NULL; alarm = alarm->hh.next)
		if (is_due(alarm, now_ms))
			due[n++] = alarm;
	/* Callbacks may delete and add alarms: the ones gathered live until the bury. */
	cw->busy++;
	for (size_t i = 0; i < n; i++) {
		if (!due[i]->is_gone && due[i]->due_ms <= now_ms)
			judge(cw, due[i], now_ms);
		if (!due[i]->is_gone && due[i]->repeat_ms <= now_ms)
			repeat(cw, due[i], now_ms);
	}
	cw->busy--;
	cloudwatch_bury(cw);
	free(due);
}
