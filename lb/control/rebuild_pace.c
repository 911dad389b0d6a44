/* See rebuild_pace.h. */
#include "lb/control/rebuild_pace.h"

enum { FREE_US = 1000000, SHARE = 5 };

static int64_t debt_at(const struct rebuild_pace *pace, int64_t now_us)
{
	int64_t paid_us = (now_us - pace->at_us) / SHARE;

	return paid_us < pace->debt_us ? pace->debt_us - paid_us : 0;
}

void rebuild_pace_note(struct rebuild_pace *pace, int64_t now_us, int64_t took_us)
{
	pace->debt_us = debt_at(pace, now_us) + took_us;
	pace->at_us = now_us;
}

int64_t rebuild_pace_wait_us(const struct rebuild_pace *pace, int64_t now_us)
{
	int64_t over_us = debt_at(pace, now_us) - FREE_US;

	return over_us > 0 ? over_us * SHARE : 0;
}
