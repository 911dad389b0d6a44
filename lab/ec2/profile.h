/*
 * Instance profiles of instances.  IAM is not here: any name or ARN is taken, and an instance's
 * metadata service has no credentials for it.  Control thread.
 */
#ifndef LAB_EC2_PROFILE_H
#define LAB_EC2_PROFILE_H

#include "lab/ec2/resource.h"

/* {Arn, Id} of a request's {Arn} or {Name}; new reference. */
json_t *profile_document(const struct ec2 *ec2, const json_t *given);
/* The association of an instance with one (shared). */
MUST_CHECK json_t *profile_association(const struct ec2 *ec2, const char *instance_id,
				       json_t *profile);
/* Puts into txn that the instance has none any more. */
void profile_let_go(struct ec2 *ec2, struct store_txn *txn, const char *instance_id);

#endif
