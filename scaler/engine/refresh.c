/*
 * Instance refreshes: the group's instances replaced a few at a time.  Those to be replaced are
 * marked at the start; each tick lets as many newcomers be launched beyond the desired capacity
 * (group->surge) and takes as many marked ones away as the healthy percentages allow.  Launching
 * in their place is the reconciliation's.  The record of it is refresh_record.c.  Pure.  AWS:
 * "Instance refresh".
 */
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "scaler/engine/refresh.h"

enum {
	TEMPLATE_WAIT_MS = 10 * 1000, /* for EC2 to tell what the template's versions are */
	FAILURES_MAX = 3,             /* launches in a row */
};

static const int64_t LONGEST_MS = 14LL * 24 * 3600 * 1000;

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

	warmup_s = refresh_preference(refresh, "InstanceWarmup", warmup_s);
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
	    strcmp(refresh_preferred(refresh, "ScaleInProtectedInstances"), "Ignore") == 0)
		return false;
	if (instance->state == INSTANCE_STANDBY)
		return strcmp(refresh_preferred(refresh, "StandbyInstances"), "Ignore") != 0;
	return instance_is_live(instance) || instance_is_pooled(instance);
}

static int mark_all(struct group *group, const json_t *refresh, int *n_pooled)
{
	struct instance *instance;
	int n = 0;

	*n_pooled = 0;
	TAILQ_FOREACH (instance, &group->instances, link) {
		refresh_mark(instance, is_to_be_marked(group, refresh, instance));
		n += instance->is_outdated && !instance->is_warm;
		*n_pooled += instance->is_outdated && instance->is_warm;
	}
	return n;
}

/* ---- beginning and ending ---- */

static void begin(struct tick *tick, struct group *group, json_t *refresh)
{
	bool is_known = group->template_seen_ms > 0 ||
			tick->now_ms - doc_int(refresh, "StartMs", 0) > TEMPLATE_WAIT_MS ||
			!doc_bool(doc_object(refresh, "Preferences"), "SkipMatching", false);
	int n, n_pooled;

	if (!is_known)
		return;
	n = mark_all(group, refresh, &n_pooled);
	refresh_set_int(group, refresh, "Total", n);
	refresh_set_int(group, refresh, "PoolTotal", n_pooled);
	refresh_set_int(group, refresh, "InstancesToUpdate", n);
	refresh_set_int(group, refresh, "PercentageComplete", n == 0 ? 100 : 0);
	refresh_set_int(group, refresh, "ProgressMs", tick->now_ms);
	refresh_set_int(group, refresh, "FailuresBefore", group->breaker.row);
	refresh_set_text(group, refresh, "Status", "InProgress");
	event_of_refresh(group, refresh, "Started", tick->now_ms);
	if (n + n_pooled == 0)
		refresh_finish(group, refresh, "Successful", NULL, tick->now_ms);
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
		return strcmp(refresh_preferred(refresh, "StandbyInstances"), "Terminate") == 0;
	if (!instance_is_live(instance))
		return false;
	return !instance->is_protected ||
	       strcmp(refresh_preferred(refresh, "ScaleInProtectedInstances"), "Refresh") == 0 ||
	       refresh_is_in(refresh, "RollbackInProgress");
}

static int zone_crowd(const struct group *group, const char *zone)
{
	const struct instance *instance;
	int n = 0;

	TAILQ_FOREACH (instance, &group->instances, link)
		n += is_old(instance) && strcmp(instance->zone, zone) == 0;
	return n;
}

/* Unhealthy ones first, then one of the zone with most of the old ones: the idlest where that is
 * known (in steps of ten percent; tick NULL: not asked), else the first launched. */
static struct instance *next_to_go(const struct tick *tick, const struct group *group,
				   const json_t *refresh)
{
	struct instance *instance, *best = NULL;
	int best_crowd = -1, best_load = 0;

	TAILQ_FOREACH (instance, &group->instances, link) {
		int crowd, load;

		if (!may_take(refresh, instance))
			continue;
		crowd = zone_crowd(group, instance->zone) +
			(instance->is_unhealthy ? MAX_ZONES * 10000 : 0);
		if (crowd < best_crowd || (crowd == best_crowd && !tick))
			continue;
		load = tick ? instance_load_step(tick, instance) : 0;
		if (crowd == best_crowd && load >= best_load)
			continue;
		best = instance;
		best_crowd = crowd;
		best_load = load;
	}
	return best;
}

/* At most n instances of so many units; how many went. */
static int take_away(struct tick *tick, struct group *group, const json_t *refresh, int n,
		     int units)
{
	for (int i = 0; i < n; i++) {
		struct instance *instance = next_to_go(tick, group, refresh);
		char cause[CAUSE_MAX] = "";

		if (!instance || instance_units(instance) > units)
			return i;
		cause_add(cause, tick->now_ms,
			  "an instance was taken out of service in response to an instance "
			  "refresh");
		if (!terminate_begin(tick->engine, group, instance, cause, tick->now_ms))
			return i;
		units -= instance_units(instance);
	}
	return n > 0 ? n : 0;
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

	if (!point || refresh_is_in(refresh, "RollbackInProgress"))
		return total;
	return ceil_percent(total, json_integer_value(point)) - done;
}

/* One that is waited for because of its protection, or because it stands by. */
static const struct instance *waited_for(const struct group *group)
{
	const struct instance *instance;

	TAILQ_FOREACH (instance, &group->instances, link) {
		if (is_old(instance))
			return instance;
	}
	return NULL;
}

static void explain(struct group *group, json_t *refresh, const struct census *census,
		    int64_t now_ms)
{
	char text[MESSAGE_MAX];

	if (group->breaker.row > 0 && breaker_hold(group, now_ms, text))
		; /* it says all */
	else if (census->transit > 0)
		snprintf(
		    text, sizeof text,
		    "Waiting for instances to warm up before continuing. For example: %.40s is "
		    "%s.",
		    census->example->id[0] ? census->example->id : "an instance",
		    census->example->state == INSTANCE_PENDING ? "still being launched"
							       : "still warming up");
	else if (census->old > 0 && !next_to_go(NULL, group, refresh))
		snprintf(text, sizeof text,
			 "Waiting for %d instance%s that %s protected from scale-in or on standby. "
			 "For example: %.40s.",
			 census->old, census->old == 1 ? "" : "s", census->old == 1 ? "is" : "are",
			 waited_for(group)->id);
	else
		snprintf(text, sizeof text, "Replacing instances.");
	refresh_set_text(group, refresh, "StatusReason", text);
}

/* Percentages count what is replaced and warm. */
static void show_progress(struct group *group, json_t *refresh, const struct census *census,
			  int64_t now_ms)
{
	bool is_back = refresh_is_in(refresh, "RollbackInProgress");
	int total = (int)doc_int(refresh, is_back ? "RollbackTotal" : "Total", 0);
	int open = census->old + census->transit;
	int64_t before = doc_int(refresh, "InstancesToUpdate", 0), percent;
	int64_t start =
	    doc_int(doc_object(refresh, "RollbackDetails"), "PercentageCompleteOnRollback", 0);

	open = open > total ? total : open;
	percent = total == 0 ? 100 : 100LL * (total - open) / total;
	if (is_back)
		percent = total == 0 ? 0 : start * open / total;
	refresh_set_int(group, refresh, "PercentageComplete", percent);
	refresh_set_int(group, refresh, "InstancesToUpdate", open);
	if (open < before)
		refresh_set_int(group, refresh, "ProgressMs", now_ms);
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
	if (refresh_is_in(refresh, "RollbackInProgress") || census->transit > 0 ||
	    (size_t)place >= json_array_size(points) ||
	    json_integer_value(json_array_get(points, (size_t)place)) > percent)
		return false;
	/* Several passed at once are one stop. */
	while ((size_t)place < json_array_size(points) &&
	       json_integer_value(json_array_get(points, (size_t)place)) <= percent)
		place++;
	refresh_set_int(group, refresh, "Checkpoint", place);
	refresh_set_int(group, refresh, "ProgressMs", now_ms);
	if (percent >= 100)
		return false;
	refresh_set_int(group, refresh, "CheckpointUntilMs",
			now_ms + 1000 * refresh_preference(refresh, "CheckpointDelay", 3600));
	refresh_set_text(group, refresh, "StatusReason", "Waiting at a checkpoint.");
	event_of_refresh(group, refresh, "Checkpoint Reached", now_ms);
	return true;
}

/* Are there checkpoints, and all of them behind? */
static bool is_past_checkpoints(const json_t *refresh)
{
	size_t n =
	    json_array_size(doc_array(doc_object(refresh, "Preferences"), "CheckpointPercentages"));

	return n > 0 && (size_t)doc_int(refresh, "Checkpoint", 0) >= n &&
	       !refresh_is_in(refresh, "RollbackInProgress");
}

/* Newcomers beyond desired: one for each of the batch that is still there, as far as there is room.
 */
static void set_surge(struct group *group, int batch, int room)
{
	int units = units_of_batch(group, batch);

	group->surge = room < units ? room : units;
	if (group->surge < 0)
		group->surge = 0;
}

static void replace_some(struct tick *tick, struct group *group, json_t *refresh,
			 const struct census *census)
{
	int64_t max = refresh_preference(refresh, "MaxHealthyPercentage", 100);
	int total = (int)doc_int(refresh, "Total", 0), batch;
	int floor =
	    ceil_percent(group->desired, refresh_preference(refresh, "MinHealthyPercentage", 90));
	int ceiling = max > 100 ? ceil_percent(group->desired, max) : group->desired;
	int down = census->healthy - floor, room = ceiling - group->desired;
	const struct instance *next = next_to_go(NULL, group, refresh);
	bool fits = next && down >= instance_units(next);

	batch = left_of_batch(refresh, total - census->old);
	batch = batch < census->old ? batch : census->old;
	set_surge(group, batch, room);
	/* While launches fail nothing more is taken away. */
	if (breaker_holds(group, tick->now_ms) ||
	    (group->breaker.row > 0 && group_actual(group) < group->desired))
		return;
	/* Those on their way out are not healthy any more, and their successors not yet. */
	if (fits)
		batch -= take_away(tick, group, refresh, batch, down);
	else if (batch > 0 && census->transit == 0 && group->surge == 0 &&
		 group_actual(group) >= group->desired)
		batch -= take_away(tick, group, refresh, 1, INT_MAX);
	/* Their successors take their places: there are fewer left to surge for. */
	set_surge(group, batch, room);
}

static void complete(struct group *group, json_t *refresh, int64_t now_ms)
{
	int64_t bake_s = refresh_preference(refresh, "BakeTime", 0);

	group->surge = 0;
	if (refresh_is_in(refresh, "RollbackInProgress")) {
		refresh_set_int(group, refresh, "PercentageComplete", 0);
		refresh_finish(group, refresh, "RollbackSuccessful", NULL, now_ms);
	} else if (bake_s > 0) {
		refresh_set_text(group, refresh, "Status", "Baking");
		refresh_set_text(group, refresh, "StatusReason",
				 "Waiting for the bake time to pass.");
		refresh_set_int(group, refresh, "BakeUntilMs", now_ms + 1000 * bake_s);
	} else {
		refresh_finish(group, refresh, "Successful", NULL, now_ms);
	}
}

/* Launches that have failed in a row since it began. */
static int failures(struct group *group, json_t *refresh)
{
	int before = (int)doc_int(refresh, "FailuresBefore", 0);

	if (group->breaker.row >= before)
		return group->breaker.row - before;
	refresh_set_int(group, refresh, "FailuresBefore", 0);
	return group->breaker.row;
}

/* Why it cannot go on for good; NULL: it can. */
static const char *is_hopeless(struct group *group, json_t *refresh, int64_t now_ms,
			       char text[MESSAGE_MAX])
{
	int64_t patience_ms = 1000 * setting(group, SETTING_REFRESH_PATIENCE_S);

	if (failures(group, refresh) >= FAILURES_MAX) {
		snprintf(text, MESSAGE_MAX,
			 "The refresh was stopped: launches fail one after another. Last reason: "
			 "%.160s",
			 group->breaker.why);
		text_mend(text);
		return text;
	}
	if (now_ms - doc_int(refresh, "StartMs", now_ms) > LONGEST_MS)
		return "The refresh was stopped: it has taken 14 days.";
	return now_ms - doc_int(refresh, "ProgressMs", 0) > patience_ms
		   ? "The refresh has made no progress for too long."
		   : NULL;
}

static void go_on(struct tick *tick, struct group *group, json_t *refresh)
{
	struct census census = take_census(group, refresh, tick->now_ms);
	char text[MESSAGE_MAX];
	bool is_pools; /* the group's own are done, the warm pool's are not */
	const char *why;

	show_progress(group, refresh, &census, tick->now_ms);
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
	why = is_hopeless(group, refresh, tick->now_ms, text);
	if (why) {
		refresh_fail(group, refresh, why, tick->now_ms);
		return;
	}
	if (is_pools) {
		refresh_set_text(group, refresh, "StatusReason",
				 "Replacing instances of the warm pool.");
		return;
	}
	explain(group, refresh, &census, tick->now_ms);
	replace_some(tick, group, refresh, &census);
}

/* While what it needs is suspended it waits, and its patience with it. */
static bool is_paused(struct group *group, json_t *refresh, int64_t now_ms)
{
	static const char *const needed[] = {"InstanceRefresh", "Launch", "Terminate"};
	int64_t since_ms = doc_int(refresh, "PausedMs", 0);
	char text[MESSAGE_MAX];

	for (size_t i = 0; i < sizeof needed / sizeof needed[0]; i++) {
		if (!group_is_suspended(group, needed[i]))
			continue;
		snprintf(text, sizeof text, "Paused while %s is suspended.", needed[i]);
		refresh_set_text(group, refresh, "StatusReason", text);
		if (since_ms == 0)
			refresh_set_int(group, refresh, "PausedMs", now_ms);
		return true;
	}
	if (since_ms == 0)
		return false;
	refresh_set_int(group, refresh, "PausedMs", 0);
	refresh_set_int(group, refresh, "ProgressMs",
			doc_int(refresh, "ProgressMs", since_ms) + now_ms - since_ms);
	return false;
}

void refresh_run(struct tick *tick, struct group *group)
{
	json_t *refresh = refresh_current(group);

	group->surge = group->pool_surge = 0;
	if (!refresh || group->is_deleting)
		return;
	if (refresh_is_in(refresh, "Baking")) {
		if (doc_int(refresh, "BakeUntilMs", 0) <= tick->now_ms)
			refresh_finish(group, refresh, "Successful", NULL, tick->now_ms);
		return;
	}
	if (refresh_is_in(refresh, "Cancelling")) {
		if (take_census(group, refresh, tick->now_ms).transit == 0)
			refresh_finish(group, refresh, "Cancelled",
				       "Cancelled due to user request.", tick->now_ms);
		return;
	}
	if (is_paused(group, refresh, tick->now_ms))
		return;
	if (refresh_is_in(refresh, "Pending"))
		begin(tick, group, refresh);
	if (group_is_refreshing(group))
		go_on(tick, group, refresh);
}
