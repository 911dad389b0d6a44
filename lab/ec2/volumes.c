/* See volume.h: what volumes there are, created, changed and deleted. */
#include "lab/ec2/volume.h"

#include <stdio.h>
#include <string.h>

#include "common/base/ids.h"
#include "common/doc/doc.h"
#include "lab/ec2/defaults.h"

static const struct filter_field fields[] = {
    {"volume-id", "VolumeId"},
    {"status", "State"},
    {"size", "Size"},
    {"volume-type", "VolumeType"},
    {"snapshot-id", "SnapshotId"},
    {"availability-zone", "AvailabilityZone"},
    {"availability-zone-id", "AvailabilityZoneId"},
    {"create-time", "CreateTime"},
    {"encrypted", "Encrypted"},
    {"multi-attach-enabled", "MultiAttachEnabled"},
    {"fast-restored", "FastRestored"},
    {"attachment.instance-id", "Attachments.InstanceId"},
    {"attachment.device", "Attachments.Device"},
    {"attachment.status", "Attachments.State"},
    {"attachment.attach-time", "Attachments.AttachTime"},
    {"attachment.delete-on-termination", "Attachments.DeleteOnTermination"},
    {NULL, NULL},
};

const struct ec2_noun ec2_volumes = {
    .folder = "ec2/volume/",
    .output = "Volumes",
    .ids_input = "VolumeIds",
    .id_member = "VolumeId",
    .id_prefix = "vol",
    .malformed = "InvalidParameterValue",
    .not_found = "InvalidVolume.NotFound",
    .label = "volume",
    .sort_member = "CreateTime",
    .fields = fields,
    .is_paged = true,
    .resource_type = "volume",
};

EC2_DESCRIBE(DescribeVolumes, ec2_volumes)

/* --- types --- */

/* "Amazon EBS volume types": sizes in GiB, throughput in MiB/s. */
static const struct volume_type {
	const char *name;
	int64_t min_gib, max_gib;
	int64_t min_iops, max_iops; /* 0 = not to be chosen */
	int64_t default_iops;       /* 0 = none, or for gp2 by size */
	int64_t throughput;         /* default; 0 = not to be chosen */
	bool needs_iops;
} types[] = {
    {"gp2", 1, 16384, 0, 0, 0, 0, false},      {"gp3", 1, 65536, 3000, 80000, 3000, 125, false},
    {"io1", 4, 16384, 100, 64000, 0, 0, true}, {"io2", 4, 65536, 100, 256000, 0, 0, true},
    {"st1", 125, 16384, 0, 0, 0, 0, false},    {"sc1", 125, 16384, 0, 0, 0, 0, false},
    {"standard", 1, 1024, 0, 0, 0, 0, false},
};
enum { MAX_VOLUMES = 1000, MAX_THROUGHPUT = 2000, N_TYPES = sizeof(types) / sizeof(types[0]) };

static const struct volume_type *type_of(const char *name, struct aws_error *error)
{
	for (int i = 0; i < N_TYPES; i++)
		if (strcmp(types[i].name, name) == 0)
			return &types[i];
	aws_error_set(error, 400, "UnknownVolumeType",
		      "Unsupported volume type '%.40s' for volume creation.", name);
	return NULL;
}

static int check_size(const struct volume_type *type, int64_t gib, struct aws_error *error)
{
	if (gib >= type->min_gib && gib <= type->max_gib)
		return 0;
	aws_error_set(error, 400, "InvalidParameterValue",
		      "Volume of %lldGiB is too %s for volume type %s; %s is %lldGiB.",
		      (long long)gib, gib < type->min_gib ? "small" : "large", type->name,
		      gib < type->min_gib ? "minimum" : "maximum",
		      (long long)(gib < type->min_gib ? type->min_gib : type->max_gib));
	return -1;
}

static int check_iops(const struct volume_type *type, const json_t *spec, struct aws_error *error)
{
	int64_t iops = doc_int(spec, "Iops", 0);

	if (iops == 0 && type->needs_iops) {
		aws_error_set(error, 400, "MissingParameter",
			      "The request must contain the parameter iops");
		return -1;
	}
	/* gp2's follow from its size; some clients send them back as they read them. */
	if (iops == 0 || strcmp(type->name, "gp2") == 0)
		return 0;
	if (type->max_iops == 0) {
		aws_error_set(error, 400, "InvalidParameterCombination",
			      "The parameter iops is not supported for %s volumes.", type->name);
		return -1;
	}
	if (iops >= type->min_iops && iops <= type->max_iops)
		return 0;
	aws_error_set(error, 400, "InvalidParameterValue",
		      "Volume iops of %lld is not in %lld..%lld for volume type %s.",
		      (long long)iops, (long long)type->min_iops, (long long)type->max_iops,
		      type->name);
	return -1;
}

static int check_throughput(const struct volume_type *type, const json_t *spec,
			    struct aws_error *error)
{
	int64_t throughput = doc_int(spec, "Throughput", 0);

	if (throughput == 0)
		return 0;
	if (type->throughput == 0) {
		aws_error_set(error, 400, "InvalidParameterCombination",
			      "The parameter throughput is not supported for %s volumes.",
			      type->name);
		return -1;
	}
	if (throughput >= type->throughput && throughput <= MAX_THROUGHPUT)
		return 0;
	aws_error_set(error, 400, "InvalidParameterValue", "Throughput of %lld is not in %lld..%d.",
		      (long long)throughput, (long long)type->throughput, MAX_THROUGHPUT);
	return -1;
}

static int64_t iops_of(const struct volume_type *type, const json_t *spec, int64_t gib)
{
	int64_t iops = 3 * gib;

	if (strcmp(type->name, "gp2") == 0)
		return iops < 100 ? 100 : iops > 16000 ? 16000 : iops;
	return doc_int(spec, "Iops", type->default_iops);
}

/* What a volume of this type, size and wishes has; 0 stands for absent. */
static int set_performance(json_t *volume, const struct volume_type *type, const json_t *spec,
			   int64_t gib)
{
	int64_t iops = iops_of(type, spec, gib);
	int64_t throughput =
	    type->throughput > 0 ? doc_int(spec, "Throughput", type->throughput) : 0;

	json_object_del(volume, "Iops");
	json_object_del(volume, "Throughput");
	if ((iops > 0 && json_object_set_new(volume, "Iops", json_integer(iops)) != 0) ||
	    (throughput > 0 &&
	     json_object_set_new(volume, "Throughput", json_integer(throughput)) != 0))
		return -1;
	if (json_object_set_new(volume, "VolumeType", json_string(type->name)) != 0)
		return -1;
	return json_object_set_new(volume, "Size", json_integer(gib));
}

/* --- creating --- */

/* The size asked for, or the snapshot's; -1 with error. */
static int64_t size_of(struct ec2 *ec2, const json_t *spec, struct aws_error *error)
{
	const char *snapshot_id = doc_str(spec, "SnapshotId", "");
	int64_t gib = doc_int(spec, "Size", doc_int(spec, "VolumeSize", 0)), least;
	json_t *snapshot;

	if (*snapshot_id == '\0') {
		if (gib > 0)
			return gib;
		aws_error_set(error, 400, "MissingParameter",
			      "The request must contain the parameter size/snapshotId");
		return -1;
	}
	snapshot = ec2_get(ec2, &ec2_snapshots, snapshot_id, error);
	if (snapshot == NULL)
		return -1;
	least = doc_int(snapshot, "VolumeSize", 1);
	json_decref(snapshot);
	if (gib == 0 || gib >= least)
		return gib == 0 ? least : gib;
	aws_error_set(error, 400, "InvalidBlockDeviceMapping",
		      "Volume of size %lldGB is smaller than snapshot '%s', expect size >= %lldGB",
		      (long long)gib, snapshot_id, (long long)least);
	return -1;
}

json_t *volume_document(struct ec2 *ec2, const json_t *spec, const char *zone,
			struct aws_error *error)
{
	const struct volume_type *type = type_of(doc_str(spec, "VolumeType", "gp2"), error);
	int64_t gib = type == NULL ? -1 : size_of(ec2, spec, error);
	char id[ID_TEXT_MAX], now[CLOCK_TEXT_MAX];
	json_t *volume;

	if (gib < 0 || check_size(type, gib, error) != 0 || check_iops(type, spec, error) != 0 ||
	    check_throughput(type, spec, error) != 0)
		return NULL;
	volume = json_pack("{s:s, s:s, s:s, s:s, s:s, s:b, s:b, s:s*, s:[], s:[]}", "VolumeId",
			   id_ec2(NULL, "vol", id), "AvailabilityZone", zone, "State", "available",
			   "CreateTime", ec2_now(ec2, now), "SnapshotId",
			   doc_str(spec, "SnapshotId", ""), "Encrypted",
			   doc_bool(spec, "Encrypted", false), "MultiAttachEnabled",
			   doc_bool(spec, "MultiAttachEnabled", false), "KmsKeyId",
			   doc_str(spec, "KmsKeyId", NULL), "Attachments", "Tags");
	if (volume != NULL && set_performance(volume, type, spec, gib) == 0)
		return volume;
	json_decref(volume);
	ec2_error_memory(error);
	return NULL;
}

static int check_zone(const struct ec2 *ec2, const char *zone, struct aws_error *error)
{
	char name[DEFAULTS_ZONE_MAX];

	for (int i = 0; i < DEFAULTS_ZONES; i++) {
		defaults_zone_name(ec2->region, i, name);
		if (strcmp(name, zone) == 0)
			return 0;
	}
	if (*zone == '\0')
		ec2_error_missing(error, "availabilityZone");
	else
		aws_error_set(error, 400, "InvalidZone.NotFound",
			      "The zone '%.80s' does not exist.", zone);
	return -1;
}

EC2_HANDLER(CreateVolume)
{
	const char *zone = doc_str(input, "AvailabilityZone", "");
	json_t *volume;

	if (check_zone(ec2, zone, error) != 0)
		return NULL;
	if (ec2_count_by(ec2, &ec2_volumes, NULL, "") >= MAX_VOLUMES) {
		aws_error_set(error, 400, "VolumeLimitExceeded",
			      "The maximum number of volumes has been reached.");
		return NULL;
	}
	volume = volume_document(ec2, input, zone, error);
	if (volume != NULL)
		volume = ec2_create_once(ec2, &ec2_volumes, input, volume, error);
	return volume == NULL ? NULL : ec2_now_shown(volume, "State", "creating");
}

EC2_HANDLER(DeleteVolume)
{
	json_t *volume = ec2_find(ec2, &ec2_volumes, input, error);
	const json_t *attachment = json_array_get(doc_array(volume, "Attachments"), 0);
	const char *id = doc_str(volume, "VolumeId", "");
	struct store_txn *txn;
	int result = -1;

	if (volume == NULL)
		return NULL;
	if (attachment != NULL) {
		aws_error_set(error, 400, "VolumeInUse", "Volume %s is currently attached to %s",
			      id, doc_str(attachment, "InstanceId", ""));
	} else {
		txn = store_begin(ec2->store);
		ec2_txn_delete(txn, &ec2_volumes, id);
		ec2_txn_delete(txn, &ec2_volume_modifications, id);
		result = ec2_commit(txn, input, error);
	}
	json_decref(volume);
	return result == 0 ? ec2_answer_true() : NULL;
}

/* --- changing --- */

static const struct filter_field modification_fields[] = {
    {"volume-id", "VolumeId"},
    {"modification-state", "ModificationState"},
    {"original-iops", "OriginalIops"},
    {"original-size", "OriginalSize"},
    {"original-volume-type", "OriginalVolumeType"},
    {"target-iops", "TargetIops"},
    {"target-size", "TargetSize"},
    {"target-volume-type", "TargetVolumeType"},
    {"start-time", "StartTime"},
    {NULL, NULL},
};

const struct ec2_noun ec2_volume_modifications = {
    .folder = "ec2/volume-modification/",
    .output = "VolumesModifications",
    .ids_input = "VolumeIds",
    .id_member = "VolumeId",
    .id_prefix = "vol",
    .malformed = "InvalidParameterValue",
    .not_found = "InvalidVolumeModification.NotFound",
    .label = "modification of volume",
    .fields = modification_fields,
    .is_paged = true,
};

EC2_DESCRIBE(DescribeVolumesModifications, ec2_volume_modifications)

/* Original.. and Target.. of what the volume was and is. */
static json_t *modification_document(const struct ec2 *ec2, const json_t *before,
				     const json_t *after)
{
	static const char *const members[] = {"Size", "Iops", "VolumeType", "Throughput",
					      "MultiAttachEnabled"};
	char name[64], now[CLOCK_TEXT_MAX];
	json_t *document;

	ec2_now(ec2, now);
	document = json_pack("{s:s, s:s, s:i, s:s, s:s}", "VolumeId",
			     doc_str(before, "VolumeId", ""), "ModificationState", "completed",
			     "Progress", 100, "StartTime", now, "EndTime", now);
	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
		snprintf(name, sizeof(name), "Original%s", members[i]);
		json_object_set(document, name, json_object_get(before, members[i]));
		snprintf(name, sizeof(name), "Target%s", members[i]);
		json_object_set(document, name, json_object_get(after, members[i]));
	}
	return document;
}

/* The volume as the request wants it, or NULL with error. */
static json_t *modified_volume(const json_t *volume, const json_t *input, struct aws_error *error)
{
	const char *old_type = doc_str(volume, "VolumeType", "");
	const struct volume_type *type = type_of(doc_str(input, "VolumeType", old_type), error);
	int64_t old_gib = doc_int(volume, "Size", 0), gib = doc_int(input, "Size", old_gib);
	json_t *spec, *after = NULL;

	if (type == NULL || check_size(type, gib, error) != 0)
		return NULL;
	if (gib < old_gib) {
		aws_error_set(error, 400, "InvalidParameterValue",
			      "New size cannot be smaller than existing size");
		return NULL;
	}
	/* What is not asked for stays, within the same type. */
	spec = strcmp(type->name, old_type) == 0 ? json_copy((json_t *)volume) : json_object();
	json_object_update(spec, (json_t *)input);
	if (check_iops(type, spec, error) == 0 && check_throughput(type, spec, error) == 0)
		after = json_deep_copy(volume);
	if (after != NULL && set_performance(after, type, spec, gib) != 0)
		ec2_error_memory(error);
	json_decref(spec);
	return after;
}

EC2_HANDLER(ModifyVolume)
{
	json_t *volume = ec2_find(ec2, &ec2_volumes, input, error), *after, *modification;
	struct store_txn *txn;

	if (volume == NULL)
		return NULL;
	after = modified_volume(volume, input, error);
	if (after == NULL) {
		json_decref(volume);
		return NULL;
	}
	modification = modification_document(ec2, volume, after);
	json_decref(volume);
	txn = store_begin(ec2->store);
	ec2_txn_put(txn, &ec2_volumes, after);
	ec2_txn_put(txn, &ec2_volume_modifications, json_deep_copy(modification));
	if (ec2_commit(txn, input, error) != 0) {
		json_decref(modification);
		return NULL;
	}
	/* Completed by the next look. */
	json_object_del(modification, "EndTime");
	json_object_set_new(modification, "Progress", json_integer(0));
	return json_pack("{s:o}", "VolumeModification",
			 ec2_now_shown(modification, "ModificationState", "modifying"));
}
