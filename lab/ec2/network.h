/*
 * Documents of networks, for those who create them: vpcs.c and subnets.c on request, defaults.c for
 * a new lab.  Control thread.
 */
#ifndef LAB_EC2_NETWORK_H
#define LAB_EC2_NETWORK_H

#include "lab/ec2/cidr.h"
#include "lab/ec2/resource.h"

/* The ids of what comes with a VPC; NULL: new ones. */
struct network_ids {
	const char *vpc, *route_table, *acl, *group;
	const char *gateway; /* the main route table leads there; NULL: nowhere */
};

/* A VPC with its main route table, network ACL and default security group, put into txn; the VPC's
 * document (new reference) or NULL without memory. */
MUST_CHECK json_t *network_add_vpc(struct ec2 *ec2, struct store_txn *txn, const char *cidr,
				   const struct network_ids *ids, json_t *tags);

/* id NULL: a new one.  zone is an index below DEFAULTS_ZONES. */
MUST_CHECK json_t *network_subnet(const struct ec2 *ec2, const char *id, const char *vpc_id,
				  const char *cidr, int zone, bool is_default);

/* The document of a rule that lets everything pass: between the group's members (ingress), to
 * 0.0.0.0/0 (egress). */
MUST_CHECK json_t *network_rule_for_all(const struct ec2 *ec2, const char *group_id,
					bool is_egress);
/* id NULL: a new one. */
MUST_CHECK json_t *network_group(const struct ec2 *ec2, const char *id, const char *name,
				 const char *description, const char *vpc_id);

/* The default VPC (a copy), or NULL when somebody deleted it. */
json_t *network_default_vpc(struct ec2 *ec2);

#endif
