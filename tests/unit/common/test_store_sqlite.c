/* common/store over sqlite: what survives, and what is refused. */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/doc/doc.h"
#include "common/store/backend.h"
#include "common/store/store.h"

struct fixture {
	char folder[64];
	char path[100];
	char url[128];
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	strcpy(f->folder, "/tmp/test_sqlite_XXXXXX");
	assert_non_null(mkdtemp(f->folder));
	snprintf(f->path, sizeof(f->path), "%s/state.db", f->folder);
	snprintf(f->url, sizeof(f->url), "sqlite:%s", f->path);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	static const char *const suffixes[] = {"", "-wal", "-shm", "-journal"};
	struct fixture *f = *state;
	char path[200];

	for (size_t i = 0; i < 4; i++) {
		snprintf(path, sizeof(path), "%s%s", f->path, suffixes[i]);
		unlink(path);
	}
	assert_int_equal(rmdir(f->folder), 0);
	free(f);
	return 0;
}

static struct store *must_open(const struct fixture *f)
{
	struct err err = {0};
	struct store *store = store_open(f->url, &err);

	if (store == NULL)
		fail_msg("%s", err.text);
	return store;
}

static void assert_refused(const struct fixture *f, const char *why)
{
	struct err err = {0};

	assert_null(store_open(f->url, &err));
	assert_memory_equal(err.text, f->path, strlen(f->path));
	if (strstr(err.text, why) == NULL)
		fail_msg("'%s' is not in '%s'", why, err.text);
}

static json_t *number(int n)
{
	return json_pack("{s:i}", "N", n);
}

static void run_sql(const struct fixture *f, const char *sql)
{
	sqlite3 *db;

	assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void documents_and_revisions_survive_a_restart(void **state)
{
	const struct fixture *f = *state;
	struct store *store = must_open(f);
	int64_t before, after;
	json_t *document =
	    json_pack("{s:s, s:f, s:n, s:[i, i], s:I}", "Text", "h\xc3\xa9\n\"", "Real", 50.0,
		      "Null", "List", 1, 2, "Long", (json_int_t)INT64_MAX);

	assert_int_equal(store_put_one(store, "a", json_incref(document), NULL), STORE_OK);
	assert_int_equal(store_put_one(store, "b", number(1), NULL), STORE_OK);
	assert_int_equal(store_delete_one(store, "b", NULL), STORE_OK);
	store_peek(store, "a", &before);
	store_close(store);
	store = must_open(f);
	assert_true(json_equal(store_peek(store, "a", &after), document));
	assert_int_equal(before, after);
	assert_null(store_peek(store, "b", NULL));
	/* The deletion was a commit too: what comes now must lie behind it. */
	assert_int_equal(store_put_one(store, "b", number(1), NULL), STORE_OK);
	store_peek(store, "b", &after);
	assert_true(after > before + 2);
	store_close(store);
	json_decref(document);
}

/* One whole commit, then dies in the middle of a second. */
static void commit_once_and_die_in_the_second(const char *path)
{
	const struct backend_ops *ops = &backend_sqlite;
	json_t *document = number(1);
	void *handle;

	if (ops->open(path, &handle, NULL) != 0 || ops->begin(handle, NULL) != 0 ||
	    ops->write(handle, "a", document, 1, NULL) != 0 ||
	    ops->write(handle, "b", document, 1, NULL) != 0 || ops->end(handle, 1, NULL) != 0)
		_exit(1);
	json_object_set_new(document, "N", json_integer(2));
	if (ops->begin(handle, NULL) != 0 || ops->write(handle, "a", document, 2, NULL) != 0)
		_exit(2);
	kill(getpid(), SIGKILL);
	_exit(3);
}

static void kill_9_within_a_commit_leaves_the_commit_before(void **state)
{
	const struct fixture *f = *state;
	struct store *store;
	int64_t revision;
	int status;
	pid_t pid = fork();

	if (pid == 0)
		commit_once_and_die_in_the_second(f->path);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	store = must_open(f);
	assert_int_equal(doc_int(store_peek(store, "a", &revision), "N", -1), 1);
	assert_int_equal(revision, 1);
	assert_int_equal(doc_int(store_peek(store, "b", NULL), "N", -1), 1);
	store_close(store);
}

/* Commits 1, 2, 3, … to two keys, and tells of each on fd, until it is killed. */
static void commit_for_ever(const char *url, int fd)
{
	struct store *store = store_open(url, NULL);

	for (int i = 1; store != NULL; i++) {
		struct store_txn *txn = store_begin(store);

		store_put(txn, "a", number(i));
		store_put(txn, "b", number(i));
		if (store_commit(txn, NULL) != STORE_OK || write(fd, &i, sizeof(i)) != sizeof(i))
			break;
	}
	_exit(1);
}

static void kill_9_at_any_moment_loses_no_commit_that_was_answered(void **state)
{
	const struct fixture *f = *state;

	for (int round = 1; round <= 5; round++) {
		struct store *store;
		int fds[2], status, told = 0, next;
		int64_t a, b;
		pid_t pid;

		assert_int_equal(pipe(fds), 0);
		pid = fork();
		if (pid == 0)
			commit_for_ever(f->url, fds[1]);
		close(fds[1]);
		while (told < 50 * round && read(fds[0], &next, sizeof(next)) == sizeof(next))
			told = next;
		kill(pid, SIGKILL);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status));
		while (read(fds[0], &next, sizeof(next)) == sizeof(next))
			told = next;
		close(fds[0]);
		store = must_open(f);
		a = doc_int(store_peek(store, "a", NULL), "N", -1);
		b = doc_int(store_peek(store, "b", NULL), "N", -1);
		assert_int_equal(a, b);
		assert_true(a == told || a == told + 1);
		store_close(store);
	}
}

static void only_the_owner_may_read_the_file(void **state)
{
	const struct fixture *f = *state;
	mode_t mask = umask(0);
	struct store *store = must_open(f);
	char wal[128];
	struct stat st;

	umask(mask);
	assert_int_equal(store_put_one(store, "a", number(1), NULL), STORE_OK);
	assert_int_equal(stat(f->path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	snprintf(wal, sizeof(wal), "%s-wal", f->path);
	assert_int_equal(stat(wal, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	store_close(store);
}

static void a_second_process_is_told_that_the_file_is_in_use(void **state)
{
	const struct fixture *f = *state;
	struct store *store;
	struct err err = {0};
	int fds[2], status;
	char byte;
	pid_t pid;

	assert_int_equal(pipe(fds), 0);
	pid = fork();
	if (pid == 0) {
		store = store_open(f->url, NULL);
		if (store == NULL || write(fds[1], "x", 1) != 1)
			_exit(1);
		pause();
	}
	close(fds[1]);
	assert_int_equal(read(fds[0], &byte, 1), 1);
	close(fds[0]);
	store = store_open(f->url, &err);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_null(store);
	assert_non_null(strstr(err.text, "in use by another process"));
	store_close(must_open(f)); /* and the dead one's claim is gone */
}

static void what_is_no_database_is_refused(void **state)
{
	const struct fixture *f = *state;
	FILE *file = fopen(f->path, "w");

	for (int i = 0; i < 1000; i++)
		fputs("this is not a database ", file);
	fclose(file);
	assert_refused(f, "not a SQLite database");
}

static void fill(const struct fixture *f)
{
	struct store *store = must_open(f);
	struct store_txn *txn = store_begin(store);
	char key[32];

	for (int i = 0; i < 500; i++) {
		snprintf(key, sizeof(key), "key-%03d", i);
		store_put(txn, key, number(i));
	}
	assert_int_equal(store_commit(txn, NULL), STORE_OK);
	store_close(store);
}

/* Pages count from 1. */
static void overwrite_page(const struct fixture *f, off_t page)
{
	char junk[4096];
	int fd = open(f->path, O_WRONLY);

	memset(junk, 0xa5, sizeof(junk));
	assert_int_equal(pwrite(fd, junk, sizeof(junk), (page - 1) * 4096), sizeof(junk));
	assert_int_equal(close(fd), 0);
}

static void a_damaged_database_is_refused(void **state)
{
	const struct fixture *f = *state;

	fill(f);
	for (int page = 3; page < 6; page++)
		overwrite_page(f, page);
	assert_refused(f, "");
}

/* Reading all documents would not notice it, the first commit would. */
static void a_damaged_index_is_refused(void **state)
{
	const struct fixture *f = *state;
	sqlite3_stmt *row;
	sqlite3 *db;
	int page;

	fill(f);
	assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
	assert_int_equal(
	    sqlite3_prepare_v2(db, "SELECT rootpage FROM sqlite_master WHERE type = 'index'", -1,
			       &row, NULL),
	    SQLITE_OK);
	assert_int_equal(sqlite3_step(row), SQLITE_ROW);
	page = sqlite3_column_int(row, 0);
	sqlite3_finalize(row);
	sqlite3_close(db);
	overwrite_page(f, page);
	assert_refused(f, "damaged: ");
}

static void a_document_that_is_no_json_is_named(void **state)
{
	const struct fixture *f = *state;

	store_close(must_open(f));
	run_sql(f, "INSERT INTO document VALUES ('elb/x', 1, '{\"half\":')");
	assert_refused(f, "document 'elb/x'");
}

static void another_programs_database_is_refused(void **state)
{
	const struct fixture *f = *state;

	run_sql(f, "CREATE TABLE theirs (x)");
	assert_refused(f, "another program");
}

static void a_later_versions_database_is_refused(void **state)
{
	const struct fixture *f = *state;

	store_close(must_open(f));
	run_sql(f, "PRAGMA user_version = 99");
	assert_refused(f, "another version (its schema is 99");
}

static void a_place_that_is_no_file_is_refused(void **state)
{
	const struct fixture *f = *state;
	struct err err = {0};
	char url[200];

	snprintf(url, sizeof(url), "sqlite:%s", f->folder);
	assert_null(store_open(url, &err));
	assert_memory_equal(err.text, f->folder, strlen(f->folder));
	snprintf(url, sizeof(url), "sqlite:%s/none/state.db", f->folder);
	assert_null(store_open(url, &err));
	assert_non_null(strstr(err.text, "No such file or directory"));
	assert_null(store_open("sqlite:/dev/null", &err));
	assert_non_null(strstr(err.text, "not a regular file"));
}

/* In a child, because the limit on file sizes holds for the whole process. */
static int commit_with_a_full_disk(const char *url)
{
	struct rlimit limit = {.rlim_cur = 256 << 10, .rlim_max = 256 << 10};
	struct store *store = store_open(url, NULL);
	char *text = malloc(1 << 20);
	struct err err = {0};
	json_t *document;

	memset(text, 'x', (1 << 20) - 1);
	text[(1 << 20) - 1] = '\0';
	document = json_pack("{s:s}", "Text", text);
	free(text);
	if (store == NULL || store_put_one(store, "a", number(1), NULL) != STORE_OK)
		return 1;
	signal(SIGXFSZ, SIG_IGN);
	setrlimit(RLIMIT_FSIZE, &limit);
	if (store_put_one(store, "a", document, &err) != STORE_FAILED || err.text[0] != '/')
		return 2;
	if (doc_int(store_peek(store, "a", NULL), "N", -1) != 1)
		return 3;
	if (store_put_one(store, "a", number(2), NULL) != STORE_OK)
		return 4;
	store_close(store);
	return 0;
}

static void a_full_disk_fails_the_commit_and_changes_nothing(void **state)
{
	const struct fixture *f = *state;
	struct store *store;
	int status;
	pid_t pid = fork();

	if (pid == 0)
		_exit(commit_with_a_full_disk(f->url));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	store = must_open(f);
	assert_int_equal(doc_int(store_peek(store, "a", NULL), "N", -1), 2);
	store_close(store);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(documents_and_revisions_survive_a_restart, setup,
					    teardown),
	    cmocka_unit_test_setup_teardown(kill_9_within_a_commit_leaves_the_commit_before, setup,
					    teardown),
	    cmocka_unit_test_setup_teardown(kill_9_at_any_moment_loses_no_commit_that_was_answered,
					    setup, teardown),
	    cmocka_unit_test_setup_teardown(only_the_owner_may_read_the_file, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_second_process_is_told_that_the_file_is_in_use, setup,
					    teardown),
	    cmocka_unit_test_setup_teardown(what_is_no_database_is_refused, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_damaged_database_is_refused, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_damaged_index_is_refused, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_document_that_is_no_json_is_named, setup, teardown),
	    cmocka_unit_test_setup_teardown(another_programs_database_is_refused, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_later_versions_database_is_refused, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_place_that_is_no_file_is_refused, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_full_disk_fails_the_commit_and_changes_nothing, setup,
					    teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
