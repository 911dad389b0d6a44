/*
 * A client and an upstream that know no protocol and no socket, and a worker without a thread, for
 * the unit tests of lb/proxy/exchange.
 */
#ifndef TESTS_UNIT_LB_EXCHANGE_HOUSE_H
#define TESTS_UNIT_LB_EXCHANGE_HOUSE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <cmocka.h>

#include "lb/proxy/exchange.h"
#include "lb/proxy/upstream.h"
#include "lb/proxy/worker_main.h"

enum { N_TARGETS = 2, OPENINGS_MAX = 8, IDLE_S = 60, HOLD_S = 5 };

/* What happened to the parties, and what they are to do next.  One exchange at a time. */
static struct {
	/* The client. */
	struct message request;
	struct exchange *ex;
	unsigned generated; /* status of our own answer; 0 = none */
	unsigned responded; /* of the target's */
	bool was_told_to_close, has_ended;
	enum exchange_end how;
	unsigned n_want_body;
	bool is_client_blocked, is_client_broken;
	char received[64];
	/* The upstream. */
	struct message response;
	struct target *openings[OPENINGS_MAX];
	enum upstream_wish wishes[OPENINGS_MAX];
	enum upstream_opened opened[OPENINGS_MAX]; /* what each will say */
	unsigned n_openings;
	unsigned n_requests, n_want_response, n_released, n_reusable;
	bool is_reused, is_upstream_blocked, is_upstream_broken, has_upstream_no_room;
	char sent[64];
} fake;

static inline void append(char text[64], const struct message *message)
{
	for (unsigned i = 0; i < message->n_spans; i++)
		strncat(text, message->spans[i].iov_base, message->spans[i].iov_len);
}

/* ---- the client ---- */

static inline enum conn_result respond(struct exchange *ex, bool closes)
{
	fake.responded = ex->response->status;
	fake.was_told_to_close = closes;
	append(fake.received, ex->response);
	return fake.is_client_broken ? CONN_FAILED : CONN_OK;
}

static inline enum conn_result respond_more(struct exchange *ex)
{
	append(fake.received, ex->response);
	return fake.is_client_broken ? CONN_FAILED : CONN_OK;
}

static inline enum conn_result generate(struct exchange *ex, const struct generated *generated)
{
	(void)ex;
	fake.generated = generated->status;
	fake.was_told_to_close = !generated->keeps_alive;
	return CONN_OK;
}

static inline bool is_client_blocked(const struct exchange *ex)
{
	(void)ex;
	return fake.is_client_blocked;
}

static inline void want_body(struct exchange *ex)
{
	(void)ex;
	fake.n_want_body++;
}

static inline void end(struct exchange *ex, enum exchange_end how)
{
	fake.has_ended = true;
	fake.how = how;
	fake.ex = NULL;
	exchange_free(ex);
}

static const struct client_ops client = {.log_type = "fake",
					 .scheme = TEXT("fake"),
					 .redirect_protocol = TEXT("FAKE"),
					 .respond = respond,
					 .body = respond_more,
					 .generate = generate,
					 .is_blocked = is_client_blocked,
					 .want_body = want_body,
					 .end = end};

/* ---- the upstream ---- */

static inline enum conn_result send_request(struct exchange *ex)
{
	fake.n_requests++;
	append(fake.sent, ex->request);
	return fake.is_upstream_broken ? CONN_FAILED : CONN_OK;
}

static inline enum conn_result send_more(struct exchange *ex)
{
	append(fake.sent, ex->request);
	if (fake.has_upstream_no_room)
		return CONN_NO_ROOM;
	return fake.is_upstream_broken ? CONN_FAILED : CONN_OK;
}

static inline bool is_upstream_blocked(const struct exchange *ex)
{
	(void)ex;
	return fake.is_upstream_blocked;
}

static inline void want_response(struct exchange *ex)
{
	(void)ex;
	fake.n_want_response++;
}

static inline bool is_reused(const struct exchange *ex)
{
	(void)ex;
	return fake.is_reused;
}

static inline void release(struct exchange *ex, bool is_reusable)
{
	(void)ex;
	fake.n_released++;
	fake.n_reusable += is_reusable;
	fake.is_reused = false;
}

static const struct upstream_ops upstream = {.request = send_request,
					     .body = send_more,
					     .is_blocked = is_upstream_blocked,
					     .want_response = want_response,
					     .is_reused = is_reused,
					     .release = release};

static inline enum upstream_opened open_fake(struct exchange *ex, struct target *target,
					     enum upstream_wish wish)
{
	unsigned n = fake.n_openings++;

	assert_true(n < OPENINGS_MAX);
	fake.openings[n] = target;
	fake.wishes[n] = wish;
	if (fake.opened[n] == UPSTREAM_REFUSED)
		return UPSTREAM_REFUSED;
	ex->upstream = &fake;
	ex->upstream_ops = &upstream;
	ex->is_response_begun = false;
	return fake.opened[n];
}

static const struct upstream_protocol protocol = {.version = "FAKE", .open = open_fake};

/* ---- around them ---- */

static struct {
	struct counters *counters;
	struct proxy_config config;
	struct worker *worker;
	struct target *targets[N_TARGETS];
	struct listener *listener;
	struct sockaddr_in client_addr;
} house;

static inline struct target *new_target(const char *ip)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(80)};
	struct target_config config = {
	    .id = ip, .addr = (struct sockaddr *)&in, .addr_len = sizeof(in), .n_lanes = 1};
	struct target *target;

	inet_pton(AF_INET, ip, &in.sin_addr);
	target = target_new(&config, NULL);
	assert_non_null(target);
	target_set_state(target, TARGET_HEALTHY);
	return target;
}

static inline void install(size_t n_targets)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(8080)};
	struct snapshot_builder *builder = snapshot_builder_new(1);
	struct load_balancer_config balancer = {
	    .arn = "lb",
	    .resource = "app/a/1",
	    .dns_name = "a",
	    .attributes = {.idle_timeout_s = IDLE_S, .min_body_rate = 100}};
	struct target_group_config group = {.arn = "group",
					    .name = "web",
					    .resource = "targetgroup/web/1",
					    .protocol = &protocol,
					    .attributes = {.hold_s = HOLD_S},
					    .n_targets = n_targets,
					    .targets = house.targets};
	struct listener_config listener = {
	    .arn = "listener",
	    .addr = (struct sockaddr *)&in,
	    .addr_len = sizeof(in),
	    .default_action = {.kind = ACTION_FORWARD, .forward = {.n_groups = 1}}};
	struct view *view = malloc(sizeof(*view)),
		    *old = house.worker->view; /* view_unref frees it */

	listener.load_balancer = snapshot_add_load_balancer(builder, &balancer, NULL);
	listener.default_action.forward.groups[0] =
	    (struct forward_group){snapshot_add_target_group(builder, &group, NULL), 1};
	house.listener = snapshot_add_listener(builder, &listener, NULL);
	*view = (struct view){snapshot_builder_finish(builder, NULL), 1};
	assert_non_null(view->snapshot);
	house.worker->view = view;
	view_unref(old);
}

static inline int set_up(void **state)
{
	(void)state;
	memset(&fake, 0, sizeof(fake));
	memset(&house, 0, sizeof(house));
	house.counters = counters_new(1, NULL);
	assert_non_null(house.counters);
	house.config = (struct proxy_config){.n_workers = 1, .counters = house.counters};
	assert_int_equal(counters_lb_slot(house.counters, "app/a/1", NULL), 0);
	assert_int_equal(counters_group_slot(house.counters, "targetgroup/web/1", NULL), 0);
	house.worker = worker_new(&house.config, 0, NULL);
	assert_non_null(house.worker);
	house.targets[0] = new_target("10.0.0.1");
	house.targets[1] = new_target("10.0.0.2");
	house.client_addr.sin_family = AF_INET;
	install(N_TARGETS);
	return 0;
}

static inline int tear_down(void **state)
{
	(void)state;
	assert_null(fake.ex);
	for (int i = 0; i < N_TARGETS; i++) {
		assert_int_equal(target_in_flight(house.targets[i]), 0);
		target_unref(house.targets[i]);
	}
	view_unref(house.worker->view);
	worker_free(house.worker);
	counters_free(house.counters);
	return 0;
}

static inline uint64_t count_of(enum lb_counter counter)
{
	struct lb_counters *counters = counters_lb(house.counters, 0, 0);

	return atomic_load(&counters->values[counter]);
}

static inline void pass(unsigned ms)
{
	house.worker->loop.now_us += (int64_t)ms * 1000;
	loop_run_timers(&house.worker->loop);
}

static inline void say(struct message *message, const char *body, bool is_done)
{
	message->n_spans = 1;
	message->span_bytes = strlen(body);
	message->spans[0] = (struct iovec){(char *)body, strlen(body)};
	message->is_done = is_done;
}

static inline struct exchange *new_exchange(const char *method)
{
	struct message *request = &fake.request;

	request->is_head_done = request->keeps_alive = true;
	request->protocol = "FAKE/7";
	request->method = text_of(method);
	request->uri = TEXT("/x");
	request->host = TEXT("a");
	fake.ex = exchange_new(house.worker, request);
	assert_non_null(fake.ex);
	fake.ex->client = &fake;
	fake.ex->client_ops = &client;
	fake.ex->client_sockaddr = (struct sockaddr *)&house.client_addr;
	fake.ex->client_ip = TEXT("203.0.113.9");
	fake.ex->client_addr = TEXT("203.0.113.9:5151");
	fake.ex->listener = house.listener;
	return fake.ex;
}

static inline void ask(const char *method, const char *body, bool is_done)
{
	struct exchange *ex = new_exchange(method);

	say(&fake.request, body, is_done);
	exchange_begin(ex);
}

static inline void answer(unsigned status, const char *body, bool is_done)
{
	fake.response.is_head_done = fake.response.keeps_alive = true;
	fake.response.status = status;
	say(&fake.response, body, is_done);
	fake.ex->response = &fake.response;
	fake.ex->is_response_begun = true;
	exchange_response(fake.ex);
}

static inline void answer_more(const char *body, bool is_done)
{
	say(&fake.response, body, is_done);
	exchange_response_body(fake.ex);
}

static inline void ask_more(const char *body, bool is_done)
{
	say(&fake.request, body, is_done);
	exchange_request_body(fake.ex);
}

#define WITH_HOUSE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

#endif
