/*
 * Health of instances in service: EC2's state counts at once, a target group's verdict after
 * the grace period and only when that group has passed somebody.  What has stopped running is
 * taken out at once; what runs and is unhealthy is marked to be replaced (replace.c), as many at a
 * time as the group can spare.  Pure.
 */
#include <stdio.h>
#include <string.h>

#include "scaler/engine/replace.h"

enum {
	PROVEN_MS = 30 * 1000,     /* in service this long: launches work */
	STILLBORN_MS = 120 * 1000, /* what ends sooner never worked, whatever checks said */
	HOLD_MS = 900 * 1000,      /* mass failure under load: then one is tried after all */
};

static const char *const ELB_REASON = "an ELB system health check failure";
static const char *const STATE_REASON =
    "an EC2 health check indicating it has been terminated or stopped";

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
	return now_ms - instance->in_service_ms < group_grace_ms(group);
}

/* ---- many at once ---- */

/* Do its policies ask for more than serves?  Then a check that fails may only mean "too busy". */
static bool is_load_high(const struct group *group, int serving)
{
	const struct policy *policy;

	TAILQ_FOREACH (policy, &group->policies, link) {
		if (doc_bool(policy->document, "Enabled", true) && policy->wanted > serving)
			return true;
	}
	return false;
}

static bool is_judged(const struct group *group, const struct instance *instance, int64_t now_ms)
{
	return instance->state == INSTANCE_IN_SERVICE && instance->is_proven &&
	       !is_in_grace(group, instance, now_ms);
}

static enum fleet_state weigh(const struct group *group, int64_t now_ms)
{
	int failing = group->fleet.failing, serving = group->fleet.serving;
	bool is_many =
	    (int64_t)failing * 100 > serving * setting(group, SETTING_MASS_FAILURE_PERCENT);
	bool is_patient = group->mass_since_ms == 0 || now_ms - group->mass_since_ms < HOLD_MS;

	if (failing == 0 || (failing < 2 && serving > 1))
		return FLEET_FINE;
	if (is_many && is_load_high(group, serving))
		return is_patient ? FLEET_HELD : FLEET_PROBED;
	return failing == serving && serving > 1 ? FLEET_PROBED : FLEET_FINE;
}

static void tell_mass_failure(struct tick *tick, struct group *group)
{
	static const char *const held = "none is replaced while the policies ask for more capacity";
	static const char *const probed = "none is replaced before a new one works";
	struct activity *activity = activity_start(tick->engine, group, "", tick->now_ms);
	char text[MESSAGE_MAX];

	if (!activity)
		return;
	snprintf(text, sizeof text,
		 "%d of %d instances fail the load balancer's health check at once: %s.",
		 group->fleet.failing, group->fleet.serving,
		 group->fleet.state == FLEET_HELD ? held : probed);
	cause_add(activity->cause, tick->now_ms,
		  "%d of %d instances were found unhealthy by an ELB system health check",
		  group->fleet.failing, group->fleet.serving);
	text_copy(activity->description, sizeof activity->description,
		  "Holding the replacement of unhealthy EC2 instances");
	activity_say(activity, text);
	activity_end(activity, ACTIVITY_CANCELLED, tick->now_ms);
}

/*
 * A check that fails for most instances at once is more often the load's or the check's own fault
 * than theirs, and to end them all makes either worse.
 */
static void look_at_fleet(struct tick *tick, struct group *group)
{
	const struct instance *instance;
	bool is_new;

	group->fleet.serving = group->fleet.failing = 0;
	TAILQ_FOREACH (instance, &group->instances, link) {
		bool counts = group_checks_elb(group) && is_judged(group, instance, tick->now_ms);

		group->fleet.serving += counts;
		group->fleet.failing += counts && is_condemned_by_elb(group, instance);
	}
	group->fleet.state = weigh(group, tick->now_ms);
	is_new = group->fleet.state != FLEET_FINE && group->mass_since_ms == 0;
	if (group->fleet.state == FLEET_FINE && group->mass_since_ms) {
		group->mass_since_ms = 0;
		group->is_dirty = true;
	}
	if (!is_new)
		return;
	group->mass_since_ms = tick->now_ms;
	group->is_dirty = true;
	tell_mass_failure(tick, group);
}

/* At most a tenth (at least one) are replaced at a time, and newcomers must have shown that they
 * work first. */
static int elb_budget(const struct group *group, int64_t now_ms)
{
	int budget = replace_tenth(group, group->desired) - group->replacing;
	const struct instance *instance;

	TAILQ_FOREACH (instance, &group->instances, link) {
		bool is_marked =
		    instance_is_live(instance) && instance->doomed == REPLACE_UNHEALTHY;
		bool is_new = instance_is_live(instance) && !is_marked &&
			      replace_readiness(group, instance, now_ms) == INSTANCE_COMING;

		budget -= is_marked || (is_new && !is_condemned_by_elb(group, instance));
	}
	return budget;
}

static bool may_replace_condemned(const struct tick *tick, const struct group *group,
				  const struct instance *instance)
{
	if (group->fleet.state == FLEET_HELD)
		return false;
	if (instance->doomed == REPLACE_UNHEALTHY)
		return true;
	/* It never served: its end takes nothing away. */
	if (!instance->is_proven)
		return true;
	/* Without launches that work there would be one less. */
	if (breaker_holds(group, tick->now_ms) ||
	    (group->breaker.row > 0 && group_actual(group) < group->desired))
		return false;
	if (group->fleet.state == FLEET_PROBED)
		return replace_count(group, REPLACE_UNHEALTHY) == 0 && group->replacing == 0;
	return elb_budget(group, tick->now_ms) > 0;
}

/* ---- one ---- */

/* A newcomer that ended by itself, or that no check ever called healthy, is a failed launch in all
 * but name. */
static void blame_launch(struct tick *tick, struct group *group, const struct instance *instance,
			 const char *why)
{
	int64_t now_ms = tick->now_ms;
	bool is_old = instance->is_proven && (strcmp(why, ELB_REASON) == 0 ||
					      now_ms - instance->in_service_ms >= STILLBORN_MS);

	if (is_old || instance->is_user_marked || instance_was_ended(instance))
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
	       !instance_was_ended(instance) && now_ms - instance->in_service_ms < STILLBORN_MS;
}

static void fail_stillborn(struct tick *tick, struct group *group, struct instance *instance)
{
	struct activity *activity = instance_entry(group, instance);

	if (activity)
		activity->end_ms = 0;
	launch_fail_late(group, instance, instance->reason, tick->now_ms);
	breaker_failed(tick->engine, group, instance, instance->reason, tick->now_ms);
}

void health_end(struct tick *tick, struct group *group, struct instance *instance, const char *why)
{
	bool has_successor = group_actual(group) - instance_units(instance) >= group->desired;
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
	group->replacing += !has_successor;
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
		return STATE_REASON;
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
	/* Where no load balancer looks at it, living has to do. */
	if (!instance->is_proven && group_has_passed(group, instance)) {
		instance->is_proven = true;
		instance->is_dirty = true;
	}
	if (instance->is_proven)
		breaker_succeeded(group, instance);
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

/* It is well again, or left alone: not replaced. */
static void rescue(struct instance *instance)
{
	if (instance->doomed == REPLACE_UNHEALTHY)
		replace_mark(instance, REPLACE_NOT, "");
	instance->is_dirty |= instance->is_unhealthy;
	instance->is_unhealthy = false;
}

static void check_one(struct tick *tick, struct group *group, struct instance *instance)
{
	const char *why = verdict(tick, group, instance);
	bool may_replace = !group_is_suspended(group, "ReplaceUnhealthy") &&
			   !group_is_suspended(group, "Terminate");

	if (!why) {
		if (group_has_passed(group, instance) || group_is_suspended(group, "HealthCheck"))
			rescue(instance);
		prove(tick, group, instance);
		return;
	}
	if (!may_replace)
		mark(instance);
	else if (is_stillborn(instance, tick->now_ms))
		fail_stillborn(tick, group, instance);
	else if (why == STATE_REASON)
		health_end(tick, group, instance, why); /* it cannot wait */
	else if (why == ELB_REASON && !may_replace_condemned(tick, group, instance))
		rescue(instance);
	else {
		mark(instance);
		replace_mark(instance, REPLACE_UNHEALTHY, why);
	}
}

void health_check(struct tick *tick, struct group *group)
{
	struct instance *instance;

	look_at_fleet(tick, group);
	TAILQ_FOREACH (instance, &group->instances, link) {
		if (instance->state == INSTANCE_IN_SERVICE)
			check_one(tick, group, instance);
	}
}
