/*
 * Names in the dimensions of the file's alarms.  CloudWatch calls a load balancer "app/web/1f.."
 * and a target group "targetgroup/web/2e..", with ids that the load balancer gave; the file may
 * say "web".  Pure.
 */
#ifndef COMMON_CONFIG_ALARM_NAMES_H
#define COMMON_CONFIG_ALARM_NAMES_H

#include <jansson.h>
#include <stdbool.h>

/*
 * known: {"LoadBalancer": {"web": "app/web/1f.."}, "TargetGroup": {"web": "targetgroup/web/2e.."}};
 * NULL: nothing.  alarms: MetricAlarms, changed; what is unknown stays.
 */
void alarm_names_resolve(json_t *alarms, const json_t *known);

/* Adds what the ARN of a load balancer or target group tells to known; true if that is new. */
bool alarm_names_learn(json_t *known, const char *arn);

#endif
