/* What the handlers share: describing, paging, writing, errors.  See ec2.h. */
#include "lab/ec2/ec2.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/ids.h"
#include "common/doc/doc.h"

enum { MAX_SORT_KEY = 256 };

#define AWS_ACTION AWS_DECLARE_ACTION
#include "lab/ec2/ec2.def"
#include "lab/ec2/sts.def"
#undef AWS_ACTION

#define AWS_ACTION AWS_LIST_ACTION
const struct aws_action ec2_actions[] = {
#include "lab/ec2/ec2.def"
};
const struct aws_action sts_actions[] = {
#include "lab/ec2/sts.def"
};
#undef AWS_ACTION
const size_t n_ec2_actions = sizeof(ec2_actions) / sizeof(ec2_actions[0]);
const size_t n_sts_actions = sizeof(sts_actions) / sizeof(sts_actions[0]);

void ec2_error_memory(struct aws_error *error)
{
	aws_error_set(error, 500, "InternalError", "out of memory");
}

void ec2_error_store(struct aws_error *error, const struct err *err)
{
	aws_error_set(error, 500, "InternalError", "the store failed: %s", err->text);
}

bool ec2_is_dry_run(const json_t *input, struct aws_error *error)
{
	if (!doc_bool(input, "DryRun", false))
		return false;
	aws_error_set(error, 412, "DryRunOperation",
		      "Request would have succeeded, but DryRun flag is set.");
	return true;
}

int ec2_put(struct ec2 *ec2, const char *key, json_t *document, struct aws_error *error)
{
	struct err err = {0};

	if (document == NULL) {
		ec2_error_memory(error);
		return -1;
	}
	if (store_put_one(ec2->store, key, document, &err) != STORE_OK) {
		ec2_error_store(error, &err);
		return -1;
	}
	return 0;
}

static bool gather(void *arg, const char *key, const json_t *document, int64_t revision)
{
	json_t **list = arg;

	(void)key;
	(void)revision;
	/* The store lends it; a shared reference is safe because nobody writes to it. */
	if (json_array_append(*list, (json_t *)document) == 0)
		return true;
	json_decref(*list);
	*list = NULL;
	return false;
}

json_t *ec2_scan(struct ec2 *ec2, const char *prefix)
{
	json_t *list = json_array();

	if (list != NULL)
		store_scan(ec2->store, prefix, gather, &list);
	return list;
}

json_t *ec2_get(struct ec2 *ec2, const struct ec2_noun *noun, const char *id,
		struct aws_error *error)
{
	char key[EC2_KEY_MAX];
	json_t *document;

	if (!id_is_ec2(id, noun->id_prefix)) {
		aws_error_set(error, 400, noun->malformed, "Invalid id: \"%.80s\"", id);
		return NULL;
	}
	snprintf(key, sizeof(key), "%s%s", noun->folder, id);
	document = store_get(ec2->store, key, NULL);
	if (document == NULL)
		aws_error_set(error, 400, noun->not_found, "The %s '%s' does not exist",
			      noun->label, id);
	return document;
}

/* --- paging --- */

struct sortable {
	char key[MAX_SORT_KEY];
	json_t *document;
};

static int compare_sortable(const void *a, const void *b)
{
	return strcmp(((const struct sortable *)a)->key, ((const struct sortable *)b)->key);
}

/* A token is the sort key of the last document shown, in hex: opaque, and good over restarts. */
static char *token_of(const char *key)
{
	size_t len = strlen(key);
	char *token = malloc(2 * len + 1);

	if (token == NULL)
		return NULL;
	for (size_t i = 0; i < len; i++)
		sprintf(token + 2 * i, "%02x", (unsigned char)key[i]);
	token[2 * len] = '\0';
	return token;
}

static int key_of(const char *token, char key[MAX_SORT_KEY], struct aws_error *error)
{
	size_t len = strlen(token);
	unsigned byte;

	if (len == 0 || len % 2 != 0 || len / 2 >= MAX_SORT_KEY ||
	    strspn(token, "0123456789abcdef") != len) {
		aws_error_set(error, 400, "InvalidNextToken", "The token '%.80s' is invalid",
			      token);
		return -1;
	}
	for (size_t i = 0; i < len / 2; i++) {
		if (sscanf(token + 2 * i, "%2x", &byte) != 1)
			byte = '?';
		key[i] = (char)byte;
	}
	key[len / 2] = '\0';
	return 0;
}

static size_t page_size(const json_t *input)
{
	int64_t max = doc_int(input, "MaxResults", 0);

	return max > 0 ? (size_t)max : SIZE_MAX;
}

/* Replaces the list's content by the sorted page. */
static int cut_page(json_t *documents, const struct sortable *sorted, size_t n, const char *after,
		    size_t limit, char **next_token)
{
	size_t first = 0, last;

	while (after[0] != '\0' && first < n && strcmp(sorted[first].key, after) <= 0)
		first++;
	last = n - first > limit ? first + limit : n;
	json_array_clear(documents);
	for (size_t i = first; i < last; i++)
		if (json_array_append(documents, sorted[i].document) != 0)
			return -1;
	if (last < n) {
		*next_token = token_of(sorted[last - 1].key);
		return *next_token == NULL ? -1 : 0;
	}
	return 0;
}

int ec2_page(json_t *documents, const char *sort_member, const char *id_member, const json_t *input,
	     char **next_token, struct aws_error *error)
{
	size_t n = json_array_size(documents);
	const char *token = doc_str(input, "NextToken", "");
	char after[MAX_SORT_KEY] = "";
	struct sortable *sorted;
	int result;

	*next_token = NULL;
	if (*token != '\0' && key_of(token, after, error) != 0)
		return -1;
	sorted = calloc(n + 1, sizeof(*sorted));
	if (sorted == NULL)
		goto oom;
	for (size_t i = 0; i < n; i++) {
		json_t *document = json_array_get(documents, i);

		sorted[i].document = json_incref(document);
		snprintf(sorted[i].key, MAX_SORT_KEY, "%.100s/%.100s",
			 sort_member ? doc_str(document, sort_member, "") : "",
			 doc_str(document, id_member, ""));
	}
	qsort(sorted, n, sizeof(*sorted), compare_sortable);
	result = cut_page(documents, sorted, n, after, page_size(input), next_token);
	for (size_t i = 0; i < n; i++)
		json_decref(sorted[i].document);
	free(sorted);
	if (result == 0)
		return 0;
oom:
	ec2_error_memory(error);
	return -1;
}

/* --- describing --- */

static int check_request(const struct ec2_noun *noun, const json_t *input, struct aws_error *error)
{
	int64_t max = doc_int(input, "MaxResults", 0);

	if (ec2_is_dry_run(input, error))
		return -1;
	if (noun->is_paged && doc_has(input, "MaxResults") && (max < 5 || max > 1000)) {
		aws_error_set(error, 400, "InvalidParameterValue",
			      "Value ( %lld ) for parameter maxResults is invalid. Expecting a "
			      "value from 5 to 1000.",
			      (long long)max);
		return -1;
	}
	if (doc_has(input, "MaxResults") &&
	    json_array_size(doc_array(input, noun->ids_input)) > 0) {
		aws_error_set(error, 400, "InvalidParameterCombination",
			      "The parameter %s cannot be used with the parameter maxResults",
			      noun->ids_input);
		return -1;
	}
	return filter_check(doc_array(input, "Filters"), noun->fields, error);
}

/* The candidates: the ids asked for (each must exist), or all. */
static json_t *candidates(struct ec2 *ec2, const struct ec2_noun *noun, const json_t *input,
			  struct aws_error *error)
{
	const json_t *ids = doc_array(input, noun->ids_input), *id;
	json_t *list;
	size_t i;

	if (json_array_size(ids) == 0) {
		list = ec2_scan(ec2, noun->folder);
		if (list == NULL)
			ec2_error_memory(error);
		return list;
	}
	list = json_array();
	json_array_foreach (ids, i, id) {
		json_t *document = ec2_get(ec2, noun, json_string_value(id), error);

		if (document == NULL)
			goto fail;
		if (json_array_append_new(list, document) != 0) {
			ec2_error_memory(error);
			goto fail;
		}
	}
	return list;
fail:
	json_decref(list);
	return NULL;
}

static int show_all(struct ec2 *ec2, const struct ec2_noun *noun, json_t *list)
{
	for (size_t i = 0; noun->show != NULL && i < json_array_size(list); i++)
		if (json_array_set_new(list, i, noun->show(ec2, json_array_get(list, i))) != 0)
			return -1;
	return 0;
}

json_t *ec2_describe_list(struct ec2 *ec2, const struct ec2_noun *noun, json_t *list,
			  const json_t *input, ec2_keep_fn keep, struct aws_error *error)
{
	char *next_token = NULL;
	json_t *answer = NULL;

	if (check_request(noun, input, error) != 0)
		goto out;
	if (show_all(ec2, noun, list) != 0) {
		ec2_error_memory(error);
		goto out;
	}
	for (size_t i = json_array_size(list); i-- > 0;) {
		const json_t *document = json_array_get(list, i);

		if (!filter_match(doc_array(input, "Filters"), noun->fields, document) ||
		    (keep != NULL && !keep(document, input)))
			json_array_remove(list, i);
	}
	if (ec2_page(list, noun->sort_member, noun->id_member, input, &next_token, error) != 0)
		goto out;
	answer = json_pack("{s:O, s:s*}", noun->output, list, "NextToken", next_token);
	if (answer == NULL)
		ec2_error_memory(error);
out:
	free(next_token);
	json_decref(list);
	return answer;
}

json_t *ec2_describe(struct ec2 *ec2, const struct ec2_noun *noun, const json_t *input,
		     ec2_keep_fn keep, struct aws_error *error)
{
	json_t *list = candidates(ec2, noun, input, error);

	return list == NULL ? NULL : ec2_describe_list(ec2, noun, list, input, keep, error);
}
