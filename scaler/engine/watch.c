/*
 * See watch.h.  Periods are seconds where the metric is sent by the second, minutes otherwise.
 * Pure. AWS: "Target tracking scaling policies", TargetTrackingConfiguration.
 */
#include "scaler/engine/watch.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
	CARRY = 2,       /* periods that an instance's last value stands for a missing one */
	NOISE_SKIP = 2,  /* the newest, which are to be told from noise */
	NOISE_LEAST = 5, /* differences that noise is known by */
	SEEN_S = 300,    /* what was there in that time is not new */
	CALM_MS = 600 * 1000,
	CALM_MAX_MS = 24 * 3600 * 1000,
};

/* ---- what is watched ---- */

static json_t *dimension(const char *name, const char *value, size_t len)
{
	return json_pack("{s:s, s:s%}", "Name", name, "Value", value, len);
}

json_t *watch_label_dimensions(const char *label)
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

static int predefined(struct watch *watch, const json_t *spec)
{
	const char *type = doc_str(spec, "PredefinedMetricType", "");

	watch->statistic = "Average";
	watch->namespace = "AWS/EC2";
	watch->is_per_instance = true;
	watch->sum_s = 60;
	if (strcmp(type, "ASGAverageCPUUtilization") == 0) {
		watch->name = "CPUUtilization";
		watch->sum_s = 0;
	} else if (strcmp(type, "ASGAverageNetworkIn") == 0) {
		watch->name = "NetworkIn";
	} else if (strcmp(type, "ASGAverageNetworkOut") == 0) {
		watch->name = "NetworkOut";
	} else if (strcmp(type, "ALBRequestCountPerTarget") == 0) {
		watch->namespace = "AWS/ApplicationELB";
		watch->name = "RequestCountPerTarget";
		watch->statistic = "Sum";
		watch->is_per_instance = false;
		watch->dimensions = watch_label_dimensions(doc_str(spec, "ResourceLabel", ""));
		return watch->dimensions ? 0 : -1;
	} else {
		return -1;
	}
	return 0;
}

static bool is_sum(const char *statistic)
{
	return strcmp(statistic, "Sum") == 0 || strcmp(statistic, "SampleCount") == 0;
}

/* Metric math is read by its own period, a minute unless it says otherwise: what an expression
 * makes of shorter sums nobody can know. */
static int math(struct watch *watch, const json_t *metrics)
{
	int period_s = 0;
	json_t *query;
	size_t i;

	watch->namespace = watch->name = watch->statistic = "";
	watch->queries = json_deep_copy(metrics);
	json_array_foreach (watch->queries, i, query) {
		json_t *stat = doc_object(query, "MetricStat");
		int own = (int)doc_int(stat ? stat : query, "Period", 0);

		period_s = own > period_s ? own : period_s;
	}
	watch->period_s = period_s ? period_s : 60;
	json_array_foreach (watch->queries, i, query) {
		json_t *stat = doc_object(query, "MetricStat");

		if (stat && !doc_has(stat, "Period"))
			json_object_set_new(stat, "Period", json_integer(watch->period_s));
	}
	return watch->queries ? 0 : -1;
}

static int customized(struct watch *watch, const json_t *spec)
{
	if (doc_has(spec, "Metrics"))
		return math(watch, doc_array(spec, "Metrics"));
	watch->namespace = doc_str(spec, "Namespace", NULL);
	watch->name = doc_str(spec, "MetricName", NULL);
	watch->statistic = doc_str(spec, "Statistic", "Average");
	watch->unit = doc_str(spec, "Unit", NULL);
	watch->period_s = (int)doc_int(spec, "Period", 0);
	if (!watch->namespace || !watch->name)
		return -1;
	if (is_sum(watch->statistic))
		watch->sum_s = watch->period_s ? watch->period_s : 60;
	watch->dimensions = json_incref(doc_array(spec, "Dimensions"));
	if (!watch->dimensions)
		watch->dimensions = json_array();
	return watch->dimensions ? 0 : -1;
}

int watch_init(struct watch *watch, const struct policy *policy)
{
	const json_t *config = doc_object(policy->document, "TargetTrackingConfiguration");
	const json_t *spec = doc_object(config, "PredefinedMetricSpecification");

	memset(watch, 0, sizeof *watch);
	watch->target = doc_num(config, "TargetValue", 0);
	watch->out_window_s = (int)doc_int(config, "ScaleOutWindow", 0);
	watch->in_window_s = (int)doc_int(config, "ScaleInWindow", 0);
	if (watch->target <= 0)
		return -1;
	if (spec)
		return predefined(watch, spec);
	spec = doc_object(config, "CustomizedMetricSpecification");
	return spec ? customized(watch, spec) : -1;
}

void watch_fini(struct watch *watch)
{
	json_decref(watch->dimensions);
	json_decref(watch->queries);
	watch->dimensions = watch->queries = NULL;
}

/* ---- who counts ---- */

static void count(struct counted *counted, struct instance *instance)
{
	counted->items[counted->n++] = instance;
	counted->units += instance_units(instance);
}

int counted_init(struct counted *counted, const struct group *group, int64_t warmup_ms,
		 int64_t now_ms)
{
	struct instance *instance;
	int n = 0;

	TAILQ_FOREACH (instance, &group->instances, link)
		n++;
	memset(counted, 0, sizeof *counted);
	counted->items = calloc((size_t)n + 1, sizeof(struct instance *));
	if (!counted->items)
		return -1;
	TAILQ_FOREACH (instance, &group->instances, link) {
		bool is_in = instance->state == INSTANCE_IN_SERVICE;
		bool is_warm = is_in && now_ms - instance->in_service_ms >= warmup_ms;

		int units = instance_units(instance);

		counted->in_service += is_in ? units : 0;
		if (instance->state == INSTANCE_TERMINATING && !instance->is_warm)
			counted->terminating += units;
		counted->warming += instance->state == INSTANCE_PENDING || (is_in && !is_warm);
		if (is_warm)
			count(counted, instance);
	}
	if (counted->n > 0)
		return 0;
	/* A group whose first instances all warm up has only these to judge by. */
	TAILQ_FOREACH (instance, &group->instances, link) {
		if (instance->state == INSTANCE_IN_SERVICE)
			count(counted, instance);
	}
	return 0;
}

void counted_fini(struct counted *counted)
{
	free(counted->items);
	counted->items = NULL;
}

void served_note(struct policy *policy, int units, int64_t now_ms)
{
	struct served *served = policy->served;

	if (served[0].since_ms && served[0].units == units)
		return;
	memmove(served + 1, served, (MAX_SERVED - 1) * sizeof served[0]);
	served[0] = (struct served){now_ms, units};
}

int served_least(const struct policy *policy, int64_t since_ms)
{
	const struct served *served = policy->served;
	int least = served[0].units;

	for (int i = 1; i < MAX_SERVED && served[i].since_ms; i++) {
		if (served[i - 1].since_ms <= since_ms)
			break;
		if (served[i].units < least)
			least = served[i].units;
	}
	return least;
}

/* ---- the metric ---- */

static int read_values(const struct tick *tick, const struct watch *watch, const json_t *dimensions,
		       const struct series *series, double values[])
{
	struct metric_request request = {
	    .namespace = watch->namespace,
	    .name = watch->name,
	    .statistic = watch->statistic,
	    .unit = watch->unit,
	    .dimensions = dimensions,
	    .queries = watch->queries,
	    .period_s = series->period_ms / 1000,
	    .end_ms = series->end_ms,
	    .values = values,
	    .n = series->n,
	};

	for (int i = 0; i < series->n; i++)
		values[i] = NAN;
	return tick->metrics->read(tick->metrics->arg, &request);
}

struct sums {
	double sums[SERIES_MAX];
	int counts[SERIES_MAX];
	bool is_real[SERIES_MAX];
};

/* Adds one instance's values; a gap is bridged by its last value. */
static void add_values(const double values[], int n, struct sums *sums)
{
	double last = NAN;
	int age = 0;

	for (int i = 0; i < n; i++) {
		age++;
		if (!isnan(values[i])) {
			last = values[i];
			age = 0;
			sums->is_real[i] = true;
		}
		if (isnan(last) || age > CARRY)
			continue;
		sums->sums[i] += last;
		sums->counts[i]++;
	}
}

static int read_instances(const struct tick *tick, const struct watch *watch,
			  const struct counted *counted, struct series *series)
{
	double values[SERIES_MAX];
	struct sums sums;
	int found = 0;

	for (int i = 0; i < series->n; i++) {
		sums.sums[i] = 0;
		sums.counts[i] = 0;
		sums.is_real[i] = false;
	}
	for (int i = 0; i < counted->n; i++) {
		const json_t *dimensions = instance_dimensions(counted->items[i]);

		if (dimensions && read_values(tick, watch, dimensions, series, values) > 0)
			add_values(values, series->n, &sums);
	}
	for (int i = 0; i < series->n; i++) {
		bool is_there = sums.is_real[i] && sums.counts[i] > 0;

		series->counts[i] = sums.counts[i];
		series->values[i] = is_there ? sums.sums[i] / sums.counts[i] : NAN;
		found += is_there;
	}
	return found;
}

static int read_whole(const struct tick *tick, const struct group *group, const struct watch *watch,
		      const struct counted *counted, struct series *series)
{
	json_t *dimensions;
	int found;

	if (watch->is_per_instance) {
		found = read_instances(tick, watch, counted, series);
		if (found > 0)
			return found;
		dimensions =
		    json_pack("[{s:s, s:s}]", "Name", "AutoScalingGroupName", "Value", group->name);
	} else {
		dimensions = json_incref(watch->dimensions);
	}
	found = read_values(tick, watch, dimensions, series, series->values);
	for (int i = 0; i < series->n; i++)
		series->counts[i] = counted->n;
	json_decref(dimensions);
	return found;
}

int watch_read(const struct tick *tick, const struct group *group, const struct watch *watch,
	       const struct counted *counted, struct series *series)
{
	double scale = watch->sum_s ? 1000.0 * watch->sum_s / series->period_ms : 1;
	int found;

	series->n = series->n < SERIES_MAX ? series->n : SERIES_MAX;
	series->end_ms = (tick->now_ms - series->lag_ms) / series->period_ms * series->period_ms;
	found = read_whole(tick, group, watch, counted, series);
	for (int i = 0; i < series->n; i++)
		series->values[i] *= scale;
	return found;
}

/* ---- figures of it ---- */

double series_last(const struct series *series)
{
	for (int i = series->n - 1; i >= 0; i--) {
		if (!isnan(series->values[i]))
			return series->values[i];
	}
	return NAN;
}

bool series_newest(const struct series *series, int n, int64_t since_ms, struct stretch *stretch)
{
	double sum = 0;
	int found = 0;

	*stretch = (struct stretch){0, NAN, INFINITY, -INFINITY, NAN};
	for (int i = series->n - 1; i >= 0 && found < n; i--) {
		int64_t start_ms = series->end_ms - (int64_t)(series->n - i) * series->period_ms;
		int back = series->n - 1 - i;
		double value = series->values[i];

		if (start_ms < since_ms || back >= n + SERIES_SPARE)
			return false;
		if (isnan(value)) {
			if (found == 0 && back >= SERIES_SPARE - 1)
				return false;
			continue;
		}
		if (found == 0)
			stretch->newest = value;
		stretch->from_ms = start_ms;
		sum += value;
		stretch->least = fmin(stretch->least, value);
		stretch->most = fmax(stretch->most, value);
		found++;
	}
	stretch->mean = sum / (found ? found : 1);
	return found == n;
}

int series_above(const struct series *series, int n, double limit)
{
	int found = 0, above = 0;

	for (int i = series->n - 1; i >= 0 && found < n; i--) {
		found += !isnan(series->values[i]);
		above += series->values[i] > limit; /* no NAN is */
	}
	return above;
}

/* Differences from one value to the next: a slow rise is no noise. */
double series_noise(const struct series *series)
{
	double squares = 0;
	int n = 0, last = series->n - 1;

	while (last > 0 && isnan(series->values[last]))
		last--;
	for (int i = 1; i <= last - NOISE_SKIP; i++) {
		double step = series->values[i] - series->values[i - 1];

		if (isnan(step))
			continue;
		squares += step * step;
		n++;
	}
	return n < NOISE_LEAST ? NAN : sqrt(squares / n / 2);
}

/* ---- few seconds ---- */

/* Those that followed have their say first. */
bool sudden_may_be(struct policy *policy, const struct series *series, double limit)
{
	struct stretch after;

	if (policy->sudden_ms && series->end_ms >= policy->sudden_ms + 2000) {
		if (!series_newest(series, 2, policy->sudden_ms, &after) || after.mean > limit) {
			policy->calm_ms = 0;
		} else {
			policy->calm_ms = policy->calm_ms ? 2 * policy->calm_ms : CALM_MS;
			if (policy->calm_ms > CALM_MAX_MS)
				policy->calm_ms = CALM_MAX_MS;
			policy->sudden_after_ms = series->end_ms + policy->calm_ms;
		}
		policy->sudden_ms = 0;
	}
	return series->end_ms >= policy->sudden_after_ms;
}

bool sudden_is_new(const struct tick *tick, const struct group *group, const struct watch *watch,
		   const struct counted *counted, double value)
{
	struct series series = {.n = SEEN_S, .period_ms = 1000};

	if (watch_read(tick, group, watch, counted, &series) == 0)
		return false;
	for (int i = 0; i < series.n - SERIES_SPARE; i++) {
		if (1.2 * series.values[i] > value)
			return false;
	}
	return true;
}

void sudden_note(struct policy *policy, const struct series *series)
{
	if (!policy->sudden_ms)
		policy->sudden_ms = series->end_ms;
}
