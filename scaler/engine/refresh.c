/*
 * Instance refreshes: the group's instances replaced a few at a time.  Those to be replaced are
 * marked at the start; each tick lets as many newcomers be launched beyond the desired capacity
 * (group->surge) and takes as many marked ones away as the healthy percentages allow.  Launching
 * in their place is the reconciliation's.  A refresh is a document in DescribeInstanceRefreshes'
 * shape with what is not shown beside it, the newest first in group->refreshes.  Pure.  AWS:
 * "Instance refresh"; asg.md 6.
 */
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"
#include "scaler/engine/replace.h"

enum {
	KEPT_MAX = 50,
	TEMPLATE_WAIT_MS = 10 * 1000, /* for EC2 to tell what the template's versions are */
	FAILURES_MAX = 3,             /* launches in a row */
};

/* ---- the document ---- */

static json_t *current(const struct group *group)
{
	json_t *refresh = json_array_get(group->refreshes, 0);

	return refresh && !doc_has(refresh, "EndTime") ? refresh : NULL;
}

static bool is_in(const json_t *refresh, const char *status)
{
	return strcmp(doc_str(refresh, "Status", ""), status) == 0;
}

bool group_is_refreshing(const struct group *group)
{
	const json_t *refresh = current(group);

	return refresh && (is_in(refresh, "InProgress") || is_in(refresh, "RollbackInProgress"));
}

static void set_text(struct group *group, json_t *refresh, const char *member, const char *text)
{
	if (strcmp(doc_str(refresh, member, ""), text) == 0)
		return;
	json_object_set_new(refresh, member, json_string(text));
	group->is_dirty = true;
}

static void set_int(struct group *group, json_t *refresh, const char *member, int64_t value)
{
	if (doc_has(refresh, member) && doc_int(refresh, member, 0) == value)
		return;
	json_object_set_new(refresh, member, json_integer(value));
	group->is_dirty = true;
}

static void set_time(struct group *group, json_t *refresh, const char *member, int64_t at_ms)
{
	char at[CLOCK_TEXT_MAX];

	set_text(group, refresh, member, clock_format_iso(at_ms, at));
}

static int64_t preference(const json_t *refresh, const char *member, int64_t otherwise)
{
	return doc_int(doc_object(refresh, "Preferences"), member, otherwise);
}

static const char *preferred(const json_t *refresh, const char *member)
{
	return doc_str(doc_object(refresh, "Preferences"), member, "");
}

/* ---- the template in force ---- */

json_t *group_template(const struct group *group)
{
	json_t *refreshed = doc_object(group->document, "RefreshTemplate");
	json_t *mixed = doc_object(group_mixed(group), "LaunchTemplate");

	if (mixed)
		return doc_object(mixed, "LaunchTemplateSpecification");
	return refreshed ? refreshed : doc_object(group->document, "LaunchTemplate");
}

static void use_member(struct group *group, const char *member, const json_t *value)
{
	if (value)
		json_object_set_new(group->document, member, json_deep_copy(value));
	else
		json_object_del(group->document, member);
}

/* configuration: a DesiredConfiguration; NULL: the group's own again. */
static void use_configuration(struct group *group, const json_t *configuration)
{
	json_t *mixed = doc_object(configuration, "MixedInstancesPolicy");

	use_member(group, "RefreshTemplate", doc_object(configuration, "LaunchTemplate"));
	use_member(group, "RefreshMixedInstancesPolicy", mixed);
	if (mixed)
		(void)!mixed_fill_defaults(
		    doc_object(group->document, "RefreshMixedInstancesPolicy"));
	group_forget_template(group);
	mixed_reweigh(group);
	pools_forget(group);
}

static bool has_configuration(const struct group *group)
{
	return doc_has(group->document, "RefreshTemplate") ||
	       doc_has(group->document, "RefreshMixedInstancesPolicy");
}

/* What the refresh has launched from is the group's from now on. */
static void adopt_configuration(struct group *group)
{
	static const char *const sources[] = {"LaunchTemplate", "MixedInstancesPolicy",
					      "LaunchConfiguration", "LaunchConfigurationName"};
	json_t *template = json_incref(doc_object(group->document, "RefreshTemplate"));
	json_t *mixed = json_incref(doc_object(group->document, "RefreshMixedInstancesPolicy"));

	for (size_t i = 0; i < sizeof sources / sizeof sources[0]; i++)
		json_object_del(group->document, sources[i]);
	if (mixed)
		json_object_set_new(group->document, "MixedInstancesPolicy", mixed);
	if (template)
		json_object_set_new(group->document, "LaunchTemplate", template);
}

/* ---- who is who ---- */

bool group_has_passed(const struct group *group, const struct instance *instance)
{
	const struct attachment *attachment;

	TAILQ_FOREACH (attachment, &group->attachments, link) {
		const char *state = doc_str(attachment->health, instance->id, "");

		if (attachment->state == ATTACHMENT_REMOVING || instance->skips_elb)
			continue;
		/* A load balancer that is out of reach counts only where its word does. */
		if (attachment->seen_ms == 0 && !group_checks_elb(group))
			continue;
		if (attachment->seen_ms <= instance->in_service_ms ||
		    strcmp(state, "initial") == 0 || strcmp(state, "unhealthy") == 0)
			return false;
	}
	return true;
}

static bool is_ready(const struct group *group, const struct instance *instance,
		     const json_t *refresh, int64_t now_ms)
{
	int64_t grace_s = doc_int(group->document, "HealthCheckGracePeriod", 0);
	int64_t warmup_s = doc_int(group->document, "DefaultInstanceWarmup", grace_s);

	warmup_s = preference(refresh, "InstanceWarmup", warmup_s);
	return instance->state == INSTANCE_IN_SERVICE && !instance->is_unhealthy &&
	       (instance->is_outdated || (now_ms - instance->in_service_ms >= 1000 * warmup_s &&
					  group_has_passed(group, instance)));
}

/* Does it count among those to be replaced? */
static bool is_old(const struct instance *instance)
{
	return instance->is_outdated &&
	       (instance_is_live(instance) || instance->state == INSTANCE_STANDBY);
}

struct census {
	int old;     /* to be replaced, the protected ones and those on standby too */
	int healthy; /* in service and warm, in units of capacity */
	int transit; /* newcomers that are not */
	const struct instance *example; /* one of these, or of old ones that are waited for */
};

static struct census take_census(const struct group *group, const json_t *refresh, int64_t now_ms)
{
	struct census census = {0};
	const struct instance *instance;

	TAILQ_FOREACH (instance, &group->instances, link) {
		bool ready = is_ready(group, instance, refresh, now_ms);
		bool is_newcomer = instance_is_live(instance) && !instance->is_outdated;

		census.old += is_old(instance);
		census.healthy += ready ? instance_units(instance) : 0;
		census.transit += is_newcomer && !ready;
		if (is_newcomer && !ready)
			census.example = instance;
	}
	return census;
}

bool group_matches_template(const struct group *group, const struct instance *instance)
{
	const json_t *template = group_template(group);
	const char *id = doc_str(template, "LaunchTemplateId", "");
	const char *name = doc_str(template, "LaunchTemplateName", "");
	char version[ZONE_MAX];

	if (group_config(group))
		return strcmp(doc_str(group_config(group), "LaunchConfigurationName", ""),
			      instance->config_name) == 0;
	group_template_version(group, version);
	return version[0] && strcmp(version, instance->template_version) == 0 &&
	       ((id[0] && strcmp(id, instance->template_id) == 0) ||
		(name[0] && strcmp(name, instance->template_name) == 0));
}

static bool is_to_be_marked(const struct group *group, const json_t *refresh,
			    const struct instance *instance)
{
	bool skips = doc_bool(doc_object(refresh, "Preferences"), "SkipMatching", false);

	if (skips && (group_mixed(group) ? mixed_matches(group, instance)
					 : group_matches_template(group, instance)))
		return false;
	if (instance->is_protected &&
	    strcmp(preferred(refresh, "ScaleInProtectedInstances"), "Ignore") == 0)
		return false;
	if (instance->state == INSTANCE_STANDBY)
		return strcmp(preferred(refresh, "StandbyInstances"), "Ignore") != 0;
	return instance_is_live(instance) || instance_is_pooled(instance);
}

static void set_mark(struct instance *instance, bool is_outdated)
{
	instance->is_dirty |= instance->is_outdated != is_outdated;
	instance->is_outdated = is_outdated;
}

/* How many; those of the warm pool apart. */
static int mark_all(struct group *group, const json_t *refresh, int *n_pooled)
{
	struct instance *instance;
	int n = 0;

	*n_pooled = 0;
	TAILQ_FOREACH (instance, &group->instances, link) {
		set_mark(instance, is_to_be_marked(group, refresh, instance));
		n += instance->is_outdated && !instance->is_warm;
		*n_pooled += instance->is_outdated && instance->is_warm;
	}
	return n;
}

/* ---- beginning and ending ---- */

/* What events call its end. */
static const char *event_name(const char *status)
{
	static const char *const names[][2] = {
	    {"Successful", "Succeeded"},
	    {"RollbackSuccessful", "Rollback Succeeded"},
	    {"RollbackFailed", "Rollback Failed"},
	};

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		if (strcmp(status, names[i][0]) == 0)
			return names[i][1];
	}
	return status;
}

static void finish(struct group *group, json_t *refresh, const char *status, const char *why,
		   int64_t now_ms)
{
	struct instance *instance;

	set_text(group, refresh, "Status", status);
	if (why)
		set_text(group, refresh, "StatusReason", why);
	else
		json_object_del(refresh, "StatusReason");
	set_time(group, refresh, "EndTime", now_ms);
	event_of_refresh(group, refresh, event_name(status), now_ms);
	if (strcmp(status, "Successful") == 0 && has_configuration(group))
		adopt_configuration(group);
	if (has_configuration(group))
		use_configuration(group, NULL);
	TAILQ_FOREACH (instance, &group->instances, link)
		set_mark(instance, false);
	group->surge = 0;
	group->is_dirty = true;
}

static void begin(struct tick *tick, struct group *group, json_t *refresh)
{
	bool is_known = group->template_seen_ms > 0 ||
			tick->now_ms - doc_int(refresh, "StartMs", 0) > TEMPLATE_WAIT_MS ||
			!doc_bool(doc_object(refresh, "Preferences"), "SkipMatching", false);
	int n, n_pooled;

	if (!is_known)
		return;
	n = mark_all(group, refresh, &n_pooled);
	set_int(group, refresh, "Total", n);
	set_int(group, refresh, "PoolTotal", n_pooled);
	set_int(group, refresh, "InstancesToUpdate", n);
	set_int(group, refresh, "PercentageComplete", n == 0 ? 100 : 0);
	set_int(group, refresh, "ProgressMs", tick->now_ms);
	set_int(group, refresh, "FailuresBefore", group->breaker.row);
	set_text(group, refresh, "Status", "InProgress");
	event_of_refresh(group, refresh, "Started", tick->now_ms);
	if (n + n_pooled == 0)
		finish(group, refresh, "Successful", NULL, tick->now_ms);
}

static void begin_rollback(struct group *group, json_t *refresh, const char *why, int64_t now_ms)
{
	int64_t start_ms = doc_int(refresh, "StartMs", 0);
	struct instance *instance;
	char at[CLOCK_TEXT_MAX];
	int n = 0, n_pooled = 0;

	json_object_set_new(refresh, "RollbackDetails",
			    json_pack("{s:s, s:s, s:I, s:I}", "RollbackReason", why,
				      "RollbackStartTime", clock_format_iso(now_ms, at),
				      "PercentageCompleteOnRollback",
				      (json_int_t)doc_int(refresh, "PercentageComplete", 0),
				      "InstancesToUpdateOnRollback",
				      (json_int_t)doc_int(refresh, "InstancesToUpdate", 0)));
	use_configuration(group, NULL);
	TAILQ_FOREACH (instance, &group->instances, link) {
		bool is_ours = instance_is_live(instance) || instance_is_pooled(instance);
		bool is_newcomer =
		    !instance->is_outdated && is_ours && instance->launch_ms >= start_ms;

		set_mark(instance, is_newcomer);
		n += is_newcomer && !instance->is_warm;
		n_pooled += is_newcomer && instance->is_warm;
	}
	set_text(group, refresh, "Status", "RollbackInProgress");
	event_of_refresh(group, refresh, "Rollback Started", now_ms);
	set_text(group, refresh, "StatusReason", why);
	set_int(group, refresh, "RollbackTotal", n);
	set_int(group, refresh, "PoolTotal", n_pooled);
	set_int(group, refresh, "ProgressMs", now_ms);
	set_int(group, refresh, "FailuresBefore", group->breaker.row);
	group->is_dirty = true;
}

static void fail(struct group *group, json_t *refresh, const char *why, int64_t now_ms)
{
	bool rolls_back = doc_bool(doc_object(refresh, "Preferences"), "AutoRollback", false);

	if (is_in(refresh, "RollbackInProgress"))
		finish(group, refresh, "RollbackFailed", why, now_ms);
	else if (rolls_back && !is_in(refresh, "Pending"))
		begin_rollback(group, refresh, why, now_ms);
	else
		finish(group, refresh, "Failed", why, now_ms);
}

/* ---- a step ---- */

static int ceil_percent(int n, int64_t percent)
{
	return (int)(((int64_t)n * percent + 99) / 100);
}

static bool may_take(const json_t *refresh, const struct instance *instance)
{
	if (!instance->is_outdated || !instance->id[0])
		return false;
	if (instance->state == INSTANCE_STANDBY)
		return strcmp(preferred(refresh, "StandbyInstances"), "Terminate") == 0;
	if (!instance_is_live(instance))
		return false;
	return !instance->is_protected ||
	       strcmp(preferred(refresh, "ScaleInProtectedInstances"), "Refresh") == 0 ||
	       is_in(refresh, "RollbackInProgress");
}

static int zone_crowd(const struct group *group, const char *zone)
{
	const struct instance *instance;
	int n = 0;

	TAILQ_FOREACH (instance, &group->instances, link)
		n += is_old(instance) && strcmp(instance->zone, zone) == 0;
	return n;
}

/* Unhealthy ones first, then of the zone with most of the old ones the first launched. */
static struct instance *next_to_go(const struct group *group, const json_t *refresh)
{
	struct instance *instance, *best = NULL;
	int best_crowd = -1;

	TAILQ_FOREACH (instance, &group->instances, link) {
		int crowd = zone_crowd(group, instance->zone) +
			    (instance->is_unhealthy ? MAX_ZONES * 10000 : 0);

		if (!may_take(refresh, instance) || crowd <= best_crowd)
			continue;
		best = instance;
		best_crowd = crowd;
	}
	return best;
}

/* At most n instances of so many units. */
static void take_away(struct tick *tick, struct group *group, const json_t *refresh, int n,
		      int units)
{
	for (int i = 0; i < n; i++) {
		struct instance *instance = next_to_go(group, refresh);
		char cause[CAUSE_MAX] = "";

		if (!instance || instance_units(instance) > units)
			return;
		cause_add(cause, tick->now_ms,
			  "an instance was taken out of service in response to an instance "
			  "refresh");
		if (!terminate_begin(tick->engine, group, instance, cause, tick->now_ms))
			return;
		units -= instance_units(instance);
	}
}

/* Units that batch instances make at most. */
static int units_of_batch(const struct group *group, int batch)
{
	const struct instance *instance;
	int heaviest = 1;

	TAILQ_FOREACH (instance, &group->instances, link) {
		if (is_old(instance) && instance_units(instance) > heaviest)
			heaviest = instance_units(instance);
	}
	return batch * heaviest;
}

/* How many may be replaced before the next checkpoint; INT_MAX-like when there is none. */
static int left_of_batch(const json_t *refresh, int done)
{
	const json_t *points =
	    doc_array(doc_object(refresh, "Preferences"), "CheckpointPercentages");
	size_t place = (size_t)doc_int(refresh, "Checkpoint", 0);
	const json_t *point = json_array_get(points, place);
	int total = (int)doc_int(refresh, "Total", 0);

	if (!point || is_in(refresh, "RollbackInProgress"))
		return total;
	return ceil_percent(total, json_integer_value(point)) - done;
}

static void explain(struct group *group, json_t *refresh, const struct census *census)
{
	char text[MESSAGE_MAX];

	if (census->transit > 0)
		snprintf(
		    text, sizeof text,
		    "Waiting for instances to warm up before continuing. For example: %.40s is "
		    "%s.",
		    census->example->id[0] ? census->example->id : "an instance",
		    census->example->state == INSTANCE_PENDING ? "still being launched"
							       : "still warming up");
	else if (census->old > 0 && !next_to_go(group, refresh))
		snprintf(
		    text, sizeof text,
		    "Waiting for %d instance%s that are protected from scale-in or on standby.",
		    census->old, census->old == 1 ? "" : "s");
	else
		snprintf(text, sizeof text, "Replacing instances.");
	set_text(group, refresh, "StatusReason", text);
}

/* Percentages count what is replaced and warm. */
static void show_progress(struct group *group, json_t *refresh, const struct census *census,
			  int64_t now_ms)
{
	bool is_back = is_in(refresh, "RollbackInProgress");
	int total = (int)doc_int(refresh, is_back ? "RollbackTotal" : "Total", 0);
	int open = census->old + census->transit;
	int64_t before = doc_int(refresh, "InstancesToUpdate", 0), percent;
	int64_t start =
	    doc_int(doc_object(refresh, "RollbackDetails"), "PercentageCompleteOnRollback", 0);

	open = open > total ? total : open;
	percent = total == 0 ? 100 : 100LL * (total - open) / total;
	if (is_back)
		percent = total == 0 ? 0 : start * open / total;
	set_int(group, refresh, "PercentageComplete", percent);
	set_int(group, refresh, "InstancesToUpdate", open);
	if (open < before)
		set_int(group, refresh, "ProgressMs", now_ms);
}

/* Returns whether the refresh stands still at a checkpoint. */
static bool is_at_checkpoint(struct group *group, json_t *refresh, const struct census *census,
			     int64_t now_ms)
{
	const json_t *points =
	    doc_array(doc_object(refresh, "Preferences"), "CheckpointPercentages");
	int64_t until_ms = doc_int(refresh, "CheckpointUntilMs", 0), place;
	int64_t percent = doc_int(refresh, "PercentageComplete", 0);

	if (until_ms > now_ms)
		return true;
	place = doc_int(refresh, "Checkpoint", 0);
	if (is_in(refresh, "RollbackInProgress") || census->transit > 0 ||
	    (size_t)place >= json_array_size(points) ||
	    json_integer_value(json_array_get(points, (size_t)place)) > percent)
		return false;
	/* Several passed at once are one stop. */
	while ((size_t)place < json_array_size(points) &&
	       json_integer_value(json_array_get(points, (size_t)place)) <= percent)
		place++;
	set_int(group, refresh, "Checkpoint", place);
	set_int(group, refresh, "ProgressMs", now_ms);
	if (percent >= 100)
		return false;
	set_int(group, refresh, "CheckpointUntilMs",
		now_ms + 1000 * preference(refresh, "CheckpointDelay", 3600));
	set_text(group, refresh, "StatusReason", "Waiting at a checkpoint.");
	event_of_refresh(group, refresh, "Checkpoint Reached", now_ms);
	return true;
}

/* Are there checkpoints, and all of them behind? */
static bool is_past_checkpoints(const json_t *refresh)
{
	size_t n =
	    json_array_size(doc_array(doc_object(refresh, "Preferences"), "CheckpointPercentages"));

	return n > 0 && (size_t)doc_int(refresh, "Checkpoint", 0) >= n &&
	       !is_in(refresh, "RollbackInProgress");
}

static void replace_some(struct tick *tick, struct group *group, json_t *refresh,
			 const struct census *census)
{
	int64_t max = preference(refresh, "MaxHealthyPercentage", 100);
	int total = (int)doc_int(refresh, "Total", 0), batch;
	int floor = ceil_percent(group->desired, preference(refresh, "MinHealthyPercentage", 90));
	int ceiling = max > 100 ? ceil_percent(group->desired, max) : group->desired;
	int down = census->healthy - floor, units;
	const struct instance *next = next_to_go(group, refresh);
	bool fits = next && down >= instance_units(next);

	batch = left_of_batch(refresh, total - census->old);
	batch = batch < census->old ? batch : census->old;
	units = units_of_batch(group, batch);
	group->surge = ceiling - group->desired < units ? ceiling - group->desired : units;
	if (group->surge < 0)
		group->surge = 0;
	/* Those on their way out are not healthy any more, and their successors not yet. */
	if (fits)
		take_away(tick, group, refresh, batch, down);
	else if (batch > 0 && census->transit == 0 && group->surge == 0 &&
		 group_actual(group) >= group->desired)
		take_away(tick, group, refresh, 1, INT_MAX);
}

static void complete(struct group *group, json_t *refresh, int64_t now_ms)
{
	int64_t bake_s = preference(refresh, "BakeTime", 0);

	group->surge = 0;
	if (is_in(refresh, "RollbackInProgress")) {
		set_int(group, refresh, "PercentageComplete", 0);
		finish(group, refresh, "RollbackSuccessful", NULL, now_ms);
	} else if (bake_s > 0) {
		set_text(group, refresh, "Status", "Baking");
		set_text(group, refresh, "StatusReason", "Waiting for the bake time to pass.");
		set_int(group, refresh, "BakeUntilMs", now_ms + 1000 * bake_s);
	} else {
		finish(group, refresh, "Successful", NULL, now_ms);
	}
}

static void go_on(struct tick *tick, struct group *group, json_t *refresh)
{
	struct census census = take_census(group, refresh, tick->now_ms);
	bool is_pools; /* the group's own are done, the warm pool's are not */

	show_progress(group, refresh, &census, tick->now_ms);
	if (group->breaker.row - doc_int(refresh, "FailuresBefore", 0) >= FAILURES_MAX) {
		fail(group, refresh, "The refresh was stopped: launches fail one after another.",
		     tick->now_ms);
		return;
	}
	if (is_at_checkpoint(group, refresh, &census, tick->now_ms)) {
		group->surge = 0;
		return;
	}
	is_pools = census.transit == 0 && group_actual(group) >= group->desired &&
		   (census.old == 0 || is_past_checkpoints(refresh));
	if (is_pools && (census.old > 0 || !warm_refresh(tick, group, refresh))) {
		complete(group, refresh, tick->now_ms);
		return;
	}
	if (tick->now_ms - doc_int(refresh, "ProgressMs", 0) >
	    1000 * setting(group, SETTING_REFRESH_PATIENCE_S)) {
		fail(group, refresh, "The refresh has made no progress for too long.",
		     tick->now_ms);
		return;
	}
	if (is_pools) {
		set_text(group, refresh, "StatusReason", "Replacing instances of the warm pool.");
		return;
	}
	explain(group, refresh, &census);
	replace_some(tick, group, refresh, &census);
}

void refresh_run(struct tick *tick, struct group *group)
{
	json_t *refresh = current(group);

	group->surge = group->pool_surge = 0;
	if (!refresh || group->is_deleting || group_is_suspended(group, "InstanceRefresh"))
		return;
	if (is_in(refresh, "Pending"))
		begin(tick, group, refresh);
	if (is_in(refresh, "InProgress") || is_in(refresh, "RollbackInProgress"))
		go_on(tick, group, refresh);
	else if (is_in(refresh, "Baking") && doc_int(refresh, "BakeUntilMs", 0) <= tick->now_ms)
		finish(group, refresh, "Successful", NULL, tick->now_ms);
	else if (is_in(refresh, "Cancelling") &&
		 take_census(group, refresh, tick->now_ms).transit == 0)
		finish(group, refresh, "Cancelled", "Cancelled due to user request.", tick->now_ms);
}

/* ---- what people ask for ---- */

static json_t *preferences_of(const struct group *group, const json_t *input)
{
	const json_t *policy = doc_object(group->document, "InstanceMaintenancePolicy");
	const json_t *given = doc_object(input, "Preferences");
	json_t *out = json_pack(
	    "{s:I, s:I, s:b, s:b, s:s, s:s}", "MinHealthyPercentage",
	    (json_int_t)doc_int(policy, "MinHealthyPercentage", 90), "MaxHealthyPercentage",
	    (json_int_t)doc_int(policy, "MaxHealthyPercentage", 100), "SkipMatching", 0,
	    "AutoRollback", 0, "ScaleInProtectedInstances", "Wait", "StandbyInstances", "Wait");

	/* Who names one percentage does not mean the policy's other. */
	if (out && doc_has(given, "MinHealthyPercentage") &&
	    !doc_has(given, "MaxHealthyPercentage"))
		json_object_set_new(out, "MaxHealthyPercentage", json_integer(100));
	if (out && given && json_object_update(out, (json_t *)given) < 0) {
		json_decref(out);
		return NULL;
	}
	if (out && json_array_size(doc_array(out, "CheckpointPercentages")) > 0 &&
	    !doc_has(out, "CheckpointDelay"))
		json_object_set_new(out, "CheckpointDelay", json_integer(3600));
	return out;
}

const char *engine_start_refresh(struct engine *engine, struct group *group, const json_t *input,
				 int64_t now_ms, struct err *err)
{
	const json_t *desired = doc_object(input, "DesiredConfiguration");
	char id[ID_TEXT_MAX], at[CLOCK_TEXT_MAX];
	json_t *refresh;

	if (current(group)) {
		err_set(err, EBUSY,
			"An Instance Refresh is already in progress and blocks the execution of "
			"this Instance Refresh.");
		return NULL;
	}
	refresh = json_pack("{s:s, s:s, s:s, s:s, s:I, s:i, s:i, s:s, s:o}", "InstanceRefreshId",
			    id_uuid(engine->ids, id), "AutoScalingGroupName", group->name, "Status",
			    "Pending", "StartTime", clock_format_iso(now_ms, at), "StartMs",
			    (json_int_t)now_ms, "PercentageComplete", 0, "InstancesToUpdate", 0,
			    "Strategy", "Rolling", "Preferences", preferences_of(group, input));
	if (!refresh || json_array_insert_new(group->refreshes, 0, refresh) < 0) {
		err_set(err, ENOMEM, "out of memory");
		return NULL;
	}
	if (desired) {
		json_object_set_new(refresh, "DesiredConfiguration", json_deep_copy(desired));
		use_configuration(group, desired);
	}
	/* What $Latest stands for is asked anew. */
	group_forget_template(group);
	while (json_array_size(group->refreshes) > KEPT_MAX)
		json_array_remove(group->refreshes, KEPT_MAX);
	group->is_dirty = true;
	return doc_str(refresh, "InstanceRefreshId", "");
}

static int refuse(struct err *err, int code, const char *why)
{
	err_set(err, code, "%s", why);
	return -1;
}

const char *engine_cancel_refresh(struct group *group, struct err *err)
{
	json_t *refresh = current(group);

	if (!refresh || is_in(refresh, "Cancelling")) {
		(void)refuse(err, ENOENT,
			     "No in progress or pending Instance Refresh found for "
			     "this Auto Scaling group.");
		return NULL;
	}
	set_text(group, refresh, "Status", "Cancelling");
	set_text(group, refresh, "StatusReason", "Cancelling due to user request.");
	return doc_str(refresh, "InstanceRefreshId", "");
}

const char *engine_roll_back_refresh(struct group *group, int64_t now_ms, struct err *err)
{
	json_t *refresh = current(group);

	if (!refresh || is_in(refresh, "Cancelling") || is_in(refresh, "RollbackInProgress"))
		(void)refuse(err, ENOENT,
			     "No in progress or pending Instance Refresh found for "
			     "this Auto Scaling group.");
	else if (!doc_has(refresh, "DesiredConfiguration") || !mixed_is_fixed(group->document))
		(void)refuse(err, EINVAL,
			     "The refresh cannot be rolled back: it has no desired configuration, "
			     "or the group's launch template has no fixed version.");
	else {
		begin_rollback(group, refresh, "Rolled back due to user request.", now_ms);
		return doc_str(refresh, "InstanceRefreshId", "");
	}
	return NULL;
}

void engine_refresh_alarm(struct group *group, const char *alarm, int64_t now_ms)
{
	json_t *refresh = current(group);
	const json_t *spec = doc_object(doc_object(refresh, "Preferences"), "AlarmSpecification");
	char why[MESSAGE_MAX];

	if (!refresh || is_in(refresh, "Cancelling") ||
	    !doc_list_has(doc_array(spec, "Alarms"), alarm))
		return;
	snprintf(why, sizeof why, "The alarm %.200s is in state ALARM.", alarm);
	text_mend(why);
	fail(group, refresh, why, now_ms);
}
