/* Balancing: see balance.h. */
#include "lb/routing/balance.h"

#include "lb/routing/balance_algorithm.h"

static const balance_fn algorithms[] = {
    [BALANCE_ROUND_ROBIN] = balance_round_robin,
    [BALANCE_LEAST_OUTSTANDING] = balance_least_outstanding,
    [BALANCE_RANDOM] = balance_weighted_random,
};

/* Healthy ones, or with fail-open every registered one. */
static bool may_serve(const struct target *target, bool is_fail_open)
{
	enum target_state state = target_state(target);

	if (is_fail_open)
		return state != TARGET_UNUSED && state != TARGET_DRAINING;
	return target_is_eligible(target);
}

bool balance_is_candidate(const struct balance_search *search, const struct target *target)
{
	if (!may_serve(target, search->is_fail_open))
		return false;
	for (size_t i = 0; i < search->input->n_tried; i++)
		if (search->input->tried[i] == target)
			return false;
	return true;
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
		registered += may_serve(group->targets[i], true);
	}
	return healthy < attributes->minimum_healthy_count ||
	       healthy * 100 < attributes->minimum_healthy_percent * registered;
}

/* The target that the client is bound to, if it is a candidate. */
static struct target *find_wanted(const struct balance_search *search)
{
	const struct target_group *group = search->group;
	uint64_t wanted = search->input->wanted;

	for (unsigned i = 0; i < group->n_targets; i++)
		if (group->sticky_ids[i] == wanted &&
		    balance_is_candidate(search, group->targets[i]))
			return group->targets[i];
	return NULL;
}

static struct balance_choice choose(struct balance_search *search)
{
	struct balance_choice choice = {.is_fail_open = search->is_fail_open};

	if (search->input->wanted)
		choice.target = find_wanted(search);
	choice.is_wanted = choice.target != NULL;
	if (!choice.target)
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
	search.is_fail_open = is_below_minimum(group);
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
