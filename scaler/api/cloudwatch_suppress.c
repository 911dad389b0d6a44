/*
 * Suppressed actions of composite alarms: while the alarm named by ActionsSuppressor is in ALARM, a
 * composite's changes of state run no actions; nor for the wait period after a change (the
 * suppressor may follow), nor for the extension period after the suppressor has left ALARM.  When
 * none of these holds any more, the actions of the state it is in run, unless it is back in the one
 * whose actions ran last.  Control thread only.  AWS: CloudWatch user guide, "Suppressing composite
 * alarm actions".
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/base/log.h"
#include "common/doc/doc.h"
#include "scaler/api/cloudwatch_state.h"

/* What is kept in the document besides AWS's members. */
#define MEMBER_FROM "SuppressedFrom" /* the state whose actions ran last */
#define MEMBER_WAIT "SuppressedWaitMs"
#define MEMBER_EXTENSION "SuppressedExtensionMs"

enum { SUPPRESSOR_TEXT_MAX = 1600 };

const char *const cloudwatch_suppression_members[CLOUDWATCH_SUPPRESSION_MEMBERS] = {
    "ActionsSuppressedBy", "ActionsSuppressedReason", MEMBER_FROM, MEMBER_WAIT, MEMBER_EXTENSION};

/* AWS's names; NULL: there is no member. */
static const char *const names[] = {
    [SUPPRESSED_BY_NOTHING] = NULL,
    [SUPPRESSED_BY_WAIT] = "WaitPeriod",
    [SUPPRESSED_BY_EXTENSION] = "ExtensionPeriod",
    [SUPPRESSED_BY_ALARM] = "Alarm",
};

static enum suppressed_by by_name(const char *name)
{
	for (int i = SUPPRESSED_BY_WAIT; i <= SUPPRESSED_BY_ALARM; i++) {
		if (strcmp(names[i], name) == 0)
			return (enum suppressed_by)i;
	}
	return SUPPRESSED_BY_NOTHING;
}

static const char *suppressor_of(const json_t *document)
{
	const char *text = doc_str(document, "ActionsSuppressor", "");
	const char *name = strncmp(text, "arn:", 4) == 0 ? strstr(text, ":alarm:") : NULL;

	return name != NULL ? name + strlen(":alarm:") : text;
}

bool cloudwatch_is_suppressible(const struct alarm *alarm)
{
	return alarm->expression != NULL && doc_has(alarm->document, "ActionsSuppressor");
}

bool cloudwatch_is_suppressor_of(const struct alarm *alarm, const char *name)
{
	return cloudwatch_is_suppressible(alarm) &&
	       strcmp(suppressor_of(alarm->document), name) == 0;
}

int cloudwatch_check_suppressor(const struct cloudwatch *cw, const json_t *input, struct err *err)
{
	static const char *const periods[] = {"ActionsSuppressorWaitPeriod",
					      "ActionsSuppressorExtensionPeriod"};
	const char *name = suppressor_of(input);
	bool has_one = doc_has(input, "ActionsSuppressor");

	for (size_t i = 0; i < sizeof(periods) / sizeof(periods[0]); i++) {
		if (has_one && !doc_has(input, periods[i])) {
			err_set(err, ENODATA,
				"The parameter %s is required with ActionsSuppressor.", periods[i]);
			return -1;
		}
		if (!has_one && doc_has(input, periods[i])) {
			err_set(err, EINVAL,
				"The parameter %s can be specified with ActionsSuppressor only.",
				periods[i]);
			return -1;
		}
		if (doc_int(input, periods[i], 0) < 0) {
			err_set(err, ERANGE, "The parameter %s must not be negative.", periods[i]);
			return -1;
		}
	}
	if (!has_one)
		return 0;
	if (strlen(doc_str(input, "ActionsSuppressor", "")) > SUPPRESSOR_TEXT_MAX ||
	    strcmp(name, doc_str(input, "AlarmName", "")) == 0 ||
	    cloudwatch_find_alarm(cw, name) == NULL) {
		err_set(err, ERANGE, "The actions suppressor %.256s is no other alarm that exists.",
			name);
		return -1;
	}
	return 0;
}

/* ---- state ---- */

void cloudwatch_read_suppression(struct alarm *alarm)
{
	const json_t *document = alarm->document;
	int from = alarm_state_from_name(doc_str(document, MEMBER_FROM, ""));

	alarm->suppression = (struct suppression){
	    .told = from < 0 ? alarm->state : (enum alarm_state)from,
	    .wait_ms = doc_int(document, MEMBER_WAIT, 0),
	    .extension_ms = doc_int(document, MEMBER_EXTENSION, 0),
	    .by = by_name(doc_str(document, "ActionsSuppressedBy", "")),
	};
	alarm->suppression.is_suppressor_on = alarm->suppression.by == SUPPRESSED_BY_ALARM;
}

static int64_t period_ms(const struct alarm *alarm, const char *member)
{
	return 1000 * doc_int(alarm->document, member, 0);
}

static bool is_suppressor_on(const struct cloudwatch *cw, const struct alarm *alarm)
{
	const struct alarm *suppressor = cloudwatch_find_alarm(cw, suppressor_of(alarm->document));

	return suppressor != NULL && suppressor->state == ALARM_ALARM;
}

static enum suppressed_by held_by(const struct alarm *alarm, int64_t now_ms)
{
	const struct suppression *s = &alarm->suppression;

	if (s->told == alarm->state)
		return SUPPRESSED_BY_NOTHING;
	if (s->is_suppressor_on)
		return SUPPRESSED_BY_ALARM;
	if (now_ms < s->extension_ms)
		return SUPPRESSED_BY_EXTENSION;
	return now_ms < s->wait_ms ? SUPPRESSED_BY_WAIT : SUPPRESSED_BY_NOTHING;
}

/* The document says what holds; what is not so any more is taken out. */
static void write_down(struct cloudwatch *cw, struct alarm *alarm, enum suppressed_by by)
{
	const struct suppression *s = &alarm->suppression;
	const char *what = by == SUPPRESSED_BY_ALARM
			       ? doc_str(alarm->document, "ActionsSuppressor", "")
			       : names[by];
	char reason[SUPPRESSOR_TEXT_MAX + 64] = "";
	struct err err = {0};
	json_t *changes;

	if (what != NULL)
		snprintf(reason, sizeof(reason), "Actions suppressed by %s", what);
	changes = json_pack("{s:s?, s:s?, s:s?, s:I, s:I}", "ActionsSuppressedBy", names[by],
			    "ActionsSuppressedReason", what != NULL ? reason : NULL, MEMBER_FROM,
			    what != NULL ? alarm_state_name(s->told) : NULL, MEMBER_WAIT,
			    (json_int_t)s->wait_ms, MEMBER_EXTENSION, (json_int_t)s->extension_ms);
	if (changes == NULL || cloudwatch_rewrite(cw, alarm, changes, &err) != 0)
		log_error("alarm-not-written", "alarm=\"%s\" why=\"%s\"", alarm->name,
			  changes != NULL ? err.text : "out of memory");
	json_decref(changes);
	alarm->suppression.by = by;
	if (what != NULL)
		cloudwatch_note(cw, alarm->name, "Action",
				json_pack("{s:s, s:s, s:s}", "version", "1.0", "actionState",
					  "Suppressed", "suppressedBy", names[by]),
				"%s", reason);
}

void cloudwatch_suppress(struct cloudwatch *cw, struct alarm *alarm, int64_t now_ms)
{
	struct suppression *s = &alarm->suppression;
	bool is_on = is_suppressor_on(cw, alarm), is_due;
	enum alarm_state told = s->told;
	enum suppressed_by by;

	if (s->is_suppressor_on && !is_on)
		s->extension_ms = now_ms + period_ms(alarm, "ActionsSuppressorExtensionPeriod");
	s->is_suppressor_on = is_on;
	by = held_by(alarm, now_ms);
	is_due = by == SUPPRESSED_BY_NOTHING && told != alarm->state;
	if (is_due)
		s->told = alarm->state;
	if (by != s->by)
		write_down(cw, alarm, by);
	if (by != SUPPRESSED_BY_NOTHING && !is_on)
		alarm->due_ms = now_ms < s->extension_ms ? s->extension_ms : s->wait_ms;
	if (is_due)
		cloudwatch_run_actions(cw, alarm, told, now_ms);
}

void cloudwatch_suppress_change(struct cloudwatch *cw, struct alarm *alarm, int64_t at_ms)
{
	alarm->suppression.wait_ms = at_ms + period_ms(alarm, "ActionsSuppressorWaitPeriod");
	cloudwatch_suppress(cw, alarm, at_ms);
}
