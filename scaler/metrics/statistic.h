/*
 * What can be asked of datapoints: the units, the statistics by name ("Average", "p99.9",
 * "TM(10%:90%)"), and a weighted distribution of values that answers the extended ones.
 * Pure; one owner, no locking.  AWS: CloudWatch user guide, "Statistics definitions".
 */
#ifndef SCALER_METRICS_STATISTIC_H
#define SCALER_METRICS_STATISTIC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/check.h"

enum { METRIC_UNIT_ANY = -1, METRIC_UNIT_NONE = 0, METRIC_UNIT_COUNT = 27 };

/* 0..26, or -1 when name is no unit.  METRIC_UNIT_NONE is "None". */
int metric_unit_from_name(const char *name);
/* "Percent"; NULL for METRIC_UNIT_ANY. */
const char *metric_unit_name(int unit);

enum statistic_kind {
	STATISTIC_SAMPLE_COUNT,
	STATISTIC_SUM,
	STATISTIC_AVERAGE,
	STATISTIC_MINIMUM,
	STATISTIC_MAXIMUM,
	/* From here on the distribution is needed. */
	STATISTIC_PERCENTILE,      /* p99 */
	STATISTIC_TRIMMED_MEAN,    /* tm99, TM(2%:98%), TM(150:1000); IQM is TM(25%:75%) */
	STATISTIC_WINSORIZED_MEAN, /* wm98, WM(10%:90%) */
	STATISTIC_TRIMMED_COUNT,   /* tc90, TC(0.005:0.030) */
	STATISTIC_TRIMMED_SUM,     /* ts90 */
	STATISTIC_PERCENTILE_RANK, /* PR(100:2000), in percent */
};

struct statistic {
	enum statistic_kind kind;
	bool is_percent; /* low and high are percent of the samples, otherwise values */
	double low, high;
};

/* -1 if text names no statistic. */
MUST_CHECK int statistic_parse(const char *text, struct statistic *statistic);
/* "Average" and its like; false for the extended ones. */
bool statistic_is_simple(const struct statistic *statistic);

/* Count, sum, least and greatest of some samples.  Empty when count is 0. */
struct stat_set {
	double count, sum, min, max;
};

void stat_set_merge(struct stat_set *into, const struct stat_set *from);

/*
 * Values with their weights: exact up to DIST_EXACT_MAX distinct values, above that in
 * logarithmic buckets of at most 1 % error.  Zeroed is empty.
 */
struct dist_entry {
	double value, count;
};

enum { DIST_EXACT_MAX = 1000 };

struct dist {
	struct dist_entry *entries;
	uint32_t n, cap;
	uint32_t n_sorted; /* this many in front are sorted and distinct */
	bool is_bucketed;  /* values have been rounded to buckets */
	bool is_unknown;   /* some samples' values were never told: no answers */
};

void dist_fini(struct dist *dist);
/* Negative values make it unknown, as AWS has it.  -1 without memory (nothing added). */
MUST_CHECK int dist_add(struct dist *dist, double value, double count);
MUST_CHECK int dist_merge(struct dist *into, const struct dist *from);
/* Rounds to buckets now and gives back spare memory. */
void dist_compact(struct dist *dist);

/*
 * The statistic of a set and its distribution (NULL: not known).  False when there is
 * nothing to say: no samples, or an extended statistic without distribution.
 */
bool statistic_value(const struct statistic *statistic, const struct stat_set *set,
		     struct dist *dist, double *value);

#endif
