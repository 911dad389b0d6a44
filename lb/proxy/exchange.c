/* The exchange: see exchange.h. */
#include "lb/proxy/exchange.h"

#include <string.h>

#include "lb/proxy/exchange_parts.h"
#include "lb/proxy/worker.h"

#define BIT(n) (1u << (n))

static const struct {
	const char *name;
	unsigned next;
} states[EXCHANGE_STATE_COUNT] = {
    [EXCHANGE_HEAD] = {"head", BIT(EXCHANGE_HOLD) | BIT(EXCHANGE_CONNECT) | BIT(EXCHANGE_DONE)},
    [EXCHANGE_HOLD] = {"hold", BIT(EXCHANGE_CONNECT) | BIT(EXCHANGE_DONE)},
    [EXCHANGE_CONNECT] = {"connect", BIT(EXCHANGE_WAIT) | BIT(EXCHANGE_DONE)},
    [EXCHANGE_WAIT] = {"wait", BIT(EXCHANGE_CONNECT) | BIT(EXCHANGE_RELAY) | BIT(EXCHANGE_DONE)},
    [EXCHANGE_RELAY] = {"relay", BIT(EXCHANGE_DONE)},
    [EXCHANGE_DONE] = {"done", 0},
};

const char *exchange_state_name(enum exchange_state state)
{
	return states[state].name;
}

bool exchange_may_move(enum exchange_state from, enum exchange_state to)
{
	return states[from].next & BIT(to);
}

void exchange_set_state(struct exchange *ex, enum exchange_state next)
{
	CHECK(exchange_may_move(ex->state, next));
	ex->state = next;
}

static void on_timer(struct timer *timer);

struct exchange *exchange_new(struct worker *worker, struct message *request)
{
	struct exchange *ex = slab_take(&worker->exchanges);

	if (!ex)
		return NULL;
	memset(ex, 0, offsetof(struct exchange, trace));
	ex->request = request;
	ex->worker = worker;
	ex->timer.fn = on_timer;
	ex->priority = -1;
	ex->created_us = worker->loop.now_us;
	return ex;
}

void exchange_free(struct exchange *ex)
{
	struct worker *worker = ex->worker;

	CHECK(!ex->upstream && !ex->target);
	timer_stop(&ex->timer);
	buffer_give_back(&worker->buffers, ex->head);
	buffer_give_back(&worker->buffers, ex->transformed.buffer);
	view_unref(ex->view);
	view_unref(ex->group_view);
	slab_give_back(&worker->exchanges, ex);
}

/* ---- the end ---- */

static void finish(struct exchange *ex, enum exchange_end how)
{
	if (ex->state == EXCHANGE_HOLD)
		exchange_leave_hold(ex);
	exchange_set_state(ex, EXCHANGE_DONE);
	timer_stop(&ex->timer);
	exchange_count_bytes(ex);
	if (ex->worker->config->access_log)
		exchange_write_log(ex);
	ex->client_ops->end(ex, how);
}

/* ---- answers of our own ---- */

void exchange_generate(struct exchange *ex, struct generated *generated)
{
	/* With a body still coming, or bytes nobody can trust, the connection cannot go on. */
	bool closes = !ex->request->is_done || ex->request->error != 0 ||
		      !ex->request->keeps_alive || ex->worker->is_draining || ex->desync_closes ||
		      generated->status == 400;

	exchange_release_upstream(ex, false);
	ex->elb_status = generated->status;
	generated->date = worker_date(ex->worker);
	generated->keeps_alive = !closes;
	generated->is_to_head = text_equal(ex->request->method, TEXT("HEAD"));
	if (ex->client_ops->generate(ex, generated) != CONN_OK)
		finish(ex, END_ABORT);
	else
		finish(ex, closes ? END_CLOSE : END_KEEP);
}

void exchange_answer_error(struct exchange *ex, unsigned status)
{
	struct generated generated = {.status = status};

	/* What is half sent cannot be taken back. */
	if (ex->state == EXCHANGE_RELAY) {
		exchange_release_upstream(ex, false);
		finish(ex, END_ABORT);
		return;
	}
	ex->elb_status = status;
	exchange_count_generated(ex);
	exchange_generate(ex, &generated);
}

void exchange_refuse(struct exchange *ex, unsigned status)
{
	if (ex->state == EXCHANGE_HEAD) {
		ex->view = ex->view ? ex->view : view_ref(ex->worker->view);
		exchange_count_desync(ex);
	}
	exchange_answer_error(ex, status);
}

/* ---- bodies and back-pressure ---- */

bool exchange_wants_body(const struct exchange *ex)
{
	return !ex->request->is_done && ex->upstream &&
	       (ex->state == EXCHANGE_WAIT || ex->state == EXCHANGE_RELAY) &&
	       !ex->upstream_ops->is_blocked(ex);
}

void exchange_await_body(struct exchange *ex)
{
	ex->body_since_us = ex->worker->loop.now_us;
	ex->body_bytes = 0;
	ex->client_ops->want_body(ex);
}

/* Slow enough to hold a target for ever without ever being idle.  Once the target has answered, it
 * is the target's to say how long it listens. */
static bool trickles(const struct exchange *ex)
{
	const struct load_balancer_attributes *attributes =
	    &ex->listener->load_balancer->attributes;
	int64_t took_us = ex->worker->loop.now_us - ex->body_since_us;

	return took_us > (int64_t)attributes->idle_timeout_s * 1000000 &&
	       ex->body_bytes < attributes->min_body_rate * (uint64_t)took_us / 1000000 &&
	       !ex->request->is_done && ex->state == EXCHANGE_WAIT;
}

void exchange_request_body(struct exchange *ex)
{
	ex->body_bytes += ex->request->span_bytes;
	if (trickles(ex)) {
		exchange_answer_error(ex, 408);
		return;
	}
	ex->is_body_consumed = true;
	timer_touch(&ex->worker->loop, &ex->timer);
	switch (ex->upstream_ops->body(ex)) {
	case CONN_OK:
		return;
	case CONN_NO_ROOM: /* a body with a hole in it must not go on */
		exchange_upstream_failed(ex, UPSTREAM_BROKEN);
		return;
	case CONN_AGAIN:
	case CONN_EOF:
	case CONN_FAILED:
	case CONN_SHORT:
		break;
	}
	/* It may have answered before it stopped reading: see what it says. */
	ex->upstream_ops->want_response(ex);
}

void exchange_upstream_drained(struct exchange *ex)
{
	timer_touch(&ex->worker->loop, &ex->timer);
	if (!ex->request->is_done)
		exchange_await_body(ex);
}

void exchange_client_drained(struct exchange *ex)
{
	timer_touch(&ex->worker->loop, &ex->timer);
	if (ex->upstream && ex->state != EXCHANGE_CONNECT)
		ex->upstream_ops->want_response(ex);
}

static void complete(struct exchange *ex, bool closes)
{
	bool is_request_sent = ex->request->is_done && !ex->upstream_ops->is_blocked(ex);

	exchange_release_upstream(ex, is_request_sent && ex->response->keeps_alive &&
					  !ex->desync_closes);
	finish(ex, closes || !ex->request->is_done ? END_CLOSE : END_KEEP);
}

static bool must_close(const struct exchange *ex)
{
	return !ex->request->is_done || !ex->request->keeps_alive || ex->desync_closes ||
	       ex->worker->is_draining;
}

static void count_response(struct exchange *ex)
{
	struct group_counters *counters = exchange_group_counters(ex);
	unsigned class = ex->response->status / 100;

	if (class >= 2 && class <= 5)
		counter_add(&counters->values[GROUP_COUNTER_TARGET_2XX + class - 2], 1);
	target_note_answer(ex->target, ex->worker->lane, ex->response->status,
			   ex->group->attributes.is_watched);
	hist_record(&counters->response_time_us, (uint64_t)(ex->answered_us - ex->sent_us));
}

void exchange_response(struct exchange *ex)
{
	bool closes = must_close(ex);

	exchange_set_state(ex, EXCHANGE_RELAY);
	timer_touch(&ex->worker->loop, &ex->timer);
	ex->answered_us = ex->worker->loop.now_us;
	ex->elb_status = ex->target_status = ex->response->status;
	count_response(ex);
	if (closes) /* and is told so: what comes later does not change it */
		ex->request->keeps_alive = false;
	if (ex->client_ops->respond(ex, closes) != CONN_OK) {
		exchange_client_gone(ex);
		return;
	}
	if (ex->response->is_done)
		complete(ex, closes);
}

void exchange_response_body(struct exchange *ex)
{
	timer_touch(&ex->worker->loop, &ex->timer);
	if (ex->client_ops->body(ex) != CONN_OK) {
		exchange_client_gone(ex);
		return;
	}
	if (ex->response->is_done)
		complete(ex, must_close(ex));
}

/* ---- what goes wrong ---- */

void exchange_client_gone(struct exchange *ex)
{
	exchange_release_upstream(ex, false);
	exchange_count(ex, LB_COUNTER_CLIENT_ABORTS, 1);
	if (!ex->target_status) {
		/* ALB: 400 when it had not sent its whole request, 460 when it did not wait. */
		ex->elb_status = ex->request->is_done ? 460 : 400;
		exchange_count_generated(ex);
	}
	finish(ex, END_ABORT);
}

static void on_timer(struct timer *timer)
{
	struct exchange *ex =
	    (struct exchange *)(void *)((char *)timer - offsetof(struct exchange, timer));
	bool waits_for_client = !ex->request->is_done && ex->upstream &&
				ex->state == EXCHANGE_WAIT && !ex->upstream_ops->is_blocked(ex);
	/* A client that stops reading must not bring its target into disrepute, nor our own want of
	 * buffers. */
	bool is_refused = buffers_are_short(&ex->worker->buffers) ||
			  (ex->state == EXCHANGE_RELAY && ex->client_ops->is_blocked(ex));

	if (!waits_for_client && !is_refused && ex->target)
		exchange_note_break(ex);
	exchange_answer_error(ex, waits_for_client ? 408 : 504);
}
