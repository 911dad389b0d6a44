/*
 * The health check log: one line a probe, in ALB's field order (AWS "Health check
 * logs for your Application Load Balancer").  Control thread; lines are written as they come.
 */
#ifndef LB_OBSERVE_HEALTH_LOG_H
#define LB_OBSERVE_HEALTH_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/check.h"
#include "common/base/err.h"

struct health_log;

/* path "-" = stdout. */
MUST_CHECK struct health_log *health_log_open(const char *path, struct err *err);
void health_log_close(struct health_log *log); /* NULL is fine */
/* After a rotation: the file is opened anew by its name; the old one stays when that fails. */
void health_log_reopen(struct health_log *log);

struct health_entry {
	const char *type;   /* "http", "https" */
	int64_t started_us; /* Unix time */
	int64_t latency_ns;
	const char *target; /* "10.0.1.20:8080" */
	const char *group;  /* its name */
	long code;          /* 0 = no answer */
	const char *reason; /* NULL: it passed */
	const char *elb;    /* "app/n/id" */
	const char *node;   /* our address; NULL = "-" */
};

enum { HEALTH_LINE_MAX = 512 };

/* The line with its end into line[HEALTH_LINE_MAX]; returns its length. */
size_t health_log_format(const struct health_entry *entry, char line[HEALTH_LINE_MAX]);

void health_log_write(struct health_log *log, const struct health_entry *entry);

#endif
