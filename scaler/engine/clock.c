/*
 * A clock that is set back: what has happened has happened by now, and no wait is longer than it
 * can be when it begins.  Otherwise a clock that was hours ahead and is put right would hold
 * launches, drains, hooks and health checks back for these hours.  Looked at when time goes
 * backwards, and once after loading: it may have been set while the program was down.  Forwards
 * there is nothing to do: what waits is over sooner.  Whoever adds a time to model.h adds it here.
 * Pure.
 */
#include "common/doc/doc.h"
#include "scaler/engine/parts.h"

enum {
	RETRY_MAX_MS = 30 * 1000,
	CLOSED_MAX_MS = 900 * 1000,
	BREAKER_MAX_MS = 3600 * 1000,
	WANTED_MAX_MS = 3600 * 1000,
	CALM_MAX_MS = 24 * 3600 * 1000,
	DRAIN_MS = 300 * 1000, /* AWS's default, where the delay is not known */
};

static bool has_happened(int64_t *at_ms, int64_t now_ms)
{
	if (*at_ms <= now_ms)
		return false;
	*at_ms = now_ms;
	return true;
}

static bool waits_until(int64_t *at_ms, int64_t now_ms, int64_t longest_ms)
{
	if (*at_ms - now_ms <= longest_ms)
		return false;
	*at_ms = now_ms + longest_ms;
	return true;
}

/* A time in a document. */
static bool document_time(json_t *document, const char *member, int64_t now_ms, int64_t longest_ms)
{
	int64_t at_ms = doc_int(document, member, 0);

	return waits_until(&at_ms, now_ms, longest_ms) &&
	       json_object_set_new(document, member, json_integer(at_ms)) == 0;
}

static int64_t longest_drain_ms(const struct group *group)
{
	const struct attachment *attachment;
	int64_t longest_ms = 0;

	TAILQ_FOREACH (attachment, &group->attachments, link) {
		int64_t delay_ms = attachment->delay_ms >= 0 ? attachment->delay_ms : DRAIN_MS;

		longest_ms = delay_ms > longest_ms ? delay_ms : longest_ms;
	}
	return longest_ms > 0 ? longest_ms : DRAIN_MS;
}

static void set_back_instance(const struct group *group, struct instance *instance, int64_t now_ms)
{
	bool is_changed = false;
	json_t *hook;
	size_t i;

	is_changed |= has_happened(&instance->launch_ms, now_ms);
	is_changed |= has_happened(&instance->in_service_ms, now_ms);
	is_changed |= has_happened(&instance->end_ms, now_ms);
	is_changed |= has_happened(&instance->pool_ms, now_ms);
	is_changed |= has_happened(&instance->notice_ms, now_ms);
	is_changed |= waits_until(&instance->drain_until_ms, now_ms, longest_drain_ms(group));
	(void)has_happened(&instance->seen_ms, now_ms);
	(void)has_happened(&instance->drain_since_ms, now_ms);
	(void)waits_until(&instance->retry_ms, now_ms, RETRY_MAX_MS);
	json_array_foreach (instance->hooks, i, hook)
		is_changed |= document_time(hook, "DeadlineMs", now_ms,
					    1000 * doc_int(hook, "HeartbeatS", 0));
	instance->is_dirty |= is_changed;
}

static void set_back_refresh(struct group *group, int64_t now_ms)
{
	json_t *refresh = json_array_get(group->refreshes, 0);
	const json_t *preferences = doc_object(refresh, "Preferences");
	bool is_changed = false;

	if (!refresh || doc_has(refresh, "EndTime"))
		return;
	is_changed |= document_time(refresh, "StartMs", now_ms, 0);
	is_changed |= document_time(refresh, "ProgressMs", now_ms, 0);
	is_changed |= document_time(refresh, "CheckpointUntilMs", now_ms,
				    1000 * doc_int(preferences, "CheckpointDelay", 3600));
	is_changed |= document_time(refresh, "BakeUntilMs", now_ms,
				    1000 * doc_int(preferences, "BakeTime", 0));
	group->is_dirty |= is_changed;
}

static void set_back_policy(struct policy *policy, int64_t now_ms)
{
	(void)has_happened(&policy->steady_since_ms, now_ms);
	(void)has_happened(&policy->sudden_ms, now_ms);
	(void)waits_until(&policy->sudden_after_ms, now_ms, CALM_MAX_MS);
	(void)waits_until(&policy->wanted_until_ms, now_ms, WANTED_MAX_MS);
	for (int i = 0; i < MAX_SERVED; i++)
		(void)has_happened(&policy->served[i].since_ms, now_ms);
}

static void set_back_parts(struct engine *engine, struct group *group, int64_t now_ms)
{
	struct attachment *attachment;
	struct instance *instance;
	struct activity *activity;
	struct policy *policy;

	TAILQ_FOREACH (instance, &group->instances, link)
		set_back_instance(group, instance, now_ms);
	TAILQ_FOREACH (activity, &group->activities, link) {
		activity->is_dirty |= has_happened(&activity->start_ms, now_ms);
		activity->is_dirty |= has_happened(&activity->end_ms, now_ms);
	}
	TAILQ_FOREACH (attachment, &group->attachments, link)
		(void)has_happened(&attachment->seen_ms, now_ms);
	TAILQ_FOREACH (policy, &group->policies, link)
		set_back_policy(policy, now_ms);
	schedules_set_back(engine, group, now_ms);
}

static void set_back_group(struct engine *engine, struct group *group, int64_t now_ms)
{
	bool is_changed = false;

	is_changed |= has_happened(&group->cooldown_from_ms, now_ms);
	is_changed |= has_happened(&group->scaled_in_ms, now_ms);
	is_changed |= has_happened(&group->mass_since_ms, now_ms);
	is_changed |= has_happened(&group->moves_from_ms, now_ms);
	is_changed |= has_happened(&group->breaker.failed_ms, now_ms);
	is_changed |= has_happened(&group->breaker.since_ms, now_ms);
	is_changed |= waits_until(&group->breaker.after_ms, now_ms, BREAKER_MAX_MS);
	group->is_dirty |= is_changed;
	(void)has_happened(&group->shrunk_ms, now_ms);
	(void)has_happened(&group->sorry_ms, now_ms);
	(void)has_happened(&group->uneven_since_ms, now_ms);
	(void)has_happened(&group->zoneless_since_ms, now_ms);
	(void)has_happened(&group->template_seen_ms, now_ms);
	(void)has_happened(&group->view_ms, now_ms);
	for (int i = 0; i < group->n_zones; i++)
		(void)waits_until(&group->zones[i].closed_until_ms, now_ms, CLOSED_MAX_MS);
	set_back_refresh(group, now_ms);
	set_back_parts(engine, group, now_ms);
}

void clock_look(struct engine *engine, int64_t now_ms)
{
	bool is_forward = engine->ticked_ms > 0 && now_ms >= engine->ticked_ms;
	struct group *group;

	engine->ticked_ms = now_ms;
	if (is_forward)
		return;
	TAILQ_FOREACH (group, &engine->groups, link)
		set_back_group(engine, group, now_ms);
}
