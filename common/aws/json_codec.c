/*
 * AWS JSON on the server's side, which newer SDKs speak to CloudWatch (1.0) and everybody to ACM
 * (1.1): the same documents as ours but for times, which are numbers of seconds on the wire.
 * Numbers and order of checks are as in query_decode.c, so that a handler cannot tell the protocols
 * apart.
 */
#include <math.h>
#include <string.h>

#include "common/aws/codec.h"
#include "common/aws/json_wire.h"
#include "common/aws/shape_walk.h"
#include "common/aws/utf8.h"
#include "common/aws/validate.h"
#include "common/base/clock.h"
#include "common/base/log.h"

enum { MAX_DEPTH = 32 };

/* Times beyond the year 9999 have no ISO text. */
static const double max_seconds = 253402300799.0;

static json_t *convert(const json_t *value, const struct shape *shape, bool is_answer, int depth);

static json_t *time_from_seconds(const json_t *value)
{
	double seconds = json_number_value(value);
	char text[CLOCK_TEXT_MAX];
	int64_t unix_ms;

	if (json_is_string(value) && clock_parse_iso(json_string_value(value), &unix_ms) == 0)
		seconds = (double)unix_ms / 1000;
	else if (!json_is_number(value) || seconds < 0 || seconds > max_seconds)
		return NULL;
	unix_ms = llround(seconds * 1000);
	return json_string(unix_ms % 1000 ? clock_format_iso_ms(unix_ms, text)
					  : clock_format_iso(unix_ms, text));
}

static json_t *seconds_from_time(const json_t *value)
{
	int64_t unix_ms;

	if (!json_is_string(value) || clock_parse_iso(json_string_value(value), &unix_ms) < 0)
		return json_null();
	return unix_ms % 1000 ? json_real((double)unix_ms / 1000) : json_integer(unix_ms / 1000);
}

static json_t *convert_scalar(const json_t *value, const struct shape *shape, bool is_answer)
{
	bool is_double = shape->kind == SHAPE_DOUBLE || shape->kind == SHAPE_FLOAT;

	if (shape->kind == SHAPE_TIMESTAMP)
		return is_answer ? seconds_from_time(value) : time_from_seconds(value);
	if (is_double && json_is_integer(value))
		return json_real((double)json_integer_value(value));
	return json_copy((json_t *)value);
}

static json_t *convert_list(const json_t *value, const struct shape *shape, bool is_answer,
			    int depth)
{
	json_t *list = json_array(), *child;
	size_t i;

	json_array_foreach (value, i, child) {
		json_t *one = convert(child, shape->element.shape, is_answer, depth);

		if (json_array_append_new(list, one) < 0) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

static json_t *convert_map(const json_t *value, const struct shape *shape, bool is_answer,
			   int depth)
{
	json_t *map = json_object(), *child;
	const char *key;

	json_object_foreach ((json_t *)value, key, child) {
		json_t *one = convert(child, shape->element.shape, is_answer, depth);

		if (json_object_set_new(map, key, one) < 0) {
			json_decref(map);
			return NULL;
		}
	}
	return map;
}

static void log_unknown(const json_t *value, const struct shape *shape)
{
	const char *key;
	json_t *child;

	json_object_foreach ((json_t *)value, key, child) {
		if (!shape_member_find(shape, key))
			log_debug("member-unknown", "shape=%s name=%s", shape->name, key);
	}
}

static json_t *convert_structure(const json_t *value, const struct shape *shape, bool is_answer,
				 int depth)
{
	json_t *object = json_object();

	log_unknown(value, shape);
	for (size_t i = 0; i < shape->n_members; i++) {
		const struct shape_member *member = &shape->members[i];
		const json_t *child = json_object_get(value, member->name);
		bool is_list = member->shape->kind == SHAPE_LIST && !member->is_unsupported;
		json_t *one = NULL;

		if (child && !json_is_null(child))
			one = convert(child, member->shape, is_answer, depth);
		else if (!child && is_answer && is_list)
			one = json_array(); /* as in XML: clients tell [] from nothing */
		else
			continue;
		if (json_object_set_new(object, member->name, one) < 0) {
			json_decref(object);
			return NULL;
		}
	}
	return object;
}

/* NULL: a time that is none, too deep, or no memory.  Other misfits are left for aws_validate(). */
static json_t *convert(const json_t *value, const struct shape *shape, bool is_answer, int depth)
{
	if (depth == MAX_DEPTH)
		return NULL;
	if (shape->kind == SHAPE_STRUCTURE && json_is_object(value))
		return convert_structure(value, shape, is_answer, depth + 1);
	if (shape->kind == SHAPE_LIST && json_is_array(value))
		return convert_list(value, shape, is_answer, depth + 1);
	if (shape->kind == SHAPE_MAP && json_is_object(value))
		return convert_map(value, shape, is_answer, depth + 1);
	if (json_is_object(value) || json_is_array(value))
		return NULL;
	return convert_scalar(value, shape, is_answer);
}

json_t *json_wire_input(const struct aws_model *model, const struct aws_operation *operation,
			const json_t *wire, struct aws_error *error)
{
	json_t *input = convert(wire, operation->input, false, 0);

	if (!input)
		aws_error_set(error, 400, "SerializationException",
			      "The request does not have the form of a %s", operation->input->name);
	else if (aws_validate(model, operation->input, input, error) < 0) {
		json_decref(input);
		input = NULL;
	}
	return input;
}

json_t *json_wire_output(const struct aws_operation *operation, const json_t *output)
{
	return operation->output && json_is_object(output)
		   ? convert(output, operation->output, true, 0)
		   : json_object();
}

/* The errors that no model has, as services call them that know no protocol but JSON. */
static const struct {
	const char *code, *name;
} common_errors[] = {
    {"AccessDenied", "AccessDeniedException"},
    {"IncompleteSignature", "IncompleteSignatureException"},
    {"InvalidClientTokenId", "UnrecognizedClientException"},
    {"MissingAuthenticationToken", "MissingAuthenticationTokenException"},
    {"SignatureDoesNotMatch", "InvalidSignatureException"},
    {"ValidationError", "ValidationException"},
};

const char *json_wire_error_name(const struct aws_model *model, const struct aws_error *error)
{
	const struct aws_error_shape *shape = model ? aws_error_find(model, error->code) : NULL;
	size_t n = sizeof(common_errors) / sizeof(common_errors[0]);

	if (shape)
		return shape->name;
	for (size_t i = 0; model && model->protocol == AWS_JSON && i < n; i++) {
		if (strcmp(common_errors[i].code, error->code) == 0)
			return common_errors[i].name;
	}
	return error->code;
}

const char *json_wire_error_text(const struct aws_error *error)
{
	return utf8_is_valid(error->message, strlen(error->message)) ? error->message : NULL;
}

json_t *aws_json_request_decode(const struct aws_model *model,
				const struct aws_operation *operation, const char *text, size_t len,
				struct aws_error *error)
{
	json_error_t why = {0};
	json_t *wire =
	    len == 0 ? json_object() : json_loadb(text, len, JSON_REJECT_DUPLICATES, &why);
	json_t *input = NULL;

	if (json_is_object(wire))
		input = json_wire_input(model, operation, wire, error);
	else
		aws_error_set(error, 400, "SerializationException",
			      "The request is not a JSON object%s%s", why.text[0] ? ": " : "",
			      why.text);
	json_decref(wire);
	return input;
}

static int add_bytes(const char *bytes, size_t len, void *json)
{
	buf_add(json, bytes, len);
	return 0;
}

static void dump(json_t *value, struct buf *json)
{
	if (!value || json_dump_callback(value, add_bytes, json, JSON_COMPACT) < 0)
		json->is_failed = true;
	json_decref(value);
}

void aws_json_response_encode(const struct aws_operation *operation, const json_t *output,
			      struct buf *json)
{
	dump(json_wire_output(operation, output), json);
}

void aws_json_error_encode(const struct aws_model *model, const struct aws_error *error,
			   struct buf *json)
{
	/* "s" would fail on a message that is no text. */
	dump(json_pack("{s:s, s:s?}", "__type", json_wire_error_name(model, error), "message",
		       json_wire_error_text(error)),
	     json);
}
