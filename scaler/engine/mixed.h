/*
 * Groups of several instance types and markets (AWS: "Auto Scaling groups with multiple instance
 * types and purchase options").  Capacity is counted in units here: an instance is worth its
 * type's weight, 1 where the policy has no weights.  mixed.c reads the policy and counts,
 * allocate.c chooses where and what the next launches are, pools.c remembers where there was no
 * room.  Pure.
 */
#ifndef SCALER_ENGINE_MIXED_H
#define SCALER_ENGINE_MIXED_H

#include "scaler/engine/parts.h"

/* ---- mixed.c ---- */

/* The MixedInstancesPolicy in force: that of the refresh under way, else the group's; borrowed.
 * NULL: one type, of the template. */
json_t *group_mixed(const struct group *group);
/* Its members with their defaults. */
const json_t *mixed_overrides(const json_t *policy); /* NULL: none */
int mixed_spot_pools(const json_t *policy);
const char *mixed_strategy(const json_t *policy, bool is_spot);
/* Units of capacity that are to be on-demand; the rest is spot. */
int mixed_on_demand(const json_t *policy, int capacity);
bool mixed_has_weights(const json_t *policy);
/* The override for a type, its place in the order of preference in *place; NULL: none. */
const json_t *mixed_override(const json_t *policy, const char *type, int *place);
int mixed_weight(const json_t *override); /* 1 where it has none */

struct mixed_units {
	int on_demand, spot;
};
/* Units of live instances. */
struct mixed_units mixed_count(const struct group *group);
/* Which market has more than its share of the desired capacity. */
enum mixed_excess { MIXED_FITS, MIXED_EXCESS_ON_DEMAND, MIXED_EXCESS_SPOT };
enum mixed_excess mixed_excess(const struct group *group);
/* A new policy gives the types other weights: the instances there are take them too. */
void mixed_reweigh(struct group *group);
/* One was attached as a unit, and EC2 has told its type: it counts for that type's weight, in the
 * desired capacity too. */
void mixed_weigh(struct group *group, struct instance *instance);
/* Is the instance what the policy would launch, as far as is known? */
bool mixed_matches(const struct group *group, const struct instance *instance);
/* < 0: a fits the allocation strategy of its market less than b, so it goes first. */
int mixed_compare_fit(const struct group *group, const struct instance *a, const struct instance *b,
		      int64_t now_ms);
/* Would after, as given, be another policy?  (The file names the same one at each start.) */
bool mixed_is_other(const json_t *before, const json_t *after);
/* Members left out get AWS's defaults; members that take themselves away go. */
MUST_CHECK int mixed_fill_defaults(json_t *policy);

/* ---- allocate.c ---- */

enum { MAX_CHOICES = 100 };

struct launch_choice {
	int zone;               /* index in group->zones */
	const json_t *override; /* borrowed from the policy; NULL: the template's own type */
	bool is_spot;
	int units;
};

struct launch_plan {
	struct launch_choice items[MAX_CHOICES];
	int n;
	int units; /* of all of them */
};

/* What to launch for this many units more, at most max instances.  Fewer where there is no open
 * pool. */
void launch_plan_make(const struct group *group, int units, int max, int64_t now_ms,
		      struct launch_plan *plan);

/* ---- pools.c ---- */

/* A type in a zone, on-demand or spot.  "" is every zone, or every type. */
struct pool {
	const char *zone, *type;
	bool is_spot;
};

void pool_failed(struct group *group, const struct pool *pool, int64_t now_ms);
/* EC2 wants instances of it back: no reason not to ask, but one to prefer others. */
void pool_interrupted(struct group *group, const struct pool *pool, int64_t now_ms);
void pool_succeeded(struct group *group, const struct pool *pool);
bool pool_is_open(const struct group *group, const struct pool *pool, int64_t now_ms);
/* How much trouble there was lately: 0 none; it halves every half hour. */
int pool_trouble(const struct group *group, const struct pool *pool, int64_t now_ms);

#endif
