/*
 * Target tracking: out when the metric is above the target, in when it stays below a part of it, to
 * the capacity that would bring it to the target.  By minutes as the alarms of AWS would have it:
 * three periods for out, fifteen for in, and the newest value counts.  By seconds what is above the
 * target must be more than noise: the further it is, the fewer seconds it takes, down to one; and
 * scaling in goes no lower than the busiest of its seconds needs.  Instances that warm up are not
 * counted in the metric; while one does, nothing is taken away.  No data, no action.  Pure.  AWS:
 * "Target tracking scaling policies".
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "scaler/engine/watch.h"

enum {
	POINTS_OUT = 3,
	POINTS_IN = 15,
	POINTS_RANGE = 34, /* seconds: those of the slowest rule, and what noise is known by */
	POINTS_WINDOW = 60,
	LAG_MATH_MS = 1300,
	SORRY_MS = 300 * 1000, /* out so soon after in: in was too early */
	SORRY_MAX_MS = 3600 * 1000,
	PATIENCE_MAX_S = 900,
};

/* Part of the target below which an instance can be spared, as the alarms of AWS have it. */
double tracking_low_fraction(int n)
{
	double spare = n > 0 ? floor((double)(n - 1) / n * 20 + 1e-9) / 20 : 0.90;

	if (n == 0 || n >= 10 || spare > 0.90)
		return 0.90;
	return spare < 0.70 ? 0.70 : spare;
}

int tracking_need(int n, double metric, double target)
{
	double need = ceil((double)n * metric / target - 1e-9);

	return need > 1e6 ? 1000000 : need > 0 ? (int)need : 0;
}

/* Quiet before the set changed says nothing about the set: fewer now carry the same load.  (Load
 * does: it is summed over those that are there now.) */
static void note_set(struct policy *policy, const struct counted *counted, int64_t now_ms)
{
	uint64_t hash = 14695981039346656037u;

	for (int i = 0; i < counted->n; i++) {
		for (const char *c = counted->items[i]->id; *c; c++)
			hash = (hash ^ (unsigned char)*c) * 1099511628211u;
	}
	if (hash == policy->counted)
		return;
	policy->counted = hash;
	policy->steady_since_ms = now_ms;
}

/* ---- periods ---- */

/* How many periods a window has; without one what AWS's alarms have. */
static int points_of(int window_s, int period_ms, int otherwise)
{
	int points = (1000 * window_s + period_ms - 1) / period_ms;

	if (window_s == 0)
		return otherwise;
	return points < SERIES_MAX - SERIES_SPARE ? points : SERIES_MAX - SERIES_SPARE;
}

/* A long window is looked at in longer periods. */
static int window_period_ms(const struct watch *watch, int window_s, int period_ms)
{
	static const int longer[] = {5000, 10000, 30000, 60000};

	for (size_t i = 0; i < sizeof longer / sizeof longer[0]; i++) {
		if (watch->period_s || 1000 * window_s <= POINTS_WINDOW * period_ms)
			break;
		if (longer[i] > period_ms)
			period_ms = longer[i];
	}
	return period_ms;
}

static int read_by(const struct tick *tick, const struct group *group, const struct watch *watch,
		   const struct counted *counted, struct series *series, int period_ms)
{
	bool is_fast = period_ms == 1000;
	int points;

	series->period_ms = window_period_ms(watch, watch->out_window_s, period_ms);
	points = points_of(watch->out_window_s, series->period_ms, POINTS_OUT) + SERIES_SPARE;
	series->n = is_fast && points < POINTS_RANGE ? POINTS_RANGE : points;
	/* Seconds are looked at when they come: a part of a sum never asks for too much.  But what
	 * an expression fills in for what has not come yet is taken for real. */
	series->lag_ms = watch->queries ? LAG_MATH_MS : is_fast ? 0 : LAG_MS;
	return watch_read(tick, group, watch, counted, series);
}

/* What scaling out is judged by. */
static int read_newest(const struct tick *tick, const struct group *group,
		       const struct watch *watch, const struct counted *counted,
		       struct series *series)
{
	int found;

	if (watch->period_s)
		return read_by(tick, group, watch, counted, series, 1000 * watch->period_s);
	found = read_by(tick, group, watch, counted, series, 1000);
	return found ? found : read_by(tick, group, watch, counted, series, 60000);
}

/* ---- out ---- */

/* Of seconds: so many in a row whose mean is so much above the target, in standard deviations of
 * that mean, each at least at so many times the target.  Of many, half must be above it. */
struct rule {
	int n;
	double deviations, steep;
};

static const struct rule rules[] = {
    {1, 6, 1.5}, {2, 4, 1.5}, {POINTS_OUT, 3, 1}, {10, 2.5, 0}, {30, 1, 0},
};

/* The least noise that a few seconds are to be told from: a tenth of the target; of counts, twice
 * what chance alone does to as many as the target allows. */
static double least_noise(const struct watch *watch, const struct counted *counted)
{
	double tenth = watch->target / 10, by_second;

	if (watch->sum_s == 0)
		return tenth;
	by_second = watch->target / watch->sum_s * (counted->in_service ? counted->in_service : 1);
	return fmax(tenth, 2 * watch->target / sqrt(fmax(by_second, 0.01)));
}

static bool passes(const struct rule *rule, const struct watch *watch, const struct series *series,
		   double noise, struct stretch *stretch)
{
	double above = rule->deviations * noise / sqrt(rule->n);

	return series_newest(series, rule->n, 0, stretch) &&
	       stretch->least > rule->steep * watch->target - 1e-9 &&
	       stretch->mean > watch->target + above && stretch->mean > watch->target &&
	       2 * series_above(series, rule->n, watch->target) >= rule->n;
}

/* Without enough values to know the noise by. */
static bool is_plainly_above(const struct watch *watch, const struct series *series,
			     struct stretch *stretch)
{
	if (series_newest(series, POINTS_OUT, 0, stretch) && stretch->least > watch->target)
		return true;
	/* Counts of few things in a second jump: only what is a level counts here. */
	return watch->sum_s == 0 && series_newest(series, 2, 0, stretch) &&
	       stretch->least > 1.5 * watch->target;
}

/* What scaling out is judged by. */
struct newest {
	const struct tick *tick;
	const struct group *group;
	const struct watch *watch;
	const struct counted *counted;
	const struct series *series;
};

static bool is_above_noise(const struct newest *at, struct policy *policy, struct stretch *stretch)
{
	double noise = series_noise(at->series), least = least_noise(at->watch, at->counted);
	bool may_be_sudden = sudden_may_be(policy, at->series, at->watch->target);

	if (isnan(noise))
		return is_plainly_above(at->watch, at->series, stretch);
	for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
		const struct rule *rule = &rules[i];
		bool is_few = rule->n < POINTS_OUT;

		if ((is_few && !may_be_sudden) ||
		    !passes(rule, at->watch, at->series, is_few ? fmax(noise, least) : noise,
			    stretch))
			continue;
		if (!is_few)
			return true;
		if (!sudden_is_new(at->tick, at->group, at->watch, at->counted, stretch->mean))
			continue;
		sudden_note(policy, at->series);
		return true;
	}
	return false;
}

/* Does it ask for more capacity?  By the stretch's mean. */
static bool asks_for_more(const struct newest *at, struct policy *policy, struct stretch *stretch)
{
	const struct watch *watch = at->watch;
	const struct series *series = at->series;
	int points = points_of(watch->out_window_s, series->period_ms, POINTS_OUT);
	bool is_fast = series->period_ms == 1000;

	if (is_fast && watch->out_window_s == 0 && watch->period_s == 0)
		return is_above_noise(at, policy, stretch);
	if (!series_newest(series, points, 0, stretch) || stretch->least <= watch->target)
		return false;
	return is_fast || series_newest(series, 1, 0, stretch);
}

/* ---- in ---- */

/* In, and out again soon after: the next time it takes twice as long. */
void tracking_note(struct group *group, bool is_out, int64_t now_ms)
{
	bool is_again = group->patience_s && now_ms - group->sorry_ms <= SORRY_MAX_MS;
	int patience_s = 2 * (is_again ? group->patience_s : POINTS_IN);

	if (!is_out) {
		group->shrunk_ms = now_ms;
		return;
	}
	if (group->shrunk_ms == 0 || now_ms - group->shrunk_ms > SORRY_MS)
		return;
	group->shrunk_ms = 0;
	group->sorry_ms = now_ms;
	group->patience_s = patience_s < PATIENCE_MAX_S ? patience_s : PATIENCE_MAX_S;
}

static int in_window_s(const struct newest *at)
{
	const struct group *group = at->group;

	if (at->watch->in_window_s || at->watch->period_s || at->series->period_ms != 1000 ||
	    at->tick->now_ms - group->sorry_ms > SORRY_MAX_MS)
		return at->watch->in_window_s;
	return group->patience_s;
}

/* Instances without figures might be busy: each counts as one at the target. */
static void suspect_silent(const struct watch *watch, const struct counted *counted,
			   struct series *series)
{
	for (int i = 0; i < series->n; i++) {
		int silent = counted->n - series->counts[i];

		if (isnan(series->values[i]) || silent <= 0)
			continue;
		series->values[i] =
		    (series->values[i] * series->counts[i] + silent * watch->target) / counted->n;
	}
}

/* The same metric as has been read, over other periods: mostly a part of it. */
static int read_again(const struct newest *at, struct series *series)
{
	const struct series *read = at->series;
	int skipped = read->n - series->n;

	if (read->period_ms != series->period_ms || read->lag_ms != series->lag_ms || skipped < 0)
		return watch_read(at->tick, at->group, at->watch, at->counted, series);
	series->end_ms = read->end_ms;
	memcpy(series->values, read->values + skipped, (size_t)series->n * sizeof(double));
	memcpy(series->counts, read->counts + skipped, (size_t)series->n * sizeof(int));
	return series->n;
}

/* The value that the group may shrink to; NAN: it may not. */
static double asks_for_less(const struct newest *at, const struct policy *policy)
{
	const struct watch *watch = at->watch;
	const struct counted *counted = at->counted;
	double low = watch->target * tracking_low_fraction(counted->in_service);
	struct stretch stretch;
	struct series series = {.lag_ms = watch->queries ? LAG_MATH_MS : LAG_MS};
	int points, window_s = in_window_s(at);

	series.period_ms = window_period_ms(watch, window_s, at->series->period_ms);
	if (watch->is_per_instance && series.period_ms == 1000)
		series.lag_ms = 0; /* an instance's second is one datapoint: there or not */
	points = points_of(window_s, series.period_ms, POINTS_IN);
	series.n = points + SERIES_SPARE;
	if (read_again(at, &series) == 0)
		return NAN;
	suspect_silent(watch, counted, &series);
	if (!series_newest(&series, points, policy->steady_since_ms, &stretch) ||
	    stretch.most >= low)
		return NAN;
	return series.period_ms < 60000 && watch->period_s == 0 ? stretch.most : stretch.newest;
}

/* ---- judging ---- */

/* The capacity that the figures speak for: an instance without data may be idle or dead, so it asks
 * for no others.  A metric that is there without instances counts as if there were one: so it
 * leaves 0. */
static int spoken_for(const struct newest *at, const struct policy *policy,
		      const struct stretch *stretch)
{
	const struct series *series = at->series;
	int least = at->counted->n;

	if (!at->watch->is_per_instance) {
		least = served_least(policy, stretch->from_ms);
		return least > 1 ? least : 1;
	}
	for (int i = series->n - 1, found = 0; i >= 0 && found < POINTS_OUT; i--) {
		if (isnan(series->values[i]))
			continue;
		least = series->counts[i] < least ? series->counts[i] : least;
		found++;
	}
	return at->counted->n > 0 ? (int)((int64_t)at->counted->units * least / at->counted->n) : 0;
}

static void judge(const struct newest *at, struct group *group, struct verdict *verdict)
{
	const struct counted *counted = at->counted;
	struct policy *policy = verdict->policy;
	double target = at->watch->target, value;
	struct stretch stretch;
	int need;

	if (series_newest(at->series, POINTS_OUT, 0, &stretch))
		verdict->need =
		    tracking_need(spoken_for(at, policy, &stretch), stretch.mean, target);
	if (asks_for_more(at, policy, &stretch)) {
		need = tracking_need(spoken_for(at, policy, &stretch), stretch.mean, target);
		policy->wanted = need > group->desired ? need : group->desired;
		verdict->wish = WISH_OUT;
		verdict->capacity = adjust_clamp(group, policy->wanted);
		return;
	}
	policy->wanted = group->desired;
	value = counted->warming > 0 ? NAN : asks_for_less(at, policy);
	if (isnan(value))
		return;
	need = tracking_need(counted->in_service + counted->terminating, value, target);
	policy->wanted = need < group->desired ? need : group->desired;
	verdict->wish = WISH_IN;
	verdict->capacity = adjust_clamp(group, policy->wanted);
}

struct verdict target_tracking_judge(struct tick *tick, struct group *group, struct policy *policy)
{
	struct verdict verdict = {WISH_HOLD, group->desired, 0, policy, ""};
	int64_t warmup_ms = policy_warmup_ms(group, policy);
	struct counted counted = {0};
	struct series series;
	struct watch watch;

	policy->wanted = -1;
	policy->metric = NAN;
	if (watch_init(&watch, policy) < 0 ||
	    counted_init(&counted, group, warmup_ms, tick->now_ms) < 0)
		goto out;
	note_set(policy, &counted, tick->now_ms);
	served_note(policy, counted.units, tick->now_ms);
	if ((watch.is_per_instance && counted.n == 0) ||
	    read_newest(tick, group, &watch, &counted, &series) == 0)
		goto out;
	policy->period_s = series.period_ms / 1000;
	policy->metric = series_last(&series);
	judge(&(struct newest){tick, group, &watch, &counted, &series}, group, &verdict);
out:
	counted_fini(&counted);
	watch_fini(&watch);
	return verdict;
}

/* ---- alarms that show ---- */

static int name_metric(json_t *alarm, const struct group *group, const struct watch *watch)
{
	json_t *dimensions = json_deep_copy(watch->dimensions);

	if (watch->queries)
		return json_object_set(alarm, "Metrics", watch->queries);
	if (!dimensions)
		dimensions =
		    json_pack("[{s:s, s:s}]", "Name", "AutoScalingGroupName", "Value", group->name);
	return json_object_set_new(alarm, "MetricName", json_string(watch->name)) |
	       json_object_set_new(alarm, "Namespace", json_string(watch->namespace)) |
	       json_object_set_new(alarm, "Statistic", json_string(watch->statistic)) |
	       (watch->unit ? json_object_set_new(alarm, "Unit", json_string(watch->unit)) : 0) |
	       json_object_set_new(alarm, "Dimensions", dimensions);
}

json_t *tracking_alarm(const struct group *group, const struct policy *policy, bool is_high)
{
	double low = tracking_low_fraction(group_count(group).in_service), target;
	int window_s, period_ms;
	json_t *alarm = NULL;
	struct watch watch;

	if (watch_init(&watch, policy) < 0)
		goto out;
	window_s = is_high ? watch.out_window_s : watch.in_window_s;
	period_ms = watch.period_s ? 1000 * watch.period_s : policy->period_s == 1 ? 1000 : 60000;
	period_ms = window_period_ms(&watch, window_s, period_ms);
	/* The target may be a minute's sum; the alarm sees its own period's. */
	target = watch.sum_s ? watch.target * period_ms / 1000 / watch.sum_s : watch.target;
	alarm = json_pack("{s:i, s:f, s:s}", "EvaluationPeriods",
			  points_of(window_s, period_ms, is_high ? POINTS_OUT : POINTS_IN),
			  "Threshold", is_high ? target : target * low, "ComparisonOperator",
			  is_high ? "GreaterThanThreshold" : "LessThanThreshold");
	if (alarm && !watch.queries)
		json_object_set_new(alarm, "Period", json_integer(period_ms / 1000));
	if (alarm && name_metric(alarm, group, &watch) != 0) {
		json_decref(alarm);
		alarm = NULL;
	}
out:
	watch_fini(&watch);
	return alarm;
}
