/* common/aws/client and server: both in one loop, over a real socket, with signatures verified. */
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
#include <netinet/in.h>

#include "common/aws/client.h"
#include "common/aws/client_retry.h"
#include "common/aws/server.h"

struct world {
	struct event_base *base;
	struct curl_loop *loop;
	struct aws_credentials *credentials;
	struct aws_server *server;
	struct aws_client *client;
	struct evhttp *raw; /* a peer that is not one of ours */
	int raw_port;
	/* What the peer is to do, and did. */
	int n_failures; /* answer 503 so often first */
	const char *failure_code;
	int n_handled;
	char *seen_input;
	const char *raw_answer;
	size_t raw_len;
	int raw_status;
	/* What came back. */
	int n_done, n_wanted;
	json_t *output;
	struct aws_error error;
};

static json_t *handle(void *context, const struct aws_call *call, const json_t *input,
		      struct aws_error *error)
{
	struct world *world = context;

	world->n_handled++;
	free(world->seen_input);
	world->seen_input = json_dumps(input, JSON_COMPACT | JSON_SORT_KEYS);
	if (world->n_failures > 0) {
		world->n_failures--;
		aws_error_set(error, 503, world->failure_code, "not now");
		return NULL;
	}
	if (strcmp(call->action, "GetCallerIdentity") == 0)
		return json_pack("{s:s,s:s,s:s}", "UserId", "AIDA", "Account", call->account_id,
				 "Arn", "arn:aws:iam::000000000000:root");
	return json_pack("{s:[{s:s,s:s}]}", "LoadBalancers", "LoadBalancerName", "students",
			 "DNSName", "127.0.0.1");
}

static const struct aws_action sts_actions[] = {{"GetCallerIdentity", handle}};
static const struct aws_action elb_actions[] = {{"DescribeLoadBalancers", handle}};

static void on_raw(struct evhttp_request *req, void *arg)
{
	struct world *world = arg;
	struct evbuffer *body = evbuffer_new();

	world->n_handled++;
	if (world->raw_status == 0) {
		evbuffer_free(body);
		return; /* silence */
	}
	if (world->raw_answer == NULL)
		evbuffer_expand(body, world->raw_len);
	for (size_t n = 0; world->raw_answer == NULL && n < world->raw_len; n += 1024) {
		static const char zeros[1024];

		evbuffer_add(body, zeros, sizeof(zeros));
	}
	if (world->raw_answer != NULL)
		evbuffer_add(body, world->raw_answer, strlen(world->raw_answer));
	evhttp_send_reply(req, world->raw_status, NULL, body);
	evbuffer_free(body);
}

static struct aws_client *client_of(struct world *world, const char *service, int port,
				    int timeout_ms)
{
	char endpoint[64];
	struct aws_client_config config = {.service = service,
					   .endpoint = endpoint,
					   .region = "us-east-1",
					   .timeout_ms = timeout_ms};
	struct aws_client *client;
	struct err err = {0};

	snprintf(endpoint, sizeof(endpoint), "http://127.0.0.1:%d", port);
	client = aws_client_new(world->loop, world->credentials, &config, &err);
	assert_non_null(client);
	return client;
}

static void start_server(struct world *world)
{
	json_t *credentials =
	    json_pack("[{s:s,s:s}]", "AccessKeyId", "test", "SecretAccessKey", "s/e+c ret");
	struct aws_server_config config = {.address = "127.0.0.1:0",
					   .region = "us-east-1",
					   .account_id = "000000000000",
					   .credentials = credentials};
	struct err err = {0};

	world->server = aws_server_new(world->base, &config, &err);
	assert_non_null(world->server);
	json_decref(credentials);
	assert_int_equal(aws_server_add_service(world->server, "sts", sts_actions, 1, world, &err),
			 0);
	assert_int_equal(aws_server_add_service(world->server, "elasticloadbalancing", elb_actions,
						1, world, &err),
			 0);
}

static void start_raw(struct world *world)
{
	struct evhttp_bound_socket *bound;
	struct sockaddr_in addr = {0};
	socklen_t len = sizeof(addr);

	world->raw = evhttp_new(world->base);
	evhttp_set_gencb(world->raw, on_raw, world);
	bound = evhttp_bind_socket_with_handle(world->raw, "127.0.0.1", 0);
	assert_non_null(bound);
	getsockname(evhttp_bound_socket_get_fd(bound), (struct sockaddr *)&addr, &len);
	world->raw_port = ntohs(addr.sin_port);
}

static int set_up(void **state)
{
	struct world *world = calloc(1, sizeof(*world));

	unsetenv("AWS_SESSION_TOKEN");
	unsetenv("AWS_PROFILE");
	setenv("AWS_ACCESS_KEY_ID", "test", 1);
	setenv("AWS_SECRET_ACCESS_KEY", "s/e+c ret", 1);
	world->base = event_base_new();
	world->loop = curl_loop_new(world->base, NULL);
	world->credentials = aws_credentials_new(world->loop, NULL);
	world->failure_code = "ServiceUnavailable";
	world->n_wanted = 1;
	start_server(world);
	start_raw(world);
	world->client = client_of(world, "sts", aws_server_port(world->server), 0);
	*state = world;
	return 0;
}

static int tear_down(void **state)
{
	struct world *world = *state;

	aws_client_free(world->client);
	aws_credentials_free(world->credentials);
	curl_loop_free(world->loop);
	aws_server_free(world->server);
	if (world->raw != NULL)
		evhttp_free(world->raw);
	event_base_free(world->base);
	json_decref(world->output);
	free(world->seen_input);
	free(world);
	return 0;
}

static void on_done(void *arg, const json_t *output, const struct aws_error *error)
{
	struct world *world = arg;

	json_decref(world->output);
	world->output = output == NULL ? NULL : json_deep_copy(output);
	world->error = *error;
	if (++world->n_done == world->n_wanted)
		event_base_loopbreak(world->base);
}

static void run(struct world *world, int ms)
{
	struct timeval limit = {.tv_sec = ms / 1000, .tv_usec = (ms % 1000) * 1000L};

	event_base_loopexit(world->base, &limit);
	event_base_dispatch(world->base);
}

static struct aws_client_call *call(struct world *world, const char *action, const char *input)
{
	struct err err = {0};
	json_t *document = json_loads(input, 0, NULL);
	struct aws_client_call *made;

	assert_non_null(document);
	made = aws_client_call(world->client, action, document, on_done, world, &err);
	json_decref(document);
	assert_non_null(made);
	assert_int_equal(world->n_done, 0);
	return made;
}

static void call_and_run(struct world *world, const char *action, const char *input)
{
	call(world, action, input);
	run(world, 10000);
	assert_int_equal(world->n_done, world->n_wanted);
}

static void use_raw(struct world *world, int status, const char *answer)
{
	world->raw_status = status;
	world->raw_answer = answer;
	aws_client_free(world->client);
	world->client = client_of(world, "sts", world->raw_port, 200);
}

static const char *member(const json_t *object, const char *name)
{
	return json_string_value(json_object_get(object, name));
}

static void a_signed_call_goes_through(void **state)
{
	struct world *world = *state;

	call_and_run(world, "GetCallerIdentity", "{}");
	assert_int_equal(world->error.http_status, 0);
	assert_string_equal(member(world->output, "Account"), "000000000000");
}

static void lists_travel_both_ways(void **state)
{
	struct world *world = *state;

	aws_client_free(world->client);
	world->client = client_of(world, "elasticloadbalancing", aws_server_port(world->server), 0);
	call_and_run(world, "DescribeLoadBalancers",
		     "{\"Names\":[\"students\",\"a b&c=d+e\"],\"PageSize\":5}");
	assert_string_equal(world->seen_input,
			    "{\"Names\":[\"students\",\"a b&c=d+e\"],\"PageSize\":5}");
	assert_string_equal(
	    member(json_array_get(json_object_get(world->output, "LoadBalancers"), 0),
		   "LoadBalancerName"),
	    "students");
}

static void many_calls_run_side_by_side(void **state)
{
	struct world *world = *state;

	world->n_wanted = 50;
	for (int i = 0; i < 49; i++)
		call(world, "GetCallerIdentity", "{}");
	call_and_run(world, "GetCallerIdentity", "{}");
	assert_int_equal(world->error.http_status, 0);
	assert_int_equal(world->n_handled, 50);
}

static void a_503_is_tried_again(void **state)
{
	struct world *world = *state;

	world->n_failures = 2;
	call_and_run(world, "GetCallerIdentity", "{}");
	assert_int_equal(world->n_handled, 3);
	assert_int_equal(world->error.http_status, 0);
}

static void the_last_attempts_error_is_reported(void **state)
{
	struct world *world = *state;

	world->n_failures = 9;
	call_and_run(world, "GetCallerIdentity", "{}");
	assert_int_equal(world->n_handled, 3);
	assert_int_equal(world->error.http_status, 503);
	assert_string_equal(world->error.code, "ServiceUnavailable");
	assert_string_equal(world->error.message, "not now");
	assert_null(world->output);
}

static void a_clients_fault_is_not_tried_again(void **state)
{
	struct world *world = *state;

	setenv("AWS_SECRET_ACCESS_KEY", "wrong", 1);
	call_and_run(world, "GetCallerIdentity", "{}");
	assert_int_equal(world->n_handled, 0);
	assert_int_equal(world->error.http_status, 403);
	assert_string_equal(world->error.code, "SignatureDoesNotMatch");
}

static void an_action_without_handler_is_an_invalid_action(void **state)
{
	struct world *world = *state;

	aws_client_free(world->client);
	world->client = client_of(world, "elasticloadbalancing", aws_server_port(world->server), 0);
	call_and_run(world, "DescribeTargetGroups", "{}");
	assert_int_equal(world->error.http_status, 400);
	assert_string_equal(world->error.code, "InvalidAction");
	assert_non_null(strstr(world->error.message, "DescribeTargetGroups"));
}

static void a_refused_connection_is_tried_again_and_named(void **state)
{
	struct world *world = *state;
	char port[16];

	use_raw(world, 200, "");
	evhttp_free(world->raw);
	world->raw = NULL;
	call_and_run(world, "GetCallerIdentity", "{}");
	assert_int_equal(world->error.http_status, CURLE_COULDNT_CONNECT);
	assert_string_equal(world->error.code, "ConnectionError");
	snprintf(port, sizeof(port), ":%d", world->raw_port);
	assert_non_null(strstr(world->error.message, port));
	assert_non_null(strstr(world->error.message, "Connection refused"));
}

static void a_silent_peer_is_a_timeout(void **state)
{
	struct world *world = *state;

	use_raw(world, 0, "");
	call_and_run(world, "GetCallerIdentity", "{}");
	assert_int_equal(world->n_handled, 3);
	assert_string_equal(world->error.code, "RequestTimeout");
	assert_int_equal(world->error.http_status, CURLE_OPERATION_TIMEDOUT);
}

static void garbage_is_an_error_and_not_a_crash(void **state)
{
	static const char *const answers[] = {
	    "",
	    "hello",
	    "<html><body>It works!</body></html>",
	    "<GetCallerIdentityResponse><GetCallerIdentityResult><Account>1</Acc",
	    "{\"Account\": 1}",
	};
	struct world *world = *state;

	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		world->n_done = 0;
		use_raw(world, 200, answers[i]);
		call_and_run(world, "GetCallerIdentity", "{}");
		assert_true(world->error.http_status > 0);
		assert_true(world->error.code[0] != '\0');
		assert_null(world->output);
	}
}

static void garbage_with_an_error_status_keeps_the_status(void **state)
{
	struct world *world = *state;

	use_raw(world, 404, "<html>not here</html>");
	call_and_run(world, "GetCallerIdentity", "{}");
	assert_int_equal(world->error.http_status, 404);
	assert_true(world->error.code[0] != '\0');
	assert_int_equal(world->n_handled, 1);
}

static void an_answer_beyond_the_limit_is_refused(void **state)
{
	struct world *world = *state;

	use_raw(world, 200, NULL);
	aws_client_free(world->client);
	world->client = client_of(world, "sts", world->raw_port, 5000);
	world->raw_len = 17UL * 1024 * 1024;
	call_and_run(world, "GetCallerIdentity", "{}");
	assert_string_equal(world->error.code, "AnswerTooLarge");
	assert_int_equal(world->n_handled, 1);
}

static void a_cancelled_call_makes_no_callback(void **state)
{
	struct world *world = *state;
	struct aws_client_call *waiting = call(world, "GetCallerIdentity", "{}");
	struct aws_client_call *running;

	aws_client_cancel(waiting); /* for its keys */
	run(world, 50);
	use_raw(world, 0, "");
	running = call(world, "GetCallerIdentity", "{}");
	run(world, 50);
	assert_int_equal(world->n_handled, 1);
	aws_client_cancel(running);
	run(world, 300);
	assert_int_equal(world->n_done, 0);
	assert_int_equal(world->n_handled, 1);
}

static void freeing_the_client_ends_its_calls_silently(void **state)
{
	struct world *world = *state;

	call(world, "GetCallerIdentity", "{}");
	aws_client_free(world->client);
	world->client = NULL;
	run(world, 50);
	assert_int_equal(world->n_done, 0);
}

static void free_client(void *arg, const json_t *output, const struct aws_error *error)
{
	struct world *world = arg;

	on_done(arg, output, error);
	aws_client_free(world->client);
	world->client = NULL;
}

static void a_callback_may_free_the_client(void **state)
{
	struct world *world = *state;
	json_t *input = json_object();

	assert_non_null(
	    aws_client_call(world->client, "GetCallerIdentity", input, free_client, world, NULL));
	json_decref(input);
	run(world, 5000);
	assert_int_equal(world->n_done, 1);
	assert_null(world->client);
}

static void bad_input_is_refused_at_once(void **state)
{
	struct world *world = *state;
	json_t *input = json_pack("{s:[s]}", "Nmaes", "x");
	struct err err = {0};

	aws_client_free(world->client);
	world->client = client_of(world, "elasticloadbalancing", aws_server_port(world->server), 0);
	assert_null(
	    aws_client_call(world->client, "DescribeLoadBalancers", input, on_done, world, &err));
	assert_non_null(strstr(err.text, "DescribeLoadBalancers"));
	assert_null(aws_client_call(world->client, "NoSuchAction", input, on_done, world, &err));
	assert_non_null(strstr(err.text, "NoSuchAction"));
	json_decref(input);
	run(world, 20);
	assert_int_equal(world->n_done, 0);
}

static void a_bad_endpoint_is_refused(void **state)
{
	static const char *const endpoints[] = {"", "127.0.0.1:80", "ftp://x", "http://",
						"nonsense"};
	struct world *world = *state;

	for (size_t i = 0; i < sizeof(endpoints) / sizeof(endpoints[0]); i++) {
		struct aws_client_config config = {
		    .service = "sts", .endpoint = endpoints[i], .region = "us-east-1"};
		struct err err = {0};

		assert_null(aws_client_new(world->loop, world->credentials, &config, &err));
		assert_non_null(strstr(err.text, "client of sts"));
	}
}

static void without_keys_a_call_says_where_it_looked(void **state)
{
	struct world *world = *state;

	unsetenv("AWS_ACCESS_KEY_ID");
	setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent/credentials", 1);
	setenv("AWS_CONFIG_FILE", "/nonexistent/config", 1);
	setenv("AWS_EC2_METADATA_DISABLED", "true", 1);
	world->n_wanted = 2;
	call(world, "GetCallerIdentity", "{}");
	call_and_run(world, "GetCallerIdentity", "{}");
	assert_string_equal(world->error.code, "NoCredentials");
	assert_true(world->error.http_status > 0 && world->error.http_status < 100);
	assert_non_null(strstr(world->error.message, "AWS_ACCESS_KEY_ID"));
	assert_non_null(strstr(world->error.message, "/nonexistent/credentials"));
	assert_non_null(strstr(world->error.message, "instance metadata"));
}

static void which_errors_are_worth_another_attempt(void **state)
{
	static const struct {
		const char *code;
		int status;
		enum retry_kind kind;
	} cases[] = {
	    {"InternalFailure", 500, RETRY_FAULT},
	    {"BadGateway", 502, RETRY_FAULT},
	    {"Unavailable", 503, RETRY_FAULT},
	    {"x", 504, RETRY_FAULT},
	    {"NotImplemented", 501, RETRY_NEVER},
	    {"ValidationError", 400, RETRY_NEVER},
	    {"Throttling", 400, RETRY_THROTTLE},
	    {"RequestLimitExceeded", 503, RETRY_THROTTLE},
	    {"x", 429, RETRY_THROTTLE},
	    {"RequestTimeout", 400, RETRY_FAULT},
	    {"ExpiredToken", 403, RETRY_EXPIRED},
	    {"AccessDenied", 403, RETRY_NEVER},
	    {"LoadBalancerNotFound", 404, RETRY_NEVER},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct aws_error error = {0};

		aws_error_set(&error, cases[i].status, cases[i].code, "x");
		assert_int_equal(retry_kind_of_error(&error), cases[i].kind);
	}
	assert_int_equal(retry_kind_of_curl(CURLE_COULDNT_CONNECT), RETRY_FAULT);
	assert_int_equal(retry_kind_of_curl(CURLE_URL_MALFORMAT), RETRY_NEVER);
	assert_int_equal(retry_kind_of_curl(CURLE_PEER_FAILED_VERIFICATION), RETRY_NEVER);
}

static void pauses_double_up_to_twenty_seconds(void **state)
{
	(void)state;
	assert_int_equal(retry_delay_ms(RETRY_FAULT, 0, 1.0), 50);
	assert_int_equal(retry_delay_ms(RETRY_FAULT, 3, 1.0), 400);
	assert_int_equal(retry_delay_ms(RETRY_FAULT, 3, 0.5), 200);
	assert_int_equal(retry_delay_ms(RETRY_FAULT, 3, 0.0), 0);
	assert_int_equal(retry_delay_ms(RETRY_THROTTLE, 1, 1.0), 1000);
	assert_int_equal(retry_delay_ms(RETRY_THROTTLE, 60, 1.0), 20000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	    TEST(a_signed_call_goes_through),
	    TEST(lists_travel_both_ways),
	    TEST(many_calls_run_side_by_side),
	    TEST(a_503_is_tried_again),
	    TEST(the_last_attempts_error_is_reported),
	    TEST(a_clients_fault_is_not_tried_again),
	    TEST(an_action_without_handler_is_an_invalid_action),
	    TEST(a_refused_connection_is_tried_again_and_named),
	    TEST(a_silent_peer_is_a_timeout),
	    TEST(garbage_is_an_error_and_not_a_crash),
	    TEST(garbage_with_an_error_status_keeps_the_status),
	    TEST(an_answer_beyond_the_limit_is_refused),
	    TEST(a_cancelled_call_makes_no_callback),
	    TEST(freeing_the_client_ends_its_calls_silently),
	    TEST(a_callback_may_free_the_client),
	    TEST(bad_input_is_refused_at_once),
	    TEST(a_bad_endpoint_is_refused),
	    TEST(without_keys_a_call_says_where_it_looked),
	    cmocka_unit_test(which_errors_are_worth_another_attempt),
	    cmocka_unit_test(pauses_double_up_to_twenty_seconds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
