/* common/aws/sigv4: three vectors that botocore's signer confirms, and what must be refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "common/aws/sigv4.h"
#include "common/aws/sigv4_canonical.h"

#define KEY "AKIALABEXAMPLE000001"
#define SECRET "lab/Secret+Key0123456789abcdefABCDEF0000"
#define NOW 1767323045000LL /* 2026-01-02T03:04:05Z */

#define SIGNATURE_A "72e7adc667fa40671ef21da66f939eccdf31d432d9c5494b362561d3220e5356"
#define AUTHORIZATION_A \
	"AWS4-HMAC-SHA256 Credential=" KEY "/20260102/us-east-1/autoscaling/aws4_request, " \
	"SignedHeaders=content-type;host;x-amz-date, Signature=" SIGNATURE_A
#define BODY_A \
	"Action=DescribeAutoScalingGroups&Version=2011-01-01&AutoScalingGroupNames.member.1=" \
	"lab+asg%2F1&MaxRecords=10"

#define TOO_LONG \
	"AWS4-HMAC-SHA256 Credential=k/20260102/r/s/aws4_request, SignedHeaders=host, " \
	"Signature=" SIGNATURE_A "0"

#define SIGNATURE_B "8fe35246d6419d8ddfd94b19b7646ac193b97accaca2c2a4d9cc7f0000e4a19c"
#define QUERY_B_UNSIGNED \
	"Action=GetCallerIdentity&Version=2011-06-15&X-Amz-Algorithm=AWS4-HMAC-SHA256&" \
	"X-Amz-Credential=" KEY "%2F20260102%2Fus-east-1%2Fsts%2Faws4_request&" \
	"X-Amz-Date=20260102T030405Z&X-Amz-Expires=900&X-Amz-SignedHeaders=host"
#define QUERY_B QUERY_B_UNSIGNED "&X-Amz-Signature=" SIGNATURE_B

#define EMPTY_HASH "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

/* A request that a test may bend. */
struct sample {
	struct sigv4_header headers[8];
	struct sigv4_request request;
	json_t *credentials;
	int64_t now_ms;
	struct aws_error error;
	char text[1024];
};

static struct sample *new_sample(void)
{
	struct sample *sample = calloc(1, sizeof(*sample));

	sample->credentials =
	    json_pack("[{s:s,s:s},{s:s,s:s}]", "AccessKeyId", "AKIAOTHER", "SecretAccessKey",
		      "other", "AccessKeyId", KEY, "SecretAccessKey", SECRET);
	sample->now_ms = NOW;
	sample->request.headers = sample->headers;
	sample->request.method = "POST";
	sample->request.path = "/";
	sample->request.query = "";
	sample->request.body = "";
	return sample;
}

static int set_up_a(void **state)
{
	struct sample *sample = new_sample();

	sample->headers[0] = (struct sigv4_header){"Host", "127.0.0.1:4566"};
	sample->headers[1] = (struct sigv4_header){
	    "Content-Type", "application/x-www-form-urlencoded; charset=utf-8"};
	sample->headers[2] = (struct sigv4_header){"X-Amz-Date", "20260102T030405Z"};
	sample->headers[3] = (struct sigv4_header){"Authorization", AUTHORIZATION_A};
	sample->headers[4] = (struct sigv4_header){"User-Agent", "test"};
	sample->request.n_headers = 5;
	sample->request.body = BODY_A;
	sample->request.body_len = strlen(BODY_A);
	*state = sample;
	return 0;
}

static int set_up_b(void **state)
{
	struct sample *sample = new_sample();

	sample->headers[0] = (struct sigv4_header){"Host", "127.0.0.1:4566"};
	sample->request.n_headers = 1;
	sample->request.method = "GET";
	sample->request.query = QUERY_B;
	*state = sample;
	return 0;
}

static int set_up_c(void **state)
{
	struct sample *sample = new_sample();

	sample->headers[0] = (struct sigv4_header){"Host", "alb.lab:4566"};
	sample->headers[1] = (struct sigv4_header){"My-Header", "  a   b  c "};
	sample->headers[2] = (struct sigv4_header){"X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD"};
	sample->headers[3] = (struct sigv4_header){"X-Amz-Date", "20260102T030405Z"};
	sample->headers[4] = (struct sigv4_header){
	    "Authorization",
	    "AWS4-HMAC-SHA256 Credential=" KEY "/20260102/us-east-1/ec2/aws4_request,"
	    "SignedHeaders=host;my-header;x-amz-content-sha256;x-amz-date,"
	    "Signature=c52e1bb545a206d24adc4073f8a5a9c7797f24405b8aba9b2590ffd72b1d9acb"};
	sample->request.n_headers = 5;
	sample->request.method = "GET";
	sample->request.path = "/a%20b";
	sample->request.query = "z=1&a=%C3%A9%20x&a=%2F&empty";
	*state = sample;
	return 0;
}

static int tear_down(void **state)
{
	struct sample *sample = *state;

	json_decref(sample->credentials);
	free(sample);
	return 0;
}

static int verify(struct sample *sample)
{
	return sigv4_verify(&sample->request, sample->credentials, sample->now_ms, &sample->error);
}

static void assert_refused(struct sample *sample, int status, const char *code)
{
	assert_int_equal(verify(sample), -1);
	assert_string_equal(sample->error.code, code);
	assert_int_equal(sample->error.http_status, status);
	assert_true(sample->error.message[0] != '\0');
}

/* Puts text in place of the one occurrence of old in an Authorization header or query. */
static const char *replaced(struct sample *sample, const char *whole, const char *old,
			    const char *text)
{
	const char *at = strstr(whole, old);

	assert_non_null(at);
	snprintf(sample->text, sizeof(sample->text), "%.*s%s%s", (int)(at - whole), whole, text,
		 at + strlen(old));
	return sample->text;
}

static void a_form_post_verifies(void **state)
{
	struct sample *sample = *state;

	assert_int_equal(verify(sample), 0);
}

static void the_canonical_request_of_a_form_post_hashes_as_known(void **state)
{
	struct sample *sample = *state;
	struct buf text = {0};
	char hash[SIGV4_HEX_MAX], missing[64];

	sigv4_sha256_hex(BODY_A, strlen(BODY_A), hash);
	assert_string_equal(hash,
			    "7a01eec4b1b240789c9090d9e77df28225316e3651e8cd184bbe0243a1e79dc7");
	assert_int_equal(sigv4_canonical_request(&sample->request, "content-type;host;x-amz-date",
						 hash, &text, missing, sizeof(missing)),
			 0);
	sigv4_sha256_hex(text.data, text.len, hash);
	assert_string_equal(hash,
			    "2dd01093fcde566e31ff791af189e83894d3751ccff6d486b80d643233273115");
	buf_fini(&text);
}

static void a_presigned_get_verifies(void **state)
{
	struct sample *sample = *state;

	assert_int_equal(verify(sample), 0);
}

static void the_canonical_request_of_a_presigned_get_hashes_as_known(void **state)
{
	struct sample *sample = *state;
	struct buf text = {0};
	char hash[SIGV4_HEX_MAX], missing[64];

	assert_int_equal(sigv4_canonical_request(&sample->request, "host", EMPTY_HASH, &text,
						 missing, sizeof(missing)),
			 0);
	sigv4_sha256_hex(text.data, text.len, hash);
	assert_string_equal(hash,
			    "b2725509b0aaebf4cf729f34d2da71593dba5ed90a46e502866151cb2ce57c41");
	buf_fini(&text);
}

static void odd_paths_queries_and_an_unsigned_payload_verify(void **state)
{
	struct sample *sample = *state;

	sample->request.body = "anything";
	sample->request.body_len = 8;
	assert_int_equal(verify(sample), 0);
}

static void the_canonical_request_of_odd_input_is_as_known(void **state)
{
	struct sample *sample = *state;
	struct buf text = {0};
	char missing[64];

	assert_int_equal(sigv4_canonical_request(
			     &sample->request, "host;my-header;x-amz-content-sha256;x-amz-date",
			     "UNSIGNED-PAYLOAD", &text, missing, sizeof(missing)),
			 0);
	assert_string_equal(text.data, "GET\n"
				       "/a%2520b\n"
				       "a=%2F&a=%C3%A9%20x&empty=&z=1\n"
				       "host:alb.lab:4566\n"
				       "my-header:a b c\n"
				       "x-amz-content-sha256:UNSIGNED-PAYLOAD\n"
				       "x-amz-date:20260102T030405Z\n"
				       "\n"
				       "host;my-header;x-amz-content-sha256;x-amz-date\n"
				       "UNSIGNED-PAYLOAD");
	buf_fini(&text);
}

static void paths_are_normalised_and_queries_sorted_by_name_first(void **state)
{
	static const struct {
		const char *path, *query, *want;
	} cases[] = {
	    {"", "", "GET\n/\n\n"},
	    {"/", "", "GET\n/\n\n"},
	    {"//", "", "GET\n/\n\n"},
	    {"/a/../b/./c//d/", "", "GET\n/b/c/d/\n\n"},
	    {"/../..", "", "GET\n/\n\n"},
	    {"/a/..", "", "GET\n/\n\n"},
	    {"/service/X/operation/Y", "", "GET\n/service/X/operation/Y\n\n"},
	    {"/", "a-b=1&a=2", "GET\n/\na=2&a-b=1\n"},
	    {"/", "b=+&a=%7e&&c=%zz", "GET\n/\na=~&b=%20&c=%25zz\n"},
	    {"/", "a=1=2", "GET\n/\na=1%3D2\n"},
	    {"/", "a=%00x", "GET\n/\na=%00x\n"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct sigv4_request request = {
		    .method = "GET", .path = cases[i].path, .query = cases[i].query};
		struct buf text = {0};
		char missing[8];

		assert_int_equal(
		    sigv4_canonical_request(&request, "", "", &text, missing, sizeof(missing)), 0);
		text.data[strlen(cases[i].want)] = '\0';
		assert_string_equal(text.data, cases[i].want);
		buf_fini(&text);
	}
}

static void repeated_headers_are_joined_by_commas(void **state)
{
	struct sigv4_header headers[] = {{"X-A", "1"}, {"x-a", " 2  3"}};
	struct sigv4_request request = {
	    .method = "GET", .path = "/", .query = "", .headers = headers, .n_headers = 2};
	struct buf text = {0};
	char missing[8];

	(void)state;
	assert_int_equal(
	    sigv4_canonical_request(&request, "x-a", "", &text, missing, sizeof(missing)), 0);
	assert_string_equal(text.data, "GET\n/\n\nx-a:1,2 3\n\nx-a\n");
	buf_fini(&text);
}

static void one_changed_body_byte_is_refused(void **state)
{
	struct sample *sample = *state;

	sample->request.body_len--;
	assert_refused(sample, 403, "SignatureDoesNotMatch");
}

static void a_host_without_its_port_is_refused(void **state)
{
	struct sample *sample = *state;

	sample->headers[0].value = "127.0.0.1";
	assert_refused(sample, 403, "SignatureDoesNotMatch");
}

static void a_changed_signed_header_is_refused(void **state)
{
	struct sample *sample = *state;

	sample->headers[1].value = "application/x-www-form-urlencoded";
	assert_refused(sample, 403, "SignatureDoesNotMatch");
}

static void a_listed_header_that_is_missing_is_refused(void **state)
{
	struct sample *sample = *state;

	sample->headers[1].name = "Content-Kind";
	assert_refused(sample, 403, "SignatureDoesNotMatch");
	assert_non_null(strstr(sample->error.message, "content-type"));
}

static void an_upper_case_signature_is_refused(void **state)
{
	struct sample *sample = *state;

	sample->headers[3].value =
	    replaced(sample, AUTHORIZATION_A, "Signature=72e7adc6", "Signature=72E7ADC6");
	assert_refused(sample, 403, "SignatureDoesNotMatch");
}

static void a_scope_of_another_day_is_refused(void **state)
{
	struct sample *sample = *state;

	sample->headers[3].value = replaced(sample, AUTHORIZATION_A, "20260102", "20260103");
	assert_refused(sample, 403, "SignatureDoesNotMatch");
	assert_non_null(strstr(sample->error.message, "date"));
}

static void another_region_or_service_is_refused(void **state)
{
	struct sample *sample = *state;

	sample->headers[3].value = replaced(sample, AUTHORIZATION_A, "us-east-1", "us-east-2");
	assert_refused(sample, 403, "SignatureDoesNotMatch");
	sample->headers[3].value = replaced(sample, AUTHORIZATION_A, "autoscaling", "sts");
	assert_refused(sample, 403, "SignatureDoesNotMatch");
}

static void the_clock_may_be_five_minutes_off_and_no_more(void **state)
{
	struct sample *sample = *state;

	sample->now_ms = NOW + 300 * 1000LL;
	assert_int_equal(verify(sample), 0);
	sample->now_ms = NOW - 300 * 1000LL;
	assert_int_equal(verify(sample), 0);
	sample->now_ms = NOW + 301 * 1000LL;
	assert_refused(sample, 403, "SignatureDoesNotMatch");
	assert_non_null(strstr(sample->error.message, "Signature expired: 20260102T030405Z"));
	sample->now_ms = NOW - 301 * 1000LL;
	assert_refused(sample, 403, "SignatureDoesNotMatch");
	assert_non_null(strstr(sample->error.message, "Signature not yet current"));
}

static void a_content_hash_that_is_not_the_bodys_is_refused(void **state)
{
	struct sample *sample = *state;

	sample->headers[5] = (struct sigv4_header){"x-amz-content-sha256", EMPTY_HASH};
	sample->request.n_headers = 6;
	sample->headers[3].value =
	    replaced(sample, AUTHORIZATION_A, ";x-amz-date", ";x-amz-content-sha256;x-amz-date");
	assert_refused(sample, 403, "SignatureDoesNotMatch");
	assert_non_null(strstr(sample->error.message, "hash of the body"));
}

static void headers_that_must_be_signed_and_are_not_are_refused(void **state)
{
	static const char *const names[] = {"X-Amz-Target", "X-Amz-Security-Token",
					    "X-Amz-Content-Sha256"};
	struct sample *sample = *state;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		sample->headers[5] = (struct sigv4_header){names[i], "UNSIGNED-PAYLOAD"};
		sample->request.n_headers = 6;
		assert_refused(sample, 403, "SignatureDoesNotMatch");
		assert_non_null(strstr(sample->error.message, "must be a signed header"));
	}
	sample->request.n_headers = 5;
	sample->headers[3].value = replaced(sample, AUTHORIZATION_A, "content-type;", "");
	assert_refused(sample, 403, "SignatureDoesNotMatch");
	sample->headers[3].value = replaced(sample, AUTHORIZATION_A, "host;", "");
	assert_refused(sample, 403, "SignatureDoesNotMatch");
}

static void an_unknown_key_is_refused(void **state)
{
	struct sample *sample = *state;

	sample->headers[3].value = replaced(sample, AUTHORIZATION_A, KEY, "AKIANOBODY");
	assert_refused(sample, 403, "InvalidClientTokenId");
}

static void a_key_without_secret_is_never_accepted(void **state)
{
	struct sample *sample = *state;

	json_decref(sample->credentials);
	sample->credentials = json_pack("[{s:s},{s:s,s:s}]", "AccessKeyId", KEY, "AccessKeyId", KEY,
					"SecretAccessKey", "");
	assert_refused(sample, 403, "InvalidClientTokenId");
}

static void a_wrong_secret_is_refused(void **state)
{
	struct sample *sample = *state;

	json_decref(sample->credentials);
	sample->credentials =
	    json_pack("[{s:s,s:s}]", "AccessKeyId", KEY, "SecretAccessKey", "wrong");
	assert_refused(sample, 403, "SignatureDoesNotMatch");
}

static void a_session_token_needs_its_session(void **state)
{
	struct sample *sample = *state;

	json_object_set_new(json_array_get(sample->credentials, 1), "SessionToken",
			    json_string("token"));
	assert_refused(sample, 403, "InvalidClientTokenId");
}

static void both_forms_at_once_are_refused(void **state)
{
	struct sample *sample = *state;

	sample->request.query = QUERY_B;
	assert_refused(sample, 400, "IncompleteSignature");
}

static void an_unsigned_request_is_refused(void **state)
{
	struct sample *sample = *state;
	struct sigv4_scope scope;

	sample->headers[3].name = "X-Other";
	assert_int_equal(sigv4_scope(&sample->request, &scope, &sample->error), 0);
	assert_false(scope.is_present);
	assert_refused(sample, 403, "MissingAuthenticationToken");
}

static void malformed_authorization_headers_are_refused(void **state)
{
	static const char *const values[] = {
	    "",
	    "AWS4-HMAC-SHA256",
	    "Basic dXNlcjpwYXNz",
	    "AWS4-HMAC-SHA2567 Credential=a",
	    "AWS4-HMAC-SHA256 ,,,,",
	    "AWS4-HMAC-SHA256 Credential=a/b/c, SignedHeaders=host, Signature=0",
	    "AWS4-HMAC-SHA256 Credential=/20260102/r/s/aws4_request, SignedHeaders=h, Signature=0",
	    "AWS4-HMAC-SHA256 Credential=k/20260102//s/aws4_request, SignedHeaders=h, Signature=0",
	    "AWS4-HMAC-SHA256 Credential=k/20260102/r/s/aws5_request, SignedHeaders=h, Signature=0",
	    "AWS4-HMAC-SHA256 Credential=k/20260102/r/s/aws4_request, SignedHeaders=, Signature=0",
	    "AWS4-HMAC-SHA256 Credential=k/20260102/r/s/aws4_request, SignedHeaders=host",
	    "AWS4-HMAC-SHA256 Credential=k/20260102/r/s/aws4_request, Signature=0",
	    TOO_LONG,
	};
	struct sample *sample = *state;

	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		sample->headers[3].value = values[i];
		assert_refused(sample, 400, "IncompleteSignature");
	}
}

static void malformed_dates_are_refused(void **state)
{
	static const char *const values[] = {"",
					     "20260102",
					     "20260102T030405",
					     "20260102T030405ZZ",
					     "2026 102T030405Z",
					     "20261302T030405Z",
					     "2026-01-02T03:04:05Z"};
	struct sample *sample = *state;

	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		sample->headers[2].value = values[i];
		assert_refused(sample, 400, "IncompleteSignature");
	}
}

static void the_scope_is_split_from_the_right(void **state)
{
	struct sample *sample = *state;
	struct sigv4_scope scope;

	sample->headers[3].value = replaced(sample, AUTHORIZATION_A, KEY, "a/b/c");
	assert_int_equal(sigv4_scope(&sample->request, &scope, &sample->error), 0);
	assert_true(scope.is_present);
	assert_string_equal(scope.access_key, "a/b/c");
	assert_string_equal(scope.date, "20260102");
	assert_string_equal(scope.region, "us-east-1");
	assert_string_equal(scope.service, "autoscaling");
}

static void a_presigned_scope_is_read_from_the_query(void **state)
{
	struct sample *sample = *state;
	struct sigv4_scope scope;

	assert_int_equal(sigv4_scope(&sample->request, &scope, &sample->error), 0);
	assert_string_equal(scope.access_key, KEY);
	assert_string_equal(scope.service, "sts");
}

static void a_presigned_request_lives_as_long_as_it_says(void **state)
{
	struct sample *sample = *state;

	sample->now_ms = NOW + 900 * 1000LL;
	assert_int_equal(verify(sample), 0);
	sample->now_ms = NOW + 901 * 1000LL;
	assert_refused(sample, 403, "SignatureDoesNotMatch");
	sample->now_ms = NOW - 301 * 1000LL;
	assert_refused(sample, 403, "SignatureDoesNotMatch");
}

static void a_changed_presigned_query_is_refused(void **state)
{
	struct sample *sample = *state;

	sample->request.query = replaced(sample, QUERY_B, "Expires=900", "Expires=901");
	assert_refused(sample, 403, "SignatureDoesNotMatch");
	sample->request.query = replaced(sample, QUERY_B, "Expires=900", "Expires=604801");
	assert_refused(sample, 400, "IncompleteSignature");
	sample->request.query = replaced(sample, QUERY_B, "Expires=900", "Expires=-1");
	assert_refused(sample, 400, "IncompleteSignature");
	sample->request.query = replaced(sample, QUERY_B, "Action=Get", "Extra=1&Action=Get");
	assert_refused(sample, 403, "SignatureDoesNotMatch");
	sample->request.query = QUERY_B_UNSIGNED;
	assert_refused(sample, 400, "IncompleteSignature");
}

static void a_body_cannot_ride_on_a_presigned_request(void **state)
{
	struct sample *sample = *state;

	sample->request.body = "Action=DeleteLoadBalancer";
	sample->request.body_len = strlen(sample->request.body);
	assert_refused(sample, 403, "SignatureDoesNotMatch");
}

static void ec2_answers_in_its_own_codes(void **state)
{
	struct sample *sample = *state;

	sample->request.path = "/a";
	assert_refused(sample, 401, "AuthFailure");
	sample->now_ms = NOW + 301 * 1000LL;
	assert_refused(sample, 400, "RequestExpired");
	sample->now_ms = NOW;
	json_array_clear(sample->credentials);
	assert_refused(sample, 401, "AuthFailure");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(set_up, name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	    TEST(set_up_a, a_form_post_verifies),
	    TEST(set_up_a, the_canonical_request_of_a_form_post_hashes_as_known),
	    TEST(set_up_b, a_presigned_get_verifies),
	    TEST(set_up_b, the_canonical_request_of_a_presigned_get_hashes_as_known),
	    TEST(set_up_c, odd_paths_queries_and_an_unsigned_payload_verify),
	    TEST(set_up_c, the_canonical_request_of_odd_input_is_as_known),
	    cmocka_unit_test(paths_are_normalised_and_queries_sorted_by_name_first),
	    cmocka_unit_test(repeated_headers_are_joined_by_commas),
	    TEST(set_up_a, one_changed_body_byte_is_refused),
	    TEST(set_up_a, a_host_without_its_port_is_refused),
	    TEST(set_up_a, a_changed_signed_header_is_refused),
	    TEST(set_up_a, a_listed_header_that_is_missing_is_refused),
	    TEST(set_up_a, an_upper_case_signature_is_refused),
	    TEST(set_up_a, a_scope_of_another_day_is_refused),
	    TEST(set_up_a, another_region_or_service_is_refused),
	    TEST(set_up_a, the_clock_may_be_five_minutes_off_and_no_more),
	    TEST(set_up_a, a_content_hash_that_is_not_the_bodys_is_refused),
	    TEST(set_up_a, headers_that_must_be_signed_and_are_not_are_refused),
	    TEST(set_up_a, an_unknown_key_is_refused),
	    TEST(set_up_a, a_key_without_secret_is_never_accepted),
	    TEST(set_up_a, a_wrong_secret_is_refused),
	    TEST(set_up_a, a_session_token_needs_its_session),
	    TEST(set_up_a, both_forms_at_once_are_refused),
	    TEST(set_up_a, an_unsigned_request_is_refused),
	    TEST(set_up_a, malformed_authorization_headers_are_refused),
	    TEST(set_up_a, malformed_dates_are_refused),
	    TEST(set_up_a, the_scope_is_split_from_the_right),
	    TEST(set_up_b, a_presigned_scope_is_read_from_the_query),
	    TEST(set_up_b, a_presigned_request_lives_as_long_as_it_says),
	    TEST(set_up_b, a_changed_presigned_query_is_refused),
	    TEST(set_up_b, a_body_cannot_ride_on_a_presigned_request),
	    TEST(set_up_c, ec2_answers_in_its_own_codes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
