/* The entries of a VPC's network ACL: modules that manage the default one change them. */
#include <stdio.h>
#include <string.h>

#include "common/doc/doc.h"
#include "lab/ec2/resource.h"

enum { MAX_ENTRIES = 40, LAST_RULE = 32766 };

/* Its index, or -1. */
static int find_entry(const json_t *acl, int64_t number, bool is_egress)
{
	const json_t *entry;
	size_t i;

	json_array_foreach (doc_array(acl, "Entries"), i, entry) {
		if (doc_int(entry, "RuleNumber", 0) == number &&
		    doc_bool(entry, "Egress", false) == is_egress)
			return (int)i;
	}
	return -1;
}

/* The entry that the request describes. */
static json_t *new_entry(const json_t *input)
{
	static const char *const members[] = {"RuleNumber", "Egress",      "Protocol",
					      "RuleAction", "CidrBlock",   "Ipv6CidrBlock",
					      "PortRange",  "IcmpTypeCode"};
	json_t *entry = json_object();

	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++)
		if (doc_has(input, members[i]))
			json_object_set(entry, members[i], json_object_get(input, members[i]));
	return entry;
}

static int check_number(const json_t *input, struct aws_error *error)
{
	int64_t number = doc_int(input, "RuleNumber", 0);

	if (number >= 1 && number <= LAST_RULE)
		return 0;
	aws_error_set(error, 400, "InvalidParameterValue",
		      "Value (%lld) for parameter ruleNumber is invalid. It must be 1 to %d.",
		      (long long)number, LAST_RULE);
	return -1;
}

/* The ACL with the index of the request's entry; NULL with error. */
static json_t *find_acl(struct ec2 *ec2, const json_t *input, int *index, struct aws_error *error)
{
	json_t *acl = NULL;

	if (check_number(input, error) == 0)
		acl = ec2_find(ec2, &ec2_network_acls, input, error);
	*index = find_entry(acl, doc_int(input, "RuleNumber", 0), doc_bool(input, "Egress", false));
	return acl;
}

/* Takes over acl. */
static json_t *refuse(json_t *acl, const char *code, const char *why, const json_t *input,
		      struct aws_error *error)
{
	json_decref(acl);
	aws_error_set(error, 400, code, "The network acl entry identified by %lld %s.",
		      (long long)doc_int(input, "RuleNumber", 0), why);
	return NULL;
}

/* The same, and the entry must be there. */
static json_t *find_with_entry(struct ec2 *ec2, const json_t *input, int *index,
			       struct aws_error *error)
{
	json_t *acl = find_acl(ec2, input, index, error);

	if (acl == NULL || *index >= 0)
		return acl;
	return refuse(acl, "InvalidNetworkAclEntry.NotFound", "does not exist", input, error);
}

EC2_HANDLER(CreateNetworkAclEntry)
{
	int index;
	json_t *acl = find_acl(ec2, input, &index, error);

	if (acl == NULL)
		return NULL;
	if (index >= 0)
		return refuse(acl, "NetworkAclEntryAlreadyExists", "already exists", input, error);
	if (json_array_size(doc_array(acl, "Entries")) >= MAX_ENTRIES)
		return refuse(acl, "NetworkAclEntryLimitExceeded", "is one too many", input, error);
	json_array_append_new(doc_array(acl, "Entries"), new_entry(input));
	return ec2_update(ec2, &ec2_network_acls, input, acl, error);
}

EC2_HANDLER(ReplaceNetworkAclEntry)
{
	int index;
	json_t *acl = find_with_entry(ec2, input, &index, error);

	if (acl == NULL)
		return NULL;
	json_array_set_new(doc_array(acl, "Entries"), (size_t)index, new_entry(input));
	return ec2_update(ec2, &ec2_network_acls, input, acl, error);
}

EC2_HANDLER(DeleteNetworkAclEntry)
{
	int index;
	json_t *acl = find_with_entry(ec2, input, &index, error);

	if (acl == NULL)
		return NULL;
	json_array_remove(doc_array(acl, "Entries"), (size_t)index);
	return ec2_update(ec2, &ec2_network_acls, input, acl, error);
}
