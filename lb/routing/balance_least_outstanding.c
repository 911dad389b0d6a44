/*
 * least_outstanding_requests: the candidate with the fewest requests in flight, of all workers
 * together.  Ties rotate, because the search starts at the next turn.  In a small group all are
 * looked at, unless one is idle; in a big one the search ends at the first with no more than the
 * fewest that were seen lately: what has fewer is met in the same round, and is the measure from
 * then on.
 */
#include "lb/routing/balance_algorithm.h"

enum { SMALL_GROUP = 64 };

struct target *balance_least_outstanding(struct balance_search *search)
{
	struct target_group_lane *lane = search->lane;
	uint64_t enough = search->n <= SMALL_GROUP ? 0 : lane->least;
	unsigned at = (unsigned)(lane->turn++ % search->n);
	struct target *best = NULL;
	uint64_t fewest = UINT64_MAX;

	for (unsigned i = 0; i < search->n && (!best || fewest > enough); i++) {
		struct target *target = balance_nth(search, at);
		uint64_t n = atomic_load_explicit(&target->outstanding, memory_order_relaxed);

		at = at + 1 == search->n ? 0 : at + 1;
		if (n >= fewest || !balance_is_candidate(search, target))
			continue;
		best = target;
		fewest = n;
	}
	if (best)
		lane->least = fewest;
	return best;
}
