/*
 * sqlite:PATH (see backend.h): one table of documents, one row with the revision.
 * The process has the file for itself while it runs.  WAL with synchronous=NORMAL:
 * a commit survives the death of the process at any point (kill -9); when the whole machine
 * loses power the last few commits may be gone, but the file is then as it was after an
 * earlier one.  Blocks on the disk, on the thread that owns the store.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/store/backend.h"

enum {
	SCHEMA_VERSION = 1,
	APPLICATION_ID = 0x416c6254,   /* "AlbT", tells our files from other programs' */
	BUSY_TIMEOUT_MS = 3000,        /* a predecessor may be on its way out */
	WAL_KEEP_BYTES = 16 << 20,     /* what the log shrinks to after a burst */
	DOCUMENT_MAX_BYTES = 64 << 20, /* one document as text */
};

struct sqlite {
	sqlite3 *db;
	sqlite3_stmt *put, *remove, *set_revision;
	char *path;
};

/* err: "PATH: what: SQLite's reason"; what may be NULL. */
static int fail(const struct sqlite *s, const char *what, struct err *err)
{
	int code = sqlite3_extended_errcode(s->db);
	const char *reason = sqlite3_errmsg(s->db);

	if ((code & 0xff) == SQLITE_BUSY)
		reason = "in use by another process";
	else if ((code & 0xff) == SQLITE_NOTADB)
		reason = "not a SQLite database";
	err_set(err, EIO, "%s: %s%s%s", s->path, what == NULL ? "" : what, what == NULL ? "" : ": ",
		reason);
	return -1;
}

static int run(const struct sqlite *s, const char *sql, struct err *err)
{
	if (sqlite3_exec(s->db, sql, NULL, NULL, NULL) == SQLITE_OK)
		return 0;
	return fail(s, NULL, err);
}

/* The first column of the first row of a query. */
static int query_int(const struct sqlite *s, const char *sql, int64_t *value, struct err *err)
{
	sqlite3_stmt *stmt;
	int result;

	if (sqlite3_prepare_v2(s->db, sql, -1, &stmt, NULL) != SQLITE_OK)
		return fail(s, NULL, err);
	result = sqlite3_step(stmt);
	*value = result == SQLITE_ROW ? sqlite3_column_int64(stmt, 0) : 0;
	sqlite3_finalize(stmt);
	return result == SQLITE_ROW || result == SQLITE_DONE ? 0 : fail(s, NULL, err);
}

/* SQLite's words on a damaged file are many; one line of them is enough. */
static int check_integrity(const struct sqlite *s, struct err *err)
{
	sqlite3_stmt *stmt;
	int status = -1;

	if (sqlite3_prepare_v2(s->db, "PRAGMA quick_check(1)", -1, &stmt, NULL) != SQLITE_OK)
		return fail(s, "damaged", err);
	if (sqlite3_step(stmt) != SQLITE_ROW)
		fail(s, "damaged", err);
	else if (strcmp((const char *)sqlite3_column_text(stmt, 0), "ok") != 0)
		err_set(err, EIO, "%s: damaged: %s", s->path, sqlite3_column_text(stmt, 0));
	else
		status = 0;
	sqlite3_finalize(stmt);
	return status;
}

static int create_schema(const struct sqlite *s, struct err *err)
{
	char sql[1024];

	snprintf(sql, sizeof(sql),
		 "BEGIN IMMEDIATE;"
		 "CREATE TABLE document (key TEXT PRIMARY KEY NOT NULL,"
		 " revision INTEGER NOT NULL, body TEXT NOT NULL);"
		 "CREATE TABLE last (id INTEGER PRIMARY KEY CHECK (id = 1),"
		 " revision INTEGER NOT NULL);"
		 "INSERT INTO last VALUES (1, 0);"
		 "PRAGMA application_id = %d;"
		 "PRAGMA user_version = %d;"
		 "COMMIT;",
		 APPLICATION_ID, SCHEMA_VERSION);
	return run(s, sql, err);
}

/* Makes the tables in an empty file; refuses another program's file and a later version's. */
static int check_schema(const struct sqlite *s, struct err *err)
{
	int64_t n_tables, application, version;

	if (query_int(s, "SELECT count(*) FROM sqlite_master", &n_tables, err) != 0 ||
	    query_int(s, "PRAGMA application_id", &application, err) != 0 ||
	    query_int(s, "PRAGMA user_version", &version, err) != 0)
		return -1;
	if (n_tables == 0 && application == 0 && version == 0)
		return create_schema(s, err);
	if (application != APPLICATION_ID) {
		err_set(err, EINVAL, "%s: the SQLite database of another program", s->path);
		return -1;
	}
	if (version != SCHEMA_VERSION) {
		err_set(err, EINVAL,
			"%s: written by another version (its schema is %" PRId64 ", ours %d)",
			s->path, version, SCHEMA_VERSION);
		return -1;
	}
	return check_integrity(s, err);
}

static int configure(const struct sqlite *s, struct err *err)
{
	char sql[512];

	sqlite3_busy_timeout(s->db, BUSY_TIMEOUT_MS);
	sqlite3_limit(s->db, SQLITE_LIMIT_LENGTH, DOCUMENT_MAX_BYTES + 1024);
	/* EXCLUSIVE: two processes on one file would each trust their own memory.  The empty
	 * transaction takes the lock now, not at the first commit. */
	snprintf(sql, sizeof(sql),
		 "PRAGMA locking_mode = EXCLUSIVE;"
		 "PRAGMA journal_mode = WAL;"
		 "PRAGMA synchronous = NORMAL;"
		 "PRAGMA journal_size_limit = %d;"
		 "PRAGMA trusted_schema = OFF;"
		 "PRAGMA cell_size_check = ON;"
		 "BEGIN IMMEDIATE; COMMIT;",
		 WAL_KEEP_BYTES);
	return run(s, sql, err);
}

static int prepare(const struct sqlite *s, const char *sql, sqlite3_stmt **stmt, struct err *err)
{
	if (sqlite3_prepare_v3(s->db, sql, -1, SQLITE_PREPARE_PERSISTENT, stmt, NULL) == SQLITE_OK)
		return 0;
	return fail(s, NULL, err);
}

static int prepare_all(struct sqlite *s, struct err *err)
{
	if (prepare(s,
		    "INSERT INTO document (key, revision, body) VALUES (?1, ?2, ?3)"
		    " ON CONFLICT (key) DO UPDATE SET revision = ?2, body = ?3",
		    &s->put, err) != 0 ||
	    prepare(s, "DELETE FROM document WHERE key = ?1", &s->remove, err) != 0 ||
	    prepare(s, "UPDATE last SET revision = ?1", &s->set_revision, err) != 0)
		return -1;
	return 0;
}

/* Makes the file when there is none, for its owner only: user data and keys may be in it. */
static int make_file(const char *path, struct err *err)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0600);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) != 0) {
		err_set(err, errno, "%s: %s", path, strerror(errno));
		if (fd >= 0)
			close(fd);
		return -1;
	}
	close(fd);
	if (S_ISREG(st.st_mode))
		return 0;
	err_set(err, EINVAL, "%s: not a regular file", path);
	return -1;
}

static void sqlite_close(void *handle)
{
	struct sqlite *s = handle;

	sqlite3_finalize(s->put);
	sqlite3_finalize(s->remove);
	sqlite3_finalize(s->set_revision);
	sqlite3_close(s->db);
	free(s->path);
	free(s);
}

static int open_database(struct sqlite *s, struct err *err)
{
	if (make_file(s->path, err) != 0)
		return -1;
	if (sqlite3_open_v2(s->path, &s->db,
			    SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE,
			    NULL) != SQLITE_OK)
		return fail(s, NULL, err);
	if (configure(s, err) != 0 || check_schema(s, err) != 0 || prepare_all(s, err) != 0)
		return -1;
	return 0;
}

static int sqlite_open(const char *place, void **handle, struct err *err)
{
	struct sqlite *s;

	if (place[0] == '\0') {
		err_set(err, EINVAL, "sqlite: lacks the path of its file: sqlite:PATH");
		return -1;
	}
	s = calloc(1, sizeof(*s));
	/* "./": SQLite gives names like ":memory:" a meaning of their own. */
	if (s == NULL || asprintf(&s->path, "%s%s", place[0] == ':' ? "./" : "", place) < 0) {
		free(s);
		err_set(err, ENOMEM, "out of memory");
		return -1;
	}
	if (open_database(s, err) != 0) {
		sqlite_close(s);
		return -1;
	}
	*handle = s;
	return 0;
}

static int load_row(const struct sqlite *s, sqlite3_stmt *row, backend_load_fn fn, void *arg,
		    struct err *err)
{
	const char *key = (const char *)sqlite3_column_text(row, 0);
	const char *body = (const char *)sqlite3_column_text(row, 2);
	json_error_t error;
	json_t *document;

	if (key == NULL || body == NULL)
		return fail(s, NULL, err);
	document = json_loadb(body, (size_t)sqlite3_column_bytes(row, 2),
			      JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
	if (document == NULL) {
		err_set(err, EIO, "%s: document '%s': %s", s->path, key, error.text);
		return -1;
	}
	return fn(arg, key, document, sqlite3_column_int64(row, 1), err);
}

static int sqlite_load(void *handle, backend_load_fn fn, void *arg, int64_t *revision,
		       struct err *err)
{
	const struct sqlite *s = handle;
	sqlite3_stmt *rows;
	int result, status = -1;

	if (query_int(s, "SELECT revision FROM last", revision, err) != 0)
		return -1;
	if (sqlite3_prepare_v2(s->db, "SELECT key, revision, body FROM document", -1, &rows,
			       NULL) != SQLITE_OK)
		return fail(s, NULL, err);
	while ((result = sqlite3_step(rows)) == SQLITE_ROW) {
		if (load_row(s, rows, fn, arg, err) != 0)
			goto out;
	}
	status = result == SQLITE_DONE ? 0 : fail(s, NULL, err);
out:
	sqlite3_finalize(rows);
	return status;
}

static int sqlite_begin(void *handle, struct err *err)
{
	return run(handle, "BEGIN IMMEDIATE", err);
}

/* Runs a prepared statement and lets go of what was bound to it. */
static int step(const struct sqlite *s, sqlite3_stmt *stmt, const char *what, struct err *err)
{
	int status = sqlite3_step(stmt) == SQLITE_DONE ? 0 : fail(s, what, err);

	sqlite3_reset(stmt);
	sqlite3_clear_bindings(stmt);
	return status;
}

static int sqlite_write(void *handle, const char *key, const json_t *document, int64_t revision,
			struct err *err)
{
	const struct sqlite *s = handle;
	sqlite3_stmt *stmt = document == NULL ? s->remove : s->put;
	char *body;
	int status;

	if (document == NULL) {
		sqlite3_bind_text(stmt, 1, key, -1, SQLITE_STATIC);
		return step(s, stmt, key, err);
	}
	body = json_dumps(document, JSON_COMPACT | JSON_ENCODE_ANY);
	if (body == NULL) {
		err_set(err, ENOMEM, "%s: %s: out of memory", s->path, key);
		return -1;
	}
	if (sqlite3_bind_text(stmt, 1, key, -1, SQLITE_STATIC) != SQLITE_OK ||
	    sqlite3_bind_int64(stmt, 2, revision) != SQLITE_OK ||
	    sqlite3_bind_text(stmt, 3, body, -1, SQLITE_STATIC) != SQLITE_OK) {
		status = fail(s, key, err);
		sqlite3_clear_bindings(stmt);
	} else {
		status = step(s, stmt, key, err);
	}
	free(body);
	return status;
}

static int sqlite_end(void *handle, int64_t revision, struct err *err)
{
	const struct sqlite *s = handle;

	sqlite3_bind_int64(s->set_revision, 1, revision);
	if (step(s, s->set_revision, NULL, err) != 0)
		return -1;
	return run(s, "COMMIT", err);
}

static void sqlite_cancel(void *handle)
{
	const struct sqlite *s = handle;

	/* SQLite has rolled back by itself after some failures (a full disk). */
	if (!sqlite3_get_autocommit(s->db))
		sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
}

const struct backend_ops backend_sqlite = {
    .scheme = "sqlite:",
    .open = sqlite_open,
    .load = sqlite_load,
    .begin = sqlite_begin,
    .write = sqlite_write,
    .end = sqlite_end,
    .cancel = sqlite_cancel,
    .close = sqlite_close,
};
