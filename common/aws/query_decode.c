/*
 * A request's pairs -> its input document.  A slice is the run of sorted pairs that
 * share a name's beginning, so structures and lists are read without building a tree.  Types are
 * settled here; everything else that may be wrong with the document is validate.c's.
 */
#include <string.h>
#include <strings.h>

#include "common/aws/codec.h"
#include "common/aws/form.h"
#include "common/aws/shape_walk.h"
#include "common/aws/validate.h"
#include "common/base/clock.h"
#include "common/base/log.h"

enum { MAX_DEPTH = 32, MAX_INDEX_DIGITS = 6, SHOWN_MAX = 200 };

struct slice {
	const struct aws_form_pair *pairs; /* those that go on below this place */
	size_t n_pairs;
	const char *value; /* given to this very place; NULL if none */
	const char *name;  /* a pair's whole name; this place's is its first .. */
	size_t name_len;   /* .. name_len bytes */
	const char *segment;
	size_t segment_len; /* the last part of that */
};

struct decoder {
	const struct aws_model *model;
	struct aws_error *error;
	int depth;
};

static int decode_value(struct decoder *d, const struct slice *slice,
			const struct shape_member *member, json_t **value);

static int out_of_memory(struct decoder *d)
{
	aws_error_set(d->error, 500, "InternalFailure", "Out of memory");
	return -1;
}

static int malformed(struct decoder *d, const struct slice *slice, const char *why)
{
	bool is_ec2 = d->model->protocol == AWS_EC2_QUERY;

	aws_error_set(d->error, 400, is_ec2 ? "InvalidParameterValue" : "MalformedInput",
		      "Parameter %.*s: %s",
		      (int)(slice->name_len < SHOWN_MAX ? slice->name_len : SHOWN_MAX), slice->name,
		      why);
	return -1;
}

/* The next place below parent, starting at pair *at, which it moves on.  false: no more. */
static bool next_child(const struct slice *parent, size_t *at, struct slice *child)
{
	const struct aws_form_pair *first = &parent->pairs[*at];
	size_t offset = parent->name_len ? parent->name_len + 1 : 0;
	size_t n = 0;

	if (*at >= parent->n_pairs)
		return false;
	*child = (struct slice){.name = first->name, .segment = first->name + offset};
	child->segment_len = (size_t)(strchrnul(child->segment, '.') - child->segment);
	child->name_len = offset + child->segment_len;
	while (*at + n < parent->n_pairs &&
	       strncmp(first[n].name + offset, child->segment, child->segment_len) == 0 &&
	       (first[n].name[child->name_len] == '.' || first[n].name[child->name_len] == '\0'))
		n++;
	*at += n;
	child->pairs = first;
	child->n_pairs = n;
	if (first->name[child->name_len] == '\0') {
		child->value = first->value;
		child->pairs++;
		child->n_pairs--;
	}
	return true;
}

static bool is_segment(const struct slice *slice, const char *name)
{
	return strlen(name) == slice->segment_len &&
	       memcmp(name, slice->segment, slice->segment_len) == 0;
}

static bool is_index(const struct slice *slice)
{
	size_t len = slice->segment_len;

	return len > 0 && len <= MAX_INDEX_DIGITS && slice->segment[0] != '0' &&
	       strspn(slice->segment, "0123456789") == len;
}

static const struct shape_member *member_of(const struct shape *shape, const struct slice *slice)
{
	for (size_t i = 0; i < shape->n_members; i++) {
		if (is_segment(slice, shape->members[i].query_name))
			return &shape->members[i];
	}
	return NULL;
}

static int decode_structure(struct decoder *d, const struct slice *slice, const struct shape *shape,
			    json_t **value)
{
	json_t *object = json_object();
	struct slice child;

	for (size_t at = 0; object && next_child(slice, &at, &child);) {
		const struct shape_member *member = member_of(shape, &child);
		json_t *one = NULL;

		if (!member) {
			log_debug("parameter-unknown", "service=%s shape=%s name=%.*s",
				  d->model->service, shape->name, (int)child.segment_len,
				  child.segment);
			continue;
		}
		if (decode_value(d, &child, member, &one) < 0)
			goto fail;
		if (one && json_object_set_new(object, member->name, one) < 0)
			goto oom;
	}
	*value = object;
	return object ? 0 : out_of_memory(d);
oom:
	out_of_memory(d);
fail:
	json_decref(object);
	return -1;
}

/* Where the indexes of a list or map stand: below "member" or "entry", or, flattened, right here.
 */
static int find_indexes(struct decoder *d, const struct slice *slice, bool is_flattened,
			const char *name, struct slice *indexes)
{
	size_t at = 0;

	*indexes = *slice;
	if (is_flattened || slice->n_pairs == 0)
		return 0;
	if (!next_child(slice, &at, indexes) || !is_segment(indexes, name) ||
	    (indexes->value && *indexes->value) || at < slice->n_pairs)
		return malformed(d, indexes, "the start of a list or map was expected");
	return 0;
}

static int decode_list(struct decoder *d, const struct slice *slice, const struct shape *shape,
		       json_t **value)
{
	bool is_flattened = shape->is_flattened || d->model->protocol == AWS_EC2_QUERY;
	struct slice indexes, child;
	json_t *list;

	if (find_indexes(d, slice, is_flattened, shape->element.query_name, &indexes) < 0)
		return -1;
	list = json_array();
	for (size_t at = 0; list && next_child(&indexes, &at, &child);) {
		json_t *one = NULL;

		if (!is_index(&child)) {
			malformed(d, &child, "a list index from 1 to 999999 was expected");
			goto fail;
		}
		if (decode_value(d, &child, &shape->element, &one) < 0)
			goto fail;
		if (one && json_array_append_new(list, one) < 0)
			goto oom;
	}
	*value = list;
	return list ? 0 : out_of_memory(d);
oom:
	out_of_memory(d);
fail:
	json_decref(list);
	return -1;
}

/* "N.key" and "N.value" */
static int decode_entry(struct decoder *d, const struct slice *entry, const struct shape *shape,
			json_t *map)
{
	const char *key = NULL;
	json_t *value = NULL;
	struct slice child;

	for (size_t at = 0; next_child(entry, &at, &child);) {
		if (is_segment(&child, shape->key.query_name))
			key = child.value;
		else if (is_segment(&child, shape->element.query_name) &&
			 decode_value(d, &child, &shape->element, &value) < 0)
			return -1;
	}
	if (!key || !value) {
		json_decref(value);
		return malformed(d, entry, "a map entry needs a key and a value");
	}
	return json_object_set_new(map, key, value) < 0 ? out_of_memory(d) : 0;
}

static int decode_map(struct decoder *d, const struct slice *slice, const struct shape *shape,
		      json_t **value)
{
	struct slice indexes, child;
	json_t *map;

	if (find_indexes(d, slice, shape->is_flattened, "entry", &indexes) < 0)
		return -1;
	map = json_object();
	if (!map)
		return out_of_memory(d);
	for (size_t at = 0; next_child(&indexes, &at, &child);) {
		int rc = is_index(&child) ? decode_entry(d, &child, shape, map)
					  : malformed(d, &child, "a map index was expected");

		if (rc < 0) {
			json_decref(map);
			return -1;
		}
	}
	*value = map;
	return 0;
}

/*
 * SDKs and tools send members that they have no value for as "Name=".  That is a value only where
 * an empty text means something: list items, tag and attribute values, EC2's NoDevice, and texts
 * whose model says that they may be empty.
 */
static bool is_empty_a_value(const struct shape_member *member)
{
	const struct shape *shape = member->shape;
	static const char *const meaningful[] = {"Value", "value", "member", "item", "NoDevice"};

	if ((shape->kind != SHAPE_STRING && shape->kind != SHAPE_BLOB) || shape->enums)
		return false;
	if (shape->has_min && shape->min == 0)
		return true;
	for (size_t i = 0; i < sizeof(meaningful) / sizeof(meaningful[0]); i++) {
		if (strcmp(member->name, meaningful[i]) == 0)
			return true;
	}
	return false;
}

static json_t *decode_time(const char *text)
{
	char room[CLOCK_TEXT_MAX];
	int64_t unix_ms;

	if (clock_parse_iso(text, &unix_ms) < 0)
		return NULL;
	return json_string(unix_ms % 1000 ? clock_format_iso_ms(unix_ms, room)
					  : clock_format_iso(unix_ms, room));
}

static int decode_scalar(struct decoder *d, const struct slice *slice, const struct shape *shape,
			 json_t **value)
{
	const char *text = slice->value;
	long long whole;
	double number;

	switch (shape->kind) {
	case SHAPE_INTEGER:
	case SHAPE_LONG:
		if (!shape_parse_integer(text, shape->kind, &whole))
			return malformed(d, slice, "a whole number was expected");
		*value = json_integer(whole);
		break;
	case SHAPE_FLOAT:
	case SHAPE_DOUBLE:
		if (!shape_parse_double(text, &number))
			return malformed(d, slice, "a number was expected");
		*value = json_real(number);
		break;
	case SHAPE_BOOLEAN:
		if (strcasecmp(text, "true") != 0 && strcasecmp(text, "false") != 0)
			return malformed(d, slice, "true or false was expected");
		*value = json_boolean(strcasecmp(text, "true") == 0);
		break;
	case SHAPE_TIMESTAMP:
		*value = decode_time(text);
		if (!*value)
			return malformed(d, slice, "timestamp must follow ISO8601");
		break;
	case SHAPE_STRING:
	case SHAPE_BLOB:
		*value = json_string(text);
		break;
	case SHAPE_STRUCTURE:
	case SHAPE_LIST:
	case SHAPE_MAP:
		break;
	}
	return *value ? 0 : out_of_memory(d);
}

static int decode_compound(struct decoder *d, const struct slice *slice, const struct shape *shape,
			   json_t **value)
{
	int rc;

	if (slice->value && *slice->value)
		return malformed(d, slice, "a structure, list or map was expected");
	if (slice->n_pairs == 0)
		return 0; /* "Name=": nothing given */
	if (d->depth == MAX_DEPTH)
		return malformed(d, slice, "nested too deeply");
	d->depth++;
	if (shape->kind == SHAPE_STRUCTURE)
		rc = decode_structure(d, slice, shape, value);
	else if (shape->kind == SHAPE_LIST)
		rc = decode_list(d, slice, shape, value);
	else
		rc = decode_map(d, slice, shape, value);
	d->depth--;
	return rc;
}

/* *value stays NULL when nothing is given. */
static int decode_value(struct decoder *d, const struct slice *slice,
			const struct shape_member *member, json_t **value)
{
	const struct shape *shape = member->shape;

	if (shape->kind == SHAPE_STRUCTURE || shape->kind == SHAPE_LIST || shape->kind == SHAPE_MAP)
		return decode_compound(d, slice, shape, value);
	if (slice->n_pairs > 0 || !slice->value)
		return malformed(d, slice, "start of structure or map found where not expected");
	if (!*slice->value && !is_empty_a_value(member))
		return 0;
	return decode_scalar(d, slice, shape, value);
}

json_t *aws_request_decode(const struct aws_model *model, const struct aws_operation *operation,
			   const struct aws_form *form, struct aws_error *error)
{
	struct decoder d = {.model = model, .error = error};
	const struct slice top = {.pairs = form->pairs, .n_pairs = form->n_pairs, .name = ""};
	json_t *input = NULL;

	if (decode_structure(&d, &top, operation->input, &input) < 0)
		return NULL;
	if (aws_validate(model, operation->input, input, error) == 0)
		return input;
	json_decref(input);
	return NULL;
}
