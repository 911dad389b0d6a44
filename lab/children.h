/*
 * The programs that the lab runs: started, restarted with growing pauses when they die, stopped.
 * Each is its own process group (Ctrl-C reaches the lab alone) and dies with the lab.  Control
 * thread.
 */
#ifndef LAB_CHILDREN_H
#define LAB_CHILDREN_H

#include <stdbool.h>

#include "lab/runtime/reaper.h"

struct children;

/* A child ended with an error before it ever worked: nothing to wait for. */
typedef void (*children_fatal_fn)(void *arg, const char *program, int status);

MUST_CHECK struct children *children_new(struct event_base *base, struct reaper *reaper,
					 children_fatal_fn fatal, void *arg, struct err *err);
void children_free(struct children *children); /* kills what still runs */

/* Starts program ("albatross-lb") from the folder of our own binary with -c config_file.  -1: it
 * is not there, or fork failed. */
MUST_CHECK int children_start(struct children *children, const char *program,
			      const char *config_file, bool is_verbose, struct err *err);
/* They all work: from now on a death is followed by a restart, never by giving up. */
void children_have_worked(struct children *children);
/* program NULL: all of them. */
void children_signal(struct children *children, const char *program, int signal);
/* No restarts any more; SIGTERM to all. */
void children_stop(struct children *children);
int children_count(const struct children *children); /* running */

#endif
