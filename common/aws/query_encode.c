/* Our own calls: an input document as the form of a request (botocore's spelling of it). */
#include <errno.h>
#include <string.h>

#include "common/aws/codec.h"
#include "common/aws/shape_walk.h"

enum { DOUBLE_TEXT_MAX = 400 };

struct encoder {
	const struct aws_model *model;
	struct buf *form;
	struct buf name; /* of the place being written: cut back on the way up */
};

static void encode_value(struct encoder *e, const json_t *value, const struct shape *shape);

static void add_encoded(struct buf *form, const char *text, size_t len)
{
	static const char hex[] = "0123456789ABCDEF";

	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];

		if ((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
		    (c != 0 && strchr("-_.~", c))) {
			buf_add_char(form, (char)c);
			continue;
		}
		buf_add_char(form, '%');
		buf_add_char(form, hex[c >> 4]);
		buf_add_char(form, hex[c & 15]);
	}
}

static void add_pair(struct encoder *e, const char *text, size_t len)
{
	buf_add_char(e->form, '&');
	add_encoded(e->form, e->name.data, e->name.len);
	buf_add_char(e->form, '=');
	add_encoded(e->form, text, len);
}

/* Goes down to ".segment"; returns what go_up() needs. */
static size_t go_down(struct encoder *e, const char *segment)
{
	size_t was = e->name.len;

	if (was > 0)
		buf_add_char(&e->name, '.');
	buf_add_str(&e->name, segment);
	return was;
}

static size_t go_down_index(struct encoder *e, size_t index)
{
	size_t was = e->name.len;

	buf_printf(&e->name, ".%zu", index);
	return was;
}

static void go_up(struct encoder *e, size_t was)
{
	if (buf_failed(&e->name) || !e->name.data)
		return;
	e->name.len = was;
	e->name.data[was] = '\0';
}

static void encode_structure(struct encoder *e, const json_t *value, const struct shape *shape)
{
	for (size_t i = 0; i < shape->n_members; i++) {
		const struct shape_member *member = &shape->members[i];
		const json_t *child = json_object_get(value, member->name);
		size_t was;

		if (!child || json_is_null(child))
			continue;
		was = go_down(e, member->query_name);
		encode_value(e, child, member->shape);
		go_up(e, was);
	}
}

static void encode_list(struct encoder *e, const json_t *value, const struct shape *shape)
{
	bool is_ec2 = e->model->protocol == AWS_EC2_QUERY;
	size_t i, top = e->name.len;
	json_t *child;

	if (json_array_size(value) == 0) {
		if (!is_ec2)
			add_pair(e, "", 0);
		return;
	}
	if (!is_ec2 && !shape->is_flattened)
		go_down(e, shape->element.query_name);
	json_array_foreach (value, i, child) {
		size_t was = go_down_index(e, i + 1);

		encode_value(e, child, shape->element.shape);
		go_up(e, was);
	}
	go_up(e, top);
}

static void encode_map(struct encoder *e, const json_t *value, const struct shape *shape)
{
	size_t top = e->name.len, i = 0;
	const char *key;
	json_t *child;

	if (!shape->is_flattened)
		go_down(e, "entry");
	json_object_foreach ((json_t *)value, key, child) {
		size_t entry = go_down_index(e, ++i);
		size_t was = go_down(e, shape->key.query_name);

		add_pair(e, key, strlen(key));
		go_up(e, was);
		was = go_down(e, shape->element.query_name);
		encode_value(e, child, shape->element.shape);
		go_up(e, was);
		go_up(e, entry);
	}
	go_up(e, top);
}

static void encode_scalar(struct encoder *e, const json_t *value, const struct shape *shape)
{
	bool is_double = shape->kind == SHAPE_DOUBLE || shape->kind == SHAPE_FLOAT;
	char room[SHAPE_SCALAR_TEXT], number[DOUBLE_TEXT_MAX];
	size_t len;
	const char *text = shape_scalar_text(value, room, &len);

	if (json_is_number(value) && is_double) {
		shape_format_double(json_number_value(value), number, sizeof(number));
		text = number;
		len = strlen(number);
	}
	add_pair(e, text, len);
}

static void encode_value(struct encoder *e, const json_t *value, const struct shape *shape)
{
	if (buf_failed(&e->name))
		return;
	if (shape->kind == SHAPE_STRUCTURE)
		encode_structure(e, value, shape);
	else if (shape->kind == SHAPE_LIST)
		encode_list(e, value, shape);
	else if (shape->kind == SHAPE_MAP)
		encode_map(e, value, shape);
	else
		encode_scalar(e, value, shape);
}

int aws_request_encode(const struct aws_model *model, const struct aws_operation *operation,
		       const json_t *input, struct buf *form, struct err *err)
{
	struct encoder e = {.model = model, .form = form};

	if (input && shape_check(input, operation->input, "", false, err) < 0) {
		err_wrap(err, "%s %s: ", model->service, operation->name);
		return -1;
	}
	buf_printf(form, "Action=%s&Version=%s", operation->name, model->version);
	if (input)
		encode_value(&e, input, operation->input);
	if (buf_failed(form) || buf_failed(&e.name)) {
		err_set(err, ENOMEM, "out of memory");
		buf_fini(&e.name);
		return -1;
	}
	buf_fini(&e.name);
	return 0;
}
