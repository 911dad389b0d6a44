/*
 * What EC2 is asked again and again: the instances with our tag, the zones of groups that are
 * new or changed, the versions of launch templates.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/doc/doc.h"
#include "scaler/cloud/rim_parts.h"

enum {
	FAST_MS = 250,       /* while something changes */
	FAST_FOR_MS = 20000, /* and then less often */
	SLOWER_MS = 1000,
	STEADY_MS = 2000,
	TEMPLATE_MS = 30000,
	FILTER_VALUES_MAX = 200, /* EC2's own limit */
	PAGES_MAX = 1000,
};

/* ---- instances ---- */

static int64_t interval_ms(struct rim *rim, int64_t now_ms)
{
	if (!rim_is_moving(rim)) {
		rim->moving_since_ms = 0;
		return STEADY_MS;
	}
	if (rim->moving_since_ms == 0)
		rim->moving_since_ms = now_ms;
	return now_ms - rim->moving_since_ms < FAST_FOR_MS ? FAST_MS : SLOWER_MS;
}

static void poll_over(struct rim *rim)
{
	json_decref(rim->instances_so_far);
	json_decref(rim->instances_filter);
	rim->instances_so_far = rim->instances_filter = NULL;
	rim->instances.is_busy = false;
}

/* The answer's instances that are the group's. */
static json_t *instances_of(const json_t *all, const char *group)
{
	json_t *out = json_array(), *instance;
	size_t i;

	json_array_foreach (all, i, instance) {
		const char *name = doc_kv_get(doc_array(instance, "Tags"), LAUNCH_TAG, "");

		if (strcmp(name, group) == 0)
			json_array_append(out, instance);
	}
	return out;
}

static bool was_asked_about(const json_t *filter, const char *group)
{
	const json_t *values = doc_array(json_array_get(doc_array(filter, "Filters"), 0), "Values");
	const char *name = doc_str(json_array_get(doc_array(filter, "Filters"), 0), "Name", "");

	return strcmp(name, "tag-key") == 0 || doc_list_has(values, group);
}

static void take_instances(struct rim *rim, int64_t now_ms)
{
	struct group *group;

	TAILQ_FOREACH (group, &rim->engine->groups, link) {
		json_t *strays = json_array(), *own, *id;
		size_t i;

		if (was_asked_about(rim->instances_filter, group->name)) {
			own = instances_of(rim->instances_so_far, group->name);
			engine_instances_seen(rim->engine, group, own, rim->instances.asked_ms,
					      now_ms, strays);
			json_decref(own);
		}
		json_array_foreach (strays, i, id)
			rim_end_stray(rim, json_string_value(id), group->name);
		json_decref(strays);
	}
}

static void ask_page(struct rim *rim, const char *token);

static void on_instances(void *arg, const json_t *output, const struct aws_error *error)
{
	const char *next = doc_str(output, "NextToken", "");
	struct rim *rim = arg;
	json_t *reservation;
	size_t i;

	rim->counts.describes_failed += !output;
	(void)rim_note_answer(&rim->ec2_reach, error);
	if (!output) {
		if (error->http_status >= 400 && rim->instances.failures == 0)
			log_warn("describe-instances-failed", "code=%s why=\"%s\"", error->code,
				 error->message);
		rim->instances.failures++;
		rim->instances.due_ms = rim_now_ms() + rim_retry_ms(&rim->instances);
		poll_over(rim);
		return;
	}
	json_array_foreach (doc_array(output, "Reservations"), i, reservation)
		json_array_extend(rim->instances_so_far, doc_array(reservation, "Instances"));
	if (next[0]) {
		ask_page(rim, next);
		return;
	}
	rim->instances.failures = 0;
	take_instances(rim, rim_now_ms());
	poll_over(rim);
	rim->instances.due_ms = rim_now_ms() + interval_ms(rim, rim_now_ms());
	rim_wake(rim);
}

static void ask_page(struct rim *rim, const char *token)
{
	json_t *input = json_copy(rim->instances_filter);
	struct err err = {0};

	if (token)
		json_object_set_new(input, "NextToken", json_string(token));
	rim->counts.describes++;
	if (!aws_client_call(rim->ec2, "DescribeInstances", input, on_instances, rim, &err)) {
		log_error("describe-instances-failed", "why=\"%s\"", err.text);
		rim->instances.due_ms = rim_now_ms() + STEADY_MS;
		poll_over(rim);
	}
	json_decref(input);
}

static json_t *filter(const struct rim *rim)
{
	json_t *names = json_array();
	const struct group *group;
	char tag[128];

	TAILQ_FOREACH (group, &rim->engine->groups, link)
		json_array_append_new(names, json_string(group->name));
	if (json_array_size(names) > FILTER_VALUES_MAX) {
		json_decref(names);
		return json_pack("{s:[{s:s, s:[s]}], s:i}", "Filters", "Name", "tag-key", "Values",
				 LAUNCH_TAG, "MaxResults", 1000);
	}
	snprintf(tag, sizeof tag, "tag:%s", LAUNCH_TAG);
	return json_pack("{s:[{s:s, s:o}], s:i}", "Filters", "Name", tag, "Values", names,
			 "MaxResults", 1000);
}

static void ask_instances(struct rim *rim, int64_t now_ms)
{
	rim->instances_filter = filter(rim);
	rim->instances_so_far = json_array();
	rim->instances.asked_ms = now_ms;
	rim->instances.is_busy = true;
	ask_page(rim, NULL);
}

/* ---- zones ---- */

/* Subnet ids in the group's own order, zones unknown. */
static json_t *subnet_ids(const struct group *group)
{
	const char *text = doc_str(group->document, "VPCZoneIdentifier", "");
	json_t *ids = json_array();

	while (*text) {
		size_t len = strcspn(text, ", ");

		if (len > 0)
			json_array_append_new(ids, json_stringn(text, len));
		text += len + strspn(text + len, ", ");
	}
	return ids;
}

/* EC2 answers in any order; the group's own order is kept.  A subnet that EC2 does not know stays
 * in: the launch into it then says what is wrong. */
static json_t *in_order(const struct group *group, const json_t *answer)
{
	const json_t *zones = doc_array(group->document, "AvailabilityZones"), *item;
	json_t *ids = subnet_ids(group), *out = json_array(), *found;
	size_t i;

	json_array_foreach (ids, i, item) {
		found = doc_find(answer, "SubnetId", json_string_value(item));
		if (found)
			json_array_append(out, found);
		else
			json_array_append_new(out, json_pack("{s:O}", "SubnetId", item));
	}
	if (json_array_size(ids) == 0 && json_array_size(zones) == 0)
		json_array_extend(out, (json_t *)answer);
	for (i = 0; json_array_size(ids) == 0 && i < json_array_size(zones); i++) {
		item = json_array_get(zones, i);
		found = doc_find(answer, "AvailabilityZone", json_string_value(item));
		if (found)
			json_array_append(out, found);
		else
			json_array_append_new(out, json_pack("{s:O}", "AvailabilityZone", item));
	}
	json_decref(ids);
	return out;
}

static void on_subnets(void *arg, const json_t *output, const struct aws_error *error)
{
	struct call *call = arg;
	struct rim *rim = call->rim;
	struct group *group = engine_group(rim->engine, call->action.group);
	json_t *zones;

	rim->zones.is_busy = false;
	rim->counts.describes_failed += !output;
	if (rim_note_answer(&rim->ec2_reach, error) || error->http_status >= 500 || !group) {
		rim->zones.failures++;
		rim->zones.due_ms = rim_now_ms() + rim_retry_ms(&rim->zones);
		call_free(call);
		return;
	}
	if (!output)
		log_warn("subnets-unknown", "group=%s code=%s why=\"%s\"", group->name, error->code,
			 error->message);
	rim->zones.failures = 0;
	zones = in_order(group, doc_array(output, "Subnets"));
	engine_zones_seen(group, zones);
	if (!group->has_zones) /* EC2 knows no default subnet at all */
		rim->zones.due_ms = rim_now_ms() + STEADY_MS;
	json_decref(zones);
	rim_wake(rim);
	call_free(call);
}

static json_t *subnets_question(const struct group *group)
{
	json_t *ids = subnet_ids(group), *filters;
	json_t *zones = doc_array(group->document, "AvailabilityZones");

	if (json_array_size(ids) > 0)
		return json_pack("{s:o}", "SubnetIds", ids);
	json_decref(ids);
	filters = json_pack("[{s:s, s:[s]}]", "Name", "default-for-az", "Values", "true");
	if (json_array_size(zones) > 0)
		json_array_append_new(
		    filters, json_pack("{s:s, s:O}", "Name", "availability-zone", "Values", zones));
	return json_pack("{s:o}", "Filters", filters);
}

static void ask(struct rim *rim, struct poll *poll, struct group *group, const char *action,
		json_t *input, aws_done_fn fn)
{
	struct call *call = call_about(rim, group);
	struct err err = {0};

	rim->counts.describes++;
	poll->is_busy = true;
	if (!call || !aws_client_call(rim->ec2, action, input, fn, call, &err)) {
		log_error("ec2-question-failed", "action=%s group=%s why=\"%s\"", action,
			  group->name, err.text);
		call_free(call);
		poll->is_busy = false;
		poll->due_ms = rim_now_ms() + STEADY_MS;
	}
	json_decref(input);
}

static void ask_zones(struct rim *rim)
{
	struct group *group;

	TAILQ_FOREACH (group, &rim->engine->groups, link) {
		if (group->has_zones || group->is_deleting)
			continue;
		ask(rim, &rim->zones, group, "DescribeSubnets", subnets_question(group),
		    on_subnets);
		return;
	}
}

/* ---- launch templates ---- */

static void on_template(void *arg, const json_t *output, const struct aws_error *error)
{
	struct call *call = arg;
	struct rim *rim = call->rim;
	struct group *group = engine_group(rim->engine, call->action.group);
	const json_t *template = json_array_get(doc_array(output, "LaunchTemplates"), 0);

	rim->template.is_busy = false;
	rim->counts.describes_failed += !output;
	(void)rim_note_answer(&rim->ec2_reach, error);
	/* One that EC2 does not know is the launch's to report. */
	if (group)
		group->template_seen_ms = rim_now_ms();
	if (group && template) {
		engine_template_seen(group, template);
		rim_wake(rim);
	}
	call_free(call);
}

static void ask_template(struct rim *rim, int64_t now_ms)
{
	struct group *group;

	TAILQ_FOREACH (group, &rim->engine->groups, link) {
		const json_t *spec = group_template(group);
		const char *id = doc_str(spec, "LaunchTemplateId", NULL);
		const char *name = doc_str(spec, "LaunchTemplateName", NULL);

		if ((!id && !name) || now_ms - group->template_seen_ms < TEMPLATE_MS ||
		    launch_template_of(group, rim->templates))
			continue;
		ask(rim, &rim->template, group, "DescribeLaunchTemplates",
		    id ? json_pack("{s:[s]}", "LaunchTemplateIds", id)
		       : json_pack("{s:[s]}", "LaunchTemplateNames", name),
		    on_template);
		return;
	}
}

void rim_poll_ec2(struct rim *rim, int64_t now_ms)
{
	if (TAILQ_EMPTY(&rim->engine->groups))
		return;
	if (!rim->instances.is_busy && rim->instances.due_ms <= now_ms)
		ask_instances(rim, now_ms);
	if (!rim->zones.is_busy && rim->zones.due_ms <= now_ms)
		ask_zones(rim);
	if (!rim->template.is_busy && rim->template.due_ms <= now_ms)
		ask_template(rim, now_ms);
}
