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
	RATE_MS = 60 * 1000, /* scaling in is limited by the minute */
};

/* What is measured, and what one instance takes of it. */
struct load {
	const char *metric;
	double per_target; /* 0: not looked at */
	double now;        /* through the short windows; NAN unknown */
	double peak;       /* the largest of that in the long window; NAN unknown */
};

struct tracker {
	struct watch watch; /* its metric is set for each load */
	struct load loads[LOADS];
	int out_s, mean_s, in_s;
	double margin, tolerance, rate, utilization; /* parts of 1 */
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
	    (struct load){"RequestCount", doc_num(config, "RequestsPerTarget", 0), NAN, NAN};
	tracker->loads[IN_FLIGHT] = (struct load){
	    "InFlightRequestCount", doc_num(config, "InFlightPerTarget", 0), NAN, NAN};
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
	int period_s = series->period_ms / 1000;

	/* fmax passes over what is not known. */
	return fmax(window(series, last, tracker->out_s / period_s, true),
		    window(series, last, tracker->mean_s / period_s, false));
}

static int read_load(const struct tick *tick, const struct group *group, struct tracker *tracker,
		     const struct load *load, struct series *series)
{
	struct counted nobody = {0};

	tracker->watch.name = load->metric;
	tracker->watch.sum_s = 1;
	return watch_read(tick, group, &tracker->watch, &nobody, series);
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
		    struct load *load)
{
	double carried = load->per_target * group->desired;
	struct series series = {.period_ms = 1000};
	struct stretch newest;
	int last;

	series.n = tracker->mean_s > tracker->out_s ? tracker->mean_s : tracker->out_s;
	series.n += SERIES_SPARE;
	if (load->per_target <= 0 || read_load(tick, group, tracker, load, &series) == 0 ||
	    !series_newest(&series, 1, 0, &newest))
		return;
	for (last = series.n - 1; isnan(series.values[last]);)
		last--;
	load->now = seen_at(tracker, &series, last);
	if (load != &tracker->loads[REQUESTS] || !is_sudden(tick, group, tracker, &series, carried))
		return;
	sudden_note(tracker->policy, &series);
	load->now = fmax(load->now, newest.newest);
}

/* ---- the long window ---- */

static int long_period_ms(const struct tracker *tracker)
{
	static const int periods[] = {1000, 5000, 10000, 30000};
	size_t i = 0;

	while (i < sizeof periods / sizeof periods[0] - 1 &&
	       1000 * (tracker->in_s + tracker->mean_s) > periods[i] * (SERIES_MAX - SERIES_SPARE))
		i++;
	return periods[i];
}

/* The last values of a series, at most WINDOW_MAX: their sum, or in order of size. */
struct sliding {
	const struct series *series;
	int size, n;
	bool is_median;
	double sum, sorted[WINDOW_MAX];
};

static void sliding_init(struct sliding *sliding, const struct series *series, int size,
			 bool is_median)
{
	sliding->series = series;
	sliding->size = size < 1 ? 1 : size < WINDOW_MAX ? size : WINDOW_MAX;
	sliding->is_median = is_median;
	sliding->n = 0;
	sliding->sum = 0;
}

/* Where the value stands, or would. */
static int place_of(const struct sliding *sliding, double value)
{
	int i = 0;

	while (i < sliding->n && sliding->sorted[i] < value)
		i++;
	return i;
}

static void take_out(struct sliding *sliding, double value)
{
	int place;

	sliding->n--;
	sliding->sum -= value;
	if (!sliding->is_median)
		return;
	for (place = place_of(sliding, value); place < sliding->n; place++)
		sliding->sorted[place] = sliding->sorted[place + 1];
}

static void put_in(struct sliding *sliding, double value)
{
	int place = sliding->n++;

	sliding->sum += value;
	if (!sliding->is_median)
		return;
	for (; place > 0 && sliding->sorted[place - 1] > value; place--)
		sliding->sorted[place] = sliding->sorted[place - 1];
	sliding->sorted[place] = value;
}

/* The window's last point is i now; it was the one before. */
static void slide(struct sliding *sliding, int i)
{
	const double *values = sliding->series->values;

	if (i >= sliding->size && !isnan(values[i - sliding->size]))
		take_out(sliding, values[i - sliding->size]);
	if (!isnan(values[i]))
		put_in(sliding, values[i]);
}

/* NAN: fewer than half are there. */
static double sliding_value(const struct sliding *sliding)
{
	if (2 * sliding->n < sliding->size)
		return NAN;
	return sliding->is_median ? sliding->sorted[sliding->n / 2] : sliding->sum / sliding->n;
}

/* The largest of what was seen at each of the last points; NAN: a part of that is not known. */
static double peak_in(const struct tracker *tracker, const struct series *series, int points)
{
	int period_s = series->period_ms / 1000, unknown = 0;
	double peak = 0, seen = NAN;
	struct sliding few, many;

	sliding_init(&few, series, tracker->out_s / period_s, true);
	sliding_init(&many, series, tracker->mean_s / period_s, false);
	for (int i = 0; i < series->n; i++) {
		slide(&few, i);
		slide(&many, i);
		if (i < series->n - points)
			continue;
		/* fmax passes over what is not known. */
		seen = fmax(sliding_value(&few), sliding_value(&many));
		unknown += isnan(seen);
		peak = fmax(peak, seen);
	}
	return 10 * unknown > points || isnan(seen) ? NAN : peak;
}

/* The peak of the window; NAN: a part of it is not known. */
static double peak_of(const struct tick *tick, const struct group *group, struct tracker *tracker,
		      const struct load *load)
{
	struct series series = {.period_ms = long_period_ms(tracker), .lag_ms = LAG_MS};
	int points = 1000 * tracker->in_s / series.period_ms;

	series.n = points + 1000 * tracker->mean_s / series.period_ms;
	if (read_load(tick, group, tracker, load, &series) == 0)
		return NAN;
	return peak_in(tracker, &series, points);
}

/* What comes now is a part of the peak: does it need all there are? */
static bool is_all_needed(const struct tracker *tracker, const struct group *group)
{
	for (int i = 0; i < LOADS; i++) {
		const struct load *load = &tracker->loads[i];

		if (load->per_target > 0 && needed(load, load->now, tracker->margin) >=
						group->desired * (1 - tracker->tolerance))
			return true;
	}
	return false;
}

/* Once a second: nothing that is this long changes sooner. */
static void look_back(const struct tick *tick, const struct group *group, struct tracker *tracker)
{
	struct policy *policy = tracker->policy;
	int64_t second = tick->now_ms / 1000;

	for (int i = 0; i < LOADS; i++) {
		struct load *load = &tracker->loads[i];

		if (policy->peaks_at_s != second)
			policy->peaks[i] =
			    load->per_target > 0 ? peak_of(tick, group, tracker, load) : NAN;
		load->peak = policy->peaks[i];
	}
	policy->peaks_at_s = second;
}

/* ---- what is needed ---- */

/* What waits because too few serve is in flight too, and more with each second: it asks for no more
 * than twice those that serve. */
static int needed_now(const struct tracker *tracker, const struct counted *counted)
{
	int requests =
	    needed(&tracker->loads[REQUESTS], tracker->loads[REQUESTS].now, tracker->margin);
	int in_flight =
	    needed(&tracker->loads[IN_FLIGHT], tracker->loads[IN_FLIGHT].now, tracker->margin);
	int most = 2 * (counted->in_service > 1 ? counted->in_service : 1);

	in_flight = in_flight < most ? in_flight : most;
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
static int reduced(const struct tracker *tracker, const struct group *group)
{
	int desired = group->desired, most = (int)(desired * tracker->rate), left = 0;

	for (int i = 0; i < LOADS; i++) {
		const struct load *load = &tracker->loads[i];
		int need = needed(load, load->peak, tracker->margin);
		int roomy = needed(load, load->peak / tracker->utilization, 0);

		if (load->per_target > 0 && need >= desired * (1 - tracker->tolerance))
			return desired;
		left = need > left ? need : left;
		left = roomy > left ? roomy : left;
	}
	most = most > 1 ? most : 1;
	return left > desired - most ? left : desired - most;
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
	if (counted->warming > 0 || !is_known(tracker, false) || is_all_needed(tracker, group))
		return;
	look_back(tick, group, tracker);
	if (!is_known(tracker, true) || tick->now_ms - group->scaled_in_ms < RATE_MS)
		return;
	left = reduced(tracker, group);
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
		look_at(tick, group, &tracker, &tracker.loads[i]);
		is_any |= !isnan(tracker.loads[i].now);
	}
	policy->metric = tracker.loads[REQUESTS].now;
	policy->period_s = 1;
	if (is_any)
		judge(tick, group, &tracker, &counted, &verdict);
out:
	counted_fini(&counted);
	watch_fini(&tracker.watch);
	return verdict;
}
