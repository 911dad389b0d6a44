/* lb/proxy/compose and lb/routing/header_edits: outgoing heads, byte for byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lb/proxy/http1.h"
#include "lb/proxy/http1_compose.h"

static struct h1_message h1;
static struct request_target target;
static char out[65536];

static void parse(const char *text)
{
	h1_start(&h1, HTTP_REQUEST);
	h1_parse(&h1, text, strlen(text));
	assert_int_equal(h1.message.error, 0);
	assert_true(h1.message.is_head_done);
	assert_true(request_target_parse(h1.message.uri, h1.message.host, &target));
}

static const char *composed(const struct load_balancer_attributes *attributes, const char *port,
			    const struct header_edits *edits)
{
	static const struct header_edits none;
	struct request_context context = {
	    .message = &h1.message,
	    .target = &target,
	    .attributes = attributes,
	    .edits = edits ? edits : &none,
	    .dns_name = TEXT("lb.test"),
	    .client_ip = TEXT("203.0.113.9"),
	    .client_addr = TEXT("203.0.113.9:51514"),
	    .port = text_of(port),
	    .protocol = TEXT("http"),
	    .trace_id = TEXT("Root=1-a-b"),
	};
	struct writer writer = {.at = out, .end = out + sizeof(out) - 1};

	compose_request(&writer, &context);
	assert_false(writer.is_full);
	*writer.at = '\0';
	return out;
}

static void assert_host(const char *request, bool preserves, const char *port, const char *line)
{
	struct load_balancer_attributes attributes = {.preserve_host_header = preserves};

	parse(request);
	composed(&attributes, port, NULL);
	if (!strstr(out, line))
		fail_msg("%sis sent on as\n%sand has no %s", request, out, line);
}

/* What ALB makes of Host: port, case, absolute target, preserve_host_header. */
static void c14_2_host_follows_the_table(void **state)
{
	(void)state;
	assert_host("GET / HTTP/1.1\r\nHost: Example.COM\r\n\r\n", false, "80",
		    "\r\nHost: example.com\r\n");
	assert_host("GET / HTTP/1.1\r\nHost: example.com:80\r\n\r\n", false, "80",
		    "\r\nHost: example.com\r\n");
	assert_host("GET / HTTP/1.1\r\nHost: example.com:9\r\n\r\n", false, "443",
		    "\r\nHost: example.com\r\n");
	assert_host("GET / HTTP/1.1\r\nHost: example.com\r\n\r\n", false, "8080",
		    "\r\nHost: example.com:8080\r\n");
	assert_host("GET / HTTP/1.1\r\nHost: example.com:8080\r\n\r\n", false, "8080",
		    "\r\nHost: example.com:8080\r\n");
	assert_host("GET http://dns_name/x HTTP/1.1\r\nHost: example.com\r\n\r\n", false, "8080",
		    "\r\nHost: dns_name\r\n");
	assert_host("GET / HTTP/1.1\r\nHost: Example.com:99\r\n\r\n", true, "8080",
		    "\r\nHost: Example.com:99\r\n");
	assert_host("GET / HTTP/1.0\r\n\r\n", false, "80", "\r\nHost: lb.test\r\n");
	assert_host("GET / HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n", false, "80",
		    "\r\nHost: [::1]\r\n");
}

static void assert_trace(const char *header, const char *expected)
{
	static char request[16384];
	char id[TRACE_ID_MAX];
	struct text trace;

	snprintf(request, sizeof(request), "GET / HTTP/1.1\r\nHost: a\r\n%s\r\n", header);
	parse(request);
	trace = message_trace_id(&h1.message, TEXT("1-new"), id);
	assert_int_equal(trace.len, strlen(expected));
	assert_memory_equal(trace.at, expected, trace.len);
}

static void c14_4_trace_id_follows_the_rules(void **state)
{
	static char large[9000];

	(void)state;
	assert_trace("", "Root=1-new");
	assert_trace("X-Amzn-Trace-Id: Root=1-old\r\n", "Self=1-new;Root=1-old");
	assert_trace("X-Amzn-Trace-Id: Self=1-was;Root=1-old;App=x\r\n",
		     "Self=1-new;Root=1-old;App=x");
	assert_trace("X-Amzn-Trace-Id: Root=1-old;CalledFrom=app;Self=1-was\r\n",
		     "Self=1-new;Root=1-old;CalledFrom=app");
	assert_trace("X-Amzn-Trace-Id: Self=1-was\r\n", "Self=1-new");
	assert_trace("X-Amzn-Trace-Id: App=x\r\n", "Root=1-new;App=x");
	assert_trace("X-Amzn-Trace-Id: NotRoot=1;;\r\n", "Root=1-new;NotRoot=1");
	assert_trace("X-Amzn-Trace-Id:\r\n", "Root=1-new");
	memset(large, 'x', 7400);
	memcpy(large, "X-Large: ", 9);
	strcpy(large + 7400, "\r\nX-Amzn-Trace-Id: Root=1-old\r\n");
	assert_trace(large, "Root=1-new");
}

static void edits_of(struct header_edit_list *list, struct header_edits *edits)
{
	list->n = 0;
	assert_int_equal(
	    header_edits_parse(list, HEADER_EDIT_INSERT, TEXT("X-Env: prod\nX-Empty:\n"), NULL), 0);
	assert_int_equal(header_edits_parse(list, HEADER_EDIT_RENAME, TEXT("X-Old: X-New"), NULL),
			 0);
	assert_int_equal(
	    header_edits_parse(list, HEADER_EDIT_REMOVE, TEXT("X-Debug, User-Agent"), NULL), 0);
	*edits = (struct header_edits){list->n, list->edits};
}

static void headers_are_inserted_renamed_and_removed(void **state)
{
	static struct header_edit_list list;
	struct load_balancer_attributes attributes = {.xff_mode = XFF_REMOVE};
	struct header_edits edits;

	(void)state;
	edits_of(&list, &edits);
	parse("GET / HTTP/1.1\r\nHost: a\r\nx-env: forged\r\nX-OLD: 1\r\nX-New: forged\r\n"
	      "x-debug: 1\r\nUser-Agent: u\r\nX-Kept: k\r\n\r\n");
	assert_string_equal(composed(&attributes, "80", &edits),
			    "GET / HTTP/1.1\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Port: 80\r\n"
			    "Host: a\r\nX-Amzn-Trace-Id: Root=1-a-b\r\nX-New: 1\r\nX-Kept: k\r\n"
			    "X-Env: prod\r\nX-Empty: \r\n\r\n");
}

static void edits_of_what_frames_a_message_are_refused(void **state)
{
	static const char *const bad[] = {"Content-Length: 1",
					  "host: x",
					  "connection: close",
					  "Transfer-Encoding: chunked",
					  "x-forwarded-for: 1",
					  "no name here",
					  "X(: 1",
					  ": 1",
					  "X-A: b\x01"};
	static struct header_edit_list list;
	struct err err = {0};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(
		    header_edits_parse(&list, HEADER_EDIT_INSERT, text_of(bad[i]), &err), -1);
	assert_int_equal(
	    header_edits_parse(&list, HEADER_EDIT_RENAME, TEXT("X-A: Content-Length"), &err), -1);
	assert_int_equal(header_edits_parse(&list, HEADER_EDIT_REMOVE, TEXT("X-A,Host"), &err), -1);
	assert_non_null(strstr(err.text, "Host"));
}

static void generated_page(unsigned status, bool keeps_alive, bool hides_server)
{
	struct generated generated = {.status = status, .date = "Thu, 26 Feb 2026 22:49:53 GMT"};
	struct generated_context context = {
	    .generated = &generated, .keeps_alive = keeps_alive, .hides_server = hides_server};
	struct writer writer = {.at = out, .end = out + sizeof(out) - 1};

	compose_generated(&writer, &context);
	*writer.at = '\0';
}

/* The whole of one, and the logged sizes of two. */
static void c14_1_generated_pages_are_albs_to_the_byte(void **state)
{
	(void)state;
	generated_page(503, true, false);
	assert_string_equal(
	    out, "HTTP/1.1 503 Service Temporarily Unavailable\r\nServer: awselb/2.0\r\n"
		 "Date: Thu, 26 Feb 2026 22:49:53 GMT\r\nContent-Type: text/html\r\n"
		 "Content-Length: 162\r\nConnection: keep-alive\r\n\r\n"
		 "<html>\r\n<head><title>503 Service Temporarily Unavailable</title></head>\r\n"
		 "<body>\r\n<center><h1>503 Service Temporarily Unavailable</h1></center>\r\n"
		 "</body>\r\n</html>\r\n");
	assert_int_equal(strlen(out), 337);
	generated_page(400, false, false);
	assert_int_equal(strlen(out), 272);
	generated_page(503, true, true);
	assert_null(strstr(out, "Server:"));
}

/* RFC 9110 8.6, 15.3.5. */
static void a_fixed_204_ends_with_its_head(void **state)
{
	struct generated generated = {.status = 204,
				      .date = "Thu, 26 Feb 2026 22:49:53 GMT",
				      .content_type = "text/plain",
				      .body = TEXT("surprise")};
	struct generated_context context = {.generated = &generated, .keeps_alive = true};
	struct writer writer = {.at = out, .end = out + sizeof(out) - 1};

	(void)state;
	compose_generated(&writer, &context);
	*writer.at = '\0';
	assert_null(strstr(out, "Content-Length"));
	assert_string_equal(strstr(out, "\r\n\r\n"), "\r\n\r\n");
}

static void c14_1_status_lines_and_lengths_are_those_of_the_table(void **state)
{
	static const struct {
		unsigned status, length;
		const char *line, *title;
	} table[] = {
	    {301, 134, "301 Moved Permanently", "301 Moved Permanently"},
	    {302, 110, "302 Moved Temporarily", "302 Found"},
	    {400, 122, "400 Bad Request", "400 Bad Request"},
	    {403, 118, "403 Forbidden", "403 Forbidden"},
	    {405, 122, "405 Not Allowed", "405 Not Allowed"},
	    {408, 132, "408 Request Time-out", "408 Request Time-out"},
	    {413, 148, "413 Request Entity Too Large", "413 Request Entity Too Large"},
	    {414, 142, "414 Request-URI Too Large", "414 Request-URI Too Large"},
	    {463, 98, "463 ", "463"},
	    {464, 98, "464 ", "464"},
	    {500, 142, "500 Internal Server Error", "500 Internal Server Error"},
	    {501, 130, "501 Not Implemented", "501 Not Implemented"},
	    {502, 122, "502 Bad Gateway", "502 Bad Gateway"},
	    {503, 162, "503 Service Temporarily Unavailable",
	     "503 Service Temporarily Unavailable"},
	    {504, 132, "504 Gateway Time-out", "504 Gateway Time-out"},
	    {505, 152, "505 HTTP Version Not Supported", "505 HTTP Version Not Supported"},
	    {507, 140, "507 Insufficient Storage", "507 Insufficient Storage"},
	};
	char expected[128];

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		generated_page(table[i].status, true, false);
		snprintf(expected, sizeof(expected), "HTTP/1.1 %s\r\nServer:", table[i].line);
		assert_memory_equal(out, expected, strlen(expected));
		snprintf(expected, sizeof(expected), "\r\nContent-Length: %u\r\n", table[i].length);
		assert_non_null(strstr(out, expected));
		assert_int_equal(strlen(strstr(out, "\r\n\r\n") + 4), table[i].length);
		snprintf(expected, sizeof(expected), "<title>%s</title>", table[i].title);
		assert_non_null(strstr(out, expected));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(c14_2_host_follows_the_table),
	    cmocka_unit_test(c14_4_trace_id_follows_the_rules),
	    cmocka_unit_test(headers_are_inserted_renamed_and_removed),
	    cmocka_unit_test(edits_of_what_frames_a_message_are_refused),
	    cmocka_unit_test(c14_1_generated_pages_are_albs_to_the_byte),
	    cmocka_unit_test(a_fixed_204_ends_with_its_head),
	    cmocka_unit_test(c14_1_status_lines_and_lengths_are_those_of_the_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
