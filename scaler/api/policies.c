/*
 * Scaling policies: target tracking.  Step, simple and predictive ones are refused in words.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/doc/doc.h"
#include "scaler/api/groups.h"
#include "scaler/api/policy_alarms.h"
#include "scaler/api/reply.h"

/* ---- what can be asked for ---- */

static int check_predefined(const json_t *spec, bool is_from_file, struct aws_error *error)
{
	static const char *const types[] = {"ASGAverageCPUUtilization", "ASGAverageNetworkIn",
					    "ASGAverageNetworkOut", "ALBRequestCountPerTarget"};
	const char *type = doc_str(spec, "PredefinedMetricType", "");
	const char *label = doc_str(spec, "ResourceLabel", NULL);
	bool is_alb = strcmp(type, "ALBRequestCountPerTarget") == 0, is_known = false;

	for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
		is_known |= strcmp(types[i], type) == 0;
	if (!is_known) {
		reply_invalid(error, "The predefined metric type '%s' is not supported", type);
		return -1;
	}
	if (is_alb && !label && !is_from_file) {
		reply_invalid(error, "ALBRequestCountPerTarget needs a ResourceLabel: "
				     "app/NAME/ID/targetgroup/NAME/ID");
		return -1;
	}
	if (is_alb && label &&
	    (strncmp(label, "app/", 4) != 0 || !strstr(label, "/targetgroup/"))) {
		reply_invalid(error,
			      "The resource label '%s' is not of the form "
			      "app/NAME/ID/targetgroup/NAME/ID",
			      label);
		return -1;
	}
	return 0;
}

static int check_customized(const json_t *spec, struct aws_error *error)
{
	if (doc_has(spec, "Metrics")) {
		reply_invalid(error, "Metric math in a CustomizedMetricSpecification is not "
				     "supported yet");
		return -1;
	}
	if (doc_has(spec, "Namespace") && doc_has(spec, "MetricName") && doc_has(spec, "Statistic"))
		return 0;
	reply_invalid(error, "A CustomizedMetricSpecification needs Namespace, MetricName and "
			     "Statistic");
	return -1;
}

int policy_check(const json_t *input, bool is_from_file, struct aws_error *error)
{
	const char *type = doc_str(input, "PolicyType", "SimpleScaling");
	const json_t *config = doc_object(input, "TargetTrackingConfiguration");
	const json_t *predefined = doc_object(config, "PredefinedMetricSpecification");
	const json_t *customized = doc_object(config, "CustomizedMetricSpecification");

	if (strcmp(type, "TargetTrackingScaling") != 0) {
		reply_invalid(error,
			      "The policy type %s is not supported yet; "
			      "TargetTrackingScaling is",
			      type);
		return -1;
	}
	if (strchr(doc_str(input, "PolicyName", ""), ':')) {
		reply_invalid(error, "The policy name may hold no colon");
		return -1;
	}
	if (!config || (!predefined == !customized)) {
		reply_invalid(error,
			      "TargetTrackingScaling needs a TargetTrackingConfiguration with "
			      "a predefined or a customized metric, not both");
		return -1;
	}
	if (!(doc_num(config, "TargetValue", 0) > 0)) {
		reply_invalid(error, "TargetValue must be greater than 0");
		return -1;
	}
	return predefined ? check_predefined(predefined, is_from_file, error)
			  : check_customized(customized, error);
}

/* ---- put ---- */

static json_t *document_of(const struct engine *engine, const struct group *group,
			   const json_t *input)
{
	const char *name = doc_str(input, "PolicyName", "");
	char arn[ARN_MAX + 2 * NAME_MAX_LEN], uuid[ID_TEXT_MAX];
	json_t *config = json_deep_copy(doc_object(input, "TargetTrackingConfiguration"));
	json_t *document;

	snprintf(arn, sizeof arn,
		 "arn:aws:autoscaling:%s:%s:scalingPolicy:%s:autoScalingGroupName/%s:policyName/%s",
		 engine->region, engine->account, id_uuid(engine->ids, uuid), group->name, name);
	document = json_pack("{s:s, s:s, s:s, s:s, s:b, s:o}", "AutoScalingGroupName", group->name,
			     "PolicyName", name, "PolicyARN", arn, "PolicyType",
			     "TargetTrackingScaling", "Enabled", doc_bool(input, "Enabled", true),
			     "TargetTrackingConfiguration", config);
	if (!document)
		return NULL;
	if (!doc_has(config, "DisableScaleIn"))
		json_object_set_new(config, "DisableScaleIn", json_false());
	if (doc_has(input, "EstimatedInstanceWarmup"))
		json_object_set(document, "EstimatedInstanceWarmup",
				json_object_get(input, "EstimatedInstanceWarmup"));
	return document;
}

static struct policy *policy_new(struct group *group, const char *name)
{
	struct policy *policy = calloc(1, sizeof *policy);

	if (!policy)
		return NULL;
	snprintf(policy->name, sizeof policy->name, "%s", name);
	policy->metric = NAN;
	policy->wanted = -1;
	TAILQ_INSERT_TAIL(&group->policies, policy, link);
	return policy;
}

static int count_policies(const struct group *group)
{
	const struct policy *policy;
	int n = 0;

	TAILQ_FOREACH (policy, &group->policies, link)
		n++;
	return n;
}

/* An overwritten policy keeps its ARN and its alarms. */
static void keep_identity(const struct policy *policy, json_t *document)
{
	json_object_set(document, "PolicyARN", json_object_get(policy->document, "PolicyARN"));
	json_object_set(document, "Alarms", json_object_get(policy->document, "Alarms"));
}

struct policy *policy_put(struct autoscaling *as, struct group *group, const json_t *input,
			  struct aws_error *error)
{
	const char *name = doc_str(input, "PolicyName", "");
	struct policy *policy = group_policy(group, name);
	json_t *document;
	struct err err = {0};

	if (!policy && count_policies(group) >= MAX_POLICIES) {
		aws_error_set(error, 400, "LimitExceeded", "The group has %d policies already.",
			      MAX_POLICIES);
		return NULL;
	}
	document = document_of(as->engine, group, input);
	if (document && policy) {
		keep_identity(policy, document);
		json_decref(policy->document);
		policy->document = document;
		policy->is_dirty = true;
		policy->is_alarm_stale = true;
		policy_alarms_refresh(as->cloudwatch, group, policy);
		return policy;
	}
	policy = document ? policy_new(group, name) : NULL;
	if (!policy) {
		json_decref(document);
		aws_error_set(error, 500, "InternalFailure", "out of memory");
		return NULL;
	}
	policy->document = document;
	if (policy_alarms_create(as->engine, as->cloudwatch, group, policy, &err) == 0)
		return policy;
	policy_delete(as, group, policy);
	reply_invalid(error, "%s", err.text);
	return NULL;
}

void policy_delete(struct autoscaling *as, struct group *group, struct policy *policy)
{
	policy_alarms_delete(as->cloudwatch, policy);
	engine_remove_policy(as->engine, group, policy);
}

json_t *handle_PutScalingPolicy(void *context, const struct aws_call *call, const json_t *input,
				struct aws_error *error)
{
	struct autoscaling *as = context;
	struct group *group = reply_group(as, input, error);
	struct policy *policy;

	(void)call;
	if (!group || policy_check(input, false, error) < 0)
		return NULL;
	policy = policy_put(as, group, input, error);
	if (!policy)
		return NULL;
	return reply_written(as,
			     json_pack("{s:O, s:O}", "PolicyARN",
				       json_object_get(policy->document, "PolicyARN"), "Alarms",
				       json_object_get(policy->document, "Alarms")),
			     error);
}

/* ---- describe and delete ---- */

json_t *handle_DescribePolicies(void *context, const struct aws_call *call, const json_t *input,
				struct aws_error *error)
{
	const char *wanted = doc_str(input, "AutoScalingGroupName", NULL);
	struct autoscaling *as = context;
	json_t *items;
	const struct group *group;
	const struct policy *policy;

	(void)call;
	if (wanted && !reply_group(as, input, error))
		return NULL;
	items = json_array();
	TAILQ_FOREACH (group, &as->engine->groups, link) {
		if (wanted && strcmp(group->name, wanted) != 0)
			continue;
		TAILQ_FOREACH (policy, &group->policies, link) {
			const char *arn = doc_str(policy->document, "PolicyARN", "");

			if (reply_wants(input, "PolicyTypes", "TargetTrackingScaling") &&
			    (reply_wants(input, "PolicyNames", policy->name) ||
			     reply_wants(input, "PolicyNames", arn)))
				json_array_append(items, policy->document);
		}
	}
	return reply_page(input, "ScalingPolicies", items, 50, 100, error);
}

static struct policy *find_policy(struct autoscaling *as, const json_t *input, struct group **group)
{
	const char *name = doc_str(input, "PolicyName", "");
	const char *of = doc_str(input, "AutoScalingGroupName", NULL);

	TAILQ_FOREACH (*group, &as->engine->groups, link) {
		struct policy *policy = group_policy(*group, name);
		bool is_arn = strncmp(name, "arn:", 4) == 0;

		if (policy && (of ? strcmp((*group)->name, of) == 0 : is_arn))
			return policy;
	}
	return NULL;
}

json_t *handle_DeletePolicy(void *context, const struct aws_call *call, const json_t *input,
			    struct aws_error *error)
{
	struct autoscaling *as = context;
	struct group *group;
	struct policy *policy;

	(void)call;
	if (doc_has(input, "AutoScalingGroupName") && !reply_group(as, input, error))
		return NULL;
	policy = find_policy(as, input, &group);
	if (!policy)
		return reply_invalid(error, "Policy not found - %s",
				     doc_str(input, "PolicyName", ""));
	policy_delete(as, group, policy);
	return reply_written(as, json_object(), error);
}
