/*
 * Alarms' messages on their way to SNS topics: at most NOTICES_MAX at once, each tried three times
 * (10 s an attempt), its outcome told to the alarm's history.  A restart drops what is on its way.
 * Control thread only.
 */
#ifndef SCALER_CLOUD_NOTICES_H
#define SCALER_CLOUD_NOTICES_H

#include "common/aws/client.h"
#include "scaler/api/cloudwatch.h"

enum { NOTICES_MAX = 100 };

struct notices;

/* endpoint NULL: AWS's SNS of the region.  All is borrowed; takes over cloudwatch_on_notice(). */
MUST_CHECK struct notices *notices_new(struct curl_loop *loop, struct aws_credentials *credentials,
				       const char *region, const char *endpoint,
				       struct cloudwatch *cloudwatch, struct err *err);
void notices_free(struct notices *notices); /* NULL is fine */

#endif
