/* Subnets: ranges of a VPC's addresses in one zone. */
#include <stdio.h>
#include <string.h>

#include "common/base/ids.h"
#include "common/doc/doc.h"
#include "lab/ec2/defaults.h"
#include "lab/ec2/network.h"

enum { MAX_SUBNETS = 200, MIN_BITS = 16, MAX_BITS = 28, KEPT_BY_AWS = 5 };

static const struct filter_field fields[] = {
    {"subnet-id", "SubnetId"},
    {"vpc-id", "VpcId"},
    {"state", "State"},
    {"availability-zone", "AvailabilityZone"},
    {"availability-zone-id", "AvailabilityZoneId"},
    {"default-for-az", "DefaultForAz"},
    {"cidr-block", "CidrBlock"},
    {"cidr", "CidrBlock"},
    {"map-public-ip-on-launch", "MapPublicIpOnLaunch"},
    {"available-ip-address-count", "AvailableIpAddressCount"},
    {"owner-id", "OwnerId"},
    {"subnet-arn", "SubnetArn"},
    {"ipv6-cidr-block-association.ipv6-cidr-block", "Ipv6CidrBlockAssociationSet.Ipv6CidrBlock"},
    {"ipv6-cidr-block-association.association-id", "Ipv6CidrBlockAssociationSet.AssociationId"},
    {"ipv6-cidr-block-association.state", "Ipv6CidrBlockAssociationSet.Ipv6CidrBlockState.State"},
    {"customer-owned-ipv4-pool", "CustomerOwnedIpv4Pool"},
    {"enable-lni-at-device-index", "EnableLniAtDeviceIndex"},
    {"map-customer-owned-ip-on-launch", "MapCustomerOwnedIpOnLaunch"},
    {"outpost-arn", "OutpostArn"},
    {"private-dns-name-options-on-launch.hostname-type",
     "PrivateDnsNameOptionsOnLaunch.HostnameType"},
    {"private-dns-name-options-on-launch.enable-resource-name-dns-a-record",
     "PrivateDnsNameOptionsOnLaunch.EnableResourceNameDnsARecord"},
    {"private-dns-name-options-on-launch.enable-resource-name-dns-aaaa-record",
     "PrivateDnsNameOptionsOnLaunch.EnableResourceNameDnsAAAARecord"},
    {"ipv6-native", "Ipv6Native"},
    {"enable-dns64", "EnableDns64"},
    {NULL, NULL},
};

static const struct ec2_use uses[] = {
    {&ec2_network_interfaces, "SubnetId", NULL, NULL},
    {NULL, NULL, NULL, NULL},
};

/* How many addresses are left changes with every launch, so it is counted, not kept. */
static json_t *show(struct ec2 *ec2, const json_t *subnet)
{
	size_t used =
	    ec2_count_by(ec2, &ec2_network_interfaces, "SubnetId", doc_str(subnet, "SubnetId", ""));
	struct cidr cidr = {0};

	if (cidr_parse(doc_str(subnet, "CidrBlock", ""), &cidr) != 0)
		return json_incref((json_t *)subnet);
	return ec2_with(subnet, "AvailableIpAddressCount",
			json_integer((json_int_t)(cidr_size(&cidr) - KEPT_BY_AWS - used)));
}

const struct ec2_noun ec2_subnets = {
    .folder = "ec2/subnet/",
    .output = "Subnets",
    .ids_input = "SubnetIds",
    .id_member = "SubnetId",
    .id_prefix = "subnet",
    .malformed = "InvalidSubnetID.NotFound", /* as AWS: it has no Malformed for subnets */
    .not_found = "InvalidSubnetID.NotFound",
    .label = "subnet ID",
    .fields = fields,
    .is_paged = true,
    .resource_type = "subnet",
    .uses = uses,
    .show = show,
};

EC2_DESCRIBE(DescribeSubnets, ec2_subnets)

/* --- creating --- */

json_t *network_subnet(const struct ec2 *ec2, const char *id, const char *vpc_id, const char *cidr,
		       int zone, bool is_default)
{
	char name[DEFAULTS_ZONE_MAX], zone_id[DEFAULTS_ZONE_MAX], new_id[ID_TEXT_MAX], arn[256];

	if (id == NULL)
		id = id_ec2(NULL, "subnet", new_id);
	defaults_zone_name(ec2->region, zone, name);
	defaults_zone_id(ec2->region, zone, zone_id);
	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:b, s:b, s:b, s:b, s:b, s:b, s:s, s:s,"
			 " s:[], s:[], s:{s:s, s:b, s:b}}",
			 "SubnetId", id, "VpcId", vpc_id, "State", "available", "CidrBlock", cidr,
			 "AvailabilityZone", name, "AvailabilityZoneId", zone_id, "DefaultForAz",
			 is_default, "MapPublicIpOnLaunch", is_default,
			 "AssignIpv6AddressOnCreation", 0, "EnableDns64", 0, "Ipv6Native", 0,
			 "MapCustomerOwnedIpOnLaunch", 0, "OwnerId", ec2->account_id, "SubnetArn",
			 ec2_arn(ec2, "subnet", id, arn), "Ipv6CidrBlockAssociationSet", "Tags",
			 "PrivateDnsNameOptionsOnLaunch", "HostnameType", "ip-name",
			 "EnableResourceNameDnsARecord", 0, "EnableResourceNameDnsAAAARecord", 0);
}

/* The zone's index; the first without one in the request; -1 with error. */
static int zone_of(const struct ec2 *ec2, const json_t *input, struct aws_error *error)
{
	const char *name = doc_str(input, "AvailabilityZone", "");
	const char *id = doc_str(input, "AvailabilityZoneId", "");
	char text[DEFAULTS_ZONE_MAX];

	if (*name == '\0' && *id == '\0')
		return 0;
	for (int i = 0; i < DEFAULTS_ZONES; i++) {
		defaults_zone_name(ec2->region, i, text);
		if (strcmp(text, name) == 0)
			return i;
		defaults_zone_id(ec2->region, i, text);
		if (*name == '\0' && strcmp(text, id) == 0)
			return i;
	}
	aws_error_set(error, 400, "InvalidParameterValue",
		      "Value (%.80s) for parameter availabilityZone is invalid. Subnets can "
		      "currently only be created in the following availability zones: %sa, %sb, "
		      "%sc.",
		      *name != '\0' ? name : id, ec2->region, ec2->region, ec2->region);
	return -1;
}

static bool is_taken(struct ec2 *ec2, const char *vpc_id, const struct cidr *range)
{
	json_t *subnets = ec2_find_all(ec2, &ec2_subnets, "VpcId", vpc_id), *subnet;
	struct cidr other;
	bool found = false;
	size_t i;

	json_array_foreach (subnets, i, subnet) {
		found |= cidr_parse(doc_str(subnet, "CidrBlock", ""), &other) == 0 &&
			 cidr_overlaps(range, &other);
	}
	json_decref(subnets);
	return found;
}

static int check_range(struct ec2 *ec2, const json_t *vpc, const char *text, struct cidr *range,
		       struct aws_error *error)
{
	struct cidr whole;

	if (*text == '\0') {
		ec2_error_missing(error, "cidrBlock");
		return -1;
	}
	if (cidr_parse(text, range) != 0) {
		aws_error_set(error, 400, "InvalidParameterValue",
			      "Value (%s) for parameter cidrBlock is invalid. This is not a valid "
			      "CIDR block.",
			      text);
		return -1;
	}
	if (cidr_parse(doc_str(vpc, "CidrBlock", ""), &whole) != 0 ||
	    !cidr_contains(&whole, range) || range->bits < MIN_BITS || range->bits > MAX_BITS) {
		aws_error_set(error, 400, "InvalidSubnet.Range", "The CIDR '%s' is invalid.", text);
		return -1;
	}
	if (!is_taken(ec2, doc_str(vpc, "VpcId", ""), range))
		return 0;
	aws_error_set(error, 400, "InvalidSubnet.Conflict",
		      "The CIDR '%s' conflicts with another subnet", text);
	return -1;
}

static int check_count(struct ec2 *ec2, const char *vpc_id, struct aws_error *error)
{
	if (ec2_count_by(ec2, &ec2_subnets, "VpcId", vpc_id) < MAX_SUBNETS)
		return 0;
	aws_error_set(error, 400, "SubnetLimitExceeded",
		      "The maximum number of subnets has been reached.");
	return -1;
}

/* Takes over subnet; NULL gives NULL. */
static json_t *answer_subnet(struct ec2 *ec2, json_t *subnet)
{
	json_t *answer = NULL;

	if (subnet != NULL)
		answer = json_pack("{s:o}", "Subnet", show(ec2, subnet));
	json_decref(subnet);
	return answer;
}

EC2_HANDLER(CreateSubnet)
{
	json_t *vpc = ec2_find(ec2, &ec2_vpcs, input, error), *subnet = NULL;
	const char *vpc_id = doc_str(vpc, "VpcId", "");
	int zone = vpc == NULL ? -1 : zone_of(ec2, input, error);
	char text[CIDR_TEXT_MAX];
	struct cidr range;

	if (zone >= 0 && check_count(ec2, vpc_id, error) == 0 &&
	    check_range(ec2, vpc, doc_str(input, "CidrBlock", ""), &range, error) == 0)
		subnet = ec2_create(
		    ec2, &ec2_subnets, input,
		    network_subnet(ec2, NULL, vpc_id, cidr_format(&range, text), zone, false),
		    error);
	json_decref(vpc);
	return answer_subnet(ec2, subnet);
}

static bool has_default_subnet(struct ec2 *ec2, const char *zone)
{
	json_t *subnets = ec2_find_all(ec2, &ec2_subnets, "DefaultForAz", "true"), *subnet;
	bool found = false;
	size_t i;

	json_array_foreach (subnets, i, subnet) {
		found |= strcmp(doc_str(subnet, "AvailabilityZone", ""), zone) == 0;
	}
	json_decref(subnets);
	return found;
}

/* The default VPC's next free /20. */
static json_t *new_default_subnet(struct ec2 *ec2, const json_t *vpc, int zone,
				  struct aws_error *error)
{
	struct cidr range = {0};
	char text[CIDR_TEXT_MAX];

	if (cidr_parse(doc_str(vpc, "CidrBlock", ""), &range) == 0) {
		range.bits = 20;
		for (int i = 0; i < 16; i++, range.base += 1 << 12) {
			if (is_taken(ec2, doc_str(vpc, "VpcId", ""), &range))
				continue;
			return network_subnet(ec2, NULL, doc_str(vpc, "VpcId", ""),
					      cidr_format(&range, text), zone, true);
		}
	}
	aws_error_set(error, 400, "InsufficientFreeAddressesInVpc",
		      "The default VPC has no free range of addresses.");
	return NULL;
}

EC2_HANDLER(CreateDefaultSubnet)
{
	const char *name = doc_str(input, "AvailabilityZone", "");
	int zone = zone_of(ec2, input, error);
	json_t *vpc, *subnet;

	if (zone < 0)
		return NULL;
	vpc = network_default_vpc(ec2);
	if (vpc == NULL || has_default_subnet(ec2, name)) {
		aws_error_set(error, 400,
			      vpc == NULL ? "DefaultVpcDoesNotExist"
					  : "DefaultSubnetAlreadyExistsInAvailabilityZone",
			      vpc == NULL ? "No default VPC exists for this account in this region."
					  : "The default subnet of '%.80s' already exists.",
			      name);
		json_decref(vpc);
		return NULL;
	}
	subnet = new_default_subnet(ec2, vpc, zone, error);
	json_decref(vpc);
	if (subnet != NULL)
		subnet = ec2_create(ec2, &ec2_subnets, input, subnet, error);
	return answer_subnet(ec2, subnet);
}

/* --- changing and deleting --- */

/* Members of the request, each {"Value": bool}, and where they stand in the document. */
static const struct {
	const char *input, *object, *member; /* object NULL: at top level */
} attributes[] = {
    {"MapPublicIpOnLaunch", NULL, "MapPublicIpOnLaunch"},
    {"AssignIpv6AddressOnCreation", NULL, "AssignIpv6AddressOnCreation"},
    {"EnableDns64", NULL, "EnableDns64"},
    {"MapCustomerOwnedIpOnLaunch", NULL, "MapCustomerOwnedIpOnLaunch"},
    {"EnableResourceNameDnsARecordOnLaunch", "PrivateDnsNameOptionsOnLaunch",
     "EnableResourceNameDnsARecord"},
    {"EnableResourceNameDnsAAAARecordOnLaunch", "PrivateDnsNameOptionsOnLaunch",
     "EnableResourceNameDnsAAAARecord"},
};

EC2_HANDLER(ModifySubnetAttribute)
{
	json_t *subnet = ec2_find(ec2, &ec2_subnets, input, error), *options;
	const char *hostname = doc_str(input, "PrivateDnsHostnameTypeOnLaunch", "");

	if (subnet == NULL)
		return NULL;
	options = doc_object(subnet, "PrivateDnsNameOptionsOnLaunch");
	for (size_t i = 0; i < sizeof(attributes) / sizeof(attributes[0]); i++) {
		const json_t *given = doc_object(input, attributes[i].input);

		if (given != NULL)
			json_object_set_new(attributes[i].object != NULL ? options : subnet,
					    attributes[i].member,
					    json_boolean(doc_bool(given, "Value", false)));
	}
	if (*hostname != '\0')
		json_object_set_new(options, "HostnameType", json_string(hostname));
	return ec2_update(ec2, &ec2_subnets, input, subnet, error);
}

/* A subnet's own association with a route table goes with it. */
static void drop_association(struct ec2 *ec2, struct store_txn *txn, const char *subnet_id)
{
	json_t *table = ec2_find_by(ec2, &ec2_route_tables, "Associations.SubnetId", subnet_id);
	json_t *list = doc_array(table, "Associations");

	if (table == NULL)
		return;
	for (size_t i = json_array_size(list); i-- > 0;)
		if (filter_path_is(json_array_get(list, i), "SubnetId", subnet_id))
			json_array_remove(list, i);
	ec2_txn_put(txn, &ec2_route_tables, table);
}

EC2_HANDLER(DeleteSubnet)
{
	json_t *subnet = ec2_find(ec2, &ec2_subnets, input, error);
	const char *id = doc_str(subnet, "SubnetId", "");
	struct store_txn *txn;
	int result = -1;

	if (subnet == NULL)
		return NULL;
	if (ec2_check_unused(ec2, &ec2_subnets, id, error) == 0) {
		txn = store_begin(ec2->store);
		drop_association(ec2, txn, id);
		ec2_txn_delete(txn, &ec2_subnets, id);
		result = ec2_commit(txn, input, error);
	}
	json_decref(subnet);
	return result == 0 ? ec2_answer_true() : NULL;
}
