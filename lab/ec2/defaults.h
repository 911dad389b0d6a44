/*
 * What a new lab has before anybody creates anything: a default VPC of three zones with a subnet
 * each, its gateway and security group, and images (with their snapshots) under the names that data
 * sources look for.  Ids are fixed, so that a file may name them.  Pure but for the store it fills;
 * control thread.
 */
#ifndef LAB_EC2_DEFAULTS_H
#define LAB_EC2_DEFAULTS_H

#include "lab/ec2/ec2.h"

enum { DEFAULTS_ZONES = 3, DEFAULTS_ZONE_MAX = 80 };

#define DEFAULTS_VPC_ID "vpc-0a1ba705500000001"
#define DEFAULTS_GROUP_ID "sg-0a1ba705500000001"
#define DEFAULTS_DHCP_OPTIONS_ID "dopt-0a1ba705500000001"

/* The account that public images belong to, under the alias "amazon". */
#define DEFAULTS_AMAZON "137112412989"

/* Writes each document unless it is there already (tags that people gave stay). */
MUST_CHECK int defaults_apply(struct ec2 *ec2, struct err *err);

/* The default VPC with its subnets, gateway, route table, ACL and group, put into txn. */
void defaults_add_network(struct ec2 *ec2, struct store_txn *txn);

/* "us-east-1a" for 0; index < DEFAULTS_ZONES. */
void defaults_zone_name(const char *region, int index, char name[DEFAULTS_ZONE_MAX]);
/* "use1-az1" for us-east-1 and 0. */
void defaults_zone_id(const char *region, int index, char id[DEFAULTS_ZONE_MAX]);

#endif
