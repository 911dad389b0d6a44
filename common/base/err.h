/*
 * An error meant for a person: a code and a sentence that names the thing, the
 * place and, where there is one, the remedy.  The caller owns the struct; whoever finds
 * the failure says what (err_set), each caller on the way up adds where
 * (err_wrap), whoever gives up logs it once.
 */
#ifndef COMMON_BASE_ERR_H
#define COMMON_BASE_ERR_H

#include "common/base/check.h"

struct err {
	int code; /* an errno value; 0 = no error */
	char text[512];
};

/* A NULL err is allowed everywhere: the text is then dropped. */
void err_set(struct err *err, int code, const char *format, ...) PRINTF_LIKE(3, 4);

/* Puts text in front of what is there, cutting at the end if it grows too long. */
void err_wrap(struct err *err, const char *format, ...) PRINTF_LIKE(2, 3);

#endif
