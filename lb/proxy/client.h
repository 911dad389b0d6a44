/*
 * A client's connection as everything but its protocol sees it: who it is, how long it may last,
 * what counts it.  The listener chooses the protocol, which embeds a struct client first in its own
 * and plays the client party of exchanges (struct client_ops).  Worker's thread.
 */
#ifndef LB_PROXY_CLIENT_H
#define LB_PROXY_CLIENT_H

#include <bsd/sys/queue.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "lb/proxy/conn.h"
#include "lb/proxy/worker.h"

struct exchange;
struct target;

enum { CLIENT_LABEL_MAX = INET6_ADDRSTRLEN + sizeof("[]:65535") };

struct client {
	struct conn conn; /* first */
	/* Set once, when it is accepted. */
	const struct client_protocol *protocol;
	struct worker *worker;
	struct worker_socket *socket;
	struct lb_counters *counters;
	int64_t expires_us; /* client_keep_alive.seconds after it was accepted */
	unsigned idle_ms;
	uint64_t id;
	union {
		struct sockaddr any;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
	} addr;
	uint8_t label_len, ip_at, ip_len; /* where in label the address stands */
	char label[CLIENT_LABEL_MAX];     /* "203.0.113.9:51514" */
	char node[INET6_ADDRSTRLEN];      /* ours; "" when nothing is logged */
	/* The protocol's. */
	struct timer timer;
	/* The worker's. */
	struct grave grave;
	TAILQ_ENTRY(client) link;
};

struct client_protocol {
	/* Of the protocol's own struct, which struct client begins; zeroed when it is accepted. */
	struct slab *(*slab)(struct worker *worker);
	io_fn on_event;
	timer_fn on_timer; /* at first the idle timeout runs */
	/* Closes it unless it is in an exchange (which then ends the connection). */
	void (*close_if_idle)(struct client *client);
	void (*destroy)(struct client *client); /* whatever it does; exchanges end first */
	/* Ends its exchanges that wait for this target. */
	void (*cut_target)(struct client *client, const struct target *target);
};

extern const struct client_protocol client_h1;

/* ---- for protocols ---- */

/* Once; the memory lives until the loop turns. */
void client_close(struct client *client);
void client_start_idle_timer(struct client *client);
/* Tells the exchange who asks, but for ex->client. */
void client_introduce(struct client *client, struct exchange *ex);

/* ---- for the worker ---- */

void client_accept(struct worker_socket *socket, int fd, const struct sockaddr_storage *addr);
void client_close_if_idle(struct client *client);
void client_destroy(struct client *client);
void client_cut_target(struct client *client, const struct target *target);
struct client *client_next(struct client *client);
bool client_uses(const struct client *client, const struct worker_socket *socket);

#endif
