/*
 * What the JSON and CBOR protocols share: the documents on the wire are ours but for times, which
 * are numbers of seconds there.  Pure.  Private to json_codec.c and cbor_codec.c.
 */
#ifndef COMMON_AWS_JSON_WIRE_H
#define COMMON_AWS_JSON_WIRE_H

#include "common/aws/codec.h"

/* The wire's document (borrowed) as checked input; NULL with error. */
MUST_CHECK json_t *json_wire_input(const struct aws_model *model,
				   const struct aws_operation *operation, const json_t *wire,
				   struct aws_error *error);

/* A handler's output as the wire's document, its members in the shape's order, empty lists where
 * there are none.  {} for an action without output.  NULL without memory. */
MUST_CHECK json_t *json_wire_output(const struct aws_operation *operation, const json_t *output);

/* The exception's name where the model has the code, else the code itself. */
const char *json_wire_error_name(const struct aws_model *model, const struct aws_error *error);

/* The message, or NULL where it was cut within a character and so is no text any more. */
const char *json_wire_error_text(const struct aws_error *error);

#endif
