/* Rules of security groups: authorized, revoked, changed and described. */
#include <stdio.h>
#include <string.h>

#include "common/base/ids.h"
#include "common/doc/doc.h"
#include "lab/ec2/security_rules.h"

enum { MAX_RULES = 60 }; /* of a group, each way; AWS's default */

static const struct filter_field fields[] = {
    {"security-group-rule-id", "SecurityGroupRuleId"},
    {"group-id", "GroupId"},
    {"is-egress", "IsEgress"},
    {NULL, NULL},
};

const struct ec2_noun ec2_security_group_rules = {
    .folder = "ec2/security-group-rule/",
    .output = "SecurityGroupRules",
    .ids_input = "SecurityGroupRuleIds",
    .id_member = "SecurityGroupRuleId",
    .id_prefix = "sgr",
    .malformed = "InvalidSecurityGroupRuleId.Malformed",
    .not_found = "InvalidSecurityGroupRuleId.NotFound",
    .label = "security group rule ID",
    .fields = fields,
    .is_paged = true,
    .resource_type = "security-group-rule",
};

EC2_DESCRIBE(DescribeSecurityGroupRules, ec2_security_group_rules)

/* Its index among the rules, or -1. */
static int find_equal(const json_t *rules, const json_t *wanted)
{
	const json_t *rule;
	size_t i;

	json_array_foreach (rules, i, rule) {
		if (rules_equal(rule, wanted))
			return (int)i;
	}
	return -1;
}

static size_t count_way(const json_t *rules, bool is_egress)
{
	const json_t *rule;
	size_t i, n = 0;

	json_array_foreach (rules, i, rule) {
		n += doc_bool(rule, "IsEgress", false) == is_egress;
	}
	return n;
}

static int refuse_duplicate(const json_t *rule, struct aws_error *error)
{
	const char *peer = doc_str(rule, "CidrIpv4", doc_str(rule, "CidrIpv6", NULL));

	if (peer == NULL)
		peer = doc_str(doc_object(rule, "ReferencedGroupInfo"), "GroupId",
			       doc_str(rule, "PrefixListId", ""));
	aws_error_set(error, 400, "InvalidPermission.Duplicate",
		      "the specified rule \"peer: %s, %s, from port: %lld, to port: %lld, ALLOW\" "
		      "already exists",
		      peer, doc_str(rule, "IpProtocol", ""),
		      (long long)doc_int(rule, "FromPort", -1),
		      (long long)doc_int(rule, "ToPort", -1));
	return -1;
}

/* New rules against those there are, and against each other. */
static int check_new(const json_t *known, const json_t *rules, bool is_egress,
		     struct aws_error *error)
{
	const json_t *rule;
	size_t i;

	json_array_foreach (rules, i, rule) {
		if (find_equal(known, rule) >= 0 || find_equal(rules, rule) != (int)i)
			return refuse_duplicate(rule, error);
	}
	if (count_way(known, is_egress) + json_array_size(rules) <= MAX_RULES)
		return 0;
	aws_error_set(error, 400, "RulesPerSecurityGroupLimitExceeded",
		      "The maximum number of rules per security group has been reached.");
	return -1;
}

static int name_rule(const struct ec2 *ec2, json_t *rule, const json_t *input,
		     struct aws_error *error)
{
	char id[ID_TEXT_MAX], arn[256];

	id_ec2(NULL, "sgr", id);
	ec2_arn(ec2, "security-group-rule", id, arn);
	json_object_set_new(rule, "SecurityGroupRuleId", json_string(id));
	json_object_set_new(rule, "SecurityGroupRuleArn", json_string(arn));
	return ec2_add_tags(&ec2_security_group_rules, input, rule, error);
}

/* Writes the rules (changed in place); -1 with error. */
static int put_rules(struct ec2 *ec2, json_t *rules, const json_t *input, struct aws_error *error)
{
	struct store_txn *txn = store_begin(ec2->store);
	json_t *rule;
	size_t i;

	json_array_foreach (rules, i, rule) {
		if (name_rule(ec2, rule, input, error) != 0) {
			store_abort(txn);
			return -1;
		}
		ec2_txn_put(txn, &ec2_security_group_rules, json_incref(rule));
	}
	return ec2_commit(txn, input, error);
}

static json_t *authorize(struct ec2 *ec2, const json_t *input, bool is_egress,
			 struct aws_error *error)
{
	json_t *group = rules_group(ec2, input, error), *rules = NULL, *known, *answer = NULL;

	if (group == NULL)
		return NULL;
	known = rules_of_group(ec2, doc_str(group, "GroupId", ""));
	rules = rules_from_request(ec2, group, input, is_egress, error);
	if (rules != NULL && check_new(known, rules, is_egress, error) == 0 &&
	    put_rules(ec2, rules, input, error) == 0)
		answer = json_pack("{s:b, s:O}", "Return", 1, "SecurityGroupRules", rules);
	json_decref(rules);
	json_decref(known);
	json_decref(group);
	return answer;
}

EC2_HANDLER(AuthorizeSecurityGroupIngress)
{
	return authorize(ec2, input, false, error);
}

EC2_HANDLER(AuthorizeSecurityGroupEgress)
{
	return authorize(ec2, input, true, error);
}

/* --- revoking --- */

/* The rule of the group with this id; borrowed, NULL with error. */
static const json_t *rule_by_id(const json_t *known, const char *id, bool is_egress,
				struct aws_error *error)
{
	const json_t *rule;
	size_t i;

	json_array_foreach (known, i, rule) {
		if (strcmp(doc_str(rule, "SecurityGroupRuleId", ""), id) == 0 &&
		    doc_bool(rule, "IsEgress", false) == is_egress)
			return rule;
	}
	aws_error_set(error, 400,
		      id_is_ec2(id, "sgr") ? "InvalidSecurityGroupRuleId.NotFound"
					   : "InvalidSecurityGroupRuleId.Malformed",
		      "The security group rule ID '%.80s' does not exist", id);
	return NULL;
}

/* Appends the known rules that the request names by id to doomed. */
static int doom_by_ids(const json_t *known, const json_t *input, bool is_egress, json_t *doomed,
		       struct aws_error *error)
{
	const json_t *id;
	size_t i;

	json_array_foreach (doc_array(input, "SecurityGroupRuleIds"), i, id) {
		const json_t *rule = rule_by_id(known, json_string_value(id), is_egress, error);

		if (rule == NULL)
			return -1;
		json_array_append(doomed, (json_t *)rule);
	}
	return 0;
}

static int doom_by_permissions(const json_t *known, const json_t *rules, json_t *doomed,
			       struct aws_error *error)
{
	const json_t *rule;
	size_t i;

	json_array_foreach (rules, i, rule) {
		int index = find_equal(known, rule);

		if (index < 0) {
			aws_error_set(error, 400, "InvalidPermission.NotFound",
				      "The specified rule does not exist in this security group.");
			return -1;
		}
		json_array_append(doomed, json_array_get(known, (size_t)index));
	}
	return 0;
}

/* The group's known rules that the request means: borrowed documents in a new list. */
static json_t *find_doomed(struct ec2 *ec2, const json_t *group, const json_t *input,
			   bool is_egress, struct aws_error *error)
{
	json_t *known = rules_of_group(ec2, doc_str(group, "GroupId", ""));
	json_t *doomed = json_array(), *rules = NULL;
	int result = -1;

	if (json_array_size(doc_array(input, "SecurityGroupRuleIds")) > 0)
		result = doom_by_ids(known, input, is_egress, doomed, error);
	else
		rules = rules_from_request(ec2, group, input, is_egress, error);
	if (rules != NULL)
		result = doom_by_permissions(known, rules, doomed, error);
	json_decref(rules);
	json_decref(known);
	if (result == 0)
		return doomed;
	json_decref(doomed);
	return NULL;
}

/* The rules as Revoke.. tells them. */
static json_t *revoked_rules(const json_t *doomed)
{
	json_t *list = json_array(), *rule;
	size_t i;

	json_array_foreach (doomed, i, rule) {
		const json_t *group = doc_object(rule, "ReferencedGroupInfo");
		json_t *copy = json_copy(rule);

		if (group != NULL)
			json_object_set(copy, "ReferencedGroupId",
					json_object_get(group, "GroupId"));
		json_array_append_new(list, copy);
	}
	return list;
}

static json_t *revoke(struct ec2 *ec2, const json_t *input, bool is_egress, struct aws_error *error)
{
	json_t *group = rules_group(ec2, input, error), *doomed, *rule, *answer = NULL;
	struct store_txn *txn;
	size_t i;

	if (group == NULL)
		return NULL;
	doomed = find_doomed(ec2, group, input, is_egress, error);
	if (doomed != NULL) {
		txn = store_begin(ec2->store);
		json_array_foreach (doomed, i, rule) {
			ec2_txn_delete(txn, &ec2_security_group_rules,
				       doc_str(rule, "SecurityGroupRuleId", ""));
		}
		if (ec2_commit(txn, input, error) == 0)
			answer = json_pack("{s:b, s:o}", "Return", 1, "RevokedSecurityGroupRules",
					   revoked_rules(doomed));
	}
	json_decref(doomed);
	json_decref(group);
	return answer;
}

EC2_HANDLER(RevokeSecurityGroupIngress)
{
	return revoke(ec2, input, false, error);
}

EC2_HANDLER(RevokeSecurityGroupEgress)
{
	return revoke(ec2, input, true, error);
}

/* --- changing --- */

/* old with what one entry of ModifySecurityGroupRules makes of it; NULL with error. */
static json_t *changed_rule(struct ec2 *ec2, const json_t *group, const json_t *old,
			    const json_t *known, const json_t *given, struct aws_error *error)
{
	static const char *const kept[] = {"SecurityGroupRuleId", "SecurityGroupRuleArn", "Tags"};
	json_t *rule = rules_from_one(ec2, group, given, doc_bool(old, "IsEgress", false), error);
	int index = rule == NULL ? -1 : find_equal(known, rule);

	if (rule == NULL)
		return NULL;
	if (index >= 0 && json_array_get(known, (size_t)index) != old) {
		refuse_duplicate(rule, error);
		json_decref(rule);
		return NULL;
	}
	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
		json_object_set(rule, kept[i], json_object_get(old, kept[i]));
	return rule;
}

static const json_t *any_rule_by_id(const json_t *known, const char *id, struct aws_error *error)
{
	struct aws_error first = {0};
	const json_t *rule = rule_by_id(known, id, false, &first);

	return rule != NULL ? rule : rule_by_id(known, id, true, error);
}

static int gather_changes(struct ec2 *ec2, const json_t *group, const json_t *known,
			  const json_t *input, struct store_txn *txn, struct aws_error *error)
{
	const json_t *entry;
	size_t i;

	json_array_foreach (doc_array(input, "SecurityGroupRules"), i, entry) {
		const json_t *old =
		    any_rule_by_id(known, doc_str(entry, "SecurityGroupRuleId", ""), error);
		json_t *rule = NULL;

		if (old != NULL)
			rule = changed_rule(ec2, group, old, known,
					    doc_object(entry, "SecurityGroupRule"), error);
		if (rule == NULL)
			return -1;
		ec2_txn_put(txn, &ec2_security_group_rules, rule);
	}
	return 0;
}

EC2_HANDLER(ModifySecurityGroupRules)
{
	json_t *group = rules_group(ec2, input, error), *known, *answer = NULL;
	struct store_txn *txn;

	if (group == NULL)
		return NULL;
	known = rules_of_group(ec2, doc_str(group, "GroupId", ""));
	txn = store_begin(ec2->store);
	if (gather_changes(ec2, group, known, input, txn, error) != 0)
		store_abort(txn);
	else if (ec2_commit(txn, input, error) == 0)
		answer = ec2_answer_true();
	json_decref(known);
	json_decref(group);
	return answer;
}

/* A copy of a known rule with the description of another, or without one. */
static void put_described(struct store_txn *txn, const json_t *known, const char *description)
{
	json_t *rule = json_deep_copy(known);

	if (*description != '\0')
		json_object_set_new(rule, "Description", json_string(description));
	else
		json_object_del(rule, "Description");
	ec2_txn_put(txn, &ec2_security_group_rules, rule);
}

static int describe_by_ids(const json_t *known, const json_t *descriptions, bool is_egress,
			   struct store_txn *txn, struct aws_error *error)
{
	const json_t *entry;
	size_t i;

	json_array_foreach (descriptions, i, entry) {
		const json_t *rule =
		    rule_by_id(known, doc_str(entry, "SecurityGroupRuleId", ""), is_egress, error);

		if (rule == NULL)
			return -1;
		put_described(txn, rule, doc_str(entry, "Description", ""));
	}
	return 0;
}

static int describe_by_permissions(const json_t *known, const json_t *rules, struct store_txn *txn,
				   struct aws_error *error)
{
	json_t *found = json_array();
	const json_t *rule;
	size_t i;
	int result = doom_by_permissions(known, rules, found, error);

	json_array_foreach (found, i, rule) {
		put_described(txn, rule, doc_str(json_array_get(rules, i), "Description", ""));
	}
	json_decref(found);
	return result;
}

static json_t *update_descriptions(struct ec2 *ec2, const json_t *input, bool is_egress,
				   struct aws_error *error)
{
	const json_t *by_id = doc_array(input, "SecurityGroupRuleDescriptions");
	json_t *group = rules_group(ec2, input, error), *known, *rules = NULL, *answer = NULL;
	struct store_txn *txn;
	int result = -1;

	if (group == NULL)
		return NULL;
	known = rules_of_group(ec2, doc_str(group, "GroupId", ""));
	txn = store_begin(ec2->store);
	if (json_array_size(by_id) > 0)
		result = describe_by_ids(known, by_id, is_egress, txn, error);
	else
		rules = rules_from_request(ec2, group, input, is_egress, error);
	if (rules != NULL)
		result = describe_by_permissions(known, rules, txn, error);
	if (result != 0)
		store_abort(txn);
	else if (ec2_commit(txn, input, error) == 0)
		answer = ec2_answer_true();
	json_decref(rules);
	json_decref(known);
	json_decref(group);
	return answer;
}

EC2_HANDLER(UpdateSecurityGroupRuleDescriptionsIngress)
{
	return update_descriptions(ec2, input, false, error);
}

EC2_HANDLER(UpdateSecurityGroupRuleDescriptionsEgress)
{
	return update_descriptions(ec2, input, true, error);
}
