/* See gzip.h. */
#include "common/aws/gzip.h"

#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <zlib.h>

#include "common/base/buf.h"

enum { CHUNK = 16384, GZIP_ONLY = 16 /* added to windowBits: gzip header, no zlib one */ };

static enum gzip_result inflate_all(z_stream *stream, size_t max_len, struct buf *text)
{
	char chunk[CHUNK];
	int result;

	do {
		stream->next_out = (Bytef *)chunk;
		stream->avail_out = sizeof(chunk);
		result = inflate(stream, Z_NO_FLUSH);
		if (result == Z_MEM_ERROR)
			return GZIP_NO_MEMORY;
		if (result != Z_OK && result != Z_STREAM_END)
			return GZIP_MALFORMED;
		buf_add(text, chunk, sizeof(chunk) - stream->avail_out);
		if (text->len > max_len)
			return GZIP_TOO_LARGE;
	} while (result != Z_STREAM_END);
	return stream->avail_in == 0 ? GZIP_OK : GZIP_MALFORMED;
}

enum gzip_result gzip_inflate(const char *bytes, size_t len, size_t max_len, char **out,
			      size_t *out_len)
{
	z_stream stream = {.next_in = (Bytef *)(uintptr_t)bytes, .avail_in = (uInt)len};
	struct buf text = {0};
	enum gzip_result result;
	char *taken;

	if (len > UINT_MAX)
		return GZIP_TOO_LARGE;
	if (inflateInit2(&stream, MAX_WBITS + GZIP_ONLY) != Z_OK)
		return GZIP_NO_MEMORY;
	result = inflate_all(&stream, max_len, &text);
	inflateEnd(&stream);
	if (result != GZIP_OK) {
		buf_fini(&text);
		return result;
	}
	taken = buf_take(&text, out_len);
	if (taken == NULL)
		return GZIP_NO_MEMORY;
	*out = taken;
	return GZIP_OK;
}
