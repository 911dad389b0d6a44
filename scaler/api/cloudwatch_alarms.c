/*
 * The handlers of alarms: PutMetricAlarm, DescribeAlarms, DeleteAlarms, SetAlarmState and their
 * kin.  Control thread only.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/doc/doc.h"
#include "scaler/api/cloudwatch_state.h"

enum { DEFAULT_PAGE = 50, NAMES_MAX = 100 };

/* What an err of cloudwatch_put() is on the wire. */
static json_t *fail(const struct err *err, struct aws_error *error)
{
	const char *code = "InvalidParameterValue";
	int status = 400;

	if (err->code == ENODATA)
		code = "MissingParameter";
	else if (err->code == EINVAL)
		code = "InvalidParameterCombination";
	else if (err->code == EDQUOT)
		code = "LimitExceeded";
	else if (err->code != ERANGE && err->code != ENOTSUP) {
		code = "InternalServiceError";
		status = 500;
	}
	aws_error_set(error, status, code, "%s", err->text);
	return NULL;
}

json_t *handle_PutMetricAlarm(void *context, const struct aws_call *call, const json_t *input,
			      struct aws_error *error)
{
	struct err err = {0};

	(void)call;
	return cloudwatch_put(context, input, &err) == 0 ? json_object() : fail(&err, error);
}

json_t *handle_PutCompositeAlarm(void *context, const struct aws_call *call, const json_t *input,
				 struct aws_error *error)
{
	struct err err = {0};

	(void)call;
	return cloudwatch_put(context, input, &err) == 0 ? json_object() : fail(&err, error);
}

/* ---- DescribeAlarms ---- */

/* Without AlarmTypes only alarms on metrics are meant. */
static bool has_wanted_type(const struct alarm *alarm, const json_t *types)
{
	if (json_array_size(types) == 0)
		return alarm->expression == NULL;
	return doc_list_has(types, alarm->expression != NULL ? "CompositeAlarm" : "MetricAlarm");
}

static bool has_action_prefix(const json_t *document, const char *prefix)
{
	static const char *const lists[] = {"OKActions", "AlarmActions", "InsufficientDataActions"};
	const json_t *one;
	size_t i;

	for (size_t l = 0; l < sizeof(lists) / sizeof(lists[0]); l++)
		json_array_foreach (doc_array(document, lists[l]), i, one)
			if (strncmp(json_string_value(one), prefix, strlen(prefix)) == 0)
				return true;
	return false;
}

static bool is_wanted(const struct alarm *alarm, const json_t *input)
{
	const json_t *names = doc_array(input, "AlarmNames");
	const char *prefix = doc_str(input, "AlarmNamePrefix", "");
	const char *state = doc_str(input, "StateValue", NULL);
	const char *action = doc_str(input, "ActionPrefix", NULL);

	if (!has_wanted_type(alarm, doc_array(input, "AlarmTypes")))
		return false;
	if (json_array_size(names) > 0 && !doc_list_has(names, alarm->name))
		return false;
	if (strncmp(alarm->name, prefix, strlen(prefix)) != 0)
		return false;
	if (state != NULL && strcmp(state, alarm_state_name(alarm->state)) != 0)
		return false;
	return action == NULL || has_action_prefix(alarm->document, action);
}

static int compare_names(const void *a, const void *b)
{
	const struct alarm *const *x = a, *const *y = b;

	return strcmp((*x)->name, (*y)->name);
}

/* The alarms wanted whose names come after `after`, in order; their number, or -1 without memory.
 */
static int select_alarms(const struct cloudwatch *cw, const json_t *input, const char *after,
			 const struct alarm ***selected)
{
	size_t n = 0;

	*selected = calloc(HASH_COUNT(cw->alarms) + 1, sizeof(struct alarm *));
	if (*selected == NULL)
		return -1;
	for (const struct alarm *alarm = cw->alarms; alarm != NULL; alarm = alarm->hh.next)
		if (strcmp(alarm->name, after) > 0 && is_wanted(alarm, input))
			(*selected)[n++] = alarm;
	qsort(*selected, n, sizeof(struct alarm *), compare_names);
	return (int)n;
}

/* New reference. */
static json_t *described(const struct alarm *alarm)
{
	json_t *copy;

	if (!alarm->is_unread)
		return json_incref(alarm->document);
	copy = json_copy(alarm->document);
	if (copy != NULL)
		json_object_set_new(copy, "EvaluationState", json_string("EVALUATION_ERROR"));
	return copy;
}

static json_t *describe_page(const struct alarm *const *selected, int n, int max)
{
	json_t *metric = json_array(), *composite = json_array();
	json_t *output =
	    json_pack("{s:o, s:o}", "MetricAlarms", metric, "CompositeAlarms", composite);
	char *token;

	for (int i = 0; selected != NULL && i < n && i < max; i++)
		json_array_append_new(selected[i]->expression != NULL ? composite : metric,
				      described(selected[i]));
	if (output == NULL || selected == NULL || n <= max)
		return output;
	token = cloudwatch_token_encode(selected[max - 1]->name);
	json_object_set_new(output, "NextToken", json_string(token != NULL ? token : ""));
	free(token);
	return output;
}

/* The alarms that a composite names, or the composites that name an alarm; NULL with error. */
static json_t *describe_family(const struct cloudwatch *cw, const json_t *input,
			       struct aws_error *error)
{
	const char *child = doc_str(input, "ParentsOfAlarmName", NULL);
	const char *parent = doc_str(input, "ChildrenOfAlarmName", NULL);
	const struct alarm *composite = parent != NULL ? cloudwatch_find_alarm(cw, parent) : NULL;
	json_t *metric = json_array(), *composites = json_array();

	if (child != NULL && parent != NULL) {
		json_decref(metric);
		json_decref(composites);
		aws_error_set(error, 400, "InvalidParameterCombination",
			      "The parameters ParentsOfAlarmName and ChildrenOfAlarmName are "
			      "mutually exclusive.");
		return NULL;
	}
	for (const struct alarm *alarm = cw->alarms; alarm != NULL; alarm = alarm->hh.next) {
		bool is_parent = child != NULL && alarm->expression != NULL &&
				 alarm_expression_names(alarm->expression, child);
		bool is_child = composite != NULL && composite->expression != NULL &&
				alarm_expression_names(composite->expression, alarm->name);

		if (is_parent)
			json_array_append_new(composites,
					      json_pack("{s:s, s:s}", "AlarmName", alarm->name,
							"AlarmArn",
							doc_str(alarm->document, "AlarmArn", "")));
		else if (is_child)
			json_array_append(alarm->expression != NULL ? composites : metric,
					  alarm->document);
	}
	return json_pack("{s:o, s:o}", "MetricAlarms", metric, "CompositeAlarms", composites);
}

static int check_names(const json_t *input, struct aws_error *error)
{
	if (json_array_size(doc_array(input, "AlarmNames")) <= NAMES_MAX)
		return 0;
	aws_error_set(error, 400, "InvalidParameterValue",
		      "The collection AlarmNames must not have a size greater than %d.", NAMES_MAX);
	return -1;
}

json_t *handle_DescribeAlarms(void *context, const struct aws_call *call, const json_t *input,
			      struct aws_error *error)
{
	const char *token = doc_str(input, "NextToken", NULL);
	const struct alarm **selected = NULL;
	char *after = NULL;
	json_t *output = NULL;
	int n = 0;

	(void)call;
	if (check_names(input, error) != 0)
		return NULL;
	if (json_array_size(doc_array(input, "AlarmNames")) > 0 &&
	    doc_has(input, "AlarmNamePrefix")) {
		aws_error_set(
		    error, 400, "InvalidParameterCombination",
		    "The parameters AlarmNames and AlarmNamePrefix are mutually exclusive "
		    "and you have specified both.");
		return NULL;
	}
	if (doc_has(input, "ParentsOfAlarmName") || doc_has(input, "ChildrenOfAlarmName"))
		return describe_family(context, input, error);
	if (token != NULL && (after = cloudwatch_token_decode(token, error)) == NULL)
		return NULL;
	n = select_alarms(context, input, after != NULL ? after : "", &selected);
	if (n >= 0)
		output =
		    describe_page(selected, n, (int)doc_int(input, "MaxRecords", DEFAULT_PAGE));
	free(selected);
	free(after);
	return output;
}

/* ---- DescribeAlarmsForMetric ---- */

static bool same_member(const json_t *a, const json_t *b, const char *member)
{
	json_t *left = json_object_get(a, member), *right = json_object_get(b, member);

	/* Only what the caller names must agree. */
	return left == NULL || (right != NULL && json_equal(left, right));
}

static bool same_dimensions(const struct alarm *alarm, const json_t *list)
{
	const struct metric_key *key = &alarm->rule.query.key;

	if (json_array_size(list) != key->n_dimensions)
		return false;
	for (size_t i = 0; i < key->n_dimensions; i++) {
		const json_t *one;
		bool is_found = false;
		size_t at;

		json_array_foreach (list, at, one)
			is_found |=
			    strcmp(doc_str(one, "Name", ""), key->dimensions[i].name) == 0 &&
			    strcmp(doc_str(one, "Value", ""), key->dimensions[i].value) == 0;
		if (!is_found)
			return false;
	}
	return true;
}

json_t *handle_DescribeAlarmsForMetric(void *context, const struct aws_call *call,
				       const json_t *input, struct aws_error *error)
{
	static const char *const members[] = {"MetricName",        "Namespace", "Statistic",
					      "ExtendedStatistic", "Period",    "Unit"};
	const struct cloudwatch *cw = context;
	json_t *list = json_array();

	(void)call;
	(void)error;
	for (const struct alarm *alarm = cw->alarms; alarm != NULL; alarm = alarm->hh.next) {
		bool is_same = alarm->expression == NULL && alarm->rule.math == NULL &&
			       same_dimensions(alarm, doc_array(input, "Dimensions"));

		for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++)
			is_same = is_same && same_member(input, alarm->document, members[i]);
		if (is_same)
			json_array_append(list, alarm->document);
	}
	return json_pack("{s:o}", "MetricAlarms", list);
}

/* ---- DeleteAlarms, SetAlarmState, Enable- and DisableAlarmActions ---- */

/* What a composite alarm names stays, unless the composite goes in the same call. */
static int check_deletion(const struct cloudwatch *cw, const json_t *names, struct aws_error *error)
{
	const json_t *one;
	size_t i, n = 0;

	json_array_foreach (names, i, one) {
		const char *name = json_string_value(one);
		const struct alarm *alarm = cloudwatch_find_alarm(cw, name);
		const struct alarm *over = cloudwatch_composite_over(cw, name);

		n += alarm != NULL && alarm->expression != NULL;
		if (alarm == NULL || over == NULL || doc_list_has(names, over->name))
			continue;
		aws_error_set(error, 400, "ValidationError",
			      "Cannot delete %.256s as there are composite alarm(s) depending on "
			      "it: %.256s",
			      name, over->name);
		return -1;
	}
	if (n <= 1)
		return 0;
	aws_error_set(error, 400, "ValidationError",
		      "Only one composite alarm can be deleted in one call.");
	return -1;
}

json_t *handle_DeleteAlarms(void *context, const struct aws_call *call, const json_t *input,
			    struct aws_error *error)
{
	struct cloudwatch *cw = context;
	const json_t *names = doc_array(input, "AlarmNames"), *one;
	const char *unknown = NULL;
	struct err err = {0};
	size_t i;

	(void)call;
	if (check_names(input, error) != 0 || check_deletion(cw, names, error) != 0)
		return NULL;
	json_array_foreach (names, i, one) {
		const char *name = json_string_value(one);

		if (cloudwatch_find_alarm(cw, name) == NULL)
			unknown = name;
		else if (cloudwatch_delete_alarm(cw, name, &err) != 0)
			return fail(&err, error);
	}
	if (unknown == NULL)
		return json_object();
	aws_error_set(error, 404, "ResourceNotFound", "Alarm %s does not exist", unknown);
	return NULL;
}

/* The last of recentDatapoints, for the policies that the state's actions run. */
static void take_value(struct alarm *alarm, const json_t *data)
{
	const json_t *recent = doc_array(data, "recentDatapoints");
	const json_t *last = json_array_get(recent, json_array_size(recent) - 1);

	alarm->has_value = json_is_number(last);
	if (alarm->has_value)
		alarm->value = json_number_value(last);
}

json_t *handle_SetAlarmState(void *context, const struct aws_call *call, const json_t *input,
			     struct aws_error *error)
{
	struct cloudwatch *cw = context;
	const char *name = doc_str(input, "AlarmName", "");
	struct alarm *alarm = cloudwatch_find_alarm(cw, name);
	int state = alarm_state_from_name(doc_str(input, "StateValue", ""));
	struct alarm_change change = {
	    .reason = doc_str(input, "StateReason", ""),
	    .reason_data = doc_str(input, "StateReasonData", NULL),
	    .at_ms = cloudwatch_now_ms(cw),
	};
	struct err err = {0};
	json_t *data = NULL;

	(void)call;
	if (alarm == NULL) {
		aws_error_set(error, 404, "ResourceNotFound", "Alarm %s does not exist", name);
		return NULL;
	}
	if (state < 0) {
		aws_error_set(error, 400, "InvalidParameterValue",
			      "The parameter StateValue must be OK, ALARM or INSUFFICIENT_DATA.");
		return NULL;
	}
	if (change.reason_data != NULL && change.reason_data[0] == '\0')
		change.reason_data = NULL;
	if (change.reason_data != NULL) {
		data = json_loads(change.reason_data, 0, NULL);
		if (data == NULL) {
			aws_error_set(error, 400, "InvalidFormat",
				      "StateReasonData is not valid JSON");
			return NULL;
		}
	}
	take_value(alarm, data);
	json_decref(data);
	change.state = (enum alarm_state)state;
	/* The next evaluation overrides it: not before its actions have had their time.  A
	   composite waits for an alarm of its rule to change. */
	if (alarm->expression == NULL)
		alarm->due_ms = change.at_ms + 10000;
	return cloudwatch_change(cw, alarm, &change, &err) == 0 ? json_object() : fail(&err, error);
}

static json_t *enable_actions(struct cloudwatch *cw, const json_t *input, bool is_enabled,
			      struct aws_error *error)
{
	json_t *changes = json_pack("{s:b}", "ActionsEnabled", is_enabled);
	struct err err = {0};
	const json_t *one;
	int result = check_names(input, error);
	size_t i;

	if (result != 0 || changes == NULL) {
		json_decref(changes);
		return NULL;
	}
	json_array_foreach (doc_array(input, "AlarmNames"), i, one) {
		struct alarm *alarm = cloudwatch_find_alarm(cw, json_string_value(one));

		if (alarm == NULL || result != 0)
			continue; /* unknown names are fine */
		result = cloudwatch_rewrite(cw, alarm, changes, &err);
		alarm->repeat_ms = cloudwatch_repeat_ms(alarm, cloudwatch_now_ms(cw));
	}
	json_decref(changes);
	return result == 0 ? json_object() : fail(&err, error);
}

json_t *handle_EnableAlarmActions(void *context, const struct aws_call *call, const json_t *input,
				  struct aws_error *error)
{
	(void)call;
	return enable_actions(context, input, true, error);
}

json_t *handle_DisableAlarmActions(void *context, const struct aws_call *call, const json_t *input,
				   struct aws_error *error)
{
	(void)call;
	return enable_actions(context, input, false, error);
}
