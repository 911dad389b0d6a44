/* See profile.h. */
#include "lab/ec2/profile.h"

#include <stdio.h>
#include <string.h>

#include "common/base/ids.h"
#include "common/doc/doc.h"
#include "lab/ec2/instance.h"

static const struct filter_field fields[] = {
    {"instance-id", "InstanceId"},
    {"state", "State"},
    {NULL, NULL},
};

const struct ec2_noun ec2_profile_associations = {
    .folder = "ec2/profile-association/",
    .output = "IamInstanceProfileAssociations",
    .ids_input = "AssociationIds",
    .id_member = "AssociationId",
    .id_prefix = "iip-assoc",
    .malformed = "InvalidAssociationID.NotFound",
    .not_found = "InvalidAssociationID.NotFound",
    .label = "association ID",
    .fields = fields,
    .is_paged = true,
};

EC2_DESCRIBE(DescribeIamInstanceProfileAssociations, ec2_profile_associations)

/* An id that is always the same for the same name. */
static void profile_id(const char *arn, char id[32])
{
	uint64_t hash = 1469598103934665603U;

	for (const char *c = arn; *c != '\0'; c++)
		hash = (hash ^ (unsigned char)*c) * 1099511628211U;
	snprintf(id, 32, "AIPA%017llX", (unsigned long long)hash);
}

json_t *profile_document(const struct ec2 *ec2, const json_t *given)
{
	const char *name = doc_str(given, "Name", "");
	char arn[256], id[32];

	snprintf(arn, sizeof(arn), "%.250s", doc_str(given, "Arn", ""));
	if (arn[0] == '\0')
		snprintf(arn, sizeof(arn), "arn:aws:iam::%.12s:instance-profile/%.128s",
			 ec2->account_id, name);
	profile_id(arn, id);
	return json_pack("{s:s, s:s}", "Arn", arn, "Id", id);
}

json_t *profile_association(const struct ec2 *ec2, const char *instance_id, json_t *profile)
{
	char id[ID_TEXT_MAX], now[CLOCK_TEXT_MAX];

	return json_pack("{s:s, s:s, s:O, s:s, s:s}", "AssociationId",
			 id_ec2(NULL, "iip-assoc", id), "InstanceId", instance_id,
			 "IamInstanceProfile", profile, "State", "associated", "Timestamp",
			 ec2_now(ec2, now));
}

void profile_let_go(struct ec2 *ec2, struct store_txn *txn, const char *instance_id)
{
	json_t *association =
	    ec2_find_by(ec2, &ec2_profile_associations, "InstanceId", instance_id);

	if (association != NULL)
		ec2_txn_delete(txn, &ec2_profile_associations,
			       doc_str(association, "AssociationId", ""));
	json_decref(association);
}

static json_t *answer_association(json_t *association, const char *state)
{
	return json_pack("{s:o}", "IamInstanceProfileAssociation",
			 ec2_now_shown(association, "State", state));
}

static int check_instance(struct ec2 *ec2, const json_t *instance, struct aws_error *error)
{
	enum instance_state state = instance_state_of(instance);
	const char *id = doc_str(instance, "InstanceId", "");

	if (state == INSTANCE_TERMINATED || state == INSTANCE_SHUTTING_DOWN) {
		aws_error_set(error, 400, "IncorrectInstanceState",
			      "The instance '%s' is not in the 'running' or 'stopped' state.", id);
		return -1;
	}
	if (ec2_count_by(ec2, &ec2_profile_associations, "InstanceId", id) == 0)
		return 0;
	aws_error_set(error, 400, "IncorrectState",
		      "There is an existing association for instance %s", id);
	return -1;
}

EC2_HANDLER(AssociateIamInstanceProfile)
{
	json_t *instance = ec2_find(ec2, &ec2_instances, input, error), *profile, *association;
	struct store_txn *txn;

	if (instance == NULL || check_instance(ec2, instance, error) != 0) {
		json_decref(instance);
		return NULL;
	}
	profile = profile_document(ec2, doc_object(input, "IamInstanceProfile"));
	association = profile_association(ec2, doc_str(instance, "InstanceId", ""), profile);
	json_object_set_new(instance, "IamInstanceProfile", profile);
	txn = store_begin(ec2->store);
	ec2_txn_put(txn, &ec2_instances, instance);
	ec2_txn_put(txn, &ec2_profile_associations, json_deep_copy(association));
	if (ec2_commit(txn, input, error) == 0)
		return answer_association(association, "associating");
	json_decref(association);
	return NULL;
}

EC2_HANDLER(DisassociateIamInstanceProfile)
{
	json_t *association = ec2_find(ec2, &ec2_profile_associations, input, error), *instance;
	struct store_txn *txn;

	if (association == NULL)
		return NULL;
	instance =
	    ec2_find_by(ec2, &ec2_instances, "InstanceId", doc_str(association, "InstanceId", ""));
	txn = store_begin(ec2->store);
	if (instance != NULL) {
		json_object_del(instance, "IamInstanceProfile");
		ec2_txn_put(txn, &ec2_instances, instance);
	}
	ec2_txn_delete(txn, &ec2_profile_associations, doc_str(association, "AssociationId", ""));
	if (ec2_commit(txn, input, error) == 0)
		return answer_association(association, "disassociating");
	json_decref(association);
	return NULL;
}
