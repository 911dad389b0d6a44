/*
 * Pools of capacity that failed: how often, when last, and until when they are not asked again.
 * Kept in group->pools, stored with the group, so that a restart does not ask them all anew.
 * Pure.  See mixed.h.
 */
#include <math.h>
#include <string.h>

#include "scaler/engine/mixed.h"

enum {
	MAX_POOLS = 200,
	CLOSED_MAX_MS = 1200 * 1000, /* more than breaker_delay_ms ever says */
	HALF_LIFE_MS = 1800 * 1000,
	FORGET_MS = 6 * 3600 * 1000,
};

static bool is_pool(const json_t *entry, const struct pool *pool)
{
	return doc_bool(entry, "IsSpot", false) == pool->is_spot &&
	       strcmp(doc_str(entry, "AvailabilityZone", ""), pool->zone) == 0 &&
	       strcmp(doc_str(entry, "InstanceType", ""), pool->type) == 0;
}

static bool covers(const json_t *entry, const struct pool *pool)
{
	const char *zone = doc_str(entry, "AvailabilityZone", "");
	const char *type = doc_str(entry, "InstanceType", "");

	return doc_bool(entry, "IsSpot", false) == pool->is_spot &&
	       (!zone[0] || strcmp(zone, pool->zone) == 0) &&
	       (!type[0] || strcmp(type, pool->type) == 0);
}

static json_t *find(const struct group *group, const struct pool *pool)
{
	json_t *entry;
	size_t i;

	json_array_foreach (group->pools, i, entry) {
		if (is_pool(entry, pool))
			return entry;
	}
	return NULL;
}

static void forget_old(struct group *group, int64_t now_ms)
{
	for (size_t i = json_array_size(group->pools); i > 0; i--) {
		const json_t *entry = json_array_get(group->pools, i - 1);

		if (now_ms - doc_int(entry, "FailedMs", 0) > FORGET_MS)
			json_array_remove(group->pools, i - 1);
	}
	while (json_array_size(group->pools) >= MAX_POOLS)
		json_array_remove(group->pools, 0);
}

static json_t *find_or_add(struct group *group, const struct pool *pool, int64_t now_ms)
{
	json_t *entry = find(group, pool);

	if (entry)
		return entry;
	forget_old(group, now_ms);
	entry = json_pack("{s:s, s:s, s:b}", "AvailabilityZone", pool->zone, "InstanceType",
			  pool->type, "IsSpot", pool->is_spot);
	return json_array_append_new(group->pools, entry) == 0 ? entry : NULL;
}

static double trouble_of(const json_t *entry, int64_t now_ms)
{
	int64_t age_ms = now_ms - doc_int(entry, "FailedMs", 0);

	if (age_ms < 0) /* the clock went back */
		age_ms = 0;
	return doc_num(entry, "Trouble", 0) * exp2(-(double)age_ms / HALF_LIFE_MS);
}

static void note_trouble(struct group *group, json_t *entry, int64_t now_ms)
{
	json_object_set_new(entry, "Trouble", json_real(trouble_of(entry, now_ms) + 1));
	json_object_set_new(entry, "FailedMs", json_integer(now_ms));
	group->is_dirty = true;
}

void pool_failed(struct group *group, const struct pool *pool, int64_t now_ms)
{
	json_t *entry = find_or_add(group, pool, now_ms);
	int in_a_row = (int)doc_int(entry, "Failures", 0);

	if (!entry)
		return;
	note_trouble(group, entry, now_ms);
	/* Calls that were under way together have failed once. */
	if (doc_int(entry, "UntilMs", 0) > now_ms)
		return;
	json_object_set_new(entry, "Failures", json_integer(in_a_row + 1));
	json_object_set_new(entry, "UntilMs",
			    json_integer(now_ms + breaker_delay_ms(group->engine, in_a_row)));
}

void pool_interrupted(struct group *group, const struct pool *pool, int64_t now_ms)
{
	json_t *entry = find_or_add(group, pool, now_ms);

	if (entry)
		note_trouble(group, entry, now_ms);
}

void pool_succeeded(struct group *group, const struct pool *pool)
{
	json_t *entry = find(group, pool);

	if (!entry || doc_int(entry, "Failures", 0) == 0)
		return;
	json_object_set_new(entry, "Failures", json_integer(0));
	json_object_set_new(entry, "UntilMs", json_integer(0));
	group->is_dirty = true;
}

void pools_forget(struct group *group)
{
	group->is_dirty |= json_array_size(group->pools) > 0;
	json_array_clear(group->pools);
}

bool pool_is_open(const struct group *group, const struct pool *pool, int64_t now_ms)
{
	const json_t *entry;
	size_t i;

	json_array_foreach (group->pools, i, entry) {
		int64_t until_ms = doc_int(entry, "UntilMs", 0);

		/* A clock that went back does not close it for longer. */
		if (covers(entry, pool) && until_ms > now_ms && until_ms <= now_ms + CLOSED_MAX_MS)
			return false;
	}
	return true;
}

int pool_trouble(const struct group *group, const struct pool *pool, int64_t now_ms)
{
	double trouble = 0;
	const json_t *entry;
	size_t i;

	json_array_foreach (group->pools, i, entry) {
		if (covers(entry, pool))
			trouble += trouble_of(entry, now_ms);
	}
	return (int)lround(trouble);
}
