/*
 * The rule of a composite alarm: ALARM(a), OK(b), INSUFFICIENT_DATA("c d"), TRUE and FALSE joined
 * by AND, OR, NOT and parentheses (NOT binds strongest, then AND).  An alarm is given by name,
 * quoted or not, or by ARN.  Pure; one owner.  AWS: PutCompositeAlarm, "AlarmRule".
 */
#ifndef SCALER_METRICS_ALARM_EXPRESSION_H
#define SCALER_METRICS_ALARM_EXPRESSION_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/err.h"
#include "scaler/metrics/alarm.h"

enum {
	ALARM_EXPRESSION_TEXT_MAX = 10240, /* bytes; AWS's limit in characters */
	ALARM_EXPRESSION_DEPTH_MAX = 50,
	ALARM_EXPRESSION_ALARMS_MAX = 150,
};

struct alarm_expression;

/* NULL with err: ERANGE the text is no rule, ENOMEM. */
MUST_CHECK struct alarm_expression *alarm_expression_parse(const char *text, struct err *err);
void alarm_expression_free(struct alarm_expression *expression); /* NULL is fine */

/* The alarms it names, each once, without their ARNs' front. */
size_t alarm_expression_count(const struct alarm_expression *expression);
const char *alarm_expression_name(const struct alarm_expression *expression, size_t i);
bool alarm_expression_names(const struct alarm_expression *expression, const char *alarm);

/* The state of the alarm of that name. */
typedef enum alarm_state (*alarm_state_fn)(void *arg, const char *name);
bool alarm_expression_holds(const struct alarm_expression *expression, alarm_state_fn state_of,
			    void *arg);

#endif
