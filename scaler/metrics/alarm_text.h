/*
 * An alarm's reasons in AWS's words, and its reason data.  Inside scaler/metrics only.
 */
#ifndef SCALER_METRICS_ALARM_TEXT_H
#define SCALER_METRICS_ALARM_TEXT_H

#include "scaler/metrics/alarm.h"

enum { ALARM_NUMBER_MAX = 32 };

/* A double as Java prints it, which AWS does ("50.0", "1.0E7"); returns text. */
char *alarm_format_number(double value, char text[ALARM_NUMBER_MAX]);

/* What a change of state was judged on. */
struct alarm_basis {
	const struct alarm_rule *rule;
	const struct alarm_slot *real; /* the real ones that count, newest first, at most N */
	size_t n_real;
	bool is_filled; /* missing ones were treated as breaching or not breaching */
	int64_t now_ms, start_ms;
};

void alarm_reason(const struct alarm_basis *basis, enum alarm_state state,
		  char reason[ALARM_REASON_MAX]);
/* NULL without memory. */
json_t *alarm_reason_data(const struct alarm_basis *basis);

#endif
