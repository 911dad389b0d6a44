/* See sockets.h. */
#include "lb/control/sockets.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/doc/doc.h"

enum { LEASE_PORT = 46001, LEASES_MAX = 1024 };

struct lease {
	uint32_t address; /* host order */
	int fd;
	bool is_seen;
};

struct address_pool {
	uint32_t first, last; /* host order, both may be given out */
	struct lease leases[LEASES_MAX];
	size_t n_leases;
};

static int make(const char *address, int port, struct socket_address *out)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)&out->addr;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&out->addr;

	*out = (struct socket_address){.port = (uint16_t)port};
	if (!address[0])
		address = "0.0.0.0";
	if (inet_pton(AF_INET, address, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons(out->port);
		out->len = sizeof(*v4);
		snprintf(out->text, sizeof(out->text), "%s:%d", address, port);
		return 0;
	}
	if (inet_pton(AF_INET6, address, &v6->sin6_addr) == 1) {
		v6->sin6_family = AF_INET6;
		v6->sin6_port = htons(out->port);
		out->len = sizeof(*v6);
		snprintf(out->text, sizeof(out->text), "[%s]:%d", address, port);
		return 0;
	}
	return -1;
}

int socket_resolve(const struct proxy *proxy, const char *address, int port,
		   struct socket_address *out, struct err *err)
{
	if (make(address, port, out) < 0) {
		err_set(err, EINVAL, "'%s' is not an IP address", address);
		return -1;
	}
	if (proxy_try_address(proxy, (struct sockaddr *)&out->addr, out->len, err) == 0)
		return 0;
	if (!err || err->code != EACCES || port >= IPPORT_RESERVED)
		return -1;
	err->code = 0;
	if (make(address, port + PORT_SHIFT, out) < 0)
		return -1;
	return proxy_try_address(proxy, (struct sockaddr *)&out->addr, out->len, err);
}

struct address_pool *address_pool_new(const char *cidr, struct err *err)
{
	struct address_pool *pool = calloc(1, sizeof(*pool));
	char text[64];
	struct in_addr base;
	char *slash;
	long bits;

	if (!pool) {
		err_set(err, ENOMEM, "out of memory");
		return NULL;
	}
	snprintf(text, sizeof(text), "%s", cidr);
	slash = strchr(text, '/');
	bits = slash ? strtol(slash + 1, NULL, 10) : -1;
	if (slash)
		*slash = '\0';
	if (bits < 8 || bits > 30 || inet_pton(AF_INET, text, &base) != 1) {
		err_set(err, EINVAL,
			"AutoAddress: '%s' is not an IPv4 network such as 127.0.1.0/24", cidr);
		free(pool);
		return NULL;
	}
	pool->first = (ntohl(base.s_addr) & (~UINT32_C(0) << (32 - bits))) + 1;
	pool->last = (ntohl(base.s_addr) | ~(~UINT32_C(0) << (32 - bits))) - 1;
	return pool;
}

static void drop_lease(struct address_pool *pool, size_t index)
{
	close(pool->leases[index].fd);
	pool->leases[index] = pool->leases[--pool->n_leases];
}

void address_pool_free(struct address_pool *pool)
{
	if (!pool)
		return;
	while (pool->n_leases > 0)
		drop_lease(pool, 0);
	free(pool);
}

static struct lease *find_lease(struct address_pool *pool, uint32_t address)
{
	for (size_t i = 0; i < pool->n_leases; i++) {
		if (pool->leases[i].address == address)
			return &pool->leases[i];
	}
	return NULL;
}

/* Bound, never listening: nobody can connect, and no second process can bind it. */
static struct lease *take_lease(struct address_pool *pool, uint32_t address)
{
	struct sockaddr_in addr = {.sin_family = AF_INET,
				   .sin_port = htons(LEASE_PORT),
				   .sin_addr.s_addr = htonl(address)};
	int fd;

	if (pool->n_leases == LEASES_MAX)
		return NULL;
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return NULL;
	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
		close(fd);
		return NULL;
	}
	pool->leases[pool->n_leases] = (struct lease){.address = address, .fd = fd};
	return &pool->leases[pool->n_leases++];
}

int address_pool_take(struct address_pool *pool, struct store *store, char address[64],
		      struct err *err)
{
	address_pool_sync(pool, store);
	for (uint32_t next = pool->first; next <= pool->last; next++) {
		struct in_addr addr = {htonl(next)};

		if (find_lease(pool, next) || !take_lease(pool, next))
			continue;
		inet_ntop(AF_INET, &addr, address, 64);
		return 0;
	}
	err_set(err, EADDRINUSE, "no address is left for another load balancer");
	return -1;
}

static bool lease_of(void *arg, const char *key, const json_t *load_balancer, int64_t revision)
{
	struct address_pool *pool = arg;
	struct in_addr addr;
	struct lease *lease;
	uint32_t address;

	(void)key;
	(void)revision;
	if (inet_pton(AF_INET, doc_str(load_balancer, "ListenAddress", ""), &addr) != 1)
		return true;
	address = ntohl(addr.s_addr);
	if (address < pool->first || address > pool->last)
		return true;
	lease = find_lease(pool, address);
	if (!lease)
		lease = take_lease(pool, address);
	if (lease)
		lease->is_seen = true;
	return true;
}

void address_pool_sync(struct address_pool *pool, struct store *store)
{
	for (size_t i = 0; i < pool->n_leases; i++)
		pool->leases[i].is_seen = false;
	store_scan(store, "elb/loadbalancer/", lease_of, pool);
	for (size_t i = pool->n_leases; i-- > 0;) {
		if (!pool->leases[i].is_seen)
			drop_lease(pool, i);
	}
}
