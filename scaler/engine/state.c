/*
 * State as documents of the store and back:
 *   autoscaling/activity/GROUP:ID   autoscaling/group/GROUP
 *   autoscaling/instance/GROUP:ID   autoscaling/policy/GROUP:NAME
 *   autoscaling/schedule/GROUP:NAME    autoscaling/config/NAME
 *   autoscaling/prediction/GROUP:NAME
 *   autoscaling/event/NUMBER
 * (group names hold no colon; an instance's ID is its launch's.)  What AWS has a name for carries
 * that name.  Pure: who writes and reads is the owner.
 */
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "scaler/engine/parts.h"

enum field_kind {
	FIELD_TEXT,
	FIELD_INT,
	FIELD_MS,
	FIELD_BOOL,
	FIELD_LIST, /* an array that is always there */
	FIELD_JSON, /* anything, or nothing */
	FIELD_END
};

struct field {
	const char *name;
	enum field_kind kind;
	size_t offset, size;
};

#define TEXT(type, member, name) \
	{ \
		name, FIELD_TEXT, offsetof(struct type, member), \
		    sizeof(((struct type *)0)->member) \
	}
#define PLAIN(kind, type, member, name) \
	{ \
		name, kind, offsetof(struct type, member), 0 \
	}

_Static_assert(sizeof(enum instance_state) == sizeof(int), "enums are stored as ints");
_Static_assert(sizeof(enum pool_state) == sizeof(int), "enums are stored as ints");
_Static_assert(sizeof(enum replace_reason) == sizeof(int), "enums are stored as ints");
_Static_assert(sizeof(enum hook_phase) == sizeof(int), "enums are stored as ints");
_Static_assert(sizeof(enum activity_status) == sizeof(int), "enums are stored as ints");

static const struct field instance_fields[] = {
    TEXT(instance, id, "InstanceId"),
    TEXT(instance, launch_id, "LaunchActivityId"),
    TEXT(instance, end_id, "TerminationActivityId"),
    TEXT(instance, entry_id, "EntryActivityId"),
    TEXT(instance, type, "InstanceType"),
    TEXT(instance, image_id, "ImageId"),
    TEXT(instance, zone, "AvailabilityZone"),
    TEXT(instance, subnet_id, "SubnetId"),
    TEXT(instance, template_id, "LaunchTemplateId"),
    TEXT(instance, template_name, "LaunchTemplateName"),
    TEXT(instance, template_version, "LaunchTemplateVersion"),
    TEXT(instance, config_name, "LaunchConfigurationName"),
    PLAIN(FIELD_MS, instance, config_ms, "LaunchConfigurationMs"),
    PLAIN(FIELD_INT, instance, weight, "Weight"),
    PLAIN(FIELD_BOOL, instance, is_spot, "IsSpot"),
    PLAIN(FIELD_MS, instance, notice_ms, "NoticeMs"),
    PLAIN(FIELD_MS, instance, ends_ms, "EndsMs"),
    PLAIN(FIELD_JSON, instance, run_members, "RunMembers"),
    TEXT(instance, token, "ClientToken"),
    PLAIN(FIELD_INT, instance, token_index, "TokenIndex"),
    PLAIN(FIELD_INT, instance, token_count, "TokenCount"),
    PLAIN(FIELD_INT, instance, state, "LifecycleStateCode"),
    PLAIN(FIELD_BOOL, instance, is_unhealthy, "IsUnhealthy"),
    PLAIN(FIELD_BOOL, instance, is_user_marked, "IsUserMarked"),
    PLAIN(FIELD_BOOL, instance, is_protected, "ProtectedFromScaleIn"),
    PLAIN(FIELD_BOOL, instance, is_proven, "IsProven"),
    PLAIN(FIELD_BOOL, instance, has_run, "HasRun"),
    PLAIN(FIELD_BOOL, instance, is_forced, "IsForced"),
    PLAIN(FIELD_BOOL, instance, is_attached, "IsAttached"),
    PLAIN(FIELD_BOOL, instance, is_tagged, "IsTagged"),
    PLAIN(FIELD_BOOL, instance, skips_elb, "SkipsLoadBalancer"),
    PLAIN(FIELD_BOOL, instance, is_outdated, "IsOutdated"),
    PLAIN(FIELD_BOOL, instance, is_warm, "IsWarm"),
    PLAIN(FIELD_BOOL, instance, is_from_pool, "IsFromWarmPool"),
    PLAIN(FIELD_INT, instance, pool_state, "PoolStateCode"),
    PLAIN(FIELD_MS, instance, pool_ms, "PoolMs"),
    PLAIN(FIELD_INT, instance, doomed, "ReplaceReason"),
    TEXT(instance, doomed_why, "ReplaceWhy"),
    PLAIN(FIELD_INT, instance, hook_phase, "HookPhase"),
    PLAIN(FIELD_LIST, instance, hooks, "LifecycleActions"),
    PLAIN(FIELD_MS, instance, launch_ms, "LaunchMs"),
    PLAIN(FIELD_MS, instance, in_service_ms, "InServiceMs"),
    PLAIN(FIELD_MS, instance, end_ms, "TerminatingMs"),
    PLAIN(FIELD_MS, instance, drain_until_ms, "DrainUntilMs"),
    PLAIN(FIELD_LIST, instance, registering, "RegisteringTargetGroupARNs"),
    PLAIN(FIELD_LIST, instance, registered, "TargetGroupARNs"),
    PLAIN(FIELD_LIST, instance, draining, "DrainingTargetGroupARNs"),
    {NULL, FIELD_END, 0, 0},
};

static const struct field activity_fields[] = {
    TEXT(activity, id, "ActivityId"),
    TEXT(activity, group, "AutoScalingGroupName"),
    TEXT(activity, group_arn, "AutoScalingGroupARN"),
    TEXT(activity, description, "Description"),
    TEXT(activity, cause, "Cause"),
    TEXT(activity, message, "StatusMessage"),
    TEXT(activity, zone, "AvailabilityZone"),
    TEXT(activity, subnet_id, "SubnetId"),
    PLAIN(FIELD_INT, activity, status, "StatusNumber"),
    PLAIN(FIELD_INT, activity, progress, "Progress"),
    PLAIN(FIELD_MS, activity, start_ms, "StartMs"),
    PLAIN(FIELD_MS, activity, end_ms, "EndMs"),
    PLAIN(FIELD_BOOL, activity, is_group_deleted, "IsGroupDeleted"),
    PLAIN(FIELD_JSON, activity, alarms, "InvokingAlarms"),
    {NULL, FIELD_END, 0, 0},
};

static const struct field group_fields[] = {
    PLAIN(FIELD_INT, group, min, "MinSize"),
    PLAIN(FIELD_INT, group, max, "MaxSize"),
    PLAIN(FIELD_INT, group, desired, "DesiredCapacity"),
    PLAIN(FIELD_BOOL, group, is_deleting, "IsDeleting"),
    PLAIN(FIELD_BOOL, group, is_from_file, "IsFromFile"),
    TEXT(group, why, "PendingCause"),
    PLAIN(FIELD_JSON, group, why_alarms, "PendingAlarms"),
    PLAIN(FIELD_MS, group, cooldown_from_ms, "CooldownFromMs"),
    PLAIN(FIELD_INT, group, cooldown_s, "CooldownSeconds"),
    PLAIN(FIELD_MS, group, scaled_in_ms, "ScaledInMs"),
    TEXT(group, waiting_id, "WaitingActivityId"),
    PLAIN(FIELD_INT, group, breaker.row, "LaunchFailures"),
    PLAIN(FIELD_INT, group, breaker.steps, "LaunchFailureSteps"),
    PLAIN(FIELD_INT, group, breaker.attempts, "LaunchAttempts"),
    PLAIN(FIELD_MS, group, breaker.after_ms, "LaunchAfterMs"),
    PLAIN(FIELD_MS, group, breaker.since_ms, "LaunchFailingSinceMs"),
    PLAIN(FIELD_MS, group, breaker.failed_ms, "LaunchFailedMs"),
    TEXT(group, breaker.why, "LaunchFailedWhy"),
    TEXT(group, breaker.kept_id, "KeptLaunchActivityId"),
    PLAIN(FIELD_BOOL, group, breaker.is_suspended, "IsLaunchSuspended"),
    PLAIN(FIELD_INT, group, replacing, "Replacing"),
    PLAIN(FIELD_MS, group, mass_since_ms, "MassFailureMs"),
    PLAIN(FIELD_INT, group, moves, "ZoneMoves"),
    PLAIN(FIELD_MS, group, moves_from_ms, "ZoneMovesFromMs"),
    PLAIN(FIELD_LIST, group, pools, "Pools"),
    PLAIN(FIELD_LIST, group, refreshes, "InstanceRefreshes"),
    {NULL, FIELD_END, 0, 0},
};

static json_t *save_field(const struct field *field, const char *base)
{
	const void *at = base + field->offset;

	switch (field->kind) {
	case FIELD_TEXT:
		return json_string(at);
	case FIELD_INT:
		return json_integer(*(const int *)at);
	case FIELD_MS:
		return json_integer(*(const int64_t *)at);
	case FIELD_BOOL:
		return json_boolean(*(const bool *)at);
	case FIELD_LIST:
		return json_deep_copy(*(json_t *const *)at);
	case FIELD_JSON:
		return *(json_t *const *)at ? json_deep_copy(*(json_t *const *)at) : json_null();
	case FIELD_END:
		break;
	}
	return NULL;
}

/* Copies: what the engine changes is not the store's before it is written. */
static void load_list(json_t *list, const json_t *stored)
{
	json_t *item;
	size_t i;

	json_array_foreach (stored, i, item)
		json_array_append_new(list, json_deep_copy(item));
}

static void load_field(const struct field *field, char *base, const json_t *document)
{
	void *at = base + field->offset;

	switch (field->kind) {
	case FIELD_TEXT:
		text_copy(at, field->size, doc_str(document, field->name, ""));
		return;
	case FIELD_INT:
		*(int *)at = (int)doc_int(document, field->name, 0);
		return;
	case FIELD_MS:
		*(int64_t *)at = doc_int(document, field->name, 0);
		return;
	case FIELD_BOOL:
		*(bool *)at = doc_bool(document, field->name, false);
		return;
	case FIELD_LIST:
		load_list(*(json_t **)at, doc_array(document, field->name));
		return;
	case FIELD_JSON:
		json_decref(*(json_t **)at);
		*(json_t **)at = doc_has(document, field->name)
				     ? json_deep_copy(json_object_get(document, field->name))
				     : NULL;
		return;
	case FIELD_END:
		return;
	}
}

static json_t *save(const struct field *fields, const void *base)
{
	json_t *document = json_object();

	for (; document && fields->kind != FIELD_END; fields++) {
		if (json_object_set_new(document, fields->name, save_field(fields, base)) == 0)
			continue;
		json_decref(document);
		return NULL;
	}
	return document;
}

static void load(const struct field *fields, void *base, const json_t *document)
{
	for (; fields->kind != FIELD_END; fields++)
		load_field(fields, base, document);
}

/* ---- going out ---- */

struct teller {
	engine_change_fn fn;
	void *arg;
	bool is_failed;
};

/* NULL would mean that the key is to go, so a document there was no memory for is not told. */
static void tell(struct teller *teller, const char *kind, const char *group, const char *id,
		 json_t *document)
{
	char key[2 * NAME_MAX_LEN + 64];

	if (!document) {
		teller->is_failed = true;
		return;
	}
	snprintf(key, sizeof key, "%s%s/%s%s%s", ENGINE_KEYS, kind, group, id ? ":" : "",
		 id ? id : "");
	teller->fn(teller->arg, key, document);
}

static json_t *save_group(const struct group *group)
{
	json_t *document = save(group_fields, group);

	if (document &&
	    json_object_set_new(document, "Description", json_deep_copy(group->document)) < 0) {
		json_decref(document);
		return NULL;
	}
	return document;
}

/* The document with what is not shown. */
static json_t *save_schedule(const struct schedule *schedule)
{
	json_t *document = json_copy(schedule->document);

	if (document &&
	    json_object_set_new(document, "NextMs", json_integer(schedule->next_ms)) < 0) {
		json_decref(document);
		return NULL;
	}
	return document;
}

static void group_changes(struct group *group, struct teller *teller)
{
	struct schedule *schedule;
	struct instance *instance;
	struct activity *activity;
	struct policy *policy;

	if (group->is_dirty)
		tell(teller, "group", group->name, NULL, save_group(group));
	TAILQ_FOREACH (instance, &group->instances, link) {
		if (instance->is_dirty)
			tell(teller, "instance", group->name, instance->launch_id,
			     save(instance_fields, instance));
	}
	TAILQ_FOREACH (activity, &group->activities, link) {
		if (activity->is_dirty)
			tell(teller, "activity", group->name, activity->id,
			     save(activity_fields, activity));
	}
	TAILQ_FOREACH (policy, &group->policies, link) {
		if (policy->is_dirty)
			tell(teller, "policy", group->name, policy->name,
			     json_deep_copy(policy->document));
		if (prediction_is_changed(policy))
			tell(teller, "prediction", group->name, policy->name,
			     prediction_save(policy));
	}
	TAILQ_FOREACH (schedule, &group->schedules, link) {
		if (schedule->is_dirty)
			tell(teller, "schedule", group->name, schedule->name,
			     save_schedule(schedule));
	}
}

int engine_changes(struct engine *engine, engine_change_fn fn, void *arg)
{
	struct teller told = {fn, arg, false}, *teller = &told;
	struct activity *activity;
	struct group *group;
	const json_t *key;
	size_t i;

	json_array_foreach (engine->removed, i, key)
		fn(arg, json_string_value(key), NULL);
	json_array_foreach (engine->new_configs, i, key)
		tell(teller, "config", json_string_value(key), NULL,
		     json_deep_copy(json_object_get(engine->configs, json_string_value(key))));
	TAILQ_FOREACH (group, &engine->groups, link)
		group_changes(group, teller);
	TAILQ_FOREACH (activity, &engine->old_activities, link) {
		if (activity->is_dirty)
			tell(teller, "activity", activity->group, activity->id,
			     save(activity_fields, activity));
	}
	return told.is_failed || events_changes(engine, fn, arg) < 0 ? -1 : 0;
}

static bool is_group_changed(const struct group *group)
{
	const struct schedule *schedule;
	const struct instance *instance;
	const struct activity *activity;
	const struct policy *policy;

	TAILQ_FOREACH (schedule, &group->schedules, link) {
		if (schedule->is_dirty)
			return true;
	}
	TAILQ_FOREACH (instance, &group->instances, link) {
		if (instance->is_dirty)
			return true;
	}
	TAILQ_FOREACH (activity, &group->activities, link) {
		if (activity->is_dirty)
			return true;
	}
	TAILQ_FOREACH (policy, &group->policies, link) {
		if (policy->is_dirty || prediction_is_changed(policy))
			return true;
	}
	return group->is_dirty;
}

bool engine_has_changes(const struct engine *engine)
{
	const struct activity *activity;
	const struct group *group;

	if (json_array_size(engine->removed) > 0 || json_array_size(engine->new_configs) > 0 ||
	    engine->events.is_dirty)
		return true;
	TAILQ_FOREACH (group, &engine->groups, link) {
		if (is_group_changed(group))
			return true;
	}
	TAILQ_FOREACH (activity, &engine->old_activities, link) {
		if (activity->is_dirty)
			return true;
	}
	return false;
}

void engine_saved(struct engine *engine)
{
	struct instance *instance;
	struct schedule *schedule;
	struct activity *activity;
	struct policy *policy;
	struct group *group;

	json_array_clear(engine->removed);
	json_array_clear(engine->new_configs);
	events_saved(engine);
	TAILQ_FOREACH (group, &engine->groups, link) {
		group->is_dirty = false;
		TAILQ_FOREACH (instance, &group->instances, link)
			instance->is_dirty = false;
		TAILQ_FOREACH (activity, &group->activities, link)
			activity->is_dirty = false;
		TAILQ_FOREACH (policy, &group->policies, link) {
			policy->is_dirty = false;
			prediction_saved(policy);
		}
		TAILQ_FOREACH (schedule, &group->schedules, link)
			schedule->is_dirty = false;
	}
	TAILQ_FOREACH (activity, &engine->old_activities, link)
		activity->is_dirty = false;
}

/* ---- coming back ---- */

static int load_activity(struct engine *engine, const json_t *document)
{
	struct activity *activity = calloc(1, sizeof *activity);

	if (!activity)
		return -1;
	load(activity_fields, activity, document);
	activity->engine = engine;
	/* Sorted out by engine_loaded, when the groups are known. */
	TAILQ_INSERT_TAIL(&engine->old_activities, activity, link);
	return 0;
}

static int load_group(struct engine *engine, const char *name, const json_t *document)
{
	json_t *description = json_deep_copy(doc_object(document, "Description"));
	struct group *group = description ? group_new(engine, name) : NULL;

	if (!group) {
		json_decref(description);
		return -1;
	}
	load(group_fields, group, document);
	json_decref(group->document);
	group->document = description;
	group->is_dirty = false;
	group->unknown = group->is_deleting; /* until EC2 has been asked */
	group_read_zones(group);
	return 0;
}

static struct group *group_of_key(struct engine *engine, const char *rest, const char **id)
{
	const char *colon = strchr(rest, ':');
	char name[NAME_MAX_LEN];

	if (!colon || (size_t)(colon - rest) >= sizeof name)
		return NULL;
	memcpy(name, rest, (size_t)(colon - rest));
	name[colon - rest] = '\0';
	*id = colon + 1;
	return engine_group(engine, name);
}

static int load_instance(struct engine *engine, const char *rest, const json_t *document)
{
	const char *id;
	struct group *group = group_of_key(engine, rest, &id);
	struct instance *instance = group ? instance_new(group) : NULL;

	if (!instance)
		return -1;
	load(instance_fields, instance, document);
	instance->is_dirty = false;
	return 0;
}

static int load_policy(struct engine *engine, const char *rest, const json_t *document)
{
	const char *name;
	struct group *group = group_of_key(engine, rest, &name);
	struct policy *policy = group ? calloc(1, sizeof *policy) : NULL;

	if (!policy)
		return -1;
	text_copy(policy->name, sizeof policy->name, name);
	policy->document = json_deep_copy(document);
	TAILQ_INSERT_TAIL(&group->policies, policy, link);
	return policy->document ? 0 : -1;
}

/* Policies come before predictions. */
static int load_prediction(struct engine *engine, const char *rest, const json_t *document)
{
	const char *name;
	struct group *group = group_of_key(engine, rest, &name);
	struct policy *policy = group ? group_policy(group, name) : NULL;

	return policy ? prediction_load(policy, document) : -1;
}

static int load_schedule(struct engine *engine, const char *rest, const json_t *document)
{
	const char *name;
	struct group *group = group_of_key(engine, rest, &name);
	struct schedule *schedule = group ? schedule_new(group, name) : NULL;

	if (!schedule)
		return -1;
	schedule->document = json_deep_copy(document);
	schedule->next_ms = doc_int(document, "NextMs", 0);
	schedule->is_dirty = false;
	return schedule->document && json_object_del(schedule->document, "NextMs") == 0 ? 0 : -1;
}

int engine_load(struct engine *engine, const char *key, const json_t *document)
{
	const char *kind = key + strlen(ENGINE_KEYS), *rest;

	if (strncmp(key, ENGINE_KEYS, strlen(ENGINE_KEYS)) != 0 || !(rest = strchr(kind, '/')))
		return -1;
	rest++;
	if (strncmp(kind, "activity/", 9) == 0)
		return load_activity(engine, document);
	if (strncmp(kind, "config/", 7) == 0)
		return json_object_set_new(engine->configs, rest, json_deep_copy(document));
	if (strncmp(kind, "event/", 6) == 0)
		return events_load(engine, rest, document);
	if (strncmp(kind, "group/", 6) == 0)
		return load_group(engine, rest, document);
	if (strncmp(kind, "instance/", 9) == 0)
		return load_instance(engine, rest, document);
	if (strncmp(kind, "policy/", 7) == 0)
		return load_policy(engine, rest, document);
	if (strncmp(kind, "prediction/", 11) == 0)
		return load_prediction(engine, rest, document);
	if (strncmp(kind, "schedule/", 9) == 0)
		return load_schedule(engine, rest, document);
	return -1;
}

static void insert_by_start(struct activities *activities, struct activity *activity)
{
	struct activity *other;

	TAILQ_FOREACH (other, activities, link) {
		if (other->start_ms <= activity->start_ms) {
			TAILQ_INSERT_BEFORE(other, activity, link);
			return;
		}
	}
	TAILQ_INSERT_TAIL(activities, activity, link);
}

static void sort_activities(struct engine *engine)
{
	struct activities all = TAILQ_HEAD_INITIALIZER(all);
	struct activity *activity;

	TAILQ_CONCAT(&all, &engine->old_activities, link);
	while ((activity = TAILQ_FIRST(&all))) {
		struct group *group =
		    activity->is_group_deleted ? NULL : engine_group(engine, activity->group);

		TAILQ_REMOVE(&all, activity, link);
		insert_by_start(group ? &group->activities : &engine->old_activities, activity);
	}
}

static void sort_instances(struct group *group)
{
	struct instance *instance, *other;
	TAILQ_HEAD(, instance) all = TAILQ_HEAD_INITIALIZER(all);

	while ((instance = TAILQ_FIRST(&group->instances))) {
		TAILQ_REMOVE(&group->instances, instance, link);
		TAILQ_INSERT_TAIL(&all, instance, link);
	}
	while ((instance = TAILQ_FIRST(&all))) {
		TAILQ_REMOVE(&all, instance, link);
		TAILQ_FOREACH (other, &group->instances, link) {
			if (other->launch_ms > instance->launch_ms)
				break;
		}
		if (other)
			TAILQ_INSERT_BEFORE(other, instance, link);
		else
			TAILQ_INSERT_TAIL(&group->instances, instance, link);
	}
}

static void find_removed(struct group *group, const json_t *arns)
{
	struct attachment *attachment;
	const json_t *arn;
	size_t i;

	json_array_foreach (arns, i, arn) {
		if (group_attachment(group, json_string_value(arn)))
			continue;
		attachment = group_attachment_add(group, json_string_value(arn));
		if (attachment)
			attachment->state = ATTACHMENT_REMOVING;
	}
}

/* Target groups that instances are in but the group no longer names are being detached. */
static void find_attachments(struct group *group)
{
	const struct instance *instance;
	const json_t *arn;
	size_t i;

	json_array_foreach (doc_array(group->document, "TargetGroupARNs"), i, arn)
		(void)!group_attachment_add(group, json_string_value(arn));
	TAILQ_FOREACH (instance, &group->instances, link) {
		find_removed(group, instance->registered);
		find_removed(group, instance->registering);
	}
}

void engine_loaded(struct engine *engine)
{
	struct group *group;

	sort_activities(engine);
	TAILQ_FOREACH (group, &engine->groups, link) {
		sort_instances(group);
		find_attachments(group);
	}
}
