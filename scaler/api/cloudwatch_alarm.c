/*
 * Alarms as documents: made from PutMetricAlarm's input, kept in the store and in memory, applied
 * from the configuration file.  Control thread only.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/ids.h"
#include "common/base/log.h"
#include "common/doc/doc.h"
#include "scaler/api/cloudwatch_state.h"

#define KEY_PREFIX "cw/alarm/"
#define FILE_KEY "cw/file"

enum { ACTIONS_MAX = 5 };

static const char *const action_lists[] = {"OKActions", "AlarmActions", "InsufficientDataActions"};

/* ---- in memory ---- */

/* NOLINTNEXTLINE(readability-function-size): uthash's macro, not ours */
struct alarm *cloudwatch_find_alarm(const struct cloudwatch *cw, const char *name)
{
	struct alarm *alarm;

	HASH_FIND_STR(cw->alarms, name, alarm);
	return alarm;
}

const json_t *cloudwatch_alarm(const struct cloudwatch *cw, const char *name)
{
	const struct alarm *alarm = cloudwatch_find_alarm(cw, name);

	return alarm != NULL ? alarm->document : NULL;
}

static void alarm_free(struct alarm *alarm)
{
	alarm_rule_fini(&alarm->rule);
	alarm_expression_free(alarm->expression);
	json_decref(alarm->document);
	free(alarm->name);
	free(alarm);
}

void cloudwatch_bury(struct cloudwatch *cw)
{
	while (cw->busy == 0 && cw->graveyard != NULL) {
		struct alarm *alarm = cw->graveyard;

		cw->graveyard = alarm->next_grave;
		alarm_free(alarm);
	}
}

/* NOLINTNEXTLINE(readability-function-size): uthash's macro, not ours */
void cloudwatch_forget(struct cloudwatch *cw, struct alarm *alarm)
{
	HASH_DEL(cw->alarms, alarm);
	alarm->is_gone = true;
	alarm->next_grave = cw->graveyard;
	cw->graveyard = alarm;
	cloudwatch_bury(cw);
}

/* NOLINTNEXTLINE(readability-function-size): uthash's macro, not ours */
static struct alarm *alarm_new(struct cloudwatch *cw, const char *name)
{
	struct alarm *alarm = calloc(1, sizeof(*alarm));

	if (alarm == NULL)
		return NULL;
	alarm->name = strdup(name);
	if (alarm->name != NULL)
		HASH_ADD_KEYPTR(hh, cw->alarms, alarm->name, strlen(alarm->name), alarm);
	if (alarm->name == NULL || alarm->hh.tbl == NULL) {
		alarm_free(alarm);
		return NULL;
	}
	return alarm;
}

static void set_document(struct alarm *alarm, json_t *document)
{
	json_incref(document);
	json_decref(alarm->document);
	alarm->document = document;
}

static bool is_composite(const json_t *document)
{
	return doc_has(document, "AlarmRule");
}

static int compile(const json_t *document, struct alarm_rule *rule,
		   struct alarm_expression **expression, struct err *err)
{
	*rule = (struct alarm_rule){0};
	*expression = NULL;
	if (!is_composite(document))
		return alarm_rule_init(rule, document, err);
	*expression = alarm_expression_parse(doc_str(document, "AlarmRule", ""), err);
	return *expression != NULL ? 0 : -1;
}

struct alarm *cloudwatch_adopt(struct cloudwatch *cw, json_t *document, struct err *err)
{
	const char *name = doc_str(document, "AlarmName", "");
	int state = alarm_state_from_name(doc_str(document, "StateValue", ""));
	struct alarm *alarm = cloudwatch_find_alarm(cw, name);
	struct alarm_expression *expression;
	struct alarm_rule rule;
	bool is_new = alarm == NULL;
	int64_t repeat_ms;

	if (compile(document, &rule, &expression, err) != 0)
		return NULL;
	if (alarm == NULL)
		alarm = alarm_new(cw, name);
	if (alarm == NULL) {
		alarm_rule_fini(&rule);
		alarm_expression_free(expression);
		err_set(err, ENOMEM, "out of memory");
		return NULL;
	}
	alarm_rule_fini(&alarm->rule);
	alarm->rule = rule;
	alarm_expression_free(alarm->expression);
	alarm->expression = expression;
	set_document(alarm, document);
	alarm->state = state < 0 ? ALARM_INSUFFICIENT_DATA : (enum alarm_state)state;
	cloudwatch_read_suppression(alarm);
	repeat_ms = cloudwatch_repeat_ms(alarm, cloudwatch_now_ms(cw));
	/* A change of definition does not put off what is due. */
	if (is_new || alarm->repeat_ms > repeat_ms || repeat_ms == INT64_MAX)
		alarm->repeat_ms = repeat_ms;
	alarm->due_ms = 0;
	return alarm;
}

/* ---- in the store ---- */

static char *alarm_key(const char *name, char key[CLOUDWATCH_KEY_MAX])
{
	snprintf(key, CLOUDWATCH_KEY_MAX, KEY_PREFIX "%s", name);
	return key;
}

static int store_document(struct cloudwatch *cw, const json_t *document, struct err *err)
{
	char key[CLOUDWATCH_KEY_MAX];
	json_t *copy = json_deep_copy(document);

	if (copy == NULL) {
		err_set(err, ENOMEM, "out of memory");
		return -1;
	}
	if (store_put_one(cw->store, alarm_key(doc_str(document, "AlarmName", ""), key), copy,
			  err) == STORE_OK)
		return 0;
	if (err != NULL)
		err->code = EIO;
	return -1;
}

int cloudwatch_rewrite(struct cloudwatch *cw, struct alarm *alarm, const json_t *changes,
		       struct err *err)
{
	json_t *document = json_deep_copy(alarm->document), *value;
	const char *member;
	void *next;

	if (document == NULL || json_object_update(document, (json_t *)changes) != 0) {
		json_decref(document);
		err_set(err, ENOMEM, "out of memory");
		return -1;
	}
	json_object_foreach_safe (document, next, member, value)
		if (json_is_null(value))
			json_object_del(document, member);
	if (store_document(cw, document, err) != 0) {
		json_decref(document);
		return -1;
	}
	set_document(alarm, document);
	json_decref(document);
	return 0;
}

/* ---- PutMetricAlarm ---- */

static int check_text(const json_t *input, const char *member, size_t max, struct err *err)
{
	const char *text = doc_str(input, member, NULL);

	if (text == NULL || strlen(text) <= max * 4)
		return 0;
	err_set(err, ERANGE, "The parameter %s must not be longer than %zu characters.", member,
		max);
	return -1;
}

static int check_actions(const json_t *input, const char *member, struct err *err)
{
	const json_t *list = doc_array(input, member), *one;
	size_t i;

	if (json_array_size(list) > ACTIONS_MAX) {
		err_set(err, ERANGE, "The collection %s must not have a size greater than %d.",
			member, ACTIONS_MAX);
		return -1;
	}
	json_array_foreach (list, i, one) {
		const char *arn = json_string_value(one);

		if (arn != NULL && strlen(arn) < ARN_TEXT_MAX && arn_is(arn))
			continue;
		err_set(err, ERANGE, "Invalid arn syntax: %.256s", arn != NULL ? arn : "");
		return -1;
	}
	return 0;
}

static int check_input(struct cloudwatch *cw, const json_t *input, struct err *err)
{
	const char *name = doc_str(input, "AlarmName", "");
	const struct alarm *before = cloudwatch_find_alarm(cw, name);
	struct metric_dimension dimensions[METRIC_DIMENSIONS_MAX];
	struct aws_error error = {0};
	struct metric_key key;

	if (name[0] == '\0') {
		err_set(err, ENODATA, "The parameter AlarmName is required.");
		return -1;
	}
	if (check_text(input, "AlarmName", CLOUDWATCH_NAME_MAX, err) != 0 ||
	    check_text(input, "AlarmDescription", 1024, err) != 0)
		return -1;
	for (size_t i = 0; i < sizeof(action_lists) / sizeof(action_lists[0]); i++)
		if (check_actions(input, action_lists[i], err) != 0)
			return -1;
	if (doc_has(input, "MetricName") && doc_has(input, "Namespace") &&
	    cloudwatch_key(input, &key, dimensions, &error) != 0) {
		err_set(err, ERANGE, "%s", error.message);
		return -1;
	}
	if (before != NULL && (before->expression != NULL) != is_composite(input)) {
		err_set(err, ERANGE, "There is an alarm of another type with the name %.256s",
			name);
		return -1;
	}
	if (before == NULL && HASH_COUNT(cw->alarms) >= CLOUDWATCH_ALARMS_MAX) {
		err_set(err, EDQUOT, "The maximum number of alarms (%d) is reached.",
			CLOUDWATCH_ALARMS_MAX);
		return -1;
	}
	return 0;
}

/* These return 0, or -1 without memory: an alarm must not lose members silently. */
static int copy_members(json_t *into, const json_t *from, const char *const members[], size_t n)
{
	int result = 0;

	for (size_t i = 0; i < n; i++) {
		json_t *member = json_object_get(from, members[i]);

		if (member != NULL && !json_is_null(member))
			result |= json_object_set_new(into, members[i], json_deep_copy(member));
	}
	return result;
}

static int set_text(json_t *document, const char *member, const char *text)
{
	return json_object_set_new(document, member, json_string(text));
}

static int set_list(json_t *document, const char *member)
{
	if (doc_array(document, member) != NULL)
		return 0;
	return json_object_set_new(document, member, json_array());
}

/* The state is that of the alarm before, or a newcomer's. */
static int set_state(json_t *document, const struct alarm *before, const char *now)
{
	static const char *const members[] = {"StateValue", "StateReason", "StateReasonData",
					      "StateUpdatedTimestamp",
					      "StateTransitionedTimestamp"};

	if (before != NULL)
		return copy_members(document, before->document, members,
				    sizeof(members) / sizeof(members[0])) |
		       (doc_has(document, "ActionsSuppressor")
			    ? copy_members(document, before->document,
					   cloudwatch_suppression_members,
					   CLOUDWATCH_SUPPRESSION_MEMBERS)
			    : 0);
	return set_text(document, "StateValue", "INSUFFICIENT_DATA") |
	       set_text(document, "StateReason", "Unchecked: Initial alarm creation") |
	       set_text(document, "StateUpdatedTimestamp", now) |
	       set_text(document, "StateTransitionedTimestamp", now);
}

/* Tools compare what they put with what they read: the default is told. */
static int set_return_data(json_t *document)
{
	json_t *one;
	size_t i;
	int result = 0;

	json_array_foreach (doc_array(document, "Metrics"), i, one)
		if (!doc_has(one, "ReturnData"))
			result |= json_object_set_new(one, "ReturnData", json_true());
	return result;
}

/* What every alarm has besides what was put. */
static int set_defaults(const struct cloudwatch *cw, json_t *document)
{
	char now[CLOCK_TEXT_MAX], arn[ARN_TEXT_MAX];
	int result = is_composite(document) ? 0 : set_list(document, "Dimensions");

	clock_format_iso_ms(cloudwatch_now_ms(cw), now);
	snprintf(arn, sizeof(arn), "arn:aws:cloudwatch:%s:%s:alarm:%s", cw->region, cw->account,
		 doc_str(document, "AlarmName", ""));
	result |= set_return_data(document);
	if (!doc_has(document, "ActionsEnabled"))
		result |= json_object_set_new(document, "ActionsEnabled", json_true());
	for (size_t i = 0; i < sizeof(action_lists) / sizeof(action_lists[0]); i++)
		result |= set_list(document, action_lists[i]);
	return result | set_text(document, "AlarmArn", arn) |
	       set_text(document, "AlarmConfigurationUpdatedTimestamp", now);
}

/* DescribeAlarms' shape of a PutMetricAlarm input; NULL without memory. */
static json_t *make_document(const struct cloudwatch *cw, const json_t *input,
			     const struct alarm *before)
{
	static const char *const members[] = {"AlarmName",
					      "AlarmRule",
					      "ActionsSuppressor",
					      "ActionsSuppressorWaitPeriod",
					      "ActionsSuppressorExtensionPeriod",
					      "AlarmDescription",
					      "ActionsEnabled",
					      "OKActions",
					      "AlarmActions",
					      "InsufficientDataActions",
					      "MetricName",
					      "Namespace",
					      "Statistic",
					      "ExtendedStatistic",
					      "Dimensions",
					      "Metrics",
					      "Period",
					      "Unit",
					      "EvaluationPeriods",
					      "Threshold",
					      "DatapointsToAlarm",
					      "TreatMissingData",
					      "ComparisonOperator",
					      "EvaluateLowSampleCountPercentile"};
	char now[CLOCK_TEXT_MAX];
	json_t *document = json_object();

	clock_format_iso_ms(cloudwatch_now_ms(cw), now);
	if (copy_members(document, input, members, sizeof(members) / sizeof(members[0])) == 0 &&
	    set_defaults(cw, document) == 0 && set_state(document, before, now) == 0)
		return document;
	json_decref(document);
	return NULL;
}

static void note_configuration(struct cloudwatch *cw, const char *name, bool is_new)
{
	cloudwatch_note(
	    cw, name, "ConfigurationUpdate",
	    json_pack("{s:s, s:s}", "version", "1.0", "type", is_new ? "Create" : "Update"),
	    "Alarm \"%s\" %s", name, is_new ? "created" : "updated");
	log_info(is_new ? "alarm-created" : "alarm-updated", "alarm=\"%s\"", name);
}

/* Tags count at creation only, as AWS has it. */
static int tag_new(struct cloudwatch *cw, const json_t *input, struct err *err)
{
	const json_t *tags = doc_array(input, "Tags");
	struct aws_error error = {0};

	if (json_array_size(tags) == 0 ||
	    cloudwatch_tag(cw, doc_str(input, "AlarmName", ""), tags, &error) == 0)
		return 0;
	err_set(err, error.http_status == 400 ? ERANGE : EIO, "%s", error.message);
	return -1;
}

static int check_rule(const struct cloudwatch *cw, const json_t *input, struct err *err)
{
	struct alarm_rule rule;

	if (is_composite(input))
		return cloudwatch_check_composite(cw, input, err);
	if (alarm_rule_init(&rule, input, err) != 0)
		return -1;
	alarm_rule_fini(&rule);
	return 0;
}

int cloudwatch_put(struct cloudwatch *cw, const json_t *input, struct err *err)
{
	const struct alarm *before = cloudwatch_find_alarm(cw, doc_str(input, "AlarmName", ""));
	struct alarm *alarm = NULL;
	bool is_new = before == NULL;
	json_t *document;

	/* The rule is only compiled for its checks: nothing may fail after the store has it. */
	if (check_input(cw, input, err) != 0 || check_rule(cw, input, err) != 0)
		return -1;
	if (is_new && tag_new(cw, input, err) != 0)
		return -1;
	document = make_document(cw, input, before);
	if (document == NULL)
		err_set(err, ENOMEM, "out of memory");
	if (document != NULL && store_document(cw, document, err) == 0)
		alarm = cloudwatch_adopt(cw, document, err);
	if (alarm != NULL) {
		/* Not in this very moment: more data may be on its way. */
		alarm->due_ms = cloudwatch_now_ms(cw) + (alarm->expression == NULL ? 1000 : 0);
		note_configuration(cw, alarm->name, is_new);
	}
	json_decref(document);
	return alarm != NULL ? 0 : -1;
}

int cloudwatch_put_alarm(struct cloudwatch *cw, const json_t *input, struct err *err)
{
	return cloudwatch_put(cw, input, err);
}

int cloudwatch_delete_alarm(struct cloudwatch *cw, const char *name, struct err *err)
{
	struct alarm *alarm = cloudwatch_find_alarm(cw, name);
	char key[CLOUDWATCH_KEY_MAX];
	struct store_txn *txn;

	if (alarm == NULL)
		return 0;
	txn = store_begin(cw->store);
	store_delete(txn, alarm_key(alarm->name, key));
	store_delete(txn, cloudwatch_tags_key(alarm->name, key));
	if (store_commit(txn, err) != STORE_OK) {
		if (err != NULL)
			err->code = EIO;
		return -1;
	}
	log_info("alarm-deleted", "alarm=\"%s\"", alarm->name);
	cloudwatch_note(cw, alarm->name, "ConfigurationUpdate",
			json_pack("{s:s, s:s}", "version", "1.0", "type", "Delete"),
			"Alarm \"%s\" deleted", alarm->name);
	cloudwatch_hasten_composites(cw, alarm->name, cloudwatch_now_ms(cw));
	cloudwatch_forget(cw, alarm);
	return 0;
}

/* ---- the configuration file ---- */

/* Deletes what an earlier file created and this one lacks. */
static int delete_unnamed(struct cloudwatch *cw, const json_t *alarms, struct err *err)
{
	json_t *earlier = store_get(cw->store, FILE_KEY, NULL), *one;
	int result = 0;
	size_t i;

	json_array_foreach (doc_array(earlier, "MetricAlarms"), i, one) {
		const char *name = json_string_value(one);

		if (result == 0 && name != NULL && !doc_find(alarms, "AlarmName", name))
			result = cloudwatch_delete_alarm(cw, name, err);
	}
	json_decref(earlier);
	return result;
}

/* Does the file say what the alarm already is?  Then it keeps its update time. */
static bool is_same(const struct cloudwatch *cw, const json_t *input)
{
	const struct alarm *alarm = cloudwatch_find_alarm(cw, doc_str(input, "AlarmName", ""));
	static const char *const times[] = {"AlarmConfigurationUpdatedTimestamp"};
	json_t *wanted;
	bool is_equal;

	if (alarm == NULL)
		return false;
	wanted = make_document(cw, input, alarm);
	if (wanted == NULL)
		return false;
	is_equal = copy_members(wanted, alarm->document, times, 1) == 0 &&
		   json_equal(wanted, alarm->document);
	json_decref(wanted);
	return is_equal;
}

int cloudwatch_apply_file(struct cloudwatch *cw, const json_t *alarms, struct err *err)
{
	json_t *names = json_array(), *record;
	const json_t *one;
	size_t i;

	json_array_foreach (alarms, i, one) {
		const char *name = doc_str(one, "AlarmName", "");

		if (!is_same(cw, one) && cloudwatch_put(cw, one, err) != 0) {
			err_wrap(err, "MetricAlarms[%zu] %s: ", i, name);
			json_decref(names);
			return -1;
		}
		json_array_append_new(names, json_string(name));
	}
	record = json_pack("{s:o}", "MetricAlarms", names);
	if (record == NULL) {
		err_set(err, ENOMEM, "out of memory");
		return -1;
	}
	if (delete_unnamed(cw, alarms, err) != 0) {
		json_decref(record);
		return -1;
	}
	return store_put_one(cw->store, FILE_KEY, record, err) == STORE_OK ? 0 : -1;
}
