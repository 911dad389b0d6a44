/* lb/proxy/http1_head: odd heads taken apart, and put in order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lb/proxy/http1_head.h"

#define LINE "POST / HTTP/1.1\r\nHost: a\r\n"
#define SENT "POST / HTTP/1.1\r\nHost: a\r\n"

struct odd {
	const char *bytes;
	enum desync_class tier;
	enum desync_reason reason;
	unsigned status;
	const char *rewritten; /* with status 0 */
};

static const struct odd cases[] = {
    {LINE "\r\n", DESYNC_COMPLIANT, DESYNC_REASON_NONE, 0, SENT "\r\n"},
    {"GET / HTTP/1.1\nHost: a\n\n", DESYNC_ACCEPTABLE, DESYNC_REASON_BARE_LF, 0,
     "GET / HTTP/1.1\r\nHost: a\r\n\r\n"},
    {"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", DESYNC_ACCEPTABLE, DESYNC_REASON_SPACE_IN_URI, 0,
     "GET /a%20b HTTP/1.1\r\nHost: a\r\n\r\n"},
    {"GET /a\x01 HTTP/1.1\r\nHost: a\r\n\r\n", DESYNC_AMBIGUOUS, DESYNC_REASON_AMBIGUOUS_URI, 0,
     "GET /a%01 HTTP/1.1\r\nHost: a\r\n\r\n"},
    {"GET /\xc3\xa9 HTTP/1.1\r\nHost: a\r\n\r\n", DESYNC_COMPLIANT, DESYNC_REASON_NONE, 0,
     "GET /%C3%A9 HTTP/1.1\r\nHost: a\r\n\r\n"},
    {"GET /  HTTP/1.1\r\nHost: a\r\n\r\n", DESYNC_ACCEPTABLE, DESYNC_REASON_NON_COMPLIANT_VERSION,
     0, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"},
    {"GET / HTTP/1.1 \r\nHost: a\r\n\r\n", DESYNC_ACCEPTABLE, DESYNC_REASON_NON_COMPLIANT_VERSION,
     0, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"},
    {"GET / HTTP/1.7\r\nHost: a\r\n\r\n", DESYNC_ACCEPTABLE, DESYNC_REASON_NON_COMPLIANT_VERSION, 0,
     "GET / HTTP/1.1\r\nHost: a\r\n\r\n"},
    {"GET / HTTP/3.0\r\nHost: a\r\n\r\n", DESYNC_SEVERE, DESYNC_REASON_BAD_VERSION, 505, NULL},
    {"GET / http/1.1\r\nHost: a\r\n\r\n", DESYNC_SEVERE, DESYNC_REASON_BAD_VERSION, 400, NULL},
    {"GET /\r\n", DESYNC_ACCEPTABLE, DESYNC_REASON_NON_COMPLIANT_VERSION, 400, NULL},
    {"nonsense\r\n", DESYNC_AMBIGUOUS, DESYNC_REASON_MISSING_URI, 400, NULL},
    {LINE "X: a\r\n b\r\n\tc\r\n\r\n", DESYNC_AMBIGUOUS, DESYNC_REASON_MULTILINE_HEADER, 0,
     SENT "X: a b c\r\n\r\n"},
    {LINE "X: a\r\n Transfer-Encoding: chunked\r\n\r\n", DESYNC_AMBIGUOUS,
     DESYNC_REASON_MULTILINE_HEADER, 0, SENT "X: a\r\n\r\n"},
    {"GET / HTTP/1.1\r\n X: y\r\nHost: a\r\n\r\n", DESYNC_AMBIGUOUS, DESYNC_REASON_MULTILINE_HEADER,
     0, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"},
    {LINE "Content-Length:\r\n 5\r\n\r\n", DESYNC_SEVERE, DESYNC_REASON_BAD_CONTENT_LENGTH, 400,
     NULL},
    {LINE "Content-Length: 5\r\n 5\r\n\r\n", DESYNC_AMBIGUOUS, DESYNC_REASON_MULTILINE_HEADER, 400,
     NULL},
    {LINE "no colon\r\n\r\n", DESYNC_AMBIGUOUS, DESYNC_REASON_MISSING_COLON, 0, SENT "\r\n"},
    {LINE ": x\r\n\r\n", DESYNC_AMBIGUOUS, DESYNC_REASON_EMPTY_HEADER, 0, SENT "\r\n"},
    {LINE "X : y\r\n\r\n", DESYNC_ACCEPTABLE, DESYNC_REASON_NON_COMPLIANT_HEADER, 0, SENT "\r\n"},
    {LINE "X: a\x01 \r\n\r\n", DESYNC_ACCEPTABLE, DESYNC_REASON_NON_COMPLIANT_HEADER, 0,
     SENT "X: a \r\n\r\n"},
    {LINE "X: a\rY: b\r\n\r\n", DESYNC_SEVERE, DESYNC_REASON_BAD_HEADER, 0,
     SENT "X: a Y: b\r\n\r\n"},
    {LINE "Transfer-Encoding : chunked\r\n\r\n", DESYNC_AMBIGUOUS, DESYNC_REASON_SUSPICIOUS_HEADER,
     0, SENT "\r\n"},
    {LINE "Transfer_Encoding: chunked\r\nContent-Length: 3\r\n\r\n", DESYNC_AMBIGUOUS,
     DESYNC_REASON_SUSPICIOUS_HEADER, 0, SENT "Content-Length: 3\r\n\r\n"},
    {LINE "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n", DESYNC_AMBIGUOUS,
     DESYNC_REASON_BOTH_TE_CL, 0, SENT "Transfer-Encoding: chunked\r\n\r\n"},
    {LINE "Transfer-Encoding: identity\r\nContent-Length: 3\r\n\r\n", DESYNC_AMBIGUOUS,
     DESYNC_REASON_BOTH_TE_CL, 0, SENT "Content-Length: 3\r\n\r\n"},
    {LINE "Content-Length: 3\r\nContent-Length: 03\r\n\r\n", DESYNC_AMBIGUOUS,
     DESYNC_REASON_DUPLICATE_CONTENT_LENGTH, 0, SENT "Content-Length: 3\r\n\r\n"},
    {LINE "Content-Length: 3\r\nContent-Length: 4\r\n\r\n", DESYNC_SEVERE,
     DESYNC_REASON_MULTIPLE_CONTENT_LENGTH, 400, NULL},
    {LINE "Content-Length: 3, 3\r\n\r\n", DESYNC_SEVERE, DESYNC_REASON_BAD_CONTENT_LENGTH, 400,
     NULL},
    {LINE "Transfer-Encoding: chunked;a=b\r\n\r\n", DESYNC_COMPLIANT, DESYNC_REASON_NONE, 0,
     SENT "Transfer-Encoding: chunked\r\n\r\n"},
    {LINE "Transfer-Encoding: identity, chunked\r\n\r\n", DESYNC_COMPLIANT, DESYNC_REASON_NONE, 0,
     SENT "Transfer-Encoding: chunked\r\n\r\n"},
    {LINE "Transfer-Encoding: chunked, identity\r\n\r\n", DESYNC_COMPLIANT, DESYNC_REASON_NONE, 400,
     NULL},
    {LINE "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", DESYNC_SEVERE,
     DESYNC_REASON_MULTIPLE_CHUNKED, 400, NULL},
    {LINE "Transfer-Encoding: gzip, chunked\r\n\r\n", DESYNC_COMPLIANT, DESYNC_REASON_NONE, 501,
     NULL},
    {LINE "Transfer-Encoding: xchunked\r\n\r\n", DESYNC_SEVERE, DESYNC_REASON_BAD_TRANSFER_ENCODING,
     501, NULL},
    {"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", DESYNC_AMBIGUOUS,
     DESYNC_REASON_UNDEFINED_TE, 0, "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"},
};

/* Whatever is put in order, the strict reader takes. */
static void check_strictly(const char *bytes, size_t len, struct text method)
{
	struct h1_message *h1 = test_malloc(sizeof(*h1));
	size_t used = h1_start_rewritten(h1, (struct text){bytes, method.len});

	h1_parse(h1, bytes + used, len - used);
	if (h1->message.error != 0)
		fail_msg("%s in %.*s", h1->message.error_reason, (int)len, bytes);
	assert_true(h1->message.is_head_done);
	assert_true(text_equal(h1->message.method, method));
	test_free(h1);
}

static void check_rewritten(const struct odd *odd, const struct h1_head *head)
{
	char out[1024];
	struct writer writer = {.at = out, .end = out + sizeof(out)};
	unsigned status = h1_head_rewrite(head, &writer);
	struct text got = {out, (size_t)(writer.at - out)};

	if (status != odd->status)
		fail_msg("status %u for\n%s", status, odd->bytes);
	if (status != 0)
		return;
	if (!text_equal(got, text_of(odd->rewritten)))
		fail_msg("got\n%.*s\nfor\n%s", (int)got.len, out, odd->bytes);
	check_strictly(out, got.len, head->parts.method);
}

static void odd_heads_are_classified_and_put_in_order(void **state)
{
	struct h1_head *head = test_malloc(sizeof(*head));

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct odd *odd = &cases[i];
		size_t len = strlen(odd->bytes);
		char bytes[512];

		/* What follows the head is not its own. */
		snprintf(bytes, sizeof(bytes), "%sbody", odd->bytes);
		if (h1_head_read(head, bytes, len + 4) != H1_HEAD_WHOLE || head->len != len)
			fail_msg("%zu bytes of\n%s", head->len, odd->bytes);
		if (head->verdict.tier != odd->tier || head->verdict.reason != odd->reason)
			fail_msg("%s for\n%s", desync_reason_name(head->verdict.reason),
				 odd->bytes);
		check_rewritten(odd, head);
	}
	test_free(head);
}

static void a_head_is_partial_at_every_byte_before_its_end(void **state)
{
	const char *bytes = "POST / HTTP/1.1\r\nHost: a\nX: a\r\n b\r\n\r\n";
	struct h1_head *head = test_malloc(sizeof(*head));

	(void)state;
	for (size_t len = 0; len < strlen(bytes); len++)
		assert_int_equal(h1_head_read(head, bytes, len), H1_HEAD_PARTIAL);
	assert_int_equal(h1_head_read(head, bytes, strlen(bytes)), H1_HEAD_WHOLE);
	test_free(head);
}

static void what_no_request_begins_with_is_not_waited_for(void **state)
{
	struct h1_head *head = test_malloc(sizeof(*head));
	char *long_line = test_malloc(40000);

	(void)state;
	assert_int_equal(h1_head_read(head, "\x16\x03\x01", 3), H1_HEAD_HOPELESS);
	assert_int_equal(h1_head_read(head, "\0", 1), H1_HEAD_HOPELESS);
	memset(long_line, 'a', 40000);
	memcpy(long_line, "GET / HTTP/1.1\r\n", 16);
	long_line[39999] = '\n';
	assert_int_equal(h1_head_read(head, long_line, 40000), H1_HEAD_HOPELESS);
	test_free(long_line);
	test_free(head);
}

/* What HTTP has not defined is the application's own affair; AWS: up to 40 characters. */
static void any_token_is_a_method(void **state)
{
	static const struct {
		const char *method;
		unsigned status, error; /* of putting it in order; of reading that */
	} methods[] = {
	    {"GET", 0, 0},
	    {"get", 0, 0},
	    {"X-FROBNICATE", 0, 0},
	    {"DESCRIBE", 0, 0},
	    {"p", 0, 0},
	    {"POSTPOSTPOSTPOSTPOSTPOSTPOSTPOSTPOSTPOST", 0, 0},
	    {"POSTPOSTPOSTPOSTPOSTPOSTPOSTPOSTPOSTPOSTX", 400, 0},
	    {"G(T", 400, 0},
	    {"TRACE", 0, 405},
	    {"CONNECT", 0, 405},
	    {"PRI", 0, 505},
	};
	struct h1_head *head = test_malloc(sizeof(*head));
	struct h1_message *h1 = test_malloc(sizeof(*h1));

	(void)state;
	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
		char bytes[256], out[256];
		struct writer writer = {.at = out, .end = out + sizeof(out)};
		struct text method = {out, strlen(methods[i].method)};
		size_t used;

		snprintf(bytes, sizeof(bytes),
			 "%s / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n",
			 methods[i].method);
		assert_int_equal(h1_head_read(head, bytes, strlen(bytes)), H1_HEAD_WHOLE);
		assert_int_equal(h1_head_rewrite(head, &writer), methods[i].status);
		if (methods[i].status != 0)
			continue;
		used = h1_start_rewritten(h1, method);
		h1_parse(h1, out + used, (size_t)(writer.at - out) - used);
		assert_int_equal(h1->message.error, methods[i].error);
		if (methods[i].error != 0)
			continue;
		assert_true(text_equal(h1->message.method, text_of(methods[i].method)));
		assert_int_equal(h1->message.body, BODY_LENGTH);
		assert_int_equal(h1_parse(h1, "okGET", 5), 2);
		assert_true(h1->message.is_done);
	}
	test_free(h1);
	test_free(head);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(odd_heads_are_classified_and_put_in_order),
	    cmocka_unit_test(a_head_is_partial_at_every_byte_before_its_end),
	    cmocka_unit_test(any_token_is_a_method),
	    cmocka_unit_test(what_no_request_begins_with_is_not_waited_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
