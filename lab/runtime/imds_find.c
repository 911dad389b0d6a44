/* See imds_find in imds.h. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "common/doc/doc.h"
#include "lab/ec2/base64.h"
#include "lab/runtime/imds.h"

/* The next segment of path, "" at the end; moves path behind it. */
static bool next_segment(const char **path, char segment[256])
{
	size_t len;

	while (**path == '/')
		(*path)++;
	len = strcspn(*path, "/");
	if (len >= 256)
		return false;
	memcpy(segment, *path, len);
	segment[len] = '\0';
	*path += len;
	return true;
}

static bool is_version(const char *segment)
{
	return strcmp(segment, "latest") == 0 || strcmp(segment, "1.0") == 0 ||
	       (strlen(segment) == 10 && isdigit((unsigned char)segment[0]) && segment[4] == '-');
}

/* Entries that have children end in "/", but for the top, where AWS has none. */
static void list(const json_t *node, bool is_top, struct buf *text)
{
	const char *name;
	json_t *child;
	bool is_first = true;

	json_object_foreach ((json_t *)node, name, child) {
		if (is_top && (strcmp(name, "options") == 0 ||
			       (json_is_string(child) && json_string_length(child) == 0)))
			continue;
		buf_printf(text, "%s%s%s", is_first ? "" : "\n", name,
			   json_is_object(child) && !is_top ? "/" : "");
		is_first = false;
	}
}

static bool user_data(const json_t *tree, struct buf *text)
{
	const char *base64 = doc_str(tree, "user-data", "");
	unsigned char *bytes;
	size_t len;

	if (*base64 == '\0')
		return false;
	bytes = base64_decode(base64, &len);
	if (bytes == NULL)
		return false;
	buf_add(text, bytes, len);
	free(bytes);
	return true;
}

bool imds_find(const json_t *tree, const char *path, struct buf *text)
{
	const json_t *node = tree;
	char segment[256];
	bool is_top = true;

	if (!next_segment(&path, segment))
		return false;
	if (segment[0] == '\0') {
		buf_add_str(text, "1.0\n2021-03-23\n2024-04-11\nlatest");
		return true;
	}
	if (!is_version(segment))
		return false;
	for (; next_segment(&path, segment) && segment[0] != '\0'; is_top = false) {
		if (is_top && strcmp(segment, "user-data") == 0)
			return *path == '\0' && user_data(tree, text);
		if (is_top && strcmp(segment, "options") == 0)
			return false;
		node = json_object_get(node, segment);
		if (node == NULL)
			return false;
	}
	if (json_is_object(node))
		list(node, is_top, text);
	else
		buf_add_str(text, json_string_value(node));
	return true;
}
