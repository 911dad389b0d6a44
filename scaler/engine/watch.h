/*
 * What scaling policies watch: the metric behind a policy, the instances that it speaks for, and
 * its newest figures.  Shared by the policies that track something; scaler/engine only.
 */
#ifndef SCALER_ENGINE_WATCH_H
#define SCALER_ENGINE_WATCH_H

#include "scaler/engine/parts.h"

enum {
	SERIES_MAX = 512,
	SERIES_SPARE = 4, /* a few may be missing: as alarms, the range is longer than N */
	LAG_MS = 300,     /* what comes in parts is whole this long after the period's end */
};

struct watch {
	const char *namespace, *name, *statistic, *unit; /* unit NULL: any; "" with queries */
	json_t *dimensions;                              /* owned; NULL for a metric of instances */
	json_t *queries; /* owned: metric math, each MetricStat with its Period; NULL */
	bool is_per_instance;
	int period_s; /* read by this; 0: by seconds where there are any, else by minutes */
	int sum_s;    /* the target is a sum over so many seconds; 0: it is a level */
	double target;
	int out_window_s, in_window_s; /* 0: as the alarms of AWS */
};

/* Of a target tracking policy.  -1: there is nothing to watch (yet), or no memory. */
MUST_CHECK int watch_init(struct watch *watch, const struct policy *policy);
void watch_fini(struct watch *watch);

/* LoadBalancer and TargetGroup of a ResourceLabel, new reference; NULL: it is none. */
json_t *watch_label_dimensions(const char *label);

/* The instances of the group as a policy sees them. */
struct counted {
	struct instance **items;     /* owned: those whose figures count */
	int n, units;                /* of those */
	int in_service, terminating; /* units */
	int warming;                 /* instances, pending ones too */
};
MUST_CHECK int counted_init(struct counted *counted, const struct group *group, int64_t warmup_ms,
			    int64_t now_ms);
void counted_fini(struct counted *counted);
/* Once a tick: so many units count. */
void served_note(struct policy *policy, int units, int64_t now_ms);
/* The fewest that have counted since then: an average of that time over those who share the load is
 * of no more.  (Who is in service and does not count yet may not take its share.) */
int served_least(const struct policy *policy, int64_t since_ms);

struct series {
	/* Asked for. */
	int n, period_ms, lag_ms;
	/* Answered. */
	int64_t end_ms;
	double values[SERIES_MAX]; /* oldest first, NAN where missing */
	int counts[SERIES_MAX];    /* instances that each is the average of */
};

/* Instances' own figures if there are any, else the group's.  How many periods have a value. */
int watch_read(const struct tick *tick, const struct group *group, const struct watch *watch,
	       const struct counted *counted, struct series *series);

/* The newest n values. */
struct stretch {
	int64_t from_ms;
	double mean, least, most, newest;
};
/* False: there are not so many since since_ms, or the newest is too old. */
bool series_newest(const struct series *series, int n, int64_t since_ms, struct stretch *stretch);
/* How many of the newest n values are above the limit. */
int series_above(const struct series *series, int n, double limit);
double series_last(const struct series *series); /* NAN: there is none */
/* How far a value strays from the one before, as a standard deviation, in the half minute before
 * the newest two; NAN: too few values. */
double series_noise(const struct series *series);

/*
 * A few seconds are to stand for a change of load.  Not if the last minutes have seen the like,
 * which then went by itself; and not for a while after some that went by themselves, longer each
 * time.
 */
bool sudden_may_be(struct policy *policy, const struct series *series, double limit);
bool sudden_is_new(const struct tick *tick, const struct group *group, const struct watch *watch,
		   const struct counted *counted, double value);
void sudden_note(struct policy *policy, const struct series *series);

enum wish { WISH_HOLD, WISH_OUT, WISH_IN };

struct verdict {
	enum wish wish;
	int capacity; /* within the limits */
	int need;     /* right now, by the newest values; 0 unknown */
	struct policy *policy;
	char why[160]; /* of load tracking */
};

/* tracking.c: what was proposed has been done, out or in. */
void tracking_note(struct group *group, bool is_out, int64_t now_ms);
struct verdict target_tracking_judge(struct tick *tick, struct group *group, struct policy *policy);
/* load_tracking.c */
struct verdict load_tracking_judge(struct tick *tick, struct group *group, struct policy *policy);

#endif
