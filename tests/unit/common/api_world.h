/*
 * A server of the API with a few actions and a page, and a client that asks it, for the unit tests.
 */
#ifndef TESTS_UNIT_COMMON_API_WORLD_H
#define TESTS_UNIT_COMMON_API_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/aws/server.h"
#include "common/http/curl_loop.h"

#define IDENTITY "Action=GetCallerIdentity&Version=2011-06-15"

struct world {
	struct event_base *base;
	struct curl_loop *loop;
	struct aws_server *server;
	const char *method;
	const char *headers[4]; /* "Name: value"; NULL ends */
	/* The answer. */
	long status;
	CURLcode result;
	struct buf head, body;
};

static inline json_t *handle(void *context, const struct aws_call *call, const json_t *input,
			     struct aws_error *error)
{
	(void)context;
	(void)input;
	if (strcmp(call->action, "DescribeInstances") == 0)
		return NULL; /* our own bug */
	if (strcmp(call->action, "TerminateInstances") == 0) {
		aws_error_set(error, 400, "InvalidInstanceID.NotFound", "no <such> instance");
		return NULL;
	}
	if (strcmp(call->action, "DescribeLoadBalancers") == 0)
		return json_pack("{s:[]}", "LoadBalancers");
	return json_pack("{s:s,s:s,s:s}", "UserId", call->request_id, "Account", call->account_id,
			 "Arn", call->host);
}

static const struct aws_action sts_actions[] = {{"GetCallerIdentity", handle}};
static const struct aws_action elb_actions[] = {{"DescribeLoadBalancers", handle}};
static const struct aws_action ec2_actions[] = {{"DescribeInstances", handle},
						{"TerminateInstances", handle}};

static inline void on_page(void *context, struct aws_page *page)
{
	(void)context;
	if (strcmp(page->query, "fail") == 0)
		page->status = 503;
	buf_printf(page->body, "page %s?%s\n", page->path, page->query);
}

static inline struct aws_server *server_with(struct world *world, const json_t *credentials)
{
	struct aws_server_config config = {.address = "localhost:0",
					   .region = "us-east-1",
					   .account_id = "000000000000",
					   .credentials = credentials};
	struct err err = {0};
	struct aws_server *server = aws_server_new(world->base, &config, &err);

	assert_non_null(server);
	assert_int_equal(aws_server_add_service(server, "sts", sts_actions, 1, world, &err), 0);
	assert_int_equal(aws_server_add_service(server, "ec2", ec2_actions, 2, world, &err), 0);
	assert_int_equal(
	    aws_server_add_service(server, "elasticloadbalancing", elb_actions, 1, world, &err), 0);
	assert_int_equal(aws_server_add_page(server, "/healthz", on_page, world), 0);
	return server;
}

static inline int set_up(void **state)
{
	struct world *world = calloc(1, sizeof(*world));

	world->base = event_base_new();
	world->loop = curl_loop_new(world->base, NULL);
	world->server = server_with(world, NULL);
	*state = world;
	return 0;
}

static inline int tear_down(void **state)
{
	struct world *world = *state;

	curl_loop_free(world->loop);
	aws_server_free(world->server);
	event_base_free(world->base);
	buf_fini(&world->head);
	buf_fini(&world->body);
	free(world);
	return 0;
}

static inline size_t collect(char *bytes, size_t size, size_t n, void *arg)
{
	buf_add(arg, bytes, size * n);
	return size * n;
}

static inline void on_done(void *arg, CURL *easy, CURLcode result)
{
	struct world *world = arg;

	world->result = result;
	curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &world->status);
	event_base_loopbreak(world->base);
}

static inline void run(struct world *world, int ms)
{
	struct timeval limit = {.tv_sec = ms / 1000, .tv_usec = (ms % 1000) * 1000L};

	event_base_loopexit(world->base, &limit);
	event_base_dispatch(world->base);
}

/* form NULL: a GET, or world->method. */
static inline void ask_bytes(struct world *world, const char *path, const char *form, size_t len)
{
	struct curl_slist *headers = NULL;
	CURL *easy = curl_easy_init();
	char url[512];

	snprintf(url, sizeof(url), "http://127.0.0.1:%d%s", aws_server_port(world->server), path);
	buf_clear(&world->head);
	buf_clear(&world->body);
	world->status = 0;
	for (size_t i = 0; i < 4 && world->headers[i] != NULL; i++)
		headers = curl_slist_append(headers, world->headers[i]);
	curl_easy_setopt(easy, CURLOPT_URL, url);
	curl_easy_setopt(easy, CURLOPT_NOPROXY, "*");
	curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, 10000L);
	curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, collect);
	curl_easy_setopt(easy, CURLOPT_HEADERDATA, &world->head);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, collect);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, &world->body);
	if (form != NULL) {
		curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)len);
		curl_easy_setopt(easy, CURLOPT_POSTFIELDS, form);
	}
	if (world->method != NULL)
		curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, world->method);
	if (world->method != NULL && strcmp(world->method, "HEAD") == 0)
		curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
	assert_int_equal(curl_loop_add(world->loop, easy, on_done, world), 0);
	run(world, 10000);
	curl_loop_cancel(world->loop, easy);
	curl_easy_cleanup(easy);
	curl_slist_free_all(headers);
}

static inline void ask(struct world *world, const char *path, const char *form)
{
	ask_bytes(world, path, form, form == NULL ? 0 : strlen(form));
}

static inline void assert_body(struct world *world, const char *text)
{
	if (strstr(buf_text(&world->body), text) == NULL)
		fail_msg("no \"%s\" in: %s", text, buf_text(&world->body));
}

static inline void assert_head(struct world *world, const char *text)
{
	if (strcasestr(buf_text(&world->head), text) == NULL)
		fail_msg("no \"%s\" in: %s", text, buf_text(&world->head));
}

static inline void assert_error(struct world *world, long status, const char *code)
{
	char element[128];

	snprintf(element, sizeof(element), "<Code>%s</Code>", code);
	assert_int_equal(world->status, status);
	assert_body(world, element);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

#endif
