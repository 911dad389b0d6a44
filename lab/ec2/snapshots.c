/* Snapshots of volumes.  They hold no bytes, as the volumes do not. */
#include <stdio.h>
#include <string.h>

#include "common/base/ids.h"
#include "common/doc/doc.h"
#include "lab/ec2/image.h"

static const struct filter_field fields[] = {
    {"snapshot-id", "SnapshotId"}, {"volume-id", "VolumeId"},       {"volume-size", "VolumeSize"},
    {"status", "State"},           {"progress", "Progress"},        {"description", "Description"},
    {"encrypted", "Encrypted"},    {"owner-id", "OwnerId"},         {"owner-alias", "OwnerAlias"},
    {"start-time", "StartTime"},   {"storage-tier", "StorageTier"}, {NULL, NULL},
};

const struct ec2_noun ec2_snapshots = {
    .folder = "ec2/snapshot/",
    .output = "Snapshots",
    .ids_input = "SnapshotIds",
    .id_member = "SnapshotId",
    .id_prefix = "snap",
    .malformed = "InvalidParameterValue",
    .not_found = "InvalidSnapshot.NotFound",
    .label = "snapshot",
    .sort_member = "StartTime",
    .fields = fields,
    .is_paged = true,
    .resource_type = "snapshot",
};

static bool is_of_owner(const json_t *snapshot, const json_t *input)
{
	const json_t *owners = doc_array(input, "OwnerIds");

	return json_array_size(owners) == 0 ||
	       doc_list_has(owners, doc_str(snapshot, "OwnerId", "")) ||
	       doc_list_has(owners, doc_str(snapshot, "OwnerAlias", "-"));
}

EC2_HANDLER(DescribeSnapshots)
{
	json_t *named = image_name_self(ec2, input, "OwnerIds"), *answer;

	answer = ec2_describe(ec2, &ec2_snapshots, named, is_of_owner, error);
	json_decref(named);
	return answer;
}

json_t *snapshot_document(const struct ec2 *ec2, const json_t *volume, const char *description)
{
	char id[ID_TEXT_MAX], now[CLOCK_TEXT_MAX];

	return json_pack(
	    "{s:s, s:s, s:I, s:s, s:s, s:s, s:s, s:s, s:b, s:s*, s:s, s:[]}", "SnapshotId",
	    id_ec2(NULL, "snap", id), "VolumeId", doc_str(volume, "VolumeId", ""), "VolumeSize",
	    (json_int_t)doc_int(volume, "Size", 1), "State", "completed", "Progress", "100%",
	    "StartTime", ec2_now(ec2, now), "OwnerId", ec2->account_id, "Description", description,
	    "Encrypted", doc_bool(volume, "Encrypted", false), "KmsKeyId",
	    doc_str(volume, "KmsKeyId", NULL), "StorageTier", "standard", "Tags");
}

EC2_HANDLER(CreateSnapshot)
{
	json_t *volume = ec2_find(ec2, &ec2_volumes, input, error), *snapshot;

	if (volume == NULL)
		return NULL;
	snapshot = snapshot_document(ec2, volume, doc_str(input, "Description", ""));
	json_decref(volume);
	snapshot = ec2_create(ec2, &ec2_snapshots, input, snapshot, error);
	if (snapshot == NULL)
		return NULL;
	json_object_set_new(snapshot, "Progress", json_string(""));
	return ec2_now_shown(snapshot, "State", "pending");
}

static int check_delete(struct ec2 *ec2, const json_t *snapshot, struct aws_error *error)
{
	const char *id = doc_str(snapshot, "SnapshotId", "");
	json_t *image;

	if (strcmp(doc_str(snapshot, "OwnerId", ""), ec2->account_id) != 0) {
		aws_error_set(error, 400, "UnauthorizedOperation",
			      "You are not authorized to perform this operation.");
		return -1;
	}
	image = ec2_find_by(ec2, &ec2_images, "BlockDeviceMappings.Ebs.SnapshotId", id);
	if (image == NULL)
		return 0;
	aws_error_set(error, 400, "InvalidSnapshot.InUse",
		      "The snapshot %s is currently in use by %s", id,
		      doc_str(image, "ImageId", ""));
	json_decref(image);
	return -1;
}

EC2_HANDLER(DeleteSnapshot)
{
	json_t *snapshot = ec2_find(ec2, &ec2_snapshots, input, error);
	int result = snapshot == NULL ? -1 : check_delete(ec2, snapshot, error);

	json_decref(snapshot);
	return result == 0 ? ec2_delete(ec2, &ec2_snapshots, input, error) : NULL;
}
