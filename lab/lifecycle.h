/*
 * What the scaler says of the instances: asked once a second while there are any of its groups, so
 * that the metadata service can tell an instance its target lifecycle state, and that what waits
 * in a warm pool does not count in its group's average.  Control thread.
 */
#ifndef LAB_LIFECYCLE_H
#define LAB_LIFECYCLE_H

#include <event2/event.h>

#include "common/aws/client.h"

struct lifecycle;

/* client: of service autoscaling, borrowed; freed before lifecycle_free, so that no call ends in
 * it. */
MUST_CHECK struct lifecycle *lifecycle_new(struct event_base *base, struct aws_client *client,
					   struct err *err);
void lifecycle_free(struct lifecycle *lifecycle); /* NULL is fine */

/* An instance of some group runs: the scaler is to be asked for a while. */
void lifecycle_want(struct lifecycle *lifecycle);

/* Does it wait in a warm pool, or is on its way there?  False when nothing is known. */
bool lifecycle_is_warm(const struct lifecycle *lifecycle, const char *instance_id);

/* target-lifecycle-state, as asked after since_ms (what was said before that is too old); NULL:
 * not known, or not in a group.  Valid until the loop turns. */
const char *lifecycle_target(struct lifecycle *lifecycle, const char *instance_id,
			     int64_t since_ms);

/* Pure: the state that LifecycleState leads to; pool_state: of the group's warm pool, NULL
 * unknown.  NULL: none. */
const char *lifecycle_target_of(const char *state, const char *pool_state);

#endif
