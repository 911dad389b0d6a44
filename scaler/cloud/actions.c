/*
 * Actions carried out: calls to EC2 and to the load balancer, and their answers given back to
 * the engine.  Every action ends in exactly one engine_*_done.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/doc/doc.h"
#include "scaler/cloud/rim_parts.h"

/* ---- what an error means ---- */

static bool is_throttled(const char *code)
{
	static const char *const codes[] = {"RequestLimitExceeded", "Throttling",
					    "ThrottlingException", "RequestThrottled",
					    "PriorRequestNotComplete"};

	for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
		if (strcmp(code, codes[i]) == 0)
			return true;
	}
	return false;
}

/* Refused for good, so a new attempt is a new launch. */
static bool is_final(const struct aws_error *error)
{
	if (strcmp(error->code, "InsufficientInstanceCapacity") == 0 ||
	    strcmp(error->code, "InsufficientHostCapacity") == 0)
		return true;
	/* The template has changed since the launch was asked for: it was done, and is listed. */
	if (strcmp(error->code, "IdempotentParameterMismatch") == 0)
		return false;
	return error->http_status >= 400 && error->http_status < 500 && !is_throttled(error->code);
}

static const char *error_code(const struct aws_error *error)
{
	return is_final(error) ? error->code : "NoAnswer";
}

/* ---- launches ---- */

static void launch_refused(struct rim *rim, const struct action *action, const char *code,
			   const char *message, bool final)
{
	struct launch_answer answer = {NULL, code, message, final};

	rim->counts.run_instances_failed++;
	if (final)
		log_warn("launch-failed", "group=%s zone=%s code=%s why=\"%s\"", action->group,
			 action->zone, code, message);
	engine_launch_done(rim->engine, action, &answer, rim_now_ms());
	rim_wake(rim);
}

static void on_launched(void *arg, const json_t *output, const struct aws_error *error)
{
	struct call *call = arg;
	struct rim *rim = call->rim;
	struct launch_answer answer = {doc_array(output, "Instances"), NULL, NULL, false};

	(void)rim_note_answer(&rim->ec2_reach, error);
	if (answer.instances) {
		log_info("launched", "group=%s zone=%s count=%zu token=%s", call->action.group,
			 call->action.zone, json_array_size(answer.instances), call->action.token);
		engine_launch_done(rim->engine, &call->action, &answer, rim_now_ms());
		rim->instances.due_ms = 0;
		rim_wake(rim);
	} else {
		launch_refused(rim, &call->action, error->code, error->message, is_final(error));
	}
	call_free(call);
}

static void launch(struct rim *rim, const struct action *action)
{
	const struct group *group = engine_group(rim->engine, action->group);
	struct err err = {0};
	json_t *input = group ? launch_input(group, rim->templates, action, &err) : NULL;
	struct call *call = input ? call_new(rim, action) : NULL;

	rim->counts.run_instances++;
	if (call && aws_client_call(rim->ec2, "RunInstances", input, on_launched, call, &err)) {
		json_decref(input);
		return;
	}
	call_free(call);
	json_decref(input);
	/* The request itself is wrong: what the template says does not fit. */
	launch_refused(rim, action, "ValidationError", err.text, true);
}

/* ---- terminations ---- */

static void on_terminated(void *arg, const json_t *output, const struct aws_error *error)
{
	struct call *call = arg;
	struct rim *rim = call->rim;

	(void)rim_note_answer(&rim->ec2_reach, error);
	if (!output) {
		rim->counts.terminate_instances_failed++;
		log_warn("terminate-failed", "group=%s instance=%s code=%s why=\"%s\"",
			 call->action.group, call->action.instance_id, error->code, error->message);
	} else {
		log_info("terminated", "group=%s instance=%s", call->action.group,
			 call->action.instance_id);
	}
	engine_terminate_done(rim->engine, &call->action, output ? NULL : error_code(error),
			      rim_now_ms());
	rim->instances.due_ms = 0;
	rim_wake(rim);
	call_free(call);
}

static void terminate(struct rim *rim, const struct action *action)
{
	json_t *input = json_pack("{s:[s]}", "InstanceIds", action->instance_id);
	struct call *call = call_new(rim, action);
	struct err err = {0};

	rim->counts.terminate_instances++;
	if (!input || !call ||
	    !aws_client_call(rim->ec2, "TerminateInstances", input, on_terminated, call, &err)) {
		call_free(call);
		engine_terminate_done(rim->engine, action, "NoAnswer", rim_now_ms());
	}
	json_decref(input);
}

static void on_stray_ended(void *arg, const json_t *output, const struct aws_error *error)
{
	struct rim *rim = arg;

	(void)rim_note_answer(&rim->ec2_reach, error);
	rim->counts.terminate_instances_failed += !output;
}

void rim_end_stray(struct rim *rim, const char *instance_id, const char *group)
{
	json_t *input;
	struct err err = {0};

	log_warn("stray-instance",
		 "group=%s instance=%s why=\"it carries the group's tag and "
		 "belongs to no launch\"",
		 group, instance_id);
	if (engine_is_dry_run(rim->engine))
		return;
	input = json_pack("{s:[s]}", "InstanceIds", instance_id);
	rim->counts.terminate_instances++;
	if (!aws_client_call(rim->ec2, "TerminateInstances", input, on_stray_ended, rim, &err))
		log_error("terminate-failed", "instance=%s why=\"%s\"", instance_id, err.text);
	json_decref(input);
}

/* ---- target groups ---- */

static void registration_done(struct rim *rim, const struct action *action, const char *code,
			      const char *message)
{
	int64_t now_ms = rim_now_ms();

	if (code) {
		rim->counts.registers_failed++;
		if (strcmp(code, "NoAnswer") != 0)
			log_warn(action->kind == ACTION_REGISTER ? "register-failed"
								 : "deregister-failed",
				 "group=%s instance=%s code=%s why=\"%s\"", action->group,
				 action->instance_id, code, message);
	}
	if (action->kind == ACTION_REGISTER)
		engine_register_done(rim->engine, action, code, message, now_ms);
	else
		engine_deregister_done(rim->engine, action, code, now_ms);
	rim_wake(rim);
}

static void on_registered(void *arg, const json_t *output, const struct aws_error *error)
{
	struct call *call = arg;

	(void)rim_note_answer(&call->rim->elb_reach, error);
	registration_done(call->rim, &call->action, output ? NULL : error_code(error),
			  output ? NULL : error->message);
	call_free(call);
}

static void change_registration(struct rim *rim, const struct action *action)
{
	const char *name =
	    action->kind == ACTION_REGISTER ? "RegisterTargets" : "DeregisterTargets";
	json_t *input = json_pack("{s:s, s:[{s:s}]}", "TargetGroupArn", action->target_group,
				  "Targets", "Id", action->instance_id);
	struct call *call = call_new(rim, action);
	struct err err = {0};

	rim->counts.registers++;
	if (!input || !call || !aws_client_call(rim->elb, name, input, on_registered, call, &err)) {
		call_free(call);
		registration_done(rim, action, "ValidationError", err.text);
	}
	json_decref(input);
}

/* ---- tags ---- */

static void tag_done(struct rim *rim, const struct action *action, const char *code,
		     const char *message)
{
	if (code && strcmp(code, "NoAnswer") != 0)
		log_warn("tag-failed", "group=%s instance=%s code=%s why=\"%s\"", action->group,
			 action->instance_id, code, message);
	engine_tag_done(rim->engine, action, code, message, rim_now_ms());
	rim->instances.due_ms = 0;
	rim_wake(rim);
}

static void on_tagged(void *arg, const json_t *output, const struct aws_error *error)
{
	struct call *call = arg;

	(void)rim_note_answer(&call->rim->ec2_reach, error);
	tag_done(call->rim, &call->action, output ? NULL : error_code(error),
		 output ? NULL : error->message);
	call_free(call);
}

static json_t *tag_input(struct rim *rim, const struct action *action)
{
	const struct group *group = engine_group(rim->engine, action->group);

	if (action->kind == ACTION_UNTAG)
		return json_pack("{s:[s], s:[{s:s}]}", "Resources", action->instance_id, "Tags",
				 "Key", LAUNCH_TAG);
	return json_pack("{s:[s], s:o}", "Resources", action->instance_id, "Tags",
			 launch_tags(group, NULL));
}

static void change_tags(struct rim *rim, const struct action *action)
{
	const char *name = action->kind == ACTION_TAG ? "CreateTags" : "DeleteTags";
	json_t *input = tag_input(rim, action);
	struct call *call = call_new(rim, action);
	struct err err = {0};

	if (!input || !call || !aws_client_call(rim->ec2, name, input, on_tagged, call, &err)) {
		call_free(call);
		tag_done(rim, action, "ValidationError", err.text);
	}
	json_decref(input);
}

/* ---- stopped and started ---- */

static void power_done(struct rim *rim, const struct action *action, const char *code,
		       const char *message)
{
	bool is_start = action->kind == ACTION_START;

	if (!code)
		log_info(is_start ? "started-instance" : "stopped-instance", "group=%s instance=%s",
			 action->group, action->instance_id);
	else if (strcmp(code, "NoAnswer") != 0)
		log_warn(is_start ? "start-failed" : "stop-failed",
			 "group=%s instance=%s code=%s why=\"%s\"", action->group,
			 action->instance_id, code, message);
	engine_power_done(rim->engine, action, code, message, rim_now_ms());
	rim->instances.due_ms = 0;
	rim_wake(rim);
}

static void on_powered(void *arg, const json_t *output, const struct aws_error *error)
{
	struct call *call = arg;

	(void)rim_note_answer(&call->rim->ec2_reach, error);
	power_done(call->rim, &call->action, output ? NULL : error_code(error),
		   output ? NULL : error->message);
	call_free(call);
}

static void change_power(struct rim *rim, const struct action *action)
{
	const char *name = action->kind == ACTION_START ? "StartInstances" : "StopInstances";
	json_t *input = json_pack("{s:[s]}", "InstanceIds", action->instance_id);
	struct call *call = call_new(rim, action);
	struct err err = {0};

	if (input && action->kind == ACTION_STOP && action->hibernates)
		json_object_set_new(input, "Hibernate", json_true());
	if (!input || !call || !aws_client_call(rim->ec2, name, input, on_powered, call, &err)) {
		call_free(call);
		power_done(rim, action, "ValidationError", err.text);
	}
	json_decref(input);
}

void rim_carry_out(struct rim *rim, const struct action *action)
{
	switch (action->kind) {
	case ACTION_LAUNCH:
		launch(rim, action);
		return;
	case ACTION_TERMINATE:
		terminate(rim, action);
		return;
	case ACTION_REGISTER:
	case ACTION_DEREGISTER:
		change_registration(rim, action);
		return;
	case ACTION_TAG:
	case ACTION_UNTAG:
		change_tags(rim, action);
		return;
	case ACTION_START:
	case ACTION_STOP:
		change_power(rim, action);
		return;
	}
}

void rim_refuse(struct rim *rim, const struct action *action)
{
	static const struct launch_answer answer = {NULL, NOT_ASKED,
						    "the state could not be written", false};
	int64_t now_ms = rim_now_ms();

	switch (action->kind) {
	case ACTION_LAUNCH:
		engine_launch_done(rim->engine, action, &answer, now_ms);
		return;
	case ACTION_TERMINATE:
		engine_terminate_done(rim->engine, action, NOT_ASKED, now_ms);
		return;
	case ACTION_REGISTER:
		engine_register_done(rim->engine, action, NOT_ASKED, answer.message, now_ms);
		return;
	case ACTION_DEREGISTER:
		engine_deregister_done(rim->engine, action, NOT_ASKED, now_ms);
		return;
	case ACTION_TAG:
	case ACTION_UNTAG:
		engine_tag_done(rim->engine, action, NOT_ASKED, answer.message, now_ms);
		return;
	case ACTION_START:
	case ACTION_STOP:
		engine_power_done(rim->engine, action, "NoAnswer", answer.message, now_ms);
		return;
	}
}
