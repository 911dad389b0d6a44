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
	json_t *next; /* array of sentences */
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
			say_next(out, "replace %s: %s", instance->id,
				 instance_replace_reason(instance));
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

static json_t *explain_holds(const struct group *group, int64_t now_ms)
{
	struct hold holds[MAX_HOLDS];
	int n = group_holds(group, now_ms, holds);
	json_t *out = json_array();

	for (int i = 0; i < n; i++) {
		json_t *entry =
		    json_pack("{s:s, s:s}", "Hold", holds[i].kind, "Why", holds[i].text);
		char at[CLOCK_TEXT_MAX];

		if (entry && holds[i].until_ms)
			json_object_set_new(entry, "Until",
					    json_string(clock_format_iso(holds[i].until_ms, at)));
		json_array_append_new(out, entry);
	}
	return out;
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
	struct explanation out = {&tick, group, json_array()};
	char at[CLOCK_TEXT_MAX];

	find_next(&out);
	if (json_array_size(out.next) == 0)
		say_next(&out, group_actual(group) == group->desired + group->surge
				   ? "nothing: live and desired capacity agree"
				   : "nothing that may be done now");
	return json_pack("{s:s, s:s, s:i, s:i, s:i, s:i, s:o, s:o, s:o, s:o, s:o}",
			 "AutoScalingGroupName", group->name, "Time", clock_format_iso(now_ms, at),
			 "MinSize", group->min, "MaxSize", group->max, "DesiredCapacity",
			 group->desired, "LiveCapacity", group_actual(group), "WantedCapacity",
			 capacity_or_null(group->wanted), "Instances", explain_counts(group),
			 "Policies", explain_policies(group), "Next", out.next, "Holds",
			 explain_holds(group, now_ms));
}
