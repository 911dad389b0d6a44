/*
 * What the load balancer is asked again and again: the health of the targets in each attached
 * target group, its deregistration delay, and, for one that the configuration file calls by name,
 * its ARN.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/config/alarm_names.h"
#include "common/doc/doc.h"
#include "scaler/cloud/rim_parts.h"

enum { STEADY_MS = 1000, MOVING_MS = 300, ATTRIBUTES_MS = 30000 };

static bool is_arn(const char *text)
{
	return strncmp(text, "arn:", 4) == 0;
}

static struct target_poll *find(struct rim *rim, const char *arn)
{
	struct target_poll *poll;

	TAILQ_FOREACH (poll, &rim->targets, link) {
		if (strcmp(poll->arn, arn) == 0)
			return poll;
	}
	return NULL;
}

/* ---- health ---- */

static void on_health(void *arg, const json_t *output, const struct aws_error *error)
{
	struct target_poll *poll = arg;
	struct rim *rim = poll->rim;
	bool is_down = rim_note_answer(&rim->elb_reach, error);

	poll->health.is_busy = false;
	if (output) {
		poll->health.failures = 0;
		poll->health.due_ms = rim_now_ms() + (rim_is_moving(rim) ? MOVING_MS : STEADY_MS);
		engine_health_seen(rim->engine, poll->arn,
				   doc_array(output, "TargetHealthDescriptions"),
				   poll->health.asked_ms);
		rim_wake(rim);
		return;
	}
	if (poll->health.failures == 0 && !is_down)
		log_warn("target-health-failed", "target-group=%s code=%s why=\"%s\"", poll->arn,
			 error->code, error->message);
	poll->health.failures++;
	poll->health.due_ms = rim_now_ms() + rim_retry_ms(&poll->health);
	engine_health_seen(rim->engine, poll->arn, NULL, 0);
}

static void ask(struct rim *rim, struct poll *poll, const char *action, json_t *input,
		aws_done_fn fn, struct target_poll *target)
{
	struct err err = {0};

	poll->asked_ms = rim_now_ms();
	poll->is_busy = true;
	rim->counts.describes++;
	if (!aws_client_call(rim->elb, action, input, fn, target, &err)) {
		log_error("elb-question-failed", "action=%s why=\"%s\"", action, err.text);
		poll->is_busy = false;
		poll->due_ms = rim_now_ms() + 10LL * STEADY_MS;
	}
	json_decref(input);
}

/* ---- deregistration delay ---- */

static void on_attributes(void *arg, const json_t *output, const struct aws_error *error)
{
	struct target_poll *poll = arg;
	const char *delay = doc_kv_get(doc_array(output, "Attributes"),
				       "deregistration_delay.timeout_seconds", NULL);

	poll->attributes.is_busy = false;
	poll->attributes.due_ms = rim_now_ms() + (output ? ATTRIBUTES_MS : 5LL * STEADY_MS);
	(void)rim_note_answer(&poll->rim->elb_reach, error);
	if (delay)
		engine_delay_seen(poll->rim->engine, poll->arn, 1000 * atoll(delay));
}

/* ---- names and labels ---- */

static void set_label(struct policy *policy, json_t *spec, const char *label)
{
	if (doc_has(spec, "ResourceLabel"))
		return;
	json_object_set_new(spec, "ResourceLabel", json_string(label));
	policy->is_dirty = true;
	policy->is_alarm_stale = true;
}

static void label_metric(struct policy *policy, json_t *spec, const char *label)
{
	if (strncmp(doc_str(spec, "PredefinedMetricType", ""), "ALB", 3) == 0)
		set_label(policy, spec, label);
}

static void label_policy(struct policy *policy, const char *label)
{
	const json_t *config = doc_object(policy->document, "PredictiveScalingConfiguration");
	json_t *spec = json_array_get(doc_array(config, "MetricSpecifications"), 0);

	if (doc_has(policy->document, "LoadTrackingConfiguration"))
		set_label(policy, doc_object(policy->document, "LoadTrackingConfiguration"), label);
	label_metric(policy,
		     doc_object(doc_object(policy->document, "TargetTrackingConfiguration"),
				"PredefinedMetricSpecification"),
		     label);
	label_metric(policy, doc_object(spec, "PredefinedMetricPairSpecification"), label);
	label_metric(policy, doc_object(spec, "PredefinedScalingMetricSpecification"), label);
	label_metric(policy, doc_object(spec, "PredefinedLoadMetricSpecification"), label);
}

/* The ResourceLabel that a policy of the file may leave out: of its group's only target group. */
static void label_policies(struct rim *rim, const char *arn, const json_t *target_group)
{
	const char *lb_arn =
	    json_string_value(json_array_get(doc_array(target_group, "LoadBalancerArns"), 0));
	const char *lb = lb_arn ? strstr(lb_arn, "loadbalancer/") : NULL;
	const char *tg = strstr(arn, "targetgroup/");
	char label[2 * ARN_MAX];
	struct policy *policy;
	struct group *group;

	if (!lb || !tg)
		return;
	snprintf(label, sizeof label, "%s/%s", lb + strlen("loadbalancer/"), tg);
	TAILQ_FOREACH (group, &rim->engine->groups, link) {
		const json_t *arns = doc_array(group->document, "TargetGroupARNs");

		if (json_array_size(arns) != 1 || !doc_list_has(arns, arn))
			continue;
		TAILQ_FOREACH (policy, &group->policies, link)
			label_policy(policy, label);
	}
}

/* Alarms of the file may call the target group and its load balancers by name. */
static void learn_names(struct rim *rim, const char *arn, const json_t *target_group)
{
	bool is_new = alarm_names_learn(rim->names, arn);
	const json_t *balancer;
	size_t i;

	json_array_foreach (doc_array(target_group, "LoadBalancerArns"), i, balancer)
		is_new |= alarm_names_learn(rim->names, json_string_value(balancer));
	if (is_new && rim->config.on_names)
		rim->config.on_names(rim->config.names_arg);
}

static void on_lookup(void *arg, const json_t *output, const struct aws_error *error)
{
	struct target_poll *poll = arg;
	struct rim *rim = poll->rim;
	const json_t *group = json_array_get(doc_array(output, "TargetGroups"), 0);
	const char *arn = doc_str(group, "TargetGroupArn", NULL);

	poll->lookup.is_busy = false;
	poll->lookup.due_ms = rim_now_ms() + ATTRIBUTES_MS;
	if (arn) {
		poll->lookup.failures = 0;
		if (!is_arn(poll->arn))
			engine_target_group_named(rim->engine, poll->arn, arn);
		label_policies(rim, arn, group);
		learn_names(rim, arn, group);
		rim_wake(rim);
		return;
	}
	if (!rim_note_answer(&rim->elb_reach, error) && poll->lookup.failures == 0)
		log_warn("target-group-unknown", "name=%s code=%s why=\"%s\"", poll->arn,
			 error->code, error->message);
	poll->lookup.failures++;
	poll->lookup.due_ms = rim_now_ms() + rim_retry_ms(&poll->lookup);
}

/* ---- all of them ---- */

static void ask_about(struct rim *rim, struct target_poll *poll, int64_t now_ms)
{
	json_t *arn = json_pack("{s:s}", "TargetGroupArn", poll->arn);

	if (!poll->lookup.is_busy && poll->lookup.due_ms <= now_ms)
		ask(rim, &poll->lookup, "DescribeTargetGroups",
		    json_pack("{s:[s]}", is_arn(poll->arn) ? "TargetGroupArns" : "Names",
			      poll->arn),
		    on_lookup, poll);
	if (is_arn(poll->arn) && !poll->attributes.is_busy && poll->attributes.due_ms <= now_ms)
		ask(rim, &poll->attributes, "DescribeTargetGroupAttributes", json_incref(arn),
		    on_attributes, poll);
	if (is_arn(poll->arn) && !poll->health.is_busy && poll->health.due_ms <= now_ms)
		ask(rim, &poll->health, "DescribeTargetHealth", json_incref(arn), on_health, poll);
	json_decref(arn);
}

static bool is_attached(const struct rim *rim, const char *arn)
{
	const struct group *group;
	const struct attachment *attachment;

	TAILQ_FOREACH (group, &rim->engine->groups, link) {
		TAILQ_FOREACH (attachment, &group->attachments, link) {
			if (strcmp(attachment->arn, arn) == 0)
				return true;
		}
	}
	return false;
}

static void add_new(struct rim *rim)
{
	const struct group *group;
	const struct attachment *attachment;

	TAILQ_FOREACH (group, &rim->engine->groups, link) {
		TAILQ_FOREACH (attachment, &group->attachments, link) {
			struct target_poll *poll = find(rim, attachment->arn);

			if (poll)
				continue;
			poll = calloc(1, sizeof *poll);
			if (!poll)
				return;
			poll->rim = rim;
			memcpy(poll->arn, attachment->arn, sizeof poll->arn);
			TAILQ_INSERT_TAIL(&rim->targets, poll, link);
		}
	}
}

static bool is_asking(const struct target_poll *poll)
{
	return poll->health.is_busy || poll->attributes.is_busy || poll->lookup.is_busy;
}

static void drop_old(struct rim *rim)
{
	struct target_poll *poll, *next;

	TAILQ_FOREACH_SAFE (poll, &rim->targets, link, next) {
		if (is_attached(rim, poll->arn) || is_asking(poll))
			continue;
		TAILQ_REMOVE(&rim->targets, poll, link);
		free(poll);
	}
}

void rim_poll_targets(struct rim *rim, int64_t now_ms)
{
	struct target_poll *poll;

	add_new(rim);
	TAILQ_FOREACH (poll, &rim->targets, link) {
		if (is_attached(rim, poll->arn))
			ask_about(rim, poll, now_ms);
	}
	drop_old(rim);
}

void rim_free_targets(struct rim *rim)
{
	struct target_poll *poll;

	while ((poll = TAILQ_FIRST(&rim->targets))) {
		TAILQ_REMOVE(&rim->targets, poll, link);
		free(poll);
	}
}
