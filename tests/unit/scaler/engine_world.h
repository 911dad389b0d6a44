/*
 * A world for engine tests: an engine, a fake EC2 that keeps instances by token, a fake load
 * balancer, a clock moved by hand, and a store that is a JSON object, so that the engine can be
 * thrown away and loaded again at any point.
 */
#ifndef TESTS_UNIT_SCALER_ENGINE_WORLD_H
#define TESTS_UNIT_SCALER_ENGINE_WORLD_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/clock.h"
#include "common/doc/doc.h"
#include "scaler/engine/engine.h"

#define WORLD_TARGET_GROUP \
	"arn:aws:elasticloadbalancing:us-east-1:000000000000:targetgroup/web/0123456789abcdef"

struct world {
	struct engine *engine;
	struct group *group;
	struct id_source ids;
	int64_t now_ms;
	json_t *store;
	json_t *ec2;     /* instances in DescribeInstances' shape */
	json_t *targets; /* {id: state} */
	json_t *foreign; /* an instance without the group's tag; NULL */
	json_t *left;    /* those that lost the tag */
	int n_runs, n_terminates, n_registers, n_deregisters, n_starts, n_stops;
	/* Switches. */
	const char *run_error;   /* every RunInstances is refused so */
	const char *full_zone;   /* no capacity there */
	const char *full_type;   /* none of this type, anywhere (with full_zone: there) */
	const char *full_market; /* "spot" or "on-demand": only of that */
	const char *full_code;   /* what it is refused with */
	int room;                /* of one call; 0 all */
	const char *start_error, *stop_error;
	bool loses_run_answers; /* EC2 does it, nobody hears of it */
	bool is_ec2_down;
	bool keeps_draining;
	const char *sickly; /* what the load balancer says of new targets; NULL: healthy */
	double cpu;         /* of every instance, each second; NAN: no data */
	double first_cpu;   /* of the first instance only, if not NAN */
	int64_t data_from_ms;
	double (*curve)(int64_t at_ms, const char *id);
	engine_metric_fn metric; /* in place of all this; gets the world */
};

static inline int world_metric(void *arg, const struct metric_request *request)
{
	struct world *world = arg;
	const char *id = doc_str(json_array_get(request->dimensions, 0), "Value", "");
	const char *dimension = doc_str(json_array_get(request->dimensions, 0), "Name", "");
	int found = 0;

	if (world->metric)
		return world->metric(arg, request);
	if (strcmp(dimension, "InstanceId") != 0 || request->period_s != 1)
		return 0;
	for (int i = 0; i < request->n; i++) {
		int64_t at = request->end_ms - (int64_t)(request->n - i) * 1000;
		double value = world->curve ? world->curve(at, id) : world->cpu;

		if (at < world->data_from_ms || isnan(value))
			continue;
		request->values[i] = value;
		found++;
	}
	return found;
}

static inline json_t *world_instance(struct world *world, const char *id)
{
	json_t *instance;
	size_t i;

	json_array_foreach (world->ec2, i, instance) {
		if (strcmp(doc_str(instance, "InstanceId", ""), id) == 0)
			return instance;
	}
	return NULL;
}

static inline void world_set_state(json_t *instance, const char *state, const char *code)
{
	json_object_set_new(instance, "State", json_pack("{s:s}", "Name", state));
	if (code)
		json_object_set_new(instance, "StateReason",
				    json_pack("{s:s, s:s}", "Code", code, "Message", code));
}

static inline json_t *world_run(struct world *world, const struct action *action)
{
	json_t *out = json_array(), *instance;
	char id[ID_TEXT_MAX], at[CLOCK_TEXT_MAX];
	size_t i;

	world->n_runs++;
	json_array_foreach (world->ec2, i, instance) {
		if (strcmp(doc_str(instance, "ClientToken", ""), action->token) == 0)
			json_array_append(out, instance);
	}
	if (json_array_size(out) > 0)
		return out;
	for (int k = 0; k < action->count && (k < world->room || world->room == 0); k++) {
		instance = json_pack(
		    "{s:s, s:s, s:i, s:s, s:s, s:s, s:{s:s}, s:{s:s}}", "InstanceId",
		    id_ec2(&world->ids, "i", id), "ClientToken", action->token, "AmiLaunchIndex", k,
		    "InstanceType", action->type[0] ? action->type : "t2.micro", "SubnetId",
		    action->subnet_id, "LaunchTime", clock_format_iso_ms(world->now_ms, at),
		    "Placement", "AvailabilityZone", action->zone, "State", "Name", "pending");
		if (action->is_spot)
			json_object_set_new(instance, "InstanceLifecycle", json_string("spot"));
		json_array_append(world->ec2, instance);
		json_array_append_new(out, instance);
	}
	return out;
}

static inline bool world_is_full(const struct world *world, const struct action *action)
{
	const char *market = action->is_spot ? "spot" : "on-demand";

	return (world->full_zone || world->full_type || world->full_market) &&
	       (!world->full_zone || strcmp(world->full_zone, action->zone) == 0) &&
	       (!world->full_type || strcmp(world->full_type, action->type) == 0) &&
	       (!world->full_market || strcmp(world->full_market, market) == 0);
}

static inline void world_launch(struct world *world, const struct action *action)
{
	struct launch_answer answer = {NULL, NULL, NULL, false};
	json_t *instances = NULL;

	if (world->is_ec2_down) {
		answer.code = "NoAnswer";
		answer.message = "Connection refused";
	} else if (world->run_error) {
		world->n_runs++;
		answer.code = world->run_error;
		answer.message = "The image id '[ami-1]' does not exist";
		answer.is_final = true;
	} else if (world_is_full(world, action)) {
		world->n_runs++;
		answer.code = world->full_code ? world->full_code : "InsufficientInstanceCapacity";
		answer.message = "We currently do not have sufficient capacity.";
		answer.is_final = true;
	} else {
		answer.instances = instances = world_run(world, action);
	}
	if (!world->loses_run_answers)
		engine_launch_done(world->engine, action, &answer, world->now_ms);
	json_decref(instances);
}

/* The fake EC2 lists what is in world->ec2; others (world->foreign) until they carry the tag. */
static inline void world_tag(struct world *world, const struct action *action)
{
	json_t *foreign = world->foreign, *instance = world_instance(world, action->instance_id);
	bool is_foreign =
	    foreign && strcmp(doc_str(foreign, "InstanceId", ""), action->instance_id) == 0;
	size_t i;

	if (action->kind == ACTION_TAG && is_foreign && !instance)
		json_array_append(world->ec2, foreign);
	if (action->kind == ACTION_UNTAG && instance) {
		json_array_append(world->left, instance);
		for (i = 0; json_array_get(world->ec2, i) != instance;)
			i++;
		json_array_remove(world->ec2, i);
	}
	engine_tag_done(world->engine, action,
			is_foreign || instance ? NULL : "InvalidInstanceID.NotFound",
			"The instance ID does not exist", world->now_ms);
}

/* Stopped at once, started by way of pending. */
static inline void world_power(struct world *world, const struct action *action)
{
	json_t *instance = world_instance(world, action->instance_id);
	bool is_start = action->kind == ACTION_START;
	const char *error = is_start ? world->start_error : world->stop_error;

	world->n_starts += is_start;
	world->n_stops += !is_start;
	assert_non_null(instance);
	if (world->is_ec2_down)
		error = "NoAnswer";
	if (!error && is_start)
		world_set_state(instance, "pending", NULL);
	else if (!error)
		world_set_state(instance, "stopped", "Client.UserInitiatedShutdown");
	engine_power_done(world->engine, action, error, "EC2 would not", world->now_ms);
}

static inline void world_do(struct world *world, const struct action *action)
{
	switch (action->kind) {
	case ACTION_LAUNCH:
		world_launch(world, action);
		return;
	case ACTION_TERMINATE:
		world->n_terminates++;
		assert_non_null(world_instance(world, action->instance_id));
		world_set_state(world_instance(world, action->instance_id), "terminated",
				"Client.UserInitiatedShutdown");
		engine_terminate_done(world->engine, action, NULL, world->now_ms);
		return;
	case ACTION_REGISTER:
		world->n_registers++;
		json_object_set_new(world->targets, action->instance_id,
				    json_string(world->sickly ? world->sickly : "healthy"));
		engine_register_done(world->engine, action, NULL, NULL, world->now_ms);
		return;
	case ACTION_DEREGISTER:
		world->n_deregisters++;
		json_object_set_new(world->targets, action->instance_id, json_string("draining"));
		engine_deregister_done(world->engine, action, NULL, world->now_ms);
		return;
	case ACTION_TAG:
	case ACTION_UNTAG:
		world_tag(world, action);
		return;
	case ACTION_START:
	case ACTION_STOP:
		world_power(world, action);
		return;
	}
}

static inline void world_save(void *arg, const char *key, json_t *document)
{
	struct world *world = arg;

	if (document)
		json_object_set_new(world->store, key, document);
	else
		json_object_del(world->store, key);
}

static inline void world_show_health(struct world *world)
{
	json_t *list = json_array(), *state;
	const char *id;
	void *next;

	json_object_foreach_safe (world->targets, next, id, state) {
		bool drains = strcmp(json_string_value(state), "draining") == 0;

		json_array_append_new(list, json_pack("{s:{s:s}, s:{s:O}}", "Target", "Id", id,
						      "TargetHealth", "State", state));
		if (drains && !world->keeps_draining)
			json_object_del(world->targets, id);
	}
	engine_health_seen(world->engine, WORLD_TARGET_GROUP, list, world->now_ms);
	json_decref(list);
}

/* EC2 goes on: what was pending runs. */
static inline void world_view(struct world *world)
{
	json_t *strays = json_array(), *instance;
	size_t i;

	if (!world->is_ec2_down && world->group)
		engine_instances_seen(world->engine, world->group, world->ec2, world->now_ms,
				      world->now_ms, strays);
	json_array_foreach (strays, i, instance)
		world_set_state(world_instance(world, json_string_value(instance)), "terminated",
				NULL);
	json_decref(strays);
	json_array_foreach (world->ec2, i, instance) {
		const char *state = doc_str(doc_object(instance, "State"), "Name", "");

		if (strcmp(state, "pending") == 0)
			world_set_state(instance, "running", NULL);
	}
	world_show_health(world);
}

/* Decide and save, but carry nothing out: as if killed right after the commit. */
static inline void world_tick_only(struct world *world, struct actions *actions)
{
	struct metric_source metrics = {world_metric, world};

	engine_tick(world->engine, &metrics, world->now_ms, actions);
	assert_int_equal(engine_changes(world->engine, world_save, world), 0);
	engine_saved(world->engine);
	world->group = engine_group(world->engine, "web");
}

static inline void world_tick(struct world *world)
{
	struct actions actions = {0};

	world_tick_only(world, &actions);
	for (size_t i = 0; i < actions.n; i++)
		world_do(world, &actions.items[i]);
	actions_fini(&actions);
	world->group = engine_group(world->engine, "web");
}

/* Steps of a second. */
static inline void world_pass(struct world *world, int seconds)
{
	for (int i = 0; i < seconds; i++) {
		world->now_ms += 1000;
		world_view(world);
		world_tick(world);
	}
}

static inline int world_compare_keys(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* EC2 tells the zones of the group's subnets: subnet-a is us-east-1a's, and so on. */
static inline void world_show_zones(struct world *world)
{
	const char *subnet = doc_str(world->group->document, "VPCZoneIdentifier", "");
	json_t *subnets = json_array();

	for (; (subnet = strstr(subnet, "subnet-")); subnet++) {
		char id[] = {'s', 'u', 'b', 'n', 'e', 't', '-', subnet[7], '\0'};
		char zone[] = {'u', 's', '-', 'e', 'a', 's', 't', '-', '1', subnet[7], '\0'};

		json_array_append_new(
		    subnets, json_pack("{s:s, s:s}", "AvailabilityZone", zone, "SubnetId", id));
	}
	engine_zones_seen(world->group, subnets);
	json_decref(subnets);
}

/* The program dies and starts again on the same store. */
static inline void world_restart(struct world *world)
{
	size_t n = json_object_size(world->store), i = 0;
	const char **keys = calloc(n + 1, sizeof *keys), *key;
	json_t *document;

	json_object_foreach (world->store, key, document)
		keys[i++] = key;
	qsort(keys, n, sizeof *keys, world_compare_keys);
	engine_free(world->engine);
	world->engine = engine_new("us-east-1", "000000000000", &world->ids);
	assert_non_null(world->engine);
	for (i = 0; i < n; i++)
		assert_int_equal(
		    engine_load(world->engine, keys[i], json_object_get(world->store, keys[i])), 0);
	free(keys);
	engine_loaded(world->engine);
	world->group = engine_group(world->engine, "web");
	if (world->group)
		world_show_zones(world);
}

static inline struct world *world_new(int min, int max, int desired)
{
	struct world *world = calloc(1, sizeof *world);
	struct err err = {0};
	json_t *input = json_pack("{s:s, s:i, s:i, s:i, s:s, s:{s:s}}", "AutoScalingGroupName",
				  "web", "MinSize", min, "MaxSize", max, "DesiredCapacity", desired,
				  "VPCZoneIdentifier", "subnet-a,subnet-b,subnet-c",
				  "LaunchTemplate", "LaunchTemplateName", "students");

	world->ids.state = 42;
	world->now_ms = 1786096805000; /* 2026-08-07T10:00:05Z */
	world->cpu = NAN;
	world->store = json_object();
	world->ec2 = json_array();
	world->left = json_array();
	world->targets = json_object();
	world->engine = engine_new("us-east-1", "000000000000", &world->ids);
	world->group = engine_create_group(world->engine, input, world->now_ms, &err);
	assert_non_null(world->group);
	json_decref(input);
	assert_int_equal(engine_changes(world->engine, world_save, world), 0);
	world_restart(world);
	return world;
}

static inline void world_free(struct world *world)
{
	engine_free(world->engine);
	json_decref(world->store);
	json_decref(world->ec2);
	json_decref(world->left);
	json_decref(world->foreign);
	json_decref(world->targets);
	free(world);
}

static inline int world_in_state(const struct world *world, const char *state)
{
	const json_t *instance;
	int n = 0;
	size_t i;

	json_array_foreach (world->ec2, i, instance)
		n += strcmp(doc_str(doc_object(instance, "State"), "Name", ""), state) == 0;
	return n;
}

static inline void world_policy(struct world *world, json_t *document)
{
	struct policy *policy = calloc(1, sizeof *policy);

	snprintf(policy->name, sizeof policy->name, "%s", doc_str(document, "PolicyName", ""));
	policy->document = document;
	policy->is_dirty = true;
	TAILQ_INSERT_TAIL(&world->group->policies, policy, link);
}

static inline void world_cpu_policy(struct world *world, const char *name, double target,
				    int warmup_s, bool disables_in)
{
	world_policy(
	    world, json_pack("{s:s, s:s, s:i, s:b, s:{s:f, s:b, s:{s:s}}}", "PolicyName", name,
			     "PolicyType", "TargetTrackingScaling", "EstimatedInstanceWarmup",
			     warmup_s, "Enabled", 1, "TargetTrackingConfiguration", "TargetValue",
			     target, "DisableScaleIn", disables_in, "PredefinedMetricSpecification",
			     "PredefinedMetricType", "ASGAverageCPUUtilization"));
}

#endif
