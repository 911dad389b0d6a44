/*
 * Reasons and reason data of alarms.  Pure.  The wording is AWS's, which people search for and
 * tools match against.
 */
#include "scaler/metrics/alarm_text.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/base/buf.h"

enum { LISTED_MAX = 5, RECENT_MAX = 60, EVALUATED_MAX = 10, DIGITS_MAX = 17 };

/* The fewest digits that read back as the value, and its decimal exponent: d.ddd x 10^exponent. */
static int shortest_digits(double value, char digits[DIGITS_MAX + 2])
{
	char text[40];
	char *at = digits;
	int precision = 0;

	do
		snprintf(text, sizeof(text), "%.*e", precision, value);
	while (strtod(text, NULL) != value && ++precision < DIGITS_MAX);
	for (const char *c = text; *c != 'e' && *c != '\0'; c++)
		if (*c >= '0' && *c <= '9')
			*at++ = *c;
	*at = '\0';
	return atoi(strchr(text, 'e') + 1);
}

char *alarm_format_number(double value, char text[ALARM_NUMBER_MAX])
{
	char digits[DIGITS_MAX + 2];
	const char *sign = value < 0 ? "-" : "";
	int exponent, n;

	if (value == 0 || !isfinite(value)) {
		snprintf(text, ALARM_NUMBER_MAX, "%s", value == 0 ? "0.0" : "NaN");
		return text;
	}
	exponent = shortest_digits(fabs(value), digits);
	n = (int)strlen(digits);
	/* Java's Double.toString: plain from 10^-3 up to 10^7. */
	if (exponent < -3 || exponent >= 7)
		snprintf(text, ALARM_NUMBER_MAX, "%s%c.%sE%d", sign, digits[0],
			 n > 1 ? digits + 1 : "0", exponent);
	else if (exponent < 0)
		snprintf(text, ALARM_NUMBER_MAX, "%s0.%.*s%s", sign, -exponent - 1, "000", digits);
	else if (n <= exponent + 1)
		snprintf(text, ALARM_NUMBER_MAX, "%s%s%.*s.0", sign, digits, exponent + 1 - n,
			 "0000000");
	else
		snprintf(text, ALARM_NUMBER_MAX, "%s%.*s.%s", sign, exponent + 1, digits,
			 digits + exponent + 1);
	return text;
}

static const char *comparison_text(enum alarm_comparison comparison)
{
	switch (comparison) {
	case ALARM_GREATER_OR_EQUAL:
		return "greater than or equal to";
	case ALARM_GREATER:
		return "greater than";
	case ALARM_LESS:
		return "less than";
	case ALARM_LESS_OR_EQUAL:
		return "less than or equal to";
	}
	return "";
}

static struct tm broken_down(int64_t ms)
{
	time_t seconds = (time_t)(ms / 1000);
	struct tm tm;

	gmtime_r(&seconds, &tm);
	return tm;
}

/* "07/08/26 10:03:00" */
static void format_day_time(int64_t ms, char text[], size_t size)
{
	struct tm tm = broken_down(ms);

	snprintf(text, size, "%02d/%02d/%02d %02d:%02d:%02d", tm.tm_mday, tm.tm_mon + 1,
		 tm.tm_year % 100, tm.tm_hour, tm.tm_min, tm.tm_sec);
}

/* "[80.0 (07/08/26 10:03:00), 91.5 (..)]" of those on the side asked for; their number. */
static size_t list_datapoints(const struct alarm_basis *basis, bool is_breaching, struct buf *text)
{
	char number[ALARM_NUMBER_MAX], time[32];
	size_t n = 0;

	buf_add_char(text, '[');
	for (size_t i = 0; i < basis->n_real; i++) {
		const struct alarm_slot *slot = &basis->real[i];

		if (alarm_breaches(basis->rule, slot->value) != is_breaching || n++ >= LISTED_MAX)
			continue;
		format_day_time(slot->at_ms, time, sizeof(time));
		buf_printf(text, "%s%s (%s)", n > 1 ? ", " : "",
			   alarm_format_number(slot->value, number), time);
	}
	buf_add_str(text, n > LISTED_MAX ? ", ...]" : "]");
	return n;
}

static const char *plural(size_t n)
{
	return n == 1 ? "" : "s";
}

static void crossed(const struct alarm_basis *basis, enum alarm_state state, struct buf *text)
{
	const struct alarm_rule *rule = basis->rule;
	bool is_alarm = state == ALARM_ALARM;
	size_t minimum = is_alarm ? rule->datapoints_to_alarm
				  : rule->evaluation_periods - rule->datapoints_to_alarm + 1;
	char number[ALARM_NUMBER_MAX];
	struct buf list = {0};
	size_t n = list_datapoints(basis, is_alarm, &list);

	buf_printf(text,
		   "Threshold Crossed: %zu out of the last %zu datapoints %s %s %s%s the threshold "
		   "(%s) (minimum %zu datapoint%s for %s transition).",
		   n, basis->n_real, buf_text(&list), n == 1 ? "was" : "were",
		   is_alarm ? "" : "not ", comparison_text(rule->comparison),
		   alarm_format_number(rule->threshold, number), minimum, plural(minimum),
		   is_alarm ? "OK -> ALARM" : "ALARM -> OK");
	buf_fini(&list);
}

static void filled(const struct alarm_basis *basis, struct buf *text)
{
	size_t periods = basis->rule->evaluation_periods, missing = periods - basis->n_real;
	char received[24] = "no";

	if (basis->n_real > 0)
		snprintf(received, sizeof(received), "%zu", basis->n_real);
	buf_printf(text,
		   "Threshold Crossed: %s datapoint%s received for %zu period%s and %zu missing "
		   "datapoint%s treated as [%s].",
		   received, basis->n_real == 1 ? " was" : "s were", periods, plural(periods),
		   missing, missing == 1 ? " was" : "s were",
		   basis->rule->missing == ALARM_MISSING_BREACHING ? "Breaching" : "NonBreaching");
}

void alarm_reason(const struct alarm_basis *basis, enum alarm_state state,
		  char reason[ALARM_REASON_MAX])
{
	int periods = basis->rule->evaluation_periods;
	struct buf text = {0};

	if (state == ALARM_INSUFFICIENT_DATA)
		buf_printf(&text, "Insufficient Data: %d datapoint%s unknown.", periods,
			   periods == 1 ? " was" : "s were");
	else if (basis->is_filled)
		filled(basis, &text);
	else
		crossed(basis, state, &text);
	snprintf(reason, ALARM_REASON_MAX, "%s", buf_text(&text));
	buf_fini(&text);
}

/* "2026-08-07T10:04:40.985+0000" */
static json_t *json_time(int64_t ms)
{
	struct tm tm = broken_down(ms);
	char seconds[32] = "", text[48];

	if (strftime(seconds, sizeof(seconds), "%Y-%m-%dT%H:%M:%S", &tm) == 0)
		return NULL;
	snprintf(text, sizeof(text), "%s.%03d+0000", seconds, (int)(ms % 1000));
	return json_string(text);
}

/* Oldest first. */
static json_t *recent_datapoints(const struct alarm_basis *basis)
{
	json_t *list = json_array();
	size_t n = basis->n_real < RECENT_MAX ? basis->n_real : RECENT_MAX;

	while (n-- > 0)
		json_array_append_new(list, json_real(basis->real[n].value));
	return list;
}

/* Newest first. */
static json_t *evaluated_datapoints(const struct alarm_basis *basis)
{
	json_t *list = json_array();

	for (size_t i = 0; i < basis->n_real && i < EVALUATED_MAX; i++)
		json_array_append_new(list, json_pack("{s:o, s:f, s:f}", "timestamp",
						      json_time(basis->real[i].at_ms),
						      "sampleCount", basis->real[i].samples,
						      "value", basis->real[i].value));
	return list;
}

json_t *alarm_reason_data(const struct alarm_basis *basis)
{
	const struct alarm_rule *rule = basis->rule;
	const char *unit = rule->math == NULL ? metric_unit_name(rule->query.unit) : NULL;
	json_t *data = json_pack(
	    "{s:s, s:o, s:o, s:s*, s:i, s:o, s:f}", "version", "1.0", "queryDate",
	    json_time(basis->now_ms), "startDate", json_time(basis->start_ms), "statistic",
	    rule->math == NULL ? rule->statistic_name : NULL, "period", rule->query.period_s,
	    "recentDatapoints", recent_datapoints(basis), "threshold", rule->threshold);

	if (data == NULL)
		return NULL;
	if (unit != NULL)
		json_object_set_new(data, "unit", json_string(unit));
	if (basis->n_real > 0)
		json_object_set_new(data, "evaluatedDatapoints", evaluated_datapoints(basis));
	return data;
}
