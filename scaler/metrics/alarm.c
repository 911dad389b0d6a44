/*
 * Compiling alarm definitions and judging them.  Pure.
 */
#include "scaler/metrics/alarm.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/doc/doc.h"
#include "scaler/metrics/alarm_text.h"

enum { ALARM_METRICS_MAX = 10, ALARM_QUERIES_MAX = 20 };
enum { DAY_S = 86400, WEEK_S = 7 * DAY_S, HOUR_S = 3600 };

static const char *const state_names[] = {
    [ALARM_INSUFFICIENT_DATA] = "INSUFFICIENT_DATA",
    [ALARM_OK] = "OK",
    [ALARM_ALARM] = "ALARM",
};
static const char *const missing_names[] = {
    [ALARM_MISSING_MISSING] = "missing",
    [ALARM_MISSING_IGNORE] = "ignore",
    [ALARM_MISSING_BREACHING] = "breaching",
    [ALARM_MISSING_NOT_BREACHING] = "notBreaching",
};
static const char *const comparison_names[] = {
    [ALARM_GREATER_OR_EQUAL] = "GreaterThanOrEqualToThreshold",
    [ALARM_GREATER] = "GreaterThanThreshold",
    [ALARM_LESS] = "LessThanThreshold",
    [ALARM_LESS_OR_EQUAL] = "LessThanOrEqualToThreshold",
};

#define N_NAMES(names) ((int)(sizeof(names) / sizeof((names)[0])))

static int find_name(const char *const names[], int n, const char *name)
{
	for (int i = 0; i < n; i++)
		if (strcmp(names[i], name) == 0)
			return i;
	return -1;
}

const char *alarm_state_name(enum alarm_state state)
{
	return state_names[state];
}

int alarm_state_from_name(const char *name)
{
	return find_name(state_names, N_NAMES(state_names), name);
}

/* ---- compiling ---- */

static int is_supported(const json_t *document, struct err *err)
{
	const char *comparison = doc_str(document, "ComparisonOperator", "");

	if (doc_has(document, "ThresholdMetricId") ||
	    (strstr(comparison, "Lower") != NULL || strstr(comparison, "Upper") != NULL)) {
		err_set(err, ENOTSUP, "Alarms on anomaly detection bands are not supported yet");
		return -1;
	}
	return 0;
}

static bool has_metrics(const json_t *document)
{
	return json_array_size(doc_array(document, "Metrics")) > 0;
}

static int check_required(const json_t *document, struct err *err)
{
	static const char *const required[] = {"EvaluationPeriods",  "Threshold",
					       "ComparisonOperator", "MetricName",
					       "Namespace",          "Period"};
	size_t n = has_metrics(document) ? 3 : sizeof(required) / sizeof(required[0]);

	for (size_t i = 0; i < n; i++) {
		if (doc_has(document, required[i]))
			continue;
		err_set(err, ENODATA, "The parameter %s is required.", required[i]);
		return -1;
	}
	return 0;
}

static int init_names(struct alarm_rule *rule, const json_t *document, struct err *err)
{
	int comparison = find_name(comparison_names, N_NAMES(comparison_names),
				   doc_str(document, "ComparisonOperator", ""));
	const char *missing_name = doc_str(document, "TreatMissingData", "missing");
	int missing = find_name(missing_names, N_NAMES(missing_names), missing_name);
	const char *unit = doc_str(document, "Unit", NULL);
	const char *low = doc_str(document, "EvaluateLowSampleCountPercentile", "evaluate");

	rule->query.unit = unit != NULL ? metric_unit_from_name(unit) : METRIC_UNIT_ANY;
	rule->ignores_low_sample_count = strcmp(low, "ignore") == 0;
	if (comparison < 0)
		err_set(err, ERANGE, "The value %s for parameter ComparisonOperator is invalid.",
			doc_str(document, "ComparisonOperator", ""));
	else if (missing < 0)
		err_set(err, ERANGE,
			"The value %s for parameter TreatMissingData is invalid: it must be one of "
			"breaching, notBreaching, ignore, missing.",
			missing_name);
	else if (unit != NULL && rule->query.unit < 0)
		err_set(err, ERANGE, "The value %s for parameter Unit is invalid.", unit);
	else if (!rule->ignores_low_sample_count && strcmp(low, "evaluate") != 0)
		err_set(
		    err, ERANGE,
		    "The value %s for parameter EvaluateLowSampleCountPercentile is invalid: it "
		    "must be one of evaluate, ignore.",
		    low);
	else {
		rule->comparison = (enum alarm_comparison)comparison;
		rule->missing = (enum alarm_missing)missing;
		return 0;
	}
	return -1;
}

static int init_statistic(struct alarm_rule *rule, const json_t *document, struct err *err)
{
	const char *simple = doc_str(document, "Statistic", NULL);
	const char *extended = doc_str(document, "ExtendedStatistic", NULL);
	const char *name = simple != NULL ? simple : extended;

	if (name == NULL || (simple != NULL && extended != NULL)) {
		err_set(err, EINVAL,
			"Exactly one of the parameters Statistic and ExtendedStatistic must be "
			"specified.");
		return -1;
	}
	if (strlen(name) >= sizeof(rule->statistic_name) ||
	    statistic_parse(name, &rule->query.statistic) != 0 ||
	    statistic_is_simple(&rule->query.statistic) != (simple != NULL)) {
		err_set(err, ERANGE, "The value %.64s for parameter %s is not supported.", name,
			simple != NULL ? "Statistic" : "ExtendedStatistic");
		return -1;
	}
	snprintf(rule->statistic_name, sizeof(rule->statistic_name), "%s", name);
	return 0;
}

static int init_periods(struct alarm_rule *rule, const json_t *document, int64_t period,
			struct err *err)
{
	int64_t n = doc_int(document, "EvaluationPeriods", 0);
	int64_t m = doc_int(document, "DatapointsToAlarm", n);
	bool is_short = period == 1 || period == 5 || period == 10 || period == 20 || period == 30;

	if (!is_short && (period <= 0 || period % 60 != 0)) {
		/* 1 and 5 are ours: AWS's alarms start at 10. */
		err_set(err, ERANGE, "Period must be 1, 5, 10, 20, 30 or a multiple of 60");
		return -1;
	}
	if (n < 1 || n > WEEK_S || period > WEEK_S || n * period > WEEK_S ||
	    (period < HOUR_S && n * period > DAY_S)) {
		err_set(err, EINVAL,
			"Metrics cannot be checked across more than %s (EvaluationPeriods * Period "
			"must be <= %d).",
			period < HOUR_S ? "a day" : "seven days", period < HOUR_S ? DAY_S : WEEK_S);
		return -1;
	}
	if (m < 1 || m > n) {
		err_set(err, EINVAL,
			"The parameter DatapointsToAlarm must be at least 1 and not greater than "
			"EvaluationPeriods.");
		return -1;
	}
	rule->query.period_s = (int)period;
	rule->evaluation_periods = (int)n;
	rule->datapoints_to_alarm = (int)m;
	return 0;
}

static int init_key(struct alarm_rule *rule, const json_t *document, struct err *err)
{
	const json_t *list = doc_array(document, "Dimensions"), *one;
	size_t i, n = json_array_size(list);

	if (n > METRIC_DIMENSIONS_MAX) {
		err_set(err, ERANGE,
			"The collection Dimensions must not have a size greater than %d.",
			METRIC_DIMENSIONS_MAX);
		return -1;
	}
	rule->dimensions = calloc(n + 1, sizeof(rule->dimensions[0]));
	if (rule->dimensions == NULL) {
		err_set(err, ENOMEM, "out of memory");
		return -1;
	}
	json_array_foreach (list, i, one) {
		rule->dimensions[i].name = doc_str(one, "Name", "");
		rule->dimensions[i].value = doc_str(one, "Value", "");
	}
	rule->query.key =
	    (struct metric_key){doc_str(document, "Namespace", ""),
				doc_str(document, "MetricName", ""), rule->dimensions, n};
	if (!metric_key_is_valid(&rule->query.key)) {
		err_set(err, ERANGE,
			"Namespace, MetricName and Dimensions name no metric: a name is empty, too "
			"long, stands twice or has control characters.");
		return -1;
	}
	return 0;
}

/* ---- alarms on Metrics ---- */

static int check_alone(const json_t *document, struct err *err)
{
	static const char *const others[] = {"MetricName",        "Namespace", "Statistic",
					     "ExtendedStatistic", "Period",    "Unit"};

	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		if (!doc_has(document, others[i]))
			continue;
		err_set(err, EINVAL,
			"The parameters Metrics and %s are mutually exclusive and you have "
			"specified both.",
			others[i]);
		return -1;
	}
	if (json_array_size(doc_array(document, "Dimensions")) == 0)
		return 0;
	err_set(err, EINVAL,
		"The parameters Metrics and Dimensions are mutually exclusive and you have "
		"specified both.");
	return -1;
}

/* The one query that the alarm watches. */
static int find_returned(const struct math_set *set, size_t *returned, struct err *err)
{
	size_t n = 0;

	for (size_t i = 0; i < math_set_count(set); i++) {
		if (!doc_bool(math_set_query(set, i), "ReturnData", true))
			continue;
		*returned = i;
		n++;
	}
	if (n == 1)
		return 0;
	err_set(err, EINVAL, "Exactly one element of the metrics list should return data.");
	return -1;
}

static int check_counts(const struct math_set *set, struct err *err)
{
	size_t n = math_set_count(set), metrics = math_set_metrics(set);

	if (n <= ALARM_QUERIES_MAX && metrics <= ALARM_METRICS_MAX &&
	    n - metrics <= ALARM_METRICS_MAX)
		return 0;
	err_set(err, EINVAL,
		"The metrics list must not have more than %d metrics and %d expressions.",
		ALARM_METRICS_MAX, ALARM_METRICS_MAX);
	return -1;
}

/* All periods must be one. */
static int check_periods(const struct math_set *set, size_t returned, struct err *err)
{
	int period = math_set_period(set, returned);

	for (size_t i = 0; i < math_set_count(set); i++) {
		if (math_set_period(set, i) == period)
			continue;
		err_set(err, EINVAL, "All metrics of the list must have the same period.");
		return -1;
	}
	if (period > 0)
		return 0;
	err_set(err, ENODATA, "The parameter Period is required in the metrics list.");
	return -1;
}

static int init_math(struct alarm_rule *rule, const json_t *document, struct err *err)
{
	size_t returned = 0;

	if (check_alone(document, err) != 0)
		return -1;
	rule->math = math_set_new(doc_array(document, "Metrics"), err);
	if (rule->math == NULL)
		return -1;
	if (find_returned(rule->math, &returned, err) != 0 || check_counts(rule->math, err) != 0 ||
	    check_periods(rule->math, returned, err) != 0)
		return -1;
	return init_periods(rule, document, math_set_period(rule->math, returned), err);
}

static int init_source(struct alarm_rule *rule, const json_t *document, struct err *err)
{
	if (has_metrics(document))
		return init_math(rule, document, err);
	if (init_statistic(rule, document, err) != 0 ||
	    init_periods(rule, document, doc_int(document, "Period", 0), err) != 0)
		return -1;
	return init_key(rule, document, err);
}

int alarm_rule_init(struct alarm_rule *rule, const json_t *document, struct err *err)
{
	*rule = (struct alarm_rule){0};
	if (is_supported(document, err) != 0 || check_required(document, err) != 0 ||
	    init_names(rule, document, err) != 0)
		return -1;
	rule->threshold = doc_num(document, "Threshold", NAN);
	if (!isfinite(rule->threshold)) {
		err_set(err, ERANGE, "The parameter Threshold must be a number.");
		return -1;
	}
	rule->document = json_incref((json_t *)document);
	if (init_source(rule, document, err) != 0) {
		alarm_rule_fini(rule);
		return -1;
	}
	return 0;
}

void alarm_rule_fini(struct alarm_rule *rule)
{
	free(rule->dimensions);
	math_set_free(rule->math);
	json_decref(rule->document);
	*rule = (struct alarm_rule){0};
}

/* ---- judging ---- */

bool alarm_breaches(const struct alarm_rule *rule, double value)
{
	switch (rule->comparison) {
	case ALARM_GREATER_OR_EQUAL:
		return value >= rule->threshold;
	case ALARM_GREATER:
		return value > rule->threshold;
	case ALARM_LESS:
		return value < rule->threshold;
	case ALARM_LESS_OR_EQUAL:
		return value <= rule->threshold;
	}
	return false;
}

int alarm_interval_ms(const struct alarm_rule *rule)
{
	return rule->query.period_s < 60 ? 1000 : 10000;
}

int alarm_range(const struct alarm_rule *rule)
{
	return rule->evaluation_periods + (rule->query.period_s < 60 ? 4 : 2);
}

/* What the range holds. */
struct tally {
	int real, breaching; /* of the newest N real ones */
	int oldest;          /* of all real ones: its place, 1 for the newest slot */
	double newest_samples;
};

static struct tally count_slots(const struct alarm_rule *rule, const struct alarm_slot slots[],
				size_t n)
{
	struct tally tally = {0};

	for (size_t i = 0; i < n; i++) {
		if (!slots[i].is_real)
			continue;
		tally.oldest = (int)i + 1;
		if (tally.real == rule->evaluation_periods)
			continue;
		if (tally.real++ == 0)
			tally.newest_samples = slots[i].samples;
		tally.breaching += alarm_breaches(rule, slots[i].value);
	}
	return tally;
}

static bool has_too_few_samples(const struct alarm_rule *rule, const struct tally *tally)
{
	double share = rule->query.statistic.high / 100;

	if (!rule->ignores_low_sample_count || rule->query.statistic.kind != STATISTIC_PERCENTILE ||
	    tally->real == 0)
		return false;
	if (share >= 0.5)
		return tally->newest_samples * (1 - share) < 10 * (1 - 1e-12);
	return tally->newest_samples * share < 10 * (1 - 1e-12);
}

static enum alarm_state judge_empty(const struct alarm_rule *rule, enum alarm_state current)
{
	switch (rule->missing) {
	case ALARM_MISSING_MISSING:
		return ALARM_INSUFFICIENT_DATA;
	case ALARM_MISSING_IGNORE:
		return current;
	case ALARM_MISSING_BREACHING:
		return ALARM_ALARM;
	case ALARM_MISSING_NOT_BREACHING:
		return ALARM_OK;
	}
	return current;
}

/* Fewer real points than N.  The rules reproduce the tables of AWS's page on missing data. */
static enum alarm_state judge_sparse(const struct alarm_rule *rule, const struct tally *tally,
				     enum alarm_state current)
{
	int m = rule->datapoints_to_alarm, missing = rule->evaluation_periods - tally->real;

	if (tally->breaching >= m)
		return ALARM_ALARM;
	if (rule->missing == ALARM_MISSING_BREACHING)
		return tally->breaching + missing >= m ? ALARM_ALARM : ALARM_OK;
	if (rule->missing == ALARM_MISSING_NOT_BREACHING || tally->breaching < tally->real)
		return ALARM_OK;
	/* All that came is breaching, and is about to leave the range: AWS's "premature" alarm. */
	if (rule->missing == ALARM_MISSING_MISSING && tally->oldest >= m)
		return ALARM_ALARM;
	return current;
}

enum alarm_state alarm_judge(const struct alarm_rule *rule, const struct alarm_slot slots[],
			     size_t n_slots, enum alarm_state current)
{
	struct tally tally = count_slots(rule, slots, n_slots);

	if (tally.real == 0)
		return judge_empty(rule, current);
	if (has_too_few_samples(rule, &tally))
		return current;
	if (tally.real < rule->evaluation_periods)
		return judge_sparse(rule, &tally, current);
	return tally.breaching >= rule->datapoints_to_alarm ? ALARM_ALARM : ALARM_OK;
}

/* ---- evaluating ---- */

/* The end of the newest period that counts: complete, and a second more for minutes, whose data
 * tends to be late. */
static int64_t newest_end_ms(const struct alarm_rule *rule, int64_t now_ms)
{
	int64_t period_ms = rule->query.period_s * 1000LL;
	int64_t at_ms = rule->query.period_s < 60 ? now_ms : now_ms - 1000;

	return at_ms - at_ms % period_ms;
}

/* Puts points (oldest first) into slots (newest first). */
static void spread(const struct alarm_rule *rule, const struct metric_point points[], size_t n,
		   int64_t end_ms, struct alarm_slot slots[])
{
	int64_t period_ms = rule->query.period_s * 1000LL;

	for (size_t i = 0; i < n; i++) {
		int64_t slot = (end_ms - points[i].at_ms) / period_ms - 1;

		slots[slot] =
		    (struct alarm_slot){true, points[i].value, points[i].samples, points[i].at_ms};
	}
}

/* Moves the newest N real slots together at the front; their number. */
static size_t gather_real(const struct alarm_rule *rule, struct alarm_slot slots[], size_t n)
{
	size_t n_real = 0;

	for (size_t i = 0; i < n && n_real < (size_t)rule->evaluation_periods; i++)
		if (slots[i].is_real)
			slots[n_real++] = slots[i];
	return n_real;
}

static bool fills(const struct alarm_rule *rule)
{
	return rule->missing == ALARM_MISSING_BREACHING ||
	       rule->missing == ALARM_MISSING_NOT_BREACHING;
}

static int explain(const struct alarm_rule *rule, const struct alarm_slot real[], size_t n_real,
		   int64_t start_ms, int64_t now_ms, struct alarm_verdict *verdict)
{
	struct alarm_basis basis = {
	    .rule = rule,
	    .real = real,
	    .n_real = n_real,
	    .is_filled = n_real < (size_t)rule->evaluation_periods && fills(rule),
	    .now_ms = now_ms,
	    .start_ms = n_real > 0 ? real[n_real - 1].at_ms : start_ms,
	};

	alarm_reason(&basis, verdict->state, verdict->reason);
	verdict->reason_data = alarm_reason_data(&basis);
	return verdict->reason_data != NULL ? 0 : -1;
}

/* The one series of the expression, in points as metrics_query() gives them.  An expression that
 * cannot be worked out (too many datapoints) has none: 1.  -1 without memory. */
/* NOLINTNEXTLINE(readability-function-size): the short call for what would be a struct */
static int read_math(const struct alarm_rule *rule, const struct metrics *metrics,
		     const struct metric_query *query, int64_t now_ms, struct metric_point points[],
		     size_t max, size_t *n)
{
	struct math_results results;
	struct err err = {0};

	*n = 0;
	if (math_set_evaluate(rule->math, metrics, query->start_ms, query->end_ms, now_ms, &results,
			      &err) != 0)
		return err.code == ENOMEM ? -1 : 1;
	for (size_t i = 0; results.n > 0 && i < results.list[0].n && *n < max; i++) {
		const struct math_point *point = &results.list[0].points[i];

		/* Of an expression that has periods of its own. */
		if (point->at_ms >= query->start_ms && point->at_ms < query->end_ms)
			points[(*n)++] =
			    (struct metric_point){point->at_ms, point->value, 1, METRIC_UNIT_ANY};
	}
	math_results_fini(&results);
	return 0;
}

/* NOLINTNEXTLINE(readability-function-size): the short call for what would be a struct */
static int read_range(const struct alarm_rule *rule, const struct metrics *metrics,
		      const struct metric_query *query, int64_t now_ms,
		      struct metric_point points[], size_t max, size_t *n)
{
	if (rule->math != NULL)
		return read_math(rule, metrics, query, now_ms, points, max, n);
	*n = metrics_query(metrics, query, points, max);
	return 0;
}

int alarm_evaluate(const struct alarm_rule *rule, const struct metrics *metrics,
		   enum alarm_state current, int64_t now_ms, struct alarm_verdict *verdict)
{
	struct metric_query query = rule->query;
	size_t range = (size_t)alarm_range(rule), n;
	struct alarm_slot *slots = calloc(range, sizeof(*slots));
	struct metric_point *points = calloc(range, sizeof(*points));
	int result = -1, read;

	*verdict = (struct alarm_verdict){.state = current};
	if (slots == NULL || points == NULL)
		goto out;
	query.end_ms = newest_end_ms(rule, now_ms);
	query.start_ms = query.end_ms - (int64_t)range * query.period_s * 1000;
	read = read_range(rule, metrics, &query, now_ms, points, range, &n);
	if (read < 0)
		goto out;
	verdict->is_unread = read > 0;
	spread(rule, points, n, query.end_ms, slots);
	verdict->state = alarm_judge(rule, slots, range, current);
	n = gather_real(rule, slots, range);
	verdict->n_real = n;
	if (n > 0) {
		verdict->has_value = true;
		verdict->value = slots[0].value;
		verdict->value_at_ms = slots[0].at_ms;
	}
	result = verdict->state == current
		     ? 0
		     : explain(rule, slots, n, query.start_ms, now_ms, verdict);
out:
	free(slots);
	free(points);
	return result;
}
