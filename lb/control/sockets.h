/*
 * Where listeners really listen: from a load balancer's ListenAddress and a
 * listener's Port to a socket address, with privileged ports moved up where the process may not
 * bind them, and the addresses that load balancers made through the API get.
 */
#ifndef LB_CONTROL_SOCKETS_H
#define LB_CONTROL_SOCKETS_H

#include <netinet/in.h>
#include <sys/socket.h>

#include "common/base/err.h"
#include "common/store/store.h"
#include "lb/proxy/proxy.h"

enum { PORT_SHIFT = 8000, SOCKET_TEXT_MAX = 80 };

struct socket_address {
	struct sockaddr_storage addr;
	socklen_t len;
	char text[SOCKET_TEXT_MAX]; /* "127.0.0.1:8080" */
	uint16_t port;              /* in addr */
};

/*
 * Finds where the listener can be: its own port, or (a port below 1024 that we may not bind) 8000
 * above.  -1 with err: taken, or not an address of this machine.  proxy may be NULL.
 */
MUST_CHECK int socket_resolve(const struct proxy *proxy, const char *address, int port,
			      struct socket_address *out, struct err *err);

struct address_pool;

/* cidr: "127.0.1.0/24".  NULL with err when it is none. */
MUST_CHECK struct address_pool *address_pool_new(const char *cidr, struct err *err);
void address_pool_free(struct address_pool *pool); /* NULL is fine */

/*
 * The next address that no load balancer in the store has and no other process leased.  The lease
 * is a socket bound on the address at a port of its own; the kernel ends it with the process.
 */
MUST_CHECK int address_pool_take(struct address_pool *pool, struct store *store, char address[64],
				 struct err *err);
/* Leases what the store's load balancers hold and lets go what no one holds any more. */
void address_pool_sync(struct address_pool *pool, struct store *store);

#endif
