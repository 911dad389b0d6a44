/*
 * What every child of the lab does between fork and exec.  Async-signal-safe.
 */
#ifndef LAB_RUNTIME_SPAWN_H
#define LAB_RUNTIME_SPAWN_H

#include <sys/types.h>

#include "common/base/check.h"

/* Asks the kernel for SIGTERM when the lab (the pid before fork) dies; -1 when it is dead already.
 */
MUST_CHECK int spawn_die_with(pid_t lab);

/* Closes every descriptor from first on, and undoes what the lab set for signals. */
void spawn_clean(int first);

#endif
