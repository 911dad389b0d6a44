/*
 * The time zones of the system (IANA names, package tzdata), read by GLib.  Each zone is kept once
 * read; a file that an update changes is seen at the next start.  Control thread only.
 */
#ifndef COMMON_BASE_TIME_ZONE_H
#define COMMON_BASE_TIME_ZONE_H

#include <stdbool.h>
#include <stdint.h>

/* Is it the name of a zone ("Europe/Berlin", "UTC")? */
bool time_zone_is(const char *name);

/* Seconds that the zone's clock is ahead of UTC at that Unix time; 0 for what is no zone. */
int time_zone_offset(const char *name, int64_t at_s);

#endif
