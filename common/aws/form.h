/*
 * The pairs of a request, sorted so that the pairs of one structure or list stand
 * together and list indexes are in numeric order (SDKs sort them as text).  For query_decode.c.
 */
#ifndef COMMON_AWS_FORM_H
#define COMMON_AWS_FORM_H

#include <stddef.h>

#include "common/aws/codec.h"

struct aws_form_pair {
	const char *name, *value; /* NUL-terminated, valid UTF-8, no NUL inside */
};

struct aws_form {
	char *text; /* what the pairs point into */
	struct aws_form_pair *pairs;
	size_t n_pairs;
};

#endif
