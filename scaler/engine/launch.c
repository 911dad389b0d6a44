/*
 * Launches: decided (allocate.c says what and where), handed out with their token, answered
 * (launch_answer.c), and followed until the instance is in service.  A launch whose answer was lost
 * is handed out again with the same token; one that EC2 refused has failed, and the next waits
 * (breaker.c).  Pure.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"
#include "scaler/engine/mixed.h"

enum {
	PENDING_MAX_MS = 15 * 60 * 1000, /* not running by then: given up */
	MAX_LAUNCHING = MAX_CHOICES,     /* not yet answered; the rest comes after them */
	ZONELESS_MS = 5000,
};

/* ---- deciding ---- */

static void fill_spec(const json_t *spec, struct instance *instance)
{
	const char *version = doc_str(spec, "Version", "$Default");

	text_copy(instance->template_id, sizeof instance->template_id,
		  doc_str(spec, "LaunchTemplateId", ""));
	text_copy(instance->template_name, sizeof instance->template_name,
		  doc_str(spec, "LaunchTemplateName", ""));
	/* What $Latest stands for, the instance's tags tell. */
	if (version[0] != '$')
		text_copy(instance->template_version, sizeof instance->template_version, version);
}

static void fill_template(const struct group *group, const json_t *own, struct instance *instance)
{
	const json_t *config = group_config(group);

	if (config) {
		text_copy(instance->config_name, sizeof instance->config_name,
			  doc_str(config, "LaunchConfigurationName", ""));
		(void)!clock_parse_iso(doc_str(config, "CreatedTime", ""), &instance->config_ms);
		return;
	}
	fill_spec(own ? own : group_template(group), instance);
	if (!own)
		group_template_version(group, instance->template_version);
}

/* What the call asks for besides the template.  -1 without memory. */
static int fill_members(const struct group *group, const struct launch_choice *choice,
			struct instance *instance)
{
	static const char *const same[] = {"InstanceType", "ImageId"};
	json_t *members = json_object(), *market;
	int failed = members == NULL;

	instance->run_members = members;
	for (size_t i = 0; i < 2 && !failed; i++) {
		json_t *value = json_object_get(choice->override, same[i]);

		failed |= value && json_object_set(members, same[i], value) != 0;
	}
	if (doc_has(choice->override, "LaunchTemplateSpecification"))
		failed |= json_object_set_new(
		    members, "LaunchTemplate",
		    json_deep_copy(doc_object(choice->override, "LaunchTemplateSpecification")));
	if (!choice->is_spot || failed)
		return failed ? -1 : 0;
	market = json_pack(
	    "{s:s, s:{s:s, s:s, s:s*}}", "MarketType", "spot", "SpotOptions", "SpotInstanceType",
	    "one-time", "InstanceInterruptionBehavior", "terminate", "MaxPrice",
	    doc_str(doc_object(group_mixed(group), "InstancesDistribution"), "SpotMaxPrice", NULL));
	return json_object_set_new(members, "InstanceMarketOptions", market);
}

static int fill_choice(const struct group *group, const struct launch_choice *choice,
		       struct instance *instance)
{
	text_copy(instance->type, sizeof instance->type,
		  doc_str(choice->override, "InstanceType", ""));
	instance->is_spot = choice->is_spot;
	instance->weight = mixed_has_weights(group_mixed(group)) ? choice->units : 0;
	fill_template(group, doc_object(choice->override, "LaunchTemplateSpecification"), instance);
	return group_mixed(group) ? fill_members(group, choice, instance) : 0;
}

static void fill_activity(const struct group *group, struct activity *activity,
			  const struct zone *zone, bool is_replacement)
{
	text_copy(activity->description, sizeof activity->description,
		  "Launching a new EC2 instance");
	activity->alarms = is_replacement ? NULL : json_incref(group->why_alarms);
	text_copy(activity->zone, sizeof activity->zone, zone->name);
	text_copy(activity->subnet_id, sizeof activity->subnet_id, zone->subnet_id);
}

static struct instance *make_one(struct tick *tick, struct group *group,
				 const struct launch_choice *choice, const char *cause,
				 bool is_replacement)
{
	const struct zone *zone = &group->zones[choice->zone];
	struct activity *activity = activity_start(tick->engine, group, cause, tick->now_ms);
	struct instance *instance = activity ? instance_new(group) : NULL;

	if (!instance || fill_choice(group, choice, instance) < 0) {
		if (activity)
			activity_end(activity, ACTIVITY_CANCELLED, tick->now_ms);
		if (instance)
			instance->state = INSTANCE_TERMINATED;
		return NULL;
	}
	fill_activity(group, activity, zone, is_replacement);
	text_copy(instance->launch_id, sizeof instance->launch_id, activity->id);
	text_copy(instance->zone, sizeof instance->zone, zone->name);
	text_copy(instance->subnet_id, sizeof instance->subnet_id, zone->subnet_id);
	instance->launch_ms = tick->now_ms;
	return instance;
}

/* One token is one launch of one kind in one zone: EC2 takes it for the same launch only with the
 * same parameters, and in each zone anew. */
static void make_token(struct instance *instance)
{
	if (instance->type[0])
		snprintf(instance->token, sizeof instance->token, "%.36s_%.14s_%.9s%s_1",
			 instance->launch_id, instance->zone, instance->type,
			 instance->is_spot ? "s" : "");
	else
		snprintf(instance->token, sizeof instance->token, "%.36s_%.20s%s_1",
			 instance->launch_id, instance->zone, instance->is_spot ? "_s" : "");
	instance->token_count = 1;
}

static bool is_same_kind(const struct instance *a, const struct instance *b)
{
	return a->launch_ms == b->launch_ms && a->is_spot == b->is_spot &&
	       strcmp(a->type, b->type) == 0 && strcmp(a->zone, b->zone) == 0 &&
	       strcmp(a->subnet_id, b->subnet_id) == 0;
}

/* Up to MAX_BATCH instances of one kind and zone are one call: they share the first one's token. */
static void join_batch(struct group *group, struct instance *instance)
{
	struct instance *other, *first = NULL;
	int count = 1;

	TAILQ_FOREACH (other, &group->instances, link) {
		bool joins = other != instance && other->id[0] == '\0' && other->tries == 0 &&
			     !other->is_busy && other->token_count > 0 &&
			     other->token_count < MAX_BATCH && is_same_kind(other, instance);

		if (joins && !first)
			first = other;
	}
	if (!first) {
		make_token(instance);
		return;
	}
	memcpy(instance->token, first->token, sizeof instance->token);
	instance->token_index = first->token_count;
	TAILQ_FOREACH (other, &group->instances, link) {
		if (other != instance && strcmp(other->token, first->token) == 0)
			count = ++other->token_count;
	}
	instance->token_count = count;
}

/* Decided: its activity and its instance, PENDING; NULL without memory. */
static struct instance *decide(struct tick *tick, struct group *group,
			       const struct launch_choice *choice, const char *cause,
			       bool is_replacement)
{
	struct instance *instance = make_one(tick, group, choice, cause, is_replacement);

	if (instance)
		join_batch(group, instance);
	return instance;
}

struct instance *launch_decide(struct tick *tick, struct group *group, const struct zone *zone,
			       const char *cause, bool is_replacement)
{
	struct launch_choice choice = {.zone = (int)(zone - group->zones), .units = 1};

	return decide(tick, group, &choice, cause, is_replacement);
}

/* Calls that wait for their turn: the next are decided after them, as full batches. */
static bool is_behind(const struct group *group)
{
	const struct instance *instance;

	TAILQ_FOREACH (instance, &group->instances, link) {
		if (instance->id[0] == '\0' && instance->tries == 0 && !instance->is_busy &&
		    instance_is_launching(instance))
			return group->engine->runs.burst > 0;
	}
	return false;
}

int launch_allowed(const struct group *group, int needed, int64_t now_ms)
{
	const struct instance *instance;
	int room = MAX_LAUNCHING;

	if (is_behind(group) || group->is_deleting || group_is_suspended(group, "Launch"))
		return 0;
	TAILQ_FOREACH (instance, &group->instances, link)
		room -= instance->id[0] == '\0';
	return breaker_may_launch(group, needed < room ? needed : room, now_ms);
}

void launch_cause(const struct tick *tick, struct group *group, int actual, int n,
		  bool is_replacement, char cause[CAUSE_MAX])
{
	text_copy(cause, CAUSE_MAX, is_replacement ? "" : group->why);
	if (replace_write_launch(tick, group, cause))
		return;
	if (is_replacement)
		cause_add(cause, tick->now_ms,
			  "an instance was launched in response to an unhealthy instance needing "
			  "to be replaced");
	else if (group_is_refreshing(group) && !group->why[0])
		cause_add(cause, tick->now_ms,
			  "an instance was launched in response to an instance refresh");
	else
		cause_add(cause, tick->now_ms,
			  "an instance was started in response to a difference between desired "
			  "and actual capacity, increasing the capacity from %d to %d",
			  actual, actual + n);
}

/* EC2 has not told which zones and subnets there are, so nothing can be launched: after a while an
 * activity says so. */
static void wait_for_zones(struct tick *tick, struct group *group)
{
	struct activity *activity;

	if (group->zoneless_since_ms == 0)
		group->zoneless_since_ms = tick->now_ms;
	if (group->waiting_id[0] || tick->now_ms - group->zoneless_since_ms < ZONELESS_MS)
		return;
	activity = activity_start(tick->engine, group, group->why, tick->now_ms);
	if (!activity)
		return;
	text_copy(activity->description, sizeof activity->description,
		  "Launching a new EC2 instance");
	activity_say(activity, "EC2 has given no answer about the group's zones and subnets yet; "
			       "trying again.");
	text_copy(group->waiting_id, sizeof group->waiting_id, activity->id);
	group->is_dirty = true;
}

void launch_zones_known(struct tick *tick, struct group *group)
{
	if (!group->waiting_id[0] || (!group->has_zones && group->desired > 0))
		return;
	activity_end(activity_find(group, group->waiting_id), ACTIVITY_CANCELLED, tick->now_ms);
	group->waiting_id[0] = '\0';
	group->zoneless_since_ms = 0;
	group->is_dirty = true;
}

void launch_missing(struct tick *tick, struct group *group, int units)
{
	int actual = group_actual(group), launched = 0;
	int max = launch_allowed(group, units, tick->now_ms);
	struct launch_plan plan;

	if (!group->has_zones) {
		wait_for_zones(tick, group);
		return;
	}
	launch_plan_make(group, units, max, tick->now_ms, &plan);
	for (int i = 0; i < plan.n; i++) {
		bool is_replacement = group->replacing > 0;
		char cause[CAUSE_MAX];
		struct instance *instance;

		launch_cause(tick, group, actual, plan.units, is_replacement, cause);
		instance = decide(tick, group, &plan.items[i], cause, is_replacement);
		if (!instance)
			break;
		group->replacing -= is_replacement;
		group->is_dirty = true;
		launched += plan.items[i].units;
	}
	if (launched > 0)
		breaker_launched(group);
	if (launched >= units && launched > 0)
		group_forget_why(group);
}

/* ---- handing out ---- */

static bool is_waiting_for_call(const struct instance *instance, int64_t now_ms)
{
	return instance_is_launching(instance) && instance->id[0] == '\0' && !instance->is_busy &&
	       instance->retry_ms <= now_ms;
}

void engine_pace_runs(struct engine *engine, int burst, double per_s)
{
	engine->runs.burst = burst;
	engine->runs.per_s = per_s;
	engine->runs.left = burst;
}

/* May RunInstances be called once more now?  What must wait is handed out by a later tick. */
static bool take_run(struct engine *engine, int64_t now_ms)
{
	int64_t since_ms = now_ms - engine->runs.filled_ms;

	if (engine->runs.burst == 0)
		return true;
	if (since_ms > 0)
		engine->runs.left += (double)since_ms / 1000 * engine->runs.per_s;
	engine->runs.filled_ms = now_ms;
	if (engine->runs.left > engine->runs.burst)
		engine->runs.left = engine->runs.burst;
	if (engine->runs.left < 1)
		return false;
	engine->runs.left--;
	return true;
}

void launch_hand_out(struct tick *tick, struct group *group)
{
	struct instance *instance, *other;

	TAILQ_FOREACH (instance, &group->instances, link) {
		struct action *action;

		if (!is_waiting_for_call(instance, tick->now_ms))
			continue;
		if (!take_run(tick->engine, tick->now_ms))
			return;
		action = action_add(tick, ACTION_LAUNCH, group, instance);
		if (!action)
			return;
		memcpy(action->token, instance->token, sizeof action->token);
		memcpy(action->zone, instance->zone, sizeof action->zone);
		memcpy(action->subnet_id, instance->subnet_id, sizeof action->subnet_id);
		memcpy(action->type, instance->type, sizeof action->type);
		action->is_spot = instance->is_spot;
		action->count = instance->token_count;
		TAILQ_FOREACH (other, &group->instances, link) {
			if (strcmp(other->token, instance->token) != 0 || other->id[0])
				continue;
			other->is_busy = true;
			other->tries++;
		}
	}
}

/* ---- following ---- */

/* It ended before it was in service: not again at once, unless somebody ended it on purpose. */
static void died(struct tick *tick, struct group *group, struct instance *instance)
{
	const char *reason = instance->reason[0] ? instance->reason : "The instance ended.";
	bool is_in = instance->is_busy || json_array_size(instance->registered) > 0 ||
		     json_array_size(instance->registering) > 0;

	if (is_in) /* it still has to leave its target groups */
		launch_fail_late(group, instance, reason, tick->now_ms);
	else
		launch_fail(group, instance, reason, tick->now_ms);
	if (!instance_was_ended(instance))
		breaker_failed(tick->engine, group, instance, reason, tick->now_ms);
}

void launch_give_up(struct tick *tick, struct group *group, struct instance *instance,
		    const char *why)
{
	char cause[CAUSE_MAX] = "", reason[201];

	activity_fail_launch(instance_entry(group, instance), why, tick->now_ms);
	if (instance->is_attached) {
		instance->is_tagged = true; /* or about to be, as far as anyone knows */
		attach_failed(tick->engine, group, instance, why, tick->now_ms);
		return;
	}
	text_copy(reason, sizeof reason, why);
	cause_add(cause, tick->now_ms,
		  "an instance was taken out of service because its launch failed: %s", reason);
	(void)terminate_begin(tick->engine, group, instance, cause, tick->now_ms);
	breaker_failed(tick->engine, group, instance, reason, tick->now_ms);
}

static bool is_registered_everywhere(const struct group *group, const struct instance *instance)
{
	const struct attachment *attachment;

	TAILQ_FOREACH (attachment, &group->attachments, link) {
		if (attachment->state != ATTACHMENT_REMOVING &&
		    !doc_list_has(instance->registered, attachment->arn))
			return false;
	}
	return true;
}

static void enter_service(struct tick *tick, struct group *group, struct instance *instance)
{
	struct activity *activity = instance_entry(group, instance);

	/* Who comes back from standby keeps its protection. */
	if (instance->in_service_ms == 0)
		instance->is_protected =
		    doc_bool(group->document, "NewInstancesProtectedFromScaleIn", false);
	instance->state = INSTANCE_IN_SERVICE;
	instance->in_service_ms = tick->now_ms;
	instance->is_dirty = true;
	activity_end(activity, ACTIVITY_SUCCESSFUL, tick->now_ms);
}

/* It runs: hooks, target groups, service. */
static void go_on(struct tick *tick, struct group *group, struct instance *instance)
{
	struct activity *activity = instance_entry(group, instance);

	if (!instance->has_run) {
		instance->has_run = true;
		instance->is_dirty = true;
		instance->tries = 0;
	}
	activity_progress(activity, ACTIVITY_PRE_IN_SERVICE, 30);
	switch (hooks_pass(tick, group, instance)) {
	case HOOKS_ASK_WAIT:
		return;
	case HOOKS_ASK_ABANDON:
		activity_end(activity, ACTIVITY_CANCELLED, tick->now_ms);
		launch_give_up(tick, group, instance, "A lifecycle hook abandoned the launch.");
		return;
	case HOOKS_ASK_CONTINUE:
		break;
	}
	if (instance->state == INSTANCE_WARMING)
		return; /* warm_progress goes on */
	if (json_array_size(instance->registered) == 0 && !instance->skips_elb &&
	    group_is_suspended(group, "AddToLoadBalancer")) {
		instance->skips_elb = true;
		instance->is_dirty = true;
	}
	if (instance->skips_elb || is_registered_everywhere(group, instance))
		enter_service(tick, group, instance);
	else if (instance->tries >= 5)
		launch_give_up(tick, group, instance, instance->reason);
}

static void progress_one(struct tick *tick, struct group *group, struct instance *instance)
{
	int64_t age_ms = tick->now_ms - instance->launch_ms;

	switch (instance->ec2) {
	case EC2_SHUTTING_DOWN:
	case EC2_TERMINATED:
		died(tick, group, instance);
		return;
	case EC2_STOPPING:
	case EC2_STOPPED:
		launch_give_up(tick, group, instance,
			       instance->reason[0] ? instance->reason : "The instance stopped.");
		return;
	case EC2_RUNNING:
		go_on(tick, group, instance);
		return;
	case EC2_UNKNOWN:
	case EC2_PENDING:
		if (age_ms > PENDING_MAX_MS && !instance->has_run)
			launch_give_up(tick, group, instance, "The instance did not start to run.");
		return;
	}
}

void launch_progress(struct tick *tick, struct group *group)
{
	struct instance *instance;

	TAILQ_FOREACH (instance, &group->instances, link) {
		if (instance_is_launching(instance) && instance->id[0] &&
		    !warm_progress(tick, group, instance))
			progress_one(tick, group, instance);
	}
}
