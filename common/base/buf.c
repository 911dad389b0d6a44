/* See buf.h. */
#include "common/base/buf.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void buf_init(struct buf *buf)
{
	*buf = (struct buf){0};
}

void buf_fini(struct buf *buf)
{
	free(buf->data);
	buf_init(buf);
}

void buf_clear(struct buf *buf)
{
	buf->len = 0;
	buf->is_failed = false;
	if (buf->data != NULL)
		buf->data[0] = '\0';
}

/* Makes room for more bytes and the NUL behind them. */
static bool reserve(struct buf *buf, size_t more)
{
	size_t cap = buf->cap < 64 ? 64 : buf->cap;
	char *data;

	if (buf->is_failed)
		return false;
	if (more > SIZE_MAX / 4 || buf->len > SIZE_MAX / 4)
		goto oom;
	if (buf->len + more < buf->cap)
		return true;
	while (cap <= buf->len + more)
		cap *= 2;
	data = realloc(buf->data, cap);
	if (data == NULL)
		goto oom;
	buf->data = data;
	buf->cap = cap;
	return true;
oom:
	buf->is_failed = true;
	return false;
}

void buf_add(struct buf *buf, const void *bytes, size_t len)
{
	if (!reserve(buf, len))
		return;
	if (len > 0)
		memcpy(buf->data + buf->len, bytes, len);
	buf->len += len;
	buf->data[buf->len] = '\0';
}

void buf_add_str(struct buf *buf, const char *text)
{
	buf_add(buf, text, strlen(text));
}

void buf_add_char(struct buf *buf, char c)
{
	buf_add(buf, &c, 1);
}

void buf_printf(struct buf *buf, const char *format, ...)
{
	va_list args;
	int len;

	va_start(args, format);
	len = vsnprintf(NULL, 0, format, args);
	va_end(args);
	if (len < 0) {
		buf->is_failed = true;
		return;
	}
	if (!reserve(buf, (size_t)len))
		return;
	va_start(args, format);
	vsnprintf(buf->data + buf->len, (size_t)len + 1, format, args);
	va_end(args);
	buf->len += (size_t)len;
}

char *buf_take(struct buf *buf, size_t *len)
{
	char *data;

	if (!reserve(buf, 0) || buf->is_failed) {
		buf_fini(buf);
		return NULL;
	}
	data = buf->data;
	data[buf->len] = '\0';
	if (len != NULL)
		*len = buf->len;
	buf_init(buf);
	return data;
}

const char *buf_text(const struct buf *buf)
{
	return buf->data == NULL ? "" : buf->data;
}

bool buf_failed(const struct buf *buf)
{
	return buf->is_failed;
}
