/* common/aws/server_route, server_protocol: which service and protocol a request speaks, which
 * hosts are ours. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/aws/server_protocol.h"
#include "common/aws/server_route.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(paths_and_headers_tell_the_protocol),
	    cmocka_unit_test(cbor_that_is_not_quite_is_refused_as_cbor),
	    cmocka_unit_test(hosts_that_rebinding_cannot_use_are_local),
	    cmocka_unit_test(services_are_found_by_scope_version_host_and_agent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
