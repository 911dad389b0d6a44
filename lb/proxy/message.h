/*
 * A request or a response, whatever protocol it came by: its head as texts, and the bytes of body
 * that are at hand.  The party that reads it fills it (lb/proxy/http1.h is HTTP/1's reader); the
 * exchange and the party that sends it on see nothing else of it.  Also what every protocol asks of
 * a request: where it goes, who forwarded it, how it is traced.  Pure.
 *
 * Texts point into memory of the party that filled it, valid until the exchange ends (a request's)
 * or the party is released (a response's); spans only during the call that announces them.
 */
#ifndef LB_PROXY_MESSAGE_H
#define LB_PROXY_MESSAGE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "lb/routing/text.h"

struct pipe;

enum {
	MESSAGE_MAX_HEADERS = 256,
	MESSAGE_MAX_SPANS = 64,
	MESSAGE_MAX_LINE = 16384, /* what a request's line, or one header, may take */
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

enum message_body {
	BODY_NONE,
	BODY_LENGTH, /* content_length bytes */
	BODY_STREAM, /* until is_done */
};

struct message {
	/* Where it stands. */
	bool is_head_done, is_done;
	unsigned error; /* HTTP status to refuse with; 0 = fine */
	const char *error_reason;
	/* Head. */
	bool keeps_alive; /* the connection that it came by may carry another */
	bool expects_continue;
	bool has_invalid_name; /* a header name that is not [-A-Za-z0-9]+ */
	bool has_length;       /* Content-Length was given; to HEAD also without a body */
	enum message_body body;
	uint64_t content_length;
	const char *protocol; /* "HTTP/1.1": for the log */
	unsigned status;
	struct text method, uri; /* uri: origin form, absolute form, or "*" */
	struct text reason;      /* HTTP/1's, after the status; may be empty */
	struct text host;        /* Host or :authority, port included; empty = none */
	struct text user_agent;  /* the last one */
	unsigned n_headers;
	unsigned kinds_seen; /* 1 << kind, of every header */
	size_t head_bytes;
	/* Body bytes that came with this call: span_bytes of them, in spans, or all in pipe, which
	 * is then the sender's to take (and sets this to NULL). */
	struct pipe *pipe;
	unsigned n_spans;
	size_t span_bytes;
	struct iovec spans[MESSAGE_MAX_SPANS];
	uint8_t kinds[MESSAGE_MAX_HEADERS]; /* enum header_kind */
	struct header headers[MESSAGE_MAX_HEADERS];
};

static inline bool message_has(const struct message *message, enum header_kind kind)
{
	return message->kinds_seen & (1u << kind);
}

/* Where a request goes: the parts of its target. */
struct request_target {
	struct text
	    host; /* by absolute form or Host, port included; empty with HTTP/1.0 and none */
	struct text slash; /* before uri: "http://host?query" has no path of its own */
	struct text uri;   /* origin form, or "*" */
	struct text path, query;
	bool is_absolute; /* "http://host/…": that host counts, not the header */
};

/* Of a request's uri and host.  False: uri is neither origin form, absolute form nor "*". */
bool request_target_parse(struct text uri, struct text host, struct request_target *target);
/* Without ":port". */
struct text host_without_port(struct text host);
/* May the text be a host with or without port?  By its characters only. */
bool host_is_plain(struct text host);

enum { TRACE_ID_MAX = 512, FORWARDED_FOR_MAX = 30 };

/* Addresses in all X-Forwarded-For headers. */
unsigned message_count_forwarded_for(const struct message *request);

/* X-Amzn-Trace-Id as it goes on, in out[TRACE_ID_MAX]; root: "1-5759e988-bd862e3fe1be46a994272793".
 */
struct text message_trace_id(const struct message *request, struct text root, char *out);

/* An answer of our own: what it says; how, is the client's protocol's affair. */
struct generated {
	unsigned status;
	const char *content_type; /* of body; NULL: the HTML page that goes with the status */
	struct text body;
	struct text location; /* empty = none */
	const char *date;     /* "Thu, 26 Feb 2026 22:49:53 GMT" */
	bool keeps_alive;
	bool is_to_head; /* everything but the body */
};

#endif
