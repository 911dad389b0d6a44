/*
 * An instance of a group: made, found, freed, described.  Pure.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "scaler/engine/parts.h"

static const char *const state_names[] = {
    [INSTANCE_PENDING] = "Pending",
    [INSTANCE_IN_SERVICE] = "InService",
    [INSTANCE_TERMINATING] = "Terminating",
    [INSTANCE_TERMINATED] = "Terminated",
    [INSTANCE_ENTERING_STANDBY] = "EnteringStandby",
    [INSTANCE_STANDBY] = "Standby",
    [INSTANCE_DETACHING] = "Detaching",
    [INSTANCE_WARMING] = "Pending",
    [INSTANCE_WARM] = "Stopped",
    [INSTANCE_RETURNING] = "Pending",
    [INSTANCE_RETAINED] = "Terminating:Retained",
};

static const char *state_name(const struct instance *instance)
{
	static const char *const pool_names[] = {
	    [POOL_STOPPED] = "Stopped",
	    [POOL_RUNNING] = "Running",
	    [POOL_HIBERNATED] = "Hibernated",
	};

	return instance->state == INSTANCE_WARM ? pool_names[instance->pool_state]
						: state_names[instance->state];
}

const char *instance_lifecycle(const struct instance *instance, char text[ZONE_MAX])
{
	const char *more = "";

	if (instance->hook_phase == HOOKS_WAIT)
		more = ":Wait";
	else if (instance->hook_phase == HOOKS_PROCEED)
		more = ":Proceed";
	if (!instance_is_launching(instance) && instance->state != INSTANCE_TERMINATING &&
	    instance->state != INSTANCE_RETURNING)
		more = "";
	snprintf(text, ZONE_MAX, "%s%s%s", instance->is_warm ? "Warmed:" : "", state_name(instance),
		 more);
	return text;
}

bool instance_is_leaving(const struct instance *instance)
{
	return instance->state == INSTANCE_TERMINATING || instance->state == INSTANCE_DETACHING ||
	       instance->state == INSTANCE_ENTERING_STANDBY ||
	       instance->state == INSTANCE_RETURNING;
}

bool instance_is_launching(const struct instance *instance)
{
	return instance->state == INSTANCE_PENDING || instance->state == INSTANCE_WARMING;
}

bool instance_is_pooled(const struct instance *instance)
{
	return instance->state == INSTANCE_WARMING || instance->state == INSTANCE_WARM ||
	       instance->state == INSTANCE_RETURNING;
}

bool instance_is_settled(const struct instance *instance)
{
	return instance->state == INSTANCE_IN_SERVICE || instance->state == INSTANCE_STANDBY ||
	       instance->state == INSTANCE_WARM || instance->state == INSTANCE_RETAINED;
}

const json_t *instance_dimensions(struct instance *instance)
{
	if (!instance->dimensions)
		instance->dimensions =
		    json_pack("[{s:s, s:s}]", "Name", "InstanceId", "Value", instance->id);
	return instance->dimensions;
}

struct instance *instance_new(struct group *group)
{
	struct instance *instance = calloc(1, sizeof *instance);

	if (!instance)
		return NULL;
	instance->registering = json_array();
	instance->registered = json_array();
	instance->draining = json_array();
	instance->hooks = json_array();
	if (!instance->registering || !instance->registered || !instance->draining ||
	    !instance->hooks) {
		instance_free(instance);
		return NULL;
	}
	instance->is_dirty = true;
	TAILQ_INSERT_TAIL(&group->instances, instance, link);
	return instance;
}

void instance_free(struct instance *instance)
{
	if (!instance)
		return;
	json_decref(instance->dimensions);
	json_decref(instance->registering);
	json_decref(instance->registered);
	json_decref(instance->draining);
	json_decref(instance->hooks);
	json_decref(instance->run_members);
	free(instance);
}

int instance_units(const struct instance *instance)
{
	return instance->weight > 0 ? instance->weight : 1;
}

bool instance_is_live(const struct instance *instance)
{
	return instance->state == INSTANCE_PENDING || instance->state == INSTANCE_IN_SERVICE;
}

/* As far as is known: after a restart an instance in service runs until EC2 says otherwise. */
bool instance_is_running(const struct instance *instance)
{
	return instance->ec2 == EC2_RUNNING || (instance->ec2 == EC2_UNKNOWN && instance->has_run);
}

bool instance_may_be_in(const struct instance *instance, const char *arn)
{
	return doc_list_has(instance->registered, arn) || doc_list_has(instance->registering, arn);
}

void instance_drop_target_group(json_t *list, const char *arn)
{
	for (size_t i = json_array_size(list); i > 0; i--) {
		const char *text = json_string_value(json_array_get(list, i - 1));

		if (text && strcmp(text, arn) == 0)
			json_array_remove(list, i - 1);
	}
}

static json_t *template_describe(const struct instance *instance)
{
	json_t *template = json_object();

	if (instance->template_id[0])
		json_object_set_new(template, "LaunchTemplateId",
				    json_string(instance->template_id));
	if (instance->template_name[0])
		json_object_set_new(template, "LaunchTemplateName",
				    json_string(instance->template_name));
	if (instance->template_version[0])
		json_object_set_new(template, "Version", json_string(instance->template_version));
	return template;
}

static json_t *describe(const struct instance *instance, const char *health)
{
	char state[ZONE_MAX], weight[16];
	json_t *out =
	    json_pack("{s:s, s:s, s:s, s:s, s:b}", "InstanceId", instance->id, "AvailabilityZone",
		      instance->zone, "LifecycleState", instance_lifecycle(instance, state),
		      "HealthStatus", health, "ProtectedFromScaleIn", instance->is_protected);

	if (!out)
		return NULL;
	if (instance->type[0])
		json_object_set_new(out, "InstanceType", json_string(instance->type));
	if (instance->weight > 0) {
		snprintf(weight, sizeof weight, "%d", instance->weight);
		json_object_set_new(out, "WeightedCapacity", json_string(weight));
	}
	if (instance->image_id[0])
		json_object_set_new(out, "ImageId", json_string(instance->image_id));
	if (instance->config_name[0])
		json_object_set_new(out, "LaunchConfigurationName",
				    json_string(instance->config_name));
	else if (instance->template_id[0] || instance->template_name[0])
		json_object_set_new(out, "LaunchTemplate", template_describe(instance));
	return out;
}

json_t *instance_describe(const struct group *group, const struct instance *instance)
{
	/* DescribeAutoScalingInstances spells health in capitals, DescribeAutoScalingGroups does
	 * not. */
	json_t *out;

	if (!group)
		return describe(instance, instance->is_unhealthy ? "Unhealthy" : "Healthy");
	out = describe(instance, instance->is_unhealthy ? "UNHEALTHY" : "HEALTHY");
	if (out)
		json_object_set_new(out, "AutoScalingGroupName", json_string(group->name));
	return out;
}
