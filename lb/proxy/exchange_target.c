/* Which target gets a request, and what is tried when that one fails.  See exchange.h. */
#include "lb/proxy/exchange_parts.h"
#include "lb/proxy/upstream.h"
#include "lb/proxy/worker.h"
#include "lb/routing/balance.h"

static void leave_target(struct exchange *ex)
{
	if (!ex->target)
		return;
	counter_add(&ex->target->lanes[ex->worker->lane].in_flight, (uint64_t)-1);
	balance_leave(ex->group, ex->target);
	ex->target = NULL;
}

static void release(struct exchange *ex, bool is_reusable)
{
	if (ex->upstream)
		ex->upstream_ops->release(ex, is_reusable);
	ex->upstream = NULL;
	ex->response = NULL;
}

void exchange_release_upstream(struct exchange *ex, bool is_reusable)
{
	release(ex, is_reusable);
	leave_target(ex);
}

static bool is_idempotent(struct text method)
{
	return text_equal(method, TEXT("GET")) || text_equal(method, TEXT("HEAD")) ||
	       text_equal(method, TEXT("OPTIONS")) || text_equal(method, TEXT("PUT")) ||
	       text_equal(method, TEXT("DELETE"));
}

static void count_not_sticky(const struct exchange *ex)
{
	enum stickiness stickiness = ex->group->attributes.stickiness;

	if (stickiness == STICKINESS_LB)
		exchange_count(ex, LB_COUNTER_NON_STICKY, 1);
	if (stickiness == STICKINESS_APP)
		exchange_count(ex, LB_COUNTER_APP_COOKIE_NON_STICKY, 1);
}

/* The control thread may turn a target to draining at any time: one look more, so that it gets no
 * request for having been chosen a moment before. */
static struct balance_choice choose(const struct exchange *ex, bool *is_draining)
{
	enum { LOOKS = 3 };
	struct balance_input input = {.lane = ex->worker->lane,
				      .random = worker_random(ex->worker),
				      .now_ms = ex->worker->loop.now_us / 1000,
				      .wanted = ex->affinity.target,
				      .tried = ex->tried,
				      .n_tried = ex->n_tried};
	struct balance_choice choice;

	*is_draining = true;
	for (int i = 0; i < LOOKS && *is_draining; i++) {
		choice = balance_target(ex->group, &input);
		*is_draining = choice.target && target_state(choice.target) == TARGET_DRAINING;
	}
	return choice;
}

static void count_entry(const struct exchange *ex, const struct balance_choice *choice)
{
	struct group_counters *counters = exchange_group_counters(ex);

	exchange_count(ex, LB_COUNTER_REQUESTS, 1);
	if (exchange_is_ipv6(ex))
		exchange_count(ex, LB_COUNTER_IPV6_REQUESTS, 1);
	counter_add(&counters->values[GROUP_COUNTER_REQUESTS], 1);
	if (!choice->is_wanted)
		count_not_sticky(ex);
	if (choice->is_fail_open)
		counter_add(&counters->values[GROUP_COUNTER_UNHEALTHY_ROUTING], 1);
}

static bool enter_target(struct exchange *ex)
{
	bool is_draining;
	struct balance_choice choice = choose(ex, &is_draining);

	if (!choice.target)
		return false;
	if (ex->n_tried == 0)
		count_entry(ex, &choice);
	else
		exchange_count(ex, LB_COUNTER_OTHER_TARGET, 1);
	if (is_draining)
		counter_add(&exchange_group_counters(ex)->values[GROUP_COUNTER_SENT_TO_DRAINING],
			    1);
	ex->target = ex->last_target = choice.target;
	counter_add(&ex->target->lanes[ex->worker->lane].in_flight, 1);
	balance_enter(ex->group, ex->target);
	return true;
}

void exchange_note_break(struct exchange *ex)
{
	target_note_break(ex->target, ex->worker->lane, ex->group->attributes.is_watched);
}

static void note_connect_error(struct exchange *ex)
{
	exchange_note_break(ex);
	counter_add(&exchange_group_counters(ex)->values[GROUP_COUNTER_CONNECTION_ERRORS], 1);
	counter_add(&ex->target->lanes[ex->worker->lane].connection_errors, 1);
	if (ex->n_tried < EXCHANGE_MAX_TRIES)
		ex->tried[ex->n_tried++] = ex->target;
}

/* Connects to ex->target.  False: it refuses, and was left. */
static bool open_target(struct exchange *ex, enum upstream_wish wish)
{
	switch (ex->group->protocol->open(ex, ex->target, wish)) {
	case UPSTREAM_READY:
		exchange_upstream_ready(ex);
		return true;
	case UPSTREAM_PENDING:
		return true;
	case UPSTREAM_REFUSED:
		break;
	}
	note_connect_error(ex);
	leave_target(ex);
	return false;
}

void exchange_forward(struct exchange *ex)
{
	enum upstream_wish wish =
	    is_idempotent(ex->request->method) ? UPSTREAM_ANY : UPSTREAM_CAREFUL;

	while (ex->n_tried < EXCHANGE_MAX_TRIES && enter_target(ex))
		if (open_target(ex, wish))
			return;
	exchange_answer_error(ex, ex->n_tried > 0 ? 502 : 503);
}

void exchange_upstream_ready(struct exchange *ex)
{
	if (ex->state == EXCHANGE_CONNECT)
		exchange_set_state(ex, EXCHANGE_WAIT);
	timer_touch(&ex->worker->loop, &ex->timer);
	ex->sent_us = ex->worker->loop.now_us;
	counter_add(&ex->target->lanes[ex->worker->lane].requests, 1);
	if (ex->upstream_ops->request(ex) != CONN_OK) {
		exchange_upstream_failed(ex, UPSTREAM_CLOSED);
		return;
	}
	if (!ex->request->is_done)
		exchange_await_body(ex);
}

/* A pooled connection that the target closed while idle is no error: ask again on a fresh one. */
static bool may_retry(const struct exchange *ex)
{
	return ex->upstream_ops->is_reused(ex) && !ex->has_retried && !ex->is_body_consumed &&
	       !ex->is_response_begun && is_idempotent(ex->request->method);
}

static void retry_fresh(struct exchange *ex)
{
	ex->has_retried = true;
	exchange_count(ex, LB_COUNTER_STALE_RESENT, 1);
	release(ex, false);
	exchange_set_state(ex, EXCHANGE_CONNECT);
	if (!open_target(ex, UPSTREAM_FRESH))
		exchange_forward(ex);
}

/* The log counts until then: "0.003 0.000 -1 502 -". */
static void lose_target(struct exchange *ex)
{
	exchange_note_break(ex);
	if (ex->sent_us && !ex->answered_us) {
		ex->answered_us = ex->worker->loop.now_us;
		ex->is_target_lost = true;
	}
	exchange_answer_error(ex, 502);
}

void exchange_upstream_failed(struct exchange *ex, enum upstream_failure failure)
{
	switch (failure) {
	case UPSTREAM_CONNECT_FAILED: /* nothing was sent: any other target will do */
		note_connect_error(ex);
		exchange_release_upstream(ex, false);
		exchange_forward(ex);
		return;
	case UPSTREAM_CONNECT_TIMEOUT:
		note_connect_error(ex);
		exchange_answer_error(ex, 504);
		return;
	case UPSTREAM_CLOSED:
		if (may_retry(ex)) {
			retry_fresh(ex);
			return;
		}
		lose_target(ex);
		return;
	case UPSTREAM_BROKEN:
	case UPSTREAM_MALFORMED:
		lose_target(ex);
		return;
	}
}
