/*
 * Values of metric math: series of points, operators between them, aggregates.  Pure.
 */
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "scaler/metrics/math_parts.h"

bool math_fail(struct math_run *run, const char *format, ...)
{
	char text[256];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (run->err->text[0] == '\0')
		err_set(run->err, ERANGE, "%s", text);
	return false;
}

static bool out_of_memory(struct math_run *run)
{
	err_set(run->err, ENOMEM, "out of memory");
	return false;
}

/* ---- series ---- */

bool math_add(struct math_run *run, struct math_series *series, int64_t at_ms, double value)
{
	if (!isfinite(value))
		return true; /* no point */
	if (series->n == series->cap) {
		size_t cap = series->cap == 0 ? 16 : series->cap * 2;
		struct math_point *larger;

		run->points += cap - series->cap;
		if (run->points > MATH_POINTS_MAX)
			return math_fail(run, "too many datapoints: ask for less time or longer "
					      "periods");
		larger = realloc(series->points, cap * sizeof(*larger));
		if (larger == NULL)
			return out_of_memory(run);
		series->points = larger;
		series->cap = cap;
	}
	series->points[series->n++] = (struct math_point){at_ms, value};
	return true;
}

void math_series_fini(struct math_series *series)
{
	free(series->points);
	*series = (struct math_series){0};
}

void math_value_fini(struct math_value *value)
{
	for (size_t i = 0; i < value->n; i++)
		math_series_fini(&value->series[i]);
	free(value->series);
	*value = (struct math_value){0};
}

bool math_new_series(struct math_run *run, size_t n, struct math_value *value)
{
	*value = (struct math_value){.kind = n == 1 ? MATH_SERIES : MATH_ARRAY};
	value->series = calloc(n + 1, sizeof(value->series[0]));
	if (value->series == NULL)
		return out_of_memory(run);
	value->n = n;
	for (size_t i = 0; i < n; i++)
		value->series[i].id = "";
	return true;
}

bool math_copy(struct math_run *run, const struct math_series *from, size_t n,
	       struct math_value *to)
{
	if (!math_new_series(run, n, to))
		return false;
	for (size_t i = 0; i < n; i++) {
		struct math_series *copy = &to->series[i];

		copy->period_s = from[i].period_s;
		copy->id = from[i].id;
		for (size_t k = 0; k < from[i].n; k++)
			if (!math_add(run, copy, from[i].points[k].at_ms, from[i].points[k].value))
				return false;
	}
	return true;
}

double math_at(const struct math_series *series, int64_t at_ms, size_t *at)
{
	while (*at < series->n && series->points[*at].at_ms < at_ms)
		++*at;
	if (*at < series->n && series->points[*at].at_ms == at_ms)
		return series->points[*at].value;
	return NAN;
}

static int compare_times(const void *a, const void *b)
{
	const struct math_point *x = a, *y = b;

	return x->at_ms < y->at_ms ? -1 : x->at_ms > y->at_ms;
}

bool math_union(struct math_run *run, const struct math_series *const series[], size_t n,
		struct math_series *out)
{
	size_t kept = 0;

	*out = (struct math_series){.id = ""};
	for (size_t i = 0; i < n; i++) {
		if (out->period_s == 0)
			out->period_s = series[i]->period_s;
		for (size_t k = 0; k < series[i]->n; k++)
			if (!math_add(run, out, series[i]->points[k].at_ms, 0))
				return false;
	}
	if (out->n > 0)
		qsort(out->points, out->n, sizeof(out->points[0]), compare_times);
	for (size_t i = 0; i < out->n; i++)
		if (kept == 0 || out->points[kept - 1].at_ms != out->points[i].at_ms)
			out->points[kept++] = out->points[i];
	out->n = kept;
	return true;
}

/* ---- operators ---- */

double math_operate(enum math_operator op, double a, double b)
{
	switch (op) {
	case MATH_OR:
		return a != 0 || b != 0;
	case MATH_AND:
		return a != 0 && b != 0;
	case MATH_EQUAL:
		return a == b;
	case MATH_NOT_EQUAL:
		return a != b;
	case MATH_LESS_EQUAL:
		return a <= b;
	case MATH_GREATER_EQUAL:
		return a >= b;
	case MATH_LESS:
		return a < b;
	case MATH_GREATER:
		return a > b;
	case MATH_ADD:
		return a + b;
	case MATH_SUBTRACT:
		return a - b;
	case MATH_MULTIPLY:
		return a * b;
	case MATH_DIVIDE:
		return b == 0 ? NAN : a / b;
	case MATH_POWER:
		return pow(a, b);
	}
	return NAN;
}

/* One operand as a function of time. */
struct operand {
	const struct math_series *series; /* NULL: number */
	double number;
	size_t at;
};

/* Where the other one has a point, a missing one counts as 0. */
static double operand_at(struct operand *operand, int64_t at_ms)
{
	double value;

	if (operand->series == NULL)
		return operand->number;
	value = math_at(operand->series, at_ms, &operand->at);
	return isnan(value) ? 0 : value;
}

static bool operate(struct math_run *run, enum math_operator op, struct operand a, struct operand b,
		    struct math_series *out)
{
	const struct math_series *both[2];
	struct math_series times;
	bool is_good;
	size_t n = 0;

	if (a.series != NULL)
		both[n++] = a.series;
	if (b.series != NULL)
		both[n++] = b.series;
	is_good = math_union(run, both, n, &times);
	out->period_s = times.period_s;
	out->id = n > 0 ? both[0]->id : "";
	for (size_t i = 0; is_good && i < times.n; i++) {
		int64_t at_ms = times.points[i].at_ms;
		double x = operand_at(&a, at_ms), y = operand_at(&b, at_ms);

		/* A number that is none (of an empty series) makes no points. */
		if (!isnan(x) && !isnan(y))
			is_good = math_add(run, out, at_ms, math_operate(op, x, y));
	}
	math_series_fini(&times);
	return is_good;
}

static struct operand nth(const struct math_value *value, size_t i)
{
	if (value->kind == MATH_SCALAR)
		return (struct operand){.number = value->number};
	return (struct operand){.series = &value->series[value->kind == MATH_SERIES ? 0 : i]};
}

bool math_binary(struct math_run *run, enum math_operator op, const struct math_value *a,
		 const struct math_value *b, struct math_value *out)
{
	const struct math_value *array = a->kind == MATH_ARRAY ? a : b;

	*out = (struct math_value){0};
	if (a->kind == MATH_SCALAR && b->kind == MATH_SCALAR) {
		out->number = isnan(a->number) || isnan(b->number)
				  ? NAN
				  : math_operate(op, a->number, b->number);
		return true;
	}
	if (a->kind == MATH_ARRAY && b->kind == MATH_ARRAY && a->n != b->n)
		return math_fail(run, "arrays of different lengths cannot be joined");
	if (!math_new_series(run, array->kind == MATH_ARRAY ? array->n : 1, out))
		return false;
	if (array->kind == MATH_ARRAY)
		out->kind = MATH_ARRAY;
	for (size_t i = 0; i < out->n; i++)
		if (!operate(run, op, nth(a, i), nth(b, i), &out->series[i]))
			return false;
	return true;
}

/* ---- aggregates ---- */

static double deviation(const struct math_series *series, double mean)
{
	double sum = 0;

	for (size_t i = 0; i < series->n; i++)
		sum += (series->points[i].value - mean) * (series->points[i].value - mean);
	return sqrt(sum / (double)series->n);
}

double math_aggregate(enum math_aggregate aggregate, const struct math_series *series)
{
	double sum = 0, min = INFINITY, max = -INFINITY;

	if (aggregate == AGGREGATE_COUNT)
		return (double)series->n;
	if (series->n == 0)
		return NAN;
	for (size_t i = 0; i < series->n; i++) {
		double value = series->points[i].value;

		sum += value;
		min = value < min ? value : min;
		max = value > max ? value : max;
	}
	switch (aggregate) {
	case AGGREGATE_AVG:
		return sum / (double)series->n;
	case AGGREGATE_MAX:
		return max;
	case AGGREGATE_MIN:
		return min;
	case AGGREGATE_SUM:
		return sum;
	case AGGREGATE_STDDEV:
		return deviation(series, sum / (double)series->n);
	case AGGREGATE_FIRST:
		return series->points[0].value;
	case AGGREGATE_LAST:
		return series->points[series->n - 1].value;
	case AGGREGATE_COUNT:
		break;
	}
	return NAN;
}
