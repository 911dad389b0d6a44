/*
 * weighted_random: at random, in proportion to the weights that anomaly mitigation sets (all the
 * same without it).
 */
#include "lb/routing/balance_algorithm.h"

enum { QUICK_TRIES = 8 };

static unsigned weight_of(const struct target *target)
{
	return atomic_load_explicit(&target->weight, memory_order_relaxed);
}

/* Rejection sampling: exact, and cheap while most targets are candidates of full weight. */
static struct target *try_some(struct balance_search *search)
{
	for (int i = 0; i < QUICK_TRIES; i++) {
		struct target *target =
		    balance_nth(search, (unsigned)balance_below(search, search->n));

		if (balance_is_candidate(search, target) &&
		    balance_below(search, SHARE_FULL) < weight_of(target))
			return target;
	}
	return NULL;
}

static struct target *try_all(struct balance_search *search)
{
	struct target *last = NULL;
	uint64_t sum = 0, at;

	for (unsigned i = 0; i < search->n; i++)
		if (balance_is_candidate(search, balance_nth(search, i)))
			sum += weight_of(balance_nth(search, i));
	if (sum == 0)
		return NULL;
	at = balance_below(search, sum);
	for (unsigned i = 0; i < search->n; i++) {
		if (!balance_is_candidate(search, balance_nth(search, i)))
			continue;
		last = balance_nth(search, i);
		if (at < weight_of(last))
			return last;
		at -= weight_of(last);
	}
	return last; /* weights or states changed between the two passes */
}

struct target *balance_weighted_random(struct balance_search *search)
{
	struct target *target = try_some(search);

	return target ? target : try_all(search);
}
