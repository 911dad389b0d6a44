/*
 * How many of each there may be: enforced by the create handlers, told by describe-account-limits.
 */
#ifndef LB_API_LIMITS_H
#define LB_API_LIMITS_H

#include "lb/api/resource.h"

enum {
	LIMIT_LOAD_BALANCERS = 1000, /* AWS: 50, adjustable */
	LIMIT_TARGET_GROUPS = 3000,
	LIMIT_LISTENERS = 50,         /* of a load balancer */
	LIMIT_RULES = 50000,          /* of a listener: one a priority; AWS: 100, adjustable */
	LIMIT_TARGETS = 1000,         /* of a target group */
	LIMIT_CONDITION_VALUES = 5,   /* of a rule */
	LIMIT_CONDITION_WILDCARDS = 6 /* of a rule; older AWS accounts have it, newer ones 5 */
};

/* Can there be one document more below the store's prefix?  -1 with error: code says which limit.
 */
MUST_CHECK int limit_check(struct elb_api *api, const char *prefix, int max, const char *code,
			   struct aws_error *error);

#endif
