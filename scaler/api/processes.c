/*
 * Processes of a group, suspended and resumed; the metrics it collects; and the constant lists that
 * clients ask for.
 */
#include <stdio.h>
#include <string.h>

#include "common/doc/doc.h"
#include "scaler/api/reply.h"

static const char *const processes[] = {
    "Launch",      "Terminate",       "AddToLoadBalancer", "AlarmNotification", "AZRebalance",
    "HealthCheck", "InstanceRefresh", "ReplaceUnhealthy",  "ScheduledActions",  NULL};

static const char *const metrics[] = {"GroupMinSize",
				      "GroupMaxSize",
				      "GroupDesiredCapacity",
				      "GroupInServiceInstances",
				      "GroupPendingInstances",
				      "GroupStandbyInstances",
				      "GroupTerminatingInstances",
				      "GroupTotalInstances",
				      "GroupInServiceCapacity",
				      "GroupPendingCapacity",
				      "GroupStandbyCapacity",
				      "GroupTerminatingCapacity",
				      "GroupTotalCapacity",
				      "WarmPoolMinSize",
				      "WarmPoolDesiredCapacity",
				      "WarmPoolPendingCapacity",
				      "WarmPoolTerminatingCapacity",
				      "WarmPoolWarmedCapacity",
				      "WarmPoolTotalCapacity",
				      "GroupAndWarmPoolDesiredCapacity",
				      "GroupAndWarmPoolTotalCapacity",
				      NULL};

static bool is_one_of(const char *const names[], const char *name)
{
	for (; *names; names++) {
		if (strcmp(*names, name) == 0)
			return true;
	}
	return false;
}

static int check_all(const json_t *wanted, const char *const names[], const char *what,
		     struct aws_error *error)
{
	const json_t *name;
	size_t i;

	json_array_foreach (wanted, i, name) {
		if (is_one_of(names, json_string_value(name)))
			continue;
		reply_invalid(error, "Invalid %s: %s", what, json_string_value(name));
		return -1;
	}
	return 0;
}

/* The document's list of {member: name, ...}. */
static json_t *list_of(struct group *group, const char *list_name)
{
	json_t *list = doc_array(group->document, list_name);

	if (list)
		return list;
	list = json_array();
	json_object_set_new(group->document, list_name, list);
	return list;
}

static void drop(json_t *list, const char *member, const char *name)
{
	for (size_t i = json_array_size(list); i > 0; i--) {
		if (strcmp(doc_str(json_array_get(list, i - 1), member, ""), name) == 0)
			json_array_remove(list, i - 1);
	}
}

/* ---- processes ---- */

json_t *handle_SuspendProcesses(void *context, const struct aws_call *call, const json_t *input,
				struct aws_error *error)
{
	struct autoscaling *as = context;
	struct group *group = reply_group(as, input, error);
	char at[CLOCK_TEXT_MAX], reason[64];
	json_t *list;

	(void)call;
	if (!group || check_all(doc_array(input, "ScalingProcesses"), processes, "scaling process",
				error) < 0)
		return NULL;
	snprintf(reason, sizeof reason, "User suspended at %s",
		 clock_format_iso(reply_now_ms(as), at));
	list = list_of(group, "SuspendedProcesses");
	for (size_t i = 0; processes[i]; i++) {
		if (reply_wants(input, "ScalingProcesses", processes[i]) &&
		    !doc_find(list, "ProcessName", processes[i]))
			json_array_append_new(list,
					      json_pack("{s:s, s:s}", "ProcessName", processes[i],
							"SuspensionReason", reason));
	}
	group->is_dirty = true;
	return reply_written(as, json_object(), error);
}

json_t *handle_ResumeProcesses(void *context, const struct aws_call *call, const json_t *input,
			       struct aws_error *error)
{
	struct autoscaling *as = context;
	struct group *group = reply_group(as, input, error);

	(void)call;
	if (!group || check_all(doc_array(input, "ScalingProcesses"), processes, "scaling process",
				error) < 0)
		return NULL;
	/* A suspension by the administration ends too. */
	if (reply_wants(input, "ScalingProcesses", "Launch"))
		breaker_reset(group);
	for (size_t i = 0; processes[i]; i++) {
		if (reply_wants(input, "ScalingProcesses", processes[i]))
			drop(list_of(group, "SuspendedProcesses"), "ProcessName", processes[i]);
	}
	group->is_dirty = true;
	return reply_written(as, json_object(), error);
}

/* ---- metrics ---- */

json_t *handle_EnableMetricsCollection(void *context, const struct aws_call *call,
				       const json_t *input, struct aws_error *error)
{
	struct autoscaling *as = context;
	struct group *group = reply_group(as, input, error);
	json_t *list;

	(void)call;
	if (!group || check_all(doc_array(input, "Metrics"), metrics, "metric", error) < 0)
		return NULL;
	if (strcmp(doc_str(input, "Granularity", ""), "1Minute") != 0)
		return reply_invalid(error, "The only valid granularity is 1Minute");
	list = list_of(group, "EnabledMetrics");
	for (size_t i = 0; metrics[i]; i++) {
		if (reply_wants(input, "Metrics", metrics[i]) &&
		    !doc_find(list, "Metric", metrics[i]))
			json_array_append_new(list, json_pack("{s:s, s:s}", "Metric", metrics[i],
							      "Granularity", "1Minute"));
	}
	group->is_dirty = true;
	return reply_written(as, json_object(), error);
}

json_t *handle_DisableMetricsCollection(void *context, const struct aws_call *call,
					const json_t *input, struct aws_error *error)
{
	struct autoscaling *as = context;
	struct group *group = reply_group(as, input, error);

	(void)call;
	if (!group || check_all(doc_array(input, "Metrics"), metrics, "metric", error) < 0)
		return NULL;
	for (size_t i = 0; metrics[i]; i++) {
		if (reply_wants(input, "Metrics", metrics[i]))
			drop(list_of(group, "EnabledMetrics"), "Metric", metrics[i]);
	}
	group->is_dirty = true;
	return reply_written(as, json_object(), error);
}

/* ---- constant lists ---- */

/* [{member: name}], or plain names with member NULL. */
static json_t *constant(const char *const names[], const char *member)
{
	json_t *list = json_array();

	for (; *names; names++)
		json_array_append_new(list, member ? json_pack("{s:s}", member, *names)
						   : json_string(*names));
	return list;
}

json_t *handle_DescribeScalingProcessTypes(void *context, const struct aws_call *call,
					   const json_t *input, struct aws_error *error)
{
	(void)context;
	(void)call;
	(void)input;
	(void)error;
	return json_pack("{s:o}", "Processes", constant(processes, "ProcessName"));
}

json_t *handle_DescribeMetricCollectionTypes(void *context, const struct aws_call *call,
					     const json_t *input, struct aws_error *error)
{
	(void)context;
	(void)call;
	(void)input;
	(void)error;
	return json_pack("{s:o, s:[{s:s}]}", "Metrics", constant(metrics, "Metric"),
			 "Granularities", "Granularity", "1Minute");
}

json_t *handle_DescribeAdjustmentTypes(void *context, const struct aws_call *call,
				       const json_t *input, struct aws_error *error)
{
	static const char *const types[] = {"ChangeInCapacity", "ExactCapacity",
					    "PercentChangeInCapacity", NULL};

	(void)context;
	(void)call;
	(void)input;
	(void)error;
	return json_pack("{s:o}", "AdjustmentTypes", constant(types, "AdjustmentType"));
}

json_t *handle_DescribeTerminationPolicyTypes(void *context, const struct aws_call *call,
					      const json_t *input, struct aws_error *error)
{
	static const char *const types[] = {"AllocationStrategy",
					    "ClosestToNextInstanceHour",
					    "Default",
					    "NewestInstance",
					    "OldestInstance",
					    "OldestLaunchConfiguration",
					    "OldestLaunchTemplate",
					    NULL};

	(void)context;
	(void)call;
	(void)input;
	(void)error;
	return json_pack("{s:o}", "TerminationPolicyTypes", constant(types, NULL));
}

json_t *handle_DescribeLifecycleHookTypes(void *context, const struct aws_call *call,
					  const json_t *input, struct aws_error *error)
{
	static const char *const types[] = {"autoscaling:EC2_INSTANCE_LAUNCHING",
					    "autoscaling:EC2_INSTANCE_TERMINATING", NULL};

	(void)context;
	(void)call;
	(void)input;
	(void)error;
	return json_pack("{s:o}", "LifecycleHookTypes", constant(types, NULL));
}

json_t *handle_DescribeAccountLimits(void *context, const struct aws_call *call,
				     const json_t *input, struct aws_error *error)
{
	const struct autoscaling *as = context;
	const struct group *group;
	int n = 0;

	(void)call;
	(void)input;
	(void)error;
	TAILQ_FOREACH (group, &as->engine->groups, link)
		n++;
	return json_pack("{s:i, s:i, s:i, s:i}", "MaxNumberOfAutoScalingGroups", MAX_GROUPS,
			 "MaxNumberOfLaunchConfigurations", MAX_CONFIGS,
			 "NumberOfAutoScalingGroups", n, "NumberOfLaunchConfigurations",
			 (int)json_object_size(as->engine->configs));
}
