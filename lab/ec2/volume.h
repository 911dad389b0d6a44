/*
 * EBS volumes.  They hold no bytes: an instance sees no disk of them.  Kept faithfully otherwise,
 * with their attachments, which the instance's BlockDeviceMappings mirror.  Control thread.
 */
#ifndef LAB_EC2_VOLUME_H
#define LAB_EC2_VOLUME_H

#include "lab/ec2/resource.h"

/* A new, unattached volume's document of {Size, VolumeType, Iops, Throughput, Encrypted,
 * SnapshotId, KmsKeyId} (a CreateVolume request or an EbsBlockDevice with VolumeSize), without
 * tags.  NULL with error. */
MUST_CHECK json_t *volume_document(struct ec2 *ec2, const json_t *spec, const char *zone,
				   struct aws_error *error);

/* Adds an attachment to both documents; -1 without memory. */
MUST_CHECK int volume_attach(const struct ec2 *ec2, json_t *volume, json_t *instance,
			     const char *device, bool is_deleted_with_instance);

/* Puts into txn what the end of an instance does to its volumes. */
void volume_let_go(struct ec2 *ec2, struct store_txn *txn, const char *instance_id);

#endif
