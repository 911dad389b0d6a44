/*
 * Target tracking as AWS does it, to compare with: each policy has two alarms on one-minute figures
 * (high: 3 periods, low: 15), each of their actions, repeated once a minute, sets the capacity to
 * need = instances x metric / target.  AWS: "Target tracking scaling policies", "Using CloudWatch
 * alarms"; what AWS does not publish (which datapoint, the low threshold) is as docs/simulation.md
 * says.
 */
#ifndef SCALER_SIM_AWS_H
#define SCALER_SIM_AWS_H

#include "scaler/sim/alarms.h"

struct sim_aws;

/* policies: target tracking's, PutScalingPolicy's input; not in the engine.  Everything is
 * borrowed. */
MUST_CHECK struct sim_aws *sim_aws_new(const struct sim_group *group, struct sim_alarms *alarms,
				       const json_t *policies, struct sim_run *run,
				       struct err *err);
void sim_aws_free(struct sim_aws *aws); /* NULL is fine */

/* Is the action one of these policies'?  Then it is done. */
bool sim_aws_on_alarm(struct sim_aws *aws, const struct alarm_event *event);
/* The low alarms' thresholds follow the size; before the alarms are judged. */
void sim_aws_pass(struct sim_aws *aws);
/* Seconds for which a newcomer does not count, for a policy or (NULL) the group. */
int64_t sim_aws_warmup_s(const struct group *group, const json_t *policy);

#endif
