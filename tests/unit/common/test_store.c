/* common/store: what every store does, over memory: and sqlite: alike. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base/buf.h"
#include "common/base/ids.h"
#include "common/doc/doc.h"
#include "common/store/store.h"

struct fixture {
	struct store *store;
	char folder[64];
	char url[128];
};

static int open_memory(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	f->store = store_open("memory:", NULL);
	*state = f;
	return f->store == NULL ? -1 : 0;
}

static int open_sqlite(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	strcpy(f->folder, "/tmp/test_store_XXXXXX");
	assert_non_null(mkdtemp(f->folder));
	snprintf(f->url, sizeof(f->url), "sqlite:%s/state.db", f->folder);
	f->store = store_open(f->url, NULL);
	*state = f;
	return f->store == NULL ? -1 : 0;
}

static int teardown(void **state)
{
	static const char *const suffixes[] = {"", "-wal", "-shm", "-journal"};
	struct fixture *f = *state;
	char path[200];

	store_close(f->store);
	for (size_t i = 0; i < 4 && f->folder[0] != '\0'; i++) {
		snprintf(path, sizeof(path), "%s/state.db%s", f->folder, suffixes[i]);
		unlink(path);
	}
	if (f->folder[0] != '\0')
		assert_int_equal(rmdir(f->folder), 0);
	free(f);
	return 0;
}

static json_t *number(int n)
{
	return json_pack("{s:i}", "N", n);
}

static void put(struct store *store, const char *key, int n)
{
	assert_int_equal(store_put_one(store, key, number(n), NULL), STORE_OK);
}

/* N of the document of key; -1 when there is none. */
static int64_t n_of(struct store *store, const char *key)
{
	return doc_int(store_peek(store, key, NULL), "N", -1);
}

static bool add_key(void *arg, const char *key, const json_t *document, int64_t revision)
{
	buf_printf(arg, "%s=%lld ", key, (long long)doc_int(document, "N", -1));
	assert_true(revision > 0);
	return true;
}

static bool add_first_key(void *arg, const char *key, const json_t *document, int64_t revision)
{
	add_key(arg, key, document, revision);
	return false;
}

static void assert_scan(struct store *store, const char *prefix, const char *want)
{
	struct buf buf = {0};

	store_scan(store, prefix, add_key, &buf);
	assert_string_equal(buf_text(&buf), want);
	buf_fini(&buf);
}

static void what_is_put_can_be_read(void **state)
{
	struct fixture *f = *state;
	int64_t revision;
	json_t *copy;

	assert_null(store_get(f->store, "a", &revision));
	assert_int_equal(revision, 0);
	put(f->store, "a", 1);
	copy = store_get(f->store, "a", &revision);
	assert_int_equal(doc_int(copy, "N", -1), 1);
	assert_true(revision > 0);
	json_decref(copy);
	assert_int_equal(store_delete_one(f->store, "a", NULL), STORE_OK);
	assert_null(store_get(f->store, "a", NULL));
	assert_int_equal(store_delete_one(f->store, "a", NULL), STORE_OK);
}

static void nobody_outside_can_change_a_stored_document(void **state)
{
	struct fixture *f = *state;
	json_t *part = number(1);
	json_t *document = json_pack("{s:O, s:i}", "Part", part, "N", 1);
	json_t *copy;

	json_incref(document);
	assert_int_equal(store_put_one(f->store, "a", document, NULL), STORE_OK);
	json_object_set_new(part, "N", json_integer(2));
	json_object_set_new(document, "N", json_integer(2));
	copy = store_get(f->store, "a", NULL);
	json_object_set_new(copy, "N", json_integer(3));
	json_object_set_new(doc_object(copy, "Part"), "N", json_integer(3));
	json_decref(copy);
	json_decref(document);
	json_decref(part);
	assert_int_equal(n_of(f->store, "a"), 1);
	assert_int_equal(doc_int(doc_object(store_peek(f->store, "a", NULL), "Part"), "N", -1), 1);
}

static void a_scan_goes_in_key_order_through_its_prefix_only(void **state)
{
	struct fixture *f = *state;
	struct buf first = {0};

	put(f->store, "group/web", 1);
	put(f->store, "group/api", 2);
	put(f->store, "groups", 3);
	put(f->store, "group/", 4);
	put(f->store, "alarm/x", 5);
	put(f->store, "group/web/1", 6);
	assert_scan(f->store, "group/", "group/=4 group/api=2 group/web=1 group/web/1=6 ");
	assert_scan(f->store, "group/w", "group/web=1 group/web/1=6 ");
	assert_scan(f->store, "none", "");
	assert_scan(f->store, "zzz", "");
	assert_scan(f->store, "",
		    "alarm/x=5 group/=4 group/api=2 group/web=1 group/web/1=6 groups=3 ");
	store_scan(f->store, "group/", add_first_key, &first);
	assert_string_equal(buf_text(&first), "group/=4 ");
	buf_fini(&first);
}

static void the_last_operation_on_a_key_wins(void **state)
{
	struct fixture *f = *state;
	struct store_txn *txn = store_begin(f->store);

	store_put(txn, "a", number(1));
	store_delete(txn, "a");
	store_delete(txn, "b");
	store_put(txn, "b", number(2));
	store_put(txn, "b", number(3));
	assert_int_equal(n_of(f->store, "b"), -1); /* nothing shows before the commit */
	assert_int_equal(store_commit(txn, NULL), STORE_OK);
	assert_scan(f->store, "", "b=3 ");
}

static void an_aborted_transaction_changes_nothing(void **state)
{
	struct fixture *f = *state;
	struct store_txn *txn;

	put(f->store, "a", 1);
	txn = store_begin(f->store);
	store_put(txn, "a", number(2));
	store_put(txn, "b", number(2));
	store_abort(txn);
	store_abort(NULL);
	assert_scan(f->store, "", "a=1 ");
}

static void an_unmet_expectation_is_a_conflict_and_changes_nothing(void **state)
{
	struct fixture *f = *state;
	struct store_txn *txn;
	struct err err = {0};
	int64_t revision;

	put(f->store, "a", 1);
	store_peek(f->store, "a", &revision);
	put(f->store, "a", 2);
	txn = store_begin(f->store);
	store_put(txn, "a", number(3));
	store_put(txn, "b", number(3));
	store_expect(txn, "a", revision);
	assert_int_equal(store_commit(txn, &err), STORE_CONFLICT);
	assert_memory_equal(err.text, "a: ", 3);
	txn = store_begin(f->store);
	store_put(txn, "a", number(3));
	store_expect(txn, "a", 0);
	assert_int_equal(store_commit(txn, NULL), STORE_CONFLICT);
	assert_scan(f->store, "", "a=2 ");
	store_peek(f->store, "a", &revision);
	txn = store_begin(f->store);
	store_put(txn, "a", number(3));
	store_expect(txn, "a", revision);
	store_expect(txn, "b", 0);
	assert_int_equal(store_commit(txn, NULL), STORE_OK);
	assert_scan(f->store, "", "a=3 ");
}

static void revisions_grow_even_over_a_deletion(void **state)
{
	struct fixture *f = *state;
	int64_t before, after;

	put(f->store, "a", 1);
	store_peek(f->store, "a", &before);
	assert_int_equal(store_delete_one(f->store, "a", NULL), STORE_OK);
	put(f->store, "a", 1);
	store_peek(f->store, "a", &after);
	assert_true(after > before);
}

static void note_change(void *arg, const char *key, const json_t *document)
{
	buf_printf(arg, "%s=%lld ", key,
		   document == NULL ? -1LL : (long long)doc_int(document, "N", 0));
}

static void a_watch_hears_of_each_changed_key_under_its_prefix(void **state)
{
	struct fixture *f = *state;
	struct buf groups = {0}, all = {0};
	struct store_txn *txn;

	assert_int_equal(store_watch(f->store, "group/", note_change, &groups), 0);
	assert_int_equal(store_watch(f->store, "", note_change, &all), 0);
	txn = store_begin(f->store);
	store_put(txn, "group/b", number(1));
	store_put(txn, "group/a", number(1));
	store_put(txn, "alarm/a", number(1));
	assert_int_equal(store_commit(txn, NULL), STORE_OK);
	assert_int_equal(store_delete_one(f->store, "group/b", NULL), STORE_OK);
	assert_string_equal(buf_text(&groups), "group/a=1 group/b=1 group/b=-1 ");
	assert_string_equal(buf_text(&all), "alarm/a=1 group/a=1 group/b=1 group/b=-1 ");
	buf_fini(&groups);
	buf_fini(&all);
}

static void what_stays_the_same_wakes_nobody(void **state)
{
	struct fixture *f = *state;
	struct buf heard = {0};
	int64_t before, after;

	put(f->store, "a", 1);
	store_peek(f->store, "a", &before);
	assert_int_equal(store_watch(f->store, "", note_change, &heard), 0);
	put(f->store, "a", 1);
	assert_int_equal(store_delete_one(f->store, "none", NULL), STORE_OK);
	store_peek(f->store, "a", &after);
	assert_int_equal(before, after);
	assert_string_equal(buf_text(&heard), "");
	buf_fini(&heard);
}

static void keys_too_long_or_empty_fail_the_commit(void **state)
{
	struct fixture *f = *state;
	char key[STORE_KEY_MAX + 2];
	struct err err = {0};
	struct store_txn *txn;

	memset(key, 'k', sizeof(key));
	key[STORE_KEY_MAX + 1] = '\0';
	txn = store_begin(f->store);
	store_put(txn, "a", number(1));
	store_put(txn, key, number(1));
	assert_int_equal(store_commit(txn, &err), STORE_FAILED);
	assert_non_null(strstr(err.text, "1..1024 are allowed"));
	assert_int_equal(store_put_one(f->store, "", number(1), NULL), STORE_FAILED);
	assert_scan(f->store, "", "");
	key[STORE_KEY_MAX] = '\0';
	put(f->store, key, 1);
}

static void a_document_that_could_not_be_built_fails_the_commit(void **state)
{
	struct fixture *f = *state;
	struct store_txn *txn = store_begin(f->store);
	struct err err = {0};

	store_put(txn, "a", number(1));
	store_put(txn, "b", NULL);
	assert_int_equal(store_commit(txn, &err), STORE_FAILED);
	assert_string_equal(err.text, "out of memory");
	assert_scan(f->store, "", "");
}

static void begin_inside(void *arg, const char *key, const json_t *document)
{
	(void)key, (void)document;
	store_abort(store_begin(arg));
}

static void a_watch_that_begins_a_transaction_is_our_bug(void **state)
{
	struct fixture *f = *state;
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		signal(SIGABRT, SIG_DFL);
		fclose(stderr);
		if (store_watch(f->store, "", begin_inside, f->store) == 0 &&
		    store_put_one(f->store, "a", number(1), NULL) == STORE_OK)
			_exit(0);
		_exit(1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

/* Ten thousand random operations against the plainest model there is: an array. */
static void random_operations_agree_with_an_array(void **state)
{
	struct fixture *f = *state;
	struct id_source source = {.state = 42};
	int model[64];
	char key[16];

	memset(model, -1, sizeof(model));
	for (int i = 0; i < 2000; i++) {
		struct store_txn *txn = store_begin(f->store);

		for (int j = 0; j < 5; j++) {
			unsigned k = (unsigned)(id_random(&source) % 64);

			snprintf(key, sizeof(key), "k%02u", k);
			model[k] = id_random(&source) % 3 == 0 ? -1 : i;
			if (model[k] < 0)
				store_delete(txn, key);
			else
				store_put(txn, key, number(i));
		}
		assert_int_equal(store_commit(txn, NULL), STORE_OK);
	}
	if (f->url[0] != '\0') {
		store_close(f->store);
		f->store = store_open(f->url, NULL);
		assert_non_null(f->store);
	}
	for (unsigned k = 0; k < 64; k++) {
		snprintf(key, sizeof(key), "k%02u", k);
		assert_int_equal(n_of(f->store, key), model[k]);
	}
}

/* ---- forks ---- */

static bool join_key(void *arg, const char *key, const json_t *document, int64_t revision)
{
	(void)revision;
	buf_printf(arg, "%s=%d ", key, (int)doc_int(document, "n", -1));
	return true;
}

static void assert_numbers(struct store *store, const char *expected)
{
	struct buf text = {0};

	store_scan(store, "k/", join_key, &text);
	assert_string_equal(text.len > 0 ? buf_text(&text) : "", expected);
	buf_fini(&text);
}

static void put_number(struct store *store, const char *key, int n)
{
	assert_int_equal(store_put_one(store, key, json_pack("{s:i}", "n", n), NULL), STORE_OK);
}

/* a and b stay, b is changed and c deleted in the fork, d is its own. */
static struct store *changed_fork(struct store *base)
{
	struct store *fork;

	put_number(base, "k/a", 1);
	put_number(base, "k/b", 2);
	put_number(base, "k/c", 3);
	fork = store_fork(base, NULL);
	assert_non_null(fork);
	assert_numbers(fork, "k/a=1 k/b=2 k/c=3 ");
	put_number(fork, "k/b", 20);
	put_number(fork, "k/d", 4);
	assert_int_equal(store_delete_one(fork, "k/c", NULL), STORE_OK);
	return fork;
}

static void a_fork_keeps_its_changes_to_itself(void **state)
{
	struct fixture *f = *state;
	struct store *fork = changed_fork(f->store);

	assert_numbers(fork, "k/a=1 k/b=20 k/d=4 ");
	assert_numbers(f->store, "k/a=1 k/b=2 k/c=3 ");
	assert_null(store_peek(fork, "k/c", NULL));
	put_number(fork, "k/c", 30);
	assert_numbers(fork, "k/a=1 k/b=20 k/c=30 k/d=4 ");
	assert_int_equal(store_delete_one(fork, "k/c", NULL), STORE_OK);
	assert_int_equal(store_delete_one(fork, "k/d", NULL), STORE_OK);
	assert_numbers(fork, "k/a=1 k/b=20 ");
	store_close(fork);
	assert_numbers(f->store, "k/a=1 k/b=2 k/c=3 ");
	put_number(f->store, "k/a", 9);
}

static void a_merge_makes_the_base_what_the_fork_shows(void **state)
{
	struct fixture *f = *state;
	struct store *fork = changed_fork(f->store);

	assert_int_equal(store_merge(fork, NULL), STORE_OK);
	store_close(fork);
	assert_numbers(f->store, "k/a=1 k/b=20 k/d=4 ");
	if (f->url[0] == '\0')
		return;
	store_close(f->store);
	f->store = store_open(f->url, NULL);
	assert_numbers(f->store, "k/a=1 k/b=20 k/d=4 ");
}

static void note_number(void *arg, const char *key, const json_t *document)
{
	buf_printf(arg, "%s=%d ", key, document == NULL ? 0 : (int)doc_int(document, "n", -1));
}

static void a_reverted_fork_tells_its_watches_what_the_base_has(void **state)
{
	struct fixture *f = *state;
	struct store *fork = changed_fork(f->store);
	struct buf text = {0};

	assert_int_equal(store_watch(fork, "k/", note_number, &text), 0);
	store_revert(fork);
	assert_string_equal(buf_text(&text), "k/b=2 k/c=3 k/d=0 ");
	assert_numbers(fork, "k/a=1 k/b=2 k/c=3 ");
	store_close(fork);
	buf_fini(&text);
}

static void an_unknown_store_is_refused(void **state)
{
	struct err err = {0};

	(void)state;
	assert_null(store_open("redis:x", &err));
	assert_non_null(strstr(err.text, "'redis:x' is no store"));
	assert_null(store_open("etcd:http://127.0.0.1:2379", &err));
	assert_non_null(strstr(err.text, "not supported yet"));
	assert_null(store_open("memory:x", &err));
	assert_null(store_open("sqlite:", &err));
	assert_null(store_open("", &err));
}

#define over_both(test) \
	cmocka_unit_test_setup_teardown(test, open_memory, teardown), \
	    cmocka_unit_test_setup_teardown(test, open_sqlite, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    over_both(what_is_put_can_be_read),
	    over_both(nobody_outside_can_change_a_stored_document),
	    over_both(a_scan_goes_in_key_order_through_its_prefix_only),
	    over_both(the_last_operation_on_a_key_wins),
	    over_both(an_aborted_transaction_changes_nothing),
	    over_both(an_unmet_expectation_is_a_conflict_and_changes_nothing),
	    over_both(revisions_grow_even_over_a_deletion),
	    over_both(a_watch_hears_of_each_changed_key_under_its_prefix),
	    over_both(what_stays_the_same_wakes_nobody),
	    over_both(keys_too_long_or_empty_fail_the_commit),
	    over_both(a_document_that_could_not_be_built_fails_the_commit),
	    over_both(a_watch_that_begins_a_transaction_is_our_bug),
	    over_both(random_operations_agree_with_an_array),
	    over_both(a_fork_keeps_its_changes_to_itself),
	    over_both(a_merge_makes_the_base_what_the_fork_shows),
	    over_both(a_reverted_fork_tells_its_watches_what_the_base_has),
	    cmocka_unit_test(an_unknown_store_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
