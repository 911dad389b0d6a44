/* See host_counts.h. */
#include "lb/control/host_counts.h"

/* False: it does not count. */
static bool count_state(enum target_state state, struct host_counts *counts)
{
	switch (state) {
	case TARGET_HEALTHY:
	case TARGET_UNAVAILABLE:
		counts->healthy++;
		break;
	case TARGET_UNHEALTHY:
		counts->unhealthy++;
		break;
	case TARGET_INITIAL:
		break;
	case TARGET_UNUSED:
	case TARGET_DRAINING:
	case TARGET_STATE_COUNT:
		return false;
	}
	counts->registered++;
	return true;
}

static bool is_enough(const struct healthy_minimum *minimum, unsigned healthy, unsigned registered)
{
	return healthy >= minimum->count && healthy * 100 >= minimum->percent * registered;
}

struct host_counts host_counts_of(const struct registry *registry, const struct live_group *group)
{
	struct host_counts all = {0}, near = {0};
	const struct live_target *live;

	TAILQ_FOREACH (live, &group->targets, link) {
		if (count_state(live->health.state, &all) && registry_serves(registry, live))
			count_state(live->health.state, &near);
		all.anomalous += live->anomaly.is_anomalous;
		all.mitigated += live->anomaly.weight < SHARE_FULL;
	}
	all.is_routing_healthy = is_enough(&group->routing_minimum, near.healthy, near.registered);
	all.is_dns_healthy = is_enough(&group->dns_minimum, near.healthy, near.registered);
	return all;
}
