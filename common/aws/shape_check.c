/*
 * shape_check(): what is wrong with a hand-written document, in words for its
 * writer; shape_coerce(): the document once it is right, in its shapes' own types.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/aws/shape_walk.h"
#include "common/aws/shapes.h"
#include "common/base/buf.h"
#include "common/base/clock.h"
#include "common/doc/doc.h"

enum { SHOWN_MAX = 80, ENUMS_SHOWN = 12 };

struct check {
	const char *path;
	struct err *err;
};

static void add_place(struct buf *text, const struct shape_place *place)
{
	if (place->is_top)
		return;
	add_place(text, place->parent);
	if (!place->member && !place->key) {
		buf_printf(text, "[%zu]", place->index);
		return;
	}
	if (text->len > 0)
		buf_add_char(text, '.');
	buf_add_str(text, place->member ? place->member->name : place->key);
}

/* A value as a reader may see it: short, in one line. */
static void add_value(struct buf *text, const json_t *value)
{
	char *dump = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);

	if (!dump)
		return;
	buf_add(text, dump, strnlen(dump, SHOWN_MAX));
	if (strlen(dump) > SHOWN_MAX)
		buf_add_str(text, "...");
	free(dump);
}

static const char *kind_text(enum shape_kind kind)
{
	switch (kind) {
	case SHAPE_STRUCTURE:
	case SHAPE_MAP:
		return "an object";
	case SHAPE_LIST:
		return "a list";
	case SHAPE_STRING:
	case SHAPE_BLOB:
		return "a string";
	case SHAPE_INTEGER:
	case SHAPE_LONG:
		return "a whole number";
	case SHAPE_FLOAT:
	case SHAPE_DOUBLE:
		return "a number";
	case SHAPE_BOOLEAN:
		return "true or false";
	case SHAPE_TIMESTAMP:
		return "a time such as 2026-12-01T09:00:00Z";
	}
	return "something else";
}

static void add_bounds(struct buf *text, const struct shape_violation *v)
{
	const struct shape *shape = v->shape;
	bool is_text = shape->kind == SHAPE_STRING || shape->kind == SHAPE_BLOB;
	const char *what = is_text ? " characters" : "";

	if (shape->kind == SHAPE_LIST || shape->kind == SHAPE_MAP) {
		what = " items";
		buf_printf(text, "%zu items are",
			   json_is_array(v->value) ? json_array_size(v->value)
						   : json_object_size(v->value));
	} else {
		add_value(text, v->value);
		buf_add_str(text, " is");
	}
	if (shape->has_min && shape->has_max)
		buf_printf(text, " not %s%.10g..%.10g%s", *what ? "of " : "in ", shape->min,
			   shape->max, what);
	else if (v->fault == FAULT_MIN)
		buf_printf(text, " less than %.10g%s", shape->min, what);
	else
		buf_printf(text, " more than %.10g%s", shape->max, what);
}

static void add_nearest(struct buf *text, const char *name, const char *const candidates[])
{
	const char *nearest = doc_nearest(name, candidates);

	if (nearest)
		buf_printf(text, " (did you mean %s?)", nearest);
}

static void add_enum(struct buf *text, const struct shape_violation *v)
{
	char room[SHAPE_SCALAR_TEXT];
	size_t len, n = 0;
	const char *name = shape_scalar_text(v->value, room, &len);

	add_value(text, v->value);
	buf_add_str(text, " is none of ");
	for (; v->shape->enums[n] && n < ENUMS_SHOWN; n++)
		buf_printf(text, "%s%s", n ? ", " : "", v->shape->enums[n]);
	buf_add_str(text, v->shape->enums[n] ? ", ..." : "");
	add_nearest(text, name, v->shape->enums);
}

static void add_unknown(struct buf *text, const struct shape_violation *v)
{
	const char **names = calloc(v->shape->n_members + 1, sizeof(*names));

	buf_add_str(text, "no such member");
	if (!names)
		return;
	for (size_t i = 0; i < v->shape->n_members; i++)
		names[i] = v->shape->members[i].name;
	add_nearest(text, v->place->key, names);
	free(names);
}

static void add_reason(struct buf *text, const struct shape_violation *v)
{
	switch (v->fault) {
	case FAULT_TYPE:
		add_value(text, v->value);
		buf_printf(text, " is not %s", kind_text(v->shape->kind));
		break;
	case FAULT_REQUIRED:
		buf_add_str(text, "required, but missing");
		break;
	case FAULT_UNSUPPORTED:
		buf_add_str(text, "AWS has this, but it is not supported here yet");
		break;
	case FAULT_UNKNOWN:
		add_unknown(text, v);
		break;
	case FAULT_MIN:
	case FAULT_MAX:
		add_bounds(text, v);
		break;
	case FAULT_ENUM:
		add_enum(text, v);
		break;
	case FAULT_PATTERN:
		add_value(text, v->value);
		buf_printf(text, " does not match %s", v->shape->pattern);
		break;
	case FAULT_DEEP:
		buf_add_str(text, "nested too deeply");
		break;
	}
}

static bool on_violation(void *arg, const struct shape_violation *violation)
{
	const struct check *check = arg;
	struct buf text = {0};

	buf_add_str(&text, check->path ? check->path : "");
	add_place(&text, violation->place);
	if (text.len > 0)
		buf_add_str(&text, ": ");
	add_reason(&text, violation);
	err_set(check->err, EINVAL, "%s", buf_failed(&text) ? "out of memory" : buf_text(&text));
	buf_fini(&text);
	return false;
}

int shape_check(const json_t *value, const struct shape *shape, const char *path, bool is_lenient,
		struct err *err)
{
	struct check check = {.path = path, .err = err};
	const struct shape_walk walk = {
	    .is_lenient = is_lenient,
	    .is_arn_or_name = true,
	    .fn = on_violation,
	    .arg = &check,
	};

	return shape_walk(&walk, value, shape) ? 0 : -1;
}

static json_t *coerce_timestamp(const json_t *value)
{
	char text[CLOCK_TEXT_MAX];
	int64_t unix_ms;

	if (!json_is_string(value) || clock_parse_iso(json_string_value(value), &unix_ms) < 0)
		return json_deep_copy(value);
	return json_string(unix_ms % 1000 ? clock_format_iso_ms(unix_ms, text)
					  : clock_format_iso(unix_ms, text));
}

static json_t *coerce_number(const json_t *value, const struct shape *shape)
{
	const char *text = json_string_value(value);
	long long whole;
	double number;

	if (shape->kind == SHAPE_INTEGER || shape->kind == SHAPE_LONG) {
		if (text && shape_parse_integer(text, SHAPE_LONG, &whole))
			return json_integer(whole);
		return json_deep_copy(value);
	}
	if (text && shape_parse_double(text, &number))
		return json_real(number);
	return json_is_integer(value) ? json_real((double)json_integer_value(value))
				      : json_deep_copy(value);
}

static json_t *coerce_scalar(const json_t *value, const struct shape *shape)
{
	char room[SHAPE_SCALAR_TEXT];
	size_t len;
	const char *text = shape_scalar_text(value, room, &len);

	if (!text)
		return json_deep_copy(value);
	if (shape->kind == SHAPE_STRING || shape->kind == SHAPE_BLOB)
		return json_stringn(text, len);
	if (shape->kind == SHAPE_BOOLEAN)
		return json_boolean(strcasecmp(text, "true") == 0);
	if (shape->kind == SHAPE_TIMESTAMP)
		return coerce_timestamp(value);
	return coerce_number(value, shape);
}

static bool is_of_its_type(const json_t *value, const struct shape *shape)
{
	switch (shape->kind) {
	case SHAPE_STRING:
	case SHAPE_BLOB:
		return json_is_string(value);
	case SHAPE_BOOLEAN:
		return json_is_boolean(value);
	case SHAPE_INTEGER:
	case SHAPE_LONG:
		return json_is_integer(value);
	case SHAPE_FLOAT:
	case SHAPE_DOUBLE:
		return json_is_real(value);
	case SHAPE_TIMESTAMP:
	case SHAPE_LIST:
	case SHAPE_MAP:
	case SHAPE_STRUCTURE:
		break;
	}
	return false;
}

/* What is to stand in the child's place: new reference, or NULL when it may stay (as it is, or
 * changed within).  -1 without memory. */
static int coerce_child(json_t *child, const struct shape *shape, json_t **instead)
{
	*instead = NULL;
	if (json_is_object(child) || json_is_array(child))
		return shape_coerce_in_place(child, shape);
	if (is_of_its_type(child, shape))
		return 0;
	*instead = coerce_scalar(child, shape);
	return *instead ? 0 : -1;
}

static int coerce_list(json_t *list, const struct shape *shape)
{
	json_t *child, *instead;
	size_t i;

	json_array_foreach (list, i, child) {
		if (coerce_child(child, shape->element.shape, &instead) < 0)
			return -1;
		if (instead && json_array_set_new(list, i, instead) < 0)
			return -1;
	}
	return 0;
}

/* Structures and maps.  What a structure does not know is left as it is. */
static int coerce_object(json_t *object, const struct shape *shape)
{
	json_t *child, *instead;
	const char *key;
	void *next;

	json_object_foreach_safe (object, next, key, child) {
		const struct shape_member *member =
		    shape->kind == SHAPE_MAP ? &shape->element : shape_member_find(shape, key);

		if (json_is_null(child)) {
			json_object_del(object, key);
			continue;
		}
		if (!member)
			continue;
		if (coerce_child(child, member->shape, &instead) < 0)
			return -1;
		if (instead && json_object_set_new(object, key, instead) < 0)
			return -1;
	}
	return 0;
}

int shape_coerce_in_place(json_t *value, const struct shape *shape)
{
	if (shape->kind == SHAPE_LIST && json_is_array(value))
		return coerce_list(value, shape);
	if ((shape->kind == SHAPE_STRUCTURE || shape->kind == SHAPE_MAP) && json_is_object(value))
		return coerce_object(value, shape);
	return 0;
}

json_t *shape_coerce(const json_t *value, const struct shape *shape)
{
	json_t *copy;

	if (!json_is_object(value) && !json_is_array(value))
		return coerce_scalar(value, shape);
	copy = json_deep_copy(value);
	if (copy && shape_coerce_in_place(copy, shape) == 0)
		return copy;
	json_decref(copy);
	return NULL;
}
