/*
 * What the balancing algorithms share: a search for one target, and their table's shape.
 * For lb/routing/balance*.c only.
 */
#ifndef LB_ROUTING_BALANCE_ALGORITHM_H
#define LB_ROUTING_BALANCE_ALGORITHM_H

#include "lb/routing/balance.h"

struct balance_search {
	const struct target_group *group; /* has targets */
	struct target_group_lane *lane;
	unsigned n; /* the first n in lane->order are searched; not 0 */
	const struct balance_input *input;
	uint64_t random; /* the next balance_draw() */
	bool is_fail_open;
};

/* NULL when there is no candidate. */
typedef struct target *(*balance_fn)(struct balance_search *search);

struct target *balance_round_robin(struct balance_search *search);
struct target *balance_least_outstanding(struct balance_search *search);
struct target *balance_weighted_random(struct balance_search *search);

/* One of the n that are searched. */
static inline struct target *balance_nth(const struct balance_search *search, unsigned i)
{
	return search->group->targets[search->lane->order[i]];
}

/* May this search end at the target? */
bool balance_is_candidate(const struct balance_search *search, const struct target *target);

/* Random numbers that follow from the search's (splitmix64). */
static inline uint64_t balance_draw(struct balance_search *search)
{
	uint64_t z = search->random += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

/* A number below n. */
static inline uint64_t balance_below(struct balance_search *search, uint64_t n)
{
	return (uint64_t)((unsigned __int128)balance_draw(search) * n >> 64);
}

#endif
