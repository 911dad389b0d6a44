/*
 * A world in which everything fails, on top of engine_world.h: an EC2 that refuses, throttles, is
 * slow, loses answers, launches fewer than asked, shows instances late and forgets them for a
 * while; instances that die and stop; a load balancer that is away; a store that takes nothing; a
 * clock that jumps; a program that is killed at any point.  All of it by one seed.  What must hold
 * in it is chaos_laws.h, what people ask of it chaos_wishes.h.
 */
#ifndef TESTS_UNIT_SCALER_CHAOS_WORLD_H
#define TESTS_UNIT_SCALER_CHAOS_WORLD_H

#include <unistd.h>

#include "scaler/engine/parts.h"
#include "tests/unit/scaler/engine_world.h"

enum {
	MACHINES_MAX = 400,
	FLIGHTS_MAX = 200,
	LOG_LINES = 60,
	LOG_MAX = 240,
	DRAIN_S = 20,         /* the target group's deregistration delay */
	SHOWN_MS = 600000,    /* terminated ones stay in EC2's list this long */
	LOST_MS = 90000,      /* two minutes for the engine, one pause between looks included */
	INVISIBLE_MS = 40000, /* a fresh one is not shown for at most so long */
};

enum target { TARGET_NONE, TARGET_IN, TARGET_DRAINING };

/* An instance as EC2 and the load balancer really have it. */
struct machine {
	char id[ID_TEXT_MAX], token[TOKEN_MAX];
	json_t *ec2;      /* borrowed from world->ec2 or world->left */
	bool is_ours;     /* our RunInstances made it */
	bool is_tagged;   /* as the group's */
	bool is_given;    /* AttachInstances was told of it */
	bool is_alive;    /* pending, running, stopping or stopped */
	bool may_be_left; /* the load balancer has failed to let it go */
	bool was_lost;    /* EC2 has hidden it for so long that it may be taken for dead */
	bool is_seen;     /* EC2 has shown it since it was hidden */
	int64_t runs_ms, visible_ms, hidden_from_ms, hidden_until_ms, ended_ms;
	enum target target;
	const char *health;
	int64_t drained_ms, in_target_ms;
	int64_t unowned_ms; /* alive, shown and in nobody's books for so long */
};

/* A call on its way: what it does, and when its answer comes. */
struct flight {
	struct action action;
	int64_t due_ms;
	bool is_used, is_done, does_it;
	bool is_orphan; /* who asked has died */
	bool is_final;
	int count; /* a launch's */
	const char *code;
};

/* How bad things are just now: chances in a thousand, of each call, machine or step. */
struct weather {
	int refuses, throttles, loses, does_less, delays, hides, dies, flaps, dies_young;
	int crashes, unsaved, jumps, repeats;
	const char *full_zone;
	bool is_ec2_down, is_elb_down, is_store_down;
};

struct chaos {
	struct world *world;
	uint64_t seed, dice;
	int step;
	int64_t true_ms; /* EC2's clock, which does not jump */
	bool is_loud;    /* prints what happens */
	struct weather weather;
	struct machine machines[MACHINES_MAX];
	int n_machines;
	struct flight flights[FLIGHTS_MAX];
	int64_t elb_trouble_ms; /* when the load balancer or the clock was last at fault */
	int64_t ec2_trouble_ms;
	int64_t jump_ms; /* the latest jump of the clock */
	json_t *tokens;  /* {token: "zone count"} of every RunInstances */
	char log[LOG_LINES][LOG_MAX];
	int n_log;
	const struct law_tick *law; /* chaos_laws.h: what was before the tick under way */
};

static inline uint64_t chaos_random(struct chaos *chaos)
{
	chaos->dice = chaos->dice * 6364136223846793005u + 1442695040888963407u;
	return chaos->dice >> 33;
}

static inline int dice(struct chaos *chaos, int n)
{
	return (int)(chaos_random(chaos) % (uint64_t)n);
}

static inline bool chance(struct chaos *chaos, int in_a_thousand)
{
	return in_a_thousand > 0 && dice(chaos, 1000) < in_a_thousand;
}

/* ---- telling ---- */

static inline void note(struct chaos *chaos, const char *format, ...) PRINTF_LIKE(2, 3);
static inline void note(struct chaos *chaos, const char *format, ...)
{
	char *line = chaos->log[chaos->n_log++ % LOG_LINES];
	va_list args;
	int used = snprintf(line, LOG_MAX, "%d %lld ", chaos->step,
			    (long long)(chaos->world->now_ms % 1000000000));

	va_start(args, format);
	vsnprintf(line + used, LOG_MAX - (size_t)used, format, args);
	va_end(args);
	if (chaos->is_loud)
		fprintf(stderr, "%s\n", line);
}

static inline void tell_world(const struct chaos *chaos)
{
	const struct group *group = chaos->world->group;
	const struct instance *instance;
	char state[ZONE_MAX];

	if (!group) {
		fprintf(stderr, "  no group\n");
		return;
	}
	fprintf(stderr, "  min %d max %d desired %d surge %d failures %d after %lld deleting %d\n",
		group->min, group->max, group->desired, group->surge, group->breaker.row,
		(long long)(group->breaker.after_ms - chaos->world->now_ms), group->is_deleting);
	TAILQ_FOREACH (instance, &group->instances, link)
		fprintf(stderr,
			"  %s %s %s %.12s%s%s%s%s ec2 %d tries %d retry %lld misses %d in %zu "
			"draining %zu token %.50s#%d\n",
			instance->id, instance->zone, instance_lifecycle(instance, state),
			instance->launch_id, instance->is_busy ? " busy" : "",
			instance->is_protected ? " protected" : "",
			instance->is_attached ? " attached"
			: instance->skips_elb ? " skips"
					      : "",
			instance->is_outdated ? " outdated" : "", (int)instance->ec2,
			instance->tries, (long long)(instance->retry_ms - chaos->world->now_ms),
			instance->misses, json_array_size(instance->registered),
			json_array_size(instance->draining), instance->token,
			instance->token_index);
	for (int i = 0; i < chaos->n_machines; i++) {
		const struct machine *machine = &chaos->machines[i];

		if (machine->is_alive)
			fprintf(stderr, "  machine %s %s%s%s%s target %d token %.50s\n",
				machine->id, doc_str(doc_object(machine->ec2, "State"), "Name", ""),
				machine->is_ours ? " ours" : "",
				machine->is_tagged ? " tagged" : "",
				machine->hidden_until_ms > chaos->true_ms ? " hidden" : "",
				(int)machine->target, machine->token);
	}
}

/* A law is broken: how to see it again, and what led to it. */
_Noreturn static inline void broken(struct chaos *chaos, const char *law, const char *detail)
{
	int from = chaos->n_log > LOG_LINES ? chaos->n_log - LOG_LINES : 0;

	for (int i = from; i < chaos->n_log && !chaos->is_loud; i++)
		fprintf(stderr, "%s\n", chaos->log[i % LOG_LINES]);
	tell_world(chaos);
	fprintf(stderr, "the law is broken: %s (%s)\nat step %d; again with ALBATROSS_SEED=%llu\n",
		law, detail, chaos->step, (unsigned long long)chaos->seed);
	fflush(stderr);
	_exit(1);
}

static inline void hold(struct chaos *chaos, bool is_true, const char *law, const char *detail)
{
	if (!is_true)
		broken(chaos, law, detail);
}

/* ---- machines ---- */

static inline struct machine *find_machine(struct chaos *chaos, const char *id)
{
	for (int i = 0; i < chaos->n_machines; i++) {
		if (strcmp(chaos->machines[i].id, id) == 0)
			return &chaos->machines[i];
	}
	return NULL;
}

static inline struct machine *add_machine(struct chaos *chaos, json_t *ec2)
{
	struct machine *machine = &chaos->machines[chaos->n_machines++];
	int64_t now_ms = chaos->true_ms;

	if (chaos->n_machines == MACHINES_MAX)
		broken(chaos, "there is room for all machines", "");
	memset(machine, 0, sizeof *machine);
	machine->ec2 = ec2;
	machine->health = "initial";
	snprintf(machine->id, sizeof machine->id, "%s", doc_str(ec2, "InstanceId", ""));
	snprintf(machine->token, sizeof machine->token, "%s", doc_str(ec2, "ClientToken", ""));
	machine->is_alive = machine->is_seen = true;
	machine->runs_ms = now_ms + 1000 + dice(chaos, 20000);
	machine->visible_ms =
	    now_ms + (chance(chaos, chaos->weather.hides) ? dice(chaos, INVISIBLE_MS) : 0);
	return machine;
}

/* RunInstances, done: what the token stands for, new or not. */
static inline json_t *run_machines(struct chaos *chaos, const struct flight *flight)
{
	struct action action = flight->action;
	char at[CLOCK_TEXT_MAX];
	json_t *out, *ec2;
	size_t i;

	action.count = flight->count;
	out = world_run(chaos->world, &action);
	json_array_foreach (out, i, ec2) {
		struct machine *machine = find_machine(chaos, doc_str(ec2, "InstanceId", ""));

		if (machine)
			continue;
		machine = add_machine(chaos, ec2);
		machine->is_ours = machine->is_tagged = true;
		json_object_set_new(ec2, "LaunchTime",
				    json_string(clock_format_iso_ms(chaos->true_ms, at)));
		note(chaos, "machine %s %s", machine->id, machine->token);
	}
	return out;
}

static inline void end_machine(struct chaos *chaos, struct machine *machine, const char *code)
{
	if (!machine->is_alive)
		return;
	note(chaos, "ends %s %s", machine->id, code);
	world_set_state(machine->ec2, "terminated", code);
	machine->is_alive = false;
	machine->ended_ms = chaos->true_ms;
}

/* What EC2 no longer lists at all. */
static inline void purge_machines(struct chaos *chaos)
{
	int kept = 0;

	for (int i = 0; i < chaos->n_machines; i++) {
		struct machine *machine = &chaos->machines[i];
		bool is_old = !machine->is_alive && machine->target == TARGET_NONE &&
			      llabs(chaos->true_ms - machine->ended_ms) > SHOWN_MS;
		json_t *list = chaos->world->ec2;

		if (!is_old) {
			chaos->machines[kept++] = *machine;
			continue;
		}
		for (size_t k = 0; k < json_array_size(list); k++) {
			if (json_array_get(list, k) == machine->ec2) {
				json_array_remove(list, k);
				break;
			}
		}
	}
	chaos->n_machines = kept;
}

static inline bool is_shown(const struct chaos *chaos, const struct machine *machine)
{
	return machine->is_tagged && machine->visible_ms <= chaos->true_ms &&
	       machine->hidden_until_ms <= chaos->true_ms;
}

/* Boots, dies, stops, is hidden. */
static inline void age_machine(struct chaos *chaos, struct machine *machine)
{
	static const char *const codes[] = {"Server.InternalError",
					    "Client.InstanceInitiatedShutdown",
					    "Client.UserInitiatedShutdown"};
	const struct weather *weather = &chaos->weather;
	int64_t now_ms = chaos->true_ms;

	if (!machine->is_alive)
		return;
	if (machine->runs_ms && machine->runs_ms <= now_ms) {
		machine->runs_ms = 0;
		if (chance(chaos, weather->dies_young)) {
			end_machine(chaos, machine, codes[dice(chaos, 2)]);
			return;
		}
		world_set_state(machine->ec2, "running", NULL);
	}
	if (machine->runs_ms == 0 && dice(chaos, 8) == 0 &&
	    strcmp(doc_str(doc_object(machine->ec2, "State"), "Name", ""), "stopping") == 0)
		world_set_state(machine->ec2, "stopped", "Client.UserInitiatedShutdown");
	if (chance(chaos, weather->dies))
		end_machine(chaos, machine, codes[dice(chaos, 3)]);
	else if (machine->runs_ms == 0 && chance(chaos, weather->dies))
		world_set_state(machine->ec2, dice(chaos, 2) ? "stopped" : "stopping",
				"Client.UserInitiatedShutdown");
	if (chance(chaos, weather->hides) && machine->hidden_until_ms <= now_ms) {
		/* Two absences with no look between them are one. */
		if (machine->is_seen)
			machine->hidden_from_ms = now_ms;
		machine->is_seen = false;
		machine->hidden_until_ms =
		    now_ms + dice(chaos, dice(chaos, 8) ? INVISIBLE_MS : 8 * INVISIBLE_MS);
		note(chaos, "hides %s for %lld s", machine->id,
		     (long long)(machine->hidden_until_ms - now_ms) / 1000);
	}
	if (machine->hidden_until_ms > now_ms && now_ms - machine->hidden_from_ms > LOST_MS)
		machine->was_lost = true;
}

static inline void age_target(struct chaos *chaos, struct machine *machine)
{
	static const char *const words[] = {"healthy", "unhealthy", "initial"};

	if (machine->target == TARGET_DRAINING && machine->drained_ms <= chaos->true_ms)
		machine->target = TARGET_NONE;
	if (machine->target != TARGET_IN)
		return;
	if (chance(chaos, chaos->weather.flaps))
		machine->health = words[dice(chaos, 3)];
	else if (chance(chaos, 200))
		machine->health =
		    machine->runs_ms == 0 && machine->is_alive ? "healthy" : "unhealthy";
}

/* ---- looking ---- */

static inline void look_at_ec2(struct chaos *chaos)
{
	struct world *world = chaos->world;
	json_t *shown, *strays, *id;
	size_t i;

	if (chaos->weather.is_ec2_down || !world->group)
		return;
	if (!world->group->has_zones)
		world_show_zones(world);
	shown = json_array();
	strays = json_array();
	for (int k = 0; k < chaos->n_machines; k++) {
		if (!is_shown(chaos, &chaos->machines[k]))
			continue;
		json_array_append(shown, chaos->machines[k].ec2);
		chaos->machines[k].is_seen = true;
	}
	engine_instances_seen(world->engine, world->group, shown, world->now_ms, world->now_ms,
			      strays);
	json_array_foreach (strays, i, id) {
		struct machine *machine = find_machine(chaos, json_string_value(id));

		note(chaos, "stray %s", json_string_value(id));
		if (!machine || !machine->is_ours || !machine->is_tagged)
			broken(chaos, "only what we have launched is ended as a stray", "");
		end_machine(chaos, machine, "Client.UserInitiatedShutdown");
	}
	json_decref(shown);
	json_decref(strays);
}

static inline void look_at_elb(struct chaos *chaos)
{
	struct world *world = chaos->world;
	json_t *list = NULL;

	if (!chaos->weather.is_elb_down) {
		list = json_array();
		for (int i = 0; i < chaos->n_machines; i++) {
			const struct machine *machine = &chaos->machines[i];

			if (machine->target != TARGET_NONE)
				json_array_append_new(
				    list, json_pack("{s:{s:s}, s:{s:s}}", "Target", "Id",
						    machine->id, "TargetHealth", "State",
						    machine->target == TARGET_DRAINING
							? "draining"
							: machine->health));
		}
	}
	engine_health_seen(world->engine, WORLD_TARGET_GROUP, list, world->now_ms);
	engine_delay_seen(world->engine, WORLD_TARGET_GROUP, 1000LL * DRAIN_S);
	json_decref(list);
}

/* ---- calls ---- */

static inline void register_machine(struct chaos *chaos, struct machine *machine)
{
	if (machine->target != TARGET_IN)
		machine->health = "initial";
	machine->target = TARGET_IN;
	machine->in_target_ms = chaos->true_ms;
}

static inline void deregister_machine(struct chaos *chaos, struct machine *machine)
{
	if (machine->target != TARGET_IN)
		return;
	machine->target = TARGET_DRAINING;
	machine->drained_ms = chaos->true_ms + dice(chaos, 1000 * DRAIN_S);
}

static inline void power_machine(struct chaos *chaos, struct machine *machine, bool is_start)
{
	world_set_state(machine->ec2, is_start ? "pending" : "stopping",
			"Client.UserInitiatedShutdown");
	machine->runs_ms = is_start ? chaos->true_ms + 1000 + dice(chaos, 20000) : 0;
}

/* What the call does, done; a launch's instances, or NULL. */
static inline json_t *carry_out(struct chaos *chaos, const struct flight *flight)
{
	const struct action *action = &flight->action;
	struct machine *machine = find_machine(chaos, action->instance_id);

	switch (action->kind) {
	case ACTION_LAUNCH:
		return run_machines(chaos, flight);
	case ACTION_TERMINATE:
		if (machine)
			end_machine(chaos, machine, "Client.UserInitiatedShutdown");
		break;
	case ACTION_REGISTER:
		if (machine)
			register_machine(chaos, machine);
		break;
	case ACTION_DEREGISTER:
		if (machine)
			deregister_machine(chaos, machine);
		break;
	case ACTION_TAG:
	case ACTION_UNTAG:
		if (machine)
			machine->is_tagged = action->kind == ACTION_TAG;
		break;
	case ACTION_START:
	case ACTION_STOP:
		if (machine && machine->is_alive)
			power_machine(chaos, machine, action->kind == ACTION_START);
		break;
	}
	return NULL;
}

static inline void shuffle(struct chaos *chaos, json_t *list)
{
	size_t n = json_array_size(list);

	for (size_t i = 0; i + 1 < n; i++) {
		json_t *one = json_incref(json_array_get(list, 0));

		json_array_remove(list, 0);
		json_array_insert_new(list, (size_t)dice(chaos, (int)n), one);
	}
}

static inline void tell_engine(struct chaos *chaos, const struct flight *flight, json_t *instances)
{
	const char *message = "Something is wrong";
	struct launch_answer answer = {instances, flight->code, message, flight->is_final};
	struct engine *engine = chaos->world->engine;
	const struct action *action = &flight->action;
	int64_t now_ms = chaos->world->now_ms;

	switch (action->kind) {
	case ACTION_LAUNCH:
		engine_launch_done(engine, action, &answer, now_ms);
		return;
	case ACTION_TERMINATE:
		engine_terminate_done(engine, action, flight->code, now_ms);
		return;
	case ACTION_REGISTER:
		engine_register_done(engine, action, flight->code, message, now_ms);
		return;
	case ACTION_DEREGISTER:
		engine_deregister_done(engine, action, flight->code, now_ms);
		return;
	case ACTION_TAG:
	case ACTION_UNTAG:
		engine_tag_done(engine, action, flight->code, message, now_ms);
		return;
	case ACTION_START:
	case ACTION_STOP:
		engine_power_done(engine, action, flight->code, message, now_ms);
		return;
	}
}

static inline void land(struct chaos *chaos, struct flight *flight)
{
	bool does_it = flight->does_it && !flight->is_done;
	json_t *instances = NULL;

	/* A launch is told what its token stands for even when it was done before. */
	if (does_it || (flight->action.kind == ACTION_LAUNCH && !flight->code))
		instances = carry_out(chaos, flight);
	flight->is_done = true;
	if (!flight->is_orphan) {
		note(chaos, "answer %d %s %s", (int)flight->action.kind,
		     flight->action.instance_id[0] ? flight->action.instance_id
						   : flight->action.launch_id,
		     flight->code ? flight->code : "done");
		shuffle(chaos, instances);
		tell_engine(chaos, flight, flight->code ? NULL : instances);
	}
	json_decref(instances);
	if (!flight->is_orphan && !flight->code && flight->action.kind == ACTION_LAUNCH &&
	    chance(chaos, chaos->weather.repeats))
		flight->due_ms = chaos->true_ms + dice(chaos, 5000);
	else
		flight->is_used = false;
}

static inline bool is_elb_call(const struct action *action)
{
	return action->kind == ACTION_REGISTER || action->kind == ACTION_DEREGISTER;
}

/* Which way the call goes. */
static inline void choose_fate(struct chaos *chaos, struct flight *flight)
{
	const struct weather *weather = &chaos->weather;
	const struct action *action = &flight->action;
	struct machine *machine = find_machine(chaos, action->instance_id);
	bool is_down = is_elb_call(action) ? weather->is_elb_down : weather->is_ec2_down;

	flight->count = action->count;
	flight->does_it = true;
	if (is_down || chance(chaos, weather->throttles)) {
		flight->code = "NoAnswer";
		flight->does_it = false;
	} else if (chance(chaos, weather->loses)) {
		flight->code = "NoAnswer";
	} else if (chance(chaos, weather->refuses) && action->kind != ACTION_TAG) {
		flight->code = "OperationNotPermitted";
		flight->does_it = false;
		flight->is_final = true;
	} else if (action->kind == ACTION_LAUNCH && weather->full_zone &&
		   strcmp(weather->full_zone, action->zone) == 0) {
		flight->code = "InsufficientInstanceCapacity";
		flight->does_it = false;
		flight->is_final = true;
	} else if (action->kind == ACTION_LAUNCH && action->count > 1 &&
		   chance(chaos, weather->does_less)) {
		flight->count = 1 + dice(chaos, action->count - 1);
	} else if (action->kind == ACTION_TERMINATE && machine &&
		   machine->visible_ms > chaos->true_ms) {
		flight->code = "InvalidInstanceID.NotFound";
		flight->does_it = false;
	} else if (!machine && action->instance_id[0]) {
		flight->code = is_elb_call(action) ? "InvalidTarget" : "InvalidInstanceID.NotFound";
		flight->does_it = false;
	}
	if (flight->code && is_elb_call(action))
		chaos->elb_trouble_ms = chaos->world->now_ms;
	if (flight->code && machine && action->kind == ACTION_DEREGISTER)
		machine->may_be_left = true;
}

static inline void take_off(struct chaos *chaos, const struct action *action)
{
	struct flight *flight = NULL;

	for (int i = 0; i < FLIGHTS_MAX && !flight; i++) {
		if (!chaos->flights[i].is_used)
			flight = &chaos->flights[i];
	}
	if (!flight)
		broken(chaos, "there is room for all calls", "");
	memset(flight, 0, sizeof *flight);
	flight->is_used = true;
	flight->action = *action;
	choose_fate(chaos, flight);
	note(chaos, "call %d %s n %d %s %s", (int)action->kind,
	     action->instance_id[0] ? action->instance_id : action->token, action->count,
	     flight->code ? flight->code : "", flight->does_it ? "done" : "not done");
	flight->due_ms = chaos->true_ms;
	if (chance(chaos, chaos->weather.delays))
		flight->due_ms += dice(chaos, 30000);
	/* Done at once and told later, or both later. */
	if (flight->does_it && dice(chaos, 2)) {
		json_decref(carry_out(chaos, flight));
		flight->is_done = true;
	}
	if (flight->due_ms <= chaos->true_ms)
		land(chaos, flight);
}

static inline void land_due(struct chaos *chaos)
{
	for (int i = 0; i < FLIGHTS_MAX; i++) {
		struct flight *flight = &chaos->flights[i];

		if (flight->is_used && flight->due_ms <= chaos->true_ms)
			land(chaos, flight);
	}
}

/* ---- the end of the program ---- */

static inline void die(struct chaos *chaos, const char *where)
{
	note(chaos, "killed %s", where);
	for (int i = 0; i < FLIGHTS_MAX; i++) {
		struct flight *flight = &chaos->flights[i];
		bool is_launch = flight->action.kind == ACTION_LAUNCH;

		if (!flight->is_used)
			continue;
		flight->is_orphan = true;
		/* What is on its way arrives, or does not; a launch perhaps much later. */
		if (flight->is_done || !flight->does_it || dice(chaos, 2))
			flight->is_used = false;
		else if (!is_launch || dice(chaos, 2))
			land(chaos, flight);
	}
	world_restart(chaos->world);
}

/* The store takes what the engine has changed; -1: it does not. */
static inline int commit(void *arg, struct err *err)
{
	struct chaos *chaos = arg;
	struct world *world = chaos->world;

	if (chaos->weather.is_store_down) {
		err_set(err, 5, "the disk is full");
		return -1;
	}
	if (engine_changes(world->engine, world_save, world) < 0)
		broken(chaos, "there is memory", "");
	engine_saved(world->engine);
	return 0;
}

static inline void refuse_call(struct chaos *chaos, const struct action *action)
{
	struct flight flight = {.action = *action, .code = NOT_ASKED};

	tell_engine(chaos, &flight, NULL);
}

#endif
