/*
 * CBOR (RFC 8949) from a peer -> JSON.  Tags are dropped, so a time is its number of seconds; null
 * and undefined are null; byte strings become base64 text; NaN and the infinities the texts "NaN",
 * "Infinity" and "-Infinity".  Pure.  Private to cbor_codec.c and its tests.
 */
#ifndef COMMON_AWS_CBOR_READ_H
#define COMMON_AWS_CBOR_READ_H

#include <jansson.h>
#include <stddef.h>

#include "common/base/check.h"

enum { CBOR_MAX_DEPTH = 32, CBOR_MAX_CONTAINERS = 100000 };

/* One whole item and nothing behind it.  A new reference; NULL with *why (static text). */
MUST_CHECK json_t *cbor_read(const void *bytes, size_t len, const char **why);

#endif
