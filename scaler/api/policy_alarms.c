/* See policy_alarms.h. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/base/log.h"
#include "common/doc/doc.h"
#include "scaler/api/policy_alarms.h"

static const char *const sides[] = {"High", "Low"}; /* their order in Alarms too */

static bool may_scale_in(const struct policy *policy)
{
	return !doc_bool(doc_object(policy->document, "TargetTrackingConfiguration"),
			 "DisableScaleIn", false);
}

/* NULL also while it is not known yet what the policy watches. */
static json_t *alarm_input(const struct group *group, const struct policy *policy, bool is_high,
			   const char *name)
{
	const char *arn = doc_str(policy->document, "PolicyARN", "");
	json_t *alarm = tracking_alarm(group, policy, is_high), *more;
	char description[ARN_MAX + 128];

	if (!alarm)
		return NULL;
	snprintf(description, sizeof description,
		 "DO NOT EDIT OR DELETE. For TargetTrackingScaling policy %s.", arn);
	more = json_pack("{s:s, s:s, s:b, s:[s]}", "AlarmName", name, "AlarmDescription",
			 description, "ActionsEnabled", 1, "AlarmActions", arn);
	if (!more || json_object_update(alarm, more) < 0) {
		json_decref(alarm);
		alarm = NULL;
	}
	json_decref(more);
	return alarm;
}

static int put_alarms(struct cloudwatch *cloudwatch, const struct group *group,
		      struct policy *policy, struct err *err)
{
	const json_t *entry;
	size_t i;

	policy->shown_period_s = policy->period_s;
	policy->shown_low = tracking_low_fraction(group_count(group).in_service);
	policy->is_alarm_stale = false;
	json_array_foreach (doc_array(policy->document, "Alarms"), i, entry) {
		const char *name = doc_str(entry, "AlarmName", "");
		json_t *input = alarm_input(group, policy, i == 0, name);
		int result = input && cloudwatch ? cloudwatch_put_alarm(cloudwatch, input, err) : 0;

		json_decref(input);
		if (result < 0)
			return -1;
	}
	return 0;
}

static json_t *new_entry(const struct engine *engine, const struct group *group, const char *side)
{
	char uuid[ID_TEXT_MAX], name[2 * NAME_MAX_LEN], arn[2 * ARN_MAX];

	/* Alarm names have 255 characters: a long group name is cut. */
	snprintf(name, sizeof name, "TargetTracking-%.180s-Alarm%s-%s", group->name, side,
		 id_uuid(engine->ids, uuid));
	snprintf(arn, sizeof arn, "arn:aws:cloudwatch:%s:%s:alarm:%s", engine->region,
		 engine->account, name);
	return json_pack("{s:s, s:s}", "AlarmName", name, "AlarmARN", arn);
}

static void delete_alarm(struct cloudwatch *cloudwatch, const struct policy *policy,
			 const json_t *entry)
{
	struct err err = {0};

	if (cloudwatch &&
	    cloudwatch_delete_alarm(cloudwatch, doc_str(entry, "AlarmName", ""), &err) < 0)
		log_warn("alarm-not-deleted", "policy=%s why=\"%s\"", policy->name, err.text);
}

int policy_alarms_put(struct engine *engine, struct cloudwatch *cloudwatch, struct group *group,
		      struct policy *policy, struct err *err)
{
	json_t *alarms = doc_array(policy->document, "Alarms");
	size_t wanted = may_scale_in(policy) ? 2 : 1;

	while (json_array_size(alarms) > wanted) {
		delete_alarm(cloudwatch, policy, json_array_get(alarms, wanted));
		json_array_remove(alarms, wanted);
	}
	while (json_array_size(alarms) < wanted) {
		const char *side = sides[json_array_size(alarms)];

		if (json_array_append_new(alarms, new_entry(engine, group, side)) == 0)
			continue;
		err_set(err, ENOMEM, "out of memory");
		return -1;
	}
	policy->is_dirty = true;
	return put_alarms(cloudwatch, group, policy, err);
}

static bool is_stale(const struct group *group, const struct policy *policy)
{
	double low = tracking_low_fraction(group_count(group).in_service);

	return policy->is_alarm_stale || policy->shown_period_s != policy->period_s ||
	       policy->shown_low < low || policy->shown_low > low;
}

void policy_alarms_refresh(struct cloudwatch *cloudwatch, const struct group *group,
			   struct policy *policy)
{
	struct err err = {0};

	if (strcmp(doc_str(policy->document, "PolicyType", ""), "TargetTrackingScaling") != 0)
		return;
	if (is_stale(group, policy) && put_alarms(cloudwatch, group, policy, &err) < 0)
		log_warn("alarm-not-kept", "group=%s policy=%s why=\"%s\"", group->name,
			 policy->name, err.text);
}

void policy_alarms_delete(struct cloudwatch *cloudwatch, const struct policy *policy)
{
	const json_t *entry;
	size_t i;

	json_array_foreach (doc_array(policy->document, "Alarms"), i, entry)
		delete_alarm(cloudwatch, policy, entry);
}
