/*
 * A handler's output document as the XML of an answer, member by member in the
 * model's order.  A document of ours that does not fit its shape loses what does not fit, with a
 * log line; the client always gets well-formed XML.
 */
#include <string.h>

#include "common/aws/codec.h"
#include "common/aws/shape_walk.h"
#include "common/aws/xml_text.h"
#include "common/base/log.h"

enum { DOUBLE_TEXT_MAX = 400 };

struct encoder {
	const struct aws_model *model;
	const char *action; /* for the log */
	struct buf *xml;
	int depth;
};

static void encode_value(struct encoder *e, const json_t *value, const struct shape_member *member);

static void misfit(const struct encoder *e, const char *name)
{
	log_warn("answer-misfit", "service=%s action=%s member=%s", e->model->service, e->action,
		 name);
}

/* An absent list is written empty, because clients tell [] from nothing; EC2 itself writes only the
 * lists that it has. */
static bool is_written_when_absent(const struct encoder *e, const struct shape *shape)
{
	bool is_list = shape->kind == SHAPE_LIST && !shape->is_flattened;

	return is_list && (e->model->protocol == AWS_QUERY || e->depth == 1);
}

static void log_unknown(const struct encoder *e, const json_t *value, const struct shape *shape)
{
	const char *key;
	json_t *child;

	if (log_level_now < LOG_LEVEL_DEBUG)
		return;
	json_object_foreach ((json_t *)value, key, child) {
		if (!shape_member_find(shape, key))
			log_debug("answer-member-dropped", "service=%s action=%s shape=%s name=%s",
				  e->model->service, e->action, shape->name, key);
	}
}

static void encode_members(struct encoder *e, const json_t *value, const struct shape *shape)
{
	e->depth++;
	log_unknown(e, value, shape);
	for (size_t i = 0; i < shape->n_members && e->depth <= SHAPE_MAX_DEPTH; i++) {
		const struct shape_member *member = &shape->members[i];
		const json_t *child = json_object_get(value, member->name);

		if (child && !json_is_null(child))
			encode_value(e, child, member);
		else if (!child && !member->is_unsupported &&
			 is_written_when_absent(e, member->shape))
			xml_empty(e->xml, member->xml_name);
	}
	e->depth--;
}

static void encode_list(struct encoder *e, const json_t *value, const struct shape_member *member)
{
	const struct shape *shape = member->shape;
	struct shape_member element = shape->element;
	size_t i;
	json_t *child;

	if (shape->is_flattened)
		element.xml_name = member->xml_name;
	else if (json_array_size(value) == 0) {
		xml_empty(e->xml, member->xml_name);
		return;
	} else
		xml_open(e->xml, member->xml_name);
	json_array_foreach (value, i, child)
		encode_value(e, child, &element);
	if (!shape->is_flattened)
		xml_close(e->xml, member->xml_name);
}

static void encode_map(struct encoder *e, const json_t *value, const struct shape_member *member)
{
	const struct shape *shape = member->shape;
	const char *entry = shape->is_flattened ? member->xml_name : "entry";
	const char *key;
	json_t *child;

	if (!shape->is_flattened)
		xml_open(e->xml, member->xml_name);
	json_object_foreach ((json_t *)value, key, child) {
		xml_open(e->xml, entry);
		xml_add_element(e->xml, shape->key.xml_name, key);
		encode_value(e, child, &shape->element);
		xml_close(e->xml, entry);
	}
	if (!shape->is_flattened)
		xml_close(e->xml, member->xml_name);
}

/* EC2 writes times as 2026-11-21T00:31:08.000Z, always with the fraction. */
static void add_time(const struct encoder *e, const char *text, size_t len)
{
	bool is_bare = e->model->protocol == AWS_EC2_QUERY && len == 20 && text[19] == 'Z';

	xml_add_text(e->xml, text, is_bare ? 19 : len);
	if (is_bare)
		buf_add_str(e->xml, ".000Z");
}

static void add_scalar(const struct encoder *e, const json_t *value, const struct shape *shape)
{
	bool is_double = shape->kind == SHAPE_DOUBLE || shape->kind == SHAPE_FLOAT;
	char room[SHAPE_SCALAR_TEXT], number[DOUBLE_TEXT_MAX];
	size_t len;
	const char *text = shape_scalar_text(value, room, &len);

	if (json_is_number(value) && (is_double || json_is_real(value))) {
		shape_format_double(json_number_value(value), number, sizeof(number));
		text = number;
		len = strlen(number);
	}
	if (shape->kind == SHAPE_TIMESTAMP)
		add_time(e, text, len);
	else
		xml_add_text(e->xml, text, len);
}

static void encode_scalar(struct encoder *e, const json_t *value, const struct shape_member *member)
{
	char room[SHAPE_SCALAR_TEXT];
	size_t len;

	if (!shape_scalar_text(value, room, &len)) {
		misfit(e, member->name);
		return;
	}
	xml_open(e->xml, member->xml_name);
	add_scalar(e, value, member->shape);
	xml_close(e->xml, member->xml_name);
}

static void encode_value(struct encoder *e, const json_t *value, const struct shape_member *member)
{
	enum shape_kind kind = member->shape->kind;

	if (kind == SHAPE_STRUCTURE && json_is_object(value)) {
		xml_open(e->xml, member->xml_name);
		encode_members(e, value, member->shape);
		xml_close(e->xml, member->xml_name);
	} else if (kind == SHAPE_LIST && json_is_array(value)) {
		encode_list(e, value, member);
	} else if (kind == SHAPE_MAP && json_is_object(value)) {
		encode_map(e, value, member);
	} else if (kind == SHAPE_STRUCTURE || kind == SHAPE_LIST || kind == SHAPE_MAP) {
		misfit(e, member->name);
	} else {
		encode_scalar(e, value, member);
	}
}

static void encode_ec2(struct encoder *e, const json_t *output, const struct shape *shape,
		       const char *request_id)
{
	buf_add_str(e->xml, XML_DECLARATION);
	buf_printf(e->xml, "<%sResponse xmlns=\"%s\">", e->action, e->model->xml_namespace);
	xml_add_element(e->xml, "requestId", request_id);
	if (shape)
		encode_members(e, output, shape);
	else
		buf_add_str(e->xml, "<return>true</return>");
	buf_printf(e->xml, "</%sResponse>", e->action);
}

void aws_response_encode(const struct aws_model *model, const struct aws_operation *operation,
			 const json_t *output, const char *request_id, struct buf *xml)
{
	struct encoder e = {.model = model, .action = operation->name, .xml = xml};

	if (model->protocol == AWS_EC2_QUERY) {
		encode_ec2(&e, output, operation->output, request_id);
		return;
	}
	buf_printf(xml, "<%sResponse xmlns=\"%s\">", operation->name, model->xml_namespace);
	if (operation->output) {
		buf_printf(xml, "<%sResult>", operation->name);
		encode_members(&e, output, operation->output);
		buf_printf(xml, "</%sResult>", operation->name);
	}
	buf_add_str(xml, "<ResponseMetadata>");
	xml_add_element(xml, "RequestId", request_id);
	buf_printf(xml, "</ResponseMetadata></%sResponse>", operation->name);
}
