/*
 * Scaling policies: put, described, deleted.  What may be put is policy_check.c.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/doc/doc.h"
#include "scaler/api/groups.h"
#include "scaler/api/policy_alarms.h"
#include "scaler/api/reply.h"

/* ---- put ---- */

/* Members of each kind: what is kept of the input, and nothing else, so that clients that send
 * all they know (with zeros for what is not set) read back what fits. */
static const char *const kept_simple[] = {"AdjustmentType", "ScalingAdjustment", "Cooldown",
					  "MinAdjustmentMagnitude", NULL};
static const char *const kept_step[] = {"AdjustmentType",          "StepAdjustments",
					"MinAdjustmentMagnitude",  "MetricAggregationType",
					"EstimatedInstanceWarmup", NULL};
static const char *const kept_tracking[] = {"TargetTrackingConfiguration",
					    "EstimatedInstanceWarmup", NULL};
static const char *const kept_predictive[] = {"PredictiveScalingConfiguration", NULL};
static const char *const kept_load[] = {"LoadTrackingConfiguration", "EstimatedInstanceWarmup",
					NULL};

static const char *const *kept_of(const char *type)
{
	if (strcmp(type, "StepScaling") == 0)
		return kept_step;
	if (strcmp(type, "PredictiveScaling") == 0)
		return kept_predictive;
	if (strcmp(type, "LoadTracking") == 0)
		return kept_load;
	return strcmp(type, "SimpleScaling") == 0 ? kept_simple : kept_tracking;
}

static int keep(json_t *document, const json_t *input, const char *const members[])
{
	for (; *members; members++) {
		json_t *value = json_object_get(input, *members);

		if (doc_has(input, *members) &&
		    json_object_set_new(document, *members, json_deep_copy(value)) < 0)
			return -1;
	}
	return 0;
}

static void fill_defaults(json_t *document, const char *type)
{
	json_t *config = doc_object(document, "TargetTrackingConfiguration");

	if (config && !doc_has(config, "DisableScaleIn"))
		json_object_set_new(config, "DisableScaleIn", json_false());
	config = doc_object(document, "PredictiveScalingConfiguration");
	if (config && !doc_has(config, "Mode"))
		json_object_set_new(config, "Mode", json_string("ForecastOnly"));
	if (config && !doc_has(config, "MaxCapacityBreachBehavior"))
		json_object_set_new(config, "MaxCapacityBreachBehavior",
				    json_string("HonorMaxCapacity"));
	if (strcmp(type, "StepScaling") == 0 && !doc_has(document, "MetricAggregationType"))
		json_object_set_new(document, "MetricAggregationType", json_string("Average"));
	if (strcmp(doc_str(document, "AdjustmentType", ""), "PercentChangeInCapacity") != 0)
		json_object_del(document, "MinAdjustmentMagnitude");
}

static json_t *document_of(const struct engine *engine, const struct group *group,
			   const json_t *input)
{
	const char *name = doc_str(input, "PolicyName", "");
	const char *type = doc_str(input, "PolicyType", "SimpleScaling");
	char arn[ARN_MAX + 2 * NAME_MAX_LEN], uuid[ID_TEXT_MAX];
	json_t *document;

	snprintf(arn, sizeof arn,
		 "arn:aws:autoscaling:%s:%s:scalingPolicy:%s:autoScalingGroupName/%s:policyName/%s",
		 engine->region, engine->account, id_uuid(engine->ids, uuid), group->name, name);
	document = json_pack("{s:s, s:s, s:s, s:s, s:b, s:[]}", "AutoScalingGroupName", group->name,
			     "PolicyName", name, "PolicyARN", arn, "PolicyType", type, "Enabled",
			     doc_bool(input, "Enabled", true), "Alarms");
	if (!document)
		return NULL;
	if (keep(document, input, kept_of(type)) < 0) {
		json_decref(document);
		return NULL;
	}
	fill_defaults(document, type);
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

static bool is_tracking(const json_t *document)
{
	return strcmp(doc_str(document, "PolicyType", ""), "TargetTrackingScaling") == 0;
}

/* An overwritten policy keeps its ARN and, while it tracks a target, its alarms. */
static int overwrite(struct autoscaling *as, struct group *group, struct policy *policy,
		     json_t *document, struct err *err)
{
	bool was_tracking = is_tracking(policy->document);

	json_object_set(document, "PolicyARN", json_object_get(policy->document, "PolicyARN"));
	if (was_tracking && is_tracking(document))
		json_object_set_new(document, "Alarms",
				    json_deep_copy(doc_array(policy->document, "Alarms")));
	else if (was_tracking)
		policy_alarms_delete(as->cloudwatch, policy);
	json_decref(policy->document);
	policy->document = document;
	policy->is_dirty = true;
	policy->is_alarm_stale = true;
	engine_policy_changed(policy);
	if (is_tracking(document))
		return policy_alarms_put(as->engine, as->cloudwatch, group, policy, err);
	return 0;
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
		if (overwrite(as, group, policy, document, &err) == 0)
			return policy;
		reply_invalid(error, "%s", err.text);
		return NULL;
	}
	policy = document ? policy_new(group, name) : NULL;
	if (!policy) {
		json_decref(document);
		aws_error_set(error, 500, "InternalFailure", "out of memory");
		return NULL;
	}
	policy->document = document;
	policy->is_dirty = true;
	if (!is_tracking(document) ||
	    policy_alarms_put(as->engine, as->cloudwatch, group, policy, &err) == 0)
		return policy;
	policy_delete(as, group, policy);
	reply_invalid(error, "%s", err.text);
	return NULL;
}

void policy_delete(struct autoscaling *as, struct group *group, struct policy *policy)
{
	policy_alarms_delete(as->cloudwatch, policy);
	if (as->cloudwatch)
		cloudwatch_drop_action(as->cloudwatch, doc_str(policy->document, "PolicyARN", ""));
	engine_remove_policy(as->engine, group, policy);
}

/* Target tracking's own two; of the others every alarm that names the policy. */
static json_t *alarms_of(const struct autoscaling *as, const struct policy *policy)
{
	if (is_tracking(policy->document) || !as->cloudwatch)
		return json_deep_copy(doc_array(policy->document, "Alarms"));
	return cloudwatch_alarms_with_action(as->cloudwatch,
					     doc_str(policy->document, "PolicyARN", ""));
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
			     json_pack("{s:O, s:o}", "PolicyARN",
				       json_object_get(policy->document, "PolicyARN"), "Alarms",
				       alarms_of(as, policy)),
			     error);
}

/* ---- describe and delete ---- */

static json_t *describe(const struct autoscaling *as, const struct policy *policy)
{
	json_t *out = json_copy(policy->document);

	if (out)
		json_object_set_new(out, "Alarms", alarms_of(as, policy));
	return out;
}

static bool is_wanted(const json_t *input, const struct policy *policy)
{
	return reply_wants(input, "PolicyTypes", doc_str(policy->document, "PolicyType", "")) &&
	       (reply_wants(input, "PolicyNames", policy->name) ||
		reply_wants(input, "PolicyNames", doc_str(policy->document, "PolicyARN", "")));
}

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
			if (is_wanted(input, policy))
				json_array_append_new(items, describe(as, policy));
		}
	}
	return reply_page(input, "ScalingPolicies", items, 50, 100, error);
}

struct policy *policy_find(struct autoscaling *as, const json_t *input, struct group **group,
			   struct aws_error *error)
{
	const char *name = doc_str(input, "PolicyName", "");
	const char *of = doc_str(input, "AutoScalingGroupName", NULL);

	if (of && !reply_group(as, input, error))
		return NULL;
	TAILQ_FOREACH (*group, &as->engine->groups, link) {
		struct policy *policy = group_policy(*group, name);
		bool is_arn = strncmp(name, "arn:", 4) == 0;

		if (policy && (of ? strcmp((*group)->name, of) == 0 : is_arn))
			return policy;
	}
	reply_invalid(error, "Policy not found - %s", name);
	return NULL;
}

json_t *handle_DeletePolicy(void *context, const struct aws_call *call, const json_t *input,
			    struct aws_error *error)
{
	struct autoscaling *as = context;
	struct group *group;
	struct policy *policy;

	(void)call;
	policy = policy_find(as, input, &group, error);
	if (!policy)
		return NULL;
	policy_delete(as, group, policy);
	return reply_written(as, json_object(), error);
}
