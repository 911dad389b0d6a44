/*
 * Memory runs out at the n-th allocation, for every n, somewhere in a call from our client to
 * our server: nothing crashes, leaks or waits for ever, and the call ends exactly once.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/aws/client.h"
#include "common/aws/server.h"
#include "common/base/log.h"

#include "tests/unit/oom.h"

struct world {
	struct event_base *base;
	struct curl_loop *loop;
	struct aws_credentials *credentials;
	struct aws_server *server;
	struct aws_client *client;
	int n_done;
	struct aws_error error;
};

static json_t *handle(void *context, const struct aws_call *call, const json_t *input,
		      struct aws_error *error)
{
	json_t *output = json_pack("{s:[{s:s}]}", "LoadBalancers", "LoadBalancerName", "students");

	(void)context;
	(void)call;
	(void)input;
	if (output == NULL)
		aws_error_set(error, 500, "InternalFailure", "out of memory");
	return output;
}

static const struct aws_action actions[] = {{"DescribeLoadBalancers", handle}};

static void on_done(void *arg, const json_t *output, const struct aws_error *error)
{
	struct world *world = arg;

	assert_true((output == NULL) == (error->http_status != 0));
	world->n_done++;
	world->error = *error;
	event_base_loopbreak(world->base);
}

/* false: something could not be made, and says so. */
static bool start(struct world *world, const json_t *keys)
{
	struct aws_server_config config = {.address = "127.0.0.1:0",
					   .region = "us-east-1",
					   .account_id = "000000000000",
					   .credentials = keys};
	struct aws_client_config client_config = {.service = "elasticloadbalancing",
						  .region = "us-east-1",
						  .max_attempts = 1,
						  .timeout_ms = 1000};
	struct err err = {0};
	char endpoint[64];

	world->loop = curl_loop_new(world->base, &err);
	if (world->loop == NULL)
		goto fail;
	world->credentials = aws_credentials_new(world->loop, &err);
	world->server =
	    world->credentials == NULL ? NULL : aws_server_new(world->base, &config, &err);
	if (world->server == NULL || aws_server_add_service(world->server, "elasticloadbalancing",
							    actions, 1, NULL, &err) != 0)
		goto fail;
	snprintf(endpoint, sizeof(endpoint), "http://127.0.0.1:%d", aws_server_port(world->server));
	client_config.endpoint = endpoint;
	world->client = aws_client_new(world->loop, world->credentials, &client_config, &err);
	if (world->client != NULL)
		return true;
fail:
	assert_true(err.code != 0 && err.text[0] != '\0');
	return false;
}

static bool call(struct world *world, const json_t *input)
{
	struct err err = {0};

	if (aws_client_call(world->client, "DescribeLoadBalancers", input, on_done, world, &err) !=
	    NULL)
		return true;
	assert_int_equal(world->n_done, 0);
	assert_true(err.text[0] != '\0');
	return false;
}

static void try_with(long n, const json_t *keys, const json_t *input)
{
	static const struct timeval limit = {.tv_sec = 5};
	struct world world = {.base = event_base_new()};

	has_failed = false;
	countdown = n;
	if (start(&world, keys) && call(&world, input)) {
		event_base_loopexit(world.base, &limit);
		event_base_dispatch(world.base);
		if (world.n_done != 1)
			fail_msg("allocation %ld: the call ended %d times", n, world.n_done);
		if (!has_failed)
			assert_int_equal(world.error.http_status, 0);
	}
	countdown = -1;
	aws_client_free(world.client);
	aws_credentials_free(world.credentials);
	curl_loop_free(world.loop);
	aws_server_free(world.server);
	event_base_free(world.base);
}

static void whichever_allocation_fails_a_call_ends_once(void **state)
{
	json_t *keys = json_pack("[{s:s,s:s}]", "AccessKeyId", "k", "SecretAccessKey", "s");
	json_t *input = json_pack("{s:[s,s]}", "Names", "a", "b");

	(void)state;
	setenv("AWS_ACCESS_KEY_ID", "k", 1);
	setenv("AWS_SECRET_ACCESS_KEY", "s", 1);
	log_start("test", LOG_LEVEL_ERROR);
	json_set_alloc_funcs(__wrap_malloc, free);
	try_with(-1, keys, input); /* loads the models, which stay */
	assert_false(has_failed);
	for (long n = 0; n == 0 || has_failed; n++) {
		assert_true(n < 5000);
		try_with(n, keys, input);
	}
	json_set_alloc_funcs(malloc, free);
	json_decref(keys);
	json_decref(input);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(whichever_allocation_fails_a_call_ends_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
