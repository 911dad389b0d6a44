/* See ports.h. */
#include "lab/ports.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/ids.h"
#include "common/doc/doc.h"

enum { PORT_RANGE = 8192, MAX_TRIES = 256 };

/* Without SO_REUSEPORT on purpose: the load balancer's own sockets have it, and a second one would
 * silently share the port with the first. */
static int bind_to(struct in_addr address, int port)
{
	struct sockaddr_in name = {
	    .sin_family = AF_INET,
	    .sin_addr = address,
	    .sin_port = htons((uint16_t)port),
	};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1, why;

	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, (struct sockaddr *)&name, sizeof(name)) == 0 && listen(fd, 1) == 0)
		return fd;
	why = errno;
	close(fd);
	errno = why;
	return -1;
}

int port_check_free(const char *address, int port, struct err *err)
{
	struct in_addr binary = {.s_addr = htonl(INADDR_ANY)};
	int fd;

	if (*address != '\0' && inet_pton(AF_INET, address, &binary) != 1)
		return 0;
	fd = bind_to(binary, port);
	if (fd >= 0) {
		close(fd);
		return 0;
	}
	if (errno != EADDRINUSE)
		return 0;
	err_set(err, EADDRINUSE, "%s:%d is in use by another program",
		*address != '\0' ? address : "0.0.0.0", port);
	return -1;
}

/* Where the kernel begins to pick ports for outgoing connections: one of those could take a
 * program's port while it is being restarted. */
static int first_ephemeral(void)
{
	enum { USUAL = 32768 };
	FILE *file = fopen("/proc/sys/net/ipv4/ip_local_port_range", "re");
	int first = USUAL;

	if (file == NULL)
		return USUAL;
	if (fscanf(file, "%d", &first) != 1 || first < 2 * PORT_RANGE || first > UINT16_MAX)
		first = USUAL;
	fclose(file);
	return first;
}

int port_hold_take(struct port_hold *hold, struct err *err)
{
	struct in_addr loopback = {.s_addr = htonl(INADDR_LOOPBACK)};
	int first = first_ephemeral() - PORT_RANGE;
	int start = (int)(id_random(NULL) % PORT_RANGE);

	for (int i = 0; i < MAX_TRIES; i++) {
		hold->port = first + (start + i) % PORT_RANGE;
		hold->fd = bind_to(loopback, hold->port);
		if (hold->fd >= 0)
			return 0;
	}
	err_set(err, EADDRINUSE, "no free port in %d..%d", first, first + PORT_RANGE - 1);
	return -1;
}

void port_hold_give_back(struct port_hold *hold)
{
	if (hold->fd >= 0)
		close(hold->fd);
	hold->fd = -1;
}

static int check_listeners(const json_t *balancer, struct err *err)
{
	const char *address = doc_str(balancer, "ListenAddress", "");
	const json_t *listener;
	size_t i;

	json_array_foreach (doc_array(balancer, "Listeners"), i, listener) {
		if (port_check_free(address, (int)doc_int(listener, "Port", 0), err) == 0)
			continue;
		err_wrap(err, "load balancer %s: ", doc_str(balancer, "LoadBalancerName", ""));
		return -1;
	}
	return 0;
}

int ports_check_listeners(const json_t *config, struct err *err)
{
	const json_t *balancer;
	size_t i;

	json_array_foreach (doc_array(config, "LoadBalancers"), i, balancer) {
		if (check_listeners(balancer, err) != 0)
			return -1;
	}
	return 0;
}

int ports_choose_api(const json_t *config, const char *section, struct port_hold *hold,
		     char address[PORTS_ADDRESS_MAX], struct err *err)
{
	const char *given = doc_str(doc_object(config, section), "ApiAddress", "");
	char host[PORTS_ADDRESS_MAX];

	if (*given == '\0') {
		if (port_hold_take(hold, err) != 0)
			return -1;
		snprintf(address, PORTS_ADDRESS_MAX, "127.0.0.1:%d", hold->port);
		return 0;
	}
	snprintf(address, PORTS_ADDRESS_MAX, "%s", given);
	snprintf(host, sizeof(host), "%.*s", (int)(strrchr(given, ':') - given), given);
	if (port_check_free(host, atoi(strrchr(given, ':') + 1), err) == 0)
		return 0;
	err_wrap(err, "%s.ApiAddress: ", section);
	return -1;
}
