/*
 * Terminations: who goes in a scale-in, and the way out: deregister from the target
 * groups, wait until they have drained, ask EC2, wait until EC2 says terminated.  Pure.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "scaler/engine/replace.h"

enum {
	DELAY_UNKNOWN_MS = 300 * 1000, /* AWS's default deregistration delay */
	DRAIN_MARGIN_MS = 2000,
	UNIDENTIFIED_MS = 60 * 1000,
	GONE_MISSES = 3,
};

/* ---- choice ---- */

static bool is_candidate(const struct instance *instance)
{
	/* One that is just being asked for cannot be ended: it has no id yet.  One that is being
	 * attached is not the group's before it carries its tag. */
	return instance_is_live(instance) && instance->id[0] && !instance->is_protected &&
	       (!instance->is_attached || instance->is_tagged);
}

static int version_number(const struct instance *instance)
{
	return atoi(instance->template_version);
}

/* Launch configurations before templates, and of these the oldest. */
static int compare_configs(const struct instance *a, const struct instance *b)
{
	bool a_has = a->config_name[0], b_has = b->config_name[0];

	if (a_has != b_has)
		return a_has ? -1 : 1;
	return (a->config_ms > b->config_ms) - (a->config_ms < b->config_ms);
}

/* Is it of the group's template, of whatever version? */
static bool is_current(const json_t *template, const struct instance *instance)
{
	const char *id = doc_str(template, "LaunchTemplateId", "");
	const char *name = doc_str(template, "LaunchTemplateName", "");

	return (id[0] && strcmp(instance->template_id, id) == 0) ||
	       (name[0] && strcmp(instance->template_name, name) == 0);
}

/* Noncurrent template before current, then the oldest version; < 0: a goes before b. */
static int compare_templates(const struct group *group, const struct instance *a,
			     const struct instance *b)
{
	const json_t *template = group_template(group);
	bool a_is_current = is_current(template, a), b_is_current = is_current(template, b);

	if (a_is_current != b_is_current)
		return a_is_current ? 1 : -1;
	return version_number(a) - version_number(b);
}

static int sign(int64_t difference)
{
	return (difference > 0) - (difference < 0);
}

static int64_t to_next_hour_ms(const struct instance *instance, int64_t now_ms)
{
	int64_t hour_ms = 3600LL * 1000;

	return hour_ms - (now_ms - instance->launch_ms) % hour_ms;
}

int terminate_compare(const struct group *group, const char *policy, const struct instance *a,
		      const struct instance *b, int64_t now_ms)
{
	int by_hour = sign(to_next_hour_ms(a, now_ms) - to_next_hour_ms(b, now_ms));
	int by_config = compare_configs(a, b);
	int by_template = compare_templates(group, a, b);

	if (strcmp(policy, "OldestInstance") == 0)
		return sign(a->launch_ms - b->launch_ms);
	if (strcmp(policy, "NewestInstance") == 0)
		return sign(b->launch_ms - a->launch_ms);
	if (strcmp(policy, "OldestLaunchTemplate") == 0)
		return by_template;
	if (strcmp(policy, "ClosestToNextInstanceHour") == 0)
		return by_hour;
	if (strcmp(policy, "OldestLaunchConfiguration") == 0)
		return by_config;
	if (strcmp(policy, "AllocationStrategy") == 0)
		return mixed_compare_fit(group, a, b, now_ms);
	if (strcmp(policy, "Default") == 0 && by_config == 0)
		by_config = mixed_compare_fit(group, a, b, now_ms);
	if (strcmp(policy, "Default") == 0 && by_config != 0)
		return by_config;
	if (strcmp(policy, "Default") == 0)
		return by_template ? by_template : by_hour;
	return 0;
}

/* Of a group of two markets, the one that has more than its share gives first. */
static int compare_markets(enum mixed_excess excess, const struct instance *a,
			   const struct instance *b)
{
	switch (excess) {
	case MIXED_EXCESS_SPOT:
		return (int)b->is_spot - (int)a->is_spot;
	case MIXED_EXCESS_ON_DEMAND:
		return (int)a->is_spot - (int)b->is_spot;
	case MIXED_FITS:
		break;
	}
	return 0;
}

/* What is not in service yet is missed least; of these the youngest.  A hook may be at work on one
 * that waits for it. */
static bool is_spare(const struct instance *instance)
{
	return instance->state == INSTANCE_PENDING && instance->hook_phase != HOOKS_WAIT;
}

/* < 0: a goes before b; 0: nothing tells them apart. */
static int compare(const struct group *group, enum mixed_excess excess, const struct instance *a,
		   const struct instance *b, int64_t now_ms)
{
	int order = (int)b->is_unhealthy - (int)a->is_unhealthy;
	const json_t *policy;
	size_t i;

	if (order == 0)
		order = (int)is_spare(b) - (int)is_spare(a);
	if (order == 0 && is_spare(a))
		order = sign(b->launch_ms - a->launch_ms);
	if (order == 0)
		order = (int)(b->doomed != REPLACE_NOT) - (int)(a->doomed != REPLACE_NOT);
	if (order == 0)
		order = compare_markets(excess, a, b);
	if (order == 0)
		order = zones_size(group, b->zone) - zones_size(group, a->zone);
	if (order == 0) /* the refresh under way would end it anyway */
		order = (int)b->is_outdated - (int)a->is_outdated;
	json_array_foreach (doc_array(group->document, "TerminationPolicies"), i, policy) {
		if (order == 0)
			order = terminate_compare(group, json_string_value(policy), a, b, now_ms);
	}
	return order;
}

int terminate_order(const struct group *group, const struct instance *a, const struct instance *b,
		    int64_t now_ms)
{
	int order = compare(group, MIXED_FITS, a, b, now_ms);

	return order ? order : strcmp(a->id, b->id);
}

static bool goes_before(const struct tick *tick, const struct group *group,
			const struct instance *a, const struct instance *b)
{
	int order = compare(group, mixed_excess(group), a, b, tick->now_ms);

	if (order == 0)
		order = instance_load_step(tick, a) - instance_load_step(tick, b);
	return order ? order < 0 : strcmp(a->id, b->id) < 0;
}

static bool is_in_excess(enum mixed_excess excess, const struct instance *instance)
{
	return excess == (instance->is_spot ? MIXED_EXCESS_SPOT : MIXED_EXCESS_ON_DEMAND);
}

/* Where the market over its share has only too heavy ones, the other need not give for it. */
static enum mixed_excess only_market(const struct group *group)
{
	enum mixed_excess excess = mixed_excess(group);
	const struct instance *instance;

	TAILQ_FOREACH (instance, &group->instances, link) {
		if (is_candidate(instance) && is_in_excess(excess, instance))
			return excess;
	}
	return MIXED_FITS;
}

struct instance *terminate_choose(const struct tick *tick, const struct group *group, int units)
{
	enum mixed_excess only = only_market(group);
	struct instance *instance, *best = NULL;

	TAILQ_FOREACH (instance, &group->instances, link) {
		bool fits = is_candidate(instance) && instance_units(instance) <= units &&
			    (only == MIXED_FITS || is_in_excess(only, instance));

		if (fits && (!best || goes_before(tick, group, instance, best)))
			best = instance;
	}
	return best;
}

/* ---- beginning ---- */

struct activity *terminate_begin(struct engine *engine, struct group *group,
				 struct instance *instance, const char *cause, int64_t now_ms)
{
	struct activity *activity = activity_start(engine, group, cause, now_ms);

	if (!activity)
		return NULL;
	snprintf(activity->description, sizeof activity->description,
		 "Terminating EC2 instance%s: %s", instance->is_warm ? " from warm pool" : "",
		 instance->id);
	text_copy(activity->zone, sizeof activity->zone, instance->zone);
	text_copy(activity->subnet_id, sizeof activity->subnet_id, instance->subnet_id);
	/* Another way out ends with this one. */
	activity_end(activity_find(group, instance->end_id), ACTIVITY_CANCELLED, now_ms);
	text_copy(instance->end_id, sizeof instance->end_id, activity->id);
	/* A launch that ends here never became a success. */
	activity_end(instance_entry(group, instance), ACTIVITY_CANCELLED, now_ms);
	hooks_forget(instance);
	instance->state = INSTANCE_TERMINATING;
	instance->end_ms = now_ms;
	instance->tries = 0;
	instance->retry_ms = 0;
	instance->is_dirty = true;
	return activity;
}

struct activity *engine_terminate_instance(struct engine *engine, struct group *group,
					   struct instance *instance, bool decrements_desired,
					   int64_t now_ms, struct err *err)
{
	char cause[CAUSE_MAX] = "";
	int units = instance_is_live(instance) ? instance_units(instance) : 0;
	int actual = group_actual(group), after = actual - units;
	struct activity *activity;

	/* Who stands by is no part of the capacity. */
	decrements_desired &= after < actual;
	if (decrements_desired && group->desired - units < group->min) {
		err_set(err, ERANGE,
			"Currently, desiredSize equals minSize (%d). Terminating instance without "
			"replacement will violate group's min size constraint. Either set "
			"shouldDecrementDesiredCapacity flag to false or lower group's min size.",
			group->min);
		return NULL;
	}
	cause_add(cause, now_ms,
		  "instance %s was taken out of service in response to a user request, shrinking "
		  "the capacity from %d to %d",
		  instance->id, actual, after);
	/* Its hooks have run. */
	instance->is_forced |= instance->state == INSTANCE_RETAINED;
	activity = terminate_begin(engine, group, instance, cause, now_ms);
	if (!activity) {
		err_set(err, ENOMEM, "out of memory");
		return NULL;
	}
	if (decrements_desired) {
		group->desired -= units;
		group->is_dirty = true;
	}
	return activity;
}

/* Nothing may go because of protection: said once, until somebody may. */
static void tell_protected(struct tick *tick, struct group *group, const char *cause)
{
	static const char *const text = "Could not scale to desired capacity because all remaining "
					"instances are protected from scale-in.";
	const struct instance *instance;
	struct activity *activity;

	TAILQ_FOREACH (instance, &group->instances, link) {
		if (instance_is_live(instance) && !instance->is_protected)
			return; /* it has no name yet */
	}
	if (group->is_blocked)
		return;
	group->is_blocked = true;
	activity = activity_start(tick->engine, group, cause, tick->now_ms);
	if (!activity)
		return;
	text_copy(activity->description, sizeof activity->description, text);
	activity_say(activity, text);
	activity_end(activity, ACTIVITY_CANCELLED, tick->now_ms);
}

void terminate_surplus(struct tick *tick, struct group *group, int surplus)
{
	int actual = group_actual(group), left = surplus;
	char common[CAUSE_MAX];

	text_copy(common, sizeof common, group->why);
	cause_add(
	    common, tick->now_ms,
	    "an instance was taken out of service in response to a difference between desired "
	    "and actual capacity, shrinking the capacity from %d to %d",
	    actual, actual - surplus);
	while (left > 0) {
		struct instance *instance = terminate_choose(tick, group, left);
		struct activity *activity;
		char cause[CAUSE_MAX];

		if (!instance) {
			tell_protected(tick, group, common);
			return;
		}
		memcpy(cause, common, sizeof cause);
		cause_add(cause, tick->now_ms, "instance %s was selected for termination",
			  instance->id);
		activity =
		    warm_has_room(group, instance)
			? warm_return(tick, group, instance, cause)
			: terminate_begin(tick->engine, group, instance, cause, tick->now_ms);
		if (!activity)
			return;
		activity->alarms = json_incref(group->why_alarms);
		left -= instance_units(instance);
	}
	group->is_blocked = false;
	group_forget_why(group);
}

/* ---- the way out ---- */

static void ended(struct tick *tick, struct group *group, struct instance *instance)
{
	activity_end(activity_find(group, instance->end_id), ACTIVITY_SUCCESSFUL, tick->now_ms);
	instance->state = INSTANCE_TERMINATED;
	instance->is_dirty = true;
	group->terminated++;
}

static bool is_dead(const struct instance *instance)
{
	return instance->ec2 == EC2_TERMINATED ||
	       (instance->is_end_asked && instance->misses >= GONE_MISSES);
}

/* May it leave without anyone waiting for its open requests? */
static bool need_not_drain(const struct instance *instance)
{
	return instance->is_forced || !instance_is_running(instance);
}

static bool has_drained(const struct group *group, const struct instance *instance, const char *arn)
{
	const struct attachment *attachment = group_attachment(group, arn);
	const char *state;

	if (!attachment || attachment->seen_ms <= instance->drain_since_ms)
		return false;
	state = doc_str(attachment->health, instance->id, "unused");
	return strcmp(state, "unused") == 0;
}

static void check_drains(struct tick *tick, struct group *group, struct instance *instance)
{
	bool is_over =
	    tick->now_ms > instance->drain_until_ms + DRAIN_MARGIN_MS || need_not_drain(instance);

	for (size_t i = json_array_size(instance->draining); i > 0; i--) {
		const char *arn = json_string_value(json_array_get(instance->draining, i - 1));

		if (!is_over && !has_drained(group, instance, arn))
			continue;
		json_array_remove(instance->draining, i - 1);
		instance->is_dirty = true;
	}
}

/* The load balancer does not answer: it is waited for as long as a drain would take.  Who goes on
 * running, in standby or detached, would be sent requests again when it is back: that one waits. */
static bool gives_up_on_elb(const struct group *group, const struct instance *instance,
			    int64_t now_ms)
{
	int64_t longest_ms = 0;
	const struct attachment *attachment;

	if (instance->tries < 3)
		return false;
	if (need_not_drain(instance) || instance->state != INSTANCE_TERMINATING)
		return need_not_drain(instance);
	TAILQ_FOREACH (attachment, &group->attachments, link) {
		int64_t delay_ms =
		    attachment->delay_ms >= 0 ? attachment->delay_ms : DELAY_UNKNOWN_MS;

		if (delay_ms > longest_ms)
			longest_ms = delay_ms;
	}
	return now_ms > instance->end_ms + longest_ms + 10LL * DRAIN_MARGIN_MS;
}

static void hand_out_deregister(struct tick *tick, struct group *group, struct instance *instance)
{
	const char *arn = json_string_value(json_array_get(instance->registered, 0));
	struct action *action = action_add(tick, ACTION_DEREGISTER, group, instance);

	if (!action)
		return;
	text_copy(action->target_group, sizeof action->target_group, arn);
	instance->is_busy = true;
}

/* Whether a target group took it nobody knows: it leaves as if it had. */
static void assume_registered(struct instance *instance)
{
	const json_t *arn;
	size_t i;

	json_array_foreach (instance->registering, i, arn) {
		if (!doc_list_has(instance->registered, json_string_value(arn)))
			json_array_append(instance->registered, (json_t *)arn);
		instance->is_dirty = true;
	}
	json_array_clear(instance->registering);
}

bool terminate_has_left(struct tick *tick, struct group *group, struct instance *instance)
{
	if (!instance->is_busy)
		assume_registered(instance);
	if (json_array_size(instance->registered) > 0 &&
	    gives_up_on_elb(group, instance, tick->now_ms)) {
		json_array_clear(instance->registered);
		instance->is_dirty = true;
	}
	if (instance->is_busy || instance->retry_ms > tick->now_ms)
		return false;
	if (json_array_size(instance->registered) > 0) {
		hand_out_deregister(tick, group, instance);
		return false;
	}
	check_drains(tick, group, instance);
	if (json_array_size(instance->draining) == 0)
		return true;
	activity_progress(activity_find(group, instance->end_id), ACTIVITY_DRAINING, 50);
	return false;
}

static bool is_retaining(const struct group *group)
{
	const json_t *policy = doc_object(group->document, "InstanceLifecyclePolicy");
	const char *action =
	    doc_str(doc_object(policy, "RetentionTriggers"), "TerminateHookAbandon", "terminate");

	return strcmp(action, "retain") == 0;
}

/* It stays, outside the group's capacity, until a person ends it. */
static void retain(struct tick *tick, struct group *group, struct instance *instance)
{
	struct activity *activity = activity_find(group, instance->end_id);

	activity_say(activity, "A lifecycle hook abandoned the termination: the instance is "
			       "retained, as the group's InstanceLifecyclePolicy says.");
	activity_end(activity, ACTIVITY_CANCELLED, tick->now_ms);
	instance->state = INSTANCE_RETAINED;
	instance->is_dirty = true;
}

/* Whatever the hooks say in the end, it goes, unless the group retains what they abandon. */
static bool have_hooks_let_go(struct tick *tick, struct group *group, struct instance *instance)
{
	enum hooks_answer answer =
	    instance->is_forced ? HOOKS_ASK_CONTINUE : hooks_pass(tick, group, instance);

	if (answer == HOOKS_ASK_ABANDON && is_retaining(group)) {
		retain(tick, group, instance);
		return false;
	}
	return answer != HOOKS_ASK_WAIT;
}

static void leave(struct tick *tick, struct group *group, struct instance *instance)
{
	struct activity *activity = activity_find(group, instance->end_id);

	if (!terminate_has_left(tick, group, instance))
		return;
	if (is_dead(instance)) {
		ended(tick, group, instance);
		return;
	}
	if (breaker_keeps(group, instance, tick->now_ms)) {
		activity_say(activity, "The launch failed, the third and more in a row: kept for "
				       "inspection until the next one is tried.");
		return;
	}
	if (instance->is_end_asked || !have_hooks_let_go(tick, group, instance))
		return;
	activity_progress(activity, ACTIVITY_IN_PROGRESS, 60);
	if (activity &&
	    (activity->status == ACTIVITY_DRAINING || activity->status == ACTIVITY_MID_LIFECYCLE)) {
		activity->status = ACTIVITY_IN_PROGRESS;
		activity->is_dirty = true;
	}
	/* Only what carries the group's tag is terminated, so it gets it first. */
	if (action_add(
		tick, instance->is_attached && !instance->is_tagged ? ACTION_TAG : ACTION_TERMINATE,
		group, instance))
		instance->is_busy = true;
}

/* EC2 has not told the id of what is to go.  A late answer, or the tag sweep, brings it. */
static void wait_for_id(struct tick *tick, struct group *group, struct instance *instance)
{
	bool is_late = group->view_ms > instance->end_ms + UNIDENTIFIED_MS;

	if (is_late && !instance->is_busy)
		ended(tick, group, instance);
}

void terminate_progress(struct tick *tick, struct group *group)
{
	struct instance *instance;

	TAILQ_FOREACH (instance, &group->instances, link) {
		if (instance->state != INSTANCE_TERMINATING)
			continue;
		if (instance->id[0])
			leave(tick, group, instance);
		else
			wait_for_id(tick, group, instance);
	}
}

void engine_terminate_done(struct engine *engine, const struct action *action,
			   const char *error_code, int64_t now_ms)
{
	struct group *group = engine_group(engine, action->group);
	struct instance *instance = group ? group_launching(group, action->launch_id) : NULL;

	if (!instance)
		return;
	instance->is_busy = false;
	if (!error_code) {
		instance->is_end_asked = true;
		return;
	}
	instance->tries++;
	instance->retry_ms = now_ms + (instance->tries < 5 ? 1000 : 10000);
	/* EC2 may not know a fresh one yet; one that it has known and does not know is gone. */
	if (strcmp(error_code, "InvalidInstanceID.NotFound") == 0 &&
	    now_ms - instance->launch_ms > 120LL * 1000)
		instance->ec2 = EC2_TERMINATED;
}
