/*
 * See store.h.  Every document lives in one tree sorted by key; reads touch nothing
 * else.  A commit goes to the backend first and to the tree, where nothing can fail
 * any more, after it.  A fork's tree holds only what differs from its base: reads look there first.
 * Runs on the thread that owns the store.
 */
#include "common/store/store.h"

#include <bsd/sys/queue.h>
#include <bsd/sys/tree.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/store/backend.h"

struct entry {
	RB_ENTRY(entry) link;
	json_t *document; /* NULL: in a fork, of what the base has and the fork deleted */
	int64_t revision;
	char key[];
};

/* What a transaction does to one key: the last operation on it wins. */
struct change {
	RB_ENTRY(change) link;
	json_t *document;    /* NULL: delete */
	struct entry *entry; /* made beforehand where needed, so that applying cannot fail */
	bool is_dropped;     /* changes nothing */
	char key[];
};

struct expectation {
	STAILQ_ENTRY(expectation) link;
	int64_t revision;
	char key[];
};

struct watch {
	STAILQ_ENTRY(watch) link;
	store_watch_fn fn;
	void *arg;
	size_t prefix_len;
	char prefix[];
};

RB_HEAD(entry_tree, entry);
RB_HEAD(change_tree, change);

struct store_txn {
	struct store *store;
	struct change_tree changes;
	STAILQ_HEAD(, expectation) expectations;
	struct err failure; /* of gathering; code 0 = none */
};

struct store {
	const struct backend_ops *ops;
	void *handle; /* the backend's */
	struct entry_tree entries;
	int64_t revision; /* of the last commit */
	STAILQ_HEAD(, watch) watches;

	struct store_txn txn; /* the one that may be open */
	bool has_txn;
	bool is_notifying;
	unsigned n_scans; /* running now */

	struct store *base; /* of a fork; borrowed: outlives it.  NULL: not a fork */
	unsigned n_forks;   /* open now */
};

static int compare_entries(const struct entry *a, const struct entry *b)
{
	return strcmp(a->key, b->key);
}

static int compare_changes(const struct change *a, const struct change *b)
{
	return strcmp(a->key, b->key);
}

/* RB_GENERATE_STATIC as libbsd means it: its own relies on a macro that it does not define here. */
#define UNUSED_STATIC static __attribute__((unused))
RB_GENERATE_INTERNAL(entry_tree, entry, link, compare_entries, UNUSED_STATIC)
RB_GENERATE_INTERNAL(change_tree, change, link, compare_changes, UNUSED_STATIC)

/* The first entry whose key is at least key; exact: that of key itself.  Walked by hand because the
 * tree's own search wants an entry to compare with. */
static struct entry *seek(const struct store *store, const char *key, bool exact)
{
	struct entry *entry = RB_ROOT(&store->entries);
	struct entry *least = NULL;

	while (entry != NULL) {
		int order = strcmp(key, entry->key);

		if (order == 0)
			return entry;
		if (order < 0)
			least = entry;
		entry = order < 0 ? RB_LEFT(entry, link) : RB_RIGHT(entry, link);
	}
	return exact ? NULL : least;
}

static struct entry *entry_new(const char *key)
{
	size_t size = strlen(key) + 1;
	struct entry *entry = calloc(1, sizeof(*entry) + size);

	if (entry != NULL)
		memcpy(entry->key, key, size);
	return entry;
}

static void entry_free(struct entry *entry)
{
	if (entry == NULL)
		return;
	json_decref(entry->document);
	free(entry);
}

/* Opening and closing. */

static int load_one(void *arg, const char *key, json_t *document, int64_t revision, struct err *err)
{
	struct store *store = arg;
	struct entry *entry = entry_new(key);

	if (entry == NULL) {
		json_decref(document);
		err_set(err, ENOMEM, "out of memory");
		return -1;
	}
	entry->document = document;
	entry->revision = revision;
	if (RB_INSERT(entry_tree, &store->entries, entry) != NULL) {
		entry_free(entry);
		err_set(err, EINVAL, "two documents have the key '%s'", key);
		return -1;
	}
	return 0;
}

static const struct backend_ops *find_backend(const char *url)
{
	static const struct backend_ops *const all[] = {&backend_memory, &backend_sqlite,
							&backend_etcd};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		if (strncmp(url, all[i]->scheme, strlen(all[i]->scheme)) == 0)
			return all[i];
	}
	return NULL;
}

static struct store *store_new(struct err *err)
{
	struct store *store = calloc(1, sizeof(*store));

	if (store == NULL) {
		err_set(err, ENOMEM, "out of memory");
		return NULL;
	}
	RB_INIT(&store->entries);
	STAILQ_INIT(&store->watches);
	return store;
}

struct store *store_open(const char *url, struct err *err)
{
	const struct backend_ops *ops = find_backend(url);
	struct store *store;

	if (ops == NULL) {
		err_set(err, EINVAL, "'%s' is no store: use sqlite:PATH or memory:", url);
		return NULL;
	}
	store = store_new(err);
	if (store == NULL)
		return NULL;
	if (ops->open(url + strlen(ops->scheme), &store->handle, err) != 0) {
		free(store);
		return NULL;
	}
	store->ops = ops;
	if (ops->load(store->handle, load_one, store, &store->revision, err) != 0) {
		store_close(store);
		return NULL;
	}
	return store;
}

static void forget_entries(struct store *store)
{
	struct entry *entry, *next;

	RB_FOREACH_SAFE(entry, entry_tree, &store->entries, next)
	{
		RB_REMOVE(entry_tree, &store->entries, entry);
		entry_free(entry);
	}
}

void store_close(struct store *store)
{
	struct watch *watch;

	if (store == NULL)
		return;
	CHECK(!store->has_txn && !store->is_notifying && store->n_scans == 0);
	CHECK(store->n_forks == 0);
	store->ops->close(store->handle);
	if (store->base != NULL)
		store->base->n_forks--;
	forget_entries(store);
	while ((watch = STAILQ_FIRST(&store->watches)) != NULL) {
		STAILQ_REMOVE_HEAD(&store->watches, link);
		free(watch);
	}
	free(store);
}

/* Reading. */

const json_t *store_peek(const struct store *store, const char *key, int64_t *revision)
{
	const struct entry *entry = seek(store, key, true);
	bool is_there;

	if (entry == NULL && store->base != NULL)
		entry = seek(store->base, key, true);
	is_there = entry != NULL && entry->document != NULL;
	if (revision != NULL)
		*revision = is_there ? entry->revision : 0;
	return is_there ? entry->document : NULL;
}

json_t *store_get(struct store *store, const char *key, int64_t *revision)
{
	const json_t *document = store_peek(store, key, revision);

	return document == NULL ? NULL : json_deep_copy(document);
}

/* Where a scan is: in the store's own tree, and in that of a fork's base. */
struct cursor {
	struct entry *own, *base;
};

/* The next entry in key order, of which the fork's own hides the base's; NULL at the end. */
static struct entry *cursor_next(struct cursor *cursor)
{
	struct entry *own = cursor->own, *base = cursor->base;
	int order = own == NULL ? 1 : base == NULL ? -1 : strcmp(own->key, base->key);

	if (own != NULL && order <= 0)
		cursor->own = RB_NEXT(entry_tree, , own);
	if (base != NULL && order >= 0)
		cursor->base = RB_NEXT(entry_tree, , base);
	return order <= 0 ? own : base;
}

void store_scan(struct store *store, const char *prefix, store_scan_fn fn, void *arg)
{
	struct cursor cursor = {.own = seek(store, prefix, false)};
	size_t len = strlen(prefix);
	struct entry *entry;

	if (store->base != NULL)
		cursor.base = seek(store->base, prefix, false);
	store->n_scans++;
	while ((entry = cursor_next(&cursor)) != NULL && strncmp(entry->key, prefix, len) == 0) {
		if (entry->document != NULL &&
		    !fn(arg, entry->key, entry->document, entry->revision))
			break;
	}
	store->n_scans--;
}

/* Gathering a transaction. */

static struct store_txn *begin(struct store *store)
{
	CHECK(!store->has_txn);
	CHECK(!store->is_notifying); /* a watch decides later, from its event loop */
	store->has_txn = true;
	store->txn = (struct store_txn){.store = store};
	RB_INIT(&store->txn.changes);
	STAILQ_INIT(&store->txn.expectations);
	return &store->txn;
}

struct store_txn *store_begin(struct store *store)
{
	CHECK(store->n_forks == 0); /* what they show must stay */
	return begin(store);
}

static void change_free(struct change *change)
{
	if (change == NULL)
		return;
	json_decref(change->document);
	entry_free(change->entry);
	free(change);
}

static void txn_end(struct store_txn *txn)
{
	struct change *change, *next_change;
	struct expectation *expectation;

	RB_FOREACH_SAFE(change, change_tree, &txn->changes, next_change)
	{
		RB_REMOVE(change_tree, &txn->changes, change);
		change_free(change);
	}
	while ((expectation = STAILQ_FIRST(&txn->expectations)) != NULL) {
		STAILQ_REMOVE_HEAD(&txn->expectations, link);
		free(expectation);
	}
	txn->store->has_txn = false;
}

static void txn_out_of_memory(struct store_txn *txn)
{
	err_set(&txn->failure, ENOMEM, "out of memory");
}

static bool is_key_allowed(struct store_txn *txn, const char *key)
{
	size_t len = strnlen(key, STORE_KEY_MAX + 1);

	if (len > 0 && len <= STORE_KEY_MAX)
		return true;
	err_set(&txn->failure, EINVAL, "a key of %s%zu bytes; 1..%d are allowed",
		len > STORE_KEY_MAX ? "more than " : "", len > 0 ? (size_t)STORE_KEY_MAX : len,
		STORE_KEY_MAX);
	return false;
}

/* An empty change of key in the place of any earlier one, or NULL when txn has failed. */
static struct change *add_change(struct store_txn *txn, const char *key)
{
	size_t size = strlen(key) + 1;
	struct change *change, *earlier;

	if (!is_key_allowed(txn, key))
		return NULL;
	change = calloc(1, sizeof(*change) + size);
	if (change == NULL) {
		txn_out_of_memory(txn);
		return NULL;
	}
	memcpy(change->key, key, size);
	earlier = RB_FIND(change_tree, &txn->changes, change);
	if (earlier != NULL) {
		RB_REMOVE(change_tree, &txn->changes, earlier);
		change_free(earlier);
	}
	RB_INSERT(change_tree, &txn->changes, change);
	return change;
}

void store_put_frozen(struct store_txn *txn, const char *key, json_t *document)
{
	struct change *change = add_change(txn, key);

	if (change == NULL) {
		json_decref(document);
		return;
	}
	change->document = document;
	change->entry = entry_new(key);
	if (change->document == NULL || change->entry == NULL)
		txn_out_of_memory(txn);
}

void store_put(struct store_txn *txn, const char *key, json_t *document)
{
	/* A copy: whatever else holds the caller's document, or a part of it, may go on to change
	 * it. */
	store_put_frozen(txn, key, document == NULL ? NULL : json_deep_copy(document));
	json_decref(document);
}

void store_delete(struct store_txn *txn, const char *key)
{
	struct change *change = add_change(txn, key);

	if (change == NULL || txn->store->base == NULL)
		return;
	change->entry = entry_new(key);
	if (change->entry == NULL)
		txn_out_of_memory(txn);
}

void store_expect(struct store_txn *txn, const char *key, int64_t revision)
{
	size_t size = strlen(key) + 1;
	struct expectation *expectation = calloc(1, sizeof(*expectation) + size);

	if (expectation == NULL) {
		txn_out_of_memory(txn);
		return;
	}
	memcpy(expectation->key, key, size);
	expectation->revision = revision;
	STAILQ_INSERT_TAIL(&txn->expectations, expectation, link);
}

void store_abort(struct store_txn *txn)
{
	if (txn != NULL)
		txn_end(txn);
}

/* Committing. */

static bool are_expectations_met(const struct store_txn *txn, struct err *err)
{
	const struct expectation *expectation;
	int64_t revision;

	STAILQ_FOREACH (expectation, &txn->expectations, link) {
		store_peek(txn->store, expectation->key, &revision);
		if (revision == expectation->revision)
			continue;
		err_set(err, EAGAIN,
			"%s: changed meanwhile (revision %" PRId64 ", not %" PRId64 ")",
			expectation->key, revision, expectation->revision);
		return false;
	}
	return true;
}

/* Marks the changes that leave all as it is (so that applying a file again writes and wakes
 * nothing); returns how many are left. */
static size_t drop_idle_changes(struct store_txn *txn)
{
	struct change *change;
	size_t n = 0;

	RB_FOREACH(change, change_tree, &txn->changes)
	{
		const json_t *now = store_peek(txn->store, change->key, NULL);

		if (change->document == NULL)
			change->is_dropped = now == NULL;
		else
			change->is_dropped = now != NULL && json_equal(now, change->document);
		n += !change->is_dropped;
	}
	return n;
}

static int write_changes(struct store_txn *txn, int64_t revision, struct err *err)
{
	const struct store *store = txn->store;
	struct change *change;

	if (store->ops->begin(store->handle, err) != 0)
		goto fail;
	RB_FOREACH(change, change_tree, &txn->changes)
	{
		if (!change->is_dropped && store->ops->write(store->handle, change->key,
							     change->document, revision, err) != 0)
			goto fail;
	}
	if (store->ops->end(store->handle, revision, err) != 0)
		goto fail;
	return 0;
fail:
	store->ops->cancel(store->handle);
	return -1;
}

/* Brings the tree to what the backend has taken.  Cannot fail. */
static void apply_change(struct store *store, struct change *change)
{
	struct entry *entry = seek(store, change->key, true);
	bool is_hiding = store->base != NULL && seek(store->base, change->key, true) != NULL;

	if (change->document == NULL && !is_hiding) {
		RB_REMOVE(entry_tree, &store->entries, entry);
		entry_free(entry);
		return;
	}
	if (entry == NULL) {
		entry = change->entry;
		change->entry = NULL;
		RB_INSERT(entry_tree, &store->entries, entry);
	}
	json_decref(entry->document);
	entry->document = json_incref(change->document);
	entry->revision = store->revision;
}

static void apply_changes(struct store_txn *txn, int64_t revision)
{
	struct change *change;

	txn->store->revision = revision;
	RB_FOREACH(change, change_tree, &txn->changes)
	{
		if (!change->is_dropped)
			apply_change(txn->store, change);
	}
}

static void notify(struct store *store, const char *key, const json_t *document)
{
	struct watch *watch;

	STAILQ_FOREACH (watch, &store->watches, link) {
		if (strncmp(key, watch->prefix, watch->prefix_len) == 0)
			watch->fn(watch->arg, key, document);
	}
}

static void notify_all(struct store_txn *txn)
{
	struct change *change;

	txn->store->is_notifying = true;
	RB_FOREACH(change, change_tree, &txn->changes)
	{
		if (!change->is_dropped)
			notify(txn->store, change->key, change->document);
	}
	txn->store->is_notifying = false;
}

static enum store_result try_commit(struct store_txn *txn, struct err *err)
{
	int64_t revision = txn->store->revision + 1;

	if (txn->failure.code != 0) {
		err_set(err, txn->failure.code, "%s", txn->failure.text);
		return STORE_FAILED;
	}
	if (!are_expectations_met(txn, err))
		return STORE_CONFLICT;
	if (drop_idle_changes(txn) == 0)
		return STORE_OK;
	if (write_changes(txn, revision, err) != 0)
		return STORE_FAILED;
	apply_changes(txn, revision);
	notify_all(txn);
	return STORE_OK;
}

enum store_result store_commit(struct store_txn *txn, struct err *err)
{
	enum store_result result;

	CHECK(txn->store->has_txn);
	CHECK(txn->store->n_scans == 0);
	result = try_commit(txn, err);
	txn_end(txn);
	return result;
}

enum store_result store_put_one(struct store *store, const char *key, json_t *document,
				struct err *err)
{
	struct store_txn *txn = store_begin(store);

	store_put(txn, key, document);
	return store_commit(txn, err);
}

enum store_result store_delete_one(struct store *store, const char *key, struct err *err)
{
	struct store_txn *txn = store_begin(store);

	store_delete(txn, key);
	return store_commit(txn, err);
}

/* Forks. */

struct store *store_fork(struct store *base, struct err *err)
{
	struct store *store;

	CHECK(base->base == NULL && !base->has_txn);
	store = store_new(err);
	if (store == NULL)
		return NULL;
	store->ops = &backend_memory;
	store->base = base;
	store->revision = base->revision;
	base->n_forks++;
	return store;
}

void store_differences(struct store *fork, store_difference_fn fn, void *arg)
{
	struct entry *entry;

	CHECK(fork->base != NULL);
	fork->n_scans++;
	RB_FOREACH(entry, entry_tree, &fork->entries)
	{
		const json_t *was = store_peek(fork->base, entry->key, NULL);

		if (was == NULL ? entry->document != NULL : !json_equal(was, entry->document))
			fn(arg, entry->key, was, entry->document);
	}
	fork->n_scans--;
}

enum store_result store_merge(struct store *fork, struct err *err)
{
	struct store_txn *txn;
	struct entry *entry;

	CHECK(fork->base != NULL && fork->base->n_forks == 1);
	txn = begin(fork->base);
	RB_FOREACH(entry, entry_tree, &fork->entries)
	{
		if (entry->document != NULL)
			store_put_frozen(txn, entry->key, json_incref(entry->document));
		else
			store_delete(txn, entry->key);
	}
	return store_commit(txn, err);
}

void store_revert(struct store *fork)
{
	struct entry *entry;

	CHECK(fork->base != NULL && !fork->has_txn && fork->n_scans == 0);
	fork->is_notifying = true;
	RB_FOREACH(entry, entry_tree, &fork->entries)
	notify(fork, entry->key, store_peek(fork->base, entry->key, NULL));
	fork->is_notifying = false;
	forget_entries(fork);
}

int store_watch(struct store *store, const char *prefix, store_watch_fn fn, void *arg)
{
	size_t size = strlen(prefix) + 1;
	struct watch *watch = calloc(1, sizeof(*watch) + size);

	if (watch == NULL)
		return -1;
	memcpy(watch->prefix, prefix, size);
	watch->prefix_len = size - 1;
	watch->fn = fn;
	watch->arg = arg;
	STAILQ_INSERT_TAIL(&store->watches, watch, link);
	return 0;
}
