/*
 * The circuit breaker: launches that fail one after another are not repeated in a loop.  Each
 * failure makes the next launch wait (9 s, 18 s, ... 15 min, a fifth more or less); after three in
 * a row the breaker is open: one newcomer at a time is launched as a probe and watched until it is
 * seen to work, and the latest failed one is kept for inspection until then.  After a day without
 * a launch that worked the group counts as suspended by the administration, with a probe an hour.
 * Pure.  Who failed and why is for launch.c and health.c to say.
 */
#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"
#include "scaler/engine/parts.h"

enum {
	FIRST_MS = 9 * 1000,
	LONGEST_MS = 900 * 1000,
	JITTER_PERCENT = 20,
	ROW_MAX = 3, /* newcomers that failed in a row open it */
	SUSPENDED_AFTER_MS = 24 * 3600 * 1000,
	SUSPENDED_ATTEMPTS = 15,
	SUSPENDED_STEP_MS = 3600 * 1000,
	KEPT_MS = 900 * 1000, /* the failed one, where no probe comes */
};

int64_t breaker_delay_ms(struct engine *engine, int failures)
{
	int64_t delay_ms = FIRST_MS;
	int percent = 100 - JITTER_PERCENT;

	for (int i = 0; i < failures && delay_ms < LONGEST_MS; i++)
		delay_ms *= 2;
	if (delay_ms > LONGEST_MS)
		delay_ms = LONGEST_MS;
	percent += (int)(id_random(engine->ids) % (2 * JITTER_PERCENT + 1));
	return delay_ms * percent / 100;
}

bool breaker_is_open(const struct group *group)
{
	return group->breaker.row >= ROW_MAX;
}

/* The newcomer that is being watched; NULL: none is. */
static const struct instance *probe_of(const struct group *group)
{
	const struct instance *instance;

	TAILQ_FOREACH (instance, &group->instances, link) {
		if (instance_is_live(instance) && !instance->is_proven && !instance->is_unhealthy)
			return instance;
	}
	return NULL;
}

int breaker_may_launch(const struct group *group, int needed, int64_t now_ms)
{
	if (needed <= 0 || group->breaker.after_ms > now_ms)
		return 0;
	if (!breaker_is_open(group))
		return needed;
	return probe_of(group) ? 0 : 1;
}

bool breaker_holds(const struct group *group, int64_t now_ms)
{
	return group->breaker.row > 0 && (group->breaker.after_ms > now_ms || probe_of(group));
}

static void keep(struct group *group, const struct instance *instance)
{
	bool is_there = instance && instance->id[0] && instance_is_running(instance);

	if (is_there && breaker_is_open(group))
		memcpy(group->breaker.kept_id, instance->launch_id, sizeof instance->launch_id);
}

static bool is_hopeless(const struct breaker *breaker, int64_t now_ms)
{
	return breaker->attempts >= SUSPENDED_ATTEMPTS &&
	       now_ms - breaker->since_ms >= SUSPENDED_AFTER_MS;
}

void breaker_failed(struct engine *engine, struct group *group, const struct instance *instance,
		    const char *why, int64_t now_ms)
{
	struct breaker *breaker = &group->breaker;
	int64_t delay_ms;

	group->launch_failures++;
	breaker->attempts++;
	/* Those that worked for a short while and fail together are one failure. */
	if (!instance || !instance->is_proven || breaker->after_ms <= now_ms)
		breaker->row++;
	breaker->failed_ms = now_ms;
	if (breaker->since_ms == 0)
		breaker->since_ms = now_ms;
	text_copy(breaker->why, sizeof breaker->why, why);
	keep(group, instance);
	group->is_dirty = true;
	/* Failures of launches that were under way together are one step. */
	if (breaker->after_ms > now_ms)
		return;
	breaker->is_suspended = is_hopeless(breaker, now_ms);
	delay_ms = breaker_delay_ms(engine, breaker->steps);
	breaker->steps++;
	breaker->after_ms = now_ms + (breaker->is_suspended ? SUSPENDED_STEP_MS : delay_ms);
}

void breaker_reset(struct group *group)
{
	static const struct breaker closed;

	if (group->breaker.row == 0 && group->breaker.after_ms == 0)
		return;
	group->breaker = closed;
	group->is_dirty = true;
}

void breaker_succeeded(struct group *group, const struct instance *instance)
{
	/* An old one says nothing about launches. */
	if (instance->launch_ms >= group->breaker.failed_ms)
		breaker_reset(group);
}

void breaker_launched(struct group *group)
{
	if (!group->breaker.kept_id[0])
		return;
	group->breaker.kept_id[0] = '\0';
	group->is_dirty = true;
}

bool breaker_keeps(const struct group *group, const struct instance *instance, int64_t now_ms)
{
	return strcmp(group->breaker.kept_id, instance->launch_id) == 0 && !instance->is_forced &&
	       !group->is_deleting && instance_is_running(instance) &&
	       now_ms - instance->end_ms < KEPT_MS;
}

/* ---- to be read ---- */

static void say_next(const struct group *group, int64_t now_ms, char *text, size_t size)
{
	const struct instance *probe = probe_of(group);
	char at[CLOCK_TEXT_MAX];

	if (group->breaker.after_ms > now_ms)
		snprintf(text, size, "the next one is tried at %s",
			 clock_format_iso(group->breaker.after_ms, at));
	else if (probe && breaker_is_open(group))
		snprintf(text, size, "the probe %s is being watched",
			 probe->id[0] ? probe->id : "that is being launched");
	else
		snprintf(text, size, "the next one is tried when it is needed");
}

const char *breaker_hold(const struct group *group, int64_t now_ms, char text[MESSAGE_MAX])
{
	const struct breaker *breaker = &group->breaker;
	char next[ID_TEXT_MAX + 64], whole[3 * MESSAGE_MAX];

	if (breaker->row == 0 || (!breaker_is_open(group) && breaker->after_ms <= now_ms))
		return NULL;
	say_next(group, now_ms, next, sizeof next);
	snprintf(whole, sizeof whole, "%s%d launch%s failed in a row, %s. Last reason: %s",
		 breaker->is_suspended ? "Suspended after a day of failures: " : "", breaker->row,
		 breaker->row == 1 ? " has" : "es have", next, breaker->why);
	text_copy(text, MESSAGE_MAX, whole);
	return text;
}

json_t *breaker_suspension(const struct group *group)
{
	const struct breaker *breaker = &group->breaker;
	char text[2 * MESSAGE_MAX], at[CLOCK_TEXT_MAX];

	if (!breaker->is_suspended)
		return NULL;
	snprintf(text, sizeof text,
		 "Administrative suspension: no launch has worked since %s. One is tried every "
		 "hour. Last reason: %s",
		 clock_format_iso(breaker->since_ms, at), breaker->why);
	text_mend(text);
	return json_pack("{s:s, s:s}", "ProcessName", "Launch", "SuspensionReason", text);
}
