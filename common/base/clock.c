/* See clock.h. */
#include "common/base/clock.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

int64_t clock_now_ms(const struct clock *clock)
{
	struct timespec now;

	if (clock != NULL && clock->is_virtual)
		return clock->virtual_ms;
	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t clock_monotonic_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static char *format(int64_t unix_ms, char text[], bool with_ms)
{
	int64_t ms = ((unix_ms % 1000) + 1000) % 1000;
	time_t seconds = (time_t)((unix_ms - ms) / 1000);
	struct tm utc;
	size_t len;

	gmtime_r(&seconds, &utc);
	len = strftime(text, CLOCK_TEXT_MAX, "%Y-%m-%dT%H:%M:%S", &utc);
	if (with_ms)
		snprintf(text + len, CLOCK_TEXT_MAX - len, ".%03dZ", (int)ms);
	else
		snprintf(text + len, CLOCK_TEXT_MAX - len, "Z");
	return text;
}

char *clock_format_iso_ms(int64_t unix_ms, char text[])
{
	return format(unix_ms, text, true);
}

char *clock_format_iso(int64_t unix_ms, char text[])
{
	return format(unix_ms, text, false);
}

static const char *parse_fraction(const char *p, int64_t *ms)
{
	int64_t unit = 100;

	*ms = 0;
	if (*p != '.')
		return p;
	for (p++; isdigit((unsigned char)*p); p++, unit /= 10)
		*ms += (*p - '0') * unit;
	return p;
}

static int parse_zone(const char *p, int64_t *offset_s)
{
	int hours, minutes, used = 0;
	char sign;

	*offset_s = 0;
	if (strcmp(p, "Z") == 0 || strcmp(p, "z") == 0 || *p == '\0')
		return 0;
	/* The set keeps %2d from taking blanks and further signs. */
	if (strspn(p + 1, "0123456789:") != strlen(p + 1) ||
	    sscanf(p, "%c%2d:%2d%n", &sign, &hours, &minutes, &used) != 3 || p[used] != '\0' ||
	    (sign != '+' && sign != '-') || hours > 14 || minutes > 59)
		return -1;
	*offset_s = (int64_t)(hours * 60 + minutes) * (sign == '-' ? -60 : 60);
	return 0;
}

int clock_parse_iso(const char *text, int64_t *unix_ms)
{
	struct tm utc = {0};
	int64_t ms, offset_s;
	const char *p = strptime(text, "%Y-%m-%dT%H:%M:%S", &utc);

	if (p == NULL) {
		utc = (struct tm){0};
		p = strptime(text, "%Y-%m-%d", &utc);
	}
	if (p == NULL)
		return -1;
	p = parse_fraction(p, &ms);
	if (parse_zone(p, &offset_s) != 0)
		return -1;
	*unix_ms = ((int64_t)timegm(&utc) - offset_s) * 1000 + ms;
	return 0;
}
