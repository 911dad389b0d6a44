/*
 * The benchmark's floor: an edge-triggered epoll relay, one thread.  It accepts, connects
 * to the target once for each client, and copies bytes both ways.  It parses nothing, pools nothing
 * and counts nothing: no proxy on sockets can cost less, but for large bodies, which it copies
 * where another may splice, and for a connection a request, where another has kept one to the
 * target.
 *
 *   build/bench/relay ADDRESS PORT TARGET_ADDRESS TARGET_PORT
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MAX_FDS = 65536, BYTES = 65536, EVENTS = 256 };

/* One end; what could not be sent to it yet waits here. */
struct end {
	int peer; /* 0 = none */
	bool is_up;
	char *rest;
	size_t n_rest;
};

static struct end ends[MAX_FDS];
static char scratch[BYTES];
static int ep, listener;
static struct sockaddr_in target;

static void drop(int fd)
{
	int peer = ends[fd].peer;

	free(ends[fd].rest);
	ends[fd] = (struct end){0};
	close(fd);
	if (peer != 0 && ends[peer].peer == fd) {
		ends[peer].peer = 0;
		drop(peer);
	}
}

static bool keep_rest(struct end *end, const char *bytes, size_t len)
{
	char *rest = realloc(end->rest, end->n_rest + len);

	if (rest == NULL)
		return false;
	memcpy(rest + end->n_rest, bytes, len);
	end->rest = rest;
	end->n_rest += len;
	return true;
}

/* False when the connection is gone. */
static bool send_to(int fd, const char *bytes, size_t len)
{
	struct end *end = &ends[fd];
	ssize_t n = 0;

	if (end->is_up && end->n_rest == 0)
		n = send(fd, bytes, len, MSG_NOSIGNAL);
	if (n < 0 && errno != EAGAIN)
		return false;
	if (n < 0)
		n = 0;
	return (size_t)n == len || keep_rest(end, bytes + n, len - (size_t)n);
}

static bool flush(int fd)
{
	struct end *end = &ends[fd];
	ssize_t n;

	end->is_up = true;
	if (end->n_rest == 0)
		return true;
	n = send(fd, end->rest, end->n_rest, MSG_NOSIGNAL);
	if (n < 0)
		return errno == EAGAIN;
	memmove(end->rest, end->rest + n, end->n_rest - (size_t)n);
	end->n_rest -= (size_t)n;
	return true;
}

/* A short read means empty, and the next edge will tell of more; but with until_end, when the
 * peer's FIN is there too, no edge will.  False at the end. */
static bool copy(int fd, bool until_end)
{
	int peer = ends[fd].peer;
	ssize_t n;

	do {
		n = recv(fd, scratch, BYTES, 0);
		if (n == 0 || (n < 0 && errno != EAGAIN))
			return false;
		if (n > 0 && !send_to(peer, scratch, (size_t)n))
			return false;
	} while (n == BYTES || (until_end && n > 0));
	return true;
}

static bool watch(int fd)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
				    .data.fd = fd};
	int one = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return fd < MAX_FDS && epoll_ctl(ep, EPOLL_CTL_ADD, fd, &event) == 0;
}

static void accept_all(void)
{
	int client, upstream;

	while ((client = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		upstream = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		if (upstream < 0 || client >= MAX_FDS || upstream >= MAX_FDS) {
			fprintf(stderr, "relay: too many connections\n");
			exit(1);
		}
		ends[client] = (struct end){.peer = upstream, .is_up = true};
		ends[upstream] = (struct end){.peer = client};
		if ((connect(upstream, (struct sockaddr *)&target, sizeof(target)) < 0 &&
		     errno != EINPROGRESS) ||
		    !watch(upstream) || !watch(client))
			drop(client);
	}
}

static void on_event(const struct epoll_event *event)
{
	int fd = event->data.fd;

	if (fd == listener) {
		accept_all();
		return;
	}
	if (ends[fd].peer == 0)
		return; /* dropped earlier in this turn */
	if (((event->events & EPOLLOUT) && !flush(fd)) ||
	    ((event->events & EPOLLIN) && !copy(fd, event->events & EPOLLRDHUP)) ||
	    (event->events & (EPOLLHUP | EPOLLERR)))
		drop(fd);
}

static int parse(const char *address, const char *port, struct sockaddr_in *addr)
{
	*addr = (struct sockaddr_in){.sin_family = AF_INET,
				     .sin_port = htons((uint16_t)strtol(port, NULL, 10))};
	return inet_pton(AF_INET, address, &addr->sin_addr) == 1 ? 0 : -1;
}

static int open_listener(const struct sockaddr_in *addr)
{
	struct epoll_event event = {.events = EPOLLIN};
	int one = 1;

	listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	event.data.fd = listener;
	if (bind(listener, (const struct sockaddr *)addr, sizeof(*addr)) < 0 ||
	    listen(listener, 4096) < 0 || epoll_ctl(ep, EPOLL_CTL_ADD, listener, &event) < 0)
		return -1;
	return 0;
}

int main(int argc, char **argv)
{
	struct epoll_event events[EVENTS];
	struct sockaddr_in addr;

	if (argc != 5 || parse(argv[1], argv[2], &addr) < 0 ||
	    parse(argv[3], argv[4], &target) < 0) {
		fprintf(stderr, "usage: relay ADDRESS PORT TARGET_ADDRESS TARGET_PORT\n");
		return 2;
	}
	ep = epoll_create1(EPOLL_CLOEXEC);
	if (ep < 0 || open_listener(&addr) < 0) {
		perror("relay");
		return 1;
	}
	for (;;) {
		int n = epoll_wait(ep, events, EVENTS, -1);

		for (int i = 0; i < n; i++)
			on_event(&events[i]);
	}
}
