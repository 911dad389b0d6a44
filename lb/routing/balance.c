/* Balancing: see balance.h. */
#include "lb/routing/balance.h"

/* What makes a target a candidate: healthy ones, or with fail-open every registered one. */
static bool is_candidate(const struct target *target, bool is_fail_open)
{
	enum target_state state = target_state(target);

	if (is_fail_open)
		return state != TARGET_UNUSED && state != TARGET_DRAINING;
	return target_is_eligible(target);
}

static bool is_tried(const struct target *target, struct target *const *tried, size_t n_tried)
{
	for (size_t i = 0; i < n_tried; i++)
		if (tried[i] == target)
			return true;
	return false;
}

/* With AWS's defaults one healthy target is enough, and the search itself finds that out. */
static bool is_below_minimum(const struct target_group *group)
{
	const struct target_group_attributes *attributes = &group->attributes;
	unsigned healthy = 0, registered = 0;

	if (attributes->minimum_healthy_count <= 1 && attributes->minimum_healthy_percent == 0)
		return false;
	for (unsigned i = 0; i < group->n_targets; i++) {
		healthy += target_is_eligible(group->targets[i]);
		registered += is_candidate(group->targets[i], true);
	}
	return healthy < attributes->minimum_healthy_count ||
	       healthy * 100 < attributes->minimum_healthy_percent * registered;
}

struct search {
	const struct target_group *group;
	unsigned lane;
	struct target *const *tried;
	size_t n_tried;
	bool is_fail_open;
};

/* The first candidate at or after start, going round; n_targets when there is none. */
static unsigned next_candidate(const struct search *search, unsigned start)
{
	const struct target_group *group = search->group;

	for (unsigned i = 0, at = start; i < group->n_targets; i++) {
		struct target *target = group->targets[at];

		if (is_candidate(target, search->is_fail_open) &&
		    !is_tried(target, search->tried, search->n_tried))
			return at;
		at = at + 1 == group->n_targets ? 0 : at + 1;
	}
	return group->n_targets;
}

static struct target *round_robin(const struct search *search)
{
	const struct target_group *group = search->group;
	struct target_group_lane *lane = &group->lanes[search->lane];
	unsigned at = next_candidate(search, (unsigned)(lane->turn % group->n_targets));

	if (at == group->n_targets)
		return NULL;
	lane->turn = at + 1;
	return group->targets[at];
}

/* Fewest in flight from this worker; ties rotate because the search starts at the next turn. */
static struct target *least_outstanding(const struct search *search)
{
	const struct target_group *group = search->group;
	struct target_group_lane *lane = &group->lanes[search->lane];
	unsigned start = (unsigned)(lane->turn++ % group->n_targets);
	struct target *best = NULL;
	uint64_t fewest = UINT64_MAX;

	for (unsigned i = 0; i < group->n_targets; i++) {
		struct target *target = group->targets[(start + i) % group->n_targets];
		uint64_t n = atomic_load_explicit(&target->lanes[search->lane].in_flight,
						  memory_order_relaxed);

		if (n >= fewest || !is_candidate(target, search->is_fail_open) ||
		    is_tried(target, search->tried, search->n_tried))
			continue;
		best = target;
		fewest = n;
	}
	return best;
}

static struct target *at_random(const struct search *search, uint64_t random)
{
	const struct target_group *group = search->group;
	unsigned n = 0;

	for (unsigned i = 0; i < group->n_targets; i++)
		n += is_candidate(group->targets[i], search->is_fail_open) &&
		     !is_tried(group->targets[i], search->tried, search->n_tried);
	if (n == 0)
		return NULL;
	n = (unsigned)(random % n);
	for (unsigned i = 0; i < group->n_targets; i++) {
		if (!is_candidate(group->targets[i], search->is_fail_open) ||
		    is_tried(group->targets[i], search->tried, search->n_tried))
			continue;
		if (n-- == 0)
			return group->targets[i];
	}
	return NULL; /* a state changed between the two passes */
}

static struct target *choose(const struct search *search, uint64_t random)
{
	switch (search->group->attributes.algorithm) {
	case BALANCE_LEAST_OUTSTANDING:
		return least_outstanding(search);
	case BALANCE_RANDOM:
		return at_random(search, random);
	case BALANCE_ROUND_ROBIN:
		break;
	}
	return round_robin(search);
}

struct balance_choice balance_target(const struct target_group *group, unsigned lane,
				     uint64_t random, struct target *const *tried, size_t n_tried)
{
	struct search search = {group, lane, tried, n_tried, is_below_minimum(group)};
	struct balance_choice choice = {0};

	if (group->n_targets == 0)
		return choice;
	if (!search.is_fail_open)
		choice.target = choose(&search, random);
	if (!choice.target) {
		search.is_fail_open = true;
		choice.is_fail_open = true;
		choice.target = choose(&search, random);
	}
	return choice;
}

struct target_group *balance_group(const struct action *action, uint64_t random)
{
	const struct forward_group *groups = action->forward.groups;
	uint64_t sum = 0;

	if (action->forward.n_groups == 1)
		return groups[0].group;
	for (unsigned i = 0; i < action->forward.n_groups; i++)
		sum += groups[i].weight;
	if (sum == 0)
		return NULL;
	uint64_t at = random % sum;
	for (unsigned i = 0; i < action->forward.n_groups; i++) {
		if (at < groups[i].weight)
			return groups[i].group;
		at -= groups[i].weight;
	}
	return NULL;
}
