/*
 * The codec: AWS's wire formats <-> JSON documents in the model's member names,
 * driven by the shape tables, in both directions.  Pure: bytes in, documents out.
 * Handlers and callers see JSON only and never touch a form field or an XML tag.
 *   server: request_decode (query -> checked JSON), response_encode, error_encode
 *   client: request_encode (JSON -> query), response_decode (XML -> JSON), error_decode
 */
#ifndef COMMON_AWS_CODEC_H
#define COMMON_AWS_CODEC_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/aws/shapes.h"
#include "common/base/buf.h"

/* An AWS error answer: what goes on, or came from, the wire. */
struct aws_error {
	int http_status; /* 0 = no error; a client puts 0 < x < 100 for a libcurl code: no answer
			    came */
	char code[80];   /* "TargetGroupNotFound", "ValidationError" */
	char message[1024];
};

void aws_error_set(struct aws_error *error, int http_status, const char *code, const char *format,
		   ...) PRINTF_LIKE(4, 5);

/* Form pairs of a request, percent-decoded. */
struct aws_form;
MUST_CHECK struct aws_form *aws_form_parse(const char *text, size_t len, struct aws_error *error);
const char *aws_form_get(const struct aws_form *form, const char *name); /* borrowed; NULL */
void aws_form_free(struct aws_form *form);

/* The action's input as JSON, validated; NULL with error (service-appropriate code and text). */
MUST_CHECK json_t *aws_request_decode(const struct aws_model *model,
				      const struct aws_operation *operation,
				      const struct aws_form *form, struct aws_error *error);

/* output may be NULL (an action without output).  Members that the shape does not know are dropped
 * with a debug log. */
void aws_response_encode(const struct aws_model *model, const struct aws_operation *operation,
			 const json_t *output, const char *request_id, struct buf *xml);
void aws_error_encode(const struct aws_model *model, const struct aws_error *error,
		      const char *request_id, struct buf *xml);

/*
 * The same three in AWS JSON (POST with X-Amz-Target: PREFIX.Action; the model has the prefix and
 * the version).  Errors of a Query service also want the header x-amzn-query-error:
 * CODE;Sender|Receiver.
 */
MUST_CHECK json_t *aws_json_request_decode(const struct aws_model *model,
					   const struct aws_operation *operation, const char *text,
					   size_t len, struct aws_error *error);
void aws_json_response_encode(const struct aws_operation *operation, const json_t *output,
			      struct buf *json);
void aws_json_error_encode(const struct aws_model *model, const struct aws_error *error,
			   struct buf *json);

/* And in Smithy RPC v2 CBOR (POST .../service/PREFIX/operation/Action). */
MUST_CHECK json_t *aws_cbor_request_decode(const struct aws_model *model,
					   const struct aws_operation *operation, const char *bytes,
					   size_t len, struct aws_error *error);
void aws_cbor_response_encode(const struct aws_operation *operation, const json_t *output,
			      struct buf *cbor);
void aws_cbor_error_encode(const struct aws_model *model, const struct aws_error *error,
			   struct buf *cbor);

/* Client side.  Appends "Action=..&Version=..&..." to form. -1 with err if input does not fit the
 * shape. */
MUST_CHECK int aws_request_encode(const struct aws_model *model,
				  const struct aws_operation *operation, const json_t *input,
				  struct buf *form, struct err *err);
/* A new reference ({} for an action without output), or NULL with error. */
MUST_CHECK json_t *aws_response_decode(const struct aws_model *model,
				       const struct aws_operation *operation, const char *xml,
				       size_t len, struct aws_error *error);
/* Always fills error, from the body if it can, from the status otherwise. */
void aws_error_decode(int http_status, const char *xml, size_t len, struct aws_error *error);

#endif
