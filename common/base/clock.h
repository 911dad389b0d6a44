/*
 * Time.  Pure code takes `now_ms` as a parameter; only the thin rims call these.
 * A virtual clock (for simulation and tests) is a struct whose time the owner
 * moves by hand.  Any thread for the real clock; one owner for a virtual one.
 */
#ifndef COMMON_BASE_CLOCK_H
#define COMMON_BASE_CLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/check.h"

struct clock {
	bool is_virtual;
	int64_t virtual_ms; /* Unix time in ms; read only when is_virtual */
};

/* Unix time in milliseconds of this clock; NULL means the real one. */
int64_t clock_now_ms(const struct clock *clock);

/* Monotonic microseconds, for durations. */
int64_t clock_monotonic_us(void);

enum { CLOCK_TEXT_MAX = 32 };

/* "2026-11-21T00:31:52.181Z" into text[CLOCK_TEXT_MAX]; returns text. */
char *clock_format_iso_ms(int64_t unix_ms, char text[]);

/* "2026-11-21T00:31:52Z" */
char *clock_format_iso(int64_t unix_ms, char text[]);

/* ISO 8601 with Z, +hh:mm or nothing (UTC), any fraction.  Returns -1 if it is none. */
MUST_CHECK int clock_parse_iso(const char *text, int64_t *unix_ms);

#endif
