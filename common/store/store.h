/*
 * The store: JSON documents by key ("elb/targetgroup/web"), each with a revision
 * (that of the commit which wrote it; they only grow), changed in transactions,
 * watched by prefix.  All are in memory: reading costs no I/O.  Behind it: memory:
 * (nothing survives), sqlite:PATH (the process has the file for itself; a commit survives kill
 * -9; after a power loss the last few may be missing, never half of one).  etcd: is not supported
 * yet.  One thread (the control thread) owns a store; calls are synchronous.
 */
#ifndef COMMON_STORE_STORE_H
#define COMMON_STORE_STORE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/base/err.h"

struct store;
struct store_txn;

enum store_result {
	STORE_OK,
	STORE_CONFLICT, /* an expected revision was another: read again and retry */
	STORE_FAILED,   /* disk, memory: err says; nothing was changed */
};

/* url: "memory:" or "sqlite:PATH" (created when absent, its folder must exist). */
MUST_CHECK struct store *store_open(const char *url, struct err *err);
void store_close(struct store *store); /* NULL is fine */

enum { STORE_KEY_MAX = 1024 };

/* A copy that the caller may change freely (a new reference), or NULL when there is none;
 * *revision (may be NULL) is 0 then.  NULL with a revision: out of memory. */
json_t *store_get(struct store *store, const char *key, int64_t *revision);

/* The document itself, borrowed until the next commit, not to be changed; NULL when there is none.
 */
const json_t *store_peek(const struct store *store, const char *key, int64_t *revision);

/* Calls fn for each document whose key starts with prefix, in key order.  document is borrowed and
 * must not be changed.  fn returns false to stop.  fn may not change the store. */
typedef bool (*store_scan_fn)(void *arg, const char *key, const json_t *document, int64_t revision);
void store_scan(struct store *store, const char *prefix, store_scan_fn fn, void *arg);

/* One open transaction at a time per store, none from a watch.  Operations are gathered (reads show
 * what is committed), the last one on a key wins; memory failure is reported by commit.  Never
 * NULL. */
struct store_txn *store_begin(struct store *store);
/* Takes over the reference to document and keeps a copy; NULL (a builder without memory) fails the
 * commit.  What equals the document that is there changes nothing: no revision, no watch. */
void store_put(struct store_txn *txn, const char *key, json_t *document);
/* The same without the copy, which costs much: for a document that nobody changes any more, nor any
 * part of it. */
void store_put_frozen(struct store_txn *txn, const char *key, json_t *document);
void store_delete(struct store_txn *txn, const char *key); /* absent is fine */
/* The commit fails with STORE_CONFLICT unless key now has this revision (0 = absent). */
void store_expect(struct store_txn *txn, const char *key, int64_t revision);
/* All or nothing; from STORE_OK on it survives the death of the process.  Ends txn in every case.
 * Watches run before it returns.  No scan may be running. */
MUST_CHECK enum store_result store_commit(struct store_txn *txn, struct err *err);
void store_abort(struct store_txn *txn); /* NULL is fine */

/* Shorthand for a transaction of one put / one delete. */
MUST_CHECK enum store_result store_put_one(struct store *store, const char *key, json_t *document,
					   struct err *err);
MUST_CHECK enum store_result store_delete_one(struct store *store, const char *key,
					      struct err *err);

/*
 * A store that shows what base holds and keeps its own changes to itself, so that many can be tried
 * and then taken over at once, or not.  Costs what is changed, not what base holds.  While it is
 * open, base does not change but by store_merge().  NULL only without memory.
 */
MUST_CHECK struct store *store_fork(struct store *base, struct err *err);
/* Calls fn for each key whose document is another than the base's; NULL = there is none. */
typedef void (*store_difference_fn)(void *arg, const char *key, const json_t *was,
				    const json_t *is);
void store_differences(struct store *fork, store_difference_fn fn, void *arg);
/* Commits what differs to the base, in one transaction.  Close the fork after it. */
MUST_CHECK enum store_result store_merge(struct store *fork, struct err *err);
/* Forgets what differs; the fork's watches hear of each key as the base has it. */
void store_revert(struct store *fork);

/* After each commit, for each changed key under prefix, in key order (document NULL = deleted).
 * Lives until store_close.  fn may read the store; it may not begin a transaction. */
typedef void (*store_watch_fn)(void *arg, const char *key, const json_t *document);
MUST_CHECK int store_watch(struct store *store, const char *prefix, store_watch_fn fn, void *arg);

#endif
