/*
 * Attributes of an image: its description, and whom its owner lets launch it.  The lab has one
 * account, so permissions are kept and do nothing.
 */
#include <string.h>

#include "common/doc/doc.h"
#include "lab/ec2/image.h"

/* The request's Attribute, the answer's member, and whether that is {Value: text}. */
static const struct {
	const char *name, *member;
	bool is_wrapped;
} attributes[] = {
    {"description", "Description", true},
    {"launchPermission", "LaunchPermissions", false},
    {"blockDeviceMapping", "BlockDeviceMappings", false},
    {"productCodes", "ProductCodes", false},
    {"kernel", "KernelId", true},
    {"ramdisk", "RamdiskId", true},
    {"sriovNetSupport", "SriovNetSupport", true},
    {"bootMode", "BootMode", true},
    {"imdsSupport", "ImdsSupport", true},
    {"tpmSupport", "TpmSupport", true},
    {"lastLaunchedTime", "LastLaunchedTime", true},
    {"uefiData", "UefiData", true},
};

/* Only its owner sees and sets them. */
static json_t *own_image(struct ec2 *ec2, const json_t *input, struct aws_error *error)
{
	json_t *image = ec2_find(ec2, &ec2_images, input, error);

	if (image == NULL || strcmp(doc_str(image, "OwnerId", ""), ec2->account_id) == 0)
		return image;
	aws_error_set(error, 403, "AuthFailure", "Not authorized for image:%s",
		      doc_str(image, "ImageId", ""));
	json_decref(image);
	return NULL;
}

EC2_HANDLER(DescribeImageAttribute)
{
	const char *wanted = doc_str(input, "Attribute", "");
	json_t *image = own_image(ec2, input, error), *answer, *value;

	if (image == NULL || ec2_is_dry_run(input, error)) {
		json_decref(image);
		return NULL;
	}
	answer = json_pack("{s:s}", "ImageId", doc_str(image, "ImageId", ""));
	for (size_t i = 0; i < sizeof(attributes) / sizeof(attributes[0]); i++) {
		if (!filter_name_equal(attributes[i].name, wanted))
			continue;
		value = json_object_get(image, attributes[i].member);
		if (attributes[i].is_wrapped)
			json_object_set_new(answer, attributes[i].member,
					    json_pack("{s:O*}", "Value", value));
		else if (value != NULL)
			json_object_set(answer, attributes[i].member, value);
	}
	json_decref(image);
	return answer;
}

/* Takes the permissions that are like one of list out of mine, and puts those of list in where
 * is_add. */
static void change_permissions(json_t *mine, const json_t *list, bool is_add)
{
	json_t *one;
	size_t i, j;

	json_array_foreach (list, i, one) {
		for (j = json_array_size(mine); j-- > 0;)
			if (json_equal(json_array_get(mine, j), one))
				json_array_remove(mine, j);
		if (is_add)
			json_array_append(mine, one);
	}
}

/* The older form: OperationType with UserIds and UserGroups. */
static void change_by_lists(json_t *mine, const json_t *input)
{
	static const struct {
		const char *list, *member;
	} kinds[] = {{"UserIds", "UserId"}, {"UserGroups", "Group"}};
	bool is_add = strcmp(doc_str(input, "OperationType", "add"), "add") == 0;
	const json_t *text;
	size_t j;

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		json_array_foreach (doc_array(input, kinds[i].list), j, text) {
			json_t *one = json_pack("[{s:O}]", kinds[i].member, text);

			change_permissions(mine, one, is_add);
			json_decref(one);
		}
	}
}

EC2_HANDLER(ModifyImageAttribute)
{
	const json_t *permission = doc_object(input, "LaunchPermission");
	const json_t *description = doc_object(input, "Description");
	json_t *image = own_image(ec2, input, error), *mine;

	if (image == NULL)
		return NULL;
	mine = doc_array(image, "LaunchPermissions");
	if (mine == NULL) {
		mine = json_array();
		json_object_set_new(image, "LaunchPermissions", mine);
	}
	change_permissions(mine, doc_array(permission, "Remove"), false);
	change_permissions(mine, doc_array(permission, "Add"), true);
	change_by_lists(mine, input);
	if (description != NULL)
		json_object_set_new(image, "Description",
				    json_string(doc_str(description, "Value", "")));
	else if (strcmp(doc_str(input, "Attribute", ""), "description") == 0)
		json_object_set_new(image, "Description", json_string(doc_str(input, "Value", "")));
	json_object_set_new(image, "Public", json_boolean(filter_path_is(mine, "Group", "all")));
	return ec2_update(ec2, &ec2_images, input, image, error);
}
