/*
 * least_outstanding_requests: the candidate with the fewest requests in flight, of all workers
 * together.  Ties rotate, because the search starts at the next turn.
 */
#include "lb/routing/balance_algorithm.h"

struct target *balance_least_outstanding(struct balance_search *search)
{
	const struct target_group *group = search->group;
	struct target_group_lane *lane = &group->lanes[search->input->lane];
	unsigned at = (unsigned)(lane->turn++ % group->n_targets);
	struct target *best = NULL;
	uint64_t fewest = UINT64_MAX;

	for (unsigned i = 0; i < group->n_targets; i++) {
		struct target *target = group->targets[at];
		uint64_t n = atomic_load_explicit(&target->outstanding, memory_order_relaxed);

		at = at + 1 == group->n_targets ? 0 : at + 1;
		if (n >= fewest || !balance_is_candidate(search, target))
			continue;
		best = target;
		fewest = n;
	}
	return best;
}
