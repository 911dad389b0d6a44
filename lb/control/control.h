/*
 * The control plane: everything of the load balancer that is not a request.  It owns
 * store, API server, registry, proxy and feed, and turns every change of the store into a new
 * snapshot, once a turn of the loop.  One thread: the one that runs the loop.
 */
#ifndef LB_CONTROL_CONTROL_H
#define LB_CONTROL_CONTROL_H

#include <event2/event.h>

#include "common/base/err.h"

struct control;

/* Loads the file, opens the state, starts the workers, applies the file, listens.  NULL with err.
 */
MUST_CHECK struct control *control_start(struct event_base *base, const char *config_path,
					 struct err *err);
/* Ends everything at once; control_drain() first, where requests matter.  NULL is fine. */
void control_stop(struct control *control);

/* Reads the file again and applies it; a bad one changes nothing and is logged. */
void control_reload(struct control *control);
void control_reopen_logs(struct control *control);

/* Takes no new connections and lets the exchanges under way finish; calls done from the loop when
 * they have, or when limit_ms are over. */
void control_drain(struct control *control, int limit_ms, void (*done)(void *arg), void *arg);

/* -t: is the file good, as far as can be told without opening anything? */
MUST_CHECK int control_check(const char *config_path, struct err *err);

#endif
