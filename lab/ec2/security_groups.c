/* Security groups; their rules are in security_group_rules.c. */
#include <stdio.h>
#include <string.h>

#include "common/base/ids.h"
#include "common/doc/doc.h"
#include "lab/ec2/network.h"
#include "lab/ec2/security_rules.h"

enum { MAX_GROUPS = 500, MAX_TEXT = 255 };

static const struct filter_field fields[] = {
    {"group-id", "GroupId"},
    {"group-name", "GroupName"},
    {"vpc-id", "VpcId"},
    {"owner-id", "OwnerId"},
    {"description", "Description"},
    {"ip-permission.protocol", "IpPermissions.IpProtocol"},
    {"ip-permission.cidr", "IpPermissions.IpRanges.CidrIp"},
    {"ip-permission.ipv6-cidr", "IpPermissions.Ipv6Ranges.CidrIpv6"},
    {"ip-permission.prefix-list-id", "IpPermissions.PrefixListIds.PrefixListId"},
    {"ip-permission.from-port", "IpPermissions.FromPort"},
    {"ip-permission.to-port", "IpPermissions.ToPort"},
    {"ip-permission.group-id", "IpPermissions.UserIdGroupPairs.GroupId"},
    {"ip-permission.user-id", "IpPermissions.UserIdGroupPairs.UserId"},
    {"ip-permission.group-name", "IpPermissions.UserIdGroupPairs.GroupName"},
    {"egress.ip-permission.group-name", "IpPermissionsEgress.UserIdGroupPairs.GroupName"},
    {"egress.ip-permission.prefix-list-id", "IpPermissionsEgress.PrefixListIds.PrefixListId"},
    {"egress.ip-permission.user-id", "IpPermissionsEgress.UserIdGroupPairs.UserId"},
    {"egress.ip-permission.protocol", "IpPermissionsEgress.IpProtocol"},
    {"egress.ip-permission.cidr", "IpPermissionsEgress.IpRanges.CidrIp"},
    {"egress.ip-permission.ipv6-cidr", "IpPermissionsEgress.Ipv6Ranges.CidrIpv6"},
    {"egress.ip-permission.from-port", "IpPermissionsEgress.FromPort"},
    {"egress.ip-permission.to-port", "IpPermissionsEgress.ToPort"},
    {"egress.ip-permission.group-id", "IpPermissionsEgress.UserIdGroupPairs.GroupId"},
    {NULL, NULL},
};

static json_t *show(struct ec2 *ec2, const json_t *group)
{
	const char *id = doc_str(group, "GroupId", "");
	json_t *rules = rules_of_group(ec2, id), *copy = json_copy((json_t *)group);
	char arn[256];
	int failed;

	failed =
	    copy == NULL || rules == NULL ||
	    json_object_set_new(copy, "IpPermissions", rules_as_permissions(rules, false)) ||
	    json_object_set_new(copy, "IpPermissionsEgress", rules_as_permissions(rules, true)) ||
	    json_object_set_new(copy, "SecurityGroupArn",
				json_string(ec2_arn(ec2, "security-group", id, arn)));
	json_decref(rules);
	if (!failed)
		return copy;
	json_decref(copy);
	return NULL;
}

/* Rules of its own that name it do not hold it back; those of others do. */
static const struct ec2_use uses[] = {
    {&ec2_network_interfaces, "Groups.GroupId", NULL, NULL},
    {&ec2_security_group_rules, "ReferencedGroupInfo.GroupId", "GroupId", NULL},
    {NULL, NULL, NULL, NULL},
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
    .fields = fields,
    .is_paged = true,
    .resource_type = "security-group",
    .uses = uses,
    .show = show,
};

/* --- describing --- */

static bool has_asked_name(const json_t *group, const json_t *input)
{
	const json_t *names = doc_array(input, "GroupNames");

	return json_array_size(names) == 0 || doc_list_has(names, doc_str(group, "GroupName", ""));
}

EC2_HANDLER(DescribeSecurityGroups)
{
	const json_t *name;
	size_t i;

	json_array_foreach (doc_array(input, "GroupNames"), i, name) {
		if (ec2_count_by(ec2, &ec2_security_groups, "GroupName", json_string_value(name)) >
		    0)
			continue;
		aws_error_set(error, 400, "InvalidGroup.NotFound",
			      "The security group '%s' does not exist", json_string_value(name));
		return NULL;
	}
	return ec2_describe(ec2, &ec2_security_groups, input, has_asked_name, error);
}

/* --- creating --- */

json_t *network_group(const struct ec2 *ec2, const char *id, const char *name,
		      const char *description, const char *vpc_id)
{
	char new_id[ID_TEXT_MAX];

	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:[]}", "GroupId",
			 id != NULL ? id : id_ec2(NULL, "sg", new_id), "GroupName", name,
			 "Description", description, "OwnerId", ec2->account_id, "VpcId", vpc_id,
			 "Tags");
}

json_t *network_rule_for_all(const struct ec2 *ec2, const char *group_id, bool is_egress)
{
	char id[ID_TEXT_MAX], arn[256];
	json_t *rule;

	id_ec2(NULL, "sgr", id);
	rule = json_pack("{s:s, s:s, s:s, s:b, s:s, s:i, s:i, s:[], s:s}", "SecurityGroupRuleId",
			 id, "GroupId", group_id, "GroupOwnerId", ec2->account_id, "IsEgress",
			 is_egress, "IpProtocol", "-1", "FromPort", -1, "ToPort", -1, "Tags",
			 "SecurityGroupRuleArn", ec2_arn(ec2, "security-group-rule", id, arn));
	if (is_egress)
		json_object_set_new(rule, "CidrIpv4", json_string("0.0.0.0/0"));
	else
		json_object_set_new(
		    rule, "ReferencedGroupInfo",
		    json_pack("{s:s, s:s}", "GroupId", group_id, "UserId", ec2->account_id));
	return rule;
}

static int check_texts(const json_t *input, struct aws_error *error)
{
	const char *name = doc_str(input, "GroupName", "");
	const char *description = doc_str(input, "Description", "");

	if (*name == '\0' || *description == '\0') {
		ec2_error_missing(error, *name == '\0' ? "GroupName" : "GroupDescription");
		return -1;
	}
	if (strcmp(name, "default") == 0) {
		aws_error_set(error, 400, "InvalidGroup.Reserved",
			      "Cannot use reserved security group name: default");
		return -1;
	}
	if (strncmp(name, "sg-", 3) == 0) {
		aws_error_set(error, 400, "InvalidParameterValue",
			      "Value (%.80s) for parameter GroupName is invalid. Group names may "
			      "not be in the format sg-*.",
			      name);
		return -1;
	}
	if (strlen(name) <= MAX_TEXT && strlen(description) <= MAX_TEXT)
		return 0;
	aws_error_set(error, 400, "InvalidParameterValue",
		      "GroupName and GroupDescription have at most %d characters.", MAX_TEXT);
	return -1;
}

static int check_name(struct ec2 *ec2, const char *name, const char *vpc_id,
		      struct aws_error *error)
{
	json_t *groups = ec2_find_all(ec2, &ec2_security_groups, "VpcId", vpc_id), *group;
	size_t n = json_array_size(groups), i;
	bool is_known = false;

	json_array_foreach (groups, i, group) {
		is_known |= strcmp(doc_str(group, "GroupName", ""), name) == 0;
	}
	json_decref(groups);
	if (is_known) {
		aws_error_set(error, 400, "InvalidGroup.Duplicate",
			      "The security group '%s' already exists for VPC '%s'", name, vpc_id);
		return -1;
	}
	if (n < MAX_GROUPS)
		return 0;
	aws_error_set(error, 400, "SecurityGroupLimitExceeded",
		      "The maximum number of security groups has been reached.");
	return -1;
}

/* The request's VPC, or the default one. */
static json_t *vpc_of(struct ec2 *ec2, const json_t *input, struct aws_error *error)
{
	json_t *vpc;

	if (doc_has(input, "VpcId"))
		return ec2_find(ec2, &ec2_vpcs, input, error);
	vpc = network_default_vpc(ec2);
	if (vpc == NULL)
		aws_error_set(error, 400, "VPCIdNotSpecified", "No default VPC for this user");
	return vpc;
}

/* With the rule that lets everything out. */
static json_t *create_group(struct ec2 *ec2, const json_t *input, const char *vpc_id,
			    struct aws_error *error)
{
	json_t *group = network_group(ec2, NULL, doc_str(input, "GroupName", ""),
				      doc_str(input, "Description", ""), vpc_id);
	struct store_txn *txn;

	if (ec2_add_tags(&ec2_security_groups, input, group, error) != 0)
		goto fail;
	txn = store_begin(ec2->store);
	ec2_txn_put(txn, &ec2_security_groups, json_incref(group));
	ec2_txn_put(txn, &ec2_security_group_rules,
		    network_rule_for_all(ec2, doc_str(group, "GroupId", ""), true));
	if (ec2_commit(txn, input, error) == 0)
		return group;
fail:
	json_decref(group);
	return NULL;
}

EC2_HANDLER(CreateSecurityGroup)
{
	json_t *vpc, *group = NULL, *shown;
	const char *vpc_id;

	if (check_texts(input, error) != 0)
		return NULL;
	vpc = vpc_of(ec2, input, error);
	vpc_id = doc_str(vpc, "VpcId", "");
	if (vpc != NULL && check_name(ec2, doc_str(input, "GroupName", ""), vpc_id, error) == 0)
		group = create_group(ec2, input, vpc_id, error);
	json_decref(vpc);
	if (group == NULL)
		return NULL;
	shown = show(ec2, group);
	json_decref(group);
	if (shown == NULL)
		ec2_error_memory(error);
	return shown;
}

/* --- deleting --- */

static int check_delete(struct ec2 *ec2, const json_t *group, struct aws_error *error)
{
	const char *id = doc_str(group, "GroupId", "");

	if (strcmp(doc_str(group, "GroupName", ""), "default") == 0) {
		aws_error_set(error, 400, "CannotDelete",
			      "the specified group: \"%s\" name: \"default\" cannot be deleted by "
			      "a user",
			      id);
		return -1;
	}
	if (ec2_check_unused(ec2, &ec2_security_groups, id, error) == 0)
		return 0;
	aws_error_set(error, 400, "DependencyViolation", "resource %s has a dependent object", id);
	return -1;
}

EC2_HANDLER(DeleteSecurityGroup)
{
	json_t *group = rules_group(ec2, input, error), *rules, *rule, *answer;
	const char *id = doc_str(group, "GroupId", "");
	struct store_txn *txn;
	size_t i;

	if (group == NULL || check_delete(ec2, group, error) != 0) {
		json_decref(group);
		return NULL;
	}
	txn = store_begin(ec2->store);
	rules = rules_of_group(ec2, id);
	json_array_foreach (rules, i, rule) {
		ec2_txn_delete(txn, &ec2_security_group_rules,
			       doc_str(rule, "SecurityGroupRuleId", ""));
	}
	json_decref(rules);
	ec2_txn_delete(txn, &ec2_security_groups, id);
	answer = json_pack("{s:b, s:s}", "Return", 1, "GroupId", id);
	json_decref(group);
	if (ec2_commit(txn, input, error) == 0)
		return answer;
	json_decref(answer);
	return NULL;
}
