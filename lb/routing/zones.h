/*
 * Availability zones: which targets a load balancer in one zone sends to.  Pure.
 */
#ifndef LB_ROUTING_ZONES_H
#define LB_ROUTING_ZONES_H

#include <stdbool.h>
#include <string.h>

/* own: our zone, "" = unknown; target: the target's, "" = unknown, or "all".  What is not known
 * keeps nobody out. */
static inline bool zone_is_near(const char *own, const char *target)
{
	return !own[0] || !target[0] || strcmp(target, "all") == 0 || strcmp(own, target) == 0;
}

#endif
