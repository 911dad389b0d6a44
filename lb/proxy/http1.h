/*
 * HTTP/1 messages: bytes in, a checked head and spans of body out.  llhttp (strict) reads; this
 * module adds what a front end must insist on so that nobody behind it can read the same bytes
 * differently, and decides the framing; plain heads take a quicker way to the same result.  A
 * request's head that it refuses may get a second look (http1_head.h).  Trailers and chunk
 * extensions are read and dropped.  Pure: knows no socket, allocates nothing; spans point into the
 * caller's bytes, which must stay where they are until the head is complete (else h1_start again).
 * RFC 9112; ALB's limits and desync rules.
 */
#ifndef LB_PROXY_HTTP1_H
#define LB_PROXY_HTTP1_H

#include <llhttp.h>
#include <stdbool.h>

#include "lb/proxy/message.h"

enum {
	H1_MAX_REQUEST_HEAD = 65536, /* all headers */
	H1_MAX_RESPONSE_HEAD = 32768,
	H1_MAX_EXTRAS = 16384, /* trailers and chunk extensions of one message */
};

/* A message being read, and its reader's state. */
struct h1_message {
	llhttp_t llhttp;   /* first: callbacks get its address */
	bool is_to_head;   /* response to HEAD: set by the user after h1_start */
	bool is_odd;       /* not of desync class Compliant, perhaps: see h1_verdict */
	bool is_rewritten; /* put in order by h1_head_rewrite: see h1_start_rewritten */
	bool is_http10;
	bool is_piped;       /* some of its body went another way: see h1_skip */
	bool is_until_close; /* its body ends with the connection */
	bool is_begun;       /* its first bytes have been looked at */
	bool is_quick;       /* read without llhttp, whose fields are set all the same */
	uint64_t body_left;  /* is_quick */
	char last_byte;      /* of those that were read before */
	const char *end;     /* of the bytes being read */
	struct text version; /* "1.1" */
	size_t extra_bytes;
	struct message message;
};

void h1_start(struct h1_message *h1, enum llhttp_type type);

/* The same for a request in order (h1_head_rewrite) whose method the parser need not know: reads
 * that; returns its length, from where h1_parse goes on. */
size_t h1_start_rewritten(struct h1_message *h1, struct text method);

/*
 * Reads on; returns how many bytes it used: all, or fewer when the message is complete, the spans
 * are used up (call again), or message.error is set.  Spans of an earlier call are forgotten.
 */
size_t h1_parse(struct h1_message *h1, const char *bytes, size_t len);

/* What is still to come of a body with a length; 0 before the head is done. */
uint64_t h1_rest(const struct h1_message *h1);
/* n bytes of that have gone another way: they count as read, and there are no spans. */
void h1_skip(struct h1_message *h1, size_t n);

/* The peer closed.  True if that completes the message (is_until_close). */
bool h1_end(struct h1_message *h1);

#endif
