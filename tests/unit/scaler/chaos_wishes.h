/*
 * What people ask for in the world of chaos_world.h: calls of the Auto Scaling API through its real
 * handlers, of every kind and at any time.  Many are refused, as they should be.
 */
#ifndef TESTS_UNIT_SCALER_CHAOS_WISHES_H
#define TESTS_UNIT_SCALER_CHAOS_WISHES_H

#include "scaler/api/autoscaling.h"
#include "tests/unit/scaler/chaos_world.h"

enum { MAX_SIZE = 9 };

/* input is taken over; true: it was done. */
static inline bool call_api(struct chaos *chaos, const char *name, json_t *input)
{
	struct clock clock = {true, chaos->world->now_ms};
	struct autoscaling as = {chaos->world->engine, NULL, &clock, commit, chaos};
	struct aws_call call = {.action = name};
	struct aws_error error = {0};
	json_t *output = NULL;

	if (!doc_has(input, "InstanceId") || doc_has(input, "LifecycleHookName"))
		json_object_set_new(input, "AutoScalingGroupName", json_string("web"));
	for (size_t i = 0; i < autoscaling_n_actions; i++) {
		if (strcmp(autoscaling_actions[i].name, name) == 0)
			output = autoscaling_actions[i].handle(&as, &call, input, &error);
	}
	if (!output && !error.http_status)
		broken(chaos, "a handler that does nothing says why", name);
	if (chaos->is_loud || output) {
		char *text = json_dumps(input, JSON_COMPACT);

		note(chaos, "%s %.140s %.60s", name, text, error.message);
		free(text);
	}
	json_decref(input);
	json_decref(output);
	return output != NULL;
}

static inline struct instance *any_instance(struct chaos *chaos, int state)
{
	struct instance *instance, *found = NULL;
	int skip = dice(chaos, 4);

	TAILQ_FOREACH (instance, &chaos->world->group->instances, link) {
		bool fits = instance->id[0] && (state < 0 || (int)instance->state == state);

		if (fits && skip-- >= 0)
			found = instance;
	}
	return found;
}

static inline json_t *ids_of(const struct instance *instance)
{
	return json_pack("{s:[s]}", "InstanceIds", instance->id);
}

static inline const char *pick_subnets(struct chaos *chaos)
{
	return dice(chaos, 3) ? "subnet-a,subnet-b,subnet-c"
			      : (dice(chaos, 2) ? "subnet-a,subnet-b" : "subnet-c");
}

static inline void wish_create(struct chaos *chaos)
{
	int min = dice(chaos, 3), max = min + dice(chaos, MAX_SIZE - min + 1);
	json_t *input =
	    json_pack("{s:i, s:i, s:i, s:s, s:{s:s, s:s}, s:s, s:i, s:i, s:b, s:i}", "MinSize", min,
		      "MaxSize", max, "DesiredCapacity", min + dice(chaos, max - min + 1),
		      "VPCZoneIdentifier", pick_subnets(chaos), "LaunchTemplate",
		      "LaunchTemplateName", "students", "Version", "1", "HealthCheckType",
		      dice(chaos, 2) ? "ELB" : "EC2", "HealthCheckGracePeriod", dice(chaos, 60),
		      "DefaultCooldown", dice(chaos, 60), "NewInstancesProtectedFromScaleIn",
		      dice(chaos, 5) == 0, "DefaultInstanceWarmup", dice(chaos, 60));

	if (dice(chaos, 2))
		json_object_set_new(input, "TargetGroupARNs", json_pack("[s]", WORLD_TARGET_GROUP));
	(void)call_api(chaos, "CreateAutoScalingGroup", input);
	chaos->world->group = engine_group(chaos->world->engine, "web");
}

/* -1 and -1 take it away. */
static inline json_t *maintenance_policy(struct chaos *chaos)
{
	int min = dice(chaos, 3) ? 100 - dice(chaos, 51) : 100;
	int max = dice(chaos, 3) ? 100 + dice(chaos, min + 1) : 100;

	if (dice(chaos, 3) == 0)
		min = max = -1;
	return json_pack("{s:i, s:i}", "MinHealthyPercentage", min, "MaxHealthyPercentage", max);
}

static inline void wish_update(struct chaos *chaos)
{
	static const char *const policies[] = {"Default", "OldestInstance", "NewestInstance",
					       "ClosestToNextInstanceHour", "OldestLaunchTemplate"};
	int min = dice(chaos, 4);
	json_t *input = json_pack("{s:i, s:i}", "MinSize", min, "MaxSize",
				  min + dice(chaos, MAX_SIZE - min + 1));

	if (dice(chaos, 6) == 0)
		json_object_set_new(input, "VPCZoneIdentifier", json_string(pick_subnets(chaos)));
	if (dice(chaos, 4) == 0)
		json_object_set_new(input, "TerminationPolicies",
				    json_pack("[s]", policies[dice(chaos, 5)]));
	if (dice(chaos, 4) == 0)
		json_object_set_new(input, "HealthCheckType",
				    json_string(dice(chaos, 2) ? "ELB" : "EC2"));
	if (dice(chaos, 8) == 0)
		json_object_set_new(input, "MaxInstanceLifetime",
				    json_integer(dice(chaos, 2) ? 86400 : 0));
	if (dice(chaos, 4) == 0)
		json_object_set_new(input, "LaunchTemplate",
				    json_pack("{s:s, s:s}", "LaunchTemplateName", "students",
					      "Version", dice(chaos, 2) ? "1" : "2"));
	if (dice(chaos, 4) == 0)
		json_object_set_new(input, "InstanceMaintenancePolicy", maintenance_policy(chaos));
	(void)call_api(chaos, "UpdateAutoScalingGroup", input);
}

static inline void wish_delete(struct chaos *chaos)
{
	if (dice(chaos, 6) == 0)
		(void)call_api(chaos, "DeleteAutoScalingGroup",
			       json_pack("{s:b}", "ForceDelete", dice(chaos, 4)));
}

static inline void wish_desired(struct chaos *chaos)
{
	const struct group *group = chaos->world->group;
	int span = group->max - group->min + 1;

	(void)call_api(chaos, "SetDesiredCapacity",
		       json_pack("{s:i, s:b}", "DesiredCapacity", group->min + dice(chaos, span),
				 "HonorCooldown", dice(chaos, 4) == 0));
}

static inline void wish_termination(struct chaos *chaos)
{
	const struct instance *instance = any_instance(chaos, -1);

	if (instance)
		(void)call_api(chaos, "TerminateInstanceInAutoScalingGroup",
			       json_pack("{s:s, s:b}", "InstanceId", instance->id,
					 "ShouldDecrementDesiredCapacity", dice(chaos, 2)));
}

static inline void wish_health(struct chaos *chaos)
{
	const struct instance *instance = any_instance(chaos, -1);

	if (instance)
		(void)call_api(chaos, "SetInstanceHealth",
			       json_pack("{s:s, s:s, s:b}", "InstanceId", instance->id,
					 "HealthStatus", dice(chaos, 3) ? "Unhealthy" : "Healthy",
					 "ShouldRespectGracePeriod", dice(chaos, 2)));
}

static inline void wish_protection(struct chaos *chaos)
{
	const struct instance *instance = any_instance(chaos, INSTANCE_IN_SERVICE);
	json_t *input;

	if (!instance)
		return;
	input = ids_of(instance);
	json_object_set_new(input, "ProtectedFromScaleIn", json_boolean(dice(chaos, 2)));
	(void)call_api(chaos, "SetInstanceProtection", input);
}

static inline void wish_out(struct chaos *chaos, const char *name, int state)
{
	const struct instance *instance = any_instance(chaos, state);
	json_t *input;

	if (!instance)
		return;
	input = ids_of(instance);
	json_object_set_new(input, "ShouldDecrementDesiredCapacity", json_boolean(dice(chaos, 2)));
	(void)call_api(chaos, name, input);
}

static inline void wish_standby(struct chaos *chaos)
{
	wish_out(chaos, "EnterStandby", INSTANCE_IN_SERVICE);
}

static inline void wish_detach(struct chaos *chaos)
{
	wish_out(chaos, "DetachInstances", dice(chaos, 3) ? INSTANCE_IN_SERVICE : INSTANCE_STANDBY);
}

static inline void wish_return(struct chaos *chaos)
{
	const struct instance *instance = any_instance(chaos, INSTANCE_STANDBY);

	if (instance)
		(void)call_api(chaos, "ExitStandby", ids_of(instance));
}

/* Somebody's own instance, or one that there is none of. */
static inline void wish_attach(struct chaos *chaos)
{
	char id[ID_TEXT_MAX];
	json_t *ec2 = json_pack("{s:s, s:s, s:s, s:{s:s}, s:{s:s}}", "InstanceId",
				id_ec2(&chaos->world->ids, "i", id), "InstanceType", "t2.micro",
				"SubnetId", "subnet-a", "Placement", "AvailabilityZone",
				"us-east-1a", "State", "Name", "running");
	struct machine *machine;

	if (chaos->n_machines > MACHINES_MAX / 2 || dice(chaos, 8) == 0) {
		(void)call_api(chaos, "AttachInstances", json_pack("{s:[s]}", "InstanceIds", id));
		json_decref(ec2);
		return;
	}
	json_array_append_new(chaos->world->left, ec2);
	machine = add_machine(chaos, ec2);
	machine->runs_ms = 0;
	if (call_api(chaos, "AttachInstances", json_pack("{s:[s]}", "InstanceIds", id)))
		find_machine(chaos, id)->is_given = true;
	else
		machine->is_given =
		    engine_group_of(chaos->world->engine, id, &(struct instance *){NULL}) != NULL;
}

/* Somebody's own instance that carries the group's tag all the same, by mistake: it is listed, and
 * nobody's to end.  Its token is of another's making. */
static inline void wish_foreign(struct chaos *chaos)
{
	static const char *const tokens[] = {"", "mine", "4f1c2d3e-0a1b-4c2d-8e3f-001122334455"};
	char id[ID_TEXT_MAX], at[CLOCK_TEXT_MAX];
	json_t *ec2;
	struct machine *machine;

	if (chaos->n_machines > MACHINES_MAX / 2)
		return;
	ec2 = json_pack("{s:s, s:s, s:s, s:s, s:s, s:{s:s}, s:{s:s}}", "InstanceId",
			id_ec2(&chaos->world->ids, "i", id), "ClientToken", tokens[dice(chaos, 3)],
			"InstanceType", "t2.micro", "SubnetId", "subnet-b", "LaunchTime",
			clock_format_iso_ms(chaos->true_ms - dice(chaos, 7200000), at), "Placement",
			"AvailabilityZone", "us-east-1b", "State", "Name", "running");
	json_array_append_new(chaos->world->left, ec2);
	machine = add_machine(chaos, ec2);
	machine->runs_ms = 0;
	machine->is_tagged = true;
	note(chaos, "foreign %s", machine->id);
}

static inline void wish_target_group(struct chaos *chaos)
{
	(void)call_api(chaos,
		       dice(chaos, 3) ? "AttachLoadBalancerTargetGroups"
				      : "DetachLoadBalancerTargetGroups",
		       json_pack("{s:[s]}", "TargetGroupARNs", WORLD_TARGET_GROUP));
}

static inline void wish_processes(struct chaos *chaos)
{
	static const char *const names[] = {
	    "Launch",          "Terminate",   "HealthCheck",       "ReplaceUnhealthy",
	    "InstanceRefresh", "AZRebalance", "AddToLoadBalancer", "AlarmNotification",
	    "ScheduledActions"};

	if (dice(chaos, 3))
		(void)call_api(chaos, "ResumeProcesses", json_object());
	else
		(void)call_api(chaos, "SuspendProcesses",
			       json_pack("{s:[s]}", "ScalingProcesses", names[dice(chaos, 9)]));
}

static inline void wish_hook(struct chaos *chaos)
{
	const char *name = dice(chaos, 2) ? "in" : "out";

	if (dice(chaos, 2)) {
		(void)call_api(chaos, "DeleteLifecycleHook",
			       json_pack("{s:s}", "LifecycleHookName", name));
		return;
	}
	(void)call_api(chaos, "PutLifecycleHook",
		       json_pack("{s:s, s:s, s:i, s:s}", "LifecycleHookName", name,
				 "LifecycleTransition",
				 strcmp(name, "in") == 0 ? "autoscaling:EC2_INSTANCE_LAUNCHING"
							 : "autoscaling:EC2_INSTANCE_TERMINATING",
				 "HeartbeatTimeout", 30 + dice(chaos, 60), "DefaultResult",
				 dice(chaos, 3) ? "CONTINUE" : "ABANDON"));
}

static inline void wish_hook_answer(struct chaos *chaos)
{
	const struct instance *instance;
	const json_t *waiting = NULL;

	TAILQ_FOREACH (instance, &chaos->world->group->instances, link) {
		if (json_array_size(instance->hooks) > 0 && dice(chaos, 2))
			waiting = json_array_get(instance->hooks, 0);
	}
	if (!waiting)
		return;
	(void)call_api(
	    chaos, dice(chaos, 3) ? "CompleteLifecycleAction" : "RecordLifecycleActionHeartbeat",
	    json_pack("{s:s, s:s, s:s}", "LifecycleHookName",
		      doc_str(waiting, "LifecycleHookName", ""), "LifecycleActionToken",
		      doc_str(waiting, "LifecycleActionToken", ""), "LifecycleActionResult",
		      dice(chaos, 4) ? "CONTINUE" : "ABANDON"));
}

static inline json_t *refresh_input(struct chaos *chaos)
{
	static const char *const ways[] = {"Refresh", "Ignore", "Wait"};
	static const char *const standby[] = {"Terminate", "Ignore", "Wait"};
	json_t *input =
	    json_pack("{s:{s:i, s:i, s:i, s:b, s:s, s:s, s:i}}", "Preferences",
		      "MinHealthyPercentage", 50 + dice(chaos, 51), "MaxHealthyPercentage",
		      100 + dice(chaos, 51), "InstanceWarmup", dice(chaos, 40), "SkipMatching",
		      dice(chaos, 3) == 0, "ScaleInProtectedInstances", ways[dice(chaos, 3)],
		      "StandbyInstances", standby[dice(chaos, 3)], "BakeTime", dice(chaos, 30));
	json_t *preferences = doc_object(input, "Preferences");

	if (dice(chaos, 3) == 0) {
		json_object_set_new(preferences, "CheckpointPercentages",
				    json_pack("[i, i]", 30, 100));
		json_object_set_new(preferences, "CheckpointDelay", json_integer(dice(chaos, 60)));
	}
	if (dice(chaos, 2)) {
		json_object_set_new(input, "DesiredConfiguration",
				    json_pack("{s:{s:s, s:s}}", "LaunchTemplate",
					      "LaunchTemplateName", "students", "Version", "2"));
		json_object_set_new(preferences, "AutoRollback", json_boolean(dice(chaos, 2)));
	}
	return input;
}

static inline void wish_refresh(struct chaos *chaos)
{
	static const char *const names[] = {"CancelInstanceRefresh", "RollbackInstanceRefresh"};

	if (dice(chaos, 2))
		(void)call_api(chaos, "StartInstanceRefresh", refresh_input(chaos));
	else
		(void)call_api(chaos, names[dice(chaos, 2)], json_object());
}

static inline void wish_schedule(struct chaos *chaos)
{
	char at[CLOCK_TEXT_MAX];
	json_t *input = json_pack("{s:s}", "ScheduledActionName", dice(chaos, 2) ? "s" : "t");

	if (dice(chaos, 3) == 0) {
		(void)call_api(chaos, "DeleteScheduledAction", input);
		return;
	}
	if (dice(chaos, 2))
		json_object_set_new(input, "Recurrence",
				    json_string(dice(chaos, 2) ? "*/5 * * * *" : "* * * * *"));
	else
		json_object_set_new(
		    input, "StartTime",
		    json_string(clock_format_iso(chaos->world->now_ms + dice(chaos, 300000), at)));
	json_object_set_new(input, "DesiredCapacity", json_integer(dice(chaos, MAX_SIZE)));
	if (dice(chaos, 4) == 0)
		json_object_set_new(input, "MinSize", json_integer(dice(chaos, 3)));
	(void)call_api(chaos, "PutScheduledUpdateGroupAction", input);
}

/* ---- policies ---- */

static inline json_t *policy_input(struct chaos *chaos, int kind)
{
	static const char *const types[] = {"ChangeInCapacity", "PercentChangeInCapacity",
					    "ExactCapacity"};
	const char *type = types[dice(chaos, 3)];
	int change = dice(chaos, 5) + (strcmp(type, "ExactCapacity") == 0 ? 0 : -2);

	if (kind == 0)
		return json_pack("{s:s, s:s, s:i, s:{s:f, s:b, s:{s:s}}}", "PolicyName",
				 dice(chaos, 2) ? "cpu" : "cpu2", "PolicyType",
				 "TargetTrackingScaling", "EstimatedInstanceWarmup",
				 dice(chaos, 40), "TargetTrackingConfiguration", "TargetValue",
				 20.0 + dice(chaos, 50), "DisableScaleIn", dice(chaos, 4) == 0,
				 "PredefinedMetricSpecification", "PredefinedMetricType",
				 "ASGAverageCPUUtilization");
	if (kind == 1)
		return json_pack("{s:s, s:s, s:s, s:i, s:i}", "PolicyName", "simple", "PolicyType",
				 "SimpleScaling", "AdjustmentType", type, "ScalingAdjustment",
				 change, "Cooldown", dice(chaos, 60));
	return json_pack("{s:s, s:s, s:s, s:i, s:[{s:f, s:i}]}", "PolicyName", "step", "PolicyType",
			 "StepScaling", "AdjustmentType", type, "EstimatedInstanceWarmup",
			 dice(chaos, 40), "StepAdjustments", "MetricIntervalLowerBound", 0.0,
			 "ScalingAdjustment", change);
}

static inline void wish_policy(struct chaos *chaos)
{
	static const char *const names[] = {"cpu", "cpu2", "simple", "step"};

	if (dice(chaos, 3))
		(void)call_api(chaos, "PutScalingPolicy", policy_input(chaos, dice(chaos, 3)));
	else
		(void)call_api(chaos, "DeletePolicy",
			       json_pack("{s:s}", "PolicyName", names[dice(chaos, 4)]));
}

static inline void wish_policy_run(struct chaos *chaos)
{
	bool is_step = dice(chaos, 2);
	json_t *input = json_pack("{s:s}", "PolicyName", is_step ? "step" : "simple");

	if (is_step) {
		json_object_set_new(input, "MetricValue", json_real(60.0));
		json_object_set_new(input, "BreachThreshold", json_real(50.0));
	}
	(void)call_api(chaos, "ExecutePolicy", input);
}

/* An alarm that goes off. */
static inline void wish_alarm(struct chaos *chaos)
{
	struct policy *policy =
	    group_policy(chaos->world->group, dice(chaos, 2) ? "step" : "simple");
	json_t *alarm = json_pack("{s:s, s:s, s:s}", "AlarmName", "busy", "AlarmArn", "arn:busy",
				  "StateValue", "ALARM");
	struct policy_run run = {.has_value = true, .value = 60, .threshold = 50, .alarm = alarm};
	struct err err = {0};

	if (policy &&
	    engine_alarm_policy(chaos->world->group, policy, &run, chaos->world->now_ms, &err) == 0)
		note(chaos, "alarm %s", policy->name);
	json_decref(alarm);
}

static inline void wish_warm_pool(struct chaos *chaos)
{
	static const char *const states[] = {"Stopped", "Running", "Hibernated"};

	if (dice(chaos, 3) == 0)
		(void)call_api(chaos, "DeleteWarmPool",
			       json_pack("{s:b}", "ForceDelete", dice(chaos, 2)));
	else
		(void)call_api(chaos, "PutWarmPool",
			       json_pack("{s:i, s:i, s:s, s:{s:b}}", "MinSize", dice(chaos, 3),
					 "MaxGroupPreparedCapacity", dice(chaos, MAX_SIZE),
					 "PoolState", states[dice(chaos, 3)], "InstanceReusePolicy",
					 "ReuseOnScaleIn", dice(chaos, 2)));
}

typedef void (*wish_fn)(struct chaos *chaos);

static inline void make_wish(struct chaos *chaos)
{
	static const wish_fn wishes[] = {
	    wish_update,      wish_delete,    wish_desired,      wish_desired,   wish_desired,
	    wish_termination, wish_health,    wish_protection,   wish_standby,   wish_detach,
	    wish_return,      wish_attach,    wish_target_group, wish_processes, wish_hook,
	    wish_hook_answer, wish_refresh,   wish_schedule,     wish_policy,    wish_policy_run,
	    wish_alarm,       wish_warm_pool, wish_foreign,
	};

	if (!chaos->world->group)
		wish_create(chaos);
	else
		wishes[dice(chaos, (int)(sizeof wishes / sizeof wishes[0]))](chaos);
}

#endif
