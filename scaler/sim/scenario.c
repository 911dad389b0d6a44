/*
 * See scenario.h.
 */
#include "scaler/sim/scenario.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/config/config.h"
#include "common/doc/doc.h"

static json_t *find(const json_t *list, const char *member, const char *name)
{
	json_t *item;
	size_t i;

	json_array_foreach (list, i, item) {
		if (strcmp(doc_str(item, member, ""), name) == 0)
			return item;
	}
	return NULL;
}

/* "a, b, c" of a list's names, for remedies. */
static const char *names_of(const json_t *list, const char *member, char text[256])
{
	const json_t *item;
	size_t i, used = 0;

	snprintf(text, 256, "none");
	json_array_foreach (list, i, item) {
		if (used < 200)
			used += (size_t)snprintf(text + used, 256 - used, "%s%.60s", i ? ", " : "",
						 doc_str(item, member, ""));
	}
	return text;
}

/* ---- the plan ---- */

static const json_t *template_of(const json_t *config, const json_t *group)
{
	const json_t *spec = doc_object(group, "LaunchTemplate");

	if (!spec)
		spec = doc_object(
		    doc_object(doc_object(group, "MixedInstancesPolicy"), "LaunchTemplate"),
		    "LaunchTemplateSpecification");
	return doc_object(find(doc_array(config, "LaunchTemplates"), "LaunchTemplateName",
			       doc_str(spec, "LaunchTemplateName", "")),
			  "LaunchTemplateData");
}

/* The file's load balancer that forwards to the target group, else its first. */
static const char *balancer_of(const json_t *config, const char *target_group)
{
	const json_t *balancer, *listener, *action;
	const char *first = NULL;
	size_t i, k, l;

	json_array_foreach (doc_array(config, "LoadBalancers"), i, balancer) {
		const char *name = doc_str(balancer, "LoadBalancerName", "");

		first = first ? first : name;
		json_array_foreach (doc_array(balancer, "Listeners"), k, listener) {
			json_array_foreach (doc_array(listener, "DefaultActions"), l, action) {
				if (strcmp(doc_str(action, "TargetGroupArn", ""), target_group) ==
				    0)
					return name;
			}
		}
	}
	return first ? first : "web";
}

static void read_target_group(struct sim_plan *plan, const json_t *config, const json_t *group)
{
	const char *name =
	    json_string_value(json_array_get(doc_array(group, "TargetGroupARNs"), 0));
	const json_t *target_group =
	    find(doc_array(config, "TargetGroups"), "TargetGroupName", name ? name : "");
	const char *delay = doc_str(doc_object(target_group, "Attributes"),
				    "deregistration_delay.timeout_seconds", "300");

	if (plan->params.drain_ms < 0)
		plan->params.drain_ms = 1000 * strtoll(delay, NULL, 10);
	if (plan->params.check_ms < 0)
		plan->params.check_ms =
		    name ? 1000 * doc_int(target_group, "HealthCheckIntervalSeconds", 30) : 0;
	snprintf(plan->load_balancer, sizeof plan->load_balancer, "app/%s/0123456789abcdef",
		 balancer_of(config, name ? name : ""));
}

/* What the policies aim at is what an instance is meant to carry. */
static double utilization_of(const struct sim_plan *plan, const json_t *config)
{
	const json_t *policy;
	size_t i;

	json_array_foreach (doc_array(config, "ScalingPolicies"), i, policy) {
		const json_t *tracking = doc_object(policy, "TargetTrackingConfiguration");
		const char *type = doc_str(doc_object(tracking, "PredefinedMetricSpecification"),
					   "PredefinedMetricType", "");
		double target = doc_num(tracking, "TargetValue", 0), part = 0;

		if (strcmp(doc_str(policy, "AutoScalingGroupName", ""), plan->group) != 0)
			continue;
		if (strcmp(type, "ASGAverageCPUUtilization") == 0)
			part = target / 100;
		else if (strcmp(type, "ALBRequestCountPerTarget") == 0)
			part = target / 60 / plan->capacity.rps;
		else
			part = doc_num(doc_object(policy, "LoadTrackingConfiguration"),
				       "RequestsPerTarget", 0) /
			       plan->capacity.rps;
		if (part > 0)
			return part < 1 ? part : 1;
	}
	return 0.7;
}

int sim_plan_read(struct sim_plan *plan, const char *path, const json_t *config, const char *group,
		  struct err *err)
{
	const json_t *groups = doc_array(config, "AutoScalingGroups");
	const json_t *own =
	    group ? find(groups, "AutoScalingGroupName", group) : json_array_get(groups, 0);
	char names[256];

	if (json_array_size(groups) == 0) {
		err_set(err, EINVAL, "%s: there are no AutoScalingGroups to simulate", path);
		return -1;
	}
	if (!group && json_array_size(groups) > 1) {
		err_set(err, EINVAL, "%s: there are several groups; say --group with one of: %s",
			path, names_of(groups, "AutoScalingGroupName", names));
		return -1;
	}
	if (!own) {
		err_set(err, EINVAL, "%s: there is no group '%s'; there are: %s", path, group,
			names_of(groups, "AutoScalingGroupName", names));
		return -1;
	}
	snprintf(plan->group, sizeof plan->group, "%s", doc_str(own, "AutoScalingGroupName", ""));
	snprintf(plan->instance_type, sizeof plan->instance_type, "%s",
		 doc_str(template_of(config, own), "InstanceType", ""));
	read_target_group(plan, config, own);
	if (!(plan->utilization > 0))
		plan->utilization = utilization_of(plan, config);
	if (plan->price < 0)
		plan->price = sim_price(plan->instance_type);
	return 0;
}

/* ---- a choice ---- */

/* Entries of the section that are of the group. */
static json_t *of_group(const json_t *config, const char *section, const char *group)
{
	json_t *out = json_array(), *item;
	size_t i;

	json_array_foreach (doc_array(config, section), i, item) {
		if (strcmp(doc_str(item, "AutoScalingGroupName", ""), group) == 0)
			json_array_append_new(out, json_deep_copy(item));
	}
	return out;
}

/* The ResourceLabel that a file may leave out. */
static void label(const struct sim_plan *plan, const json_t *group, json_t *policies)
{
	const char *name =
	    json_string_value(json_array_get(doc_array(group, "TargetGroupARNs"), 0));
	char arn[ARN_MAX], text[2 * ARN_MAX];
	json_t *policy;
	size_t i;

	if (!name)
		return;
	sim_target_group_arn(&plan->params, name, arn);
	snprintf(text, sizeof text, "%s/%s", plan->load_balancer,
		 strstr(arn, "targetgroup/") ? strstr(arn, "targetgroup/") : "targetgroup/x/x");
	json_array_foreach (policies, i, policy) {
		json_t *spec = doc_object(doc_object(policy, "TargetTrackingConfiguration"),
					  "PredefinedMetricSpecification");

		if (strcmp(doc_str(spec, "PredefinedMetricType", ""), "ALBRequestCountPerTarget") ==
		    0)
			json_object_set_new(spec, "ResourceLabel", json_string(text));
		spec = doc_object(policy, "LoadTrackingConfiguration");
		if (spec)
			json_object_set_new(spec, "ResourceLabel", json_string(text));
	}
}

/* The alarms that run one of the policies. */
static json_t *alarms_of(const json_t *config, const json_t *policies)
{
	json_t *out = json_array(), *alarm, *action;
	size_t i, k;

	json_array_foreach (doc_array(config, "MetricAlarms"), i, alarm) {
		json_array_foreach (doc_array(alarm, "AlarmActions"), k, action) {
			if (!find(policies, "PolicyName", json_string_value(action)))
				continue;
			json_array_append_new(out, json_deep_copy(alarm));
			break;
		}
	}
	return out;
}

static bool is_file(const char *text)
{
	size_t len = strlen(text);

	return strchr(text, '/') || (len > 5 && strcmp(text + len - 5, ".json") == 0);
}

/* A policy, a list of them or a file with ScalingPolicies (and MetricAlarms), checked as part of
 * the configuration. */
static json_t *read_policy_file(const struct sim_plan *plan, const json_t *config, const char *path,
				struct err *err)
{
	json_t *given = doc_load(path, err), *merged, *checked, *policy;
	json_t *list = given ? doc_array(given, "ScalingPolicies") : NULL;
	size_t i;

	if (!given)
		return NULL;
	merged = json_copy((json_t *)config);
	list = list ? json_deep_copy(list)
		    : (json_is_array(given) ? json_deep_copy(given) : json_pack("[O]", given));
	json_array_foreach (list, i, policy) {
		if (json_is_object(policy))
			json_object_set_new(policy, "AutoScalingGroupName",
					    json_string(plan->group));
	}
	json_object_set_new(merged, "ScalingPolicies", list);
	/* The file's own alarms, or those of the configuration that run a policy of this name. */
	if (doc_array(given, "MetricAlarms"))
		json_object_set(merged, "MetricAlarms", doc_array(given, "MetricAlarms"));
	else
		json_object_set_new(merged, "MetricAlarms", alarms_of(config, list));
	checked = config_check(merged, NULL, err);
	if (!checked)
		err_wrap(err, "%s: ", path);
	json_decref(merged);
	json_decref(given);
	return checked;
}

static json_t *named_policy(const struct sim_plan *plan, const char *path, json_t *policies,
			    const char *name, struct err *err)
{
	json_t *policy = find(policies, "PolicyName", name);
	char names[256];

	if (policy)
		return json_pack("[O]", policy);
	err_set(err, EINVAL,
		"%s: group '%s' has no policy '%.60s'; it has: %s; or say FILE.json, all, fixed:N, "
		"aws:NAME",
		path, plan->group, name, names_of(policies, "PolicyName", names));
	return NULL;
}

/* The file with only this group, these policies and what belongs to them. */
static json_t *reduce(const struct sim_plan *plan, const json_t *config, json_t *policies)
{
	const json_t *group =
	    find(doc_array(config, "AutoScalingGroups"), "AutoScalingGroupName", plan->group);
	json_t *out = json_pack("{s:[O], s:o, s:o, s:o}", "AutoScalingGroups", group,
				"ScalingPolicies", policies, "ScheduledActions",
				of_group(config, "ScheduledActions", plan->group), "MetricAlarms",
				alarms_of(config, policies));

	if (out)
		label(plan, group, policies);
	return out;
}

static int read_fixed(struct sim_choice *choice, const struct sim_plan *plan, const json_t *config,
		      const char *text, struct err *err)
{
	json_t *group;
	char *end;
	long n = strtol(text, &end, 10);

	if (end == text || *end || n < 0 || n > 100000) {
		err_set(err, EINVAL, "--policy fixed:%s: a number of instances is meant", text);
		return -1;
	}
	choice->fixed = (int)n;
	choice->config = reduce(plan, config, json_array());
	json_object_set_new(choice->config, "ScheduledActions", json_array());
	group = json_deep_copy(json_array_get(doc_array(choice->config, "AutoScalingGroups"), 0));
	json_object_set_new(group, "MinSize", json_integer(n));
	json_object_set_new(group, "MaxSize", json_integer(n));
	json_object_set_new(group, "DesiredCapacity", json_integer(n));
	json_object_set_new(choice->config, "AutoScalingGroups", json_pack("[o]", group));
	return 0;
}

int sim_choice_read(struct sim_choice *choice, const struct sim_plan *plan, const char *path,
		    const json_t *config, const char *text, struct err *err)
{
	const char *slash = strrchr(text, '/');
	json_t *source = NULL, *policies, *chosen = NULL;

	memset(choice, 0, sizeof *choice);
	choice->fixed = -1;
	snprintf(choice->label, sizeof choice->label, "%.60s", slash ? slash + 1 : text);
	for (char *c = choice->label; *c; c++)
		*c = strchr(",;\"<&\n", *c) ? '_' : *c;
	if (strncmp(text, "fixed:", 6) == 0)
		return read_fixed(choice, plan, config, text + 6, err);
	if (strcmp(text, "aws") == 0)
		text = "aws:all";
	choice->is_aws = strncmp(text, "aws:", 4) == 0;
	if (choice->is_aws)
		text += 4;
	source = is_file(text) ? read_policy_file(plan, config, text, err)
			       : json_incref((json_t *)config);
	if (!source)
		return -1;
	policies = of_group(source, "ScalingPolicies", plan->group);
	if (is_file(text) || strcmp(text, "all") == 0)
		chosen = json_incref(policies);
	else
		chosen = named_policy(plan, path, policies, text, err);
	if (chosen)
		choice->config = reduce(plan, source, chosen);
	json_decref(policies);
	json_decref(source);
	return chosen ? 0 : -1;
}

void sim_choice_fini(struct sim_choice *choice)
{
	json_decref(choice->config);
	choice->config = NULL;
}

/* ---- prices ---- */

double sim_price(const char *instance_type)
{
	/* Linux, on demand, us-east-1, as EC2's price list had them in 2025; a rough guide. */
	static const struct {
		const char *type;
		double price;
	} prices[] = {
	    {"t2.nano", 0.0058},   {"t2.micro", 0.0116},  {"t2.small", 0.023},
	    {"t2.medium", 0.0464}, {"t2.large", 0.0928},  {"t3.nano", 0.0052},
	    {"t3.micro", 0.0104},  {"t3.small", 0.0208},  {"t3.medium", 0.0416},
	    {"t3.large", 0.0832},  {"t3.xlarge", 0.1664}, {"t4g.nano", 0.0042},
	    {"t4g.micro", 0.0084}, {"t4g.small", 0.0168}, {"t4g.medium", 0.0336},
	    {"t4g.large", 0.0672}, {"m5.large", 0.096},   {"m5.xlarge", 0.192},
	    {"m6i.large", 0.096},  {"m6i.xlarge", 0.192}, {"m7g.large", 0.0816},
	    {"c5.large", 0.085},   {"c5.xlarge", 0.17},   {"c6i.large", 0.085},
	    {"c6i.xlarge", 0.17},  {"c7g.large", 0.0725}, {"r5.large", 0.126},
	    {"r6i.large", 0.126},
	};

	for (size_t i = 0; i < sizeof prices / sizeof prices[0]; i++) {
		if (strcmp(prices[i].type, instance_type) == 0)
			return prices[i].price;
	}
	return -1;
}
