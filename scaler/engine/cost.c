/*
 * What the instances cost by the hour, and whether more may be launched (Scaler.MaxHourlyCost).  A
 * guard rail, not a bill: prices are those of prices.h, and what nobody knows the price of counts
 * nothing.  Nothing is ended for it.  Pure.
 */
#include <math.h>

#include "scaler/engine/mixed.h"
#include "scaler/engine/prices.h"

static double known(double price)
{
	return isnan(price) ? 0 : price;
}

/* A unit of capacity of the types that a mixed policy names: the dearest. */
static double mixed_price(const struct engine *engine, const json_t *policy)
{
	double dearest = 0;
	const json_t *override;
	size_t i;

	json_array_foreach (mixed_overrides(policy), i, override) {
		double price =
		    known(price_of(engine->prices, doc_str(override, "InstanceType", ""), false));

		dearest = fmax(dearest, price / mixed_weight(override));
	}
	return dearest;
}

/* The next unit of capacity; 0: nobody knows. */
static double next_price(const struct engine *engine, const struct group *group)
{
	const json_t *policy = group_mixed(group);
	const struct instance *instance;

	if (policy && mixed_overrides(policy))
		return mixed_price(engine, policy);
	TAILQ_FOREACH_REVERSE(instance, &group->instances, instance_list, link)
	{
		if (instance->type[0])
			return known(price_of(engine->prices, instance->type, instance->is_spot)) /
			       instance_units(instance);
	}
	return 0;
}

static double group_cost(const struct engine *engine, const struct group *group)
{
	const struct instance *instance;
	double sum = 0;

	TAILQ_FOREACH (instance, &group->instances, link) {
		if (instance->state == INSTANCE_TERMINATED)
			continue;
		if (instance->type[0])
			sum += known(price_of(engine->prices, instance->type, instance->is_spot));
		else
			sum += next_price(engine, group) * instance_units(instance);
	}
	return sum;
}

double engine_hourly_cost(const struct engine *engine)
{
	const struct group *group;
	double sum = 0;

	TAILQ_FOREACH (group, &engine->groups, link)
		sum += group_cost(engine, group);
	return sum;
}

void engine_limit_cost(struct engine *engine, double dollars)
{
	engine->max_hourly_cost = dollars;
}

int cost_room(const struct engine *engine, const struct group *group, int units)
{
	double price, left;

	if (engine->max_hourly_cost <= 0)
		return units;
	price = next_price(engine, group);
	if (price <= 0)
		return units;
	/* A thousandth of a cent is not worth an argument about how sums of prices round. */
	left = (engine->max_hourly_cost - engine_hourly_cost(engine) + 1e-5) / price;
	if (left <= 0)
		return 0;
	return left < units ? (int)left : units;
}
