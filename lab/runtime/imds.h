/*
 * Instance metadata services, version 2 (and 1 where HttpTokens is optional): one small HTTP
 * server an instance, on the instance's own address at a fixed port.  Holding that socket is also
 * the lease of the address, for all labs of the machine.  Control thread; answers at once.
 */
#ifndef LAB_RUNTIME_IMDS_H
#define LAB_RUNTIME_IMDS_H

#include <event2/event.h>
#include <jansson.h>
#include <stdbool.h>

#include "common/base/buf.h"
#include "common/base/err.h"

enum { IMDS_PORT = 1338 };

/* The instance's tree (see imds_find) with "options" (AWS's MetadataOptions); NULL: unknown.  New
 * reference. */
typedef json_t *(*imds_tree_fn)(void *arg, const char *instance_id);

struct imds;

/* Listens at once; NULL with err.code EADDRINUSE when the address is leased already. */
MUST_CHECK struct imds *imds_new(struct event_base *base, const char *address,
				 const char *instance_id, imds_tree_fn tree, void *arg,
				 struct err *err);
void imds_free(struct imds *imds); /* NULL is fine */

/*
 * Pure: the text at path ("/latest/meta-data/placement/region") of a tree of nested objects with
 * strings at the leaves; of an object, its list ("region", "macs/").  Any dated version stands for
 * latest.  Returns false when there is nothing at path.
 */
bool imds_find(const json_t *tree, const char *path, struct buf *text);

#endif
