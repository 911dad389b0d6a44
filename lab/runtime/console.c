/* See console.h. */
#include "lab/runtime/console.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_FILE = 128 * 1024, READ_BYTES = 16 * 1024, MAX_READS = 8 };

void console_feed(struct console *console, const char *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)bytes[i];

		if (c == '\n') {
			if (console->line_len > 0) {
				memcpy(console->last, console->line, console->line_len);
				console->last[console->line_len] = '\0';
			}
			console->line_len = 0;
		} else if (console->line_len < CONSOLE_LINE_MAX - 1) {
			/* It will stand in an XML answer and in a log line. */
			console->line[console->line_len++] = c >= ' ' && c < 0x7f ? (char)c : '?';
		}
	}
}

const char *console_last_line(const struct console *console)
{
	return console->last;
}

static void open_file(struct console *console)
{
	console->file =
	    open(console->path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
	console->file_bytes = 0;
}

static void keep(struct console *console, const char *bytes, size_t len)
{
	char old[sizeof(console->path) + 2];

	console_feed(console, bytes, len);
	if (console->file_bytes + len > MAX_FILE && console->file >= 0) {
		snprintf(old, sizeof(old), "%s.1", console->path);
		close(console->file);
		if (rename(console->path, old) != 0)
			unlink(console->path);
		open_file(console);
	}
	if (console->file >= 0 && write(console->file, bytes, len) > 0)
		console->file_bytes += len;
}

void console_note(struct console *console, const char *text)
{
	keep(console, text, strlen(text));
	keep(console, "\n", 1);
}

/* Reads what is there; at most so much that other events get their turn. */
static void drain(struct console *console)
{
	char bytes[READ_BYTES];

	for (int i = 0; i < MAX_READS && console->pipe >= 0; i++) {
		ssize_t n = read(console->pipe, bytes, sizeof(bytes));

		if (n > 0) {
			keep(console, bytes, (size_t)n);
			continue;
		}
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		/* All writers are gone. */
		event_free(console->event);
		console->event = NULL;
		close(console->pipe);
		console->pipe = -1;
	}
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	drain(arg);
}

int console_open(struct console *console, struct event_base *base, const char *folder,
		 int *write_end, struct err *err)
{
	int ends[2];

	*console = (struct console){.pipe = -1, .file = -1};
	snprintf(console->path, sizeof(console->path), "%s/console.log", folder);
	if (pipe2(ends, O_CLOEXEC) != 0) {
		err_set(err, errno, "pipe: %s", strerror(errno));
		console->path[0] = '\0';
		return -1;
	}
	fcntl(ends[0], F_SETFL, O_NONBLOCK);
	console->pipe = ends[0];
	console->event = event_new(base, ends[0], EV_READ | EV_PERSIST, on_readable, console);
	if (console->event == NULL || event_add(console->event, NULL) != 0) {
		err_set(err, ENOMEM, "out of memory");
		close(ends[1]);
		console_close(console);
		return -1;
	}
	open_file(console);
	*write_end = ends[1];
	return 0;
}

void console_close(struct console *console)
{
	if (console->path[0] == '\0')
		return;
	drain(console);
	if (console->line_len > 0)
		console_feed(console, "\n", 1);
	if (console->event != NULL)
		event_free(console->event);
	if (console->pipe >= 0)
		close(console->pipe);
	if (console->file >= 0)
		close(console->file);
	console->event = NULL;
	console->pipe = console->file = -1;
	console->path[0] = '\0';
}

char *console_read(const char *folder, size_t max, size_t *len)
{
	char path[600], *text = malloc(max);
	struct stat status;
	ssize_t n = -1;
	int file;

	snprintf(path, sizeof(path), "%.580s/console.log", folder);
	file = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (file >= 0 && text != NULL && fstat(file, &status) == 0)
		n = pread(file, text, max,
			  status.st_size > (off_t)max ? status.st_size - (off_t)max : 0);
	if (file >= 0)
		close(file);
	if (n > 0) {
		*len = (size_t)n;
		return text;
	}
	free(text);
	return NULL;
}
