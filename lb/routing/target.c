/* Targets: see target.h. */
#include "lb/routing/target.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const state_names[TARGET_STATE_COUNT] = {
    [TARGET_INITIAL] = "initial",     [TARGET_HEALTHY] = "healthy",
    [TARGET_UNHEALTHY] = "unhealthy", [TARGET_UNUSED] = "unused",
    [TARGET_DRAINING] = "draining",   [TARGET_UNAVAILABLE] = "unavailable",
};

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
	target->n_lanes = config->n_lanes;
	snprintf(target->id, sizeof(target->id), "%s", config->id);
	snprintf(target->zone, sizeof(target->zone), "%s", config->zone ? config->zone : "");
	if (set_address(target, config->addr, config->addr_len) < 0) {
		err_set(err, EAFNOSUPPORT, "target %s: not an IPv4 or IPv6 address", config->id);
		free(target);
		return NULL;
	}
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
	atomic_store_explicit(&target->state, state, memory_order_relaxed);
}

enum target_state target_state(const struct target *target)
{
	return (enum target_state)atomic_load_explicit(&target->state, memory_order_relaxed);
}

uint64_t target_in_flight(const struct target *target)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < target->n_lanes; i++)
		sum += atomic_load_explicit(&target->lanes[i].in_flight, memory_order_relaxed);
	return sum;
}

uint64_t target_requests(const struct target *target)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < target->n_lanes; i++)
		sum += atomic_load_explicit(&target->lanes[i].requests, memory_order_relaxed);
	return sum;
}

uint64_t target_connection_errors(const struct target *target)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < target->n_lanes; i++)
		sum +=
		    atomic_load_explicit(&target->lanes[i].connection_errors, memory_order_relaxed);
	return sum;
}
