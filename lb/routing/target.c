/* Targets: see target.h. */
#include "lb/routing/target.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lb/routing/sticky.h"

static const char *const state_names[TARGET_STATE_COUNT] = {
    [TARGET_INITIAL] = "initial",     [TARGET_HEALTHY] = "healthy",
    [TARGET_UNHEALTHY] = "unhealthy", [TARGET_UNUSED] = "unused",
    [TARGET_DRAINING] = "draining",   [TARGET_UNAVAILABLE] = "unavailable",
};

/* Read by every worker for each request, written when a health changes: a line of its own. */
static struct {
	alignas(64) _Atomic uint64_t value;
	char rest[56];
} changes = {.value = 1};

const char *target_state_name(enum target_state state)
{
	CHECK(state < TARGET_STATE_COUNT);
	return state_names[state];
}

static int set_address(struct target *target, const struct sockaddr *addr, socklen_t len)
{
	char text[INET6_ADDRSTRLEN];

	if (len > sizeof(target->addr))
		return -1;
	memcpy(&target->addr, addr, len);
	target->addr_len = len;
	if (addr->sa_family == AF_INET) {
		const struct sockaddr_in *in = (const struct sockaddr_in *)&target->addr;

		target->port = ntohs(in->sin_port);
		if (!inet_ntop(AF_INET, &in->sin_addr, text, sizeof(text)))
			return -1;
		snprintf(target->label, sizeof(target->label), "%s:%u", text, target->port);
		return 0;
	}
	if (addr->sa_family == AF_INET6) {
		const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&target->addr;

		target->port = ntohs(in6->sin6_port);
		if (!inet_ntop(AF_INET6, &in6->sin6_addr, text, sizeof(text)))
			return -1;
		snprintf(target->label, sizeof(target->label), "[%s]:%u", text, target->port);
		return 0;
	}
	return -1;
}

struct target *target_new(const struct target_config *config, struct err *err)
{
	CHECK(config->n_lanes > 0 && config->n_lanes <= MAX_LANES);
	size_t size = sizeof(struct target) + config->n_lanes * sizeof(struct target_lane);
	struct target *target = aligned_alloc(alignof(struct target), size);

	if (!target) {
		err_set(err, ENOMEM, "out of memory");
		return NULL;
	}
	memset(target, 0, size);
	atomic_init(&target->refs, 1);
	atomic_init(&target->state, TARGET_INITIAL);
	atomic_init(&target->weight, SHARE_FULL);
	target->n_lanes = config->n_lanes;
	snprintf(target->id, sizeof(target->id), "%s", config->id);
	snprintf(target->zone, sizeof(target->zone), "%s", config->zone ? config->zone : "");
	if (set_address(target, config->addr, config->addr_len) < 0) {
		err_set(err, EAFNOSUPPORT, "target %s: not an IPv4 or IPv6 address", config->id);
		free(target);
		return NULL;
	}
	target->sticky_id = sticky_id(target->id, target->port) | 1;
	return target;
}

struct target *target_ref(struct target *target)
{
	atomic_fetch_add_explicit(&target->refs, 1, memory_order_relaxed);
	return target;
}

void target_unref(struct target *target)
{
	if (target && atomic_fetch_sub_explicit(&target->refs, 1, memory_order_acq_rel) == 1)
		free(target);
}

void target_set_state(struct target *target, enum target_state state)
{
	CHECK(state < TARGET_STATE_COUNT);
	if (target_state(target) == state)
		return;
	atomic_store_explicit(&target->state, state, memory_order_relaxed);
	atomic_fetch_add_explicit(&changes.value, 1, memory_order_release);
}

uint64_t target_epoch(void)
{
	return atomic_load_explicit(&changes.value, memory_order_acquire);
}

enum target_state target_state(const struct target *target)
{
	return (enum target_state)atomic_load_explicit(&target->state, memory_order_relaxed);
}

void target_set_weight(struct target *target, unsigned weight)
{
	CHECK(weight > 0 && weight <= SHARE_FULL);
	atomic_store_explicit(&target->weight, weight, memory_order_relaxed);
}

void target_set_ramp(struct target *target, int64_t from_ms)
{
	atomic_store_explicit(&target->ramp_from_ms, from_ms, memory_order_relaxed);
}

/* The single writer's increment: no locked instruction. */
static void add_one(_Atomic uint64_t *number)
{
	atomic_store_explicit(number, atomic_load_explicit(number, memory_order_relaxed) + 1,
			      memory_order_relaxed);
}

static void set_streak(_Atomic uint32_t *streak, uint32_t n)
{
	if (atomic_load_explicit(streak, memory_order_relaxed) != n)
		atomic_store_explicit(streak, n, memory_order_relaxed);
}

static void lengthen_streak(_Atomic uint32_t *streak)
{
	uint32_t n = atomic_load_explicit(streak, memory_order_relaxed);

	if (n < UINT32_MAX)
		set_streak(streak, n + 1);
}

void target_note_answer(struct target *target, unsigned lane, unsigned status, bool is_watched)
{
	struct target_lane *own = &target->lanes[lane];
	bool is_five = status / 100 == 5;

	if (is_five)
		add_one(&own->failures);
	if (!is_watched)
		return;
	set_streak(&own->breaks_in_a_row, 0);
	if (is_five) {
		atomic_store_explicit(&own->last_five, status, memory_order_relaxed);
		lengthen_streak(&own->fives_in_a_row);
	} else {
		set_streak(&own->fives_in_a_row, 0);
	}
}

void target_note_break(struct target *target, unsigned lane, bool is_watched)
{
	add_one(&target->lanes[lane].failures);
	if (is_watched)
		lengthen_streak(&target->lanes[lane].breaks_in_a_row);
}

#define SUM(target, member) \
	({ \
		uint64_t sum = 0; \
		for (unsigned i = 0; i < (target)->n_lanes; i++) \
			sum += atomic_load_explicit(&(target)->lanes[i].member, \
						    memory_order_relaxed); \
		sum; \
	})

uint64_t target_in_flight(const struct target *target)
{
	return SUM(target, in_flight);
}

uint64_t target_requests(const struct target *target)
{
	return SUM(target, requests);
}

uint64_t target_connection_errors(const struct target *target)
{
	return SUM(target, connection_errors);
}

uint64_t target_failures(const struct target *target)
{
	return SUM(target, failures);
}
