/*
 * Outgoing heads, put together in the caller's memory from parsed messages: what
 * goes on is always rebuilt, never copied raw.  Also the answers that the load
 * balancer gives itself, in ALB's exact wire form.  Pure.
 */
#ifndef LB_PROXY_HTTP1_COMPOSE_H
#define LB_PROXY_HTTP1_COMPOSE_H

#include <stdbool.h>
#include <stdint.h>

#include "lb/proxy/message.h"
#include "lb/proxy/writer.h"
#include "lb/routing/snapshot.h"
#include "lb/routing/sticky.h"

struct request_context {
	const struct message *message;
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

/* How the body goes to the client. */
enum out_framing {
	OUT_NONE,   /* there is none (HEAD, 204, 304) */
	OUT_LENGTH, /* as long as Content-Length says */
	OUT_CHUNKED,
	OUT_CLOSE, /* until the connection closes */
};

enum out_framing response_framing(const struct message *response, bool is_http10_client);

struct response_context {
	const struct message *message;
	const struct header_edits *edits;
	enum out_framing framing;
	const struct sticky_cookies *cookies; /* to be added; NULL = none */
	bool keeps_alive;                     /* the client's connection, after this */
};

void compose_response(struct writer *out, const struct response_context *context);

/* What the client's side adds to an answer of ours. */
struct generated_context {
	const struct generated *generated;
	const struct header_edits *edits; /* of responses: what they insert */
	bool hides_server;
	bool keeps_alive; /* the client's connection, after this */
};

void compose_generated(struct writer *out, const struct generated_context *context);

/* Chunk framing: RFC 9112 7.1.  line[CHUNK_LINE_MAX]; returns its length. */
enum { CHUNK_LINE_MAX = 20 };
size_t compose_chunk_line(char *line, size_t chunk_bytes);

/* The message's spans as they go on the wire, after the n entries there are in
 * iov[COMPOSE_IOV_MAX]; returns how many there are then. */
enum { COMPOSE_IOV_MAX = MESSAGE_MAX_SPANS + 4 };
int compose_body(const struct message *message, bool is_chunked, struct iovec *iov, int n,
		 char *chunk_line);

#endif
