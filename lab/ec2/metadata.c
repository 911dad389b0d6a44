/* What the metadata service of an instance tells (EC2 User Guide, "Instance metadata categories").
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/doc/doc.h"
#include "lab/ec2/instance.h"
#include "lab/ec2/spot.h"

static json_t *placement(struct ec2 *ec2, const json_t *document)
{
	const char *zone = doc_str(doc_object(document, "Placement"), "AvailabilityZone", "");
	const char *subnet_id = doc_str(document, "SubnetId", "");
	char key[EC2_KEY_MAX];
	json_t *subnet, *result;

	snprintf(key, sizeof(key), "%s%s", ec2_subnets.folder, subnet_id);
	subnet = store_get(ec2->store, key, NULL);
	result = json_pack("{s:s, s:s, s:s}", "availability-zone", zone, "availability-zone-id",
			   doc_str(subnet, "AvailabilityZoneId", ""), "region", ec2->region);
	json_decref(subnet);
	return result;
}

/* member of each group, one a line. */
static json_t *group_lines(const json_t *document, const char *member)
{
	const json_t *group;
	char lines[1024] = "";
	size_t i, len = 0;

	json_array_foreach (doc_array(document, "SecurityGroups"), i, group) {
		const char *text = doc_str(group, member, "");

		if (len + strlen(text) + 2 > sizeof(lines))
			break;
		len += (size_t)snprintf(lines + len, sizeof(lines) - len, "%s%s", i > 0 ? "\n" : "",
					text);
	}
	return json_string(lines);
}

static json_t *interface(struct ec2 *ec2, const json_t *document)
{
	const json_t *first = json_array_get(doc_array(document, "NetworkInterfaces"), 0);
	const char *subnet_id = doc_str(document, "SubnetId", "");
	char key[EC2_KEY_MAX];
	json_t *subnet, *result;

	snprintf(key, sizeof(key), "%s%s", ec2_subnets.folder, subnet_id);
	subnet = store_get(ec2->store, key, NULL);
	result = json_pack("{s:{s:{s:{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:o}}}}",
			   "interfaces", "macs", doc_str(first, "MacAddress", "-"), "device-number",
			   "0", "interface-id", doc_str(first, "NetworkInterfaceId", ""),
			   "local-ipv4s", doc_str(document, "PrivateIpAddress", ""), "subnet-id",
			   subnet_id, "subnet-ipv4-cidr-block", doc_str(subnet, "CidrBlock", ""),
			   "vpc-id", doc_str(document, "VpcId", ""), "vpc-ipv4-cidr-block",
			   "127.31.0.0/16", "owner-id", ec2->account_id, "security-group-ids",
			   group_lines(document, "GroupId"));
	json_decref(subnet);
	return result;
}

static json_t *meta_data(struct ec2 *ec2, const json_t *document)
{
	const json_t *first = json_array_get(doc_array(document, "NetworkInterfaces"), 0);
	const char *address = doc_str(document, "PrivateIpAddress", "");
	const char *dns = doc_str(document, "PrivateDnsName", "");
	const char *root = doc_str(document, "RootDeviceName", "");
	char index[24];

	snprintf(index, sizeof(index), "%lld", (long long)doc_int(document, "AmiLaunchIndex", 0));
	return json_pack(
	    "{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:o, s:o, s:o,"
	    " s:{s:s, s:s}, s:{s:s, s:s}}",
	    "instance-id", doc_str(document, "InstanceId", ""), "ami-id",
	    doc_str(document, "ImageId", ""), "ami-launch-index", index, "instance-type",
	    doc_str(document, "InstanceType", ""), "instance-life-cycle", spot_life_cycle(document),
	    "instance-action", "none", "hostname", dns, "local-hostname", dns, "local-ipv4",
	    address, "public-ipv4", address, "mac", doc_str(first, "MacAddress", ""),
	    "reservation-id", doc_str(json_object_get(document, "Lab"), "ReservationId", ""),
	    "security-groups", group_lines(document, "GroupName"), "placement",
	    placement(ec2, document), "network", interface(ec2, document), "block-device-mapping",
	    "ami", root, "root", root, "services", "domain", "amazonaws.com", "partition", "aws");
}

/* Tags are shown only with InstanceMetadataTags=enabled. */
static int add_tags(json_t *tree, const json_t *document)
{
	const json_t *options = doc_object(document, "MetadataOptions"), *tag;
	json_t *tags;
	size_t i;

	if (strcmp(doc_str(options, "InstanceMetadataTags", "disabled"), "enabled") != 0)
		return 0;
	tags = json_object();
	json_array_foreach (doc_array(document, "Tags"), i, tag) {
		json_object_set_new(tags, doc_str(tag, "Key", ""),
				    json_string(doc_str(tag, "Value", "")));
	}
	return json_object_set_new(tree, "tags", json_pack("{s:o}", "instance", tags));
}

/* The identity document is itself a JSON text. */
static json_t *identity(struct ec2 *ec2, const json_t *document)
{
	json_t *object = json_pack(
	    "{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:n, s:n, s:n, s:n, s:n}",
	    "accountId", ec2->account_id, "architecture",
	    doc_str(document, "Architecture", "x86_64"), "availabilityZone",
	    doc_str(doc_object(document, "Placement"), "AvailabilityZone", ""), "imageId",
	    doc_str(document, "ImageId", ""), "instanceId", doc_str(document, "InstanceId", ""),
	    "instanceType", doc_str(document, "InstanceType", ""), "pendingTime",
	    doc_str(document, "LaunchTime", ""), "privateIp",
	    doc_str(document, "PrivateIpAddress", ""), "region", ec2->region, "version",
	    "2017-09-30", "billingProducts", "devpayProductCodes", "marketplaceProductCodes",
	    "kernelId", "ramdiskId");
	char *text = json_dumps(object, JSON_INDENT(2));
	json_t *leaf = text != NULL ? json_string(text) : NULL;

	json_decref(object);
	free(text);
	return json_pack("{s:{s:o}}", "instance-identity", "document", leaf);
}

json_t *ec2_metadata(struct ec2 *ec2, const char *instance_id)
{
	char key[EC2_KEY_MAX];
	json_t *document, *meta, *tree = NULL;

	instance_key(instance_id, key);
	document = store_get(ec2->store, key, NULL);
	if (document == NULL)
		return NULL;
	meta = meta_data(ec2, document);
	if (meta != NULL && add_tags(meta, document) == 0 && spot_metadata(meta, document) == 0)
		tree = json_pack("{s:O, s:o, s:s, s:O}", "meta-data", meta, "dynamic",
				 identity(ec2, document), "user-data", instance_user_data(document),
				 "options", json_object_get(document, "MetadataOptions"));
	json_decref(meta);
	json_decref(document);
	return tree;
}
