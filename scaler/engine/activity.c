/*
 * Activities: one for each launch and each termination, with the sentences that say why,
 * in Auto Scaling's words.  Pure.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "scaler/engine/parts.h"

static const char *const status_names[] = {
    [ACTIVITY_IN_PROGRESS] = "InProgress",
    [ACTIVITY_PRE_IN_SERVICE] = "PreInService",
    [ACTIVITY_DRAINING] = "WaitingForELBConnectionDraining",
    [ACTIVITY_SUCCESSFUL] = "Successful",
    [ACTIVITY_FAILED] = "Failed",
    [ACTIVITY_CANCELLED] = "Cancelled",
    [ACTIVITY_MID_LIFECYCLE] = "MidLifecycleAction",
};

const char *activity_status_name(enum activity_status status)
{
	return status_names[status];
}

void activity_free(struct activity *activity)
{
	if (!activity)
		return;
	json_decref(activity->alarms);
	free(activity);
}

void cause_add(char cause[CAUSE_MAX], int64_t now_ms, const char *format, ...)
{
	char at[CLOCK_TEXT_MAX];
	size_t used = strlen(cause);
	va_list args;

	used += (size_t)snprintf(cause + used, CAUSE_MAX - used, "%sAt %s ", used ? "  " : "",
				 clock_format_iso(now_ms, at));
	if (used >= CAUSE_MAX)
		return;
	va_start(args, format);
	used += (size_t)vsnprintf(cause + used, CAUSE_MAX - used, format, args);
	va_end(args);
	if (used + 1 < CAUSE_MAX)
		text_copy(cause + used, CAUSE_MAX - used, ".");
	else
		text_mend(cause);
}

struct activity *activity_start(struct engine *engine, struct group *group, const char *cause,
				int64_t now_ms)
{
	struct activity *activity = calloc(1, sizeof *activity);

	if (!activity)
		return NULL;
	activity->engine = engine;
	id_uuid(engine->ids, activity->id);
	text_copy(activity->group, sizeof activity->group, group->name);
	text_copy(activity->group_arn, sizeof activity->group_arn,
		  doc_str(group->document, "AutoScalingGroupARN", ""));
	text_copy(activity->cause, sizeof activity->cause, cause);
	activity->start_ms = now_ms;
	activity->is_dirty = true;
	TAILQ_INSERT_HEAD(&group->activities, activity, link);
	activities_trim(engine, &group->activities, MAX_ACTIVITIES);
	return activity;
}

/* The oldest finished ones go. */
void activities_trim(struct engine *engine, struct activities *activities, int max)
{
	struct activity *activity, *previous;
	int n = 0;

	TAILQ_FOREACH (activity, activities, link)
		n++;
	TAILQ_FOREACH_REVERSE_SAFE(activity, activities, activities, link, previous)
	{
		char key[NAME_MAX_LEN + ID_TEXT_MAX + 64];

		if (n <= max)
			return;
		if (activity->end_ms == 0)
			continue;
		snprintf(key, sizeof key, "%sactivity/%s:%s", ENGINE_KEYS, activity->group,
			 activity->id);
		if (json_array_append_new(engine->removed, json_string(key)) < 0)
			return;
		TAILQ_REMOVE(activities, activity, link);
		activity_free(activity);
		n--;
	}
}

struct activity *activity_find(const struct group *group, const char *id)
{
	struct activity *activity;

	TAILQ_FOREACH (activity, &group->activities, link) {
		if (strcmp(activity->id, id) == 0)
			return activity;
	}
	return NULL;
}

void activity_progress(struct activity *activity, enum activity_status status, int progress)
{
	if (!activity || activity->end_ms || activity->progress > progress ||
	    (activity->status == status && activity->progress == progress))
		return;
	activity->status = status;
	activity->progress = progress;
	activity->is_dirty = true;
}

void activity_say(struct activity *activity, const char *message)
{
	if (!activity || activity->end_ms ||
	    strncmp(activity->message, message, MESSAGE_MAX - 1) == 0)
		return;
	text_copy(activity->message, sizeof activity->message, message);
	activity->is_dirty = true;
}

void activity_end(struct activity *activity, enum activity_status status, int64_t now_ms)
{
	if (!activity || activity->end_ms)
		return;
	activity->status = status;
	activity->progress = 100;
	activity->end_ms = now_ms;
	activity->is_dirty = true;
	event_of_activity(activity);
}

void activity_fail_launch(struct activity *activity, const char *why, int64_t now_ms)
{
	char reason[201], message[MESSAGE_MAX];
	size_t len;

	if (!activity || activity->end_ms)
		return;
	text_copy(reason, sizeof reason, why);
	len = strlen(reason);
	snprintf(message, sizeof message, "%s%s Launching EC2 instance failed.", reason,
		 len && reason[len - 1] == '.' ? "" : ".");
	snprintf(activity->description, sizeof activity->description,
		 "Launching a new EC2 instance.  Status Reason: %s", message);
	activity_say(activity, message);
	activity_end(activity, ACTIVITY_FAILED, now_ms);
}

json_t *activity_describe(const struct engine *engine, const struct activity *activity)
{
	char start[CLOCK_TEXT_MAX], end[CLOCK_TEXT_MAX];
	json_t *details = json_object(), *out = NULL;
	char *text;

	(void)engine;
	if (activity->subnet_id[0])
		json_object_set_new(details, "Subnet ID", json_string(activity->subnet_id));
	json_object_set_new(details, "Availability Zone", json_string(activity->zone));
	if (activity->alarms)
		json_object_set(details, "InvokingAlarms", activity->alarms);
	text = json_dumps(details, JSON_COMPACT);
	json_decref(details);
	if (!text)
		return NULL;
	out = json_pack(
	    "{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:i, s:s, s:s}", "ActivityId", activity->id,
	    "AutoScalingGroupName", activity->group, "AutoScalingGroupARN", activity->group_arn,
	    "Description", activity->description, "Cause", activity->cause, "StartTime",
	    clock_format_iso_ms(activity->start_ms, start), "StatusCode",
	    activity_status_name(activity->status), "Progress", activity->progress, "Details", text,
	    "AutoScalingGroupState", activity->is_group_deleted ? "Deleted" : "InService");
	free(text);
	if (out && activity->end_ms)
		json_object_set_new(out, "EndTime",
				    json_string(clock_format_iso(activity->end_ms, end)));
	if (out && activity->message[0])
		json_object_set_new(out, "StatusMessage", json_string(activity->message));
	return out;
}
