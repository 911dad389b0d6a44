/*
 * The MixedInstancesPolicy as the engine reads it, and what there is of each market.  Pure.  See
 * mixed.h.
 */
#include "scaler/engine/mixed.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "scaler/engine/prices.h"

/* ---- the policy ---- */

json_t *group_mixed(const struct group *group)
{
	json_t *refreshed = doc_object(group->document, "RefreshMixedInstancesPolicy");

	if (refreshed)
		return refreshed;
	return doc_has(group->document, "RefreshTemplate")
		   ? NULL
		   : doc_object(group->document, "MixedInstancesPolicy");
}

const json_t *mixed_overrides(const json_t *policy)
{
	const json_t *overrides = doc_array(doc_object(policy, "LaunchTemplate"), "Overrides");

	return json_array_size(overrides) > 0 ? overrides : NULL;
}

static const json_t *distribution(const json_t *policy)
{
	return doc_object(policy, "InstancesDistribution");
}

const char *mixed_strategy(const json_t *policy, bool is_spot)
{
	return is_spot ? doc_str(distribution(policy), "SpotAllocationStrategy", "lowest-price")
		       : doc_str(distribution(policy), "OnDemandAllocationStrategy", "prioritized");
}

int mixed_spot_pools(const json_t *policy)
{
	return (int)doc_int(distribution(policy), "SpotInstancePools", 2);
}

int mixed_on_demand(const json_t *policy, int capacity)
{
	int64_t base = doc_int(distribution(policy), "OnDemandBaseCapacity", 0);
	int64_t percent = doc_int(distribution(policy), "OnDemandPercentageAboveBaseCapacity", 100);
	int64_t above = capacity > base ? capacity - base : 0;
	int64_t units = base + (above * percent + 99) / 100;

	return !policy || units > capacity ? capacity : (int)units;
}

int mixed_weight(const json_t *override)
{
	int weight = atoi(doc_str(override, "WeightedCapacity", "1"));

	return weight > 0 ? weight : 1;
}

bool mixed_has_weights(const json_t *policy)
{
	return doc_has(json_array_get(mixed_overrides(policy), 0), "WeightedCapacity");
}

const json_t *mixed_override(const json_t *policy, const char *type, int *place)
{
	const json_t *override;
	size_t i;

	json_array_foreach (mixed_overrides(policy), i, override) {
		if (strcmp(doc_str(override, "InstanceType", ""), type) != 0)
			continue;
		*place = (int)i;
		return override;
	}
	*place = (int)json_array_size(mixed_overrides(policy));
	return NULL;
}

static int set_default(json_t *object, const char *member, json_t *value)
{
	if (!json_object_get(object, member))
		return json_object_set_new(object, member, value);
	json_decref(value);
	return 0;
}

int mixed_fill_defaults(json_t *policy)
{
	json_t *given = doc_object(policy, "InstancesDistribution");
	json_t *template = doc_object(policy, "LaunchTemplate");
	int failed = 0;

	if (!given) {
		given = json_object();
		failed |= json_object_set_new(policy, "InstancesDistribution", given);
	}
	failed |= set_default(given, "OnDemandAllocationStrategy", json_string("prioritized"));
	failed |= set_default(given, "OnDemandBaseCapacity", json_integer(0));
	failed |= set_default(given, "OnDemandPercentageAboveBaseCapacity", json_integer(100));
	failed |= set_default(given, "SpotAllocationStrategy", json_string("lowest-price"));
	if (failed == 0 && strcmp(mixed_strategy(policy, true), "lowest-price") == 0)
		failed |= set_default(given, "SpotInstancePools", json_integer(2));
	else
		json_object_del(given, "SpotInstancePools");
	if (doc_has(given, "SpotMaxPrice") && doc_str(given, "SpotMaxPrice", "")[0] == '\0')
		json_object_del(given, "SpotMaxPrice");
	failed |= template ? set_default(template, "Overrides", json_array()) : 0;
	return failed ? -1 : 0;
}

/* What EC2 has told of a template (id or name) does not count. */
static bool names_other(const json_t *before, const json_t *after, const char *member)
{
	const char *name = doc_str(after, member, NULL);

	return name && strcmp(name, doc_str(before, member, "")) != 0;
}

bool mixed_is_other(const json_t *before, const json_t *after)
{
	json_t *copy = json_deep_copy(after);
	const json_t *old =
	    doc_object(doc_object(before, "LaunchTemplate"), "LaunchTemplateSpecification");
	const json_t *new =
	    doc_object(doc_object(after, "LaunchTemplate"), "LaunchTemplateSpecification");
	bool is_other = true;

	if (copy && mixed_fill_defaults(copy) == 0)
		is_other =
		    !json_equal(distribution(before), distribution(copy)) ||
		    !json_equal(doc_array(doc_object(before, "LaunchTemplate"), "Overrides"),
				doc_array(doc_object(copy, "LaunchTemplate"), "Overrides")) ||
		    names_other(old, new, "LaunchTemplateId") ||
		    names_other(old, new, "LaunchTemplateName") ||
		    strcmp(doc_str(old, "Version", "$Default"),
			   doc_str(new, "Version", "$Default")) != 0;
	json_decref(copy);
	return is_other;
}

static bool is_fixed(const json_t *spec)
{
	return spec && doc_str(spec, "Version", "$Default")[0] != '$';
}

bool mixed_is_fixed(const json_t *object)
{
	const json_t *policy = doc_object(object, "MixedInstancesPolicy"), *override;
	size_t i;

	if (!policy)
		return is_fixed(doc_object(object, "LaunchTemplate"));
	json_array_foreach (mixed_overrides(policy), i, override) {
		if (doc_has(override, "LaunchTemplateSpecification") &&
		    !is_fixed(doc_object(override, "LaunchTemplateSpecification")))
			return false;
	}
	return is_fixed(
	    doc_object(doc_object(policy, "LaunchTemplate"), "LaunchTemplateSpecification"));
}

/* ---- what there is ---- */

static int least(int a, int b)
{
	return a < b ? a : b;
}

struct mixed_units mixed_count(const struct group *group)
{
	const struct instance *instance;
	struct mixed_units units = {0};

	TAILQ_FOREACH (instance, &group->instances, link) {
		if (!instance_is_live(instance))
			continue;
		if (instance->is_spot)
			units.spot += instance_units(instance);
		else
			units.on_demand += instance_units(instance);
	}
	return units;
}

enum mixed_excess mixed_excess(const struct group *group)
{
	const json_t *policy = group_mixed(group);
	struct mixed_units units;
	int on_demand;

	if (!policy)
		return MIXED_FITS;
	units = mixed_count(group);
	on_demand = mixed_on_demand(policy, group->desired);
	if (units.on_demand > on_demand)
		return MIXED_EXCESS_ON_DEMAND;
	return units.spot > group->desired - on_demand ? MIXED_EXCESS_SPOT : MIXED_FITS;
}

void mixed_reweigh(struct group *group)
{
	const json_t *policy = group_mixed(group);
	struct instance *instance;

	TAILQ_FOREACH (instance, &group->instances, link) {
		int place, weight;
		const json_t *override = mixed_override(policy, instance->type, &place);

		if (!override && mixed_has_weights(policy))
			continue; /* a type that was weighted keeps its weight */
		weight = mixed_has_weights(policy) ? mixed_weight(override) : 0;
		instance->is_dirty |= weight != instance->weight;
		instance->weight = weight;
	}
}

void mixed_weigh(struct group *group, struct instance *instance)
{
	const json_t *policy = group_mixed(group);
	int place, more;
	const json_t *override = mixed_override(policy, instance->type, &place);

	if (!mixed_has_weights(policy))
		return;
	instance->weight = mixed_weight(override);
	more = least(instance->weight - 1, group->max - group->desired);
	if (more > 0)
		group->desired += more;
	group->is_dirty = true;
}

static bool is_same_template(const json_t *spec, const struct instance *instance)
{
	const char *id = doc_str(spec, "LaunchTemplateId", "");
	const char *name = doc_str(spec, "LaunchTemplateName", "");
	const char *version = doc_str(spec, "Version", "$Default");

	if ((id[0] && strcmp(id, instance->template_id) != 0) ||
	    (!id[0] && strcmp(name, instance->template_name) != 0))
		return false;
	return version[0] == '$' || strcmp(version, instance->template_version) == 0;
}

bool mixed_matches(const struct group *group, const struct instance *instance)
{
	const json_t *policy = group_mixed(group), *own;
	int place;
	const json_t *override = mixed_override(policy, instance->type, &place);

	if (!mixed_overrides(policy))
		return group_matches_template(group, instance);
	if (!override)
		return false;
	if (doc_has(override, "ImageId") &&
	    strcmp(doc_str(override, "ImageId", ""), instance->image_id) != 0)
		return false;
	own = doc_object(override, "LaunchTemplateSpecification");
	return own ? is_same_template(own, instance) : group_matches_template(group, instance);
}

/* ---- who fits least ---- */

static int sign(double difference)
{
	return (difference > 0) - (difference < 0);
}

static double price_per_unit(const struct group *group, const struct instance *instance)
{
	double price = price_of(group->engine->prices, instance->type, instance->is_spot);

	return isnan(price) ? HUGE_VAL : price / instance_units(instance);
}

/* The dearer goes first. */
static int by_price(const struct group *group, const struct instance *a, const struct instance *b)
{
	return sign(price_per_unit(group, b) - price_per_unit(group, a));
}

/* The later in the list goes first. */
static int by_place(const json_t *policy, const struct instance *a, const struct instance *b)
{
	int of_a, of_b;

	(void)mixed_override(policy, a->type, &of_a);
	(void)mixed_override(policy, b->type, &of_b);
	return of_b - of_a;
}

static int by_trouble(const struct group *group, const struct instance *a, const struct instance *b,
		      int64_t now_ms)
{
	struct pool of_a = {a->zone, a->type, a->is_spot}, of_b = {b->zone, b->type, b->is_spot};

	return pool_trouble(group, &of_b, now_ms) - pool_trouble(group, &of_a, now_ms);
}

int mixed_compare_fit(const struct group *group, const struct instance *a, const struct instance *b,
		      int64_t now_ms)
{
	const json_t *policy = group_mixed(group);
	const char *strategy = mixed_strategy(policy, a->is_spot);
	int order = 0;

	if (!policy || a->is_spot != b->is_spot)
		return 0;
	if (strncmp(strategy, "capacity-optimized", 18) == 0 ||
	    strcmp(strategy, "price-capacity-optimized") == 0)
		order = by_trouble(group, a, b, now_ms);
	if (order == 0 && (strcmp(strategy, "lowest-price") == 0 ||
			   strcmp(strategy, "price-capacity-optimized") == 0))
		order = by_price(group, a, b);
	if (order == 0 && (strcmp(strategy, "prioritized") == 0 ||
			   strcmp(strategy, "capacity-optimized-prioritized") == 0))
		order = by_place(policy, a, b);
	return order;
}
