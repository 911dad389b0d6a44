/*
 * Load tracking, a policy of our own: as many instances as the load needs, rather than as many as
 * an alarm asks for.  The load is what the load balancer tells each second of the target group:
 * requests, and those in flight (which hold a long service time, after Little).  It is looked at
 * through two windows, the larger counts: the median of a few seconds follows a step and passes
 * over a spike, the mean of half a minute follows what rises slowly.  Capacity on its way counts as
 * there.  In goes only what the busiest moment of a long window leaves idle, a part of the group a
 * minute, and what is left must carry that moment with room to spare.  No data, no action.  Pure.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "scaler/engine/watch.h"

enum {
	LOADS = 2,
	WINDOW_MAX = 64,     /* points of the two short windows */
	RECALL_S = 400,      /* seconds that are read at once */
	RATE_MS = 60 * 1000, /* scaling in is limited by the minute */
};

#define FALLING 0.9

/* What is measured, and what one instance takes of it. */
struct load {
	const char *metric;
	double per_target; /* 0: not looked at */
	double now;        /* through the short windows; NAN unknown */
	double peak;       /* the largest of that in the long window; NAN unknown */
	bool is_falling;   /* the shorter window shows less than the longer one */
};

struct tracker {
	struct watch watch; /* its metric is set for each load */
	struct load loads[LOADS];
	int out_s, mean_s, in_s;
	double margin, tolerance, rate, utilization; /* parts of 1 */
	bool is_relieved; /* newcomers are on their way, or have just come */
	struct policy *policy;
};

enum { REQUESTS, IN_FLIGHT };

static double part(const json_t *config, const char *member, double otherwise)
{
	return doc_num(config, member, otherwise) / 100;
}

static int tracker_init(struct tracker *tracker, struct policy *policy)
{
	const json_t *config = doc_object(policy->document, "LoadTrackingConfiguration");

	memset(tracker, 0, sizeof *tracker);
	tracker->policy = policy;
	tracker->watch.namespace = "AWS/ApplicationELB";
	tracker->watch.statistic = "Sum";
	tracker->watch.dimensions = watch_label_dimensions(doc_str(config, "ResourceLabel", ""));
	tracker->loads[REQUESTS] =
	    (struct load){"RequestCount", doc_num(config, "RequestsPerTarget", 0), NAN, NAN, false};
	tracker->loads[IN_FLIGHT] = (struct load){
	    "InFlightRequestCount", doc_num(config, "InFlightPerTarget", 0), NAN, NAN, false};
	tracker->out_s = (int)doc_int(config, "ScaleOutWindow", 5);
	tracker->mean_s = (int)doc_int(config, "MeanWindow", 30);
	tracker->in_s = (int)doc_int(config, "ScaleInWindow", 300);
	tracker->margin = part(config, "Margin", 0);
	tracker->tolerance = part(config, "Tolerance", 10);
	tracker->rate = part(config, "ScaleInRate", 10);
	tracker->utilization = part(config, "ScaleInUtilization", 90);
	return tracker->watch.dimensions ? 0 : -1;
}

static int needed(const struct load *load, double value, double margin)
{
	return load->per_target > 0 && !isnan(value)
		   ? tracking_need(1, value * (1 + margin), load->per_target)
		   : 0;
}

/* ---- windows ---- */

static int compare(const void *a, const void *b)
{
	const double *left = a, *right = b;

	return (*left > *right) - (*left < *right);
}

/* The median, or the mean, of n points up to `last`; NAN: fewer than half of them are there. */
static double window(const struct series *series, int last, int n, bool is_median)
{
	double values[WINDOW_MAX], sum = 0;
	int found = 0;

	n = n < 1 ? 1 : n < WINDOW_MAX ? n : WINDOW_MAX;
	for (int i = last; i >= 0 && i > last - n; i--) {
		if (isnan(series->values[i]))
			continue;
		values[found++] = series->values[i];
		sum += series->values[i];
	}
	if (2 * found < n)
		return NAN;
	if (!is_median)
		return sum / found;
	qsort(values, (size_t)found, sizeof values[0], compare);
	return values[found / 2];
}

/* Both windows up to a point, the larger. */
static double seen_at(const struct tracker *tracker, const struct series *series, int last)
{
	/* fmax passes over what is not known. */
	return fmax(window(series, last, tracker->out_s, true),
		    window(series, last, tracker->mean_s, false));
}

static int read_load(const struct tick *tick, const struct group *group, struct tracker *tracker,
		     const struct load *load, struct series *series)
{
	struct counted nobody = {0};

	tracker->watch.name = load->metric;
	tracker->watch.sum_s = 1;
	return watch_read(tick, group, &tracker->watch, &nobody, series);
}

/* ---- what has been seen ---- */

/* What each second of the long window has shown, at second % n. */
struct load_memory {
	int n;
	int64_t newest_s[LOADS]; /* since the epoch; 0: nothing is known */
	double *seen[LOADS];
};

void load_memory_free(struct load_memory *memory)
{
	for (int i = 0; memory && i < LOADS; i++)
		free(memory->seen[i]);
	free(memory);
}

/* NULL without memory. */
static struct load_memory *memory_of(const struct tracker *tracker)
{
	struct load_memory *memory = tracker->policy->memory;

	if (memory && memory->n == tracker->in_s)
		return memory;
	load_memory_free(memory);
	tracker->policy->memory = memory = calloc(1, sizeof *memory);
	if (!memory)
		return NULL;
	memory->n = tracker->in_s;
	for (int i = 0; i < LOADS; i++) {
		memory->seen[i] = calloc((size_t)memory->n, sizeof(double));
		if (memory->seen[i])
			continue;
		load_memory_free(memory);
		tracker->policy->memory = NULL;
		return NULL;
	}
	return memory;
}

/* The seconds from first to last, out of a series that has them and what is before them. */
static void remember(const struct tracker *tracker, int which, const struct series *series,
		     int64_t first_s, int64_t last_s)
{
	struct load_memory *memory = tracker->policy->memory;
	int64_t start_s = series->end_ms / 1000 - series->n;

	for (int64_t at_s = first_s; at_s <= last_s; at_s++)
		memory->seen[which][at_s % memory->n] =
		    seen_at(tracker, series, (int)(at_s - start_s));
	memory->newest_s[which] = last_s;
}

/* After a start, or a pause. */
static void recall(const struct tick *tick, const struct group *group, struct tracker *tracker,
		   int which, int64_t last_s)
{
	int64_t first_s = last_s - tracker->in_s + 1;

	while (first_s <= last_s) {
		int64_t end_s = first_s + RECALL_S < last_s + 1 ? first_s + RECALL_S : last_s + 1;
		struct series series = {.n = (int)(end_s - first_s) + tracker->mean_s,
					.period_ms = 1000,
					.lag_ms = (int)(tick->now_ms - 1000 * end_s)};

		(void)read_load(tick, group, tracker, &tracker->loads[which], &series);
		remember(tracker, which, &series, first_s, end_s - 1);
		first_s = end_s;
	}
}

/* series: the newest seconds.  What comes in parts is whole after a while. */
static void keep_up(const struct tick *tick, const struct group *group, struct tracker *tracker,
		    int which, const struct series *series)
{
	int64_t last_s = (tick->now_ms - LAG_MS) / 1000 - 1;
	struct load_memory *memory = memory_of(tracker);

	if (!memory || memory->newest_s[which] == last_s)
		return;
	if (last_s > memory->newest_s[which] && last_s - memory->newest_s[which] < SERIES_SPARE)
		remember(tracker, which, series, memory->newest_s[which] + 1, last_s);
	else
		recall(tick, group, tracker, which, last_s);
}

/* The peak of the window; NAN: a part of it is not known. */
static double peak_of(const struct tracker *tracker, int which)
{
	const struct load_memory *memory = tracker->policy->memory;
	double peak = 0;
	int unknown = 0;

	if (!memory || isnan(memory->seen[which][memory->newest_s[which] % memory->n]))
		return NAN;
	for (int i = 0; i < memory->n; i++) {
		unknown += isnan(memory->seen[which][i]);
		peak = fmax(peak, memory->seen[which][i]);
	}
	return 10 * unknown > memory->n ? NAN : peak;
}

/* ---- now ---- */

/* A single second that no chance explains, as with target tracking. */
static bool is_sudden(const struct tick *tick, const struct group *group, struct tracker *tracker,
		      const struct series *series, double carried)
{
	double noise = series_noise(series);
	double least = fmax(carried / 10, 2 * sqrt(carried));
	struct counted nobody = {0};
	struct stretch newest;

	if (!sudden_may_be(tracker->policy, series, carried) || isnan(noise) ||
	    !series_newest(series, 1, 0, &newest))
		return false;
	return newest.newest >= 1.5 * carried &&
	       newest.newest - carried >= 6 * fmax(noise, least) &&
	       sudden_is_new(tick, group, &tracker->watch, &nobody, newest.newest);
}

static void look_at(const struct tick *tick, const struct group *group, struct tracker *tracker,
		    int which)
{
	struct load *load = &tracker->loads[which];
	double carried = load->per_target * group->desired;
	struct series series = {.period_ms = 1000};
	struct stretch newest;
	int last;

	if (load->per_target <= 0)
		return;
	series.n = tracker->mean_s > tracker->out_s ? tracker->mean_s : tracker->out_s;
	series.n += 2 * SERIES_SPARE;
	(void)read_load(tick, group, tracker, load, &series);
	keep_up(tick, group, tracker, which, &series);
	if (!series_newest(&series, 1, 0, &newest))
		return;
	for (last = series.n - 1; isnan(series.values[last]);)
		last--;
	load->now = seen_at(tracker, &series, last);
	load->is_falling = window(&series, last, tracker->out_s, true) <
			   FALLING * window(&series, last, tracker->mean_s, false);
	if (which != REQUESTS || !is_sudden(tick, group, tracker, &series, carried))
		return;
	sudden_note(tracker->policy, &series);
	load->now = fmax(load->now, newest.newest);
}

/* ---- what is needed ---- */

/* Are there some that have not had the time to work off what had to wait for them? */
static bool is_relieved(const struct tracker *tracker, const struct counted *counted,
			int64_t now_ms)
{
	for (int i = 0; i < counted->n; i++) {
		if (now_ms - counted->items[i]->in_service_ms < 1000LL * tracker->mean_s)
			return true;
	}
	return counted->warming > 0;
}

/* What is in flight when too few serve waits, and is no measure of what is needed: it asks for no
 * more than twice those that serve, and for none while newcomers are to relieve them or it falls.
 */
static int needed_in_flight(const struct tracker *tracker, const struct counted *counted,
			    double in_flight)
{
	int need = needed(&tracker->loads[IN_FLIGHT], in_flight, tracker->margin);
	bool is_worked_off = tracker->is_relieved || tracker->loads[IN_FLIGHT].is_falling;
	int most = is_worked_off ? 0 : 2 * counted->in_service;

	return need < most ? need : most;
}

static int needed_now(const struct tracker *tracker, const struct counted *counted)
{
	double now = tracker->loads[REQUESTS].now;
	int requests = needed(&tracker->loads[REQUESTS], now, tracker->margin);
	int in_flight = needed_in_flight(tracker, counted, tracker->loads[IN_FLIGHT].now);

	return requests > in_flight ? requests : in_flight;
}

static bool is_known(const struct tracker *tracker, bool is_peak)
{
	for (int i = 0; i < LOADS; i++) {
		const struct load *load = &tracker->loads[i];

		if (load->per_target > 0 && isnan(is_peak ? load->peak : load->now))
			return false;
	}
	return true;
}

/* The capacity to go down to: what the peak needs, no more than the rate at once, and such that
 * those who are left carry the peak with room to spare. */
static int reduced(const struct tracker *tracker, const struct group *group,
		   const struct counted *counted)
{
	int desired = group->desired, most = (int)(desired * tracker->rate);
	double requests = tracker->loads[REQUESTS].peak, in_flight = tracker->loads[IN_FLIGHT].peak;
	double room = 1 / tracker->utilization;
	int need = needed(&tracker->loads[REQUESTS], requests, tracker->margin);
	int other = needed_in_flight(tracker, counted, in_flight), roomy;

	need = need > other ? need : other;
	if (need >= desired * (1 - tracker->tolerance))
		return desired;
	roomy = needed(&tracker->loads[REQUESTS], requests * room, 0);
	other = needed_in_flight(tracker, counted, in_flight * room);
	need = need > roomy ? need : roomy;
	need = need > other ? need : other;
	most = most > 1 ? most : 1;
	return need > desired - most ? need : desired - most;
}

static int64_t warmup_ms(const struct group *group, const struct policy *policy)
{
	int64_t otherwise = doc_int(group->document, "DefaultInstanceWarmup", 0);

	otherwise = otherwise > 0 ? otherwise : 0;
	return 1000 * doc_int(policy->document, "EstimatedInstanceWarmup", otherwise);
}

static void explain(const struct tracker *tracker, const char *when, bool is_peak,
		    struct verdict *verdict)
{
	double requests = is_peak ? tracker->loads[REQUESTS].peak : tracker->loads[REQUESTS].now;
	double in_flight = is_peak ? tracker->loads[IN_FLIGHT].peak : tracker->loads[IN_FLIGHT].now;
	char first[64] = "", second[64] = "";

	if (!isnan(requests))
		snprintf(first, sizeof first, "%.1f requests per second", requests);
	if (!isnan(in_flight))
		snprintf(second, sizeof second, "%s%.0f in flight", first[0] ? " and " : "",
			 in_flight);
	snprintf(verdict->why, sizeof verdict->why, "%s of %s%s", when, first, second);
}

static void judge(struct tick *tick, struct group *group, struct tracker *tracker,
		  const struct counted *counted, struct verdict *verdict)
{
	int need = needed_now(tracker, counted), left;

	verdict->need = need;
	tracker->policy->wanted = group->desired;
	if (need > group->desired * (1 + tracker->tolerance)) {
		tracker->policy->wanted = need;
		verdict->wish = WISH_OUT;
		verdict->capacity = adjust_clamp(group, need);
		explain(tracker, "a load", false, verdict);
		return;
	}
	if (tracker->is_relieved || !is_known(tracker, false))
		return;
	for (int i = 0; i < LOADS; i++)
		tracker->loads[i].peak = peak_of(tracker, i);
	if (!is_known(tracker, true) || tick->now_ms - group->scaled_in_ms < RATE_MS)
		return;
	left = reduced(tracker, group, counted);
	if (left >= group->desired)
		return;
	tracker->policy->wanted = left;
	verdict->wish = WISH_IN;
	verdict->capacity = adjust_clamp(group, left);
	explain(tracker, "a load of no more than", true, verdict);
}

struct verdict load_tracking_judge(struct tick *tick, struct group *group, struct policy *policy)
{
	struct verdict verdict = {WISH_HOLD, group->desired, 0, policy, ""};
	struct counted counted = {0};
	struct tracker tracker;
	bool is_any = false;

	policy->wanted = -1;
	policy->metric = NAN;
	if (tracker_init(&tracker, policy) < 0 ||
	    counted_init(&counted, group, warmup_ms(group, policy), tick->now_ms) < 0)
		goto out;
	for (int i = 0; i < LOADS; i++) {
		look_at(tick, group, &tracker, i);
		is_any |= !isnan(tracker.loads[i].now);
	}
	tracker.is_relieved = is_relieved(&tracker, &counted, tick->now_ms);
	policy->metric = tracker.loads[REQUESTS].now;
	policy->period_s = 1;
	if (is_any)
		judge(tick, group, &tracker, &counted, &verdict);
out:
	counted_fini(&counted);
	watch_fini(&tracker.watch);
	return verdict;
}
