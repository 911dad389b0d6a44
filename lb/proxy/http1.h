/*
 * HTTP/1 messages: bytes in, a checked head and spans of body out.  llhttp (strict) reads; this
 * module adds what a front end must insist on so that nobody behind it can read the same bytes
 * differently, and decides the framing.  A request's head that it refuses may get a second look
 * (http1_head.h).  Trailers and chunk extensions are read and dropped.  Pure: knows no socket,
 * allocates nothing; spans point into the caller's bytes, which must stay where they are until the
 * head is complete (else h1_start again).  RFC 9112; ALB's limits and desync rules.
 */
#ifndef LB_PROXY_HTTP1_H
#define LB_PROXY_HTTP1_H

#include <llhttp.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "lb/routing/text.h"

enum {
	H1_MAX_HEADERS = 256,
	H1_MAX_SPANS = 64,
	H1_MAX_LINE = 16384,         /* request line, one header */
	H1_MAX_REQUEST_HEAD = 65536, /* all headers */
	H1_MAX_RESPONSE_HEAD = 32768,
	H1_MAX_EXTRAS = 16384, /* trailers and chunk extensions of one message */
};

/* What a header is to a proxy. */
enum header_kind {
	HEADER_OTHER,
	HEADER_HOP, /* of one hop: never passed on */
	HEADER_CONNECTION,
	HEADER_CONTENT_LENGTH,
	HEADER_TRANSFER_ENCODING,
	HEADER_HOST,
	HEADER_EXPECT,
	HEADER_USER_AGENT,
	HEADER_FORWARDED_FOR,
	HEADER_FORWARDED_OTHER, /* X-Forwarded-Proto, -Port: ours to say */
	HEADER_TRACE_ID,
	HEADER_FORGED, /* a client may not claim what only a load balancer knows */
};

enum body_framing { BODY_NONE, BODY_LENGTH, BODY_CHUNKED, BODY_UNTIL_CLOSE };

struct h1_message {
	llhttp_t llhttp; /* first: callbacks get its address */
	/* Where it stands. */
	bool is_head_done, is_done;
	bool is_to_head; /* response to HEAD: set by the user after h1_start */
	unsigned error;  /* HTTP status to refuse with; 0 = fine */
	const char *error_reason;
	const char *end; /* of the bytes being read */
	/* Head. */
	bool is_http10;
	bool keeps_alive; /* by its version and Connection headers */
	bool expects_continue;
	bool has_invalid_name; /* a header name that is not [-A-Za-z0-9]+ */
	bool is_odd;           /* not of desync class Compliant, perhaps: see h1_verdict */
	bool is_rewritten;     /* put in order by h1_head_rewrite: set by the user after h1_start */
	enum body_framing framing;
	uint64_t content_length; /* with BODY_LENGTH, and of a response to HEAD if has_length */
	bool has_length;
	unsigned status;
	struct text method, uri, version, reason;
	struct text host, user_agent; /* first of each */
	unsigned n_headers;
	size_t head_bytes;
	size_t extra_bytes;
	/* Body bytes found by the last h1_parse. */
	unsigned n_spans;
	size_t span_bytes;
	struct iovec spans[H1_MAX_SPANS];
	uint8_t kinds[H1_MAX_HEADERS]; /* enum header_kind */
	struct header headers[H1_MAX_HEADERS];
};

void h1_start(struct h1_message *message, enum llhttp_type type);

/*
 * Reads on; returns how many bytes it used: all, or fewer when the message is complete, the spans
 * are used up (call again), or message->error is set.  Spans of an earlier call are forgotten.
 */
size_t h1_parse(struct h1_message *message, const char *bytes, size_t len);

/* May the text be a host with or without port?  By its characters only. */
bool h1_is_host(struct text host);

/* The peer closed.  True if that completes the message (BODY_UNTIL_CLOSE). */
bool h1_end(struct h1_message *message);

#endif
