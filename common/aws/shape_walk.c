/* Walks a JSON value along its shape and reports every violation. */
#include "common/aws/shape_walk.h"

#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/aws/shape_regex.h"
#include "common/base/clock.h"

struct step {
	const struct shape_walk *walk;
	int depth;
};

static bool walk_value(struct step step, const json_t *value, const struct shape *shape,
		       const struct shape_place *place);

static bool report(const struct shape_walk *walk, enum shape_fault fault,
		   const struct shape_place *place, const struct shape *shape, const json_t *value)
{
	const struct shape_violation violation = {fault, place, shape, value};

	return walk->fn(walk->arg, &violation);
}

size_t shape_text_length(const char *text, size_t len)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++)
		n += ((unsigned char)text[i] & 0xC0) != 0x80;
	return n;
}

bool shape_is_arn_name(const char *name)
{
	static const char *const ends[] = {"Arn", "ARN", "Arns", "ARNs"};
	size_t len = strlen(name);

	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		size_t n = strlen(ends[i]);

		if (len >= n && strcmp(name + len - n, ends[i]) == 0)
			return true;
	}
	return false;
}

bool shape_parse_integer(const char *text, enum shape_kind kind, long long *number)
{
	char *end;
	size_t digits = strspn(text + (*text == '-' || *text == '+'), "0123456789");

	if (digits == 0 || strlen(text) > 24)
		return false;
	errno = 0;
	*number = strtoll(text, &end, 10);
	if (*end || errno)
		return false;
	return kind == SHAPE_LONG || (*number >= INT32_MIN && *number <= INT32_MAX);
}

bool shape_parse_double(const char *text, double *number)
{
	char *end;

	if (text[strspn(text, "+-.0123456789eE")] || strpbrk(text, "0123456789") == NULL)
		return false;
	*number = strtod(text, &end);
	return *end == '\0' && isfinite(*number);
}

void shape_format_double(double number, char room[], size_t size)
{
	int digits = 1, exponent;

	for (; digits < DBL_DECIMAL_DIG; digits++) {
		snprintf(room, size, "%.*e", digits - 1, number);
		if (strtod(room, NULL) == number)
			break;
	}
	snprintf(room, size, "%.*e", digits - 1, number);
	exponent = atoi(strchr(room, 'e') + 1);
	digits = digits - 1 - exponent;
	snprintf(room, size, "%.*f", digits > 0 ? digits : 1, number);
}

/* As short as reads back the same: 0.1 and not 0.10000000000000001. */
static void format_real(double number, char room[SHAPE_SCALAR_TEXT])
{
	for (int digits = 1; digits <= DBL_DECIMAL_DIG; digits++) {
		snprintf(room, SHAPE_SCALAR_TEXT, "%.*g", digits, number);
		if (strtod(room, NULL) == number)
			return;
	}
}

const char *shape_scalar_text(const json_t *value, char room[SHAPE_SCALAR_TEXT], size_t *len)
{
	const char *text = room;

	if (json_is_string(value)) {
		*len = json_string_length(value);
		return json_string_value(value);
	}
	if (json_is_boolean(value))
		text = json_is_true(value) ? "true" : "false";
	else if (json_is_integer(value))
		snprintf(room, SHAPE_SCALAR_TEXT, "%lld", (long long)json_integer_value(value));
	else if (json_is_real(value))
		format_real(json_real_value(value), room);
	else
		return NULL;
	*len = strlen(text);
	return text;
}

static bool in_enums(const struct shape *shape, const char *text)
{
	for (const char *const *name = shape->enums; *name; name++) {
		if (strcmp(*name, text) == 0)
			return true;
	}
	return false;
}

static bool walk_bounds(struct step step, double size, const json_t *value,
			const struct shape *shape, const struct shape_place *place)
{
	if (shape->has_min && size < shape->min &&
	    !report(step.walk, FAULT_MIN, place, shape, value))
		return false;
	if (shape->has_max && size > shape->max &&
	    !report(step.walk, FAULT_MAX, place, shape, value))
		return false;
	return true;
}

/* In a list of ARNs the name to look at is the list's. */
static bool is_arn_place(const struct shape_place *place)
{
	while (!place->is_top && !place->member && !place->key)
		place = place->parent;
	return place->member && shape_is_arn_name(place->member->name);
}

static bool walk_text(struct step step, const json_t *value, const struct shape *shape,
		      const struct shape_place *place)
{
	const struct shape_walk *walk = step.walk;
	char room[SHAPE_SCALAR_TEXT];
	size_t len;
	const char *text = shape_scalar_text(value, room, &len);
	bool is_arn = walk->is_arn_or_name && is_arn_place(place);

	if (!text || (!walk->is_lenient && !json_is_string(value)))
		return report(walk, FAULT_TYPE, place, shape, value);
	if (shape->enums && !in_enums(shape, text))
		return report(walk, FAULT_ENUM, place, shape, value);
	if (!is_arn &&
	    !walk_bounds(step, (double)shape_text_length(text, len), value, shape, place))
		return false;
	if (shape->regex && !is_arn && !shape_regex_matches(shape->regex, text, len))
		return report(walk, FAULT_PATTERN, place, shape, value);
	return true;
}

static bool walk_number(struct step step, const json_t *value, const struct shape *shape,
			const struct shape_place *place)
{
	bool is_whole = shape->kind == SHAPE_INTEGER || shape->kind == SHAPE_LONG;
	bool is_text = step.walk->is_lenient && json_is_string(value);
	double number = json_number_value(value);
	long long whole = json_is_integer(value) ? json_integer_value(value) : 0;
	bool is_good = is_whole ? json_is_integer(value) : json_is_number(value);

	if (is_text && is_whole) {
		is_good = shape_parse_integer(json_string_value(value), SHAPE_LONG, &whole);
		number = (double)whole;
	} else if (is_text) {
		is_good = shape_parse_double(json_string_value(value), &number);
	}
	if (shape->kind == SHAPE_INTEGER && !shape->has_max)
		is_good = is_good && whole >= INT32_MIN && whole <= INT32_MAX;
	if (!is_good)
		return report(step.walk, FAULT_TYPE, place, shape, value);
	return walk_bounds(step, number, value, shape, place);
}

static bool is_boolean(const struct shape_walk *walk, const json_t *value)
{
	if (json_is_boolean(value))
		return true;
	return walk->is_lenient && json_is_string(value) &&
	       (strcasecmp(json_string_value(value), "true") == 0 ||
		strcasecmp(json_string_value(value), "false") == 0);
}

static bool walk_members(struct step step, const json_t *value, const struct shape *shape,
			 const struct shape_place *place)
{
	for (size_t i = 0; i < shape->n_members; i++) {
		const struct shape_member *member = &shape->members[i];
		const json_t *child = json_object_get(value, member->name);
		const struct shape_place at = {
		    .parent = place, .structure = shape, .member = member};

		if (child && !json_is_null(child)) {
			if (member->is_unsupported &&
			    !report(step.walk, FAULT_UNSUPPORTED, &at, member->shape, child))
				return false;
			if (!walk_value(step, child, member->shape, &at))
				return false;
		} else if (member->is_required &&
			   !report(step.walk, FAULT_REQUIRED, &at, member->shape, NULL)) {
			return false;
		}
	}
	return true;
}

static bool walk_structure(struct step step, const json_t *value, const struct shape *shape,
			   const struct shape_place *place)
{
	const char *key;
	json_t *child;

	if (!json_is_object(value))
		return report(step.walk, FAULT_TYPE, place, shape, value);
	json_object_foreach ((json_t *)value, key, child) {
		const struct shape_place at = {.parent = place, .key = key};

		if (!shape_member_find(shape, key) &&
		    !report(step.walk, FAULT_UNKNOWN, &at, shape, child))
			return false;
	}
	return walk_members(step, value, shape, place);
}

static bool walk_list(struct step step, const json_t *value, const struct shape *shape,
		      const struct shape_place *place)
{
	size_t i;
	json_t *child;

	if (!json_is_array(value))
		return report(step.walk, FAULT_TYPE, place, shape, value);
	if (!walk_bounds(step, (double)json_array_size(value), value, shape, place))
		return false;
	json_array_foreach (value, i, child) {
		const struct shape_place at = {.parent = place, .index = i};

		if (!walk_value(step, child, shape->element.shape, &at))
			return false;
	}
	return true;
}

static bool walk_map(struct step step, const json_t *value, const struct shape *shape,
		     const struct shape_place *place)
{
	const char *key;
	json_t *child;

	if (!json_is_object(value))
		return report(step.walk, FAULT_TYPE, place, shape, value);
	if (!walk_bounds(step, (double)json_object_size(value), value, shape, place))
		return false;
	json_object_foreach ((json_t *)value, key, child) {
		const struct shape_place at = {.parent = place, .key = key};

		if (!walk_value(step, child, shape->element.shape, &at))
			return false;
	}
	return true;
}

static bool walk_scalar(struct step step, const json_t *value, const struct shape *shape,
			const struct shape_place *place)
{
	int64_t unix_ms;

	if (shape->kind == SHAPE_STRING || shape->kind == SHAPE_BLOB)
		return walk_text(step, value, shape, place);
	if (shape->kind == SHAPE_BOOLEAN && is_boolean(step.walk, value))
		return true;
	if (shape->kind == SHAPE_TIMESTAMP && json_is_string(value) &&
	    clock_parse_iso(json_string_value(value), &unix_ms) == 0)
		return true;
	if (shape->kind == SHAPE_BOOLEAN || shape->kind == SHAPE_TIMESTAMP)
		return report(step.walk, FAULT_TYPE, place, shape, value);
	return walk_number(step, value, shape, place);
}

static bool walk_value(struct step step, const json_t *value, const struct shape *shape,
		       const struct shape_place *place)
{
	if (++step.depth > SHAPE_MAX_DEPTH)
		return report(step.walk, FAULT_DEEP, place, shape, value);
	if (shape->kind == SHAPE_STRUCTURE)
		return walk_structure(step, value, shape, place);
	if (shape->kind == SHAPE_LIST)
		return walk_list(step, value, shape, place);
	if (shape->kind == SHAPE_MAP)
		return walk_map(step, value, shape, place);
	return walk_scalar(step, value, shape, place);
}

bool shape_walk(const struct shape_walk *walk, const json_t *value, const struct shape *shape)
{
	const struct shape_place top = {.is_top = true};
	struct step step = {.walk = walk};

	return walk_value(step, value, shape, &top);
}
