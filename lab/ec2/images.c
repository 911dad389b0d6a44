/*
 * Images: those of defaults.c, and those made of instances.  An image has no files of its own here:
 * an instance of any runs on the machine's, and what tells them apart is user data.
 */
#include "lab/ec2/image.h"

#include <stdio.h>
#include <string.h>

#include "common/base/ids.h"
#include "common/doc/doc.h"
#include "lab/ec2/instance.h"
#include "lab/ec2/tokens.h"

/* The scope of token_note(). */
static const char deregistered[] = "DeregisterImage";

enum { MIN_NAME = 3, MAX_NAME = 128, MAX_OWN = 500 };

static const struct filter_field fields[] = {
    {"image-id", "ImageId"},
    {"name", "Name"},
    {"description", "Description"},
    {"architecture", "Architecture"},
    {"owner-id", "OwnerId"},
    {"owner-alias", "ImageOwnerAlias"},
    {"state", "State"},
    {"is-public", "Public"},
    {"image-type", "ImageType"},
    {"creation-date", "CreationDate"},
    {"root-device-type", "RootDeviceType"},
    {"root-device-name", "RootDeviceName"},
    {"virtualization-type", "VirtualizationType"},
    {"hypervisor", "Hypervisor"},
    {"platform", "Platform"},
    {"platform-details", "PlatformDetails"},
    {"ena-support", "EnaSupport"},
    {"manifest-location", "ImageLocation"},
    {"block-device-mapping.device-name", "BlockDeviceMappings.DeviceName"},
    {"block-device-mapping.volume-type", "BlockDeviceMappings.Ebs.VolumeType"},
    {"block-device-mapping.volume-size", "BlockDeviceMappings.Ebs.VolumeSize"},
    {"block-device-mapping.delete-on-termination", "BlockDeviceMappings.Ebs.DeleteOnTermination"},
    {"block-device-mapping.snapshot-id", "BlockDeviceMappings.Ebs.SnapshotId"},
    {"source-instance-id", "SourceInstanceId"},
    {"boot-mode", "BootMode"},
    {"kernel-id", "KernelId"},
    {"ramdisk-id", "RamdiskId"},
    {"product-code", "ProductCodes.ProductCodeId"},
    {"product-code.type", "ProductCodes.ProductCodeType"},
    {"state-reason-code", "StateReason.Code"},
    {"state-reason-message", "StateReason.Message"},
    {"sriov-net-support", "SriovNetSupport"},
    {"block-device-mapping.encrypted", "BlockDeviceMappings.Ebs.Encrypted"},
    {NULL, NULL},
};

const struct ec2_noun ec2_images = {
    .folder = "ec2/image/",
    .output = "Images",
    .ids_input = "ImageIds",
    .id_member = "ImageId",
    .id_prefix = "ami",
    .malformed = "InvalidAMIID.Malformed",
    .not_found = "InvalidAMIID.NotFound",
    .label = "image id",
    .fields = fields,
    .resource_type = "image",
};

/* Owners: "self", "amazon", or an account's number. */
static bool is_of_owner(const json_t *image, const json_t *input)
{
	const json_t *owners = doc_array(input, "Owners");

	return json_array_size(owners) == 0 ||
	       doc_list_has(owners, doc_str(image, "OwnerId", "")) ||
	       doc_list_has(owners, doc_str(image, "ImageOwnerAlias", "-"));
}

json_t *image_name_self(const struct ec2 *ec2, const json_t *input, const char *member)
{
	json_t *copy = json_copy((json_t *)input), *owners = json_array();
	const json_t *owner;
	size_t i;

	if (!doc_has(input, member)) {
		json_decref(owners);
		return copy;
	}
	json_array_foreach (doc_array(input, member), i, owner) {
		bool is_self = strcmp(json_string_value(owner), "self") == 0;

		json_array_append_new(
		    owners, json_string(is_self ? ec2->account_id : json_string_value(owner)));
	}
	json_object_set_new(copy, member, owners);
	return copy;
}

/* Takes the ids of images that were deregistered out of the request: AWS shows nothing of them, and
 * no error.  False: no other is asked for. */
static bool drop_deregistered(struct ec2 *ec2, json_t *input)
{
	json_t *ids = json_copy(doc_array(input, "ImageIds"));
	size_t asked = json_array_size(ids);

	for (size_t i = asked; i-- > 0;)
		if (token_is_noted(ec2, deregistered, json_string_value(json_array_get(ids, i))))
			json_array_remove(ids, i);
	if (ids != NULL)
		json_object_set(input, "ImageIds", ids);
	asked = asked > 0 && json_array_size(ids) == 0;
	json_decref(ids);
	return !asked;
}

EC2_HANDLER(DescribeImages)
{
	json_t *named = image_name_self(ec2, input, "Owners"), *answer;

	if (drop_deregistered(ec2, named))
		answer = ec2_describe(ec2, &ec2_images, named, is_of_owner, error);
	else
		answer = json_pack("{s:[]}", "Images");
	json_decref(named);
	return answer;
}

/* Terraform asks this of every image, and takes any refusal for "none". */
EC2_HANDLER(GetInstanceUefiData)
{
	const char *id = doc_str(input, "InstanceId", "");

	if (ec2_check_exists(ec2, &ec2_instances, id, error) == 0)
		return json_pack("{s:s, s:s}", "InstanceId", id, "UefiData", "");
	if (!id_is_ec2(id, "i"))
		aws_error_set(error, 400, "InvalidInstanceID.NotFound",
			      "The instance ID '%.80s' does not exist", id);
	return NULL;
}

/* --- made of an instance --- */

static int check_name(struct ec2 *ec2, const char *name, struct aws_error *error)
{
	size_t len = strlen(name);
	json_t *other, *images;
	size_t i;

	if (len < MIN_NAME || len > MAX_NAME) {
		aws_error_set(error, 400, "InvalidAMIName.Malformed",
			      "AMI names must be between %d and %d characters long.", MIN_NAME,
			      MAX_NAME);
		return -1;
	}
	images = ec2_find_all(ec2, &ec2_images, "OwnerId", ec2->account_id);
	json_array_foreach (images, i, other) {
		if (strcmp(doc_str(other, "Name", ""), name) != 0)
			continue;
		aws_error_set(error, 400, "InvalidAMIName.Duplicate",
			      "AMI name %s is already in use by AMI %s", name,
			      doc_str(other, "ImageId", ""));
		len = 0;
	}
	i = json_array_size(images);
	json_decref(images);
	if (len > 0 && i >= MAX_OWN)
		aws_error_set(error, 400, "ResourceLimitExceeded",
			      "The maximum number of images has been reached.");
	return len == 0 || i >= MAX_OWN ? -1 : 0;
}

/* What the request says of the device, or NULL. */
static const json_t *asked_device(const json_t *input, const char *device)
{
	return doc_find(doc_array(input, "BlockDeviceMappings"), "DeviceName", device);
}

/* The image's mapping of one volume; its snapshot is put into txn. */
static json_t *snapshot_mapping(struct ec2 *ec2, struct store_txn *txn, const json_t *mapping,
				const json_t *input, json_t *tags)
{
	const char *device = doc_str(mapping, "DeviceName", "");
	const json_t *ebs = doc_object(mapping, "Ebs");
	const json_t *asked = asked_device(input, device);
	json_t *volume, *snapshot, *result;

	volume = ec2_find_by(ec2, &ec2_volumes, "VolumeId", doc_str(ebs, "VolumeId", ""));
	snapshot = snapshot_document(ec2, volume, "Created by CreateImage");
	json_object_set(snapshot, "Tags", tags);
	result = json_pack("{s:s, s:{s:b, s:s, s:O*, s:O*, s:b}}", "DeviceName", device, "Ebs",
			   "DeleteOnTermination", doc_bool(ebs, "DeleteOnTermination", true),
			   "SnapshotId", doc_str(snapshot, "SnapshotId", ""), "VolumeSize",
			   json_object_get(volume, "Size"), "VolumeType",
			   json_object_get(volume, "VolumeType"), "Encrypted",
			   doc_bool(volume, "Encrypted", false));
	if (doc_object(asked, "Ebs") != NULL)
		json_object_update(doc_object(result, "Ebs"), doc_object(asked, "Ebs"));
	json_decref(volume);
	ec2_txn_put(txn, &ec2_snapshots, snapshot);
	return result;
}

static json_t *snapshot_all(struct ec2 *ec2, struct store_txn *txn, const json_t *instance,
			    const json_t *input, json_t *tags)
{
	json_t *mappings = json_array(), *mapping;
	size_t i;

	json_array_foreach (doc_array(instance, "BlockDeviceMappings"), i, mapping) {
		const json_t *asked = asked_device(input, doc_str(mapping, "DeviceName", ""));

		if (asked == NULL || !doc_has(asked, "NoDevice"))
			json_array_append_new(mappings,
					      snapshot_mapping(ec2, txn, mapping, input, tags));
	}
	return mappings;
}

static json_t *image_of(const struct ec2 *ec2, const json_t *instance, const json_t *input,
			json_t *mappings)
{
	const char *name = doc_str(input, "Name", "");
	char id[ID_TEXT_MAX], location[MAX_NAME + 32], now[CLOCK_TEXT_MAX];

	snprintf(location, sizeof(location), "%.12s/%.128s", ec2->account_id, name);
	return json_pack(
	    "{s:s, s:s, s:s, s:s, s:s, s:s, s:s*, s:b, s:s, s:s, s:s, s:s, s:s, s:b, s:s, s:s, s:s,"
	    " s:s, s:s, s:o}",
	    "ImageId", id_ec2(NULL, "ami", id), "Name", name, "OwnerId", ec2->account_id,
	    "Architecture", doc_str(instance, "Architecture", "x86_64"), "CreationDate",
	    clock_format_iso_ms(clock_now_ms(ec2->clock), now), "ImageLocation", location,
	    "Description", doc_str(input, "Description", NULL), "Public", 0, "ImageType", "machine",
	    "State", "available", "RootDeviceName",
	    doc_str(instance, "RootDeviceName", "/dev/xvda"), "RootDeviceType", "ebs",
	    "VirtualizationType", "hvm", "EnaSupport", 1, "Hypervisor", "xen", "PlatformDetails",
	    "Linux/UNIX", "UsageOperation", "RunInstances", "SriovNetSupport", "simple",
	    "SourceInstanceId", doc_str(instance, "InstanceId", ""), "BlockDeviceMappings",
	    mappings);
}

static json_t *create_image(struct ec2 *ec2, const json_t *instance, const json_t *input,
			    struct aws_error *error)
{
	json_t *tags = ec2_spec_tags(doc_array(input, "TagSpecifications"), "snapshot", error);
	struct store_txn *txn;
	json_t *image, *answer;

	if (tags == NULL)
		return NULL;
	txn = store_begin(ec2->store);
	image = image_of(ec2, instance, input, snapshot_all(ec2, txn, instance, input, tags));
	json_decref(tags);
	if (image == NULL || ec2_add_tags(&ec2_images, input, image, error) != 0) {
		store_abort(txn);
		json_decref(image);
		return NULL;
	}
	answer = json_pack("{s:s}", "ImageId", doc_str(image, "ImageId", ""));
	ec2_txn_put(txn, &ec2_images, image);
	if (ec2_commit(txn, input, error) == 0)
		return answer;
	json_decref(answer);
	return NULL;
}

EC2_HANDLER(CreateImage)
{
	json_t *instance = ec2_find(ec2, &ec2_instances, input, error), *answer = NULL;
	enum instance_state state = instance_state_of(instance);

	if (instance == NULL)
		return NULL;
	if (state != INSTANCE_RUNNING && state != INSTANCE_STOPPED)
		aws_error_set(error, 400, "IncorrectState",
			      "Instance '%s' is not in a valid state ('running' or 'stopped').",
			      doc_str(instance, "InstanceId", ""));
	else if (check_name(ec2, doc_str(input, "Name", ""), error) == 0)
		answer = create_image(ec2, instance, input, error);
	json_decref(instance);
	return answer;
}

static void delete_snapshots(struct store_txn *txn, const json_t *image)
{
	const json_t *mapping;
	size_t i;

	json_array_foreach (doc_array(image, "BlockDeviceMappings"), i, mapping) {
		ec2_txn_delete(txn, &ec2_snapshots,
			       doc_str(doc_object(mapping, "Ebs"), "SnapshotId", "-"));
	}
}

EC2_HANDLER(DeregisterImage)
{
	json_t *image = ec2_find(ec2, &ec2_images, input, error);
	bool is_own = strcmp(doc_str(image, "OwnerId", ""), ec2->account_id) == 0;
	struct store_txn *txn;

	if (image == NULL)
		return NULL;
	if (!is_own) {
		json_decref(image);
		aws_error_set(error, 403, "AuthFailure", "Not authorized for images: [%s]",
			      doc_str(input, "ImageId", ""));
		return NULL;
	}
	txn = store_begin(ec2->store);
	if (doc_bool(input, "DeleteAssociatedSnapshots", false))
		delete_snapshots(txn, image);
	json_decref(image);
	ec2_txn_delete(txn, &ec2_images, doc_str(input, "ImageId", ""));
	token_note(ec2, txn, deregistered, doc_str(input, "ImageId", ""));
	return ec2_commit(txn, input, error) == 0 ? ec2_answer_true() : NULL;
}
