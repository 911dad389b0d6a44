/*
 * What tests of instance refreshes share: a settled group, a refresh that is started and watched.
 */
#ifndef TESTS_UNIT_SCALER_REFRESH_WORLD_H
#define TESTS_UNIT_SCALER_REFRESH_WORLD_H

#include "scaler/engine/parts.h"
#include "tests/unit/scaler/engine_world.h"

static inline json_t *quoted(const char *text)
{
	char *copy = strdup(text);
	json_t *document;

	for (char *c = copy; *c; c++) {
		if (*c == '\'')
			*c = '"';
	}
	document = json_loads(copy, 0, NULL);
	assert_non_null(document);
	free(copy);
	return document;
}

static inline void start(struct world *world, const char *text)
{
	json_t *input = quoted(text);
	struct err err = {0};

	assert_non_null(
	    engine_start_refresh(world->engine, world->group, input, world->now_ms, &err));
	json_decref(input);
}

static inline const json_t *refresh_of(const struct world *world)
{
	return json_array_get(world->group->refreshes, 0);
}

static inline const char *status(const struct world *world)
{
	return doc_str(refresh_of(world), "Status", "");
}

static inline int percent(const struct world *world)
{
	return (int)doc_int(refresh_of(world), "PercentageComplete", -1);
}

/* A group whose instances have long been in service; newcomers boot for so many seconds. */
static inline struct world *settled(int desired, int max)
{
	struct world *world = world_new(0, max, desired);

	world_pass(world, 40);
	assert_int_equal(group_count(world->group).in_service, desired);
	world->n_runs = 0;
	return world;
}

static inline bool is_over(const struct world *world)
{
	return doc_has(refresh_of(world), "EndTime");
}

struct seen {
	int seconds, least, most, n_percents;
	int percents[200];
};

static inline struct seen watch(struct world *world, int limit_s)
{
	struct seen seen = {.least = 1000};

	while (!is_over(world) && seen.seconds < limit_s) {
		struct group_counts counts;
		int n;

		world_pass(world, 1);
		counts = group_count(world->group);
		n = counts.in_service + counts.pending;
		seen.seconds++;
		seen.least = counts.in_service < seen.least ? counts.in_service : seen.least;
		seen.most = n > seen.most ? n : seen.most;
		if (seen.n_percents == 0 || seen.percents[seen.n_percents - 1] != percent(world))
			seen.percents[seen.n_percents++] = percent(world);
	}
	assert_true(seen.seconds < limit_s);
	return seen;
}

#endif
