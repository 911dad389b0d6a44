/* A client's HTTP/1 connection: see client_h1.h. */
#include "lb/proxy/client_h1.h"

#include <stddef.h>
#include <string.h>
#include <sys/epoll.h>

#include "lb/proxy/http1_compose.h"
#include "lb/proxy/http1_pipe.h"
#include "lb/proxy/worker.h"

enum { LINGER_MS = 2000, GRACE_MS = 1000 };

void client_h1_slabs_init(struct worker *worker)
{
	slab_init(&worker->clients, sizeof(struct client_h1), 64);
	slab_init(&worker->messages, sizeof(struct h1_message), 8);
}

/* ---- the end ---- */

static void drop_exchange(struct client_h1 *client)
{
	if (client->ex)
		exchange_free(client->ex);
	client->ex = NULL;
	if (client->request)
		pipe_give_back(client->request->message.pipe);
	slab_give_back(&client->base.worker->messages, client->request);
	client->request = NULL;
}

void client_h1_close(struct client_h1 *client)
{
	if (client->state == CLIENT_CLOSED)
		return;
	client->state = CLIENT_CLOSED;
	drop_exchange(client); /* a head that never became a request: exchanges end by themselves */
	client_close(&client->base);
}

static void close_with_reset(struct client_h1 *client)
{
	struct linger linger = {.l_onoff = 1, .l_linger = 0};

	if (client->state != CLIENT_CLOSED)
		setsockopt(client->base.conn.io.fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	client_h1_close(client);
}

/* RFC 9112 9.6: closing over unread bytes would reset the connection, and the reset may destroy
 * the answer on its way. */
static void close_gently(struct client_h1 *client)
{
	bool may_have_unread = client->base.conn.is_readable ||
			       conn_pending(&client->base.conn) > 0 ||
			       client->state == CLIENT_LINGER;

	if (!may_have_unread || client->base.conn.is_eof) {
		client_h1_close(client);
		return;
	}
	client->state = CLIENT_LINGER;
	shutdown(client->base.conn.io.fd, SHUT_WR);
	timer_start(&client->base.worker->loop, &client->base.timer, LINGER_MS);
	loop_defer(&client->base.worker->loop, &client->base.conn.io);
}

static void close_after_flush(struct client_h1 *client, bool has_unread)
{
	if (has_unread)
		client->base.conn.is_readable = true;
	if (!conn_is_blocked(&client->base.conn)) {
		close_gently(client);
		return;
	}
	client->state = CLIENT_FLUSH;
	client_start_idle_timer(&client->base);
}

/* ---- reading ---- */

static bool start_head(struct client_h1 *client)
{
	struct worker *worker = client->base.worker;

	if (client->ex)
		return true;
	client->request = slab_take(&worker->messages);
	if (client->request) {
		h1_start(client->request, HTTP_REQUEST);
		client->ex = exchange_new(worker, &client->request->message);
	}
	if (!client->ex) {
		client_h1_close(client);
		return false;
	}
	client->state = CLIENT_HEAD;
	client->is_doubtful = false;
	client->parsed = 0;
	client->received = 0;
	return true;
}

static bool is_reading_head(const struct client_h1 *client)
{
	return client->state == CLIENT_IDLE || client->state == CLIENT_HEAD;
}

static void read_head(struct client_h1 *client)
{
	enum conn_result result;
	bool was_idle = client->state == CLIENT_IDLE;

	client->base.conn.is_urgent = true;
	if (was_idle && conn_pending(&client->base.conn) > 0) {
		if (!start_head(client) || client_h1_parse_head(client))
			return;
	}
	while ((result = conn_fill(&client->base.conn, &client->base.worker->buffers)) == CONN_OK)
		if (!start_head(client) || client_h1_parse_head(client))
			return;
	if (result == CONN_SHORT) {
		worker_await_buffers(client->base.worker, &client->base.conn.io);
	} else if (result != CONN_AGAIN) {
		client_h1_close(client);
		return;
	}
	/* Not touched by further bytes: a head may not trickle in for ever. */
	if (was_idle && client->state == CLIENT_HEAD)
		client_start_idle_timer(&client->base);
}

/* A request may have come in the meantime, or be about to on a connection that is new. */
static void close_if_idle(struct client *base)
{
	struct client_h1 *client = (struct client_h1 *)base;

	if (client->state != CLIENT_IDLE)
		return;
	client->base.conn.is_readable = true;
	if (!conn_is_blocked(&client->base.conn))
		read_head(client);
	if (client->state != CLIENT_IDLE)
		return;
	if (conn_is_blocked(&client->base.conn)) /* its last answer is still on its way */
		close_after_flush(client, false);
	else if (client->n_requests > 0)
		client_h1_close(client);
	else
		timer_start(&client->base.worker->loop, &client->base.timer, GRACE_MS);
}

static void parse_body(struct client_h1 *client)
{
	struct exchange *ex = client->ex;
	struct buffer *in = client->base.conn.in;
	size_t used;

	/* The spans that went on are forgotten now, even if no others come of these bytes: a
	 * chunk's size brings none. */
	ex->is_body_consumed |= ex->request->n_spans > 0;
	used = h1_parse(client->request, in->bytes + in->from, in->to - in->from);
	in->from += (uint32_t)used;
	ex->received_bytes += used;
	if (ex->request->error != 0) {
		exchange_refuse(ex, ex->request->error);
		return;
	}
	if (ex->request->n_spans > 0 || ex->request->is_done)
		exchange_request_body(ex);
}

/* Bytes that nobody needs to see.  CONN_NO_ROOM: not this way. */
static enum conn_result pipe_body(struct client_h1 *client)
{
	struct exchange *ex = client->ex;
	struct conn *conn = &client->base.conn;
	enum conn_result result;

	if (!h1_is_for_pipe(client->request, conn) || !ex->upstream_ops->takes_pipe(ex))
		return CONN_NO_ROOM;
	result = h1_fill_pipe(client->request, conn, &client->base.worker->pipes);
	if (result != CONN_OK)
		return result;
	ex->received_bytes += ex->request->span_bytes;
	exchange_request_body(ex);
	return CONN_OK;
}

/* Once: passes a pipe on, or parses what is there, reading first if nothing is. */
static enum conn_result read_some_body(struct client_h1 *client, int *turns)
{
	enum conn_result result = pipe_body(client);

	client->base.conn.is_urgent = false;
	*turns += result == CONN_OK ? PIPE_READS : 1;
	if (result != CONN_NO_ROOM)
		return result;
	result = CONN_OK;
	if (conn_pending(&client->base.conn) == 0)
		result = conn_fill(&client->base.conn, &client->base.worker->buffers);
	if (result == CONN_OK)
		parse_body(client);
	return result;
}

static void read_body(struct client_h1 *client)
{
	int turns = 0;

	while (client->state == CLIENT_EXCHANGE && exchange_wants_body(client->ex)) {
		enum conn_result result;

		if (turns >= CONN_READS_PER_TURN) {
			loop_defer(&client->base.worker->loop, &client->base.conn.io);
			break;
		}
		result = read_some_body(client, &turns);
		if (result == CONN_SHORT)
			worker_await_buffers(client->base.worker, &client->base.conn.io);
		if (result == CONN_AGAIN || result == CONN_SHORT)
			break;
		if (result != CONN_OK) {
			exchange_client_gone(client->ex);
			return;
		}
	}
	if (client->state == CLIENT_EXCHANGE)
		conn_trim(&client->base.conn, &client->base.worker->buffers);
}

static void read_and_drop(struct client_h1 *client)
{
	enum conn_result result = CONN_OK;

	for (int turns = 0; turns < CONN_READS_PER_TURN && result == CONN_OK; turns++) {
		if (client->base.conn.in)
			client->base.conn.in->from = client->base.conn.in->to;
		result = conn_fill(&client->base.conn, &client->base.worker->buffers);
	}
	if (result == CONN_OK)
		loop_defer(&client->base.worker->loop, &client->base.conn.io);
	else if (result != CONN_AGAIN)
		client_h1_close(client);
}

/* ---- events ---- */

/* A client that hangs up before its answer began does not want it any more (ALB's 460).  One that
 * only shut its side while the answer flows may still read. */
static void watch_for_hangup(struct client_h1 *client, uint32_t events)
{
	bool is_dead = events & (EPOLLERR | EPOLLHUP);
	bool is_early = client->ex->state != EXCHANGE_RELAY;

	if (is_dead || (client->base.conn.peer_hung_up && is_early))
		exchange_client_gone(client->ex);
}

/* A client that takes its answer slowly is not idle. */
static void note_progress(struct client_h1 *client)
{
	struct timer *timer =
	    client->state == CLIENT_EXCHANGE ? &client->ex->timer : &client->base.timer;

	timer_touch(&client->base.worker->loop, timer);
}

static void on_event(struct io *io, uint32_t events)
{
	struct client_h1 *client = (struct client_h1 *)(void *)io;
	struct conn *conn = &client->base.conn;

	conn_note(conn, events);
	if (conn_is_blocked(conn)) {
		uint64_t sent = conn->bytes_sent;
		enum conn_result result = conn_flush(conn, &client->base.worker->buffers);

		if (result == CONN_FAILED) {
			client_destroy(&client->base);
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
	if (is_reading_head(client) && !conn_is_blocked(conn))
		read_head(client);
	else if (client->state == CLIENT_LINGER)
		read_and_drop(client);
	/* Last: a hang-up that came along with the request is told of only now. */
	if (client->state == CLIENT_EXCHANGE)
		watch_for_hangup(client, events);
}

static void on_timer(struct timer *timer)
{
	struct client_h1 *client =
	    (struct client_h1 *)(void *)((char *)timer - offsetof(struct client_h1, base.timer));

	/* An idle connection is closed silently; 408 is for one that began to say something. */
	if (client->state == CLIENT_HEAD)
		client_h1_refuse(client, 408);
	else
		client_h1_close(client);
}

/* ---- the exchange's side ---- */

static struct client_h1 *client_of(const struct exchange *ex)
{
	return ex->client;
}

static enum conn_result send_all(struct exchange *ex, struct iovec *iov, int n)
{
	struct client_h1 *client = client_of(ex);

	for (int i = 0; i < n; i++)
		ex->sent_bytes += iov[i].iov_len;
	return conn_send(&client->base.conn, &client->base.worker->buffers, iov, n);
}

static bool closes_anyway(const struct client_h1 *client)
{
	return client->framing == OUT_CLOSE || !client->base.socket->listener ||
	       client->base.worker->loop.now_us >= client->base.expires_us;
}

/* The client has promised to send no more: closing finds nothing unread, which would turn the
 * close into a reset and lose what is not sent yet. */
static bool is_all_read(const struct client_h1 *client)
{
	return client->wants_close && client->request->message.is_done &&
	       conn_pending(&client->base.conn) == 0;
}

static enum conn_result respond(struct exchange *ex, bool closes)
{
	struct client_h1 *client = client_of(ex);
	struct worker *worker = client->base.worker;
	struct writer out = {.at = worker->scratch, .end = worker->scratch + SCRATCH_BYTES};
	struct iovec iov[COMPOSE_IOV_MAX];
	char chunk_line[CHUNK_LINE_MAX];
	int n;

	client->framing = response_framing(ex->response, client->request->is_http10);
	struct response_context context = {.message = ex->response,
					   .edits = &ex->listener->attributes.response,
					   .framing = client->framing};
	if (closes_anyway(client))
		ex->request->keeps_alive = false;
	context.keeps_alive = !closes && ex->request->keeps_alive;
	context.cookies = affinity_cookies(ex);
	compose_response(&out, &context);
	if (out.is_full)
		return CONN_NO_ROOM;
	iov[0] = (struct iovec){worker->scratch, (size_t)(out.at - worker->scratch)};
	n = compose_body(ex->response, client->framing == OUT_CHUNKED, iov, 1, chunk_line);
	client->base.conn.is_last = ex->response->is_done && is_all_read(client);
	return send_all(ex, iov, n);
}

static enum conn_result send_pipe(struct exchange *ex)
{
	struct pipe *pipe = ex->response->pipe;

	ex->response->pipe = NULL;
	ex->sent_bytes += pipe->held;
	return conn_send_pipe(&client_of(ex)->base.conn, pipe);
}

static enum conn_result send_body(struct exchange *ex)
{
	if (ex->response->pipe)
		return send_pipe(ex);
	struct iovec iov[COMPOSE_IOV_MAX];
	char chunk_line[CHUNK_LINE_MAX];
	bool is_chunked = client_of(ex)->framing == OUT_CHUNKED;
	int n = compose_body(ex->response, is_chunked, iov, 0, chunk_line);

	return send_all(ex, iov, n);
}

static enum conn_result send_generated(struct exchange *ex, const struct generated *generated)
{
	struct client_h1 *client = client_of(ex);
	struct worker *worker = client->base.worker;
	struct writer out = {.at = worker->scratch, .end = worker->scratch + SCRATCH_BYTES};
	struct generated_context context = {
	    .generated = generated,
	    .edits = &ex->listener->attributes.response,
	    .hides_server = ex->listener->attributes.hides_server,
	    .keeps_alive = generated->keeps_alive && !closes_anyway(client),
	};

	ex->request->keeps_alive = context.keeps_alive;
	compose_generated(&out, &context);
	if (out.is_full)
		return CONN_NO_ROOM;
	struct iovec iov = {worker->scratch, (size_t)(out.at - worker->scratch)};
	client->base.conn.is_last = is_all_read(client);
	return send_all(ex, &iov, 1);
}

static bool is_blocked(const struct exchange *ex)
{
	return conn_is_blocked(&client_of(ex)->base.conn);
}

static bool takes_pipe(const struct exchange *ex)
{
	return client_of(ex)->framing != OUT_CHUNKED;
}

/* ALB answers Expect itself and at once; RFC 9110 10.1.1: not once the body is coming anyway. */
static void send_continue(struct client_h1 *client)
{
	struct iovec iov = {(char *)"HTTP/1.1 100 Continue\r\n\r\n", 25};

	client->sent_continue = true;
	if (client->request->is_http10 || conn_pending(&client->base.conn) > 0 ||
	    client->ex->state == EXCHANGE_RELAY)
		return;
	send_all(client->ex, &iov, 1);
}

static void want_body(struct exchange *ex)
{
	struct client_h1 *client = client_of(ex);

	if (ex->request->expects_continue && !client->sent_continue)
		send_continue(client);
	/* Not from here: the caller may be deep in the upstream's own reading. */
	if (conn_pending(&client->base.conn) > 0 || client->base.conn.is_readable)
		loop_defer(&client->base.worker->loop, &client->base.conn.io);
}

static void end(struct exchange *ex, enum exchange_end how)
{
	struct client_h1 *client = client_of(ex);
	bool is_kept = how == END_KEEP && ex->request->keeps_alive;
	bool has_unread = !ex->request->is_done;

	drop_exchange(client);
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
	conn_trim(&client->base.conn, &client->base.worker->buffers);
	client_start_idle_timer(&client->base);
	/* The next request may be here already: its turn comes with the loop's next. */
	if (conn_pending(&client->base.conn) > 0 || client->base.conn.is_readable)
		loop_defer(&client->base.worker->loop, &client->base.conn.io);
}

const struct client_ops client_h1_ops = {
    .log_type = "http",
    .scheme = TEXT("http"),
    .redirect_protocol = TEXT("HTTP"),
    .respond = respond,
    .body = send_body,
    .generate = send_generated,
    .is_blocked = is_blocked,
    .takes_pipe = takes_pipe,
    .want_body = want_body,
    .end = end,
};

/* ---- the worker's side ---- */

static struct slab *slab(struct worker *worker)
{
	return &worker->clients;
}

static void destroy(struct client *base)
{
	struct client_h1 *client = (struct client_h1 *)base;

	if (client->state == CLIENT_EXCHANGE)
		exchange_client_gone(client->ex);
	client_h1_close(client);
}

static void cut_target(struct client *base, const struct target *target)
{
	struct client_h1 *client = (struct client_h1 *)base;

	if (client->state == CLIENT_EXCHANGE && client->ex->target == target)
		exchange_upstream_failed(client->ex, UPSTREAM_BROKEN);
}

const struct client_protocol client_h1 = {
    .slab = slab,
    .on_event = on_event,
    .on_timer = on_timer,
    .close_if_idle = close_if_idle,
    .destroy = destroy,
    .cut_target = cut_target,
};
