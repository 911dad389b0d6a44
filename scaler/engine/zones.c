/*
 * Zones: which one the next instance goes to.  Water filling: always the one with the
 * fewest units of capacity among those that are open, so that they differ by one at most.
 */
#include <string.h>

#include "scaler/engine/parts.h"

void zones_count(const struct group *group, int counts[MAX_ZONES])
{
	const struct instance *instance;

	memset(counts, 0, sizeof(int) * MAX_ZONES);
	TAILQ_FOREACH (instance, &group->instances, link) {
		bool stays = instance_is_live(instance) && instance->doomed == REPLACE_NOT &&
			     !instance->is_outdated;

		for (int i = 0; i < group->n_zones && stays; i++) {
			const struct zone *zone = &group->zones[i];
			bool same_subnet = zone->subnet_id[0] == '\0' ||
					   strcmp(zone->subnet_id, instance->subnet_id) == 0;

			if (strcmp(zone->name, instance->zone) == 0 && same_subnet)
				counts[i] += instance_units(instance);
		}
	}
}

int zones_size(const struct group *group, const char *zone)
{
	const struct instance *instance;
	int n = 0;

	TAILQ_FOREACH (instance, &group->instances, link)
		n += instance_is_live(instance) && strcmp(instance->zone, zone) == 0
			 ? instance_units(instance)
			 : 0;
	return n;
}

/* Several subnets of one zone share its count; inside the zone the emptier subnet is taken. */
static int zone_total(const struct group *group, const int counts[], int index)
{
	int total = 0;

	for (int i = 0; i < group->n_zones; i++) {
		if (strcmp(group->zones[i].name, group->zones[index].name) == 0)
			total += counts[i];
	}
	return total;
}

int zones_poorest(const struct group *group, const int counts[], int64_t now_ms)
{
	static const bool nowhere[MAX_ZONES];

	return zones_poorest_but(group, counts, nowhere, now_ms);
}

int zones_poorest_but(const struct group *group, const int counts[], const bool is_barred[],
		      int64_t now_ms)
{
	int best = -1, best_total = 0;

	for (int i = 0; i < group->n_zones; i++) {
		int total = zone_total(group, counts, i);

		if (is_barred[i] || group->zones[i].closed_until_ms > now_ms)
			continue;
		if (best >= 0 && total > best_total)
			continue;
		if (best >= 0 && total == best_total &&
		    (strcmp(group->zones[i].name, group->zones[best].name) != 0 ||
		     counts[i] >= counts[best]))
			continue;
		best = i;
		best_total = total;
	}
	return best;
}

bool zones_have(const struct group *group, const struct instance *instance)
{
	for (int i = 0; i < group->n_zones; i++) {
		if (strcmp(group->zones[i].name, instance->zone) == 0)
			return true;
	}
	return !group->has_zones;
}
