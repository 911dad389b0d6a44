/* VPCs: created with all that comes with one, their attributes, deleted. */
#include <stdio.h>
#include <string.h>

#include "common/base/ids.h"
#include "common/doc/doc.h"
#include "lab/ec2/defaults.h"
#include "lab/ec2/network.h"

enum { MAX_VPCS = 100, MIN_BITS = 16, MAX_BITS = 28 };

static const struct filter_field fields[] = {
    {"vpc-id", "VpcId"},
    {"state", "State"},
    {"is-default", "IsDefault"},
    {"cidr", "CidrBlock"},
    {"cidr-block", "CidrBlock"},
    {"cidr-block-association.cidr-block", "CidrBlockAssociationSet.CidrBlock"},
    {"cidr-block-association.association-id", "CidrBlockAssociationSet.AssociationId"},
    {"cidr-block-association.state", "CidrBlockAssociationSet.CidrBlockState.State"},
    {"ipv6-cidr-block-association.ipv6-cidr-block", "Ipv6CidrBlockAssociationSet.Ipv6CidrBlock"},
    {"ipv6-cidr-block-association.association-id", "Ipv6CidrBlockAssociationSet.AssociationId"},
    {"ipv6-cidr-block-association.state", "Ipv6CidrBlockAssociationSet.Ipv6CidrBlockState.State"},
    {"ipv6-cidr-block-association.ipv6-pool", "Ipv6CidrBlockAssociationSet.Ipv6Pool"},
    {"dhcp-options-id", "DhcpOptionsId"},
    {"owner-id", "OwnerId"},
    {"instance-tenancy", "InstanceTenancy"},
    {NULL, NULL},
};

/* What comes with a VPC goes with it. */
static const struct ec2_use uses[] = {
    {&ec2_subnets, "VpcId", NULL, NULL},
    {&ec2_internet_gateways, "Attachments.VpcId", NULL, NULL},
    {&ec2_security_groups, "VpcId", "GroupName", "default"},
    {&ec2_route_tables, "VpcId", "Associations.Main", "true"},
    {NULL, NULL, NULL, NULL},
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
    .fields = fields,
    .is_paged = true,
    .resource_type = "vpc",
    .uses = uses,
};

EC2_DESCRIBE(DescribeVpcs, ec2_vpcs)

json_t *network_default_vpc(struct ec2 *ec2)
{
	return ec2_find_by(ec2, &ec2_vpcs, "IsDefault", "true");
}

/* --- creating --- */

static json_t *vpc_document(const struct ec2 *ec2, const char *cidr, const char *id, json_t *tags)
{
	char new_id[ID_TEXT_MAX], association[ID_TEXT_MAX];
	bool is_default = id != NULL;

	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:b, s:[{s:s, s:s, s:{s:s}}], s:[], s:o,"
			 " s:b, s:b, s:b}",
			 "VpcId", id != NULL ? id : id_ec2(NULL, "vpc", new_id), "CidrBlock", cidr,
			 "DhcpOptionsId", DEFAULTS_DHCP_OPTIONS_ID, "State", "available", "OwnerId",
			 ec2->account_id, "InstanceTenancy", "default", "IsDefault", is_default,
			 "CidrBlockAssociationSet", "AssociationId",
			 id_ec2(NULL, "vpc-cidr-assoc", association), "CidrBlock", cidr,
			 "CidrBlockState", "State", "associated", "Ipv6CidrBlockAssociationSet",
			 "Tags", tags, "EnableDnsSupport", 1, "EnableDnsHostnames", is_default,
			 "EnableNetworkAddressUsageMetrics", 0);
}

static json_t *route_table_document(const struct ec2 *ec2, const char *vpc_id, const char *cidr,
				    const struct network_ids *ids)
{
	char id[ID_TEXT_MAX], association[ID_TEXT_MAX];
	json_t *table;

	id_ec2(NULL, "rtb", id);
	if (ids->route_table != NULL)
		snprintf(id, sizeof(id), "%s", ids->route_table);
	table = json_pack("{s:s, s:s, s:s, s:[{s:b, s:s, s:s, s:{s:s}}], s:[{s:s, s:s, s:s, s:s}],"
			  " s:[], s:[]}",
			  "RouteTableId", id, "VpcId", vpc_id, "OwnerId", ec2->account_id,
			  "Associations", "Main", 1, "RouteTableAssociationId",
			  id_ec2(NULL, "rtbassoc", association), "RouteTableId", id,
			  "AssociationState", "State", "associated", "Routes",
			  "DestinationCidrBlock", cidr, "GatewayId", "local", "Origin",
			  "CreateRouteTable", "State", "active", "PropagatingVgws", "Tags");
	if (ids->gateway != NULL)
		json_array_append_new(doc_array(table, "Routes"),
				      json_pack("{s:s, s:s, s:s, s:s}", "DestinationCidrBlock",
						"0.0.0.0/0", "GatewayId", ids->gateway, "Origin",
						"CreateRoute", "State", "active"));
	return table;
}

static json_t *acl_document(const struct ec2 *ec2, const char *vpc_id, const char *id)
{
	char new_id[ID_TEXT_MAX];
	json_t *entries = json_array();

	for (int i = 0; i < 4; i++)
		json_array_append_new(entries,
				      json_pack("{s:s, s:b, s:s, s:s, s:i}", "CidrBlock",
						"0.0.0.0/0", "Egress", i < 2, "Protocol", "-1",
						"RuleAction", i % 2 == 0 ? "allow" : "deny",
						"RuleNumber", i % 2 == 0 ? 100 : 32767));
	return json_pack("{s:s, s:s, s:s, s:b, s:o, s:[]}", "NetworkAclId",
			 id != NULL ? id : id_ec2(NULL, "acl", new_id), "VpcId", vpc_id, "OwnerId",
			 ec2->account_id, "IsDefault", 1, "Entries", entries, "Tags");
}

json_t *network_add_vpc(struct ec2 *ec2, struct store_txn *txn, const char *cidr,
			const struct network_ids *ids, json_t *tags)
{
	json_t *vpc = vpc_document(ec2, cidr, ids->vpc, tags), *group;
	const char *id = doc_str(vpc, "VpcId", ""), *group_id;

	ec2_txn_put(txn, &ec2_vpcs, json_incref(vpc));
	ec2_txn_put(txn, &ec2_route_tables, route_table_document(ec2, id, cidr, ids));
	ec2_txn_put(txn, &ec2_network_acls, acl_document(ec2, id, ids->acl));
	group = network_group(ec2, ids->group, "default", "default VPC security group", id);
	group_id = doc_str(group, "GroupId", "");
	ec2_txn_put(txn, &ec2_security_group_rules, network_rule_for_all(ec2, group_id, false));
	ec2_txn_put(txn, &ec2_security_group_rules, network_rule_for_all(ec2, group_id, true));
	ec2_txn_put(txn, &ec2_security_groups, group);
	return vpc;
}

/* The request's range, host bits cleared as AWS does. */
static int check_range(const json_t *input, char range[CIDR_TEXT_MAX], struct aws_error *error)
{
	const char *text = doc_str(input, "CidrBlock", "");
	struct cidr cidr;

	if (*text == '\0') {
		ec2_error_missing(error, "cidrBlock");
		return -1;
	}
	if (cidr_parse(text, &cidr) != 0) {
		aws_error_set(error, 400, "InvalidParameterValue",
			      "Value (%s) for parameter cidrBlock is invalid. This is not a valid "
			      "CIDR block.",
			      text);
		return -1;
	}
	cidr_format(&cidr, range);
	if (cidr.bits >= MIN_BITS && cidr.bits <= MAX_BITS)
		return 0;
	aws_error_set(error, 400, "InvalidVpc.Range", "The CIDR '%s' is invalid.", text);
	return -1;
}

static int check_create(struct ec2 *ec2, const json_t *input, char range[CIDR_TEXT_MAX],
			struct aws_error *error)
{
	if (check_range(input, range, error) != 0)
		return -1;
	if (ec2_count_by(ec2, &ec2_vpcs, "State", "available") < MAX_VPCS)
		return 0;
	aws_error_set(error, 400, "VpcLimitExceeded",
		      "The maximum number of VPCs has been reached.");
	return -1;
}

EC2_HANDLER(CreateVpc)
{
	static const struct network_ids new_ids;
	char range[CIDR_TEXT_MAX];
	struct store_txn *txn;
	json_t *tags, *vpc;
	int result;

	if (check_create(ec2, input, range, error) != 0)
		return NULL;
	tags = ec2_spec_tags(doc_array(input, "TagSpecifications"), "vpc", error);
	if (tags == NULL)
		return NULL;
	txn = store_begin(ec2->store);
	vpc = network_add_vpc(ec2, txn, range, &new_ids, tags);
	result = ec2_commit(txn, input, error);
	/* Pending in this answer, available in the next: waiters see both. */
	if (result == 0)
		return json_pack("{s:o}", "Vpc", ec2_now_shown(vpc, "State", "pending"));
	json_decref(vpc);
	return NULL;
}

EC2_HANDLER(CreateDefaultVpc)
{
	json_t *vpc = network_default_vpc(ec2);
	struct store_txn *txn;

	if (vpc != NULL) {
		json_decref(vpc);
		aws_error_set(error, 400, "DefaultVpcAlreadyExists",
			      "A Default VPC already exists for this account in this region.");
		return NULL;
	}
	txn = store_begin(ec2->store);
	defaults_add_network(ec2, txn);
	if (ec2_commit(txn, input, error) != 0)
		return NULL;
	return json_pack("{s:o}", "Vpc", network_default_vpc(ec2));
}

/* --- attributes --- */

static const char *const attributes[] = {"EnableDnsSupport", "EnableDnsHostnames",
					 "EnableNetworkAddressUsageMetrics"};
enum { N_ATTRIBUTES = sizeof(attributes) / sizeof(attributes[0]) };

EC2_HANDLER(DescribeVpcAttribute)
{
	json_t *vpc = ec2_find(ec2, &ec2_vpcs, input, error), *answer = NULL;
	const char *wanted = doc_str(input, "Attribute", "");

	if (vpc == NULL || ec2_is_dry_run(input, error))
		goto out;
	for (int i = 0; i < N_ATTRIBUTES; i++)
		if (filter_name_equal(wanted, attributes[i]))
			answer =
			    json_pack("{s:s, s:{s:b}}", "VpcId", doc_str(vpc, "VpcId", ""),
				      attributes[i], "Value", doc_bool(vpc, attributes[i], false));
	if (answer == NULL)
		aws_error_set(error, 400, "InvalidParameterValue",
			      "Value (%.80s) for parameter attribute is invalid. Unknown vpc "
			      "attribute",
			      wanted);
out:
	json_decref(vpc);
	return answer;
}

EC2_HANDLER(ModifyVpcAttribute)
{
	json_t *vpc = ec2_find(ec2, &ec2_vpcs, input, error);
	int n = 0;

	if (vpc == NULL)
		return NULL;
	for (int i = 0; i < N_ATTRIBUTES; i++) {
		const json_t *given = doc_object(input, attributes[i]);

		if (given == NULL)
			continue;
		n++;
		json_object_set_new(vpc, attributes[i],
				    json_boolean(doc_bool(given, "Value", false)));
	}
	if (n == 1)
		return ec2_update(ec2, &ec2_vpcs, input, vpc, error);
	aws_error_set(error, 400, "InvalidParameterCombination",
		      n == 0 ? "No attributes specified."
			     : "Fields for multiple attribute types specified");
	json_decref(vpc);
	return NULL;
}

/* --- deleting --- */

static void delete_all(struct ec2 *ec2, struct store_txn *txn, const struct ec2_noun *noun,
		       const char *path, const char *id)
{
	json_t *found = ec2_find_all(ec2, noun, path, id), *document;
	size_t i;

	json_array_foreach (found, i, document) {
		ec2_txn_delete(txn, noun, doc_str(document, noun->id_member, ""));
	}
	json_decref(found);
}

EC2_HANDLER(DeleteVpc)
{
	json_t *vpc = ec2_find(ec2, &ec2_vpcs, input, error), *group;
	const char *id = doc_str(vpc, "VpcId", "");
	struct store_txn *txn;
	int result = -1;

	if (vpc == NULL)
		return NULL;
	if (ec2_check_unused(ec2, &ec2_vpcs, id, error) == 0) {
		txn = store_begin(ec2->store);
		group = ec2_find_by(ec2, &ec2_security_groups, "VpcId", id);
		delete_all(ec2, txn, &ec2_security_group_rules, "GroupId",
			   doc_str(group, "GroupId", "-"));
		json_decref(group);
		delete_all(ec2, txn, &ec2_security_groups, "VpcId", id);
		delete_all(ec2, txn, &ec2_route_tables, "VpcId", id);
		delete_all(ec2, txn, &ec2_network_acls, "VpcId", id);
		ec2_txn_delete(txn, &ec2_vpcs, id);
		result = ec2_commit(txn, input, error);
	}
	json_decref(vpc);
	return result == 0 ? ec2_answer_true() : NULL;
}

/* --- ClassicLink, which AWS has ended --- */

static json_t *refuse_classic_link(struct aws_error *error)
{
	aws_error_set(error, 400, "UnsupportedOperation",
		      "The functionality you requested is not available in this region.");
	return NULL;
}

EC2_HANDLER(DescribeVpcClassicLink)
{
	(void)ec2;
	(void)input;
	return refuse_classic_link(error);
}

EC2_HANDLER(DescribeVpcClassicLinkDnsSupport)
{
	(void)ec2;
	(void)input;
	return refuse_classic_link(error);
}
