/* Log files: see log_file.h. */
#include "lb/observe/log_file.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/base/log.h"

enum {
	RING_BYTES = 1 << 20, /* a power of two: positions only grow and are masked */
	WRITE_EVERY_MS = 500,
};

/* One worker writes at head, the log's thread reads at tail. */
struct ring {
	alignas(64) _Atomic uint64_t head;
	_Atomic uint64_t dropped;
	alignas(64) _Atomic uint64_t tail;
	char *bytes;
	char *line; /* LOG_LINE_MAX: the worker's, to format in */
};

struct log_file {
	char *path;
	int fd;
	int wake_fd;
	_Atomic bool wants_reopen, is_stopping;
	pthread_t thread;
	unsigned n_lanes;
	struct ring *rings;
};

/* ---- the rings ---- */

static void wake(struct log_file *log)
{
	uint64_t one = 1;
	ssize_t n = write(log->wake_fd, &one, sizeof(one));

	(void)n;
}

char *log_file_line(struct log_file *log, unsigned lane)
{
	return log->rings[lane].line;
}

void log_file_put(struct log_file *log, unsigned lane, size_t len)
{
	struct ring *ring = &log->rings[lane];
	uint64_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
	uint64_t tail = atomic_load_explicit(&ring->tail, memory_order_acquire);
	size_t at = head & (RING_BYTES - 1), first = RING_BYTES - at;

	if (head - tail + len > RING_BYTES) {
		atomic_store_explicit(
		    &ring->dropped, atomic_load_explicit(&ring->dropped, memory_order_relaxed) + 1,
		    memory_order_relaxed);
		return;
	}
	first = first < len ? first : len;
	memcpy(ring->bytes + at, ring->line, first);
	memcpy(ring->bytes, ring->line + first, len - first);
	atomic_store_explicit(&ring->head, head + len, memory_order_release);
	/* Once on the way to half full; the thread looks by itself twice a second. */
	if (head - tail < RING_BYTES / 2 && head - tail + len >= RING_BYTES / 2)
		wake(log);
}

static bool write_all(int fd, const char *bytes, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, bytes, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		bytes += n;
		len -= (size_t)n;
	}
	return true;
}

/* What cannot be written is lost: the log must not grow in memory instead. */
static bool write_ring(struct log_file *log, struct ring *ring)
{
	uint64_t head = atomic_load_explicit(&ring->head, memory_order_acquire);
	uint64_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
	bool is_written = true;

	while (tail < head) {
		size_t at = tail & (RING_BYTES - 1);
		size_t len = RING_BYTES - at < head - tail ? RING_BYTES - at : head - tail;

		is_written = write_all(log->fd, ring->bytes + at, len) && is_written;
		tail += len;
	}
	atomic_store_explicit(&ring->tail, tail, memory_order_release);
	return is_written;
}

static int open_file(const char *path)
{
	if (strcmp(path, "-") == 0)
		return fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
	return open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
}

static void reopen(struct log_file *log)
{
	int fd = open_file(log->path);

	if (fd < 0) {
		log_error("log-reopen-failed", "path=\"%s\" why=\"%s\"", log->path,
			  strerror(errno));
		return;
	}
	close(log->fd);
	log->fd = fd;
}

static void *run(void *arg)
{
	struct log_file *log = arg;
	bool was_written = true, is_last;

	do {
		struct pollfd wait = {.fd = log->wake_fd, .events = POLLIN};
		uint64_t count;
		bool is_written = true;

		if (poll(&wait, 1, WRITE_EVERY_MS) > 0 &&
		    read(log->wake_fd, &count, sizeof(count)) < 0)
			log_debug("log-wake", "why=\"%s\"", strerror(errno));
		is_last = atomic_load(&log->is_stopping);
		for (unsigned i = 0; i < log->n_lanes; i++)
			is_written = write_ring(log, &log->rings[i]) && is_written;
		if (!is_written && was_written)
			log_error("log-failed", "path=\"%s\" why=\"%s\"", log->path,
				  strerror(errno));
		was_written = is_written;
		if (atomic_exchange(&log->wants_reopen, false))
			reopen(log);
	} while (!is_last);
	return NULL;
}

/* ---- life ---- */

static void destroy(struct log_file *log)
{
	for (unsigned i = 0; log->rings && i < log->n_lanes; i++) {
		free(log->rings[i].bytes);
		free(log->rings[i].line);
	}
	free(log->rings);
	if (log->fd >= 0)
		close(log->fd);
	if (log->wake_fd >= 0)
		close(log->wake_fd);
	free(log->path);
	free(log);
}

static int add_rings(struct log_file *log, unsigned n_lanes)
{
	log->rings = aligned_alloc(alignof(struct ring), n_lanes * sizeof(struct ring));
	if (!log->rings)
		return -1;
	memset(log->rings, 0, n_lanes * sizeof(struct ring));
	log->n_lanes = n_lanes;
	for (unsigned i = 0; i < n_lanes; i++) {
		log->rings[i].bytes = malloc(RING_BYTES);
		log->rings[i].line = malloc(LOG_LINE_MAX);
		if (!log->rings[i].bytes || !log->rings[i].line)
			return -1;
	}
	return 0;
}

static int start_thread(struct log_file *log)
{
	sigset_t all, before;
	int error;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	error = pthread_create(&log->thread, NULL, run, log);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return error;
}

struct log_file *log_file_open(const char *path, unsigned n_lanes, struct err *err)
{
	struct log_file *log = calloc(1, sizeof(*log));
	int error = ENOMEM;

	if (!log) {
		err_set(err, ENOMEM, "out of memory");
		return NULL;
	}
	log->fd = -1;
	log->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	log->path = strdup(path);
	if (!log->path || log->wake_fd < 0 || add_rings(log, n_lanes) < 0)
		goto fail;
	log->fd = open_file(path);
	error = errno;
	if (log->fd < 0)
		goto fail;
	error = start_thread(log);
	if (error == 0)
		return log;
fail:
	err_set(err, error, "log %s: %s", path, strerror(error));
	destroy(log);
	return NULL;
}

void log_file_close(struct log_file *log)
{
	if (!log)
		return;
	atomic_store(&log->is_stopping, true);
	wake(log);
	pthread_join(log->thread, NULL);
	destroy(log);
}

void log_file_reopen(struct log_file *log)
{
	atomic_store(&log->wants_reopen, true);
	wake(log);
}

int log_file_wake_fd(const struct log_file *log)
{
	return log ? log->wake_fd : -1;
}

uint64_t log_file_dropped(const struct log_file *log)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < log->n_lanes; i++)
		sum += atomic_load_explicit(&log->rings[i].dropped, memory_order_relaxed);
	return sum;
}
