/* HTTP/1.1 to targets, and the pools: see upstream.h. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/log.h"
#include "lb/proxy/http1.h"
#include "lb/proxy/http1_compose.h"
#include "lb/proxy/http1_pipe.h"
#include "lb/proxy/upstream.h"
#include "lb/proxy/worker.h"

enum upstream_state {
	UPSTREAM_CONNECTING,
	UPSTREAM_BUSY,
	UPSTREAM_IDLE, /* in the pool */
	UPSTREAM_GONE,
};

enum { MAX_INTERIM = 32 }; /* 1xx before one answer */

struct upstream {
	struct conn conn; /* first */
	struct worker *worker;
	struct upstream_pool *pool;
	struct target *target; /* a reference */
	enum upstream_state state;
	struct exchange *ex;         /* while CONNECTING, BUSY */
	struct h1_message *response; /* leased from the worker; NULL until one begins */
	uint32_t parsed;             /* bytes of conn.in that the head's parser has seen */
	unsigned n_interim;          /* 1xx answers to this request */
	bool is_reused;
	bool is_in_call;    /* pump() is on the stack */
	struct timer timer; /* connect; idle */
	unsigned idle_ms;   /* in the pool: idle_timeout.timeout_seconds */
	struct lb_counters *counters;
	struct grave grave;
	TAILQ_ENTRY(upstream) link; /* in the pool's idle list */
};

struct upstream_pool {
	struct worker *worker;
	struct target *target;       /* a reference */
	uint64_t generation;         /* of the last install that had the target */
	TAILQ_HEAD(, upstream) idle; /* newest first */
	LIST_ENTRY(upstream_pool) link;
};

static const struct upstream_ops ops;

/* ---- pools ---- */

void upstream_h1_slabs_init(struct worker *worker)
{
	slab_init(&worker->upstreams, sizeof(struct upstream), 64);
}

static struct upstream_pool *pool_of(struct worker *worker, struct target *target)
{
	struct upstream_pool *pool = target->lanes[worker->lane].pool;

	if (pool)
		return pool;
	pool = malloc(sizeof(*pool)); /* once a target */
	if (!pool)
		return NULL;
	pool->worker = worker;
	pool->target = target_ref(target);
	pool->generation = worker->generation;
	TAILQ_INIT(&pool->idle);
	LIST_INSERT_HEAD(&worker->pools, pool, link);
	target->lanes[worker->lane].pool = pool;
	return pool;
}

/* Safe from any callback, even twice. */
static void close_now(struct upstream *up)
{
	struct worker *worker = up->worker;

	if (up->state == UPSTREAM_GONE)
		return;
	if (up->state == UPSTREAM_IDLE)
		TAILQ_REMOVE(&up->pool->idle, up, link);
	up->state = UPSTREAM_GONE;
	timer_stop(&up->timer);
	conn_close(&up->conn, &worker->loop, &worker->buffers);
	counter_add(&up->counters->values[LB_COUNTER_ACTIVE_CONNECTIONS], (uint64_t)-1);
	target_unref(up->target);
	worker_bury(worker, &up->grave, &worker->upstreams, up);
}

static void pool_close_idle(struct upstream_pool *pool)
{
	struct upstream *up;

	while ((up = TAILQ_FIRST(&pool->idle)))
		close_now(up);
}

static void pool_free(struct upstream_pool *pool)
{
	pool_close_idle(pool);
	pool->target->lanes[pool->worker->lane].pool = NULL;
	LIST_REMOVE(pool, link);
	target_unref(pool->target);
	free(pool);
}

void upstream_pools_sweep(struct worker *worker)
{
	const struct snapshot *snapshot = worker->view->snapshot;
	struct upstream_pool *pool, *next;

	worker->generation++;
	for (size_t g = 0; g < snapshot_n_groups(snapshot); g++) {
		struct target_group *group = snapshot_group(snapshot, g);

		for (unsigned t = 0; t < group->n_targets; t++) {
			pool = group->targets[t]->lanes[worker->lane].pool;
			if (pool)
				pool->generation = worker->generation;
		}
	}
	LIST_FOREACH_SAFE (pool, &worker->pools, link, next)
		if (pool->generation != worker->generation)
			pool_free(pool);
}

void upstream_pools_fini(struct worker *worker)
{
	struct upstream_pool *pool;

	while ((pool = LIST_FIRST(&worker->pools)))
		pool_free(pool);
}

/* ---- opening ---- */

static void on_event(struct io *io, uint32_t events);
static void on_timer(struct timer *timer);

static void attach(struct upstream *up, struct exchange *ex)
{
	up->ex = ex;
	up->parsed = 0;
	up->n_interim = 0;
	ex->upstream = up;
	ex->upstream_ops = &ops;
	ex->is_response_begun = false;
}

static struct upstream *upstream_new(struct exchange *ex, struct target *target, int fd)
{
	struct worker *worker = ex->worker;
	struct upstream *up = slab_take(&worker->upstreams);
	int on = 1;

	if (!up)
		return NULL;
	memset(up, 0, sizeof(*up));
	conn_init(&up->conn, fd, on_event);
	up->worker = worker;
	up->timer.fn = on_timer;
	up->target = target_ref(target);
	up->counters =
	    counters_lb(worker->config->counters, worker->lane, ex->listener->load_balancer->slot);
	up->idle_ms = ex->listener->load_balancer->attributes.idle_timeout_s * 1000;
	if (worker->config->pool_idle_ms > 0)
		up->idle_ms = worker->config->pool_idle_ms;
	counter_add(&up->counters->values[LB_COUNTER_NEW_CONNECTIONS], 1);
	counter_add(&up->counters->values[LB_COUNTER_ACTIVE_CONNECTIONS], 1);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	return up;
}

static enum upstream_opened connect_to(struct exchange *ex, struct target *target)
{
	struct worker *worker = ex->worker;
	struct upstream *up;
	int fd = socket(target->addr.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return UPSTREAM_REFUSED;
	int result = connect(fd, (struct sockaddr *)&target->addr, target->addr_len);
	if (result < 0 && errno != EINPROGRESS) {
		close(fd);
		return UPSTREAM_REFUSED;
	}
	up = upstream_new(ex, target, fd);
	if (!up) {
		close(fd);
		return UPSTREAM_REFUSED;
	}
	if (loop_add(&worker->loop, &up->conn.io) < 0) {
		close_now(up);
		return UPSTREAM_REFUSED;
	}
	attach(up, ex);
	if (result == 0) {
		up->state = UPSTREAM_BUSY;
		return UPSTREAM_READY;
	}
	up->state = UPSTREAM_CONNECTING;
	timer_start(&worker->loop, &up->timer, worker->config->connect_timeout_ms);
	return UPSTREAM_PENDING;
}

static bool is_alive(struct upstream *up)
{
	char byte;

	return recv(up->conn.io.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

static enum upstream_opened open_h1(struct exchange *ex, struct target *target,
				    enum upstream_wish wish)
{
	struct upstream_pool *pool = target->lanes[ex->worker->lane].pool;
	struct upstream *up;

	while (wish != UPSTREAM_FRESH && pool && (up = TAILQ_FIRST(&pool->idle))) {
		if (wish == UPSTREAM_CAREFUL && !is_alive(up)) {
			close_now(up);
			continue;
		}
		TAILQ_REMOVE(&pool->idle, up, link);
		timer_stop(&up->timer);
		up->state = UPSTREAM_BUSY;
		up->is_reused = true;
		attach(up, ex);
		return UPSTREAM_READY;
	}
	return connect_to(ex, target);
}

/* ---- reading the response ---- */

/* Gives the exchange up before telling it, so that it may start another at once. */
static void fail(struct upstream *up, enum upstream_failure failure)
{
	exchange_upstream_failed(up->ex, failure);
}

static void restart_response(struct upstream *up)
{
	h1_start(up->response, HTTP_RESPONSE);
	up->response->is_to_head = text_equal(up->ex->request->method, TEXT("HEAD"));
	up->parsed = 0;
}

static bool start_response(struct upstream *up)
{
	struct exchange *ex = up->ex;

	if (up->response)
		return true;
	up->response = slab_take(&up->worker->messages);
	if (!up->response) {
		fail(up, UPSTREAM_BROKEN);
		return false;
	}
	ex->response = &up->response->message;
	ex->is_response_begun = true;
	restart_response(up);
	return true;
}

/* 1xx: not the answer yet.  100 was given by us; early hints are dropped; 101 nobody asked for; and
 * no answer needs a flood of them. */
static void skip_interim(struct upstream *up)
{
	struct exchange *ex = up->ex;

	if (ex->response->status == 101 || ++up->n_interim > MAX_INTERIM) {
		fail(up, UPSTREAM_MALFORMED);
		return;
	}
	restart_response(up);
}

static void deliver(struct upstream *up, bool is_first)
{
	if (up->ex->response->status / 100 == 1)
		skip_interim(up);
	else if (is_first)
		exchange_response(up->ex);
	else if (up->ex->response->n_spans > 0 || up->ex->response->is_done)
		exchange_response_body(up->ex);
}

static void await_rest_of_head(struct upstream *up)
{
	struct buffer *in = up->conn.in;

	if (in->to < in->cap)
		return;
	if (!conn_grow(&up->conn, &up->worker->buffers)) {
		fail(up, UPSTREAM_MALFORMED);
		return;
	}
	restart_response(up); /* the bytes moved */
}

/* Parses what is in the buffer.  False: more bytes are needed first. */
static bool parse(struct upstream *up)
{
	struct exchange *ex = up->ex;
	struct buffer *in = up->conn.in;

	if (!start_response(up))
		return true;
	struct message *response = ex->response;
	bool was_head_done = response->is_head_done;
	const char *start = in->bytes + in->from + up->parsed;
	size_t len = in->to - in->from - up->parsed;
	size_t used = h1_parse(up->response, start, len);
	if (response->error != 0) {
		fail(up, was_head_done ? UPSTREAM_BROKEN : UPSTREAM_MALFORMED);
		return true;
	}
	if (!response->is_head_done) {
		up->parsed += (uint32_t)used;
		await_rest_of_head(up);
		return up->ex != ex || up->parsed == 0;
	}
	in->from += up->parsed + (uint32_t)used;
	up->parsed = 0;
	deliver(up, !was_head_done);
	return true;
}

static void on_end(struct upstream *up)
{
	struct exchange *ex = up->ex;

	if (!up->response) {
		fail(up, UPSTREAM_CLOSED);
	} else if (h1_end(up->response)) {
		exchange_response_body(ex);
	} else {
		fail(up, UPSTREAM_BROKEN);
	}
}

/* Bytes that nobody needs to see.  CONN_NO_ROOM: not this way. */
static enum conn_result pipe_body(struct upstream *up)
{
	struct exchange *ex = up->ex;
	enum conn_result result;

	if (!up->response || !h1_is_for_pipe(up->response, &up->conn) ||
	    !ex->client_ops->takes_pipe(ex))
		return CONN_NO_ROOM;
	result = h1_fill_pipe(up->response, &up->conn, &up->worker->pipes);
	if (result == CONN_OK)
		exchange_response_body(ex);
	return result;
}

static enum conn_result read_more(struct upstream *up, int *turns)
{
	enum conn_result result = pipe_body(up);

	if (result == CONN_OK)
		*turns += PIPE_READS - 1;
	return result == CONN_NO_ROOM ? conn_fill(&up->conn, &up->worker->buffers) : result;
}

static bool may_read(const struct upstream *up, const struct exchange *ex)
{
	return up->state == UPSTREAM_BUSY && up->ex == ex && !ex->client_ops->is_blocked(ex);
}

/* Reads and passes on for as long as there are bytes and the client takes them. */
static void pump(struct upstream *up)
{
	struct exchange *ex = up->ex;
	bool needs_more = conn_pending(&up->conn) <= up->parsed;

	if (up->is_in_call)
		return;
	up->is_in_call = true;
	for (int turns = 0; may_read(up, ex); turns++) {
		enum conn_result result;

		if (turns >= CONN_READS_PER_TURN) {
			loop_defer(&up->worker->loop, &up->conn.io);
			break;
		}
		result = needs_more ? read_more(up, &turns) : CONN_OK;
		if (result == CONN_SHORT)
			worker_await_buffers(up->worker, &up->conn.io);
		if (result == CONN_AGAIN || result == CONN_SHORT)
			break;
		if (result == CONN_EOF)
			on_end(up);
		else if (result != CONN_OK)
			fail(up, ex->is_response_begun ? UPSTREAM_BROKEN : UPSTREAM_CLOSED);
		else if (conn_pending(&up->conn) > up->parsed) /* else it went through a pipe */
			needs_more = !parse(up);
		if (up->state != UPSTREAM_BUSY || up->ex != ex)
			break;
		needs_more = needs_more || conn_pending(&up->conn) <= up->parsed;
	}
	up->is_in_call = false;
	if (up->state == UPSTREAM_BUSY)
		conn_trim(&up->conn, &up->worker->buffers);
}

/* ---- events ---- */

static void on_connected(struct upstream *up, uint32_t events)
{
	struct exchange *ex = up->ex;
	int error = 0;
	socklen_t len = sizeof(error);

	if (!(events & (EPOLLOUT | EPOLLERR | EPOLLHUP)))
		return;
	if (getsockopt(up->conn.io.fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0 || error != 0) {
		fail(up, UPSTREAM_CONNECT_FAILED);
		return;
	}
	timer_stop(&up->timer);
	up->state = UPSTREAM_BUSY;
	exchange_upstream_ready(ex);
	/* It may have answered, and hung up, without waiting to be asked: no other edge will come.
	 */
	if (up->state == UPSTREAM_BUSY && up->ex == ex)
		pump(up);
}

static void on_busy(struct upstream *up)
{
	struct exchange *ex = up->ex;

	if (conn_is_blocked(&up->conn)) {
		uint64_t sent = up->conn.bytes_sent;
		enum conn_result result = conn_flush(&up->conn, &up->worker->buffers);

		if (up->conn.bytes_sent != sent) /* a target that reads slowly is not idle */
			timer_touch(&up->worker->loop, &ex->timer);
		if (result == CONN_OK)
			exchange_upstream_drained(ex);
		/* CONN_FAILED: it may have answered before it closed; reading will tell. */
	}
	if (up->state == UPSTREAM_BUSY && up->ex == ex)
		pump(up);
}

static void on_event(struct io *io, uint32_t events)
{
	struct upstream *up = (struct upstream *)(void *)io;

	conn_note(&up->conn, events);
	switch (up->state) {
	case UPSTREAM_CONNECTING:
		on_connected(up, events);
		break;
	case UPSTREAM_BUSY:
		on_busy(up);
		break;
	case UPSTREAM_IDLE: /* the end, or bytes that nobody asked for */
		if (up->conn.is_readable)
			close_now(up);
		break;
	case UPSTREAM_GONE:
		break;
	}
}

static void on_timer(struct timer *timer)
{
	struct upstream *up =
	    (struct upstream *)(void *)((char *)timer - offsetof(struct upstream, timer));

	if (up->state == UPSTREAM_CONNECTING)
		fail(up, UPSTREAM_CONNECT_TIMEOUT);
	else
		close_now(up);
}

/* ---- the exchange's side ---- */

static struct upstream *upstream_of(const struct exchange *ex)
{
	return ex->upstream;
}

static enum conn_result send_request(struct exchange *ex)
{
	struct upstream *up = upstream_of(ex);
	struct worker *worker = up->worker;
	struct writer out = {.at = worker->scratch, .end = worker->scratch + SCRATCH_BYTES};
	struct writer port = {.at = (char[8]){0}};
	char *port_text = port.at;
	struct iovec iov[COMPOSE_IOV_MAX];
	char chunk_line[CHUNK_LINE_MAX];

	port.end = port.at + 8;
	put_number(&port, ex->listener->port);
	struct request_context context = {
	    .message = ex->request,
	    .target = ex->outgoing,
	    .attributes = &ex->listener->load_balancer->attributes,
	    .edits = &ex->listener->attributes.request,
	    .dns_name = text_of(ex->listener->load_balancer->dns_name),
	    .client_ip = ex->client_ip,
	    .client_addr = ex->client_addr,
	    .port = {port_text, (size_t)(port.at - port_text)},
	    .protocol = ex->client_ops->scheme,
	    .trace_id = ex->trace_id,
	};
	compose_request(&out, &context);
	if (out.is_full)
		return CONN_NO_ROOM;
	iov[0] = (struct iovec){worker->scratch, (size_t)(out.at - worker->scratch)};
	int n = compose_body(ex->request, ex->request->body == BODY_STREAM, iov, 1, chunk_line);
	return conn_send(&up->conn, &worker->buffers, iov, n);
}

static enum conn_result send_body(struct exchange *ex)
{
	struct upstream *up = upstream_of(ex);
	struct pipe *pipe = ex->request->pipe;
	struct iovec iov[COMPOSE_IOV_MAX];
	char chunk_line[CHUNK_LINE_MAX];

	ex->request->pipe = NULL;
	if (pipe)
		return conn_send_pipe(&up->conn, pipe);
	int n = compose_body(ex->request, ex->request->body == BODY_STREAM, iov, 0, chunk_line);
	return conn_send(&up->conn, &up->worker->buffers, iov, n);
}

static bool is_blocked(const struct exchange *ex)
{
	return conn_is_blocked(&upstream_of(ex)->conn);
}

static bool takes_pipe(const struct exchange *ex)
{
	return ex->request->body == BODY_LENGTH;
}

static bool is_reused(const struct exchange *ex)
{
	return upstream_of(ex)->is_reused;
}

static void want_response(struct exchange *ex)
{
	struct upstream *up = upstream_of(ex);

	/* Not from here: the caller may be deep in the client's own reading. */
	loop_defer(&up->worker->loop, &up->conn.io);
}

static bool is_poolable(const struct upstream *up)
{
	enum target_state state = target_state(up->target);

	return up->state == UPSTREAM_BUSY && conn_pending(&up->conn) == 0 &&
	       !conn_is_blocked(&up->conn) && !up->conn.is_eof && !up->conn.is_readable &&
	       !up->worker->is_draining && state != TARGET_DRAINING && state != TARGET_UNUSED;
}

static void release(struct exchange *ex, bool is_reusable)
{
	struct upstream *up = upstream_of(ex);
	struct worker *worker = up->worker;

	up->ex = NULL;
	up->pool = NULL;
	if (up->response)
		pipe_give_back(up->response->message.pipe);
	slab_give_back(&worker->messages, up->response);
	up->response = NULL;
	if (is_reusable && is_poolable(up))
		up->pool = pool_of(worker, up->target);
	if (!up->pool) {
		close_now(up);
		return;
	}
	conn_trim(&up->conn, &worker->buffers);
	loop_undefer(&worker->loop, &up->conn.io);
	up->state = UPSTREAM_IDLE;
	TAILQ_INSERT_HEAD(&up->pool->idle, up, link);
	timer_start(&worker->loop, &up->timer, up->idle_ms);
}

static const struct upstream_ops ops = {
    .request = send_request,
    .body = send_body,
    .is_blocked = is_blocked,
    .takes_pipe = takes_pipe,
    .want_response = want_response,
    .is_reused = is_reused,
    .release = release,
};

const struct upstream_protocol upstream_h1 = {.version = "HTTP1", .open = open_h1};
