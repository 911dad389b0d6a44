/*
 * Scheduled actions: kept by name, run when due in the order of their times, once each.  What came
 * due while the program was down runs at the start, each action once; what came due while the
 * process was suspended is passed over.  Pure; time zones are a function of the owner.  AWS:
 * "Scheduled scaling".
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "scaler/engine/cron.h"
#include "scaler/engine/parts.h"

enum {
	LATE_MS = 120 * 1000, /* AWS's own limit of lateness */
	SET_BACK_MS = 3 * 3600 * 1000,
};

static const char *const kept[] = {"StartTime", "EndTime", "Recurrence",     "TimeZone",
				   "MinSize",   "MaxSize", "DesiredCapacity"};

struct schedule *group_schedule(const struct group *group, const char *name)
{
	struct schedule *schedule;

	TAILQ_FOREACH (schedule, &group->schedules, link) {
		if (strcmp(schedule->name, name) == 0)
			return schedule;
	}
	return NULL;
}

struct schedule *schedule_new(struct group *group, const char *name)
{
	struct schedule *schedule = calloc(1, sizeof *schedule), *other;

	if (!schedule)
		return NULL;
	text_copy(schedule->name, sizeof schedule->name, name);
	schedule->is_dirty = true;
	TAILQ_FOREACH (other, &group->schedules, link) {
		if (strcmp(schedule->name, other->name) < 0)
			break;
	}
	if (other)
		TAILQ_INSERT_BEFORE(other, schedule, link);
	else
		TAILQ_INSERT_TAIL(&group->schedules, schedule, link);
	return schedule;
}

void schedule_free(struct schedule *schedule)
{
	if (!schedule)
		return;
	json_decref(schedule->document);
	free(schedule);
}

void engine_remove_schedule(struct engine *engine, struct group *group, struct schedule *schedule)
{
	engine_forget_key(engine, "schedule", group->name, schedule->name);
	TAILQ_REMOVE(&group->schedules, schedule, link);
	schedule_free(schedule);
}

/* ---- times ---- */

struct zone_of {
	const struct engine *engine;
	const char *name;
};

static int offset_in(const void *arg, int64_t at_s)
{
	const struct zone_of *zone = arg;

	return zone->engine->zone_offset ? zone->engine->zone_offset(zone->name, at_s) : 0;
}

static int64_t time_of(const json_t *document, const char *member, int64_t otherwise)
{
	int64_t at_ms;

	if (clock_parse_iso(doc_str(document, member, ""), &at_ms) < 0)
		return otherwise;
	return at_ms;
}

/* The recurrence's first time after after_ms and within the end; INT64_MAX: none. */
static int64_t next_of(const struct engine *engine, const json_t *document, int64_t after_ms)
{
	struct zone_of zone = {engine, doc_str(document, "TimeZone", "UTC")};
	int64_t next_ms;
	struct cron cron;

	if (cron_parse(&cron, doc_str(document, "Recurrence", "")) < 0)
		return INT64_MAX;
	next_ms = cron_next_ms(&cron, after_ms, offset_in, &zone);
	return next_ms <= time_of(document, "EndTime", INT64_MAX) ? next_ms : INT64_MAX;
}

/* ---- put ---- */

static int refuse(struct err *err, int code, const char *why)
{
	err_set(err, code, "%s", why);
	return -1;
}

static json_t *document_of(const struct engine *engine, const struct group *group,
			   const json_t *input, const struct schedule *old)
{
	const char *name = doc_str(input, "ScheduledActionName", "");
	char arn[ARN_MAX + 2 * NAME_MAX_LEN], uuid[ID_TEXT_MAX];
	json_t *document;

	snprintf(arn, sizeof arn,
		 "arn:aws:autoscaling:%s:%s:scheduledUpdateGroupAction:%s:autoScalingGroupName/%s:"
		 "scheduledActionName/%s",
		 engine->region, engine->account, id_uuid(engine->ids, uuid), group->name, name);
	document = json_pack("{s:s, s:s, s:s}", "AutoScalingGroupName", group->name,
			     "ScheduledActionName", name, "ScheduledActionARN",
			     old ? doc_str(old->document, "ScheduledActionARN", arn) : arn);
	for (size_t i = 0; document && i < sizeof kept / sizeof kept[0]; i++) {
		if (doc_has(input, kept[i]))
			json_object_set(document, kept[i], json_object_get(input, kept[i]));
	}
	/* Time is StartTime's name of old. */
	if (document && doc_has(input, "Time") && !doc_has(input, "StartTime"))
		json_object_set(document, "StartTime", json_object_get(input, "Time"));
	return document;
}

static bool is_taken(const struct group *group, const struct schedule *own, int64_t start_ms)
{
	const struct schedule *other;

	TAILQ_FOREACH (other, &group->schedules, link) {
		if (other != own && time_of(other->document, "StartTime", -1) == start_ms)
			return true;
	}
	return false;
}

/* When it runs first; -1 with err. */
static int64_t first_run(const struct engine *engine, const struct group *group,
			 const struct schedule *old, const json_t *document, int64_t now_ms,
			 struct err *err)
{
	int64_t start_ms = time_of(document, "StartTime", 0);
	int64_t end_ms = time_of(document, "EndTime", INT64_MAX);
	bool has_start = doc_has(document, "StartTime"), recurs = doc_has(document, "Recurrence");
	bool is_kept = old && time_of(old->document, "StartTime", -1) == start_ms;
	int64_t next_ms;

	if (!has_start && !recurs)
		return refuse(err, EINVAL,
			      "Either a start time or a recurrence must be specified.");
	/* Put again as it is, an action that has begun goes on. */
	if (has_start && start_ms <= now_ms && !(recurs && is_kept))
		return refuse(err, EINVAL, "Given start time is in the past");
	if (end_ms <= now_ms)
		return refuse(err, EINVAL, "Given end time is in the past");
	if (has_start && end_ms <= start_ms)
		return refuse(err, EINVAL, "The end time must be after the start time");
	if (has_start && is_taken(group, old, start_ms))
		return refuse(err, EEXIST,
			      "There is another scheduled action of the group with the same start "
			      "time");
	if (has_start && start_ms > now_ms)
		return start_ms;
	next_ms = next_of(engine, document, now_ms);
	if (next_ms == INT64_MAX)
		return refuse(err, EINVAL, "The recurrence has no time before the end time");
	return next_ms;
}

/* The same times as before: what is overdue stays so. */
static bool is_same_time(const struct schedule *old, const json_t *document)
{
	for (size_t i = 0; i < 4; i++) {
		if (strcmp(doc_str(old->document, kept[i], ""), doc_str(document, kept[i], "")) !=
		    0)
			return false;
	}
	return true;
}

int engine_put_schedule(struct engine *engine, struct group *group, const json_t *input,
			int64_t now_ms, struct err *err)
{
	const char *name = doc_str(input, "ScheduledActionName", "");
	struct schedule *schedule = group_schedule(group, name);
	json_t *document = document_of(engine, group, input, schedule);
	int64_t next_ms;

	if (!document)
		goto oom;
	next_ms = first_run(engine, group, schedule, document, now_ms, err);
	if (next_ms < 0)
		goto fail;
	if (schedule && is_same_time(schedule, document))
		next_ms = schedule->next_ms;
	if (!schedule)
		schedule = schedule_new(group, name);
	if (!schedule)
		goto oom;
	json_decref(schedule->document);
	schedule->document = document;
	schedule->next_ms = next_ms;
	schedule->is_dirty = true;
	return 0;
oom:
	err_set(err, ENOMEM, "out of memory");
fail:
	json_decref(document);
	return -1;
}

json_t *schedule_describe(const struct schedule *schedule)
{
	json_t *out = json_copy(schedule->document);
	char at[CLOCK_TEXT_MAX];

	if (!out)
		return NULL;
	/* What recurs without a start shows when it runs next. */
	if (!doc_has(out, "StartTime"))
		json_object_set_new(out, "StartTime",
				    json_string(clock_format_iso(schedule->next_ms, at)));
	json_object_set(out, "Time", json_object_get(out, "StartTime"));
	return out;
}

/* ---- at work ---- */

/* Only in an activity can it be said that an action could not be carried out. */
static void tell_failure(struct tick *tick, struct group *group, const struct schedule *schedule,
			 const char *why)
{
	struct activity *activity;
	char cause[CAUSE_MAX] = "";

	cause_add(cause, tick->now_ms, "a scheduled action %s was due", schedule->name);
	activity = activity_start(tick->engine, group, cause, tick->now_ms);
	if (!activity)
		return;
	snprintf(activity->description, sizeof activity->description,
		 "Executing scheduled action %.200s.  Status Reason: %.200s", schedule->name, why);
	activity_say(activity, why);
	activity_end(activity, ACTIVITY_FAILED, tick->now_ms);
}

static void run(struct tick *tick, struct group *group, struct schedule *schedule)
{
	bool is_over = tick->now_ms - schedule->next_ms > LATE_MS &&
		       time_of(schedule->document, "EndTime", INT64_MAX) < tick->now_ms;
	char who[NAME_MAX_LEN + 32];
	struct err err = {0};

	snprintf(who, sizeof who, "a scheduled action %s", schedule->name);
	if (!is_over && !group_is_suspended(group, "ScheduledActions") &&
	    group_set_sizes(group, schedule->document, who, tick->now_ms, &err) < 0)
		tell_failure(tick, group, schedule, err.text);
	schedule->next_ms = next_of(tick->engine, schedule->document, tick->now_ms);
	schedule->is_dirty = true;
	if (schedule->next_ms == INT64_MAX)
		engine_remove_schedule(tick->engine, group, schedule);
}

static struct schedule *first_due(const struct group *group, int64_t now_ms)
{
	struct schedule *schedule, *first = NULL;

	TAILQ_FOREACH (schedule, &group->schedules, link) {
		if (schedule->next_ms <= now_ms && (!first || schedule->next_ms < first->next_ms))
			first = schedule;
	}
	return first;
}

void schedules_run(struct tick *tick, struct group *group)
{
	struct schedule *schedule;

	while (!group->is_deleting && (schedule = first_due(group, tick->now_ms)))
		run(tick, group, schedule);
}

/* As cron does: set back by a few hours, what has run does not run again; by more, the new time
 * counts. */
void schedules_set_back(struct engine *engine, struct group *group, int64_t now_ms)
{
	struct schedule *schedule;

	TAILQ_FOREACH (schedule, &group->schedules, link) {
		int64_t start_ms = time_of(schedule->document, "StartTime", 0), next_ms;

		if (!doc_has(schedule->document, "Recurrence") ||
		    schedule->next_ms - now_ms <= SET_BACK_MS)
			continue;
		next_ms =
		    start_ms > now_ms ? start_ms : next_of(engine, schedule->document, now_ms);
		schedule->is_dirty |= next_ms < schedule->next_ms;
		if (next_ms < schedule->next_ms)
			schedule->next_ms = next_ms;
	}
}
