/* See time_zone.h. */
#include "common/base/time_zone.h"

#include <ctype.h>
#include <glib.h>
#include <string.h>

enum { NAME_MAX_LEN = 64, ZONES_MAX = 64 };

/* As tzdata names its files: no path out of its folder, and none of GLib's other forms ("+02:00",
 * "CET-1CEST"). */
static bool is_name(const char *name)
{
	size_t len = strlen(name);

	if (len == 0 || len > NAME_MAX_LEN || !isupper((unsigned char)name[0]) ||
	    strstr(name, "..") || strstr(name, "//") || name[len - 1] == '/')
		return false;
	for (const char *c = name; *c; c++) {
		if (!isalnum((unsigned char)*c) && !strchr("/_+-", *c))
			return false;
	}
	return true;
}

/* Borrowed; NULL: there is none of that name. */
static GTimeZone *find(const char *name)
{
	static struct {
		char name[NAME_MAX_LEN + 1];
		GTimeZone *zone;
	} known[ZONES_MAX];
	static size_t next;
	GTimeZone *zone;

	for (size_t i = 0; i < ZONES_MAX; i++) {
		if (known[i].zone && strcmp(known[i].name, name) == 0)
			return known[i].zone;
	}
	zone = is_name(name) ? g_time_zone_new_identifier(name) : NULL;
	if (!zone)
		return NULL;
	if (known[next].zone)
		g_time_zone_unref(known[next].zone);
	strcpy(known[next].name, name);
	known[next].zone = zone;
	next = (next + 1) % ZONES_MAX;
	return zone;
}

bool time_zone_is(const char *name)
{
	return find(name) != NULL;
}

int time_zone_offset(const char *name, int64_t at_s)
{
	GTimeZone *zone = find(name);
	int interval;

	if (!zone)
		return 0;
	interval = g_time_zone_find_interval(zone, G_TIME_TYPE_UNIVERSAL, at_s);
	return interval < 0 ? 0 : g_time_zone_get_offset(zone, interval);
}
