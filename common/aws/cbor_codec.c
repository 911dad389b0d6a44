/*
 * Smithy RPC v2 CBOR on the server's side, which the newest SDKs speak to CloudWatch: the JSON
 * protocol's documents, but binary, and with times tagged as such.
 */
#include <cbor/encoding.h>
#include <string.h>

#include "common/aws/cbor_read.h"
#include "common/aws/codec.h"
#include "common/aws/json_wire.h"

enum { HEAD_MAX = 9, TAG_EPOCH = 1 };

json_t *aws_cbor_request_decode(const struct aws_model *model,
				const struct aws_operation *operation, const char *bytes,
				size_t len, struct aws_error *error)
{
	const char *why = "it is no map";
	json_t *wire = len == 0 ? json_object() : cbor_read(bytes, len, &why);
	json_t *input = NULL;

	if (json_is_object(wire))
		input = json_wire_input(model, operation, wire, error);
	else
		aws_error_set(error, 400, "SerializationException", "The request is not CBOR: %s",
			      wire == NULL ? why : "it is no map");
	json_decref(wire);
	return input;
}

static void add_head(struct buf *cbor, const unsigned char head[HEAD_MAX], size_t len)
{
	CHECK(len > 0);
	buf_add(cbor, head, len);
}

static void add_text(struct buf *cbor, const char *text, size_t len)
{
	unsigned char head[HEAD_MAX];

	add_head(cbor, head, cbor_encode_string_start(len, head, sizeof(head)));
	buf_add(cbor, text, len);
}

static void add_real(struct buf *cbor, double number)
{
	unsigned char head[HEAD_MAX];

	add_head(cbor, head, cbor_encode_double(number, head, sizeof(head)));
}

static void add_integer(struct buf *cbor, json_int_t number)
{
	unsigned char head[HEAD_MAX];

	add_head(cbor, head,
		 number >= 0 ? cbor_encode_uint((uint64_t)number, head, sizeof(head))
			     : cbor_encode_negint((uint64_t)(-1 - number), head, sizeof(head)));
}

static void add_value(struct buf *cbor, const json_t *value, const struct shape *shape);

static void add_list(struct buf *cbor, const json_t *value, const struct shape *shape)
{
	unsigned char head[HEAD_MAX];
	const json_t *child;
	size_t i;

	add_head(cbor, head, cbor_encode_array_start(json_array_size(value), head, sizeof(head)));
	json_array_foreach (value, i, child)
		add_value(cbor, child, shape->element.shape);
}

static void add_map(struct buf *cbor, const json_t *value, const struct shape *shape)
{
	unsigned char head[HEAD_MAX];
	json_t *child;
	const char *key;

	add_head(cbor, head, cbor_encode_map_start(json_object_size(value), head, sizeof(head)));
	json_object_foreach ((json_t *)value, key, child) {
		const struct shape_member *member =
		    shape->kind == SHAPE_MAP ? &shape->element : shape_member_find(shape, key);

		add_text(cbor, key, strlen(key));
		add_value(cbor, child, member->shape);
	}
}

static void add_scalar(struct buf *cbor, const json_t *value)
{
	unsigned char head[HEAD_MAX];

	if (json_is_string(value))
		add_text(cbor, json_string_value(value), json_string_length(value));
	else if (json_is_integer(value))
		add_integer(cbor, json_integer_value(value));
	else if (json_is_real(value))
		add_real(cbor, json_real_value(value));
	else if (json_is_boolean(value))
		add_head(cbor, head, cbor_encode_bool(json_is_true(value), head, sizeof(head)));
	else
		add_head(cbor, head, cbor_encode_null(head, sizeof(head)));
}

/* json_wire_output() has made the document fit the shape: containers are where it has them. */
static void add_value(struct buf *cbor, const json_t *value, const struct shape *shape)
{
	unsigned char head[HEAD_MAX];

	if (json_is_array(value)) {
		add_list(cbor, value, shape);
	} else if (json_is_object(value)) {
		add_map(cbor, value, shape);
	} else {
		if (shape->kind == SHAPE_TIMESTAMP && json_is_number(value))
			add_head(cbor, head, cbor_encode_tag(TAG_EPOCH, head, sizeof(head)));
		add_scalar(cbor, value);
	}
}

void aws_cbor_response_encode(const struct aws_operation *operation, const json_t *output,
			      struct buf *cbor)
{
	json_t *wire = json_wire_output(operation, output);
	unsigned char head[HEAD_MAX];

	if (wire == NULL)
		cbor->is_failed = true;
	else if (operation->output == NULL)
		add_head(cbor, head, cbor_encode_map_start(0, head, sizeof(head)));
	else
		add_value(cbor, wire, operation->output);
	json_decref(wire);
}

void aws_cbor_error_encode(const struct aws_model *model, const struct aws_error *error,
			   struct buf *cbor)
{
	const char *name = json_wire_error_name(model, error);
	const char *text = json_wire_error_text(error);
	unsigned char head[HEAD_MAX];
	struct buf type = {0};

	if (model != NULL && model->smithy_namespace[0] != '\0')
		buf_printf(&type, "%s#", model->smithy_namespace);
	buf_add_str(&type, name);
	add_head(cbor, head, cbor_encode_map_start(2, head, sizeof(head)));
	add_text(cbor, "__type", strlen("__type"));
	add_text(cbor, buf_text(&type), type.len);
	add_text(cbor, "message", strlen("message"));
	add_text(cbor, text == NULL ? "" : text, text == NULL ? 0 : strlen(text));
	cbor->is_failed = cbor->is_failed || buf_failed(&type);
	buf_fini(&type);
}
