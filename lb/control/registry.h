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
#include "lb/api/api.h"
#include "lb/observe/health_log.h"
#include "lb/routing/anomaly.h"
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
	int64_t ramp_from_ms;   /* slow start; 0 = not in it */
	bool is_founder;        /* registered while no target was healthy: has no slow start */
	bool is_published_healthy;
	struct anomaly anomaly;
	uint64_t seen_requests, seen_failures; /* at the last judgement */
	bool is_seen;                          /* during registry_sync */
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

/* Fewer than either is too few; 0 = off. */
struct healthy_minimum {
	unsigned count, percent;
};

struct live_group {
	char arn[ARN_MAX];
	char name[64];
	char load_balancer[ARN_MAX]; /* the one that uses it; "" = none: targets are unused */
	struct health_check check;
	int64_t drain_ms;
	unsigned slow_start_s;                  /* 0 = off */
	unsigned passive_fives, passive_breaks; /* in a row; 0 = off */
	bool mitigates;                         /* anomalies */
	bool is_cross_zone;
	struct healthy_minimum routing_minimum, dns_minimum;
	bool has_lb_cookie, has_app_cookie; /* stickiness */
	json_t *zones; /* the load balancer's: [{ZoneName}]; NULL = not known, all */
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
	const char *zone;              /* ours; NULL = unknown */
	struct health_log *health_log; /* borrowed; NULL = none */
	/* The set of addresses, or of targets, changed outside registry_sync(): build anew. */
	void (*on_change)(void *arg);
	/* The target's deregistration delay is over and requests are still in flight; NULL = none
	 * to tell. */
	void (*on_cut)(void *arg, struct target *target);
	void *arg;
};

MUST_CHECK struct registry *registry_new(const struct registry_config *config, struct err *err);
void registry_free(struct registry *registry); /* NULL is fine */

/* Reads groups, targets and who uses them.  -1 without memory; what was done stays. */
MUST_CHECK int registry_sync(struct registry *registry, const struct elb_api *api, struct err *err);

/* NULL if there is none. */
struct live_group *registry_group(struct registry *registry, const char *arn);
struct live_groups *registry_groups(struct registry *registry);

/* DescribeTargetHealth's list; new reference. */
json_t *registry_describe(struct registry *registry, const char *arn);

/* May this load balancer, in its zone, send requests to the target? */
bool registry_serves(const struct registry *registry, const struct live_target *live);

/* What EC2 said of an instance: address NULL = it is stopped or terminated; zone may be NULL. */
void registry_instance(struct registry *registry, const char *id, const char *address,
		       const char *zone);
/* Calls fn for each instance id that is registered. */
void registry_instances(struct registry *registry,
			void (*fn)(void *arg, const char *id, bool is_resolved), void *arg);

#endif
