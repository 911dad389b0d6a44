/*
 * How many targets of a group are in which condition, and whether they are enough: what the metrics
 * by target group say of its hosts.  Control thread only.
 */
#ifndef LB_CONTROL_HOST_COUNTS_H
#define LB_CONTROL_HOST_COUNTS_H

#include <stdbool.h>

#include "lb/control/registry.h"

struct host_counts {
	/* Initial ones are registered only; draining and unused ones do not count at all. */
	unsigned healthy, unhealthy, registered;
	unsigned anomalous, mitigated;
	/* Are enough healthy, by the thresholds unhealthy_state_routing and dns_failover?  Without
	 * cross-zone load balancing: of those in our zone. */
	bool is_routing_healthy, is_dns_healthy;
};

struct host_counts host_counts_of(const struct registry *registry, const struct live_group *group);

#endif
