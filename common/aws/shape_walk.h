/*
 * The one place that decides whether a JSON value conforms to a shape.  It finds
 * what is wrong and where; in which words that is told (to the writer of a file, or in an
 * API's error) is the callers' matter: shape_check.c, validate.c.  Pure.
 */
#ifndef COMMON_AWS_SHAPE_WALK_H
#define COMMON_AWS_SHAPE_WALK_H

#include "common/aws/shapes.h"

enum shape_fault {
	FAULT_TYPE,
	FAULT_REQUIRED,    /* place ends in the missing member; value is NULL */
	FAULT_UNSUPPORTED, /* place ends in the member */
	FAULT_UNKNOWN,     /* place ends in the key; shape is the structure */
	FAULT_MIN,         /* value, length or number of items below shape->min */
	FAULT_MAX,
	FAULT_ENUM,
	FAULT_PATTERN,
	FAULT_DEEP, /* nested beyond SHAPE_MAX_DEPTH */
};

enum { SHAPE_MAX_DEPTH = 48, SHAPE_SCALAR_TEXT = 64 };

/* One step of the way from the top to the value; the steps above hang on parent. */
struct shape_place {
	const struct shape_place *parent;
	const struct shape *structure;     /* that member belongs to; NULL in lists and maps */
	const struct shape_member *member; /* a structure's member */
	const char *key;                   /* a map's or an unknown key */
	size_t index;                      /* a list's, from 0; when member and key are NULL */
	bool is_top;
};

struct shape_violation {
	enum shape_fault fault;
	const struct shape_place *place;
	const struct shape *shape;
	const json_t *value;
};

/* Returns false to stop the walk. */
typedef bool (*shape_violation_fn)(void *arg, const struct shape_violation *violation);

struct shape_walk {
	bool is_lenient;     /* scalars may stand as other scalars */
	bool is_arn_or_name; /* patterns of ...Arn members are not enforced */
	shape_violation_fn fn;
	void *arg;
};

/* false if fn stopped it. */
bool shape_walk(const struct shape_walk *walk, const json_t *value, const struct shape *shape);

/* A scalar as text: a string as it is, others written into room.  NULL for arrays and objects. */
const char *shape_scalar_text(const json_t *value, char room[SHAPE_SCALAR_TEXT], size_t *len);

/* Code points in UTF-8 text. */
size_t shape_text_length(const char *text, size_t len);

/* Does the name end in Arn, ARN, Arns or ARNs? */
bool shape_is_arn_name(const char *name);

/* Decimal text, all of it, in range of kind (INTEGER or LONG).  false if it is not. */
bool shape_parse_integer(const char *text, enum shape_kind kind, long long *number);
bool shape_parse_double(const char *text, double *number);

/* "%.17g" at its shortest, without exponent, always with a point ("50.0"). */
void shape_format_double(double number, char room[], size_t size);

#endif
