/* Elastic IP addresses, for those who end instances. */
#ifndef LAB_EC2_ELASTIC_IPS_H
#define LAB_EC2_ELASTIC_IPS_H

#include "lab/ec2/resource.h"

/* Puts into txn that no address is associated with the instance any more (the instance and its
 * interface themselves are left alone). */
void elastic_ips_let_go(struct ec2 *ec2, struct store_txn *txn, const char *instance_id);

#endif
