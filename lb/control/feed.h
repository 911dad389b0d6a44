/*
 * The metric feed: every second the differences of the counters become
 * PutMetricData calls (namespace AWS/ApplicationELB, StorageResolution 1).  When the endpoint is
 * down, a bounded number of calls is kept, oldest dropped and counted.  Control thread only.
 */
#ifndef LB_CONTROL_FEED_H
#define LB_CONTROL_FEED_H

#include <event2/event.h>

#include "common/aws/client.h"
#include "common/store/store.h"
#include "lb/control/registry.h"
#include "lb/observe/counters.h"

struct feed;

struct feed_config {
	/* All borrowed: they outlive the feed. */
	struct event_base *base;
	struct aws_client *client; /* service monitoring */
	struct counters *counters;
	struct registry *registry;
	struct store *store;
	const char *zone; /* dimension AvailabilityZone; NULL = not sent */
};

MUST_CHECK struct feed *feed_new(const struct feed_config *config, struct err *err);
void feed_free(struct feed *feed); /* NULL is fine */

/* Load balancers or groups came or went. */
void feed_sync(struct feed *feed);

struct feed_state {
	uint64_t sent, dropped; /* metric data */
	size_t n_waiting;       /* calls */
	bool is_down;
};
struct feed_state feed_state(const struct feed *feed);

#endif
