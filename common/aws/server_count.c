/* See server_count.h. */
#include "common/aws/server_count.h"

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <uthash.h>

enum {
	MAX_KEY = 192,
	MAX_ENTRIES = 2000, /* a last resort: the labels come from fixed sets */
};

struct count {
	char labels[MAX_KEY];
	uint64_t n;
	UT_hash_handle hh;
};

struct api_counts {
	struct count *by_labels;
};

struct api_counts *api_counts_new(void)
{
	return calloc(1, sizeof(struct api_counts));
}

void api_counts_free(struct api_counts *counts)
{
	struct count *count, *next;

	if (counts == NULL)
		return;
	HASH_ITER(hh, counts->by_labels, count, next)
	{
		HASH_DEL(counts->by_labels, count);
		free(count);
	}
	free(counts);
}

static struct count *add_entry(struct api_counts *counts, const char *labels)
{
	struct count *count;

	if (HASH_COUNT(counts->by_labels) >= MAX_ENTRIES)
		return NULL;
	count = calloc(1, sizeof(*count));
	if (count == NULL)
		return NULL;
	snprintf(count->labels, sizeof(count->labels), "%s", labels);
	HASH_ADD_STR(counts->by_labels, labels, count);
	if (count->hh.tbl != NULL)
		return count;
	free(count); /* the table could not grow */
	return NULL;
}

void api_counts_add(struct api_counts *counts, const char *service, const char *action,
		    const char *code)
{
	char labels[MAX_KEY];
	struct count *count;

	snprintf(labels, sizeof(labels), "service=\"%s\",action=\"%s\",code=\"%s\"", service,
		 action, code[0] == '\0' ? "OK" : code);
	HASH_FIND_STR(counts->by_labels, labels, count);
	if (count == NULL)
		count = add_entry(counts, labels);
	if (count != NULL)
		count->n++;
}

void api_counts_print(const struct api_counts *counts, struct buf *text)
{
	const struct count *count, *next;

	buf_add_str(text, "# HELP albatross_api_requests_total API requests answered.\n"
			  "# TYPE albatross_api_requests_total counter\n");
	HASH_ITER(hh, counts->by_labels, count, next)
	{
		buf_printf(text, "albatross_api_requests_total{%s} %" PRIu64 "\n", count->labels,
			   count->n);
	}
}
