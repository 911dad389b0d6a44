/*
 * Tags of groups.
 */
#include <stdio.h>
#include <string.h>

#include "common/doc/doc.h"
#include "scaler/api/reply.h"

enum { TAGS_MAX = 50 };

static struct group *group_of_tag(struct autoscaling *as, const json_t *tag,
				  struct aws_error *error)
{
	const char *type = doc_str(tag, "ResourceType", "auto-scaling-group");
	const char *name = doc_str(tag, "ResourceId", "");
	struct group *group = engine_group(as->engine, name);

	if (strcmp(type, "auto-scaling-group") != 0) {
		reply_invalid(error,
			      "The resource type '%s' is not supported; "
			      "auto-scaling-group is",
			      type);
		return NULL;
	}
	if (!group)
		reply_invalid(error,
			      "AutoScalingGroup name not found - AutoScalingGroup '%s' not found",
			      name);
	return group;
}

static size_t place_of(const json_t *tags, const char *key)
{
	const json_t *tag;
	size_t i;

	json_array_foreach (tags, i, tag) {
		if (strcmp(doc_str(tag, "Key", ""), key) == 0)
			return i;
	}
	return json_array_size(tags);
}

static void set_tag(struct group *group, const json_t *tag)
{
	json_t *tags = doc_array(group->document, "Tags");
	size_t place = place_of(tags, doc_str(tag, "Key", ""));
	json_t *copy = json_pack("{s:s, s:s, s:s, s:s, s:b}", "ResourceId", group->name,
				 "ResourceType", "auto-scaling-group", "Key",
				 doc_str(tag, "Key", ""), "Value", doc_str(tag, "Value", ""),
				 "PropagateAtLaunch", doc_bool(tag, "PropagateAtLaunch", false));

	if (place < json_array_size(tags))
		json_array_set_new(tags, place, copy);
	else
		json_array_append_new(tags, copy);
	group->is_dirty = true;
}

/* Would the group have too many with these? */
static bool is_too_many(const struct group *group, const json_t *tags)
{
	const json_t *own = doc_array(group->document, "Tags"), *tag;
	size_t n = json_array_size(own), i;

	json_array_foreach (tags, i, tag)
		n += strcmp(doc_str(tag, "ResourceId", ""), group->name) == 0 &&
		     place_of(own, doc_str(tag, "Key", "")) == json_array_size(own);
	return n > TAGS_MAX;
}

json_t *handle_CreateOrUpdateTags(void *context, const struct aws_call *call, const json_t *input,
				  struct aws_error *error)
{
	const json_t *tags = doc_array(input, "Tags"), *tag;
	struct autoscaling *as = context;
	size_t i;

	(void)call;
	json_array_foreach (tags, i, tag) {
		const struct group *group = group_of_tag(as, tag, error);

		if (!group)
			return NULL;
		if (!is_too_many(group, tags))
			continue;
		aws_error_set(error, 400, "LimitExceeded", "A group can have %d tags at most.",
			      TAGS_MAX);
		return NULL;
	}
	json_array_foreach (tags, i, tag)
		set_tag(group_of_tag(as, tag, error), tag);
	return reply_written(as, json_object(), error);
}

json_t *handle_DeleteTags(void *context, const struct aws_call *call, const json_t *input,
			  struct aws_error *error)
{
	const json_t *tags = doc_array(input, "Tags"), *tag;
	struct autoscaling *as = context;
	size_t i;

	(void)call;
	json_array_foreach (tags, i, tag) {
		if (!group_of_tag(as, tag, error))
			return NULL;
	}
	json_array_foreach (tags, i, tag) {
		struct group *group = group_of_tag(as, tag, error);
		json_t *own = doc_array(group->document, "Tags");

		json_array_remove(own, place_of(own, doc_str(tag, "Key", "")));
		group->is_dirty = true;
	}
	return reply_written(as, json_object(), error);
}

/* auto-scaling-group, key, value, propagate-at-launch: values OR, filters AND. */
static bool matches(const json_t *tag, const json_t *filters)
{
	static const struct {
		const char *filter, *member;
	} members[] = {{"auto-scaling-group", "ResourceId"}, {"key", "Key"}, {"value", "Value"}};
	const json_t *filter;
	size_t i;

	json_array_foreach (filters, i, filter) {
		const char *name = doc_str(filter, "Name", ""), *value = "";

		for (size_t k = 0; k < sizeof members / sizeof members[0]; k++) {
			if (strcmp(members[k].filter, name) == 0)
				value = doc_str(tag, members[k].member, "");
		}
		if (strcmp(name, "propagate-at-launch") == 0)
			value = doc_bool(tag, "PropagateAtLaunch", false) ? "true" : "false";
		if (!doc_list_has(doc_array(filter, "Values"), value))
			return false;
	}
	return true;
}

json_t *handle_DescribeTags(void *context, const struct aws_call *call, const json_t *input,
			    struct aws_error *error)
{
	struct autoscaling *as = context;
	json_t *items = json_array();
	const struct group *group;
	json_t *tag;
	size_t i;

	(void)call;
	TAILQ_FOREACH (group, &as->engine->groups, link) {
		json_array_foreach (doc_array(group->document, "Tags"), i, tag) {
			if (matches(tag, doc_array(input, "Filters")))
				json_array_append(items, tag);
		}
	}
	return reply_page(input, "Tags", items, 50, 100, error);
}
