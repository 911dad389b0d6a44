/*
 * A rule's actions, conditions and transforms: checked beyond what the shapes say, and brought
 * into the full form that describe-rules prints.  Pure but for looking target
 * groups up in the store.
 */
#ifndef LB_API_RULE_PARTS_H
#define LB_API_RULE_PARTS_H

#include <jansson.h>

#include "lb/api/api.h"

/* New reference; NULL with error.  listener: LoadBalancerArn, Protocol and Port of the one whose
 * rule it will be. */
json_t *rule_actions_complete(struct elb_api *api, const json_t *listener, const json_t *actions,
			      struct aws_error *error);

/* -1 with InvalidLoadBalancerAction when complete actions would, at this listener, redirect
 * requests to the URL that they came for. */
int rule_actions_check_loop(const json_t *listener, const json_t *actions, struct aws_error *error);

/* New reference; NULL with error. */
json_t *rule_conditions_complete(const json_t *conditions, struct aws_error *error);

/* New reference, an empty array when there are none; NULL with error. */
json_t *rule_transforms_complete(const json_t *transforms, struct aws_error *error);

#endif
