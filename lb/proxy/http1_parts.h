/*
 * What the files of HTTP/1's strict reader share: http1.c (by llhttp, any message),
 * http1_quick.c (heads that are plain and all there, without it), http1_check.c (what a head must
 * be, whoever has read its bytes).  Nobody else includes this.  Pure.
 */
#ifndef LB_PROXY_HTTP1_PARTS_H
#define LB_PROXY_HTTP1_PARTS_H

#include "lb/proxy/http1.h"

static inline bool h1_is_request(const struct h1_message *h1)
{
	return h1->llhttp.type == HTTP_REQUEST;
}

/* Always -1.  The first reason counts. */
int h1_refuse(struct message *message, unsigned status, const char *reason);

/* http1_check.c */
enum header_kind h1_header_kind(struct text name);

/* http1_check.c: classifies the headers, decides the framing, sets is_head_done; -1: refused.  Of
 * llhttp it uses version, method, flags, content_length and status_code, which the quick reader
 * sets too, with the kinds. */
int h1_check_head(struct h1_message *h1);

/*
 * http1_quick.c: how many bytes it used of a message's first; 0: not for it, and nothing has
 * happened.  It takes what nobody can read in two ways, in one pass, and leaves the rest to llhttp:
 * which heads are accepted, and how, does not depend on who reads them.
 */
size_t h1_quick_start(struct h1_message *h1, const char *bytes, size_t len);
/* The rest of its body. */
size_t h1_quick_body(struct h1_message *h1, const char *bytes, size_t len);

#endif
