/*
 * Launches: decided by zone, handed out with their token, answered, and followed until
 * the instance is in service.  A launch whose answer was lost is handed out again with the same
 * token; one that EC2 refused has failed, and the next waits (breaker.c).  Pure.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"
#include "scaler/engine/parts.h"

enum {
	PENDING_MAX_MS = 15 * 60 * 1000, /* not running by then: given up */
	ZONE_CLOSED_MS = 60 * 1000,      /* times 2 for each failure in a row */
	ZONE_CLOSED_MAX_MS = 900 * 1000,
	RETRY_MAX_MS = 30 * 1000,
	MAX_LAUNCHING = 100, /* not yet answered; the rest comes after them */
	ZONELESS_MS = 5000,
};

/* ---- deciding ---- */

static void fill_template(const struct group *group, struct instance *instance)
{
	const json_t *template = group_template(group);
	const json_t *config = group_config(group);

	if (config) {
		text_copy(instance->config_name, sizeof instance->config_name,
			  doc_str(config, "LaunchConfigurationName", ""));
		(void)!clock_parse_iso(doc_str(config, "CreatedTime", ""), &instance->config_ms);
		return;
	}
	text_copy(instance->template_id, sizeof instance->template_id,
		  doc_str(template, "LaunchTemplateId", ""));
	text_copy(instance->template_name, sizeof instance->template_name,
		  doc_str(template, "LaunchTemplateName", ""));
	group_template_version(group, instance->template_version);
}

static struct instance *make_one(struct tick *tick, struct group *group, const struct zone *zone,
				 const char *cause, bool is_replacement)
{
	struct activity *activity = activity_start(tick->engine, group, cause, tick->now_ms);
	struct instance *instance = activity ? instance_new(group) : NULL;

	if (!instance) {
		if (activity)
			activity_end(activity, ACTIVITY_CANCELLED, tick->now_ms);
		return NULL;
	}
	text_copy(activity->description, sizeof activity->description,
		  "Launching a new EC2 instance");
	activity->alarms = is_replacement ? NULL : json_incref(group->why_alarms);
	text_copy(activity->zone, sizeof activity->zone, zone->name);
	text_copy(activity->subnet_id, sizeof activity->subnet_id, zone->subnet_id);
	text_copy(instance->launch_id, sizeof instance->launch_id, activity->id);
	text_copy(instance->zone, sizeof instance->zone, zone->name);
	text_copy(instance->subnet_id, sizeof instance->subnet_id, zone->subnet_id);
	instance->launch_ms = tick->now_ms;
	fill_template(group, instance);
	return instance;
}

/* Up to MAX_BATCH instances of one zone are one call: they share the first one's token. */
static void join_batch(struct group *group, struct instance *instance)
{
	struct instance *other, *first = NULL;
	int count = 1;

	TAILQ_FOREACH (other, &group->instances, link) {
		bool joins = other != instance && other->id[0] == '\0' && other->tries == 0 &&
			     other->launch_ms == instance->launch_ms && !other->is_busy &&
			     other->token_count > 0 && other->token_count < MAX_BATCH &&
			     strcmp(other->zone, instance->zone) == 0 &&
			     strcmp(other->subnet_id, instance->subnet_id) == 0;

		if (joins && !first)
			first = other;
	}
	if (!first) {
		snprintf(instance->token, sizeof instance->token, "%.36s_%.24s_1",
			 instance->launch_id, instance->zone);
		instance->token_count = 1;
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

struct instance *launch_decide(struct tick *tick, struct group *group, const struct zone *zone,
			       const char *cause, bool is_replacement)
{
	struct instance *instance = make_one(tick, group, zone, cause, is_replacement);

	if (instance)
		join_batch(group, instance);
	return instance;
}

int launch_allowed(const struct group *group, int needed, int64_t now_ms)
{
	const struct instance *instance;
	int room = MAX_LAUNCHING;

	if (group->is_deleting || group_is_suspended(group, "Launch"))
		return 0;
	TAILQ_FOREACH (instance, &group->instances, link)
		room -= instance->id[0] == '\0';
	return breaker_may_launch(group, needed < room ? needed : room, now_ms);
}

void launch_cause(const struct tick *tick, struct group *group, int actual, int n,
		  bool is_replacement, char cause[CAUSE_MAX])
{
	text_copy(cause, CAUSE_MAX, is_replacement ? "" : group->why);
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

void launch_missing(struct tick *tick, struct group *group, int needed)
{
	int counts[MAX_ZONES], actual = group_actual(group);
	int n = launch_allowed(group, needed, tick->now_ms), launched = 0;

	if (!group->has_zones) {
		wait_for_zones(tick, group);
		return;
	}
	zones_count(group, counts);
	for (int i = 0; i < n; i++) {
		int zone = zones_poorest(group, counts, tick->now_ms);
		bool is_replacement = group->replacing > 0;
		char cause[CAUSE_MAX];
		struct instance *instance;

		if (zone < 0)
			break;
		launch_cause(tick, group, actual, n, is_replacement, cause);
		instance = launch_decide(tick, group, &group->zones[zone], cause, is_replacement);
		if (!instance)
			break;
		group->replacing -= is_replacement;
		group->is_dirty = true;
		counts[zone]++;
		launched++;
	}
	if (launched > 0)
		breaker_launched(group);
	if (launched > 0 && launched == needed)
		group_forget_why(group);
}

/* ---- handing out ---- */

static bool is_waiting_for_call(const struct instance *instance, int64_t now_ms)
{
	return instance_is_launching(instance) && instance->id[0] == '\0' && !instance->is_busy &&
	       instance->retry_ms <= now_ms;
}

void launch_hand_out(struct tick *tick, struct group *group)
{
	struct instance *instance, *other;

	TAILQ_FOREACH (instance, &group->instances, link) {
		struct action *action;

		if (!is_waiting_for_call(instance, tick->now_ms))
			continue;
		action = action_add(tick, ACTION_LAUNCH, group, instance);
		if (!action)
			return;
		memcpy(action->token, instance->token, sizeof action->token);
		memcpy(action->zone, instance->zone, sizeof action->zone);
		memcpy(action->subnet_id, instance->subnet_id, sizeof action->subnet_id);
		action->count = instance->token_count;
		TAILQ_FOREACH (other, &group->instances, link) {
			if (strcmp(other->token, instance->token) != 0 || other->id[0])
				continue;
			other->is_busy = true;
			other->tries++;
		}
	}
}

/* ---- answers ---- */

static void take_tags(struct instance *instance, const json_t *tags)
{
	const char *version = doc_kv_get(tags, "aws:ec2launchtemplate:version", NULL);
	const char *id = doc_kv_get(tags, "aws:ec2launchtemplate:id", NULL);

	if (version)
		text_copy(instance->template_version, sizeof instance->template_version, version);
	if (id && !instance->template_id[0])
		text_copy(instance->template_id, sizeof instance->template_id, id);
}

struct activity *instance_entry(const struct group *group, const struct instance *instance)
{
	return activity_find(group,
			     instance->entry_id[0] ? instance->entry_id : instance->launch_id);
}

void launch_take_facts(struct instance *instance, const json_t *ec2)
{
	const char *zone = doc_str(doc_object(ec2, "Placement"), "AvailabilityZone", NULL);
	const char *subnet = doc_str(ec2, "SubnetId", NULL);

	text_copy(instance->type, sizeof instance->type, doc_str(ec2, "InstanceType", ""));
	text_copy(instance->image_id, sizeof instance->image_id, doc_str(ec2, "ImageId", ""));
	if (zone)
		text_copy(instance->zone, sizeof instance->zone, zone);
	if (subnet)
		text_copy(instance->subnet_id, sizeof instance->subnet_id, subnet);
	take_tags(instance, doc_array(ec2, "Tags"));
	instance->is_dirty = true;
}

/* The instance has a name: EC2's. */
void launch_identify(struct group *group, struct instance *instance, const json_t *ec2)
{
	struct activity *activity = instance_entry(group, instance);

	text_copy(instance->id, sizeof instance->id, doc_str(ec2, "InstanceId", ""));
	launch_take_facts(instance, ec2);
	instance->is_busy = false;
	instance->tries = 0;
	instance->retry_ms = 0;
	instance->is_dirty = true;
	if (!activity)
		return;
	activity->is_dirty = true;
	activity->message[0] = '\0';
	snprintf(activity->description, sizeof activity->description,
		 "Launching a new EC2 instance%s: %s", instance->is_warm ? " into warm pool" : "",
		 instance->id);
	text_copy(activity->zone, sizeof activity->zone, instance->zone);
	text_copy(activity->subnet_id, sizeof activity->subnet_id, instance->subnet_id);
}

static void fail_one(struct group *group, struct instance *instance, const char *why,
		     int64_t now_ms)
{
	activity_fail_launch(instance_entry(group, instance), why, now_ms);
	instance->state = INSTANCE_TERMINATED;
	instance->is_dirty = true;
}

static bool is_no_room(const char *code)
{
	static const char *const codes[] = {"InsufficientInstanceCapacity", "Unsupported",
					    "InsufficientFreeAddressesInSubnet",
					    "InsufficientHostCapacity"};

	for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
		if (code && strcmp(code, codes[i]) == 0)
			return true;
	}
	return false;
}

/* No room in this zone: the others are tried at once; with all closed, the first to open is. */
static void close_zone(struct group *group, const char *name, int64_t now_ms)
{
	for (int i = 0; i < group->n_zones; i++) {
		struct zone *zone = &group->zones[i];
		int64_t delay_ms = ZONE_CLOSED_MS;

		if (strcmp(zone->name, name) != 0)
			continue;
		for (int k = 0; k < zone->failures && delay_ms < ZONE_CLOSED_MAX_MS; k++)
			delay_ms *= 2;
		zone->failures++;
		zone->closed_until_ms =
		    now_ms + (delay_ms < ZONE_CLOSED_MAX_MS ? delay_ms : ZONE_CLOSED_MAX_MS);
	}
}

static void open_zone(struct group *group, const char *name)
{
	for (int i = 0; i < group->n_zones; i++) {
		if (strcmp(group->zones[i].name, name) == 0) {
			group->zones[i].failures = 0;
			group->zones[i].closed_until_ms = 0;
		}
	}
}

static void answer_one(struct group *group, struct instance *instance,
		       const struct launch_answer *answer, int64_t now_ms)
{
	const json_t *ec2 = json_array_get(answer->instances, (size_t)instance->token_index);
	int64_t delay_ms = 1000;
	char why[MESSAGE_MAX];

	instance->is_busy = false;
	if (ec2) {
		launch_identify(group, instance, ec2);
		return;
	}
	if (answer->instances) {
		fail_one(group, instance, "EC2 launched fewer instances than asked for.", now_ms);
		return;
	}
	if (answer->is_final && instance_is_launching(instance)) {
		fail_one(group, instance, answer->message, now_ms);
		return;
	}
	if (answer->is_final) { /* it was to go anyway, and never came */
		fail_one(group, instance, "The group no longer needs it.", now_ms);
		return;
	}
	for (int i = 1; i < instance->tries && delay_ms < RETRY_MAX_MS; i++)
		delay_ms *= 2;
	instance->retry_ms = now_ms + delay_ms;
	snprintf(why, sizeof why, "EC2 gave no answer, trying again: %.180s", answer->message);
	text_mend(why);
	activity_say(instance_entry(group, instance), why);
}

void engine_launch_done(struct engine *engine, const struct action *action,
			const struct launch_answer *answer, int64_t now_ms)
{
	struct group *group = engine_group(engine, action->group);
	struct instance *instance;

	if (!group)
		return; /* deleted meanwhile; the tag sweep ends what came */
	TAILQ_FOREACH (instance, &group->instances, link) {
		if (strcmp(instance->token, action->token) == 0 && instance->id[0] == '\0' &&
		    instance->state != INSTANCE_TERMINATED)
			answer_one(group, instance, answer, now_ms);
	}
	group->launched += json_array_size(answer->instances);
	if (answer->instances)
		open_zone(group, action->zone);
	if (answer->instances || !answer->is_final)
		return;
	if (is_no_room(answer->code)) {
		group->launch_failures++;
		close_zone(group, action->zone, now_ms);
	} else {
		breaker_failed(engine, group, NULL, answer->message, now_ms);
	}
}

/* ---- following ---- */

/* It ended before it was in service: not again at once, unless somebody ended it on purpose. */
static void died(struct tick *tick, struct group *group, struct instance *instance)
{
	const char *reason = instance->reason[0] ? instance->reason : "The instance ended.";

	fail_one(group, instance, reason, tick->now_ms);
	if (strcmp(instance->reason_code, "Client.UserInitiatedShutdown") != 0)
		breaker_failed(tick->engine, group, instance, reason, tick->now_ms);
}

void launch_give_up(struct tick *tick, struct group *group, struct instance *instance,
		    const char *why)
{
	char cause[CAUSE_MAX] = "", reason[201];

	activity_fail_launch(instance_entry(group, instance), why, tick->now_ms);
	if (instance->is_attached) {
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
