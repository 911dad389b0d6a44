/*
 * An instance's first process, a mode of the lab's own binary: it runs the user data, is the
 * parent of whatever the script leaves behind (PR_SET_CHILD_SUBREAPER), and ends all of it when it
 * is told to, or when the lab dies.  So no process outlives its instance, whatever session or
 * group it moved to, and no privilege is needed.  A process of its own; nothing shared.
 */
#ifndef LAB_RUNTIME_INIT_H
#define LAB_RUNTIME_INIT_H

#include <stdint.h>

/* argv[1] of the lab's binary in this mode: then INSTANCE-ID and the script's path ("" = none). */
#define INIT_MODE "--instance-init"

enum {
	INIT_REPORT_FD = 3,   /* the pipe to the lab */
	INIT_GRACE_MS = 2000, /* from SIGTERM to SIGKILL */
};

enum init_report_kind {
	INIT_EXEC_FAILED = 1, /* value: errno */
	INIT_STARTED,         /* the script runs */
	INIT_EXITED,          /* value: its exit status */
	INIT_KILLED,          /* value: the signal that ended it */
	INIT_EMPTY,           /* nothing is left */
};

/* Written whole to the pipe, at most one of each kind, in this order. */
struct init_report {
	int32_t kind;
	int32_t value;
};

/* The program in this mode; returns its exit status. */
int init_main(int argc, char *argv[]);

#endif
