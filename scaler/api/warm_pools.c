/*
 * Warm pools: put, described, deleted.
 */
#include <errno.h>
#include <string.h>

#include "common/doc/doc.h"
#include "scaler/api/reply.h"

/* What AWS, too, does not have beside a warm pool. */
static int check_group(const struct group *group, struct aws_error *error)
{
	if (group->is_deleting) {
		aws_error_set(error, 400, "ScalingActivityInProgress",
			      "AutoScalingGroup '%s' is being deleted", group->name);
		return -1;
	}
	if (doc_has(group->document, "MixedInstancesPolicy")) {
		reply_invalid(error, "A group with a mixed instances policy cannot have a warm "
				     "pool.");
		return -1;
	}
	if (doc_has(doc_object(group->document, "LaunchConfiguration"), "SpotPrice")) {
		reply_invalid(error, "A group of Spot Instances cannot have a warm pool.");
		return -1;
	}
	if (group_is_refreshing(group)) {
		aws_error_set(error, 400, "InstanceRefreshInProgress",
			      "An Instance Refresh is in progress for the group %s.", group->name);
		return -1;
	}
	return 0;
}

json_t *handle_PutWarmPool(void *context, const struct aws_call *call, const json_t *input,
			   struct aws_error *error)
{
	struct autoscaling *as = context;
	struct group *group = reply_group(as, input, error);
	struct err err = {0};

	(void)call;
	if (!group || check_group(group, error) < 0)
		return NULL;
	if (engine_put_warm_pool(group, input, &err) == 0)
		return reply_written(as, json_object(), error);
	aws_error_set(error, err.code == EBUSY ? 400 : 500,
		      err.code == EBUSY ? "ScalingActivityInProgress" : "InternalFailure", "%s",
		      err.text);
	return NULL;
}

json_t *handle_DescribeWarmPool(void *context, const struct aws_call *call, const json_t *input,
				struct aws_error *error)
{
	struct autoscaling *as = context;
	const struct group *group = reply_group(as, input, error);
	const struct instance *instance;
	json_t *items, *page;

	(void)call;
	if (!group)
		return NULL;
	items = json_array();
	TAILQ_FOREACH (instance, &group->instances, link) {
		if (instance->id[0] && instance->is_warm && instance->state != INSTANCE_TERMINATED)
			json_array_append_new(items, instance_describe(NULL, instance));
	}
	page = reply_page(input, "Instances", items, 50, 50, error);
	if (page && group_warm_pool(group))
		json_object_set(page, "WarmPoolConfiguration", (json_t *)group_warm_pool(group));
	return page;
}

json_t *handle_DeleteWarmPool(void *context, const struct aws_call *call, const json_t *input,
			      struct aws_error *error)
{
	struct autoscaling *as = context;
	struct group *group = reply_group(as, input, error);

	(void)call;
	if (!group)
		return NULL;
	if (engine_delete_warm_pool(as->engine, group, doc_bool(input, "ForceDelete", false),
				    reply_now_ms(as)) < 0)
		return reply_invalid(error, "No warm pool found for the group %s", group->name);
	return reply_written(as, json_object(), error);
}
