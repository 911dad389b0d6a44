/*
 * Times that come again: the five fields of cron (minute hour day-of-month month day-of-week), read
 * in a time zone's local time.  A local time that a zone skips when its clock goes forward runs at
 * the first instant after the gap; one that it has twice runs once, the first time.  With both
 * days restricted, either will do.  Pure: the zone is a function.  AWS: "Scheduled scaling";
 * crontab(5).
 */
#ifndef SCALER_ENGINE_CRON_H
#define SCALER_ENGINE_CRON_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/check.h"

struct cron {
	uint64_t minutes;
	uint32_t hours, days, months, weekdays; /* bit n: value n */
	bool is_any_day, is_any_weekday;        /* the field begins with a star */
};

/* Numbers, names (JAN, MON), lists, ranges, steps; day-of-week 0 and 7 are Sunday.  -1: no such
 * expression. */
MUST_CHECK int cron_parse(struct cron *cron, const char *text);

/* Seconds that the zone's clock is ahead of UTC at that Unix time. */
typedef int (*cron_offset_fn)(const void *zone, int64_t at_s);

/* The first time after after_ms (Unix ms, a whole minute in UTC or where a gap ends); INT64_MAX:
 * none in the next ten years. */
int64_t cron_next_ms(const struct cron *cron, int64_t after_ms, cron_offset_fn offset,
		     const void *zone);

#endif
