/* The access log: see access_log.h. */
#include "lb/observe/access_log.h"

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
#include <time.h>
#include <unistd.h>

#include "common/base/log.h"

enum {
	RING_BYTES = 1 << 20, /* a power of two: positions only grow and are masked */
	LINE_MAX_BYTES = 32768,
	AGENT_MAX = 8192,
	WRITE_EVERY_MS = 500,
};

/* One worker writes at head, the log's thread reads at tail. */
struct ring {
	alignas(64) _Atomic uint64_t head;
	_Atomic uint64_t dropped;
	int64_t second; /* whose text is in second_text */
	char second_text[24];
	alignas(64) _Atomic uint64_t tail;
	char *bytes;
	char *line; /* LINE_MAX_BYTES: the worker's, to format in */
};

struct access_log {
	char *path;
	int fd;
	int wake_fd;
	_Atomic bool wants_reopen, is_stopping;
	pthread_t thread;
	unsigned n_lanes;
	struct ring *rings;
};

/* ---- formatting ---- */

struct line {
	char *at, *end;
};

static void add(struct line *line, const char *bytes, size_t len)
{
	size_t room = (size_t)(line->end - line->at);

	len = len < room ? len : room;
	if (len > 0)
		memcpy(line->at, bytes, len);
	line->at += len;
}

static void add_str(struct line *line, const char *text)
{
	add(line, text, strlen(text));
}

static void add_number(struct line *line, uint64_t number, int min_digits)
{
	char digits[20];
	int n = 0;

	do {
		digits[19 - n++] = (char)('0' + number % 10);
		number /= 10;
	} while (number > 0 || n < min_digits);
	add(line, digits + 20 - n, (size_t)n);
}

static void add_or_dash(struct line *line, const char *text)
{
	add_str(line, text && *text ? text : "-");
	add(line, " ", 1);
}

/* Bytes that could end or disguise the field go as \xNN. */
static void add_escaped(struct line *line, struct text text)
{
	static const char hex[] = "0123456789abcdef";

	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.at[i];
		char escape[4] = {'\\', 'x', hex[c >> 4], hex[c & 15]};

		if (c < 0x20 || c == '"' || c == '\\' || c == 0x7f)
			add(line, escape, 4);
		else
			add(line, text.at + i, 1);
	}
}

static void add_quoted(struct line *line, struct text text)
{
	add(line, "\"", 1);
	if (text.len == 0)
		add(line, "-", 1);
	add_escaped(line, text);
	add(line, "\" ", 2);
}

static void add_quoted_str(struct line *line, const char *text)
{
	add_quoted(line, text_of(text));
}

/* gmtime once a second, not once a line. */
static void add_time(struct line *line, struct ring *ring, int64_t unix_us, bool is_ms)
{
	int64_t second = unix_us / 1000000, micros = unix_us % 1000000;

	if (second != ring->second) {
		time_t seconds = (time_t)second;
		struct tm tm;

		gmtime_r(&seconds, &tm);
		strftime(ring->second_text, sizeof(ring->second_text), "%Y-%m-%dT%H:%M:%S", &tm);
		ring->second = second;
	}
	add_str(line, ring->second_text);
	add(line, ".", 1);
	add_number(line, (uint64_t)(is_ms ? micros / 1000 * 1000 : micros), 6);
	add(line, "Z ", 2);
}

/* Seconds with three decimals; -1 when the stage was not reached. */
static void add_duration(struct line *line, int64_t us)
{
	if (us < 0) {
		add(line, "-1 ", 3);
		return;
	}
	add_number(line, (uint64_t)us / 1000000, 1);
	add(line, ".", 1);
	add_number(line, (uint64_t)us % 1000000 / 1000, 3);
	add(line, " ", 1);
}

static void add_status(struct line *line, unsigned status)
{
	if (status == 0)
		add(line, "-", 1);
	else
		add_number(line, status, 3);
}

static void add_request_line(struct line *line, const struct access_entry *entry)
{
	bool is_parsed = entry->method.len > 0;
	bool is_absolute = entry->uri.len > 0 && entry->uri.at[0] != '/';

	add(line, "\"", 1);
	add_escaped(line, is_parsed ? entry->method : TEXT("-"));
	add_str(line, strcmp(entry->type, "https") == 0 ? " https://" : " http://");
	add_escaped(line, entry->host);
	if (is_absolute)
		add(line, "/", 1);
	if (is_parsed)
		add_escaped(line, entry->uri);
	else
		add(line, "-", 1);
	add(line, " ", 1);
	add_str(line, is_parsed ? entry->version : "-");
	add(line, "\" ", 2);
}

static void add_connection_id(struct line *line, uint64_t id)
{
	char text[64];
	/* 128 bits in the log, 64 in memory: the second half is a mix of the first. */
	int n = snprintf(text, sizeof(text), "TID_%016llx%016llx ", (unsigned long long)id,
			 (unsigned long long)(id * 0x9E3779B97F4A7C15ull));

	add(line, text, (size_t)n);
}

static size_t format(char *out, struct ring *ring, const struct access_entry *entry)
{
	struct line line = {out, out + LINE_MAX_BYTES - 1};
	struct text agent = entry->user_agent;
	char status[4];
	struct line status_line = {status, status + 3};

	agent.len = agent.len < AGENT_MAX ? agent.len : AGENT_MAX;
	add_status(&status_line, entry->target_status);
	*status_line.at = '\0';
	add_or_dash(&line, entry->type);                  /* 1 */
	add_time(&line, ring, entry->finished_us, false); /* 2 */
	add_or_dash(&line, entry->elb);                   /* 3 */
	add_or_dash(&line, entry->client);                /* 4 */
	add_or_dash(&line, entry->target);                /* 5 */
	add_duration(&line, entry->request_us);           /* 6 */
	add_duration(&line, entry->target_us);            /* 7 */
	add_duration(&line, entry->response_us);          /* 8 */
	add_status(&line, entry->elb_status);             /* 9 */
	add(&line, " ", 1);
	add_or_dash(&line, status);                  /* 10 */
	add_number(&line, entry->received_bytes, 1); /* 11 */
	add(&line, " ", 1);
	add_number(&line, entry->sent_bytes, 1); /* 12 */
	add(&line, " ", 1);
	add_request_line(&line, entry);              /* 13 */
	add_quoted(&line, agent);                    /* 14 */
	add_str(&line, "- - ");                      /* 15, 16: TLS */
	add_or_dash(&line, entry->target_group_arn); /* 17 */
	add_quoted(&line, entry->trace_id);          /* 18 */
	add_str(&line, "\"-\" \"-\" ");              /* 19, 20: TLS */
	if (entry->rule_priority < 0)                /* 21 */
		add(&line, "-", 1);
	else
		add_number(&line, (uint64_t)entry->rule_priority, 1);
	add(&line, " ", 1);
	add_time(&line, ring, entry->created_us, true);                  /* 22 */
	add_quoted_str(&line, entry->actions);                           /* 23 */
	add_quoted(&line, entry->redirect_url);                          /* 24 */
	add_quoted_str(&line, entry->error_reason);                      /* 25 */
	add_quoted_str(&line, entry->target);                            /* 26 */
	add_quoted_str(&line, status);                                   /* 27 */
	add_quoted_str(&line, entry->classification);                    /* 28 */
	add_quoted_str(&line, entry->classification_reason);             /* 29 */
	add_connection_id(&line, entry->connection_id);                  /* 30 */
	add_quoted(&line, entry->transformed_host);                      /* 31 */
	add_quoted(&line, entry->transformed_uri);                       /* 32 */
	add_quoted_str(&line, entry->transform_status);                  /* 33 */
	add_str(&line, entry->node && *entry->node ? entry->node : "-"); /* 34 */
	*line.at++ = '\n';
	return (size_t)(line.at - out);
}

/* ---- the rings ---- */

static void wake(struct access_log *log)
{
	uint64_t one = 1;
	ssize_t n = write(log->wake_fd, &one, sizeof(one));

	(void)n;
}

void access_log_write(struct access_log *log, unsigned lane, const struct access_entry *entry)
{
	struct ring *ring = &log->rings[lane];
	uint64_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
	uint64_t tail = atomic_load_explicit(&ring->tail, memory_order_acquire);
	size_t len = format(ring->line, ring, entry);
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
static bool write_ring(struct access_log *log, struct ring *ring)
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

static void reopen(struct access_log *log)
{
	int fd = open_file(log->path);

	if (fd < 0) {
		log_error("access-log-reopen-failed", "path=\"%s\" why=\"%s\"", log->path,
			  strerror(errno));
		return;
	}
	close(log->fd);
	log->fd = fd;
}

static void *run(void *arg)
{
	struct access_log *log = arg;
	bool was_written = true, is_last;

	do {
		struct pollfd wait = {.fd = log->wake_fd, .events = POLLIN};
		uint64_t count;
		bool is_written = true;

		if (poll(&wait, 1, WRITE_EVERY_MS) > 0 &&
		    read(log->wake_fd, &count, sizeof(count)) < 0)
			log_debug("access-log-wake", "why=\"%s\"", strerror(errno));
		is_last = atomic_load(&log->is_stopping);
		for (unsigned i = 0; i < log->n_lanes; i++)
			is_written = write_ring(log, &log->rings[i]) && is_written;
		if (!is_written && was_written)
			log_error("access-log-failed", "path=\"%s\" why=\"%s\"", log->path,
				  strerror(errno));
		was_written = is_written;
		if (atomic_exchange(&log->wants_reopen, false))
			reopen(log);
	} while (!is_last);
	return NULL;
}

/* ---- life ---- */

static void destroy(struct access_log *log)
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

static int add_rings(struct access_log *log, unsigned n_lanes)
{
	log->rings = aligned_alloc(alignof(struct ring), n_lanes * sizeof(struct ring));
	if (!log->rings)
		return -1;
	memset(log->rings, 0, n_lanes * sizeof(struct ring));
	log->n_lanes = n_lanes;
	for (unsigned i = 0; i < n_lanes; i++) {
		log->rings[i].bytes = malloc(RING_BYTES);
		log->rings[i].line = malloc(LINE_MAX_BYTES);
		if (!log->rings[i].bytes || !log->rings[i].line)
			return -1;
	}
	return 0;
}

static int start_thread(struct access_log *log)
{
	sigset_t all, before;
	int error;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	error = pthread_create(&log->thread, NULL, run, log);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return error;
}

struct access_log *access_log_open(const char *path, unsigned n_lanes, struct err *err)
{
	struct access_log *log = calloc(1, sizeof(*log));
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
	err_set(err, error, "access log %s: %s", path, strerror(error));
	destroy(log);
	return NULL;
}

void access_log_close(struct access_log *log)
{
	if (!log)
		return;
	atomic_store(&log->is_stopping, true);
	wake(log);
	pthread_join(log->thread, NULL);
	destroy(log);
}

void access_log_reopen(struct access_log *log)
{
	atomic_store(&log->wants_reopen, true);
	wake(log);
}

uint64_t access_log_dropped(const struct access_log *log)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < log->n_lanes; i++)
		sum += atomic_load_explicit(&log->rings[i].dropped, memory_order_relaxed);
	return sum;
}
