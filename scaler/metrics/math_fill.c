/*
 * FILL, TIME_SERIES and IF: the functions of metric math that make points where there were none,
 * or choose among them.  Pure.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "scaler/metrics/math_parts.h"

enum fill_kind { FILL_VALUE, FILL_REPEAT, FILL_LINEAR };

struct filling {
	enum fill_kind kind;
	const struct math_value *value; /* of FILL_VALUE: a number or a series */
	size_t at;
};

/* ---- FILL ---- */

/* Between the two neighbours of a time, of which index is the later. */
static double between(const struct math_series *in, size_t index, int64_t at_ms)
{
	const struct math_point *after = &in->points[index], *before = after - 1;
	double share;

	if (index == 0 || index >= in->n)
		return NAN;
	share = (double)(at_ms - before->at_ms) / (double)(after->at_ms - before->at_ms);
	return before->value + share * (after->value - before->value);
}

static double substitute(struct filling *filling, const struct math_series *in, size_t index,
			 int64_t at_ms)
{
	if (filling->kind == FILL_REPEAT)
		return index > 0 ? in->points[index - 1].value : NAN;
	if (filling->kind == FILL_LINEAR)
		return between(in, index, at_ms);
	if (filling->value->kind == MATH_SCALAR)
		return filling->value->number;
	return math_at(filling->value->series, at_ms, &filling->at);
}

static int64_t first_ms(const struct math_run *run, int64_t period_ms)
{
	return (run->start_ms + period_ms - 1) / period_ms * period_ms;
}

static bool is_bounded(struct math_run *run, int64_t period_ms)
{
	return (run->fill_end_ms - run->start_ms) / period_ms <= (int64_t)MATH_POINTS_MAX ||
	       math_fail(run, "too many datapoints: ask for less time or longer periods");
}

static bool fill_one(struct math_run *run, struct filling filling, const struct math_series *in,
		     struct math_series *out)
{
	int64_t period_ms = in->period_s * 1000LL;
	size_t at = 0;

	out->id = in->id;
	out->period_s = in->period_s;
	if (period_ms <= 0)
		return math_fail(run, "FILL needs a time series with a period");
	if (!is_bounded(run, period_ms))
		return false;
	/* The first period asked about may begin before the start. */
	for (int64_t ms = in->n > 0 && in->points[0].at_ms < first_ms(run, period_ms)
			      ? in->points[0].at_ms
			      : first_ms(run, period_ms);
	     ms < run->fill_end_ms; ms += period_ms) {
		double value = math_at(in, ms, &at);

		if (isnan(value))
			value = substitute(&filling, in, at, ms);
		if (!math_add(run, out, ms, value))
			return false;
	}
	return true;
}

bool math_fill(struct math_run *run, const struct math_arguments *arguments, struct math_value *out)
{
	const struct math_value *in = &arguments->values[0];
	const char *word = arguments->words[1];
	struct filling filling = {.value = &arguments->values[1]};

	if (in->kind == MATH_SCALAR)
		return math_fail(run, "FILL needs a time series, not a number");
	if (word != NULL && strcasecmp(word, "REPEAT") == 0)
		filling.kind = FILL_REPEAT;
	else if (word != NULL && strcasecmp(word, "LINEAR") == 0)
		filling.kind = FILL_LINEAR;
	else if (word != NULL || filling.value->kind == MATH_ARRAY)
		return math_fail(run, "FILL needs a number, REPEAT or LINEAR");
	if (!math_new_series(run, in->n, out))
		return false;
	out->kind = in->kind;
	for (size_t i = 0; i < in->n; i++)
		if (!fill_one(run, filling, &in->series[i], &out->series[i]))
			return false;
	return true;
}

bool math_time_series(struct math_run *run, const struct math_arguments *arguments,
		      struct math_value *out)
{
	const struct math_value *in = &arguments->values[0];
	int period_s = math_run_period(run);

	if (in->kind != MATH_SCALAR)
		return math_fail(run, "TIME_SERIES needs a number");
	if (!is_bounded(run, period_s * 1000LL) || !math_new_series(run, 1, out))
		return false;
	out->series->period_s = period_s;
	for (int64_t ms = first_ms(run, period_s * 1000LL); ms < run->fill_end_ms;
	     ms += period_s * 1000LL)
		if (!math_add(run, out->series, ms, in->number))
			return false;
	return true;
}

/* ---- IF ---- */

/* An argument at a time: its number, or NaN; a condition that is missing is 0. */
static double look(const struct math_value *value, int64_t at_ms, size_t *at)
{
	if (value->kind == MATH_SCALAR)
		return value->number;
	return math_at(value->series, at_ms, at);
}

static bool choose(struct math_run *run, const struct math_arguments *arguments,
		   const struct math_series *times, struct math_series *out)
{
	size_t at[3] = {0};

	for (size_t i = 0; i < times->n; i++) {
		int64_t at_ms = times->points[i].at_ms;
		double condition = look(&arguments->values[0], at_ms, &at[0]);
		size_t which = !isnan(condition) && condition != 0 ? 1 : 2;

		if (which < arguments->n &&
		    !math_add(run, out, at_ms, look(&arguments->values[which], at_ms, &at[which])))
			return false;
	}
	return true;
}

bool math_if(struct math_run *run, const struct math_arguments *arguments, struct math_value *out)
{
	const struct math_series *series[3];
	struct math_series times;
	size_t n = 0;
	bool is_good;

	for (size_t i = 0; i < arguments->n; i++) {
		if (arguments->values[i].kind == MATH_ARRAY)
			return math_fail(run, "IF cannot be used with an array");
		if (arguments->values[i].kind == MATH_SERIES)
			series[n++] = arguments->values[i].series;
	}
	if (n == 0) {
		bool is_true =
		    !isnan(arguments->values[0].number) && arguments->values[0].number != 0;

		out->number = is_true            ? arguments->values[1].number
			      : arguments->n > 2 ? arguments->values[2].number
						 : NAN;
		return true;
	}
	if (!math_new_series(run, 1, out))
		return false;
	is_good = math_union(run, series, n, &times);
	out->series->period_s = times.period_s;
	is_good = is_good && choose(run, arguments, &times, out->series);
	math_series_fini(&times);
	return is_good;
}
