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

enum { SUMMARY_MAX = 256, DATA_MAX = 4095 };

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
		strcpy(text, "{}");
	return text;
}

void cloudwatch_note(struct cloudwatch *cw, const char *alarm, const char *type, json_t *data,
		     const char *summary, ...)
{
	struct history_item *item = calloc(1, sizeof(*item));
	char text[SUMMARY_MAX];
	va_list args;

	va_start(args, summary);
	vsnprintf(text, sizeof(text), summary, args);
	va_end(args);
	if (item == NULL) {
		json_decref(data);
		return;
	}
	item->at_ms = cloudwatch_now_ms(cw);
	item->number = ++cw->history_number;
	item->type = type;
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
