/*
 * The choice of a target in a group, and of a group in a forward action.  Pure but
 * for the worker's own memory of whose turn it is (lane).
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

struct balance_choice {
	struct target *target; /* borrowed from the group; NULL: none is registered and usable */
	bool is_fail_open;     /* too few are healthy: taken from all that are registered */
};

/*
 * random: any 64 random bits.  tried: targets that are not chosen again (a connect to them failed);
 * with all tried the choice is NULL.
 */
struct balance_choice balance_target(const struct target_group *group, unsigned lane,
				     uint64_t random, struct target *const *tried, size_t n_tried);

/* By weight; NULL when all weights are 0. */
struct target_group *balance_group(const struct action *action, uint64_t random);

#endif
