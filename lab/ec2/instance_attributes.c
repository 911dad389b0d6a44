/*
 * Attributes of one instance, read and changed.  DescribeInstanceAttribute tells one of them,
 * ModifyInstanceAttribute changes one; where each stands in the document is a table.
 */
#include <stdio.h>
#include <string.h>

#include "common/doc/doc.h"
#include "lab/ec2/instance.h"
#include "lab/ec2/instance_types.h"
#include "lab/ec2/interface.h"
#include "lab/ec2/template.h"

enum attribute_kind { WRAPPED, PLAIN, NOTHING }; /* {Value: v}; as it is; {} */

static const struct attribute {
	const char *name;   /* of the request's Attribute */
	const char *member; /* of answers and of ModifyInstanceAttribute */
	enum attribute_kind kind;
	bool is_in_lab;     /* kept under "Lab" */
	bool needs_stopped; /* changed only then */
	bool is_changeable;
} attributes[] = {
    {"instanceType", "InstanceType", WRAPPED, false, true, true},
    {"userData", "UserData", WRAPPED, true, true, true},
    {"disableApiTermination", "DisableApiTermination", WRAPPED, true, false, true},
    {"disableApiStop", "DisableApiStop", WRAPPED, true, false, true},
    {"instanceInitiatedShutdownBehavior", "InstanceInitiatedShutdownBehavior", WRAPPED, true, false,
     true},
    {"sourceDestCheck", "SourceDestCheck", WRAPPED, false, false, true},
    {"ebsOptimized", "EbsOptimized", WRAPPED, false, true, true},
    {"enaSupport", "EnaSupport", WRAPPED, false, true, true},
    {"rootDeviceName", "RootDeviceName", WRAPPED, false, false, false},
    {"groupSet", "Groups", PLAIN, false, false, false},
    {"blockDeviceMapping", "BlockDeviceMappings", PLAIN, false, false, false},
    {"productCodes", "ProductCodes", PLAIN, false, false, false},
    {"enclaveOptions", "EnclaveOptions", PLAIN, false, false, false},
    {"kernel", "KernelId", NOTHING, false, true, false},
    {"ramdisk", "RamdiskId", NOTHING, false, true, false},
    {"sriovNetSupport", "SriovNetSupport", NOTHING, false, true, false},
};
enum { N_ATTRIBUTES = sizeof(attributes) / sizeof(attributes[0]) };

static const struct attribute *attribute_named(const char *name)
{
	for (int i = 0; i < N_ATTRIBUTES; i++)
		if (filter_name_equal(attributes[i].name, name))
			return &attributes[i];
	return NULL;
}

/* Its value in the document; borrowed, NULL when it has none. */
static json_t *value_of(const json_t *instance, const struct attribute *attribute)
{
	const json_t *object = attribute->is_in_lab ? json_object_get(instance, "Lab") : instance;
	const char *member =
	    strcmp(attribute->member, "Groups") == 0 ? "SecurityGroups" : attribute->member;
	json_t *value = json_object_get(object, member);

	/* No user data is an element without a value. */
	if (json_is_string(value) && *json_string_value(value) == '\0')
		return NULL;
	return value;
}

EC2_HANDLER(DescribeInstanceAttribute)
{
	const char *name = doc_str(input, "Attribute", "");
	const struct attribute *attribute = attribute_named(name);
	json_t *instance = ec2_find(ec2, &ec2_instances, input, error), *answer, *value;

	if (instance == NULL || ec2_is_dry_run(input, error)) {
		json_decref(instance);
		return NULL;
	}
	answer = json_pack("{s:s}", "InstanceId", doc_str(instance, "InstanceId", ""));
	if (attribute != NULL) {
		value = value_of(instance, attribute);
		json_object_set_new(answer, attribute->member,
				    attribute->kind == PLAIN ? json_incref(value)
				    : attribute->kind == WRAPPED
					? json_pack("{s:O*}", "Value", value)
					: json_object());
	}
	json_decref(instance);
	return answer;
}

/* --- changing --- */

static int check_stopped(const json_t *instance, struct aws_error *error)
{
	if (instance_state_of(instance) == INSTANCE_STOPPED)
		return 0;
	aws_error_set(error, 400, "IncorrectInstanceState",
		      "The instance '%s' is not in the 'stopped' state.",
		      doc_str(instance, "InstanceId", ""));
	return -1;
}

static int check_value(const struct attribute *attribute, const json_t *value,
		       struct aws_error *error)
{
	const char *text = json_is_string(value) ? json_string_value(value) : "";
	struct instance_type type;

	if (strcmp(attribute->member, "UserData") == 0)
		return template_check_user_data(text, error);
	if (strcmp(attribute->member, "InstanceInitiatedShutdownBehavior") == 0 &&
	    strcmp(text, "stop") != 0 && strcmp(text, "terminate") != 0) {
		aws_error_set(error, 400, "InvalidParameterValue",
			      "Value (%.40s) for parameter value is invalid. It must be stop or "
			      "terminate.",
			      text);
		return -1;
	}
	if (strcmp(attribute->member, "InstanceType") != 0 || instance_type_find(text, &type) == 0)
		return 0;
	aws_error_set(error, 400, "InvalidInstanceAttributeValue",
		      "The instanceType '%.80s' does not exist.", text);
	return -1;
}

/* Another type has other processors, and credits of its own. */
static void follow_type(json_t *instance, const char *name)
{
	json_t *lab = json_object_get(instance, "Lab");
	struct instance_type type;

	if (instance_type_find(name, &type) != 0)
		return;
	json_object_set_new(instance, "CpuOptions",
			    json_pack("{s:i, s:i}", "CoreCount", type.cores, "ThreadsPerCore",
				      type.vcpus / type.cores));
	if (type.family->credits == NULL)
		json_object_del(lab, "CpuCredits");
	else if (!doc_has(lab, "CpuCredits"))
		json_object_set_new(lab, "CpuCredits", json_string(type.family->credits));
}

/* Booleans of the older form (Attribute, Value) are texts. */
static json_t *as_typed(const json_t *instance, const struct attribute *attribute, json_t *value)
{
	bool is_boolean = json_is_boolean(value_of(instance, attribute));

	if (is_boolean && json_is_string(value))
		return json_boolean(strcmp(json_string_value(value), "true") == 0);
	return json_incref(value);
}

static int set_value(json_t *instance, const struct attribute *attribute, json_t *value,
		     struct aws_error *error)
{
	json_t *object = attribute->is_in_lab ? json_object_get(instance, "Lab") : instance;

	if (!attribute->is_changeable) {
		aws_error_set(error, 400, "UnsupportedOperation",
			      "The attribute %s cannot be modified here.", attribute->name);
		return -1;
	}
	if ((attribute->needs_stopped && check_stopped(instance, error) != 0) ||
	    check_value(attribute, value, error) != 0)
		return -1;
	json_object_set_new(object, attribute->member, as_typed(instance, attribute, value));
	if (strcmp(attribute->member, "InstanceType") == 0)
		follow_type(instance, json_string_value(value));
	return 0;
}

static int set_attributes(json_t *instance, const json_t *input, struct aws_error *error)
{
	const struct attribute *named = attribute_named(doc_str(input, "Attribute", ""));

	for (int i = 0; i < N_ATTRIBUTES; i++) {
		const json_t *given = doc_object(input, attributes[i].member);

		if (given == NULL)
			continue;
		if (!doc_has(given, "Value")) {
			/* User data taken away. */
			json_object_set_new(json_object_get(instance, "Lab"), attributes[i].member,
					    json_string(""));
			continue;
		}
		if (set_value(instance, &attributes[i], json_object_get(given, "Value"), error) !=
		    0)
			return -1;
	}
	if (named == NULL || !doc_has(input, "Value"))
		return 0;
	return set_value(instance, named, json_object_get(input, "Value"), error);
}

/* DeleteOnTermination of devices, in the instance and its volumes. */
static void set_devices(struct ec2 *ec2, struct store_txn *txn, json_t *instance,
			const json_t *input)
{
	const json_t *given;
	json_t *mine;
	size_t i, j;

	json_array_foreach (doc_array(input, "BlockDeviceMappings"), i, given) {
		bool is_deleted = doc_bool(doc_object(given, "Ebs"), "DeleteOnTermination", true);

		json_array_foreach (doc_array(instance, "BlockDeviceMappings"), j, mine) {
			json_t *ebs = doc_object(mine, "Ebs"), *volume;

			if (!filter_path_is(mine, "DeviceName", doc_str(given, "DeviceName", "")))
				continue;
			json_object_set_new(ebs, "DeleteOnTermination", json_boolean(is_deleted));
			volume = ec2_find_by(ec2, &ec2_volumes, "VolumeId",
					     doc_str(ebs, "VolumeId", ""));
			json_object_set_new(json_array_get(doc_array(volume, "Attachments"), 0),
					    "DeleteOnTermination", json_boolean(is_deleted));
			ec2_txn_put(txn, &ec2_volumes, volume);
		}
	}
}

/* Groups and the source check belong to the interface; the instance shows them. */
static int set_interface(struct ec2 *ec2, struct store_txn *txn, json_t *instance,
			 const json_t *input, struct aws_error *error)
{
	json_t *interface = interface_of_instance(ec2, doc_str(instance, "InstanceId", ""));
	const json_t *ids = doc_array(input, "Groups");
	json_t *groups = NULL;
	int result = -1;

	if (interface == NULL)
		return 0;
	if (json_array_size(ids) > 0) {
		groups = interface_groups(ec2, ids, doc_str(interface, "VpcId", ""), error);
		if (groups == NULL)
			goto out;
		json_object_set_new(interface, "Groups", groups);
	}
	json_object_set(interface, "SourceDestCheck", json_object_get(instance, "SourceDestCheck"));
	result = interface_show_on(instance, interface);
	ec2_txn_put(txn, &ec2_network_interfaces, json_incref(interface));
out:
	json_decref(interface);
	return result;
}

EC2_HANDLER(ModifyInstanceAttribute)
{
	json_t *instance = ec2_find(ec2, &ec2_instances, input, error);
	struct store_txn *txn;

	if (instance == NULL)
		return NULL;
	txn = store_begin(ec2->store);
	if (set_attributes(instance, input, error) != 0 ||
	    set_interface(ec2, txn, instance, input, error) != 0) {
		store_abort(txn);
		json_decref(instance);
		return NULL;
	}
	set_devices(ec2, txn, instance, input);
	ec2_txn_put(txn, &ec2_instances, instance);
	return ec2_commit(txn, input, error) == 0 ? ec2_answer_true() : NULL;
}

EC2_HANDLER(ModifyInstanceMetadataOptions)
{
	static const char *const members[] = {"HttpTokens", "HttpPutResponseHopLimit",
					      "HttpEndpoint", "HttpProtocolIpv6",
					      "InstanceMetadataTags"};
	json_t *instance = ec2_find(ec2, &ec2_instances, input, error), *options, *answer;
	const char *id = doc_str(input, "InstanceId", "");

	if (instance == NULL)
		return NULL;
	options = json_deep_copy(json_object_get(instance, "MetadataOptions"));
	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++)
		if (doc_has(input, members[i]))
			json_object_set(options, members[i], json_object_get(input, members[i]));
	json_object_set(instance, "MetadataOptions", options);
	answer = ec2_update(ec2, &ec2_instances, input, instance, error);
	if (answer != NULL) {
		json_decref(answer);
		json_object_set_new(options, "State", json_string("pending"));
		answer =
		    json_pack("{s:s, s:O}", "InstanceId", id, "InstanceMetadataOptions", options);
	}
	json_decref(options);
	return answer;
}
