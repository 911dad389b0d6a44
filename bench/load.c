/*
 * The benchmark's load: HTTP/1.1 clients in one thread on one epoll, every failure counted.
 *
 * Closed loop (default): each connection sends its next request when it has its answer; says how
 * much goes through.  Open loop (-r): request i is due at start + i / rate, whatever became of the
 * ones before it, and its latency counts from when it was due, sent or not: nothing is omitted
 * because the proxy was slow.  Idle (-i): every connection has been served once and stays open.
 *
 * The processor time of the processes named by -P is read at both ends of the measured window.
 * Prints one line of JSON.  It is no HTTP client: it wants Content-Length in each answer.
 */
#include <bsd/sys/queue.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "bench/load.h"
#include "common/base/hist.h"

enum {
	HEAD_MAX = 2048,       /* of an answer */
	SCRATCH = 1 << 20,     /* read at once */
	CONNECTING_MAX = 128,  /* at once, so that no listen queue overflows */
	MANY_FAILURES = 10000, /* more are no measurement */
	EVENTS = 512,
};

#define SECOND_NS UINT64_C(1000000000)

enum conn_state { CONN_CLOSED, CONN_CONNECTING, CONN_IDLE, CONN_BUSY, CONN_CLOSING };

/* How a request can fail; what was due and not even sent in time is UNSENT. */
enum failure { CONNECT, BROKEN, STATUS, MALFORMED, TIMEOUT, UNSENT, N_FAILURES };
static const char *const failure_names[N_FAILURES] = {"connect",   "broken",  "status",
						      "malformed", "timeout", "unsent"};

struct conn {
	int fd;
	enum conn_state state;
	bool has_request; /* it is owed one: sent as soon as the connection is there */
	bool will_close;  /* the answer says so */
	bool in_body;
	bool is_served; /* once; for -i */
	uint64_t due_ns, limit_ns;
	uint64_t body_left;
	size_t sent; /* of the request, body and all */
	size_t n_head;
	char head[HEAD_MAX];
	TAILQ_ENTRY(conn) link; /* in idle, while CONN_IDLE or (with -C) CONN_CLOSED */
};

static struct {
	uint64_t start_ns, from_ns, to_ns; /* the window; 0 = not yet */
	uint64_t n_sent, n_total;          /* n_total, open loop: that fall due */
	uint64_t done, done_in_window, bytes_in_window, reopened;
	uint64_t cpu_from_ns, cpu_to_ns, window_from_ns, window_to_ns;
	uint64_t failures[N_FAILURES], n_failures;
	unsigned n_connecting, n_busy, n_ready;
	bool is_over; /* no more requests but those that are due */
} run;

static struct load_options opt;
static struct conn *conns;
static TAILQ_HEAD(, conn) idle = TAILQ_HEAD_INITIALIZER(idle);
static struct hist latency_ns, late_ns; /* late: sent after it was due, our own doing included */
static char scratch[SCRATCH];
static int ep;

static void serve(struct conn *conn, uint64_t now);

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * SECOND_NS + (uint64_t)now.tv_nsec;
}

static uint64_t timeout_ns(void)
{
	return (uint64_t)(opt.timeout_s * (double)SECOND_NS);
}

static void shut(struct conn *conn)
{
	if (conn->state == CONN_CONNECTING)
		run.n_connecting--;
	if (conn->state == CONN_BUSY)
		run.n_busy--;
	if (conn->state == CONN_IDLE)
		TAILQ_REMOVE(&idle, conn, link);
	if (conn->fd >= 0)
		close(conn->fd);
	conn->fd = -1;
	conn->state = CONN_CLOSED;
	if (opt.is_close)
		TAILQ_INSERT_TAIL(&idle, conn, link);
}

static void fail(struct conn *conn, enum failure why)
{
	run.failures[why]++;
	if (++run.n_failures > MANY_FAILURES) {
		fprintf(stderr, "load: too many failures, the last one: %s\n", failure_names[why]);
		exit(1);
	}
	conn->has_request = false;
	shut(conn);
}

static void dial(struct conn *conn, uint64_t now)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
				    .data.ptr = conn};
	int one = 1;

	if (opt.is_close)
		TAILQ_REMOVE(&idle, conn, link);
	conn->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (conn->fd < 0)
		load_die("socket");
	setsockopt(conn->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	conn->state = CONN_CONNECTING;
	conn->limit_ns = now + timeout_ns();
	conn->n_head = 0;
	run.n_connecting++;
	if ((connect(conn->fd, (struct sockaddr *)&opt.addr, sizeof(opt.addr)) < 0 &&
	     errno != EINPROGRESS) ||
	    epoll_ctl(ep, EPOLL_CTL_ADD, conn->fd, &event) < 0)
		fail(conn, CONNECT);
}

/* Sends what of the request the socket takes; the next edge goes on. */
static void push(struct conn *conn)
{
	size_t total = opt.request_len + opt.body_bytes;

	while (conn->sent < total) {
		size_t in_body = conn->sent > opt.request_len ? conn->sent - opt.request_len : 0;
		size_t in_head = conn->sent < opt.request_len ? conn->sent : opt.request_len;
		struct iovec parts[2] = {{opt.request + in_head, opt.request_len - in_head},
					 {opt.upload + in_body, opt.body_bytes - in_body}};
		struct msghdr msg = {.msg_iov = parts, .msg_iovlen = opt.body_bytes ? 2 : 1};
		ssize_t n = sendmsg(conn->fd, &msg, MSG_NOSIGNAL);

		if (n < 0) {
			if (errno != EAGAIN)
				fail(conn, BROKEN);
			return;
		}
		conn->sent += (size_t)n;
	}
}

static void begin(struct conn *conn, uint64_t now)
{
	if (conn->state == CONN_IDLE)
		TAILQ_REMOVE(&idle, conn, link);
	conn->state = CONN_BUSY;
	conn->has_request = false;
	conn->will_close = false;
	conn->in_body = false;
	conn->n_head = 0;
	conn->sent = 0;
	conn->limit_ns = now + timeout_ns();
	run.n_busy++;
	push(conn);
}

static uint64_t due_ns(uint64_t i)
{
	return run.start_ns + (uint64_t)((double)i / opt.rate * (double)SECOND_NS);
}

/* May another request be sent now?  Says when it was due. */
static bool take_request(uint64_t now, uint64_t *due)
{
	if (run.start_ns == 0)
		return false;
	if (opt.rate <= 0) {
		*due = now;
		if (run.is_over || (opt.n_requests > 0 && run.n_sent >= opt.n_requests))
			return false;
		run.n_sent++;
		return true;
	}
	*due = due_ns(run.n_sent);
	if (run.n_sent >= run.n_total || *due > now)
		return false;
	run.n_sent++;
	hist_record(&late_ns, now - *due);
	return true;
}

/* A connection (or, with -C, the place for one) that has nothing to do. */
static void serve(struct conn *conn, uint64_t now)
{
	if (conn->state == CONN_CLOSED && !opt.is_close) {
		if (run.n_connecting < CONNECTING_MAX && !(run.is_over && opt.rate <= 0))
			dial(conn, now);
		return;
	}
	if (opt.is_idle) {
		if (!conn->is_served)
			begin(conn, now);
		return;
	}
	if (!take_request(now, &conn->due_ns))
		return;
	if (conn->state == CONN_IDLE) {
		begin(conn, now);
		return;
	}
	conn->has_request = true;
	dial(conn, now);
}

static void rest(struct conn *conn)
{
	conn->state = CONN_IDLE;
	TAILQ_INSERT_TAIL(&idle, conn, link);
}

static void complete(struct conn *conn)
{
	uint64_t now = now_ns();
	bool is_in_window =
	    run.window_from_ns != 0 && conn->due_ns >= run.from_ns && conn->due_ns < run.to_ns;

	run.done++;
	run.n_busy--;
	conn->is_served = true;
	if (run.window_from_ns != 0 && run.window_to_ns == 0)
		run.done_in_window++;
	if (is_in_window)
		hist_record(&latency_ns, now - conn->due_ns);
	conn->state = CONN_CLOSING;
	conn->limit_ns = now + timeout_ns();
	if (opt.is_close)
		return; /* the peer closes first: it keeps TIME_WAIT, as with ab */
	if (conn->will_close) {
		run.reopened++;
		shut(conn);
		return;
	}
	rest(conn);
	serve(conn, now);
}

/* -1: more is needed; -2: not an answer; else the bytes of the head.  Fills in body_left. */
static ssize_t parse_head(struct conn *conn, const char *bytes, size_t len, int *status)
{
	const char *end = memmem(bytes, len, "\r\n\r\n", 4), *line;
	bool has_length = false;

	if (end == NULL)
		return -1;
	if (len < 16 || memcmp(bytes, "HTTP/1.", 7) != 0)
		return -2;
	*status = (int)strtol(bytes + 9, NULL, 10);
	for (line = memchr(bytes, '\n', (size_t)(end + 2 - bytes)); line != NULL && line < end;
	     line = memchr(line, '\n', (size_t)(end + 2 - line))) {
		line++;
		if (strncasecmp(line, "content-length:", 15) == 0) {
			conn->body_left = strtoull(line + 15, NULL, 10);
			has_length = true;
		}
		if (strncasecmp(line, "connection: close", 17) == 0)
			conn->will_close = true;
	}
	return has_length ? end + 4 - bytes : -2;
}

/* False when the connection is no more. */
static bool take_head(struct conn *conn, const char *bytes, size_t len)
{
	int status = 0;
	ssize_t used;

	if (conn->n_head > 0 || memmem(bytes, len, "\r\n\r\n", 4) == NULL) {
		size_t room = HEAD_MAX - 1 - conn->n_head, n = len < room ? len : room;

		memcpy(conn->head + conn->n_head, bytes, n);
		conn->n_head += n;
		used = parse_head(conn, conn->head, conn->n_head, &status);
		if (used == -1 && n == len)
			return true;
		used -= (ssize_t)(conn->n_head - n); /* of these bytes */
		conn->n_head = 0;
	} else {
		used = parse_head(conn, bytes, len, &status);
	}
	if (used < 0 || (len -= (size_t)used) > conn->body_left) {
		fail(conn, MALFORMED);
		return false;
	}
	if (status < 200 || status > 299) {
		fail(conn, STATUS);
		return false;
	}
	conn->in_body = true;
	conn->body_left -= len;
	return true;
}

/* Reads what there is; the bytes of a large body are counted, not copied. */
static void pull(struct conn *conn, bool until_end)
{
	while (conn->state == CONN_BUSY || conn->state == CONN_IDLE ||
	       conn->state == CONN_CLOSING) {
		bool is_large = conn->in_body && conn->body_left > 0;
		size_t want = is_large && conn->body_left < SCRATCH ? conn->body_left : SCRATCH;
		ssize_t n = recv(conn->fd, scratch, want, is_large ? MSG_TRUNC : 0);

		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0) {
			if (conn->state == CONN_BUSY) {
				fail(conn, BROKEN);
				return;
			}
			run.reopened += conn->state == CONN_IDLE;
			shut(conn);
			return;
		}
		if (conn->state != CONN_BUSY) {
			fail(conn, MALFORMED); /* nothing was asked for */
			return;
		}
		if (run.window_from_ns != 0 && run.window_to_ns == 0)
			run.bytes_in_window += (uint64_t)n;
		if (is_large)
			conn->body_left -= (uint64_t)n;
		else if (!take_head(conn, scratch, (size_t)n))
			return;
		if (conn->in_body && conn->body_left == 0) {
			conn->in_body = false;
			complete(conn);
		}
		if ((size_t)n < want && !until_end)
			return;
	}
}

static void on_connected(struct conn *conn, uint64_t now)
{
	int error = 0;
	socklen_t len = sizeof(error);

	getsockopt(conn->fd, SOL_SOCKET, SO_ERROR, &error, &len);
	if (error != 0) {
		fail(conn, CONNECT);
		return;
	}
	run.n_connecting--;
	if (conn->has_request) {
		conn->state = CONN_CLOSED; /* in no list */
		begin(conn, now);
		return;
	}
	rest(conn);
	run.n_ready++;
	serve(conn, now);
}

static void on_event(const struct epoll_event *event, uint64_t now)
{
	struct conn *conn = event->data.ptr;

	if (conn->state == CONN_CONNECTING) {
		if (event->events & (EPOLLOUT | EPOLLERR | EPOLLHUP))
			on_connected(conn, now);
	} else if (conn->state == CONN_BUSY && (event->events & EPOLLOUT) &&
		   conn->sent < opt.request_len + opt.body_bytes) {
		push(conn);
	}
	if (event->events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
		pull(conn, event->events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR));
}

/* Connections that are gone are opened again, requests that take too long have failed. */
static void sweep(uint64_t now)
{
	for (unsigned i = 0; i < opt.n_conns; i++) {
		struct conn *conn = &conns[i];

		if (conn->state == CONN_CLOSED && !opt.is_close)
			serve(conn, now);
		else if (conn->state != CONN_IDLE && conn->state != CONN_CLOSED &&
			 now > conn->limit_ns)
			fail(conn, TIMEOUT);
	}
}

static void start(uint64_t now)
{
	run.start_ns = now;
	run.from_ns = now + (uint64_t)(opt.warm_s * (double)SECOND_NS);
	run.to_ns = run.from_ns + (uint64_t)(opt.seconds * (double)SECOND_NS);
	run.n_total = (uint64_t)(opt.rate * (opt.warm_s + opt.seconds));
	if (opt.rate > 0)
		return;
	for (unsigned i = 0; i < opt.n_conns; i++)
		if (conns[i].state == CONN_IDLE || opt.is_close)
			serve(&conns[i], now);
}

/* The edges of the window, and whatever is due. */
static void on_turn(uint64_t now)
{
	struct conn *conn;

	if (run.start_ns == 0) {
		if (opt.is_close || run.n_ready >= opt.n_conns)
			start(now);
		return;
	}
	if (run.window_from_ns == 0 && now >= run.from_ns) {
		run.cpu_from_ns = load_cpu_ns(opt.pids, opt.n_pids);
		run.window_from_ns = now_ns();
	}
	if (!run.is_over && now >= run.to_ns) {
		run.window_to_ns = now;
		run.cpu_to_ns = load_cpu_ns(opt.pids, opt.n_pids);
		run.is_over = true;
	}
	while ((conn = TAILQ_FIRST(&idle)) != NULL) {
		uint64_t sent = run.n_sent;

		if (opt.is_close && opt.rate <= 0 && run.is_over)
			break;
		if (opt.is_close && run.n_connecting >= CONNECTING_MAX)
			break;
		serve(conn, now);
		if (opt.rate > 0 ? run.n_sent == sent : TAILQ_FIRST(&idle) == conn)
			break; /* nothing is due */
	}
}

static uint64_t sleep_ns(uint64_t now)
{
	uint64_t until = now + SECOND_NS / 10, due;

	if (run.start_ns == 0)
		return SECOND_NS / 100;
	if (run.window_from_ns == 0 && run.from_ns < until)
		until = run.from_ns;
	if (!run.is_over && run.to_ns < until)
		until = run.to_ns;
	if (opt.rate > 0 && run.n_sent < run.n_total && !TAILQ_EMPTY(&idle)) {
		due = due_ns(run.n_sent);
		until = due < until ? due : until;
	}
	return until > now ? until - now : 0;
}

static bool is_finished(uint64_t now)
{
	if (opt.is_idle)
		return run.done >= opt.n_conns;
	if (opt.n_requests > 0 && run.done + run.n_failures >= opt.n_requests)
		return true;
	if (!run.is_over)
		return false;
	if (now > run.to_ns + timeout_ns() + SECOND_NS)
		return true;
	return run.n_busy == 0 && run.n_connecting == 0 &&
	       (opt.rate <= 0 || run.n_sent >= run.n_total);
}

static void loop(void)
{
	struct epoll_event events[EVENTS];
	uint64_t now = now_ns(), swept = 0, begun = now;

	while (!is_finished(now)) {
		uint64_t ns = sleep_ns(now);
		struct timespec timeout = {.tv_sec = (time_t)(ns / SECOND_NS),
					   .tv_nsec = (long)(ns % SECOND_NS)};
		int n = epoll_pwait2(ep, events, EVENTS, &timeout, NULL);

		now = now_ns();
		for (int i = 0; i < n; i++)
			on_event(&events[i], now);
		now = now_ns();
		if (now - swept > SECOND_NS / 100 ||
		    (run.n_ready < opt.n_conns && run.n_connecting < CONNECTING_MAX / 2 &&
		     !opt.is_close)) {
			sweep(now);
			swept = now;
		}
		if (!opt.is_idle)
			on_turn(now);
		if (run.start_ns == 0 && now - begun > 60 * SECOND_NS) {
			fprintf(stderr, "load: %u of %u connected in 60 s\n", run.n_ready,
				opt.n_conns);
			exit(1);
		}
	}
	if (opt.rate > 0)
		run.failures[UNSENT] = run.n_total - run.n_sent;
}

static double quantile_us(const struct hist *hist, double quantile)
{
	return (double)hist_quantile(hist, quantile) / 1e3;
}

static void print_result(void)
{
	double seconds = (double)(run.window_to_ns - run.window_from_ns) / 1e9;
	double cpu_us = (double)(run.cpu_to_ns - run.cpu_from_ns) / 1e3;
	double requests = (double)run.done_in_window;

	printf("{\"done\": %" PRIu64 ", \"requests\": %" PRIu64
	       ", \"seconds\": %.6f, \"rate\": %.1f, \"bytes\": %" PRIu64 ", \"reopened\": %" PRIu64
	       ", ",
	       run.done, run.done_in_window, seconds, seconds > 0 ? requests / seconds : 0,
	       run.bytes_in_window, run.reopened);
	if (opt.n_pids > 0 && requests > 0)
		printf("\"cpu_us\": %.4f, \"cpu_share\": %.4f, ", cpu_us / requests,
		       cpu_us / 1e6 / seconds);
	printf("\"failures\": {");
	for (int i = 0; i < N_FAILURES; i++)
		printf("%s\"%s\": %" PRIu64, i > 0 ? ", " : "", failure_names[i], run.failures[i]);
	printf("}, \"latency_us\": {\"count\": %" PRIu64 ", \"p50\": %.1f, \"p90\": %.1f, "
	       "\"p99\": %.1f, \"p99.9\": %.1f, \"max\": %.1f}, \"late_us\": {\"p50\": %.1f, "
	       "\"p99\": %.1f}}\n",
	       (uint64_t)latency_ns.count, quantile_us(&latency_ns, 0.5),
	       quantile_us(&latency_ns, 0.9), quantile_us(&latency_ns, 0.99),
	       quantile_us(&latency_ns, 0.999), (double)latency_ns.max / 1e3,
	       quantile_us(&late_ns, 0.5), quantile_us(&late_ns, 0.99));
}

int main(int argc, char **argv)
{
	char byte;

	load_parse_options(argc, argv, &opt);
	prctl(PR_SET_TIMERSLACK, 1UL); /* else each wait may last 50 us longer */
	ep = epoll_create1(EPOLL_CLOEXEC);
	conns = calloc(opt.n_conns, sizeof(*conns));
	if (ep < 0 || conns == NULL)
		load_die("start");
	for (unsigned i = 0; i < opt.n_conns; i++) {
		conns[i].fd = -1;
		if (opt.is_close)
			TAILQ_INSERT_TAIL(&idle, &conns[i], link);
	}
	loop();
	print_result();
	fflush(stdout);
	while (opt.is_idle && read(STDIN_FILENO, &byte, 1) > 0)
		;
	return 0;
}
