/*
 * Stickiness cookies: what a client is bound to, sealed with AES-256-GCM, so that
 * nobody else can read or make one.  One cookie remembers a few bindings, newest first: of a
 * target group to a target (AWSALB, AWSALBAPP-0), of a forward action to a target group
 * (AWSALBTG).  What is forged, garbled or of another kind reads as if it were not there.
 *
 * A request that may need them: sticky_read() once a kind, sticky_find(); when the response's
 * head has come: sticky_bind(), sticky_write().  Nothing here allocates but sticky_new().
 * A sealer is one worker's; the rest is pure.  Time is handed in: Unix seconds.
 */
#ifndef LB_ROUTING_STICKY_H
#define LB_ROUTING_STICKY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/check.h"
#include "common/base/err.h"
#include "lb/routing/text.h"

enum sticky_kind {
	STICKY_TARGET, /* AWSALB, AWSALBCORS */
	STICKY_APP,    /* AWSALBAPP-0..3 */
	STICKY_GROUP,  /* AWSALBTG, AWSALBTGCORS */
	STICKY_KIND_COUNT,
};

enum {
	STICKY_KEY_BYTES = 32,
	STICKY_BINDINGS_MAX = 4,
	STICKY_VALUE_LEN = 148, /* of every cookie, however much it remembers */
	STICKY_COOKIES_MAX = 8, /* Set-Cookie headers of one response */
	STICKY_COOKIES_BYTES = 2048,
	STICKY_LIFETIME_S = 604800, /* Expires; the duration that counts is inside */
};

/* scope: the id of what chooses (a target group, a forward action); choice: of what was chosen. */
struct sticky_binding {
	uint64_t scope, choice;
	uint32_t expires_s;
};

/* What a client's cookie of one kind says; zeroes = nothing. */
struct sticky_jar {
	unsigned n;
	struct sticky_binding bindings[STICKY_BINDINGS_MAX];
};

/* The Set-Cookie headers of one response; zeroes = none.  Pointers lead into itself. */
struct sticky_cookies {
	unsigned n;
	struct header headers[STICKY_COOKIES_MAX];
	size_t used;
	char bytes[STICKY_COOKIES_BYTES];
};

struct sticky_sealer;

/* NULL with err.  All lbs that serve one client have the same key. */
MUST_CHECK struct sticky_sealer *sticky_new(const uint8_t key[STICKY_KEY_BYTES], struct err *err);
void sticky_free(struct sticky_sealer *sealer); /* NULL is fine */

enum sticky_found {
	STICKY_NONE,    /* no such cookie */
	STICKY_GOOD,    /* jar is filled; its bindings may have expired */
	STICKY_INVALID, /* there is one, but not of ours: jar is empty */
};

/* From a request's headers; AWSALBCORS goes before AWSALB.  jar is empty unless STICKY_GOOD. */
enum sticky_found sticky_read(struct sticky_sealer *sealer, enum sticky_kind kind,
			      const struct header *headers, size_t n_headers,
			      struct sticky_jar *jar);

/* True: the client is bound, to *choice. */
bool sticky_find(const struct sticky_jar *jar, uint64_t scope, int64_t now_s, uint64_t *choice);

/* In place of what was bound in this scope; the oldest binding goes when there are too many. */
void sticky_bind(struct sticky_jar *jar, uint64_t scope, uint64_t choice, int64_t now_s,
		 unsigned duration_s);
void sticky_unbind(struct sticky_jar *jar, uint64_t scope);

/* Adds the kind's Set-Cookie headers (2; 4 for STICKY_APP).  False, and nothing added, when
 * they do not fit. */
bool sticky_write(struct sticky_sealer *sealer, enum sticky_kind kind, const struct sticky_jar *jar,
		  int64_t now_s, struct sticky_cookies *cookies);

/* The four AWSALBAPP-n=_remove_, as ALB sends before the application has set its cookie. */
bool sticky_write_removed(struct sticky_sealer *sealer, int64_t now_s,
			  struct sticky_cookies *cookies);

/* Has the request a cookie of this name?  Value (may be empty) in *value, which may be NULL. */
bool sticky_has_cookie(const struct header *headers, size_t n_headers, struct text name,
		       struct text *value);
/* Does the response set a cookie of this name? */
bool sticky_sets_cookie(const struct header *headers, size_t n_headers, struct text name);

/* The id of an ARN, or of a target ("i-…", port): the same in every process. */
uint64_t sticky_id(const char *text, unsigned number);

#endif
