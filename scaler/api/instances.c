/*
 * Instances of the groups, as the API shows and changes them.
 */
#include <string.h>

#include "common/doc/doc.h"
#include "scaler/api/reply.h"

json_t *handle_DescribeAutoScalingInstances(void *context, const struct aws_call *call,
					    const json_t *input, struct aws_error *error)
{
	struct autoscaling *as = context;
	json_t *items = json_array();
	const struct group *group;
	const struct instance *instance;

	(void)call;
	TAILQ_FOREACH (group, &as->engine->groups, link) {
		TAILQ_FOREACH (instance, &group->instances, link) {
			if (instance->id[0] && reply_wants(input, "InstanceIds", instance->id))
				json_array_append_new(items, instance_describe(group, instance));
		}
	}
	return reply_page(input, "AutoScalingInstances", items, 50, 50, error);
}

static struct group *find(struct autoscaling *as, const json_t *input, struct instance **instance,
			  struct aws_error *error)
{
	const char *id = doc_str(input, "InstanceId", "");
	struct group *group = engine_group_of(as->engine, id, instance);

	if (!group)
		reply_invalid(
		    error, "Instance Id not found - No managed instance found for instance ID: %s",
		    id);
	return group;
}

json_t *handle_TerminateInstanceInAutoScalingGroup(void *context, const struct aws_call *call,
						   const json_t *input, struct aws_error *error)
{
	struct autoscaling *as = context;
	struct instance *instance;
	struct group *group = find(as, input, &instance, error);
	struct activity *activity;
	struct err err = {0};
	json_t *shown;

	(void)call;
	if (!group || !reply_may_touch(as, error))
		return NULL;
	if (!instance_is_live(instance) && instance->state != INSTANCE_STANDBY &&
	    instance->state != INSTANCE_WARM && instance->state != INSTANCE_WARMING &&
	    instance->state != INSTANCE_RETAINED) {
		aws_error_set(error, 400, "ScalingActivityInProgress",
			      "The instance %s is being terminated already.", instance->id);
		return NULL;
	}
	activity = engine_terminate_instance(
	    as->engine, group, instance, doc_bool(input, "ShouldDecrementDesiredCapacity", false),
	    reply_now_ms(as), &err);
	if (!activity)
		return reply_invalid(error, "%s", err.text);
	shown = activity_describe(as->engine, activity);
	return reply_written(as, json_pack("{s:o}", "Activity", shown), error);
}

json_t *handle_SetInstanceHealth(void *context, const struct aws_call *call, const json_t *input,
				 struct aws_error *error)
{
	const char *health = doc_str(input, "HealthStatus", "");
	struct autoscaling *as = context;
	struct instance *instance;
	struct group *group = find(as, input, &instance, error);
	int64_t age_s, grace_s;

	(void)call;
	if (!group)
		return NULL;
	if (strcmp(health, "Healthy") != 0 && strcmp(health, "Unhealthy") != 0)
		return reply_invalid(error,
				     "Valid instance health states are: [Healthy, Unhealthy].");
	age_s = (reply_now_ms(as) - instance->in_service_ms) / 1000;
	grace_s = doc_int(group->document, "HealthCheckGracePeriod", 0);
	if (strcmp(health, "Unhealthy") == 0 && doc_bool(input, "ShouldRespectGracePeriod", true) &&
	    age_s < grace_s)
		return reply_invalid(error,
				     "The age of the instance (%lld seconds) is less than the "
				     "configured grace period of %lld seconds",
				     (long long)age_s, (long long)grace_s);
	if (instance_is_live(instance) || instance->state == INSTANCE_WARM) {
		instance->is_user_marked = strcmp(health, "Unhealthy") == 0;
		instance->is_dirty = true;
	}
	return reply_written(as, json_object(), error);
}
