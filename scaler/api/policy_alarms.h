/*
 * The two alarms that each target tracking policy has: made with the policy, kept as the
 * policy judges (period, low threshold), deleted with it.  They show; the engine itself decides.
 * AWS: asg.md 5.3.
 */
#ifndef SCALER_API_POLICY_ALARMS_H
#define SCALER_API_POLICY_ALARMS_H

#include "scaler/api/cloudwatch.h"
#include "scaler/engine/engine.h"

/* Names and ARNs into the policy's Alarms, and the alarms themselves. */
MUST_CHECK int policy_alarms_create(struct engine *engine, struct cloudwatch *cloudwatch,
				    struct group *group, struct policy *policy, struct err *err);
/* Cheap when nothing has changed. */
void policy_alarms_refresh(struct cloudwatch *cloudwatch, const struct group *group,
			   struct policy *policy);
void policy_alarms_delete(struct cloudwatch *cloudwatch, const struct policy *policy);

#endif
