/*
 * What a listener does to headers on their way: a list of edits of the request's
 * and one of the response's, parsed from attributes.  Pure.  The headers that frame or
 * route a message (Content-Length, Connection, Host, X-Forwarded-For...) cannot be named.
 */
#ifndef LB_ROUTING_HEADER_EDITS_H
#define LB_ROUTING_HEADER_EDITS_H

#include <stdbool.h>

#include "common/base/check.h"
#include "common/base/err.h"
#include "lb/routing/text.h"

enum header_edit_kind {
	HEADER_EDIT_INSERT, /* value in place of every one that came */
	HEADER_EDIT_RENAME, /* to value; what came under that name is dropped */
	HEADER_EDIT_REMOVE,
};

struct header_edit {
	enum header_edit_kind kind;
	struct text name, value;
};

enum { HEADER_EDITS_MAX = 64 };

struct header_edits {
	unsigned n;
	const struct header_edit *edits;
};

/* A list that grows; its texts point into what was parsed. */
struct header_edit_list {
	unsigned n;
	struct header_edit edits[HEADER_EDITS_MAX];
};

/*
 * Adds what an attribute says; an empty one adds nothing.
 *   insert "X-Env: prod", one a line    rename "X-Old: X-New", one a line
 *   remove "X-Debug, X-Internal"
 * -1 with err: not a header's name, one that may not be touched, a value no header can
 * have, too many.
 */
MUST_CHECK int header_edits_parse(struct header_edit_list *list, enum header_edit_kind kind,
				  struct text attribute, struct err *err);

/* What the header goes on as: false = it does not; *name changes when it is renamed. */
bool header_edits_pass(const struct header_edits *edits, struct text *name);

#endif
