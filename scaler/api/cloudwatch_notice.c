/*
 * What alarms tell SNS topics: CloudWatch's message, handed to who publishes, and the outcome in
 * the alarm's history.  Control thread only.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/ids.h"
#include "common/base/log.h"
#include "common/doc/doc.h"
#include "scaler/api/cloudwatch_state.h"
#include "scaler/engine/engine.h"

enum { SUBJECT_MAX = 100 }; /* SNS's limit */

bool cloudwatch_is_topic(const char *text)
{
	struct arn arn;

	return arn_parse(text, &arn) == 0 && strcmp(arn.service, "sns") == 0;
}

/* AWS writes the region's long name into messages. */
static const char *long_name(const char *region)
{
	static const struct {
		const char *region, *name;
	} names[] = {
	    {"us-east-1", "US East (N. Virginia)"},
	    {"us-east-2", "US East (Ohio)"},
	    {"us-west-1", "US West (N. California)"},
	    {"us-west-2", "US West (Oregon)"},
	    {"ca-central-1", "Canada (Central)"},
	    {"eu-west-1", "EU (Ireland)"},
	    {"eu-west-2", "EU (London)"},
	    {"eu-west-3", "EU (Paris)"},
	    {"eu-central-1", "EU (Frankfurt)"},
	    {"eu-north-1", "EU (Stockholm)"},
	    {"ap-south-1", "Asia Pacific (Mumbai)"},
	    {"ap-southeast-1", "Asia Pacific (Singapore)"},
	    {"ap-southeast-2", "Asia Pacific (Sydney)"},
	    {"ap-northeast-1", "Asia Pacific (Tokyo)"},
	    {"sa-east-1", "South America (Sao Paulo)"},
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(names[i].region, region) == 0)
			return names[i].name;
	return region;
}

/* "2026-08-07T10:04:40.985+0000" */
static json_t *message_time(const char *iso)
{
	size_t len = strlen(iso);

	return json_sprintf("%.*s+0000", (int)(len > 0 ? len - 1 : 0), iso);
}

/* What a composite has in place of a trigger. */
static void set_rule(json_t *message, const json_t *document)
{
	json_t *data = json_loads(doc_str(document, "StateReasonData", "{}"), 0, NULL);
	json_t *children = json_array(), *one;
	size_t i;

	json_object_del(message, "Trigger");
	json_array_foreach (doc_array(data, "triggeringAlarms"), i, one)
		json_array_append_new(
		    children,
		    json_pack("{s:s, s:{s:s, s:s}}", "Arn", doc_str(one, "arn", ""), "State",
			      "Value", doc_str(doc_object(one, "state"), "value", ""), "Timestamp",
			      doc_str(doc_object(one, "state"), "timestamp", "")));
	json_object_set_new(message, "AlarmRule", json_string(doc_str(document, "AlarmRule", "")));
	json_object_set_new(message, "TriggeringChildren", children);
	json_decref(data);
}

/* The message, or NULL without memory. */
static json_t *make_message(const struct cloudwatch *cw, const struct alarm_event *event)
{
	static const char *const same[] = {"OKActions", "AlarmActions", "InsufficientDataActions"};
	const json_t *document = event->alarm;
	json_t *message = alarm_detail_of(cw->account, long_name(cw->region), document,
					  alarm_state_name(event->old_state),
					  alarm_state_name(event->new_state), event->at_ms);

	if (message == NULL)
		return NULL;
	for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++)
		json_object_set(message, same[i], json_object_get(document, same[i]));
	if (!doc_has(message, "AlarmDescription"))
		json_object_set_new(message, "AlarmDescription", json_null());
	json_object_set_new(message, "NewStateReason",
			    json_string(doc_str(document, "StateReason", "")));
	json_object_set_new(message, "StateChangeTime",
			    message_time(doc_str(message, "StateChangeTime", "")));
	json_object_set_new(
	    message, "AlarmConfigurationUpdatedTimestamp",
	    message_time(doc_str(document, "AlarmConfigurationUpdatedTimestamp", "")));
	if (doc_has(document, "AlarmRule"))
		set_rule(message, document);
	return message;
}

/* SNS takes printable ASCII in subjects. */
static void make_subject(const struct cloudwatch *cw, const struct alarm_event *event,
			 char subject[SUBJECT_MAX + 1])
{
	snprintf(subject, SUBJECT_MAX + 1, "%s: \"%s\" in %s", alarm_state_name(event->new_state),
		 event->name, long_name(cw->region));
	for (char *c = subject; *c != '\0'; c++)
		if (*c < ' ' || *c > '~')
			*c = '?';
}

static void add_line(struct buf *text, const char *name, const char *value)
{
	if (value[0] != '\0')
		buf_printf(text, "%-12s %s\n", name, value);
}

static void add_metric(struct buf *text, const json_t *document)
{
	const json_t *one;
	size_t i;

	if (!doc_has(document, "MetricName"))
		return;
	buf_printf(text, "%-12s %s %s", "Metric:", doc_str(document, "Namespace", ""),
		   doc_str(document, "MetricName", ""));
	json_array_foreach (doc_array(document, "Dimensions"), i, one)
		buf_printf(text, "%s%s=%s", i == 0 ? " (" : ", ", doc_str(one, "Name", ""),
			   doc_str(one, "Value", ""));
	buf_add_str(text, json_array_size(doc_array(document, "Dimensions")) > 0 ? ")\n" : "\n");
}

/* NULL without memory. */
static char *make_mail(const struct alarm_event *event)
{
	const json_t *document = event->alarm;
	char at[CLOCK_TEXT_MAX];
	struct buf text = {0};
	size_t len;

	buf_printf(&text, "The alarm \"%s\" has gone from %s to %s.\n\n", event->name,
		   alarm_state_name(event->old_state), alarm_state_name(event->new_state));
	add_line(&text, "Why:", doc_str(document, "StateReason", ""));
	add_line(&text, "When:", clock_format_iso(event->at_ms, at));
	add_line(&text, "Description:", doc_str(document, "AlarmDescription", ""));
	add_metric(&text, document);
	add_line(&text, "Rule:", doc_str(document, "AlarmRule", ""));
	add_line(&text, "Alarm:", doc_str(document, "AlarmArn", ""));
	return buf_take(&text, &len);
}

int cloudwatch_notify(struct cloudwatch *cw, const struct alarm_event *event, struct err *err)
{
	struct cloudwatch_notice notice = {.alarm = event->name, .topic = event->action};
	char subject[SUBJECT_MAX + 1];
	json_t *message = make_message(cw, event);
	char *text = message != NULL ? json_dumps(message, JSON_COMPACT) : NULL;
	char *mail = make_mail(event);
	int result = -1;

	json_decref(message);
	make_subject(cw, event, subject);
	notice.subject = subject;
	notice.message = text;
	notice.mail = mail;
	if (text == NULL || mail == NULL)
		err_set(err, ENOMEM, "out of memory");
	else if (cw->on_notice == NULL)
		err_set(err, ENOSYS, "nothing here publishes to topics");
	else
		result = cw->on_notice(cw->on_notice_arg, &notice, err);
	free(text);
	free(mail);
	return result;
}

void cloudwatch_on_notice(struct cloudwatch *cw, cloudwatch_notice_fn fn, void *arg)
{
	cw->on_notice = fn;
	cw->on_notice_arg = arg;
}

void cloudwatch_notice_done(struct cloudwatch *cw, const char *alarm, const char *topic,
			    const char *why)
{
	struct alarm_event event = {.name = alarm, .action = topic};

	if (why != NULL)
		log_warn("alarm-action-failed", "alarm=\"%s\" action=%s why=\"%s\"", alarm, topic,
			 why);
	cloudwatch_note_action(cw, &event, why);
}
