/* What a head must be once its bytes are read: see http1_parts.h. */
#include "lb/proxy/http1_parts.h"

#include <string.h>

#include "lb/routing/desync.h"

/*
 * Every byte of a request's head must be accounted for: method SP target SP version, and name ":"
 * blanks value CRLF, one after the other, to the empty line.  So no bare LF, no fold, no
 * blank before a colon gets through, whatever the parser thinks of it.
 */
static bool is_exact(const struct h1_message *h1)
{
	const struct message *message = &h1->message;
	const char *at = message->method.at + message->method.len;

	if (h1->version.len == 0) /* HTTP/0.9 */
		return false;
	if (message->uri.at != at + 1 || h1->version.at != at + 1 + message->uri.len + 6)
		return false;
	at = h1->version.at + h1->version.len;
	for (unsigned i = 0; i < message->n_headers; i++) {
		const struct header *header = &message->headers[i];

		if (header->name.at != at + 2 || at[0] != '\r' || at[1] != '\n')
			return false;
		at = header->name.at + header->name.len;
		if (*at++ != ':')
			return false;
		while (text_is_blank(*at))
			at++;
		if (header->value.len > 0 && header->value.at != at)
			return false;
		at += header->value.len;
		while (text_is_blank(*at))
			at++;
	}
	return h1->end - at >= 4 && memcmp(at, "\r\n\r\n", 4) == 0;
}

/* In order of length: first_of_length[] points into it. */
static const struct {
	struct text name;
	enum header_kind kind;
} known_headers[] = {
    {TEXT("te"), HEADER_HOP},
    {TEXT("host"), HEADER_HOST},
    {TEXT("expect"), HEADER_EXPECT},
    {TEXT("trailer"), HEADER_HOP},
    {TEXT("upgrade"), HEADER_HOP},
    {TEXT("connection"), HEADER_CONNECTION},
    {TEXT("keep-alive"), HEADER_HOP},
    {TEXT("user-agent"), HEADER_USER_AGENT},
    {TEXT("content-length"), HEADER_CONTENT_LENGTH},
    {TEXT("http2-settings"), HEADER_HOP},
    {TEXT("x-forwarded-for"), HEADER_FORWARDED_FOR},
    {TEXT("x-amzn-trace-id"), HEADER_TRACE_ID},
    {TEXT("proxy-connection"), HEADER_HOP},
    {TEXT("x-forwarded-port"), HEADER_FORWARDED_OTHER},
    {TEXT("x-forwarded-proto"), HEADER_FORWARDED_OTHER},
    {TEXT("transfer-encoding"), HEADER_TRANSFER_ENCODING},
    {{NULL, SIZE_MAX}, HEADER_OTHER}, /* the end: no name is as long */
};

enum { KNOWN_LENGTH_MAX = 17, NOT_KNOWN = 16 };

static const uint8_t first_of_length[KNOWN_LENGTH_MAX + 1] = {
    16, 16, 0, 16, 1, 16, 2, 3, 16, 16, 5, 16, 16, 16, 8, 10, 12, 14,
};

static bool starts_with(struct text text, struct text prefix)
{
	return text.len >= prefix.len && strncasecmp(text.at, prefix.at, prefix.len) == 0;
}

enum header_kind h1_header_kind(struct text name)
{
	size_t i = name.len <= KNOWN_LENGTH_MAX ? first_of_length[name.len] : NOT_KNOWN;

	for (; known_headers[i].name.len == name.len; i++)
		if (known_headers[i].name.at[0] == (name.at[0] | 0x20) &&
		    strncasecmp(known_headers[i].name.at, name.at, name.len) == 0)
			return known_headers[i].kind;
	if (name.len > 7 && starts_with(name, TEXT("x-amzn-")) &&
	    (starts_with(name, TEXT("x-amzn-mtls-")) || starts_with(name, TEXT("x-amzn-tls-")) ||
	     starts_with(name, TEXT("x-amzn-oidc-"))))
		return HEADER_FORGED;
	return HEADER_OTHER;
}

static bool is_alnum(char c)
{
	return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
}

/* "Transfer_Encoding", "content--length": spelled for a reader that folds more than we do. */
static bool is_suspicious(struct text name)
{
	enum { SHORTEST = 13 }; /* "contentlength" */
	bool is_exact;

	if (name.len < SHORTEST || (is_alnum(name.at[0]) && !strchr("tTcC", name.at[0])))
		return false;
	return desync_framing_name(name, &is_exact) != FRAMING_OTHER;
}

static bool is_plain_name(struct text name)
{
	for (size_t i = 0; i < name.len; i++)
		if (!is_alnum(name.at[i]) && name.at[i] != '-')
			return false;
	return name.len > 0;
}

/* A field named in Connection is of this hop only; those that frame or route are ours anyway. */
static void mark_hop(struct message *message, struct text name)
{
	for (unsigned i = 0; i < message->n_headers; i++) {
		bool is_plain =
		    message->kinds[i] == HEADER_OTHER || message->kinds[i] == HEADER_USER_AGENT;

		if (is_plain && text_equal_nocase(message->headers[i].name, name))
			message->kinds[i] = HEADER_HOP;
	}
}

/* Each is looked for among all headers: without a limit, 64 K of commas would keep a worker busy.
 */
enum { MAX_CONNECTION_OPTIONS = 64 };

/* False: there are too many. */
static bool read_connection(struct message *message, struct text value, unsigned *n_options)
{
	while (value.len > 0) {
		const char *comma = memchr(value.at, ',', value.len);
		size_t len = comma ? (size_t)(comma - value.at) : value.len;
		struct text item = text_trimmed((struct text){value.at, len});

		if (item.len > 0 && !text_equal_nocase(item, TEXT("close")) &&
		    !text_equal_nocase(item, TEXT("keep-alive"))) {
			if (++*n_options > MAX_CONNECTION_OPTIONS)
				return false;
			mark_hop(message, item);
		}
		value.at += len + (comma != NULL);
		value.len -= len + (comma != NULL);
	}
	return true;
}

static int read_connections(struct h1_message *h1)
{
	struct message *message = &h1->message;
	unsigned n_options = 0;

	for (unsigned i = 0; i < message->n_headers; i++)
		if (message->kinds[i] == HEADER_CONNECTION &&
		    !read_connection(message, message->headers[i].value, &n_options))
			return h1_refuse(message, h1_is_request(h1) ? 400 : 502,
					 "too many connection options");
	return 0;
}

struct tally {
	unsigned n_hosts, n_lengths, n_encodings, n_connections;
	struct text encoding;
};

static int classify(struct h1_message *h1, unsigned i, struct tally *tally)
{
	struct message *message = &h1->message;
	struct header *header = &message->headers[i];
	enum header_kind kind =
	    h1->is_quick ? (enum header_kind)message->kinds[i] : h1_header_kind(header->name);

	header->value = text_trimmed(header->value);
	message->kinds[i] = (uint8_t)kind;
	message->kinds_seen |= 1u << kind;
	switch (kind) {
	case HEADER_HOST:
		if (tally->n_hosts++ == 0)
			message->host = header->value;
		return 0;
	case HEADER_CONTENT_LENGTH:
		tally->n_lengths++;
		return 0;
	case HEADER_TRANSFER_ENCODING:
		tally->n_encodings++;
		tally->encoding = header->value;
		return 0;
	case HEADER_CONNECTION:
		tally->n_connections++;
		return 0;
	case HEADER_USER_AGENT:
		message->user_agent = header->value;
		return 0;
	case HEADER_EXPECT:
		message->expects_continue = text_equal_nocase(header->value, TEXT("100-continue"));
		return 0;
	case HEADER_OTHER:
		if (!h1->is_quick && !is_plain_name(header->name)) {
			message->has_invalid_name = true;
			if (header->name.len == 0)
				return h1_refuse(message, h1_is_request(h1) ? 400 : 502,
						 "header without a name");
		}
		if (h1_is_request(h1) && is_suspicious(header->name))
			return h1_refuse(message, 400, "suspicious header");
		return 0;
	case HEADER_HOP:
	case HEADER_FORWARDED_FOR:
	case HEADER_FORWARDED_OTHER:
	case HEADER_TRACE_ID:
	case HEADER_FORGED:
		break;
	}
	return 0;
}

static void set_body(struct message *message, bool is_chunked)
{
	if (is_chunked)
		message->body = BODY_STREAM;
	else
		message->body = message->content_length > 0 ? BODY_LENGTH : BODY_NONE;
}

/* RFC 9112 6.1, 6.3.  What two readers could frame differently is left to the second look, which
 * knows the mode. */
static int frame_request(struct h1_message *h1, const struct tally *tally)
{
	struct message *message = &h1->message;
	bool is_get_or_head =
	    text_equal(message->method, TEXT("GET")) || text_equal(message->method, TEXT("HEAD"));

	h1->is_odd = is_get_or_head && tally->n_encodings + tally->n_lengths > 0;
	if (tally->n_encodings + tally->n_lengths > 1)
		return h1_refuse(message, 400, "framed twice");
	if (tally->n_encodings > 0) {
		if (!text_equal_nocase(tally->encoding, TEXT("chunked")))
			return h1_refuse(message, 400, "bad Transfer-Encoding");
		if (h1->is_http10 && !h1->is_rewritten)
			return h1_refuse(message, 400, "Transfer-Encoding misused");
	}
	message->has_length = tally->n_lengths == 1;
	message->content_length = message->has_length ? h1->llhttp.content_length : 0;
	if (message->content_length > INT64_MAX)
		return h1_refuse(message, 400, "Content-Length of more than 63 bits");
	set_body(message, tally->n_encodings > 0);
	return 0;
}

static bool has_no_body(const struct h1_message *response)
{
	unsigned status = response->message.status;

	return response->is_to_head || status / 100 == 1 || status == 204 || status == 304;
}

static int frame_response(struct h1_message *h1, const struct tally *tally)
{
	struct message *message = &h1->message;

	message->has_length = tally->n_lengths > 0;
	message->content_length = message->has_length ? h1->llhttp.content_length : 0;
	if (message->content_length > INT64_MAX)
		return h1_refuse(message, 502, "Content-Length of more than 63 bits");
	if (tally->n_encodings > 0 && (tally->n_encodings > 1 || tally->n_lengths > 0 ||
				       !text_equal_nocase(tally->encoding, TEXT("chunked"))))
		return h1_refuse(message, 502, "bad Transfer-Encoding");
	if (has_no_body(h1)) {
		message->body = BODY_NONE;
		return 0;
	}
	h1->is_until_close = tally->n_encodings == 0 && !message->has_length;
	set_body(message, tally->n_encodings > 0 || h1->is_until_close);
	return 0;
}

static bool has_control(struct text text)
{
	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.at[i];

		if ((c < 0x20 && c != '\t') || c == 0x7f)
			return true;
	}
	return false;
}

/* The parser also takes ICE and RTSP, versions we do not speak, any number as a status, and any
 * byte in its reason. */
static int check_response(struct h1_message *h1, const struct tally *tally)
{
	struct message *message = &h1->message;

	if (h1->version.len != 3 || memcmp(h1->version.at - 4, "TTP/", 4) != 0 ||
	    h1->llhttp.http_major != 1)
		return h1_refuse(message, 502, "not HTTP/1");
	/* RFC 9112 4: version SP status SP [reason] */
	if (message->status < 100 || message->status > 999 ||
	    (message->reason.len > 0 && message->reason.at != h1->version.at + 8))
		return h1_refuse(message, 502, "bad status");
	if (has_control(message->reason))
		return h1_refuse(message, 502, "bad reason");
	return frame_response(h1, tally);
}

static int check_request(struct h1_message *h1, const struct tally *tally)
{
	struct message *message = &h1->message;

	if (!h1->is_quick && !is_exact(h1))
		return h1_refuse(message, 400, "malformed head");
	if (h1->version.len != 3 || h1->llhttp.http_major != 1 ||
	    memcmp(h1->version.at - 5, "HTTP/", 5) != 0)
		return h1_refuse(message, 505, "HTTP version");
	if (h1->llhttp.method == HTTP_CONNECT || h1->llhttp.method == HTTP_TRACE)
		return h1_refuse(message, 405, "method not allowed");
	if (tally->n_hosts == 0 && !h1->is_http10)
		return h1_refuse(message, 400, "no Host");
	if (!host_is_plain(message->host))
		return h1_refuse(message, 400, "bad Host");
	return frame_request(h1, tally);
}

static bool keeps_alive(const struct h1_message *h1)
{
	unsigned flags = h1->llhttp.flags;

	if (flags & F_CONNECTION_CLOSE || h1->is_until_close)
		return false;
	/* RFC 9112 6.1: HTTP/1.0 with chunks is not to be trusted further */
	return !h1->is_http10 ||
	       ((flags & F_CONNECTION_KEEP_ALIVE) && h1->message.body != BODY_STREAM);
}

int h1_check_head(struct h1_message *h1)
{
	struct message *message = &h1->message;
	struct tally tally = {0};

	h1->is_http10 = h1->llhttp.http_minor == 0;
	message->protocol = h1->is_http10 ? "HTTP/1.0" : "HTTP/1.1";
	message->status = h1->llhttp.status_code;
	for (unsigned i = 0; i < message->n_headers; i++)
		if (classify(h1, i, &tally) < 0)
			return -1;
	if (tally.n_connections > 0 && read_connections(h1) < 0)
		return -1;
	if ((h1_is_request(h1) ? check_request(h1, &tally) : check_response(h1, &tally)) < 0)
		return -1;
	message->keeps_alive = keeps_alive(h1);
	message->is_head_done = true;
	return 0;
}
