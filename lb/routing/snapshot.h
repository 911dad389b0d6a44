/*
 * The snapshot: everything a worker routes by, immutable once finished, reference
 * counted.  The control thread fills a builder and hands the finished snapshot to
 * the proxy.  All strings are copied.  Structs are open because the request
 * path reads them; nobody but the builder writes them.
 */
#ifndef LB_ROUTING_SNAPSHOT_H
#define LB_ROUTING_SNAPSHOT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "common/base/check.h"
#include "common/base/err.h"
#include "lb/routing/header_edits.h"
#include "lb/routing/target.h"
#include "lb/routing/text.h"

struct rules;             /* compiled; lb/routing/rules.h */
struct client_protocol;   /* lb/proxy's: how a listener's clients are spoken to */
struct upstream_protocol; /* the same for a group's targets */
struct snapshot;

enum xff_mode { XFF_APPEND, XFF_PRESERVE, XFF_REMOVE };
enum desync_mode { DESYNC_DEFENSIVE, DESYNC_MONITOR, DESYNC_STRICTEST };

/* Attributes of a load balancer that the request path obeys; zeroes are AWS's defaults. */
struct load_balancer_attributes {
	unsigned idle_timeout_s;      /* 0 = 60 */
	unsigned client_keep_alive_s; /* 0 = 3600 */
	bool preserve_host_header;
	bool xff_client_port;
	bool drop_invalid_headers;
	enum xff_mode xff_mode;
	enum desync_mode desync_mode;
	unsigned min_body_rate; /* bytes a second of a request's body; 0 = off */
};

struct load_balancer {
	const char *arn;      /* whole */
	const char *resource; /* "app/n/id": logs and metric dimension */
	const char *dns_name;
	unsigned slot; /* of its counters, see lb/observe/counters.h */
	struct load_balancer_attributes attributes;
};

enum balancing_algorithm { BALANCE_ROUND_ROBIN, BALANCE_LEAST_OUTSTANDING, BALANCE_RANDOM };

enum stickiness { STICKINESS_OFF, STICKINESS_LB, STICKINESS_APP };

struct target_group_attributes {
	enum balancing_algorithm algorithm;
	/* unhealthy_state_routing.minimum_healthy_targets; 0 = AWS's default: 1, off */
	unsigned minimum_healthy_count;
	unsigned minimum_healthy_percent;
	/* While no target is registered, or all are still initial, requests wait as long. */
	unsigned hold_s;       /* 0 = they do not */
	unsigned slow_start_s; /* 0 = off */
	enum stickiness stickiness;
	unsigned sticky_s;      /* how long a binding lasts */
	const char *app_cookie; /* STICKINESS_APP: the application's */
	/* Workers keep the streaks that passive health checks look at. */
	bool is_watched;
};

/* What one worker remembers of a group while a snapshot lasts. */
struct target_group_lane {
	alignas(64) uint64_t turn;
	uint64_t least; /* outstanding requests: fewer were not seen lately */
	/* Of the targets' states when the epoch was this; see balance.c. */
	uint64_t epoch;
	unsigned n_eligible, n_registered;
	uint32_t *order; /* places in targets: the eligible ones, then the others registered */
};

struct target_group {
	const char *arn; /* whole: the access log's field 17 */
	const char *name;
	const char *resource; /* "targetgroup/n/id" */
	unsigned slot;
	const struct upstream_protocol *protocol;
	struct target_group_attributes attributes;
	unsigned n_targets;
	struct target **targets;
	uint64_t *sticky_ids;   /* of the targets, in their order */
	uint32_t *sticky_order; /* places in targets, by growing sticky id */
	uint64_t sticky_id;     /* the group's own */
	struct target_group_lane *lanes;
};

enum action_kind { ACTION_FORWARD, ACTION_REDIRECT, ACTION_FIXED_RESPONSE };
enum { FORWARD_GROUPS_MAX = 5, GROUP_WEIGHT_MAX = 999 };

struct forward_group {
	struct target_group *group;
	unsigned weight; /* 0..999; of a single group any value but 0 means all */
};

/* Strings may hold #{protocol} #{host} #{port} #{path} #{query}; NULL = AWS's default. */
struct redirect {
	const char *protocol, *host, *port, *path, *query;
	unsigned status; /* 301, 302 */
};

struct fixed_response {
	unsigned status;
	const char *content_type; /* NULL = text/plain */
	const char *body;         /* NULL = "" */
};

struct action {
	enum action_kind kind;
	struct {
		unsigned n_groups;
		struct forward_group groups[FORWARD_GROUPS_MAX];
		unsigned sticky_s; /* group stickiness: how long a binding lasts; 0 = off */
	} forward;
	struct redirect redirect;
	struct fixed_response fixed_response;
};

enum condition_field {
	CONDITION_HOST_HEADER,
	CONDITION_PATH_PATTERN,
	CONDITION_HTTP_HEADER,
	CONDITION_REQUEST_METHOD,
	CONDITION_QUERY_STRING,
	CONDITION_SOURCE_IP,
};

struct condition_value {
	const char *key; /* query-string only; NULL = any key */
	const char *value;
};

struct condition {
	enum condition_field field;
	bool is_regex;           /* of the values: host-header, path-pattern, http-header only */
	const char *header_name; /* http-header only */
	size_t n_values;
	const struct condition_value *values; /* one that matches is enough */
};

/* The first match of regex is replaced; $1 to $99 are its groups.  regex NULL = none. */
struct rewrite_config {
	const char *regex, *replace;
};

/* Attributes of a listener that the request path obeys; zeroes are the defaults. */
struct listener_attributes {
	bool hides_server; /* no "Server: awselb/2.0" on our own answers */
	struct header_edits request, response;
};

struct listener {
	const char *arn;
	struct load_balancer *load_balancer;
	const struct client_protocol *protocol;
	struct listener_attributes attributes;
	struct sockaddr_storage addr; /* the socket's address and port */
	socklen_t addr_len;
	uint16_t port; /* the port in addr: X-Forwarded-Port, logs, #{port} */
	struct rules *rules;
};

struct listener_config {
	const char *arn;
	struct load_balancer *load_balancer;
	const struct client_protocol *protocol;
	struct listener_attributes attributes; /* edits are copied */
	const struct sockaddr *addr;
	socklen_t addr_len;
	struct action default_action;
};

struct rule_config {
	unsigned priority; /* 1..50000, unique in the listener; rules may be added in any order */
	size_t n_conditions;
	const struct condition *conditions; /* all must hold */
	struct action action;
	struct rewrite_config host_rewrite, url_rewrite; /* of what goes to the target */
};

struct load_balancer_config {
	const char *arn, *resource, *dns_name;
	unsigned slot;
	struct load_balancer_attributes attributes;
};

struct target_group_config {
	const char *arn, *name, *resource;
	unsigned slot;
	const struct upstream_protocol *protocol;
	struct target_group_attributes attributes;
	size_t n_targets;
	struct target *const *targets; /* the snapshot takes a reference of its own to each */
};

struct snapshot_builder;

/* n_lanes: the number of workers.  NULL without memory. */
MUST_CHECK struct snapshot_builder *snapshot_builder_new(unsigned n_lanes);
/* Drops an unfinished builder; NULL is fine. */
void snapshot_builder_free(struct snapshot_builder *builder);

/* Returned pointers are borrowed from the builder, later from the snapshot.  NULL with err. */
MUST_CHECK struct load_balancer *
snapshot_add_load_balancer(struct snapshot_builder *builder,
			   const struct load_balancer_config *config, struct err *err);
MUST_CHECK struct target_group *snapshot_add_target_group(struct snapshot_builder *builder,
							  const struct target_group_config *config,
							  struct err *err);
MUST_CHECK struct listener *snapshot_add_listener(struct snapshot_builder *builder,
						  const struct listener_config *config,
						  struct err *err);
MUST_CHECK int snapshot_add_rule(struct snapshot_builder *builder, struct listener *listener,
				 const struct rule_config *config, struct err *err);
/*
 * Instead of all snapshot_add_rule(): the rules that the earlier snapshot's listener has, which
 * costs a copy of their actions.  find: the group with this ARN in the snapshot that is built.  -1
 * with err without memory or without a group.
 */
typedef struct target_group *(*rules_find_fn)(void *arg, const char *arn);
MUST_CHECK int snapshot_add_rules_of(struct snapshot_builder *builder, struct listener *listener,
				     const struct listener *earlier, rules_find_fn find, void *arg,
				     struct err *err);

/* Compiles; frees the builder in every case.  One reference, the caller's; NULL with err. */
MUST_CHECK struct snapshot *snapshot_builder_finish(struct snapshot_builder *builder,
						    struct err *err);

struct snapshot *snapshot_ref(struct snapshot *snapshot);
void snapshot_unref(struct snapshot *snapshot); /* NULL is fine; any thread */
/* Has anybody a reference but the caller? */
bool snapshot_is_shared(const struct snapshot *snapshot);

size_t snapshot_n_listeners(const struct snapshot *snapshot);
struct listener *snapshot_listener(const struct snapshot *snapshot, size_t index);
size_t snapshot_n_groups(const struct snapshot *snapshot);
struct target_group *snapshot_group(const struct snapshot *snapshot, size_t index);

#endif
