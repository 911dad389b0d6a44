/*
 * ALB's wildcard patterns: '*' is zero or more characters, '?' exactly one, the
 * whole text must match.  Compiled once; matching allocates nothing.  Pure.
 */
#ifndef LB_ROUTING_PATTERN_H
#define LB_ROUTING_PATTERN_H

#include <stdbool.h>

#include "lb/routing/arena.h"
#include "lb/routing/text.h"

enum pattern_kind { PATTERN_EXACT, PATTERN_PREFIX, PATTERN_SUFFIX, PATTERN_ANY, PATTERN_GLOB };

enum { PATTERN_NOCASE = 1, PATTERN_ESCAPES = 2 }; /* flags; escapes: \* \? \\ are literal */

/* In a glob's bytes; control characters never take part in matching, so these are free. */
enum { PATTERN_STAR = 1, PATTERN_QUESTION = 2 };

struct pattern {
	enum pattern_kind kind;
	bool is_nocase;
	struct text text; /* without the star of a prefix or suffix; lower case when nocase */
};

/* Memory failure shows in the arena. */
void pattern_compile(struct pattern *pattern, const char *source, unsigned flags,
		     struct arena *arena);
bool pattern_match(const struct pattern *pattern, struct text text);

#endif
