/*
 * Target groups: instances that run are registered with each attached one, and
 * deregistered from those that are being detached.  That one is asked to take an instance is
 * written down before it is asked: if its answer is lost, the instance is still deregistered.  What
 * the load balancer says of them comes in here.  Taking an instance out for good is terminate.c.
 * Pure.
 */
#include <stdio.h>
#include <string.h>

#include "scaler/engine/parts.h"

enum { RETRY_MS = 1000, RETRY_MAX_MS = 15000, REFUSALS_MAX = 5 };

static bool is_ready_for_call(const struct instance *instance, int64_t now_ms)
{
	bool may_register =
	    instance->state == INSTANCE_IN_SERVICE ||
	    (instance->state == INSTANCE_PENDING && instance->hook_phase >= HOOKS_PROCEED);

	return may_register && instance->id[0] && !instance->is_busy &&
	       instance->retry_ms <= now_ms;
}

/* Who will not serve is not brought in; taken out of what is detached it is all the same. */
static bool may_come_in(const struct instance *instance)
{
	return !instance->is_unhealthy && !instance->skips_elb && instance_is_running(instance);
}

static bool hand_out(struct tick *tick, struct group *group, struct instance *instance,
		     const struct attachment *attachment, enum action_kind kind)
{
	struct action *action = action_add(tick, kind, group, instance);

	if (!action)
		return false;
	text_copy(action->target_group, sizeof action->target_group, attachment->arn);
	instance->is_busy = true;
	/* Until the answer nobody knows whether it is in. */
	instance_drop_target_group(instance->registered, attachment->arn);
	if (!doc_list_has(instance->registering, attachment->arn))
		json_array_append_new(instance->registering, json_string(attachment->arn));
	instance->is_dirty = true;
	return true;
}

/* At most one call at a time for an instance: the next comes with the tick after its answer. */
static void hand_out_one(struct tick *tick, struct group *group, struct instance *instance)
{
	struct attachment *attachment;

	TAILQ_FOREACH (attachment, &group->attachments, link) {
		bool is_wanted = attachment->state != ATTACHMENT_REMOVING;
		bool is_in = is_wanted ? doc_list_has(instance->registered, attachment->arn)
				       : instance_may_be_in(instance, attachment->arn);

		if (is_in == is_wanted || strncmp(attachment->arn, "arn:", 4) != 0 ||
		    (is_wanted && !may_come_in(instance)))
			continue;
		(void)hand_out(tick, group, instance, attachment,
			       is_wanted ? ACTION_REGISTER : ACTION_DEREGISTER);
		return;
	}
}

void register_hand_out(struct tick *tick, struct group *group)
{
	struct instance *instance;

	TAILQ_FOREACH (instance, &group->instances, link) {
		if (is_ready_for_call(instance, tick->now_ms))
			hand_out_one(tick, group, instance);
	}
}

static int64_t retry_delay_ms(int tries)
{
	int64_t delay_ms = RETRY_MS;

	for (int i = 1; i < tries && delay_ms < RETRY_MAX_MS; i++)
		delay_ms *= 2;
	return delay_ms < RETRY_MAX_MS ? delay_ms : RETRY_MAX_MS;
}

/* No answer is waited out; a refusal is tried five times, then the launch has failed. */
static void refused(struct group *group, struct instance *instance, const char *code,
		    const char *message, int64_t now_ms)
{
	bool is_answer = strcmp(code, "NoAnswer") != 0 && strcmp(code, NOT_ASKED) != 0;

	if (is_answer && instance->tries < REFUSALS_MAX)
		instance->tries++;
	instance->retry_ms = now_ms + (is_answer ? retry_delay_ms(instance->tries) : RETRY_MS);
	if (instance->state != INSTANCE_PENDING)
		return;
	snprintf(instance->reason, sizeof instance->reason,
		 "Registering with the target group failed: %.60s: %.120s", code, message);
	text_mend(instance->reason);
	activity_say(instance_entry(group, instance), instance->reason);
}

void engine_register_done(struct engine *engine, const struct action *action,
			  const char *error_code, const char *message, int64_t now_ms)
{
	struct group *group = engine_group(engine, action->group);
	struct instance *instance = group ? group_launching(group, action->launch_id) : NULL;

	if (!instance)
		return;
	instance->is_busy = false;
	if (error_code) { /* what was asked before may have been done */
		refused(group, instance, error_code, message ? message : "", now_ms);
		return;
	}
	instance->tries = 0;
	instance->retry_ms = 0;
	instance->is_dirty = true;
	instance_drop_target_group(instance->registering, action->target_group);
	instance_drop_target_group(instance->draining, action->target_group);
	if (!doc_list_has(instance->registered, action->target_group))
		json_array_append_new(instance->registered, json_string(action->target_group));
}

void engine_deregister_done(struct engine *engine, const struct action *action,
			    const char *error_code, int64_t now_ms)
{
	struct group *group = engine_group(engine, action->group);
	struct instance *instance = group ? group_launching(group, action->launch_id) : NULL;
	bool is_gone = error_code && (strcmp(error_code, "TargetGroupNotFound") == 0 ||
				      strcmp(error_code, "InvalidTarget") == 0);
	const struct attachment *attachment;
	int64_t delay_ms = 300000;

	if (!instance)
		return;
	instance->is_busy = false;
	if (error_code && !is_gone) {
		instance->tries += strcmp(error_code, NOT_ASKED) != 0;
		instance->retry_ms = now_ms + retry_delay_ms(instance->tries);
		return;
	}
	instance->tries = 0;
	instance->retry_ms = 0;
	instance->is_dirty = true;
	instance_drop_target_group(instance->registered, action->target_group);
	instance_drop_target_group(instance->registering, action->target_group);
	if (is_gone)
		return;
	/* Who stays drains too: it may be told to go before that is over. */
	attachment = group_attachment(group, action->target_group);
	if (attachment && attachment->delay_ms >= 0)
		delay_ms = attachment->delay_ms;
	instance->drain_since_ms = now_ms;
	if (instance->drain_until_ms < now_ms + delay_ms)
		instance->drain_until_ms = now_ms + delay_ms;
	if (!doc_list_has(instance->draining, action->target_group))
		json_array_append_new(instance->draining, json_string(action->target_group));
}

/* ---- what the load balancer says ---- */

static json_t *health_by_id(const json_t *descriptions)
{
	json_t *health = json_object();
	const json_t *entry;
	size_t i;

	json_array_foreach (descriptions, i, entry) {
		const char *id = doc_str(doc_object(entry, "Target"), "Id", "");
		const char *state = doc_str(doc_object(entry, "TargetHealth"), "State", "");

		json_object_set_new(health, id, json_string(state));
	}
	return health;
}

/* The load balancer may have been away and have lost what it knew: instances in service that it
 * does not list are registered again.  While it is there, a target that somebody took out by hand
 * stays out. */
static void forget_lost(struct group *group, const struct attachment *attachment)
{
	struct instance *instance;

	TAILQ_FOREACH (instance, &group->instances, link) {
		bool is_lost = instance_is_live(instance) && !instance->is_busy &&
			       doc_list_has(instance->registered, attachment->arn) &&
			       !json_object_get(attachment->health, instance->id);

		if (!is_lost)
			continue;
		instance_drop_target_group(instance->registered, attachment->arn);
		instance->is_dirty = true;
	}
}

static void see(struct group *group, struct attachment *attachment, const json_t *descriptions,
		int64_t asked_ms)
{
	bool is_first = attachment->seen_ms == 0;
	struct instance *instance;

	if (!descriptions) {
		attachment->seen_ms = 0;
		return;
	}
	json_decref(attachment->health);
	attachment->health = health_by_id(descriptions);
	attachment->seen_ms = asked_ms;
	if (is_first)
		forget_lost(group, attachment);
	TAILQ_FOREACH (instance, &group->instances, link) {
		if (strcmp(doc_str(attachment->health, instance->id, ""), "healthy") != 0)
			continue;
		if (attachment->state == ATTACHMENT_ADDED)
			attachment->state = ATTACHMENT_IN_SERVICE;
		if (!instance->is_proven && instance->state == INSTANCE_IN_SERVICE) {
			instance->is_proven = true;
			instance->is_dirty = true;
		}
	}
}

void engine_health_seen(struct engine *engine, const char *arn, const json_t *descriptions,
			int64_t asked_ms)
{
	struct group *group;

	TAILQ_FOREACH (group, &engine->groups, link) {
		struct attachment *attachment = group_attachment(group, arn);

		if (attachment)
			see(group, attachment, descriptions, asked_ms);
	}
}

void engine_delay_seen(struct engine *engine, const char *arn, int64_t delay_ms)
{
	struct group *group;

	TAILQ_FOREACH (group, &engine->groups, link) {
		struct attachment *attachment = group_attachment(group, arn);

		if (attachment)
			attachment->delay_ms = delay_ms;
	}
}

void engine_target_group_named(struct engine *engine, const char *name, const char *arn)
{
	struct group *group;

	TAILQ_FOREACH (group, &engine->groups, link) {
		struct attachment *attachment = group_attachment(group, name);

		if (!attachment)
			continue;
		text_copy(attachment->arn, sizeof attachment->arn, arn);
		instance_drop_target_group(doc_array(group->document, "TargetGroupARNs"), name);
		engine_attach(group, attachment->arn);
	}
}

/* ---- attachments ---- */

static bool is_anyone_in(const struct group *group, const char *arn)
{
	const struct instance *instance;

	TAILQ_FOREACH (instance, &group->instances, link) {
		if (instance_is_live(instance) && instance_may_be_in(instance, arn))
			return true;
	}
	return false;
}

static bool is_everyone_in(const struct group *group, const char *arn)
{
	const struct instance *instance;
	int n = 0;

	TAILQ_FOREACH (instance, &group->instances, link) {
		if (instance->state != INSTANCE_IN_SERVICE)
			continue;
		if (!instance->skips_elb && !doc_list_has(instance->registered, arn))
			return false;
		n++;
	}
	return n > 0 || group->desired == 0;
}

void register_progress(struct tick *tick, struct group *group)
{
	struct attachment *attachment, *next;

	(void)tick;
	TAILQ_FOREACH_SAFE (attachment, &group->attachments, link, next) {
		if (attachment->state == ATTACHMENT_REMOVING) {
			if (!is_anyone_in(group, attachment->arn))
				group_attachment_free(group, attachment);
			continue;
		}
		if (attachment->state == ATTACHMENT_ADDING &&
		    strncmp(attachment->arn, "arn:", 4) == 0 &&
		    is_everyone_in(group, attachment->arn))
			attachment->state = ATTACHMENT_ADDED;
	}
}
