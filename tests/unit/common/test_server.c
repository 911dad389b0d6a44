/* common/aws/server: routing, forms of errors, pages, limits, who is let in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/aws/server.h"
#include "common/aws/server_protocol.h"
#include "common/aws/server_route.h"
#include "common/http/curl_loop.h"
#include "common/http/listener.h"

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

static json_t *handle(void *context, const struct aws_call *call, const json_t *input,
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

static void on_page(void *context, struct aws_page *page)
{
	(void)context;
	if (strcmp(page->query, "fail") == 0)
		page->status = 503;
	buf_printf(page->body, "page %s?%s\n", page->path, page->query);
}

static struct aws_server *server_with(struct world *world, const json_t *credentials)
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

static int set_up(void **state)
{
	struct world *world = calloc(1, sizeof(*world));

	world->base = event_base_new();
	world->loop = curl_loop_new(world->base, NULL);
	world->server = server_with(world, NULL);
	*state = world;
	return 0;
}

static int tear_down(void **state)
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

static size_t collect(char *bytes, size_t size, size_t n, void *arg)
{
	buf_add(arg, bytes, size * n);
	return size * n;
}

static void on_done(void *arg, CURL *easy, CURLcode result)
{
	struct world *world = arg;

	world->result = result;
	curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &world->status);
	event_base_loopbreak(world->base);
}

static void run(struct world *world, int ms)
{
	struct timeval limit = {.tv_sec = ms / 1000, .tv_usec = (ms % 1000) * 1000L};

	event_base_loopexit(world->base, &limit);
	event_base_dispatch(world->base);
}

/* form NULL: a GET, or world->method. */
static void ask_bytes(struct world *world, const char *path, const char *form, size_t len)
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

static void ask(struct world *world, const char *path, const char *form)
{
	ask_bytes(world, path, form, form == NULL ? 0 : strlen(form));
}

static void assert_body(struct world *world, const char *text)
{
	if (strstr(buf_text(&world->body), text) == NULL)
		fail_msg("no \"%s\" in: %s", text, buf_text(&world->body));
}

static void assert_head(struct world *world, const char *text)
{
	if (strcasestr(buf_text(&world->head), text) == NULL)
		fail_msg("no \"%s\" in: %s", text, buf_text(&world->head));
}

static void assert_error(struct world *world, long status, const char *code)
{
	char element[128];

	snprintf(element, sizeof(element), "<Code>%s</Code>", code);
	assert_int_equal(world->status, status);
	assert_body(world, element);
}

static void an_unsigned_form_is_answered_on_loopback(void **state)
{
	struct world *world = *state;

	ask(world, "/", IDENTITY);
	assert_int_equal(world->status, 200);
	assert_head(world, "Content-Type: text/xml\r\n");
	assert_head(world, "\r\nDate: ");
	assert_body(world, "<GetCallerIdentityResponse xmlns=");
	assert_body(world, "<Account>000000000000</Account>");
	assert_body(world, "<Arn>127.0.0.1:");
}

static void the_request_id_is_the_same_in_header_and_body(void **state)
{
	struct world *world = *state;
	char id[64] = "", element[128];
	const char *at;

	ask(world, "/", IDENTITY);
	at = strcasestr(buf_text(&world->head), "x-amzn-requestid: ");
	assert_non_null(at);
	assert_int_equal(sscanf(at + 18, "%36s", id), 1);
	snprintf(element, sizeof(element), "<RequestId>%s</RequestId>", id);
	assert_body(world, element);
	snprintf(element, sizeof(element), "<UserId>%s</UserId>", id);
	assert_body(world, element);
}

static void a_get_with_an_action_works_too(void **state)
{
	struct world *world = *state;

	ask(world, "/?" IDENTITY, NULL);
	assert_int_equal(world->status, 200);
	assert_body(world, "<Account>000000000000</Account>");
}

static void a_request_that_names_no_service_says_what_is_missing(void **state)
{
	struct world *world = *state;

	ask(world, "/", NULL);
	assert_error(world, 400, "MissingAction");
	ask(world, "/", "Action=GetCallerIdentity");
	assert_error(world, 400, "MissingAuthenticationToken");
	assert_body(world, "Version");
}

static void an_unknown_action_is_refused_in_the_services_form(void **state)
{
	struct world *world = *state;

	ask(world, "/", "Action=Fly&Version=2016-11-15");
	assert_error(world, 400, "InvalidAction");
	assert_head(world, "Content-Type: text/xml;charset=UTF-8");
	assert_body(world, "<Response><Errors><Error>");
	ask(world, "/", "Action=Fly&Version=2015-12-01");
	assert_error(world, 400, "InvalidAction");
	assert_body(world, "<ErrorResponse xmlns=");
	ask(world, "/", "Version=2015-12-01");
	assert_error(world, 400, "MissingAction");
	ask(world, "/", "Action=DescribeTargetGroups&Version=2015-12-01");
	assert_error(world, 400, "InvalidAction");
}

static void a_service_of_others_is_refused_by_name(void **state)
{
	struct world *world = *state;

	ask(world, "/", "Action=ListUsers&Version=2010-05-08");
	assert_error(world, 400, "InvalidAction");
	assert_body(world, "'iam'");
	assert_body(world, "sts, ec2, elasticloadbalancing");
	ask(world, "/", "Action=DescribeAlarms&Version=2010-08-01");
	assert_error(world, 400, "InvalidAction");
}

static void classic_load_balancers_are_refused_by_name(void **state)
{
	struct world *world = *state;

	ask(world, "/", "Action=DescribeLoadBalancers&Version=2012-06-01");
	assert_error(world, 400, "InvalidAction");
	assert_body(world, "Classic");
	ask(world, "/", "Action=DescribeLoadBalancers&Version=2015-12-01");
	assert_int_equal(world->status, 200);
}

static void a_service_of_others_is_refused_by_name_whatever_its_protocol(void **state)
{
	struct world *world = *state;

	world->headers[0] =
	    "Authorization: AWS4-HMAC-SHA256 Credential=k/20260102/r/s3/aws4_request, "
	    "SignedHeaders=host, Signature=0";
	world->method = "PUT";
	ask(world, "/bucket", NULL);
	assert_error(world, 400, "InvalidAction");
	assert_body(world, "'s3'");
	world->method = NULL;
	world->headers[1] = "Content-Type: application/json";
	ask(world, "/2015-03-31/functions", "{}");
	assert_int_equal(world->status, 400);
	assert_head(world, "Content-Type: application/json\r\n");
	assert_body(world, "\"__type\":\"InvalidAction\"");
}

static void the_scope_goes_before_the_version(void **state)
{
	struct world *world = *state;

	world->headers[0] =
	    "Authorization: AWS4-HMAC-SHA256 Credential=k/20260102/r/iam/aws4_request, "
	    "SignedHeaders=host, Signature=0";
	ask(world, "/", IDENTITY);
	assert_error(world, 400, "InvalidAction");
	assert_body(world, "'iam'");
	world->headers[0] = "Authorization: Basic abc";
	ask(world, "/", IDENTITY);
	assert_error(world, 400, "IncompleteSignature");
}

static void a_handlers_error_reaches_the_client(void **state)
{
	struct world *world = *state;

	ask(world, "/", "Action=TerminateInstances&Version=2016-11-15&InstanceId.1=i-1");
	assert_error(world, 400, "InvalidInstanceID.NotFound");
	assert_body(world, "no &lt;such&gt; instance");
}

static void a_handler_without_an_answer_is_an_internal_error(void **state)
{
	struct world *world = *state;

	ask(world, "/", "Action=DescribeInstances&Version=2016-11-15");
	assert_error(world, 500, "InternalFailure");
}

static void a_wrong_parameter_is_refused_before_the_handler(void **state)
{
	struct world *world = *state;

	ask(world, "/", "Action=DescribeLoadBalancers&Version=2015-12-01&PageSize=many");
	assert_int_equal(world->status, 400);
	assert_body(world, "PageSize");
}

static void web_pages_are_kept_out(void **state)
{
	static const char *const headers[] = {"Origin: http://127.0.0.1", "Origin: null",
					      "Sec-Fetch-Site: cross-site", "Host: evil.example",
					      "Host: 127.0.0.1.evil.example"};
	struct world *world = *state;

	for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
		world->headers[0] = headers[i];
		ask(world, "/", IDENTITY);
		assert_int_equal(world->status, 403);
		ask(world, "/?" IDENTITY, NULL);
		assert_int_equal(world->status, 403);
		assert_body(world, "Credentials");
	}
	world->headers[0] = "Host: localhost:4566";
	ask(world, "/", IDENTITY);
	assert_int_equal(world->status, 200);
}

static void other_protocols_are_refused_in_their_own_form(void **state)
{
	struct world *world = *state;

	world->headers[0] = "X-Amz-Target: CertificateManager.ListCertificates";
	world->headers[1] = "Content-Type: application/x-amz-json-1.1";
	ask(world, "/", "{}");
	assert_int_equal(world->status, 400);
	assert_head(world, "Content-Type: application/x-amz-json-1.1");
	assert_body(world, "\"__type\":\"InvalidAction\"");
	assert_body(world, "'CertificateManager'");
	world->headers[0] = "smithy-protocol: rpc-v2-cbor";
	world->headers[1] = "Content-Type: application/cbor";
	ask(world, "/service/GraniteServiceVersion20100801/operation/DescribeAlarms", "x");
	assert_int_equal(world->status, 400);
	assert_head(world, "smithy-protocol: rpc-v2-cbor");
	assert_head(world, "Content-Type: application/cbor");
	assert_int_equal((unsigned char)world->body.data[0], 0xa2);
}

static int find(struct protocol *protocol, struct aws_error *error, struct protocol_hints hints)
{
	return protocol_find(&hints, protocol, error);
}

static void expect_target(const struct protocol *protocol, const char *target, const char *action)
{
	assert_int_equal(protocol->target_len, strlen(target));
	assert_memory_equal(protocol->target, target, strlen(target));
	assert_string_equal(protocol->action, action);
}

static void paths_and_headers_tell_the_protocol(void **state)
{
	struct aws_error error;
	struct protocol p;

	(void)state;
	assert_int_equal(find(&p, &error, (struct protocol_hints){.path = "/"}), 0);
	assert_int_equal(p.form, ANSWER_QUERY);
	assert_int_equal(
	    find(&p, &error,
		 (struct protocol_hints){.path = "/",
					 .target = "CertificateManager.Get.It",
					 .content_type = "application/x-amz-json-1.1; x=y"}),
	    0);
	assert_int_equal(p.form, ANSWER_JSON);
	assert_string_equal(p.json_type, "application/x-amz-json-1.1");
	expect_target(&p, "CertificateManager", "Get.It");
	assert_int_equal(
	    find(&p, &error,
		 (struct protocol_hints){.path = "/a/service/com.amazonaws.x.Svc/operation/Do",
					 .smithy = "rpc-v2-cbor",
					 .content_type = "application/cbor",
					 .has_body = true}),
	    0);
	assert_int_equal(p.form, ANSWER_CBOR);
	expect_target(&p, "Svc", "Do");
}

static void cbor_that_is_not_quite_is_refused_as_cbor(void **state)
{
	static const struct protocol_hints hints[] = {
	    {.path = "/", .smithy = "rpc-v2-cbor"},
	    {.path = "/service//operation/", .smithy = "rpc-v2-cbor"},
	    {.path = "/service/S/operation/A"},
	    {.path = "/service/S/operation/A", .smithy = "rpc-v2-json"},
	    {.path = "/service/S/operation/A", .smithy = "rpc-v2-cbor", .target = "S.A"},
	    {.path = "/service/S/operation/A", .smithy = "rpc-v2-cbor", .has_body = true},
	    {.path = "/service/S/operation/A",
	     .smithy = "rpc-v2-cbor",
	     .has_body = true,
	     .content_type = "application/cbor-seq"},
	};
	struct aws_error error;
	struct protocol p;

	(void)state;
	for (size_t i = 0; i < sizeof(hints) / sizeof(hints[0]); i++) {
		assert_int_equal(find(&p, &error, hints[i]), -1);
		assert_int_equal(p.form, ANSWER_CBOR);
		assert_in_range(error.http_status, 400, 499);
	}
}

static void bodies_that_we_cannot_read_are_refused(void **state)
{
	struct world *world = *state;

	world->headers[0] = "Content-Encoding: br";
	ask(world, "/", IDENTITY);
	assert_error(world, 415, "UnsupportedMediaType");
	world->headers[0] = "Content-Encoding: gzip";
	ask(world, "/", IDENTITY);
	assert_error(world, 400, "MalformedInput");
	world->headers[0] = "Content-Type: text/plain";
	ask(world, "/", IDENTITY);
	assert_error(world, 415, "UnsupportedMediaType");
	world->headers[0] = "Content-Type:";
	ask(world, "/", IDENTITY);
	assert_int_equal(world->status, 200);
}

static void a_body_of_two_mebibytes_passes_and_one_more_byte_is_too_large(void **state)
{
	static const char start[] = IDENTITY "&Unknown=";
	struct world *world = *state;
	size_t limit = 2UL * 1024 * 1024;
	char *body = malloc(2 * limit + 1);

	memset(body, 'a', 2 * limit + 1);
	memcpy(body, start, sizeof(start) - 1);
	world->headers[0] = "Expect:";
	ask_bytes(world, "/", body, limit);
	assert_int_equal(world->status, 200);
	ask_bytes(world, "/", body, limit + 1);
	assert_error(world, 413, "RequestEntityTooLarge");
	assert_head(world, "x-amzn-RequestId: ");
	ask_bytes(world, "/", body, 2 * limit + 1);
	assert_int_equal(world->status, 413);
	world->headers[0] = NULL; /* 100-continue */
	ask_bytes(world, "/", body, limit);
	assert_int_equal(world->status, 200);
	free(body);
}

static void headers_beyond_the_limit_are_refused(void **state)
{
	struct world *world = *state;
	char *header = malloc(40001);

	memset(header, 'a', 40000);
	memcpy(header, "X-Big: ", 7);
	header[40000] = '\0';
	world->headers[0] = header;
	ask(world, "/", IDENTITY);
	assert_true(world->status == 0 || world->status >= 400);
	world->headers[0] = NULL;
	ask(world, "/", IDENTITY);
	assert_int_equal(world->status, 200);
	free(header);
}

static void a_page_is_served_and_others_are_not_found(void **state)
{
	struct world *world = *state;

	ask(world, "/healthz", NULL);
	assert_int_equal(world->status, 200);
	assert_head(world, "Content-Type: text/plain; charset=utf-8");
	assert_string_equal(buf_text(&world->body), "page /healthz?\n");
	ask(world, "/healthz?fail", NULL);
	assert_int_equal(world->status, 503);
	ask(world, "/nothing", NULL);
	assert_int_equal(world->status, 404);
	assert_head(world, "Content-Type: text/plain");
	world->method = "HEAD";
	ask(world, "/healthz", NULL);
	assert_int_equal(world->status, 200);
	assert_int_equal(world->body.len, 0);
	assert_head(world, "Content-Length: 15");
	world->method = "DELETE";
	ask(world, "/healthz", NULL);
	assert_int_equal(world->status, 405);
}

static void requests_are_counted_by_known_names_only(void **state)
{
	struct world *world = *state;
	struct buf text = {0};

	ask(world, "/", IDENTITY);
	ask(world, "/", IDENTITY);
	ask(world, "/", "Action=%22evil&Version=2011-06-15");
	aws_server_metrics(world->server, &text);
	assert_non_null(strstr(buf_text(&text),
			       "albatross_api_requests_total{service=\"sts\",action="
			       "\"GetCallerIdentity\",code=\"OK\"} 2\n"));
	assert_non_null(strstr(buf_text(&text), "action=\"none\",code=\"InvalidAction\"} 1\n"));
	assert_null(strstr(buf_text(&text), "evil"));
	assert_non_null(strstr(buf_text(&text), "albatross_api_connections 1\n"));
	buf_fini(&text);
}

static void with_credentials_unsigned_requests_are_refused(void **state)
{
	struct world *world = *state;
	json_t *credentials = json_pack("[{s:s,s:s}]", "AccessKeyId", "k", "SecretAccessKey", "s");

	aws_server_free(world->server);
	world->server = server_with(world, credentials);
	json_decref(credentials);
	ask(world, "/", IDENTITY);
	assert_error(world, 403, "MissingAuthenticationToken");
	world->headers[0] =
	    "Authorization: AWS4-HMAC-SHA256 Credential=other/20260102/r/ec2/aws4_request, "
	    "SignedHeaders=host, Signature=0";
	ask(world, "/", "Action=DescribeInstances&Version=2016-11-15");
	assert_int_equal(world->status / 100, 4);
	assert_body(world, "<Response><Errors><Error>");
	world->headers[0] = NULL;
	ask(world, "/healthz", NULL);
	assert_int_equal(world->status, 200);
}

static void assert_no_server(struct world *world, const char *address, const char *credentials,
			     const char *why)
{
	json_t *list = credentials == NULL ? NULL : json_loads(credentials, 0, NULL);
	struct aws_server_config config = {.address = address,
					   .region = "us-east-1",
					   .account_id = "000000000000",
					   .credentials = list};
	struct err err = {0};

	assert_null(aws_server_new(world->base, &config, &err));
	if (strstr(err.text, why) == NULL)
		fail_msg("no \"%s\" in: %s", why, err.text);
	json_decref(list);
}

static void a_server_that_would_be_open_to_all_does_not_start(void **state)
{
	struct world *world = *state;
	struct aws_server_config config = {
	    .address = "0.0.0.0:0", .region = "us-east-1", .account_id = "000000000000"};
	struct aws_server *server;
	json_t *credentials = json_pack("[{s:s,s:s}]", "AccessKeyId", "k", "SecretAccessKey", "s");

	assert_no_server(world, "0.0.0.0:0", NULL, "configure Credentials");
	assert_no_server(world, "0.0.0.0:0", "[]", "configure Credentials");
	assert_no_server(world, "[::]:0", NULL, "configure Credentials");
	config.credentials = credentials;
	server = aws_server_new(world->base, &config, NULL);
	assert_non_null(server);
	aws_server_free(server);
	json_decref(credentials);
}

static void bad_settings_are_named(void **state)
{
	struct world *world = *state;
	char taken[32];

	assert_no_server(world, "nowhere", NULL, "IP:PORT");
	assert_no_server(world, "example.com:80", NULL, "IP:PORT");
	assert_no_server(world, "127.0.0.1:70000", NULL, "IP:PORT");
	assert_no_server(world, "127.0.0.1:", NULL, "IP:PORT");
	assert_no_server(world, "", NULL, "IP:PORT");
	assert_no_server(world, "127.0.0.1:0", "[{\"AccessKeyId\":\"x\"}]",
			 "Credentials[0].SecretAccessKey");
	assert_no_server(world, "127.0.0.1:0", "{}", "Credentials: a list");
	snprintf(taken, sizeof(taken), "127.0.0.1:%d", aws_server_port(world->server));
	assert_no_server(world, taken, NULL, "Address already in use");
}

static void hosts_that_rebinding_cannot_use_are_local(void **state)
{
	static const char *const local[] = {"127.0.0.1",   "127.0.0.1:4566",
					    "[::1]:7001",  "10.1.2.3",
					    "localhost",   "LOCALHOST:80",
					    "lab:4566",    "",
					    "a.localhost", "ec2.us-east-1.amazonaws.com"};
	static const char *const foreign[] = {"evil.example", "evil.example:4566",
					      "localhost.evil.com", "127.0.0.1.nip.io",
					      "amazonaws.com.evil.net"};

	(void)state;
	for (size_t i = 0; i < sizeof(local) / sizeof(local[0]); i++)
		assert_true(route_is_local_host(local[i]));
	for (size_t i = 0; i < sizeof(foreign) / sizeof(foreign[0]); i++)
		assert_false(route_is_local_host(foreign[i]));
}

static void services_are_found_by_scope_version_host_and_agent(void **state)
{
	static const struct {
		struct route_hints hints;
		const char *service;
	} cases[] = {
	    {{.scope_service = "ec2", .version = "2015-12-01"}, "ec2"},
	    {{.scope_service = "", .version = "2015-12-01"}, "elasticloadbalancing"},
	    {{.version = "2011-01-01", .host = "ec2.x"}, "autoscaling"},
	    {{.version = "1999-01-01", .host = "monitoring.us-east-1.amazonaws.com:80"},
	     "monitoring"},
	    {{.host = "ec2x.y", .user_agent = "aws-sdk-js/3 api/auto-scaling#3.1168.0"},
	     "autoscaling"},
	    {{.host = "127.0.0.1:4566", .user_agent = "curl/7.88"}, NULL},
	    {{0}, NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *service = route_service(&cases[i].hints);

		if (cases[i].service == NULL)
			assert_null(service);
		else
			assert_string_equal(service, cases[i].service);
	}
}

enum { FLOOD = 540 };

static void a_flood_of_connections_is_cut_off_and_forgotten(void **state)
{
	struct world *world = *state;
	struct sockaddr_in addr = {.sin_family = AF_INET,
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
				   .sin_port = htons((uint16_t)aws_server_port(world->server))};
	int fds[FLOOD], n_closed = 0;
	struct rlimit limit;
	char byte;

	getrlimit(RLIMIT_NOFILE, &limit); /* both ends are in this process */
	if (limit.rlim_max < 4UL * FLOOD)
		skip();
	limit.rlim_cur = limit.rlim_max < 20000 ? limit.rlim_max : 20000;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	for (int i = 0; i < FLOOD; i++) {
		fds[i] = socket(AF_INET, SOCK_STREAM, 0);
		assert_true(fds[i] >= 0);
		assert_int_equal(connect(fds[i], (struct sockaddr *)&addr, sizeof(addr)), 0);
		if (i % 64 == 63)
			event_base_loop(world->base, EVLOOP_NONBLOCK); /* empties the backlog */
	}
	run(world, 50);
	for (int i = 0; i < FLOOD; i++)
		n_closed += recv(fds[i], &byte, 1, MSG_DONTWAIT) == 0;
	assert_int_equal(n_closed, FLOOD - 512);
	for (int i = 0; i < FLOOD; i++)
		close(fds[i]);
	run(world, 50);
	ask(world, "/", IDENTITY);
	assert_int_equal(world->status, 200);
}

static void without_descriptors_accept_pauses_and_goes_on(void **state)
{
	static const char request[] = "GET /healthz HTTP/1.0\r\n\r\n";
	struct world *world = *state;
	struct sockaddr_in addr = {.sin_family = AF_INET,
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
				   .sin_port = htons((uint16_t)aws_server_port(world->server))};
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	struct rlimit limit, none;
	char answer[512] = "";

	event_base_loop(world->base, EVLOOP_NONBLOCK);
	getrlimit(RLIMIT_NOFILE, &limit);
	none = limit;
	none.rlim_cur = (rlim_t)fd + 1;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(send(fd, request, sizeof(request) - 1, 0), sizeof(request) - 1);
	run(world, 50);
	assert_int_equal(recv(fd, answer, sizeof(answer) - 1, MSG_DONTWAIT), -1);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	run(world, 300);
	assert_true(recv(fd, answer, sizeof(answer) - 1, MSG_DONTWAIT) > 0);
	assert_non_null(strstr(answer, "200 OK"));
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	    TEST(an_unsigned_form_is_answered_on_loopback),
	    TEST(the_request_id_is_the_same_in_header_and_body),
	    TEST(a_get_with_an_action_works_too),
	    TEST(a_request_that_names_no_service_says_what_is_missing),
	    TEST(an_unknown_action_is_refused_in_the_services_form),
	    TEST(a_service_of_others_is_refused_by_name),
	    TEST(classic_load_balancers_are_refused_by_name),
	    TEST(a_service_of_others_is_refused_by_name_whatever_its_protocol),
	    TEST(the_scope_goes_before_the_version),
	    TEST(a_handlers_error_reaches_the_client),
	    TEST(a_handler_without_an_answer_is_an_internal_error),
	    TEST(a_wrong_parameter_is_refused_before_the_handler),
	    TEST(web_pages_are_kept_out),
	    TEST(other_protocols_are_refused_in_their_own_form),
	    TEST(paths_and_headers_tell_the_protocol),
	    TEST(cbor_that_is_not_quite_is_refused_as_cbor),
	    TEST(bodies_that_we_cannot_read_are_refused),
	    TEST(a_body_of_two_mebibytes_passes_and_one_more_byte_is_too_large),
	    TEST(headers_beyond_the_limit_are_refused),
	    TEST(a_page_is_served_and_others_are_not_found),
	    TEST(requests_are_counted_by_known_names_only),
	    TEST(with_credentials_unsigned_requests_are_refused),
	    TEST(a_server_that_would_be_open_to_all_does_not_start),
	    TEST(bad_settings_are_named),
	    cmocka_unit_test(hosts_that_rebinding_cannot_use_are_local),
	    cmocka_unit_test(services_are_found_by_scope_version_host_and_agent),
	    TEST(without_descriptors_accept_pauses_and_goes_on),
	    TEST(a_flood_of_connections_is_cut_off_and_forgotten),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
