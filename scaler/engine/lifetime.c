/*
 * Maximum lifetime: the oldest go first, one at a time, so early that the last of them is gone
 * when its time is up; several at once, a tenth of the group at most, where one at a time would
 * be too late.  Protected ones come last, when they are a tenth of the lifetime over it.  How one
 * is replaced is replace.c.  Pure.
 */
#include <stdio.h>
#include <string.h>

#include "scaler/engine/replace.h"

enum {
	BOOT_MS = 120 * 1000, /* for a newcomer to be in service: a guess that is seldom too low */
	PAUSE_MS = 60 * 1000, /* between two, when there is time */
};

struct plan {
	int64_t lifetime_ms, step_ms, now_ms;
};

static bool is_candidate(const struct instance *instance)
{
	return instance->state == INSTANCE_IN_SERVICE && instance->doomed == REPLACE_NOT;
}

static int64_t deadline(const struct plan *plan, const struct instance *instance)
{
	return instance->launch_ms + plan->lifetime_ms;
}

/* Would so many at a time all be gone in time?  Instances are in the order of their launches. */
static bool is_in_time(const struct group *group, const struct plan *plan, int at_a_time)
{
	const struct instance *instance;
	int k = 0;

	TAILQ_FOREACH (instance, &group->instances, link) {
		int64_t steps;

		if (!is_candidate(instance) || instance->is_protected)
			continue;
		steps = k++ / at_a_time + 1;
		if (plan->now_ms + steps * plan->step_ms > deadline(plan, instance))
			return false;
	}
	return true;
}

/* How many are to be under way; 0: there is time yet. */
static int wanted(const struct group *group, const struct plan *plan)
{
	int limit = replace_tenth(group, group_actual(group)), n = 1;

	if (is_in_time(group, plan, 1))
		return 0;
	/* Late by less than a step: one at a time it is. */
	while (n < limit && !is_in_time(group,
					&(struct plan){plan->lifetime_ms, plan->step_ms,
						       plan->now_ms - plan->step_ms},
					n))
		n++;
	return n;
}

/* Protected ones wait until they are well over their time. */
static bool is_long_overdue(const struct plan *plan, const struct instance *instance)
{
	return is_candidate(instance) && instance->is_protected &&
	       plan->now_ms > deadline(plan, instance) + plan->lifetime_ms / 10;
}

static struct instance *next_to_go(const struct group *group, bool is_protected,
				   const struct plan *plan)
{
	struct instance *instance;

	TAILQ_FOREACH (instance, &group->instances, link) {
		bool is_next = is_candidate(instance) && !instance->is_protected;

		if (is_protected ? is_long_overdue(plan, instance) : is_next)
			return instance;
	}
	return NULL;
}

/* Those on their way out or in. */
static int under_way(const struct group *group, const struct plan *plan)
{
	const struct instance *instance;
	int n = 0;

	TAILQ_FOREACH (instance, &group->instances, link) {
		bool is_coming =
		    instance_is_live(instance) &&
		    replace_readiness(group, instance, plan->now_ms) == INSTANCE_COMING;

		n += is_coming || (instance->doomed == REPLACE_AGED && instance_is_live(instance));
	}
	return n;
}

static bool is_overdue(const struct group *group, const struct plan *plan)
{
	const struct instance *instance;

	TAILQ_FOREACH (instance, &group->instances, link) {
		if (is_candidate(instance) && !instance->is_protected)
			return plan->now_ms >= deadline(plan, instance);
	}
	return false;
}

static bool is_pausing(const struct group *group, const struct plan *plan)
{
	const struct instance *instance;

	TAILQ_FOREACH (instance, &group->instances, link) {
		if (instance->state == INSTANCE_IN_SERVICE &&
		    plan->now_ms - instance->in_service_ms < plan->step_ms - BOOT_MS)
			return !is_overdue(group, plan);
	}
	return false;
}

void lifetime_run(struct tick *tick, struct group *group)
{
	struct plan plan = {
	    .lifetime_ms = 1000 * doc_int(group->document, "MaxInstanceLifetime", 0),
	    .now_ms = tick->now_ms,
	};
	bool is_protected;
	int room;

	if (plan.lifetime_ms == 0 || !replace_may_begin(group, tick->now_ms)) {
		replace_forget(group, REPLACE_AGED);
		return;
	}
	plan.step_ms =
	    1000 * doc_int(group->document, "DefaultInstanceWarmup", 0) + BOOT_MS + PAUSE_MS;
	room = wanted(group, &plan);
	is_protected = room == 0;
	if (is_protected && next_to_go(group, true, &plan))
		room = 1;
	if (room == 0 || group_actual(group) < group->desired || is_pausing(group, &plan))
		return;
	for (room -= under_way(group, &plan); room > 0; room--) {
		struct instance *instance = next_to_go(group, is_protected, &plan);

		if (!instance)
			return;
		replace_mark(instance, REPLACE_AGED, "");
	}
}
