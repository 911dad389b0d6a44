/*
 * SigV4 verification for our API servers (AWS General Reference, "Signature Version 4").
 * Pure: the request and the time are handed in.  Signing of our own calls is libcurl's.
 */
#ifndef COMMON_AWS_SIGV4_H
#define COMMON_AWS_SIGV4_H

#include <jansson.h>
#include <stdint.h>

#include "common/aws/codec.h"

struct sigv4_header {
	const char *name, *value;
};

struct sigv4_request {
	const char *method;
	const char *path;  /* as received, before '?' */
	const char *query; /* as received, after '?'; "" when none */
	const struct sigv4_header *headers;
	size_t n_headers;
	const char *body;
	size_t body_len;
};

/* What the credential scope says, also when nothing is verified. */
struct sigv4_scope {
	char access_key[128];
	char date[16], region[64], service[64];
	bool is_present;
};

/* Reads the scope from the Authorization header or the query (presigned).  -1: malformed. */
MUST_CHECK int sigv4_scope(const struct sigv4_request *request, struct sigv4_scope *scope,
			   struct aws_error *error);

/*
 * credentials: [{"AccessKeyId": .., "SecretAccessKey": ..}], borrowed.  0, or -1 with AWS's code
 * and status (IncompleteSignature, MissingAuthenticationToken, InvalidClientTokenId,
 * SignatureDoesNotMatch, RequestExpired; for ec2 AuthFailure).  Clock skew allowed: 5 minutes.
 * Comparison is constant-time.
 */
MUST_CHECK int sigv4_verify(const struct sigv4_request *request, const json_t *credentials,
			    int64_t now_ms, struct aws_error *error);

#endif
