/*
 * Transforms: at most one of the host and one of the URL, each with one rewrite.
 */
#include <string.h>

#include "common/doc/doc.h"
#include "lb/api/resource.h"
#include "lb/api/rule_parts.h"
#include "lb/routing/rewrite.h"

enum { REWRITE_TEXT_MAX = 1024 };

static const struct {
	const char *type, *config;
} types[] = {
    {"host-header-rewrite", "HostHeaderRewriteConfig"},
    {"url-rewrite", "UrlRewriteConfig"},
};
enum { TYPES = sizeof(types) / sizeof(types[0]) };

static int check_rewrite(const json_t *rewrite, struct aws_error *error)
{
	struct rewrite_config config = {doc_str(rewrite, "Regex", ""),
					doc_str(rewrite, "Replace", "")};
	struct arena arena = {0};
	struct rewrite compiled;
	struct err why = {0};
	int result;

	if (!config.regex[0] || strlen(config.regex) > REWRITE_TEXT_MAX ||
	    strlen(config.replace) > REWRITE_TEXT_MAX) {
		error_validation(error,
				 "A rewrite needs a regular expression of 1 to %d characters and a "
				 "replacement of at most as many",
				 REWRITE_TEXT_MAX);
		return -1;
	}
	result = rewrite_compile(&compiled, &config, &arena, &why);
	if (result < 0)
		error_validation(error, "The rewrite is not valid: %s", why.text);
	rewrite_fini(&compiled);
	arena_fini(&arena);
	return result;
}

static json_t *complete_one(const json_t *transform, unsigned *seen, struct aws_error *error)
{
	const char *type = doc_str(transform, "Type", "");
	const json_t *rewrites;
	size_t i = 0;

	while (i < TYPES && strcmp(types[i].type, type) != 0)
		i++;
	if (i == TYPES) {
		error_validation(error,
				 "Transform type '%.64s' must be one of '[host-header-rewrite, "
				 "url-rewrite]'",
				 type);
		return NULL;
	}
	if (seen[i]++) {
		error_validation(error, "A rule can only have one '%s' transform", type);
		return NULL;
	}
	rewrites = doc_array(doc_object(transform, types[i].config), "Rewrites");
	if (json_array_size(rewrites) != 1) {
		error_validation(error, "A '%s' transform must have exactly one rewrite in its %s",
				 type, types[i].config);
		return NULL;
	}
	if (check_rewrite(json_array_get(rewrites, 0), error) < 0)
		return NULL;
	return json_pack("{s:s,s:{s:O}}", "Type", type, types[i].config, "Rewrites", rewrites);
}

json_t *rule_transforms_complete(const json_t *transforms, struct aws_error *error)
{
	json_t *list = json_array();
	unsigned seen[TYPES] = {0};
	const json_t *transform;
	size_t i;

	json_array_foreach (transforms, i, transform) {
		json_t *done = complete_one(transform, seen, error);

		if (!done || json_array_append_new(list, done) < 0) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}
