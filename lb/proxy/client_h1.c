/*
 * A client's HTTP/1 connection: one exchange at a time, in order; what a client
 * sends ahead stays in the kernel or in its buffer until its turn.  Plays the client
 * party of an exchange (struct client_ops).  Worker's thread.
 *
 *   IDLE -> HEAD -> EXCHANGE -> IDLE
 *     |      |        |  \--> FLUSH -> LINGER -> closed
 *     +------+--------+----> closed
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "lb/proxy/exchange.h"
#include "lb/proxy/http1_head.h"
#include "lb/proxy/worker.h"

enum client_state {
	CLIENT_IDLE,     /* between requests: no buffer, no exchange */
	CLIENT_HEAD,     /* a request's head is arriving */
	CLIENT_EXCHANGE, /* in the hands of the exchange */
	CLIENT_FLUSH,    /* the last answer is on its way */
	CLIENT_LINGER,   /* sent, our side shut: reads on so that no reset overtakes the answer */
	CLIENT_CLOSED,
};

enum { LINGER_MS = 2000, GRACE_MS = 1000, HTTP1_IOV_MAX = H1_MAX_SPANS + 4 };

struct client {
	struct conn conn; /* first */
	struct worker *worker;
	struct worker_socket *socket;
	enum client_state state;
	struct exchange *ex; /* NULL while idle */
	uint32_t parsed;     /* bytes of conn.in that the head's parser has seen */
	uint64_t received;   /* of this request */
	uint64_t n_requests;
	enum out_framing framing;
	bool sent_continue;
	bool is_doubtful;   /* the head is not for the strict reader: it gets a second look */
	struct timer timer; /* idle, head, flush, linger; the exchange has its own */
	struct lb_counters *counters;
	int64_t expires_us; /* client_keep_alive.seconds after it was accepted */
	unsigned idle_ms;
	uint64_t id;
	struct sockaddr_storage addr;
	char label[LABEL_MAX]; /* "203.0.113.9:51514" */
	char ip[INET6_ADDRSTRLEN];
	char node[INET6_ADDRSTRLEN]; /* ours; "" when nothing is logged */
	struct grave grave;
	TAILQ_ENTRY(client) link;
};

static void on_event(struct io *io, uint32_t events);
static void on_timer(struct timer *timer);
static const struct client_ops ops;

/* ---- life ---- */

void client_slabs_init(struct worker *worker)
{
	slab_init(&worker->clients, sizeof(struct client), 64);
}

static void set_labels(struct client *client)
{
	if (client->addr.ss_family == AF_INET) {
		const struct sockaddr_in *in = (const struct sockaddr_in *)&client->addr;

		inet_ntop(AF_INET, &in->sin_addr, client->ip, sizeof(client->ip));
		snprintf(client->label, sizeof(client->label), "%s:%u", client->ip,
			 ntohs(in->sin_port));
	} else {
		const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&client->addr;

		inet_ntop(AF_INET6, &in6->sin6_addr, client->ip, sizeof(client->ip));
		snprintf(client->label, sizeof(client->label), "[%s]:%u", client->ip,
			 ntohs(in6->sin6_port));
	}
}

/* The address that it connected to: nobody but the logs wants to know. */
static void set_node(struct client *client)
{
	struct sockaddr_storage addr = {0};
	socklen_t len = sizeof(addr);

	if (getsockname(client->conn.io.fd, (struct sockaddr *)&addr, &len) < 0)
		return;
	if (addr.ss_family == AF_INET)
		inet_ntop(AF_INET, &((struct sockaddr_in *)&addr)->sin_addr, client->node,
			  sizeof(client->node));
	else
		inet_ntop(AF_INET6, &((struct sockaddr_in6 *)&addr)->sin6_addr, client->node,
			  sizeof(client->node));
}

static unsigned port_of(const struct sockaddr_storage *addr)
{
	return ntohs(addr->ss_family == AF_INET ? ((const struct sockaddr_in *)addr)->sin_port
						: ((const struct sockaddr_in6 *)addr)->sin6_port);
}

static void log_connection(struct client *client)
{
	struct worker *worker = client->worker;
	const struct listener *listener = client->socket->listener;

	if (worker->config->access_log || worker->config->connection_log)
		set_node(client);
	if (!worker->config->connection_log)
		return;
	struct connection_entry entry = {.accepted_us = worker_wall_us(worker),
					 .client_ip = client->ip,
					 .client_port = port_of(&client->addr),
					 .listener_port = listener->port,
					 .connection_id = client->id,
					 .elb = listener->load_balancer->resource,
					 .node = client->node};
	connection_log_write(worker->config->connection_log, worker->lane, &entry);
}

static void start_idle_timer(struct client *client)
{
	timer_start(&client->worker->loop, &client->timer, client->idle_ms);
}

static uint64_t n_connections(const struct worker *worker)
{
	return atomic_load_explicit(&worker->n_connections, memory_order_relaxed);
}

void client_accept(struct worker_socket *socket, int fd, const struct sockaddr_storage *addr)
{
	struct worker *worker = socket->worker;
	const struct load_balancer *lb = socket->listener->load_balancer;
	struct lb_counters *counters =
	    counters_lb(worker->config->counters, worker->lane, lb->slot);
	struct client *client = NULL;

	if (n_connections(worker) < worker->config->max_connections)
		client = slab_take(&worker->clients);
	if (!client) {
		counter_add(&counters->values[LB_COUNTER_REJECTED_CONNECTIONS], 1);
		close(fd);
		return;
	}
	memset(client, 0, sizeof(*client));
	conn_init(&client->conn, fd, on_event);
	client->worker = worker;
	client->socket = socket;
	client->counters = counters;
	client->addr = *addr;
	client->id = worker_random(worker);
	client->idle_ms = lb->attributes.idle_timeout_s * 1000;
	client->expires_us =
	    worker->loop.now_us + (int64_t)lb->attributes.client_keep_alive_s * 1000000;
	client->timer.fn = on_timer;
	set_labels(client);
	log_connection(client);
	if (loop_add(&worker->loop, &client->conn.io) < 0) {
		counter_add(&counters->values[LB_COUNTER_REJECTED_CONNECTIONS], 1);
		close(fd);
		slab_give_back(&worker->clients, client);
		return;
	}
	socket->users++;
	TAILQ_INSERT_TAIL(&worker->all_clients, client, link);
	counter_add(&counters->values[LB_COUNTER_NEW_CONNECTIONS], 1);
	counter_add(&counters->values[LB_COUNTER_ACTIVE_CONNECTIONS], 1);
	counter_add(&worker->n_connections, 1);
	start_idle_timer(client);
}

/* Safe from any callback, even twice: the memory lives until the loop turns. */
static void close_now(struct client *client)
{
	struct worker *worker = client->worker;

	if (client->state == CLIENT_CLOSED)
		return;
	client->state = CLIENT_CLOSED;
	if (client->ex) /* only a head that never became a request: exchanges end by themselves */
		exchange_free(client->ex);
	client->ex = NULL;
	timer_stop(&client->timer);
	conn_close(&client->conn, &worker->loop, &worker->buffers);
	counter_add(&client->counters->values[LB_COUNTER_ACTIVE_CONNECTIONS], (uint64_t)-1);
	counter_add(&worker->n_connections, (uint64_t)-1);
	TAILQ_REMOVE(&worker->all_clients, client, link);
	worker_socket_unref(client->socket);
	worker_bury(worker, &client->grave, &worker->clients, client);
}

static void close_with_reset(struct client *client)
{
	struct linger linger = {.l_onoff = 1, .l_linger = 0};

	if (client->state != CLIENT_CLOSED)
		setsockopt(client->conn.io.fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	close_now(client);
}

/* RFC 9112 9.6: closing over unread bytes would reset the connection, and the reset may destroy
 * the answer on its way. */
static void close_gently(struct client *client)
{
	bool may_have_unread = client->conn.is_readable || conn_pending(&client->conn) > 0 ||
			       client->state == CLIENT_LINGER;

	if (!may_have_unread || client->conn.is_eof) {
		close_now(client);
		return;
	}
	client->state = CLIENT_LINGER;
	shutdown(client->conn.io.fd, SHUT_WR);
	timer_start(&client->worker->loop, &client->timer, LINGER_MS);
	loop_defer(&client->worker->loop, &client->conn.io);
}

static void close_after_flush(struct client *client, bool has_unread)
{
	if (has_unread)
		client->conn.is_readable = true;
	if (!conn_is_blocked(&client->conn)) {
		close_gently(client);
		return;
	}
	client->state = CLIENT_FLUSH;
	start_idle_timer(client);
}

bool client_uses(const struct client *client, const struct worker_socket *socket)
{
	return client->socket == socket;
}

struct client *client_next(struct client *client)
{
	return TAILQ_NEXT(client, link);
}

void client_destroy(struct client *client)
{
	if (client->state == CLIENT_EXCHANGE)
		exchange_client_gone(client->ex);
	close_now(client);
}

void client_cut_target(struct client *client, const struct target *target)
{
	if (client->state == CLIENT_EXCHANGE && client->ex->target == target)
		exchange_upstream_failed(client->ex, UPSTREAM_BROKEN);
}

/* ---- reading ---- */

static bool attach_listener(struct client *client)
{
	client->ex->listener = client->socket->listener;
	return client->ex->listener != NULL;
}

static void enter_exchange(struct client *client)
{
	struct exchange *ex = client->ex;

	timer_stop(&client->timer);
	client->state = CLIENT_EXCHANGE;
	client->n_requests++;
	ex->client = client;
	ex->client_ops = &ops;
	ex->client_ip = text_of(client->ip);
	ex->client_addr = text_of(client->label);
	ex->client_sockaddr = (const struct sockaddr *)&client->addr;
	ex->connection_id = client->id;
	ex->node = client->node;
	ex->received_bytes = client->received;
	client->sent_continue = false;
}

static void refuse(struct client *client, unsigned status)
{
	if (!attach_listener(client)) {
		close_now(client);
		return;
	}
	enter_exchange(client);
	exchange_refuse(client->ex, status);
}

/* RFC 9112 6.1: framed twice is the end of the connection, in whatever mode. */
static bool decide_desync(struct client *client, struct desync_verdict verdict)
{
	struct exchange *ex = client->ex;
	enum desync_mode mode = ex->listener->load_balancer->attributes.desync_mode;
	enum desync_action action = desync_decide(mode, verdict.tier);

	ex->desync = verdict;
	ex->desync_closes = action == DESYNC_FORWARD_AND_CLOSE || verdict.tier == DESYNC_SEVERE ||
			    verdict.reason == DESYNC_REASON_BOTH_TE_CL;
	return action != DESYNC_BLOCK;
}

static void refuse_head(struct client *client, unsigned status)
{
	client->ex->request.error = status;
	refuse(client, status);
}

/* The head's texts point into conn.in: it becomes the exchange's, and what follows the head moves
 * to a buffer of its own. */
static bool hand_over_buffer(struct client *client, uint32_t used)
{
	struct buffer *in = client->conn.in, *rest = NULL;
	uint32_t left = in->to - in->from - used;

	if (left > 0) {
		rest = buffer_take(&client->worker->buffers, left);
		if (!rest)
			return false;
		memcpy(rest->bytes, in->bytes + in->from + used, left);
		rest->to = left;
	}
	client->ex->head = in;
	client->conn.in = rest;
	return true;
}

static void begin(struct client *client, uint32_t used)
{
	struct h1_message *request = &client->ex->request;

	if (!attach_listener(client)) {
		close_now(client);
		return;
	}
	if (request->is_odd && !request->is_rewritten &&
	    !decide_desync(client, h1_verdict(request))) {
		refuse_head(client, 400);
		return;
	}
	if (!hand_over_buffer(client, used)) {
		close_now(client);
		return;
	}
	enter_exchange(client);
	exchange_begin(client->ex);
}

/* The head in order and what follows it, in place of what came.  0, or the status to refuse with.
 */
static unsigned rewrite_head(struct client *client, const struct h1_head *head)
{
	struct buffer_pool *buffers = &client->worker->buffers;
	struct buffer *in = client->conn.in, *out = buffer_take(buffers, BUFFER_HUGE);
	size_t left = in->to - in->from - head->len;
	unsigned status;

	if (!out)
		return 400;
	struct writer writer = {.at = out->bytes, .end = out->bytes + out->cap - left};
	status = h1_head_rewrite(head, &writer);
	if (status != 0) {
		buffer_give_back(buffers, out);
		return status;
	}
	memcpy(writer.at, in->bytes + in->from + head->len, left);
	out->to = (uint32_t)((size_t)(writer.at - out->bytes) + left);
	client->received = head->len - (uint64_t)(writer.at - out->bytes);
	buffer_give_back(buffers, in);
	client->conn.in = out;
	return 0;
}

static bool parse_head(struct client *client);

static bool await_rest_of_head(struct client *client)
{
	struct buffer *in = client->conn.in;

	if (in->to < in->cap)
		return false;
	client->ex->request.method = (struct text){0}; /* it points into the buffer that is left */
	if (conn_grow(&client->conn, &client->worker->buffers))
		return false;
	refuse(client, 400);
	return true;
}

/* The strict reader said no with this status: is it a request that the mode forwards in order? */
static bool look_again(struct client *client)
{
	struct h1_message *request = &client->ex->request;
	const struct buffer *in = client->conn.in;
	unsigned status = request->error;
	struct h1_head head;

	client->is_doubtful = true;
	switch (h1_head_read(&head, in->bytes + in->from, in->to - in->from)) {
	case H1_HEAD_PARTIAL:
		client->parsed = in->to - in->from;
		return await_rest_of_head(client);
	case H1_HEAD_HOPELESS:
		refuse(client, status);
		return true;
	case H1_HEAD_WHOLE:
		break;
	}
	if (!attach_listener(client)) {
		close_now(client);
		return true;
	}
	bool is_blocked = !decide_desync(client, head.verdict);
	status = rewrite_head(client, &head);
	if (is_blocked || status != 0) {
		refuse_head(client, is_blocked && status != 505 ? 400 : status);
		return true;
	}
	h1_start(request, HTTP_REQUEST);
	request->is_rewritten = true;
	client->ex->has_lost_header = head.loses_header;
	client->parsed = 0;
	return parse_head(client);
}

/* What came since is looked at only when it ends a line: a line at a time, not a byte. */
static bool look_at_more(struct client *client)
{
	const struct buffer *in = client->conn.in;
	const char *start = in->bytes + in->from + client->parsed;

	if (memchr(start, '\n', in->to - in->from - client->parsed))
		return look_again(client);
	client->parsed = in->to - in->from;
	return await_rest_of_head(client);
}

static bool may_look_again(const struct h1_message *request)
{
	return !request->is_head_done && !request->is_rewritten &&
	       (request->error == 400 || request->error == 505);
}

/* Parses what is there.  False: the head needs more bytes. */
static bool parse_head(struct client *client)
{
	if (client->is_doubtful && !client->ex->request.is_rewritten)
		return look_at_more(client);
	struct h1_message *request = &client->ex->request;
	struct buffer *in = client->conn.in;
	const char *start = in->bytes + in->from;
	uint32_t len = in->to - in->from;
	uint32_t used = client->parsed;

	used += (uint32_t)h1_parse(request, start + used, len - used);
	client->received += used - client->parsed;
	client->parsed = used;
	if (request->error != 0) {
		if (may_look_again(request))
			return look_again(client);
		refuse(client, request->error);
		return true;
	}
	if (request->is_head_done) {
		begin(client, used);
		return true;
	}
	if (in->to < in->cap)
		return false;
	if (!conn_grow(&client->conn, &client->worker->buffers)) {
		refuse(client, 400);
		return true;
	}
	/* The bytes moved, and with them what the head's texts point at. */
	h1_start(request, HTTP_REQUEST);
	client->parsed = 0;
	client->received = 0;
	return parse_head(client);
}

static bool start_head(struct client *client)
{
	if (client->ex)
		return true;
	client->ex = exchange_new(client->worker);
	if (!client->ex) {
		close_now(client);
		return false;
	}
	client->state = CLIENT_HEAD;
	client->is_doubtful = false;
	client->parsed = 0;
	client->received = 0;
	return true;
}

static bool is_reading_head(const struct client *client)
{
	return client->state == CLIENT_IDLE || client->state == CLIENT_HEAD;
}

static void read_head(struct client *client)
{
	enum conn_result result;
	bool was_idle = client->state == CLIENT_IDLE;

	if (was_idle && conn_pending(&client->conn) > 0) {
		if (!start_head(client) || parse_head(client))
			return;
	}
	while ((result = conn_fill(&client->conn, &client->worker->buffers)) == CONN_OK)
		if (!start_head(client) || parse_head(client))
			return;
	if (result != CONN_AGAIN) {
		close_now(client);
		return;
	}
	/* Not touched by further bytes: a head may not trickle in for ever. */
	if (was_idle && client->state == CLIENT_HEAD)
		start_idle_timer(client);
}

/* A request may have come in the meantime, or be about to on a connection that is new. */
void client_close_if_idle(struct client *client)
{
	if (client->state != CLIENT_IDLE)
		return;
	client->conn.is_readable = true;
	if (!conn_is_blocked(&client->conn))
		read_head(client);
	if (client->state != CLIENT_IDLE)
		return;
	if (conn_is_blocked(&client->conn)) /* its last answer is still on its way */
		close_after_flush(client, false);
	else if (client->n_requests > 0)
		close_now(client);
	else
		timer_start(&client->worker->loop, &client->timer, GRACE_MS);
}

static void parse_body(struct client *client)
{
	struct exchange *ex = client->ex;
	struct buffer *in = client->conn.in;
	size_t used = h1_parse(&ex->request, in->bytes + in->from, in->to - in->from);

	in->from += (uint32_t)used;
	ex->received_bytes += used;
	if (ex->request.error != 0) {
		exchange_refuse(ex, ex->request.error);
		return;
	}
	if (ex->request.n_spans > 0 || ex->request.is_done)
		exchange_request_body(ex);
}

static bool wants_body(const struct client *client)
{
	const struct exchange *ex = client->ex;

	return client->state == CLIENT_EXCHANGE && !ex->request.is_done && ex->upstream &&
	       (ex->state == EXCHANGE_WAIT || ex->state == EXCHANGE_RELAY) &&
	       !ex->upstream_ops->is_blocked(ex);
}

static void read_body(struct client *client)
{
	for (int turns = 0; wants_body(client); turns++) {
		enum conn_result result = CONN_OK;

		if (turns == CONN_READS_PER_TURN) {
			loop_defer(&client->worker->loop, &client->conn.io);
			break;
		}
		if (conn_pending(&client->conn) == 0)
			result = conn_fill(&client->conn, &client->worker->buffers);
		if (result == CONN_AGAIN)
			break;
		if (result != CONN_OK) {
			exchange_client_gone(client->ex);
			return;
		}
		parse_body(client);
	}
	if (client->state == CLIENT_EXCHANGE)
		conn_trim(&client->conn, &client->worker->buffers);
}

static void read_and_drop(struct client *client)
{
	enum conn_result result = CONN_OK;

	for (int turns = 0; turns < CONN_READS_PER_TURN && result == CONN_OK; turns++) {
		if (client->conn.in)
			client->conn.in->from = client->conn.in->to;
		result = conn_fill(&client->conn, &client->worker->buffers);
	}
	if (result == CONN_OK)
		loop_defer(&client->worker->loop, &client->conn.io);
	else if (result != CONN_AGAIN)
		close_now(client);
}

/* ---- events ---- */

/* A client that hangs up before its answer began does not want it any more (ALB's 460).  One that
 * only shut its side while the answer flows may still read. */
static void watch_for_hangup(struct client *client, uint32_t events)
{
	bool is_dead = events & (EPOLLERR | EPOLLHUP);
	bool is_early = client->ex->state != EXCHANGE_RELAY;

	if (is_dead || ((events & EPOLLRDHUP) && is_early))
		exchange_client_gone(client->ex);
}

/* A client that takes its answer slowly is not idle. */
static void note_progress(struct client *client)
{
	struct timer *timer =
	    client->state == CLIENT_EXCHANGE ? &client->ex->timer : &client->timer;

	timer_touch(&client->worker->loop, timer);
}

static void on_event(struct io *io, uint32_t events)
{
	struct client *client = (struct client *)(void *)io;
	struct conn *conn = &client->conn;

	conn_note(conn, events);
	if (conn_is_blocked(conn)) {
		uint64_t sent = conn->bytes_sent;
		enum conn_result result = conn_flush(conn, &client->worker->buffers);

		if (result == CONN_FAILED) {
			client_destroy(client);
			return;
		}
		if (conn->bytes_sent != sent)
			note_progress(client);
		if (result == CONN_OK && client->state == CLIENT_EXCHANGE)
			exchange_client_drained(client->ex);
		else if (result == CONN_OK && client->state == CLIENT_FLUSH)
			close_gently(client);
	}
	if (client->state == CLIENT_EXCHANGE)
		read_body(client);
	if (client->state == CLIENT_EXCHANGE)
		watch_for_hangup(client, events);
	if (is_reading_head(client) && !conn_is_blocked(conn))
		read_head(client);
	else if (client->state == CLIENT_LINGER)
		read_and_drop(client);
}

static void on_timer(struct timer *timer)
{
	struct client *client =
	    (struct client *)(void *)((char *)timer - offsetof(struct client, timer));

	/* An idle connection is closed silently; 408 is for one that began to say something. */
	if (client->state == CLIENT_HEAD)
		refuse(client, 408);
	else
		close_now(client);
}

/* ---- the exchange's side ---- */

static struct client *client_of(const struct exchange *ex)
{
	return ex->client;
}

static enum conn_result send_all(struct exchange *ex, struct iovec *iov, int n)
{
	struct client *client = client_of(ex);

	for (int i = 0; i < n; i++)
		ex->sent_bytes += iov[i].iov_len;
	return conn_send(&client->conn, &client->worker->buffers, iov, n);
}

/* The response's spans as they go on the wire, after the n entries there are. */
static int frame_body(struct client *client, struct iovec *iov, int n, char *chunk_line)
{
	const struct h1_message *response = client->ex->response;
	bool is_chunked = client->framing == OUT_CHUNKED;

	if (is_chunked && response->span_bytes > 0)
		iov[n++] = (struct iovec){chunk_line,
					  compose_chunk_line(chunk_line, response->span_bytes)};
	for (unsigned i = 0; i < response->n_spans; i++)
		iov[n++] = response->spans[i];
	if (is_chunked && response->span_bytes > 0)
		iov[n++] = (struct iovec){(char *)"\r\n", 2};
	if (is_chunked && response->is_done)
		iov[n++] = (struct iovec){(char *)"0\r\n\r\n", 5};
	return n;
}

static bool closes_anyway(const struct client *client)
{
	return client->framing == OUT_CLOSE || !client->socket->listener ||
	       client->worker->loop.now_us >= client->expires_us;
}

static enum conn_result respond(struct exchange *ex, bool closes)
{
	struct client *client = client_of(ex);
	struct worker *worker = client->worker;
	struct writer out = {.at = worker->scratch, .end = worker->scratch + SCRATCH_BYTES};
	struct iovec iov[HTTP1_IOV_MAX];
	char chunk_line[CHUNK_LINE_MAX];
	int n;

	client->framing = response_framing(ex->response, ex->request.is_http10);
	struct response_context context = {.message = ex->response,
					   .edits = &ex->listener->attributes.response,
					   .framing = client->framing};
	if (closes_anyway(client))
		ex->request.keeps_alive = false;
	context.keeps_alive = !closes && ex->request.keeps_alive;
	context.cookies = affinity_cookies(ex);
	compose_response(&out, &context);
	if (out.is_full)
		return CONN_NO_ROOM;
	iov[0] = (struct iovec){worker->scratch, (size_t)(out.at - worker->scratch)};
	n = frame_body(client, iov, 1, chunk_line);
	return send_all(ex, iov, n);
}

static enum conn_result send_body(struct exchange *ex)
{
	struct iovec iov[HTTP1_IOV_MAX];
	char chunk_line[CHUNK_LINE_MAX];
	int n = frame_body(client_of(ex), iov, 0, chunk_line);

	return send_all(ex, iov, n);
}

static enum conn_result send_generated(struct exchange *ex, const struct generated *generated)
{
	struct client *client = client_of(ex);
	struct worker *worker = client->worker;
	struct writer out = {.at = worker->scratch, .end = worker->scratch + SCRATCH_BYTES};
	struct generated copy = *generated;

	copy.hides_server = ex->listener->attributes.hides_server;
	copy.edits = &ex->listener->attributes.response;
	copy.keeps_alive = generated->keeps_alive && !closes_anyway(client);
	ex->request.keeps_alive = copy.keeps_alive;
	compose_generated(&out, &copy);
	if (out.is_full)
		return CONN_NO_ROOM;
	struct iovec iov = {worker->scratch, (size_t)(out.at - worker->scratch)};
	return send_all(ex, &iov, 1);
}

static bool is_blocked(const struct exchange *ex)
{
	return conn_is_blocked(&client_of(ex)->conn);
}

/* ALB answers Expect itself and at once; RFC 9110 10.1.1: not once the body is coming anyway. */
static void send_continue(struct client *client)
{
	struct iovec iov = {(char *)"HTTP/1.1 100 Continue\r\n\r\n", 25};

	client->sent_continue = true;
	if (client->ex->request.is_http10 || conn_pending(&client->conn) > 0 ||
	    client->ex->state == EXCHANGE_RELAY)
		return;
	send_all(client->ex, &iov, 1);
}

static void want_body(struct exchange *ex)
{
	struct client *client = client_of(ex);

	if (ex->request.expects_continue && !client->sent_continue)
		send_continue(client);
	/* Not from here: the caller may be deep in the upstream's own reading. */
	if (conn_pending(&client->conn) > 0 || client->conn.is_readable)
		loop_defer(&client->worker->loop, &client->conn.io);
}

static void end(struct exchange *ex, enum exchange_end how)
{
	struct client *client = client_of(ex);
	bool is_kept = how == END_KEEP && ex->request.keeps_alive;
	bool has_unread = !ex->request.is_done;

	client->ex = NULL;
	exchange_free(ex);
	if (how == END_ABORT) {
		client->state = CLIENT_IDLE;
		close_with_reset(client);
		return;
	}
	if (!is_kept) {
		client->state = CLIENT_FLUSH;
		close_after_flush(client, has_unread);
		return;
	}
	client->state = CLIENT_IDLE;
	conn_trim(&client->conn, &client->worker->buffers);
	start_idle_timer(client);
	/* The next request may be here already: its turn comes with the loop's next. */
	if (conn_pending(&client->conn) > 0 || client->conn.is_readable)
		loop_defer(&client->worker->loop, &client->conn.io);
}

static const struct client_ops ops = {
    .log_type = "http",
    .scheme = TEXT("http"),
    .redirect_protocol = TEXT("HTTP"),
    .respond = respond,
    .body = send_body,
    .generate = send_generated,
    .is_blocked = is_blocked,
    .want_body = want_body,
    .end = end,
};
