/*
 * Tags of load balancers, listeners, rules and target groups.
 */
#include <string.h>

#include "common/doc/doc.h"
#include "lb/api/resource.h"

enum { MAX_ARNS_DESCRIBED = 20 };

/* All must exist before any is changed. */
static int check_arns(struct elb_api *api, const json_t *arns, struct aws_error *error)
{
	const json_t *arn;
	size_t i;

	json_array_foreach (arns, i, arn) {
		const char *text = json_string_value(arn);
		enum resource_kind kind = resource_kind_of(text);
		json_t *document;

		if (kind == RESOURCE_KINDS) {
			error_validation(error, "'%.200s' is not a valid ARN", text);
			return -1;
		}
		document = resource_get(api, kind, text, error);
		if (!document)
			return -1;
		json_decref(document);
	}
	return 0;
}

static int put_tags(struct store_txn *txn, const char *arn, json_t *tags)
{
	char key[ELB_KEY_MAX];

	if (resource_side_key(arn, "tags", key) < 0)
		return -1;
	if (json_array_size(tags) == 0)
		store_delete(txn, key);
	else
		store_put(txn, key, json_pack("{s:O}", "Tags", tags));
	return 0;
}

/* One resource's tags with the new ones; -1 with error. */
static int add_tags(struct elb_api *api, struct store_txn *txn, const char *arn,
		    const json_t *added, struct aws_error *error)
{
	json_t *tags = resource_side_list(api, arn, "tags", "Tags");
	const json_t *tag;
	int result = 0;
	size_t i;

	json_array_foreach (added, i, tag) {
		if (doc_kv_set(tags, doc_str(tag, "Key", ""), doc_str(tag, "Value", "")) == 0)
			continue;
		error_memory(error);
		result = -1;
	}
	if (result == 0)
		result = resource_check_tags(tags, error);
	if (result == 0)
		result = put_tags(txn, arn, tags);
	json_decref(tags);
	return result;
}

json_t *handle_AddTags(void *context, const struct aws_call *call, const json_t *input,
		       struct aws_error *error)
{
	struct elb_api *api = context;
	const json_t *arns = doc_array(input, "ResourceArns");
	const json_t *tags = doc_array(input, "Tags");
	const json_t *arn;
	struct store_txn *txn;
	size_t i;

	(void)call;
	if (resource_check_tags(tags, error) < 0 || check_arns(api, arns, error) < 0)
		return NULL;
	txn = store_begin(api->store);
	json_array_foreach (arns, i, arn) {
		if (add_tags(api, txn, json_string_value(arn), tags, error) < 0) {
			store_abort(txn);
			return NULL;
		}
	}
	return resource_commit(txn, error) == 0 ? json_object() : NULL;
}

json_t *handle_RemoveTags(void *context, const struct aws_call *call, const json_t *input,
			  struct aws_error *error)
{
	struct elb_api *api = context;
	const json_t *arns = doc_array(input, "ResourceArns");
	const json_t *arn, *key;
	struct store_txn *txn;
	size_t i, j;

	(void)call;
	if (check_arns(api, arns, error) < 0)
		return NULL;
	txn = store_begin(api->store);
	json_array_foreach (arns, i, arn) {
		json_t *tags = resource_side_list(api, json_string_value(arn), "tags", "Tags");

		json_array_foreach (doc_array(input, "TagKeys"), j, key)
			doc_kv_remove(tags, json_string_value(key));
		put_tags(txn, json_string_value(arn), tags);
		json_decref(tags);
	}
	return resource_commit(txn, error) == 0 ? json_object() : NULL;
}

json_t *handle_DescribeTags(void *context, const struct aws_call *call, const json_t *input,
			    struct aws_error *error)
{
	struct elb_api *api = context;
	const json_t *arns = doc_array(input, "ResourceArns");
	json_t *list;
	json_t *arn;
	size_t i;

	(void)call;
	if (json_array_size(arns) > MAX_ARNS_DESCRIBED) {
		error_validation(error, "At most %d resources can be described in a call",
				 MAX_ARNS_DESCRIBED);
		return NULL;
	}
	if (check_arns(api, arns, error) < 0)
		return NULL;
	list = json_array();
	json_array_foreach (arns, i, arn) {
		json_t *tags = resource_side_list(api, json_string_value(arn), "tags", "Tags");

		json_array_append_new(list,
				      json_pack("{s:O,s:o}", "ResourceArn", arn, "Tags", tags));
	}
	return json_pack("{s:o}", "TagDescriptions", list);
}
