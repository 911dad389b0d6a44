/*
 * SigV4's canonical request, and the look-ups in headers and query that its verifier shares.
 * Pure.  Private to sigv4.c and its tests; everybody else includes sigv4.h.
 */
#ifndef COMMON_AWS_SIGV4_CANONICAL_H
#define COMMON_AWS_SIGV4_CANONICAL_H

#include "common/aws/sigv4.h"
#include "common/base/buf.h"

enum { SIGV4_HEX_MAX = 65 }; /* SHA-256 in hex, and the NUL */

/* The first header of that name (any case); borrowed; NULL when there is none. */
const char *sigv4_header(const struct sigv4_request *request, const char *name);

/* Is name in the list "a;b;c"? */
bool sigv4_is_listed(const char *signed_headers, const char *name);

/*
 * The decoded value of the first query member of that name.  0; 1 when there is none; -1 when it
 * does not fit into size or holds a NUL.
 */
MUST_CHECK int sigv4_query_value(const char *query, const char *name, char *value, size_t size);

void sigv4_sha256_hex(const void *bytes, size_t len, char hex[SIGV4_HEX_MAX]);

/*
 * Appends the canonical request (AWS "Create a canonical request"; every service but S3: the path
 * is encoded once more).  0; -1 when a listed header is missing, whose name is in missing[size];
 * running out of memory shows in buf_failed().
 */
MUST_CHECK int sigv4_canonical_request(const struct sigv4_request *request,
				       const char *signed_headers, const char *payload_hash,
				       struct buf *text, char *missing, size_t size);

#endif
