/*
 * When the next rebuild may start.  Pure: the control thread passes the time in.
 *
 * A change is served at once, before its call is answered, for as long as rebuilding stays cheap on
 * the whole: a second of work is free, and a fifth of the time that passes pays for more.  Beyond
 * that (very many rules, changed one by one) changes in a row share a rebuild, and the thread has
 * time for its health checks.
 */
#ifndef LB_CONTROL_REBUILD_PACE_H
#define LB_CONTROL_REBUILD_PACE_H

#include <stdint.h>

/* All zero to begin with. */
struct rebuild_pace {
	int64_t debt_us; /* of work, at at_us */
	int64_t at_us;
};

/* A rebuild took so long, and is over now. */
void rebuild_pace_note(struct rebuild_pace *pace, int64_t now_us, int64_t took_us);
/* Until the next may start; 0 = at once. */
int64_t rebuild_pace_wait_us(const struct rebuild_pace *pace, int64_t now_us);

#endif
