/*
 * Launches answered: what EC2 says of instances that were asked for, taken over; and what it
 * refuses, remembered (pools.c) or waited for (breaker.c).  Pure.
 */
#include <stdio.h>
#include <string.h>

#include "scaler/engine/mixed.h"

enum {
	RETRY_MAX_MS = 30 * 1000,
};

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
	instance->is_spot = strcmp(doc_str(ec2, "InstanceLifecycle", ""), "spot") == 0;
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
	json_decref(instance->run_members);
	instance->run_members = NULL;
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

void launch_fail(struct group *group, struct instance *instance, const char *why, int64_t now_ms)
{
	activity_fail_launch(instance_entry(group, instance), why, now_ms);
	if (instance->state == INSTANCE_TERMINATING) /* what was to go never came */
		activity_end(activity_find(group, instance->end_id), ACTIVITY_SUCCESSFUL, now_ms);
	instance->state = INSTANCE_TERMINATED;
	instance->is_dirty = true;
}

void launch_fail_late(struct group *group, struct instance *instance, const char *why,
		      int64_t now_ms)
{
	activity_fail_launch(instance_entry(group, instance), why, now_ms);
	hooks_forget(instance);
	instance->state = INSTANCE_TERMINATING;
	instance->is_unhealthy = true;
	instance->end_ms = now_ms;
	instance->tries = 0;
	instance->retry_ms = 0;
	instance->is_dirty = true;
}

static bool is_one_of(const char *code, const char *const codes[])
{
	for (size_t i = 0; code && codes[i]; i++) {
		if (strcmp(code, codes[i]) == 0)
			return true;
	}
	return false;
}

/* The subnet is full, whatever the type: the other zones are tried at once. */
static void close_zone(struct group *group, const struct action *action, int64_t now_ms)
{
	for (int i = 0; i < group->n_zones; i++) {
		struct zone *zone = &group->zones[i];

		if (strcmp(zone->name, action->zone) == 0 &&
		    strcmp(zone->subnet_id, action->subnet_id) == 0)
			zone->closed_until_ms =
			    now_ms + breaker_delay_ms(group->engine, zone->failures++);
	}
}

static void open_zone(struct group *group, const struct action *action)
{
	for (int i = 0; i < group->n_zones; i++) {
		if (strcmp(group->zones[i].name, action->zone) == 0) {
			group->zones[i].failures = 0;
			group->zones[i].closed_until_ms = 0;
		}
	}
}

/* Is it for want of room, so that another pool may do?  Then this one is left alone for a while. */
static bool note_no_room(struct group *group, const struct action *action, const char *code,
			 int64_t now_ms)
{
	static const char *const here[] = {"InsufficientInstanceCapacity",
					   "InsufficientHostCapacity", "Unsupported",
					   "SpotMaxPriceTooLow", NULL};
	static const char *const of_type[] = {"InstanceLimitExceeded", "VcpuLimitExceeded", NULL};
	static const char *const of_market[] = {"MaxSpotInstanceCountExceeded", NULL};
	struct pool pool = {action->zone, action->type, action->is_spot};

	if (code && strcmp(code, "InsufficientFreeAddressesInSubnet") == 0) {
		close_zone(group, action, now_ms);
		return true;
	}
	if (is_one_of(code, of_market))
		pool.zone = pool.type = "";
	else if (is_one_of(code, of_type) && group_mixed(group))
		pool.zone = "";
	else if (!is_one_of(code, here))
		return false;
	pool_failed(group, &pool, now_ms);
	return true;
}

/* The instance of the answer, which may be in any order, that is this one. */
static const json_t *own_answer(const struct instance *instance, const json_t *instances)
{
	const json_t *ec2;
	size_t i;

	json_array_foreach (instances, i, ec2) {
		if (doc_int(ec2, "AmiLaunchIndex", (int64_t)i) == instance->token_index)
			return ec2;
	}
	return NULL;
}

static void answer_one(struct group *group, struct instance *instance,
		       const struct launch_answer *answer, int64_t now_ms)
{
	const json_t *ec2 = own_answer(instance, answer->instances);
	int64_t delay_ms = 1000;
	char why[MESSAGE_MAX];

	instance->is_busy = false;
	if (ec2) {
		launch_identify(group, instance, ec2);
		return;
	}
	if (answer->instances) {
		launch_fail(group, instance, "EC2 launched fewer instances than asked for.",
			    now_ms);
		return;
	}
	if (answer->is_final && instance_is_launching(instance)) {
		launch_fail(group, instance, answer->message, now_ms);
		return;
	}
	if (answer->is_final) { /* it was to go anyway, and never came */
		launch_fail(group, instance, "The group no longer needs it.", now_ms);
		return;
	}
	for (int i = 1; i < instance->tries && delay_ms < RETRY_MAX_MS; i++)
		delay_ms *= 2;
	instance->retry_ms = now_ms + delay_ms;
	snprintf(why, sizeof why, "EC2 gave no answer, trying again: %.180s", answer->message);
	text_mend(why);
	activity_say(instance_entry(group, instance), why);
}

static void take_result(struct group *group, const struct action *action,
			const struct launch_answer *answer, int64_t now_ms)
{
	struct pool pool = {action->zone, action->type, action->is_spot};
	int n = (int)json_array_size(answer->instances);

	group->launched += n;
	if (answer->instances && n >= action->count) {
		open_zone(group, action);
		pool_succeeded(group, &pool);
	} else if (answer->instances) { /* that was all there was */
		group->launch_failures++;
		pool_failed(group, &pool, now_ms);
	} else if (answer->is_final && note_no_room(group, action, answer->code, now_ms)) {
		group->launch_failures++;
	} else if (answer->is_final) {
		breaker_failed(group->engine, group, NULL, answer->message, now_ms);
	}
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
	take_result(group, action, answer, now_ms);
}

const json_t *engine_run_members(const struct group *group, const char *launch_id)
{
	const struct instance *instance = group_launching(group, launch_id);

	return instance ? instance->run_members : NULL;
}
