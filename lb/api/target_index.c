/* See target_index.h. */
#include "lb/api/target_index.h"

#include <stdlib.h>
#include <string.h>

#include "common/doc/doc.h"

struct entry {
	const char *id; /* borrowed from the list */
	int64_t port;
	size_t at;
};

struct target_index {
	size_t n;
	struct entry entries[]; /* sorted */
};

static int compare(const struct entry *a, const struct entry *b)
{
	int order = strcmp(a->id, b->id);

	return order ? order : (a->port > b->port) - (a->port < b->port);
}

static int by_target(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;
	int order = compare(x, y);

	return order ? order : (x->at > y->at) - (x->at < y->at);
}

struct target_index *target_index_new(const json_t *list, int64_t port)
{
	size_t n = json_array_size(list), i;
	struct target_index *index = calloc(1, sizeof(*index) + n * sizeof(struct entry));
	const json_t *target;

	if (!index)
		return NULL;
	index->n = n;
	json_array_foreach (list, i, target)
		index->entries[i] =
		    (struct entry){doc_str(target, "Id", ""), doc_int(target, "Port", port), i};
	qsort(index->entries, n, sizeof(struct entry), by_target);
	return index;
}

void target_index_free(struct target_index *index)
{
	free(index);
}

ssize_t target_index_find(const struct target_index *index, const char *id, int64_t port)
{
	struct entry wanted = {.id = id, .port = port};
	size_t low = 0, high = index->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (compare(&index->entries[middle], &wanted) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == index->n || compare(&index->entries[low], &wanted) != 0)
		return -1;
	return (ssize_t)index->entries[low].at;
}
