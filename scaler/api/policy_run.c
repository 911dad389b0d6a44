/*
 * Policies at work: ExecutePolicy, and what alarms do with them.
 */
#include <errno.h>
#include <string.h>

#include "common/doc/doc.h"
#include "scaler/api/groups.h"
#include "scaler/api/reply.h"

static int check_members(const struct policy *policy, const json_t *input, struct aws_error *error)
{
	const char *type = doc_str(policy->document, "PolicyType", "");
	bool has_both = doc_has(input, "MetricValue") && doc_has(input, "BreachThreshold");
	bool has_one = doc_has(input, "MetricValue") || doc_has(input, "BreachThreshold");
	bool is_step = strcmp(type, "StepScaling") == 0;

	if (is_step && !has_both)
		reply_invalid(error, "MetricValue and BreachThreshold are required for a policy of "
				     "the type StepScaling");
	else if (!is_step && has_one)
		reply_invalid(error,
			      "MetricValue and BreachThreshold are not supported for a policy of "
			      "the type %s",
			      type);
	else if (strcmp(type, "SimpleScaling") != 0 && doc_bool(input, "HonorCooldown", false))
		reply_invalid(error, "HonorCooldown is not supported for a policy of the type %s",
			      type);
	else
		return 0;
	return -1;
}

json_t *handle_ExecutePolicy(void *context, const struct aws_call *call, const json_t *input,
			     struct aws_error *error)
{
	struct autoscaling *as = context;
	struct group *group;
	struct policy *policy = policy_find(as, input, &group, error);
	struct policy_run run = {
	    .has_value = doc_has(input, "MetricValue"),
	    .value = doc_num(input, "MetricValue", 0),
	    .threshold = doc_num(input, "BreachThreshold", 0),
	    .honors_cooldown = doc_bool(input, "HonorCooldown", false),
	};
	struct err err = {0};

	(void)call;
	if (!policy || check_members(policy, input, error) < 0)
		return NULL;
	if (engine_execute_policy(group, policy, &run, reply_now_ms(as), &err) == 0)
		return reply_written(as, json_object(), error);
	if (err.code != EBUSY)
		return reply_invalid(error, "%s", err.text);
	aws_error_set(error, 400, "ScalingActivityInProgress", "%s", err.text);
	return NULL;
}

int autoscaling_on_alarm(struct autoscaling *as, const struct alarm_event *event, struct err *err)
{
	struct policy_run run = {
	    .has_value = event->has_value, .value = event->value, .threshold = event->threshold};
	struct policy *policy = NULL;
	struct group *group;
	int result;

	if (!event->action) {
		TAILQ_FOREACH (group, &as->engine->groups, link) {
			if (event->new_state == ALARM_ALARM)
				engine_refresh_alarm(group, event->name, event->at_ms);
		}
		return 0;
	}
	TAILQ_FOREACH (group, &as->engine->groups, link) {
		policy = group_policy(group, event->action);
		if (policy)
			break;
	}
	if (!policy) {
		err_set(err, ENOENT, "there is no policy %s", event->action);
		return -1;
	}
	run.alarm = alarm_detail(as->engine, event->alarm, alarm_state_name(event->old_state),
				 alarm_state_name(event->new_state), event->at_ms);
	result = engine_alarm_policy(group, policy, &run, event->at_ms, err);
	json_decref(run.alarm);
	return result;
}
