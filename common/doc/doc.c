/* See doc.h: readers and Key/Value lists.  Any thread, on documents that it owns or only reads. */
#include "common/doc/doc.h"

#include <string.h>

const char *doc_str(const json_t *object, const char *member, const char *otherwise)
{
	const json_t *value = json_object_get(object, member);

	return json_is_string(value) ? json_string_value(value) : otherwise;
}

int64_t doc_int(const json_t *object, const char *member, int64_t otherwise)
{
	const json_t *value = json_object_get(object, member);

	return json_is_integer(value) ? json_integer_value(value) : otherwise;
}

double doc_num(const json_t *object, const char *member, double otherwise)
{
	const json_t *value = json_object_get(object, member);

	return json_is_number(value) ? json_number_value(value) : otherwise;
}

bool doc_bool(const json_t *object, const char *member, bool otherwise)
{
	const json_t *value = json_object_get(object, member);

	return json_is_boolean(value) ? json_is_true(value) : otherwise;
}

json_t *doc_array(const json_t *object, const char *member)
{
	json_t *value = json_object_get(object, member);

	return json_is_array(value) ? value : NULL;
}

json_t *doc_object(const json_t *object, const char *member)
{
	json_t *value = json_object_get(object, member);

	return json_is_object(value) ? value : NULL;
}

bool doc_has(const json_t *object, const char *member)
{
	const json_t *value = json_object_get(object, member);

	return value != NULL && !json_is_null(value);
}

bool doc_list_has(const json_t *array, const char *text)
{
	const json_t *item;
	size_t i;

	json_array_foreach (array, i, item) {
		if (json_is_string(item) && strcmp(json_string_value(item), text) == 0)
			return true;
	}
	return false;
}

json_t *doc_find(const json_t *list, const char *member, const char *text)
{
	json_t *entry;
	size_t i;

	json_array_foreach (list, i, entry) {
		if (strcmp(doc_str(entry, member, ""), text) == 0)
			return entry;
	}
	return NULL;
}

/* The entry of key, borrowed, and its place in *index; NULL when there is none. */
static json_t *kv_find(const json_t *list, const char *key, size_t *index)
{
	json_t *entry;
	size_t i;

	json_array_foreach (list, i, entry) {
		*index = i;
		if (strcmp(doc_str(entry, "Key", ""), key) == 0)
			return entry;
	}
	return NULL;
}

const char *doc_kv_get(const json_t *list, const char *key, const char *otherwise)
{
	size_t index;
	const json_t *entry = kv_find(list, key, &index);

	return entry == NULL ? otherwise : doc_str(entry, "Value", otherwise);
}

int doc_kv_set(json_t *list, const char *key, const char *value)
{
	size_t index;
	json_t *entry = kv_find(list, key, &index);

	if (entry != NULL)
		return json_object_set_new(entry, "Value", json_string(value));
	entry = json_pack("{s:s, s:s}", "Key", key, "Value", value);
	if (entry == NULL)
		return -1;
	return json_array_append_new(list, entry);
}

bool doc_kv_remove(json_t *list, const char *key)
{
	size_t index;

	return kv_find(list, key, &index) != NULL && json_array_remove(list, index) == 0;
}
