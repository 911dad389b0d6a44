/* VPCs, subnets, security groups, zones and regions: what defaults.c made, described. */
#include <stdio.h>
#include <string.h>

#include "common/doc/doc.h"
#include "lab/ec2/defaults.h"
#include "lab/ec2/ec2.h"

#define AWS_ACTION AWS_DECLARE_ACTION
#include "lab/ec2/ec2.def"
#undef AWS_ACTION

static const struct filter_field vpc_fields[] = {
    {"vpc-id", "VpcId"},
    {"state", "State"},
    {"is-default", "IsDefault"},
    {"cidr", "CidrBlock"},
    {"cidr-block", "CidrBlock"},
    {"cidr-block-association.cidr-block", "CidrBlockAssociationSet.CidrBlock"},
    {"dhcp-options-id", "DhcpOptionsId"},
    {"owner-id", "OwnerId"},
    {"instance-tenancy", "InstanceTenancy"},
    {NULL, NULL},
};

const struct ec2_noun ec2_vpcs = {
    .folder = "ec2/vpc/",
    .output = "Vpcs",
    .ids_input = "VpcIds",
    .id_member = "VpcId",
    .id_prefix = "vpc",
    .malformed = "InvalidVpcID.Malformed",
    .not_found = "InvalidVpcID.NotFound",
    .label = "vpc ID",
    .fields = vpc_fields,
    .is_paged = true,
};

static const struct filter_field subnet_fields[] = {
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
    {NULL, NULL},
};

const struct ec2_noun ec2_subnets = {
    .folder = "ec2/subnet/",
    .output = "Subnets",
    .ids_input = "SubnetIds",
    .id_member = "SubnetId",
    .id_prefix = "subnet",
    .malformed = "InvalidSubnetID.NotFound", /* as AWS: it has no Malformed for subnets */
    .not_found = "InvalidSubnetID.NotFound",
    .label = "subnet ID",
    .fields = subnet_fields,
    .is_paged = true,
};

static const struct filter_field group_fields[] = {
    {"group-id", "GroupId"},
    {"group-name", "GroupName"},
    {"vpc-id", "VpcId"},
    {"owner-id", "OwnerId"},
    {"description", "Description"},
    {"ip-permission.protocol", "IpPermissions.IpProtocol"},
    {"ip-permission.cidr", "IpPermissions.IpRanges.CidrIp"},
    {"ip-permission.from-port", "IpPermissions.FromPort"},
    {"ip-permission.to-port", "IpPermissions.ToPort"},
    {"ip-permission.group-id", "IpPermissions.UserIdGroupPairs.GroupId"},
    {"egress.ip-permission.protocol", "IpPermissionsEgress.IpProtocol"},
    {"egress.ip-permission.cidr", "IpPermissionsEgress.IpRanges.CidrIp"},
    {NULL, NULL},
};

const struct ec2_noun ec2_security_groups = {
    .folder = "ec2/security-group/",
    .output = "SecurityGroups",
    .ids_input = "GroupIds",
    .id_member = "GroupId",
    .id_prefix = "sg",
    .malformed = "InvalidGroupId.Malformed",
    .not_found = "InvalidGroup.NotFound",
    .label = "security group",
    .fields = group_fields,
    .is_paged = true,
};

json_t *handle_DescribeVpcs(void *context, const struct aws_call *call, const json_t *input,
			    struct aws_error *error)
{
	(void)call;
	return ec2_describe(context, &ec2_vpcs, input, NULL, error);
}

json_t *handle_DescribeSubnets(void *context, const struct aws_call *call, const json_t *input,
			       struct aws_error *error)
{
	(void)call;
	return ec2_describe(context, &ec2_subnets, input, NULL, error);
}

static bool has_asked_name(const json_t *group, const json_t *input)
{
	const json_t *names = doc_array(input, "GroupNames");

	return json_array_size(names) == 0 || doc_list_has(names, doc_str(group, "GroupName", ""));
}

json_t *handle_DescribeSecurityGroups(void *context, const struct aws_call *call,
				      const json_t *input, struct aws_error *error)
{
	const json_t *name, *names = doc_array(input, "GroupNames");
	json_t *groups = ec2_scan(context, ec2_security_groups.folder);
	size_t i;

	(void)call;
	json_array_foreach (names, i, name) {
		const json_t *group;
		bool is_known = false;
		size_t j;

		json_array_foreach (groups, j, group) {
			is_known |=
			    strcmp(doc_str(group, "GroupName", ""), json_string_value(name)) == 0;
		}
		if (is_known)
			continue;
		aws_error_set(error, 400, "InvalidGroup.NotFound",
			      "The security group '%s' does not exist", json_string_value(name));
		json_decref(groups);
		return NULL;
	}
	json_decref(groups);
	return ec2_describe(context, &ec2_security_groups, input, has_asked_name, error);
}

/* --- zones and regions: not in the store, nobody changes them --- */

/* Keeps what passes the filters and, where names are asked for, is among them (each must be). */
static json_t *choose(json_t *all, const struct filter_field *fields, const char *member,
		      const json_t *names, const json_t *filters, struct aws_error *error)
{
	json_t *chosen = json_array(), *one;
	const json_t *name;
	size_t i, j;

	if (chosen == NULL || all == NULL) {
		ec2_error_memory(error);
		goto fail;
	}
	if (filter_check(filters, fields, error) != 0)
		goto fail;
	json_array_foreach (names, i, name) {
		json_array_foreach (all, j, one) {
			if (strcmp(doc_str(one, member, ""), json_string_value(name)) == 0)
				break;
		}
		if (j < json_array_size(all))
			continue;
		aws_error_set(error, 400, "InvalidParameterValue", "Invalid %s: [%s]",
			      strcmp(member, "RegionName") == 0 ? "region name"
								: "availability zone",
			      json_string_value(name));
		goto fail;
	}
	json_array_foreach (all, j, one) {
		if ((json_array_size(names) == 0 ||
		     doc_list_has(names, doc_str(one, member, ""))) &&
		    filter_match(filters, fields, one) && json_array_append(chosen, one) != 0)
			goto fail;
	}
	json_decref(all);
	return chosen;
fail:
	json_decref(all);
	json_decref(chosen);
	return NULL;
}

static json_t *all_zones(const struct ec2 *ec2)
{
	json_t *all = json_array();
	char name[DEFAULTS_ZONE_MAX], id[DEFAULTS_ZONE_MAX], group[DEFAULTS_ZONE_MAX];

	snprintf(group, sizeof(group), "%.64s-zg-1", ec2->region);
	for (int i = 0; i < DEFAULTS_ZONES; i++) {
		defaults_zone_name(ec2->region, i, name);
		defaults_zone_id(ec2->region, i, id);
		json_array_append_new(
		    all, json_pack("{s:s, s:s, s:[], s:s, s:s, s:s, s:s, s:s, s:s}", "State",
				   "available", "OptInStatus", "opt-in-not-required", "Messages",
				   "RegionName", ec2->region, "ZoneName", name, "ZoneId", id,
				   "GroupName", group, "NetworkBorderGroup", ec2->region,
				   "ZoneType", "availability-zone"));
	}
	return all;
}

json_t *handle_DescribeAvailabilityZones(void *context, const struct aws_call *call,
					 const json_t *input, struct aws_error *error)
{
	static const struct filter_field fields[] = {
	    {"zone-name", "ZoneName"},
	    {"zone-id", "ZoneId"},
	    {"zone-type", "ZoneType"},
	    {"state", "State"},
	    {"group-name", "GroupName"},
	    {"opt-in-status", "OptInStatus"},
	    {"message", "Messages"},
	    {"region-name", "RegionName"},
	    {NULL, NULL},
	};
	bool by_id = json_array_size(doc_array(input, "ZoneIds")) > 0;
	json_t *zones;

	(void)call;
	if (ec2_is_dry_run(input, error))
		return NULL;
	zones = choose(all_zones(context), fields, by_id ? "ZoneId" : "ZoneName",
		       doc_array(input, by_id ? "ZoneIds" : "ZoneNames"),
		       doc_array(input, "Filters"), error);
	return zones == NULL ? NULL : json_pack("{s:o}", "AvailabilityZones", zones);
}

/* Only what is served: the lab's own region. */
json_t *handle_DescribeRegions(void *context, const struct aws_call *call, const json_t *input,
			       struct aws_error *error)
{
	static const struct filter_field fields[] = {
	    {"region-name", "RegionName"},
	    {"endpoint", "Endpoint"},
	    {"opt-in-status", "OptInStatus"},
	    {NULL, NULL},
	};
	const struct ec2 *ec2 = context;
	char endpoint[128];
	json_t *regions;

	(void)call;
	if (ec2_is_dry_run(input, error))
		return NULL;
	snprintf(endpoint, sizeof(endpoint), "ec2.%.64s.amazonaws.com", ec2->region);
	regions = choose(json_pack("[{s:s, s:s, s:s}]", "RegionName", ec2->region, "Endpoint",
				   endpoint, "OptInStatus", "opt-in-not-required"),
			 fields, "RegionName", doc_array(input, "RegionNames"),
			 doc_array(input, "Filters"), error);
	return regions == NULL ? NULL : json_pack("{s:o}", "Regions", regions);
}
