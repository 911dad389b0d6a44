/*
 * Answers of the API server: what goes into headers and body, by protocol.
 * Private to the server.
 */
#ifndef COMMON_AWS_SERVER_ANSWER_H
#define COMMON_AWS_SERVER_ANSWER_H

#include <event2/http.h>

#include "common/aws/codec.h"

enum answer_form {
	ANSWER_QUERY, /* XML, by the model where there is one */
	ANSWER_JSON,  /* AWS JSON 1.0 or 1.1 */
	ANSWER_CBOR,  /* Smithy RPC v2 CBOR */
	ANSWER_TEXT,  /* plain text, for people and browsers */
};

struct answer {
	struct evhttp_request *http;
	const char *request_id;
	const struct aws_model *model; /* NULL: no service was found, or none of ours */
	enum answer_form form;
	const char *json_type; /* of ANSWER_JSON: the media type */
};

void answer_error(const struct answer *answer, const struct aws_error *error);

/* body is a whole document in the answer's form. */
void answer_body(const struct answer *answer, int status, const struct buf *body);

void answer_page(const struct answer *answer, int status, const char *content_type,
		 const struct buf *body);

#endif
