/*
 * A fuzzer's corpus in make unit, with any compiler: each input whole, and cut off at every length
 * (at CORPUS_CUTS of them when it is long).  A test includes the fuzzer and then this.
 */
#ifndef TESTS_FUZZ_CORPUS_H
#define TESTS_FUZZ_CORPUS_H

#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/doc/doc.h"

enum { CORPUS_CUTS = 100, CORPUS_MAX_INPUT = 1 << 20 };

/* A copy as long as the input and no longer, so that a read past its end is seen. */
static inline void corpus_feed_bytes(const char *text, size_t len)
{
	uint8_t *copy = malloc(len > 0 ? len : 1);

	assert_non_null(copy);
	memcpy(copy, text, len);
	LLVMFuzzerTestOneInput(copy, len);
	free(copy);
}

static inline void corpus_feed_file(const char *path)
{
	size_t len;
	char *text = doc_read_file(path, CORPUS_MAX_INPUT, &len, NULL);
	size_t step;

	assert_non_null(text);
	step = len / CORPUS_CUTS + 1;
	for (size_t cut = 0; cut < len; cut += step)
		corpus_feed_bytes(text, cut);
	corpus_feed_bytes(text, len);
	free(text);
}

/* pattern: of glob(), from the root of the tree, where unit tests run; one that finds none fails.
 */
static inline void corpus_feed(const char *pattern)
{
	glob_t files;

	assert_int_equal(glob(pattern, 0, NULL, &files), 0);
	for (size_t i = 0; i < files.gl_pathc; i++)
		corpus_feed_file(files.gl_pathv[i]);
	globfree(&files);
}

#endif
