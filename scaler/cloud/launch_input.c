/*
 * What RunInstances is asked for: the group's launch template by name, or the file's
 * template expanded, with zone or subnet, token and tags.  Pure.
 *
 * Ownership is the tag albatross:autoscaling:groupName, in the launch itself, so no instance is
 * ever without it.  (AWS's own aws:autoscaling:groupName cannot be set by anyone but AWS.)
 */
#include <errno.h>
#include <string.h>

#include "common/doc/doc.h"
#include "scaler/cloud/rim_parts.h"

const char *const LAUNCH_TAG = "albatross:autoscaling:groupName";

/* The file's template that spec names; NULL: EC2 knows it. */
static const json_t *find_template(const json_t *spec, const json_t *templates)
{
	const char *name = doc_str(spec, "LaunchTemplateName", NULL);
	const json_t *template;
	size_t i;

	/* One that has an id is EC2's. */
	if (!name || doc_has(spec, "LaunchTemplateId"))
		return NULL;
	json_array_foreach (templates, i, template) {
		if (strcmp(doc_str(template, "LaunchTemplateName", ""), name) == 0)
			return template;
	}
	return NULL;
}

const json_t *launch_template_of(const struct group *group, const json_t *templates)
{
	return find_template(group_template(group), templates);
}

/* Members of LaunchTemplateData that RunInstances calls the same and takes the same. */
static const char *const same[] = {
    "BlockDeviceMappings",
    "CapacityReservationSpecification",
    "CpuOptions",
    "CreditSpecification",
    "DisableApiStop",
    "DisableApiTermination",
    "EbsOptimized",
    "EnclaveOptions",
    "HibernationOptions",
    "IamInstanceProfile",
    "ImageId",
    "InstanceInitiatedShutdownBehavior",
    "InstanceMarketOptions",
    "InstanceType",
    "KernelId",
    "KeyName",
    "LicenseSpecifications",
    "MaintenanceOptions",
    "MetadataOptions",
    "Monitoring",
    "NetworkInterfaces",
    "Placement",
    "PrivateDnsNameOptions",
    "SecurityGroupIds",
    "SecurityGroups",
    "UserData",
};

static int expand(json_t *input, const json_t *template, struct err *err)
{
	const json_t *data = doc_object(template, "LaunchTemplateData");

	if (doc_has(data, "InstanceRequirements")) {
		err_set(err, ENOTSUP,
			"InstanceRequirements in a launch template is not supported yet");
		return -1;
	}
	for (size_t i = 0; i < sizeof same / sizeof same[0]; i++) {
		json_t *value = json_object_get(data, same[i]);

		if (value && json_object_set_new(input, same[i], json_deep_copy(value)) < 0)
			goto oom;
	}
	if (doc_has(data, "RamDiskId") &&
	    json_object_set(input, "RamdiskId", json_object_get(data, "RamDiskId")) < 0)
		goto oom;
	return 0;
oom:
	err_set(err, ENOMEM, "out of memory");
	return -1;
}

/* ---- launch configurations ---- */

static void set_if(json_t *input, const char *member, const json_t *config, const char *from)
{
	const json_t *value = json_object_get(config, from);

	if (!value || (json_is_string(value) && json_string_length(value) == 0) ||
	    (json_is_array(value) && json_array_size(value) == 0))
		return;
	json_object_set_new(input, member, json_deep_copy(value));
}

/* Ids and names of security groups are one list there, and two in RunInstances. */
static void set_security_groups(json_t *input, const json_t *config)
{
	json_t *ids = json_array(), *names = json_array(), *group;
	size_t i;

	json_array_foreach (doc_array(config, "SecurityGroups"), i, group)
		json_array_append(strncmp(json_string_value(group), "sg-", 3) == 0 ? ids : names,
				  group);
	if (json_array_size(ids) > 0)
		json_object_set(input, "SecurityGroupIds", ids);
	if (json_array_size(names) > 0)
		json_object_set(input, "SecurityGroups", names);
	json_decref(ids);
	json_decref(names);
}

/* NoDevice is a flag there, and an empty text in RunInstances. */
static void set_devices(json_t *input, const json_t *config)
{
	json_t *device;
	size_t i;

	set_if(input, "BlockDeviceMappings", config, "BlockDeviceMappings");
	json_array_foreach (doc_array(input, "BlockDeviceMappings"), i, device) {
		bool is_none = doc_bool(device, "NoDevice", false);

		json_object_del(device, "NoDevice");
		if (is_none)
			json_object_set_new(device, "NoDevice", json_string(""));
	}
}

/* A public address is asked for by interface, which then holds the security groups. */
static void set_public_address(json_t *input, const json_t *config)
{
	json_t *interface;

	if (!doc_has(config, "AssociatePublicIpAddress"))
		return;
	interface = json_pack("{s:i, s:b}", "DeviceIndex", 0, "AssociatePublicIpAddress",
			      doc_bool(config, "AssociatePublicIpAddress", false));
	set_if(interface, "Groups", input, "SecurityGroupIds");
	json_object_del(input, "SecurityGroupIds");
	json_object_set_new(input, "NetworkInterfaces", json_pack("[o]", interface));
}

static void expand_config(json_t *input, const json_t *config)
{
	static const char *const plain[] = {"ImageId",      "InstanceType",   "KeyName",
					    "UserData",     "KernelId",       "RamdiskId",
					    "EbsOptimized", "MetadataOptions"};
	const char *profile = doc_str(config, "IamInstanceProfile", "");
	const char *tenancy = doc_str(config, "PlacementTenancy", "");

	for (size_t i = 0; i < sizeof plain / sizeof plain[0]; i++)
		set_if(input, plain[i], config, plain[i]);
	set_if(input, "Monitoring", config, "InstanceMonitoring");
	if (profile[0])
		json_object_set_new(
		    input, "IamInstanceProfile",
		    json_pack("{s:s}", strncmp(profile, "arn:", 4) == 0 ? "Arn" : "Name", profile));
	if (tenancy[0])
		json_object_set_new(input, "Placement", json_pack("{s:s}", "Tenancy", tenancy));
	set_security_groups(input, config);
	set_devices(input, config);
	set_public_address(input, config);
}

/* ---- tags and place ---- */

static int set_tag(json_t *tags, const char *key, const char *value)
{
	return doc_kv_set(tags, key, value);
}

/* The template's tags, over them the group's that propagate, over all our mark. */
json_t *launch_tags(const struct group *group, const json_t *template)
{
	const json_t *data = doc_object(template, "LaunchTemplateData"), *spec, *tag;
	json_t *tags = json_array();
	int failed = 0;
	size_t i, k;

	json_array_foreach (doc_array(data, "TagSpecifications"), i, spec) {
		if (strcmp(doc_str(spec, "ResourceType", ""), "instance") != 0)
			continue;
		json_array_foreach (doc_array(spec, "Tags"), k, tag)
			failed |= set_tag(tags, doc_str(tag, "Key", ""), doc_str(tag, "Value", ""));
	}
	json_array_foreach (doc_array(group->document, "Tags"), i, tag) {
		if (doc_bool(tag, "PropagateAtLaunch", false))
			failed |= set_tag(tags, doc_str(tag, "Key", ""), doc_str(tag, "Value", ""));
	}
	failed |= set_tag(tags, LAUNCH_TAG, group->name);
	if (failed == 0)
		return tags;
	json_decref(tags);
	return NULL;
}

static int add_tags(json_t *input, const struct group *group, const json_t *template)
{
	json_t *tags = launch_tags(group, template), *list, *spec;
	const json_t *data = doc_object(template, "LaunchTemplateData");
	size_t i;

	if (!tags)
		return -1;
	list = json_pack("[{s:s, s:o}]", "ResourceType", "instance", "Tags", tags);
	json_array_foreach (doc_array(data, "TagSpecifications"), i, spec) {
		if (strcmp(doc_str(spec, "ResourceType", ""), "instance") != 0)
			json_array_append_new(list, json_deep_copy(spec));
	}
	return json_object_set_new(input, "TagSpecifications", list);
}

/* The subnet; inside the first network interface if the template describes interfaces. */
static void add_place(json_t *input, const struct action *action)
{
	json_t *interface = json_array_get(doc_array(input, "NetworkInterfaces"), 0);
	json_t *placement = doc_object(input, "Placement");

	if (action->subnet_id[0]) {
		json_object_set_new(interface ? interface : input, "SubnetId",
				    json_string(action->subnet_id));
		return;
	}
	if (!action->zone[0])
		return;
	if (!placement) {
		placement = json_object();
		json_object_set_new(input, "Placement", placement);
	}
	json_object_set_new(placement, "AvailabilityZone", json_string(action->zone));
}

/* The named template of EC2's, by its id or its name, not both. */
static int name_template(json_t *input, const json_t *spec)
{
	json_t *named = json_deep_copy(spec);

	if (doc_has(named, "LaunchTemplateId"))
		json_object_del(named, "LaunchTemplateName");
	return json_object_set_new(input, "LaunchTemplate", named);
}

/* Over the template: the type, the image and the market of this launch. */
static int add_members(json_t *input, const json_t *members)
{
	const char *name;
	json_t *value;

	json_object_foreach ((json_t *)members, name, value) {
		if (strcmp(name, "LaunchTemplate") != 0 &&
		    json_object_set_new(input, name, json_deep_copy(value)) < 0)
			return -1;
	}
	return 0;
}

json_t *launch_input(const struct group *group, const json_t *templates,
		     const struct action *action, struct err *err)
{
	const json_t *members = engine_run_members(group, action->launch_id);
	const json_t *own = doc_object(members, "LaunchTemplate");
	const json_t *spec = own ? own : group_template(group);
	const json_t *template = find_template(spec, templates);
	/* As many as there is room for: the rest is tried elsewhere. */
	json_t *input = json_pack("{s:i, s:i, s:s}", "MinCount", 1, "MaxCount", action->count,
				  "ClientToken", action->token);

	if (!input)
		goto oom;
	if (group_config(group)) {
		expand_config(input, group_config(group));
	} else if (template) {
		if (expand(input, template, err) < 0)
			goto fail;
	} else if (name_template(input, spec) < 0) {
		goto oom;
	}
	if (add_members(input, members) < 0)
		goto oom;
	add_place(input, action);
	if (add_tags(input, group, template) < 0)
		goto oom;
	return input;
oom:
	err_set(err, ENOMEM, "out of memory");
fail:
	json_decref(input);
	return NULL;
}
