/*
 * Children of the lab: who waits for which, on SIGCHLD in the loop.  Control thread; one a
 * program.
 */
#ifndef LAB_RUNTIME_REAPER_H
#define LAB_RUNTIME_REAPER_H

#include <event2/event.h>
#include <sys/types.h>

#include "common/base/err.h"

struct reaper;

/* status as waitpid gives it.  The watch is gone when it is called. */
typedef void (*reaper_fn)(void *arg, pid_t pid, int status);

MUST_CHECK struct reaper *reaper_new(struct event_base *base, struct err *err);
void reaper_free(struct reaper *reaper); /* kills nobody */

/* -1 without memory.  Call it before the loop runs again after fork. */
MUST_CHECK int reaper_watch(struct reaper *reaper, pid_t pid, reaper_fn fn, void *arg);

/*
 * Kills children that nobody watches and that are of another session: what an instance left
 * behind, handed to us because we are a subreaper.  How many there were.
 */
int reaper_kill_strays(struct reaper *reaper);

#endif
