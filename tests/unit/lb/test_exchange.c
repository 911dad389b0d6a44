/* lb/proxy/exchange: one request between two parties that know no protocol and no socket. */
#include "exchange_house.h"

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

static void a_head_that_is_refused_opens_nothing(void **state)
{
	(void)state;
	exchange_refuse(new_exchange("GET"), 400);
	assert_int_equal(fake.generated, 400);
	assert_int_equal(fake.how, END_CLOSE);
	assert_int_equal(fake.n_openings, 0);
	assert_int_equal(count_of(LB_COUNTER_REQUESTS), 0);
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

static void while_buffers_are_short_new_requests_are_refused(void **state)
{
	(void)state;
	ask("GET", "", true);
	house.worker->buffers.limit = BUFFER_LIMIT_LEAST;
	house.worker->buffers.used = BUFFER_LIMIT_LEAST / 8 * 7;
	answer(200, "", true); /* those under way go on */
	assert_int_equal(fake.responded, 200);
	ask("GET", "", true);
	assert_int_equal(fake.generated, 503);
	assert_int_equal(fake.how, END_KEEP);
	assert_int_equal(fake.n_openings, 1);
	assert_int_equal(count_of(LB_COUNTER_REFUSED_SHORT), 1);
	house.worker->buffers.used = 0;
	fake.generated = 0;
	ask("GET", "", true);
	assert_int_equal(fake.generated, 0);
	answer(200, "", true);
}

/* The target may have answered long ago. */
static void while_buffers_are_short_no_target_is_blamed(void **state)
{
	uint64_t before;

	(void)state;
	ask("GET", "", true);
	before = target_failures(fake.ex->target);
	house.worker->buffers.limit = BUFFER_LIMIT_LEAST;
	house.worker->buffers.used = BUFFER_LIMIT_LEAST;
	pass(IDLE_S * 1000);
	assert_int_equal(fake.generated, 504);
	assert_int_equal(target_failures(fake.openings[0]), before);
	house.worker->buffers.used = 0;
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
	    WITH_HOUSE(a_client_that_leaves_frees_its_target_at_once),
	    WITH_HOUSE(a_head_that_is_refused_opens_nothing),
	    WITH_HOUSE(a_target_that_breaks_off_is_502_or_an_end_without_one),
	    WITH_HOUSE(a_request_is_held_until_there_is_a_target),
	    WITH_HOUSE(a_request_is_not_held_for_ever),
	    WITH_HOUSE(a_client_may_leave_while_it_is_held),
	    WITH_HOUSE(while_buffers_are_short_new_requests_are_refused),
	    WITH_HOUSE(while_buffers_are_short_no_target_is_blamed),
	    cmocka_unit_test(only_the_moves_that_are_drawn_are_allowed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
