/*
 * Groups with a mixed instances policy, for the tests of what becomes of them.
 */
#ifndef TESTS_UNIT_SCALER_MIXED_WORLD_H
#define TESTS_UNIT_SCALER_MIXED_WORLD_H

#include "scaler/engine/mixed.h"
#include "scaler/engine/prices.h"
#include "tests/unit/scaler/engine_world.h"

static inline json_t *distribution(int base, int percent)
{
	return json_pack("{s:{s:i, s:i}}", "InstancesDistribution", "OnDemandBaseCapacity", base,
			 "OnDemandPercentageAboveBaseCapacity", percent);
}

static inline json_t *parse(const char *text)
{
	struct err err = {0};
	json_t *out = doc_parse(text, strlen(text), "test", &err);

	assert_non_null(out);
	return out;
}

/* Puts the policy on the group; text: overrides and distribution. */
static inline void use(struct world *world, const char *overrides, const char *spread)
{
	json_t *input =
	    json_pack("{s:{s:{s:{s:s, s:s}, s:o}, s:o}}", "MixedInstancesPolicy", "LaunchTemplate",
		      "LaunchTemplateSpecification", "LaunchTemplateName", "students", "Version",
		      "1", "Overrides", parse(overrides), "InstancesDistribution", parse(spread));
	struct err err = {0};

	assert_int_equal(engine_update_group(world->group, input, world->now_ms, &err), 0);
	json_decref(input);
}

static inline struct world *mixed_world(int desired, const char *overrides, const char *spread)
{
	struct world *world = world_new(0, 40, 0);
	struct err err = {0};

	use(world, overrides, spread);
	assert_int_equal(engine_set_desired(world->group, desired, world->now_ms, &err), 0);
	return world;
}

static inline void set_desired(struct world *world, int desired)
{
	struct err err = {0};

	assert_int_equal(engine_set_desired(world->group, desired, world->now_ms, &err), 0);
}

/* Live instances of a type, market ("spot", "on-demand") and zone; NULL: any. */
static inline int count(const struct world *world, const char *type, const char *market,
			const char *zone)
{
	const struct instance *instance;
	int n = 0;

	TAILQ_FOREACH (instance, &world->group->instances, link) {
		const char *is = instance->is_spot ? "spot" : "on-demand";

		n += instance_is_live(instance) && (!type || strcmp(instance->type, type) == 0) &&
		     (!market || strcmp(is, market) == 0) &&
		     (!zone || strcmp(instance->zone, zone) == 0);
	}
	return n;
}

#define TWO_TYPES "[{\"InstanceType\": \"m5.large\"}, {\"InstanceType\": \"c5.large\"}]"
#define HALF_SPOT "{\"OnDemandPercentageAboveBaseCapacity\": 50}"
#define ALL_SPOT(strategy) \
	"{\"OnDemandPercentageAboveBaseCapacity\": 0, \"SpotAllocationStrategy\": \"" strategy "\"}"

#endif
