/*
 * The benchmark's target: a bare epoll HTTP server, one thread, one fixed answer.
 * It looks for the empty line that ends a head and for "keep-alive" or "close", and
 * for nothing else: it is no server, only the least work a target can do.
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

enum { MAX_FDS = 65536, IN_BYTES = 16384, OUT_BYTES = 1 << 20, MAX_BODY = 65536 };

static char answer_keep[MAX_BODY + 256], answer_close[MAX_BODY + 256];
static size_t keep_len, close_len;
static char *pending[MAX_FDS]; /* of a head that came in pieces; IN_BYTES each */
static size_t n_pending[MAX_FDS];
static char out[OUT_BYTES];

static size_t make_answer(char *answer, const char *connection, int body_bytes)
{
	int len = snprintf(answer, 256,
			   "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: "
			   "%d\r\nConnection: %s\r\n\r\n",
			   body_bytes, connection);

	memset(answer + len, 'x', (size_t)body_bytes);
	return (size_t)len + (size_t)body_bytes;
}

static void drop(int fd)
{
	n_pending[fd] = 0;
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

static void on_bytes(int fd)
{
	char *in = pending[fd];
	ssize_t n = recv(fd, in + n_pending[fd], IN_BYTES - n_pending[fd], 0);
	size_t from = 0, to, out_len = 0;
	bool goes_on = true;

	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0) {
		drop(fd);
		return;
	}
	to = n_pending[fd] + (size_t)n;
	while (goes_on && from < to) {
		char *end = memmem(in + from, to - from, "\r\n\r\n", 4);

		if (!end || out_len + keep_len > OUT_BYTES)
			break;
		size_t head_len = (size_t)(end + 4 - (in + from));
		goes_on = is_kept(in + from, head_len);
		memcpy(out + out_len, goes_on ? answer_keep : answer_close,
		       goes_on ? keep_len : close_len);
		out_len += goes_on ? keep_len : close_len;
		from += head_len;
	}
	memmove(in, in + from, to - from);
	n_pending[fd] = to - from;
	if (out_len > 0 && send(fd, out, out_len, MSG_NOSIGNAL) != (ssize_t)out_len)
		goes_on = false;
	if (!goes_on || n_pending[fd] == IN_BYTES)
		drop(fd);
}

static void on_accept(int epoll_fd, int listen_fd)
{
	int fd;

	while ((fd = accept4(listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

		if (fd < MAX_FDS && !pending[fd])
			pending[fd] = malloc(IN_BYTES);
		if (fd >= MAX_FDS || !pending[fd] ||
		    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
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

int main(int argc, char **argv)
{
	const char *address = argc > 1 ? argv[1] : "127.0.0.1";
	int port = argc > 2 ? atoi(argv[2]) : 9000;
	int body = argc > 3 ? atoi(argv[3]) : 64;
	int listen_fd = listen_on(address, port), epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event event = {.events = EPOLLIN, .data.fd = listen_fd}, events[256];

	if (body < 0 || body > MAX_BODY || listen_fd < 0 || epoll_fd < 0 ||
	    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listen_fd, &event) < 0) {
		fprintf(stderr, "target: cannot listen on %s:%d: %s\n", address, port,
			strerror(errno));
		return 1;
	}
	keep_len = make_answer(answer_keep, "keep-alive", body);
	close_len = make_answer(answer_close, "close", body);
	for (;;) {
		int n = epoll_wait(epoll_fd, events, 256, -1);

		for (int i = 0; i < n; i++) {
			if (events[i].data.fd == listen_fd)
				on_accept(epoll_fd, listen_fd);
			else
				on_bytes(events[i].data.fd);
		}
	}
}
