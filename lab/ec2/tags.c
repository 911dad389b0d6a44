/* Tags on every resource that the lab keeps: they live in the resource's own document. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/ids.h"
#include "common/doc/doc.h"
#include "lab/ec2/resource.h"

enum { MAX_KEY = 128, MAX_VALUE = 256, MAX_RESOURCES = 1000 };

static const struct ec2_noun *const nouns[] = {
    &ec2_instances,         &ec2_launch_templates, &ec2_images,       &ec2_vpcs,
    &ec2_subnets,           &ec2_security_groups,  &ec2_route_tables, &ec2_security_group_rules,
    &ec2_internet_gateways, &ec2_network_acls,     &ec2_dhcp_options, &ec2_network_interfaces,
    &ec2_key_pairs,         &ec2_volumes,          &ec2_snapshots,    &ec2_addresses,
};
enum { N_NOUNS = sizeof(nouns) / sizeof(nouns[0]) };

static const struct ec2_noun *noun_of(const char *id, struct aws_error *error)
{
	for (size_t i = 0; i < N_NOUNS; i++)
		if (id_is_ec2(id, nouns[i]->id_prefix))
			return nouns[i];
	aws_error_set(error, 400, "InvalidID", "The ID '%.80s' is not valid", id);
	return NULL;
}

/* aws: belongs to AWS; its Auto Scaling tags are the exception, because the lab's scaler stands in
 * for the service that sets them. */
static bool is_reserved(const char *key)
{
	return strncasecmp(key, "aws:", 4) == 0 && strncmp(key, "aws:autoscaling:", 16) != 0;
}

static int check_tag(const char *key, const char *value, struct aws_error *error)
{
	if (is_reserved(key)) {
		aws_error_set(error, 400, "InvalidParameterValue",
			      "Tag keys starting with 'aws:' are reserved for internal use");
		return -1;
	}
	if (*key == '\0' || strlen(key) > MAX_KEY) {
		aws_error_set(error, 400, "InvalidParameterValue",
			      "Tag key has 1 to %d characters: '%.140s'", MAX_KEY, key);
		return -1;
	}
	if (strlen(value) > MAX_VALUE) {
		aws_error_set(error, 400, "InvalidParameterValue",
			      "The value of tag '%s' is longer than %d characters", key, MAX_VALUE);
		return -1;
	}
	return 0;
}

int ec2_check_tags(const json_t *tags, struct aws_error *error)
{
	const json_t *tag, *other;
	size_t i, j;

	if (json_array_size(tags) > EC2_MAX_TAGS) {
		aws_error_set(error, 400, "TagLimitExceeded", "A resource has at most %d tags",
			      EC2_MAX_TAGS);
		return -1;
	}
	json_array_foreach (tags, i, tag) {
		const char *key = doc_str(tag, "Key", "");

		if (check_tag(key, doc_str(tag, "Value", ""), error) != 0)
			return -1;
		for (j = 0; j < i; j++) {
			other = json_array_get(tags, j);
			if (strcmp(doc_str(other, "Key", ""), key) != 0)
				continue;
			aws_error_set(error, 400, "InvalidParameterValue",
				      "Duplicate tag key '%s' specified.", key);
			return -1;
		}
	}
	return 0;
}

json_t *ec2_spec_tags(const json_t *specifications, const char *resource_type,
		      struct aws_error *error)
{
	json_t *tags = json_array();
	const json_t *specification;
	size_t i;

	json_array_foreach (specifications, i, specification) {
		const json_t *given = doc_array(specification, "Tags"), *tag;
		size_t j;

		if (strcmp(doc_str(specification, "ResourceType", ""), resource_type) != 0)
			continue;
		if (ec2_check_tags(given, error) != 0)
			goto fail;
		json_array_foreach (given, j, tag) {
			if (tags == NULL || doc_kv_set(tags, doc_str(tag, "Key", ""),
						       doc_str(tag, "Value", "")) != 0)
				goto oom;
		}
	}
	if (tags != NULL)
		return tags;
oom:
	ec2_error_memory(error);
fail:
	json_decref(tags);
	return NULL;
}

/* Sets (or, when is_delete, removes) tags in one document. */
static int change_tags(json_t *document, const json_t *tags, bool is_delete,
		       struct aws_error *error)
{
	json_t *list = json_object_get(document, "Tags");
	const json_t *tag;
	size_t i;

	if (!json_is_array(list)) {
		list = json_array();
		if (json_object_set_new(document, "Tags", list) != 0)
			goto oom;
	}
	if (is_delete && json_array_size(tags) == 0)
		json_array_clear(list);
	json_array_foreach (tags, i, tag) {
		const char *key = doc_str(tag, "Key", ""), *value = doc_str(tag, "Value", NULL);

		if (is_delete) {
			/* With a value, only that value is deleted; without one, any. */
			if (value == NULL || strcmp(doc_kv_get(list, key, ""), value) == 0)
				doc_kv_remove(list, key);
			continue;
		}
		if (doc_kv_set(list, key, value != NULL ? value : "") != 0)
			goto oom;
	}
	if (json_array_size(list) <= EC2_MAX_TAGS)
		return 0;
	aws_error_set(error, 400, "TagLimitExceeded", "A resource has at most %d tags",
		      EC2_MAX_TAGS);
	return -1;
oom:
	ec2_error_memory(error);
	return -1;
}

/* All resources or none. */
static json_t *change_all(struct ec2 *ec2, const json_t *input, bool is_delete,
			  struct aws_error *error)
{
	const json_t *ids = doc_array(input, "Resources"), *id;
	struct store_txn *txn = store_begin(ec2->store);
	struct err err = {0};
	char key[EC2_KEY_MAX];
	size_t i;

	if (txn == NULL) {
		ec2_error_memory(error);
		return NULL;
	}
	json_array_foreach (ids, i, id) {
		const struct ec2_noun *noun = noun_of(json_string_value(id), error);
		json_t *document = NULL;

		if (noun != NULL)
			document = ec2_get(ec2, noun, json_string_value(id), error);
		if (document == NULL ||
		    change_tags(document, doc_array(input, "Tags"), is_delete, error) != 0) {
			json_decref(document);
			store_abort(txn);
			return NULL;
		}
		snprintf(key, sizeof(key), "%s%s", noun->folder, json_string_value(id));
		store_put(txn, key, document);
	}
	if (store_commit(txn, &err) == STORE_OK)
		return json_object();
	ec2_error_store(error, &err);
	return NULL;
}

static int check_change(const json_t *input, struct aws_error *error)
{
	if (json_array_size(doc_array(input, "Resources")) > MAX_RESOURCES) {
		aws_error_set(error, 400, "InvalidParameterValue",
			      "At most %d resources in one call", MAX_RESOURCES);
		return -1;
	}
	return ec2_check_tags(doc_array(input, "Tags"), error);
}

EC2_HANDLER(CreateTags)
{
	if (json_array_size(doc_array(input, "Tags")) == 0) {
		aws_error_set(error, 400, "MissingParameter",
			      "The request must contain the parameter tagSet");
		return NULL;
	}
	if (check_change(input, error) != 0 || ec2_is_dry_run(input, error))
		return NULL;
	return change_all(ec2, input, false, error);
}

EC2_HANDLER(DeleteTags)
{
	if (check_change(input, error) != 0 || ec2_is_dry_run(input, error))
		return NULL;
	return change_all(ec2, input, true, error);
}

/* Appends {Key, Value, ResourceId, ResourceType} of each document of one noun. */
static int list_tags(struct ec2 *ec2, const struct ec2_noun *noun, json_t *rows)
{
	json_t *documents = ec2_scan(ec2, noun->folder);
	const json_t *document, *tag;
	size_t i, j;
	int failed = documents == NULL;

	json_array_foreach (documents, i, document) {
		json_array_foreach (doc_array(document, "Tags"), j, tag) {
			failed |= json_array_append_new(
			    rows, json_pack("{s:s, s:s, s:s, s:s}", "Key", doc_str(tag, "Key", ""),
					    "Value", doc_str(tag, "Value", ""), "ResourceId",
					    doc_str(document, noun->id_member, ""), "ResourceType",
					    noun->resource_type));
		}
	}
	json_decref(documents);
	return failed ? -1 : 0;
}

EC2_HANDLER(DescribeTags)
{
	static const struct filter_field fields[] = {
	    {"key", "Key"},
	    {"value", "Value"},
	    {"resource-id", "ResourceId"},
	    {"resource-type", "ResourceType"},
	    {NULL, NULL},
	};
	const json_t *filters = doc_array(input, "Filters");
	json_t *rows, *answer = NULL;
	char *next_token = NULL;

	if (ec2_is_dry_run(input, error) || filter_check(filters, fields, error) != 0)
		return NULL;
	rows = json_array();
	for (size_t i = 0; i < N_NOUNS; i++)
		if (list_tags(ec2, nouns[i], rows) != 0)
			goto oom;
	for (size_t i = json_array_size(rows); i-- > 0;)
		if (!filter_match(filters, fields, json_array_get(rows, i)))
			json_array_remove(rows, i);
	if (ec2_page(rows, "ResourceId", "Key", input, &next_token, error) != 0)
		goto out;
	answer = json_pack("{s:O, s:s*}", "Tags", rows, "NextToken", next_token);
	if (answer != NULL)
		goto out;
oom:
	ec2_error_memory(error);
out:
	free(next_token);
	json_decref(rows);
	return answer;
}
