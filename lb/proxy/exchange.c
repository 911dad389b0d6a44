/* The exchange: see exchange.h. */
#include "lb/proxy/exchange.h"

#include <stdio.h>
#include <string.h>

#include "common/base/log.h"
#include "lb/proxy/upstream.h"
#include "lb/proxy/worker.h"
#include "lb/routing/balance.h"
#include "lb/routing/redirect.h"
#include "lb/routing/rules.h"

#define BIT(n) (1u << (n))

enum { HELD_MAX = 1024 /* a worker's */, HELD_LOOK_MS = 50 };

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

/* The only writer of ex->state. */
static void set_state(struct exchange *ex, enum exchange_state next)
{
	CHECK(exchange_may_move(ex->state, next));
	ex->state = next;
}

static struct lb_counters *lb_counters(const struct exchange *ex)
{
	return counters_lb(ex->worker->config->counters, ex->worker->lane,
			   ex->listener->load_balancer->slot);
}

static struct group_counters *group_counters(const struct exchange *ex)
{
	return counters_group(ex->worker->config->counters, ex->worker->lane, ex->group->slot);
}

static void count_lb(const struct exchange *ex, enum lb_counter counter, uint64_t n)
{
	counter_add(&lb_counters(ex)->values[counter], n);
}

static void on_timer(struct timer *timer);

struct exchange *exchange_new(struct worker *worker)
{
	struct exchange *ex = slab_take(&worker->exchanges);

	if (!ex)
		return NULL;
	memset(ex, 0, offsetof(struct exchange, trace));
	ex->response = NULL;
	ex->worker = worker;
	ex->timer.fn = on_timer;
	ex->priority = -1;
	ex->created_us = worker->loop.now_us;
	h1_start(&ex->request, HTTP_REQUEST);
	return ex;
}

void exchange_free(struct exchange *ex)
{
	struct worker *worker = ex->worker;

	CHECK(!ex->upstream && !ex->target);
	timer_stop(&ex->timer);
	buffer_give_back(&worker->buffers, ex->head);
	buffer_give_back(&worker->buffers, ex->transformed.buffer);
	slab_give_back(&worker->messages, ex->response);
	view_unref(ex->view);
	view_unref(ex->group_view);
	slab_give_back(&worker->exchanges, ex);
}

/* ---- the end ---- */

static void leave_target(struct exchange *ex)
{
	if (!ex->target)
		return;
	counter_add(&ex->target->lanes[ex->worker->lane].in_flight, (uint64_t)-1);
	balance_leave(ex->group, ex->target);
	ex->target = NULL;
}

static void release_upstream(struct exchange *ex, bool is_reusable)
{
	if (ex->upstream)
		ex->upstream_ops->release(ex, is_reusable);
	ex->upstream = NULL;
	leave_target(ex);
}

static void leave_hold(struct exchange *ex)
{
	TAILQ_REMOVE(&ex->worker->held, ex, held);
	ex->worker->n_held--;
}

static bool is_ipv6(const struct exchange *ex)
{
	return ex->client_sockaddr->sa_family == AF_INET6;
}

static void count_bytes(const struct exchange *ex)
{
	uint64_t n = ex->received_bytes + ex->sent_bytes;

	count_lb(ex, LB_COUNTER_PROCESSED_BYTES, n);
	if (is_ipv6(ex))
		count_lb(ex, LB_COUNTER_IPV6_PROCESSED_BYTES, n);
}

static void count_generated(const struct exchange *ex)
{
	static const struct {
		unsigned status;
		enum lb_counter counter;
	} singles[] = {
	    {500, LB_COUNTER_ELB_500},
	    {502, LB_COUNTER_ELB_502},
	    {503, LB_COUNTER_ELB_503},
	    {504, LB_COUNTER_ELB_504},
	};

	if (ex->elb_status / 100 == 3)
		count_lb(ex, LB_COUNTER_ELB_3XX, 1);
	if (ex->elb_status / 100 == 4)
		count_lb(ex, LB_COUNTER_ELB_4XX, 1);
	if (ex->elb_status / 100 == 5)
		count_lb(ex, LB_COUNTER_ELB_5XX, 1);
	for (size_t i = 0; i < sizeof(singles) / sizeof(singles[0]); i++)
		if (singles[i].status == ex->elb_status)
			count_lb(ex, singles[i].counter, 1);
}

static int64_t log_wall(struct exchange *ex, int64_t monotonic_us)
{
	return worker_wall_us(ex->worker) - ex->worker->loop.now_us + monotonic_us;
}

static void write_log(struct exchange *ex)
{
	const struct load_balancer *lb = ex->listener->load_balancer;
	bool is_parsed = ex->request.is_head_done;
	bool is_answered = ex->answered_us != 0;
	char host[300];
	struct text name =
	    ex->target_uri.host.len > 0 && is_parsed ? ex->target_uri.host : text_of(lb->dns_name);
	int len = snprintf(host, sizeof(host), "%.*s:%u", (int)host_without_port(name).len,
			   name.at ? name.at : "", ex->listener->port);
	struct access_entry entry = {
	    .type = ex->client_ops->log_type,
	    .scheme = ex->client_ops->scheme,
	    .created_us = log_wall(ex, ex->created_us),
	    .finished_us = worker_wall_us(ex->worker),
	    .elb = lb->resource,
	    .client = ex->client_addr.at,
	    .target = ex->last_target ? ex->last_target->label : NULL,
	    .request_us = ex->sent_us ? ex->sent_us - ex->created_us : -1,
	    .target_us = is_answered ? ex->answered_us - ex->sent_us : -1,
	    .response_us = is_answered && !ex->is_target_lost ? 0 : -1,
	    .elb_status = ex->elb_status,
	    .target_status = ex->target_status,
	    .received_bytes = is_parsed ? ex->received_bytes : 0,
	    .sent_bytes = ex->sent_bytes,
	    .method = is_parsed ? ex->request.method : (struct text){0},
	    .host = {host, len < (int)sizeof(host) ? (size_t)len : sizeof(host) - 1},
	    .uri = ex->target_uri.uri,
	    .version = ex->request.is_http10 ? "HTTP/1.0" : "HTTP/1.1",
	    .user_agent = is_parsed ? ex->request.user_agent : (struct text){0},
	    .target_group_arn = ex->group ? ex->group->arn : NULL,
	    .trace_id = ex->trace_id,
	    .rule_priority = ex->priority,
	    .actions = ex->action,
	    .redirect_url = ex->redirect_url,
	    .transform_status = rewrite_status(ex->transformed.result),
	    .error_reason = ex->error_reason,
	    .connection_id = ex->connection_id,
	    .classification = desync_class_name(ex->desync.tier),
	    .classification_reason = desync_reason_name(ex->desync.reason),
	    .node = ex->node,
	};

	if (ex->transformed.is_host_new)
		entry.transformed_host = ex->transformed.target.host;
	if (ex->transformed.is_url_new)
		entry.transformed_uri = ex->transformed.target.uri;
	access_log_write(ex->worker->config->access_log, ex->worker->lane, &entry);
}

static void finish(struct exchange *ex, enum exchange_end how)
{
	if (ex->state == EXCHANGE_HOLD)
		leave_hold(ex);
	set_state(ex, EXCHANGE_DONE);
	timer_stop(&ex->timer);
	count_bytes(ex);
	if (ex->worker->config->access_log)
		write_log(ex);
	ex->client_ops->end(ex, how);
}

/* ---- answers of our own ---- */

static void generate(struct exchange *ex, struct generated *generated)
{
	/* With a body still coming, or bytes nobody can trust, the connection cannot go on. */
	bool closes = !ex->request.is_done || ex->request.error != 0 || !ex->request.keeps_alive ||
		      ex->worker->is_draining || ex->desync_closes || generated->status == 400;

	release_upstream(ex, false);
	ex->elb_status = generated->status;
	generated->date = worker_date(ex->worker);
	generated->keeps_alive = !closes;
	generated->is_to_head = text_equal(ex->request.method, TEXT("HEAD"));
	if (ex->client_ops->generate(ex, generated) != CONN_OK)
		finish(ex, END_ABORT);
	else
		finish(ex, closes ? END_CLOSE : END_KEEP);
}

static void answer_error(struct exchange *ex, unsigned status)
{
	struct generated generated = {.status = status};

	/* What is half sent cannot be taken back. */
	if (ex->state == EXCHANGE_RELAY) {
		release_upstream(ex, false);
		finish(ex, END_ABORT);
		return;
	}
	ex->elb_status = status;
	count_generated(ex);
	generate(ex, &generated);
}

static void count_desync(const struct exchange *ex)
{
	if (ex->desync.tier != DESYNC_COMPLIANT)
		count_lb(ex, LB_COUNTER_DESYNC_NON_COMPLIANT, 1);
}

void exchange_refuse(struct exchange *ex, unsigned status)
{
	if (ex->state == EXCHANGE_HEAD) {
		ex->view = ex->view ? ex->view : view_ref(ex->worker->view);
		count_desync(ex);
	}
	answer_error(ex, status);
}

static void answer_fixed(struct exchange *ex, const struct fixed_response *fixed)
{
	const char *type = fixed->content_type ? fixed->content_type : "text/plain";
	struct generated generated = {
	    .status = fixed->status,
	    .content_type = strcmp(type, "text/plain") == 0 ? "text/plain; charset=utf-8" : type,
	    .body = text_of(fixed->body ? fixed->body : ""),
	};

	ex->action = "fixed-response";
	count_lb(ex, LB_COUNTER_FIXED_RESPONSES, 1);
	generate(ex, &generated);
}

static void answer_redirect(struct exchange *ex, const struct redirect *redirect)
{
	char location[REDIRECT_LOCATION_MAX], port[8];
	struct redirect_request request = {
	    .protocol = ex->client_ops->redirect_protocol,
	    .host = host_without_port(ex->target_uri.host),
	    .path = ex->target_uri.path,
	    .query = ex->target_uri.query,
	};
	struct generated generated = {.status = redirect->status};
	int len;

	if (request.host.len == 0)
		request.host = text_of(ex->listener->load_balancer->dns_name);
	snprintf(port, sizeof(port), "%u", ex->listener->port);
	request.port = text_of(port);
	ex->action = "redirect";
	len = redirect_location(redirect, &request, location);
	if (len < 0) {
		count_lb(ex, LB_COUNTER_REDIRECT_URL_LIMIT, 1);
		answer_error(ex, 507);
		return;
	}
	generated.location = ex->redirect_url = (struct text){location, (size_t)len};
	ex->elb_status = redirect->status;
	count_lb(ex, LB_COUNTER_REDIRECTS, 1);
	count_generated(ex);
	generate(ex, &generated);
}

/* ---- forwarding ---- */

static void choose_trace_id(struct exchange *ex)
{
	static const char digits[] = "0123456789abcdef";
	char root[40] = "1-";
	uint64_t random[2] = {worker_random(ex->worker), worker_random(ex->worker)};

	worker_date(ex->worker); /* brings ascii_time up to date */
	memcpy(root + 2, ex->worker->ascii_time, 8);
	root[10] = '-';
	for (int i = 0; i < 24; i++)
		root[11 + i] = digits[(random[i / 16] >> (i % 16 * 4)) & 15];
	ex->trace_id = compose_trace_id(&ex->request, (struct text){root, 35}, ex->trace);
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
		count_lb(ex, LB_COUNTER_NON_STICKY, 1);
	if (stickiness == STICKINESS_APP)
		count_lb(ex, LB_COUNTER_APP_COOKIE_NON_STICKY, 1);
}

static bool enter_target(struct exchange *ex)
{
	struct worker *worker = ex->worker;
	struct balance_input input = {.lane = worker->lane,
				      .random = worker_random(worker),
				      .now_ms = worker->loop.now_us / 1000,
				      .wanted = ex->affinity.target,
				      .tried = ex->tried,
				      .n_tried = ex->n_tried};
	struct balance_choice choice = balance_target(ex->group, &input);
	struct group_counters *counters = group_counters(ex);

	if (!choice.target)
		return false;
	if (ex->n_tried == 0) {
		count_lb(ex, LB_COUNTER_REQUESTS, 1);
		if (is_ipv6(ex))
			count_lb(ex, LB_COUNTER_IPV6_REQUESTS, 1);
		counter_add(&counters->values[GROUP_COUNTER_REQUESTS], 1);
		if (!choice.is_wanted)
			count_not_sticky(ex);
		if (target_state(choice.target) == TARGET_DRAINING)
			counter_add(&counters->values[GROUP_COUNTER_SENT_TO_DRAINING], 1);
		if (choice.is_fail_open)
			counter_add(&counters->values[GROUP_COUNTER_UNHEALTHY_ROUTING], 1);
	}
	if (ex->n_tried > 0)
		count_lb(ex, LB_COUNTER_OTHER_TARGET, 1);
	ex->target = ex->last_target = choice.target;
	counter_add(&ex->target->lanes[worker->lane].in_flight, 1);
	balance_enter(ex->group, ex->target);
	return true;
}

static void note_break(struct exchange *ex)
{
	target_note_break(ex->target, ex->worker->lane, ex->group->attributes.is_watched);
}

static void note_connect_error(struct exchange *ex)
{
	note_break(ex);
	counter_add(&group_counters(ex)->values[GROUP_COUNTER_CONNECTION_ERRORS], 1);
	counter_add(&ex->target->lanes[ex->worker->lane].connection_errors, 1);
	if (ex->n_tried < EXCHANGE_MAX_TRIES)
		ex->tried[ex->n_tried++] = ex->target;
}

/* Opens a connection to the next target that takes one; answers 502 or 503 when none does. */
static void forward(struct exchange *ex)
{
	while (ex->n_tried < EXCHANGE_MAX_TRIES && enter_target(ex)) {
		switch (upstream_open(ex, ex->target, !is_idempotent(ex->request.method))) {
		case UPSTREAM_READY:
			exchange_upstream_ready(ex);
			return;
		case UPSTREAM_PENDING:
			return;
		case UPSTREAM_REFUSED:
			note_connect_error(ex);
			leave_target(ex);
		}
	}
	answer_error(ex, ex->n_tried > 0 ? 502 : 503);
}

/* False: it was answered. */
static bool transform(struct exchange *ex, const struct transforms *transforms)
{
	struct transformed *transformed = &ex->transformed;

	if (!transforms)
		return true;
	transform_request(transforms, &ex->target_uri, &ex->worker->buffers, transformed);
	if (transformed->result == REWRITE_NONE)
		return true;
	if (transformed->result != REWRITE_DONE) {
		answer_error(ex, 500);
		return false;
	}
	ex->action = "rewrite,forward";
	ex->outgoing = &transformed->target;
	return true;
}

/* ---- requests that wait for a target ---- */

/* None is registered, or none has been found healthy or unhealthy yet: it is still being made. */
static bool is_in_the_making(const struct target_group *group)
{
	for (unsigned i = 0; i < group->n_targets; i++) {
		enum target_state state = target_state(group->targets[i]);

		if (state != TARGET_INITIAL && state != TARGET_UNUSED)
			return false;
	}
	return true;
}

static bool may_hold(const struct exchange *ex)
{
	return ex->group->attributes.hold_s > 0 && ex->worker->n_held < HELD_MAX &&
	       !ex->worker->is_draining && is_in_the_making(ex->group);
}

static void hold(struct exchange *ex)
{
	struct worker *worker = ex->worker;

	set_state(ex, EXCHANGE_HOLD);
	timer_stop(&ex->timer); /* held_until_us is its timeout now */
	ex->held_until_us = worker->loop.now_us + (int64_t)ex->group->attributes.hold_s * 1000000;
	TAILQ_INSERT_TAIL(&worker->held, ex, held);
	if (worker->n_held++ == 0)
		timer_start(&worker->loop, &worker->held_timer, HELD_LOOK_MS);
	count_lb(ex, LB_COUNTER_HELD, 1);
}

static struct target_group *group_now(const struct worker *worker, const char *arn)
{
	const struct snapshot *snapshot = worker->view->snapshot;

	for (size_t i = 0; i < snapshot_n_groups(snapshot); i++)
		if (strcmp(snapshot_group(snapshot, i)->arn, arn) == 0)
			return snapshot_group(snapshot, i);
	return NULL;
}

/* Targets come with a newer snapshot: the group is looked up there, the rest stays as it began. */
static void wake(struct exchange *ex)
{
	struct worker *worker = ex->worker;
	struct target_group *group = group_now(worker, ex->group->arn);
	bool is_over = !group || worker->loop.now_us >= ex->held_until_us || worker->is_draining;

	if (!is_over && is_in_the_making(group))
		return;
	leave_hold(ex);
	if (group) {
		struct view *before = ex->group_view;

		ex->group_view = view_ref(worker->view);
		ex->group = group;
		view_unref(before);
	}
	timer_start(&worker->loop, &ex->timer,
		    ex->listener->load_balancer->attributes.idle_timeout_s * 1000);
	set_state(ex, EXCHANGE_CONNECT);
	forward(ex);
}

void exchange_wake_held(struct worker *worker)
{
	struct exchange *ex, *next;

	TAILQ_FOREACH_SAFE (ex, &worker->held, held, next)
		wake(ex);
	if (worker->n_held > 0)
		timer_start(&worker->loop, &worker->held_timer, HELD_LOOK_MS);
	else
		timer_stop(&worker->held_timer);
}

static void count_invalid_names(const struct exchange *ex)
{
	bool has_any = ex->request.has_invalid_name;
	bool drops = has_any && ex->listener->load_balancer->attributes.drop_invalid_headers;

	if (drops || ex->has_lost_header)
		count_lb(ex, LB_COUNTER_DROPPED_INVALID_HEADER, 1);
	if (has_any && !drops)
		count_lb(ex, LB_COUNTER_FORWARDED_INVALID_HEADER, 1);
}

static void begin_forward(struct exchange *ex, const struct action *action,
			  const struct transforms *transforms)
{
	ex->action = "forward";
	if (!transform(ex, transforms))
		return;
	ex->group = affinity_choose_group(ex, action);
	if (!ex->group) {
		answer_error(ex, 503);
		return;
	}
	affinity_find_target(ex);
	count_invalid_names(ex);
	if (may_hold(ex)) {
		hold(ex);
		return;
	}
	set_state(ex, EXCHANGE_CONNECT);
	forward(ex);
}

static void match(struct exchange *ex, struct rule_match *match)
{
	char path[H1_MAX_LINE];
	struct rule_request request = {
	    .host = host_without_port(ex->target_uri.host),
	    .path = path_normalise(ex->target_uri.path, path, sizeof(path)),
	    .query = ex->target_uri.query,
	    .method = ex->request.method,
	    .client = ex->client_sockaddr,
	    .headers = ex->request.headers,
	    .n_headers = ex->request.n_headers,
	};

	rules_match(ex->listener->rules, &request, match);
	ex->priority = (int)match->priority;
	count_lb(ex, LB_COUNTER_RULE_EVALUATIONS, match->evaluated);
}

void exchange_begin(struct exchange *ex)
{
	struct rule_match matched;

	ex->view = view_ref(ex->worker->view);
	timer_start(&ex->worker->loop, &ex->timer,
		    ex->listener->load_balancer->attributes.idle_timeout_s * 1000);
	count_desync(ex);
	if (!request_target_parse(&ex->request, &ex->target_uri)) {
		answer_error(ex, 400);
		return;
	}
	if (count_forwarded_for(&ex->request) > FORWARDED_FOR_MAX) {
		answer_error(ex, 463);
		return;
	}
	choose_trace_id(ex);
	ex->outgoing = &ex->target_uri;
	match(ex, &matched);
	switch (matched.action->kind) {
	case ACTION_FORWARD:
		begin_forward(ex, matched.action, matched.transforms);
		break;
	case ACTION_REDIRECT:
		answer_redirect(ex, &matched.action->redirect);
		break;
	case ACTION_FIXED_RESPONSE:
		answer_fixed(ex, &matched.action->fixed_response);
		break;
	}
}

void exchange_upstream_ready(struct exchange *ex)
{
	if (ex->state == EXCHANGE_CONNECT)
		set_state(ex, EXCHANGE_WAIT);
	timer_touch(&ex->worker->loop, &ex->timer);
	ex->sent_us = ex->worker->loop.now_us;
	counter_add(&ex->target->lanes[ex->worker->lane].requests, 1);
	if (ex->upstream_ops->request(ex) != CONN_OK) {
		exchange_upstream_failed(ex, UPSTREAM_CLOSED);
		return;
	}
	if (!ex->request.is_done)
		ex->client_ops->want_body(ex);
}

/* ---- bodies and back-pressure ---- */

void exchange_request_body(struct exchange *ex)
{
	ex->is_body_consumed = true;
	timer_touch(&ex->worker->loop, &ex->timer);
	if (ex->upstream_ops->body(ex) == CONN_OK)
		return;
	/* It may have answered before it stopped reading: see what it says. */
	ex->upstream_ops->want_response(ex);
}

void exchange_upstream_drained(struct exchange *ex)
{
	timer_touch(&ex->worker->loop, &ex->timer);
	if (!ex->request.is_done)
		ex->client_ops->want_body(ex);
}

void exchange_client_drained(struct exchange *ex)
{
	timer_touch(&ex->worker->loop, &ex->timer);
	if (ex->upstream && ex->state != EXCHANGE_CONNECT)
		ex->upstream_ops->want_response(ex);
}

static void complete(struct exchange *ex, bool closes)
{
	bool is_request_sent = ex->request.is_done && !ex->upstream_ops->is_blocked(ex);

	release_upstream(ex, is_request_sent && ex->response->keeps_alive && !ex->desync_closes);
	finish(ex, closes || !ex->request.is_done ? END_CLOSE : END_KEEP);
}

static bool must_close(const struct exchange *ex)
{
	return !ex->request.is_done || !ex->request.keeps_alive || ex->desync_closes ||
	       ex->worker->is_draining;
}

static void count_response(struct exchange *ex)
{
	struct group_counters *counters = group_counters(ex);
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

	set_state(ex, EXCHANGE_RELAY);
	timer_touch(&ex->worker->loop, &ex->timer);
	ex->answered_us = ex->worker->loop.now_us;
	ex->elb_status = ex->target_status = ex->response->status;
	count_response(ex);
	if (closes) /* and is told so: what comes later does not change it */
		ex->request.keeps_alive = false;
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
	release_upstream(ex, false);
	count_lb(ex, LB_COUNTER_CLIENT_ABORTS, 1);
	if (!ex->target_status) {
		/* ALB: 400 when it had not sent its whole request, 460 when it did not wait. */
		ex->elb_status = ex->request.is_done ? 460 : 400;
		count_generated(ex);
	}
	finish(ex, END_ABORT);
}

/* A pooled connection that the target closed while idle is no error: ask again on a fresh one. */
static bool may_retry(const struct exchange *ex)
{
	return ex->upstream_ops->is_reused(ex) && !ex->has_retried && !ex->is_body_consumed &&
	       !ex->is_response_begun && is_idempotent(ex->request.method);
}

static void retry_fresh(struct exchange *ex)
{
	struct target *target = ex->target;

	ex->has_retried = true;
	count_lb(ex, LB_COUNTER_STALE_RESENT, 1);
	ex->upstream_ops->release(ex, false);
	ex->upstream = NULL;
	set_state(ex, EXCHANGE_CONNECT);
	switch (upstream_connect(ex, target)) {
	case UPSTREAM_READY:
		exchange_upstream_ready(ex);
		return;
	case UPSTREAM_PENDING:
		return;
	case UPSTREAM_REFUSED:
		note_connect_error(ex);
		leave_target(ex);
		forward(ex);
	}
}

/* The log counts until then: "0.003 0.000 -1 502 -". */
static void lose_target(struct exchange *ex)
{
	note_break(ex);
	if (ex->sent_us && !ex->answered_us) {
		ex->answered_us = ex->worker->loop.now_us;
		ex->is_target_lost = true;
	}
	answer_error(ex, 502);
}

void exchange_upstream_failed(struct exchange *ex, enum upstream_failure failure)
{
	switch (failure) {
	case UPSTREAM_CONNECT_FAILED: /* nothing was sent: any other target will do */
		note_connect_error(ex);
		release_upstream(ex, false);
		forward(ex);
		return;
	case UPSTREAM_CONNECT_TIMEOUT:
		note_connect_error(ex);
		answer_error(ex, 504);
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

static void on_timer(struct timer *timer)
{
	struct exchange *ex =
	    (struct exchange *)(void *)((char *)timer - offsetof(struct exchange, timer));
	bool waits_for_client = !ex->request.is_done && ex->upstream &&
				ex->state == EXCHANGE_WAIT && !ex->upstream_ops->is_blocked(ex);

	if (!waits_for_client && ex->target)
		note_break(ex);
	answer_error(ex, waits_for_client ? 408 : 504);
}
