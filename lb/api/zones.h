/*
 * A load balancer's AvailabilityZones: made from subnets, whose zones and VPC are EC2's to tell.
 * EC2 may tell them only after the load balancer was made.
 */
#ifndef LB_API_ZONES_H
#define LB_API_ZONES_H

#include "lb/api/resource.h"

/* What can be told without EC2: are the ids of Subnets, SubnetMappings and SecurityGroups well
 * formed, and is nothing asked for that only network load balancers have?  -1 with error. */
MUST_CHECK int zones_check_input(const json_t *input, struct aws_error *error);

/* New array {ZoneName, SubnetId, LoadBalancerAddresses} of the input's Subnets or SubnetMappings;
 * NULL without memory. */
json_t *zones_make(struct elb_api *api, const struct aws_call *call, const json_t *input);

/* The VPC of the first one; borrowed; NULL when unknown. */
const char *zones_vpc(struct elb_api *api, const json_t *zones);

/* AWS allows one subnet a zone; zones are compared where EC2 told them.  -1 with error. */
MUST_CHECK int zones_check(struct elb_api *api, const json_t *zones, struct aws_error *error);

#endif
