/*
 * Outgoing heads, put together in the caller's memory from parsed messages: what
 * goes on is always rebuilt, never copied raw.  Also the answers that the load
 * balancer gives itself, in ALB's exact wire form.  Pure.
 */
#ifndef LB_PROXY_COMPOSE_H
#define LB_PROXY_COMPOSE_H

#include <stdbool.h>
#include <stdint.h>

#include "lb/proxy/http1.h"
#include "lb/routing/snapshot.h"
#include "lb/routing/sticky.h"

/* A piece of memory being filled; what does not fit is dropped and remembered. */
struct writer {
	char *at, *end;
	bool is_full;
};

enum { TRACE_ID_MAX = 512, FORWARDED_FOR_MAX = 30 };

/* Where a request goes: the parts of its target. */
struct request_target {
	struct text
	    host; /* by absolute form or Host, port included; empty with HTTP/1.0 and none */
	struct text slash; /* before uri: "http://host?query" has no path of its own */
	struct text uri;   /* origin form, or "*" */
	struct text path, query;
	bool is_absolute; /* "http://host/…": that host counts, not the header */
};

/* False: the target is neither origin form, absolute form nor "*". */
bool request_target_parse(const struct h1_message *request, struct request_target *target);
/* Without ":port". */
struct text host_without_port(struct text host);

/* Addresses in all X-Forwarded-For headers. */
unsigned count_forwarded_for(const struct h1_message *request);

struct request_context {
	const struct h1_message *message;
	const struct request_target *target;
	const struct load_balancer_attributes *attributes;
	const struct header_edits *edits; /* NULL = none */
	struct text dns_name;             /* the Host of a request without one */
	struct text client_ip;            /* "203.0.113.9", "2001:db8::1" */
	struct text client_addr;          /* with port */
	struct text port;                 /* of the listener */
	struct text protocol;             /* "http" */
	struct text trace_id;             /* as it goes on */
};

void compose_request(struct writer *out, const struct request_context *context);

/* X-Amzn-Trace-Id as it goes on, in out[TRACE_ID_MAX]; root: "1-5759e988-bd862e3fe1be46a994272793".
 */
struct text compose_trace_id(const struct h1_message *request, struct text root, char *out);

/* How the body goes to the client. */
enum out_framing {
	OUT_NONE,   /* there is none (HEAD, 204, 304) */
	OUT_LENGTH, /* as long as Content-Length says */
	OUT_CHUNKED,
	OUT_CLOSE, /* until the connection closes */
};

enum out_framing response_framing(const struct h1_message *response, bool is_http10_client);

struct response_context {
	const struct h1_message *message;
	const struct header_edits *edits;
	enum out_framing framing;
	const struct sticky_cookies *cookies; /* to be added; NULL = none */
	bool keeps_alive;                     /* the client's connection, after this */
};

void compose_response(struct writer *out, const struct response_context *context);

struct generated {
	unsigned status;
	const char *content_type; /* of body; NULL: the HTML page that goes with the status */
	struct text body;
	struct text location; /* empty = none */
	const char *date;     /* "Thu, 26 Feb 2026 22:49:53 GMT" */
	bool keeps_alive;
	bool is_to_head; /* everything but the body */
	bool hides_server;
	const struct header_edits *edits; /* of responses: what they insert */
};

void compose_generated(struct writer *out, const struct generated *generated);

/* Chunk framing: RFC 9112 7.1.  line[CHUNK_LINE_MAX]; returns its length. */
enum { CHUNK_LINE_MAX = 20 };
size_t compose_chunk_line(char *line, size_t chunk_bytes);

void put(struct writer *out, const char *bytes, size_t len);
void put_text(struct writer *out, struct text text);
void put_number(struct writer *out, uint64_t number);
#define put_literal(out, literal) put((out), (literal), sizeof(literal) - 1)

#endif
