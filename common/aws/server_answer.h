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
	ANSWER_JSON,  /* AWS JSON 1.0 */
	ANSWER_CBOR,  /* Smithy RPC v2 CBOR: errors only */
	ANSWER_TEXT,  /* plain text, for people and browsers */
};

#define ANSWER_JSON_TYPE "application/x-amz-json-1.0"

struct answer {
	struct evhttp_request *http;
	const char *request_id;
	const struct aws_model *model; /* NULL: no service was found, or none of ours */
	enum answer_form form;
};

void answer_error(const struct answer *answer, const struct aws_error *error);

/* xml is a whole document. */
void answer_xml(const struct answer *answer, int status, const struct buf *xml);

void answer_page(const struct answer *answer, int status, const char *content_type,
		 const struct buf *body);

#endif
