/*
 * The benchmark's target: a bare epoll HTTP server, one thread, one fixed answer.
 * It looks for the empty line that ends a head, for "keep-alive" or "close", and where the method
 * starts with P for the length of the body that follows; for nothing else: it is no server,
 * only the least work a target can do.
 *
 *   build/bench/target [ADDRESS [PORT [BODY_BYTES]]]     default 127.0.0.1 9000 64
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

enum { MAX_FDS = 65536, IN_BYTES = 16384, MAX_BODY = 1 << 20, EVENTS = 256 };

struct answer {
	char bytes[MAX_BODY + 256];
	size_t len;
};

struct conn {
	char *in; /* IN_BYTES; kept for the next connection of this number */
	size_t n_in;
	size_t upload_left;       /* of a request's body */
	const char *out;          /* what of an answer could not be sent yet */
	size_t n_out;             /* 0 = nothing */
	bool is_last, is_waiting; /* closes after the answer; asked to be told of room to send */
};

static struct answer answer_keep, answer_close;
static struct conn conns[MAX_FDS];
static char sink[MAX_BODY]; /* never written */
static int ep, listener;

static void make_answer(struct answer *answer, const char *connection, int body_bytes)
{
	int len = snprintf(answer->bytes, 256,
			   "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: "
			   "%d\r\nConnection: %s\r\n\r\n",
			   body_bytes, connection);

	memset(answer->bytes + len, 'x', (size_t)body_bytes);
	answer->len = (size_t)len + (size_t)body_bytes;
}

static void drop(int fd)
{
	conns[fd] = (struct conn){.in = conns[fd].in};
	close(fd);
}

/* Does the connection go on after the request whose head is head? */
static bool is_kept(const char *head, size_t len)
{
	bool is_10 = memmem(head, len, " HTTP/1.0\r\n", 11) != NULL;

	if (is_10)
		return memmem(head, len, "eep-", 4) || memmem(head, len, "EEP-", 4);
	return !memmem(head, len, "onnection: close", 16);
}

/* No other field of these clients ends so. */
static size_t body_of(const char *head, size_t len)
{
	const char *found = memmem(head, len, "ength: ", 7);

	return found ? strtoul(found + 7, NULL, 10) : 0;
}

static void watch(int fd, bool for_room)
{
	struct epoll_event event = {.events = for_room ? EPOLLOUT : EPOLLIN, .data.fd = fd};

	if (conns[fd].is_waiting != for_room)
		epoll_ctl(ep, EPOLL_CTL_MOD, fd, &event);
	conns[fd].is_waiting = for_room;
}

/* False when the connection is gone. */
static bool flush(int fd)
{
	struct conn *conn = &conns[fd];

	while (conn->n_out > 0) {
		ssize_t n = send(fd, conn->out, conn->n_out, MSG_NOSIGNAL);

		if (n < 0 && errno == EAGAIN) {
			watch(fd, true);
			return true;
		}
		if (n < 0) {
			drop(fd);
			return false;
		}
		conn->out += n;
		conn->n_out -= (size_t)n;
	}
	if (conn->is_last) {
		drop(fd);
		return false;
	}
	watch(fd, false);
	return true;
}

static bool answer(int fd)
{
	struct conn *conn = &conns[fd];
	const struct answer *answer = conn->is_last ? &answer_close : &answer_keep;

	conn->out = answer->bytes;
	conn->n_out = answer->len;
	return flush(fd);
}

/* Answers each request that is there in full, until an answer does not fit the socket. */
static bool take_requests(int fd)
{
	struct conn *conn = &conns[fd];
	size_t from = 0;

	while (conn->n_out == 0) {
		char *head = conn->in + from, *end;
		size_t left = conn->n_in - from;

		end = memmem(head, left, "\r\n\r\n", 4);
		if (!end)
			break;
		size_t head_len = (size_t)(end + 4 - head), body;
		conn->is_last = !is_kept(head, head_len);
		conn->upload_left = *head == 'P' ? body_of(head, head_len) : 0;
		left -= head_len;
		body = conn->upload_left < left ? conn->upload_left : left;
		from += head_len + body;
		conn->upload_left -= body;
		if (conn->upload_left > 0)
			break;
		if (!answer(fd))
			return false;
	}
	memmove(conn->in, conn->in + from, conn->n_in - from);
	conn->n_in -= from;
	return true;
}

static void on_bytes(int fd)
{
	struct conn *conn = &conns[fd];
	bool is_upload = conn->upload_left > 0;
	size_t sink_len = conn->upload_left < MAX_BODY ? conn->upload_left : MAX_BODY;
	/* A body's bytes are dropped in the kernel. */
	ssize_t n = is_upload ? recv(fd, sink, sink_len, MSG_TRUNC)
			      : recv(fd, conn->in + conn->n_in, IN_BYTES - conn->n_in, 0);

	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0) {
		drop(fd);
		return;
	}
	if (is_upload) {
		conn->upload_left -= (size_t)n;
		if (conn->upload_left == 0)
			answer(fd);
		return;
	}
	conn->n_in += (size_t)n;
	if (take_requests(fd) && conn->n_in == IN_BYTES)
		drop(fd);
}

static void on_accept(void)
{
	int fd;

	while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

		if (fd < MAX_FDS && !conns[fd].in)
			conns[fd].in = malloc(IN_BYTES);
		if (fd >= MAX_FDS || !conns[fd].in || epoll_ctl(ep, EPOLL_CTL_ADD, fd, &event) < 0)
			close(fd);
	}
}

static int listen_on(const char *address, int port)
{
	struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0 || inet_pton(AF_INET, address, &addr.sin_addr) != 1)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 || listen(fd, 4096) < 0)
		return -1;
	return fd;
}

static void on_event(const struct epoll_event *event)
{
	int fd = event->data.fd;

	if (fd == listener)
		on_accept();
	else if (conns[fd].n_out == 0)
		on_bytes(fd);
	else if (flush(fd) && conns[fd].n_out == 0)
		take_requests(fd);
}

int main(int argc, char **argv)
{
	const char *address = argc > 1 ? argv[1] : "127.0.0.1";
	int port = argc > 2 ? atoi(argv[2]) : 9000;
	int body = argc > 3 ? atoi(argv[3]) : 64;
	struct epoll_event event = {.events = EPOLLIN}, events[EVENTS];

	listener = event.data.fd = listen_on(address, port);
	ep = epoll_create1(EPOLL_CLOEXEC);
	if (body < 0 || body > MAX_BODY || listener < 0 || ep < 0 ||
	    epoll_ctl(ep, EPOLL_CTL_ADD, listener, &event) < 0) {
		fprintf(stderr, "target: cannot listen on %s:%d: %s\n", address, port,
			strerror(errno));
		return 1;
	}
	make_answer(&answer_keep, "keep-alive", body);
	make_answer(&answer_close, "close", body);
	for (;;) {
		int n = epoll_wait(ep, events, EVENTS, -1);

		for (int i = 0; i < n; i++)
			on_event(&events[i]);
	}
}
