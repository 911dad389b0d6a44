/*
 * Policies that track something, weighed together: out if one wants out (the largest), in only if
 * all that may want in.  What comes of it is a proposal as those of alarms.  Pure.  AWS: "How
 * multiple scaling policies work together".
 */
#include <stdio.h>
#include <string.h>

#include "scaler/engine/watch.h"

static bool is_type(const struct policy *policy, const char *type)
{
	return strcmp(doc_str(policy->document, "PolicyType", ""), type) == 0;
}

static bool is_tracking(const struct policy *policy)
{
	return is_type(policy, "TargetTrackingScaling") || is_type(policy, "LoadTracking");
}

/* Alarms: the high one, then the low one (a group's name may hold what tells theirs apart). */
static const json_t *shown_alarm(const struct verdict *verdict)
{
	return json_array_get(doc_array(verdict->policy->document, "Alarms"),
			      verdict->wish == WISH_OUT ? 0 : 1);
}

/* What the alarm would say if it were that which decides. */
static json_t *alarm_of(const struct tick *tick, const struct group *group,
			const struct verdict *verdict)
{
	const json_t *shown = shown_alarm(verdict);
	json_t *alarm, *detail = NULL;

	if (!shown)
		return NULL;
	alarm = tracking_alarm(group, verdict->policy, verdict->wish == WISH_OUT);
	if (alarm && (json_object_set(alarm, "AlarmName", json_object_get(shown, "AlarmName")) |
		      json_object_set(alarm, "AlarmArn", json_object_get(shown, "AlarmARN"))) == 0)
		detail = alarm_detail(tick->engine, alarm, "OK", "ALARM", tick->now_ms);
	json_decref(alarm);
	return detail;
}

static void propose(struct tick *tick, struct group *group, const struct verdict *verdict)
{
	bool is_change = verdict->capacity != group->desired;
	const struct policy *policy = verdict->policy;
	json_t *alarm = is_change ? alarm_of(tick, group, verdict) : NULL;
	char event[4 * NAME_MAX_LEN];

	if (is_type(policy, "LoadTracking"))
		snprintf(event, sizeof event, "%s triggered load tracking policy %s", verdict->why,
			 policy->name);
	else
		snprintf(event, sizeof event,
			 "a monitor alarm %s in state ALARM triggered policy %s",
			 doc_str(shown_alarm(verdict), "AlarmName", policy->name), policy->name);
	policies_propose(group, verdict->policy, verdict->capacity, event, alarm);
	json_decref(alarm);
}

static bool may_scale_in(const struct policy *policy)
{
	const char *config = is_type(policy, "LoadTracking") ? "LoadTrackingConfiguration"
							     : "TargetTrackingConfiguration";

	return !doc_bool(doc_object(policy->document, config), "DisableScaleIn", false);
}

static struct verdict judge(struct tick *tick, struct group *group, struct policy *policy)
{
	if (is_type(policy, "LoadTracking"))
		return load_tracking_judge(tick, group, policy);
	return target_tracking_judge(tick, group, policy);
}

void engine_policy_changed(struct policy *policy)
{
	policy->wanted = -1;
	policy->sudden_ms = policy->sudden_after_ms = policy->calm_ms = 0;
	load_memory_free(policy->memory);
	policy->memory = NULL;
}

/* The largest capacity that a policy wants, whatever the limits; -1: none says. */
static int wanted_of(const struct group *group, int64_t now_ms)
{
	const struct policy *policy;
	int wanted = -1;

	TAILQ_FOREACH (policy, &group->policies, link) {
		bool is_current = is_tracking(policy) || policy->wanted_until_ms >= now_ms;

		if (is_current && doc_bool(policy->document, "Enabled", true) &&
		    policy->wanted > wanted)
			wanted = policy->wanted;
	}
	return wanted;
}

/* A policy that may not take away has no veto, but is not driven to ask for more at once: its need
 * is a floor. */
void tracking_run(struct tick *tick, struct group *group)
{
	struct verdict out = {WISH_HOLD, 0, 0, NULL, ""}, in = {WISH_HOLD, 0, 0, NULL, ""};
	bool is_in_vetoed = false;
	struct policy *policy;
	int floor = 0;

	group->wanted = -1;
	if (!tick->metrics->read || group->is_deleting ||
	    group_is_suspended(group, "AlarmNotification"))
		return;
	TAILQ_FOREACH (policy, &group->policies, link) {
		struct verdict verdict;

		if (!is_tracking(policy) || !doc_bool(policy->document, "Enabled", true))
			continue;
		verdict = judge(tick, group, policy);
		if (verdict.wish == WISH_OUT && (!out.policy || verdict.capacity > out.capacity))
			out = verdict;
		if (!may_scale_in(policy)) {
			floor = verdict.need > floor ? verdict.need : floor;
			continue;
		}
		is_in_vetoed |= verdict.wish != WISH_IN;
		if (verdict.wish == WISH_IN && (!in.policy || verdict.capacity > in.capacity))
			in = verdict;
	}
	group->wanted = wanted_of(group, tick->now_ms);
	if (in.policy && in.capacity < floor)
		in.capacity = floor < group->desired ? floor : group->desired;
	if (out.policy)
		propose(tick, group, &out);
	else if (in.policy && !is_in_vetoed)
		propose(tick, group, &in);
}
