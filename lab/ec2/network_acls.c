/* What comes with every VPC: its network ACL (entries: network_acl_entries.c) and DHCP options. */
#include <stdio.h>
#include <string.h>

#include "common/doc/doc.h"
#include "lab/ec2/resource.h"

static const struct filter_field acl_fields[] = {
    {"network-acl-id", "NetworkAclId"},
    {"vpc-id", "VpcId"},
    {"default", "IsDefault"},
    {"owner-id", "OwnerId"},
    {"association.association-id", "Associations.NetworkAclAssociationId"},
    {"association.network-acl-id", "Associations.NetworkAclId"},
    {"association.subnet-id", "Associations.SubnetId"},
    {"entry.icmp.code", "Entries.IcmpTypeCode.Code"},
    {"entry.icmp.type", "Entries.IcmpTypeCode.Type"},
    {"entry.ipv6-cidr", "Entries.Ipv6CidrBlock"},
    {"entry.port-range.from", "Entries.PortRange.From"},
    {"entry.port-range.to", "Entries.PortRange.To"},
    {"entry.cidr", "Entries.CidrBlock"},
    {"entry.egress", "Entries.Egress"},
    {"entry.protocol", "Entries.Protocol"},
    {"entry.rule-action", "Entries.RuleAction"},
    {"entry.rule-number", "Entries.RuleNumber"},
    {NULL, NULL},
};

/* All subnets of its VPC are associated with the one ACL there is. */
static json_t *show(struct ec2 *ec2, const json_t *acl)
{
	const char *acl_id = doc_str(acl, "NetworkAclId", "");
	json_t *subnets = ec2_find_all(ec2, &ec2_subnets, "VpcId", doc_str(acl, "VpcId", ""));
	json_t *associations = json_array(), *subnet;
	char id[64];
	size_t i;

	json_array_foreach (subnets, i, subnet) {
		const char *subnet_id = doc_str(subnet, "SubnetId", "");

		snprintf(id, sizeof(id), "aclassoc-%.20s", subnet_id + strlen("subnet-"));
		json_array_append_new(associations,
				      json_pack("{s:s, s:s, s:s}", "NetworkAclAssociationId", id,
						"NetworkAclId", acl_id, "SubnetId", subnet_id));
	}
	json_decref(subnets);
	return ec2_with(acl, "Associations", associations);
}

const struct ec2_noun ec2_network_acls = {
    .folder = "ec2/network-acl/",
    .output = "NetworkAcls",
    .ids_input = "NetworkAclIds",
    .id_member = "NetworkAclId",
    .id_prefix = "acl",
    .malformed = "InvalidNetworkAclId.Malformed",
    .not_found = "InvalidNetworkAclID.NotFound",
    .label = "networkAcl ID",
    .fields = acl_fields,
    .is_paged = true,
    .resource_type = "network-acl",
    .show = show,
};

EC2_DESCRIBE(DescribeNetworkAcls, ec2_network_acls)

static const struct filter_field options_fields[] = {
    {"dhcp-options-id", "DhcpOptionsId"},
    {"owner-id", "OwnerId"},
    {"key", "DhcpConfigurations.Key"},
    {"value", "DhcpConfigurations.Values.Value"},
    {NULL, NULL},
};

const struct ec2_noun ec2_dhcp_options = {
    .folder = "ec2/dhcp-options/",
    .output = "DhcpOptions",
    .ids_input = "DhcpOptionsIds",
    .id_member = "DhcpOptionsId",
    .id_prefix = "dopt",
    .malformed = "InvalidDhcpOptionsId.Malformed",
    .not_found = "InvalidDhcpOptionID.NotFound",
    .label = "dhcpOption ID",
    .fields = options_fields,
    .is_paged = true,
    .resource_type = "dhcp-options",
};

EC2_DESCRIBE(DescribeDhcpOptions, ec2_dhcp_options)
