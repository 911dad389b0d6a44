/*
 * Balance between the zones of a group: instances in zones that the group has no more are
 * replaced, and where one zone has at least two instances more than that of the next launch, one
 * of the fuller zone is.  The successor is launched first, so the group may pass its maximum by a
 * tenth (at least one) meanwhile.  Moves between zones have a budget an hour, take idle instances
 * first and protected ones never, and wait while anything else moves.  Here instances are marked;
 * replace.c does the rest.  Pure.  AWS: "Availability Zone rebalancing".
 */
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "scaler/engine/replace.h"

enum {
	SETTLE_MS = 30 * 1000, /* uneven for so long before anything is done */
	HOUR_MS = 3600 * 1000,
	MOVES_MIN = 4,  /* an hour, where the group says nothing */
	MOVES_PART = 4, /* of the desired capacity */
	NAMES_MAX = 400,
};

static bool is_zone_of(const struct group *group, const char *name)
{
	for (int i = 0; i < group->n_zones; i++) {
		if (strcmp(group->zones[i].name, name) == 0)
			return true;
	}
	return false;
}

static bool is_stranded(const struct group *group, const struct instance *instance)
{
	return instance->zone[0] && !is_zone_of(group, instance->zone);
}

/* Units that stay: of those that are live and not on their way out. */
static int units_in(const struct group *group, const char *zone)
{
	const struct instance *instance;
	int units = 0;

	TAILQ_FOREACH (instance, &group->instances, link) {
		if (instance_is_live(instance) && instance->doomed == REPLACE_NOT &&
		    strcmp(instance->zone, zone) == 0)
			units += instance_units(instance);
	}
	return units;
}

/* The zone that the next launch would go to; NULL: none has room. */
static const char *next_zone(const struct group *group, int64_t now_ms)
{
	struct launch_plan plan;

	launch_plan_make(group, 1, 1, now_ms, &plan);
	return plan.n > 0 ? group->zones[plan.items[0].zone].name : NULL;
}

static bool is_movable(const struct instance *instance)
{
	return instance->state == INSTANCE_IN_SERVICE && instance->id[0] &&
	       !instance->is_protected && !instance->is_unhealthy &&
	       instance->doomed == REPLACE_NOT;
}

/* ---- a budget ---- */

static int moves_per_hour(const struct group *group)
{
	int by_size = group->desired / MOVES_PART;
	int64_t given = setting(group, SETTING_MOVES_PER_HOUR);

	if (given >= 0)
		return (int)given;
	return by_size > MOVES_MIN ? by_size : MOVES_MIN;
}

static bool has_budget(const struct group *group, int64_t now_ms)
{
	int left = moves_per_hour(group) - replace_count(group, REPLACE_CROWDED);

	return left > (now_ms - group->moves_from_ms >= HOUR_MS ? 0 : group->moves);
}

void balance_moved(struct group *group, int64_t now_ms)
{
	if (now_ms - group->moves_from_ms >= HOUR_MS) {
		group->moves_from_ms = now_ms;
		group->moves = 0;
	}
	group->moves++;
	group->is_dirty = true;
}

/* ---- whom ---- */

/* The fullest zone from which a move to zone `to` makes the group more even. */
static const char *fullest(const struct group *group, const char *to, bool *is_uneven)
{
	const struct instance *instance;
	const char *best = NULL;
	int best_units = 0, there = units_in(group, to);

	*is_uneven = false;
	TAILQ_FOREACH (instance, &group->instances, link) {
		int units;

		if (!instance_is_live(instance) || strcmp(instance->zone, to) == 0)
			continue;
		units = units_in(group, instance->zone);
		if (units - there <= instance_units(instance))
			continue;
		*is_uneven = true;
		if (!is_movable(instance) || units <= best_units)
			continue;
		best = instance->zone;
		best_units = units;
	}
	return best;
}

/* Idle ones first (in steps of ten percent), then as a scale-in would take them. */
static struct instance *idlest(const struct tick *tick, const struct group *group, const char *zone)
{
	struct instance *instance, *best = NULL;
	int best_load = 0;

	TAILQ_FOREACH (instance, &group->instances, link) {
		int step;

		if (!is_movable(instance) || strcmp(instance->zone, zone) != 0)
			continue;
		step = instance_load_step(tick, instance);
		if (best && step > best_load)
			continue;
		if (best && step == best_load &&
		    terminate_order(group, instance, best, tick->now_ms) >= 0)
			continue;
		best = instance;
		best_load = step;
	}
	return best;
}

/* ---- marking ---- */

static int room(const struct group *group, enum replace_reason reason)
{
	struct replace_bounds bounds = replace_bounds(group, reason);
	int above = bounds.ceiling - group->desired;

	/* A maintenance policy without room above replaces one after another. */
	return (above > 0 ? above : 1) - replace_count(group, REPLACE_STRANDED) -
	       replace_count(group, REPLACE_CROWDED);
}

static bool empty_old_zones(struct group *group)
{
	int left = room(group, REPLACE_STRANDED), n = 0;
	struct instance *instance;

	TAILQ_FOREACH (instance, &group->instances, link) {
		if (!instance_is_live(instance) || !is_stranded(group, instance))
			continue;
		n++;
		if (left <= 0 || !is_movable(instance))
			continue;
		replace_mark(instance, REPLACE_STRANDED, "");
		left--;
	}
	return n > 0;
}

static int marked_units(const struct group *group)
{
	const struct instance *instance;
	int units = 0;

	TAILQ_FOREACH (instance, &group->instances, link)
		units += instance_is_live(instance) && instance->doomed != REPLACE_NOT
			     ? instance_units(instance)
			     : 0;
	return units;
}

/* Does nothing else move?  Each mark so far has its successor, and that is all that comes. */
static bool is_settled(const struct group *group, int64_t now_ms)
{
	const struct instance *instance;
	int coming = 0, marked = marked_units(group);

	TAILQ_FOREACH (instance, &group->instances, link) {
		if (!instance_is_live(instance) || instance->doomed != REPLACE_NOT)
			continue;
		if (instance->is_unhealthy)
			return false;
		coming += replace_readiness(group, instance, now_ms) == INSTANCE_COMING;
	}
	return group_actual(group) == group->desired + marked && (marked > 0 || coming == 0);
}

/* The usual case, told cheaply: no two zones differ by more than one. */
static bool is_plainly_even(const struct group *group)
{
	int counts[MAX_ZONES], most = 0, least = INT_MAX;

	zones_count(group, counts);
	for (int i = 0; i < group->n_zones; i++) {
		for (int k = 0; k < i; k++) {
			if (strcmp(group->zones[k].name, group->zones[i].name) == 0)
				return false; /* several subnets of one zone */
		}
		most = counts[i] > most ? counts[i] : most;
		least = counts[i] < least ? counts[i] : least;
	}
	return most - least <= 1;
}

static enum balance_state move_one(struct tick *tick, struct group *group)
{
	const char *to, *from;
	bool is_uneven;

	if (is_plainly_even(group)) {
		group->uneven_since_ms = 0;
		return BALANCE_EVEN;
	}
	to = next_zone(group, tick->now_ms);
	if (!to)
		return BALANCE_EVEN;
	from = fullest(group, to, &is_uneven);
	if (!is_uneven) {
		group->uneven_since_ms = 0;
		return BALANCE_EVEN;
	}
	if (group->uneven_since_ms == 0)
		group->uneven_since_ms = tick->now_ms;
	if (!from)
		return BALANCE_PROTECTED;
	if (!has_budget(group, tick->now_ms))
		return BALANCE_SPENT;
	if (room(group, REPLACE_CROWDED) <= 0 ||
	    tick->now_ms - group->uneven_since_ms < SETTLE_MS || !is_settled(group, tick->now_ms))
		return BALANCE_WAITING;
	replace_mark(idlest(tick, group, from), REPLACE_CROWDED, "");
	return BALANCE_MOVING;
}

/* A mark whose successor nobody can launch in a poorer zone is taken back, one of a zone that is
 * the group's again too, and one that is protected by now. */
static void revise(struct tick *tick, struct group *group)
{
	struct instance *instance;
	const char *to;
	bool is_uneven;

	TAILQ_FOREACH (instance, &group->instances, link) {
		bool is_ours =
		    instance->doomed == REPLACE_STRANDED || instance->doomed == REPLACE_CROWDED;

		if (is_ours && (instance->is_protected || (instance->doomed == REPLACE_STRANDED &&
							   !is_stranded(group, instance))))
			replace_mark(instance, REPLACE_NOT, "");
	}
	if (replace_count(group, REPLACE_CROWDED) == 0 || group_actual(group) > group->desired)
		return;
	to = next_zone(group, tick->now_ms);
	TAILQ_FOREACH (instance, &group->instances, link) {
		is_uneven = to && units_in(group, instance->zone) > units_in(group, to);
		if (instance->doomed == REPLACE_CROWDED && !is_uneven)
			replace_mark(instance, REPLACE_NOT, "");
	}
}

void balance_run(struct tick *tick, struct group *group)
{
	if (!group->has_zones || group_is_suspended(group, "AZRebalance") ||
	    !replace_may_begin(group, tick->now_ms)) {
		replace_forget(group, REPLACE_STRANDED);
		replace_forget(group, REPLACE_CROWDED);
		group->balance = BALANCE_OFF;
		return;
	}
	revise(tick, group);
	if (empty_old_zones(group))
		group->balance = BALANCE_MOVING;
	else
		group->balance = group->n_zones > 1 ? move_one(tick, group) : BALANCE_EVEN;
}

/* ---- to be read ---- */

static void list_zones(const struct group *group, bool is_old, char names[NAMES_MAX],
		       char counts[NAMES_MAX])
{
	const struct instance *instance;
	size_t used = 0, digits = 0;

	names[0] = counts[0] = '\0';
	for (int i = 0; !is_old && i < group->n_zones; i++) {
		bool is_again = false;

		for (int k = 0; k < i; k++)
			is_again |= strcmp(group->zones[k].name, group->zones[i].name) == 0;
		if (is_again || used + ZONE_MAX + 2 > NAMES_MAX)
			continue;
		used += (size_t)snprintf(names + used, NAMES_MAX - used, "%s%s", used ? " " : "",
					 group->zones[i].name);
		digits +=
		    (size_t)snprintf(counts + digits, NAMES_MAX - digits, "%s%d", digits ? " " : "",
				     zones_size(group, group->zones[i].name));
	}
	TAILQ_FOREACH (instance, &group->instances, link) {
		if (!is_old || used || !instance_is_live(instance) || !is_stranded(group, instance))
			continue;
		used = (size_t)snprintf(names, NAMES_MAX, "%s", instance->zone);
		snprintf(counts, NAMES_MAX, "%d", zones_size(group, instance->zone));
	}
}

void balance_write_launch(const struct tick *tick, const struct group *group, char cause[CAUSE_MAX])
{
	char names[NAMES_MAX], counts[NAMES_MAX];

	list_zones(group, false, names, counts);
	cause_add(cause, tick->now_ms,
		  "availability zones %s had %s instances respectively. An instance was launched "
		  "to aid in balancing the group's zones",
		  names, counts);
}

void balance_write_migration(const struct tick *tick, const struct group *group,
			     char cause[CAUSE_MAX])
{
	char names[NAMES_MAX], counts[NAMES_MAX];

	list_zones(group, true, names, counts);
	cause_add(cause, tick->now_ms,
		  "invalid availability zones %s had %s instances respectively. An instance was "
		  "launched to aid in migrating these instances to valid availability zones",
		  names, counts);
}
