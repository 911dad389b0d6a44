/*
 * The live side of target groups: for each registered target its address, its
 * health, and the struct target that workers obey.  Brought in line with the
 * store by registry_sync(); what left the store drains first.  Health is not kept over a restart.
 * Control thread only.
 */
#ifndef LB_CONTROL_REGISTRY_H
#define LB_CONTROL_REGISTRY_H

#include <bsd/sys/queue.h>
#include <event2/event.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/base/err.h"
#include "common/http/curl_loop.h"
#include "common/store/store.h"
#include "lb/routing/health.h"
#include "lb/routing/target.h"

struct probe; /* lb/control/prober.h's */

enum { ARN_MAX = 256, MATCHER_MAX = 256, HEALTH_PATH_MAX = 1025 };

struct live_target {
	/* Set once. */
	struct live_group *group; /* borrowed: outlives its targets */
	char id[TARGET_ID_MAX];
	uint16_t port;
	char zone[32];
	bool is_instance; /* id is i-…: its address is EC2's to tell */
	/* Changes. */
	struct target *target; /* NULL until the address is known */
	struct health health;
	struct probe *probe;    /* the prober's, NULL while it is not probed */
	int64_t drain_until_ms; /* while draining */
	bool is_seen;           /* during registry_sync */
	TAILQ_ENTRY(live_target) link;
};

TAILQ_HEAD(live_targets, live_target);

struct health_check {
	bool is_https;
	uint16_t port; /* 0 = traffic-port */
	char path[HEALTH_PATH_MAX];
	char matcher[MATCHER_MAX]; /* "200,300-399" */
	int interval_ms, timeout_ms;
	struct health_thresholds thresholds;
};

struct live_group {
	char arn[ARN_MAX];
	char load_balancer[ARN_MAX]; /* the one that uses it; "" = none: targets are unused */
	struct health_check check;
	int64_t drain_ms;
	bool is_seen;
	struct live_targets targets;
	TAILQ_ENTRY(live_group) link;
};

TAILQ_HEAD(live_groups, live_group);

struct registry;

struct registry_config {
	struct event_base *base;
	struct curl_loop *curl;
	unsigned n_lanes;
	/* The set of addresses, or of targets, changed outside registry_sync(): build anew. */
	void (*on_change)(void *arg);
	/* The target's deregistration delay is over and requests are still in flight; NULL = none
	 * to tell. */
	void (*on_cut)(void *arg, struct target *target);
	void *arg;
};

MUST_CHECK struct registry *registry_new(const struct registry_config *config, struct err *err);
void registry_free(struct registry *registry); /* NULL is fine */

/* Reads groups, targets and rules.  -1 without memory; what was done stays. */
MUST_CHECK int registry_sync(struct registry *registry, struct store *store, struct err *err);

/* NULL if there is none. */
struct live_group *registry_group(struct registry *registry, const char *arn);
struct live_groups *registry_groups(struct registry *registry);

/* DescribeTargetHealth's list; new reference. */
json_t *registry_describe(struct registry *registry, const char *arn);

/* What EC2 said of an instance: address NULL = it is stopped or terminated. */
void registry_instance(struct registry *registry, const char *id, const char *address);
/* Calls fn for each instance id that is registered. */
void registry_instances(struct registry *registry,
			void (*fn)(void *arg, const char *id, bool is_resolved), void *arg);

/* Initial ones are registered only; draining and unused ones do not count at all. */
void registry_count(const struct live_group *group, unsigned *healthy, unsigned *unhealthy,
		    unsigned *registered);

#endif
