/* Listening sockets: see sockets.h. */
#include "lb/proxy/sockets.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { BACKLOG = 16384 }; /* the kernel cuts it to net.core.somaxconn */

char *address_text(const struct sockaddr *addr, char text[ADDRESS_TEXT_MAX])
{
	char ip[INET6_ADDRSTRLEN] = "?";

	if (addr->sa_family == AF_INET6) {
		const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)(const void *)addr;

		inet_ntop(AF_INET6, &in6->sin6_addr, ip, sizeof(ip));
		snprintf(text, ADDRESS_TEXT_MAX, "[%s]:%u", ip, ntohs(in6->sin6_port));
	} else {
		const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)addr;

		inet_ntop(AF_INET, &in->sin_addr, ip, sizeof(ip));
		snprintf(text, ADDRESS_TEXT_MAX, "%s:%u", ip, ntohs(in->sin_port));
	}
	return text;
}

bool address_equal(const struct sockaddr *a, const struct sockaddr *b)
{
	if (a->sa_family != b->sa_family)
		return false;
	if (a->sa_family == AF_INET6) {
		const struct sockaddr_in6 *x = (const struct sockaddr_in6 *)(const void *)a;
		const struct sockaddr_in6 *y = (const struct sockaddr_in6 *)(const void *)b;

		return x->sin6_port == y->sin6_port &&
		       memcmp(&x->sin6_addr, &y->sin6_addr, sizeof(x->sin6_addr)) == 0;
	}
	const struct sockaddr_in *x = (const struct sockaddr_in *)(const void *)a;
	const struct sockaddr_in *y = (const struct sockaddr_in *)(const void *)b;

	return x->sin_port == y->sin_port && x->sin_addr.s_addr == y->sin_addr.s_addr;
}

static int bound_socket(const struct sockaddr *addr, socklen_t len, bool is_shared)
{
	int on = 1, error;
	int fd = socket(addr->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0)
		goto fail;
	if (is_shared && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) < 0)
		goto fail;
	if (addr->sa_family == AF_INET6 &&
	    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) < 0)
		goto fail;
	/* Accepted sockets inherit it. */
	if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) < 0)
		goto fail;
	if (bind(fd, addr, len) < 0)
		goto fail;
	return fd;
fail:
	error = errno;
	close(fd);
	errno = error;
	return -1;
}

static int report(const struct sockaddr *addr, struct err *err)
{
	char text[ADDRESS_TEXT_MAX];
	int error = errno;

	address_text(addr, text);
	switch (error) {
	case EADDRINUSE:
		err_set(err, error, "cannot listen on %s: another process uses this port", text);
		break;
	case EACCES:
		err_set(err, error, "cannot listen on %s: no permission for ports below 1024",
			text);
		break;
	case EADDRNOTAVAIL:
		err_set(err, error, "cannot listen on %s: not an address of this machine", text);
		break;
	default:
		err_set(err, error, "cannot listen on %s: %s", text, strerror(error));
		break;
	}
	return -1;
}

int sockets_probe(const struct sockaddr *addr, socklen_t len, struct err *err)
{
	int fd = bound_socket(addr, len, false);

	if (fd < 0)
		return report(addr, err);
	close(fd);
	return 0;
}

int sockets_open(const struct sockaddr *addr, socklen_t len, int *fds, size_t n, struct err *err)
{
	size_t i;

	if (sockets_probe(addr, len, err) < 0)
		return -1;
	for (i = 0; i < n; i++) {
		fds[i] = bound_socket(addr, len, true);
		if (fds[i] < 0)
			goto fail;
		if (listen(fds[i], BACKLOG) < 0) {
			i++;
			goto fail;
		}
	}
	return 0;
fail:
	report(addr, err);
	while (i > 0)
		close(fds[--i]);
	return -1;
}
