/* See ports.h. */
#include "lab/ports.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

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

int port_hold_take(struct port_hold *hold, struct err *err)
{
	struct in_addr loopback = {.s_addr = htonl(INADDR_LOOPBACK)};
	struct sockaddr_in name;
	socklen_t len = sizeof(name);

	hold->fd = bind_to(loopback, 0);
	if (hold->fd < 0 || getsockname(hold->fd, (struct sockaddr *)&name, &len) != 0) {
		err_set(err, errno, "no free port: %s", strerror(errno));
		port_hold_give_back(hold);
		return -1;
	}
	hold->port = ntohs(name.sin_port);
	return 0;
}

void port_hold_give_back(struct port_hold *hold)
{
	if (hold->fd >= 0)
		close(hold->fd);
	hold->fd = -1;
}
