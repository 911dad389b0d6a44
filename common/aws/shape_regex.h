/*
 * A shape's pattern, compiled by PCRE2 when first needed and kept until exit.
 * As AWS does, the whole text must match.  Any thread.
 */
#ifndef COMMON_AWS_SHAPE_REGEX_H
#define COMMON_AWS_SHAPE_REGEX_H

#include <stdbool.h>
#include <stddef.h>

struct shape_regex;

/* pattern is borrowed for ever.  NULL without memory. */
struct shape_regex *shape_regex_new(const char *pattern);

/* False also when matching would take too long, or the pattern is broken (a test sees to that). */
bool shape_regex_matches(struct shape_regex *regex, const char *text, size_t len);
/* Does it compile? */
bool shape_regex_is_sound(struct shape_regex *regex);

#endif
