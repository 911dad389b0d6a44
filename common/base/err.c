/* See err.h.  Any thread; no state of its own. */
#include "common/base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void err_set(struct err *err, int code, const char *format, ...)
{
	va_list args;

	if (err == NULL)
		return;
	err->code = code;
	va_start(args, format);
	vsnprintf(err->text, sizeof(err->text), format, args);
	va_end(args);
}

void err_wrap(struct err *err, const char *format, ...)
{
	char front[sizeof(err->text)];
	char whole[2 * sizeof(err->text)];
	va_list args;

	if (err == NULL)
		return;
	va_start(args, format);
	vsnprintf(front, sizeof(front), format, args);
	va_end(args);
	snprintf(whole, sizeof(whole), "%s%s", front, err->text);
	snprintf(err->text, sizeof(err->text), "%.*s", (int)sizeof(err->text) - 1, whole);
}

noreturn void check_failed(const char *file, int line, const char *expression)
{
	fprintf(stderr, "%s:%d: CHECK failed: %s\n", file, line, expression);
	abort();
}
