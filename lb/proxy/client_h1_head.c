/* Request heads on an HTTP/1 connection: read, looked at again when odd, handed to the exchange.
 * See client_h1.h. */
#include <string.h>

#include "lb/proxy/client_h1.h"
#include "lb/proxy/http1_head.h"
#include "lb/proxy/worker.h"

static bool attach_listener(struct client_h1 *client)
{
	client->ex->listener = client->base.socket->listener;
	return client->ex->listener != NULL;
}

static void enter_exchange(struct client_h1 *client)
{
	struct exchange *ex = client->ex;

	timer_stop(&client->base.timer);
	client->state = CLIENT_EXCHANGE;
	client->n_requests++;
	ex->client = client;
	ex->client_ops = &client_h1_ops;
	client_introduce(&client->base, ex);
	ex->received_bytes = client->received;
	client->sent_continue = false;
	client->wants_close =
	    client->request->message.is_head_done && !client->request->message.keeps_alive;
}

void client_h1_refuse(struct client_h1 *client, unsigned status)
{
	if (!attach_listener(client)) {
		client_h1_close(client);
		return;
	}
	enter_exchange(client);
	exchange_refuse(client->ex, status);
}

/* RFC 9112 6.1: framed twice is the end of the connection, in whatever mode. */
static bool decide_desync(struct client_h1 *client, struct desync_verdict verdict)
{
	struct exchange *ex = client->ex;
	enum desync_mode mode = ex->listener->load_balancer->attributes.desync_mode;
	enum desync_action action = desync_decide(mode, verdict.tier);

	ex->desync = verdict;
	ex->desync_closes = action == DESYNC_FORWARD_AND_CLOSE || verdict.tier == DESYNC_SEVERE ||
			    verdict.reason == DESYNC_REASON_BOTH_TE_CL;
	return action != DESYNC_BLOCK;
}

static void refuse_head(struct client_h1 *client, unsigned status)
{
	client->request->message.error = status;
	client_h1_refuse(client, status);
}

/* The head's texts point into conn.in: it becomes the exchange's, and what follows the head moves
 * to a buffer of its own. */
static bool hand_over_buffer(struct client_h1 *client, uint32_t used)
{
	struct buffer *in = client->base.conn.in, *rest = NULL;
	uint32_t left = in->to - in->from - used;

	if (left > 0) {
		rest = buffer_take(&client->base.worker->buffers, left);
		if (!rest)
			return false;
		memcpy(rest->bytes, in->bytes + in->from + used, left);
		rest->to = left;
	}
	client->ex->head = in;
	client->base.conn.in = rest;
	return true;
}

static void begin(struct client_h1 *client, uint32_t used)
{
	struct h1_message *request = client->request;

	if (!attach_listener(client)) {
		client_h1_close(client);
		return;
	}
	if (request->is_odd && !request->is_rewritten &&
	    !decide_desync(client, h1_verdict(request))) {
		refuse_head(client, 400);
		return;
	}
	if (!hand_over_buffer(client, used)) {
		client_h1_close(client);
		return;
	}
	enter_exchange(client);
	exchange_begin(client->ex);
}

/* The head in order and what follows it, in place of what came.  0, or the status to refuse with.
 */
static unsigned rewrite_head(struct client_h1 *client, const struct h1_head *head)
{
	struct worker *worker = client->base.worker;
	struct buffer *in = client->base.conn.in, *out;
	size_t left = in->to - in->from - head->len, len;
	struct writer writer = {.at = worker->scratch, .end = worker->scratch + SCRATCH_BYTES};
	unsigned status = h1_head_rewrite(head, &writer);

	if (status != 0)
		return status;
	len = (size_t)(writer.at - worker->scratch);
	/* As large as it need be: it is held for as long as the exchange lasts. */
	out = buffer_take(&worker->buffers, len + left);
	if (!out)
		return 400;
	memcpy(out->bytes, worker->scratch, len);
	memcpy(out->bytes + len, in->bytes + in->from + head->len, left);
	out->to = (uint32_t)(len + left);
	client->received = head->len - (uint64_t)len;
	buffer_give_back(&worker->buffers, in);
	client->base.conn.in = out;
	client->request->message.method =
	    (struct text){out->bytes, head->parts.method.len}; /* it pointed into in */
	return 0;
}

static bool await_rest_of_head(struct client_h1 *client)
{
	struct buffer *in = client->base.conn.in;

	if (in->to < in->cap)
		return false;
	client->request->message.method =
	    (struct text){0}; /* it points into the buffer that is left */
	if (conn_grow(&client->base.conn, &client->base.worker->buffers))
		return false;
	client_h1_refuse(client, 400);
	return true;
}

static bool read_in_order(struct client_h1 *client, const struct h1_head *head)
{
	bool is_blocked = !decide_desync(client, head->verdict);
	unsigned status = rewrite_head(client, head);

	if (is_blocked || status != 0) {
		refuse_head(client, is_blocked && status != 505 ? 400 : status);
		return true;
	}
	client->ex->has_lost_header = head->loses_header;
	client->parsed =
	    (uint32_t)h1_start_rewritten(client->request, client->request->message.method);
	client->received += client->parsed;
	return client_h1_parse_head(client);
}

/* The strict reader said no with this status: is it a request that the mode forwards in order? */
static bool look_again(struct client_h1 *client)
{
	const struct buffer *in = client->base.conn.in;
	unsigned status = client->request->message.error;
	struct h1_head head;

	client->is_doubtful = true;
	switch (h1_head_read(&head, in->bytes + in->from, in->to - in->from)) {
	case H1_HEAD_PARTIAL:
		client->parsed = in->to - in->from;
		return await_rest_of_head(client);
	case H1_HEAD_HOPELESS:
		client_h1_refuse(client, status);
		return true;
	case H1_HEAD_WHOLE:
		break;
	}
	if (attach_listener(client))
		return read_in_order(client, &head);
	client_h1_close(client);
	return true;
}

/* What came since is looked at only when it ends a line: a line at a time, not a byte. */
static bool look_at_more(struct client_h1 *client)
{
	const struct buffer *in = client->base.conn.in;
	const char *start = in->bytes + in->from + client->parsed;

	if (memchr(start, '\n', in->to - in->from - client->parsed))
		return look_again(client);
	client->parsed = in->to - in->from;
	return await_rest_of_head(client);
}

static bool may_look_again(const struct h1_message *request)
{
	return !request->message.is_head_done && !request->is_rewritten &&
	       (request->message.error == 400 || request->message.error == 505);
}

bool client_h1_parse_head(struct client_h1 *client)
{
	if (client->is_doubtful && !client->request->is_rewritten)
		return look_at_more(client);
	struct h1_message *request = client->request;
	struct buffer *in = client->base.conn.in;
	const char *start = in->bytes + in->from;
	uint32_t len = in->to - in->from;
	uint32_t used = client->parsed;

	used += (uint32_t)h1_parse(request, start + used, len - used);
	client->received += used - client->parsed;
	client->parsed = used;
	if (request->message.error != 0) {
		if (may_look_again(request))
			return look_again(client);
		client_h1_refuse(client, request->message.error);
		return true;
	}
	if (request->message.is_head_done) {
		begin(client, used);
		return true;
	}
	if (in->to < in->cap)
		return false;
	if (!conn_grow(&client->base.conn, &client->base.worker->buffers)) {
		client_h1_refuse(client, 400);
		return true;
	}
	/* The bytes moved, and with them what the head's texts point at. */
	h1_start(request, HTTP_REQUEST);
	client->parsed = 0;
	client->received = 0;
	return client_h1_parse_head(client);
}
