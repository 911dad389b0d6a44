/*
 * Spot interruptions by hand: POST /lab/spot-notices on the lab's API,
 * {"InstanceId": "i-...", "Action": "terminate" | "rebalance", "Seconds": 120}.  The instance's
 * metadata service tells it, the scaler hears of it as EventBridge would tell it, and after so
 * many seconds the instance ends.  Control thread.
 */
#ifndef LAB_SPOT_NOTICES_H
#define LAB_SPOT_NOTICES_H

#include "common/aws/server.h"
#include "lab/ec2/ec2.h"
#include "lab/neighbours/delivery.h"

struct spot_notices;

struct spot_notices_config {
	struct event_base *base; /* borrowed, all of these */
	struct ec2 *ec2;
	struct delivery *delivery;
	const char *scaler_api; /* "127.0.0.1:7002" */
	const char *events_key; /* NULL: the scaler wants none */
};

/* NULL without memory. */
MUST_CHECK struct spot_notices *spot_notices_new(const struct spot_notices_config *config);
void spot_notices_free(struct spot_notices *notices); /* NULL is fine */

/* The page; context: struct spot_notices. */
void spot_notices_take(void *context, struct aws_page *page);

#endif
