/*
 * What happened to alarms: kept in memory, bounded in number and age, and told by
 * DescribeAlarmHistory.  Control thread only.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/doc/doc.h"
#include "scaler/api/cloudwatch_state.h"

enum { SUMMARY_MAX = 256, DATA_MAX = 4095, PAGE = 100 };

static void item_free(struct history_item *item)
{
	free(item->alarm);
	free(item->summary);
	free(item->data);
	free(item);
}

static void drop_oldest(struct cloudwatch *cw)
{
	struct history_item *item = TAILQ_FIRST(&cw->history);

	TAILQ_REMOVE(&cw->history, item, link);
	cw->n_history--;
	item_free(item);
}

void cloudwatch_forget_history(struct cloudwatch *cw, int64_t before_ms)
{
	while (!TAILQ_EMPTY(&cw->history) && TAILQ_FIRST(&cw->history)->at_ms < before_ms)
		drop_oldest(cw);
}

/* data as text; too long: without what makes it long. */
static char *data_text(json_t *data)
{
	char *text = json_dumps(data, JSON_COMPACT);

	if (text == NULL || strlen(text) <= DATA_MAX)
		return text;
	free(text);
	json_object_del(json_object_get(data, "oldState"), "stateReasonData");
	json_object_del(json_object_get(data, "newState"), "stateReasonData");
	text = json_dumps(data, JSON_COMPACT);
	if (text != NULL && strlen(text) > DATA_MAX)
		snprintf(text, DATA_MAX, "{}");
	return text;
}

void cloudwatch_note(struct cloudwatch *cw, const char *alarm, const char *type, json_t *data,
		     const char *summary, ...)
{
	struct history_item *item = calloc(1, sizeof(*item));
	const struct alarm *about = cloudwatch_find_alarm(cw, alarm);
	char text[SUMMARY_MAX];
	va_list args;
	int len;

	va_start(args, summary);
	len = vsnprintf(text, sizeof(text), summary, args);
	va_end(args);
	/* Cut inside a character it would be no JSON string. */
	for (size_t n = strlen(text); len >= SUMMARY_MAX && n > 0 && (text[n - 1] & 0x80); n--)
		text[n - 1] = '\0';
	if (item == NULL) {
		json_decref(data);
		return;
	}
	item->at_ms = cloudwatch_now_ms(cw);
	item->number = ++cw->history_number;
	item->type = type;
	item->is_composite = about != NULL && about->expression != NULL;
	item->alarm = strdup(alarm);
	item->summary = strdup(text);
	item->data = data_text(data);
	json_decref(data);
	if (item->alarm == NULL || item->summary == NULL || item->data == NULL) {
		item_free(item);
		return;
	}
	TAILQ_INSERT_TAIL(&cw->history, item, link);
	if (++cw->n_history > CLOUDWATCH_HISTORY_MAX)
		drop_oldest(cw);
}

/* The list's own text for a type; NULL: it is none. */
static const char *type_of(const char *name)
{
	static const char *const types[] = {"ConfigurationUpdate", "StateUpdate", "Action"};

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (strcmp(types[i], name) == 0)
			return types[i];
	return NULL;
}

int cloudwatch_history_restore(struct cloudwatch *cw, uint64_t number, const json_t *document)
{
	const char *type = type_of(doc_str(document, "HistoryItemType", ""));
	struct history_item *item = type != NULL ? calloc(1, sizeof(*item)) : NULL;

	if (item == NULL)
		return -1;
	item->number = number;
	item->type = type;
	item->alarm = strdup(doc_str(document, "AlarmName", ""));
	item->summary = strdup(doc_str(document, "HistorySummary", ""));
	item->data = strdup(doc_str(document, "HistoryData", ""));
	item->is_composite = strcmp(doc_str(document, "AlarmType", ""), "CompositeAlarm") == 0;
	if (item->alarm == NULL || item->summary == NULL || item->data == NULL ||
	    clock_parse_iso(doc_str(document, "Timestamp", ""), &item->at_ms) != 0) {
		item_free(item);
		return -1;
	}
	TAILQ_INSERT_TAIL(&cw->history, item, link);
	cw->n_history++;
	if (number > cw->history_number)
		cw->history_number = number;
	return 0;
}

/* ---- DescribeAlarmHistory ---- */

struct reading {
	const char *alarm, *type;
	const json_t *kinds; /* AlarmTypes; NULL: both */
	int64_t from_ms, to_ms;
	bool is_ascending;
	uint64_t after; /* the number of the last item of the page before; 0: none */
	size_t max;
};

static bool is_wanted(const struct reading *reading, const struct history_item *item)
{
	if (reading->alarm != NULL && strcmp(reading->alarm, item->alarm) != 0)
		return false;
	if (json_array_size(reading->kinds) > 0 &&
	    !doc_list_has(reading->kinds, item->is_composite ? "CompositeAlarm" : "MetricAlarm"))
		return false;
	if (reading->type != NULL && strcmp(reading->type, item->type) != 0)
		return false;
	if (reading->after != 0 && (reading->is_ascending ? item->number <= reading->after
							  : item->number >= reading->after))
		return false;
	return item->at_ms >= reading->from_ms && item->at_ms <= reading->to_ms;
}

json_t *cloudwatch_history_document(const struct history_item *item)
{
	char time[CLOCK_TEXT_MAX];

	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "AlarmName", item->alarm, "AlarmType",
			 item->is_composite ? "CompositeAlarm" : "MetricAlarm", "Timestamp",
			 clock_format_iso_ms(item->at_ms, time), "HistoryItemType", item->type,
			 "HistorySummary", item->summary, "HistoryData", item->data);
}

static void add_token(json_t *output, uint64_t number)
{
	char text[24], *token;

	snprintf(text, sizeof(text), "%llu", (unsigned long long)number);
	token = cloudwatch_token_encode(text);
	if (token != NULL)
		json_object_set_new(output, "NextToken", json_string(token));
	free(token);
}

static json_t *read_history(const struct cloudwatch *cw, const struct reading *reading)
{
	json_t *list = json_array(), *output = json_pack("{s:o}", "AlarmHistoryItems", list);
	const struct history_item *item = reading->is_ascending
					      ? TAILQ_FIRST(&cw->history)
					      : TAILQ_LAST(&cw->history, history_list);
	uint64_t last = 0;

	while (item != NULL) {
		if (is_wanted(reading, item)) {
			if (json_array_size(list) == reading->max) {
				add_token(output, last);
				break;
			}
			json_array_append_new(list, cloudwatch_history_document(item));
			last = item->number;
		}
		item = reading->is_ascending ? TAILQ_NEXT(item, link)
					     : TAILQ_PREV(item, history_list, link);
	}
	return output;
}

static int read_time(const json_t *input, const char *member, int64_t *ms, struct aws_error *error)
{
	const char *text = doc_str(input, member, NULL);

	if (text == NULL || clock_parse_iso(text, ms) == 0)
		return 0;
	aws_error_set(error, 400, "InvalidParameterValue", "The parameter %s must be a time.",
		      member);
	return -1;
}

json_t *handle_DescribeAlarmHistory(void *context, const struct aws_call *call, const json_t *input,
				    struct aws_error *error)
{
	const char *token = doc_str(input, "NextToken", NULL);
	struct reading reading = {
	    .alarm = doc_str(input, "AlarmName", NULL),
	    .type = doc_str(input, "HistoryItemType", NULL),
	    .kinds = doc_array(input, "AlarmTypes"),
	    .from_ms = INT64_MIN,
	    .to_ms = INT64_MAX,
	    .is_ascending = strcmp(doc_str(input, "ScanBy", ""), "TimestampAscending") == 0,
	    .max = (size_t)doc_int(input, "MaxRecords", PAGE),
	};
	char *after = NULL;

	(void)call;
	if (read_time(input, "StartDate", &reading.from_ms, error) != 0 ||
	    read_time(input, "EndDate", &reading.to_ms, error) != 0)
		return NULL;
	if (token != NULL && (after = cloudwatch_token_decode(token, error)) == NULL)
		return NULL;
	if (after != NULL)
		reading.after = strtoull(after, NULL, 10);
	free(after);
	return read_history(context, &reading);
}
