/*
 * See world.h.
 */
#include "scaler/sim/world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/time_zone.h"
#include "common/doc/doc.h"

enum {
	LISTED_MS = 60 * 1000, /* a terminated one still shows for this long */
	ROUNDS_MAX = 8,        /* answers that wake the engine again, at one time */
};

double sim_random(struct id_source *source)
{
	return (double)(id_random(source) >> 11) * 0x1p-53;
}

/* ---- instances by id ---- */

/* NOLINTNEXTLINE(readability-function-size): uthash's macro, not ours */
struct sim_instance *sim_world_instance(const struct sim_world *world, const char *id)
{
	struct sim_instance *instance;

	HASH_FIND_STR(world->by_id, id, instance);
	return instance;
}

/* NOLINTNEXTLINE(readability-function-size): uthash's macro, not ours */
static bool index_add(struct sim_world *world, struct sim_instance *instance)
{
	HASH_ADD_STR(world->by_id, id, instance);
	return instance->hh.tbl != NULL;
}

/* NOLINTNEXTLINE(readability-function-size): uthash's macro, not ours */
static void index_drop(struct sim_world *world, struct sim_instance *instance)
{
	HASH_DEL(world->by_id, instance);
}

/* NOLINTNEXTLINE(readability-function-size): uthash's macro, not ours */
static void index_clear(struct sim_world *world)
{
	HASH_CLEAR(hh, world->by_id);
}

/* ---- life ---- */

static void instance_free(struct sim_instance *instance)
{
	free(instance->load);
	free(instance);
}

struct sim_world *sim_world_new(const struct sim_params *params)
{
	struct sim_world *world = calloc(1, sizeof *world);

	if (!world)
		return NULL;
	world->params = *params;
	world->now_ms = params->start_ms;
	world->engine_ids.state = params->seed;
	world->random.state = params->seed ^ 0x5851f42d4c957f2du;
	TAILQ_INIT(&world->groups);
	world->engine =
	    engine_new(params->region ? params->region : "us-east-1",
		       params->account ? params->account : "000000000000", &world->engine_ids);
	if (!world->engine) {
		free(world);
		return NULL;
	}
	engine_set_zones(world->engine, time_zone_offset);
	return world;
}

static void group_free(struct sim_group *group)
{
	struct sim_instance *instance;

	while ((instance = TAILQ_FIRST(&group->instances))) {
		TAILQ_REMOVE(&group->instances, instance, link);
		instance_free(instance);
	}
	free(group);
}

void sim_world_free(struct sim_world *world)
{
	struct sim_group *group;

	if (!world)
		return;
	index_clear(world);
	while ((group = TAILQ_FIRST(&world->groups))) {
		TAILQ_REMOVE(&world->groups, group, link);
		group_free(group);
	}
	engine_free(world->engine);
	free(world);
}

/* ---- groups ---- */

char *sim_target_group_arn(const struct sim_params *params, const char *name, char arn[ARN_MAX])
{
	if (strncmp(name, "arn:", 4) == 0)
		snprintf(arn, ARN_MAX, "%s", name);
	else
		snprintf(arn, ARN_MAX,
			 "arn:aws:elasticloadbalancing:%s:%s:targetgroup/%.200s/0123456789abcdef",
			 params->region ? params->region : "us-east-1",
			 params->account ? params->account : "000000000000", name);
	return arn;
}

static void add_zone(json_t *zones, const char *zone, const char *subnet, size_t len)
{
	char name[ZONE_MAX], id[ZONE_MAX];
	size_t n = json_array_size(zones);

	if (zone)
		snprintf(name, sizeof name, "%s", zone);
	else
		snprintf(name, sizeof name, "us-east-1%c", (char)('a' + n % 26));
	if (subnet)
		snprintf(id, sizeof id, "%.*s", (int)(len < ZONE_MAX ? len : ZONE_MAX - 1), subnet);
	else
		snprintf(id, sizeof id, "subnet-%zu", n);
	json_array_append_new(zones,
			      json_pack("{s:s, s:s}", "AvailabilityZone", name, "SubnetId", id));
}

/* Subnets stand in zones of their own, in the group's order. */
static json_t *zones_of(const json_t *document)
{
	const char *subnets = doc_str(document, "VPCZoneIdentifier", "");
	const json_t *names = doc_array(document, "AvailabilityZones"), *name;
	json_t *zones = json_array();
	size_t i;

	while (*subnets) {
		size_t len = strcspn(subnets, ", ");

		if (len > 0)
			add_zone(zones, NULL, subnets, len);
		subnets += len + strspn(subnets + len, ", ");
	}
	json_array_foreach (names, i, name) {
		if (!doc_str(document, "VPCZoneIdentifier", "")[0])
			add_zone(zones, json_string_value(name), NULL, 0);
	}
	while (json_array_size(zones) == 0 ||
	       (json_array_size(names) == 0 && json_array_size(zones) < 3 &&
		!doc_str(document, "VPCZoneIdentifier", "")[0]))
		add_zone(zones, NULL, NULL, 0);
	return zones;
}

static void tell_group(const struct sim_world *world, struct sim_group *own)
{
	json_t *zones = zones_of(own->group->document);
	json_t *template = json_pack("{s:s, s:i, s:i}", "LaunchTemplateId", "lt-0123456789abcdef0",
				     "LatestVersionNumber", 1, "DefaultVersionNumber", 1);

	engine_zones_seen(own->group, zones);
	engine_template_seen(own->group, template);
	for (int i = 0; i < own->n_target_groups; i++)
		engine_delay_seen(world->engine, own->target_groups[i], world->params.drain_ms);
	json_decref(template);
	json_decref(zones);
}

/* The load balancer tells the ARN of a target group that the file calls by name. */
static bool name_one(const struct sim_world *world, const struct group *group)
{
	char name[ARN_MAX], arn[ARN_MAX];
	const struct attachment *attachment;

	TAILQ_FOREACH (attachment, &group->attachments, link) {
		if (strncmp(attachment->arn, "arn:", 4) == 0)
			continue;
		memcpy(name, attachment->arn, sizeof name);
		engine_target_group_named(world->engine, name,
					  sim_target_group_arn(&world->params, name, arn));
		return true;
	}
	return false;
}

struct sim_group *sim_world_adopt(struct sim_world *world, const char *name)
{
	struct group *group = engine_group(world->engine, name);
	struct sim_group *own = group ? calloc(1, sizeof *own) : NULL;
	const struct attachment *attachment;

	if (!own)
		return NULL;
	snprintf(own->name, sizeof own->name, "%s", name);
	own->group = group;
	TAILQ_INIT(&own->instances);
	while (name_one(world, group))
		continue;
	TAILQ_FOREACH (attachment, &group->attachments, link) {
		if (own->n_target_groups < SIM_TARGET_GROUPS_MAX)
			memcpy(own->target_groups[own->n_target_groups++], attachment->arn,
			       ARN_MAX);
	}
	tell_group(world, own);
	own->is_stale = true;
	TAILQ_INSERT_TAIL(&world->groups, own, link);
	return own;
}

static struct sim_group *group_of(const struct sim_world *world, const char *name)
{
	struct sim_group *group;

	TAILQ_FOREACH (group, &world->groups, link) {
		if (strcmp(group->name, name) == 0)
			return group;
	}
	return NULL;
}

/* ---- EC2 and the load balancer go on ---- */

bool sim_instance_serves(const struct sim_instance *instance, int64_t now_ms)
{
	if (instance->state != SIM_RUNNING || instance->ready_ms > now_ms)
		return false;
	if (instance->group->n_target_groups == 0)
		return true;
	return instance->registered != 0 && instance->healthy_ms <= now_ms;
}

bool sim_instance_runs(const struct sim_instance *instance)
{
	return instance->state == SIM_RUNNING;
}

static void drain_over(struct sim_instance *instance)
{
	instance->draining = 0;
	instance->group->is_stale = true;
}

static void instance_gone(struct sim_world *world, struct sim_instance *instance)
{
	TAILQ_REMOVE(&instance->group->instances, instance, link);
	index_drop(world, instance);
	instance_free(instance);
}

static bool has_drained(const struct sim_world *world, const struct sim_instance *instance)
{
	bool is_busy = world->params.drains_in_full || (world->is_busy && world->is_busy(instance));

	return !is_busy || world->now_ms >= instance->drain_until_ms;
}

static void go_on(struct sim_world *world, struct sim_instance *instance, int64_t before_ms)
{
	struct sim_group *group = instance->group;

	switch (instance->state) {
	case SIM_PENDING:
		if (world->now_ms >= instance->running_ms) {
			instance->state = SIM_RUNNING;
			group->is_stale = true;
		}
		break;
	case SIM_STOPPED:
		break;
	case SIM_RUNNING:
		/* Its first health check passes. */
		if (instance->healthy_ms > before_ms && instance->healthy_ms <= world->now_ms)
			group->is_stale = true;
		break;
	case SIM_ENDING:
		if (world->now_ms >= instance->ending_ms + world->params.end_ms) {
			instance->state = SIM_ENDED;
			group->is_stale = true;
		}
		break;
	case SIM_ENDED:
		if (world->now_ms >= instance->ending_ms + world->params.end_ms + LISTED_MS)
			instance_gone(world, instance);
		return;
	}
	if (instance->draining && has_drained(world, instance))
		drain_over(instance);
}

void sim_world_advance(struct sim_world *world, int64_t ms)
{
	int64_t before_ms = world->now_ms;
	struct sim_instance *instance, *next;
	struct sim_group *group;

	world->now_ms += ms;
	TAILQ_FOREACH (group, &world->groups, link) {
		TAILQ_FOREACH_SAFE (instance, &group->instances, link, next) {
			if (instance->ending_ms == 0 && instance->state != SIM_STOPPED)
				group->instance_ms += ms;
			go_on(world, instance, before_ms);
		}
	}
}

/* ---- what they tell the engine ---- */

static const char *state_name(enum sim_state state)
{
	static const char *const names[] = {
	    [SIM_PENDING] = "pending",      [SIM_RUNNING] = "running",  [SIM_STOPPED] = "stopped",
	    [SIM_ENDING] = "shutting-down", [SIM_ENDED] = "terminated",
	};

	return names[state];
}

static json_t *describe(const struct sim_world *world, const struct sim_instance *instance)
{
	char at[CLOCK_TEXT_MAX];
	json_t *out = json_pack(
	    "{s:s, s:s, s:i, s:s, s:s, s:s, s:{s:s}, s:{s:s}}", "InstanceId", instance->id,
	    "ClientToken", instance->token, "AmiLaunchIndex", instance->token_index, "InstanceType",
	    world->params.instance_type, "SubnetId", instance->subnet_id, "LaunchTime",
	    clock_format_iso_ms(instance->launched_ms, at), "Placement", "AvailabilityZone",
	    instance->zone, "State", "Name", state_name(instance->state));

	if (instance->ending_ms)
		json_object_set_new(out, "StateReason",
				    json_pack("{s:s, s:s}", "Code", "Client.UserInitiatedShutdown",
					      "Message", "Client.UserInitiatedShutdown"));
	return out;
}

static void tell_instances(struct sim_world *world, struct sim_group *group)
{
	json_t *list = json_array(), *strays = json_array();
	const struct sim_instance *instance;

	TAILQ_FOREACH (instance, &group->instances, link)
		json_array_append_new(list, describe(world, instance));
	engine_instances_seen(world->engine, group->group, list, world->now_ms, world->now_ms,
			      strays);
	json_decref(strays);
	json_decref(list);
}

static const char *health_of(const struct sim_world *world, const struct sim_instance *instance,
			     unsigned bit)
{
	if (instance->draining & bit)
		return "draining";
	if (!(instance->registered & bit))
		return NULL;
	if (instance->state != SIM_RUNNING)
		return "unused";
	return instance->healthy_ms <= world->now_ms ? "healthy" : "initial";
}

static void tell_health(struct sim_world *world, const struct sim_group *group, int place)
{
	const struct sim_instance *instance;
	json_t *list = json_array();

	TAILQ_FOREACH (instance, &group->instances, link) {
		const char *health = health_of(world, instance, 1u << place);

		if (health)
			json_array_append_new(list, json_pack("{s:{s:s}, s:{s:s}}", "Target", "Id",
							      instance->id, "TargetHealth", "State",
							      health));
	}
	engine_health_seen(world->engine, group->target_groups[place], list, world->now_ms);
	json_decref(list);
}

void sim_world_tell(struct sim_world *world)
{
	struct sim_group *group;

	TAILQ_FOREACH (group, &world->groups, link) {
		if (!group->is_stale || !group->group)
			continue;
		group->is_stale = false;
		tell_instances(world, group);
		for (int i = 0; i < group->n_target_groups; i++)
			tell_health(world, group, i);
	}
}

/* ---- what the engine asks for ---- */

static struct sim_instance *run_one(struct sim_world *world, struct sim_group *group,
				    const struct action *action, int index)
{
	struct sim_instance *instance = calloc(1, sizeof *instance);
	double spread = world->params.boot_spread * (2 * sim_random(&world->random) - 1);
	int64_t boot_ms = (int64_t)((double)world->params.boot_ms * (1 + spread));

	if (!instance)
		return NULL;
	id_ec2(&world->random, "i", instance->id);
	if (!index_add(world, instance)) {
		free(instance);
		return NULL;
	}
	memcpy(instance->token, action->token, sizeof instance->token);
	memcpy(instance->zone, action->zone, sizeof instance->zone);
	memcpy(instance->subnet_id, action->subnet_id, sizeof instance->subnet_id);
	snprintf(instance->type, sizeof instance->type, "%s",
		 action->type[0] ? action->type : world->params.instance_type);
	instance->is_spot = action->is_spot;
	instance->group = group;
	instance->token_index = index;
	instance->launched_ms = world->now_ms;
	/* EC2 says "running" well before the machine can serve. */
	instance->running_ms = world->now_ms + boot_ms / 4;
	instance->ready_ms = world->now_ms + boot_ms;
	TAILQ_INSERT_TAIL(&group->instances, instance, link);
	group->launches++;
	return instance;
}

static void launch(struct sim_world *world, struct sim_group *group, const struct action *action)
{
	struct launch_answer answer = {NULL, NULL, NULL, false};
	json_t *list = NULL;

	if (world->params.failure_share > 0 &&
	    sim_random(&world->random) < world->params.failure_share) {
		group->launch_failures++;
		answer.code = "InsufficientInstanceCapacity";
		answer.message = "There is not enough capacity in the zone.";
		answer.is_final = true;
	} else {
		list = json_array();
		for (int i = 0; i < action->count; i++) {
			struct sim_instance *instance = run_one(world, group, action, i);

			if (instance)
				json_array_append_new(list, describe(world, instance));
		}
		answer.instances = list;
	}
	engine_launch_done(world->engine, action, &answer, world->now_ms);
	json_decref(list);
}

static void terminate(struct sim_world *world, struct sim_instance *instance,
		      const struct action *action)
{
	if (instance && instance->ending_ms == 0) {
		instance->state = SIM_ENDING;
		instance->ending_ms = world->now_ms;
		instance->registered = instance->draining = 0;
		instance->group->terminations++;
	}
	engine_terminate_done(world->engine, action, instance ? NULL : "InvalidInstanceID.NotFound",
			      world->now_ms);
}

static void stop(struct sim_world *world, struct sim_instance *instance,
		 const struct action *action)
{
	if (instance && instance->state == SIM_RUNNING)
		instance->state = SIM_STOPPED;
	engine_power_done(world->engine, action, instance ? NULL : "InvalidInstanceID.NotFound",
			  "The instance ID does not exist", world->now_ms);
}

/* What has booted once is there sooner. */
static void start(struct sim_world *world, struct sim_instance *instance,
		  const struct action *action)
{
	if (instance && instance->state == SIM_STOPPED) {
		instance->state = SIM_PENDING;
		instance->running_ms = world->now_ms + world->params.boot_ms / 8;
		instance->ready_ms = world->now_ms + world->params.boot_ms / 4;
	}
	engine_power_done(world->engine, action, instance ? NULL : "InvalidInstanceID.NotFound",
			  "The instance ID does not exist", world->now_ms);
}

static unsigned bit_of(const struct sim_group *group, const char *arn)
{
	for (int i = 0; i < group->n_target_groups; i++) {
		if (strcmp(group->target_groups[i], arn) == 0)
			return 1u << i;
	}
	return 0;
}

static void put_in(struct sim_world *world, struct sim_instance *instance,
		   const struct action *action)
{
	unsigned bit = instance ? bit_of(instance->group, action->target_group) : 0;
	double wait = sim_random(&world->random) * (double)world->params.check_ms;

	if (bit && instance->registered == 0) {
		int64_t from_ms =
		    instance->ready_ms > world->now_ms ? instance->ready_ms : world->now_ms;

		instance->healthy_ms = from_ms + (int64_t)wait;
	}
	if (bit)
		instance->registered |= bit;
	engine_register_done(world->engine, action, bit ? NULL : "InvalidTarget",
			     bit ? NULL : "The target is not known", world->now_ms);
}

static void take_out(struct sim_world *world, struct sim_instance *instance,
		     const struct action *action)
{
	unsigned bit = instance ? bit_of(instance->group, action->target_group) : 0;

	if (bit) {
		instance->registered &= ~bit;
		instance->draining |= bit;
		instance->drain_until_ms = world->now_ms + world->params.drain_ms;
	}
	engine_deregister_done(world->engine, action, bit ? NULL : "InvalidTarget", world->now_ms);
}

static void carry_out(struct sim_world *world, const struct action *action)
{
	struct sim_instance *instance = sim_world_instance(world, action->instance_id);
	struct sim_group *group = group_of(world, action->group);

	if (group)
		group->is_stale = true;
	switch (action->kind) {
	case ACTION_LAUNCH:
		if (group)
			launch(world, group, action);
		return;
	case ACTION_TERMINATE:
		terminate(world, instance, action);
		return;
	case ACTION_REGISTER:
		put_in(world, instance, action);
		return;
	case ACTION_DEREGISTER:
		take_out(world, instance, action);
		return;
	case ACTION_TAG:
	case ACTION_UNTAG:
		engine_tag_done(world->engine, action,
				instance ? NULL : "InvalidInstanceID.NotFound",
				"The instance ID does not exist", world->now_ms);
		return;
	case ACTION_START:
		start(world, instance, action);
		return;
	case ACTION_STOP:
		stop(world, instance, action);
		return;
	}
}

/* Nothing is kept: a world does not crash. */
static void forget_change(void *arg, const char *key, json_t *document)
{
	(void)arg;
	(void)key;
	json_decref(document);
}

static bool save(struct engine *engine)
{
	if (!engine_has_changes(engine))
		return true;
	if (engine_changes(engine, forget_change, NULL) < 0)
		return false;
	engine_saved(engine);
	return true;
}

/* A group may go with the tick after it is empty. */
static void forget_deleted(struct sim_world *world)
{
	struct sim_group *group;

	TAILQ_FOREACH (group, &world->groups, link) {
		if (group->is_going)
			group->group = engine_group(world->engine, group->name);
	}
}

static void note_deleting(struct sim_world *world)
{
	struct sim_group *group;

	TAILQ_FOREACH (group, &world->groups, link)
		group->is_going = group->group && group->group->is_deleting;
}

void sim_world_do(struct sim_world *world, const struct actions *actions)
{
	for (size_t i = 0; i < actions->n; i++)
		carry_out(world, &actions->items[i]);
}

bool sim_world_tick(struct sim_world *world, const struct metric_source *metrics)
{
	bool is_done = false;

	for (int round = 0; round < ROUNDS_MAX && !is_done; round++) {
		struct actions actions = {0};

		sim_world_tell(world);
		note_deleting(world);
		engine_tick(world->engine, metrics, world->now_ms, &actions);
		forget_deleted(world);
		is_done = actions.n == 0 && !actions.is_failed;
		if (!save(world->engine)) {
			actions_fini(&actions);
			return false;
		}
		sim_world_do(world, &actions);
		actions_fini(&actions);
	}
	return true;
}
