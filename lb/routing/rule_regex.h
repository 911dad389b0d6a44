/*
 * Regular expressions of rules, within what ALB takes: no look-around, back-references, atomic
 * groups, possessive quantifiers, subroutines, recursion or Unicode classes.  PCRE2
 * underneath, just-in-time compiled, with a limit on the work of one search.  Searching is
 * unanchored, allocates nothing on the usual path, and may run on any thread.
 */
#ifndef LB_ROUTING_RULE_REGEX_H
#define LB_ROUTING_RULE_REGEX_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/err.h"
#include "lb/routing/text.h"

struct regex;

enum { REGEX_GROUPS_MAX = 99 };

enum regex_result { REGEX_NO_MATCH, REGEX_MATCH, REGEX_GAVE_UP /* too much work, no memory */ };

/* from > to: the group took no part. */
struct regex_span {
	size_t from, to;
};

/* NULL with err, which says what is wrong with the expression. */
MUST_CHECK struct regex *regex_new(const char *source, bool is_nocase, struct err *err);
void regex_free(struct regex *regex); /* NULL is fine */

/* spans[0] is the whole match, then the groups; n_spans may be 0. */
enum regex_result regex_search(const struct regex *regex, struct text text,
			       struct regex_span *spans, unsigned n_spans);
unsigned regex_n_groups(const struct regex *regex);

/*
 * What every match must begin with, at the text's start: "^/api/v[0-9]" gives "/api/v".
 * Its length in out; 0 when nothing can be said.
 */
size_t regex_literal_prefix(const char *source, char *out, size_t size);

#endif
