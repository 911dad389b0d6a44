/* common/base: errors, buffers, times. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/buf.h"
#include "common/base/clock.h"
#include "common/base/err.h"

static void wrapping_an_error_puts_the_place_in_front(void **state)
{
	struct err err = {0};

	(void)state;
	err_set(&err, 22, "weight %d is not in 1..256", 0);
	err_wrap(&err, "pool %s: ", "web");
	assert_string_equal(err.text, "pool web: weight 0 is not in 1..256");
	assert_int_equal(err.code, 22);
}

static void a_buffer_grows_and_is_given_away(void **state)
{
	struct buf buf = {0};
	size_t len;
	char *text;

	(void)state;
	assert_string_equal(buf_text(&buf), "");
	for (int i = 0; i < 1000; i++)
		buf_printf(&buf, "%d,", i % 10);
	assert_int_equal(buf.len, 2000);
	text = buf_take(&buf, &len);
	assert_int_equal(len, 2000);
	assert_int_equal(strlen(text), 2000);
	assert_null(buf.data);
	free(text);
}

static void times_are_written_and_read_in_iso_8601(void **state)
{
	char text[CLOCK_TEXT_MAX];
	int64_t ms;

	(void)state;
	assert_string_equal(clock_format_iso_ms(1767225600123, text), "2026-01-01T00:00:00.123Z");
	assert_int_equal(clock_parse_iso("2026-01-01T00:00:00.123Z", &ms), 0);
	assert_int_equal(ms, 1767225600123);
	assert_int_equal(clock_parse_iso("2026-01-01T02:00:00+02:00", &ms), 0);
	assert_int_equal(ms, 1767225600000);
	assert_int_equal(clock_parse_iso("yesterday", &ms), -1);
	assert_int_equal(clock_parse_iso("2026-01-01T00:00:00 nonsense", &ms), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(wrapping_an_error_puts_the_place_in_front),
	    cmocka_unit_test(a_buffer_grows_and_is_given_away),
	    cmocka_unit_test(times_are_written_and_read_in_iso_8601),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
