/*
 * Active health checks with libcurl: first probe at once, the next at a random
 * part of the interval, then one an interval, from start to start.  A bounded number run at a time;
 * the others wait their turn.  Control thread only.
 */
#ifndef LB_CONTROL_PROBER_H
#define LB_CONTROL_PROBER_H

#include <event2/event.h>

#include "common/base/err.h"
#include "common/http/curl_loop.h"
#include "lb/control/registry.h"

struct prober;

/* log: borrowed; NULL = none. */
MUST_CHECK struct prober *prober_new(struct event_base *base, struct curl_loop *curl,
				     struct health_log *log, struct err *err);
/* No target may be probed any more. */
void prober_free(struct prober *prober); /* NULL is fine */

/* Probes a target until prober_stop(); nothing when it is probed already.  -1 without memory. */
MUST_CHECK int prober_start(struct prober *prober, struct live_target *target);
void prober_stop(struct live_target *target);

/* Is code among "200,202,300-399"? */
bool matcher_has(const char *matcher, long code);

#endif
