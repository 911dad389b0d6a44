/*
 * A world under a virtual clock around the very engine: an EC2 that boots and ends instances and
 * may have no room, a load balancer that registers, checks and drains them.  It knows nothing of
 * load: who does hangs it on the instances (load) and reads from them who serves.  Seeded and
 * repeatable; opens nothing, waits for nothing.  One owner.
 *
 *   sim_world_advance (EC2 and the load balancer go on) -> sim_world_tick (the engine decides, and
 *   what it asks for is done and answered, until it asks for nothing more)
 */
#ifndef SCALER_SIM_WORLD_H
#define SCALER_SIM_WORLD_H

#include <bsd/sys/queue.h>
#include <uthash.h>

#include "common/base/ids.h"
#include "scaler/engine/engine.h"

enum { SIM_TARGET_GROUPS_MAX = 8 };

enum sim_state {
	SIM_PENDING,
	SIM_RUNNING,
	SIM_STOPPED, /* in a warm pool; costs nothing */
	SIM_ENDING,  /* shutting-down */
	SIM_ENDED,   /* terminated: listed for a while */
};

struct sim_group;

/* An instance as EC2 and the load balancer have it. */
struct sim_instance {
	struct sim_group *group;
	char id[ID_TEXT_MAX], token[TOKEN_MAX], zone[ZONE_MAX], subnet_id[ZONE_MAX];
	char type[ZONE_MAX];
	bool is_spot;
	int token_index;
	enum sim_state state;
	int64_t launched_ms; /* RunInstances */
	int64_t running_ms;  /* when it is "running" */
	int64_t ready_ms;    /* when it can serve */
	int64_t ending_ms;   /* TerminateInstances; 0 not yet */
	/* Bits: places in the group's list of target groups. */
	unsigned registered, draining;
	int64_t healthy_ms;     /* a health check passes from then on; 0: not registered */
	int64_t drain_until_ms; /* at the latest */
	void *load;             /* of whoever models load: free() is called on it */
	TAILQ_ENTRY(sim_instance) link;
	UT_hash_handle hh;
};
TAILQ_HEAD(sim_instances, sim_instance);

struct sim_group {
	char name[NAME_MAX_LEN];
	struct group *group; /* the engine's; borrowed, NULL once it is deleted */
	bool is_going;       /* it is being deleted */
	char target_groups[SIM_TARGET_GROUPS_MAX][ARN_MAX];
	int n_target_groups;
	struct sim_instances instances; /* by launch */
	bool is_stale;                  /* something has changed since the engine was told */
	uint64_t launches, launch_failures, terminations;
	int64_t
	    instance_ms; /* from RunInstances to TerminateInstances, all together, but stopped */
	TAILQ_ENTRY(sim_group) link;
};

struct sim_params {
	uint64_t seed;
	int64_t start_ms;     /* Unix time */
	int64_t boot_ms;      /* from RunInstances until it can serve */
	double boot_spread;   /* of that, either way: 0.2 is +-20 % */
	int64_t check_ms;     /* a health check's interval: the first passes within it */
	int64_t drain_ms;     /* deregistration delay */
	bool drains_in_full;  /* for all of the delay, as AWS does, busy or not */
	int64_t end_ms;       /* from TerminateInstances to terminated */
	double failure_share; /* of RunInstances calls: no room in that zone */
	const char *instance_type;
	const char *region, *account; /* NULL: us-east-1, 000000000000 */
};

struct sim_world {
	struct sim_params params;
	struct engine *engine;
	int64_t now_ms;
	struct id_source engine_ids, random;
	TAILQ_HEAD(, sim_group) groups;
	struct sim_instance *by_id;
	/* Has it requests open?  NULL: none ever has. */
	bool (*is_busy)(const struct sim_instance *instance);
};

/* NULL without memory. */
MUST_CHECK struct sim_world *sim_world_new(const struct sim_params *params);
void sim_world_free(struct sim_world *world); /* NULL is fine */

/*
 * The engine's group of that name lives in this world from now on: EC2 tells it its zones (those of
 * the group, or three) and its template's version, the load balancer its target groups' ARNs.
 * NULL: there is no such group, or no memory.
 */
MUST_CHECK struct sim_group *sim_world_adopt(struct sim_world *world, const char *name);

/* The ARN that a target group of the file has in this world; returns arn. */
char *sim_target_group_arn(const struct sim_params *params, const char *name, char arn[ARN_MAX]);

/* NULL: EC2 knows none of that id. */
struct sim_instance *sim_world_instance(const struct sim_world *world, const char *id);

void sim_world_advance(struct sim_world *world, int64_t ms);
/* False: the engine has no memory for what it decided. */
MUST_CHECK bool sim_world_tick(struct sim_world *world, const struct metric_source *metrics);

/* The tick's parts: EC2 and the load balancer are asked about groups in which something has
 * changed; what the engine has decided is done and answered. */
void sim_world_tell(struct sim_world *world);
void sim_world_do(struct sim_world *world, const struct actions *actions);

/* Does the load balancer send it requests (without target groups: can it serve)? */
bool sim_instance_serves(const struct sim_instance *instance, int64_t now_ms);
/* Does it run, serving or not? */
bool sim_instance_runs(const struct sim_instance *instance);

/* Evenly from [0, 1). */
double sim_random(struct id_source *source);

#endif
