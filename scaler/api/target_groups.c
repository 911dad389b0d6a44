/*
 * Target groups attached to groups.
 */
#include <string.h>

#include "common/doc/doc.h"
#include "scaler/api/groups.h"
#include "scaler/api/reply.h"

int target_groups_check(const json_t *arns, struct aws_error *error)
{
	const json_t *arn;
	size_t i;

	json_array_foreach (arns, i, arn) {
		const char *text = json_string_value(arn);

		if (strncmp(text, "arn:", 4) == 0 && strstr(text, ":targetgroup/") &&
		    strlen(text) < ARN_MAX)
			continue;
		reply_invalid(error,
			      "Provided Target Groups may not be valid. Please ensure they exist "
			      "and try again: '%s' is not a target group's ARN",
			      text);
		return -1;
	}
	return 0;
}

json_t *handle_AttachLoadBalancerTargetGroups(void *context, const struct aws_call *call,
					      const json_t *input, struct aws_error *error)
{
	const json_t *arns = doc_array(input, "TargetGroupARNs"), *arn;
	struct autoscaling *as = context;
	struct group *group = reply_group(as, input, error);
	size_t i;

	(void)call;
	if (!group || target_groups_check(arns, error) < 0)
		return NULL;
	json_array_foreach (arns, i, arn)
		engine_attach(group, json_string_value(arn));
	return reply_written(as, json_object(), error);
}

json_t *handle_DetachLoadBalancerTargetGroups(void *context, const struct aws_call *call,
					      const json_t *input, struct aws_error *error)
{
	const json_t *arns = doc_array(input, "TargetGroupARNs"), *arn;
	struct autoscaling *as = context;
	struct group *group = reply_group(as, input, error);
	size_t i;

	(void)call;
	if (!group)
		return NULL;
	json_array_foreach (arns, i, arn) {
		if (!doc_list_has(doc_array(group->document, "TargetGroupARNs"),
				  json_string_value(arn)))
			return reply_invalid(error, "Target group not found - %s is not attached",
					     json_string_value(arn));
	}
	json_array_foreach (arns, i, arn)
		engine_detach(group, json_string_value(arn));
	return reply_written(as, json_object(), error);
}

json_t *handle_DescribeLoadBalancerTargetGroups(void *context, const struct aws_call *call,
						const json_t *input, struct aws_error *error)
{
	struct autoscaling *as = context;
	struct group *group = reply_group(as, input, error);
	const struct attachment *attachment;
	json_t *items;

	(void)call;
	if (!group)
		return NULL;
	items = json_array();
	TAILQ_FOREACH (attachment, &group->attachments, link)
		json_array_append_new(items, attachment_describe(attachment));
	return reply_page(input, "LoadBalancerTargetGroups", items, 100, 100, error);
}
