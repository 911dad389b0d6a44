/*
 * The second look at a request's head that the strict reader (http1.h) refused: taken apart as the
 * most tolerant reader would, so that it can be classified, and put in order so that nobody can
 * read it in two ways.  Pure; only odd requests come here.
 *
 * What is put in order: any token is a method; bare LF becomes CRLF; a folded line joins its
 * header; lines without a colon, names that are no token and everything that only looks like a
 * framing header are left out; control bytes in values become spaces, those in the target and bytes
 * above 0x7f are percent-encoded; HTTP/1.2 to 1.9 become 1.1; equal Content-Lengths become one;
 * Transfer-Encoding wins over Content-Length; "chunked" with parameters or "identity" becomes
 * plain.
 */
#ifndef LB_PROXY_HTTP1_HEAD_H
#define LB_PROXY_HTTP1_HEAD_H

#include "lb/proxy/http1.h"
#include "lb/proxy/writer.h"
#include "lb/routing/desync.h"

/* AWS: of a rule's http-request-method. */
enum { H1_MAX_METHOD = 40 };

enum h1_head_state {
	H1_HEAD_WHOLE,
	H1_HEAD_PARTIAL,  /* its end is not there yet */
	H1_HEAD_HOPELESS, /* never a request that anybody could forward */
};

struct h1_head {
	struct desync_request parts; /* a folded line counts as a header of its own */
	struct desync_verdict verdict;
	size_t len;        /* with the empty line */
	bool loses_header; /* one is left out of what is put in order, and not for its framing */
	bool is_fold[MESSAGE_MAX_HEADERS];
	struct header headers[MESSAGE_MAX_HEADERS];
};

/* Texts point into bytes.  verdict is set when it is whole. */
enum h1_head_state h1_head_read(struct h1_head *head, const char *bytes, size_t len);

/* The head in order; 0, or the status to refuse with, in every mode: there is no one way to read
 * it, or it asks for what we do not do. */
unsigned h1_head_rewrite(const struct h1_head *head, struct writer *out);

/* Of a head that the strict reader took. */
struct desync_verdict h1_verdict(const struct h1_message *h1);

#endif
