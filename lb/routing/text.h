/*
 * A run of bytes that someone else holds, and header fields made of two of them.
 * Not NUL-terminated.  Valid as long as the buffer it points into.
 */
#ifndef LB_ROUTING_TEXT_H
#define LB_ROUTING_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

struct text {
	const char *at; /* may be NULL when len is 0 */
	size_t len;
};

#define TEXT(literal) ((struct text){(literal), sizeof(literal) - 1})

static inline struct text text_of(const char *string)
{
	return (struct text){string, string ? strlen(string) : 0};
}

static inline bool text_is_blank(char c) /* RFC 9110 5.6.3: SP, HTAB */
{
	return c == ' ' || c == '\t';
}

/* Without the blanks around it. */
static inline struct text text_trimmed(struct text text)
{
	while (text.len > 0 && text_is_blank(text.at[text.len - 1]))
		text.len--;
	while (text.len > 0 && text_is_blank(text.at[0])) {
		text.at++;
		text.len--;
	}
	return text;
}

static inline bool text_equal(struct text a, struct text b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.at, b.at, a.len) == 0);
}

/* ASCII case folded. */
static inline bool text_equal_nocase(struct text a, struct text b)
{
	return a.len == b.len && (a.len == 0 || strncasecmp(a.at, b.at, a.len) == 0);
}

struct header {
	struct text name, value;
};

#endif
