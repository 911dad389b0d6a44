/*
 * Which target and which target group a client is bound to, for one exchange: reads the stickiness
 * cookies of the request, and makes those of the response.  Worker's thread.  What
 * cookies are, lb/routing/sticky.h knows; who is a candidate, lb/routing/balance.h.
 */
#ifndef LB_PROXY_AFFINITY_H
#define LB_PROXY_AFFINITY_H

#include <stdbool.h>
#include <stdint.h>

#include "lb/routing/snapshot.h"
#include "lb/routing/sticky.h"

struct exchange;
struct worker;

struct affinity {
	uint64_t target;              /* sticky_id of the one bound to; 0 = none */
	uint64_t group_scope;         /* the forward action's; 0 = no group stickiness */
	unsigned group_s;             /* how long that binding lasts */
	bool is_group_cookie_invalid; /* there was one, but not of ours: error_reason */
	bool has_app_binding;         /* the request carried a good AWSALBAPP, even if expired */
	struct sticky_jar targets, groups;
};

/* The group that the action forwards to: the one bound to, or by weight; NULL: all weigh 0. */
struct target_group *affinity_choose_group(struct exchange *ex, const struct action *action);

/* Once ex->group is set: sets ex->affinity.target. */
void affinity_find_target(struct exchange *ex);

/* The response's head has come: its Set-Cookie headers, in the worker until the next response. */
const struct sticky_cookies *affinity_cookies(struct exchange *ex);

#endif
