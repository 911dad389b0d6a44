/*
 * The listening socket of an evhttp server, with what evhttp 2.1 lacks: a limit
 * on open connections, and a pause instead of a busy loop when accept() fails.
 * Control threads only.
 */
#ifndef COMMON_HTTP_LISTENER_H
#define COMMON_HTTP_LISTENER_H

#include <event2/event.h>
#include <event2/http.h>
#include <stddef.h>
#include <sys/socket.h>

#include "common/base/err.h"

struct http_listener;

/*
 * Listens at once; takes http's bufferevent callback (evhttp_set_bevcb) and its connections' close
 * callbacks (evhttp_connection_set_closecb).  Connections above max_connections are closed as they
 * come.  err names the address.
 */
MUST_CHECK struct http_listener *http_listener_new(struct event_base *base, struct evhttp *http,
						   const struct sockaddr *addr, socklen_t addr_len,
						   size_t max_connections, struct err *err);
/* After evhttp_free(http), which closes the socket. */
void http_listener_free(struct http_listener *listener);

int http_listener_port(const struct http_listener *listener);
/* Connections open now. */
size_t http_listener_connections(const struct http_listener *listener);

#endif
