/*
 * The metrics: datapoints by namespace, name and dimensions, kept in memory as statistic
 * sets (and values with counts where those were sent), and asked for by period.
 * Second-by-second data is folded into minutes after 3 hours, minutes into 5 minutes after 15
 * days, those into hours after 63 days, hours go after 455 days; when memory_bytes is used up,
 * the oldest is folded earlier.  Pure: time is handed in.  One owner (the control thread), no
 * locking.
 */
#ifndef SCALER_METRICS_SERIES_H
#define SCALER_METRICS_SERIES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "scaler/metrics/statistic.h"

enum {
	METRIC_DIMENSIONS_MAX = 30,
	METRIC_NAME_MAX = 255, /* namespace, name and dimension name; characters */
	METRIC_VALUE_MAX = 1024,
	METRIC_VALUES_MAX = 150,
};

/* Data may be stamped this far from now. */
#define METRIC_PAST_MS (14LL * 24 * 3600 * 1000)
#define METRIC_FUTURE_MS (2LL * 3600 * 1000)

struct metric_dimension {
	const char *name, *value;
};

/* What names a metric; everything borrowed.  The order of dimensions does not matter. */
struct metric_key {
	const char *namespace, *name;
	const struct metric_dimension *dimensions;
	size_t n_dimensions;
};

/* Lengths, control characters, a dimension twice: can it be a metric's key? */
bool metric_key_is_valid(const struct metric_key *key);

/* One datum.  Either a set, or values with counts (set is then worked out from them). */
struct metric_datum {
	struct metric_key key;
	int unit;         /* METRIC_UNIT_NONE .. */
	int resolution_s; /* 1 or 60 */
	int64_t at_ms;    /* cut to the resolution */
	struct stat_set set;
	const struct dist_entry *values; /* NULL: only set; a single value has min = max */
	size_t n_values;
};

struct metrics_limits {
	size_t max_metrics;  /* 0 = 100,000 */
	size_t memory_bytes; /* of datapoints; 0 = 256 MiB */
};

struct metrics;

MUST_CHECK struct metrics *metrics_new(const struct metrics_limits *limits); /* NULL = defaults */
void metrics_free(struct metrics *metrics);

enum metrics_result {
	METRICS_OK,
	METRICS_FULL, /* max_metrics, and none of them has been silent for 3 hours */
	METRICS_NO_MEMORY,
	METRICS_BAD, /* the key is not one (lengths, control characters, a dimension twice) */
};

/* The datum is taken as valid in value and time.  Aggregates with what is there. */
MUST_CHECK enum metrics_result metrics_put(struct metrics *metrics,
					   const struct metric_datum *datum, int64_t now_ms);
/* Shorthand for the engine's own: one value now. */
MUST_CHECK enum metrics_result metrics_put_value(struct metrics *metrics,
						 const struct metric_key *key, int unit,
						 int resolution_s, double value, int64_t now_ms);

/* Folds and drops what has grown too old; call about once a second (cheap when idle). */
void metrics_tick(struct metrics *metrics, int64_t now_ms);

struct metric_point {
	int64_t at_ms; /* start of its period */
	double value;
	double samples;
	int unit;
};

struct metric_query {
	struct metric_key key;
	int unit; /* METRIC_UNIT_ANY: data of all units, taken together */
	struct statistic statistic;
	int period_s;             /* 1, 5, 10, 20, 30 or n x 60 */
	int64_t start_ms, end_ms; /* [start, end); start is cut to a multiple of the period */
};

/*
 * One point for each period that has data, oldest first, at most max; the newest are kept when
 * there are more.  Periods under a minute see only data sent with resolution 1.  Returns the
 * number of points; 0 also for a metric nobody has sent.
 */
size_t metrics_query(const struct metrics *metrics, const struct metric_query *query,
		     struct metric_point out[], size_t max);

/* The same with a statistic by name ("Average"), over all units; 0 for a name that is none. */
size_t metrics_statistic(const struct metrics *metrics, const struct metric_key *key,
			 const char *statistic, int period_s, int64_t start_ms, int64_t end_ms,
			 struct metric_point out[], size_t max);

/* The units in which the metric has data, into units[METRIC_UNIT_COUNT]; their number. */
size_t metrics_units(const struct metrics *metrics, const struct metric_key *key, int units[]);

struct metric_info {
	struct metric_key key; /* dimensions sorted by name; borrowed until the next put or tick */
	int64_t newest_ms;     /* the newest datapoint's time */
	const char *token;     /* names this place in the list, for paging */
};

/* In the order of namespace, name, dimensions; from after the metric that token names (NULL = the
 * first).  fn returns false to stop. */
typedef bool (*metrics_list_fn)(void *arg, const struct metric_info *info);
void metrics_list(struct metrics *metrics, const char *after_token, metrics_list_fn fn, void *arg);

/* For /metrics. */
struct metrics_usage {
	size_t metrics, bytes, limit_bytes;
	size_t kept_bytes; /* of documents: see keep.h */
	uint64_t datapoints_put, folded_early;
};
struct metrics_usage metrics_usage(const struct metrics *metrics);

#endif
