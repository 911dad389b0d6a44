/*
 * Scheduled actions: put, one or many, described, deleted.
 */
#include <errno.h>
#include <string.h>

#include "common/base/time_zone.h"
#include "common/doc/doc.h"
#include "scaler/api/groups.h"
#include "scaler/api/reply.h"
#include "scaler/engine/cron.h"

static int refuse(struct aws_error *error, const char *why)
{
	reply_invalid(error, "%s", why);
	return -1;
}

static int check_sizes(const json_t *input, struct aws_error *error)
{
	static const char *const members[] = {"MinSize", "MaxSize", "DesiredCapacity"};
	int64_t min = doc_int(input, "MinSize", 0), max = doc_int(input, "MaxSize", INT64_MAX);
	int64_t desired = doc_int(input, "DesiredCapacity", min);
	int n = 0;

	for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) {
		if (doc_int(input, members[i], 0) < 0) {
			reply_invalid(error, "%s must be greater than or equal to 0", members[i]);
			return -1;
		}
		n += doc_has(input, members[i]);
	}
	if (n == 0)
		return refuse(error, "At least one of MinSize, MaxSize and DesiredCapacity must be "
				     "specified");
	if (min > max)
		return refuse(error, "Max bound must be greater than or equal to min bound");
	if (desired < min || desired > max)
		return refuse(error, "Desired capacity must be between the specified min size and "
				     "max size");
	return 0;
}

int schedule_check(const json_t *input, struct aws_error *error)
{
	const char *recurrence = doc_str(input, "Recurrence", NULL);
	const char *zone = doc_str(input, "TimeZone", NULL);
	struct cron cron;

	if (strchr(doc_str(input, "ScheduledActionName", ""), ':'))
		return refuse(error, "The name of a scheduled action may hold no colon");
	if (recurrence && cron_parse(&cron, recurrence) < 0) {
		reply_invalid(error, "Given recurrence string: %s is invalid", recurrence);
		return -1;
	}
	if (zone && !time_zone_is(zone)) {
		reply_invalid(error, "Given time zone: %s is invalid", zone);
		return -1;
	}
	if (doc_has(input, "Time") && doc_has(input, "StartTime") &&
	    strcmp(doc_str(input, "Time", ""), doc_str(input, "StartTime", "")) != 0)
		return refuse(error, "Time and StartTime differ; StartTime is enough");
	return check_sizes(input, error);
}

int schedule_put(struct autoscaling *as, struct group *group, const json_t *input,
		 struct aws_error *error)
{
	const struct schedule *schedule;
	struct err err = {0};
	int n = 0;

	TAILQ_FOREACH (schedule, &group->schedules, link)
		n++;
	if (n >= MAX_SCHEDULES &&
	    !group_schedule(group, doc_str(input, "ScheduledActionName", ""))) {
		aws_error_set(error, 400, "LimitExceeded",
			      "The group has %d scheduled actions already.", MAX_SCHEDULES);
		return -1;
	}
	if (engine_put_schedule(as->engine, group, input, reply_now_ms(as), &err) == 0)
		return 0;
	if (err.code == EEXIST)
		aws_error_set(error, 400, "AlreadyExists", "%s", err.text);
	else
		reply_invalid(error, "%s", err.text);
	return -1;
}

json_t *handle_PutScheduledUpdateGroupAction(void *context, const struct aws_call *call,
					     const json_t *input, struct aws_error *error)
{
	struct autoscaling *as = context;
	struct group *group = reply_group(as, input, error);

	(void)call;
	if (!group || schedule_check(input, error) < 0 || schedule_put(as, group, input, error) < 0)
		return NULL;
	return reply_written(as, json_object(), error);
}

static json_t *failed(const char *name, const struct aws_error *error)
{
	return json_pack("{s:s, s:s, s:s}", "ScheduledActionName", name, "ErrorCode", error->code,
			 "ErrorMessage", error->message);
}

json_t *handle_BatchPutScheduledUpdateGroupAction(void *context, const struct aws_call *call,
						  const json_t *input, struct aws_error *error)
{
	const json_t *actions = doc_array(input, "ScheduledUpdateGroupActions"), *action;
	struct autoscaling *as = context;
	struct group *group = reply_group(as, input, error);
	json_t *refused;
	size_t i;

	(void)call;
	if (!group)
		return NULL;
	if (json_array_size(actions) > BATCH_SCHEDULES_MAX)
		return reply_invalid(error, "At most %d scheduled actions may be put at once",
				     BATCH_SCHEDULES_MAX);
	refused = json_array();
	json_array_foreach (actions, i, action) {
		struct aws_error why = {0};

		if (schedule_check(action, &why) < 0 || schedule_put(as, group, action, &why) < 0)
			json_array_append_new(
			    refused, failed(doc_str(action, "ScheduledActionName", ""), &why));
	}
	return reply_written(as, json_pack("{s:o}", "FailedScheduledUpdateGroupActions", refused),
			     error);
}

/* ---- delete ---- */

static int remove_one(struct autoscaling *as, struct group *group, const char *name,
		      struct aws_error *error)
{
	struct schedule *schedule = group_schedule(group, name);

	if (!schedule) {
		reply_invalid(error, "Scheduled action name not found - %s", name);
		return -1;
	}
	engine_remove_schedule(as->engine, group, schedule);
	return 0;
}

json_t *handle_DeleteScheduledAction(void *context, const struct aws_call *call,
				     const json_t *input, struct aws_error *error)
{
	struct autoscaling *as = context;
	struct group *group = reply_group(as, input, error);

	(void)call;
	if (!group || remove_one(as, group, doc_str(input, "ScheduledActionName", ""), error) < 0)
		return NULL;
	return reply_written(as, json_object(), error);
}

json_t *handle_BatchDeleteScheduledAction(void *context, const struct aws_call *call,
					  const json_t *input, struct aws_error *error)
{
	const json_t *names = doc_array(input, "ScheduledActionNames"), *name;
	struct autoscaling *as = context;
	struct group *group = reply_group(as, input, error);
	json_t *refused;
	size_t i;

	(void)call;
	if (!group)
		return NULL;
	if (json_array_size(names) > BATCH_SCHEDULES_MAX)
		return reply_invalid(error, "At most %d scheduled actions may be deleted at once",
				     BATCH_SCHEDULES_MAX);
	refused = json_array();
	json_array_foreach (names, i, name) {
		struct aws_error why = {0};

		if (remove_one(as, group, json_string_value(name), &why) < 0)
			json_array_append_new(refused, failed(json_string_value(name), &why));
	}
	return reply_written(as, json_pack("{s:o}", "FailedScheduledActions", refused), error);
}

/* ---- describe ---- */

/* Bounds are as the action shows its time; they are left out when names are given. */
static bool is_wanted(const json_t *input, const struct schedule *schedule)
{
	int64_t from_ms = INT64_MIN, to_ms = INT64_MAX;

	if (json_array_size(doc_array(input, "ScheduledActionNames")) > 0)
		return reply_wants(input, "ScheduledActionNames", schedule->name);
	(void)!clock_parse_iso(doc_str(input, "StartTime", ""), &from_ms);
	(void)!clock_parse_iso(doc_str(input, "EndTime", ""), &to_ms);
	return schedule->next_ms >= from_ms && schedule->next_ms <= to_ms;
}

json_t *handle_DescribeScheduledActions(void *context, const struct aws_call *call,
					const json_t *input, struct aws_error *error)
{
	const char *wanted = doc_str(input, "AutoScalingGroupName", NULL);
	struct autoscaling *as = context;
	const struct schedule *schedule;
	const struct group *group;
	json_t *items;

	(void)call;
	if (wanted && !reply_group(as, input, error))
		return NULL;
	items = json_array();
	TAILQ_FOREACH (group, &as->engine->groups, link) {
		if (wanted && strcmp(group->name, wanted) != 0)
			continue;
		TAILQ_FOREACH (schedule, &group->schedules, link) {
			if (is_wanted(input, schedule))
				json_array_append_new(items, schedule_describe(schedule));
		}
	}
	return reply_page(input, "ScheduledUpdateGroupActions", items, 50, 100, error);
}
