/*
 * Memory runs out at the n-th allocation, for every n: what is under way fails whole
 * or succeeds whole, and says so.  (The Makefile links *_oom with --wrap.)
 */
#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/aws/shapes.h"
#include "common/config/config.h"
#include "common/doc/doc.h"
#include "common/store/store.h"

#include "tests/unit/oom.h"

/* SQLite's own allocations, which the linker does not see. */
static sqlite3_mem_methods real_sqlite;

static void *sqlite_malloc(int size)
{
	return must_fail() ? NULL : real_sqlite.xMalloc(size);
}

static void *sqlite_realloc(void *old, int size)
{
	return must_fail() ? NULL : real_sqlite.xRealloc(old, size);
}

static int wrap_libraries(void **state)
{
	sqlite3_mem_methods methods;

	(void)state;
	json_set_alloc_funcs(malloc, free);
	if (sqlite3_config(SQLITE_CONFIG_GETMALLOC, &real_sqlite) != SQLITE_OK)
		return -1;
	methods = real_sqlite;
	methods.xMalloc = sqlite_malloc;
	methods.xRealloc = sqlite_realloc;
	return sqlite3_config(SQLITE_CONFIG_MALLOC, &methods) == SQLITE_OK ? 0 : -1;
}

static void fail_at(long n)
{
	has_failed = false;
	countdown = n;
}

static bool stop_failing(void)
{
	countdown = -1;
	return has_failed;
}

static bool count(void *arg, const char *key, const json_t *document, int64_t revision)
{
	(void)key, (void)document, (void)revision;
	++*(int *)arg;
	return true;
}

static void count_change(void *arg, const char *key, const json_t *document)
{
	(void)key, (void)document;
	++*(int *)arg;
}

static enum store_result commit_three(struct store *store, int n)
{
	struct store_txn *txn = store_begin(store);
	struct err err = {0};
	enum store_result result;

	store_put(txn, "a", json_pack("{s:i, s:[{s:s}]}", "N", n, "List", "Key", "value"));
	store_put(txn, "new", json_pack("{s:i}", "N", n));
	store_delete(txn, "gone");
	store_expect(txn, "none", 0);
	result = store_commit(txn, &err);
	assert_true(result == STORE_OK || err.text[0] != '\0');
	return result;
}

/* Returns whether anything had to fail. */
static bool commit_without_memory(struct store *store, long n, int *n_changes)
{
	enum store_result result;
	int n_documents = 0;
	bool failed;

	assert_int_equal(store_put_one(store, "a", json_pack("{s:i}", "N", 1), NULL), STORE_OK);
	assert_int_equal(store_put_one(store, "gone", json_object(), NULL), STORE_OK);
	assert_int_equal(store_delete_one(store, "new", NULL), STORE_OK);
	*n_changes = 0;
	fail_at(n);
	result = commit_three(store, 2);
	failed = stop_failing();
	store_scan(store, "", count, &n_documents);
	assert_int_equal(n_documents, 2);
	if (result == STORE_OK) {
		assert_int_equal(*n_changes, 3);
		assert_int_equal(doc_int(store_peek(store, "a", NULL), "N", -1), 2);
		assert_non_null(store_peek(store, "new", NULL));
	} else {
		assert_int_equal(result, STORE_FAILED);
		assert_int_equal(*n_changes, 0);
		assert_int_equal(doc_int(store_peek(store, "a", NULL), "N", -1), 1);
		assert_non_null(store_peek(store, "gone", NULL));
	}
	return failed;
}

static void commit_at_every_allocation(const char *url)
{
	struct store *store = store_open(url, NULL);
	int n_changes;
	long n = 0;

	assert_non_null(store);
	assert_int_equal(store_watch(store, "", count_change, &n_changes), 0);
	while (commit_without_memory(store, n, &n_changes))
		n++;
	assert_true(n > 10);
	store_close(store);
}

static void a_commit_without_memory_changes_nothing(void **state)
{
	(void)state;
	commit_at_every_allocation("memory:");
}

static void a_commit_to_disk_without_memory_changes_nothing(void **state)
{
	char folder[] = "/tmp/test_oom_XXXXXX", path[100], url[128];

	(void)state;
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/state.db", folder);
	snprintf(url, sizeof(url), "sqlite:%s", path);
	commit_at_every_allocation(url);
	/* And the file agrees with what was in memory. */
	struct store *store = store_open(url, NULL);
	assert_non_null(store);
	assert_int_equal(doc_int(store_peek(store, "a", NULL), "N", -1), 2);
	assert_null(store_peek(store, "gone", NULL));
	store_close(store);
	unlink(path);
	assert_int_equal(rmdir(folder), 0);
}

static void opening_without_memory_fails_or_works(void **state)
{
	char folder[] = "/tmp/test_oom_XXXXXX", path[100], url[128];
	struct store *store;
	bool failed = true;
	struct err err;

	(void)state;
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/state.db", folder);
	snprintf(url, sizeof(url), "sqlite:%s", path);
	store = store_open(url, NULL);
	assert_int_equal(store_put_one(store, "a", json_pack("{s:i}", "N", 1), NULL), STORE_OK);
	store_close(store);
	for (long n = 0; failed; n++) {
		err.text[0] = '\0';
		fail_at(n);
		store = store_open(url, &err);
		failed = stop_failing();
		assert_true(store != NULL || err.text[0] != '\0');
		if (store != NULL)
			assert_int_equal(doc_int(store_peek(store, "a", NULL), "N", -1), 1);
		store_close(store);
	}
	unlink(path);
	assert_int_equal(rmdir(folder), 0);
}

static void a_tag_is_set_whole_or_not_at_all(void **state)
{
	bool failed = true;

	(void)state;
	for (long n = 0; failed; n++) {
		json_t *list = json_array();
		int status, again;

		assert_int_equal(doc_kv_set(list, "old", "1"), 0);
		fail_at(n);
		status = doc_kv_set(list, "new", "2");
		again = doc_kv_set(list, "old", "2");
		failed = stop_failing();
		assert_int_equal(json_array_size(list), status == 0 ? 2 : 1);
		assert_string_equal(doc_kv_get(list, "old", ""), again == 0 ? "2" : "1");
		json_decref(list);
	}
}

static void a_configuration_is_checked_whole_or_not_at_all(void **state)
{
	json_t *document = doc_load("conf/static.json", NULL);
	json_t *config = config_check(document, NULL, NULL);
	bool failed = true;
	long n = 0;

	(void)state;
	assert_non_null(config); /* and the tables are loaded now */
	while (failed) {
		struct err err = {0};
		json_t *again;

		fail_at(n++);
		again = config_check(document, NULL, &err);
		failed = stop_failing();
		if (again == NULL)
			assert_true(failed && err.text[0] != '\0');
		else
			assert_true(json_equal(again, config));
		json_decref(again);
	}
	assert_true(n > 100);
	json_decref(config);
	json_decref(document);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_commit_without_memory_changes_nothing),
	    cmocka_unit_test(a_commit_to_disk_without_memory_changes_nothing),
	    cmocka_unit_test(opening_without_memory_fails_or_works),
	    cmocka_unit_test(a_tag_is_set_whole_or_not_at_all),
	    cmocka_unit_test(a_configuration_is_checked_whole_or_not_at_all),
	};

	return cmocka_run_group_tests(tests, wrap_libraries, NULL);
}
