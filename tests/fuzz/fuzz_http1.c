/*
 * Fuzzes the HTTP/1 reader and what is rebuilt from it.  Byte 0: request or
 * response (and whether to HEAD), byte 1: the size of the pieces the rest arrives in.  Checked: it
 * makes no difference how the bytes are cut; and what is sent on for an accepted
 * request reads back as that same request, with nothing left over: no smuggling.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"
#include "lb/proxy/http1.h"
#include "lb/proxy/http1_compose.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ROOM = 1 << 18 };

struct reading {
	struct h1_message h1;
	size_t used;
	size_t n_body;
	char body[ROOM];
};

static struct reading whole, pieces, again;
static char sent[ROOM];

/* The bytes stay in place, as they do in a connection's buffer; only the cuts differ. */
static void read_in_pieces(struct reading *reading, const char *bytes, size_t len, size_t piece,
			   bool is_response)
{
	struct message *message = &reading->h1.message;

	reading->used = reading->n_body = 0;
	h1_start(&reading->h1, is_response ? HTTP_RESPONSE : HTTP_REQUEST);
	while (reading->used < len && !message->is_done && message->error == 0) {
		size_t left = len - reading->used;
		size_t used =
		    h1_parse(&reading->h1, bytes + reading->used, left < piece ? left : piece);

		CHECK(used > 0 || message->is_done || message->error != 0);
		reading->used += used;
		for (unsigned i = 0; i < message->n_spans; i++) {
			size_t n = message->spans[i].iov_len;

			CHECK(reading->n_body + n <= ROOM);
			memcpy(reading->body + reading->n_body, message->spans[i].iov_base, n);
			reading->n_body += n;
		}
	}
}

/* Whole heads may be read by the quick reader, cut ones are read by llhttp. */
static void check_same_head(const struct message *a, const struct message *b)
{
	CHECK(a->body == b->body && a->content_length == b->content_length);
	CHECK(a->has_length == b->has_length && a->keeps_alive == b->keeps_alive);
	CHECK(a->expects_continue == b->expects_continue);
	CHECK(a->has_invalid_name == b->has_invalid_name && a->status == b->status);
	CHECK(a->head_bytes == b->head_bytes && a->protocol == b->protocol);
	CHECK(text_equal(a->method, b->method) && text_equal(a->uri, b->uri));
	CHECK(text_equal(a->reason, b->reason) && text_equal(a->host, b->host));
	CHECK(text_equal(a->user_agent, b->user_agent) && a->n_headers == b->n_headers);
	for (unsigned i = 0; i < a->n_headers; i++) {
		CHECK(text_equal(a->headers[i].name, b->headers[i].name));
		CHECK(text_equal(a->headers[i].value, b->headers[i].value));
		CHECK(a->kinds[i] == b->kinds[i]);
	}
}

static void check_same(const struct reading *a, const struct reading *b)
{
	CHECK((a->h1.message.error == 0) == (b->h1.message.error == 0));
	if (a->h1.message.error != 0)
		return;
	CHECK(a->used == b->used);
	CHECK(a->h1.message.is_head_done == b->h1.message.is_head_done);
	CHECK(a->h1.message.is_done == b->h1.message.is_done);
	if (a->h1.message.is_head_done)
		check_same_head(&a->h1.message, &b->h1.message);
	CHECK(a->h1.is_odd == b->h1.is_odd && a->h1.is_http10 == b->h1.is_http10);
	CHECK(a->n_body == b->n_body && memcmp(a->body, b->body, a->n_body) == 0);
}

static size_t send_on(const struct reading *from, struct request_target *target)
{
	static const struct load_balancer_attributes attributes;
	struct writer out = {.at = sent, .end = sent + ROOM};
	struct request_context context = {
	    .message = &from->h1.message,
	    .target = target,
	    .attributes = &attributes,
	    .dns_name = TEXT("lb.example"),
	    .client_ip = TEXT("203.0.113.9"),
	    .client_addr = TEXT("203.0.113.9:5151"),
	    .port = TEXT("80"),
	    .protocol = TEXT("http"),
	    .trace_id = TEXT("Root=1-0-0"),
	};
	char line[CHUNK_LINE_MAX];

	compose_request(&out, &context);
	if (from->h1.message.body == BODY_STREAM && from->n_body > 0)
		put(&out, line, compose_chunk_line(line, from->n_body));
	put(&out, from->body, from->n_body);
	if (from->h1.message.body == BODY_STREAM)
		put(&out, from->n_body > 0 ? "\r\n0\r\n\r\n" : "0\r\n\r\n",
		    from->n_body > 0 ? 7 : 5);
	return out.is_full ? 0 : (size_t)(out.at - sent);
}

static void check_round_trip(const struct reading *from)
{
	struct request_target target;
	size_t len;

	if (!request_target_parse(from->h1.message.uri, from->h1.message.host, &target))
		return;
	len = send_on(from, &target);
	if (len == 0)
		return;
	read_in_pieces(&again, sent, len, len, false);
	/* What we add may take a head just below a limit over it; nothing else may go wrong. */
	if (again.h1.message.error != 0 && from->h1.message.head_bytes > H1_MAX_REQUEST_HEAD - 1024)
		return;
	if (again.h1.message.error != 0 && from->h1.message.n_headers > MESSAGE_MAX_HEADERS - 8)
		return;
	if (again.h1.message.error != 0 && from->used > MESSAGE_MAX_LINE - 1024)
		return;
	CHECK(again.h1.message.error == 0 && again.h1.message.is_done && again.used == len);
	CHECK(text_equal(again.h1.message.method, from->h1.message.method));
	CHECK(again.h1.message.uri.len == target.slash.len + target.uri.len);
	CHECK(target.uri.len == 0 || memcmp(again.h1.message.uri.at + target.slash.len,
					    target.uri.at, target.uri.len) == 0);
	CHECK(again.h1.message.body == from->h1.message.body);
	CHECK(again.n_body == from->n_body && memcmp(again.body, from->body, from->n_body) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2 || size > ROOM / 2)
		return 0;
	bool is_response = data[0] & 1;
	size_t piece = data[1] % 64 + 1, len = size - 2;
	const char *bytes = (const char *)data + 2;

	read_in_pieces(&whole, bytes, len, len ? len : 1, is_response);
	read_in_pieces(&pieces, bytes, len, piece, is_response);
	check_same(&whole, &pieces);
	if (!is_response && whole.h1.message.error == 0 && whole.h1.message.is_done)
		check_round_trip(&whole);
	return 0;
}
