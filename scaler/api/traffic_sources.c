/*
 * Traffic sources: the newer words for target groups attached to groups.  Only application load
 * balancers' (elbv2) are known.
 */
#include <string.h>

#include "common/doc/doc.h"
#include "scaler/api/groups.h"
#include "scaler/api/reply.h"

json_t *traffic_sources_arns(const json_t *input, struct aws_error *error)
{
	json_t *arns = json_array();
	const json_t *source;
	size_t i;

	json_array_foreach (doc_array(input, "TrafficSources"), i, source) {
		const char *type = doc_str(source, "Type", "elbv2");

		if (strcmp(type, "elbv2") == 0) {
			json_array_append_new(arns, json_string(doc_str(source, "Identifier", "")));
			continue;
		}
		reply_invalid(error, "The traffic source type '%s' is not supported; elbv2 is",
			      type);
		json_decref(arns);
		return NULL;
	}
	if (target_groups_check(arns, error) == 0)
		return arns;
	json_decref(arns);
	return NULL;
}

json_t *handle_AttachTrafficSources(void *context, const struct aws_call *call, const json_t *input,
				    struct aws_error *error)
{
	struct autoscaling *as = context;
	struct group *group = reply_group(as, input, error);
	json_t *arns = group ? traffic_sources_arns(input, error) : NULL;
	const json_t *arn;
	size_t i;

	(void)call;
	if (!arns)
		return NULL;
	json_array_foreach (arns, i, arn)
		engine_attach(group, json_string_value(arn));
	json_decref(arns);
	return reply_written(as, json_object(), error);
}

static int check_attached(const struct group *group, const json_t *arns, struct aws_error *error)
{
	const json_t *arn;
	size_t i;

	json_array_foreach (arns, i, arn) {
		if (doc_list_has(doc_array(group->document, "TargetGroupARNs"),
				 json_string_value(arn)))
			continue;
		reply_invalid(error, "Traffic source not found - %s is not attached",
			      json_string_value(arn));
		return -1;
	}
	return 0;
}

json_t *handle_DetachTrafficSources(void *context, const struct aws_call *call, const json_t *input,
				    struct aws_error *error)
{
	struct autoscaling *as = context;
	struct group *group = reply_group(as, input, error);
	json_t *arns = group ? traffic_sources_arns(input, error) : NULL;
	const json_t *arn;
	size_t i;

	(void)call;
	if (!arns || check_attached(group, arns, error) < 0) {
		json_decref(arns);
		return NULL;
	}
	json_array_foreach (arns, i, arn)
		engine_detach(group, json_string_value(arn));
	json_decref(arns);
	return reply_written(as, json_object(), error);
}

json_t *handle_DescribeTrafficSources(void *context, const struct aws_call *call,
				      const json_t *input, struct aws_error *error)
{
	bool wants_elb = strcmp(doc_str(input, "TrafficSourceType", "elbv2"), "elbv2") == 0;
	struct autoscaling *as = context;
	struct group *group = reply_group(as, input, error);
	const struct attachment *attachment;
	json_t *items;

	(void)call;
	if (!group)
		return NULL;
	items = json_array();
	TAILQ_FOREACH (attachment, &group->attachments, link) {
		json_t *shown = wants_elb ? attachment_describe(attachment) : NULL;

		if (!shown)
			continue;
		json_array_append_new(items, json_pack("{s:s, s:s, s:s, s:s}", "TrafficSource",
						       attachment->arn, "Identifier",
						       attachment->arn, "Type", "elbv2", "State",
						       doc_str(shown, "State", "")));
		json_decref(shown);
	}
	return reply_page(input, "TrafficSources", items, 50, 50, error);
}
