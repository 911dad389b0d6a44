/*
 * A registered target: identity, address, the state that the control thread
 * decides and workers obey, and per-worker numbers.  Reference counted: the control
 * thread, every snapshot and every upstream connection hold one each, so a
 * target's identity survives any number of snapshots.  The state may be
 * set at any time and takes effect with the next request of every worker.
 */
#ifndef LB_ROUTING_TARGET_H
#define LB_ROUTING_TARGET_H

#include <netinet/in.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "common/base/check.h"
#include "common/base/err.h"

/* TargetHealthStateEnum, in AWS's words by target_state_name(). */
enum target_state {
	TARGET_INITIAL,
	TARGET_HEALTHY,
	TARGET_UNHEALTHY,
	TARGET_UNUSED,
	TARGET_DRAINING,
	TARGET_UNAVAILABLE, /* no health checks: takes traffic as a healthy one does */
	TARGET_STATE_COUNT,
};

const char *target_state_name(enum target_state state); /* "healthy" */

enum { MAX_LANES = 256, TARGET_ID_MAX = 256, TARGET_LABEL_MAX = 64 };
enum { SHARE_FULL = 1000 }; /* of the traffic that a target would get as one of many equals */

struct upstream_pool; /* lb/proxy's */

/* What one worker knows of a target.  Only that worker writes; others read with relaxed order. */
struct target_lane {
	alignas(64) _Atomic uint64_t requests; /* sent to the target, ever */
	_Atomic uint64_t in_flight;
	_Atomic uint64_t connection_errors;
	_Atomic uint64_t failures; /* 5xx answers, and connections that failed or broke */
	/* Passive health checks; counted only where a group asks for them. */
	_Atomic uint32_t fives_in_a_row;  /* 5xx answers, without another between them */
	_Atomic uint32_t breaks_in_a_row; /* connections refused, reset or timed out */
	_Atomic uint32_t last_five;       /* the newest 5xx status */
	struct upstream_pool *pool;       /* that worker's own; nobody else looks */
};

struct target {
	_Atomic unsigned refs;
	/* Set once. */
	char id[TARGET_ID_MAX]; /* "i-…" or an address, as registered */
	uint16_t port;
	char zone[32]; /* availability zone; "" when unknown */
	struct sockaddr_storage addr;
	socklen_t addr_len;
	char label[TARGET_LABEL_MAX]; /* "10.0.1.20:8080", "[::1]:8080" */
	unsigned n_lanes;
	uint64_t
	    sticky_id; /* what a stickiness cookie calls it: never 0, the same in every process */
	/* Written by the control thread, read by workers. */
	_Atomic unsigned state;       /* enum target_state; initial at first */
	_Atomic unsigned weight;      /* of SHARE_FULL; less while an anomaly is mitigated */
	_Atomic int64_t ramp_from_ms; /* slow start began, monotonic; 0 = it is not in slow start */
	/* Written by every worker, for groups of least_outstanding_requests only. */
	alignas(64) _Atomic uint64_t outstanding;
	struct target_lane lanes[];
};

struct target_config {
	const char *id;
	const struct sockaddr *addr; /* AF_INET or AF_INET6 with the port in it */
	socklen_t addr_len;
	const char *zone; /* NULL = "" */
	unsigned n_lanes; /* number of workers */
};

/* One reference, the caller's.  NULL only without memory or with a bad address (err). */
MUST_CHECK struct target *target_new(const struct target_config *config, struct err *err);
struct target *target_ref(struct target *target);
void target_unref(struct target *target); /* NULL is fine */

void target_set_state(struct target *target, enum target_state state);
/* Grows with every change of any target's state: who has looked at many need not look again while
 * it is the same. */
uint64_t target_epoch(void);
enum target_state target_state(const struct target *target);

void target_set_weight(struct target *target, unsigned weight); /* 1..SHARE_FULL */
void target_set_ramp(struct target *target, int64_t from_ms);

/* Workers, of their own lane.  What came of a request: an answer with this status; or a connection
 * that was refused, broke, or gave no answer in time.  is_watched: for passive health checks. */
void target_note_answer(struct target *target, unsigned lane, unsigned status, bool is_watched);
void target_note_break(struct target *target, unsigned lane, bool is_watched);

/* Summed over the workers. */
uint64_t target_in_flight(const struct target *target);
uint64_t target_requests(const struct target *target);
uint64_t target_connection_errors(const struct target *target);
uint64_t target_failures(const struct target *target);

#endif
