/*
 * What one worker thread owns, for the files of lb/proxy.  Everything here is that
 * thread's, except the mailbox and the atomics.
 */
#ifndef LB_PROXY_WORKER_H
#define LB_PROXY_WORKER_H

#include <bsd/sys/queue.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "lb/observe/access_log.h"
#include "lb/observe/counters.h"
#include "lb/proxy/handover.h"
#include "lb/proxy/loop.h"
#include "lb/proxy/pipe.h"
#include "lb/proxy/proxy.h"
#include "lb/proxy/slab.h"
#include "lb/routing/snapshot.h"
#include "lb/routing/sticky.h"

struct client;
struct exchange;
struct upstream;
struct upstream_pool;
struct mail;

/* A snapshot as this worker uses it: counted without atomics. */
struct view {
	struct snapshot *snapshot;
	unsigned users;
};

/* A connection or socket that was closed in this turn; its memory is given back when the turn ends,
 * because epoll may have told of it already. */
struct grave {
	struct slab *slab; /* NULL: malloc's */
	void *object;
	struct grave *next;
};

/* A listening socket of this worker.  Clients hold it, so it may outlive its listener. */
struct worker_socket {
	struct io io;
	struct worker *worker;
	uint64_t id;               /* the address:port's, given by the control thread */
	struct listener *listener; /* in the current view; NULL: closed, clients finish */
	unsigned users;            /* clients, and 1 while it is open */
	struct grave grave;
	LIST_ENTRY(worker_socket) link;
};

enum { SCRATCH_BYTES = 128 * 1024 };

struct worker {
	unsigned lane;
	const struct proxy_config *config;
	struct loop loop;
	struct handover handover; /* of new listening sockets */
	struct buffer_pool buffers;
	struct pipe_pool pipes;
	struct slab clients, exchanges, messages, upstreams;
	struct view *view; /* NULL until the first install */
	LIST_HEAD(, worker_socket) sockets;
	TAILQ_HEAD(client_list, client) all_clients;
	LIST_HEAD(, upstream_pool) pools;
	uint64_t random;
	uint64_t generation;    /* of installs, to find pools whose target left */
	int64_t wall_offset_us; /* Unix time - monotonic */
	int64_t wall_checked_us;
	int64_t date_s;
	char date[32];      /* of generated answers */
	char ascii_time[9]; /* hex seconds of trace ids */
	bool is_draining, is_stopping;
	struct timer accept_pause;   /* out of descriptors */
	TAILQ_HEAD(, exchange) held; /* requests that wait for a target */
	unsigned n_held;
	struct timer held_timer; /* runs while there are any */
	struct timer trim_timer; /* runs while there are empty blocks of memory */
	int64_t short_logged_us; /* that buffers were short; 0 = never */
	struct grave *graves;
	struct sticky_sealer *sticky;  /* NULL: no stickiness */
	struct sticky_cookies cookies; /* of the response being sent */
	pthread_t thread;
	char *scratch; /* SCRATCH_BYTES: heads on their way out */

	/* From other threads. */
	_Atomic(struct mail *) mailbox;
	_Atomic uint64_t n_connections; /* client side; written here only */
	_Atomic uint64_t buffer_bytes;  /* in use, as of the last turn */
	_Atomic uint64_t n_waits;       /* reads that waited for a buffer */
	_Atomic bool is_drained;
};

uint64_t worker_random(struct worker *worker);
int64_t worker_wall_us(struct worker *worker);
const char *worker_date(struct worker *worker);

/* Buffers are short: says so in the log, every ten seconds at most. */
void worker_note_short(struct worker *worker);
/* io->fn(io, 0) when a read may have a buffer again. */
void worker_await_buffers(struct worker *worker, struct io *io);

struct view *view_ref(struct view *view);
void view_unref(struct view *view);

void worker_socket_unref(struct worker_socket *socket);

/* Gives the object back to its slab, or to free(3) if that is NULL, when the turn ends. */
void worker_bury(struct worker *worker, struct grave *grave, struct slab *slab, void *object);

/* What the protocols keep in a worker: lb/proxy/client_h1.c and upstream_h1.c. */
void client_h1_slabs_init(struct worker *worker);
void upstream_h1_slabs_init(struct worker *worker);
void upstream_pools_sweep(struct worker *worker); /* after an install */
void upstream_pools_fini(struct worker *worker);

#endif
