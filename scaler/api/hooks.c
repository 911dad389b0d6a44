/*
 * Lifecycle hooks: put, described, deleted, answered.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/base/ids.h"
#include "common/doc/doc.h"
#include "scaler/api/groups.h"
#include "scaler/api/reply.h"

static int check_word(const json_t *input, const char *member, const char *one, const char *other,
		      struct aws_error *error)
{
	const char *text = doc_str(input, member, NULL);

	if (!text || strcmp(text, one) == 0 || strcmp(text, other) == 0)
		return 0;
	reply_invalid(error, "%s '%s' is not valid: %s and %s are", member, text, one, other);
	return -1;
}

static int check_target(const char *target, struct aws_error *error)
{
	struct arn arn;

	if (!target[0] || (arn_parse(target, &arn) == 0 && strcmp(arn.service, "sns") == 0))
		return 0;
	if (arn_parse(target, &arn) == 0 && strcmp(arn.service, "sqs") == 0)
		reply_invalid(error,
			      "SQS queues as NotificationTargetARN are not supported; topics "
			      "of SNS are, and the scaler's EventWebhook and /events");
	else
		reply_invalid(
		    error, "NotificationTargetARN '%.200s' is not the ARN of an SNS topic", target);
	return -1;
}

int hook_check(const json_t *input, struct aws_error *error)
{
	int64_t timeout_s = doc_int(input, "HeartbeatTimeout", 3600);

	if (timeout_s < 30 || timeout_s > 7200) {
		reply_invalid(error, "HeartbeatTimeout must be between 30 and 7200 seconds");
		return -1;
	}
	if (check_word(input, "LifecycleTransition", "autoscaling:EC2_INSTANCE_LAUNCHING",
		       "autoscaling:EC2_INSTANCE_TERMINATING", error) < 0)
		return -1;
	if (check_target(doc_str(input, "NotificationTargetARN", ""), error) < 0)
		return -1;
	return check_word(input, "DefaultResult", "CONTINUE", "ABANDON", error);
}

static const char *target_of(const struct group *group, const char *name)
{
	const json_t *hook;
	size_t i;

	json_array_foreach (group_hooks(group), i, hook) {
		if (strcmp(doc_str(hook, "LifecycleHookName", ""), name) == 0)
			return doc_str(hook, "NotificationTargetARN", "");
	}
	return "";
}

int hook_put(struct autoscaling *as, struct group *group, const json_t *input,
	     struct aws_error *error)
{
	const char *name = doc_str(input, "LifecycleHookName", "");
	char before[ARN_MAX];
	const char *target;
	struct err err = {0};

	snprintf(before, sizeof before, "%s", target_of(group, name));
	if (engine_put_hook(group, input, &err) == 0) {
		target = target_of(group, name);
		if (target[0] && strcmp(target, before) != 0)
			event_test(group, target, reply_now_ms(as));
		return 0;
	}
	if (err.code == EDQUOT)
		aws_error_set(error, 400, "LimitExceeded", "%s", err.text);
	else
		reply_invalid(error, "%s", err.text);
	return -1;
}

json_t *handle_PutLifecycleHook(void *context, const struct aws_call *call, const json_t *input,
				struct aws_error *error)
{
	struct autoscaling *as = context;
	struct group *group = reply_group(as, input, error);

	(void)call;
	if (!group || hook_check(input, error) < 0 || hook_put(as, group, input, error) < 0)
		return NULL;
	return reply_written(as, json_object(), error);
}

json_t *handle_DescribeLifecycleHooks(void *context, const struct aws_call *call,
				      const json_t *input, struct aws_error *error)
{
	struct autoscaling *as = context;
	struct group *group = reply_group(as, input, error);
	json_t *items, *hook;
	size_t i;

	(void)call;
	if (!group)
		return NULL;
	items = json_array();
	json_array_foreach (group_hooks(group), i, hook) {
		if (reply_wants(input, "LifecycleHookNames",
				doc_str(hook, "LifecycleHookName", "")))
			json_array_append(items, hook);
	}
	return json_pack("{s:o}", "LifecycleHooks", items);
}

json_t *handle_DeleteLifecycleHook(void *context, const struct aws_call *call, const json_t *input,
				   struct aws_error *error)
{
	const char *name = doc_str(input, "LifecycleHookName", "");
	struct autoscaling *as = context;
	struct group *group = reply_group(as, input, error);

	(void)call;
	if (!group)
		return NULL;
	if (engine_remove_hook(group, name) < 0)
		return reply_invalid(error, "Lifecycle hook not found - %s", name);
	return reply_written(as, json_object(), error);
}

static int check_named(const json_t *input, struct aws_error *error)
{
	if (doc_has(input, "LifecycleActionToken") || doc_has(input, "InstanceId"))
		return 0;
	reply_invalid(error, "Either a LifecycleActionToken or an InstanceId must be specified");
	return -1;
}

json_t *handle_CompleteLifecycleAction(void *context, const struct aws_call *call,
				       const json_t *input, struct aws_error *error)
{
	struct autoscaling *as = context;
	struct group *group = reply_group(as, input, error);
	struct err err = {0};

	(void)call;
	if (!group || check_named(input, error) < 0 ||
	    check_word(input, "LifecycleActionResult", "CONTINUE", "ABANDON", error) < 0)
		return NULL;
	if (engine_complete_hook(group, input, &err) < 0)
		return reply_invalid(error, "%s", err.text);
	return reply_written(as, json_object(), error);
}

json_t *handle_RecordLifecycleActionHeartbeat(void *context, const struct aws_call *call,
					      const json_t *input, struct aws_error *error)
{
	struct autoscaling *as = context;
	struct group *group = reply_group(as, input, error);
	struct err err = {0};

	(void)call;
	if (!group || check_named(input, error) < 0)
		return NULL;
	if (engine_beat_hook(group, input, reply_now_ms(as), &err) < 0)
		return reply_invalid(error, "%s", err.text);
	return reply_written(as, json_object(), error);
}
