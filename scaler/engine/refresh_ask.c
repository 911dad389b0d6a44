/*
 * What people and alarms ask of instance refreshes: one begins, is cancelled or rolled back.
 * Pure.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"
#include "scaler/engine/refresh.h"

enum { KEPT_MAX = 50 };

static json_t *preferences_of(const struct group *group, const json_t *input)
{
	const json_t *policy = doc_object(group->document, "InstanceMaintenancePolicy");
	const json_t *given = doc_object(input, "Preferences");
	json_t *out = json_pack(
	    "{s:I, s:I, s:b, s:b, s:s, s:s}", "MinHealthyPercentage",
	    (json_int_t)doc_int(policy, "MinHealthyPercentage", 90), "MaxHealthyPercentage",
	    (json_int_t)doc_int(policy, "MaxHealthyPercentage", 100), "SkipMatching", 0,
	    "AutoRollback", 0, "ScaleInProtectedInstances", "Wait", "StandbyInstances", "Wait");

	/* Who names one percentage does not mean the policy's other. */
	if (out && doc_has(given, "MinHealthyPercentage") &&
	    !doc_has(given, "MaxHealthyPercentage"))
		json_object_set_new(out, "MaxHealthyPercentage", json_integer(100));
	if (out && given && json_object_update(out, (json_t *)given) < 0) {
		json_decref(out);
		return NULL;
	}
	if (out && json_array_size(doc_array(out, "CheckpointPercentages")) > 0 &&
	    !doc_has(out, "CheckpointDelay"))
		json_object_set_new(out, "CheckpointDelay", json_integer(3600));
	return out;
}

const char *engine_start_refresh(struct engine *engine, struct group *group, const json_t *input,
				 int64_t now_ms, struct err *err)
{
	const json_t *desired = doc_object(input, "DesiredConfiguration");
	char id[ID_TEXT_MAX], at[CLOCK_TEXT_MAX];
	json_t *refresh;

	if (refresh_current(group)) {
		err_set(err, EBUSY,
			"An Instance Refresh is already in progress and blocks the execution of "
			"this Instance Refresh.");
		return NULL;
	}
	refresh = json_pack("{s:s, s:s, s:s, s:s, s:I, s:i, s:i, s:s, s:o}", "InstanceRefreshId",
			    id_uuid(engine->ids, id), "AutoScalingGroupName", group->name, "Status",
			    "Pending", "StartTime", clock_format_iso(now_ms, at), "StartMs",
			    (json_int_t)now_ms, "PercentageComplete", 0, "InstancesToUpdate", 0,
			    "Strategy", "Rolling", "Preferences", preferences_of(group, input));
	if (!refresh || json_array_insert_new(group->refreshes, 0, refresh) < 0) {
		err_set(err, ENOMEM, "out of memory");
		return NULL;
	}
	if (desired) {
		json_object_set_new(refresh, "DesiredConfiguration", json_deep_copy(desired));
		refresh_use(group, desired);
	}
	/* What $Latest stands for is asked anew. */
	group_forget_template(group);
	while (json_array_size(group->refreshes) > KEPT_MAX)
		json_array_remove(group->refreshes, KEPT_MAX);
	group->is_dirty = true;
	return doc_str(refresh, "InstanceRefreshId", "");
}

static int refuse(struct err *err, int code, const char *why)
{
	err_set(err, code, "%s", why);
	return -1;
}

const char *engine_cancel_refresh(struct group *group, struct err *err)
{
	json_t *refresh = refresh_current(group);

	if (!refresh || refresh_is_in(refresh, "Cancelling")) {
		(void)refuse(err, ENOENT,
			     "No in progress or pending Instance Refresh found for "
			     "this Auto Scaling group.");
		return NULL;
	}
	refresh_set_text(group, refresh, "Status", "Cancelling");
	refresh_set_text(group, refresh, "StatusReason", "Cancelling due to user request.");
	return doc_str(refresh, "InstanceRefreshId", "");
}

const char *engine_roll_back_refresh(struct group *group, int64_t now_ms, struct err *err)
{
	json_t *refresh = refresh_current(group);

	if (!refresh || refresh_is_in(refresh, "Cancelling") ||
	    refresh_is_in(refresh, "RollbackInProgress"))
		(void)refuse(err, ENOENT,
			     "No in progress or pending Instance Refresh found for "
			     "this Auto Scaling group.");
	else if (!doc_has(refresh, "DesiredConfiguration") || !mixed_is_fixed(group->document))
		(void)refuse(err, EINVAL,
			     "The refresh cannot be rolled back: it has no desired configuration, "
			     "or the group's launch template has no fixed version.");
	else {
		refresh_begin_rollback(group, refresh, "Rolled back due to user request.", now_ms);
		return doc_str(refresh, "InstanceRefreshId", "");
	}
	return NULL;
}

void engine_refresh_alarm(struct group *group, const char *alarm, int64_t now_ms)
{
	json_t *refresh = refresh_current(group);
	const json_t *spec = doc_object(doc_object(refresh, "Preferences"), "AlarmSpecification");
	char why[MESSAGE_MAX];

	if (!refresh || refresh_is_in(refresh, "Cancelling") ||
	    !doc_list_has(doc_array(spec, "Alarms"), alarm))
		return;
	snprintf(why, sizeof why, "The alarm %.200s is in state ALARM.", alarm);
	text_mend(why);
	refresh_fail(group, refresh, why, now_ms);
}
