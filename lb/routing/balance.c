/* Balancing: see balance.h. */
#include "lb/routing/balance.h"

#include "lb/routing/balance_algorithm.h"

static const balance_fn algorithms[] = {
    [BALANCE_ROUND_ROBIN] = balance_round_robin,
    [BALANCE_LEAST_OUTSTANDING] = balance_least_outstanding,
    [BALANCE_RANDOM] = balance_weighted_random,
};

/* A target that is registered, and no more than that, gets requests when too few are healthy. */
static bool is_registered(const struct target *target)
{
	enum target_state state = target_state(target);

	return state != TARGET_UNUSED && state != TARGET_DRAINING;
}

/*
 * Which targets may serve is worked out when the state of one has changed, not for each request:
 * there may be a thousand.
 */
static void look_at_states(const struct target_group *group, struct target_group_lane *lane)
{
	uint64_t epoch = target_epoch();

	if (lane->epoch == epoch)
		return;
	lane->epoch = epoch;
	lane->least = 0;
	lane->n_eligible = 0;
	for (unsigned i = 0; i < group->n_targets; i++)
		if (target_is_eligible(group->targets[i]))
			lane->order[lane->n_eligible++] = i;
	lane->n_registered = lane->n_eligible;
	for (unsigned i = 0; i < group->n_targets; i++)
		if (!target_is_eligible(group->targets[i]) && is_registered(group->targets[i]) &&
		    lane->n_registered < group->n_targets)
			lane->order[lane->n_registered++] = i;
}

bool balance_is_candidate(const struct balance_search *search, const struct target *target)
{
	for (size_t i = 0; i < search->input->n_tried; i++)
		if (search->input->tried[i] == target)
			return false;
	return search->is_fail_open ? is_registered(target) : target_is_eligible(target);
}

/* With AWS's defaults one healthy target is enough. */
static bool is_below_minimum(const struct target_group *group, const struct target_group_lane *lane)
{
	const struct target_group_attributes *attributes = &group->attributes;

	return lane->n_eligible < attributes->minimum_healthy_count || lane->n_eligible == 0 ||
	       (uint64_t)lane->n_eligible * 100 <
		   (uint64_t)attributes->minimum_healthy_percent * lane->n_registered;
}

/* The first place in sticky_order with this id, or one with a greater. */
static unsigned first_sticky(const struct target_group *group, uint64_t wanted)
{
	unsigned low = 0, high = group->n_targets;

	while (low < high) {
		unsigned middle = low + (high - low) / 2;

		if (group->sticky_ids[group->sticky_order[middle]] < wanted)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* The target that the client is bound to, if it is a candidate. */
static struct target *find_wanted(const struct balance_search *search)
{
	const struct target_group *group = search->group;
	uint64_t wanted = search->input->wanted;

	for (unsigned i = first_sticky(group, wanted); i < group->n_targets; i++) {
		uint32_t at = group->sticky_order[i];

		if (group->sticky_ids[at] != wanted)
			break;
		if (balance_is_candidate(search, group->targets[at]))
			return group->targets[at];
	}
	return NULL;
}

static struct balance_choice choose(struct balance_search *search)
{
	struct balance_choice choice = {.is_fail_open = search->is_fail_open};

	if (search->input->wanted)
		choice.target = find_wanted(search);
	choice.is_wanted = choice.target != NULL;
	search->n = search->is_fail_open ? search->lane->n_registered : search->lane->n_eligible;
	if (!choice.target && search->n > 0)
		choice.target = algorithms[search->group->attributes.algorithm](search);
	return choice;
}

struct balance_choice balance_target(const struct target_group *group,
				     const struct balance_input *input)
{
	struct balance_search search = {.group = group, .input = input, .random = input->random};
	struct balance_choice choice = {0};

	if (group->n_targets == 0)
		return choice;
	search.lane = &group->lanes[input->lane];
	look_at_states(group, search.lane);
	search.is_fail_open = is_below_minimum(group, search.lane);
	choice = choose(&search);
	if (choice.target || search.is_fail_open)
		return choice;
	search.is_fail_open = true;
	return choose(&search);
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
