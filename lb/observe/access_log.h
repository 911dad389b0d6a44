/*
 * The access log in ALB's field order (reference: AWS "Access logs for your
 * Application Load Balancer"), or the same fields as one JSON object a line.  Workers
 * format, log_file writes.
 */
#ifndef LB_OBSERVE_ACCESS_LOG_H
#define LB_OBSERVE_ACCESS_LOG_H

#include <stdint.h>

#include "common/base/check.h"
#include "common/base/err.h"
#include "lb/observe/line.h"
#include "lb/routing/target.h" /* MAX_LANES */
#include "lb/routing/text.h"

struct access_log;

enum access_log_format { ACCESS_LOG_ALB, ACCESS_LOG_JSON };

/* As log_file_open. */
MUST_CHECK struct access_log *access_log_open(const char *path, enum access_log_format format,
					      unsigned n_lanes, struct err *err);
/* Writes what is left, ends the thread.  NULL is fine; no worker may run. */
void access_log_close(struct access_log *log);

/* After a rotation: the file is opened anew by its name.  Any thread, returns at once. */
void access_log_reopen(struct access_log *log);

int access_log_wake_fd(const struct access_log *log);      /* as log_file_wake_fd */
uint64_t access_log_dropped(const struct access_log *log); /* lines lost to a slow disk */

/* One exchange; texts and strings are borrowed for the call; NULL or empty = "-". */
struct access_entry {
	const char *type;                           /* "http" */
	struct text scheme;                         /* of the URL: "http" */
	int64_t created_us, finished_us;            /* Unix time */
	const char *elb;                            /* "app/n/id" */
	const char *client, *target;                /* "ip:port" */
	int64_t request_us, target_us, response_us; /* -1 = not reached */
	unsigned elb_status, target_status;         /* 0 = none */
	uint64_t received_bytes, sent_bytes;
	struct text method, host, uri; /* host with port; an empty method: unparsable request */
	const char *version;           /* "HTTP/1.1" */
	struct text user_agent;
	const char *target_group_arn;
	struct text trace_id;
	int rule_priority;   /* -1 = none was evaluated */
	const char *actions; /* "forward" */
	struct text redirect_url;
	const char *error_reason;
	const char *classification, *classification_reason;
	uint64_t connection_id;                        /* makes the TID_ */
	struct text transformed_host, transformed_uri; /* empty: no transform changed it */
	const char *transform_status;                  /* "TransformSuccess" */
	const char *node;                              /* our address */
};

/* One line, "\n" and all, in line[LOG_LINE_MAX]; returns its length.  What is longer is cut. */
size_t access_log_format_line(enum access_log_format format, char *line, struct line_clock *clock,
			      const struct access_entry *entry);

/* Worker lane's own call. */
void access_log_write(struct access_log *log, unsigned lane, const struct access_entry *entry);

#endif
