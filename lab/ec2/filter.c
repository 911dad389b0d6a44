/* See filter.h. */
#include "lab/ec2/filter.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/doc/doc.h"

static const char *skip_dashes(const char *text)
{
	while (*text == '-')
		text++;
	return text;
}

bool filter_name_equal(const char *a, const char *b)
{
	for (;;) {
		a = skip_dashes(a);
		b = skip_dashes(b);
		if (tolower((unsigned char)*a) != tolower((unsigned char)*b))
			return false;
		if (*a == '\0')
			return true;
		a++;
		b++;
	}
}

bool filter_wildcard(const char *pattern, const char *text)
{
	const char *star = NULL, *retry = NULL;

	/* Only the last star is ever retried: linear in practice, quadratic at worst. */
	while (*text != '\0') {
		if (*pattern == '*') {
			star = ++pattern;
			retry = text;
			continue;
		}
		if (*pattern == '\\' && pattern[1] == *text) {
			pattern += 2;
			text++;
			continue;
		}
		if (*pattern == '?' || (*pattern == *text && *pattern != '\\')) {
			pattern++;
			text++;
			continue;
		}
		if (star == NULL)
			return false;
		pattern = star;
		text = ++retry;
	}
	while (*pattern == '*')
		pattern++;
	return *pattern == '\0';
}

static const struct filter_field *find_field(const struct filter_field *fields, const char *name)
{
	for (; fields->name != NULL; fields++)
		if (filter_name_equal(fields->name, name))
			return fields;
	return NULL;
}

static bool is_tag_filter(const char *name)
{
	return strncmp(name, "tag:", 4) == 0 || strcmp(name, "tag-key") == 0 ||
	       strcmp(name, "tag-value") == 0;
}

int filter_check(const json_t *filters, const struct filter_field *fields, struct aws_error *error)
{
	const json_t *filter;
	size_t i;

	json_array_foreach (filters, i, filter) {
		const char *name = doc_str(filter, "Name", "");

		if (*name == '\0') {
			aws_error_set(error, 400, "InvalidParameterValue",
				      "A filter must have a name");
			return -1;
		}
		if (!is_tag_filter(name) && find_field(fields, name) == NULL) {
			aws_error_set(error, 400, "InvalidParameterValue",
				      "The filter '%s' is invalid", name);
			return -1;
		}
	}
	return 0;
}

enum { NUMBER_MAX = 32 };

/* A scalar as filters spell it; NULL for what is none. */
static const char *scalar_text(const json_t *value, char number[NUMBER_MAX])
{
	if (json_is_string(value))
		return json_string_value(value);
	if (json_is_boolean(value))
		return json_is_true(value) ? "true" : "false";
	if (!json_is_integer(value))
		return NULL;
	snprintf(number, NUMBER_MAX, "%" PRId64, (int64_t)json_integer_value(value));
	return number;
}

/* Does a scalar's text pass?  Either one wanted text or the values of a filter. */
struct wanted {
	const char *text;     /* NULL: patterns */
	const json_t *values; /* patterns, one of which must match */
};

static bool scalar_matches(const json_t *value, const struct wanted *wanted)
{
	char number[NUMBER_MAX];
	const char *text = scalar_text(value, number);
	const json_t *one;
	size_t i;

	if (text == NULL)
		return false;
	if (wanted->text != NULL)
		return strcmp(text, wanted->text) == 0;
	json_array_foreach (wanted->values, i, one) {
		if (filter_wildcard(json_string_value(one), text))
			return true;
	}
	return false;
}

/* Any scalar at path below value; lists on the way are gone through. */
static bool path_matches(const json_t *value, const char *path, const struct wanted *wanted)
{
	char member[64];
	size_t len;

	if (json_is_array(value)) {
		const json_t *element;
		size_t i;

		json_array_foreach (value, i, element) {
			if (path_matches(element, path, wanted))
				return true;
		}
		return false;
	}
	if (*path == '\0')
		return scalar_matches(value, wanted);
	len = strcspn(path, ".");
	CHECK(len < sizeof(member));
	memcpy(member, path, len);
	member[len] = '\0';
	value = json_object_get(value, member);
	return value != NULL && path_matches(value, path + len + (path[len] == '.'), wanted);
}

bool filter_path_is(const json_t *document, const char *path, const char *text)
{
	return path_matches(document, path, &(struct wanted){.text = text});
}

static bool tag_matches(const json_t *tags, const char *name, const struct wanted *wanted)
{
	const json_t *tag;
	size_t i;

	if (strcmp(name, "tag-key") == 0)
		return path_matches(tags, "Key", wanted);
	if (strcmp(name, "tag-value") == 0)
		return path_matches(tags, "Value", wanted);
	json_array_foreach (tags, i, tag) {
		if (strcmp(doc_str(tag, "Key", ""), name + strlen("tag:")) == 0)
			return scalar_matches(json_object_get(tag, "Value"), wanted);
	}
	return false;
}

bool filter_match(const json_t *filters, const struct filter_field *fields, const json_t *document)
{
	const json_t *filter;
	size_t i;

	json_array_foreach (filters, i, filter) {
		const char *name = doc_str(filter, "Name", "");
		const struct wanted wanted = {.values = doc_array(filter, "Values")};
		const struct filter_field *field = find_field(fields, name);
		bool is_match;

		/* A resource's own field of that name comes first: DescribeTags has none of tag:.
		 */
		if (field != NULL)
			is_match = path_matches(document, field->path, &wanted);
		else
			is_match = tag_matches(doc_array(document, "Tags"), name, &wanted);
		if (!is_match)
			return false;
	}
	return true;
}
