/*
 * The targets of a list, found by id and port without reading the whole list: a group may have a
 * thousand, and a call may name as many.  Pure; the list must outlive the index, unchanged.
 */
#ifndef LB_API_TARGET_INDEX_H
#define LB_API_TARGET_INDEX_H

#include <jansson.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/base/check.h"

struct target_index;

/* list: [{Id, Port}], NULL = empty.  port: of those that name none.  NULL without memory. */
MUST_CHECK struct target_index *target_index_new(const json_t *list, int64_t port);
void target_index_free(struct target_index *index); /* NULL is fine */

/* The place in the list, of equal ones the first; -1: it is not there. */
ssize_t target_index_find(const struct target_index *index, const char *id, int64_t port);

#endif
