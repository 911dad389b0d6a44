/*
 * Memory that runs out at the n-th allocation: for the test_*_oom programs, which the Makefile
 * links with --wrap.  Included once by each; what the linker does not see (SQLite's own) is each
 * test's.
 */
#ifndef TESTS_UNIT_OOM_H
#define TESTS_UNIT_OOM_H

#include <stdbool.h>
#include <stddef.h>

/* Allocations until the one that fails; negative: none does. */
static long countdown = -1;
static bool has_failed;

static bool must_fail(void)
{
	if (countdown < 0 || countdown-- > 0)
		return false;
	has_failed = true;
	return true;
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *old, size_t size);
char *__real_strdup(const char *text);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *old, size_t size);
char *__wrap_strdup(const char *text);

void *__wrap_malloc(size_t size)
{
	return must_fail() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
	return must_fail() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *old, size_t size)
{
	return must_fail() ? NULL : __real_realloc(old, size);
}

char *__wrap_strdup(const char *text)
{
	return must_fail() ? NULL : __real_strdup(text);
}

#endif
