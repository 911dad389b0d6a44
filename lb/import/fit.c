/*
 * See fit.h.  Everything is tried at once; only when that fails it is put
 * together piece by piece, lists by halves, so that a few bad rules among
 * thousands cost a few tries each.
 */
#include "lb/import/fit.h"

#include <stdio.h>
#include <string.h>

#include "common/doc/doc.h"
#include "lb/import/local.h"
#include "lb/import/shape.h"

enum { PATH_TEXT_MAX = 320 };

struct fitting {
	json_t *good; /* what loads so far */
	json_t *notes;
};

static bool loads(const struct fitting *fitting, struct err *err)
{
	return local_check(fitting->good, err) == 0;
}

static void truncate_to(json_t *list, size_t n)
{
	while (json_array_size(list) > n)
		json_array_remove(list, json_array_size(list) - 1);
}

/* What the item is called: the first member of these that it has. */
static void path_of(const char *above, const json_t *item, char path[PATH_TEXT_MAX])
{
	static const char *const names[] = {"LoadBalancerName",
					    "TargetGroupName",
					    "LaunchTemplateName",
					    "PolicyName",
					    "AlarmName",
					    "ScheduledActionName",
					    "LifecycleHookName",
					    "AutoScalingGroupName",
					    "Id"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (!doc_has(item, names[i]))
			continue;
		snprintf(path, PATH_TEXT_MAX, "%.160s[%.140s]", above, doc_str(item, names[i], ""));
		return;
	}
	snprintf(path, PATH_TEXT_MAX, "%.160s[%d]", above,
		 (int)doc_int(item, "Priority", doc_int(item, "Port", 0)));
}

/* Items from..to of a list, into a list of good. */
static void fit_items(struct fitting *fitting, json_t *into, const json_t *items, size_t from,
		      size_t to, const char *above)
{
	size_t before = json_array_size(into);
	char path[PATH_TEXT_MAX];
	struct err err = {0};

	if (from == to)
		return;
	for (size_t i = from; i < to; i++)
		json_array_append(into, json_array_get(items, i));
	if (loads(fitting, &err))
		return;
	truncate_to(into, before);
	if (to - from > 1) {
		fit_items(fitting, into, items, from, from + (to - from) / 2, above);
		fit_items(fitting, into, items, from + (to - from) / 2, to, above);
		return;
	}
	path_of(above, json_array_get(items, from), path);
	shape_note(fitting->notes, path, "not kept: %s", err.text);
}

/* The list of this name, into an object of good that lacks it. */
static void fit_list(struct fitting *fitting, json_t *into, const char *member, json_t *items,
		     const char *above)
{
	json_t *list = json_array();
	char path[PATH_TEXT_MAX];

	snprintf(path, sizeof(path), "%s%s%s", above, above[0] ? "." : "", member);
	json_object_set(into, member, list);
	fit_items(fitting, list, items, 0, json_array_size(items), path);
	if (json_array_size(list) == 0)
		json_object_del(into, member);
	json_decref(list);
}

static void fit_attributes(struct fitting *fitting, json_t *into, const json_t *whole,
			   const char *above)
{
	json_t *all = doc_object(whole, "Attributes"), *some, *value;
	const char *key;
	struct err err = {0};

	if (!all)
		return;
	json_object_set(into, "Attributes", all);
	if (loads(fitting, &err))
		return;
	some = json_object();
	json_object_set(into, "Attributes", some);
	json_object_foreach (all, key, value) {
		json_object_set(some, key, value);
		if (loads(fitting, &err))
			continue;
		json_object_del(some, key);
		shape_note(fitting->notes, above, "the attribute %s is not kept: %s", key,
			   err.text);
	}
	if (json_object_size(some) == 0)
		json_object_del(into, "Attributes");
	json_decref(some);
}

/* A list of the file, and what is tried after its items: their attributes, and a list in each. */
struct level {
	const char *list, *key;
	const char *inner;         /* a plain list; NULL = below */
	const struct level *below; /* or one of levels */
};

static const struct level listeners_level = {"Listeners", "Port", "Rules", NULL};
static const struct level levels[] = {
    {"TargetGroups", "TargetGroupName", "Targets", NULL},
    {"LoadBalancers", "LoadBalancerName", NULL, &listeners_level},
};

static const char *inner_of(const struct level *level)
{
	return level->below ? level->below->list : level->inner;
}

/* New array: copies without what is tried later. */
static json_t *bare(const json_t *items, const struct level *level)
{
	json_t *list = json_array(), *item;
	size_t i;

	json_array_foreach (items, i, item) {
		json_t *copy = json_copy(item);

		json_object_del(copy, "Attributes");
		json_object_del(copy, inner_of(level));
		json_array_append_new(list, copy);
	}
	return list;
}

/* The item of whole with the same value in the member. */
static const json_t *same(const json_t *whole, const json_t *item, const char *member)
{
	const json_t *other;
	size_t i;

	json_array_foreach (whole, i, other) {
		if (json_equal(json_object_get(other, member), json_object_get(item, member)))
			return other;
	}
	return NULL;
}

static void fit_level(struct fitting *fitting, json_t *into, const struct level *level,
		      const json_t *whole, const char *above)
{
	json_t *items = bare(whole, level), *item;
	char list[PATH_TEXT_MAX], path[PATH_TEXT_MAX];
	size_t i;

	snprintf(list, sizeof(list), "%.240s%s%s", above, above[0] ? "." : "", level->list);
	fit_list(fitting, into, level->list, items, above);
	json_array_foreach (doc_array(into, level->list), i, item) {
		const json_t *from = same(whole, item, level->key);
		json_t *inner = doc_array(from, inner_of(level));

		path_of(list, item, path);
		fit_attributes(fitting, item, from, path);
		if (level->below)
			fit_level(fitting, item, level->below, inner, path);
		else
			fit_list(fitting, item, level->inner, inner, path);
	}
	json_decref(items);
}

/* A group of instances may live without the target group that was not kept. */
static void drop_unknown_groups(struct fitting *fitting, json_t *config)
{
	json_t *group, *name;
	size_t i, j;

	json_array_foreach (doc_array(config, "AutoScalingGroups"), i, group) {
		json_t *kept = json_array();

		json_array_foreach (doc_array(group, "TargetGroupARNs"), j, name) {
			json_t *key = json_pack("{s:O}", "TargetGroupName", name);
			bool is_arn = strncmp(json_string_value(name), "arn:", 4) == 0;

			if (is_arn ||
			    same(doc_array(fitting->good, "TargetGroups"), key, "TargetGroupName"))
				json_array_append(kept, name);
			json_decref(key);
		}
		if (doc_has(group, "TargetGroupARNs"))
			json_object_set(group, "TargetGroupARNs", kept);
		json_decref(kept);
	}
}

/* New reference: the sections of good in the order of config. */
static json_t *in_order(const json_t *config, const json_t *good)
{
	json_t *ordered = json_object(), *value;
	const char *section;

	json_object_foreach ((json_t *)config, section, value)
		json_object_set(ordered, section, json_object_get(good, section));
	return ordered;
}

json_t *fit_config(json_t *config, json_t *notes)
{
	static const char *const sections[] = {"LaunchTemplates", "AutoScalingGroups",
					       "ScalingPolicies", "ScheduledActions",
					       "LifecycleHooks",  "MetricAlarms"};
	struct fitting fitting = {json_object(), notes};
	struct err err = {0};
	json_t *fitted;

	if (local_check(config, &err) == 0) {
		json_decref(fitting.good);
		return config;
	}
	if (doc_has(config, "Lb"))
		json_object_set(fitting.good, "Lb", json_object_get(config, "Lb"));
	for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++)
		fit_level(&fitting, fitting.good, &levels[i], doc_array(config, levels[i].list),
			  "");
	drop_unknown_groups(&fitting, config);
	for (size_t i = 0; i < sizeof(sections) / sizeof(sections[0]); i++)
		fit_list(&fitting, fitting.good, sections[i], doc_array(config, sections[i]), "");
	fitted = in_order(config, fitting.good);
	json_decref(fitting.good);
	json_decref(config);
	return fitted;
}
