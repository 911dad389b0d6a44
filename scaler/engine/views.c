/*
 * What EC2 says: instances with the group's tag, zones and subnets, launch template.
 * EC2's lists are eventually consistent, so nothing is gone because one answer lacks it.  Pure.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "scaler/engine/mixed.h"

enum {
	GONE_MISSES = 3,
	GONE_MS = 120 * 1000, /* and missing for this long: it is gone */
	LOOK_MAX_MS = 30 * 1000,
	STRAY_MS = 300 * 1000, /* an instance with our token that no launch knows */
};

static enum ec2_state state_of(const json_t *ec2)
{
	static const struct {
		const char *name;
		enum ec2_state state;
	} states[] = {
	    {"pending", EC2_PENDING},
	    {"running", EC2_RUNNING},
	    {"shutting-down", EC2_SHUTTING_DOWN},
	    {"terminated", EC2_TERMINATED},
	    {"stopping", EC2_STOPPING},
	    {"stopped", EC2_STOPPED},
	};
	const char *name = doc_str(doc_object(ec2, "State"), "Name", "");

	for (size_t i = 0; i < sizeof states / sizeof states[0]; i++) {
		if (strcmp(states[i].name, name) == 0)
			return states[i].state;
	}
	return EC2_UNKNOWN;
}

static void take_view(struct instance *instance, const json_t *ec2, int64_t asked_ms)
{
	const json_t *reason = doc_object(ec2, "StateReason");
	const char *code = doc_str(reason, "Code", "");
	const char *message = doc_str(reason, "Message", "");
	enum ec2_state state = state_of(ec2);
	char text[2 * MESSAGE_MAX];

	instance->seen_ms = asked_ms;
	instance->missing_ms = 0;
	instance->misses = 0;
	if (state != EC2_UNKNOWN)
		instance->ec2 = state;
	if (!code[0] || state == EC2_RUNNING || state == EC2_PENDING)
		return;
	text_copy(instance->reason_code, sizeof instance->reason_code, code);
	/* EC2's messages often begin with the code. */
	if (strncmp(message, code, strlen(code)) == 0)
		text_copy(instance->reason, sizeof instance->reason, message);
	else {
		snprintf(text, sizeof text, "%.60s: %.400s", code, message);
		text_mend(text);
		text_copy(instance->reason, sizeof instance->reason, text);
	}
}

/* passed_ms: since EC2's list was looked at before.  A clock that jumps is not a long absence. */
static void miss(struct instance *instance, int64_t passed_ms)
{
	instance->missing_ms += passed_ms < LOOK_MAX_MS ? passed_ms : LOOK_MAX_MS;
	instance->misses++;
	if (instance->misses < GONE_MISSES || instance->missing_ms < GONE_MS)
		return;
	instance->ec2 = EC2_TERMINATED;
	text_copy(instance->reason, sizeof instance->reason, "EC2 no longer lists the instance.");
}

/* The launch that this instance came from, if its answer was lost. */
static struct instance *launch_of(const struct group *group, const json_t *ec2)
{
	const char *token = doc_str(ec2, "ClientToken", "");
	int index = (int)doc_int(ec2, "AmiLaunchIndex", 0);
	struct instance *instance;

	TAILQ_FOREACH (instance, &group->instances, link) {
		bool is_it = instance->id[0] == '\0' && instance->token[0] &&
			     strcmp(instance->token, token) == 0 &&
			     instance->token_index == index && !instance->is_busy;

		if (is_it)
			return instance;
	}
	return NULL;
}

/* Its answer is on its way. */
static bool is_being_launched(const struct group *group, const json_t *ec2)
{
	const char *token = doc_str(ec2, "ClientToken", "");
	const struct instance *instance;

	TAILQ_FOREACH (instance, &group->instances, link) {
		if (!instance->id[0] && strcmp(instance->token, token) == 0)
			return true;
	}
	return false;
}

/* {uuid}_{zone}_{attempt} */
static bool is_our_token(const char *token)
{
	return strlen(token) > 37 && token[8] == '-' && token[13] == '-' && token[36] == '_';
}

/* It runs, and its launch is in nobody's books. */
static bool is_unknown(const struct group *group, const json_t *ec2)
{
	enum ec2_state state = state_of(ec2);

	return state != EC2_TERMINATED && state != EC2_SHUTTING_DOWN &&
	       is_our_token(doc_str(ec2, "ClientToken", "")) && !is_being_launched(group, ec2);
}

/* Old enough to be ended; where the group is to go nobody waits for it. */
static bool is_stray(const struct group *group, const json_t *ec2, int64_t now_ms)
{
	int64_t launch_ms;

	if (group->is_deleting)
		return true;
	if (clock_parse_iso(doc_str(ec2, "LaunchTime", ""), &launch_ms) < 0)
		return false;
	return now_ms - launch_ms > STRAY_MS;
}

static void see_unknown(struct group *group, const json_t *ec2, int64_t now_ms, json_t *strays)
{
	if (!is_unknown(group, ec2))
		return;
	group->unknown++;
	if (is_stray(group, ec2, now_ms))
		json_array_append_new(strays, json_string(doc_str(ec2, "InstanceId", "")));
}

static void see_one(struct group *group, const json_t *ec2, int64_t asked_ms, int64_t now_ms,
		    json_t *strays)
{
	const char *id = doc_str(ec2, "InstanceId", "");
	struct instance *instance = group_instance(group, id);

	if (!instance) {
		instance = launch_of(group, ec2);
		if (instance) {
			launch_identify(group, instance, ec2);
			group->launched++;
		}
	}
	if (instance && instance->is_attached && !instance->zone[0]) {
		launch_take_facts(instance, ec2);
		mixed_weigh(group, instance);
	}
	if (instance && instance->is_attached && !instance->is_tagged)
		instance->is_tagged = instance->is_dirty = true; /* or it would not be listed */
	if (instance) {
		bool was_known = instance->reason_code[0] != '\0';

		take_view(instance, ec2, asked_ms);
		if (!was_known && instance_was_taken_back(instance))
			spot_was_taken_back(group, instance, now_ms);
	} else {
		see_unknown(group, ec2, now_ms, strays);
	}
}

void engine_instances_seen(struct engine *engine, struct group *group, const json_t *instances,
			   int64_t asked_ms, int64_t now_ms, json_t *strays)
{
	int64_t passed_ms = group->view_ms > 0 ? asked_ms - group->view_ms : 0;
	struct instance *instance;
	const json_t *ec2;
	size_t i;

	(void)engine;
	group->unknown = 0;
	json_array_foreach (instances, i, ec2)
		see_one(group, ec2, asked_ms, now_ms, strays);
	TAILQ_FOREACH (instance, &group->instances, link) {
		/* What was attached is listed from when it carries the tag. */
		if (instance->id[0] && instance->seen_ms != asked_ms &&
		    (!instance->is_attached || instance->is_tagged) &&
		    instance->launch_ms < asked_ms)
			miss(instance, passed_ms > 0 ? passed_ms : 0);
	}
	group->view_ms = asked_ms;
}

void engine_zones_seen(struct group *group, const json_t *subnets)
{
	json_t *names = json_array();
	const json_t *subnet;
	int n = 0;
	size_t i;

	json_array_foreach (subnets, i, subnet) {
		const char *name = doc_str(subnet, "AvailabilityZone", "");

		if (n == MAX_ZONES)
			break;
		memset(&group->zones[n], 0, sizeof group->zones[n]);
		text_copy(group->zones[n].name, ZONE_MAX, name);
		text_copy(group->zones[n].subnet_id, ZONE_MAX, doc_str(subnet, "SubnetId", ""));
		n++;
		if (name[0] && !doc_list_has(names, name))
			json_array_append_new(names, json_string(name));
	}
	group->n_zones = n;
	group->has_zones = n > 0;
	if (!json_equal(names, doc_array(group->document, "AvailabilityZones"))) {
		json_object_set(group->document, "AvailabilityZones", names);
		group->is_dirty = true;
	}
	json_decref(names);
}

static void set_missing(json_t *object, const char *member, const char *value, bool *changed)
{
	if (doc_has(object, member) || !value)
		return;
	json_object_set_new(object, member, json_string(value));
	*changed = true;
}

void engine_template_seen(struct group *group, const json_t *launch_template)
{
	json_t *template = group_template(group);
	bool changed = false;

	if (!template)
		return;
	set_missing(template, "LaunchTemplateId",
		    doc_str(launch_template, "LaunchTemplateId", NULL), &changed);
	set_missing(template, "LaunchTemplateName",
		    doc_str(launch_template, "LaunchTemplateName", NULL), &changed);
	group->latest_version = (int)doc_int(launch_template, "LatestVersionNumber", 0);
	group->default_version = (int)doc_int(launch_template, "DefaultVersionNumber", 0);
	group->is_dirty |= changed;
}
