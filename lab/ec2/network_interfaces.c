/* See interface.h; described and changed. */
#include "lab/ec2/interface.h"

#include <stdio.h>
#include <string.h>

#include "common/base/ids.h"
#include "common/doc/doc.h"

static const struct filter_field fields[] = {
    {"network-interface-id", "NetworkInterfaceId"},
    {"subnet-id", "SubnetId"},
    {"vpc-id", "VpcId"},
    {"status", "Status"},
    {"description", "Description"},
    {"group-id", "Groups.GroupId"},
    {"group-name", "Groups.GroupName"},
    {"availability-zone", "AvailabilityZone"},
    {"attachment.instance-id", "Attachment.InstanceId"},
    {"attachment.instance-owner-id", "Attachment.InstanceOwnerId"},
    {"attachment.attachment-id", "Attachment.AttachmentId"},
    {"attachment.status", "Attachment.Status"},
    {"attachment.device-index", "Attachment.DeviceIndex"},
    {"attachment.delete-on-termination", "Attachment.DeleteOnTermination"},
    {"attachment.attach-time", "Attachment.AttachTime"},
    {"addresses.private-ip-address", "PrivateIpAddresses.PrivateIpAddress"},
    {"addresses.primary", "PrivateIpAddresses.Primary"},
    {"addresses.association.public-ip", "Association.PublicIp"},
    {"association.public-ip", "Association.PublicIp"},
    {"association.allocation-id", "Association.AllocationId"},
    {"association.association-id", "Association.AssociationId"},
    {"association.ip-owner-id", "Association.IpOwnerId"},
    {"addresses.association.owner-id", "Association.IpOwnerId"},
    {"association.public-dns-name", "Association.PublicDnsName"},
    {"ipv6-addresses.ipv6-address", "Ipv6Addresses.Ipv6Address"},
    {"interface-type", "InterfaceType"},
    {"mac-address", "MacAddress"},
    {"owner-id", "OwnerId"},
    {"private-dns-name", "PrivateDnsName"},
    {"private-ip-address", "PrivateIpAddress"},
    {"requester-id", "RequesterId"},
    {"requester-managed", "RequesterManaged"},
    {"source-dest-check", "SourceDestCheck"},
    {NULL, NULL},
};

/* Here alone the tags are a TagSet. */
static json_t *show(struct ec2 *ec2, const json_t *interface)
{
	(void)ec2;
	return ec2_with(interface, "TagSet", json_incref(json_object_get(interface, "Tags")));
}

const struct ec2_noun ec2_network_interfaces = {
    .folder = "ec2/network-interface/",
    .output = "NetworkInterfaces",
    .ids_input = "NetworkInterfaceIds",
    .id_member = "NetworkInterfaceId",
    .id_prefix = "eni",
    .malformed = "InvalidNetworkInterfaceId.Malformed",
    .not_found = "InvalidNetworkInterfaceID.NotFound",
    .label = "networkInterface ID",
    .fields = fields,
    .is_paged = true,
    .resource_type = "network-interface",
    .show = show,
};

EC2_DESCRIBE(DescribeNetworkInterfaces, ec2_network_interfaces)

/* --- documents --- */

static json_t *own_association(const json_t *interface)
{
	if (!doc_bool(doc_object(interface, "Lab"), "IsPublic", false))
		return NULL;
	return json_pack("{s:s, s:s, s:s}", "IpOwnerId", "amazon", "PublicDnsName", "", "PublicIp",
			 doc_str(interface, "PrivateIpAddress", ""));
}

int interface_set_association(json_t *interface, json_t *association)
{
	json_t *first = json_array_get(doc_array(interface, "PrivateIpAddresses"), 0);

	if (association == NULL)
		association = own_association(interface);
	if (association == NULL) {
		json_object_del(first, "Association");
		json_object_del(interface, "Association");
		return 0;
	}
	if (json_object_set(first, "Association", association) != 0) {
		json_decref(association);
		return -1;
	}
	return json_object_set_new(interface, "Association", association);
}

static void new_mac(char mac[32])
{
	uint64_t random = id_random(NULL);

	snprintf(mac, 32, "0a:ff:%02x:%02x:%02x:%02x", (unsigned)(random & 255),
		 (unsigned)(random >> 8 & 255), (unsigned)(random >> 16 & 255),
		 (unsigned)(random >> 24 & 255));
}

static json_t *attachment(const struct ec2 *ec2, const struct interface_new *parts)
{
	char id[ID_TEXT_MAX], now[CLOCK_TEXT_MAX];

	return json_pack("{s:s, s:s, s:b, s:i, s:i, s:s, s:s, s:s}", "AttachmentId",
			 id_ec2(NULL, "eni-attach", id), "AttachTime", ec2_now(ec2, now),
			 "DeleteOnTermination", parts->is_deleted_with_instance, "DeviceIndex", 0,
			 "NetworkCardIndex", 0, "InstanceId", parts->instance_id, "InstanceOwnerId",
			 ec2->account_id, "Status", "attached");
}

json_t *interface_document(const struct ec2 *ec2, const struct interface_new *parts)
{
	const json_t *subnet = parts->subnet;
	char id[ID_TEXT_MAX], mac[32];
	json_t *interface;

	new_mac(mac);
	interface = json_pack(
	    "{s:s, s:s, s:s, s:s, s:s, s:O, s:s, s:s, s:s, s:s, s:s, s:[{s:b, s:s, s:s}], s:b,"
	    " s:b, s:s, s:o, s:[], s:o, s:{s:b}}",
	    "NetworkInterfaceId", id_ec2(NULL, "eni", id), "SubnetId",
	    doc_str(subnet, "SubnetId", ""), "VpcId", doc_str(subnet, "VpcId", ""),
	    "AvailabilityZone", doc_str(subnet, "AvailabilityZone", ""), "Description",
	    parts->description, "Groups", parts->groups, "InterfaceType", "interface", "MacAddress",
	    mac, "OwnerId", ec2->account_id, "PrivateDnsName", parts->dns_name, "PrivateIpAddress",
	    parts->address, "PrivateIpAddresses", "Primary", 1, "PrivateIpAddress", parts->address,
	    "PrivateDnsName", parts->dns_name, "RequesterManaged", 0, "SourceDestCheck", 1,
	    "Status", "in-use", "Attachment", attachment(ec2, parts), "Ipv6Addresses", "Tags",
	    parts->tags, "Lab", "IsPublic", parts->is_public);
	if (interface != NULL && interface_set_association(interface, NULL) == 0)
		return interface;
	json_decref(interface);
	return NULL;
}

int interface_show_on(json_t *instance, const json_t *interface)
{
	const json_t *association = doc_object(interface, "Association");
	json_t *copy = json_deep_copy(interface);
	int failed = 0;

	if (association != NULL)
		failed = json_object_set(instance, "PublicIpAddress",
					 json_object_get(association, "PublicIp"));
	else
		json_object_del(instance, "PublicIpAddress");
	failed |= json_object_set(instance, "SecurityGroups", json_object_get(copy, "Groups"));
	failed |=
	    json_object_set(instance, "SourceDestCheck", json_object_get(copy, "SourceDestCheck"));
	failed |= json_object_set_new(instance, "NetworkInterfaces", json_pack("[o]", copy));
	return failed ? -1 : 0;
}

json_t *interface_of_instance(struct ec2 *ec2, const char *instance_id)
{
	return ec2_find_by(ec2, &ec2_network_interfaces, "Attachment.InstanceId", instance_id);
}

void interface_put(struct ec2 *ec2, struct store_txn *txn, json_t *interface)
{
	const char *id = doc_str(doc_object(interface, "Attachment"), "InstanceId", "");
	json_t *instance = ec2_find_by(ec2, &ec2_instances, "InstanceId", id);

	/* Without memory the commit must fail: NULL does that. */
	if (instance != NULL && interface_show_on(instance, interface) == 0) {
		ec2_txn_put(txn, &ec2_instances, instance);
	} else if (instance != NULL) {
		json_decref(instance);
		store_put(txn, ec2_instances.folder, NULL);
	}
	ec2_txn_put(txn, &ec2_network_interfaces, interface);
}

/* --- groups --- */

static int add_group(struct ec2 *ec2, json_t *groups, const char *id, const char *vpc_id,
		     struct aws_error *error)
{
	json_t *group = ec2_get(ec2, &ec2_security_groups, id, error);
	bool is_here = strcmp(doc_str(group, "VpcId", ""), vpc_id) == 0;
	int result;

	if (group == NULL)
		return -1;
	result = json_array_append_new(groups, json_pack("{s:s, s:s}", "GroupId", id, "GroupName",
							 doc_str(group, "GroupName", "")));
	json_decref(group);
	if (!is_here)
		aws_error_set(error, 400, "InvalidGroup.NotFound",
			      "The security group '%s' does not exist in VPC '%s'", id, vpc_id);
	else if (result != 0)
		ec2_error_memory(error);
	return is_here ? result : -1;
}

json_t *interface_groups(struct ec2 *ec2, const json_t *ids, const char *vpc_id,
			 struct aws_error *error)
{
	json_t *groups = json_array();
	const json_t *id;
	size_t i;

	json_array_foreach (ids, i, id) {
		if (add_group(ec2, groups, json_string_value(id), vpc_id, error) != 0) {
			json_decref(groups);
			return NULL;
		}
	}
	return groups;
}

/* --- changing --- */

static int change_groups(struct ec2 *ec2, const json_t *input, json_t *interface,
			 struct aws_error *error)
{
	const json_t *ids = doc_array(input, "Groups");
	json_t *groups;

	if (json_array_size(ids) == 0)
		return 0;
	groups = interface_groups(ec2, ids, doc_str(interface, "VpcId", ""), error);
	return groups == NULL ? -1 : json_object_set_new(interface, "Groups", groups);
}

static int change_attachment(const json_t *input, json_t *interface, struct aws_error *error)
{
	const json_t *given = doc_object(input, "Attachment");
	json_t *mine = doc_object(interface, "Attachment");
	const char *id = doc_str(given, "AttachmentId", "");

	if (given == NULL)
		return 0;
	if (strcmp(doc_str(mine, "AttachmentId", "-"), id) != 0) {
		aws_error_set(error, 400, "InvalidAttachmentID.NotFound",
			      "The attachment ID '%.80s' does not exist", id);
		return -1;
	}
	return json_object_set_new(mine, "DeleteOnTermination",
				   json_boolean(doc_bool(given, "DeleteOnTermination", true)));
}

EC2_HANDLER(ModifyNetworkInterfaceAttribute)
{
	json_t *interface = ec2_find(ec2, &ec2_network_interfaces, input, error);
	const json_t *description = doc_object(input, "Description");
	const json_t *check = doc_object(input, "SourceDestCheck");
	struct store_txn *txn;

	if (interface == NULL)
		return NULL;
	if (change_groups(ec2, input, interface, error) != 0 ||
	    change_attachment(input, interface, error) != 0) {
		json_decref(interface);
		return NULL;
	}
	if (description != NULL)
		json_object_set_new(interface, "Description",
				    json_string(doc_str(description, "Value", "")));
	if (check != NULL)
		json_object_set_new(interface, "SourceDestCheck",
				    json_boolean(doc_bool(check, "Value", true)));
	txn = store_begin(ec2->store);
	interface_put(ec2, txn, interface);
	return ec2_commit(txn, input, error) == 0 ? ec2_answer_true() : NULL;
}
