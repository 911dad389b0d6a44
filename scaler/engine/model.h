/*
 * What the engine knows: groups, their instances, activities, policies and target groups, as
 * plain data.  Times are Unix milliseconds, 0 = not yet.  Who changes what is engine.h and
 * parts.h; how it becomes documents of the store and comes back is state.c.  One owner (the
 * control thread, or a simulation).
 */
#ifndef SCALER_ENGINE_MODEL_H
#define SCALER_ENGINE_MODEL_H

#include <bsd/sys/queue.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/base/ids.h"

enum {
	NAME_MAX_LEN = 256, /* groups and policies, with the NUL */
	ZONE_MAX = 64,
	TOKEN_MAX = 65,
	CAUSE_MAX = 1024,
	MESSAGE_MAX = 256,
	ARN_MAX = 512,

	MAX_GROUPS = 5000, /* AWS: 500, more for the asking */
	MAX_ZONES = 32,
	MAX_POLICIES = 50,
	MAX_SCHEDULES = 125,
	MAX_HOOKS = 50,
	MAX_CONFIGS = 200,
	MAX_ACTIVITIES = 500, /* kept of a group */
	MAX_SERVED = 16,      /* changes of the number that counts that are remembered */
	MAX_BATCH = 20,       /* instances of one RunInstances */
	MAX_EVENTS = 1000,    /* the newest, of all groups */
};

enum instance_state {
	INSTANCE_PENDING,
	INSTANCE_IN_SERVICE,
	INSTANCE_TERMINATING,
	INSTANCE_TERMINATED, /* only until the end of the tick; or it has left the group */
	INSTANCE_ENTERING_STANDBY,
	INSTANCE_STANDBY,
	INSTANCE_DETACHING,
	INSTANCE_WARMING,   /* on its way into the warm pool */
	INSTANCE_WARM,      /* in it */
	INSTANCE_RETURNING, /* from service into the warm pool */
	INSTANCE_RETAINED,  /* a hook has abandoned its termination: it runs on, for a person */
};

/* How instances wait in a warm pool. */
enum pool_state {
	POOL_STOPPED,
	POOL_RUNNING,
	POOL_HIBERNATED,
};

/* Lifecycle hooks of the way in, or of the way out. */
enum hook_phase {
	HOOKS_NOT_YET,
	HOOKS_WAIT,    /* for those in instance->hooks */
	HOOKS_PROCEED, /* they are done */
	HOOKS_NONE,    /* there were none */
};

/* EC2's word for it, as the latest DescribeInstances had it. */
enum ec2_state {
	EC2_UNKNOWN,
	EC2_PENDING,
	EC2_RUNNING,
	EC2_SHUTTING_DOWN,
	EC2_TERMINATED,
	EC2_STOPPING,
	EC2_STOPPED,
};

/* Why a running instance is to be replaced, the most urgent first; see replace.c. */
enum replace_reason {
	REPLACE_NOT,
	REPLACE_UNHEALTHY,
	REPLACE_AT_RISK,  /* EC2 may take it back soon */
	REPLACE_AGED,     /* its maximum lifetime */
	REPLACE_STRANDED, /* in a zone that the group has no more */
	REPLACE_CROWDED,  /* in a zone that has too many */
};

/*
 *   (decided) -> PENDING: no id -> id -> running, registering -> IN_SERVICE
 *   PENDING or IN_SERVICE -> TERMINATING: deregistering, draining, asked EC2 -> TERMINATED
 *   IN_SERVICE -> ENTERING_STANDBY: deregistering, draining -> STANDBY -> PENDING -> IN_SERVICE
 *   IN_SERVICE or STANDBY -> DETACHING: deregistering, draining, losing its tag -> TERMINATED
 *   (attached, with its id) -> PENDING: getting its tag, registering -> IN_SERVICE
 *   (decided) -> WARMING: no id -> id -> running -> stopped -> WARM -> PENDING -> IN_SERVICE
 *   IN_SERVICE -> RETURNING: deregistering, draining -> stopped -> WARM
 *   WARMING, WARM or RETURNING -> TERMINATING (is_warm: it was never, or is no more, capacity)
 */
struct instance {
	/* Stored. */
	char id[ID_TEXT_MAX];        /* "" until RunInstances has answered */
	char launch_id[ID_TEXT_MAX]; /* the launch's activity; names the instance before EC2 does */
	char
	    end_id[ID_TEXT_MAX]; /* the activity of its way out: termination, standby, detachment */
	char entry_id[ID_TEXT_MAX]; /* the activity of its way in where that is not the launch */
	char type[ZONE_MAX], image_id[ZONE_MAX], zone[ZONE_MAX], subnet_id[ZONE_MAX];
	char template_id[ZONE_MAX], template_name[NAME_MAX_LEN], template_version[ZONE_MAX];
	char
	    config_name[NAME_MAX_LEN]; /* its launch configuration, where it is not of a template */
	int64_t config_ms;             /* when that was made */
	int weight; /* units of capacity; 0: its group has no weights, it is one */
	bool is_spot;
	int64_t notice_ms;     /* EC2 has told that it may take it back; 0: it has not */
	int64_t ends_ms;       /* it will, then; 0: it does not say so */
	json_t *run_members;   /* what its RunInstances has over the template's; NULL nothing */
	char token[TOKEN_MAX]; /* of the RunInstances that makes it */
	int token_index, token_count; /* which of how many instances of that call */
	enum instance_state state;
	bool is_unhealthy;
	bool is_user_marked; /* SetInstanceHealth said so */
	bool is_protected;
	bool is_proven; /* a target group has called it healthy, or without one it lived a while */
	bool has_run;
	bool is_forced;             /* leaves without draining */
	bool is_attached;           /* somebody else has launched it */
	bool is_tagged;             /* attached: it carries the group's tag */
	bool skips_elb;             /* came while AddToLoadBalancer was suspended */
	bool is_outdated;           /* the refresh under way is to replace it */
	bool is_warm;               /* the warm pool's, on its way in and out too; not capacity */
	bool is_from_pool;          /* PENDING: started, or taken, out of the warm pool */
	enum pool_state pool_state; /* as it is to wait, or waits, in the pool */
	int64_t pool_ms;            /* since when it is being stopped, waits, or is being started */
	enum replace_reason doomed; /* it serves until it is replaced */
	char doomed_why[MESSAGE_MAX];
	enum hook_phase hook_phase;
	json_t *hooks; /* array: hooks that have not answered, see hooks.c */
	int64_t launch_ms, in_service_ms, end_ms;
	int64_t drain_until_ms; /* of the longest deregistration delay */
	json_t *registering;    /* array: ARNs of target groups that may have taken it */
	json_t *registered;     /* array: ARNs of target groups that took it */
	json_t *draining;       /* array: ARNs it was deregistered from */

	/* Not stored. */
	json_t *dimensions; /* of its metrics, see instance_dimensions(); NULL not asked for yet */
	bool is_dirty;
	bool is_busy;     /* a call about it is under way */
	int64_t retry_ms; /* not before */
	int tries;
	enum ec2_state ec2;
	int64_t seen_ms;    /* in EC2's answers */
	int64_t missing_ms; /* not seen in them for so long */
	int misses;
	int64_t drain_since_ms;   /* deregistration was acknowledged */
	bool is_end_asked;        /* EC2 has taken TerminateInstances */
	char reason[MESSAGE_MAX]; /* EC2's StateReason: "Code: Message" */
	char reason_code[ZONE_MAX];
	TAILQ_ENTRY(instance) link;
};

enum activity_status {
	ACTIVITY_IN_PROGRESS,
	ACTIVITY_PRE_IN_SERVICE,
	ACTIVITY_DRAINING,
	ACTIVITY_SUCCESSFUL,
	ACTIVITY_FAILED,
	ACTIVITY_CANCELLED,
	ACTIVITY_MID_LIFECYCLE,
};

/* What others are told, see events.c. */
struct event {
	uint64_t number;    /* rising */
	json_t *document;   /* in EventBridge's form; NULL: only a message to a topic */
	json_t *deliveries; /* array: {Kind, Target, Subject, Message, Status, Attempts, NextMs} */
	bool is_dirty;
	TAILQ_ENTRY(event) link;
};

struct events {
	TAILQ_HEAD(events_list, event) list; /* newest first */
	int n, n_owed;                       /* deliveries still to be made */
	uint64_t newest;                     /* number */
	/* Not stored. */
	bool has_webhook, is_dirty;
	uint64_t n_delivered, n_lost;
};

struct activity {
	struct engine *engine; /* borrowed */
	char id[ID_TEXT_MAX];
	char group[NAME_MAX_LEN], group_arn[ARN_MAX];
	char description[2 * MESSAGE_MAX];
	char cause[CAUSE_MAX];
	char message[MESSAGE_MAX];
	char zone[ZONE_MAX], subnet_id[ZONE_MAX];
	enum activity_status status;
	int progress;
	int64_t start_ms, end_ms;
	bool is_group_deleted;
	json_t *alarms; /* InvokingAlarms: array, shared and not to be changed; NULL none */
	bool is_dirty;
	TAILQ_ENTRY(activity) link;
};
TAILQ_HEAD(activities, activity);

struct policy {
	char name[NAME_MAX_LEN];
	json_t *document; /* DescribePolicies' shape */
	bool is_dirty;
	/* Not stored: target tracking. */
	int64_t steady_since_ms; /* the instances that are counted are these since then */
	uint64_t counted;        /* what they were, as a hash */
	double metric;           /* the newest value; NaN unknown */
	int wanted;              /* the capacity it would have, limits or not; -1 unknown */
	int64_t wanted_until_ms; /* of a policy that an alarm has run: it wants so much so long */
	int period_s;            /* of the figures it judges by; 0 unknown */
	/* Predictive scaling: a document of its own, see predict.h; owned, NULL: none yet. */
	struct prediction *prediction;
	/* Not stored: a second or two have asked for more, not again before, and after how long. */
	int64_t sudden_ms, sudden_after_ms, calm_ms;
	/* Not stored: units that counted, warm ones that is, and since when; the newest first. */
	struct served {
		int64_t since_ms;
		int units;
	} served[MAX_SERVED];
	/* Not stored: what load tracking has seen of its long window; owned, NULL: nothing yet. */
	struct load_memory *memory;
	/* Not stored: what its alarms were last made to say, by the owner. */
	bool is_alarm_stale;
	int shown_period_s;
	double shown_low;
	TAILQ_ENTRY(policy) link;
};

struct schedule {
	char name[NAME_MAX_LEN];
	json_t *document; /* DescribeScheduledActions' shape */
	int64_t next_ms;  /* when it runs next */
	bool is_dirty;
	TAILQ_ENTRY(schedule) link;
};

struct zone {
	char name[ZONE_MAX];
	char subnet_id[ZONE_MAX]; /* "": EC2's default of the zone */
	/* Launches that EC2 had no room for here. */
	int failures;
	int64_t closed_until_ms;
};

/* Stored names of these are AWS's: Adding, Added, InService, Removing. */
enum attachment_state {
	ATTACHMENT_ADDING,
	ATTACHMENT_ADDED,
	ATTACHMENT_IN_SERVICE,
	ATTACHMENT_REMOVING,
};

struct attachment {
	char arn[ARN_MAX]; /* or a target group's name until it is known */
	enum attachment_state state;
	/* Not stored. */
	json_t *health;   /* {instance id: state}; NULL: never seen */
	int64_t seen_ms;  /* asked at; 0: not, or not since it was last out of reach */
	int64_t delay_ms; /* deregistration delay; -1: unknown */
	TAILQ_ENTRY(attachment) link;
};

/* What the load balancer's check says of the instances together, see health.c. */
enum fleet_state {
	FLEET_FINE,   /* some may be unhealthy */
	FLEET_HELD,   /* too many at once under load: none is replaced */
	FLEET_PROBED, /* all at once: none goes before a newcomer works */
};

/* Why zones are not made more even now, see balance.c. */
enum balance_state {
	BALANCE_EVEN,
	BALANCE_OFF, /* suspended, or launches fail, or a refresh is under way */
	BALANCE_MOVING,
	BALANCE_WAITING, /* for what else moves */
	BALANCE_SPENT,   /* the moves of this hour */
	BALANCE_PROTECTED,
};

/* Launches that fail, see breaker.c.  Stored. */
struct breaker {
	int row;                   /* failures since one worked */
	int steps;                 /* times that the wait has doubled */
	int attempts;              /* failures that count towards a suspension */
	int64_t after_ms;          /* no launch before */
	int64_t since_ms;          /* the first failure of the row */
	int64_t failed_ms;         /* the latest */
	char why[MESSAGE_MAX];     /* it failed */
	char kept_id[ID_TEXT_MAX]; /* launch_id of the one that is kept for inspection; "" none */
	bool is_suspended;         /* for a day nothing has worked */
};

struct group {
	struct engine *engine; /* borrowed: it owns us */
	char name[NAME_MAX_LEN];
	/* DescribeAutoScalingGroups' shape without Instances and DesiredCapacity's like: those are
	 * the fields below, put in by group_describe. */
	json_t *document;
	int min, max, desired;
	bool is_deleting;
	bool is_from_file;
	char why[CAUSE_MAX]; /* why desired is what it is, until that is acted on */
	json_t *why_alarms;  /* InvokingAlarms behind that: array, replaced, never changed; NULL */
	/* Simple scaling: the latest action, and how long after it is over the next must wait. */
	int64_t cooldown_from_ms;
	int cooldown_s;
	char waiting_id[ID_TEXT_MAX]; /* activity: EC2 has not told the zones yet; "" none */

	struct breaker breaker;
	int64_t scaled_in_ms;  /* load tracking has taken something away */
	int64_t mass_since_ms; /* too many are unhealthy at once, see health.c; 0: not */
	int64_t moves_from_ms; /* the hour of the budget for moves between zones */
	int moves;             /* in that hour */
	int replacing;         /* launches owed to unhealthy instances */
	json_t *pools;         /* array: where there was no room lately, see pools.c */

	TAILQ_HEAD(instance_list, instance) instances; /* by launch time */
	struct activities activities;                  /* newest first */
	TAILQ_HEAD(, policy) policies;
	json_t *refreshes;                /* array: see refresh.c, the newest first */
	TAILQ_HEAD(, schedule) schedules; /* by name */
	TAILQ_HEAD(, attachment) attachments;

	/* Not stored. */
	bool is_dirty;
	/* What the tick asks of the document again and again, looked up when it begins. */
	struct group_facts {
		bool is_known; /* only while the tick is in this group */
		bool is_any_suspended, checks_elb;
		int64_t grace_ms;
	} facts;
	bool has_zones;  /* zones[] is what EC2 says */
	bool is_blocked; /* it has been told that protection keeps a scale-in from its end */
	int surge;       /* units beyond desired, for replacements and the refresh under way */
	/* What alarms ask for until the next tick weighs it: the largest. */
	struct proposal {
		struct policy *policy; /* borrowed from policies; NULL: there is no proposal */
		int capacity;
		char event[4 * NAME_MAX_LEN]; /* for the cause */
		json_t *alarm;                /* owned; NULL none */
	} proposal;
	/* Target tracking by the second: when it last took something away; how long it waits before
	 * it does again, as it was sorry for that, and since when; 0 not. */
	int64_t shrunk_ms, sorry_ms;
	int patience_s;
	int wanted;                /* what the policies would have, limits or not; -1 unknown */
	uint64_t flap_told;        /* the owner: which policies that flap, as a hash */
	int64_t short_ms;          /* the owner: that was above max when last told; 0 not */
	int64_t zoneless_since_ms; /* launches wait for EC2 to tell the zones */
	int pool_surge; /* instances beyond the warm pool's size, for the refresh under way */
	struct {
		enum fleet_state state;
		int serving, failing; /* instances that the load balancer's check judges */
	} fleet;
	enum balance_state balance;
	int64_t uneven_since_ms; /* the zones are */
	struct zone zones[MAX_ZONES];
	int n_zones;
	int latest_version, default_version; /* of the launch template; 0 unknown */
	int64_t template_seen_ms;            /* EC2 was asked about the launch template */
	int64_t view_ms;                     /* EC2's latest answer about it */
	int unknown; /* running in that, of launches that are not in the books any more */
	uint64_t launched, launch_failures, terminated;
	TAILQ_ENTRY(group) link;
};

struct engine {
	char region[64], account[16];
	struct id_source *ids; /* borrowed; NULL: the kernel's randomness */
	int (*zone_offset)(const char *zone, int64_t at_s); /* NULL: every zone is UTC */
	TAILQ_HEAD(, group) groups;                         /* by name */
	struct activities old_activities;                   /* of deleted groups, newest first */
	struct events events;
	json_t *removed; /* array: keys of the store that are to go */
	json_t *configs; /* launch configurations: {name: DescribeLaunchConfigurations' entry} */
	json_t *new_configs; /* array: names of those that are not stored yet */
	json_t *prices;      /* the file's, see prices.h; NULL none */
	struct {
		int burst; /* RunInstances calls at once; 0: as many as there are */
		double per_s, left;
		int64_t filled_ms;
	} runs;
	double max_hourly_cost; /* dollars, of all groups; 0: no limit */
	bool is_dry_run;        /* decides, and touches nothing */
	uint64_t ticks;
	int64_t ticked_ms; /* the latest tick's time; 0: there was none since loading */
};

#endif
