/*
 * Alarms' messages on their way to topics (topics.h), their outcome told to the alarm's history.
 * Control thread only.
 */
#ifndef SCALER_CLOUD_NOTICES_H
#define SCALER_CLOUD_NOTICES_H

#include "scaler/api/cloudwatch.h"
#include "scaler/cloud/topics.h"

struct notices;

/* All is borrowed; takes over cloudwatch_on_notice(). */
MUST_CHECK struct notices *notices_new(struct topics *topics, struct cloudwatch *cloudwatch,
				       struct err *err);
/* After topics_free(): messages on their way point here.  NULL is fine. */
void notices_free(struct notices *notices);

#endif
