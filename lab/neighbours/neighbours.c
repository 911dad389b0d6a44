/* See neighbours.h: what the handlers share. */
#include "lab/neighbours/neighbours.h"

#include "common/doc/doc.h"

#define AWS_ACTION(name) AWS_DECLARE_ACTION(name)
#include "lab/neighbours/iam.def"
#include "lab/neighbours/sns.def"
#include "lab/neighbours/ssm.def"
#undef AWS_ACTION

#define AWS_ACTION(name) AWS_LIST_ACTION(name)
const struct aws_action iam_actions[] = {
#include "lab/neighbours/iam.def"
};
const struct aws_action sns_actions[] = {
#include "lab/neighbours/sns.def"
};
const struct aws_action ssm_actions[] = {
#include "lab/neighbours/ssm.def"
};
#undef AWS_ACTION
const size_t n_iam_actions = sizeof(iam_actions) / sizeof(iam_actions[0]);
const size_t n_ssm_actions = sizeof(ssm_actions) / sizeof(ssm_actions[0]);
const size_t n_sns_actions = sizeof(sns_actions) / sizeof(sns_actions[0]);

void neighbours_error_memory(struct aws_error *error)
{
	aws_error_set(error, 500, "InternalFailure", "out of memory");
}

static int report(enum store_result result, const struct err *err, struct aws_error *error)
{
	if (result == STORE_OK)
		return 0;
	aws_error_set(error, 500, "InternalFailure", "the state could not be written: %s",
		      err->text);
	return -1;
}

int neighbours_put(struct neighbours *neighbours, const char *key, json_t *document,
		   struct aws_error *error)
{
	struct err err = {0};

	if (document == NULL) {
		neighbours_error_memory(error);
		return -1;
	}
	return report(store_put_one(neighbours->store, key, document, &err), &err, error);
}

int neighbours_delete(struct neighbours *neighbours, const char *key, struct aws_error *error)
{
	struct err err = {0};

	return report(store_delete_one(neighbours->store, key, &err), &err, error);
}

static bool gather(void *arg, const char *key, const json_t *document, int64_t revision)
{
	(void)key;
	(void)revision;
	return json_array_append(arg, (json_t *)document) == 0;
}

json_t *neighbours_list(struct neighbours *neighbours, const char *prefix)
{
	json_t *list = json_array();

	if (list != NULL)
		store_scan(neighbours->store, prefix, gather, list);
	return list;
}

int neighbours_merge_tags(json_t *tags, const json_t *added, const char *code,
			  struct aws_error *error)
{
	const json_t *tag;
	size_t i;

	json_array_foreach (added, i, tag) {
		if (doc_kv_set(tags, doc_str(tag, "Key", ""), doc_str(tag, "Value", "")) == 0)
			continue;
		neighbours_error_memory(error);
		return -1;
	}
	if (json_array_size(tags) <= NEIGHBOURS_MAX_TAGS)
		return 0;
	aws_error_set(error, 400, code, "A resource has at most %d tags", NEIGHBOURS_MAX_TAGS);
	return -1;
}
