/* common/aws/server: forms of errors, pages, limits, who is let in. */
#include "api_world.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
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
	    TEST(bodies_that_we_cannot_read_are_refused),
	    TEST(a_body_of_two_mebibytes_passes_and_one_more_byte_is_too_large),
	    TEST(headers_beyond_the_limit_are_refused),
	    TEST(a_page_is_served_and_others_are_not_found),
	    TEST(requests_are_counted_by_known_names_only),
	    TEST(with_credentials_unsigned_requests_are_refused),
	    TEST(a_server_that_would_be_open_to_all_does_not_start),
	    TEST(bad_settings_are_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
