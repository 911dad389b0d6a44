/* See cron.h. */
#include "scaler/engine/cron.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

enum { DAY_S = 86400, DAYS_MAX = 10 * 366 };

/* ---- reading ---- */

struct field {
	int min, max;
	const char *const *names; /* of min, min + 1, ...; NULL: none */
	int n_names;
};

static const char *const month_names[] = {"JAN", "FEB", "MAR", "APR", "MAY", "JUN",
					  "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"};
static const char *const day_names[] = {"SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"};

static const struct field minute_field = {0, 59, NULL, 0};
static const struct field hour_field = {0, 23, NULL, 0};
static const struct field day_field = {1, 31, NULL, 0};
static const struct field month_field = {1, 12, month_names, 12};
static const struct field weekday_field = {0, 7, day_names, 7};

static int read_number(const char **text, int *value)
{
	int n = 0, digits = 0;

	for (; isdigit((unsigned char)**text) && digits < 4; (*text)++, digits++)
		n = 10 * n + (**text - '0');
	*value = n;
	return digits > 0 ? 0 : -1;
}

static int read_value(const struct field *field, const char **text, int *value)
{
	for (int i = 0; i < field->n_names; i++) {
		if (strncasecmp(*text, field->names[i], 3) != 0)
			continue;
		*text += 3;
		*value = field->min + i;
		return 0;
	}
	if (read_number(text, value) < 0)
		return -1;
	return *value >= field->min && *value <= field->max ? 0 : -1;
}

/* "*", "5", "1-5", each with "/step" behind it. */
static int read_range(const struct field *field, const char **text, uint64_t *bits)
{
	int from = field->min, to = field->max, step = 1;
	bool is_single = **text != '*';

	if (!is_single)
		(*text)++;
	else if (read_value(field, text, &from) < 0)
		return -1;
	if (is_single && **text == '-') {
		(*text)++;
		if (read_value(field, text, &to) < 0 || to < from)
			return -1;
		is_single = false;
	}
	if (**text == '/') {
		(*text)++;
		if (read_number(text, &step) < 0 || step == 0)
			return -1;
	} else if (is_single) {
		to = from;
	}
	for (int i = from; i <= to; i += step)
		*bits |= (uint64_t)1 << i;
	return 0;
}

static int read_field(const struct field *field, const char **text, uint64_t *bits)
{
	*bits = 0;
	*text += strspn(*text, " \t");
	for (;;) {
		if (read_range(field, text, bits) < 0)
			return -1;
		if (**text != ',')
			break;
		(*text)++;
	}
	return **text == '\0' || **text == ' ' || **text == '\t' ? 0 : -1;
}

static bool begins_with_star(const char *text)
{
	return text[strspn(text, " \t")] == '*';
}

int cron_parse(struct cron *cron, const char *text)
{
	uint64_t bits;

	memset(cron, 0, sizeof *cron);
	if (read_field(&minute_field, &text, &cron->minutes) < 0 ||
	    read_field(&hour_field, &text, &bits) < 0)
		return -1;
	cron->hours = (uint32_t)bits;
	cron->is_any_day = begins_with_star(text);
	if (read_field(&day_field, &text, &bits) < 0)
		return -1;
	cron->days = (uint32_t)bits;
	if (read_field(&month_field, &text, &bits) < 0)
		return -1;
	cron->months = (uint32_t)bits;
	cron->is_any_weekday = begins_with_star(text);
	if (read_field(&weekday_field, &text, &bits) < 0)
		return -1;
	if (bits & 1 << 7)
		bits |= 1;
	cron->weekdays = (uint32_t)bits & 0x7F;
	return text[strspn(text, " \t")] == '\0' ? 0 : -1;
}

/* ---- days ---- */

struct date {
	int month, day; /* from 1 */
	int weekday;    /* 0: Sunday */
};

/* Days since 1970-01-01 as a date of the Gregorian calendar, by eras of 400 years that begin in
 * March. */
static struct date date_of(int64_t days)
{
	int64_t shifted = days + 719468, era = shifted / 146097;
	int day_of_era = (int)(shifted - era * 146097);
	int year_of_era =
	    (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
	int day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
	int from_march = (5 * day_of_year + 2) / 153;
	struct date date = {
	    .month = from_march < 10 ? from_march + 3 : from_march - 9,
	    .day = day_of_year - (153 * from_march + 2) / 5 + 1,
	    .weekday = (int)((days % 7 + 11) % 7),
	};

	return date;
}

static bool is_day(const struct cron *cron, int64_t days)
{
	struct date date = date_of(days);
	bool is_date = cron->days & 1u << date.day;
	bool is_weekday = cron->weekdays & 1u << date.weekday;

	if (!(cron->months & 1u << date.month))
		return false;
	if (cron->is_any_day || cron->is_any_weekday)
		return is_date && is_weekday;
	return is_date || is_weekday;
}

/* ---- times ---- */

/* The first instant after before_s, and not after after_s, at which the clock is ahead by that. */
static int64_t find_change(int64_t before_s, int64_t after_s, int ahead, cron_offset_fn offset,
			   const void *zone)
{
	while (after_s - before_s > 1) {
		int64_t middle = before_s + (after_s - before_s) / 2;

		if (offset(zone, middle) == ahead)
			after_s = middle;
		else
			before_s = middle;
	}
	return after_s;
}

/* The instant of a local time (seconds since 1970 as its clock counts). */
static int64_t instant_of(int64_t local_s, cron_offset_fn offset, const void *zone)
{
	int before = offset(zone, local_s - DAY_S), after = offset(zone, local_s + DAY_S);

	if (offset(zone, local_s - before) == before)
		return local_s - before;
	if (offset(zone, local_s - after) == after)
		return local_s - after;
	return find_change(local_s - after, local_s - before, after, offset, zone);
}

static int64_t floor_div(int64_t a, int64_t b)
{
	return a >= 0 ? a / b : -((-a + b - 1) / b);
}

/* The first of the day's times whose instant is after after_s; INT64_MAX: none. */
static int64_t next_in_day(const struct cron *cron, int64_t days, int64_t after_s,
			   cron_offset_fn offset, const void *zone)
{
	for (int minute = 0; minute < 24 * 60; minute++) {
		int64_t at_s;

		if (!(cron->hours & 1u << minute / 60) ||
		    !(cron->minutes & (uint64_t)1 << minute % 60))
			continue;
		at_s = instant_of(days * DAY_S + 60LL * minute, offset, zone);
		if (at_s > after_s)
			return at_s;
	}
	return INT64_MAX;
}

int64_t cron_next_ms(const struct cron *cron, int64_t after_ms, cron_offset_fn offset,
		     const void *zone)
{
	int64_t after_s = floor_div(after_ms, 1000);
	/* The day before too: its end may come again when the clock goes back over midnight. */
	int64_t first = floor_div(after_s + offset(zone, after_s), DAY_S) - 1;

	for (int64_t days = first; days < first + DAYS_MAX; days++) {
		int64_t at_s = INT64_MAX;

		if (is_day(cron, days))
			at_s = next_in_day(cron, days, after_s, offset, zone);
		if (at_s != INT64_MAX)
			return 1000 * at_s;
	}
	return INT64_MAX;
}
