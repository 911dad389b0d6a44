/* The corpus of the fuzzer of metric math and alarm rules without clang. */
/* The fuzzer itself; the Makefile links one object a test. */
#include "tests/fuzz/fuzz_math.c" /* NOLINT(bugprone-suspicious-include) */

#include "tests/fuzz/corpus.h"

static void what_was_once_found_is_not_found_again(void **state)
{
	(void)state;
	corpus_feed("tests/fuzz/corpus/math/*");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_was_once_found_is_not_found_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
