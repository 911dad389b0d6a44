/*
 * Filters of the EC2 Describe actions: AND over filters, OR over a filter's values, `*` and `?`
 * as wildcards.  What a filter name means is data: a table from name to the place in the document.
 * Pure; control thread.
 */
#ifndef LAB_EC2_FILTER_H
#define LAB_EC2_FILTER_H

#include <jansson.h>
#include <stdbool.h>

#include "common/aws/codec.h"

/*
 * A filter's name and the path of the members it looks at: "SecurityGroups.GroupId" goes through
 * lists by itself.  Names are compared without `-` and case (clients write both is-default and
 * isDefault).  tag:KEY and tag-key need no entry.  A table ends in {NULL, NULL}.
 */
struct filter_field {
	const char *name;
	const char *path;
};

/* Every name known?  Otherwise -1 with InvalidParameterValue. filters may be NULL. */
MUST_CHECK int filter_check(const json_t *filters, const struct filter_field *fields,
			    struct aws_error *error);

/* Does the document pass all filters?  filters must have been checked; NULL passes all. */
bool filter_match(const json_t *filters, const struct filter_field *fields, const json_t *document);

/* Is any scalar at path, as in struct filter_field, this text? */
bool filter_path_is(const json_t *document, const char *path, const char *text);

/* `*` any run, `?` any one character, `\` takes the next one literally. */
bool filter_wildcard(const char *pattern, const char *text);

/* AWS's two spellings of names: equal but for `-` and case? */
bool filter_name_equal(const char *a, const char *b);

#endif
