/* See compile_rules.h. */
#include "lb/control/compile_rules.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/doc/doc.h"

static int by_arn(const void *a, const void *b)
{
	const struct target_group *const *x = a, *const *y = b;

	return strcmp((*x)->arn, (*y)->arn);
}

int group_map_add(struct group_map *map, struct target_group *group, struct err *err)
{
	if (map->n == map->cap) {
		size_t cap = map->cap ? map->cap * 2 : 16;
		struct target_group **grown = realloc(map->groups, cap * sizeof(*grown));

		if (!grown) {
			err_set(err, ENOMEM, "out of memory");
			return -1;
		}
		map->groups = grown;
		map->cap = cap;
	}
	map->groups[map->n++] = group;
	return 0;
}

void group_map_sort(struct group_map *map)
{
	if (map->n > 1)
		qsort(map->groups, map->n, sizeof(struct target_group *), by_arn);
}

void group_map_fini(struct group_map *map)
{
	free(map->groups);
	*map = (struct group_map){0};
}

struct target_group *group_map_find(const struct group_map *map, const char *arn)
{
	struct target_group wanted = {.arn = arn}, *key = &wanted;
	struct target_group **found =
	    map->n > 0 ? bsearch(&key, map->groups, map->n, sizeof(struct target_group *), by_arn)
		       : NULL;

	return found ? *found : NULL;
}

static int compile_forward(const struct group_map *groups, const json_t *document,
			   struct action *action, struct err *err)
{
	const json_t *tuples = doc_array(doc_object(document, "ForwardConfig"), "TargetGroups");
	const json_t *tuple, *stickiness;
	size_t i;

	action->kind = ACTION_FORWARD;
	json_array_foreach (tuples, i, tuple) {
		const char *arn = doc_str(tuple, "TargetGroupArn", "");
		struct forward_group *to = &action->forward.groups[action->forward.n_groups];

		if (action->forward.n_groups == FORWARD_GROUPS_MAX)
			break;
		to->group = group_map_find(groups, arn);
		to->weight = (unsigned)doc_int(tuple, "Weight", 1);
		if (!to->group) {
			err_set(err, ENOENT, "target group %s is not there", arn);
			return -1;
		}
		action->forward.n_groups++;
	}
	stickiness =
	    doc_object(doc_object(document, "ForwardConfig"), "TargetGroupStickinessConfig");
	if (doc_bool(stickiness, "Enabled", false))
		action->forward.sticky_s = (unsigned)doc_int(stickiness, "DurationSeconds", 0);
	return 0;
}

/* "#{host}" and the like, which change nothing, are the builder's NULL. */
static const char *unless(const char *text, const char *standard)
{
	return text && strcmp(text, standard) != 0 ? text : NULL;
}

static void compile_redirect(const json_t *config, struct action *action)
{
	bool is_301 = strcmp(doc_str(config, "StatusCode", ""), "HTTP_301") == 0;

	action->kind = ACTION_REDIRECT;
	action->redirect = (struct redirect){
	    .protocol = unless(doc_str(config, "Protocol", NULL), "#{protocol}"),
	    .host = unless(doc_str(config, "Host", NULL), "#{host}"),
	    .port = unless(doc_str(config, "Port", NULL), "#{port}"),
	    .path = unless(doc_str(config, "Path", NULL), "/#{path}"),
	    .query = unless(doc_str(config, "Query", NULL), "#{query}"),
	    .status = is_301 ? 301 : 302,
	};
}

int compile_action(const struct group_map *groups, const json_t *actions, struct action *action,
		   struct err *err)
{
	const json_t *document = json_array_get(actions, 0);
	const json_t *config = doc_object(document, "FixedResponseConfig");
	const char *type = doc_str(document, "Type", "");

	*action = (struct action){0};
	if (strcmp(type, "forward") == 0)
		return compile_forward(groups, document, action, err);
	if (strcmp(type, "redirect") == 0) {
		compile_redirect(doc_object(document, "RedirectConfig"), action);
		return 0;
	}
	action->kind = ACTION_FIXED_RESPONSE;
	action->fixed_response = (struct fixed_response){
	    .status = (unsigned)strtoul(doc_str(config, "StatusCode", "503"), NULL, 10),
	    .content_type = doc_str(config, "ContentType", NULL),
	    .body = doc_str(config, "MessageBody", NULL),
	};
	return 0;
}

static const struct {
	const char *name, *config;
} fields[] = {
    [CONDITION_HOST_HEADER] = {"host-header", "HostHeaderConfig"},
    [CONDITION_PATH_PATTERN] = {"path-pattern", "PathPatternConfig"},
    [CONDITION_HTTP_HEADER] = {"http-header", "HttpHeaderConfig"},
    [CONDITION_REQUEST_METHOD] = {"http-request-method", "HttpRequestMethodConfig"},
    [CONDITION_QUERY_STRING] = {"query-string", "QueryStringConfig"},
    [CONDITION_SOURCE_IP] = {"source-ip", "SourceIpConfig"},
};

static int compile_condition(const json_t *document, struct condition *condition,
			     struct rule_parts *parts, struct err *err)
{
	const char *member = "Values";
	const char *name = doc_str(document, "Field", "");
	size_t field = 0, i;
	const json_t *config, *value;

	while (field < sizeof(fields) / sizeof(fields[0]) && strcmp(fields[field].name, name) != 0)
		field++;
	if (field == sizeof(fields) / sizeof(fields[0])) {
		err_set(err, EINVAL, "condition field '%s' is unknown", name);
		return -1;
	}
	config = doc_object(document, fields[field].config);
	condition->field = (enum condition_field)field;
	condition->header_name = doc_str(config, "HttpHeaderName", NULL);
	condition->values = &parts->values[parts->n_values];
	condition->is_regex = json_array_size(doc_array(config, "RegexValues")) > 0;
	if (condition->is_regex)
		member = "RegexValues";
	json_array_foreach (doc_array(config, member), i, value) {
		struct condition_value *to = &parts->values[parts->n_values];

		if (parts->n_values == VALUES_MAX)
			break;
		to->key = doc_str(value, "Key", NULL);
		to->value =
		    json_is_string(value) ? json_string_value(value) : doc_str(value, "Value", "");
		parts->n_values++;
		condition->n_values++;
	}
	return 0;
}

static struct rewrite_config compile_rewrite(const json_t *transform, const char *config)
{
	const json_t *rewrites = doc_array(doc_object(transform, config), "Rewrites");
	const json_t *rewrite = json_array_get(rewrites, 0);

	return (struct rewrite_config){doc_str(rewrite, "Regex", NULL),
				       doc_str(rewrite, "Replace", "")};
}

static void compile_transforms(const json_t *transforms, struct rule_config *config)
{
	const json_t *transform;
	size_t i;

	json_array_foreach (transforms, i, transform) {
		const char *type = doc_str(transform, "Type", "");

		if (strcmp(type, "host-header-rewrite") == 0)
			config->host_rewrite =
			    compile_rewrite(transform, "HostHeaderRewriteConfig");
		else if (strcmp(type, "url-rewrite") == 0)
			config->url_rewrite = compile_rewrite(transform, "UrlRewriteConfig");
	}
}

int compile_conditions(const json_t *rule, struct rule_parts *parts, struct err *err)
{
	struct rule_config *config = &parts->config;
	const json_t *document;
	size_t i;

	memset(parts, 0, sizeof(*parts));
	config->priority = (unsigned)strtoul(doc_str(rule, "Priority", "0"), NULL, 10);
	config->conditions = parts->conditions;
	json_array_foreach (doc_array(rule, "Conditions"), i, document) {
		if (i == CONDITIONS_MAX)
			break;
		if (compile_condition(document, &parts->conditions[i], parts, err) < 0)
			return -1;
		config->n_conditions++;
	}
	compile_transforms(doc_array(rule, "Transforms"), config);
	return 0;
}

int compile_rule(struct snapshot_builder *builder, const struct group_map *groups,
		 struct listener *listener, const json_t *rule, struct err *err)
{
	struct rule_parts parts;

	if (compile_conditions(rule, &parts, err) < 0 ||
	    compile_action(groups, doc_array(rule, "Actions"), &parts.config.action, err) < 0)
		return -1;
	return snapshot_add_rule(builder, listener, &parts.config, err);
}
