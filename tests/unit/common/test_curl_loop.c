/* common/http/curl_loop: transfers against an evhttp server in the same loop. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <event2/buffer.h>
#include <event2/http.h>

#include "common/http/curl_loop.h"

struct world {
	struct event_base *base;
	struct evhttp *http;
	struct curl_loop *loop;
	int port;
	char url[64];
	/* What came back. */
	int n_done, n_wanted;
	CURLcode result;
	long status;
};

static void on_hello(struct evhttp_request *req, void *arg)
{
	struct evbuffer *body = evbuffer_new();

	(void)arg;
	evbuffer_add_printf(body, "hello");
	evhttp_send_reply(req, 200, "OK", body);
	evbuffer_free(body);
}

static int set_up(void **state)
{
	struct world *world = calloc(1, sizeof(*world));
	struct evhttp_bound_socket *bound;
	struct sockaddr_in addr = {0};
	socklen_t len = sizeof(addr);

	world->base = event_base_new();
	world->http = evhttp_new(world->base);
	evhttp_set_gencb(world->http, on_hello, NULL);
	bound = evhttp_bind_socket_with_handle(world->http, "127.0.0.1", 0);
	assert_non_null(bound);
	getsockname(evhttp_bound_socket_get_fd(bound), (struct sockaddr *)&addr, &len);
	world->port = ntohs(addr.sin_port);
	snprintf(world->url, sizeof(world->url), "http://127.0.0.1:%d/", world->port);
	world->loop = curl_loop_new(world->base, NULL);
	assert_non_null(world->loop);
	world->n_wanted = 1;
	*state = world;
	return 0;
}

static int tear_down(void **state)
{
	struct world *world = *state;

	curl_loop_free(world->loop);
	evhttp_free(world->http);
	event_base_free(world->base);
	free(world);
	return 0;
}

static size_t drop(char *bytes, size_t size, size_t n, void *arg)
{
	(void)bytes;
	(void)arg;
	return size * n;
}

static CURL *easy_for(const char *url, long timeout_ms)
{
	CURL *easy = curl_easy_init();

	curl_easy_setopt(easy, CURLOPT_URL, url);
	curl_easy_setopt(easy, CURLOPT_NOPROXY, "*");
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, drop);
	curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, timeout_ms);
	return easy;
}

static void on_done(void *arg, CURL *easy, CURLcode result)
{
	struct world *world = arg;

	world->result = result;
	curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &world->status);
	curl_easy_cleanup(easy);
	if (++world->n_done == world->n_wanted)
		event_base_loopbreak(world->base);
}

static void run(struct world *world, int ms)
{
	struct timeval limit = {.tv_sec = ms / 1000, .tv_usec = (ms % 1000) * 1000L};

	event_base_loopexit(world->base, &limit);
	event_base_dispatch(world->base);
}

static void a_transfer_ends_in_its_callback(void **state)
{
	struct world *world = *state;

	assert_int_equal(curl_loop_add(world->loop, easy_for(world->url, 5000), on_done, world), 0);
	assert_int_equal(world->n_done, 0);
	run(world, 5000);
	assert_int_equal(world->n_done, 1);
	assert_int_equal(world->result, CURLE_OK);
	assert_int_equal(world->status, 200);
}

static void a_hundred_transfers_run_side_by_side(void **state)
{
	struct world *world = *state;

	world->n_wanted = 100;
	for (int i = 0; i < 100; i++)
		assert_int_equal(
		    curl_loop_add(world->loop, easy_for(world->url, 5000), on_done, world), 0);
	run(world, 5000);
	assert_int_equal(world->n_done, 100);
	assert_int_equal(world->result, CURLE_OK);
}

static void a_refused_connection_is_reported(void **state)
{
	struct world *world = *state;

	curl_loop_free(world->loop);
	evhttp_free(world->http); /* nobody listens on the port any more */
	world->http = evhttp_new(world->base);
	world->loop = curl_loop_new(world->base, NULL);
	assert_int_equal(curl_loop_add(world->loop, easy_for(world->url, 5000), on_done, world), 0);
	run(world, 5000);
	assert_int_equal(world->n_done, 1);
	assert_int_equal(world->result, CURLE_COULDNT_CONNECT);
}

static void on_silence(struct evhttp_request *req, void *arg)
{
	(void)req; /* evhttp ends it when it is freed */
	(void)arg;
}

static void a_silent_server_ends_in_a_timeout(void **state)
{
	struct world *world = *state;

	evhttp_set_gencb(world->http, on_silence, NULL);
	assert_int_equal(curl_loop_add(world->loop, easy_for(world->url, 50), on_done, world), 0);
	run(world, 5000);
	assert_int_equal(world->result, CURLE_OPERATION_TIMEDOUT);
}

static void a_cancelled_transfer_makes_no_callback(void **state)
{
	struct world *world = *state;
	CURL *easy = easy_for(world->url, 5000);

	evhttp_set_gencb(world->http, on_silence, NULL);
	assert_int_equal(curl_loop_add(world->loop, easy, on_done, world), 0);
	run(world, 50); /* it is under way */
	curl_loop_cancel(world->loop, easy);
	curl_loop_cancel(world->loop, easy);
	curl_easy_cleanup(easy);
	run(world, 50);
	assert_int_equal(world->n_done, 0);
}

static void freeing_the_loop_drops_what_runs(void **state)
{
	struct world *world = *state;
	CURL *easy = easy_for(world->url, 5000);

	evhttp_set_gencb(world->http, on_silence, NULL);
	assert_int_equal(curl_loop_add(world->loop, easy, on_done, world), 0);
	run(world, 50);
	curl_loop_free(world->loop);
	world->loop = NULL;
	curl_easy_cleanup(easy);
	assert_int_equal(world->n_done, 0);
}

static void on_done_again(void *arg, CURL *easy, CURLcode result)
{
	struct world *world = arg;

	world->result = result;
	if (++world->n_done < 3) {
		assert_int_equal(curl_loop_add(world->loop, easy, on_done_again, world), 0);
		return;
	}
	curl_easy_cleanup(easy);
	event_base_loopbreak(world->base);
}

static void a_callback_may_start_the_handle_again(void **state)
{
	struct world *world = *state;

	assert_int_equal(
	    curl_loop_add(world->loop, easy_for(world->url, 5000), on_done_again, world), 0);
	run(world, 5000);
	assert_int_equal(world->n_done, 3);
	assert_int_equal(world->result, CURLE_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(a_transfer_ends_in_its_callback, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(a_hundred_transfers_run_side_by_side, set_up,
					    tear_down),
	    cmocka_unit_test_setup_teardown(a_refused_connection_is_reported, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(a_silent_server_ends_in_a_timeout, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(a_cancelled_transfer_makes_no_callback, set_up,
					    tear_down),
	    cmocka_unit_test_setup_teardown(freeing_the_loop_drops_what_runs, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(a_callback_may_start_the_handle_again, set_up,
					    tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
