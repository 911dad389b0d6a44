/*
 * The Lb section of the configuration, with defaults.  Borrowed from the document.
 */
#ifndef LB_CONTROL_SETTINGS_H
#define LB_CONTROL_SETTINGS_H

#include <jansson.h>
#include <stdbool.h>

#include "common/config/settings.h"

struct lb_settings {
	struct config_settings common;
	unsigned n_workers;
	size_t buffer_bytes;          /* of a worker */
	const char *metrics_endpoint; /* NULL = metrics are sent nowhere */
	const char *ec2_endpoint;     /* NULL = the region's own */
	const char *access_log;       /* NULL = none */
	const char *health_check_log; /* NULL = none */
	bool is_access_log_json;
	const char *connection_log; /* NULL = none */
	const char *auto_address;   /* "127.0.1.0/24"; NULL = all addresses */
	const char *zone;           /* availability zone of this machine; NULL = unknown */
};

void lb_settings_read(const json_t *config, struct lb_settings *settings);

#endif
