/*
 * Step and simple scaling policies, run by an alarm or by a person.  A person's run takes effect
 * at once; what alarms ask for is weighed in the next tick together with target tracking: the
 * largest capacity wins.  Pure.  AWS: "Step and simple scaling policies", "Scaling cooldowns".
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "scaler/engine/watch.h"

enum { WANTED_MS = 70 * 1000 }; /* while the alarm lasts, it runs the policy once a minute */

int64_t policy_warmup_ms(const struct group *group, const struct policy *policy)
{
	if (doc_has(policy->document, "EstimatedInstanceWarmup"))
		return 1000 * doc_int(policy->document, "EstimatedInstanceWarmup", 0);
	return group_warmup_ms(group);
}

static bool is_type(const struct policy *policy, const char *type)
{
	return strcmp(doc_str(policy->document, "PolicyType", "SimpleScaling"), type) == 0;
}

/* ---- cooldown ---- */

/* An activity under way holds the next one back; so does, for as long as the cooldown, one that
 * simple scaling has caused and that is over. */
bool group_is_cooling_down(const struct group *group, int64_t now_ms)
{
	const struct activity *activity;

	if (group->cooldown_from_ms && group->cooldown_from_ms == now_ms)
		return true; /* decided, and not begun yet */
	TAILQ_FOREACH (activity, &group->activities, link) {
		if (activity->end_ms == 0)
			return true;
		if (group->cooldown_from_ms && activity->start_ms >= group->cooldown_from_ms &&
		    now_ms - activity->end_ms < 1000LL * group->cooldown_s)
			return true;
	}
	return false;
}

static void begin_cooldown(struct group *group, const struct policy *policy, int64_t now_ms)
{
	int64_t otherwise = doc_int(group->document, "DefaultCooldown", 300);

	group->cooldown_from_ms = now_ms;
	group->cooldown_s = (int)doc_int(policy->document, "Cooldown", otherwise);
	group->is_dirty = true;
}

/* ---- what a policy makes of the capacity ---- */

struct counts {
	int warm, warming, terminating; /* units of capacity */
};

static struct counts count(const struct group *group, const struct policy *policy, int64_t now_ms)
{
	int64_t warmup_ms = policy_warmup_ms(group, policy);
	const struct instance *instance;
	struct counts counts = {0};

	TAILQ_FOREACH (instance, &group->instances, link) {
		bool is_in = instance->state == INSTANCE_IN_SERVICE;
		bool is_warm = is_in && now_ms - instance->in_service_ms >= warmup_ms;
		bool is_ending = instance->state == INSTANCE_TERMINATING && !instance->is_warm;
		int units = instance_units(instance);

		counts.warm += is_warm ? units : 0;
		counts.warming += instance_is_live(instance) && !is_warm ? units : 0;
		counts.terminating += is_ending ? units : 0;
	}
	return counts;
}

/*
 * Out: those that warm up are no part of the capacity, but were asked for already.  In: those that
 * are on their way out are still part of it, so they are not taken away twice; and nothing goes
 * while something warms up.
 */
static int64_t step_capacity(const struct group *group, const struct policy *policy,
			     double difference, int64_t now_ms)
{
	const json_t *step =
	    adjust_step(doc_array(policy->document, "StepAdjustments"), difference);
	int adjustment = (int)doc_int(step, "ScalingAdjustment", 0);
	struct counts counts = count(group, policy, now_ms);
	int64_t wanted;

	if (!step)
		return group->desired;
	wanted = counts.warm + (int64_t)adjust_change(policy->document, adjustment, counts.warm);
	if (wanted > counts.warm)
		return wanted > group->desired ? wanted : group->desired;
	if (counts.warming > 0)
		return group->desired;
	wanted = counts.warm + counts.terminating;
	wanted += adjust_change(policy->document, adjustment, (int)wanted);
	wanted = wanted < group->desired ? wanted : group->desired;
	return wanted > 0 ? wanted : 0;
}

static int64_t simple_capacity(const struct group *group, const struct policy *policy)
{
	int adjustment = (int)doc_int(policy->document, "ScalingAdjustment", 0);

	int64_t wanted =
	    (int64_t)group->desired + adjust_change(policy->document, adjustment, group->desired);

	return wanted > 0 ? wanted : 0;
}

static int refuse(struct err *err, int code, const char *why)
{
	err_set(err, code, "%s", why);
	return -1;
}

/* What the run would make of the capacity if there were no limits; < 0 with err. */
static int64_t wanted_capacity(const struct group *group, const struct policy *policy,
			       const struct policy_run *run, int64_t now_ms, struct err *err)
{
	if (is_type(policy, "SimpleScaling"))
		return simple_capacity(group, policy);
	if (!is_type(policy, "StepScaling"))
		return refuse(err, EINVAL,
			      "Only policies of the types SimpleScaling and StepScaling can be "
			      "executed.");
	if (!run->has_value)
		return refuse(err, EINVAL,
			      "A policy of the type StepScaling needs MetricValue and "
			      "BreachThreshold.");
	return step_capacity(group, policy, run->value - run->threshold, now_ms);
}

int engine_execute_policy(struct group *group, struct policy *policy, const struct policy_run *run,
			  int64_t now_ms, struct err *err)
{
	int64_t unlimited = wanted_capacity(group, policy, run, now_ms, err);
	int wanted = adjust_clamp(group, unlimited);
	char event[NAME_MAX_LEN + 64];

	if (unlimited < 0)
		return -1;
	if (!doc_bool(policy->document, "Enabled", true))
		return refuse(err, EINVAL, "The policy is disabled.");
	if (run->honors_cooldown && group_is_cooling_down(group, now_ms))
		return refuse(
		    err, EBUSY,
		    "Scaling activity is in progress, or the group's cooldown is not over.");
	snprintf(event, sizeof event, "a user request executed policy %s", policy->name);
	if (wanted != group->desired && is_type(policy, "SimpleScaling"))
		begin_cooldown(group, policy, now_ms);
	group_change_desired(group, wanted, now_ms, event);
	return 0;
}

/* ---- alarms ---- */

int engine_alarm_policy(struct group *group, struct policy *policy, const struct policy_run *run,
			int64_t now_ms, struct err *err)
{
	char event[4 * NAME_MAX_LEN];
	int64_t wanted;

	/* Target tracking judges by itself; its alarms only show. */
	if (is_type(policy, "TargetTrackingScaling") || is_type(policy, "LoadTracking") ||
	    !doc_bool(policy->document, "Enabled", true) || group->is_deleting ||
	    group_is_suspended(group, "AlarmNotification"))
		return 0;
	wanted = wanted_capacity(group, policy, run, now_ms, err);
	if (wanted < 0)
		return -1;
	policy->wanted = wanted < 1000000 ? (int)wanted : 1000000;
	policy->wanted_until_ms = now_ms + WANTED_MS;
	if (is_type(policy, "SimpleScaling") && group_is_cooling_down(group, now_ms))
		return 0;
	snprintf(event, sizeof event, "a monitor alarm %s in state %s triggered policy %s",
		 doc_str(run->alarm, "AlarmName", ""),
		 doc_str(run->alarm, "NewStateValue", "ALARM"), policy->name);
	policies_propose(group, policy, adjust_clamp(group, wanted), event, run->alarm);
	return 0;
}

/* ---- weighing ---- */

void policies_propose(struct group *group, struct policy *policy, int capacity, const char *event,
		      json_t *alarm)
{
	struct proposal *proposal = &group->proposal;

	if (proposal->policy && proposal->capacity >= capacity)
		return;
	proposal->policy = policy;
	proposal->capacity = capacity;
	text_copy(proposal->event, sizeof proposal->event, event);
	json_decref(proposal->alarm);
	proposal->alarm = json_incref(alarm);
}

void policies_forget_proposal(struct group *group)
{
	json_decref(group->proposal.alarm);
	group->proposal.alarm = NULL;
	group->proposal.policy = NULL;
}

void policies_run(struct tick *tick, struct group *group)
{
	const struct proposal *proposal = &group->proposal;
	int wanted = adjust_clamp(group, proposal->capacity);

	if (!proposal->policy)
		return;
	if (wanted < group->desired) {
		int floor = predict_floor(group, tick->now_ms);

		floor = floor < group->desired ? floor : group->desired;
		wanted = wanted > floor ? wanted : floor;
	}
	if (wanted != group->desired) {
		if (is_type(proposal->policy, "SimpleScaling"))
			begin_cooldown(group, proposal->policy, tick->now_ms);
		if (is_type(proposal->policy, "LoadTracking") && wanted < group->desired)
			group->scaled_in_ms = tick->now_ms;
		if (is_type(proposal->policy, "TargetTrackingScaling"))
			tracking_note(group, wanted > group->desired, tick->now_ms);
		group_change_desired(group, wanted, tick->now_ms, proposal->event);
		group_note_alarm(group, proposal->alarm);
	}
	policies_forget_proposal(group);
}
