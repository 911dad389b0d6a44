/* Images and snapshots, for each other.  Control thread. */
#ifndef LAB_EC2_IMAGE_H
#define LAB_EC2_IMAGE_H

#include "lab/ec2/resource.h"

/* The request with the account's number for "self" in its list of owners; new reference. */
json_t *image_name_self(const struct ec2 *ec2, const json_t *input, const char *member);

/* A finished snapshot of the volume. */
MUST_CHECK json_t *snapshot_document(const struct ec2 *ec2, const json_t *volume,
				     const char *description);

#endif
