/*
 * The service models: names, types, required members, ranges, patterns and wire
 * encodings of the actions we support, extracted from botocore's models by
 * tools/shapes.py into common/aws/shapes/SERVICE.json, embedded in the binaries and
 * loaded here once.  Data only: how bytes become JSON is codec.h.  Immutable after load; any
 * thread.
 */
#ifndef COMMON_AWS_SHAPES_H
#define COMMON_AWS_SHAPES_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/err.h"

enum shape_kind {
	SHAPE_STRUCTURE,
	SHAPE_LIST,
	SHAPE_MAP,
	SHAPE_STRING,
	SHAPE_INTEGER,
	SHAPE_LONG,
	SHAPE_FLOAT,
	SHAPE_DOUBLE,
	SHAPE_BOOLEAN,
	SHAPE_TIMESTAMP, /* in JSON documents: a string, ISO 8601 with Z */
	SHAPE_BLOB,      /* in JSON documents: base64 text */
};

struct shape;
struct shape_regex; /* shape_regex.h */

struct shape_member {
	const char *name;       /* the model's (and our JSON's) name */
	const char *query_name; /* on the wire in requests */
	const char *xml_name;   /* on the wire in responses */
	bool is_required;
	bool is_unsupported; /* AWS knows it, we do not: refused where it is given */
	const struct shape *shape;
};

struct shape {
	const char *name;
	enum shape_kind kind;
	bool has_min, has_max; /* characters, items or value, by kind */
	double min, max;
	const char *pattern;                /* NULL when none; PCRE syntax */
	const char *const *enums;           /* NULL-terminated, or NULL */
	const struct shape_member *members; /* structure */
	size_t n_members;
	struct shape_member element; /* list: xml_name is "member" or "item"; map: the value */
	struct shape_member key;     /* map */
	bool is_flattened;
	struct shape_regex *regex; /* of pattern; compiled at first use; NULL when none */
};

struct aws_operation {
	const char *name;
	const struct shape *input;  /* never NULL; may have no members */
	const struct shape *output; /* NULL: the answer has no Result element */
};

/* The code on the wire is not always the exception's name. */
struct aws_error_shape {
	const char *name; /* "LoadBalancerNotFoundException" */
	const char *code; /* "LoadBalancerNotFound" */
	int http_status;
};

enum aws_protocol { AWS_QUERY, AWS_EC2_QUERY, AWS_JSON };

struct aws_model {
	const char *service; /* SigV4 scope name: "elasticloadbalancing", "autoscaling",
				"monitoring", "ec2", "sts", .. */
	const char *version; /* "2015-12-01" */
	const char *xml_namespace;
	enum aws_protocol protocol;
	const char *target;           /* prefix of X-Amz-Target: "CertificateManager"; "" = none */
	const char *json_type;        /* the JSON protocol's media type; "" = not spoken */
	const char *smithy_namespace; /* "com.amazonaws.cloudwatch"; "" = no CBOR */
	const struct aws_operation *operations; /* sorted by name */
	size_t n_operations;
	const struct aws_error_shape *errors; /* sorted by name */
	size_t n_errors;
};

/* Loaded on first use and kept until exit; NULL with err for an unknown service. */
const struct aws_model *aws_model(const char *service, struct err *err);
const struct aws_operation *aws_operation_find(const struct aws_model *model, const char *name);
/* Any shape of the model by its name, for validating configuration; NULL if the table lacks it. */
const struct shape *aws_shape_find(const struct aws_model *model, const char *name);
const struct shape_member *shape_member_find(const struct shape *structure, const char *name);
/* By the exception's name or the wire code; NULL if the model lacks it. */
const struct aws_error_shape *aws_error_find(const struct aws_model *model, const char *name);

/*
 * Does value conform to shape?  Types, required members, unknown members (with did-you-mean),
 * ranges, lengths, enums, patterns.  err: "Listeners[0].Port: 70000 is not in 1..65535" with path
 * in front.  is_lenient (hand-written files): numbers and booleans may stand as strings and the
 * other way round; shape_coerce() then gives each its own type.  Patterns are not enforced on
 * members named ...Arn or ...Arns, where a file may give a name.  JSON null stands for absent.
 */
MUST_CHECK int shape_check(const json_t *value, const struct shape *shape, const char *path,
			   bool is_lenient, struct err *err);

/*
 * A deep copy of a value that conforms (leniently), every scalar in its shape's own JSON type
 * (HttpCode: 200 becomes "200"), nulls left out, timestamps as ISO 8601 with Z.  New reference;
 * NULL without memory.
 */
MUST_CHECK json_t *shape_coerce(const json_t *value, const struct shape *shape);
/* The same in the document itself, which must be an object or an array and may be half done when
 * there is no memory (-1). */
MUST_CHECK int shape_coerce_in_place(json_t *value, const struct shape *shape);

#endif
