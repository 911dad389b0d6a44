/* Versions of launch templates: described, deleted, and the data that an instance would make. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/doc/doc.h"
#include "lab/ec2/instance.h"
#include "lab/ec2/launch_template.h"
#include "lab/ec2/template.h"

static const struct filter_field version_fields[] = {
    {"create-time", "CreateTime"},
    {"image-id", "LaunchTemplateData.ImageId"},
    {"instance-type", "LaunchTemplateData.InstanceType"},
    {"ebs-optimized", "LaunchTemplateData.EbsOptimized"},
    {"iam-instance-profile", "LaunchTemplateData.IamInstanceProfile.Arn"},
    {"http-endpoint", "LaunchTemplateData.MetadataOptions.HttpEndpoint"},
    {"http-protocol-ipv4", "LaunchTemplateData.MetadataOptions.HttpProtocolIpv4"},
    {"host-resource-group-arn", "LaunchTemplateData.Placement.HostResourceGroupArn"},
    {"http-tokens", "LaunchTemplateData.MetadataOptions.HttpTokens"},
    {"license-configuration-arn",
     "LaunchTemplateData.LicenseSpecifications.LicenseConfigurationArn"},
    {"network-card-index", "LaunchTemplateData.NetworkInterfaces.NetworkCardIndex"},
    {"is-default-version", "DefaultVersion"},
    {"kernel-id", "LaunchTemplateData.KernelId"},
    {"ram-disk-id", "LaunchTemplateData.RamDiskId"},
    {NULL, NULL},
};

/* Is the version among those asked for?  Both ends of the range count. */
static bool is_asked_version(const json_t *wanted, const json_t *input, int64_t number)
{
	const json_t *one;
	size_t i;

	json_array_foreach (wanted, i, one) {
		if (json_integer_value(one) == number)
			return true;
	}
	return json_array_size(wanted) == 0 && number >= atoll(doc_str(input, "MinVersion", "0")) &&
	       number <= atoll(doc_str(input, "MaxVersion", "999999999"));
}

/* Numbers of Versions; unknown ones are an error as on AWS. */
static json_t *asked_versions(struct ec2 *ec2, const json_t *launch_template, const json_t *input,
			      struct aws_error *error)
{
	json_t *numbers = json_array();
	const json_t *text;
	int64_t number;
	size_t i;

	json_array_foreach (doc_array(input, "Versions"), i, text) {
		if (template_version(launch_template, json_string_value(text), &number, error) !=
			0 ||
		    launch_template_check_version(ec2,
						  doc_str(launch_template, "LaunchTemplateId", ""),
						  number, error) != 0) {
			json_decref(numbers);
			return NULL;
		}
		json_array_append_new(numbers, json_integer(number));
	}
	return numbers;
}

static int add_versions_of(struct ec2 *ec2, const json_t *launch_template, const json_t *input,
			   json_t *list, struct aws_error *error)
{
	json_t *wanted = asked_versions(ec2, launch_template, input, error), *all;
	int64_t is_default = doc_int(launch_template, "DefaultVersionNumber", 1);
	char prefix[EC2_KEY_MAX];

	if (wanted == NULL)
		return -1;
	snprintf(prefix, sizeof(prefix), LAUNCH_TEMPLATE_VERSIONS "%s/",
		 doc_str(launch_template, "LaunchTemplateId", ""));
	all = ec2_scan(ec2, prefix);
	/* Newest first, as AWS answers. */
	for (size_t i = json_array_size(all); i-- > 0;) {
		int64_t number = doc_int(json_array_get(all, i), "VersionNumber", 0);
		json_t *copy;

		if (!is_asked_version(wanted, input, number))
			continue;
		copy = json_copy(json_array_get(all, i));
		json_object_set_new(copy, "DefaultVersion", json_boolean(number == is_default));
		if (filter_match(doc_array(input, "Filters"), version_fields, copy))
			json_array_append(list, copy);
		json_decref(copy);
	}
	json_decref(all);
	json_decref(wanted);
	return 0;
}

/* Without a template, $Latest and/or $Default of every one. */
static int add_all_versions(struct ec2 *ec2, const json_t *input, json_t *list,
			    struct aws_error *error)
{
	json_t *all, *one;
	int result = 0;
	size_t i;

	if (json_array_size(doc_array(input, "Versions")) == 0) {
		aws_error_set(error, 400, "MissingParameter",
			      "Either a launch template or Versions must be specified.");
		return -1;
	}
	all = ec2_scan(ec2, ec2_launch_templates.folder);
	json_array_foreach (all, i, one) {
		result = add_versions_of(ec2, one, input, list, error);
		if (result != 0)
			break;
	}
	json_decref(all);
	return result;
}

/* A page of the list, from the position that NextToken carries. */
static json_t *version_page(json_t *list, const json_t *input, struct aws_error *error)
{
	size_t first = (size_t)strtoul(doc_str(input, "NextToken", "0"), NULL, 10);
	size_t limit = (size_t)doc_int(input, "MaxResults", 200), n = json_array_size(list);
	json_t *page = json_array(), *answer;
	char token[24];

	if (first > n || limit < 1) {
		aws_error_set(error, 400, "InvalidNextToken", "The token is invalid");
		json_decref(page);
		return NULL;
	}
	for (size_t i = first; i < n && i - first < limit; i++)
		json_array_append(page, json_array_get(list, i));
	snprintf(token, sizeof(token), "%zu", first + limit);
	answer = json_pack("{s:o, s:s*}", "LaunchTemplateVersions", page, "NextToken",
			   n - first > limit ? token : NULL);
	return answer;
}

EC2_HANDLER(DescribeLaunchTemplateVersions)
{
	json_t *list, *launch_template, *answer = NULL;
	int result;

	if (ec2_is_dry_run(input, error) ||
	    filter_check(doc_array(input, "Filters"), version_fields, error) != 0)
		return NULL;
	list = json_array();
	if (doc_has(input, "LaunchTemplateId") || doc_has(input, "LaunchTemplateName")) {
		launch_template = launch_template_find(ec2, input, error);
		result = launch_template == NULL
			     ? -1
			     : add_versions_of(ec2, launch_template, input, list, error);
		json_decref(launch_template);
	} else {
		result = add_all_versions(ec2, input, list, error);
	}
	if (result == 0)
		answer = version_page(list, input, error);
	json_decref(list);
	return answer;
}

/* --- deleting versions --- */

/* $Latest is the newest one that stays. */
static void follow_latest(struct ec2 *ec2, struct store_txn *txn, json_t *launch_template,
			  const json_t *deleted)
{
	const char *id = doc_str(launch_template, "LaunchTemplateId", "");
	int64_t latest = doc_int(launch_template, "LatestVersionNumber", 1), number;
	char key[EC2_KEY_MAX], text[24];
	bool is_there = false;

	for (number = latest; number > 0 && !is_there; number--) {
		snprintf(text, sizeof(text), "%lld", (long long)number);
		launch_template_version_key(id, number, key);
		is_there =
		    store_peek(ec2->store, key, NULL) != NULL && !doc_list_has(deleted, text);
	}
	if (number + 1 == latest)
		return;
	if (!doc_has(launch_template, "Lab"))
		json_object_set_new(launch_template, "Lab",
				    json_pack("{s:I}", "LastNumber", (json_int_t)latest));
	json_object_set_new(launch_template, "LatestVersionNumber", json_integer(number + 1));
	ec2_txn_put(txn, &ec2_launch_templates, json_deep_copy(launch_template));
}

/* One of DeleteLaunchTemplateVersions: into txn and done, or into refused. */
static void delete_version(struct ec2 *ec2, struct store_txn *txn, const json_t *launch_template,
			   const char *text, json_t *done, json_t *refused)
{
	const char *id = doc_str(launch_template, "LaunchTemplateId", "");
	const char *name = doc_str(launch_template, "LaunchTemplateName", "");
	int64_t number = strtoll(text, NULL, 10);
	char key[EC2_KEY_MAX];

	launch_template_version_key(id, number, key);
	if (store_peek(ec2->store, key, NULL) != NULL) {
		store_delete(txn, key);
		json_array_append_new(done, json_pack("{s:s, s:s, s:I}", "LaunchTemplateId", id,
						      "LaunchTemplateName", name, "VersionNumber",
						      (json_int_t)number));
		return;
	}
	json_array_append_new(
	    refused, json_pack("{s:s, s:s, s:I, s:{s:s, s:s}}", "LaunchTemplateId", id,
			       "LaunchTemplateName", name, "VersionNumber", (json_int_t)number,
			       "ResponseError", "Code", "launchTemplateVersionDoesNotExist",
			       "Message", "The specified launch template version does not exist."));
}

static int check_not_default(const json_t *launch_template, const json_t *versions,
			     struct aws_error *error)
{
	const json_t *text;
	int64_t number;
	size_t i;

	json_array_foreach (versions, i, text) {
		struct aws_error unknown = {0};

		if (template_version(launch_template, json_string_value(text), &number, &unknown) !=
			0 ||
		    number != doc_int(launch_template, "DefaultVersionNumber", 1))
			continue;
		aws_error_set(error, 400, "InvalidLaunchTemplateId.VersionNotFound",
			      "The default launch template version %lld cannot be deleted; make "
			      "another one the default first.",
			      (long long)number);
		return -1;
	}
	return 0;
}

EC2_HANDLER(DeleteLaunchTemplateVersions)
{
	json_t *launch_template = launch_template_find(ec2, input, error), *done, *refused;
	const json_t *versions = doc_array(input, "Versions"), *text;
	struct store_txn *txn;
	size_t i;

	if (launch_template == NULL || check_not_default(launch_template, versions, error) != 0) {
		json_decref(launch_template);
		return NULL;
	}
	done = json_array();
	refused = json_array();
	txn = store_begin(ec2->store);
	json_array_foreach (versions, i, text) {
		delete_version(ec2, txn, launch_template, json_string_value(text), done, refused);
	}
	follow_latest(ec2, txn, launch_template, versions);
	json_decref(launch_template);
	if (ec2_commit(txn, input, error) == 0)
		return json_pack("{s:o, s:o}", "SuccessfullyDeletedLaunchTemplateVersions", done,
				 "UnsuccessfullyDeletedLaunchTemplateVersions", refused);
	json_decref(done);
	json_decref(refused);
	return NULL;
}

/* --- from an instance --- */

static json_t *group_ids(const json_t *instance)
{
	json_t *ids = json_array(), *group;
	size_t i;

	json_array_foreach (doc_array(instance, "SecurityGroups"), i, group) {
		json_array_append(ids, json_object_get(group, "GroupId"));
	}
	return ids;
}

static json_t *device_data(struct ec2 *ec2, const json_t *instance)
{
	json_t *list = json_array(), *mapping;
	size_t i;

	json_array_foreach (doc_array(instance, "BlockDeviceMappings"), i, mapping) {
		const json_t *ebs = doc_object(mapping, "Ebs");
		json_t *volume =
		    ec2_find_by(ec2, &ec2_volumes, "VolumeId", doc_str(ebs, "VolumeId", ""));

		json_array_append_new(
		    list, json_pack("{s:s, s:{s:O*, s:O*, s:O*, s:O*, s:b}}", "DeviceName",
				    doc_str(mapping, "DeviceName", ""), "Ebs", "VolumeSize",
				    json_object_get(volume, "Size"), "VolumeType",
				    json_object_get(volume, "VolumeType"), "Iops",
				    json_object_get(volume, "Iops"), "Encrypted",
				    json_object_get(volume, "Encrypted"), "DeleteOnTermination",
				    doc_bool(ebs, "DeleteOnTermination", false)));
		json_decref(volume);
	}
	return list;
}

/* What would launch another one like the instance. */
EC2_HANDLER(GetLaunchTemplateData)
{
	json_t *instance = ec2_find(ec2, &ec2_instances, input, error), *data;
	const json_t *lab = json_object_get(instance, "Lab");

	if (instance == NULL || ec2_is_dry_run(input, error)) {
		json_decref(instance);
		return NULL;
	}
	data = json_pack(
	    "{s:s, s:s, s:s*, s:s*, s:b, s:b, s:s, s:{s:b}, s:{s:s, s:s}, s:O*, s:o, s:o}",
	    "ImageId", doc_str(instance, "ImageId", ""), "InstanceType",
	    doc_str(instance, "InstanceType", ""), "KeyName", doc_str(instance, "KeyName", NULL),
	    "UserData", doc_str(lab, "UserData", NULL), "EbsOptimized",
	    doc_bool(instance, "EbsOptimized", false), "DisableApiTermination",
	    doc_bool(lab, "DisableApiTermination", false), "InstanceInitiatedShutdownBehavior",
	    doc_str(lab, "InstanceInitiatedShutdownBehavior", "stop"), "Monitoring", "Enabled",
	    filter_path_is(instance, "Monitoring.State", "enabled"), "Placement",
	    "AvailabilityZone", doc_str(doc_object(instance, "Placement"), "AvailabilityZone", ""),
	    "Tenancy", "default", "MetadataOptions", json_object_get(instance, "MetadataOptions"),
	    "SecurityGroupIds", group_ids(instance), "BlockDeviceMappings",
	    device_data(ec2, instance));
	json_decref(instance);
	if (data == NULL)
		ec2_error_memory(error);
	return data == NULL ? NULL : json_pack("{s:o}", "LaunchTemplateData", data);
}
