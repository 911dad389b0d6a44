/* See slow_start.h. */
#include "lb/routing/slow_start.h"

bool slow_start_is_in(int64_t from_ms, unsigned duration_s, int64_t now_ms)
{
	return from_ms != 0 && now_ms - from_ms < (int64_t)duration_s * 1000;
}

unsigned slow_start_share(int64_t from_ms, unsigned duration_s, int64_t now_ms)
{
	int64_t elapsed_ms = now_ms - from_ms;

	if (!slow_start_is_in(from_ms, duration_s, now_ms))
		return SHARE_FULL;
	elapsed_ms = elapsed_ms * SHARE_FULL / ((int64_t)duration_s * 1000);
	return elapsed_ms < SLOW_START_LEAST ? SLOW_START_LEAST : (unsigned)elapsed_ms;
}
