/*
 * Reads what there is, as the Describe calls tell it, into one document; what
 * it means for a file is shape.h's.  Blocks as long as its source does.
 *
 *   {"LoadBalancers": [{"Described": .., "Attributes": [..],
 *                       "Listeners": [{"Described": .., "Attributes": [..],
 * "Rules": [..]}]}], "TargetGroups": [{"Described": .., "Attributes": [..],
 * "Health": [..]}], "Tags": {ARN: [{Key, Value}]}}
 */
#ifndef LB_IMPORT_FETCH_H
#define LB_IMPORT_FETCH_H

#include "lb/import/source.h"

/* A new document without anything; NULL is impossible. */
json_t *fetch_new(void);

/* Adds a load balancer, by name or ARN, with its listeners, their rules, and
 * the target groups that these use.  -1 with err (ENOENT: there is none). */
MUST_CHECK int fetch_load_balancer(const struct source *source, const char *name, json_t *found,
				   struct err *err);

/* Adds a target group, by name or ARN, unless found has it. */
MUST_CHECK int fetch_target_group(const struct source *source, const char *name, json_t *found,
				  struct err *err);

/* The tags of everything found so far. */
MUST_CHECK int fetch_tags(const struct source *source, json_t *found, struct err *err);

/*
 * Adds a group and what belongs to it: AutoScalingGroups, LaunchTemplates
 * ({"Version": .., "Tags": [..]}), ScalingPolicies, ScheduledActions,
 * LifecycleHooks: arrays of descriptions.
 */
MUST_CHECK int fetch_group(const struct source *source, const char *name, json_t *found,
			   struct err *err);

/* Adds a launch template, by name, unless found has it. */
MUST_CHECK int fetch_launch_template(const struct source *source, const char *name, json_t *found,
				     struct err *err);

/* Adds MetricAlarms: those of these names, or all when names is NULL. */
MUST_CHECK int fetch_alarms(const struct source *source, const json_t *names, json_t *found,
			    struct err *err);
/* Sets Tags in each of these alarms (not all that were found: it is a call
 * each). */
MUST_CHECK int fetch_alarm_tags(const struct source *source, json_t *alarms, struct err *err);

#endif
