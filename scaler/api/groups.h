/*
 * What the file's appliance shares with the handlers of groups and policies.  Only for
 * scaler/api.
 */
#ifndef SCALER_API_GROUPS_H
#define SCALER_API_GROUPS_H

#include "scaler/api/autoscaling.h"

/* Can it be created?  -1 with AWS's error.  Whether the name is taken is not looked at. */
MUST_CHECK int group_check_create(const json_t *input, bool is_from_file, struct aws_error *error);
/* Are they target groups' ARNs? */
MUST_CHECK int target_groups_check(const json_t *arns, struct aws_error *error);
/* The ARNs of the input's TrafficSources (new reference; none is fine), or NULL with error. */
MUST_CHECK json_t *traffic_sources_arns(const json_t *input, struct aws_error *error);
MUST_CHECK int hook_check(const json_t *input, struct aws_error *error);
MUST_CHECK int hook_put(struct autoscaling *as, struct group *group, const json_t *input,
			struct aws_error *error);
/* The group, its policies and their alarms; the group itself goes when its instances have. */
void group_delete(struct autoscaling *as, struct group *group);

enum { BATCH_SCHEDULES_MAX = 50 };
/* Can the scheduled action be, whatever the time is? */
MUST_CHECK int schedule_check(const json_t *input, struct aws_error *error);
MUST_CHECK int schedule_put(struct autoscaling *as, struct group *group, const json_t *input,
			    struct aws_error *error);

MUST_CHECK int policy_check(const json_t *input, bool is_from_file, struct aws_error *error);
/* policy_check's part for predictive ones. */
MUST_CHECK int policy_check_predictive(const json_t *input, bool is_from_file,
				       struct aws_error *error);
/* policy_check_tracking.c: their own configuration. */
MUST_CHECK int policy_check_tracking(const json_t *input, bool is_from_file,
				     struct aws_error *error);
MUST_CHECK int policy_check_load(const json_t *input, bool is_from_file, struct aws_error *error);
/* Creates or overwrites; NULL with error. */
MUST_CHECK struct policy *policy_put(struct autoscaling *as, struct group *group,
				     const json_t *input, struct aws_error *error);
/* Of the input's AutoScalingGroupName and PolicyName (or ARN); NULL with error. */
MUST_CHECK struct policy *policy_find(struct autoscaling *as, const json_t *input,
				      struct group **group, struct aws_error *error);
void policy_delete(struct autoscaling *as, struct group *group, struct policy *policy);

#endif
