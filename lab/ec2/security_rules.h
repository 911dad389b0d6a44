/*
 * Rules of security groups: each a document of its own (ec2/security-group-rule/ID, in the shape of
 * DescribeSecurityGroupRules); a group's IpPermissions are put together from them.  Rules have no
 * effect in a lab: nothing filters packets.  Control thread.
 */
#ifndef LAB_EC2_SECURITY_RULES_H
#define LAB_EC2_SECURITY_RULES_H

#include "lab/ec2/resource.h"

/* The group that GroupId or (in the default VPC) GroupName names: a copy, or NULL with error. */
MUST_CHECK json_t *rules_group(struct ec2 *ec2, const json_t *input, struct aws_error *error);

/*
 * The rules that IpPermissions, or CidrIp and its companions, mean: one for each source, checked,
 * in one spelling ("6" is tcp, 10.1.2.3/8 is 10.0.0.0/8), with Description and without id.  A new
 * list, or NULL with error.
 */
MUST_CHECK json_t *rules_from_request(struct ec2 *ec2, const json_t *group, const json_t *input,
				      bool is_egress, struct aws_error *error);

/* One rule in the form of ModifySecurityGroupRules' SecurityGroupRule. */
MUST_CHECK json_t *rules_from_one(struct ec2 *ec2, const json_t *group, const json_t *given,
				  bool is_egress, struct aws_error *error);

/* The same direction, protocol, ports and source? */
bool rules_equal(const json_t *a, const json_t *b);

/* The group's rules: borrowed documents in a new list. */
MUST_CHECK json_t *rules_of_group(struct ec2 *ec2, const char *group_id);

/* IpPermissions (or those for egress) of a list of rules: one entry for each protocol and range of
 * ports, with all its sources, as AWS shows them.  New reference. */
MUST_CHECK json_t *rules_as_permissions(const json_t *rules, bool is_egress);

#endif
