/*
 * The one configuration file of all three programs: parsed, checked against the
 * shape tables (config.json beside them composes AWS's shapes into the file's sections), names
 * the file, path and reason of what is wrong.  Does not apply anything.  Blocks on the disk: start
 * and reload only.
 */
#ifndef COMMON_CONFIG_CONFIG_H
#define COMMON_CONFIG_CONFIG_H

#include <jansson.h>

#include "common/base/err.h"

enum { CONFIG_USER_DATA_MAX = 16384 }; /* bytes before base64: EC2's own limit */

/*
 * The whole file as a checked document, defaults not filled in: LoadBalancers, TargetGroups,
 * LaunchTemplates, AutoScalingGroups, ScalingPolicies, ScheduledActions, LifecycleHooks,
 * MetricAlarms, Lb, Scaler, Lab (each absent when the file lacks it).  What a reader may rely on:
 *   - members have their shapes' types ("80" where AWS says a number has become 80);
 *   - a load balancer has LoadBalancerName, a target group TargetGroupName, also when the file
 *     said Name, which is gone; each listener has a Port;
 *   - UserDataFile is gone: its bytes are, base64, LaunchTemplateData.UserData;
 *   - names are unique, and what names something in the file (target group, group, template,
 *     policy) names a thing that is there; ARNs are left alone.
 * err: "FILE: LoadBalancers[0].Listeners[0].Port: 70000 is not in 1..65535".  New reference or
 * NULL.
 */
MUST_CHECK json_t *config_load(const char *path, struct err *err);

/* The same for a document that is there already.  folder: where a relative UserDataFile is looked
 * for; NULL = no files.  err names no file.  document is only read. */
MUST_CHECK json_t *config_check(const json_t *document, const char *folder, struct err *err);

#endif
