/*
 * From counters to CloudWatch's MetricData: which metrics, with which dimensions, and
 * which of them also when nothing happened.  Pure.
 */
#ifndef LB_CONTROL_METRIC_DATA_H
#define LB_CONTROL_METRIC_DATA_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "lb/control/host_counts.h"
#include "lb/observe/counters.h"

/* What happened at one load balancer in the second. */
struct lb_second {
	const char *resource;   /* "app/n/id" */
	const uint64_t *counts; /* by enum lb_counter; ACTIVE_CONNECTIONS as it is now */
	const struct group_counters *groups; /* the sum of its groups */
	bool has_targets;                    /* any registered */
	bool has_lb_cookie, has_app_cookie;  /* any group with this stickiness */
};

struct group_second {
	const char *resource, *load_balancer; /* "targetgroup/n/id", "app/n/id" */
	const struct group_counters *counts;
	struct host_counts hosts;
	uint64_t in_flight; /* requests at the group's targets as the second ends */
};

struct metric_context {
	json_t *data;          /* the list that grows */
	const char *timestamp; /* ISO 8601 */
	const char *zone;      /* NULL = no AvailabilityZone dimension */
};

void metric_add_lb(const struct metric_context *context, const struct lb_second *second);
void metric_add_group(const struct metric_context *context, const struct group_second *second);

#endif
