/* See resource.h. */
#include "lab/ec2/resource.h"

#include <stdio.h>
#include <string.h>

#include "common/doc/doc.h"
#include "lab/ec2/tokens.h"

/* --- finding --- */

void ec2_error_missing(struct aws_error *error, const char *parameter)
{
	aws_error_set(error, 400, "MissingParameter", "The request must contain the parameter %s",
		      parameter);
}

json_t *ec2_find(struct ec2 *ec2, const struct ec2_noun *noun, const json_t *input,
		 struct aws_error *error)
{
	const char *id = doc_str(input, noun->id_member, "");

	if (*id != '\0')
		return ec2_get(ec2, noun, id, error);
	ec2_error_missing(error, noun->id_member);
	return NULL;
}

int ec2_check_exists(struct ec2 *ec2, const struct ec2_noun *noun, const char *id,
		     struct aws_error *error)
{
	json_t *document = ec2_get(ec2, noun, id, error);

	json_decref(document);
	return document == NULL ? -1 : 0;
}

struct search {
	const char *path, *text;
	bool is_one; /* stops at the first */
	bool failed;
	json_t *found;
};

static bool match_one(void *arg, const char *key, const json_t *document, int64_t revision)
{
	struct search *search = arg;

	(void)key;
	(void)revision;
	if (search->path != NULL && !filter_path_is(document, search->path, search->text))
		return true;
	search->failed |= json_array_append(search->found, (json_t *)document) != 0;
	return !search->is_one;
}

static json_t *search_noun(struct ec2 *ec2, const struct ec2_noun *noun, const char *path,
			   const char *text, bool is_one)
{
	struct search search = {
	    .path = path, .text = text, .is_one = is_one, .found = json_array()};

	store_scan(ec2->store, noun->folder, match_one, &search);
	if (!search.failed)
		return search.found;
	json_decref(search.found);
	return NULL;
}

json_t *ec2_find_by(struct ec2 *ec2, const struct ec2_noun *noun, const char *path,
		    const char *text)
{
	json_t *found = search_noun(ec2, noun, path, text, true);
	json_t *copy = json_deep_copy(json_array_get(found, 0));

	json_decref(found);
	return copy;
}

json_t *ec2_find_all(struct ec2 *ec2, const struct ec2_noun *noun, const char *path,
		     const char *text)
{
	return search_noun(ec2, noun, path, text, false);
}

size_t ec2_count_by(struct ec2 *ec2, const struct ec2_noun *noun, const char *path,
		    const char *text)
{
	json_t *found = search_noun(ec2, noun, path, text, false);
	size_t n = json_array_size(found);

	json_decref(found);
	return n;
}

/* --- changing --- */

void ec2_txn_put(struct store_txn *txn, const struct ec2_noun *noun, json_t *document)
{
	char key[EC2_KEY_MAX];

	snprintf(key, sizeof(key), "%s%s", noun->folder, doc_str(document, noun->id_member, ""));
	store_put(txn, key, document);
}

void ec2_txn_delete(struct store_txn *txn, const struct ec2_noun *noun, const char *id)
{
	char key[EC2_KEY_MAX];

	snprintf(key, sizeof(key), "%s%s", noun->folder, id);
	store_delete(txn, key);
}

int ec2_commit(struct store_txn *txn, const json_t *input, struct aws_error *error)
{
	struct err err = {0};

	if (ec2_is_dry_run(input, error)) {
		store_abort(txn);
		return -1;
	}
	if (store_commit(txn, &err) == STORE_OK)
		return 0;
	ec2_error_store(error, &err);
	return -1;
}

int ec2_add_tags(const struct ec2_noun *noun, const json_t *input, json_t *document,
		 struct aws_error *error)
{
	json_t *tags =
	    ec2_spec_tags(doc_array(input, "TagSpecifications"), noun->resource_type, error);

	if (tags == NULL)
		return -1;
	if (json_object_set_new(document, "Tags", tags) == 0)
		return 0;
	ec2_error_memory(error);
	return -1;
}

static json_t *create(struct ec2 *ec2, const struct ec2_noun *noun, const json_t *input,
		      json_t *document, const struct token *token, struct aws_error *error)
{
	struct store_txn *txn;

	if (document == NULL) {
		ec2_error_memory(error);
		return NULL;
	}
	if (ec2_add_tags(noun, input, document, error) != 0)
		goto fail;
	txn = store_begin(ec2->store);
	ec2_txn_put(txn, noun, json_incref(document));
	if (token != NULL)
		token_put(ec2, txn, token, json_incref(document));
	if (ec2_commit(txn, input, error) == 0)
		return document;
fail:
	json_decref(document);
	return NULL;
}

json_t *ec2_create(struct ec2 *ec2, const struct ec2_noun *noun, const json_t *input,
		   json_t *document, struct aws_error *error)
{
	return create(ec2, noun, input, document, NULL, error);
}

json_t *ec2_create_once(struct ec2 *ec2, const struct ec2_noun *noun, const json_t *input,
			json_t *document, struct aws_error *error)
{
	json_t *result = NULL;
	struct token token;

	switch (token_check(ec2, noun->resource_type, input, &token, &result, error)) {
	case TOKEN_NEW:
		return create(ec2, noun, input, document, &token, error);
	case TOKEN_REPEATED:
	case TOKEN_FAILED:
		break;
	}
	json_decref(document);
	return result;
}

json_t *ec2_update(struct ec2 *ec2, const struct ec2_noun *noun, const json_t *input,
		   json_t *document, struct aws_error *error)
{
	struct store_txn *txn = store_begin(ec2->store);

	ec2_txn_put(txn, noun, document);
	return ec2_commit(txn, input, error) == 0 ? ec2_answer_true() : NULL;
}

/* --- deleting --- */

static bool is_excepted(const struct ec2_use *use, const json_t *document, const char *id)
{
	return use->except_path != NULL &&
	       filter_path_is(document, use->except_path,
			      use->except_value != NULL ? use->except_value : id);
}

static bool is_used(struct ec2 *ec2, const struct ec2_use *use, const char *id)
{
	json_t *users = ec2_find_all(ec2, use->noun, use->path, id), *user;
	bool found = users == NULL;
	size_t i;

	json_array_foreach (users, i, user) {
		found |= !is_excepted(use, user, id);
	}
	json_decref(users);
	return found;
}

int ec2_check_unused(struct ec2 *ec2, const struct ec2_noun *noun, const char *id,
		     struct aws_error *error)
{
	for (const struct ec2_use *use = noun->uses; use != NULL && use->noun != NULL; use++) {
		if (!is_used(ec2, use, id))
			continue;
		aws_error_set(error, 400, "DependencyViolation",
			      "The %s '%s' has dependencies and cannot be deleted.",
			      noun->resource_type, id);
		return -1;
	}
	return 0;
}

json_t *ec2_delete(struct ec2 *ec2, const struct ec2_noun *noun, const json_t *input,
		   struct aws_error *error)
{
	json_t *document = ec2_find(ec2, noun, input, error);
	const char *id = doc_str(document, noun->id_member, "");
	struct store_txn *txn;
	int result = -1;

	if (document == NULL)
		return NULL;
	if (ec2_check_unused(ec2, noun, id, error) == 0) {
		txn = store_begin(ec2->store);
		ec2_txn_delete(txn, noun, id);
		result = ec2_commit(txn, input, error);
	}
	json_decref(document);
	return result == 0 ? ec2_answer_true() : NULL;
}

/* --- small things --- */

json_t *ec2_answer_true(void)
{
	return json_pack("{s:b}", "Return", 1);
}

const char *ec2_now(const struct ec2 *ec2, char text[])
{
	return clock_format_iso(clock_now_ms(ec2->clock), text);
}

char *ec2_arn(const struct ec2 *ec2, const char *resource_type, const char *id, char arn[256])
{
	snprintf(arn, 256, "arn:aws:ec2:%.64s:%.12s:%s/%.120s", ec2->region, ec2->account_id,
		 resource_type, id);
	return arn;
}

json_t *ec2_now_shown(json_t *document, const char *member, const char *state)
{
	json_object_set_new(document, member, json_string(state));
	return document;
}

json_t *ec2_with(const json_t *document, const char *member, json_t *value)
{
	json_t *copy = json_copy((json_t *)document);

	if (copy != NULL && json_object_set_new(copy, member, value) == 0)
		return copy;
	if (copy == NULL)
		json_decref(value);
	json_decref(copy);
	return NULL;
}
