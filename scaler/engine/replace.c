/*
 * Replacing instances that still run: unhealthy ones, those that EC2 may take back, those that
 * are too old, and those in the wrong zone.  Who is to go is marked (instance->doomed) by the part
 * that knows why; here is decided when: its successor is launched first (group->surge lets the
 * reconciliation launch beyond the desired capacity), or it goes at once and the reconciliation
 * launches in its place, as the group's InstanceMaintenancePolicy, or without one the reason, says.
 * What does not run any more is not replaced but missing: that is the reconciliation's.  An
 * instance refresh has batches of its own (refresh.c); both share the surge and its ceiling.
 * Marks are stored, the rest is found anew in each tick.  Pure.  AWS: "Instance maintenance
 * policies", "Replace Auto Scaling instances based on maximum instance lifetime".
 */
#include <stdio.h>
#include <string.h>

#include "scaler/engine/replace.h"

static int ceil_percent(int n, int64_t percent)
{
	return (int)(((int64_t)n * percent + 99) / 100);
}

int replace_tenth(const struct group *group, int n)
{
	int64_t percent = setting(group, SETTING_REPLACE_PERCENT);
	int part = (int)((int64_t)n * percent / 100);

	return part > 1 ? part : 1;
}

static int least(int a, int b)
{
	return a < b ? a : b;
}

struct replace_bounds replace_bounds(const struct group *group, enum replace_reason reason)
{
	const json_t *policy = doc_object(group->document, "InstanceMaintenancePolicy");
	int desired = group->desired, above = desired + replace_tenth(group, desired);
	int64_t max = doc_int(policy, "MaxHealthyPercentage", 100);
	struct replace_bounds bounds = {0, desired};

	if (reason == REPLACE_UNHEALTHY && group->fleet.state != FLEET_FINE)
		return (struct replace_bounds){desired, desired + 1};
	if (policy) {
		bounds.floor = ceil_percent(desired, doc_int(policy, "MinHealthyPercentage", 90));
		bounds.ceiling = max > 100 ? ceil_percent(desired, max) : desired;
		return bounds;
	}
	switch (reason) {
	case REPLACE_NOT:
	case REPLACE_UNHEALTHY:
	case REPLACE_AGED:
		break; /* it goes, and the next is launched, at the same time */
	case REPLACE_AT_RISK:
		return (struct replace_bounds){desired, above};
	case REPLACE_STRANDED:
	case REPLACE_CROWDED:
		above = least(above, group->max + (group->max / 10 > 1 ? group->max / 10 : 1));
		return (struct replace_bounds){desired, above};
	}
	return bounds;
}

/* ---- marks ---- */

static bool is_marked(const struct instance *instance)
{
	return instance->doomed != REPLACE_NOT && instance_is_live(instance);
}

int replace_count(const struct group *group, enum replace_reason reason)
{
	const struct instance *instance;
	int n = 0;

	TAILQ_FOREACH (instance, &group->instances, link)
		n += is_marked(instance) && (reason == REPLACE_NOT || instance->doomed == reason);
	return n;
}

void replace_mark(struct instance *instance, enum replace_reason reason, const char *why)
{
	if (instance->doomed == reason)
		return;
	instance->doomed = reason;
	text_copy(instance->doomed_why, sizeof instance->doomed_why, why);
	instance->is_dirty = true;
}

void replace_forget(struct group *group, enum replace_reason reason)
{
	struct instance *instance;

	/* Its successor is there, or coming: the rest is done too. */
	if (group_actual(group) > group->desired)
		return;
	TAILQ_FOREACH (instance, &group->instances, link) {
		if (instance->doomed == reason)
			replace_mark(instance, REPLACE_NOT, "");
	}
}

bool replace_may_begin(const struct group *group, int64_t now_ms)
{
	return !group->is_deleting && !group_is_suspended(group, "Launch") &&
	       !group_is_suspended(group, "Terminate") && !group_is_refreshing(group) &&
	       !breaker_holds(group, now_ms);
}

/* ---- who is how ---- */

static bool is_called(const struct group *group, const struct instance *instance, const char *what)
{
	const struct attachment *attachment;

	TAILQ_FOREACH (attachment, &group->attachments, link) {
		if (attachment->state != ATTACHMENT_REMOVING &&
		    strcmp(doc_str(attachment->health, instance->id, ""), what) == 0)
			return true;
	}
	return false;
}

enum readiness replace_readiness(const struct group *group, const struct instance *instance,
				 int64_t now_ms)
{
	int64_t warmup_ms = 1000 * doc_int(group->document, "DefaultInstanceWarmup", 0);

	if (instance->is_unhealthy)
		return INSTANCE_FAILING;
	if (instance->state != INSTANCE_IN_SERVICE ||
	    now_ms - instance->in_service_ms < warmup_ms ||
	    (TAILQ_EMPTY(&group->attachments) && !instance->is_proven))
		return INSTANCE_COMING;
	if (group_has_passed(group, instance))
		return INSTANCE_READY;
	return instance->is_proven && is_called(group, instance, "unhealthy") ? INSTANCE_FAILING
									      : INSTANCE_COMING;
}

/* Units of capacity. */
struct crowd {
	int live, ready, coming;
};

static struct crowd crowd_of(const struct group *group, int64_t now_ms)
{
	struct crowd crowd = {0};
	const struct instance *instance;

	TAILQ_FOREACH (instance, &group->instances, link) {
		enum readiness readiness = replace_readiness(group, instance, now_ms);
		int units = instance_units(instance);

		if (!instance_is_live(instance))
			continue;
		crowd.live += units;
		crowd.ready += readiness == INSTANCE_READY ? units : 0;
		crowd.coming += readiness == INSTANCE_COMING && !is_marked(instance) ? units : 0;
	}
	return crowd;
}

/* ---- ending ---- */

static bool may_end(const struct group *group, const struct instance *instance, bool is_ready,
		    const struct crowd *crowd)
{
	struct replace_bounds bounds = replace_bounds(group, instance->doomed);
	int units = instance_units(instance);
	bool has_successor = crowd->live - units >= group->desired && crowd->coming == 0;

	/* What fails serves nobody: its end makes the group no smaller. */
	if (!is_ready && has_successor)
		return true;
	if (instance->doomed == REPLACE_UNHEALTHY && group->fleet.state != FLEET_FINE)
		return false;
	if (crowd->ready - (is_ready ? units : 0) >= bounds.floor)
		return true;
	/* There is no room in either direction: one at a time. */
	return bounds.ceiling <= group->desired && crowd->coming == 0 &&
	       crowd->live >= group->desired;
}

static void write_end(struct tick *tick, const struct group *group, const struct instance *instance,
		      char cause[CAUSE_MAX])
{
	int actual = group_actual(group);

	switch (instance->doomed) {
	case REPLACE_NOT:
	case REPLACE_UNHEALTHY:
		break;
	case REPLACE_AT_RISK:
		cause_add(cause, tick->now_ms,
			  "an instance was taken out of service in response to %s",
			  instance->doomed_why);
		break;
	case REPLACE_AGED:
		cause_add(cause, tick->now_ms,
			  "an instance was taken out of service in response to reaching its "
			  "maximum lifetime");
		break;
	case REPLACE_STRANDED:
	case REPLACE_CROWDED:
		cause_add(cause, tick->now_ms,
			  "instances were launched to balance instances in zones %s with other "
			  "zones resulting in more than desired number of instances in the group",
			  instance->zone);
		cause_add(cause, tick->now_ms,
			  "an instance was taken out of service in response to a difference "
			  "between desired and actual capacity, shrinking the capacity from %d to "
			  "%d",
			  actual, actual - instance_units(instance));
		cause_add(cause, tick->now_ms, "instance %s was selected for termination",
			  instance->id);
		break;
	}
}

static void end(struct tick *tick, struct group *group, struct instance *instance)
{
	char cause[CAUSE_MAX] = "";

	if (instance->doomed == REPLACE_UNHEALTHY) {
		health_end(tick, group, instance, instance->doomed_why);
		return;
	}
	if (instance->doomed == REPLACE_CROWDED)
		balance_moved(group, tick->now_ms);
	write_end(tick, group, instance, cause);
	(void)terminate_begin(tick->engine, group, instance, cause, tick->now_ms);
}

static void end_some(struct tick *tick, struct group *group, enum replace_reason reason,
		     struct crowd *crowd)
{
	struct instance *instance;

	TAILQ_FOREACH (instance, &group->instances, link) {
		bool is_ready = replace_readiness(group, instance, tick->now_ms) == INSTANCE_READY;
		int units = instance_units(instance);

		if (!is_marked(instance) || instance->doomed != reason || !instance->id[0] ||
		    !may_end(group, instance, is_ready, crowd))
			continue;
		end(tick, group, instance);
		crowd->live -= units;
		crowd->ready -= is_ready ? units : 0;
	}
}

/* ---- beginning ---- */

/* What may be there beyond the desired capacity, the refresh's part included. */
static int surge_of(const struct group *group)
{
	const struct instance *instance;
	int surge = group->surge;

	TAILQ_FOREACH (instance, &group->instances, link) {
		struct replace_bounds bounds;

		if (!is_marked(instance))
			continue;
		bounds = replace_bounds(group, instance->doomed);
		if (group->desired + surge < bounds.ceiling)
			surge += least(instance_units(instance),
				       bounds.ceiling - group->desired - surge);
	}
	return least(surge, group->desired > group->surge ? group->desired : group->surge);
}

static enum replace_reason first_reason(const struct group *group)
{
	enum replace_reason reason = REPLACE_NOT;
	const struct instance *instance;

	TAILQ_FOREACH (instance, &group->instances, link) {
		if (is_marked(instance) && (reason == REPLACE_NOT || instance->doomed < reason))
			reason = instance->doomed;
	}
	return reason;
}

bool replace_write_launch(const struct tick *tick, const struct group *group, char cause[CAUSE_MAX])
{
	enum replace_reason reason = first_reason(group);

	if (group_actual(group) < group->desired || reason == REPLACE_NOT)
		return false;
	cause[0] = '\0';
	switch (reason) {
	case REPLACE_NOT:
		break;
	case REPLACE_UNHEALTHY:
		cause_add(cause, tick->now_ms,
			  "an instance was launched in response to an unhealthy instance needing "
			  "to be replaced");
		break;
	case REPLACE_AT_RISK:
		cause_add(cause, tick->now_ms,
			  "an instance was launched in response to an EC2 instance rebalance "
			  "recommendation");
		break;
	case REPLACE_AGED:
		cause_add(cause, tick->now_ms,
			  "an instance was launched in response to an instance reaching its "
			  "maximum lifetime");
		break;
	case REPLACE_STRANDED:
		balance_write_migration(tick, group, cause);
		break;
	case REPLACE_CROWDED:
		balance_write_launch(tick, group, cause);
		break;
	}
	return true;
}

void replace_run(struct tick *tick, struct group *group)
{
	struct crowd crowd;

	if (group->is_deleting)
		return;
	lifetime_run(tick, group);
	balance_run(tick, group);
	if (replace_count(group, REPLACE_NOT) == 0)
		return;
	crowd = crowd_of(group, tick->now_ms);
	for (int reason = REPLACE_UNHEALTHY; reason <= REPLACE_CROWDED; reason++) {
		if (!group_is_suspended(group, "Terminate"))
			end_some(tick, group, (enum replace_reason)reason, &crowd);
	}
	group->surge = surge_of(group);
}
