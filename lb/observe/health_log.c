/* See health_log.h. */
#include "lb/observe/health_log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/base/log.h"

struct health_log {
	int fd;
	bool is_failing; /* logged once a change */
	char path[];
};

static int open_path(const char *path)
{
	if (strcmp(path, "-") == 0)
		return STDOUT_FILENO;
	return open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
}

struct health_log *health_log_open(const char *path, struct err *err)
{
	struct health_log *log = calloc(1, sizeof(*log) + strlen(path) + 1);

	if (!log) {
		err_set(err, ENOMEM, "out of memory");
		return NULL;
	}
	memcpy(log->path, path, strlen(path) + 1);
	log->fd = open_path(path);
	if (log->fd >= 0)
		return log;
	err_set(err, errno, "Lb.HealthCheckLog %s: %s", path, strerror(errno));
	free(log);
	return NULL;
}

void health_log_close(struct health_log *log)
{
	if (!log)
		return;
	if (log->fd != STDOUT_FILENO)
		close(log->fd);
	free(log);
}

void health_log_reopen(struct health_log *log)
{
	int fd = open_path(log->path);

	if (fd < 0) {
		log_error("health-log", "path=%s why=\"%s\"", log->path, strerror(errno));
		return;
	}
	if (log->fd != STDOUT_FILENO)
		close(log->fd);
	log->fd = fd;
}

static int format_time(int64_t unix_us, char *text, size_t size)
{
	time_t seconds = (time_t)(unix_us / 1000000);
	struct tm tm;
	size_t len;

	gmtime_r(&seconds, &tm);
	len = strftime(text, size, "%Y-%m-%dT%H:%M:%S", &tm);
	return (int)len + snprintf(text + len, size - len, ".%06dZ", (int)(unix_us % 1000000));
}

size_t health_log_format(const struct health_entry *entry, char line[HEALTH_LINE_MAX])
{
	char started[40], code[24] = "-";
	int len;

	format_time(entry->started_us, started, sizeof(started));
	if (entry->code > 0)
		snprintf(code, sizeof(code), "%ld", entry->code);
	len = snprintf(line, HEALTH_LINE_MAX, "%s %s %lld.%09lld %s %s %s %s %s %s %s\n",
		       entry->type, started, (long long)(entry->latency_ns / 1000000000),
		       (long long)(entry->latency_ns % 1000000000), entry->target, entry->group,
		       entry->reason ? "FAIL" : "PASS", code, entry->reason ? entry->reason : "-",
		       entry->elb, entry->node ? entry->node : "-");
	return len < HEALTH_LINE_MAX ? (size_t)len : HEALTH_LINE_MAX - 1;
}

void health_log_write(struct health_log *log, const struct health_entry *entry)
{
	char line[HEALTH_LINE_MAX];
	size_t len;
	bool is_failure;

	if (!log)
		return;
	len = health_log_format(entry, line);
	is_failure = write(log->fd, line, len) != (ssize_t)len;
	if (is_failure && !log->is_failing)
		log_error("health-log", "path=%s why=\"%s\"", log->path, strerror(errno));
	log->is_failing = is_failure;
}
