/* Detailed monitoring, CPU credits and the console of instances. */
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/doc/doc.h"
#include "lab/ec2/instance.h"

/* --- monitoring: the lab measures every second anyhow --- */

/* Every instance asked for, changed in place by set; put into txn.  [] of rows. */
static json_t *set_monitoring(struct ec2 *ec2, const json_t *input, const char *state,
			      const char *shown, struct aws_error *error)
{
	struct store_txn *txn = store_begin(ec2->store);
	json_t *rows = json_array();
	const json_t *id;
	size_t i;

	json_array_foreach (doc_array(input, "InstanceIds"), i, id) {
		json_t *instance = ec2_get(ec2, &ec2_instances, json_string_value(id), error);

		if (instance == NULL) {
			store_abort(txn);
			goto fail;
		}
		json_object_set_new(instance, "Monitoring", json_pack("{s:s}", "State", state));
		json_array_append_new(rows, json_pack("{s:O, s:{s:s}}", "InstanceId", id,
						      "Monitoring", "State", shown));
		ec2_txn_put(txn, &ec2_instances, instance);
	}
	if (ec2_commit(txn, input, error) == 0)
		return json_pack("{s:o}", "InstanceMonitorings", rows);
fail:
	json_decref(rows);
	return NULL;
}

EC2_HANDLER(MonitorInstances)
{
	return set_monitoring(ec2, input, "enabled", "pending", error);
}

EC2_HANDLER(UnmonitorInstances)
{
	return set_monitoring(ec2, input, "disabled", "disabling", error);
}

/* --- CPU credits: kept, without effect --- */

static const struct filter_field credit_fields[] = {{"instance-id", "InstanceId"}, {NULL, NULL}};

static json_t *show_credits(struct ec2 *ec2, const json_t *instance)
{
	(void)ec2;
	return json_pack("{s:s, s:s}", "InstanceId", doc_str(instance, "InstanceId", ""),
			 "CpuCredits",
			 doc_str(json_object_get(instance, "Lab"), "CpuCredits", "standard"));
}

static bool is_shown(const json_t *instance)
{
	return instance_state_of(instance) != INSTANCE_TERMINATED &&
	       doc_has(json_object_get(instance, "Lab"), "CpuCredits");
}

/* Of all burstable ones, or of those asked for, each of which must be. */
EC2_HANDLER(DescribeInstanceCreditSpecifications)
{
	const json_t *ids = doc_array(input, "InstanceIds"), *id;
	struct ec2_noun noun = ec2_instances;
	json_t *list;
	size_t i;

	noun.output = "InstanceCreditSpecifications";
	noun.fields = credit_fields;
	noun.sort_member = NULL;
	noun.show = show_credits;
	json_array_foreach (ids, i, id) {
		if (ec2_check_exists(ec2, &ec2_instances, json_string_value(id), error) != 0)
			return NULL;
	}
	list = ec2_scan(ec2, ec2_instances.folder);
	for (i = json_array_size(list); i-- > 0;) {
		const json_t *one = json_array_get(list, i);

		if (!is_shown(one) || (json_array_size(ids) > 0 &&
				       !doc_list_has(ids, doc_str(one, "InstanceId", ""))))
			json_array_remove(list, i);
	}
	return ec2_describe_list(ec2, &noun, list, input, NULL, error);
}

/* One of the request's; which of the two answers it goes to. */
static void change_credits(struct ec2 *ec2, struct store_txn *txn, const json_t *given,
			   json_t *done, json_t *refused)
{
	const char *id = doc_str(given, "InstanceId", ""),
		   *credits = doc_str(given, "CpuCredits", "");
	json_t *instance = ec2_find_by(ec2, &ec2_instances, "InstanceId", id);
	bool is_right = strcmp(credits, "standard") == 0 || strcmp(credits, "unlimited") == 0;

	if (instance != NULL && is_shown(instance) && is_right) {
		json_object_set_new(json_object_get(instance, "Lab"), "CpuCredits",
				    json_string(credits));
		ec2_txn_put(txn, &ec2_instances, json_incref(instance));
		json_array_append_new(done, json_pack("{s:s}", "InstanceId", id));
	} else {
		json_array_append_new(
		    refused, json_pack("{s:s, s:{s:s, s:s}}", "InstanceId", id, "Error", "Code",
				       instance == NULL ? "InvalidInstanceID.NotFound"
				       : is_right       ? "InstanceCreditSpecification.NotSupported"
							: "InvalidParameterValue",
				       "Message", "The instance or its new credits do not fit."));
	}
	json_decref(instance);
}

EC2_HANDLER(ModifyInstanceCreditSpecification)
{
	json_t *done = json_array(), *refused = json_array();
	struct store_txn *txn = store_begin(ec2->store);
	const json_t *given;
	size_t i;

	json_array_foreach (doc_array(input, "InstanceCreditSpecifications"), i, given) {
		change_credits(ec2, txn, given, done, refused);
	}
	if (ec2_commit(txn, input, error) == 0)
		return json_pack("{s:o, s:o}", "SuccessfulInstanceCreditSpecifications", done,
				 "UnsuccessfulInstanceCreditSpecifications", refused);
	json_decref(done);
	json_decref(refused);
	return NULL;
}

/* --- the console --- */

EC2_HANDLER(GetConsoleOutput)
{
	json_t *instance = ec2_find(ec2, &ec2_instances, input, error), *answer;
	const char *id = doc_str(input, "InstanceId", "");
	char *text = NULL, *encoded = NULL, now[CLOCK_TEXT_MAX];
	size_t len = 0;

	json_decref(instance);
	if (instance == NULL || ec2_is_dry_run(input, error))
		return NULL;
	if (ec2->runtime->console != NULL)
		text = ec2->runtime->console(ec2->runtime_arg, id, &len);
	if (text != NULL)
		encoded = malloc(len / 3 * 4 + 8);
	if (encoded != NULL)
		EVP_EncodeBlock((unsigned char *)encoded, (unsigned char *)text, (int)len);
	answer = json_pack("{s:s, s:s*, s:s}", "InstanceId", id, "Output", encoded, "Timestamp",
			   ec2_now(ec2, now));
	free(encoded);
	free(text);
	return answer;
}
