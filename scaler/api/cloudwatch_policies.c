/*
 * Alarms as scaling policies see them: which name a policy, and that they stop when it goes.
 * Control thread only.
 */
#include <string.h>

#include "common/base/log.h"
#include "common/doc/doc.h"
#include "scaler/api/cloudwatch_state.h"

static const char *const lists[] = {"OKActions", "AlarmActions", "InsufficientDataActions"};

static bool names(const json_t *alarm, const char *arn)
{
	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
		if (doc_list_has(doc_array(alarm, lists[i]), arn))
			return true;
	return false;
}

json_t *cloudwatch_alarms_with_action(const struct cloudwatch *cw, const char *arn)
{
	json_t *out = json_array();

	for (const struct alarm *alarm = cw->alarms; alarm != NULL; alarm = alarm->hh.next)
		if (names(alarm->document, arn))
			json_array_append_new(
			    out, json_pack("{s:s, s:s}", "AlarmName", alarm->name, "AlarmARN",
					   doc_str(alarm->document, "AlarmArn", "")));
	return out;
}

/* The list without arn; new reference, or NULL when it is not in it. */
static json_t *without(const json_t *list, const char *arn)
{
	json_t *out, *one;
	size_t i;

	if (!doc_list_has(list, arn))
		return NULL;
	out = json_array();
	json_array_foreach (list, i, one)
		if (strcmp(json_string_value(one), arn) != 0)
			json_array_append(out, one);
	return out;
}

static void drop(struct cloudwatch *cw, struct alarm *alarm, const char *arn)
{
	json_t *changes = json_object();
	struct err err = {0};

	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		json_t *rest = without(doc_array(alarm->document, lists[i]), arn);

		if (rest != NULL)
			json_object_set_new(changes, lists[i], rest);
	}
	if (json_object_size(changes) > 0 && cloudwatch_rewrite(cw, alarm, changes, &err) != 0)
		log_warn("alarm-action-kept", "alarm=\"%s\" why=\"%s\"", alarm->name, err.text);
	alarm->repeat_ms = cloudwatch_repeat_ms(alarm, cloudwatch_now_ms(cw));
	json_decref(changes);
}

void cloudwatch_drop_action(struct cloudwatch *cw, const char *arn)
{
	for (struct alarm *alarm = cw->alarms; alarm != NULL; alarm = alarm->hh.next)
		if (names(alarm->document, arn))
			drop(cw, alarm, arn);
}
