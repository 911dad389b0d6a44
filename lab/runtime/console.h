/*
 * An instance's console: what its processes write to stdout and stderr, kept in two files of
 * bounded size (console.log and, before it, console.log.1), with the last line at hand for
 * messages.  Control thread.
 */
#ifndef LAB_RUNTIME_CONSOLE_H
#define LAB_RUNTIME_CONSOLE_H

#include <event2/event.h>
#include <stddef.h>

#include "common/base/err.h"

enum { CONSOLE_LINE_MAX = 200 };

struct console {
	char path[512]; /* "" = closed */
	int file;
	size_t file_bytes;
	int pipe; /* read end; -1 when closed */
	struct event *event;
	char line[CONSOLE_LINE_MAX]; /* the one being written */
	size_t line_len;
	char last[CONSOLE_LINE_MAX]; /* the last complete, not empty one */
};

/* Opens folder/console.log; *write_end is for the child, close it after fork. */
MUST_CHECK int console_open(struct console *console, struct event_base *base, const char *folder,
			    int *write_end, struct err *err);
/* Reads what is there without waiting, then closes. */
void console_close(struct console *console);
/* A line of the lab's own on the console. */
void console_note(struct console *console, const char *text);

/* The last max bytes, or fewer, of what was written to the console of this folder: new memory, or
 * NULL when there is nothing. */
char *console_read(const char *folder, size_t max, size_t *len);

/* Pure part: takes bytes in for the last line. */
void console_feed(struct console *console, const char *bytes, size_t len);
/* The last line that was not empty; "" when none. */
const char *console_last_line(const struct console *console);

#endif
