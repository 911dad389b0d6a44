/* See compare.h. */
#include "lb/import/compare.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/doc/doc.h"

enum { PATH_TEXT_MAX = 512 };

struct comparison {
	struct buf *text;
	size_t n;
};

/* Lists whose items have a name of their own; others are compared as a whole.
 */
static const struct {
	const char *list, *name, *second; /* second: further part of the name, or NULL */
} named_lists[] = {
    {"LoadBalancers", "LoadBalancerName", NULL},
    {"Listeners", "Port", NULL},
    {"Rules", "Priority", NULL},
    {"TargetGroups", "TargetGroupName", NULL},
    {"Targets", "Id", "Port"},
    {"LaunchTemplates", "LaunchTemplateName", NULL},
    {"AutoScalingGroups", "AutoScalingGroupName", NULL},
    {"ScalingPolicies", "AutoScalingGroupName", "PolicyName"},
    {"ScheduledActions", "AutoScalingGroupName", "ScheduledActionName"},
    {"LifecycleHooks", "AutoScalingGroupName", "LifecycleHookName"},
    {"MetricAlarms", "AlarmName", NULL},
    {"Tags", "Key", NULL},
};
enum { NAMED_LISTS = sizeof(named_lists) / sizeof(named_lists[0]) };

static void add_part(const json_t *item, const char *member, const char *before, struct buf *name)
{
	const json_t *value = json_object_get(item, member);

	if (json_is_integer(value))
		buf_printf(name, "%s%" PRId64, before, (int64_t)json_integer_value(value));
	else if (json_is_string(value))
		buf_printf(name, "%s%s", before, json_string_value(value));
}

static void name_of(size_t list, const json_t *item, char text[PATH_TEXT_MAX])
{
	struct buf name = {0};

	add_part(item, named_lists[list].name, "", &name);
	if (named_lists[list].second)
		add_part(item, named_lists[list].second, ",", &name);
	snprintf(text, PATH_TEXT_MAX, "%s", buf_text(&name));
	buf_fini(&name);
}

static void say(struct comparison *comparison, const char *path)
{
	comparison->n++;
	buf_printf(comparison->text, "%s\n", path);
}

static void say_value(struct comparison *comparison, const char *side, const json_t *value)
{
	char *text = value ? json_dumps(value, JSON_ENCODE_ANY | JSON_SORT_KEYS) : NULL;

	buf_printf(comparison->text, "  %s: %s\n", side, text ? text : "(default)");
	free(text);
}

static void compare_values(struct comparison *comparison, const char *path, const char *member,
			   const json_t *file, const json_t *live);

/* New object {name: item}. */
static json_t *by_name(size_t list, const json_t *items)
{
	json_t *named = json_object(), *item;
	char name[PATH_TEXT_MAX];
	size_t i;

	json_array_foreach (items, i, item) {
		name_of(list, item, name);
		json_object_set(named, name, item);
	}
	return named;
}

static bool is_same(const json_t *a, const json_t *b);

static bool are_same_lists(const json_t *a, const json_t *b)
{
	if (json_array_size(a) != json_array_size(b))
		return false;
	for (size_t i = 0; i < json_array_size(a); i++) {
		if (!is_same(json_array_get(a, i), json_array_get(b, i)))
			return false;
	}
	return true;
}

/* json_equal(), but 50 is 50.0. */
static bool is_same(const json_t *a, const json_t *b)
{
	const char *member;
	json_t *value;

	if (json_is_number(a) && json_is_number(b))
		return json_number_value(a) == json_number_value(b);
	if (json_is_array(a) && json_is_array(b))
		return are_same_lists(a, b);
	if (!json_is_object(a) || !json_is_object(b))
		return a && b && json_equal(a, b);
	if (json_object_size(a) != json_object_size(b))
		return false;
	json_object_foreach ((json_t *)a, member, value) {
		if (!is_same(value, json_object_get(b, member)))
			return false;
	}
	return true;
}

static void say_only(struct comparison *comparison, const char *path, const char *side)
{
	say(comparison, path);
	buf_printf(comparison->text, "  only %s\n", side);
}

/* Each item with the other side's of the same name, or only here. */
static void compare_items(struct comparison *comparison, const char *path, size_t list,
			  const json_t *file, const json_t *live)
{
	json_t *ours = by_name(list, file), *theirs = by_name(list, live), *item, *other;
	char below[2 * PATH_TEXT_MAX];
	const char *name;

	json_object_foreach (ours, name, item) {
		other = json_object_get(theirs, name);
		snprintf(below, sizeof(below), "%s[%s]", path, name);
		if (other)
			compare_values(comparison, below, "", item, other);
		else
			say_only(comparison, below, "in the file");
	}
	json_object_foreach (theirs, name, item) {
		snprintf(below, sizeof(below), "%s[%s]", path, name);
		if (!json_object_get(ours, name))
			say_only(comparison, below, "live");
	}
	json_decref(ours);
	json_decref(theirs);
}

static void compare_member(struct comparison *comparison, const char *path, const char *member,
			   const json_t *file, const json_t *live)
{
	char below[PATH_TEXT_MAX];

	snprintf(below, sizeof(below), "%s%s%s", path, path[0] ? "." : "", member);
	compare_values(comparison, below, member, json_object_get(file, member),
		       json_object_get(live, member));
}

static void compare_objects(struct comparison *comparison, const char *path, const json_t *file,
			    const json_t *live)
{
	const char *member;
	json_t *value;

	json_object_foreach ((json_t *)file, member, value)
		compare_member(comparison, path, member, file, live);
	json_object_foreach ((json_t *)live, member, value) {
		if (!json_object_get(file, member))
			compare_member(comparison, path, member, file, live);
	}
}

static void compare_values(struct comparison *comparison, const char *path, const char *member,
			   const json_t *file, const json_t *live)
{
	if (is_same(file, live))
		return;
	for (size_t i = 0; i < NAMED_LISTS; i++) {
		if (strcmp(named_lists[i].list, member) == 0) {
			compare_items(comparison, path, i, file, live);
			return;
		}
	}
	if (json_is_object(file) && json_is_object(live)) {
		compare_objects(comparison, path, file, live);
		return;
	}
	/* So that each attribute has a line of its own. */
	if (strcmp(member, "Attributes") == 0) {
		compare_objects(comparison, path, file, live);
		return;
	}
	say(comparison, path);
	say_value(comparison, "file", file);
	say_value(comparison, "live", live);
}

size_t compare_configs(const json_t *file, const json_t *live, struct buf *text)
{
	struct comparison comparison = {text, 0};

	compare_objects(&comparison, "", file, live);
	return comparison.n;
}
