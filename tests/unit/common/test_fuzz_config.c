/*
 * The configuration fuzzer without clang: the examples and the corpus as they are, cut
 * off, and with bytes changed, the same way in each run.
 */
/* The fuzzer itself; the Makefile links one object a test. */
#include "tests/fuzz/fuzz_config.c" /* NOLINT(bugprone-suspicious-include) */

#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/ids.h"

enum { CUTS = 60, CHANGES = 150 };

static void feed_changed(struct id_source *source, const char *text, size_t len)
{
	static const char likely[] = "{}[]\",:0-9eE.\\ null";
	uint8_t *copy = malloc(len + 1);

	for (int i = 0; i < CHANGES; i++) {
		memcpy(copy, text, len);
		for (uint64_t n = 1 + id_random(source) % 3; n > 0; n--) {
			uint64_t any = id_random(source);

			copy[any % len] = any >> 63
					      ? (uint8_t)(any >> 40)
					      : (uint8_t)likely[(any >> 40) % (sizeof(likely) - 1)];
		}
		LLVMFuzzerTestOneInput(copy, len);
	}
	free(copy);
}

static void feed_file(struct id_source *source, const char *path)
{
	size_t len;
	char *text = doc_read_file(path, 1 << 20, &len, NULL);

	assert_non_null(text);
	LLVMFuzzerTestOneInput((const uint8_t *)text, len);
	for (size_t i = 0; i < CUTS && len > 0; i++)
		LLVMFuzzerTestOneInput((const uint8_t *)text, i * len / CUTS);
	if (len > 0)
		feed_changed(source, text, len);
	free(text);
}

static void any_bytes_are_refused_or_pass_unchanged(void **state)
{
	static const char *const patterns[] = {"conf/*.json", "tests/fuzz/corpus/config/*"};
	struct id_source source = {.state = 1};

	(void)state;
	for (size_t p = 0; p < sizeof(patterns) / sizeof(patterns[0]); p++) {
		glob_t files;

		assert_int_equal(glob(patterns[p], 0, NULL, &files), 0);
		for (size_t i = 0; i < files.gl_pathc; i++)
			feed_file(&source, files.gl_pathv[i]);
		globfree(&files);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(any_bytes_are_refused_or_pass_unchanged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
