/*
 * Inflates gzip request bodies (newer SDKs compress large PutMetricData).  Pure.
 */
#ifndef COMMON_AWS_GZIP_H
#define COMMON_AWS_GZIP_H

#include <stddef.h>

#include "common/base/check.h"

enum gzip_result {
	GZIP_OK,
	GZIP_MALFORMED, /* not one whole gzip member, or something behind it */
	GZIP_TOO_LARGE, /* more than max_len bytes inflated: a bomb */
	GZIP_NO_MEMORY,
};

/* RFC 1952.  *out is NUL-terminated and the caller's to free(); untouched unless GZIP_OK. */
MUST_CHECK enum gzip_result gzip_inflate(const char *bytes, size_t len, size_t max_len, char **out,
					 size_t *out_len);

#endif
