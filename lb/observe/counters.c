/* Counters: see counters.h. */
#include "lb/observe/counters.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define INFO(suffix, cloudwatch_name, cloudwatch_unit, help) \
	{cloudwatch_name, cloudwatch_unit, help},
const struct counter_info lb_counter_info[LB_COUNTER_COUNT] = {LB_COUNTERS(INFO)};
const struct counter_info group_counter_info[GROUP_COUNTER_COUNT] = {GROUP_COUNTERS(INFO)};

/* Names are the control thread's; the numbers' pointers are set before a snapshot tells a worker
 * of the slot, and the mailbox orders that. */
struct counters {
	unsigned n_lanes;
	int n_lbs, n_groups;
	char *lb_names[MAX_LB_SLOTS]; /* NULL below n: free for another */
	char *group_names[MAX_GROUP_SLOTS];
	int64_t lb_gone_ms[MAX_LB_SLOTS]; /* since when nobody has used it; 0 = somebody does */
	int64_t group_gone_ms[MAX_GROUP_SLOTS];
	struct lb_counters *lbs[MAX_LB_SLOTS];          /* n_lanes each */
	struct group_counters *groups[MAX_GROUP_SLOTS]; /* n_lanes each */
};

static_assert(sizeof(struct lb_counters) % 64 == 0, "workers would share a cache line");
static_assert(sizeof(struct group_counters) % 64 == 0, "workers would share a cache line");

struct counters *counters_new(unsigned n_lanes, struct err *err)
{
	struct counters *counters = calloc(1, sizeof(*counters));

	if (!counters) {
		err_set(err, ENOMEM, "out of memory");
		return NULL;
	}
	counters->n_lanes = n_lanes;
	return counters;
}

void counters_free(struct counters *counters)
{
	if (!counters)
		return;
	for (int i = 0; i < counters->n_lbs; i++) {
		free(counters->lb_names[i]);
		free(counters->lbs[i]);
	}
	for (int i = 0; i < counters->n_groups; i++) {
		free(counters->group_names[i]);
		free(counters->groups[i]);
	}
	free(counters);
}

/* Lanes stand side by side, each a multiple of a cache line, so writers never share one. */
static void *lanes_new(size_t size, unsigned n_lanes)
{
	void *lanes = aligned_alloc(64, size * n_lanes);

	return lanes ? memset(lanes, 0, size * n_lanes) : NULL;
}

static int find(char *const *names, int n, const char *name)
{
	for (int i = 0; i < n; i++)
		if (names[i] && strcmp(names[i], name) == 0)
			return i;
	return -1;
}

static int find_free(char *const *names, int n)
{
	int slot = 0;

	while (slot < n && names[slot])
		slot++;
	return slot;
}

static int slot_of(char **names, int *n, int max, const char *resource, struct err *err)
{
	int slot = find(names, *n, resource);

	if (slot >= 0)
		return slot;
	slot = find_free(names, *n);
	if (slot == max) {
		err_set(err, ENOSPC, "%s: more than %d at a time", resource, max);
		return -1;
	}
	names[slot] = strdup(resource);
	if (names[slot]) {
		if (slot == *n)
			++*n;
		return slot;
	}
	err_set(err, ENOMEM, "out of memory");
	return -1;
}

int counters_lb_slot(struct counters *counters, const char *resource, struct err *err)
{
	int slot = slot_of(counters->lb_names, &counters->n_lbs, MAX_LB_SLOTS, resource, err);

	if (slot >= 0 && !counters->lbs[slot]) {
		counters->lbs[slot] = lanes_new(sizeof(struct lb_counters), counters->n_lanes);
		if (!counters->lbs[slot]) {
			err_set(err, ENOMEM, "out of memory");
			return -1;
		}
	}
	return slot;
}

int counters_group_slot(struct counters *counters, const char *resource, struct err *err)
{
	int slot =
	    slot_of(counters->group_names, &counters->n_groups, MAX_GROUP_SLOTS, resource, err);

	if (slot >= 0 && !counters->groups[slot]) {
		counters->groups[slot] =
		    lanes_new(sizeof(struct group_counters), counters->n_lanes);
		if (!counters->groups[slot]) {
			err_set(err, ENOMEM, "out of memory");
			return -1;
		}
	}
	return slot;
}

static bool has_connections(const struct counters *counters, int slot)
{
	uint64_t now[LB_COUNTER_COUNT];

	if (!counters->lbs[slot])
		return false;
	counters_read_lb(counters, (unsigned)slot, now);
	return now[LB_COUNTER_ACTIVE_CONNECTIONS] != 0;
}

/* True: nobody has used it for long enough. */
static bool is_over(int64_t *gone_ms, bool is_used, int64_t now_ms)
{
	if (is_used)
		*gone_ms = 0;
	else if (*gone_ms == 0)
		*gone_ms = now_ms;
	return *gone_ms != 0 && now_ms - *gone_ms >= COUNTERS_KEEP_MS;
}

static void give_free(char **name, int64_t *gone_ms, void *lanes, size_t bytes)
{
	free(*name);
	*name = NULL;
	*gone_ms = 0;
	if (lanes) /* NULL: there was no memory for them */
		memset(lanes, 0, bytes);
}

void counters_sweep(struct counters *counters, bool (*is_used)(void *arg, const char *resource),
		    void *arg, int64_t now_ms)
{
	for (int i = 0; i < counters->n_lbs; i++) {
		char **name = &counters->lb_names[i];

		if (*name && is_over(&counters->lb_gone_ms[i], is_used(arg, *name), now_ms) &&
		    !has_connections(counters, i))
			give_free(name, &counters->lb_gone_ms[i], counters->lbs[i],
				  sizeof(struct lb_counters) * counters->n_lanes);
	}
	for (int i = 0; i < counters->n_groups; i++) {
		char **name = &counters->group_names[i];

		if (*name && is_over(&counters->group_gone_ms[i], is_used(arg, *name), now_ms))
			give_free(name, &counters->group_gone_ms[i], counters->groups[i],
				  sizeof(struct group_counters) * counters->n_lanes);
	}
}

void counters_read_lb(const struct counters *counters, unsigned slot,
		      uint64_t out[LB_COUNTER_COUNT])
{
	CHECK(slot < (unsigned)counters->n_lbs);
	memset(out, 0, LB_COUNTER_COUNT * sizeof(out[0]));
	for (unsigned lane = 0; lane < counters->n_lanes; lane++)
		for (int i = 0; i < LB_COUNTER_COUNT; i++)
			out[i] += atomic_load_explicit(&counters->lbs[slot][lane].values[i],
						       memory_order_relaxed);
}

void counters_read_group(const struct counters *counters, unsigned slot, struct group_counters *out)
{
	CHECK(slot < (unsigned)counters->n_groups);
	memset(out, 0, sizeof(*out));
	for (unsigned lane = 0; lane < counters->n_lanes; lane++) {
		const struct group_counters *from = &counters->groups[slot][lane];

		for (int i = 0; i < GROUP_COUNTER_COUNT; i++)
			counter_add(&out->values[i],
				    atomic_load_explicit(&from->values[i], memory_order_relaxed));
		hist_merge(&out->response_time_us, &from->response_time_us);
	}
}

struct lb_counters *counters_lb(struct counters *counters, unsigned lane, unsigned slot)
{
	return &counters->lbs[slot][lane];
}

struct group_counters *counters_group(struct counters *counters, unsigned lane, unsigned slot)
{
	return &counters->groups[slot][lane];
}
