/*
 * What the workers were given: the newest snapshot, whose compiled rules serve again as long as a
 * listener's rules stay the same; and older ones, which are kept until no worker uses them, so that
 * what is left of them is freed here and never holds up a worker.  Control thread.
 */
#ifndef LB_CONTROL_ROLLOUT_H
#define LB_CONTROL_ROLLOUT_H

#include <event2/event.h>
#include <jansson.h>

#include "common/base/err.h"
#include "lb/routing/snapshot.h"

struct rollout;

MUST_CHECK struct rollout *rollout_new(struct event_base *base, struct err *err);
void rollout_free(struct rollout *rollout); /* NULL is fine; when the workers are gone */

/* A document of the store is now this; NULL = deleted. */
void rollout_note_change(struct rollout *rollout, const char *key, const json_t *document);

/* The listener in the newest snapshot, if its rules are still those in the store; else NULL. */
const struct listener *rollout_listener(const struct rollout *rollout, const char *arn);

/* The workers were sent the snapshot, compiled from the store as it is now. */
void rollout_done(struct rollout *rollout, struct snapshot *snapshot);

#endif
