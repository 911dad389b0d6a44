/* See server_count.h.  A list, searched from the start: it has a line an action and code seen. */
#include "common/aws/server_count.h"

#include <bsd/sys/queue.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	MAX_LABELS = 192,
	MAX_ENTRIES = 1000, /* a last resort: the labels come from fixed sets */
};

struct count {
	char labels[MAX_LABELS];
	uint64_t n;
	STAILQ_ENTRY(count) link;
};

struct api_counts {
	STAILQ_HEAD(, count) counts;
	size_t n_counts;
};

struct api_counts *api_counts_new(void)
{
	struct api_counts *counts = calloc(1, sizeof(*counts));

	if (counts != NULL)
		STAILQ_INIT(&counts->counts);
	return counts;
}

void api_counts_free(struct api_counts *counts)
{
	struct count *count, *next;

	if (counts == NULL)
		return;
	STAILQ_FOREACH_SAFE(count, &counts->counts, link, next)
	{
		free(count);
	}
	free(counts);
}

static struct count *find_or_add(struct api_counts *counts, const char *labels)
{
	struct count *count;

	STAILQ_FOREACH (count, &counts->counts, link) {
		if (strcmp(count->labels, labels) == 0)
			return count;
	}
	if (counts->n_counts == MAX_ENTRIES)
		return NULL;
	count = calloc(1, sizeof(*count));
	if (count == NULL)
		return NULL;
	snprintf(count->labels, sizeof(count->labels), "%s", labels);
	STAILQ_INSERT_TAIL(&counts->counts, count, link);
	counts->n_counts++;
	return count;
}

void api_counts_add(struct api_counts *counts, const char *service, const char *action,
		    const char *code)
{
	char labels[MAX_LABELS];
	struct count *count;

	snprintf(labels, sizeof(labels), "service=\"%s\",action=\"%s\",code=\"%s\"", service,
		 action, code[0] == '\0' ? "OK" : code);
	count = find_or_add(counts, labels);
	if (count != NULL)
		count->n++;
}

void api_counts_print(const struct api_counts *counts, struct buf *text)
{
	const struct count *count;

	buf_add_str(text, "# HELP albatross_api_requests_total API requests answered.\n"
			  "# TYPE albatross_api_requests_total counter\n");
	STAILQ_FOREACH (count, &counts->counts, link) {
		buf_printf(text, "albatross_api_requests_total{%s} %" PRIu64 "\n", count->labels,
			   count->n);
	}
}
