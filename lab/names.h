/*
 * What the load balancer made of the file's names: it gives ids to its load balancers and target
 * groups, and an alarm's dimensions need them.  So the scaler's configuration is written after
 * the load balancer has been asked.  Control thread.
 */
#ifndef LAB_NAMES_H
#define LAB_NAMES_H

#include "common/aws/client.h"

struct names;

/* known: {"LoadBalancer": {"web": "app/web/1f.."}, "TargetGroup": {"web": "targetgroup/web/2e.."}};
 * borrowed. */
typedef void (*names_fn)(void *arg, const json_t *known);

/* elb is borrowed until names_free. */
MUST_CHECK struct names *names_new(struct event_base *base, struct aws_client *elb, names_fn fn,
				   void *arg, struct err *err);
void names_free(struct names *names);

/* Asks, again and again until there is an answer; then calls fn, once for each names_ask. */
void names_ask(struct names *names, int delay_ms);

/* Pure: in the MetricAlarms of config, names in the dimensions LoadBalancer and TargetGroup become
 * what CloudWatch calls these.  Changes config; what is unknown stays. */
void names_resolve_alarms(json_t *config, const json_t *known);

#endif
