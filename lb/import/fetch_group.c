/* See fetch.h: Auto Scaling, launch templates, alarms. */
#include <errno.h>
#include <string.h>

#include "common/doc/doc.h"
#include "lb/import/fetch.h"

enum { ALARMS_AT_ONCE = 100 }; /* DescribeAlarms takes no more names */

static const struct source_listing described_groups = {
    SOURCE_AUTOSCALING, "DescribeAutoScalingGroups", "AutoScalingGroups"};
static const struct source_listing described_versions = {
    SOURCE_EC2, "DescribeLaunchTemplateVersions", "LaunchTemplateVersions"};
static const struct source_listing described_templates = {SOURCE_EC2, "DescribeLaunchTemplates",
							  "LaunchTemplates"};
static const struct source_listing described_alarms = {SOURCE_MONITORING, "DescribeAlarms",
						       "MetricAlarms"};
static const struct source_listing alarm_tags = {SOURCE_MONITORING, "ListTagsForResource", "Tags"};

/* Appends to the section of found; takes over items, NULL included. */
static int add_items(json_t *found, const char *section, json_t *items)
{
	json_t *list = doc_array(found, section);

	if (!items)
		return -1;
	if (!list) {
		list = json_array();
		json_object_set_new(found, section, list);
	}
	json_array_extend(list, items);
	json_decref(items);
	return 0;
}

/* What belongs to a group, and the section of the file it goes to. */
struct part {
	struct source_listing listing;
	const char *section;
};

/* A service without the action has none of it. */
static int add_parts(const struct source *source, const struct part *part, const char *group,
		     json_t *found, struct err *err)
{
	struct err why = {0};
	json_t *items = source_list(source, &part->listing,
				    json_pack("{s:s}", "AutoScalingGroupName", group), &why);

	if (!items && why.code == ENOTSUP)
		items = json_array();
	if (!items)
		*err = why;
	return add_items(found, part->section, items);
}

/* Borrowed: how the group names its launch template; NULL when it has none. */
static const json_t *template_of(const json_t *group)
{
	const json_t *mixed =
	    doc_object(doc_object(group, "MixedInstancesPolicy"), "LaunchTemplate");
	const json_t *own = doc_object(group, "LaunchTemplate");

	return own ? own : doc_object(mixed, "LaunchTemplateSpecification");
}

static json_t *template_version(const struct source *source, const json_t *named, struct err *err)
{
	const char *id = doc_str(named, "LaunchTemplateId", NULL);
	json_t *input = json_pack("{s:s,s:[s]}", id ? "LaunchTemplateId" : "LaunchTemplateName",
				  id ? id : doc_str(named, "LaunchTemplateName", ""), "Versions",
				  doc_str(named, "Version", "$Default"));
	json_t *versions = source_list(source, &described_versions, input, err);
	json_t *version = json_incref(json_array_get(versions, 0));

	if (versions && !version)
		err_set(err, ENOENT, "the group's launch template has no version '%.64s'",
			doc_str(named, "Version", "$Default"));
	json_decref(versions);
	return version;
}

/* New reference; {Version, Tags} */
static json_t *template_found(const struct source *source, const json_t *named, struct err *err)
{
	json_t *version = template_version(source, named, err), *templates, *tags;

	if (!version)
		return NULL;
	templates = source_list(
	    source, &described_templates,
	    json_pack("{s:[s]}", "LaunchTemplateNames", doc_str(version, "LaunchTemplateName", "")),
	    err);
	if (!templates) {
		json_decref(version);
		return NULL;
	}
	tags = json_incref(doc_array(json_array_get(templates, 0), "Tags"));
	json_decref(templates);
	return json_pack("{s:o,s:o}", "Version", version, "Tags", tags ? tags : json_array());
}

static bool has_template(const json_t *found, const char *name)
{
	const json_t *template;
	size_t i;

	json_array_foreach (doc_array(found, "LaunchTemplates"), i, template) {
		if (strcmp(doc_str(doc_object(template, "Version"), "LaunchTemplateName", ""),
			   name) == 0)
			return true;
	}
	return false;
}

static int add_template(const struct source *source, const json_t *named, json_t *found,
			struct err *err)
{
	json_t *template;

	if (has_template(found, doc_str(named, "LaunchTemplateName", "")))
		return 0;
	template = template_found(source, named, err);
	return add_items(found, "LaunchTemplates", template ? json_pack("[o]", template) : NULL);
}

int fetch_launch_template(const struct source *source, const char *name, json_t *found,
			  struct err *err)
{
	json_t *named = json_pack("{s:s}", "LaunchTemplateName", name);
	int result = add_template(source, named, found, err);

	json_decref(named);
	return result;
}

int fetch_group(const struct source *source, const char *name, json_t *found, struct err *err)
{
	static const struct part parts[] = {
	    {{SOURCE_AUTOSCALING, "DescribePolicies", "ScalingPolicies"}, "ScalingPolicies"},
	    {{SOURCE_AUTOSCALING, "DescribeScheduledActions", "ScheduledUpdateGroupActions"},
	     "ScheduledActions"},
	    {{SOURCE_AUTOSCALING, "DescribeLifecycleHooks", "LifecycleHooks"}, "LifecycleHooks"},
	};
	json_t *groups = source_list(source, &described_groups,
				     json_pack("{s:[s]}", "AutoScalingGroupNames", name), err);
	json_t *group = json_incref(json_array_get(groups, 0));
	int result = -1;

	if (!group) {
		if (groups)
			err_set(err, ENOENT, "there is no Auto Scaling group '%.255s'", name);
		json_decref(groups);
		return -1;
	}
	if (add_items(found, "AutoScalingGroups", groups) == 0)
		result =
		    template_of(group) ? add_template(source, template_of(group), found, err) : 0;
	for (size_t i = 0; result == 0 && i < sizeof(parts) / sizeof(parts[0]); i++)
		result = add_parts(source, &parts[i], name, found, err);
	json_decref(group);
	return result;
}

/* A call's worth of the names from the i-th on, or no names. */
static json_t *alarm_input(const json_t *names, size_t from)
{
	json_t *input = json_pack("{s:[s]}", "AlarmTypes", "MetricAlarm"), *some;

	if (!names)
		return input;
	some = json_array();
	for (size_t i = from; i < json_array_size(names) && i < from + ALARMS_AT_ONCE; i++)
		json_array_append(some, json_array_get(names, i));
	json_object_set_new(input, "AlarmNames", some);
	return input;
}

int fetch_alarms(const struct source *source, const json_t *names, json_t *found, struct err *err)
{
	size_t from = 0;

	do {
		if (names && json_array_size(names) == 0)
			break;
		if (add_items(
			found, "MetricAlarms",
			source_list(source, &described_alarms, alarm_input(names, from), err)) < 0)
			return -1;
		from += ALARMS_AT_ONCE;
	} while (from < json_array_size(names));
	return 0;
}

int fetch_alarm_tags(const struct source *source, json_t *alarms, struct err *err)
{
	json_t *alarm, *tags;
	size_t i;

	json_array_foreach (alarms, i, alarm) {
		tags = source_list(
		    source, &alarm_tags,
		    json_pack("{s:s}", "ResourceARN", doc_str(alarm, "AlarmArn", "")), err);
		if (!tags)
			return -1;
		json_object_set_new(alarm, "Tags", tags);
	}
	return 0;
}
