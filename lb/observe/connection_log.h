/*
 * The connection log in ALB's field order (AWS "Connection logs for your Application Load
 * Balancer"): a line for each connection that a client opened.  Workers format, log_file writes.
 */
#ifndef LB_OBSERVE_CONNECTION_LOG_H
#define LB_OBSERVE_CONNECTION_LOG_H

#include "common/base/check.h"
#include "lb/observe/log_file.h"

/* TLS's fields come with TLS: "-" until then.  Strings are borrowed for the call. */
struct connection_entry {
	int64_t accepted_us;   /* Unix time */
	const char *client_ip; /* bare */
	unsigned client_port, listener_port;
	uint64_t connection_id; /* as in the access log */
	const char *elb;        /* "app/n/id" */
	const char *node;       /* our address; NULL or empty = "-" */
};

/* Worker lane's own call. */
void connection_log_write(struct log_file *log, unsigned lane,
			  const struct connection_entry *entry);

#endif
