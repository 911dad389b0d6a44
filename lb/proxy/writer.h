/*
 * A piece of memory being filled; what does not fit is dropped and remembered.
 */
#ifndef LB_PROXY_WRITER_H
#define LB_PROXY_WRITER_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "lb/routing/text.h"

struct writer {
	char *at, *end;
	bool is_full;
};

static inline void put(struct writer *out, const char *bytes, size_t len)
{
	if ((size_t)(out->end - out->at) < len) {
		out->is_full = true;
		return;
	}
	if (len > 0)
		memcpy(out->at, bytes, len);
	out->at += len;
}

static inline void put_text(struct writer *out, struct text text)
{
	put(out, text.at, text.len);
}

#define put_literal(out, literal) put((out), (literal), sizeof(literal) - 1)

static inline void put_number(struct writer *out, uint64_t number)
{
	char digits[20];
	size_t at = sizeof(digits);

	do {
		digits[--at] = (char)('0' + number % 10);
		number /= 10;
	} while (number > 0);
	put(out, digits + at, sizeof(digits) - at);
}

#endif
