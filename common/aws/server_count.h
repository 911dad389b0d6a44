/*
 * Counts of answered API requests by service, action and code.  One owner.
 * Private to the server.
 */
#ifndef COMMON_AWS_SERVER_COUNT_H
#define COMMON_AWS_SERVER_COUNT_H

#include "common/base/buf.h"

struct api_counts;

struct api_counts *api_counts_new(void); /* NULL without memory */
void api_counts_free(struct api_counts *counts);

/* The three must come from fixed sets, never from the peer; code "" is a success. */
void api_counts_add(struct api_counts *counts, const char *service, const char *action,
		    const char *code);

/* Prometheus text. */
void api_counts_print(const struct api_counts *counts, struct buf *text);

#endif
