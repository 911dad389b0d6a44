/* lb/proxy/http1 and compose: what is read, what is refused, what goes out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lb/proxy/exchange.h"
#include "lb/proxy/http1.h"
#include "lb/proxy/http1_compose.h"

static struct h1_message *read_as(enum llhttp_type type, const char *bytes)
{
	struct h1_message *h1 = test_malloc(sizeof(*h1));

	h1_start(h1, type);
	h1_parse(h1, bytes, strlen(bytes));
	return h1;
}

static unsigned error_of(const char *bytes)
{
	struct h1_message *h1 = read_as(HTTP_REQUEST, bytes);
	unsigned error = h1->message.error;

	test_free(h1);
	return error;
}

/* By the strict reader: what the second look makes of them is in test_http1_head. */
static void requests_that_two_readers_may_read_differently_are_refused(void **state)
{
	static const struct {
		const char *bytes;
		unsigned status;
	} cases[] = {
	    {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", 0},
	    {"GET / HTTP/1.1\r\n\r\n", 400},
	    {"GET / HTTP/1.0\r\n\r\n", 0},
	    {"GET /\r\n\r\n", 400},
	    {"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505},
	    {"GET / HTTP/1.1\nHost: a\n\n", 400},
	    {"GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n", 400},
	    {"GET / HTTP/1.1\r\nHost: a\r\n\n", 400},
	    {"GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n", 400},
	    {"GET / HTTP/1.1\r\nHost: a\r\nX:\r\n b\r\n\r\n", 400},
	    {"GET / HTTP/1.1\r\nHost: a\r\n X: b\r\n\r\n", 400},
	    {"GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400},
	    {"GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n", 400},
	    {"GET / HTTP/1.1\r\nHost: a\r\nX: a\x01\r\n\r\n", 400},
	    {"GET / HTTP/1.1\r\nHost: a\r\nNo colon\r\n\r\n", 400},
	    {"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400},
	    {"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400},
	    {"TRACE / HTTP/1.1\r\nHost: a\r\n\r\n", 405},
	    {"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", 405},
	    {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n", 400},
	    {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400},
	    {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 1\r\n\r\n", 400},
	    {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\n", 400},
	    {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x1\r\n\r\n", 400},
	    {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551616\r\n\r\n", 400},
	    {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: "
	     "chunked\r\n\r\n",
	     400},
	    {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: "
	     "1\r\n\r\n",
	     400},
	    {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, chunked\r\n\r\n", 400},
	    {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n", 400},
	    {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \x0b"
	     "chunked\r\n\r\n",
	     400},
	    {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 400},
	    {"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
	    {"POST / HTTP/1.1\r\nHost: a\r\nTransfer_Encoding: chunked\r\n\r\n", 400},
	    {"POST / HTTP/1.1\r\nHost: a\r\nContent.Length: 1\r\n\r\n", 400},
	    {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n", 400},
	    {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc", 400},
	    {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		unsigned status = error_of(cases[i].bytes);

		if (status != cases[i].status)
			fail_msg("expected %u, got %u for:\n%s", cases[i].status, status,
				 cases[i].bytes);
	}
}

static char *head_with(const char *start, size_t n_filler, const char *end)
{
	size_t len = strlen(start);
	char *bytes = test_malloc(len + n_filler + strlen(end) + 1);

	memcpy(bytes, start, len);
	memset(bytes + len, 'a', n_filler);
	strcpy(bytes + len + n_filler, end);
	return bytes;
}

static void long_lines_and_headers_are_refused(void **state)
{
	static const struct {
		const char *start, *end;
		size_t n;
		unsigned status;
	} cases[] = {
	    {"GET /", " HTTP/1.1\r\nHost: a\r\n\r\n", 16000, 0},
	    {"GET /", " HTTP/1.1\r\nHost: a\r\n\r\n", 16384, 414},
	    {"GET /", "", 16384, 414}, /* before it is complete, too */
	    {"GET / HTTP/1.1\r\nHost: a\r\nX: ", "\r\n\r\n", 16000, 0},
	    {"GET / HTTP/1.1\r\nHost: a\r\nX: ", "\r\n\r\n", 16380, 0},
	    {"GET / HTTP/1.1\r\nHost: a\r\nX: ", "\r\n\r\n", 16381, 400},
	    {"GET /", " HTTP/1.1\r\nHost: a\r\n\r\n", 16369, 0},
	    {"GET /", " HTTP/1.1\r\nHost: a\r\n\r\n", 16370, 414},
	    {"GET / HTTP/1.1\r\nHost: a\r\n", ": x\r\n\r\n", 16385, 400},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *bytes = head_with(cases[i].start, cases[i].n, cases[i].end);

		assert_int_equal(error_of(bytes), cases[i].status);
		test_free(bytes);
	}
}

static void a_request_may_come_byte_by_byte(void **state)
{
	const char *bytes = "POST /a?b HTTP/1.1\r\nHost: a\r\nX-Empty:\r\nY:  z \r\n"
			    "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nT: x\r\n\r\n";
	struct h1_message *h1 = test_malloc(sizeof(*h1));
	char body[16];
	size_t n_body = 0;

	(void)state;
	h1_start(h1, HTTP_REQUEST);
	for (size_t i = 0; bytes[i]; i++) {
		assert_int_equal(h1_parse(h1, bytes + i, 1), 1);
		assert_int_equal(h1->message.error, 0);
		for (unsigned s = 0; s < h1->message.n_spans; s++) {
			memcpy(body + n_body, h1->message.spans[s].iov_base,
			       h1->message.spans[s].iov_len);
			n_body += h1->message.spans[s].iov_len;
		}
	}
	assert_true(h1->message.is_done);
	assert_int_equal(h1->message.n_headers, 4); /* the trailer is none of them */
	assert_int_equal(h1->message.headers[1].value.len, 0);
	assert_true(text_equal(h1->message.headers[2].value, TEXT("z")));
	assert_int_equal(n_body, 5);
	assert_memory_equal(body, "hello", 5);
	test_free(h1);
}

static void plain_heads_are_read_without_the_parser_and_no_others(void **state)
{
	static const struct {
		enum llhttp_type type;
		bool is_quick;
		const char *bytes;
	} cases[] = {
	    {HTTP_REQUEST, true, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"},
	    {HTTP_REQUEST, true, "GET /a?b=c HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n"},
	    {HTTP_REQUEST, true, "GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /"},
	    {HTTP_REQUEST, true, "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nab"},
	    {HTTP_REQUEST, true, "GET / HTTP/1.1\r\nHost: a\r\nX:\r\nY:  z \r\n\r\n"},
	    {HTTP_RESPONSE, true, "HTTP/1.1 200 \r\nContent-Length: 2\r\n\r\nok"},
	    {HTTP_RESPONSE, true, "HTTP/1.1 304 Not Modified\r\n\r\n"},
	    {HTTP_REQUEST, false, "GET / HTTP/1.1\r\nHost: a\r\n\r"},
	    {HTTP_REQUEST, false, "GET / HTTP/1.1\r\nHost: a\r\nX_Y: z\r\n\r\n"},
	    {HTTP_REQUEST, false, "GET / HTTP/1.1\r\nHost: a\r\nX: \xc3\r\n\r\n"},
	    {HTTP_REQUEST, false, "GET / HTTP/1.1\r\nHost: a\r\nX: a\tb\r\n\r\n"},
	    {HTTP_REQUEST, false, "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\n\r\n"},
	    {HTTP_REQUEST, false, "GET / HTTP/1.1\r\nHost: a\r\nConnection: X-Y\r\n\r\n"},
	    {HTTP_REQUEST, false,
	     "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
	    {HTTP_REQUEST, false, "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1 \r\n\r\na"},
	    {HTTP_REQUEST, false, "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\na"},
	    {HTTP_REQUEST, false, "REPORT / HTTP/1.1\r\nHost: a\r\n\r\n"},
	    {HTTP_REQUEST, false, "GET /\"a\" HTTP/1.1\r\nHost: a\r\n\r\n"},
	    {HTTP_REQUEST, false, "GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n"},
	    {HTTP_REQUEST, false, "GET / HTTP/1.1\r\n\r\n"},
	    {HTTP_RESPONSE, false, "HTTP/1.1 200 OK\r\n\r\nuntil the end"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct h1_message *h1 = read_as(cases[i].type, cases[i].bytes);

		assert_int_equal(h1->is_quick, cases[i].is_quick);
		test_free(h1);
	}
}

static void a_body_goes_on_after_a_plain_head(void **state)
{
	struct h1_message *h1 =
	    read_as(HTTP_REQUEST, "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab");

	(void)state;
	assert_true(h1->is_quick && h1->message.is_head_done && !h1->message.is_done);
	assert_int_equal(h1->message.span_bytes, 2);
	assert_int_equal(h1_parse(h1, "c", 1), 1);
	assert_false(h1->message.is_done);
	assert_int_equal(h1_parse(h1, "deGET", 5), 2);
	assert_true(h1->message.is_done);
	assert_int_equal(h1->message.span_bytes, 2);
	test_free(h1);
}

static void a_pipelined_request_is_left_alone(void **state)
{
	const char *bytes = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabcGET /2 ";
	struct h1_message *h1 = test_malloc(sizeof(*h1));

	(void)state;
	h1_start(h1, HTTP_REQUEST);
	assert_int_equal(h1_parse(h1, bytes, strlen(bytes)), strlen(bytes) - 7);
	assert_true(h1->message.is_done);
	assert_int_equal(h1->message.span_bytes, 3);
	test_free(h1);
}

static void many_chunks_come_in_several_turns(void **state)
{
	struct h1_message *h1 = read_as(
	    HTTP_REQUEST, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
	char bytes[6 * 200 + 1];
	size_t at = 0, total = 0, len;
	int turns = 0;

	(void)state;
	for (int i = 0; i < 200; i++)
		memcpy(bytes + 6 * i, "1\r\nx\r\n", 6);
	len = 6 * 200;
	while (at < len) {
		at += h1_parse(h1, bytes + at, len - at);
		assert_int_equal(h1->message.error, 0);
		assert_true(h1->message.n_spans < MESSAGE_MAX_SPANS);
		total += h1->message.span_bytes;
		turns++;
	}
	assert_int_equal(total, 200);
	assert_int_equal(turns, 200 / (MESSAGE_MAX_SPANS - 1) + 1);
	test_free(h1);
}

/* The parser's own laxity; however the bytes are cut. */
static void a_chunked_body_ends_with_crlf_alone(void **state)
{
	static const struct {
		enum llhttp_type type;
		const char *head;
		unsigned error;
	} table[] = {
	    {HTTP_REQUEST, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
	    {HTTP_RESPONSE, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", 502},
	};
	static const char *const ends[] = {"0\r\n\r\n", "0\r\nA: b\r\n\r\n", "0\r\n\n",
					   "0\r\nA: b\r\n\n", "0\n\r\n"};
	struct h1_message h1;
	char bytes[128];

	(void)state;
	for (size_t i = 0; i < 4 * 5; i++) {
		unsigned expected = i % 5 < 2 ? 0 : table[i / 10].error;
		size_t step = i / 5 % 2 ? 1 : sizeof(bytes), at = 0;
		size_t len =
		    (size_t)snprintf(bytes, sizeof(bytes), "%s%s", table[i / 10].head, ends[i % 5]);

		h1_start(&h1, table[i / 10].type);
		while (at < len && h1.message.error == 0 && !h1.message.is_done)
			at += h1_parse(&h1, bytes + at, step < len - at ? step : len - at);
		assert_int_equal(h1.message.error, expected);
		assert_true(expected || h1.message.is_done);
	}
}

static void bytes_that_went_another_way_count_as_read(void **state)
{
	struct h1_message *h1 = read_as(
	    HTTP_RESPONSE, "HTTP/1.1 200 OK\r\nContent-Length: 5000000000\r\n\r\n0123456789");

	(void)state;
	assert_int_equal(h1->message.span_bytes, 10);
	assert_true(h1_rest(h1) == 5000000000 - 10);
	h1_skip(h1, 1000);
	assert_int_equal(h1->message.n_spans, 0);
	assert_int_equal(h1->message.span_bytes, 1000);
	h1_skip(h1, 4999998990 - 3);
	assert_false(h1->message.is_done);
	assert_int_equal(h1_parse(h1, "abcHTTP/1.1", 11), 3);
	assert_true(h1->message.is_done);
	assert_int_equal(h1->message.span_bytes, 3);
	assert_int_equal(h1_rest(h1), 0);
	test_free(h1);
	h1 = read_as(HTTP_REQUEST, "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 70000\r\n\r\n");
	assert_int_equal(h1_rest(h1), 70000);
	h1_skip(h1, 70000);
	assert_true(h1->message.is_done);
	test_free(h1);
}

static void only_bodies_with_a_length_have_a_rest(void **state)
{
	static const char *const heads[] = {
	    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffff\r\n",
	    "HTTP/1.1 200 OK\r\n\r\n",
	    "HTTP/1.1 304 Not Modified\r\nContent-Length: 100000\r\n\r\n",
	    "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
		struct h1_message *h1 = read_as(HTTP_RESPONSE, heads[i]);

		assert_int_equal(h1_rest(h1), 0);
		test_free(h1);
	}
}

static void endless_trailers_are_refused(void **state)
{
	struct h1_message *h1 = read_as(
	    HTTP_REQUEST, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n");

	(void)state;
	for (int i = 0; i < 3000 && h1->message.error == 0; i++)
		h1_parse(h1, "Trailer-Name: v\r\n", 17);
	assert_int_equal(h1->message.error, 400);
	test_free(h1);
}

static void a_response_is_framed_as_the_rfc_says(void **state)
{
	enum { UNTIL_CLOSE = BODY_STREAM + 1 };
	static const struct {
		const char *bytes;
		bool is_to_head;
		unsigned body;
		bool keeps_alive;
		unsigned error;
	} cases[] = {
	    {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", false, BODY_LENGTH, true, 0},
	    {"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", false, BODY_NONE, true, 0},
	    {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", true, BODY_NONE, true, 0},
	    {"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", false, BODY_NONE, true, 0},
	    {"HTTP/1.1 204 No Content\r\n\r\n", false, BODY_NONE, true, 0},
	    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", false, BODY_STREAM, true, 0},
	    {"HTTP/1.1 200 OK\r\n\r\n", false, UNTIL_CLOSE, false, 0},
	    {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\n", false,
	     BODY_LENGTH, false, 0},
	    {"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n", false, BODY_LENGTH, false, 0},
	    {"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\n", false,
	     BODY_LENGTH, true, 0},
	    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", false, 0, false, 502},
	    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n", false, 0,
	     false, 502},
	    {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", false, 0, false,
	     502},
	    {"HTTP/3 200\r\n\r\n", false, 0, false, 502},
	    {"nonsense\r\n\r\n", false, 0, false, 502},
	};
	struct h1_message *h1 = test_malloc(sizeof(*h1));

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		h1_start(h1, HTTP_RESPONSE);
		h1->is_to_head = cases[i].is_to_head;
		h1_parse(h1, cases[i].bytes, strlen(cases[i].bytes));
		if (h1->message.error != cases[i].error)
			fail_msg("error %u for:\n%s", h1->message.error, cases[i].bytes);
		if (h1->message.error != 0)
			continue;
		assert_true(h1->message.is_head_done);
		if (cases[i].body == UNTIL_CLOSE)
			assert_true(h1->is_until_close);
		assert_int_equal(h1->message.body,
				 h1->is_until_close ? BODY_STREAM : cases[i].body);
		assert_int_equal(h1->message.keeps_alive, cases[i].keeps_alive);
		assert_int_equal(h1->message.is_done, cases[i].body == BODY_NONE);
		assert_int_equal(h1_end(h1),
				 cases[i].body == BODY_NONE || cases[i].body == UNTIL_CLOSE);
	}
	test_free(h1);
}

static void targets_are_taken_apart(void **state)
{
	static const struct {
		const char *uri, *host, *sent, *path, *query;
	} cases[] = {
	    {"/a?b=c", "h", "/a?b=c", "/a", "b=c"},    {"*", "h", "*", "*", ""},
	    {"http://x:1/a#f", "x:1", "/a", "/a", ""}, {"http://x", "x", "/", "/", ""},
	    {"http://x?q", "x", "/?q", "/", "q"},      {"/?", "h", "/?", "/", ""},
	};
	char bytes[128];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct request_target target;

		snprintf(bytes, sizeof(bytes), "%s %s HTTP/1.1\r\nHost: h\r\n\r\n",
			 cases[i].uri[0] == '*' ? "OPTIONS" : "GET", cases[i].uri);
		struct h1_message *h1 = read_as(HTTP_REQUEST, bytes);

		assert_int_equal(h1->message.error, 0);
		assert_true(request_target_parse(h1->message.uri, h1->message.host, &target));
		assert_true(text_equal(target.host, text_of(cases[i].host)));
		assert_true(text_equal(target.path, text_of(cases[i].path)));
		assert_true(text_equal(target.query, text_of(cases[i].query)));
		assert_int_equal(target.slash.len + target.uri.len, strlen(cases[i].sent));
		test_free(h1);
	}
}

static void headers_are_known_in_any_case(void **state)
{
	static const struct {
		const char *name;
		enum header_kind kind;
	} cases[] = {
	    {"tE", HEADER_HOP},
	    {"EXPECT", HEADER_EXPECT},
	    {"Trailer", HEADER_HOP},
	    {"Upgrade", HEADER_HOP},
	    {"Connection", HEADER_CONNECTION},
	    {"Keep-Alive", HEADER_HOP},
	    {"user-agent", HEADER_USER_AGENT},
	    {"HTTP2-Settings", HEADER_HOP},
	    {"X-Forwarded-For", HEADER_FORWARDED_FOR},
	    {"X-AMZN-trace-id", HEADER_TRACE_ID},
	    {"Proxy-Connection", HEADER_HOP},
	    {"X-Forwarded-Port", HEADER_FORWARDED_OTHER},
	    {"X-Forwarded-Proto", HEADER_FORWARDED_OTHER},
	    {"X-Amzn-Tls-Version", HEADER_FORGED},
	    {"X", HEADER_OTHER},
	    {"Hosts", HEADER_OTHER},
	    {"Cookie", HEADER_OTHER},
	    {"X-Forwarded-Protocol-Is-Long", HEADER_OTHER},
	};
	char bytes[128];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		snprintf(bytes, sizeof(bytes), "GET / HTTP/1.1\r\nHost: h\r\n%s: v\r\n\r\n",
			 cases[i].name);
		struct h1_message *h1 = read_as(HTTP_REQUEST, bytes);

		assert_int_equal(h1->message.error, 0);
		assert_int_equal(h1->message.kinds[0], HEADER_HOST);
		if (h1->message.kinds[1] != cases[i].kind)
			fail_msg("%s is a %u", cases[i].name, h1->message.kinds[1]);
		test_free(h1);
	}
}

/* ---- what goes out ---- */

static char *compose(const char *bytes, const struct load_balancer_attributes *attributes,
		     const char *port)
{
	struct h1_message *h1 = read_as(HTTP_REQUEST, bytes);
	struct request_target target;
	char *text = test_calloc(1, 4096);
	struct writer out = {.at = text, .end = text + 4095};
	struct request_context context = {
	    .message = &h1->message,
	    .target = &target,
	    .attributes = attributes,
	    .dns_name = TEXT("lb.example"),
	    .client_ip = TEXT("203.0.113.9"),
	    .client_addr = TEXT("203.0.113.9:5151"),
	    .port = text_of(port),
	    .protocol = TEXT("http"),
	    .trace_id = TEXT("Root=1-0-0"),
	};

	assert_int_equal(h1->message.error, 0);
	assert_true(request_target_parse(h1->message.uri, h1->message.host, &target));
	compose_request(&out, &context);
	assert_false(out.is_full);
	test_free(h1);
	return text;
}

static void a_request_is_rebuilt_without_what_belongs_to_the_hop(void **state)
{
	struct load_balancer_attributes attributes = {0};
	char *text =
	    compose("POST /x?y HTTP/1.1\r\nHost: Ex.Com:99\r\nX-Forwarded-For: 1.1.1.1\r\n"
		    "X-Forwarded-Proto: https\r\nConnection: X-Hop, close\r\nX-Hop: 1\r\n"
		    "TE: trailers\r\nUpgrade: h2c\r\nKeep-Alive: 5\r\nProxy-Connection: a\r\n"
		    "Accept: */*\r\nX-Amzn-Oidc-Data: forged\r\nExpect: 100-continue\r\n"
		    "Content-Length: 3\r\n\r\nabc",
		    &attributes, "8080");

	(void)state;
	assert_string_equal(text, "POST /x?y HTTP/1.1\r\n"
				  "X-Forwarded-For: 1.1.1.1, 203.0.113.9\r\n"
				  "X-Forwarded-Proto: http\r\n"
				  "X-Forwarded-Port: 8080\r\n"
				  "Host: ex.com:8080\r\n"
				  "X-Amzn-Trace-Id: Root=1-0-0\r\n"
				  "Accept: */*\r\n"
				  "Content-Length: 3\r\n\r\n");
	test_free(text);
}

static void the_host_sent_on_follows_albs_table(void **state)
{
	static const struct {
		const char *request, *port, *expected;
		bool preserve;
	} cases[] = {
	    {"GET / HTTP/1.1\r\nHost: example.com\r\n\r\n", "80", "Host: example.com\r\n", false},
	    {"GET / HTTP/1.1\r\nHost: example.com:80\r\n\r\n", "443", "Host: example.com\r\n",
	     false},
	    {"GET / HTTP/1.1\r\nHost: example.com\r\n\r\n", "8080", "Host: example.com:8080\r\n",
	     false},
	    {"GET http://Dns/ HTTP/1.1\r\nHost: other\r\n\r\n", "80", "Host: dns\r\n", false},
	    {"GET / HTTP/1.1\r\nHost: A.b:1\r\nHost: c\r\n\r\n", "80", "Host: A.b:1\r\n", true},
	    {"GET / HTTP/1.0\r\n\r\n", "80", "Host: lb.example\r\n", false},
	    {"GET / HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n", "8080", "Host: [::1]:8080\r\n", false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct load_balancer_attributes attributes = {.preserve_host_header =
								  cases[i].preserve};
		char *text = compose(cases[i].request, &attributes, cases[i].port);
		char *host = strstr(text, "Host: ");

		assert_non_null(host);
		assert_memory_equal(host, cases[i].expected, strlen(cases[i].expected));
		assert_null(strstr(host + 1, "Host: "));
		test_free(text);
	}
}

static void forwarded_for_obeys_its_mode(void **state)
{
	const char *request = "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 1.1.1.1\r\n\r\n";
	struct load_balancer_attributes attributes = {.xff_mode = XFF_PRESERVE};
	char *text = compose(request, &attributes, "80");

	(void)state;
	assert_non_null(strstr(text, "X-Forwarded-For: 1.1.1.1\r\n"));
	test_free(text);
	attributes.xff_mode = XFF_REMOVE;
	text = compose(request, &attributes, "80");
	assert_null(strstr(text, "X-Forwarded-For"));
	test_free(text);
	attributes = (struct load_balancer_attributes){.xff_client_port = true};
	text = compose(request, &attributes, "80");
	assert_non_null(strstr(text, "X-Forwarded-For: 1.1.1.1, 203.0.113.9:5151\r\n"));
	test_free(text);
}

static void trace_ids_are_made_kept_or_replaced(void **state)
{
	static const struct {
		const char *header, *expected;
	} cases[] = {
	    {"X: y", "Root=1-n-n"},
	    {"X-Amzn-Trace-Id: Root=1-a-b;Foo=1", "Self=1-n-n;Root=1-a-b;Foo=1"},
	    {"X-Amzn-Trace-Id: Self=1-x-y;Root=1-a-b", "Self=1-n-n;Root=1-a-b"},
	    {"X-Amzn-Trace-Id: nonsense", "Root=1-n-n"},
	};
	char bytes[256], out[TRACE_ID_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		snprintf(bytes, sizeof(bytes), "GET / HTTP/1.1\r\nHost: a\r\n%s\r\n\r\n",
			 cases[i].header);
		struct h1_message *h1 = read_as(HTTP_REQUEST, bytes);
		struct text got = message_trace_id(&h1->message, TEXT("1-n-n"), out);

		if (!text_equal(got, text_of(cases[i].expected)))
			fail_msg("%s gave %.*s", cases[i].header, (int)got.len, got.at);
		test_free(h1);
	}
}

static void a_chunked_answer_is_framed_for_its_client(void **state)
{
	struct h1_message *h1 =
	    read_as(HTTP_RESPONSE, "HTTP/1.1 200 Fine\r\nServer: x\r\nKeep-Alive: 1\r\n"
				   "Transfer-Encoding: chunked\r\n\r\n");
	char text[512] = {0};
	struct writer out = {.at = text, .end = text + sizeof(text) - 1};
	struct response_context context = {.message = &h1->message,
					   .framing = response_framing(&h1->message, false),
					   .keeps_alive = true};

	(void)state;
	assert_int_equal(response_framing(&h1->message, true), OUT_CLOSE);
	compose_response(&out, &context);
	assert_string_equal(text, "HTTP/1.1 200 Fine\r\nServer: x\r\nTransfer-Encoding: chunked\r\n"
				  "Connection: keep-alive\r\n\r\n");
	test_free(h1);
}

static void our_answers_have_albs_wire_form(void **state)
{
	struct generated generated = {.status = 503, .date = "Thu, 26 Feb 2026 22:49:53 GMT"};
	struct generated_context context = {.generated = &generated, .keeps_alive = true};
	char text[1024] = {0};
	struct writer out = {.at = text, .end = text + sizeof(text) - 1};

	(void)state;
	compose_generated(&out, &context);
	assert_int_equal(out.at - text, 175 + 162); /* sent_bytes 337 as logged by ALB */
	assert_non_null(strstr(text, "Content-Length: 162\r\n"));
	assert_non_null(strstr(text, "</html>\r\n"));
	out.at = text;
	generated.status = 400;
	context.keeps_alive = false;
	compose_generated(&out, &context);
	*out.at = '\0';
	assert_non_null(strstr(text, "HTTP/1.1 400 Bad Request\r\nServer: awselb/2.0\r\n"));
	assert_non_null(strstr(text, "Content-Length: 122\r\nConnection: close\r\n\r\n<html>"));
	assert_int_equal(strlen(strstr(text, "<html>")), 122);
}

static void chunk_lines_are_hex(void **state)
{
	char line[CHUNK_LINE_MAX];

	(void)state;
	assert_int_equal(compose_chunk_line(line, 0x1af), 5);
	assert_memory_equal(line, "1af\r\n", 5);
}

static void an_exchange_moves_only_forward_but_for_a_retry(void **state)
{
	(void)state;
	assert_true(exchange_may_move(EXCHANGE_HEAD, EXCHANGE_CONNECT));
	assert_true(exchange_may_move(EXCHANGE_WAIT, EXCHANGE_CONNECT));
	assert_false(exchange_may_move(EXCHANGE_RELAY, EXCHANGE_CONNECT));
	assert_false(exchange_may_move(EXCHANGE_HEAD, EXCHANGE_RELAY));
	for (unsigned s = 0; s < EXCHANGE_STATE_COUNT; s++) {
		assert_false(exchange_may_move(EXCHANGE_DONE, s));
		assert_non_null(exchange_state_name(s));
		if (s != EXCHANGE_DONE)
			assert_true(exchange_may_move(s, EXCHANGE_DONE));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(requests_that_two_readers_may_read_differently_are_refused),
	    cmocka_unit_test(long_lines_and_headers_are_refused),
	    cmocka_unit_test(a_request_may_come_byte_by_byte),
	    cmocka_unit_test(plain_heads_are_read_without_the_parser_and_no_others),
	    cmocka_unit_test(a_body_goes_on_after_a_plain_head),
	    cmocka_unit_test(a_pipelined_request_is_left_alone),
	    cmocka_unit_test(many_chunks_come_in_several_turns),
	    cmocka_unit_test(a_chunked_body_ends_with_crlf_alone),
	    cmocka_unit_test(bytes_that_went_another_way_count_as_read),
	    cmocka_unit_test(only_bodies_with_a_length_have_a_rest),
	    cmocka_unit_test(endless_trailers_are_refused),
	    cmocka_unit_test(a_response_is_framed_as_the_rfc_says),
	    cmocka_unit_test(targets_are_taken_apart),
	    cmocka_unit_test(headers_are_known_in_any_case),
	    cmocka_unit_test(a_request_is_rebuilt_without_what_belongs_to_the_hop),
	    cmocka_unit_test(the_host_sent_on_follows_albs_table),
	    cmocka_unit_test(forwarded_for_obeys_its_mode),
	    cmocka_unit_test(trace_ids_are_made_kept_or_replaced),
	    cmocka_unit_test(a_chunked_answer_is_framed_for_its_client),
	    cmocka_unit_test(our_answers_have_albs_wire_form),
	    cmocka_unit_test(chunk_lines_are_hex),
	    cmocka_unit_test(an_exchange_moves_only_forward_but_for_a_retry),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
