/*
 * The choice of a target in a group, and of a group in a forward action.  Pure but
 * for the worker's own memory of whose turn it is (lane): randomness and time are handed in.
 * Each algorithm is a file of its own, balance_*.c.
 */
#ifndef LB_ROUTING_BALANCE_H
#define LB_ROUTING_BALANCE_H

#include <stdbool.h>
#include <stdint.h>

#include "lb/routing/snapshot.h"

/* May a target in this state get new requests while the group is healthy enough? */
static inline bool target_is_eligible(const struct target *target)
{
	enum target_state state = target_state(target);

	return state == TARGET_HEALTHY || state == TARGET_UNAVAILABLE;
}

struct balance_input {
	unsigned lane;
	uint64_t random; /* any 64 random bits */
	int64_t now_ms;  /* monotonic; read while targets are in slow start */
	uint64_t wanted; /* sticky_id of the target that the client is bound to; 0 = none */
	/* Targets that are not chosen again (a connect to them failed); with all tried the choice
	 * is NULL. */
	struct target *const *tried;
	size_t n_tried;
};

struct balance_choice {
	struct target *target; /* borrowed from the group; NULL: none is registered and usable */
	bool is_fail_open;     /* too few are healthy: taken from all that are registered */
	bool is_wanted;        /* the one that the client is bound to */
};

struct balance_choice balance_target(const struct target_group *group,
				     const struct balance_input *input);

/* The request goes to the target, and has ended there: what least_outstanding_requests counts. */
static inline void balance_enter(const struct target_group *group, struct target *target)
{
	if (group->attributes.algorithm == BALANCE_LEAST_OUTSTANDING)
		atomic_fetch_add_explicit(&target->outstanding, 1, memory_order_relaxed);
}

static inline void balance_leave(const struct target_group *group, struct target *target)
{
	if (group->attributes.algorithm == BALANCE_LEAST_OUTSTANDING)
		atomic_fetch_sub_explicit(&target->outstanding, 1, memory_order_relaxed);
}

/* By weight; NULL when all weights are 0. */
struct target_group *balance_group(const struct action *action, uint64_t random);

#endif
