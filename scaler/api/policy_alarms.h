/*
 * The alarms that each target tracking policy has, a high one and, unless DisableScaleIn, a low
 * one: made with the policy, kept as the policy judges (period, low threshold), deleted with it.
 * They show; the engine itself decides.
 */
#ifndef SCALER_API_POLICY_ALARMS_H
#define SCALER_API_POLICY_ALARMS_H

#include "scaler/api/cloudwatch.h"
#include "scaler/engine/engine.h"

/* Names and ARNs into the policy's Alarms, and the alarms themselves: those that are missing are
 * made, one that the policy has no more goes. */
MUST_CHECK int policy_alarms_put(struct engine *engine, struct cloudwatch *cloudwatch,
				 struct group *group, struct policy *policy, struct err *err);
/* Cheap when nothing has changed. */
void policy_alarms_refresh(struct cloudwatch *cloudwatch, const struct group *group,
			   struct policy *policy);
void policy_alarms_delete(struct cloudwatch *cloudwatch, const struct policy *policy);

#endif
