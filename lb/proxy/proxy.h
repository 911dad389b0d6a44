/*
 * The request path as the control thread sees it: workers, each a thread with an
 * event loop, listening sockets, connections, pools and counters of its own.
 * Every function here is the control thread's; none waits for traffic except
 * proxy_stop.
 */
#ifndef LB_PROXY_PROXY_H
#define LB_PROXY_PROXY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "common/base/check.h"
#include "common/base/err.h"
#include "lb/observe/access_log.h"
#include "lb/observe/connection_log.h"
#include "lb/observe/counters.h"
#include "lb/routing/snapshot.h"

struct proxy;

struct proxy_config {
	unsigned n_workers;              /* 1..MAX_LANES */
	struct counters *counters;       /* borrowed: outlives the proxy */
	struct access_log *access_log;   /* borrowed; NULL = none */
	struct log_file *connection_log; /* the same */
	const uint8_t *sticky_key;       /* STICKY_KEY_BYTES; NULL = no stickiness */
	unsigned connect_timeout_ms;     /* 0 = 10,000 */
	unsigned pool_idle_ms;           /* pooled upstream connections; 0 = the idle timeout */
	unsigned max_connections; /* client connections of one worker; 0 = by RLIMIT_NOFILE */
	size_t buffer_bytes;      /* of one worker, 2 MiB at least; 0 = no limit */
};

/* Threads run when it returns; they listen nowhere before the first proxy_install. */
MUST_CHECK struct proxy *proxy_start(const struct proxy_config *config, struct err *err);

/*
 * Makes the snapshot the one that new requests are routed by.  Takes a reference of its own.
 * Opens the sockets of listeners that are new (an address:port that stays keeps its sockets) and
 * closes those that went away.  -1 with err, nothing changed, when an address cannot be bound:
 * err->code EADDRINUSE, EACCES, EADDRNOTAVAIL.
 */
MUST_CHECK int proxy_install(struct proxy *proxy, struct snapshot *snapshot, struct err *err);

/* Could a listener be opened here (or does this proxy, which may be NULL, hold it already)?  0, or
 * -1 with err as above. */
MUST_CHECK int proxy_try_address(const struct proxy *proxy, const struct sockaddr *addr,
				 socklen_t addr_len, struct err *err);

/* The target's deregistration delay has run out: requests still in flight to it get their 502, or
 * are cut when half answered.  Takes a reference of its own until every worker has done so. */
void proxy_cut_target(struct proxy *proxy, struct target *target);

/* Stops accepting, closes idle connections, lets exchanges finish (answers say Connection: close).
 * Ask proxy_is_drained until it is true or patience ends. */
void proxy_drain(struct proxy *proxy);
bool proxy_is_drained(const struct proxy *proxy);

/* Ends the threads, whatever they do, and frees everything.  NULL is fine. */
void proxy_stop(struct proxy *proxy);

uint64_t proxy_n_connections(const struct proxy *proxy); /* client side, now */

/* Of all workers. */
struct proxy_buffers {
	uint64_t bytes;   /* in use */
	uint64_t n_waits; /* reads that waited for a buffer, ever */
};
struct proxy_buffers proxy_buffers(const struct proxy *proxy);

#endif
