/*
 * Target tracking: out when three periods in a row are above the target, in when fifteen are
 * below a part of it, to the capacity that would bring the metric to the target.  Two seconds that
 * are far above it do too: noise is not that large for that long, and the sooner the better.
 * Periods are seconds where the metric is sent by the second, minutes otherwise.  Instances that
 * warm up are not counted in the metric; while one does, nothing is taken away.  No data, no
 * action.  Pure.  AWS: "Target tracking scaling policies"; asg.md 5.3, 5.4.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "scaler/engine/parts.h"

enum {
	POINTS_OUT = 3,
	POINTS_STEEP = 2,
	POINTS_IN = 15,
	POINTS_SPARE = 4, /* a few may be missing: as alarms, the range is longer than N */
	POINTS_RANGE = POINTS_IN + POINTS_SPARE,
	CARRY = 2,    /* periods that an instance's last value stands for a missing one */
	LAG_MS = 300, /* what comes in parts is read this long after the period's end */
};

#define STEEP 1.5 /* times the target */

/* What a policy watches. */
struct watch {
	const char *namespace, *name, *statistic;
	json_t *dimensions; /* owned; without the instance's for a metric of instances */
	bool is_per_instance;
	bool is_per_minute; /* the target is a sum per minute */
	double target;
};

struct series {
	double values[POINTS_RANGE]; /* oldest first, NAN where missing */
	int counts[POINTS_RANGE];    /* instances that each is the average of */
	int64_t end_ms;
	int period_ms;
};

enum wish { WISH_HOLD, WISH_OUT, WISH_IN };

struct verdict {
	enum wish wish;
	int capacity;
	int need; /* right now, by the newest values; 0 unknown */
	struct policy *policy;
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

/* ---- what is watched ---- */

static json_t *dimension(const char *name, const char *value, size_t len)
{
	return json_pack("{s:s, s:s%}", "Name", name, "Value", value, len);
}

/* app/NAME/ID/targetgroup/NAME/ID: both dimensions' values in one. */
static json_t *label_dimensions(const char *label)
{
	const char *target_group = strstr(label, "/targetgroup/");
	json_t *out;

	if (!target_group)
		return NULL;
	out = json_array();
	json_array_append_new(out,
			      dimension("LoadBalancer", label, (size_t)(target_group - label)));
	json_array_append_new(out,
			      dimension("TargetGroup", target_group + 1, strlen(target_group + 1)));
	return out;
}

static int predefined(const json_t *spec, struct watch *watch)
{
	const char *type = doc_str(spec, "PredefinedMetricType", "");

	watch->statistic = "Average";
	watch->namespace = "AWS/EC2";
	watch->is_per_instance = true;
	if (strcmp(type, "ASGAverageCPUUtilization") == 0)
		watch->name = "CPUUtilization";
	else if (strcmp(type, "ASGAverageNetworkIn") == 0)
		watch->name = "NetworkIn";
	else if (strcmp(type, "ASGAverageNetworkOut") == 0)
		watch->name = "NetworkOut";
	else if (strcmp(type, "ALBRequestCountPerTarget") == 0) {
		watch->namespace = "AWS/ApplicationELB";
		watch->name = "RequestCountPerTarget";
		watch->statistic = "Sum";
		watch->is_per_instance = false;
		watch->is_per_minute = true;
		watch->dimensions = label_dimensions(doc_str(spec, "ResourceLabel", ""));
		return watch->dimensions ? 0 : -1;
	} else {
		return -1;
	}
	watch->is_per_minute = strcmp(watch->name, "CPUUtilization") != 0;
	return 0;
}

static int customized(const json_t *spec, struct watch *watch)
{
	watch->namespace = doc_str(spec, "Namespace", NULL);
	watch->name = doc_str(spec, "MetricName", NULL);
	watch->statistic = doc_str(spec, "Statistic", "Average");
	if (!watch->namespace || !watch->name)
		return -1;
	watch->is_per_minute = strcmp(watch->statistic, "Sum") == 0;
	watch->dimensions = json_incref(doc_array(spec, "Dimensions"));
	if (!watch->dimensions)
		watch->dimensions = json_array();
	return 0;
}

static int watch_init(struct watch *watch, const struct policy *policy)
{
	const json_t *config = doc_object(policy->document, "TargetTrackingConfiguration");
	const json_t *spec = doc_object(config, "PredefinedMetricSpecification");

	memset(watch, 0, sizeof *watch);
	watch->target = doc_num(config, "TargetValue", 0);
	if (watch->target <= 0)
		return -1;
	if (spec)
		return predefined(spec, watch);
	spec = doc_object(config, "CustomizedMetricSpecification");
	return spec ? customized(spec, watch) : -1;
}

/* ---- who counts ---- */

struct counted {
	const struct instance **items;
	int n;
	int in_service, warming, terminating;
};

static int count_instances(const struct tick *tick, const struct group *group,
			   const struct policy *policy, struct counted *counted)
{
	int64_t warmup = policy_warmup_ms(group, policy);
	const struct instance *instance;
	int n = 0;

	TAILQ_FOREACH (instance, &group->instances, link)
		n++;
	memset(counted, 0, sizeof *counted);
	counted->items = calloc((size_t)n + 1, sizeof(struct instance *));
	if (!counted->items)
		return -1;
	TAILQ_FOREACH (instance, &group->instances, link) {
		bool is_in = instance->state == INSTANCE_IN_SERVICE;
		bool is_warm = is_in && tick->now_ms - instance->in_service_ms >= warmup;

		counted->in_service += is_in;
		counted->terminating +=
		    instance->state == INSTANCE_TERMINATING && !instance->is_warm;
		counted->warming += instance->state == INSTANCE_PENDING || (is_in && !is_warm);
		if (is_warm)
			counted->items[counted->n++] = instance;
	}
	if (counted->n > 0)
		return 0;
	/* A group whose first instances all warm up has only these to judge by. */
	TAILQ_FOREACH (instance, &group->instances, link) {
		if (instance->state == INSTANCE_IN_SERVICE)
			counted->items[counted->n++] = instance;
	}
	return 0;
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

/* ---- the metric ---- */

static int read_values(const struct tick *tick, const struct watch *watch, const json_t *dimensions,
		       const struct series *series, double values[])
{
	struct metric_request request = {
	    .namespace = watch->namespace,
	    .name = watch->name,
	    .statistic = watch->statistic,
	    .dimensions = dimensions,
	    .period_s = series->period_ms / 1000,
	    .end_ms = series->end_ms,
	    .values = values,
	    .n = POINTS_RANGE,
	};

	for (int i = 0; i < POINTS_RANGE; i++)
		values[i] = NAN;
	return tick->metrics->read(tick->metrics->arg, &request);
}

/* Adds one instance's values to the sums; a gap is bridged by its last value. */
static void add_values(const double values[], double sums[], int counts[], bool is_real[])
{
	double last = NAN;
	int age = 0;

	for (int i = 0; i < POINTS_RANGE; i++) {
		age++;
		if (!isnan(values[i])) {
			last = values[i];
			age = 0;
			is_real[i] = true;
		}
		if (isnan(last) || age > CARRY)
			continue;
		sums[i] += last;
		counts[i]++;
	}
}

static int read_instances(const struct tick *tick, const struct watch *watch,
			  const struct counted *counted, struct series *series)
{
	double sums[POINTS_RANGE] = {0}, values[POINTS_RANGE];
	int counts[POINTS_RANGE] = {0}, found = 0;
	bool is_real[POINTS_RANGE] = {false};

	for (int i = 0; i < counted->n; i++) {
		json_t *dimensions =
		    json_pack("[{s:s, s:s}]", "Name", "InstanceId", "Value", counted->items[i]->id);

		if (read_values(tick, watch, dimensions, series, values) > 0)
			add_values(values, sums, counts, is_real);
		json_decref(dimensions);
	}
	for (int i = 0; i < POINTS_RANGE; i++) {
		series->counts[i] = counts[i];
		series->values[i] = is_real[i] && counts[i] ? sums[i] / counts[i] : NAN;
		found += is_real[i];
	}
	return found;
}

/* Instances' own figures if there are any, else the group's. */
static int read_period(const struct tick *tick, const struct group *group,
		       const struct watch *watch, const struct counted *counted,
		       struct series *series, int period_ms)
{
	json_t *dimensions;
	int found;

	/* An instance's second is one datapoint: there or not, never half. */
	int lag_ms = watch->is_per_instance && period_ms == 1000 ? 0 : LAG_MS;

	series->period_ms = period_ms;
	series->end_ms = (tick->now_ms - lag_ms) / period_ms * period_ms;
	if (!watch->is_per_instance)
		return read_values(tick, watch, watch->dimensions, series, series->values);
	found = read_instances(tick, watch, counted, series);
	if (found > 0)
		return found;
	dimensions =
	    json_pack("[{s:s, s:s}]", "Name", "AutoScalingGroupName", "Value", group->name);
	found = read_values(tick, watch, dimensions, series, series->values);
	for (int i = 0; i < POINTS_RANGE; i++)
		series->counts[i] = counted->n;
	json_decref(dimensions);
	return found;
}

static int read_series(const struct tick *tick, const struct group *group,
		       const struct watch *watch, const struct counted *counted,
		       struct series *series)
{
	int found = read_period(tick, group, watch, counted, series, 1000);

	if (found == 0)
		return read_period(tick, group, watch, counted, series, 60000);
	for (int i = 0; watch->is_per_minute && i < POINTS_RANGE; i++)
		series->values[i] *= 60;
	return found;
}

/* ---- judging ---- */

/* Instances that the newest n figures speak for: one without data may be idle or dead, so it asks
 * for no others. */
static int spoken_for(const struct series *series, int counted, int n)
{
	int least = counted;

	for (int i = POINTS_RANGE - 1, found = 0; i >= 0 && found < n; i--) {
		if (isnan(series->values[i]))
			continue;
		least = series->counts[i] < least ? series->counts[i] : least;
		found++;
	}
	return least;
}

/* The newest n values on one side of limit: their mean; NAN: not n, too old, or not all. */
static double mean_beyond(const struct series *series, int64_t since_ms, int n, double limit,
			  bool is_above)
{
	double sum = 0;
	int found = 0;

	for (int i = POINTS_RANGE - 1; i >= 0 && found < n; i--) {
		int64_t start_ms = series->end_ms - (int64_t)(POINTS_RANGE - i) * series->period_ms;
		double value = series->values[i];

		if (start_ms < since_ms || POINTS_RANGE - 1 - i >= n + POINTS_SPARE)
			return NAN;
		if (isnan(value)) {
			if (found == 0 && POINTS_RANGE - 1 - i >= POINTS_SPARE - 1)
				return NAN;
			continue;
		}
		if (is_above ? value <= limit : value >= limit)
			return NAN;
		sum += value;
		found++;
	}
	return found == n ? sum / n : NAN;
}

/* The mean of the newest values if they ask for more capacity, else NAN. */
static double mean_above(const struct watch *watch, const struct series *series)
{
	double mean = mean_beyond(series, 0, POINTS_OUT, watch->target, true);

	/* Rates are counts of few things in a second, and jump: only what is a level counts here.
	 */
	if (!isnan(mean) || watch->is_per_minute || series->period_ms != 1000)
		return mean;
	return mean_beyond(series, 0, POINTS_STEEP, STEEP * watch->target, true);
}

static struct verdict judge(const struct group *group, struct policy *policy,
			    const struct watch *watch, const struct counted *counted,
			    const struct series *series)
{
	struct verdict verdict = {WISH_HOLD, group->desired, 0, policy};
	double low = watch->target * tracking_low_fraction(counted->in_service);
	int n = watch->is_per_instance ? spoken_for(series, counted->n, POINTS_OUT)
				       : counted->in_service;
	double mean = mean_beyond(series, 0, POINTS_OUT, -INFINITY, true);

	if (!isnan(mean))
		verdict.need = tracking_need(n, mean, watch->target);
	mean = mean_above(watch, series);
	if (!isnan(mean)) {
		int need = tracking_need(n, mean, watch->target);

		policy->wanted = need;
		verdict.wish = WISH_OUT;
		verdict.capacity =
		    adjust_clamp(group, need > group->desired ? need : group->desired);
		return verdict;
	}
	mean = mean_beyond(series, policy->steady_since_ms, POINTS_IN, low, false);
	if (!isnan(mean) && counted->warming == 0) {
		int need =
		    tracking_need(counted->in_service + counted->terminating, mean, watch->target);

		policy->wanted = need;
		verdict.wish = WISH_IN;
		verdict.capacity =
		    adjust_clamp(group, need < group->desired ? need : group->desired);
	}
	return verdict;
}

static struct verdict evaluate(struct tick *tick, struct group *group, struct policy *policy)
{
	struct verdict verdict = {WISH_HOLD, group->desired, 0, policy};
	struct counted counted = {0};
	struct series series = {0};
	struct watch watch;

	policy->wanted = -1;
	policy->metric = NAN;
	if (watch_init(&watch, policy) < 0 || count_instances(tick, group, policy, &counted) < 0)
		goto out;
	note_set(policy, &counted, tick->now_ms);
	if (counted.n == 0 || read_series(tick, group, &watch, &counted, &series) == 0)
		goto out;
	policy->period_s = series.period_ms / 1000;
	for (int i = POINTS_RANGE - 1; i >= 0 && isnan(policy->metric); i--)
		policy->metric = series.values[i];
	verdict = judge(group, policy, &watch, &counted, &series);
out:
	free(counted.items);
	json_decref(watch.dimensions);
	return verdict;
}

/* ---- acting ---- */

/* Alarms: the high one, then the low one (a group's name may hold what tells theirs apart). */
static const char *alarm_name(const struct policy *policy, enum wish wish)
{
	const json_t *alarms = doc_array(policy->document, "Alarms");

	return doc_str(json_array_get(alarms, wish == WISH_OUT ? 0 : 1), "AlarmName", policy->name);
}

/* What the alarm would say if it were that which decides. */
static json_t *alarm_of(const struct tick *tick, const struct group *group,
			const struct verdict *verdict)
{
	const json_t *shown = json_array_get(doc_array(verdict->policy->document, "Alarms"),
					     verdict->wish == WISH_OUT ? 0 : 1);
	bool is_out = verdict->wish == WISH_OUT;
	json_t *alarm = NULL, *detail = NULL;
	struct watch watch;
	double low = tracking_low_fraction(group_count(group).in_service);

	if (watch_init(&watch, verdict->policy) == 0)
		alarm = json_pack("{s:s, s:s, s:s, s:s, s:s, s:i, s:i, s:f, s:s}", "AlarmName",
				  doc_str(shown, "AlarmName", ""), "AlarmArn",
				  doc_str(shown, "AlarmARN", ""), "MetricName", watch.name,
				  "Namespace", watch.namespace, "Statistic", watch.statistic,
				  "Period", verdict->policy->period_s, "EvaluationPeriods",
				  is_out ? POINTS_OUT : POINTS_IN, "Threshold",
				  is_out ? watch.target : watch.target * low, "ComparisonOperator",
				  is_out ? "GreaterThanThreshold" : "LessThanThreshold");
	if (alarm)
		detail = alarm_detail(tick->engine, alarm, "OK", "ALARM", tick->now_ms);
	json_decref(alarm);
	json_decref(watch.dimensions);
	return detail;
}

static void propose(struct tick *tick, struct group *group, const struct verdict *verdict)
{
	bool is_change = verdict->capacity != group->desired;
	json_t *alarm = is_change ? alarm_of(tick, group, verdict) : NULL;
	char event[4 * NAME_MAX_LEN];

	snprintf(event, sizeof event, "a monitor alarm %s in state ALARM triggered policy %s",
		 alarm_name(verdict->policy, verdict->wish), verdict->policy->name);
	policies_propose(group, verdict->policy, verdict->capacity, event, alarm);
	json_decref(alarm);
}

static bool may_scale_in(const struct policy *policy)
{
	return !doc_bool(doc_object(policy->document, "TargetTrackingConfiguration"),
			 "DisableScaleIn", false);
}

/* Out if one wants out (the largest); in only if all that may want in.  A policy that may not
 * take away has no veto, but is not driven to ask for more at once: its need is a floor. */
void tracking_run(struct tick *tick, struct group *group)
{
	struct verdict out = {WISH_HOLD, 0, 0, NULL}, in = {WISH_HOLD, 0, 0, NULL};
	bool is_in_vetoed = false;
	struct policy *policy;
	int floor = 0;

	if (!tick->metrics->read || group->is_deleting ||
	    group_is_suspended(group, "AlarmNotification"))
		return;
	TAILQ_FOREACH (policy, &group->policies, link) {
		struct verdict verdict;

		if (strcmp(doc_str(policy->document, "PolicyType", ""), "TargetTrackingScaling") !=
			0 ||
		    !doc_bool(policy->document, "Enabled", true))
			continue;
		verdict = evaluate(tick, group, policy);
		if (verdict.wish == WISH_OUT && (!out.policy || verdict.capacity > out.capacity))
			out = verdict;
		if (!may_scale_in(policy)) {
			floor = verdict.need > floor ? verdict.need : floor;
			continue;
		}
		is_in_vetoed |= verdict.wish != WISH_IN;
		if (verdict.wish == WISH_IN && (!in.policy || verdict.capacity > in.capacity))
			in = verdict;
	}
	if (in.policy && in.capacity < floor)
		in.capacity = floor < group->desired ? floor : group->desired;
	if (out.policy)
		propose(tick, group, &out);
	else if (in.policy && !is_in_vetoed)
		propose(tick, group, &in);
}
