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

static void add(struct list *list, const char *kind, const char *format, ...) PRINTF_LIKE(3, 4);

static void add(struct list *list, const char *kind, const char *format, ...)
{
	struct hold *hold = &list->holds[list->n];
	va_list args;

	if (list->n == MAX_HOLDS)
		return;
	hold->kind = kind;
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
		add(list, "SuspendedProcess", "%d more would be launched, but Launch is suspended.",
		    wanted - actual);
	if (actual > wanted && group_is_suspended(group, "Terminate"))
		add(list, "SuspendedProcess", "%d would be ended, but Terminate is suspended.",
		    actual - wanted);
}

static void add_breaker(struct list *list, const struct group *group, int64_t now_ms)
{
	char text[MESSAGE_MAX];

	if (breaker_hold(group, now_ms, text))
		add(list, "LaunchFailures", "%s", text);
	if (group->breaker.kept_id[0])
		add(list, "KeptForInspection",
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
		add(list, "ScaleInProtection",
		    "%d too many, but all %d remaining instances are protected from scale-in.",
		    surplus, n);
}

static void add_fleet(struct list *list, const struct group *group)
{
	int marked = replace_count(group, REPLACE_UNHEALTHY);
	int failing = group->fleet.failing, serving = group->fleet.serving;

	switch (group->fleet.state) {
	case FLEET_HELD:
		add(list, "MassFailure",
		    "%d of %d instances fail the load balancer's check while the policies ask for "
		    "more capacity: none is replaced.",
		    failing, serving);
		return;
	case FLEET_PROBED:
		add(list, "MassFailure",
		    "%d of %d instances fail the load balancer's check at once: none is replaced "
		    "before a new one is ready.",
		    failing, serving);
		return;
	case FLEET_FINE:
		break;
	}
	if (failing > marked)
		add(list, "ReplacementBudget",
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
		add(list, "Replacement",
		    "%d %s to be replaced, %s first because %s, when successors are ready.", n,
		    n == 1 ? "is" : "are", first->id, reason_text(first->doomed));
}

static void add_balance(struct list *list, const struct group *group)
{
	char at[CLOCK_TEXT_MAX];

	switch (group->balance) {
	case BALANCE_EVEN:
	case BALANCE_OFF:
	case BALANCE_MOVING:
		return;
	case BALANCE_WAITING:
		add(list, "ZoneBalance",
		    "The zones are uneven: they are balanced when nothing else moves.");
		return;
	case BALANCE_SPENT:
		add(list, "ZoneBalance",
		    "The zones are uneven, but the moves of this hour are spent: the next at %s.",
		    clock_format_iso(group->moves_from_ms + 3600LL * 1000, at));
		return;
	case BALANCE_PROTECTED:
		add(list, "ZoneBalance",
		    "The zones are uneven, but all that could be moved is protected.");
		return;
	}
}

static void add_warmup(struct list *list, const struct group *group, int64_t now_ms)
{
	int64_t warmup_ms = group_warmup_ms(group), until_ms = 0;
	const struct instance *instance;
	char at[CLOCK_TEXT_MAX];
	int n = 0;

	TAILQ_FOREACH (instance, &group->instances, link) {
		int64_t end_ms = instance->in_service_ms + warmup_ms;

		if (instance->state != INSTANCE_IN_SERVICE || end_ms <= now_ms)
			continue;
		n++;
		until_ms = end_ms > until_ms ? end_ms : until_ms;
	}
	if (n > 0)
		add(list, "InstanceWarmup",
		    "%d instance%s up: policies that track something take nothing away, until %s "
		    "by the group's default.",
		    n, n == 1 ? " warms" : "s warm", clock_format_iso(until_ms, at));
}

static void add_cooldown(struct list *list, const struct group *group, int64_t now_ms)
{
	if (group_is_cooling_down(group, now_ms))
		add(list, "Cooldown",
		    "Simple scaling waits: its latest action is under way or %d s have not passed "
		    "since.",
		    group->cooldown_s);
}

static void add_refresh(struct list *list, const struct group *group)
{
	const json_t *refresh = json_array_get(group->refreshes, 0);

	if (refresh && !doc_has(refresh, "EndTime"))
		add(list, "InstanceRefresh", "%s: %s", doc_str(refresh, "Status", ""),
		    doc_str(refresh, "StatusReason", "it begins."));
}

int group_holds(const struct group *group, int64_t now_ms, struct hold holds[MAX_HOLDS])
{
	struct list list = {holds, 0};

	add_suspended(&list, group);
	add_breaker(&list, group, now_ms);
	add_protected(&list, group);
	add_fleet(&list, group);
	add_marked(&list, group);
	add_balance(&list, group);
	add_refresh(&list, group);
	add_warmup(&list, group, now_ms);
	add_cooldown(&list, group, now_ms);
	return list.n;
}
