/*
 * See listener.h.
 *
 * evhttp 2.1 hands out a connection with its first request, and a silent one never.  But the
 * bufferevent callback tells when it makes one, and the connection is the argument of the callbacks
 * that it then puts on the bufferevent: so each is counted from accept() to evhttp's close
 * callback.
 */
#include "common/http/listener.h"

#include <arpa/inet.h>
#include <bsd/sys/queue.h>
#include <errno.h>
#include <event2/bufferevent.h>
#include <event2/listener.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/base/check.h"
#include "common/base/log.h"

enum {
	BACKLOG = 512,
	PAUSE_MS = 100,
	REPORT_EVERY = 1000, /* refused connections */
};

/* Just made by evhttp, its connection not yet known. */
struct fresh {
	struct bufferevent *bev; /* a reference */
	STAILQ_ENTRY(fresh) link;
};

struct http_listener {
	struct event_base *base;       /* borrowed: outlives the listener */
	struct evconnlistener *accept; /* evhttp owns it */
	struct event *settle, *resume;
	STAILQ_HEAD(, fresh) fresh;
	LIST_ENTRY(http_listener) link;
	int port;
	size_t n_open, max, n_refused;
};

/* accept()'s error callback gets evhttp's argument, not ours: the listener is found here.  A
 * program's listeners are all made and run in its one control thread. */
static LIST_HEAD(, http_listener) listeners = LIST_HEAD_INITIALIZER(listeners);

/* evhttp reads the end of the stream and drops the connection. */
static void refuse(struct http_listener *listener, int fd)
{
	if (listener->n_refused++ % REPORT_EVERY == 0)
		log_warn("connection-refused", "port=%d open=%zu refused=%zu why=\"limit reached\"",
			 listener->port, listener->n_open, listener->n_refused);
	shutdown(fd, SHUT_RDWR);
}

static void on_close(struct evhttp_connection *conn, void *arg)
{
	struct http_listener *listener = arg;

	(void)conn;
	listener->n_open--;
}

/* Before evhttp waits for the connection's first byte, so it is there, if it was made at all. */
static void count(struct http_listener *listener, struct bufferevent *bev)
{
	struct evhttp_connection *conn;
	void *arg;

	bufferevent_getcb(bev, NULL, NULL, NULL, &arg);
	conn = arg;
	if (conn == NULL)
		return;
	CHECK(evhttp_connection_get_bufferevent(conn) == bev);
	if (listener->n_open == listener->max) {
		refuse(listener, bufferevent_getfd(bev));
		return;
	}
	listener->n_open++;
	evhttp_connection_set_closecb(conn, on_close, listener);
}

static void on_settle(evutil_socket_t unused, short what, void *arg)
{
	struct http_listener *listener = arg;
	struct fresh *fresh;

	(void)unused;
	(void)what;
	while ((fresh = STAILQ_FIRST(&listener->fresh)) != NULL) {
		STAILQ_REMOVE_HEAD(&listener->fresh, link);
		count(listener, fresh->bev);
		bufferevent_decref(fresh->bev);
		free(fresh);
	}
}

/* NULL lets evhttp make its own: served, but not counted. */
static struct bufferevent *on_connection(struct event_base *base, void *arg)
{
	struct http_listener *listener = arg;
	struct fresh *fresh = malloc(sizeof(*fresh));

	if (fresh == NULL)
		return NULL;
	fresh->bev = bufferevent_socket_new(base, -1, 0);
	if (fresh->bev == NULL) {
		free(fresh);
		return NULL;
	}
	bufferevent_incref(fresh->bev);
	STAILQ_INSERT_TAIL(&listener->fresh, fresh, link);
	event_active(listener->settle, EV_TIMEOUT, 0);
	return fresh->bev;
}

static void on_resume(evutil_socket_t fd, short what, void *arg)
{
	struct http_listener *listener = arg;

	(void)fd;
	(void)what;
	evconnlistener_enable(listener->accept);
}

/* Out of descriptors, mostly: the same connection would fail again at once. */
static void on_accept_error(struct evconnlistener *accept, void *arg)
{
	static const struct timeval pause = {.tv_usec = PAUSE_MS * 1000L};
	struct http_listener *listener;
	int error = errno;

	(void)arg;
	LIST_FOREACH (listener, &listeners, link) {
		if (listener->accept == accept)
			break;
	}
	if (listener == NULL)
		return;
	log_warn("accept-failed", "port=%d why=\"%s\" pause_ms=%d", listener->port, strerror(error),
		 PAUSE_MS);
	evconnlistener_disable(accept);
	event_add(listener->resume, &pause);
}

static int find_port(int fd)
{
	struct sockaddr_storage addr = {0};
	socklen_t len = sizeof(addr);

	if (getsockname(fd, (struct sockaddr *)&addr, &len) != 0)
		return 0;
	if (addr.ss_family == AF_INET6)
		/* NOLINTNEXTLINE(clang-analyzer-core.CallAndMessage): getsockname() sets it */
		return ntohs(((struct sockaddr_in6 *)(void *)&addr)->sin6_port);
	/* NOLINTNEXTLINE(clang-analyzer-core.CallAndMessage) */
	return ntohs(((struct sockaddr_in *)(void *)&addr)->sin_port);
}

static void name_address(const struct sockaddr *addr, char *text, size_t size)
{
	char ip[INET6_ADDRSTRLEN] = "?";

	if (addr->sa_family == AF_INET6) {
		const struct sockaddr_in6 *v6 = (const void *)addr;

		inet_ntop(AF_INET6, &v6->sin6_addr, ip, sizeof(ip));
		snprintf(text, size, "[%s]:%d", ip, ntohs(v6->sin6_port));
	} else {
		const struct sockaddr_in *v4 = (const void *)addr;

		inet_ntop(AF_INET, &v4->sin_addr, ip, sizeof(ip));
		snprintf(text, size, "%s:%d", ip, ntohs(v4->sin_port));
	}
}

static struct http_listener *allocate(struct event_base *base, size_t max_connections)
{
	struct http_listener *listener = calloc(1, sizeof(*listener));

	if (listener == NULL)
		return NULL;
	STAILQ_INIT(&listener->fresh);
	listener->base = base;
	listener->max = max_connections;
	listener->settle = event_new(base, -1, 0, on_settle, listener);
	listener->resume = evtimer_new(base, on_resume, listener);
	if (listener->settle != NULL && listener->resume != NULL)
		return listener;
	http_listener_free(listener);
	return NULL;
}

struct http_listener *http_listener_new(struct event_base *base, struct evhttp *http,
					const struct sockaddr *addr, socklen_t addr_len,
					size_t max_connections, struct err *err)
{
	struct http_listener *listener = allocate(base, max_connections);
	char where[INET6_ADDRSTRLEN + 16];

	name_address(addr, where, sizeof(where));
	if (listener == NULL)
		goto oom;
	errno = 0;
	listener->accept = evconnlistener_new_bind(
	    base, NULL, NULL, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC | LEV_OPT_REUSEABLE,
	    BACKLOG, addr, (int)addr_len);
	if (listener->accept == NULL) {
		err_set(err, errno == 0 ? EINVAL : errno, "cannot listen on %s: %s", where,
			strerror(errno));
		goto fail;
	}
	listener->port = find_port(evconnlistener_get_fd(listener->accept));
	if (evhttp_bind_listener(http, listener->accept) == NULL) {
		evconnlistener_free(listener->accept);
		goto oom;
	}
	evconnlistener_set_error_cb(listener->accept, on_accept_error);
	evhttp_set_bevcb(http, on_connection, listener);
	LIST_INSERT_HEAD(&listeners, listener, link);
	return listener;
oom:
	err_set(err, ENOMEM, "cannot listen on %s: out of memory", where);
fail:
	if (listener != NULL)
		listener->accept = NULL;
	http_listener_free(listener);
	return NULL;
}

void http_listener_free(struct http_listener *listener)
{
	struct fresh *fresh;

	if (listener == NULL)
		return;
	if (listener->accept != NULL)
		LIST_REMOVE(listener, link);
	while ((fresh = STAILQ_FIRST(&listener->fresh)) != NULL) {
		STAILQ_REMOVE_HEAD(&listener->fresh, link);
		bufferevent_decref(fresh->bev);
		free(fresh);
	}
	if (listener->settle != NULL)
		event_free(listener->settle);
	if (listener->resume != NULL)
		event_free(listener->resume);
	free(listener);
}

int http_listener_port(const struct http_listener *listener)
{
	return listener->port;
}

size_t http_listener_connections(const struct http_listener *listener)
{
	return listener->n_open;
}
