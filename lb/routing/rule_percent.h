/* Percent-encoding as rules read it.  For lb/routing alone. */
#ifndef LB_ROUTING_RULE_PERCENT_H
#define LB_ROUTING_RULE_PERCENT_H

#include "lb/routing/text.h"

static inline int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* The byte that "%xx" at text[i] stands for; -1 if it is no such thing. */
static inline int percent_byte(struct text text, size_t i)
{
	if (text.at[i] != '%' || i + 2 >= text.len)
		return -1;
	int high = hex_digit(text.at[i + 1]), low = hex_digit(text.at[i + 2]);

	return high < 0 || low < 0 ? -1 : high * 16 + low;
}

enum { PERCENT_DECODE_MAX = 512 };

/* Into buffer[PERCENT_DECODE_MAX]; text itself when it has nothing to decode, or is longer. */
static inline struct text percent_decode(struct text text, char *buffer)
{
	size_t len = 0;

	if (text.len > PERCENT_DECODE_MAX || text.len == 0 || !memchr(text.at, '%', text.len))
		return text;
	for (size_t i = 0; i < text.len; i++) {
		int byte = percent_byte(text, i);

		buffer[len++] = byte < 0 ? text.at[i] : (char)byte;
		if (byte >= 0)
			i += 2;
	}
	return (struct text){buffer, len};
}

/* One "key=value" of a query; rest is what follows its '&'. */
struct query_pair {
	struct text key, value;
};

/* False at the end. */
static inline bool query_next(struct text *rest, struct query_pair *pair)
{
	if (rest->len == 0)
		return false;
	const char *amp = memchr(rest->at, '&', rest->len);
	size_t len = amp ? (size_t)(amp - rest->at) : rest->len;
	const char *equals = len > 0 ? memchr(rest->at, '=', len) : NULL;

	pair->key = (struct text){rest->at, equals ? (size_t)(equals - rest->at) : len};
	pair->value = (struct text){rest->at + len, 0};
	if (equals)
		pair->value = (struct text){equals + 1, len - pair->key.len - 1};
	*rest = amp ? (struct text){amp + 1, rest->len - len - 1} : (struct text){0};
	return true;
}

#endif
