/* See live.h. */
#include "lb/import/live.h"

#include <errno.h>
#include <string.h>

#include "common/base/ids.h"
#include "common/doc/doc.h"
#include "lb/import/fetch.h"
#include "lb/import/shape.h"

/* New object {instance id: true}: the instances of the groups found, which
 * register by themselves.
 */
static json_t *instances_of(const json_t *found)
{
	json_t *instances = json_object();
	const json_t *group, *instance;
	size_t i, j;

	json_array_foreach (doc_array(found, "AutoScalingGroups"), i, group) {
		json_array_foreach (doc_array(group, "Instances"), j, instance)
			json_object_set_new(instances, doc_str(instance, "InstanceId", ""),
					    json_true());
	}
	return instances;
}

/* The target groups of the groups found, also those that no load balancer uses
 * yet. */
static int fetch_their_targets(const struct source *source, json_t *found, struct err *err)
{
	const json_t *group, *arn;
	size_t i, j;

	json_array_foreach (doc_array(found, "AutoScalingGroups"), i, group) {
		json_array_foreach (doc_array(group, "TargetGroupARNs"), j, arn) {
			if (fetch_target_group(source, json_string_value(arn), found, err) < 0)
				return -1;
		}
	}
	return 0;
}

static int fetch_scaling(const struct source *source, const struct import_options *options,
			 json_t *found, struct err *err)
{
	json_t *alarms;
	int result;

	for (size_t i = 0; i < options->n_groups; i++) {
		if (fetch_group(source, options->groups[i], found, err) < 0)
			return -1;
	}
	if (options->n_groups == 0)
		return 0;
	if (fetch_their_targets(source, found, err) < 0 ||
	    fetch_alarms(source, NULL, found, err) < 0)
		return -1;
	alarms = shape_related_alarms(found);
	result = fetch_alarm_tags(source, alarms, err);
	json_object_set_new(found, "MetricAlarms", alarms);
	return result;
}

static int fetch_all(const struct source *source, const struct import_options *options,
		     json_t *found, struct err *err)
{
	for (size_t i = 0; i < options->n_balancers; i++) {
		if (fetch_load_balancer(source, options->balancers[i], found, err) < 0)
			return -1;
	}
	if (fetch_scaling(source, options, found, err) < 0)
		return -1;
	return fetch_tags(source, found, err);
}

json_t *live_import(const struct source *source, const struct import_options *options,
		    json_t *notes, struct err *err)
{
	json_t *found = fetch_new(), *config = NULL, *shaped, *instances;

	if (fetch_all(source, options, found, err) == 0) {
		instances = instances_of(found);
		shaped = shape_balancers(found, instances, notes);
		config = json_object();
		if (strcmp(options->remote.region, "us-east-1") != 0)
			json_object_set_new(config, "Lb",
					    json_pack("{s:s}", "Region", options->remote.region));
		json_object_update(config, shaped);
		shape_scaling(found, config, notes);
		json_decref(shaped);
		json_decref(instances);
	}
	json_decref(found);
	return config;
}

/* ---- what a file names ---- */

/* A section of the file, and how to read what it names. */
struct section {
	const char *name, *member;
	int (*fetch)(const struct source *source, const char *name, json_t *found, struct err *err);
};

/* Each of the file's section; who is not there is a difference, no failure. */
static int fetch_section(const struct source *source, const struct section *section,
			 const json_t *config, json_t *found, struct err *err)
{
	const json_t *item;
	size_t i;

	json_array_foreach (doc_array(config, section->name), i, item) {
		struct err why = {0};

		if (section->fetch(source, doc_str(item, section->member, ""), found, &why) == 0 ||
		    why.code == ENOENT)
			continue;
		*err = why;
		return -1;
	}
	return 0;
}

static int fetch_balancers_of(const struct source *source, const json_t *config, json_t *found,
			      struct err *err)
{
	static const struct section balancers = {"LoadBalancers", "LoadBalancerName",
						 fetch_load_balancer};
	static const struct section groups = {"TargetGroups", "TargetGroupName",
					      fetch_target_group};

	if (fetch_section(source, &balancers, config, found, err) < 0 ||
	    fetch_section(source, &groups, config, found, err) < 0)
		return -1;
	return fetch_tags(source, found, err);
}

static int fetch_alarms_of(const struct source *source, const json_t *config, json_t *found,
			   struct err *err)
{
	json_t *names = json_array();
	const json_t *alarm;
	size_t i;
	int result;

	json_array_foreach (doc_array(config, "MetricAlarms"), i, alarm)
		json_array_append(names, json_object_get(alarm, "AlarmName"));
	result = fetch_alarms(source, names, found, err);
	json_decref(names);
	return result < 0 ? -1 : fetch_alarm_tags(source, doc_array(found, "MetricAlarms"), err);
}

static int fetch_scaling_of(const struct source *source, const json_t *config, json_t *found,
			    struct err *err)
{
	static const struct section groups = {"AutoScalingGroups", "AutoScalingGroupName",
					      fetch_group};
	static const struct section templates = {"LaunchTemplates", "LaunchTemplateName",
						 fetch_launch_template};

	if (fetch_section(source, &groups, config, found, err) < 0 ||
	    fetch_section(source, &templates, config, found, err) < 0)
		return -1;
	return fetch_alarms_of(source, config, found, err);
}

/* ---- what neither side decides ---- */

/* Target groups that came with a live load balancer and that the file does not
 * name are told by the rules that use them. */
static void drop_others(json_t *side, const json_t *config)
{
	json_t *groups = doc_array(side, "TargetGroups");

	for (size_t i = json_array_size(groups); i-- > 0;) {
		const char *name = doc_str(json_array_get(groups, i), "TargetGroupName", "");

		if (!doc_find(doc_array(config, "TargetGroups"), "TargetGroupName", name))
			json_array_remove(groups, i);
	}
}

/* Instances of target groups that a group of the file's registers its own in. */
static void drop_instances(json_t *side, const json_t *config)
{
	const json_t *group, *name;
	size_t i, j;

	json_array_foreach (doc_array(config, "AutoScalingGroups"), i, group) {
		json_array_foreach (doc_array(group, "TargetGroupARNs"), j, name) {
			json_t *targets =
			    doc_array(doc_find(doc_array(side, "TargetGroups"), "TargetGroupName",
					       json_string_value(name)),
				      "Targets");

			for (size_t t = json_array_size(targets); t-- > 0;) {
				if (id_is_ec2(doc_str(json_array_get(targets, t), "Id", ""), "i"))
					json_array_remove(targets, t);
			}
		}
	}
}

static void drop_capacity(json_t *side)
{
	json_t *group;
	size_t i;

	json_array_foreach (doc_array(side, "AutoScalingGroups"), i, group)
		json_object_del(group, "DesiredCapacity");
}

/* An address is compared where both have one: AWS's load balancers have names
 * only. */
static void drop_addresses(json_t *file_side, json_t *live_side)
{
	json_t *balancer, *other;
	size_t i;

	json_array_foreach (doc_array(file_side, "LoadBalancers"), i, balancer) {
		other = doc_find(doc_array(live_side, "LoadBalancers"), "LoadBalancerName",
				 doc_str(balancer, "LoadBalancerName", ""));
		if (doc_has(balancer, "ListenAddress") == doc_has(other, "ListenAddress"))
			continue;
		json_object_del(balancer, "ListenAddress");
		json_object_del(other, "ListenAddress");
	}
}

int live_of_file(const json_t *config, struct source own, struct source live, bool with_scaling,
		 struct live_sides *sides, struct err *err)
{
	json_t *own_found = fetch_new(), *found = fetch_new(), *instances = NULL, *names = NULL;
	int result = -1;

	if (fetch_balancers_of(&own, config, own_found, err) < 0 ||
	    fetch_balancers_of(&live, config, found, err) < 0 ||
	    (with_scaling && fetch_scaling_of(&live, config, found, err) < 0))
		goto out;
	instances = instances_of(found);
	names = shape_names(found);
	sides->file = shape_balancers(own_found, NULL, NULL);
	sides->live = shape_balancers(found, instances, NULL);
	if (with_scaling) {
		shape_scaling_of_file(config, names, sides->file);
		shape_scaling(found, sides->live, NULL);
	}
	drop_others(sides->live, config);
	drop_instances(sides->file, config);
	drop_instances(sides->live, config);
	drop_capacity(sides->file);
	drop_capacity(sides->live);
	drop_addresses(sides->file, sides->live);
	result = 0;
out:
	json_decref(names);
	json_decref(instances);
	json_decref(own_found);
	json_decref(found);
	return result;
}
