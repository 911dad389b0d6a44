/* lb/proxy/exchange: one request between two parties that know no protocol and no socket. */
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

static void append(char text[64], const struct message *message)
{
	for (unsigned i = 0; i < message->n_spans; i++)
		strncat(text, message->spans[i].iov_base, message->spans[i].iov_len);
}

/* ---- the client ---- */

static enum conn_result respond(struct exchange *ex, bool closes)
{
	fake.responded = ex->response->status;
	fake.was_told_to_close = closes;
	append(fake.received, ex->response);
	return fake.is_client_broken ? CONN_FAILED : CONN_OK;
}

static enum conn_result respond_more(struct exchange *ex)
{
	append(fake.received, ex->response);
	return fake.is_client_broken ? CONN_FAILED : CONN_OK;
}

static enum conn_result generate(struct exchange *ex, const struct generated *generated)
{
	(void)ex;
	fake.generated = generated->status;
	fake.was_told_to_close = !generated->keeps_alive;
	return CONN_OK;
}

static bool is_client_blocked(const struct exchange *ex)
{
	(void)ex;
	return fake.is_client_blocked;
}

static void want_body(struct exchange *ex)
{
	(void)ex;
	fake.n_want_body++;
}

static void end(struct exchange *ex, enum exchange_end how)
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

static enum conn_result send_request(struct exchange *ex)
{
	fake.n_requests++;
	append(fake.sent, ex->request);
	return fake.is_upstream_broken ? CONN_FAILED : CONN_OK;
}

static enum conn_result send_more(struct exchange *ex)
{
	append(fake.sent, ex->request);
	if (fake.has_upstream_no_room)
		return CONN_NO_ROOM;
	return fake.is_upstream_broken ? CONN_FAILED : CONN_OK;
}

static bool is_upstream_blocked(const struct exchange *ex)
{
	(void)ex;
	return fake.is_upstream_blocked;
}

static void want_response(struct exchange *ex)
{
	(void)ex;
	fake.n_want_response++;
}

static bool is_reused(const struct exchange *ex)
{
	(void)ex;
	return fake.is_reused;
}

static void release(struct exchange *ex, bool is_reusable)
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

static enum upstream_opened open_fake(struct exchange *ex, struct target *target,
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

static struct target *new_target(const char *ip)
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

static void install(size_t n_targets)
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

static int set_up(void **state)
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

static int tear_down(void **state)
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

static uint64_t count_of(enum lb_counter counter)
{
	struct lb_counters *counters = counters_lb(house.counters, 0, 0);

	return atomic_load(&counters->values[counter]);
}

static void pass(unsigned ms)
{
	house.worker->loop.now_us += (int64_t)ms * 1000;
	loop_run_timers(&house.worker->loop);
}

static void say(struct message *message, const char *body, bool is_done)
{
	message->n_spans = 1;
	message->span_bytes = strlen(body);
	message->spans[0] = (struct iovec){(char *)body, strlen(body)};
	message->is_done = is_done;
}

static struct exchange *new_exchange(const char *method)
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

static void ask(const char *method, const char *body, bool is_done)
{
	struct exchange *ex = new_exchange(method);

	say(&fake.request, body, is_done);
	exchange_begin(ex);
}

static void answer(unsigned status, const char *body, bool is_done)
{
	fake.response.is_head_done = fake.response.keeps_alive = true;
	fake.response.status = status;
	say(&fake.response, body, is_done);
	fake.ex->response = &fake.response;
	fake.ex->is_response_begun = true;
	exchange_response(fake.ex);
}

static void answer_more(const char *body, bool is_done)
{
	say(&fake.response, body, is_done);
	exchange_response_body(fake.ex);
}

static void ask_more(const char *body, bool is_done)
{
	say(&fake.request, body, is_done);
	exchange_request_body(fake.ex);
}

/* ---- the tests ---- */

static void an_answer_goes_to_the_client_and_both_connections_live_on(void **state)
{
	(void)state;
	ask("GET", "", true);
	assert_int_equal(fake.n_openings, 1);
	assert_int_equal(fake.wishes[0], UPSTREAM_ANY);
	assert_int_equal(fake.n_requests, 1);
	assert_int_equal(fake.ex->state, EXCHANGE_WAIT);
	answer(204, "", true);
	assert_int_equal(fake.responded, 204);
	assert_true(fake.has_ended && fake.how == END_KEEP && !fake.was_told_to_close);
	assert_int_equal(fake.n_reusable, 1);
	assert_int_equal(count_of(LB_COUNTER_REQUESTS), 1);
}

static void a_request_waits_until_its_connection_is_there(void **state)
{
	(void)state;
	fake.opened[0] = UPSTREAM_PENDING;
	ask("GET", "", true);
	assert_int_equal(fake.ex->state, EXCHANGE_CONNECT);
	assert_int_equal(fake.n_requests, 0);
	exchange_upstream_ready(fake.ex);
	assert_int_equal(fake.n_requests, 1);
	answer(200, "hello", true);
	assert_string_equal(fake.received, "hello");
	assert_int_equal(fake.how, END_KEEP);
}

static void when_a_connection_fails_another_target_is_tried(void **state)
{
	(void)state;
	fake.opened[0] = UPSTREAM_PENDING;
	ask("POST", "abc", true);
	assert_int_equal(fake.wishes[0], UPSTREAM_CAREFUL);
	exchange_upstream_failed(fake.ex, UPSTREAM_CONNECT_FAILED);
	assert_int_equal(fake.n_openings, 2);
	assert_ptr_not_equal(fake.openings[0], fake.openings[1]);
	assert_string_equal(fake.sent, "abc");
	assert_int_equal(count_of(LB_COUNTER_OTHER_TARGET), 1);
	answer(200, "", true);
	assert_int_equal(fake.responded, 200);
}

static void when_every_target_refuses_the_client_gets_502(void **state)
{
	(void)state;
	fake.opened[0] = fake.opened[1] = UPSTREAM_REFUSED;
	ask("GET", "", true);
	assert_int_equal(fake.n_openings, N_TARGETS);
	assert_int_equal(fake.generated, 502);
	assert_int_equal(fake.how, END_KEEP);
}

static void a_connect_that_times_out_is_504(void **state)
{
	(void)state;
	fake.opened[0] = UPSTREAM_PENDING;
	ask("GET", "", true);
	exchange_upstream_failed(fake.ex, UPSTREAM_CONNECT_TIMEOUT);
	assert_int_equal(fake.generated, 504);
}

static void a_stale_connection_is_replaced_and_the_request_sent_again(void **state)
{
	(void)state;
	fake.is_reused = true;
	ask("GET", "", true);
	exchange_upstream_failed(fake.ex, UPSTREAM_CLOSED);
	assert_int_equal(fake.n_openings, 2);
	assert_int_equal(fake.wishes[1], UPSTREAM_FRESH);
	assert_ptr_equal(fake.openings[0], fake.openings[1]);
	assert_int_equal(fake.n_requests, 2);
	assert_int_equal(count_of(LB_COUNTER_STALE_RESENT), 1);
	/* Once only. */
	fake.is_reused = true;
	exchange_upstream_failed(fake.ex, UPSTREAM_CLOSED);
	assert_int_equal(fake.generated, 502);
}

static void what_cannot_be_sent_again_safely_is_not(void **state)
{
	(void)state;
	fake.is_reused = true;
	ask("POST", "", true);
	exchange_upstream_failed(fake.ex, UPSTREAM_CLOSED);
	assert_int_equal(fake.generated, 502);
	assert_int_equal(fake.n_openings, 1);
}

static void a_target_that_says_nothing_is_504_after_the_idle_timeout(void **state)
{
	(void)state;
	ask("GET", "", true);
	pass(IDLE_S * 1000 - 1);
	assert_false(fake.has_ended);
	pass(1);
	assert_int_equal(fake.generated, 504);
	assert_int_equal(fake.n_released, 1);
	assert_int_equal(fake.n_reusable, 0);
}

static void a_body_that_stops_is_408(void **state)
{
	(void)state;
	ask("PUT", "a", false);
	pass(IDLE_S * 1000);
	assert_int_equal(fake.generated, 408);
	assert_true(fake.was_told_to_close && fake.how == END_CLOSE);
}

static void a_body_that_trickles_is_408_though_it_never_stops(void **state)
{
	(void)state;
	ask("PUT", "a", false);
	for (unsigned s = 0; s <= IDLE_S; s += 10) {
		assert_false(fake.has_ended);
		ask_more("b", false);
		pass(10000);
	}
	ask_more("b", false);
	assert_int_equal(fake.generated, 408);
	assert_int_equal(fake.how, END_CLOSE);
}

static void a_body_that_is_slow_but_steady_goes_on(void **state)
{
	static char second[101];

	(void)state;
	memset(second, 'x', 100);
	ask("PUT", "", false);
	for (unsigned s = 0; s < 3 * IDLE_S; s++) {
		pass(1000);
		fake.sent[0] = '\0';
		say(&fake.request, second, false);
		fake.request.spans[0].iov_len = 1;
		exchange_request_body(fake.ex);
	}
	assert_false(fake.has_ended);
	ask_more("", true);
	answer(200, "", true);
	assert_int_equal(fake.responded, 200);
}

/* It is the target that did not read. */
static void while_the_upstream_is_full_nobody_trickles(void **state)
{
	(void)state;
	ask("PUT", "a", false);
	ask_more("b", false);
	fake.is_upstream_blocked = true;
	for (unsigned s = 0; s < 2 * IDLE_S; s += 30) {
		pass(30000);
		timer_touch(&house.worker->loop, &fake.ex->timer); /* it takes some bytes */
	}
	fake.is_upstream_blocked = false;
	exchange_upstream_drained(fake.ex);
	ask_more("c", false);
	assert_false(fake.has_ended);
	ask_more("d", true);
	answer(200, "", true);
	assert_string_equal(fake.sent, "abcd");
}

static void after_the_answer_began_a_body_may_take_its_time(void **state)
{
	(void)state;
	ask("PUT", "a", false);
	answer(200, "go on", false);
	for (int i = 0; i < 10; i++) {
		pass(30000);
		ask_more("b", false);
	}
	assert_false(fake.has_ended);
	ask_more("c", true);
	answer_more("!", true);
	assert_string_equal(fake.received, "go on!");
}

static void a_client_that_leaves_frees_its_target_at_once(void **state)
{
	(void)state;
	ask("GET", "", true);
	exchange_client_gone(fake.ex);
	assert_int_equal(fake.n_released, 1);
	assert_int_equal(fake.n_reusable, 0);
	assert_int_equal(fake.generated, 0);
	assert_int_equal(fake.how, END_ABORT);
	assert_int_equal(count_of(LB_COUNTER_CLIENT_ABORTS), 1);
}

static void a_client_that_takes_no_more_ends_the_answer(void **state)
{
	(void)state;
	ask("GET", "", true);
	answer(200, "a", false);
	fake.is_client_broken = true;
	answer_more("b", false);
	assert_int_equal(fake.how, END_ABORT);
	assert_int_equal(fake.n_reusable, 0);
}

static void a_head_that_is_refused_opens_nothing(void **state)
{
	(void)state;
	exchange_refuse(new_exchange("GET"), 400);
	assert_int_equal(fake.generated, 400);
	assert_int_equal(fake.how, END_CLOSE);
	assert_int_equal(fake.n_openings, 0);
	assert_int_equal(count_of(LB_COUNTER_REQUESTS), 0);
}

static void a_body_that_turns_bad_after_the_answer_began_breaks_it_off(void **state)
{
	(void)state;
	ask("PUT", "a", false);
	answer(200, "b", false);
	exchange_refuse(fake.ex, 400);
	assert_int_equal(fake.generated, 0);
	assert_int_equal(fake.how, END_ABORT);
}

static void a_target_that_breaks_off_is_502_or_an_end_without_one(void **state)
{
	(void)state;
	ask("GET", "", true);
	exchange_upstream_failed(fake.ex, UPSTREAM_MALFORMED);
	assert_int_equal(fake.generated, 502);
	fake.generated = 0;
	ask("GET", "", true);
	answer(200, "half", false);
	exchange_upstream_failed(fake.ex, UPSTREAM_BROKEN);
	assert_int_equal(fake.generated, 0);
	assert_int_equal(fake.how, END_ABORT);
}

static void a_request_is_held_until_there_is_a_target(void **state)
{
	(void)state;
	install(0);
	ask("GET", "", true);
	assert_int_equal(fake.ex->state, EXCHANGE_HOLD);
	assert_int_equal(house.worker->n_held, 1);
	install(1);
	pass(50);
	assert_int_equal(fake.ex->state, EXCHANGE_WAIT);
	assert_ptr_equal(fake.openings[0], house.targets[0]);
	answer(200, "", true);
	assert_int_equal(house.worker->n_held, 0);
}

static void a_request_is_not_held_for_ever(void **state)
{
	(void)state;
	install(0);
	ask("GET", "", true);
	for (int ms = 0; ms < HOLD_S * 1000; ms += 50) {
		assert_false(fake.has_ended);
		pass(50);
	}
	assert_int_equal(fake.generated, 503);
	assert_int_equal(house.worker->n_held, 0);
}

static void a_client_may_leave_while_it_is_held(void **state)
{
	(void)state;
	install(0);
	ask("GET", "", true);
	exchange_client_gone(fake.ex);
	assert_int_equal(house.worker->n_held, 0);
	pass(50);
}

static void a_full_upstream_stops_the_clients_body(void **state)
{
	(void)state;
	ask("PUT", "a", false);
	assert_int_equal(fake.n_want_body, 1);
	assert_true(exchange_wants_body(fake.ex));
	fake.is_upstream_blocked = true;
	ask_more("b", false);
	assert_false(exchange_wants_body(fake.ex));
	fake.is_upstream_blocked = false;
	exchange_upstream_drained(fake.ex);
	assert_int_equal(fake.n_want_body, 2);
	assert_true(exchange_wants_body(fake.ex));
	ask_more("c", true);
	assert_false(exchange_wants_body(fake.ex));
	assert_string_equal(fake.sent, "abc");
	answer(200, "", true);
	assert_int_equal(fake.how, END_KEEP);
}

static void a_client_that_has_room_again_asks_for_more_of_the_answer(void **state)
{
	(void)state;
	ask("GET", "", true);
	answer(200, "a", false);
	fake.is_client_blocked = true;
	assert_true(fake.ex->client_ops->is_blocked(fake.ex));
	fake.is_client_blocked = false;
	exchange_client_drained(fake.ex);
	assert_int_equal(fake.n_want_response, 1);
	answer_more("b", true);
	assert_string_equal(fake.received, "ab");
	assert_int_equal(fake.n_reusable, 1);
}

/* RFC 9112 9.5: a server may answer and stop reading. */
static void a_target_that_stops_reading_may_have_answered(void **state)
{
	(void)state;
	ask("PUT", "a", false);
	fake.is_upstream_broken = true;
	ask_more("b", false);
	assert_int_equal(fake.n_want_response, 1);
	answer(413, "", true);
	assert_int_equal(fake.responded, 413);
	assert_true(fake.was_told_to_close);
	assert_int_equal(fake.n_reusable, 0);
	assert_int_equal(fake.how, END_CLOSE);
}

static void a_body_that_lost_bytes_does_not_go_on(void **state)
{
	(void)state;
	ask("PUT", "a", false);
	fake.has_upstream_no_room = true;
	ask_more("b", false);
	assert_int_equal(fake.generated, 502);
	assert_int_equal(fake.how, END_CLOSE);
	assert_int_equal(fake.n_reusable, 0);
}

static void only_a_target_is_blamed_for_an_answer_that_stops(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		bool is_client_stuck = i == 0;
		uint64_t before;

		ask("GET", "", true);
		before = target_failures(fake.ex->target);
		answer(200, "a", false);
		fake.is_client_blocked = is_client_stuck;
		pass(IDLE_S * 1000);
		assert_true(fake.has_ended);
		assert_int_equal(fake.how, END_ABORT);
		assert_int_equal(target_failures(fake.openings[fake.n_openings - 1]) - before,
				 !is_client_stuck);
		fake.has_ended = false;
	}
}

static void only_the_moves_that_are_drawn_are_allowed(void **state)
{
	static const char *const moves[] = {"head hold",    "head connect", "head done",
					    "hold connect", "hold done",    "connect wait",
					    "connect done", "wait connect", "wait relay",
					    "wait done",    "relay done"};
	unsigned n = 0;

	(void)state;
	for (int from = 0; from < EXCHANGE_STATE_COUNT; from++)
		for (int to = 0; to < EXCHANGE_STATE_COUNT; to++) {
			char move[32];

			if (!exchange_may_move(from, to))
				continue;
			snprintf(move, sizeof(move), "%s %s", exchange_state_name(from),
				 exchange_state_name(to));
			assert_string_equal(move, moves[n++]);
		}
	assert_int_equal(n, sizeof(moves) / sizeof(moves[0]));
}

#define WITH_HOUSE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    WITH_HOUSE(an_answer_goes_to_the_client_and_both_connections_live_on),
	    WITH_HOUSE(a_request_waits_until_its_connection_is_there),
	    WITH_HOUSE(when_a_connection_fails_another_target_is_tried),
	    WITH_HOUSE(when_every_target_refuses_the_client_gets_502),
	    WITH_HOUSE(a_connect_that_times_out_is_504),
	    WITH_HOUSE(a_stale_connection_is_replaced_and_the_request_sent_again),
	    WITH_HOUSE(what_cannot_be_sent_again_safely_is_not),
	    WITH_HOUSE(a_target_that_says_nothing_is_504_after_the_idle_timeout),
	    WITH_HOUSE(a_body_that_stops_is_408),
	    WITH_HOUSE(a_body_that_trickles_is_408_though_it_never_stops),
	    WITH_HOUSE(a_body_that_is_slow_but_steady_goes_on),
	    WITH_HOUSE(while_the_upstream_is_full_nobody_trickles),
	    WITH_HOUSE(after_the_answer_began_a_body_may_take_its_time),
	    WITH_HOUSE(a_client_that_leaves_frees_its_target_at_once),
	    WITH_HOUSE(a_client_that_takes_no_more_ends_the_answer),
	    WITH_HOUSE(a_head_that_is_refused_opens_nothing),
	    WITH_HOUSE(a_body_that_turns_bad_after_the_answer_began_breaks_it_off),
	    WITH_HOUSE(a_target_that_breaks_off_is_502_or_an_end_without_one),
	    WITH_HOUSE(a_request_is_held_until_there_is_a_target),
	    WITH_HOUSE(a_request_is_not_held_for_ever),
	    WITH_HOUSE(a_client_may_leave_while_it_is_held),
	    WITH_HOUSE(a_full_upstream_stops_the_clients_body),
	    WITH_HOUSE(a_client_that_has_room_again_asks_for_more_of_the_answer),
	    WITH_HOUSE(a_target_that_stops_reading_may_have_answered),
	    WITH_HOUSE(a_body_that_lost_bytes_does_not_go_on),
	    WITH_HOUSE(only_a_target_is_blamed_for_an_answer_that_stops),
	    cmocka_unit_test(only_the_moves_that_are_drawn_are_allowed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
