/*
 * What a store stands on: the place where documents survive.  The store keeps every
 * document in memory and reads only there; a backend is loaded once, at open, and
 * then written through in each commit.  Private to common/store; called from the
 * thread that owns the store.
 */
#ifndef COMMON_STORE_BACKEND_H
#define COMMON_STORE_BACKEND_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/err.h"

/* Takes over the reference to document.  -1 with err stops the load. */
typedef int (*backend_load_fn)(void *arg, const char *key, json_t *document, int64_t revision,
			       struct err *err);

struct backend_ops {
	const char *scheme; /* with its colon: "sqlite:" */

	/* place: the URL behind the scheme.  *handle may stay NULL. */
	int (*open)(const char *place, void **handle, struct err *err);
	/* Gives every document to fn, in any order; *revision is that of the last commit. */
	int (*load)(void *handle, backend_load_fn fn, void *arg, int64_t *revision,
		    struct err *err);

	/* One commit: begin, write of each change (NULL document: delete), end.  After a failure of
	 * any, cancel follows and nothing has changed. */
	int (*begin)(void *handle, struct err *err);
	int (*write)(void *handle, const char *key, const json_t *document, int64_t revision,
		     struct err *err);
	int (*end)(void *handle, int64_t revision, struct err *err);
	void (*cancel)(void *handle);

	void (*close)(void *handle);
};

extern const struct backend_ops backend_memory;
extern const struct backend_ops backend_sqlite;
extern const struct backend_ops backend_etcd;

#endif
