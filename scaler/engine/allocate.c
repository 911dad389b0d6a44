/*
 * The next launches of a group: for each the market (on-demand up to its share, then spot), the
 * zone (the poorest that has an open pool of that market) and the type (by the market's allocation
 * strategy).  Outside AWS nobody tells how much capacity a pool has left, so the capacity-optimized
 * strategies go by what has failed or was taken back lately.  Pure.  See mixed.h.
 */
#include <math.h>
#include <string.h>

#include "scaler/engine/mixed.h"
#include "scaler/engine/prices.h"

struct search {
	const struct group *group;
	const json_t *policy;
	int64_t now_ms;
	int counts[MAX_ZONES]; /* units, the planned ones too */
	bool is_strict;        /* balanced-only: a zone that is full keeps its place */
	struct launch_plan *plan;
};

/* ---- types ---- */

/* How one override does, for comparing: less is better in each. */
struct candidate {
	const json_t *override;
	int place, trouble, used;
	double price; /* of a unit; huge: unknown */
};

static struct pool pool_of(const struct search *search, int zone, const json_t *override,
			   bool is_spot)
{
	return (struct pool){search->group->zones[zone].name, doc_str(override, "InstanceType", ""),
			     is_spot};
}

/* Instances of the pool that live or are planned. */
static int count_used(const struct search *search, int zone, const json_t *override, bool is_spot)
{
	struct pool pool = pool_of(search, zone, override, is_spot);
	const struct instance *instance;
	int n = 0;

	TAILQ_FOREACH (instance, &search->group->instances, link)
		n += instance_is_live(instance) && instance->is_spot == is_spot &&
		     strcmp(instance->zone, pool.zone) == 0 &&
		     strcmp(instance->type, pool.type) == 0;
	for (int i = 0; i < search->plan->n; i++) {
		const struct launch_choice *choice = &search->plan->items[i];

		n += choice->override == override && choice->is_spot == is_spot &&
		     choice->zone == zone;
	}
	return n;
}

static struct candidate candidate_of(const struct search *search, int zone, int place, bool is_spot)
{
	const json_t *override = json_array_get(mixed_overrides(search->policy), (size_t)place);
	struct pool pool = pool_of(search, zone, override, is_spot);
	double price = price_of(search->group->engine->prices, pool.type, is_spot);

	return (struct candidate){
	    .override = override,
	    .place = place,
	    .trouble = pool_trouble(search->group, &pool, search->now_ms),
	    .price = isnan(price) ? HUGE_VAL : price / mixed_weight(override),
	};
}

static int by_price(const struct candidate *a, const struct candidate *b)
{
	return (a->price > b->price) - (a->price < b->price);
}

static int by_strategy(const char *strategy, const struct candidate *a, const struct candidate *b)
{
	int order = 0;

	if (strncmp(strategy, "capacity-optimized", 18) == 0 ||
	    strcmp(strategy, "price-capacity-optimized") == 0)
		order = a->trouble - b->trouble;
	if (order == 0 && (strcmp(strategy, "lowest-price") == 0 ||
			   strcmp(strategy, "price-capacity-optimized") == 0))
		order = by_price(a, b);
	/* Pools that nothing tells apart are used evenly: what ends one leaves the others. */
	if (order == 0 && strcmp(strategy, "capacity-optimized") == 0)
		order = a->used - b->used;
	return order ? order : a->place - b->place;
}

static void insert(struct candidate list[], int *n, int max, const struct candidate *one,
		   const char *strategy)
{
	int at = *n;

	while (at > 0 && by_strategy(strategy, one, &list[at - 1]) < 0)
		at--;
	if (at == max)
		return;
	*n += *n < max;
	memmove(&list[at + 1], &list[at], (size_t)(*n - 1 - at) * sizeof *list);
	list[at] = *one;
}

/* The cheapest pools, SpotInstancePools of them, are used evenly. */
static const json_t *least_used(const struct search *search, int zone,
				const struct candidate list[], int n)
{
	const json_t *best = list[0].override;
	int fewest = count_used(search, zone, best, true);

	for (int i = 1; i < n; i++) {
		int used = count_used(search, zone, list[i].override, true);

		if (used >= fewest)
			continue;
		fewest = used;
		best = list[i].override;
	}
	return best;
}

/* Is there an open pool of the market in the zone?  *override is the best of them. */
static bool choose_type(const struct search *search, int zone, bool is_spot,
			const json_t **override)
{
	enum { POOLS_MAX = 20 };
	const json_t *all = mixed_overrides(search->policy);
	const char *strategy = mixed_strategy(search->policy, is_spot);
	bool is_even = is_spot && strcmp(strategy, "lowest-price") == 0;
	int wanted = is_even ? mixed_spot_pools(search->policy) : 1, n = 0;
	struct candidate best[POOLS_MAX];

	for (size_t i = 0; i < (all ? json_array_size(all) : 1); i++) {
		struct candidate one = candidate_of(search, zone, (int)i, is_spot);
		struct pool pool = pool_of(search, zone, one.override, is_spot);

		if (!pool_is_open(search->group, &pool, search->now_ms))
			continue;
		if (strcmp(strategy, "capacity-optimized") == 0)
			one.used = count_used(search, zone, one.override, is_spot);
		insert(best, &n, wanted < POOLS_MAX ? wanted : POOLS_MAX, &one, strategy);
	}
	if (n == 0)
		return false;
	*override = is_even ? least_used(search, zone, best, n) : best[0].override;
	return true;
}

/* ---- zones ---- */

/* The poorest zone with an open pool; balanced-only: the poorest, open or not. */
static bool choose(const struct search *search, bool is_spot, struct launch_choice *choice)
{
	bool is_barred[MAX_ZONES] = {false};

	for (;;) {
		int zone =
		    zones_poorest_but(search->group, search->counts, is_barred, search->now_ms);

		if (zone < 0)
			return false;
		*choice = (struct launch_choice){.zone = zone, .is_spot = is_spot, .units = 1};
		if (choose_type(search, zone, is_spot, &choice->override)) {
			choice->units = mixed_weight(choice->override);
			return true;
		}
		is_barred[zone] = true;
	}
}

/* balanced-only: each zone that cannot be launched into keeps what would be its share, so the
 * others get no more than theirs. */
static int hold_places(struct search *search, bool is_spot, int units)
{
	bool is_barred[MAX_ZONES] = {false};
	const json_t *override;

	while (units > 0) {
		int zone = zones_poorest_but(search->group, search->counts, is_barred, INT64_MAX);
		bool is_open = zone >= 0 &&
			       search->group->zones[zone].closed_until_ms <= search->now_ms &&
			       choose_type(search, zone, is_spot, &override);

		if (zone < 0 || is_open)
			break;
		search->counts[zone]++;
		units--;
	}
	return units;
}

/* Adds choices of one market until it has so many units; returns what is missing. */
static int fill(struct search *search, bool is_spot, int units, int max)
{
	struct launch_plan *plan = search->plan;

	while (units > 0 && plan->n < max) {
		struct launch_choice choice;

		if (search->is_strict)
			units = hold_places(search, is_spot, units);
		if (units <= 0 || !choose(search, is_spot, &choice))
			break;
		plan->items[plan->n++] = choice;
		plan->units += choice.units;
		search->counts[choice.zone] += choice.units;
		units -= choice.units;
	}
	return units;
}

static bool is_strictly_balanced(const struct group *group)
{
	const json_t *given = doc_object(group->document, "AvailabilityZoneDistribution");

	return strcmp(doc_str(given, "CapacityDistributionStrategy", ""), "balanced-only") == 0;
}

/* Units that are on-demand and stay: who is to be replaced leaves its place to its successor. */
static int count_staying(const struct group *group)
{
	const struct instance *instance;
	int units = 0;

	TAILQ_FOREACH (instance, &group->instances, link) {
		bool stays = instance_is_live(instance) && !instance->is_outdated &&
			     instance->doomed == REPLACE_NOT;

		units += stays && !instance->is_spot ? instance_units(instance) : 0;
	}
	return units;
}

void launch_plan_make(const struct group *group, int units, int max, int64_t now_ms,
		      struct launch_plan *plan)
{
	struct search search = {
	    .group = group,
	    .policy = group_mixed(group),
	    .now_ms = now_ms,
	    .is_strict = is_strictly_balanced(group),
	    .plan = plan,
	};
	int on_demand = mixed_on_demand(search.policy, group->desired) - count_staying(group);

	plan->n = plan->units = 0;
	zones_count(group, search.counts);
	if (max > MAX_CHOICES)
		max = MAX_CHOICES;
	if (on_demand > units || !search.policy)
		on_demand = units;
	if (on_demand < 0)
		on_demand = 0;
	/* What a heavy on-demand instance has too much, spot has less. */
	if (on_demand > 0)
		(void)fill(&search, false, on_demand, max);
	units -= plan->units > on_demand ? plan->units : on_demand;
	if (search.policy)
		(void)fill(&search, true, units, max);
}
