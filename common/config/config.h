/*
 * The one configuration file of all three programs: parsed, checked against the
 * shape tables (config.json beside them composes AWS's shapes into the file's sections), names
 * the file, path and reason of what is wrong.  Does not apply anything.
 */
#ifndef COMMON_CONFIG_CONFIG_H
#define COMMON_CONFIG_CONFIG_H

#include <jansson.h>

#include "common/base/err.h"

/*
 * The whole file as a checked document, defaults not filled in: LoadBalancers, TargetGroups,
 * LaunchTemplates (UserDataFile read and put, base64, into LaunchTemplateData.UserData),
 * AutoScalingGroups, ScalingPolicies, ScheduledActions, LifecycleHooks, MetricAlarms, Lb, Scaler,
 * Lab.  Cross-references inside the file are checked (a rule's target group, a group's launch
 * template, duplicate priorities and names).  New reference or NULL.
 */
MUST_CHECK json_t *config_load(const char *path, struct err *err);

#endif
