/*
 * round_robin: each candidate in turn.  A target in slow start takes its turn with the
 * probability of its share, else the next one takes it: so its part of the traffic grows linearly.
 */
#include "lb/routing/balance_algorithm.h"
#include "lb/routing/slow_start.h"

static bool takes_its_turn(struct balance_search *search, const struct target *target)
{
	const struct target_group_attributes *attributes = &search->group->attributes;
	int64_t from_ms;

	if (attributes->slow_start_s == 0)
		return true;
	from_ms = atomic_load_explicit(&target->ramp_from_ms, memory_order_relaxed);
	if (from_ms == 0)
		return true;
	return balance_below(search, SHARE_FULL) <
	       slow_start_share(from_ms, attributes->slow_start_s, search->input->now_ms);
}

struct target *balance_round_robin(struct balance_search *search)
{
	struct target_group_lane *lane = search->lane;
	unsigned at = (unsigned)(lane->turn % search->n);
	struct target *passed_over = NULL;

	for (unsigned i = 0; i < search->n; i++) {
		struct target *target = balance_nth(search, at);

		at = at + 1 == search->n ? 0 : at + 1;
		if (!balance_is_candidate(search, target))
			continue;
		if (takes_its_turn(search, target)) {
			lane->turn = at;
			return target;
		}
		if (!passed_over)
			passed_over = target;
	}
	return passed_over;
}
