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
#include "lb/proxy/compose.h"
#include "lb/proxy/http1.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ROOM = 1 << 18 };

struct reading {
	struct h1_message message;
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
	struct h1_message *message = &reading->message;

	reading->used = reading->n_body = 0;
	h1_start(message, is_response ? HTTP_RESPONSE : HTTP_REQUEST);
	while (reading->used < len && !message->is_done && message->error == 0) {
		size_t left = len - reading->used;
		size_t used = h1_parse(message, bytes + reading->used, left < piece ? left : piece);

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

static void check_same(const struct reading *a, const struct reading *b)
{
	CHECK((a->message.error == 0) == (b->message.error == 0));
	if (a->message.error != 0)
		return;
	CHECK(a->used == b->used);
	CHECK(a->message.is_head_done == b->message.is_head_done);
	CHECK(a->message.is_done == b->message.is_done);
	CHECK(a->message.framing == b->message.framing || !a->message.is_head_done);
	CHECK(a->n_body == b->n_body && memcmp(a->body, b->body, a->n_body) == 0);
}

static size_t send_on(const struct reading *from, struct request_target *target)
{
	static const struct load_balancer_attributes attributes;
	struct writer out = {.at = sent, .end = sent + ROOM};
	struct request_context context = {
	    .message = &from->message,
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
	if (from->message.framing == BODY_CHUNKED && from->n_body > 0)
		put(&out, line, compose_chunk_line(line, from->n_body));
	put(&out, from->body, from->n_body);
	if (from->message.framing == BODY_CHUNKED)
		put(&out, from->n_body > 0 ? "\r\n0\r\n\r\n" : "0\r\n\r\n",
		    from->n_body > 0 ? 7 : 5);
	return out.is_full ? 0 : (size_t)(out.at - sent);
}

static void check_round_trip(const struct reading *from)
{
	struct request_target target;
	size_t len;

	if (!request_target_parse(&from->message, &target))
		return;
	len = send_on(from, &target);
	if (len == 0)
		return;
	read_in_pieces(&again, sent, len, len, false);
	/* What we add may take a head just below a limit over it; nothing else may go wrong. */
	if (again.message.error != 0 && from->message.head_bytes > H1_MAX_REQUEST_HEAD - 1024)
		return;
	if (again.message.error != 0 && from->message.n_headers > H1_MAX_HEADERS - 8)
		return;
	if (again.message.error != 0 && from->used > H1_MAX_LINE - 1024)
		return;
	CHECK(again.message.error == 0 && again.message.is_done && again.used == len);
	CHECK(text_equal(again.message.method, from->message.method));
	CHECK(again.message.uri.len == target.slash.len + target.uri.len);
	CHECK(target.uri.len == 0 ||
	      memcmp(again.message.uri.at + target.slash.len, target.uri.at, target.uri.len) == 0);
	CHECK(again.message.framing == from->message.framing);
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
	if (!is_response && whole.message.error == 0 && whole.message.is_done)
		check_round_trip(&whole);
	return 0;
}
