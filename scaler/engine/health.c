/*
 * Health of instances in service: EC2's state counts at once, a target group's verdict after
 * the grace period and only when that group has passed somebody.  An unhealthy one is taken out
 * and replaced.  Pure.
 */
#include <stdio.h>
#include <string.h>

#include "scaler/engine/parts.h"

enum {
	PROVEN_MS = 30 * 1000,     /* in service this long: launches work */
	STILLBORN_MS = 120 * 1000, /* what ends sooner never worked, whatever checks said */
};

static const char *const ELB_REASON = "an ELB system health check failure";

static bool is_condemned_by_elb(const struct group *group, const struct instance *instance)
{
	const struct attachment *attachment;

	TAILQ_FOREACH (attachment, &group->attachments, link) {
		bool counts = attachment->state == ATTACHMENT_IN_SERVICE &&
			      attachment->seen_ms > instance->in_service_ms;

		if (counts &&
		    strcmp(doc_str(attachment->health, instance->id, ""), "unhealthy") == 0)
			return true;
	}
	return false;
}

static bool is_in_grace(const struct group *group, const struct instance *instance, int64_t now_ms)
{
	int64_t grace_ms = 1000 * doc_int(group->document, "HealthCheckGracePeriod", 0);

	return now_ms - instance->in_service_ms < grace_ms;
}

/*
 * A check that fails for many at once is more often the load's or the check's fault than the
 * instances': at most a tenth (at least one) are replaced at a time, and newcomers must have shown
 * that they work first.
 */
static int elb_budget(const struct group *group)
{
	int budget = group->desired / 10 > 1 ? group->desired / 10 : 1;
	const struct instance *instance;

	budget -= group->replacing;
	TAILQ_FOREACH (instance, &group->instances, link) {
		bool is_new = instance->state == INSTANCE_PENDING ||
			      (instance->state == INSTANCE_IN_SERVICE && !instance->is_proven);

		budget -= is_new && !instance->is_unhealthy;
	}
	return budget;
}

/* A newcomer that ended by itself, or that no check ever called healthy, is a failed launch in all
 * but name. */
static void blame_launch(struct tick *tick, struct group *group, const struct instance *instance,
			 const char *why)
{
	int64_t now_ms = tick->now_ms;
	bool is_old = instance->is_proven &&
		      (why == ELB_REASON || now_ms - instance->in_service_ms >= STILLBORN_MS);

	if (is_old || instance->is_user_marked ||
	    strcmp(instance->reason_code, "Client.UserInitiatedShutdown") == 0)
		return;
	breaker_failed(tick->engine, group, instance, instance->reason[0] ? instance->reason : why,
		       now_ms);
}

/* It ended by itself before anyone saw it work: its launch has failed after all.  It still has to
 * leave its target groups. */
static bool is_stillborn(const struct instance *instance, int64_t now_ms)
{
	bool is_ended = instance->ec2 == EC2_TERMINATED || instance->ec2 == EC2_SHUTTING_DOWN;

	return is_ended && !instance->is_proven && instance->reason_code[0] &&
	       strcmp(instance->reason_code, "Client.UserInitiatedShutdown") != 0 &&
	       now_ms - instance->in_service_ms < STILLBORN_MS;
}

static void fail_stillborn(struct tick *tick, struct group *group, struct instance *instance)
{
	struct activity *activity = instance_entry(group, instance);

	if (activity)
		activity->end_ms = 0;
	activity_fail_launch(activity, instance->reason, tick->now_ms);
	hooks_forget(instance);
	instance->state = INSTANCE_TERMINATING;
	instance->is_unhealthy = true;
	instance->end_ms = tick->now_ms;
	instance->is_dirty = true;
	breaker_failed(tick->engine, group, instance, instance->reason, tick->now_ms);
}

static void replace(struct tick *tick, struct group *group, struct instance *instance,
		    const char *why)
{
	char cause[CAUSE_MAX] = "";
	struct activity *activity;

	instance->is_unhealthy = true;
	instance->is_dirty = true;
	cause_add(cause, tick->now_ms, "an instance was taken out of service in response to %s",
		  why);
	if (instance->reason[0])
		cause_add(cause, tick->now_ms, "EC2 gave the reason %s", instance->reason);
	activity = terminate_begin(tick->engine, group, instance, cause, tick->now_ms);
	if (activity && instance->reason[0])
		activity_say(activity, instance->reason);
	group->replacing++;
	group->is_dirty = true;
	blame_launch(tick, group, instance, why);
}

/* Why EC2 or a person says it is unhealthy; NULL: they do not. */
static const char *certain_reason(const struct instance *instance)
{
	switch (instance->ec2) {
	case EC2_SHUTTING_DOWN:
	case EC2_TERMINATED:
	case EC2_STOPPING:
	case EC2_STOPPED:
		return "an EC2 health check indicating it has been terminated or stopped";
	case EC2_UNKNOWN:
	case EC2_PENDING:
	case EC2_RUNNING:
		break;
	}
	return instance->is_user_marked ? "a user health-check" : NULL;
}

static void prove(const struct tick *tick, struct group *group, struct instance *instance)
{
	if (tick->now_ms - instance->in_service_ms < PROVEN_MS)
		return;
	if (!instance->is_proven && TAILQ_EMPTY(&group->attachments)) {
		instance->is_proven = true;
		instance->is_dirty = true;
	}
	if (instance->is_proven)
		breaker_succeeded(group, instance);
}

/* The oldest one that has reached its maximum lifetime, one at a time, and not while anything else
 * is on its way.  Protected ones stay. */
static void end_the_aged(struct tick *tick, struct group *group)
{
	int64_t lifetime_ms = 1000 * doc_int(group->document, "MaxInstanceLifetime", 0);
	struct instance *instance = NULL, *one;
	char cause[CAUSE_MAX] = "";

	if (lifetime_ms == 0 || group->is_deleting || group_is_suspended(group, "Terminate") ||
	    group_is_suspended(group, "Launch"))
		return;
	TAILQ_FOREACH (one, &group->instances, link) {
		bool is_aged = one->state == INSTANCE_IN_SERVICE && !one->is_protected &&
			       tick->now_ms - one->launch_ms >= lifetime_ms;

		if (!instance_is_settled(one) || (instance_is_live(one) && !one->is_proven))
			return;
		if (is_aged && !instance)
			instance = one; /* by launch time: the first is the oldest */
	}
	if (!instance || group_actual(group) < group->desired)
		return;
	cause_add(cause, tick->now_ms,
		  "an instance was taken out of service in response to reaching its maximum "
		  "lifetime");
	(void)terminate_begin(tick->engine, group, instance, cause, tick->now_ms);
}

/* Why it is to be replaced now; NULL: it is not. */
static const char *verdict(const struct tick *tick, const struct group *group,
			   const struct instance *instance)
{
	if (group_is_suspended(group, "HealthCheck"))
		return instance->is_user_marked ? "a user health-check" : NULL;
	if (certain_reason(instance))
		return certain_reason(instance);
	if (group_checks_elb(group) && !is_in_grace(group, instance, tick->now_ms) &&
	    is_condemned_by_elb(group, instance))
		return ELB_REASON;
	return NULL;
}

static void mark(struct instance *instance)
{
	instance->is_dirty |= !instance->is_unhealthy;
	instance->is_unhealthy = true;
}

static void check_one(struct tick *tick, struct group *group, struct instance *instance)
{
	const char *why = verdict(tick, group, instance);
	bool may_replace = !group_is_suspended(group, "ReplaceUnhealthy") &&
			   !group_is_suspended(group, "Terminate");

	if (!why)
		prove(tick, group, instance);
	else if (!may_replace)
		mark(instance);
	else if (is_stillborn(instance, tick->now_ms))
		fail_stillborn(tick, group, instance);
	else if (why != ELB_REASON || elb_budget(group) > 0)
		replace(tick, group, instance, why);
}

void health_check(struct tick *tick, struct group *group)
{
	struct instance *instance;

	TAILQ_FOREACH (instance, &group->instances, link) {
		if (instance->state == INSTANCE_IN_SERVICE)
			check_one(tick, group, instance);
	}
	end_the_aged(tick, group);
}
