/*
 * What keeps a group from doing what it would, in words: for people who ask why nothing happens.
 * Reads what the parts of the latest tick have found; changes nothing.  Pure.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"
#include "scaler/engine/replace.h"

struct list {
	struct hold *holds;
	int n;
};

/* until_ms: when it ends by itself; 0: nobody knows. */
static void add(struct list *list, const char *kind, int64_t until_ms, const char *format, ...)
    PRINTF_LIKE(4, 5);

static void add(struct list *list, const char *kind, int64_t until_ms, const char *format, ...)
{
	struct hold *hold = &list->holds[list->n];
	va_list args;

	if (list->n == MAX_HOLDS)
		return;
	hold->kind = kind;
	hold->until_ms = until_ms;
	va_start(args, format);
	vsnprintf(hold->text, sizeof hold->text, format, args);
	va_end(args);
	text_mend(hold->text);
	list->n++;
}

static void add_suspended(struct list *list, const struct group *group)
{
	int actual = group_actual(group), wanted = group->desired + group->surge;

	if (actual < wanted && group_is_suspended(group, "Launch"))
		add(list, "SuspendedProcess", 0,
		    "%d more would be launched, but Launch is suspended.", wanted - actual);
	if (actual > wanted && group_is_suspended(group, "Terminate"))
		add(list, "SuspendedProcess", 0, "%d would be ended, but Terminate is suspended.",
		    actual - wanted);
}

static void add_breaker(struct list *list, const struct group *group, int64_t now_ms)
{
	char text[MESSAGE_MAX];

	if (breaker_hold(group, now_ms, text))
		add(list, "LaunchFailures",
		    group->breaker.after_ms > now_ms ? group->breaker.after_ms : 0, "%s", text);
	if (group->breaker.kept_id[0])
		add(list, "KeptForInspection", 0,
		    "The instance of the launch %s is kept until the next one is tried.",
		    group->breaker.kept_id);
}

static void add_protected(struct list *list, const struct group *group)
{
	int surplus = group_actual(group) - group->desired - group->surge, n = 0;
	const struct instance *instance;

	if (surplus <= 0)
		return;
	TAILQ_FOREACH (instance, &group->instances, link) {
		if (!instance_is_live(instance))
			continue;
		if (!instance->is_protected)
			return;
		n++;
	}
	if (n > 0)
		add(list, "ScaleInProtection", 0,
		    "%d too many, but all %d remaining instances are protected from scale-in.",
		    surplus, n);
}

static void add_fleet(struct list *list, const struct group *group)
{
	int marked = replace_count(group, REPLACE_UNHEALTHY);
	int failing = group->fleet.failing, serving = group->fleet.serving;

	switch (group->fleet.state) {
	case FLEET_HELD:
		add(list, "MassFailure", 0,
		    "%d of %d instances fail the load balancer's check while the policies ask for "
		    "more capacity: none is replaced.",
		    failing, serving);
		return;
	case FLEET_PROBED:
		add(list, "MassFailure", 0,
		    "%d of %d instances fail the load balancer's check at once: none is replaced "
		    "before a new one is ready.",
		    failing, serving);
		return;
	case FLEET_FINE:
		break;
	}
	if (failing > marked)
		add(list, "ReplacementBudget", 0,
		    "%d of %d instances fail the load balancer's check: at most %d %s replaced at "
		    "a time, the next when the newcomers are ready.",
		    failing, serving, replace_tenth(group, group->desired),
		    replace_tenth(group, group->desired) == 1 ? "is" : "are");
}

static const char *reason_text(enum replace_reason reason)
{
	static const char *const texts[] = {
	    [REPLACE_NOT] = "",
	    [REPLACE_UNHEALTHY] = "it is unhealthy",
	    [REPLACE_AT_RISK] = "EC2 may take it back",
	    [REPLACE_AGED] = "it has reached its maximum lifetime",
	    [REPLACE_STRANDED] = "its zone is not the group's",
	    [REPLACE_CROWDED] = "its zone has too many",
	};

	return texts[reason];
}

const char *instance_replace_reason(const struct instance *instance)
{
	return instance->doomed == REPLACE_NOT ? NULL : reason_text(instance->doomed);
}

static void add_marked(struct list *list, const struct group *group)
{
	const struct instance *instance, *first = NULL;
	int n = replace_count(group, REPLACE_NOT);

	TAILQ_FOREACH (instance, &group->instances, link) {
		bool is_marked = instance_is_live(instance) && instance->doomed != REPLACE_NOT;

		if (is_marked && (!first || instance->doomed < first->doomed))
			first = instance;
	}
	if (first)
		add(list, "Replacement", 0,
		    "%d %s to be replaced, %s first because %s, when successors are ready.", n,
		    n == 1 ? "is" : "are", first->id, reason_text(first->doomed));
}

static void add_balance(struct list *list, const struct group *group)
{
	switch (group->balance) {
	case BALANCE_EVEN:
	case BALANCE_OFF:
	case BALANCE_MOVING:
		return;
	case BALANCE_WAITING:
		add(list, "ZoneBalance", 0,
		    "The zones are uneven: they are balanced when nothing else moves.");
		return;
	case BALANCE_SPENT:
		add(list, "ZoneBalance", group->moves_from_ms + 3600LL * 1000,
		    "The zones are uneven, but the moves of this hour are spent.");
		return;
	case BALANCE_PROTECTED:
		add(list, "ZoneBalance", 0,
		    "The zones are uneven, but all that could be moved is protected.");
		return;
	}
}

static void add_warmup(struct list *list, const struct group *group, int64_t now_ms)
{
	int64_t warmup_ms = group_warmup_ms(group), until_ms = 0;
	const struct instance *instance;
	int n = 0;

	TAILQ_FOREACH (instance, &group->instances, link) {
		int64_t end_ms = instance->in_service_ms + warmup_ms;

		if (instance->state != INSTANCE_IN_SERVICE || end_ms <= now_ms)
			continue;
		n++;
		until_ms = end_ms > until_ms ? end_ms : until_ms;
	}
	if (n > 0)
		add(list, "InstanceWarmup", until_ms,
		    "%d instance%s up by the group's default: policies that track something take "
		    "nothing away.",
		    n, n == 1 ? " warms" : "s warm");
}

static void add_cooldown(struct list *list, const struct group *group, int64_t now_ms)
{
	if (group_is_cooling_down(group, now_ms))
		add(list, "Cooldown", 0,
		    "Simple scaling waits: its latest action is under way or %d s have not passed "
		    "since.",
		    group->cooldown_s);
}

static void add_refresh(struct list *list, const struct group *group)
{
	const json_t *refresh = json_array_get(group->refreshes, 0);

	if (refresh && !doc_has(refresh, "EndTime"))
		add(list, "InstanceRefresh", 0, "%s: %s", doc_str(refresh, "Status", ""),
		    doc_str(refresh, "StatusReason", "it begins."));
}

static void add_room(struct list *list, const struct group *group, int64_t now_ms)
{
	const json_t *pool;
	size_t i;

	json_array_foreach (group->pools, i, pool) {
		int64_t until_ms = doc_int(pool, "UntilMs", 0);
		const char *type = doc_str(pool, "InstanceType", "");
		const char *zone = doc_str(pool, "AvailabilityZone", "");

		if (until_ms > now_ms)
			add(list, "Capacity", until_ms, "EC2 had no room for %s%s in %s.",
			    doc_bool(pool, "IsSpot", false) ? "spot " : "",
			    type[0] ? type : "any type", zone[0] ? zone : "any zone");
	}
	if (group->zoneless_since_ms && !group->has_zones)
		add(list, "Zones", 0, "EC2 has not told the group's zones yet.");
}

static void add_limits(struct list *list, const struct group *group)
{
	const struct engine *engine = group->engine;

	if (engine->is_dry_run)
		add(list, "DryRun", 0, "Scaler.DryRun is on: nothing is touched.");
	if (cost_room(engine, group, 1) < 1)
		add(list, "MaxHourlyCost", 0,
		    "The instances of all groups cost %.4f dollars an hour, the limit is %.4f: "
		    "nothing is launched.",
		    engine_hourly_cost(engine), engine->max_hourly_cost);
	if (group->wanted > group->max)
		add(list, "MaxSize", 0, "The policies want %d, MaxSize is %d.", group->wanted,
		    group->max);
	if (group->wanted >= 0 && group->wanted < group->min)
		add(list, "MinSize", 0, "The policies want %d, MinSize is %d.", group->wanted,
		    group->min);
}

static void add_forecasts(struct list *list, const struct group *group)
{
	const struct policy *policy;

	TAILQ_FOREACH (policy, &group->policies, link) {
		const char *note = policy_prediction_note(policy);

		if (note && note[0])
			add(list, "Forecast", 0, "policy %s: %s", policy->name, note);
	}
}

static void add_ways(struct list *list, const struct group *group, int64_t now_ms)
{
	const struct instance *instance;
	int n_hooked = 0, n_draining = 0;
	int64_t until_ms = 0;

	TAILQ_FOREACH (instance, &group->instances, link) {
		n_hooked += instance->hook_phase == HOOKS_WAIT;
		if (!json_array_size(instance->draining) || instance->drain_until_ms <= now_ms)
			continue;
		n_draining++;
		if (instance->drain_until_ms > until_ms)
			until_ms = instance->drain_until_ms;
	}
	if (n_hooked > 0)
		add(list, "LifecycleHook", 0, "%d wait%s for lifecycle hooks.", n_hooked,
		    n_hooked == 1 ? "s" : "");
	if (n_draining > 0)
		add(list, "Draining", until_ms, "%d end%s when the last request has ended.",
		    n_draining, n_draining == 1 ? "s" : "");
}

int group_holds(const struct group *group, int64_t now_ms, struct hold holds[MAX_HOLDS])
{
	struct list list = {holds, 0};

	add_limits(&list, group);
	add_suspended(&list, group);
	add_breaker(&list, group, now_ms);
	add_room(&list, group, now_ms);
	add_protected(&list, group);
	add_fleet(&list, group);
	add_marked(&list, group);
	add_balance(&list, group);
	add_refresh(&list, group);
	add_warmup(&list, group, now_ms);
	add_cooldown(&list, group, now_ms);
	add_forecasts(&list, group);
	add_ways(&list, group, now_ms);
	return list.n;
}
