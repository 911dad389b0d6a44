/*
 * Transforms: the host, or path and query, that go to the target instead of the client's.
 * Only what the expression matched is replaced (its first match); the rest goes on as it
 * came.  Pure; any thread.
 */
#ifndef LB_ROUTING_REWRITE_H
#define LB_ROUTING_REWRITE_H

#include "lb/routing/arena.h"
#include "lb/routing/rule_regex.h"
#include "lb/routing/snapshot.h"

struct rewrite {
	struct regex *regex; /* NULL = nothing is rewritten */
	const char *replace;
};

struct transforms {
	struct rewrite host, url;
};

/* AWS's names: the access log's request_transform_status. */
enum rewrite_result {
	REWRITE_NONE, /* no match: the request goes on as it came */
	REWRITE_DONE,
	REWRITE_TOO_LONG,
	REWRITE_FAILED, /* the expression gave up */
	REWRITE_INVALID_HOST,
	REWRITE_INVALID_PATH,
};

enum { REWRITE_MAX = 16384 };

/* -1 with err; rewrite_fini() in every case. */
MUST_CHECK int rewrite_compile(struct rewrite *rewrite, const struct rewrite_config *config,
			       struct arena *arena, struct err *err);
void rewrite_fini(struct rewrite *rewrite);

/* result lies in out (size bytes), when REWRITE_DONE.  Nothing is checked but the length. */
enum rewrite_result rewrite_apply(const struct rewrite *rewrite, struct text text, char *out,
				  size_t size, struct text *result);

/* May it go on the wire as path and query?  "/..." of visible ASCII, without a fragment. */
bool rewrite_is_url(struct text url);

/* "TransformSuccess", ...; NULL for REWRITE_NONE. */
const char *rewrite_status(enum rewrite_result result);

#endif
