/* common/base: errors, buffers, times, the log. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base/buf.h"
#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/log.h"

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

static void an_error_too_long_is_cut_at_its_end(void **state)
{
	struct err err = {0};

	(void)state;
	err_set(&err, 1, "%0600d", 7);
	assert_int_equal(strlen(err.text), sizeof(err.text) - 1);
	for (int i = 0; i < 100; i++)
		err_wrap(&err, "place %02d: ", i);
	assert_int_equal(strlen(err.text), sizeof(err.text) - 1);
	assert_memory_equal(err.text, "place 99: place 98: ", 20);
	err_set(NULL, 1, "nobody asks");
	err_wrap(NULL, "nobody asks");
}

static void an_empty_buffer_gives_an_empty_text(void **state)
{
	struct buf buf = {0};
	size_t len = 1;
	char *text;

	(void)state;
	buf_add(&buf, NULL, 0);
	text = buf_take(&buf, &len);
	assert_string_equal(text, "");
	assert_int_equal(len, 0);
	free(text);
	buf_clear(&buf);
	buf_fini(&buf);
}

static void a_buffer_holds_any_bytes_and_is_used_again(void **state)
{
	struct buf buf = {0};
	const char *before;

	(void)state;
	buf_add(&buf, "a\0b", 3);
	buf_add_char(&buf, '\0');
	assert_int_equal(buf.len, 4);
	assert_memory_equal(buf.data, "a\0b\0\0", 5);
	before = buf.data;
	buf_clear(&buf);
	assert_string_equal(buf_text(&buf), "");
	buf_printf(&buf, "%s", "again");
	assert_ptr_equal(buf.data, before);
	assert_string_equal(buf_text(&buf), "again");
	buf_fini(&buf);
}

static void a_buffer_is_terminated_at_every_length(void **state)
{
	struct buf buf = {0};

	(void)state;
	for (size_t len = 1; len < 2000; len++) {
		buf_add_char(&buf, 'x');
		assert_int_equal(strlen(buf.data), len);
		assert_true(buf.cap > len);
	}
	buf_fini(&buf);
}

static void a_failed_buffer_remembers(void **state)
{
	struct buf buf = {0};
	size_t len;

	(void)state;
	buf_add_str(&buf, "text");
	buf_add(&buf, "", SIZE_MAX / 2); /* no memory is as large */
	assert_true(buf_failed(&buf));
	buf_add_str(&buf, "more");
	assert_string_equal(buf_text(&buf), "text");
	assert_null(buf_take(&buf, &len));
	assert_false(buf_failed(&buf));
	assert_null(buf.data);
}

/* What log_write() puts on stderr. */
static void logged(char *line, size_t size, const char *value)
{
	int fds[2], saved = dup(STDERR_FILENO);
	ssize_t n;

	assert_int_equal(pipe(fds), 0);
	dup2(fds[1], STDERR_FILENO);
	log_warn("test-event", "value=\"%s\"", value);
	dup2(saved, STDERR_FILENO);
	close(saved);
	close(fds[1]);
	n = read(fds[0], line, size - 1);
	close(fds[0]);
	assert_true(n > 0);
	line[n] = '\0';
}

static void a_value_cannot_forge_a_log_line(void **state)
{
	char line[4096];

	(void)state;
	log_start("albatross-test", LOG_LEVEL_INFO);
	logged(line, sizeof(line), "a\nb\x1b[31m");
	assert_non_null(strstr(line, "Z albatross-test warn test-event value=\"a?b?[31m\"\n"));
	assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
}

static void a_log_line_too_long_is_cut_and_still_ends(void **state)
{
	char line[4096], value[3000];

	(void)state;
	memset(value, 'v', sizeof(value) - 1);
	value[sizeof(value) - 1] = '\0';
	logged(line, sizeof(line), value);
	assert_true(strlen(line) > 1000 && strlen(line) < 2100);
	assert_int_equal(line[strlen(line) - 1], '\n');
}

static void a_level_has_its_name(void **state)
{
	(void)state;
	assert_int_equal(log_level_from_name("debug"), LOG_LEVEL_DEBUG);
	assert_int_equal(log_level_from_name("error"), LOG_LEVEL_ERROR);
	assert_int_equal(log_level_from_name("loud"), -1);
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
	assert_int_equal(clock_parse_iso("2026-01-01T00:00:00+-1:00", &ms), -1);
	assert_int_equal(clock_parse_iso("2026-01-01T00:00:00+ 1:00", &ms), -1);
	assert_int_equal(clock_parse_iso("2026-01-01T00:00:00+15:00", &ms), -1);
	assert_int_equal(clock_parse_iso("2026-01-01T00:00:00-03:30", &ms), 0);
	assert_int_equal(ms, 1767238200000);
	assert_int_equal(clock_parse_iso("1969-12-31T23:59:59.5Z", &ms), 0);
	assert_int_equal(ms, -500);
	assert_string_equal(clock_format_iso_ms(-500, text), "1969-12-31T23:59:59.500Z");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(wrapping_an_error_puts_the_place_in_front),
	    cmocka_unit_test(a_buffer_grows_and_is_given_away),
	    cmocka_unit_test(an_error_too_long_is_cut_at_its_end),
	    cmocka_unit_test(an_empty_buffer_gives_an_empty_text),
	    cmocka_unit_test(a_buffer_holds_any_bytes_and_is_used_again),
	    cmocka_unit_test(a_buffer_is_terminated_at_every_length),
	    cmocka_unit_test(a_failed_buffer_remembers),
	    cmocka_unit_test(a_value_cannot_forge_a_log_line),
	    cmocka_unit_test(a_log_line_too_long_is_cut_and_still_ends),
	    cmocka_unit_test(a_level_has_its_name),
	    cmocka_unit_test(times_are_written_and_read_in_iso_8601),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
