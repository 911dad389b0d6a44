/*
 * Network interfaces: each instance has one, with the document ec2/network-interface/ID; what the
 * instance's own document shows of it (groups, public address) is a copy, made here.  Control
 * thread.
 */
#ifndef LAB_EC2_INTERFACE_H
#define LAB_EC2_INTERFACE_H

#include "lab/ec2/resource.h"

/* What a new one is made of. */
struct interface_new {
	const char *instance_id, *address, *dns_name, *description;
	const json_t *subnet;
	json_t *groups; /* [{GroupId, GroupName}], shared */
	json_t *tags;   /* taken over */
	bool is_public; /* the address is shown as a public one too */
	bool is_deleted_with_instance;
};

/* NULL without memory. */
MUST_CHECK json_t *interface_document(const struct ec2 *ec2, const struct interface_new *parts);

/* Makes the instance's document show what the interface is now; -1 without memory. */
MUST_CHECK int interface_show_on(json_t *instance, const json_t *interface);

/* Puts a changed interface (taken over), and its instance with it, into txn. */
void interface_put(struct ec2 *ec2, struct store_txn *txn, json_t *interface);

/* [{GroupId, GroupName}] of group ids, all in the VPC; NULL with error. */
MUST_CHECK json_t *interface_groups(struct ec2 *ec2, const json_t *ids, const char *vpc_id,
				    struct aws_error *error);

/* association: {IpOwnerId, PublicIp, ..} or NULL for what the interface has of itself. */
MUST_CHECK int interface_set_association(json_t *interface, json_t *association);

/* The instance's one; a copy, NULL when it has none (any more). */
json_t *interface_of_instance(struct ec2 *ec2, const char *instance_id);

#endif
