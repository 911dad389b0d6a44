/* See registry_watch.h. */
#include "lb/control/registry_watch.h"

#include <stdlib.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "lb/routing/slow_start.h"

/* ---- slow start ---- */

static bool is_healthy(const struct live_target *live)
{
	return live->health.state == TARGET_HEALTHY || live->health.state == TARGET_UNAVAILABLE;
}

/* Somebody must carry the load meanwhile: one that is healthy and not in slow start itself. */
static bool has_steady_peer(const struct live_target *live, int64_t now_ms)
{
	const struct live_target *peer;

	TAILQ_FOREACH (peer, &live->group->targets, link) {
		if (peer != live && is_healthy(peer) &&
		    !slow_start_is_in(peer->ramp_from_ms, live->group->slow_start_s, now_ms))
			return true;
	}
	return false;
}

/* AWS: what one call registers in an empty group does not ramp up, though one is healthy first. */
void live_target_join(struct live_target *live)
{
	const struct live_target *peer;

	live->is_founder = true;
	TAILQ_FOREACH (peer, &live->group->targets, link)
		live->is_founder &= !is_healthy(peer);
}

static void set_ramp(struct live_target *live, bool becomes_healthy)
{
	int64_t now_ms = clock_monotonic_us() / 1000;

	if (!is_healthy(live))
		live->ramp_from_ms = 0;
	else if (becomes_healthy && !live->is_founder && live->group->slow_start_s > 0 &&
		 has_steady_peer(live, now_ms))
		live->ramp_from_ms = now_ms;
	if (becomes_healthy)
		live->is_founder = false; /* from now on it is one like the others */
}

/* ---- publishing ---- */

static void clear_streaks(struct target *target)
{
	for (unsigned i = 0; i < target->n_lanes; i++) {
		atomic_store_explicit(&target->lanes[i].fives_in_a_row, 0, memory_order_relaxed);
		atomic_store_explicit(&target->lanes[i].breaks_in_a_row, 0, memory_order_relaxed);
	}
}

void live_target_publish(struct live_target *live)
{
	bool was_healthy = live->is_published_healthy;

	live->is_published_healthy = is_healthy(live);
	set_ramp(live, !was_healthy && is_healthy(live));
	if (!live->target)
		return;
	if (!was_healthy && is_healthy(live))
		clear_streaks(live->target);
	target_set_ramp(live->target, live->ramp_from_ms);
	target_set_state(live->target, live->health.state);
}

/* ---- passive health checks ---- */

/* The longest streaks of any worker. */
static void read_streaks(const struct target *target, unsigned *fives, unsigned *breaks, int *code)
{
	*fives = *breaks = 0;
	for (unsigned i = 0; i < target->n_lanes; i++) {
		const struct target_lane *lane = &target->lanes[i];
		unsigned f = atomic_load_explicit(&lane->fives_in_a_row, memory_order_relaxed);
		unsigned b = atomic_load_explicit(&lane->breaks_in_a_row, memory_order_relaxed);

		if (f > *fives) {
			*fives = f;
			*code = (int)atomic_load_explicit(&lane->last_five, memory_order_relaxed);
		}
		if (b > *breaks)
			*breaks = b;
	}
}

static void look(struct live_target *live)
{
	const struct live_group *group = live->group;
	unsigned fives, breaks;
	int code = 0;
	bool is_five, is_break;

	if (!live->target || live->health.state != TARGET_HEALTHY)
		return;
	read_streaks(live->target, &fives, &breaks, &code);
	is_five = group->passive_fives > 0 && fives >= group->passive_fives;
	is_break = group->passive_breaks > 0 && breaks >= group->passive_breaks;
	if (!is_five && !is_break)
		return;
	health_eject(&live->health, is_break ? PROBE_FAILED : PROBE_WRONG_CODE, code);
	log_info("target-health", "group=%s target=%s state=unhealthy why=\"%u %s in a row\"",
		 group->arn, live->target->label, is_break ? breaks : fives,
		 is_break ? "connections failed" : "answers of 5xx");
	live_target_publish(live);
}

void live_group_look(struct live_group *group)
{
	struct live_target *live;

	if (group->passive_fives == 0 && group->passive_breaks == 0)
		return;
	TAILQ_FOREACH (live, &group->targets, link)
		look(live);
}

/* ---- anomalies ---- */

static void take_counts(struct live_target *live)
{
	/* A connection that failed carried no request, but was one that the target lost. */
	uint64_t requests = target_requests(live->target) + target_connection_errors(live->target);
	uint64_t failures = target_failures(live->target);

	live->anomaly.is_healthy = live->health.state == TARGET_HEALTHY;
	live->anomaly.new_requests = requests - live->seen_requests;
	live->anomaly.new_failures = failures - live->seen_failures;
	live->seen_requests = requests;
	live->seen_failures = failures;
}

static void publish_verdict(struct live_target *live, bool was_anomalous)
{
	target_set_weight(live->target, live->anomaly.weight);
	if (live->anomaly.is_anomalous != was_anomalous)
		log_info("target-anomaly", "group=%s target=%s anomalous=%s weight=%u",
			 live->group->arn, live->target->label,
			 live->anomaly.is_anomalous ? "yes" : "no", live->anomaly.weight);
}

void live_group_judge(struct live_group *group)
{
	struct live_target *live;
	struct anomaly **list;
	bool *before;
	size_t n = 0, i = 0;

	TAILQ_FOREACH (live, &group->targets, link)
		n += live->target != NULL;
	list = calloc(n + 1, sizeof(struct anomaly *));
	before = calloc(n + 1, sizeof(bool));
	if (!list || !before)
		goto out;
	TAILQ_FOREACH (live, &group->targets, link) {
		if (!live->target)
			continue;
		take_counts(live);
		before[i] = live->anomaly.is_anomalous;
		list[i++] = &live->anomaly;
	}
	anomaly_judge(list, n, group->mitigates);
	i = 0;
	TAILQ_FOREACH (live, &group->targets, link) {
		if (live->target)
			publish_verdict(live, before[i++]);
	}
out:
	free(list);
	free(before);
}
