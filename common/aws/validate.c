/*
 * What is wrong with an API request, in AWS's words: "1 validation error detected:
 * Value '..' at 'path' failed to satisfy constraint: .." from the Query services, MissingParameter
 * and InvalidParameterValue from EC2 (and the former from CloudWatch).
 */
#include "common/aws/validate.h"

#include <ctype.h>
#include <string.h>

#include "common/aws/shape_walk.h"
#include "common/base/buf.h"

enum { VALUE_SHOWN = 128, VIOLATIONS_SHOWN = 5 };

struct complaint {
	const struct aws_model *model;
	struct aws_error *error;
	struct buf text;
	int n;
};

/* "conditions.1.member.field": the way the Query services name a place. */
static void add_java_place(struct buf *text, const struct shape_place *place)
{
	const char *name;

	if (place->is_top)
		return;
	add_java_place(text, place->parent);
	if (text->len > 0)
		buf_add_char(text, '.');
	if (!place->member && !place->key) {
		buf_printf(text, "%zu.member", place->index + 1);
		return;
	}
	name = place->member ? place->member->name : place->key;
	buf_add_char(text, (char)tolower((unsigned char)name[0]));
	buf_add_str(text, name + 1);
}

/* "TagSpecification.1.Tag.2.Key" or "MetricData.member.1.Value": as the request spells it. */
static void add_wire_place(const struct aws_model *model, struct buf *text,
			   const struct shape_place *place)
{
	if (place->is_top)
		return;
	add_wire_place(model, text, place->parent);
	if (text->len > 0)
		buf_add_char(text, '.');
	if (place->member)
		buf_add_str(text, place->member->query_name);
	else if (place->key)
		buf_add_str(text, place->key);
	else
		buf_printf(text, "%s%zu", model->protocol == AWS_QUERY ? "member." : "",
			   place->index + 1);
}

static void add_value(struct buf *text, const json_t *value)
{
	char room[SHAPE_SCALAR_TEXT];
	size_t len;
	const char *scalar = value ? shape_scalar_text(value, room, &len) : NULL;
	char *dump;

	if (!value) {
		buf_add_str(text, "null");
		return;
	}
	buf_add_char(text, '\'');
	dump = scalar ? NULL : json_dumps(value, JSON_COMPACT);
	if (dump) {
		scalar = dump;
		len = strlen(dump);
	}
	if (scalar) {
		len = len < VALUE_SHOWN ? len : VALUE_SHOWN;
		while (len > 0 && ((unsigned char)scalar[len] & 0xC0) == 0x80)
			len--; /* cut between characters */
		buf_add(text, scalar, len);
	}
	buf_add_char(text, '\'');
	free(dump);
}

static void add_enums(struct buf *text, const struct shape *shape)
{
	buf_add_str(text, "Member must satisfy enum value set: [");
	for (size_t i = 0; shape->enums[i]; i++)
		buf_printf(text, "%s%s", i ? ", " : "", shape->enums[i]);
	buf_add_char(text, ']');
}

static void add_bound(struct buf *text, const struct shape_violation *v)
{
	bool is_number = v->shape->kind == SHAPE_INTEGER || v->shape->kind == SHAPE_LONG ||
			 v->shape->kind == SHAPE_FLOAT || v->shape->kind == SHAPE_DOUBLE;
	bool is_min = v->fault == FAULT_MIN;

	buf_printf(text, "Member must have %s %s than or equal to %.15g",
		   is_number ? "value" : "length", is_min ? "greater" : "less",
		   is_min ? v->shape->min : v->shape->max);
}

static void add_constraint(struct buf *text, const struct shape_violation *v)
{
	switch (v->fault) {
	case FAULT_REQUIRED:
		buf_add_str(text, "Member must not be null");
		break;
	case FAULT_MIN:
	case FAULT_MAX:
		add_bound(text, v);
		break;
	case FAULT_ENUM:
		add_enums(text, v->shape);
		break;
	case FAULT_PATTERN:
		buf_printf(text, "Member must satisfy regular expression pattern: %s",
			   v->shape->pattern);
		break;
	case FAULT_UNSUPPORTED:
		buf_add_str(text, "Member is not supported by this endpoint");
		break;
	case FAULT_TYPE:
	case FAULT_UNKNOWN:
	case FAULT_DEEP:
		buf_add_str(text, "Member must be of the right type");
		break;
	}
}

static bool complain_query(struct complaint *c, const struct shape_violation *v)
{
	struct buf place = {0};

	add_java_place(&place, v->place);
	c->n++;
	if (c->n <= VIOLATIONS_SHOWN) {
		buf_add_str(&c->text, c->n > 1 ? "; Value " : "Value ");
		add_value(&c->text, v->value);
		buf_printf(&c->text, " at '%s' failed to satisfy constraint: ", buf_text(&place));
		add_constraint(&c->text, v);
	}
	buf_fini(&place);
	return true;
}

static bool complain_missing(struct complaint *c, const struct shape_violation *v)
{
	bool is_ec2 = c->model->protocol == AWS_EC2_QUERY;
	struct buf place = {0};

	add_wire_place(c->model, &place, v->place);
	aws_error_set(c->error, 400, "MissingParameter",
		      is_ec2 ? "The request must contain the parameter %s"
			     : "The parameter %s is required.",
		      buf_text(&place));
	c->n++;
	buf_fini(&place);
	return false;
}

static bool complain_ec2(struct complaint *c, const struct shape_violation *v)
{
	struct buf place = {0}, value = {0}, why = {0};

	add_wire_place(c->model, &place, v->place);
	add_value(&value, v->value);
	if (v->fault != FAULT_ENUM) /* hundreds of names, often */
		add_constraint(&why, v);
	if (value.len >= 2) /* EC2 puts the value in brackets, not in quotes */
		value.data[value.len - 1] = '\0';
	aws_error_set(c->error, 400, "InvalidParameterValue",
		      "Value (%s) for parameter %s is invalid.%s%s",
		      buf_text(&value) + (value.len > 0), buf_text(&place), why.len ? " " : "",
		      buf_text(&why));
	c->n++;
	buf_fini(&place);
	buf_fini(&value);
	buf_fini(&why);
	return false;
}

static bool on_violation(void *arg, const struct shape_violation *violation)
{
	struct complaint *c = arg;
	bool is_ec2 = c->model->protocol == AWS_EC2_QUERY;

	if (violation->fault == FAULT_UNKNOWN)
		return true; /* newer clients know members that our tables do not */
	if (violation->fault == FAULT_REQUIRED &&
	    (is_ec2 || strcmp(c->model->service, "monitoring") == 0))
		return complain_missing(c, violation);
	return is_ec2 ? complain_ec2(c, violation) : complain_query(c, violation);
}

int aws_validate(const struct aws_model *model, const struct shape *shape, const json_t *input,
		 struct aws_error *error)
{
	struct complaint complaint = {.model = model, .error = error};
	const struct shape_walk walk = {.fn = on_violation, .arg = &complaint};

	if (shape_walk(&walk, input, shape) && complaint.n > 0)
		aws_error_set(error, 400, "ValidationError", "%d validation error%s detected: %s",
			      complaint.n, complaint.n == 1 ? "" : "s", buf_text(&complaint.text));
	buf_fini(&complaint.text);
	return complaint.n > 0 ? -1 : 0;
}
