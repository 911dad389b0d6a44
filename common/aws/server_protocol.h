/*
 * Which of AWS's protocols is a request in, and what do its path and headers say of service and
 * action?  Pure.  Private to the server and its tests.
 */
#ifndef COMMON_AWS_SERVER_PROTOCOL_H
#define COMMON_AWS_SERVER_PROTOCOL_H

#include "common/aws/codec.h"
#include "common/aws/server_answer.h"

/* All borrowed; NULL for headers that the request does not have. */
struct protocol_hints {
	const char *path;
	const char *target;       /* X-Amz-Target */
	const char *smithy;       /* smithy-protocol */
	const char *content_type; /* Content-Type */
	bool has_body;
};

struct protocol {
	enum answer_form form; /* set on failure too: the error's form */
	const char *json_type; /* what to answer JSON as; static */
	/* JSON and CBOR: the service by its target prefix, and the action.  Within the hints. */
	const char *target;
	size_t target_len;
	const char *action;
};

/* 0, or -1 with error. */
MUST_CHECK int protocol_find(const struct protocol_hints *hints, struct protocol *protocol,
			     struct aws_error *error);

/* Is the service that the model is of meant, and spoken to in a protocol that it has? */
bool protocol_fits(const struct protocol *protocol, const struct aws_model *model);

#endif
