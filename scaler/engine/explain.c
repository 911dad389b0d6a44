/*
 * What a group would do next, and what holds it back, in words and with the data behind them: what
 * GET /explain shows.  Reads, changes nothing.  Pure.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"
#include "scaler/engine/replace.h"

enum { SAID_MAX = 1024 };

/* What is being put together. */
struct explanation {
	const struct tick *tick;
	const struct group *group;
	json_t *next, *holds; /* arrays */
};

static void say_next(const struct explanation *out, const char *format, ...) PRINTF_LIKE(2, 3);
static void say_next(const struct explanation *out, const char *format, ...)
{
	char text[SAID_MAX];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	text_mend(text);
	json_array_append_new(out->next, json_string(text));
}

/* until_ms: when it ends by itself; 0: nobody knows. */
static void say_hold(const struct explanation *out, const char *hold, int64_t until_ms,
		     const char *format, ...) PRINTF_LIKE(4, 5);
static void say_hold(const struct explanation *out, const char *hold, int64_t until_ms,
		     const char *format, ...)
{
	char text[SAID_MAX], at[CLOCK_TEXT_MAX];
	json_t *entry;
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	text_mend(text);
	entry = json_pack("{s:s, s:s}", "Hold", hold, "Why", text);
	if (entry && until_ms)
		json_object_set_new(entry, "Until", json_string(clock_format_iso(until_ms, at)));
	json_array_append_new(out->holds, entry);
}

/* "i-1, i-2 and 3 more": instances that a test is true of. */
typedef bool (*instance_test)(const struct explanation *out, const struct instance *instance);

static int list_instances(const struct explanation *out, instance_test test, char *text,
			  size_t size)
{
	enum { NAMED = 3 };
	const struct instance *instance;
	size_t len = 0;
	int n = 0;

	text[0] = '\0';
	TAILQ_FOREACH (instance, &out->group->instances, link) {
		if (!test(out, instance))
			continue;
		if (n++ < NAMED && len < size)
			len += (size_t)snprintf(text + len, size - len, "%s%s", n > 1 ? ", " : "",
						instance->id[0] ? instance->id
								: "one without an id yet");
	}
	if (n > NAMED && len < size)
		snprintf(text + len, size - len, " and %d more", n - NAMED);
	return n;
}

/* ---- what comes next ---- */

static void next_of_capacity(const struct explanation *out)
{
	const struct group *group = out->group;
	int actual = group_actual(group), missing = group->desired + group->surge - actual;
	const struct instance *first;

	if (missing > 0) {
		say_next(out, "launch %d: desired is %d%s, live are %d", missing, group->desired,
			 group->surge ? " and more while instances are replaced" : "", actual);
		return;
	}
	if (missing == 0)
		return;
	first = terminate_choose(out->tick, group, -missing);
	if (first)
		say_next(out, "terminate %d, first %s: desired is %d, live are %d", -missing,
			 first->id[0] ? first->id : "the launch that has no instance yet",
			 group->desired, actual);
	else
		say_hold(out, "Protection", 0,
			 "%d too many, but all that could go are protected from scale-in",
			 -missing);
}

static bool has_ended(const struct instance *instance)
{
	return instance->ec2 != EC2_UNKNOWN && instance->ec2 != EC2_PENDING &&
	       instance->ec2 != EC2_RUNNING;
}

static void next_of_replacements(const struct explanation *out)
{
	const struct instance *instance;

	TAILQ_FOREACH (instance, &out->group->instances, link) {
		if (!instance_is_live(instance))
			continue;
		if (instance->doomed != REPLACE_NOT)
			say_next(out, "replace %s: %s", instance->id, instance->doomed_why);
		else if (has_ended(instance))
			say_next(out, "replace %s: it does not run any more", instance->id);
		else if (instance->is_user_marked)
			say_next(out, "replace %s: a person calls it unhealthy", instance->id);
	}
}

static void next_of_refresh(const struct explanation *out)
{
	const json_t *refresh = json_array_get(out->group->refreshes, 0);

	if (group_is_refreshing(out->group))
		say_next(out, "go on with instance refresh %s (%s, %d percent): %s",
			 doc_str(refresh, "InstanceRefreshId", ""), doc_str(refresh, "Status", ""),
			 (int)doc_int(refresh, "PercentageComplete", 0),
			 doc_str(refresh, "StatusReason", "nothing is waited for"));
}

static void next_of_schedules(const struct explanation *out)
{
	const struct schedule *schedule, *first = NULL;
	char at[CLOCK_TEXT_MAX];

	TAILQ_FOREACH (schedule, &out->group->schedules, link) {
		if (schedule->next_ms && (!first || schedule->next_ms < first->next_ms))
			first = schedule;
	}
	if (first)
		say_next(out, "run scheduled action %s at %s", first->name,
			 clock_format_iso(first->next_ms, at));
}

static void next_of_forecasts(const struct explanation *out)
{
	const struct policy *policy;
	char at[CLOCK_TEXT_MAX];

	TAILQ_FOREACH (policy, &out->group->policies, link) {
		int64_t at_ms;
		int capacity = predict_next(out->group, policy, out->tick->now_ms, &at_ms);

		if (capacity > out->group->desired)
			say_next(out, "have %d at %s, as policy %s forecasts", capacity,
				 clock_format_iso(at_ms, at), policy->name);
	}
}

static void find_next(const struct explanation *out)
{
	if (out->group->is_deleting) {
		say_next(out, "end every instance, and the group with the last one");
		return;
	}
	next_of_capacity(out);
	next_of_replacements(out);
	next_of_refresh(out);
	next_of_schedules(out);
	next_of_forecasts(out);
}

/* ---- what holds it back ---- */

static void holds_of_launches(const struct explanation *out)
{
	const struct group *group = out->group;
	int64_t now_ms = out->tick->now_ms, after_ms = group->breaker.after_ms;
	char text[MESSAGE_MAX];
	const json_t *pool;
	size_t i;

	if (breaker_hold(group, now_ms, text))
		say_hold(out, "CircuitBreaker", after_ms > now_ms ? after_ms : 0, "%s", text);
	json_array_foreach (group->pools, i, pool) {
		int64_t until_ms = doc_int(pool, "UntilMs", 0);

		if (until_ms > now_ms)
			say_hold(out, "Capacity", until_ms, "EC2 had no room for %s%s in %s",
				 doc_bool(pool, "IsSpot", false) ? "spot " : "",
				 doc_str(pool, "InstanceType", "this type"),
				 doc_str(pool, "AvailabilityZone", "any zone"));
	}
	if (group->zoneless_since_ms && !group->has_zones)
		say_hold(out, "Zones", 0, "EC2 has not told the group's zones yet");
}

static void holds_of_people(const struct explanation *out)
{
	const json_t *process;
	size_t i;

	if (out->tick->engine->is_dry_run)
		say_hold(out, "DryRun", 0, "Scaler.DryRun: nothing is touched");
	json_array_foreach (doc_array(out->group->document, "SuspendedProcesses"), i, process)
		say_hold(out, "SuspendedProcess", 0, "%s: %s", doc_str(process, "ProcessName", ""),
			 doc_str(process, "SuspensionReason", "suspended"));
}

static bool is_protected(const struct explanation *out, const struct instance *instance)
{
	(void)out;
	return instance->state == INSTANCE_IN_SERVICE && instance->is_protected;
}

static int64_t warm_at_ms(const struct explanation *out, const struct instance *instance)
{
	return instance->in_service_ms + group_warmup_ms(out->group);
}

static bool is_warming(const struct explanation *out, const struct instance *instance)
{
	return instance->state == INSTANCE_IN_SERVICE &&
	       warm_at_ms(out, instance) > out->tick->now_ms;
}

static bool is_hooked(const struct explanation *out, const struct instance *instance)
{
	(void)out;
	return instance->hook_phase == HOOKS_WAIT;
}

static bool is_draining(const struct explanation *out, const struct instance *instance)
{
	return instance->state == INSTANCE_TERMINATING && json_array_size(instance->draining) &&
	       instance->drain_until_ms > out->tick->now_ms;
}

static void holds_of_warmup(const struct explanation *out)
{
	const struct instance *instance;
	char list[MESSAGE_MAX];
	int64_t until_ms = 0;
	int n = list_instances(out, is_warming, list, sizeof list);

	if (n == 0)
		return;
	TAILQ_FOREACH (instance, &out->group->instances, link) {
		if (is_warming(out, instance) && warm_at_ms(out, instance) > until_ms)
			until_ms = warm_at_ms(out, instance);
	}
	say_hold(out, "WarmUp", until_ms,
		 "no policy scales in while %d warming up: %s (a policy may set a warm-up of its "
		 "own)",
		 n, list);
}

static void holds_of_instances(const struct explanation *out)
{
	char list[MESSAGE_MAX];
	int n = list_instances(out, is_protected, list, sizeof list);

	if (n > 0)
		say_hold(out, "Protection", 0, "%d protected from scale-in: %s", n, list);
	n = list_instances(out, is_hooked, list, sizeof list);
	if (n > 0)
		say_hold(out, "LifecycleHook", 0, "%d wait for lifecycle hooks: %s", n, list);
	n = list_instances(out, is_draining, list, sizeof list);
	if (n > 0)
		say_hold(out, "Draining", 0, "%d end when their requests have: %s", n, list);
	holds_of_warmup(out);
}

static void holds_of_scaling(const struct explanation *out)
{
	const struct group *group = out->group;
	int64_t now_ms = out->tick->now_ms;

	if (group->cooldown_from_ms && group_is_cooling_down(group, now_ms))
		say_hold(out, "Cooldown", 0,
			 "simple scaling waits for activities under way, and %d s after them",
			 group->cooldown_s);
	if (cost_room(out->tick->engine, group, 1) < 1)
		say_hold(out, "MaxHourlyCost", 0,
			 "the instances of all groups cost %.4f dollars an hour, the limit is "
			 "%.4f: nothing is launched",
			 engine_hourly_cost(out->tick->engine), out->tick->engine->max_hourly_cost);
	if (group->wanted > group->max)
		say_hold(out, "MaxSize", 0, "the policies want %d, MaxSize is %d", group->wanted,
			 group->max);
	if (group->wanted >= 0 && group->wanted < group->min)
		say_hold(out, "MinSize", 0, "the policies want %d, MinSize is %d", group->wanted,
			 group->min);
}

static void holds_of_forecasts(const struct explanation *out)
{
	const struct policy *policy;

	TAILQ_FOREACH (policy, &out->group->policies, link) {
		const char *note = policy_prediction_note(policy);

		if (note && note[0])
			say_hold(out, "Forecast", 0, "policy %s: %s", policy->name, note);
	}
}

static void holds_of_replacements(const struct explanation *out)
{
	static const char *const balance[] = {
	    [BALANCE_OFF] = "not while launches fail, a refresh is under way or AZRebalance is "
			    "suspended",
	    [BALANCE_WAITING] = "what else moves comes first",
	    [BALANCE_SPENT] = "this hour's moves between zones are made",
	    [BALANCE_PROTECTED] = "what would have to move is protected from scale-in",
	};
	const struct group *group = out->group;

	if (group->fleet.state == FLEET_HELD)
		say_hold(out, "ReplacementBudget", 0,
			 "%d of %d fail the load balancer's check at once and under load: none is "
			 "replaced for it",
			 group->fleet.failing, group->fleet.serving);
	if (group->fleet.state == FLEET_PROBED)
		say_hold(out, "ReplacementBudget", 0,
			 "all %d fail the load balancer's check: none goes before a newcomer works",
			 group->fleet.serving);
	if (group->uneven_since_ms && group->balance < sizeof balance / sizeof balance[0] &&
	    balance[group->balance])
		say_hold(out, "ZoneBalance", 0, "zones are uneven: %s", balance[group->balance]);
}

static void find_holds(const struct explanation *out)
{
	holds_of_launches(out);
	holds_of_people(out);
	holds_of_scaling(out);
	holds_of_forecasts(out);
	holds_of_replacements(out);
	holds_of_instances(out);
}

/* ---- the figures ---- */

static json_t *number_or_null(double number)
{
	return isfinite(number) ? json_real(number) : json_null();
}

static json_t *capacity_or_null(int capacity)
{
	return capacity < 0 ? json_null() : json_integer(capacity);
}

static json_t *explain_policies(const struct group *group)
{
	json_t *out = json_array();
	const struct policy *policy;

	TAILQ_FOREACH (policy, &group->policies, link)
		json_array_append_new(
		    out, json_pack("{s:s, s:s, s:b, s:o, s:o}", "PolicyName", policy->name,
				   "PolicyType", doc_str(policy->document, "PolicyType", ""),
				   "Enabled", doc_bool(policy->document, "Enabled", true), "Metric",
				   number_or_null(policy->metric), "WantedCapacity",
				   capacity_or_null(policy->wanted)));
	return out;
}

static json_t *explain_counts(const struct group *group)
{
	struct group_counts counts = group_count(group);

	return json_pack("{s:i, s:i, s:i, s:i, s:i}", "Pending", counts.pending, "InService",
			 counts.in_service, "Terminating", counts.terminating, "Standby",
			 counts.standby, "Unhealthy", counts.unhealthy);
}

json_t *group_explain(struct engine *engine, const struct group *group,
		      const struct metric_source *metrics, int64_t now_ms)
{
	static const struct metric_source nothing;
	struct tick tick = {
	    .engine = engine, .metrics = metrics ? metrics : &nothing, .now_ms = now_ms};
	struct explanation out = {&tick, group, json_array(), json_array()};
	char at[CLOCK_TEXT_MAX];

	if (out.next && out.holds) {
		find_next(&out);
		if (json_array_size(out.next) == 0)
			say_next(&out, "nothing: live and desired capacity agree");
		find_holds(&out);
	}
	return json_pack("{s:s, s:s, s:i, s:i, s:i, s:i, s:o, s:o, s:o, s:o, s:o}",
			 "AutoScalingGroupName", group->name, "Time", clock_format_iso(now_ms, at),
			 "MinSize", group->min, "MaxSize", group->max, "DesiredCapacity",
			 group->desired, "LiveCapacity", group_actual(group), "WantedCapacity",
			 capacity_or_null(group->wanted), "Instances", explain_counts(group),
			 "Policies", explain_policies(group), "Next", out.next, "Holds", out.holds);
}
