/* common/aws/gzip: bodies that newer SDKs compress, and what only looks like them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include <cmocka.h>

#include "common/aws/gzip.h"

enum { ROOM = 1 << 16, GZIP_WINDOW = 15 + 16 };

static size_t compress_text(const char *text, size_t len, char out[ROOM])
{
	z_stream stream = {.next_in = (Bytef *)(uintptr_t)text,
			   .avail_in = (uInt)len,
			   .next_out = (Bytef *)out,
			   .avail_out = ROOM};

	assert_int_equal(deflateInit2(&stream, 9, Z_DEFLATED, GZIP_WINDOW, 8, Z_DEFAULT_STRATEGY),
			 Z_OK);
	assert_int_equal(deflate(&stream, Z_FINISH), Z_STREAM_END);
	deflateEnd(&stream);
	return ROOM - stream.avail_out;
}

static void what_was_compressed_comes_back(void **state)
{
	char packed[ROOM], *text = NULL;
	size_t len = compress_text("Action=PutMetricData", 20, packed), text_len = 0;

	(void)state;
	assert_int_equal(gzip_inflate(packed, len, 20, &text, &text_len), GZIP_OK);
	assert_int_equal(text_len, 20);
	assert_string_equal(text, "Action=PutMetricData");
	free(text);
}

static void a_bomb_is_refused_at_the_limit(void **state)
{
	static char zeroes[8 << 20];
	char packed[ROOM], *text = NULL;
	size_t len = compress_text(zeroes, sizeof(zeroes), packed), text_len;

	(void)state;
	assert_int_equal(gzip_inflate(packed, len, 2 << 20, &text, &text_len), GZIP_TOO_LARGE);
	assert_null(text);
}

static void bytes_cut_short_changed_or_followed_by_others_are_malformed(void **state)
{
	char packed[ROOM], *text = NULL;
	size_t len = compress_text("some text, some text", 20, packed), text_len;

	(void)state;
	for (size_t cut = 0; cut < len; cut++)
		assert_int_equal(gzip_inflate(packed, cut, 100, &text, &text_len), GZIP_MALFORMED);
	packed[len] = 'x';
	assert_int_equal(gzip_inflate(packed, len + 1, 100, &text, &text_len), GZIP_MALFORMED);
	packed[len / 2] ^= 0x55;
	assert_int_equal(gzip_inflate(packed, len, 100, &text, &text_len), GZIP_MALFORMED);
	assert_null(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_was_compressed_comes_back),
	    cmocka_unit_test(a_bomb_is_refused_at_the_limit),
	    cmocka_unit_test(bytes_cut_short_changed_or_followed_by_others_are_malformed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
