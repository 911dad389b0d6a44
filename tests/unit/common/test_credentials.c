/* common/aws/credentials: every place keys are looked for, and their renewal. */
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
#include <sys/stat.h>
#include <unistd.h>

#include "common/aws/credentials.h"
#include "common/aws/credentials_file.h"
#include "common/base/clock.h"

#define BAD_TIME "{\"AccessKeyId\":\"x\",\"SecretAccessKey\":\"y\",\"Expiration\":\"tomorrow\"}"
#define ROLE_PATH "/latest/meta-data/iam/security-credentials/"

struct world {
	struct event_base *base;
	struct curl_loop *loop;
	struct aws_credentials *credentials;
	struct evhttp *peer; /* plays container and instance metadata */
	char endpoint[64];
	char folder[64], shared[96], config[96];
	/* How the peer behaves, and what it saw. */
	int token_status; /* of PUT; 0 = silence */
	const char *role, *keys;
	char expiration[CLOCK_TEXT_MAX];
	int n_tokens, n_keys;
	bool has_token_header;
	char authorization[64];
	/* What came back. */
	struct aws_keys_waiter waiter;
	int n_told;
	char access_key[64], token[64];
	char why[1024];
};

static void reply(struct evhttp_request *req, int status, const char *text)
{
	struct evbuffer *body = evbuffer_new();

	evbuffer_add(body, text, strlen(text));
	evhttp_send_reply(req, status, NULL, body);
	evbuffer_free(body);
}

static void reply_keys(struct world *world, struct evhttp_request *req)
{
	char text[512];

	world->n_keys++;
	snprintf(text, sizeof(text),
		 "{\"Code\":\"Success\",\"AccessKeyId\":\"ASIA%d\",\"SecretAccessKey\":\"s\","
		 "\"Token\":\"t\",\"Expiration\":\"%s\"}",
		 world->n_keys, world->expiration);
	reply(req, 200, world->keys != NULL ? world->keys : text);
}

static void on_peer(struct evhttp_request *req, void *arg)
{
	struct world *world = arg;
	struct evkeyvalq *headers = evhttp_request_get_input_headers(req);
	const char *uri = evhttp_request_get_uri(req);
	const char *token = evhttp_find_header(headers, "X-aws-ec2-metadata-token");
	const char *authorization = evhttp_find_header(headers, "Authorization");

	if (authorization != NULL)
		snprintf(world->authorization, sizeof(world->authorization), "%s", authorization);
	world->has_token_header = token != NULL && strcmp(token, "tok==") == 0;
	if (evhttp_request_get_command(req) == EVHTTP_REQ_PUT) {
		assert_string_equal(uri, "/latest/api/token");
		assert_non_null(
		    evhttp_find_header(headers, "X-aws-ec2-metadata-token-ttl-seconds"));
		world->n_tokens++;
		if (world->token_status != 0)
			reply(req, world->token_status, "tok==");
	} else if (strcmp(uri, ROLE_PATH) == 0) {
		reply(req, world->role == NULL ? 404 : 200, world->role == NULL ? "" : world->role);
	} else if (strcmp(uri, "/container") == 0 ||
		   strncmp(uri, ROLE_PATH, strlen(ROLE_PATH)) == 0) {
		reply_keys(world, req);
	} else {
		reply(req, 404, "");
	}
}

static void clean_environment(struct world *world)
{
	static const char *const names[] = {"AWS_ACCESS_KEY_ID",
					    "AWS_SECRET_ACCESS_KEY",
					    "AWS_SESSION_TOKEN",
					    "AWS_PROFILE",
					    "AWS_DEFAULT_PROFILE",
					    "AWS_WEB_IDENTITY_TOKEN_FILE",
					    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
					    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
					    "AWS_CONTAINER_AUTHORIZATION_TOKEN",
					    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
					    "AWS_EC2_METADATA_DISABLED",
					    "AWS_EC2_METADATA_V1_DISABLED",
					    "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		unsetenv(names[i]);
	setenv("AWS_SHARED_CREDENTIALS_FILE", world->shared, 1);
	setenv("AWS_CONFIG_FILE", world->config, 1);
	setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", world->endpoint, 1);
}

static void set_expiration(struct world *world, int64_t in_ms)
{
	clock_format_iso(clock_now_ms(NULL) + in_ms, world->expiration);
}

static int set_up(void **state)
{
	struct world *world = calloc(1, sizeof(*world));
	struct evhttp_bound_socket *bound;
	struct sockaddr_in addr = {0};
	socklen_t len = sizeof(addr);

	world->base = event_base_new();
	world->loop = curl_loop_new(world->base, NULL);
	world->credentials = aws_credentials_new(world->loop, NULL);
	world->peer = evhttp_new(world->base);
	evhttp_set_allowed_methods(world->peer, EVHTTP_REQ_GET | EVHTTP_REQ_PUT);
	evhttp_set_gencb(world->peer, on_peer, world);
	bound = evhttp_bind_socket_with_handle(world->peer, "127.0.0.1", 0);
	assert_non_null(bound);
	getsockname(evhttp_bound_socket_get_fd(bound), (struct sockaddr *)&addr, &len);
	snprintf(world->endpoint, sizeof(world->endpoint), "http://127.0.0.1:%d",
		 ntohs(addr.sin_port));
	snprintf(world->folder, sizeof(world->folder), "/tmp/albatross-test-XXXXXX");
	assert_non_null(mkdtemp(world->folder));
	snprintf(world->shared, sizeof(world->shared), "%s/credentials", world->folder);
	snprintf(world->config, sizeof(world->config), "%s/config", world->folder);
	world->token_status = 200;
	world->role = "lab-role";
	set_expiration(world, 3600 * 1000LL);
	clean_environment(world);
	*state = world;
	return 0;
}

static int tear_down(void **state)
{
	struct world *world = *state;

	unlink(world->shared);
	unlink(world->config);
	rmdir(world->folder);
	aws_credentials_free(world->credentials);
	curl_loop_free(world->loop);
	evhttp_free(world->peer);
	event_base_free(world->base);
	free(world);
	return 0;
}

static void write_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static void on_keys(void *arg, const struct aws_keys *keys, const char *why)
{
	struct world *world = arg;

	world->n_told++;
	snprintf(world->access_key, sizeof(world->access_key), "%s",
		 keys == NULL ? "" : keys->access_key);
	snprintf(world->token, sizeof(world->token), "%s",
		 keys == NULL || keys->token == NULL ? "" : keys->token);
	snprintf(world->why, sizeof(world->why), "%s", keys == NULL ? why : "");
	event_base_loopbreak(world->base);
}

static void run(struct world *world, int ms)
{
	struct timeval limit = {.tv_sec = ms / 1000, .tv_usec = (ms % 1000) * 1000L};

	event_base_loopexit(world->base, &limit);
	event_base_dispatch(world->base);
}

static void wait_for_keys(struct world *world)
{
	int before = world->n_told;

	assert_null(aws_credentials_now(world->credentials));
	world->waiter = (struct aws_keys_waiter){.fn = on_keys, .arg = world};
	aws_credentials_wait(world->credentials, &world->waiter);
	assert_int_equal(world->n_told, before);
	run(world, 5000);
	assert_int_equal(world->n_told, before + 1);
}

static void assert_why(struct world *world, const char *text)
{
	assert_string_equal(world->access_key, "");
	if (strstr(world->why, text) == NULL)
		fail_msg("no \"%s\" in: %s", text, world->why);
}

static void the_environment_comes_first(void **state)
{
	struct world *world = *state;

	write_file(world->shared, "[default]\naws_access_key_id=F\naws_secret_access_key=s\n");
	setenv("AWS_ACCESS_KEY_ID", "E", 1);
	setenv("AWS_SECRET_ACCESS_KEY", "s", 1);
	setenv("AWS_SESSION_TOKEN", "tok", 1);
	wait_for_keys(world);
	assert_string_equal(world->access_key, "E");
	assert_string_equal(world->token, "tok");
	assert_non_null(aws_credentials_now(world->credentials));
}

static void half_a_key_in_the_environment_is_an_error(void **state)
{
	struct world *world = *state;

	setenv("AWS_ACCESS_KEY_ID", "E", 1);
	wait_for_keys(world);
	assert_why(world, "AWS_SECRET_ACCESS_KEY");
}

static void the_shared_file_gives_its_profile(void **state)
{
	struct world *world = *state;

	write_file(world->shared, "# comment\n"
				  "[other]\naws_access_key_id = O\naws_secret_access_key = s\n"
				  "[ default ]\n"
				  "  nested = x\n"
				  "; another\n"
				  "aws_access_key_id = AKIA/a=b\r\n"
				  "aws_secret_access_key = s=e/c+r\n"
				  "aws_session_token=t\n");
	wait_for_keys(world);
	assert_string_equal(world->access_key, "AKIA/a=b");
	assert_string_equal(world->token, "t");
	assert_string_equal(aws_credentials_now(world->credentials)->secret, "s=e/c+r");
}

static void a_named_profile_may_be_in_the_config_file(void **state)
{
	struct world *world = *state;

	setenv("AWS_PROFILE", "lab", 1);
	write_file(world->config, "[default]\naws_access_key_id=D\naws_secret_access_key=s\n"
				  "[profile lab]\nregion=us-east-1\n"
				  "aws_access_key_id=L\naws_secret_access_key=s\ns3 =\n"
				  "  aws_access_key_id = no\n");
	wait_for_keys(world);
	assert_string_equal(world->access_key, "L");
}

static void a_profile_that_is_nowhere_is_an_error(void **state)
{
	struct world *world = *state;

	setenv("AWS_PROFILE", "missing", 1);
	wait_for_keys(world);
	assert_why(world, "profile 'missing'");
	assert_int_equal(world->n_tokens, 0);
}

static void ways_that_are_not_supported_say_so(void **state)
{
	static const char *const files[] = {
	    "[default]\nrole_arn=arn:aws:iam::1:role/x\nsource_profile=y\n",
	    "[default]\nsso_session=x\n", "[default]\ncredential_process=/bin/x\n"};
	static const char *const members[] = {"role_arn", "sso_session", "credential_process"};
	struct world *world = *state;

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		write_file(world->config, files[i]);
		aws_credentials_free(world->credentials);
		world->credentials = aws_credentials_new(world->loop, NULL);
		wait_for_keys(world);
		assert_why(world, members[i]);
		assert_why(world, "not supported");
	}
	unlink(world->config);
	setenv("AWS_WEB_IDENTITY_TOKEN_FILE", "/x", 1);
	aws_credentials_free(world->credentials);
	world->credentials = aws_credentials_new(world->loop, NULL);
	wait_for_keys(world);
	assert_why(world, "web identity is not supported");
}

static void a_container_gives_keys_to_who_shows_its_token(void **state)
{
	struct world *world = *state;
	char url[128];

	snprintf(url, sizeof(url), "%s/container", world->endpoint);
	setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", url, 1);
	setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "Bearer abc", 1);
	wait_for_keys(world);
	assert_string_equal(world->access_key, "ASIA1");
	assert_string_equal(world->authorization, "Bearer abc");
	assert_int_equal(world->n_tokens, 0);
}

static void a_containers_token_may_be_in_a_file(void **state)
{
	struct world *world = *state;
	char url[128];

	snprintf(url, sizeof(url), "%s/container", world->endpoint);
	write_file(world->shared, "from-file\n");
	setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", url, 1);
	setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", world->shared, 1);
	wait_for_keys(world);
	assert_string_equal(world->authorization, "from-file");
	assert_string_equal(world->access_key, "ASIA1");
}

static void a_container_url_elsewhere_is_refused(void **state)
{
	static const char *const allowed[] = {
	    "https://example.com/x",  "http://127.0.0.1:80/x",     "http://localhost/x",
	    "http://169.254.170.2/x", "http://169.254.170.23/v1/", "http://[fd00:ec2::23]/x",
	    "http://[::1]:8080/x",
	};
	static const char *const refused[] = {"http://example.com/x",
					      "http://169.254.170.2.evil.com/",
					      "http://10.0.0.1/",
					      "ftp://127.0.0.1/",
					      "nonsense://",
					      "",
					      "http://127.0.0.1@evil.com/"};
	struct world *world = *state;

	for (size_t i = 0; i < sizeof(allowed) / sizeof(allowed[0]); i++)
		assert_true(keys_is_container_url_allowed(allowed[i]));
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
		assert_false(keys_is_container_url_allowed(refused[i]));
	setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://10.0.0.1/x", 1);
	wait_for_keys(world);
	assert_why(world, "AWS_CONTAINER_CREDENTIALS_FULL_URI");
}

static void instance_metadata_gives_the_roles_keys(void **state)
{
	struct world *world = *state;

	wait_for_keys(world);
	assert_string_equal(world->access_key, "ASIA1");
	assert_string_equal(world->token, "t");
	assert_true(world->has_token_header);
	assert_int_equal(world->n_tokens, 1);
	assert_non_null(aws_credentials_now(world->credentials));
}

static void version_1_takes_over_where_version_2_is_not_there(void **state)
{
	struct world *world = *state;

	world->token_status = 404;
	wait_for_keys(world);
	assert_string_equal(world->access_key, "ASIA1");
	assert_false(world->has_token_header);
}

static void version_1_can_be_forbidden(void **state)
{
	struct world *world = *state;

	world->token_status = 404;
	setenv("AWS_EC2_METADATA_V1_DISABLED", "true", 1);
	wait_for_keys(world);
	assert_why(world, "status 404");
}

static void a_token_that_never_comes_leads_to_version_1_after_a_second(void **state)
{
	struct world *world = *state;
	int64_t start_us = clock_monotonic_us();

	world->token_status = 0;
	wait_for_keys(world);
	assert_string_equal(world->access_key, "ASIA1");
	assert_in_range(clock_monotonic_us() - start_us, 900000, 2500000);
}

static void an_instance_without_role_has_no_keys(void **state)
{
	struct world *world = *state;

	world->role = NULL;
	wait_for_keys(world);
	assert_why(world, "the instance has no role");
	assert_why(world, "AWS_ACCESS_KEY_ID");
	/* Not asked again at once. */
	wait_for_keys(world);
	assert_int_equal(world->n_tokens, 1);
}

static void nonsense_from_metadata_is_refused(void **state)
{
	static const char *const roles[] = {"", "a b", "../../x?y=1", "\r\n", NULL};
	static const char *const keys[] = {
	    "", "{", "[]", "{\"Code\":\"Failed\"}", "{\"AccessKeyId\":\"x\"}", BAD_TIME};
	struct world *world = *state;

	for (size_t i = 0; roles[i] != NULL; i++) {
		world->role = roles[i];
		aws_credentials_free(world->credentials);
		world->credentials = aws_credentials_new(world->loop, NULL);
		wait_for_keys(world);
		assert_why(world, "instance metadata");
	}
	world->role = "role";
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		world->keys = keys[i];
		aws_credentials_free(world->credentials);
		world->credentials = aws_credentials_new(world->loop, NULL);
		wait_for_keys(world);
		assert_why(world, "instance metadata");
	}
}

static void keys_are_renewed_before_they_expire(void **state)
{
	struct world *world = *state;

	set_expiration(world, 600 * 1000LL); /* near: renewed in the background */
	wait_for_keys(world);
	set_expiration(world, 3600 * 1000LL);
	assert_string_equal(aws_credentials_now(world->credentials)->access_key, "ASIA1");
	run(world, 200);
	assert_string_equal(aws_credentials_now(world->credentials)->access_key, "ASIA2");
	run(world, 100);
	assert_int_equal(world->n_keys, 2);
}

static void a_failed_renewal_keeps_the_old_keys(void **state)
{
	struct world *world = *state;

	set_expiration(world, 600 * 1000LL);
	wait_for_keys(world);
	world->role = NULL;
	assert_non_null(aws_credentials_now(world->credentials));
	run(world, 200);
	assert_string_equal(aws_credentials_now(world->credentials)->access_key, "ASIA1");
	run(world, 100);
	assert_int_equal(world->n_tokens, 2); /* and is not tried again at once */
}

static void expired_keys_that_cannot_be_renewed_are_used_on(void **state)
{
	struct world *world = *state;

	wait_for_keys(world);
	world->role = NULL;
	aws_credentials_distrust(world->credentials);
	wait_for_keys(world);
	assert_string_equal(world->access_key, "ASIA1");
}

static void distrusted_keys_are_fetched_anew(void **state)
{
	struct world *world = *state;

	wait_for_keys(world);
	aws_credentials_distrust(world->credentials);
	wait_for_keys(world);
	assert_string_equal(world->access_key, "ASIA2");
}

static void a_waiter_that_left_is_not_told(void **state)
{
	struct world *world = *state;

	world->waiter = (struct aws_keys_waiter){.fn = on_keys, .arg = world};
	aws_credentials_wait(world->credentials, &world->waiter);
	aws_credentials_unwait(world->credentials, &world->waiter);
	aws_credentials_unwait(world->credentials, &world->waiter);
	run(world, 200);
	assert_int_equal(world->n_told, 0);
	assert_non_null(aws_credentials_now(world->credentials));
}

static void metadata_that_is_switched_off_is_not_asked(void **state)
{
	struct world *world = *state;

	setenv("AWS_EC2_METADATA_DISABLED", "true", 1);
	wait_for_keys(world);
	assert_why(world, "AWS_EC2_METADATA_DISABLED");
	assert_int_equal(world->n_tokens, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	    TEST(the_environment_comes_first),
	    TEST(half_a_key_in_the_environment_is_an_error),
	    TEST(the_shared_file_gives_its_profile),
	    TEST(a_named_profile_may_be_in_the_config_file),
	    TEST(a_profile_that_is_nowhere_is_an_error),
	    TEST(ways_that_are_not_supported_say_so),
	    TEST(a_container_gives_keys_to_who_shows_its_token),
	    TEST(a_containers_token_may_be_in_a_file),
	    TEST(a_container_url_elsewhere_is_refused),
	    TEST(instance_metadata_gives_the_roles_keys),
	    TEST(version_1_takes_over_where_version_2_is_not_there),
	    TEST(version_1_can_be_forbidden),
	    TEST(a_token_that_never_comes_leads_to_version_1_after_a_second),
	    TEST(an_instance_without_role_has_no_keys),
	    TEST(nonsense_from_metadata_is_refused),
	    TEST(keys_are_renewed_before_they_expire),
	    TEST(a_failed_renewal_keeps_the_old_keys),
	    TEST(expired_keys_that_cannot_be_renewed_are_used_on),
	    TEST(distrusted_keys_are_fetched_anew),
	    TEST(a_waiter_that_left_is_not_told),
	    TEST(metadata_that_is_switched_off_is_not_asked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
