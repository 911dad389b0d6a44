/*
 * Listening sockets: opened in the control thread, one a worker on the same
 * address (SO_REUSEPORT), handed to the workers by mail.
 */
#ifndef LB_PROXY_SOCKETS_H
#define LB_PROXY_SOCKETS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#include "common/base/check.h"
#include "common/base/err.h"

/* "127.0.0.1:8080" into text. */
enum { ADDRESS_TEXT_MAX = 64 };
char *address_text(const struct sockaddr *addr, char text[ADDRESS_TEXT_MAX]);
bool address_equal(const struct sockaddr *a, const struct sockaddr *b);

/* Is the address free?  SO_REUSEPORT alone would share it with another process of the same user.
 * -1 with err (EADDRINUSE, EACCES, EADDRNOTAVAIL, …). */
MUST_CHECK int sockets_probe(const struct sockaddr *addr, socklen_t len, struct err *err);

/* n listening sockets into fds; all or none. */
MUST_CHECK int sockets_open(const struct sockaddr *addr, socklen_t len, int *fds, size_t n,
			    struct err *err);

#endif
