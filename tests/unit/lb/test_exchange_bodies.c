/* lb/proxy/exchange: bodies either way: time limits, back-pressure, what breaks them off. */
#include "exchange_house.h"

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

static void a_body_that_turns_bad_after_the_answer_began_breaks_it_off(void **state)
{
	(void)state;
	ask("PUT", "a", false);
	answer(200, "b", false);
	exchange_refuse(fake.ex, 400);
	assert_int_equal(fake.generated, 0);
	assert_int_equal(fake.how, END_ABORT);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
	    WITH_HOUSE(a_body_that_stops_is_408),
	    WITH_HOUSE(a_body_that_trickles_is_408_though_it_never_stops),
	    WITH_HOUSE(a_body_that_is_slow_but_steady_goes_on),
	    WITH_HOUSE(while_the_upstream_is_full_nobody_trickles),
	    WITH_HOUSE(after_the_answer_began_a_body_may_take_its_time),
	    WITH_HOUSE(a_client_that_takes_no_more_ends_the_answer),
	    WITH_HOUSE(a_body_that_turns_bad_after_the_answer_began_breaks_it_off),
	    WITH_HOUSE(a_full_upstream_stops_the_clients_body),
	    WITH_HOUSE(a_client_that_has_room_again_asks_for_more_of_the_answer),
	    WITH_HOUSE(a_target_that_stops_reading_may_have_answered),
	    WITH_HOUSE(a_body_that_lost_bytes_does_not_go_on),
	    WITH_HOUSE(only_a_target_is_blamed_for_an_answer_that_stops),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
