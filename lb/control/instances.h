/*
 * From instance ids to addresses, by asking EC2 (DescribeInstances) again and again:
 * every second while one is unknown, seldom otherwise, so that stopped and terminated ones are
 * noticed.  Also remembers the subnets (DescribeSubnets, once they are asked for).  Control thread
 * only.
 */
#ifndef LB_CONTROL_INSTANCES_H
#define LB_CONTROL_INSTANCES_H

#include <event2/event.h>
#include <jansson.h>

#include "common/aws/client.h"
#include "lb/control/registry.h"

struct instances;

/* client: borrowed, for service ec2. */
MUST_CHECK struct instances *instances_new(struct event_base *base, struct aws_client *client,
					   struct registry *registry, struct err *err);
void instances_free(struct instances *instances); /* NULL is fine */

/* The registrations changed: ask at once if there is anything new to know. */
void instances_wake(struct instances *instances);

/* Who wants to hear that the subnets came, from the loop. */
void instances_on_subnets(struct instances *instances, void (*fn)(void *arg), void *arg);

/* {SubnetId, VpcId, AvailabilityZone}; borrowed; NULL while unknown (and asked for, then). */
const json_t *instances_subnet(struct instances *instances, const char *subnet_id);

#endif
