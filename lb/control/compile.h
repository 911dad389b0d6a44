/*
 * From the store's documents and the live targets to a snapshot for the proxy.
 * Touches nothing but what it is given: control thread, called once a loop turn at most.
 */
#ifndef LB_CONTROL_COMPILE_H
#define LB_CONTROL_COMPILE_H

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/store/store.h"
#include "lb/control/registry.h"
#include "lb/control/rollout.h"
#include "lb/observe/counters.h"
#include "lb/proxy/proxy.h"
#include "lb/routing/snapshot.h"

/* Whose numbers have no place of their own any more are counted together under this name. */
#define COUNTERS_OVERFLOW "overflow"

struct compile_input {
	struct store *store;
	const struct rollout *rollout; /* whose rules may serve again; NULL = none */
	struct registry *registry;     /* in line with the store */
	struct counters *counters;
	const struct proxy *proxy; /* asked which ports are free; may be NULL */
	unsigned n_lanes;
};

struct compile_output {
	struct snapshot *snapshot; /* the caller's reference */
	struct buf addresses;      /* "127.0.0.1:8080 ..."; buf_fini() it */
	struct buf moved;          /* "80->8080 ..." ports that we may not bind */
	unsigned n_unbound;        /* listeners left out: their port is taken */
	char unbound[512];         /* why, of the last of them */
};

/* -1 with err; output needs no cleaning then. */
MUST_CHECK int compile_snapshot(const struct compile_input *input, struct compile_output *output,
				struct err *err);

#endif
