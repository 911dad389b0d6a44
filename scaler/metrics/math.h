/*
 * Metric math: a list of queries as GetMetricData and PutMetricAlarm take it (Id, MetricStat or
 * Expression, Label, Period, ReturnData), checked once, evaluated over a time as often as one
 * likes. Pure: reads struct metrics, changes nothing.  AWS: CloudWatch user guide, "Using math
 * expressions with CloudWatch metrics".
 *
 * Known: + - * / ^, comparisons, AND OR, arrays; AVG MAX MIN SUM STDDEV FIRST LAST DATAPOINT_COUNT
 * METRIC_COUNT METRICS ABS CEIL FLOOR LOG LOG10 DIFF DIFF_TIME RATE RUNNING_SUM FILL IF PERIOD
 * REMOVE_EMPTY SLICE SORT TIME_SERIES MINUTE HOUR DAY DATE MONTH YEAR EPOCH.
 */
#ifndef SCALER_METRICS_MATH_H
#define SCALER_METRICS_MATH_H

#include <jansson.h>

#include "common/base/err.h"
#include "scaler/metrics/series.h"

enum { MATH_QUERIES_MAX = 500 };

struct math_set;

/* queries must not change while the set lives.  NULL with err: ERANGE the queries are wrong (which,
 * why), ENOMEM. */
MUST_CHECK struct math_set *math_set_new(const json_t *queries, struct err *err);
void math_set_free(struct math_set *set); /* NULL is fine */

size_t math_set_count(const struct math_set *set);
const json_t *math_set_query(const struct math_set *set, size_t i);
size_t math_set_metrics(const struct math_set *set); /* how many are MetricStat */
/* Seconds: of a MetricStat its own, of an expression its Period or that of the metrics, the
 * longest; 0: none is given. */
int math_set_period(const struct math_set *set, size_t i);

struct math_point {
	int64_t at_ms; /* start of its period */
	double value;
};

struct math_result {
	size_t query;
	const char *id; /* the series' own, when the query gave several; else "" */
	const struct math_point *points;
	size_t n;
};

struct math_results {
	struct math_result *list;
	size_t n;
	struct math_value *values; /* [math_set_count()], own the points */
	size_t n_values;
};

/* Of the queries whose ReturnData is not false, oldest points first.  Nothing is filled in after
 * now_ms. -1 with err: ERANGE, ENOMEM; nothing to free then. */
MUST_CHECK int math_set_evaluate(const struct math_set *set, const struct metrics *metrics,
				 int64_t start_ms, int64_t end_ms, int64_t now_ms,
				 struct math_results *results, struct err *err);
void math_results_fini(struct math_results *results);

#endif
