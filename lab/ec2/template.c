/* See template.h. */
#include "lab/ec2/template.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "common/doc/doc.h"
#include "lab/ec2/base64.h"
#include "lab/ec2/ec2.h"

/* Lists that are merged element by element, and the member that tells elements apart. */
static const struct {
	const char *name;
	const char *key;
} keyed_lists[] = {
    {"BlockDeviceMappings", "DeviceName"},
    {"NetworkInterfaces", "DeviceIndex"},
    {"TagSpecifications", "ResourceType"},
};

static const char *list_key(const char *name)
{
	for (size_t i = 0; i < sizeof(keyed_lists) / sizeof(keyed_lists[0]); i++)
		if (strcmp(name, keyed_lists[i].name) == 0)
			return keyed_lists[i].key;
	return NULL;
}

/* An element without the key counts as index 0 does. */
static bool is_same_element(const json_t *a, const json_t *b, const char *key)
{
	const json_t *x = json_object_get(a, key), *y = json_object_get(b, key);

	if (json_is_integer(x) || json_is_integer(y))
		return json_integer_value(x) == json_integer_value(y);
	return x == y || (x != NULL && y != NULL && json_equal(x, y));
}

static int merge_list(json_t *list, const json_t *over, const char *key)
{
	json_t *mine;
	const json_t *theirs;
	size_t i, j;

	json_array_foreach (over, i, theirs) {
		json_t *copy = json_deep_copy(theirs);

		json_array_foreach (list, j, mine) {
			if (is_same_element(mine, theirs, key))
				break;
		}
		if (j < json_array_size(list) ? json_array_set_new(list, j, copy) != 0
					      : json_array_append_new(list, copy) != 0)
			return -1;
	}
	return 0;
}

json_t *template_merge(const json_t *base, const json_t *over)
{
	json_t *merged = base != NULL ? json_deep_copy(base) : json_object();
	const char *name;
	json_t *value;

	if (merged == NULL)
		return NULL;
	if (doc_has(over, "SecurityGroupIds") || doc_has(over, "SecurityGroups")) {
		json_object_del(merged, "SecurityGroupIds");
		json_object_del(merged, "SecurityGroups");
	}
	json_object_foreach ((json_t *)over, name, value) {
		json_t *mine = json_object_get(merged, name);
		const char *key = list_key(name);

		if (json_is_null(value))
			continue;
		if (key != NULL && json_is_array(mine) && json_is_array(value)) {
			if (merge_list(mine, value, key) != 0)
				goto oom;
			continue;
		}
		if (json_object_set_new(merged, name, json_deep_copy(value)) != 0)
			goto oom;
	}
	return merged;
oom:
	json_decref(merged);
	return NULL;
}

/* One device of the request over the same of the image, if it has it. */
static int merge_device(json_t *devices, const json_t *given)
{
	json_t *mine = doc_find(devices, "DeviceName", doc_str(given, "DeviceName", ""));

	if (mine == NULL)
		return json_array_append_new(devices, json_deep_copy(given));
	if (doc_has(given, "NoDevice"))
		return json_object_set(mine, "NoDevice", json_object_get(given, "NoDevice"));
	if (doc_object(given, "Ebs") == NULL)
		return 0;
	/* Another type has other speeds. */
	if (doc_has(doc_object(given, "Ebs"), "VolumeType")) {
		json_object_del(doc_object(mine, "Ebs"), "Iops");
		json_object_del(doc_object(mine, "Ebs"), "Throughput");
	}
	return json_object_update(doc_object(mine, "Ebs"), doc_object(given, "Ebs"));
}

json_t *template_merge_devices(const json_t *of_image, const json_t *of_request)
{
	json_t *devices = of_image != NULL ? json_deep_copy(of_image) : json_array(), *device;
	size_t i;

	json_array_foreach (of_request, i, device) {
		if (devices == NULL || merge_device(devices, device) != 0)
			goto oom;
	}
	for (i = json_array_size(devices); i-- > 0;) {
		device = json_array_get(devices, i);
		if (doc_has(device, "NoDevice") || doc_object(device, "Ebs") == NULL)
			json_array_remove(devices, i);
	}
	return devices;
oom:
	json_decref(devices);
	return NULL;
}

int template_version(const json_t *launch_template, const char *text, int64_t *version,
		     struct aws_error *error)
{
	int64_t latest = doc_int(launch_template, "LatestVersionNumber", 1);
	char *end;

	if (*text == '\0' || strcmp(text, "$Default") == 0) {
		*version = doc_int(launch_template, "DefaultVersionNumber", 1);
		return 0;
	}
	if (strcmp(text, "$Latest") == 0) {
		*version = latest;
		return 0;
	}
	*version = strtoll(text, &end, 10);
	if (!isdigit((unsigned char)*text) || *end != '\0') {
		aws_error_set(error, 400, "InvalidLaunchTemplateId.VersionMalformed",
			      "The launch template version '%.40s' is not a number, $Latest or "
			      "$Default.",
			      text);
		return -1;
	}
	if (*version >= 1 && *version <= latest)
		return 0;
	aws_error_set(error, 400, "InvalidLaunchTemplateId.VersionNotFound",
		      "Could not find the specified version %lld for the launch template with ID "
		      "%s.",
		      (long long)*version, doc_str(launch_template, "LaunchTemplateId", ""));
	return -1;
}

int template_check_user_data(const char *base64, struct aws_error *error)
{
	size_t len;
	unsigned char *bytes;

	if (*base64 == '\0')
		return 0;
	bytes = base64_decode(base64, &len);
	free(bytes);
	if (bytes == NULL) {
		aws_error_set(error, 400, "InvalidUserData.Malformed",
			      "Invalid BASE64 encoding of user data.");
		return -1;
	}
	if (len <= EC2_MAX_USER_DATA)
		return 0;
	aws_error_set(error, 400, "InvalidParameterValue", "User data is limited to %d bytes",
		      EC2_MAX_USER_DATA);
	return -1;
}
