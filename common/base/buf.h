/*
 * A growable byte buffer.  Allocation failure is remembered, not fatal: further
 * appends do nothing, and the user asks buf_failed() once at the end.  data is
 * NUL-terminated whenever it is not NULL.  One owner, no locking.
 */
#ifndef COMMON_BASE_BUF_H
#define COMMON_BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/check.h"

struct buf {
	char *data;
	size_t len;
	size_t cap;
	bool is_failed;
};

void buf_init(struct buf *buf); /* same as = {0} */
void buf_fini(struct buf *buf);

/* Empties it; keeps the memory. */
void buf_clear(struct buf *buf);

void buf_add(struct buf *buf, const void *bytes, size_t len);
void buf_add_str(struct buf *buf, const char *text);
void buf_add_char(struct buf *buf, char c);
void buf_printf(struct buf *buf, const char *format, ...) PRINTF_LIKE(2, 3);

/* Gives the bytes away (NUL-terminated, free() them), or NULL if an append failed.  buf is empty
 * after. */
MUST_CHECK char *buf_take(struct buf *buf, size_t *len);

/* The text so far; "" when empty; never NULL. */
const char *buf_text(const struct buf *buf);
bool buf_failed(const struct buf *buf);

#endif
