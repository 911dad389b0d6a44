/*
 * The functions of metric math but those that fill and choose (math_fill.c).  Pure.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "scaler/metrics/math_parts.h"

/* ---- one series after the other ---- */

typedef bool (*each_fn)(struct math_run *run, int code, const struct math_series *in,
			struct math_series *out);

static bool each(struct math_run *run, const struct math_arguments *arguments, each_fn fn,
		 struct math_value *out)
{
	const struct math_value *in = &arguments->values[0];

	if (in->kind == MATH_SCALAR)
		return math_fail(run, "%s needs a time series, not a number",
				 arguments->function->name);
	if (!math_new_series(run, in->n, out))
		return false;
	out->kind = in->kind;
	for (size_t i = 0; i < in->n; i++) {
		out->series[i].id = in->series[i].id;
		out->series[i].period_s = in->series[i].period_s;
		if (!fn(run, arguments->function->code, &in->series[i], &out->series[i]))
			return false;
	}
	return true;
}

enum { POINT_ABS, POINT_CEIL, POINT_FLOOR, POINT_LOG, POINT_LOG10 };

static double of_value(int code, double value)
{
	switch (code) {
	case POINT_ABS:
		return fabs(value);
	case POINT_CEIL:
		return ceil(value);
	case POINT_FLOOR:
		return floor(value);
	case POINT_LOG:
		return log(value);
	default:
		return log10(value);
	}
}

static bool of_points(struct math_run *run, int code, const struct math_series *in,
		      struct math_series *out)
{
	for (size_t i = 0; i < in->n; i++)
		if (!math_add(run, out, in->points[i].at_ms, of_value(code, in->points[i].value)))
			return false;
	return true;
}

static bool call_point(struct math_run *run, const struct math_arguments *arguments,
		       struct math_value *out)
{
	if (arguments->values[0].kind != MATH_SCALAR)
		return each(run, arguments, of_points, out);
	out->number = of_value(arguments->function->code, arguments->values[0].number);
	return true;
}

enum { STEP_DIFF, STEP_DIFF_TIME, STEP_RATE };

static bool of_steps(struct math_run *run, int code, const struct math_series *in,
		     struct math_series *out)
{
	for (size_t i = 1; i < in->n; i++) {
		const struct math_point *now = &in->points[i], *before = now - 1;
		double seconds = (double)(now->at_ms - before->at_ms) / 1000;
		double value = now->value - before->value;

		if (code == STEP_DIFF_TIME)
			value = seconds;
		else if (code == STEP_RATE)
			value /= seconds;
		if (!math_add(run, out, now->at_ms, value))
			return false;
	}
	return true;
}

static bool call_step(struct math_run *run, const struct math_arguments *arguments,
		      struct math_value *out)
{
	return each(run, arguments, of_steps, out);
}

static bool of_sums(struct math_run *run, int code, const struct math_series *in,
		    struct math_series *out)
{
	double sum = 0;

	(void)code;
	for (size_t i = 0; i < in->n; i++)
		if (!math_add(run, out, in->points[i].at_ms, sum += in->points[i].value))
			return false;
	return true;
}

static bool call_running_sum(struct math_run *run, const struct math_arguments *arguments,
			     struct math_value *out)
{
	return each(run, arguments, of_sums, out);
}

enum { PART_MINUTE, PART_HOUR, PART_DAY, PART_DATE, PART_MONTH, PART_YEAR, PART_EPOCH };

static double part_of(int code, int64_t at_ms)
{
	time_t seconds = (time_t)(at_ms / 1000);
	struct tm tm = {0};

	gmtime_r(&seconds, &tm);
	switch (code) {
	case PART_MINUTE:
		return tm.tm_min;
	case PART_HOUR:
		return tm.tm_hour;
	case PART_DAY:
		return tm.tm_wday == 0 ? 7 : tm.tm_wday; /* Monday is 1 */
	case PART_DATE:
		return tm.tm_mday;
	case PART_MONTH:
		return tm.tm_mon + 1;
	case PART_YEAR:
		return tm.tm_year + 1900;
	default:
		return (double)seconds;
	}
}

static bool of_times(struct math_run *run, int code, const struct math_series *in,
		     struct math_series *out)
{
	for (size_t i = 0; i < in->n; i++)
		if (!math_add(run, out, in->points[i].at_ms, part_of(code, in->points[i].at_ms)))
			return false;
	return true;
}

static bool call_part(struct math_run *run, const struct math_arguments *arguments,
		      struct math_value *out)
{
	return each(run, arguments, of_times, out);
}

/* ---- aggregates ---- */

/* The values that the series have at a time, as a series. */
static bool across(struct math_run *run, const struct math_value *in, int64_t at_ms, size_t at[],
		   struct math_series *values)
{
	values->n = 0;
	for (size_t i = 0; i < in->n; i++)
		if (!math_add(run, values, at_ms, math_at(&in->series[i], at_ms, &at[i])))
			return false;
	return true;
}

static bool fold_array(struct math_run *run, enum math_aggregate aggregate,
		       const struct math_value *in, struct math_series *out)
{
	const struct math_series **all = calloc(in->n + 1, sizeof(all[0]));
	size_t *at = calloc(in->n + 1, sizeof(at[0]));
	struct math_series times = {0}, values = {0};
	bool is_good = all != NULL && at != NULL;

	if (!is_good)
		math_fail(run, "out of memory");
	for (size_t i = 0; is_good && i < in->n; i++)
		all[i] = &in->series[i];
	is_good = is_good && math_union(run, all, in->n, &times);
	out->period_s = times.period_s;
	for (size_t i = 0; is_good && i < times.n; i++)
		is_good =
		    across(run, in, times.points[i].at_ms, at, &values) &&
		    math_add(run, out, times.points[i].at_ms, math_aggregate(aggregate, &values));
	math_series_fini(&times);
	math_series_fini(&values);
	free(all);
	free(at);
	return is_good;
}

static bool call_aggregate(struct math_run *run, const struct math_arguments *arguments,
			   struct math_value *out)
{
	enum math_aggregate aggregate = (enum math_aggregate)arguments->function->code;
	const struct math_value *in = &arguments->values[0];

	if (in->kind != MATH_ARRAY) {
		out->number =
		    in->kind == MATH_SCALAR ? in->number : math_aggregate(aggregate, in->series);
		return true;
	}
	if (aggregate != AGGREGATE_FIRST && aggregate != AGGREGATE_LAST)
		return math_new_series(run, 1, out) && fold_array(run, aggregate, in, out->series);
	if (in->n == 0)
		return math_new_series(run, 1, out);
	return math_copy(run, &in->series[aggregate == AGGREGATE_FIRST ? 0 : in->n - 1], 1, out);
}

/* ---- arrays ---- */

static bool call_metrics(struct math_run *run, const struct math_arguments *arguments,
			 struct math_value *out)
{
	return math_set_gather(run, arguments->n > 0 ? arguments->words[0] : NULL, out);
}

static bool call_metric_count(struct math_run *run, const struct math_arguments *arguments,
			      struct math_value *out)
{
	(void)run;
	out->number = arguments->values[0].kind == MATH_SCALAR ? 1 : (double)arguments->values[0].n;
	return true;
}

static bool call_period(struct math_run *run, const struct math_arguments *arguments,
			struct math_value *out)
{
	if (arguments->values[0].kind == MATH_SCALAR || arguments->values[0].n == 0)
		return math_fail(run, "PERIOD needs a time series");
	out->number = arguments->values[0].series[0].period_s;
	return true;
}

static bool append(struct math_run *run, const struct math_series *from, struct math_value *to)
{
	struct math_value copy;

	if (!math_copy(run, from, 1, &copy)) {
		math_value_fini(&copy);
		return false;
	}
	to->series[to->n++] = copy.series[0];
	free(copy.series);
	return true;
}

/* An array with room for as many as in has, empty so far. */
static bool same_room(struct math_run *run, const struct math_value *in, struct math_value *out)
{
	if (!math_new_series(run, in->n, out))
		return false;
	out->kind = MATH_ARRAY;
	out->n = 0;
	return true;
}

static bool call_remove_empty(struct math_run *run, const struct math_arguments *arguments,
			      struct math_value *out)
{
	const struct math_value *in = &arguments->values[0];

	if (!same_room(run, in, out))
		return false;
	for (size_t i = 0; i < in->n; i++)
		if (in->series[i].n > 0 && !append(run, &in->series[i], out))
			return false;
	return true;
}

static bool read_index(struct math_run *run, const struct math_arguments *arguments, size_t i,
		       size_t otherwise, size_t *index)
{
	const struct math_value *value = &arguments->values[i];

	*index = otherwise;
	if (i >= arguments->n)
		return true;
	if (value->kind != MATH_SCALAR || !(value->number >= 0 && value->number <= 1e6))
		return math_fail(run, "%s needs numbers from 0 up", arguments->function->name);
	*index = (size_t)value->number;
	return true;
}

static bool call_slice(struct math_run *run, const struct math_arguments *arguments,
		       struct math_value *out)
{
	const struct math_value *in = &arguments->values[0];
	size_t from, to;

	if (!read_index(run, arguments, 1, 0, &from) || !read_index(run, arguments, 2, in->n, &to))
		return false;
	/* One index alone gives that one. */
	if (arguments->n == 2)
		to = from + 1;
	if (!same_room(run, in, out))
		return false;
	for (size_t i = from; i < to && i < in->n; i++)
		if (!append(run, &in->series[i], out))
			return false;
	return true;
}

static int aggregate_named(const char *name)
{
	static const char *const names[] = {"AVG", "MAX", "MIN", "SUM", "STDDEV"};

	for (int i = 0; name != NULL && i < 5; i++)
		if (strcasecmp(names[i], name) == 0)
			return i;
	return -1;
}

struct ranked {
	const struct math_series *series;
	double rank;
	size_t place;
};

static int compare_ranked(const void *a, const void *b)
{
	const struct ranked *x = a, *y = b;

	if (x->rank != y->rank)
		return x->rank < y->rank ? -1 : 1;
	return x->place < y->place ? -1 : 1;
}

/* SORT(array, AVG, ASC or DESC, how many) */
static bool call_sort(struct math_run *run, const struct math_arguments *arguments,
		      struct math_value *out)
{
	const struct math_value *in = &arguments->values[0];
	int aggregate = aggregate_named(arguments->words[1]);
	bool is_descending =
	    arguments->words[2] != NULL && strcasecmp(arguments->words[2], "DESC") == 0;
	struct ranked *ranked;
	bool is_good = true;
	size_t max;

	if (aggregate < 0 || (!is_descending && (arguments->words[2] == NULL ||
						 strcasecmp(arguments->words[2], "ASC") != 0)))
		return math_fail(run, "SORT needs AVG, MAX, MIN, SUM or STDDEV, then ASC or DESC");
	if (!read_index(run, arguments, 3, in->n, &max) || !same_room(run, in, out))
		return false;
	ranked = calloc(in->n + 1, sizeof(*ranked));
	if (ranked == NULL)
		return math_fail(run, "out of memory");
	for (size_t i = 0; i < in->n; i++) {
		double rank = math_aggregate((enum math_aggregate)aggregate, &in->series[i]);

		/* Those without points are last. */
		if (isnan(rank))
			rank = INFINITY;
		else if (is_descending)
			rank = -rank;
		ranked[i] = (struct ranked){&in->series[i], rank, i};
	}
	if (in->n > 0)
		qsort(ranked, in->n, sizeof(*ranked), compare_ranked);
	for (size_t i = 0; is_good && i < in->n && i < max; i++)
		is_good = append(run, ranked[i].series, out);
	free(ranked);
	return is_good;
}

/* ---- the table ---- */

static const struct math_function functions[] = {
    {"AVG", call_aggregate, 1, 1, 0, AGGREGATE_AVG},
    {"MAX", call_aggregate, 1, 1, 0, AGGREGATE_MAX},
    {"MIN", call_aggregate, 1, 1, 0, AGGREGATE_MIN},
    {"SUM", call_aggregate, 1, 1, 0, AGGREGATE_SUM},
    {"STDDEV", call_aggregate, 1, 1, 0, AGGREGATE_STDDEV},
    {"FIRST", call_aggregate, 1, 1, 0, AGGREGATE_FIRST},
    {"LAST", call_aggregate, 1, 1, 0, AGGREGATE_LAST},
    {"DATAPOINT_COUNT", call_aggregate, 1, 1, 0, AGGREGATE_COUNT},
    {"METRIC_COUNT", call_metric_count, 1, 1, 0, 0},
    {"METRICS", call_metrics, 0, 1, 1, 0},
    {"ABS", call_point, 1, 1, 0, POINT_ABS},
    {"CEIL", call_point, 1, 1, 0, POINT_CEIL},
    {"FLOOR", call_point, 1, 1, 0, POINT_FLOOR},
    {"LOG", call_point, 1, 1, 0, POINT_LOG},
    {"LOG10", call_point, 1, 1, 0, POINT_LOG10},
    {"DIFF", call_step, 1, 1, 0, STEP_DIFF},
    {"DIFF_TIME", call_step, 1, 1, 0, STEP_DIFF_TIME},
    {"RATE", call_step, 1, 1, 0, STEP_RATE},
    {"RUNNING_SUM", call_running_sum, 1, 1, 0, 0},
    {"FILL", math_fill, 2, 2, 2, 0},
    {"IF", math_if, 2, 3, 0, 0},
    {"TIME_SERIES", math_time_series, 1, 1, 0, 0},
    {"PERIOD", call_period, 1, 1, 0, 0},
    {"REMOVE_EMPTY", call_remove_empty, 1, 1, 0, 0},
    {"SLICE", call_slice, 2, 3, 0, 0},
    {"SORT", call_sort, 3, 4, 6, 0},
    {"MINUTE", call_part, 1, 1, 0, PART_MINUTE},
    {"HOUR", call_part, 1, 1, 0, PART_HOUR},
    {"DAY", call_part, 1, 1, 0, PART_DAY},
    {"DATE", call_part, 1, 1, 0, PART_DATE},
    {"MONTH", call_part, 1, 1, 0, PART_MONTH},
    {"YEAR", call_part, 1, 1, 0, PART_YEAR},
    {"EPOCH", call_part, 1, 1, 0, PART_EPOCH},
};

const struct math_function *math_function_named(const char *name)
{
	for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++)
		if (strcasecmp(functions[i].name, name) == 0)
			return &functions[i];
	return NULL;
}
