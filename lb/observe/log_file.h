/*
 * A file of lines that workers write and one thread of this module puts to disk: each
 * worker formats into a ring of its own, so a slow disk never stops it.  When a ring
 * is full, lines are dropped and counted.  A line is at most half a second old on disk.
 */
#ifndef LB_OBSERVE_LOG_FILE_H
#define LB_OBSERVE_LOG_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/check.h"
#include "common/base/err.h"

struct log_file;

enum { LOG_LINE_MAX = 65536 };

/* path "-" = stdout.  Starts the writer thread. */
MUST_CHECK struct log_file *log_file_open(const char *path, unsigned n_lanes, struct err *err);
/* Writes what is left, ends the thread.  NULL is fine; no worker may run. */
void log_file_close(struct log_file *log);

/* After a rotation: the file is opened anew by its name.  Any thread, returns at once. */
void log_file_reopen(struct log_file *log);

uint64_t log_file_dropped(const struct log_file *log); /* lines lost to a slow disk */

/* What workers wake the writing thread with; -1 for NULL.  It stays the same. */
int log_file_wake_fd(const struct log_file *log);

/* Worker lane's own: where it formats its next line [LOG_LINE_MAX], and that it is len bytes. */
char *log_file_line(struct log_file *log, unsigned lane);
void log_file_put(struct log_file *log, unsigned lane, size_t len);

#endif
