/*
 * An alarm's judgement: its definition, the datapoints of its metric and the time give a state,
 * a reason in words and reason data.  Pure: reads struct metrics, changes nothing.  Who keeps
 * alarms, runs actions and writes history is scaler/api/cloudwatch.h.
 * AWS: CloudWatch user guide, "Using Amazon CloudWatch alarms", "Configuring how CloudWatch
 * alarms treat missing data".
 */
#ifndef SCALER_METRICS_ALARM_H
#define SCALER_METRICS_ALARM_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/base/err.h"
#include "scaler/metrics/math.h"
#include "scaler/metrics/series.h"

enum alarm_state { ALARM_INSUFFICIENT_DATA, ALARM_OK, ALARM_ALARM };

/* "OK"; and back (-1: none of them). */
const char *alarm_state_name(enum alarm_state state);
int alarm_state_from_name(const char *name);

enum alarm_missing {
	ALARM_MISSING_MISSING,
	ALARM_MISSING_IGNORE,
	ALARM_MISSING_BREACHING,
	ALARM_MISSING_NOT_BREACHING,
};

enum alarm_comparison {
	ALARM_GREATER_OR_EQUAL,
	ALARM_GREATER,
	ALARM_LESS,
	ALARM_LESS_OR_EQUAL,
};

enum { ALARM_REASON_MAX = 1024 };

/* The definition, compiled.  Its strings are those of the document, which it holds. */
struct alarm_rule {
	struct metric_query query; /* start and end are filled at evaluation; with math only the
				      period counts */
	struct math_set *math;     /* of an alarm on Metrics; NULL: one on a metric */
	char statistic_name[32];   /* "" with math */
	enum alarm_comparison comparison;
	double threshold;
	int evaluation_periods, datapoints_to_alarm; /* N and M */
	enum alarm_missing missing;
	bool ignores_low_sample_count;
	json_t *document;
	struct metric_dimension *dimensions;
};

/*
 * Compiles and checks a PutMetricAlarm input or a DescribeAlarms document, whose members
 * must not change while the rule lives.  err's code: ENODATA a member is missing, EINVAL members
 * do not go together, ERANGE a value is wrong, ENOTSUP anomaly bands, ENOMEM.
 */
MUST_CHECK int alarm_rule_init(struct alarm_rule *rule, const json_t *document, struct err *err);
void alarm_rule_fini(struct alarm_rule *rule);

bool alarm_breaches(const struct alarm_rule *rule, double value);

/* A period of the evaluation range, newest first in arrays. */
struct alarm_slot {
	bool is_real;
	double value, samples;
	int64_t at_ms;
};

/* How many periods the evaluation range has: a few more than N. */
int alarm_range(const struct alarm_rule *rule);

/* The state from the range's slots alone, slots[0] the newest; current is kept where the rules say
 * so. */
enum alarm_state alarm_judge(const struct alarm_rule *rule, const struct alarm_slot slots[],
			     size_t n_slots, enum alarm_state current);

struct alarm_verdict {
	enum alarm_state state;
	bool is_unread; /* the expression could not be worked out: there are no datapoints */
	size_t n_real;  /* real datapoints judged, at most N */
	bool has_value; /* value: the newest of them */
	double value;
	int64_t value_at_ms;
	char reason[ALARM_REASON_MAX];
	json_t *reason_data; /* owned by the receiver; NULL when the state is the current one */
};

/* Reads the metric's complete periods up to now.  Reason and data are only made when the state
 * differs from current.  -1 without memory. */
MUST_CHECK int alarm_evaluate(const struct alarm_rule *rule, const struct metrics *metrics,
			      enum alarm_state current, int64_t now_ms,
			      struct alarm_verdict *verdict);

/* How often the alarm is to be evaluated: 1 s for periods under a minute, 10 s otherwise. */
int alarm_interval_ms(const struct alarm_rule *rule);

#endif
