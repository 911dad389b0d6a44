/*
 * Tables of attributes: every key with its default and what it may be.  The tables stand one a
 * file, attributes.c does the rest.
 */
#ifndef LB_API_ATTRIBUTE_TABLE_H
#define LB_API_ATTRIBUTE_TABLE_H

#include <jansson.h>
#include <stddef.h>

#include "lb/api/resource.h"

enum value_kind {
	VALUE_BOOL,
	VALUE_NUMBER, /* min..max */
	VALUE_WORD,   /* one of words */
	VALUE_OFF_OR_NUMBER,
	VALUE_ZERO_OR_NUMBER, /* 0 = off, or min..max */
	VALUE_TEXT,
	VALUE_FIXED,  /* only the default, until the feature is there */
	VALUE_HEADER, /* what AWS allows in a header that is inserted */
	VALUE_EDITS,  /* an extension: see header_edits.h; min is the kind of edit */
	VALUE_HTTPS,  /* for HTTPS listeners only, so for none yet; not listed */
};

struct attribute {
	const char *key, *value; /* value: the default */
	enum value_kind kind;
	long min, max;
	const char *words; /* separated by blanks, with one at both ends */
};

extern const struct attribute target_group_attributes[];
extern const size_t n_target_group_attributes;

/* What no single attribute tells: -1 with error when these (the changed ones, each valid on its
 * own) cannot be together.  arn: the target group's. */
MUST_CHECK int target_group_attributes_check(struct elb_api *api, const char *arn,
					     const json_t *changed, struct aws_error *error);

#endif
