/*
 * Groups and their target groups as the API shows them, and what is attached.  Pure.
 */
#include <string.h>

#include "scaler/engine/parts.h"

/* ---- target groups ---- */

void engine_attach(struct group *group, const char *arn)
{
	struct attachment *attachment = group_attachment_add(group, arn);
	json_t *arns = doc_array(group->document, "TargetGroupARNs");

	if (!attachment)
		return;
	if (attachment->state == ATTACHMENT_REMOVING)
		attachment->state = ATTACHMENT_ADDING;
	if (!doc_list_has(arns, arn))
		json_array_append_new(arns, json_string(arn));
	group->is_dirty = true;
}

void engine_detach(struct group *group, const char *arn)
{
	struct attachment *attachment = group_attachment(group, arn);

	instance_drop_target_group(doc_array(group->document, "TargetGroupARNs"), arn);
	if (attachment)
		attachment->state = ATTACHMENT_REMOVING;
	group->is_dirty = true;
}

json_t *attachment_describe(const struct attachment *attachment)
{
	static const char *const names[] = {
	    [ATTACHMENT_ADDING] = "Adding",
	    [ATTACHMENT_ADDED] = "Added",
	    [ATTACHMENT_IN_SERVICE] = "InService",
	    [ATTACHMENT_REMOVING] = "Removing",
	};

	return json_pack("{s:s, s:s}", "LoadBalancerTargetGroupARN", attachment->arn, "State",
			 names[attachment->state]);
}

/* ---- description ---- */

static json_t *traffic_sources(const struct group *group)
{
	json_t *out = json_array();
	const json_t *arn;
	size_t i;

	json_array_foreach (doc_array(group->document, "TargetGroupARNs"), i, arn)
		json_array_append_new(out, json_pack("{s:s, s:s}", "Identifier",
						     json_string_value(arn), "Type", "elbv2"));
	return out;
}

/* A suspension of ours beside those that people have asked for. */
static void show_suspension(const struct group *group, json_t *out)
{
	json_t *entry = breaker_suspension(group), *list;

	if (!entry)
		return;
	list = json_copy(doc_array(out, "SuspendedProcesses"));
	if (group_is_suspended(group, "Launch")) {
		json_decref(entry);
		json_decref(list);
		return;
	}
	json_array_append_new(list, entry);
	json_object_set_new(out, "SuspendedProcesses", list);
}

json_t *group_describe(const struct group *group, bool with_instances)
{
	struct group_counts counts = group_count(group);
	const struct instance *instance;
	json_t *out = json_copy(group->document), *list;

	if (!out)
		return NULL;
	json_object_set_new(out, "MinSize", json_integer(group->min));
	json_object_set_new(out, "MaxSize", json_integer(group->max));
	json_object_set_new(out, "DesiredCapacity", json_integer(group->desired));
	json_object_set_new(out, "TrafficSources", traffic_sources(group));
	show_suspension(group, out);
	if (group_warm_pool(group))
		json_object_set_new(out, "WarmPoolSize",
				    json_integer(counts.warming + counts.warm));
	if (group_predicted_capacity(group) >= 0)
		json_object_set_new(out, "PredictedCapacity",
				    json_integer(group_predicted_capacity(group)));
	if (group->is_deleting)
		json_object_set_new(out, "Status", json_string("Delete in progress"));
	if (!with_instances)
		return out;
	list = json_array();
	TAILQ_FOREACH (instance, &group->instances, link) {
		if (instance->id[0] && instance->state != INSTANCE_TERMINATED && !instance->is_warm)
			json_array_append_new(list, instance_describe(NULL, instance));
	}
	json_object_set_new(out, "Instances", list);
	return out;
}
