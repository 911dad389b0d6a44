/* See security_rules.h. */
#include "lab/ec2/security_rules.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/doc/doc.h"
#include "lab/ec2/cidr.h"
#include "lab/ec2/network.h"

enum { MAX_PORT = 65535, MAX_DESCRIPTION = 255, RANGE_TEXT_MAX = 64 };

/* --- the group --- */

json_t *rules_group(struct ec2 *ec2, const json_t *input, struct aws_error *error)
{
	const char *name = doc_str(input, "GroupName", "");
	json_t *vpc, *groups, *group, *found = NULL;
	size_t i;

	if (doc_has(input, "GroupId") || *name == '\0')
		return ec2_find(ec2, &ec2_security_groups, input, error);
	vpc = network_default_vpc(ec2);
	groups = ec2_find_all(ec2, &ec2_security_groups, "GroupName", name);
	json_array_foreach (groups, i, group) {
		if (strcmp(doc_str(group, "VpcId", ""), doc_str(vpc, "VpcId", "-")) == 0)
			found = json_deep_copy(group);
	}
	json_decref(groups);
	json_decref(vpc);
	if (found == NULL)
		aws_error_set(error, 400, "InvalidGroup.NotFound",
			      "The security group '%s' does not exist in default VPC", name);
	return found;
}

/* --- protocol and ports --- */

static const struct {
	const char *number, *name;
} protocols[] = {{"1", "icmp"}, {"6", "tcp"}, {"17", "udp"}, {"58", "icmpv6"}, {"all", "-1"}};
enum { N_PROTOCOLS = sizeof(protocols) / sizeof(protocols[0]) };

/* The spelling that AWS shows; NULL for what is no protocol. */
static const char *protocol_name(const char *text)
{
	char *end;
	long number = strtol(text, &end, 10);

	for (int i = 0; i < N_PROTOCOLS; i++)
		if (strcasecmp(text, protocols[i].number) == 0 ||
		    strcasecmp(text, protocols[i].name) == 0)
			return protocols[i].name;
	return *text != '\0' && *end == '\0' && number >= 0 && number <= 255 ? text : NULL;
}

static bool has_ports(const char *protocol)
{
	return strcmp(protocol, "tcp") == 0 || strcmp(protocol, "udp") == 0;
}

static bool has_types(const char *protocol)
{
	return strncmp(protocol, "icmp", 4) == 0;
}

static int check_ports(const json_t *given, const char *protocol, struct aws_error *error)
{
	int64_t from = doc_int(given, "FromPort", -1), to = doc_int(given, "ToPort", -1);

	if (has_types(protocol) && from >= -1 && from <= 255 && to >= -1 && to <= 255)
		return 0;
	if (!has_types(protocol) && !has_ports(protocol))
		return 0;
	if (!doc_has(given, "FromPort") || !doc_has(given, "ToPort")) {
		aws_error_set(error, 400, "InvalidParameterValue",
			      "Invalid value 'Must specify both from and to ports with TCP/UDP.' "
			      "for portRange.");
		return -1;
	}
	if (has_ports(protocol) && from >= 0 && from <= to && to <= MAX_PORT)
		return 0;
	aws_error_set(error, 400, "InvalidParameterValue",
		      "Invalid value '%lld-%lld' for portRange.", (long long)from, (long long)to);
	return -1;
}

/* {IsEgress, IpProtocol, FromPort, ToPort} and whose it is; NULL with error. */
static json_t *new_rule(struct ec2 *ec2, const json_t *group, const json_t *given, bool is_egress,
			struct aws_error *error)
{
	const char *text = doc_str(given, "IpProtocol", "");
	const char *protocol = protocol_name(text);
	bool is_ranged;

	if (*text == '\0') {
		ec2_error_missing(error, "ipProtocol");
		return NULL;
	}
	if (protocol == NULL) {
		aws_error_set(error, 400, "InvalidParameterValue",
			      "Invalid value '%.40s' for IP protocol. Unknown protocol.", text);
		return NULL;
	}
	if (check_ports(given, protocol, error) != 0)
		return NULL;
	is_ranged = has_ports(protocol) || has_types(protocol);
	return json_pack("{s:s, s:s, s:b, s:s, s:I, s:I}", "GroupId", doc_str(group, "GroupId", ""),
			 "GroupOwnerId", ec2->account_id, "IsEgress", is_egress, "IpProtocol",
			 protocol, "FromPort",
			 (json_int_t)(is_ranged ? doc_int(given, "FromPort", -1) : -1), "ToPort",
			 (json_int_t)(is_ranged ? doc_int(given, "ToPort", -1) : -1));
}

/* --- sources --- */

static int canonical_ipv4(const char *text, char range[RANGE_TEXT_MAX])
{
	struct cidr cidr;

	if (cidr_parse(text, &cidr) != 0)
		return -1;
	cidr_format(&cidr, range);
	return 0;
}

static int canonical_ipv6(const char *text, char range[RANGE_TEXT_MAX])
{
	const char *slash = strchr(text, '/');
	struct in6_addr address;
	char host[48], *end;
	long bits = 128;

	snprintf(host, sizeof(host), "%.*s", (int)strcspn(text, "/"), text);
	if (inet_pton(AF_INET6, host, &address) != 1)
		return -1;
	if (slash != NULL) {
		bits = strtol(slash + 1, &end, 10);
		if (!isdigit((unsigned char)slash[1]) || *end != '\0' || bits > 128)
			return -1;
	}
	for (long bit = bits; bit < 128; bit++)
		address.s6_addr[bit / 8] &= (unsigned char)~(128U >> bit % 8);
	if (inet_ntop(AF_INET6, &address, host, sizeof(host)) == NULL)
		return -1;
	snprintf(range, RANGE_TEXT_MAX, "%s/%d", host, (int)(bits & 255));
	return 0;
}

/* The kinds of sources: where a permission lists them, where a rule has its one. */
static const struct source {
	const char *list, *member, *rule_member;
	int (*canonical)(const char *text, char range[RANGE_TEXT_MAX]); /* NULL: as it is */
} sources[] = {
    {"IpRanges", "CidrIp", "CidrIpv4", canonical_ipv4},
    {"Ipv6Ranges", "CidrIpv6", "CidrIpv6", canonical_ipv6},
    {"PrefixListIds", "PrefixListId", "PrefixListId", NULL},
};
enum { N_SOURCES = sizeof(sources) / sizeof(sources[0]) };

static int set_range(json_t *rule, const struct source *source, const char *text,
		     struct aws_error *error)
{
	char range[RANGE_TEXT_MAX];

	snprintf(range, sizeof(range), "%.63s", text);
	if (source->canonical == NULL || source->canonical(text, range) == 0)
		return json_object_set_new(rule, source->rule_member, json_string(range));
	aws_error_set(error, 400, "InvalidParameterValue", "CIDR block %.80s is malformed", text);
	return -1;
}

static int set_group(struct ec2 *ec2, json_t *rule, const json_t *pair, struct aws_error *error)
{
	json_t *source = rules_group(ec2, pair, error);
	const char *user = doc_str(pair, "UserId", ec2->account_id);

	if (source == NULL)
		return -1;
	json_object_set_new(
	    rule, "ReferencedGroupInfo",
	    json_pack("{s:s, s:s}", "GroupId", doc_str(source, "GroupId", ""), "UserId", user));
	json_decref(source);
	return 0;
}

static int set_description(json_t *rule, const json_t *given, struct aws_error *error)
{
	const char *text = doc_str(given, "Description", "");

	if (strlen(text) > MAX_DESCRIPTION) {
		aws_error_set(error, 400, "InvalidParameterValue",
			      "Invalid rule description. Rule descriptions can have at most %d "
			      "characters.",
			      MAX_DESCRIPTION);
		return -1;
	}
	if (*text != '\0')
		return json_object_set_new(rule, "Description", json_string(text));
	return 0;
}

/* --- requests --- */

struct reading {
	struct ec2 *ec2;
	const json_t *group;
	bool is_egress;
	json_t *rules;
	struct aws_error *error;
};

/* Appends the rule of one source of a permission; source NULL: a group. */
static int add_rule(struct reading *r, const json_t *permission, const struct source *source,
		    const json_t *one)
{
	json_t *rule = new_rule(r->ec2, r->group, permission, r->is_egress, r->error);
	int failed;

	if (rule == NULL)
		return -1;
	if (source == NULL)
		failed = set_group(r->ec2, rule, one, r->error);
	else
		failed = set_range(rule, source, doc_str(one, source->member, ""), r->error);
	if (failed || set_description(rule, one, r->error) != 0) {
		json_decref(rule);
		return -1;
	}
	return json_array_append_new(r->rules, rule);
}

static int add_permission(struct reading *r, const json_t *permission)
{
	const json_t *pairs = doc_array(permission, "UserIdGroupPairs"), *one;
	size_t before = json_array_size(r->rules), j;

	for (int i = 0; i < N_SOURCES; i++) {
		json_array_foreach (doc_array(permission, sources[i].list), j, one) {
			if (add_rule(r, permission, &sources[i], one) != 0)
				return -1;
		}
	}
	json_array_foreach (pairs, j, one) {
		if (add_rule(r, permission, NULL, one) != 0)
			return -1;
	}
	if (json_array_size(r->rules) > before)
		return 0;
	aws_error_set(r->error, 400, "MissingParameter", "Missing source specification");
	return -1;
}

/* CidrIp and its companions as one permission. */
static int add_short_form(struct reading *r, const json_t *input)
{
	const char *name = doc_str(input, "SourceSecurityGroupName", "");
	json_t *one;
	int result;

	if (*name != '\0') {
		one = json_pack("{s:s}", "GroupName", name);
		result = add_rule(r, input, NULL, one);
	} else {
		one = json_pack("{s:s}", "CidrIp", doc_str(input, "CidrIp", ""));
		result = add_rule(r, input, &sources[0], one);
	}
	json_decref(one);
	return result;
}

json_t *rules_from_request(struct ec2 *ec2, const json_t *group, const json_t *input,
			   bool is_egress, struct aws_error *error)
{
	const json_t *permissions = doc_array(input, "IpPermissions"), *permission;
	struct reading r = {ec2, group, is_egress, json_array(), error};
	size_t i;

	if (json_array_size(permissions) == 0 && !doc_has(input, "IpProtocol")) {
		aws_error_set(error, 400, "MissingParameter",
			      "The request must contain the parameter ipPermissions");
		goto fail;
	}
	if (json_array_size(permissions) == 0 && add_short_form(&r, input) != 0)
		goto fail;
	json_array_foreach (permissions, i, permission) {
		if (add_permission(&r, permission) != 0)
			goto fail;
	}
	return r.rules;
fail:
	if (error->http_status == 0)
		ec2_error_memory(error);
	json_decref(r.rules);
	return NULL;
}

json_t *rules_from_one(struct ec2 *ec2, const json_t *group, const json_t *given, bool is_egress,
		       struct aws_error *error)
{
	struct reading r = {ec2, group, is_egress, json_array(), error};
	json_t *one = NULL, *rule = NULL;
	int result = -1;

	if (doc_has(given, "ReferencedGroupId")) {
		one = json_pack("{s:s, s:s}", "GroupId", doc_str(given, "ReferencedGroupId", ""),
				"Description", doc_str(given, "Description", ""));
		result = add_rule(&r, given, NULL, one);
	}
	for (int i = 0; i < N_SOURCES && one == NULL; i++) {
		if (!doc_has(given, sources[i].rule_member))
			continue;
		one = json_pack("{s:s, s:s}", sources[i].member,
				doc_str(given, sources[i].rule_member, ""), "Description",
				doc_str(given, "Description", ""));
		result = add_rule(&r, given, &sources[i], one);
	}
	if (one == NULL)
		aws_error_set(error, 400, "MissingParameter", "Missing source specification");
	if (result == 0)
		rule = json_incref(json_array_get(r.rules, 0));
	json_decref(one);
	json_decref(r.rules);
	return rule;
}

/* --- comparing and showing --- */

static bool are_equal(const json_t *a, const json_t *b, const char *const members[], size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const json_t *x = json_object_get(a, members[i]);
		const json_t *y = json_object_get(b, members[i]);

		if (x != y && (x == NULL || y == NULL || !json_equal(x, y)))
			return false;
	}
	return true;
}

bool rules_equal(const json_t *a, const json_t *b)
{
	static const char *const members[] = {"IsEgress",     "IpProtocol",         "FromPort",
					      "ToPort",       "CidrIpv4",           "CidrIpv6",
					      "PrefixListId", "ReferencedGroupInfo"};

	return are_equal(a, b, members, sizeof(members) / sizeof(members[0]));
}

json_t *rules_of_group(struct ec2 *ec2, const char *group_id)
{
	return ec2_find_all(ec2, &ec2_security_group_rules, "GroupId", group_id);
}

/* The entry for the rule's protocol and ports, made where there is none yet. */
static json_t *permission_for(json_t *permissions, const json_t *rule)
{
	static const char *const members[] = {"IpProtocol", "FromPort", "ToPort"};
	const char *protocol = doc_str(rule, "IpProtocol", "");
	json_t *permission;
	size_t i;

	json_array_foreach (permissions, i, permission) {
		if (are_equal(json_object_get(permission, "Lab"), rule, members, 3))
			return permission;
	}
	permission =
	    json_pack("{s:s, s:[], s:[], s:[], s:[], s:{s:s, s:O, s:O}}", "IpProtocol", protocol,
		      "IpRanges", "Ipv6Ranges", "PrefixListIds", "UserIdGroupPairs", "Lab",
		      "IpProtocol", protocol, "FromPort", json_object_get(rule, "FromPort"),
		      "ToPort", json_object_get(rule, "ToPort"));
	/* Ports only where the protocol has some. */
	if (has_ports(protocol) || has_types(protocol)) {
		json_object_set(permission, "FromPort", json_object_get(rule, "FromPort"));
		json_object_set(permission, "ToPort", json_object_get(rule, "ToPort"));
	}
	return json_array_append_new(permissions, permission) == 0 ? permission : NULL;
}

static int add_source(json_t *permission, const json_t *rule)
{
	const json_t *group = json_object_get(rule, "ReferencedGroupInfo");
	const char *description = doc_str(rule, "Description", NULL);

	if (group != NULL)
		return json_array_append_new(
		    doc_array(permission, "UserIdGroupPairs"),
		    json_pack("{s:s, s:s, s:s*}", "GroupId", doc_str(group, "GroupId", ""),
			      "UserId", doc_str(group, "UserId", ""), "Description", description));
	for (int i = 0; i < N_SOURCES; i++)
		if (doc_has(rule, sources[i].rule_member))
			return json_array_append_new(
			    doc_array(permission, sources[i].list),
			    json_pack("{s:s, s:s*}", sources[i].member,
				      doc_str(rule, sources[i].rule_member, ""), "Description",
				      description));
	return 0;
}

json_t *rules_as_permissions(const json_t *rules, bool is_egress)
{
	json_t *permissions = json_array();
	const json_t *rule;
	size_t i;

	json_array_foreach (rules, i, rule) {
		json_t *permission;

		if (doc_bool(rule, "IsEgress", false) != is_egress)
			continue;
		permission = permission_for(permissions, rule);
		if (permission == NULL || add_source(permission, rule) != 0)
			goto oom;
	}
	return permissions;
oom:
	json_decref(permissions);
	return NULL;
}
