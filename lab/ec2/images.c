/* DescribeImages: the images of defaults.c. */
#include <string.h>

#include "common/doc/doc.h"
#include "lab/ec2/ec2.h"

#define AWS_ACTION AWS_DECLARE_ACTION
#include "lab/ec2/ec2.def"
#undef AWS_ACTION

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
};

/* Owners: "self", "amazon", or an account's number. */
static bool is_of_owner(const json_t *image, const json_t *input)
{
	const json_t *owners = doc_array(input, "Owners");

	return json_array_size(owners) == 0 ||
	       doc_list_has(owners, doc_str(image, "OwnerId", "")) ||
	       doc_list_has(owners, doc_str(image, "ImageOwnerAlias", "-"));
}

json_t *handle_DescribeImages(void *context, const struct aws_call *call, const json_t *input,
			      struct aws_error *error)
{
	(void)call;
	return ec2_describe(context, &ec2_images, input, is_of_owner, error);
}
