/*
 * Spot instances that EC2 may take back: told by a rebalance recommendation (it may come) or by an
 * interruption notice (it ends two minutes later).  With CapacityRebalance, and always after a
 * notice, a successor is launched and the instance goes when that one is ready (replace.c); after a
 * notice it begins to leave in time for its open requests, ready or not.  Pure.  AWS: "Capacity
 * Rebalancing in Auto Scaling to replace at-risk Spot Instances".
 */
#include <string.h>

#include "scaler/engine/replace.h"

enum {
	NOTICE_MS = 120 * 1000, /* from the notice to the end, where the event does not say */
	LEAVE_MS = 45 * 1000,   /* before the end: deregistration, and open requests */
};

bool instance_was_ended(const struct instance *instance)
{
	return strcmp(instance->reason_code, "Client.UserInitiatedShutdown") == 0 ||
	       instance_was_taken_back(instance);
}

bool instance_was_taken_back(const struct instance *instance)
{
	return strcmp(instance->reason_code, "Server.SpotInstanceTermination") == 0 ||
	       strcmp(instance->reason_code, "Server.SpotInstanceShutdown") == 0;
}

void spot_was_taken_back(struct group *group, const struct instance *instance, int64_t now_ms)
{
	struct pool pool = {instance->zone, instance->type, true};

	/* Otherwise its notice has counted. */
	if (instance->notice_ms == 0)
		pool_interrupted(group, &pool, now_ms);
}

bool engine_spot_notice(struct engine *engine, const char *instance_id, bool is_interruption,
			int64_t now_ms)
{
	struct instance *instance = NULL;
	struct group *group = engine_group_of(engine, instance_id, &instance);
	struct pool pool;

	if (!group || !instance->is_spot)
		return false;
	pool = (struct pool){instance->zone, instance->type, true};
	if (instance->notice_ms == 0) {
		instance->notice_ms = now_ms;
		pool_interrupted(group, &pool, now_ms);
	}
	if (is_interruption && instance->ends_ms == 0)
		instance->ends_ms = now_ms + NOTICE_MS;
	instance->is_dirty = true;
	return true;
}

static void leave_in_time(struct tick *tick, struct group *group, struct instance *instance)
{
	char cause[CAUSE_MAX] = "";

	cause_add(cause, tick->now_ms,
		  "an instance was taken out of service in response to an EC2 Spot instance "
		  "interruption notice");
	(void)terminate_begin(tick->engine, group, instance, cause, tick->now_ms);
	group->replacing++;
	group->is_dirty = true;
}

static void run_one(struct tick *tick, struct group *group, struct instance *instance)
{
	bool rebalances = doc_bool(group->document, "CapacityRebalance", false);

	if (instance->ends_ms > 0 && tick->now_ms >= instance->ends_ms - LEAVE_MS)
		leave_in_time(tick, group, instance);
	else if (instance->ends_ms > 0)
		replace_mark(instance, REPLACE_AT_RISK, "an EC2 Spot instance interruption notice");
	else if (rebalances)
		replace_mark(instance, REPLACE_AT_RISK, "an EC2 instance rebalance recommendation");
}

void spot_run(struct tick *tick, struct group *group)
{
	struct instance *instance;

	if (group->is_deleting || group_is_suspended(group, "Terminate"))
		return;
	TAILQ_FOREACH (instance, &group->instances, link) {
		if (instance->notice_ms > 0 && instance->state == INSTANCE_IN_SERVICE)
			run_one(tick, group, instance);
	}
}
