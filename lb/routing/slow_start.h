/*
 * Slow start: who enters it, and what share of the traffic a target gets in it.
 * Pure: the time is handed in.
 */
#ifndef LB_ROUTING_SLOW_START_H
#define LB_ROUTING_SLOW_START_H

#include <stdbool.h>
#include <stdint.h>

#include "lb/routing/target.h"

enum { SLOW_START_LEAST = SHARE_FULL / 100 }; /* at the very beginning */

/* Of SHARE_FULL; grows linearly over the duration. */
unsigned slow_start_share(int64_t from_ms, unsigned duration_s, int64_t now_ms);

/* Is a target that became healthy at from_ms (0 = it is not in slow start) in it now? */
bool slow_start_is_in(int64_t from_ms, unsigned duration_s, int64_t now_ms);

#endif
