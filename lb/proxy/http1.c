/* HTTP/1 reading: see http1.h. */
#include "lb/proxy/http1_parts.h"

#include <stddef.h>
#include <string.h>

#include "common/base/check.h"

static struct h1_message *h1_of(llhttp_t *llhttp)
{
	return (struct h1_message *)(void *)llhttp;
}

static struct message *message_of(llhttp_t *llhttp)
{
	return &h1_of(llhttp)->message;
}

/* Adds a piece to a text that may come in several; false if they do not touch. */
static bool extend(struct text *text, const char *at, size_t len)
{
	if (text->len == 0)
		text->at = at;
	else if (text->at + text->len != at)
		return false;
	text->len += len;
	return true;
}

int h1_refuse(struct message *message, unsigned status, const char *reason)
{
	if (message->error == 0) {
		message->error = status;
		message->error_reason = reason;
	}
	return -1;
}

static int count_head(llhttp_t *llhttp, size_t len)
{
	struct message *message = message_of(llhttp);
	size_t max = h1_is_request(h1_of(llhttp)) ? H1_MAX_REQUEST_HEAD : H1_MAX_RESPONSE_HEAD;

	message->head_bytes += len;
	if (message->head_bytes > max)
		return h1_refuse(message, 400, "headers too large");
	return 0;
}

static int on_method(llhttp_t *llhttp, const char *at, size_t len)
{
	extend(&message_of(llhttp)->method, at, len);
	return 0;
}

static int on_url(llhttp_t *llhttp, const char *at, size_t len)
{
	struct message *message = message_of(llhttp);

	extend(&message->uri, at, len);
	if (message->uri.len + message->method.len + sizeof("  HTTP/1.1") > MESSAGE_MAX_LINE)
		return h1_refuse(message, 414, "request line too long");
	return 0;
}

static int on_version(llhttp_t *llhttp, const char *at, size_t len)
{
	struct h1_message *h1 = h1_of(llhttp);

	extend(&h1->version, at, len);
	if (h1_is_request(h1) && llhttp->method == HTTP_PRI)
		return h1_refuse(&h1->message, 505,
				 "an HTTP/2 preface"); /* of any version: not a head */
	return 0;
}

static int on_status(llhttp_t *llhttp, const char *at, size_t len)
{
	extend(&message_of(llhttp)->reason, at, len);
	return count_head(llhttp, len);
}

/* Trailers are read and dropped: what they may mean differs too much between servers. */
static int count_extra(struct h1_message *h1, size_t len)
{
	h1->extra_bytes += len;
	if (h1->extra_bytes > H1_MAX_EXTRAS)
		return h1_refuse(&h1->message, 400, "trailers or chunk extensions too large");
	return 0;
}

static int on_chunk_extension(llhttp_t *llhttp, const char *at, size_t len)
{
	(void)at;
	return count_extra(h1_of(llhttp), len + 1);
}

static int on_header_field(llhttp_t *llhttp, const char *at, size_t len)
{
	struct message *message = message_of(llhttp);
	struct header *last =
	    message->headers + (message->n_headers > 0 ? message->n_headers - 1 : 0);

	if (message->is_head_done)
		return count_extra(h1_of(llhttp), len + 1);
	/* A name goes on only while it has no value yet and the pieces touch. */
	if (message->n_headers > 0 && !last->value.at && last->name.at + last->name.len == at)
		return extend(&last->name, at, len) ? count_head(llhttp, len) : -1;
	if (message->n_headers == MESSAGE_MAX_HEADERS)
		return h1_refuse(message, 400, "too many headers");
	message->headers[message->n_headers++] = (struct header){.name = {at, len}};
	return count_head(llhttp, len + 4);
}

static int on_header_value(llhttp_t *llhttp, const char *at, size_t len)
{
	struct message *message = message_of(llhttp);
	struct header *last;

	if (message->is_head_done)
		return count_extra(h1_of(llhttp), len + 1);
	if (message->n_headers == 0)
		return h1_refuse(message, 400, "value without a name");
	last = &message->headers[message->n_headers - 1];
	if (!last->value.at)
		last->value = (struct text){at, len};
	else if (!extend(&last->value, at, len)) /* RFC 9112 5.2: obs-fold */
		return h1_refuse(message, 400, "folded header");
	if (last->name.len + 2 + last->value.len >=
	    MESSAGE_MAX_LINE) /* ALB: from a line of 16,384 on */
		return h1_refuse(message, 400, "header too long");
	return count_head(llhttp, len);
}

static int on_headers_complete(llhttp_t *llhttp)
{
	struct h1_message *h1 = h1_of(llhttp);

	/* Upgrades are not supported yet: the header is dropped as any hop's. */
	llhttp->upgrade = 0;
	if (h1_check_head(h1) < 0)
		return -1;
	/* 1: no body, whatever Content-Length says (RFC 9112 6.3: HEAD, 1xx, 204, 304). */
	return !h1_is_request(h1) && h1->message.body == BODY_NONE ? 1 : 0;
}

static int on_body(llhttp_t *llhttp, const char *at, size_t len)
{
	struct message *message = message_of(llhttp);

	CHECK(message->n_spans < MESSAGE_MAX_SPANS);
	message->spans[message->n_spans++] = (struct iovec){(char *)at, len};
	message->span_bytes += len;
	return 0;
}

/* A chunk's bytes come as one span, so asking for room before each is enough. */
static int on_chunk_header(llhttp_t *llhttp)
{
	return message_of(llhttp)->n_spans == MESSAGE_MAX_SPANS - 1 ? HPE_PAUSED : 0;
}

static int on_message_complete(llhttp_t *llhttp)
{
	message_of(llhttp)->is_done = true;
	return HPE_PAUSED;
}

static const llhttp_settings_t settings = {
    .on_url = on_url,
    .on_status = on_status,
    .on_method = on_method,
    .on_version = on_version,
    .on_header_field = on_header_field,
    .on_header_value = on_header_value,
    .on_chunk_extension_name = on_chunk_extension,
    .on_chunk_extension_value = on_chunk_extension,
    .on_headers_complete = on_headers_complete,
    .on_body = on_body,
    .on_message_complete = on_message_complete,
    .on_chunk_header = on_chunk_header,
};

void h1_start(struct h1_message *h1, enum llhttp_type type)
{
	/* The arrays at the end are as large as a page and need no clearing. */
	memset(h1, 0, offsetof(struct h1_message, message.spans));
	h1->llhttp.type = (uint8_t)type;
	h1->message.protocol = "HTTP/1.1"; /* until it says another */
}

static unsigned status_of(const struct h1_message *h1, llhttp_errno_t error)
{
	if (!h1_is_request(h1))
		return 502;
	if (error == HPE_PAUSED_H2_UPGRADE || error == HPE_INVALID_VERSION)
		return 505;
	return 400;
}

/* The parser takes a bare LF for the empty line that ends a chunked body: "0\r\n\n". */
static void check_end(struct h1_message *h1, const char *bytes, size_t used)
{
	char before = used >= 2 ? bytes[used - 2] : h1->last_byte;

	if (h1->message.is_done && h1->message.body == BODY_STREAM && before != '\r')
		h1_refuse(&h1->message, status_of(h1, HPE_CR_EXPECTED),
			  "bare LF after the last chunk");
}

static size_t parse_by_llhttp(struct h1_message *h1, const char *bytes, size_t len)
{
	llhttp_t *llhttp = &h1->llhttp;
	llhttp_errno_t error;
	size_t used = len;

	h1->end = bytes + len;
	error = llhttp_execute(llhttp, bytes, len);
	if (error != HPE_OK)
		used = (size_t)(llhttp_get_error_pos(llhttp) - bytes);
	if (error == HPE_PAUSED) {
		llhttp_resume(llhttp);
		check_end(h1, bytes, used);
	} else if (error != HPE_OK) {
		h1_refuse(&h1->message, status_of(h1, error), llhttp_get_error_reason(llhttp));
		used = used <= len ? used : len;
	}
	if (used > 0)
		h1->last_byte = bytes[used - 1];
	return used;
}

size_t h1_parse(struct h1_message *h1, const char *bytes, size_t len)
{
	size_t used;

	h1->message.n_spans = 0;
	h1->message.span_bytes = 0;
	if (h1->is_quick)
		return h1_quick_body(h1, bytes, len);
	if (!h1->is_begun) {
		used = h1->is_rewritten ? 0 : h1_quick_start(h1, bytes, len);
		if (used > 0)
			return used;
		h1->is_begun = true;
		llhttp_init(&h1->llhttp, (llhttp_type_t)h1->llhttp.type, &settings);
	}
	return parse_by_llhttp(h1, bytes, len);
}

/* To the parser any method but those three is like POST: framed by its headers.  TRACE and CONNECT
 * are refused, PRI is HTTP/2's. */
static bool is_like_post(struct text method)
{
	return !text_equal(method, TEXT("CONNECT")) && !text_equal(method, TEXT("TRACE")) &&
	       !text_equal(method, TEXT("PRI"));
}

size_t h1_start_rewritten(struct h1_message *h1, struct text method)
{
	h1_start(h1, HTTP_REQUEST);
	h1->is_rewritten = true;
	if (!is_like_post(method))
		return 0;
	h1_parse(h1, "POST", 4);
	h1->message.method = method;
	return method.len;
}

uint64_t h1_rest(const struct h1_message *h1)
{
	const struct message *message = &h1->message;
	bool has_rest = message->is_head_done && !message->is_done && message->error == 0 &&
			message->body == BODY_LENGTH;

	if (!has_rest)
		return 0;
	return h1->is_quick ? h1->body_left : h1->llhttp.content_length;
}

void h1_skip(struct h1_message *h1, size_t n)
{
	struct message *message = &h1->message;
	uint64_t *left = h1->is_quick ? &h1->body_left : &h1->llhttp.content_length;

	CHECK(n <= h1_rest(h1));
	h1->is_piped = true;
	*left -= n; /* what the reader waits for */
	message->n_spans = 0;
	message->span_bytes = n;
	message->is_done = *left == 0;
}

bool h1_end(struct h1_message *h1)
{
	struct message *message = &h1->message;

	message->n_spans = 0;
	message->span_bytes = 0;
	if (message->is_head_done && h1->is_until_close)
		message->is_done = true;
	return message->is_done;
}
