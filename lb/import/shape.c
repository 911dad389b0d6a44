/* See shape.h: what all nouns share. */
#include "lb/import/shape.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/doc/doc.h"

void shape_note(json_t *notes, const char *path, const char *format, ...)
{
	struct buf text = {0};
	char line[1024];
	va_list args;

	if (!notes)
		return;
	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	buf_printf(&text, "%s: %s", path, line);
	json_array_append_new(notes, json_string(buf_text(&text)));
	buf_fini(&text);
}

static const struct file_member *find(const struct file_member *table, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++) {
		if (strcmp(table[i].name, name) == 0)
			return &table[i];
	}
	return NULL;
}

static bool is_empty(const json_t *value)
{
	return json_is_null(value) || (json_is_array(value) && json_array_size(value) == 0) ||
	       (json_is_object(value) && json_object_size(value) == 0) ||
	       (json_is_string(value) && json_string_length(value) == 0);
}

static bool is_default(const struct file_member *member, const json_t *value)
{
	json_t *otherwise;
	bool is_same;

	if (is_empty(value))
		return true;
	if (!member->otherwise)
		return false;
	otherwise = json_loads(member->otherwise, JSON_DECODE_ANY, NULL);
	CHECK(otherwise);
	is_same = json_equal(otherwise, value) ||
		  (json_is_number(value) && json_is_number(otherwise) &&
		   json_number_value(value) == json_number_value(otherwise));
	json_decref(otherwise);
	return is_same;
}

static void note_lost(const json_t *described, const struct file_member *table, size_t n,
		      const char *path, json_t *notes)
{
	const char *name;
	json_t *value;

	json_object_foreach ((json_t *)described, name, value) {
		const struct file_member *member = find(table, n, name);

		bool is_lost = member ? member->fate == MEMBER_LOST && !is_default(member, value)
				      : !is_empty(value);

		if (is_lost)
			shape_note(notes, path, "%s is not kept: a file does not hold it", name);
	}
}

json_t *shape_object(const json_t *described, const struct file_member *table, size_t n,
		     const char *path, json_t *notes)
{
	json_t *object = json_object();

	for (size_t i = 0; i < n; i++) {
		json_t *value = json_object_get(described, table[i].name);

		if (!value || table[i].fate == MEMBER_COMPUTED || table[i].fate == MEMBER_LOST ||
		    is_default(&table[i], value))
			continue;
		json_object_set_new(object, table[i].name, json_deep_copy(value));
		if (table[i].fate == MEMBER_INERT)
			shape_note(notes, path, "%s is kept, but has no effect", table[i].name);
	}
	note_lost(described, table, n, path, notes);
	return object;
}

json_t *shape_sorted(json_t *list, int (*compare)(const void *, const void *))
{
	size_t n = json_array_size(list);
	json_t **items = calloc(n + 1, sizeof(*items));
	json_t *sorted = json_array();

	CHECK(items && sorted);
	for (size_t i = 0; i < n; i++)
		items[i] = json_array_get(list, i);
	qsort(items, n, sizeof(*items), compare);
	for (size_t i = 0; i < n; i++)
		json_array_append(sorted, items[i]);
	free(items);
	json_decref(list);
	return sorted;
}

static int by_key(const void *a, const void *b)
{
	return strcmp(doc_str(*(json_t *const *)a, "Key", ""),
		      doc_str(*(json_t *const *)b, "Key", ""));
}

json_t *shape_tags(const json_t *tags, const char *path, json_t *notes)
{
	json_t *list = json_array();
	const json_t *tag;
	size_t i;

	json_array_foreach (tags, i, tag) {
		json_t *copy;

		if (strncmp(doc_str(tag, "Key", ""), "aws:", 4) == 0) {
			shape_note(notes, path, "the tag '%.128s' is not kept: it is AWS's own",
				   doc_str(tag, "Key", ""));
			continue;
		}
		copy = json_pack("{s:s,s:s}", "Key", doc_str(tag, "Key", ""), "Value",
				 doc_str(tag, "Value", ""));
		if (doc_has(tag, "PropagateAtLaunch"))
			json_object_set(copy, "PropagateAtLaunch",
					json_object_get(tag, "PropagateAtLaunch"));
		json_array_append_new(list, copy);
	}
	return shape_sorted(list, by_key);
}

void shape_put(json_t *object, const char *member, json_t *list)
{
	if (json_array_size(list) > 0 || json_object_size(list) > 0)
		json_object_set(object, member, list);
	json_decref(list);
}

json_t *shape_names(const json_t *found)
{
	json_t *names = json_object();
	const json_t *item, *described;
	size_t i;

	json_array_foreach (doc_array(found, "TargetGroups"), i, item) {
		described = doc_object(item, "Described");
		json_object_set(names, doc_str(described, "TargetGroupArn", ""),
				json_object_get(described, "TargetGroupName"));
	}
	json_array_foreach (doc_array(found, "ScalingPolicies"), i, item)
		json_object_set(names, doc_str(item, "PolicyARN", ""),
				json_object_get(item, "PolicyName"));
	return names;
}

void shape_rename(json_t *object, const char *member, const json_t *names)
{
	json_t *name = json_object_get(names, doc_str(object, member, ""));

	if (name)
		json_object_set(object, member, name);
}
