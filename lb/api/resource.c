/*
 * Shared by the handlers: keys, look-ups, lists and pages.
 */
#include "lb/api/resource.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/base/ids.h"
#include "common/doc/doc.h"
#include "lb/api/rule_uses.h"

static const struct {
	const char *prefix; /* of the ARN's resource part */
	const char *not_found;
	const char *plural;
	const char *name_member;
} kinds[RESOURCE_KINDS] = {
    [RESOURCE_LOAD_BALANCER] = {"loadbalancer/app/", "LoadBalancerNotFound", "load balancers",
				"LoadBalancerName"},
    [RESOURCE_LISTENER] = {"listener/app/", "ListenerNotFound", "listeners", NULL},
    [RESOURCE_RULE] = {"listener-rule/app/", "RuleNotFound", "rules", NULL},
    [RESOURCE_TARGET_GROUP] = {"targetgroup/", "TargetGroupNotFound", "target groups",
			       "TargetGroupName"},
};

enum { PAGE_SIZE_DEFAULT = 400, MAX_TAGS = 50 };

void error_validation(struct aws_error *error, const char *format, ...)
{
	char text[sizeof(error->message)];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	aws_error_set(error, 400, "ValidationError", "%s", text);
}

void error_memory(struct aws_error *error)
{
	aws_error_set(error, 500, "InternalFailure", "out of memory");
}

/* The resource part of an ELBv2 ARN, or NULL; points into arn. */
static const char *resource_part(const char *arn)
{
	const char *at = arn;

	if (strncmp(arn, "arn:", 4) != 0)
		return NULL;
	for (int i = 0; i < 5; i++) {
		at = strchr(at, ':');
		if (!at)
			return NULL;
		at++;
	}
	return strstr(arn, ":elasticloadbalancing:") ? at : NULL;
}

enum resource_kind resource_kind_of(const char *arn)
{
	const char *part = resource_part(arn);

	if (!part)
		return RESOURCE_KINDS;
	for (int i = 0; i < RESOURCE_KINDS; i++) {
		if (strncmp(part, kinds[i].prefix, strlen(kinds[i].prefix)) == 0)
			return (enum resource_kind)i;
	}
	return RESOURCE_KINDS;
}

int resource_key(const char *arn, enum resource_kind kind, char key[ELB_KEY_MAX])
{
	int len;

	if (resource_kind_of(arn) != kind)
		return -1;
	len = snprintf(key, ELB_KEY_MAX, "elb/%s", resource_part(arn));
	return len < ELB_KEY_MAX ? 0 : -1;
}

int resource_side_key(const char *arn, const char *area, char key[ELB_KEY_MAX])
{
	const char *part = resource_part(arn);

	if (!part)
		return -1;
	return snprintf(key, ELB_KEY_MAX, "elb/%s/%s", area, part) < ELB_KEY_MAX ? 0 : -1;
}

const char *resource_suffix(const char *arn)
{
	const char *part = resource_part(arn);

	if (!part)
		return arn;
	if (strncmp(part, "loadbalancer/", 13) == 0)
		return part + 13;
	return part;
}

static void error_not_found(struct aws_error *error, enum resource_kind kind)
{
	aws_error_set(error, 400, kinds[kind].not_found, "One or more %s not found",
		      kinds[kind].plural);
}

const json_t *resource_peek(const struct elb_api *api, enum resource_kind kind, const char *arn,
			    struct aws_error *error)
{
	char key[ELB_KEY_MAX];
	const json_t *document;

	if (resource_key(arn, kind, key) < 0) {
		error_validation(error, "'%.200s' is not a valid ARN of %s", arn,
				 kinds[kind].plural);
		return NULL;
	}
	document = store_peek(api->store, key, NULL);
	if (!document)
		error_not_found(error, kind);
	return document;
}

json_t *resource_get(struct elb_api *api, enum resource_kind kind, const char *arn,
		     struct aws_error *error)
{
	const json_t *document = resource_peek(api, kind, arn, error);
	json_t *copy = document ? json_copy((json_t *)document) : NULL;

	if (document && !copy)
		error_memory(error);
	return copy;
}

bool resource_exists(struct elb_api *api, const char *arn)
{
	enum resource_kind kind = resource_kind_of(arn);
	struct aws_error ignored = {0};

	return kind != RESOURCE_KINDS && resource_peek(api, kind, arn, &ignored) != NULL;
}

struct gather {
	json_t *list;
	bool is_failed;
};

static bool gather_document(void *arg, const char *key, const json_t *document, int64_t revision)
{
	struct gather *gather = arg;
	json_t *copy = json_copy((json_t *)document);

	(void)key;
	(void)revision;
	if (!copy || json_array_append_new(gather->list, copy) < 0)
		gather->is_failed = true;
	return !gather->is_failed;
}

json_t *resource_list(struct store *store, const char *prefix)
{
	struct gather gather = {.list = json_array()};

	if (!gather.list)
		return NULL;
	store_scan(store, prefix, gather_document, &gather);
	if (gather.is_failed) {
		json_decref(gather.list);
		return NULL;
	}
	return gather.list;
}

int resource_children_prefix(const char *parent_arn, enum resource_kind kind,
			     char prefix[ELB_KEY_MAX + 16])
{
	const char *part = resource_part(parent_arn);
	const char *path = part ? strchr(part, '/') : NULL;
	const char *noun = kind == RESOURCE_RULE ? "listener-rule" : "listener";

	if (!path)
		return -1;
	return snprintf(prefix, ELB_KEY_MAX + 16, "elb/%s%s/", noun, path) < ELB_KEY_MAX + 16 ? 0
											      : -1;
}

json_t *resource_children(struct elb_api *api, const char *parent_arn, enum resource_kind kind)
{
	char prefix[ELB_KEY_MAX + 16];

	if (resource_children_prefix(parent_arn, kind, prefix) < 0)
		return json_array();
	return resource_list(api->store, prefix);
}

json_t *resource_by_name(struct elb_api *api, enum resource_kind kind, const char *name)
{
	char prefix[ELB_KEY_MAX];
	json_t *list, *found;

	if (strchr(name, '/'))
		return NULL;
	if (snprintf(prefix, sizeof(prefix), "elb/%s%s/", kinds[kind].prefix, name) >=
	    (int)sizeof(prefix))
		return NULL;
	list = resource_list(api->store, prefix);
	found = json_incref(json_array_get(list, 0));
	json_decref(list);
	return found;
}

const json_t *resource_side_peek(const struct elb_api *api, const char *arn, const char *area,
				 const char *member)
{
	char key[ELB_KEY_MAX];

	if (resource_side_key(arn, area, key) < 0)
		return NULL;
	return doc_array(store_peek(api->store, key, NULL), member);
}

json_t *resource_side_list(struct elb_api *api, const char *arn, const char *area,
			   const char *member)
{
	const json_t *list = resource_side_peek(api, arn, area, member);

	return list ? json_deep_copy(list) : json_array();
}

json_t *resource_get_all(struct elb_api *api, enum resource_kind kind, const json_t *arns,
			 struct aws_error *error)
{
	json_t *list = json_array();
	const json_t *arn;
	size_t i;

	json_array_foreach (arns, i, arn) {
		json_t *document = resource_get(api, kind, json_string_value(arn), error);

		if (!document || json_array_append_new(list, document) < 0) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

json_t *resource_get_named(struct elb_api *api, enum resource_kind kind, const json_t *names,
			   struct aws_error *error)
{
	json_t *list = json_array();
	const json_t *name;
	size_t i;

	json_array_foreach (names, i, name) {
		json_t *document = resource_by_name(api, kind, json_string_value(name));

		if (!document) {
			aws_error_set(error, 400, kinds[kind].not_found,
				      "%c%s '[%.100s]' not found", toupper(kinds[kind].plural[0]),
				      kinds[kind].plural + 1, json_string_value(name));
			json_decref(list);
			return NULL;
		}
		if (json_array_append_new(list, document) < 0) {
			error_memory(error);
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

void resource_delete(struct store_txn *txn, const char *arn)
{
	static const char *const areas[] = {"attributes", "tags", "targets"};
	char key[ELB_KEY_MAX];

	if (resource_key(arn, resource_kind_of(arn), key) == 0)
		store_delete(txn, key);
	for (size_t i = 0; i < sizeof(areas) / sizeof(areas[0]); i++) {
		if (resource_side_key(arn, areas[i], key) == 0)
			store_delete(txn, key);
	}
}

int resource_check_tags(const json_t *tags, struct aws_error *error)
{
	const json_t *tag, *other;
	size_t i, j;

	if (json_array_size(tags) > MAX_TAGS) {
		aws_error_set(error, 400, "TooManyTags", "A resource can have at most %d tags",
			      MAX_TAGS);
		return -1;
	}
	json_array_foreach (tags, i, tag) {
		json_array_foreach (tags, j, other) {
			if (j >= i || strcmp(doc_str(tag, "Key", ""), doc_str(other, "Key", "")))
				continue;
			aws_error_set(error, 400, "DuplicateTagKeys",
				      "The tag key '%.128s' is given more than once",
				      doc_str(tag, "Key", ""));
			return -1;
		}
	}
	return 0;
}

int resource_put_tags(struct store_txn *txn, const char *arn, const json_t *tags,
		      struct aws_error *error)
{
	char key[ELB_KEY_MAX];
	json_t *document;

	if (json_array_size(tags) == 0)
		return 0;
	if (resource_check_tags(tags, error) < 0)
		return -1;
	document = json_pack("{s:O}", "Tags", tags);
	if (!document || resource_side_key(arn, "tags", key) < 0) {
		json_decref(document);
		error_memory(error);
		return -1;
	}
	store_put(txn, key, document);
	return 0;
}

/* The index of the first item after the marker; -1 when the marker is none of ours.  The marked
 * item may be gone from a list in order; a list in the caller's order has it. */
static ssize_t page_start(const json_t *list, const char *marker, page_key_fn key_of)
{
	char key[ELB_KEY_MAX], probe[ELB_KEY_MAX];
	const json_t *item;
	ssize_t behind = -1;
	size_t i;

	if (strncmp(marker, "after:", 6) != 0 || strlen(marker) >= ELB_KEY_MAX)
		return -1;
	snprintf(probe, sizeof(probe), "%s", marker + 6);
	json_array_foreach (list, i, item) {
		key_of(item, key);
		if (strcmp(key, probe) == 0)
			behind = (ssize_t)i + 1;
	}
	if (behind >= 0)
		return behind;
	json_array_foreach (list, i, item) {
		key_of(item, key);
		if (strcmp(key, probe) > 0)
			return (ssize_t)i;
	}
	return (ssize_t)json_array_size(list);
}

/* The page's answer when it is not the whole list. */
static json_t *cut_page(const json_t *list, const char *member, size_t start, size_t size,
			page_key_fn key_of)
{
	size_t total = json_array_size(list), end = start + size < total ? start + size : total;
	char key[ELB_KEY_MAX], marker[ELB_KEY_MAX + 8];
	json_t *page = json_array();
	json_t *answer = json_pack("{s:o}", member, page);

	if (!answer)
		return NULL;
	for (size_t i = start; i < end; i++) {
		if (json_array_append(page, json_array_get(list, i)) < 0)
			goto oom;
	}
	if (end == total || end == start)
		return answer;
	key_of(json_array_get(list, end - 1), key);
	snprintf(marker, sizeof(marker), "after:%s", key);
	if (json_object_set_new(answer, "NextMarker", json_string(marker)) == 0)
		return answer;
oom:
	json_decref(answer);
	return NULL;
}

json_t *resource_page(const json_t *input, const char *member, json_t *list, page_key_fn key_of,
		      struct aws_error *error)
{
	const char *marker = doc_str(input, "Marker", "");
	int64_t size = doc_int(input, "PageSize", PAGE_SIZE_DEFAULT);
	ssize_t start = marker[0] ? page_start(list, marker, key_of) : 0;
	json_t *answer;

	if (start < 0) {
		error_validation(error, "The marker is not valid");
		json_decref(list);
		return NULL;
	}
	answer = cut_page(list, member, (size_t)start, (size_t)size, key_of);
	json_decref(list);
	if (!answer)
		error_memory(error);
	return answer;
}

int resource_commit(struct store_txn *txn, struct aws_error *error)
{
	struct err err = {0};

	if (store_commit(txn, &err) == STORE_OK)
		return 0;
	aws_error_set(error, 500, "InternalFailure", "the state could not be written: %s",
		      err.text);
	return -1;
}

json_t *resource_answer(const char *member, json_t *document)
{
	return json_pack("{s:[o]}", member, document);
}

int resource_check_name(const char *name, const char *what, struct aws_error *error)
{
	size_t len = strlen(name);

	if (len < 1 || len > 32) {
		error_validation(error, "%s name '%.64s' must be 1 to 32 characters long", what,
				 name);
		return -1;
	}
	for (size_t i = 0; i < len; i++) {
		if (isalnum((unsigned char)name[i]) || name[i] == '-')
			continue;
		error_validation(error,
				 "%s name '%s' can only contain characters that are alphanumeric "
				 "characters and hyphens(-)",
				 what, name);
		return -1;
	}
	if (name[0] == '-' || name[len - 1] == '-') {
		error_validation(error, "%s name '%s' cannot begin or end with a hyphen(-)", what,
				 name);
		return -1;
	}
	return 0;
}

bool actions_use_group(const json_t *actions, const char *group_arn)
{
	const json_t *action, *tuple;
	size_t i, j;

	json_array_foreach (actions, i, action) {
		if (strcmp(doc_str(action, "TargetGroupArn", ""), group_arn) == 0)
			return true;
		json_array_foreach (doc_array(doc_object(action, "ForwardConfig"), "TargetGroups"),
				    j, tuple) {
			if (strcmp(doc_str(tuple, "TargetGroupArn", ""), group_arn) == 0)
				return true;
		}
	}
	return false;
}

struct group_search {
	const char *group_arn;
	json_t *arns;
};

bool rule_load_balancer_arn(const char *rule_arn, char arn[ARN_TEXT_MAX])
{
	const char *part = resource_part(rule_arn);
	const char *at = part ? strstr(part, "/app/") : NULL;
	int slashes = 0;
	size_t len;

	if (!at)
		return false;
	for (len = 1; at[len]; len++) {
		if (at[len] == '/' && ++slashes == 3)
			break;
	}
	return snprintf(arn, ARN_TEXT_MAX, "%.*sloadbalancer%.*s", (int)(part - rule_arn), rule_arn,
			(int)len, at) < ARN_TEXT_MAX;
}

static bool search_rule(void *arg, const char *key, const json_t *rule, int64_t revision)
{
	struct group_search *search = arg;
	char arn[ARN_TEXT_MAX];

	(void)key;
	(void)revision;
	if (!actions_use_group(doc_array(rule, "Actions"), search->group_arn))
		return true;
	if (rule_load_balancer_arn(doc_str(rule, "RuleArn", ""), arn) &&
	    !doc_list_has(search->arns, arn))
		json_array_append_new(search->arns, json_string(arn));
	return true;
}

json_t *group_load_balancers(const struct elb_api *api, const char *group_arn)
{
	struct group_search search = {group_arn, NULL};

	if (rule_uses_are_complete(api->uses))
		return rule_uses_load_balancers(api->uses, group_arn);
	search.arns = json_array();
	/* A listener's default actions are in its default rule too. */
	store_scan(api->store, "elb/listener-rule/", search_rule, &search);
	return search.arns;
}
