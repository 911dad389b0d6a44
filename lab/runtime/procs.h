/*
 * Processes as /proc shows them: who descends from whom, and how much CPU they used.  Used by the
 * lab (CPU, leftovers) and by an instance's init (killing).  Reads /proc; no state.
 */
#ifndef LAB_RUNTIME_PROCS_H
#define LAB_RUNTIME_PROCS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/base/check.h"

struct proc {
	pid_t pid, ppid, pgid, sid;
	char state; /* 'Z': ended, not waited for */
	/* Clock ticks of user and system time, its own and of the children it has waited for. */
	uint64_t ticks;
};

struct procs {
	struct proc *list; /* sorted by pid */
	size_t n;
};

/* All processes of the machine that we may see.  -1 without memory or /proc. */
MUST_CHECK int procs_read(struct procs *procs);
void procs_fini(struct procs *procs);

/* One line of /proc/PID/stat.  Pure; -1 if it is none. */
MUST_CHECK int procs_parse_stat(const char *line, struct proc *proc);

/* Is root pid itself or one of its ancestors? */
bool procs_descends(const struct procs *procs, pid_t pid, pid_t root);

/* CPU ticks of root and all that descend from it. */
uint64_t procs_ticks(const struct procs *procs, pid_t root);

/*
 * Microseconds that the threads of root and its descendants have stood ready to run with no core
 * free (/proc/PID/task/TID/schedstat, 2nd figure); those of ended threads are gone from the sum.
 * 0 where the kernel keeps no such figures.
 */
uint64_t procs_wait_us(const struct procs *procs, pid_t root);

/* One line of schedstat: the wait in microseconds.  Pure; 0 if it is none. */
uint64_t procs_parse_schedstat(const char *line);

/* Signals all descendants of root that have not ended, not root itself; how many there were. */
int procs_signal(const struct procs *procs, pid_t root, int signal);

#endif
