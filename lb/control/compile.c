/* See compile.h.  Actions and conditions are in compile_rules.c. */
#include "lb/control/compile.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/ids.h"
#include "common/base/log.h"
#include "common/doc/doc.h"
#include "lb/api/resource.h"
#include "lb/control/compile_edits.h"
#include "lb/control/compile_rules.h"
#include "lb/control/sockets.h"
#include "lb/proxy/client.h"
#include "lb/proxy/upstream.h"

struct compilation {
	const struct compile_input *input;
	struct compile_output *output;
	struct snapshot_builder *builder;
	struct group_map groups;
};

typedef int (*slot_fn)(struct counters *counters, const char *resource, struct err *err);

/* Slots are never given back: full counters must not stop what is served. */
static int slot_of(struct compilation *c, slot_fn fn, const char *resource, struct err *err)
{
	int slot = fn(c->input->counters, resource, err);

	if (slot >= 0)
		return slot;
	log_error("counters-full", "resource=%s counted_as=" COUNTERS_OVERFLOW, resource);
	return fn(c->input->counters, COUNTERS_OVERFLOW, err);
}

static json_t *attributes_of(struct store *store, const char *arn)
{
	char key[ELB_KEY_MAX];

	return resource_side_key(arn, "attributes", key) == 0 ? store_get(store, key, NULL) : NULL;
}

static bool is_on(const json_t *attributes, const char *key)
{
	return strcmp(elb_load_balancer_attribute(attributes, key), "true") == 0;
}

static unsigned number_of(const char *text)
{
	return (unsigned)strtoul(text, NULL, 10); /* "off" is 0 */
}

static void read_load_balancer_attributes(const json_t *document,
					  struct load_balancer_attributes *out)
{
	const char *xff =
	    elb_load_balancer_attribute(document, "routing.http.xff_header_processing.mode");
	const char *desync =
	    elb_load_balancer_attribute(document, "routing.http.desync_mitigation_mode");

	out->idle_timeout_s =
	    number_of(elb_load_balancer_attribute(document, "idle_timeout.timeout_seconds"));
	out->client_keep_alive_s =
	    number_of(elb_load_balancer_attribute(document, "client_keep_alive.seconds"));
	out->min_body_rate = number_of(
	    elb_load_balancer_attribute(document, "routing.http.minimum_body_bytes_per_second"));
	out->preserve_host_header = is_on(document, "routing.http.preserve_host_header.enabled");
	out->xff_client_port = is_on(document, "routing.http.xff_client_port.enabled");
	out->drop_invalid_headers =
	    is_on(document, "routing.http.drop_invalid_header_fields.enabled");
	out->xff_mode = strcmp(xff, "preserve") == 0 ? XFF_PRESERVE
			: strcmp(xff, "remove") == 0 ? XFF_REMOVE
						     : XFF_APPEND;
	out->desync_mode = strcmp(desync, "monitor") == 0     ? DESYNC_MONITOR
			   : strcmp(desync, "strictest") == 0 ? DESYNC_STRICTEST
							      : DESYNC_DEFENSIVE;
}

static void read_stickiness(const json_t *document, struct target_group_attributes *out)
{
	bool is_app =
	    strcmp(elb_target_group_attribute(document, "stickiness.type"), "app_cookie") == 0;

	if (strcmp(elb_target_group_attribute(document, "stickiness.enabled"), "true") != 0)
		return;
	out->stickiness = is_app ? STICKINESS_APP : STICKINESS_LB;
	out->app_cookie = elb_target_group_attribute(document, "stickiness.app_cookie.cookie_name");
	out->sticky_s = number_of(
	    elb_target_group_attribute(document, is_app ? "stickiness.app_cookie.duration_seconds"
							: "stickiness.lb_cookie.duration_seconds"));
}

static void read_group_attributes(const json_t *document, struct target_group_attributes *out)
{
	const char *algorithm =
	    elb_target_group_attribute(document, "load_balancing.algorithm.type");

	out->algorithm = strcmp(algorithm, "least_outstanding_requests") == 0
			     ? BALANCE_LEAST_OUTSTANDING
			 : strcmp(algorithm, "weighted_random") == 0 ? BALANCE_RANDOM
								     : BALANCE_ROUND_ROBIN;
	out->slow_start_s =
	    number_of(elb_target_group_attribute(document, "slow_start.duration_seconds"));
	read_stickiness(document, out);
	out->minimum_healthy_count = number_of(elb_target_group_attribute(
	    document, "target_group_health.unhealthy_state_routing.minimum_healthy_targets.count"));
	out->minimum_healthy_percent = number_of(elb_target_group_attribute(
	    document,
	    "target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage"));
	out->hold_s = number_of(elb_target_group_attribute(document, "routing.http.hold_seconds"));
}

/* Draining targets are left out: they finish what they have, and get nothing new. */
static struct target **targets_of(const struct registry *registry, struct live_group *group,
				  size_t *n)
{
	struct live_target *live;
	struct target **targets;

	*n = 0;
	TAILQ_FOREACH (live, &group->targets, link)
		++*n;
	targets = calloc(*n + 1, sizeof(struct target *));
	if (!targets)
		return NULL;
	*n = 0;
	TAILQ_FOREACH (live, &group->targets, link) {
		if (live->target && live->health.state != TARGET_DRAINING &&
		    registry_serves(registry, live))
			targets[(*n)++] = live->target;
	}
	return targets;
}

static int add_group(struct compilation *c, const json_t *document, struct err *err)
{
	const char *arn = doc_str(document, "TargetGroupArn", "");
	struct live_group *live = registry_group(c->input->registry, arn);
	struct target_group_config config = {.arn = arn,
					     .name = doc_str(document, "TargetGroupName", ""),
					     .resource = resource_suffix(arn),
					     .protocol = &upstream_h1};
	struct target_group *group = NULL;
	struct target **targets;
	json_t *attributes;
	int slot;

	if (!live || !live->load_balancer[0])
		return 0; /* no rule forwards to it */
	slot = slot_of(c, counters_group_slot, config.resource, err);
	targets = slot < 0 ? NULL : targets_of(c->input->registry, live, &config.n_targets);
	if (!targets)
		return -1;
	config.slot = (unsigned)slot;
	config.targets = targets;
	attributes = attributes_of(c->input->store, arn);
	read_group_attributes(attributes, &config.attributes);
	config.attributes.is_watched = live->passive_fives > 0 || live->passive_breaks > 0;
	group = snapshot_add_target_group(c->builder, &config, err);
	json_decref(attributes); /* strings were borrowed from it */
	free(targets);
	return group ? group_map_add(&c->groups, group, err) : -1;
}

struct rule_scan {
	struct compilation *c;
	struct listener *listener;
	struct err *err;
	int result;
};

static bool add_rule(void *arg, const char *key, const json_t *rule, int64_t revision)
{
	struct rule_scan *scan = arg;

	(void)key;
	(void)revision;
	if (doc_bool(rule, "IsDefault", false))
		return true;
	scan->result =
	    compile_rule(scan->c->builder, &scan->c->groups, scan->listener, rule, scan->err);
	if (scan->result < 0)
		err_wrap(scan->err, "%s: ", doc_str(rule, "RuleArn", "?"));
	return scan->result == 0;
}

static struct target_group *find_group(void *arg, const char *arn)
{
	return group_map_find(arg, arn);
}

/* All but the default rule, whose actions are the listener's own.  There may be very many: none is
 * copied. */
static int add_rules(struct compilation *c, struct listener *listener, struct err *err)
{
	struct rule_scan scan = {c, listener, err, 0};
	const struct listener *earlier = NULL;
	char prefix[ELB_KEY_MAX + 16];

	if (c->input->rollout)
		earlier = rollout_listener(c->input->rollout, listener->arn);
	if (earlier)
		return snapshot_add_rules_of(c->builder, listener, earlier, find_group, &c->groups,
					     err);
	if (resource_children_prefix(listener->arn, RESOURCE_RULE, prefix) == 0)
		store_scan(c->input->store, prefix, add_rule, &scan);
	return scan.result;
}

/* A port that cannot be had leaves its listener out, not the others. */
static void leave_out(struct compilation *c, const json_t *document, const char *why)
{
	c->output->n_unbound++;
	snprintf(c->output->unbound, sizeof(c->output->unbound), "%s", why);
	log_error("listener-unbound", "listener=%s why=\"%s\"",
		  doc_str(document, "ListenerArn", ""), why);
}

static void note_address(struct compilation *c, const struct socket_address *address, int port)
{
	buf_printf(&c->output->addresses, "%s%s", c->output->addresses.len ? " " : "",
		   address->text);
	if (address->port != port)
		buf_printf(&c->output->moved, "%s%d->%d", c->output->moved.len ? " " : "", port,
			   address->port);
}

static int add_listener(struct compilation *c, struct load_balancer *load_balancer,
			const char *listen_address, const json_t *document, struct err *err)
{
	struct listener_config config = {.arn = doc_str(document, "ListenerArn", ""),
					 .load_balancer = load_balancer,
					 .protocol = &client_h1};
	static struct listener_edits edits; /* big; this thread's only */
	int port = (int)doc_int(document, "Port", 0);
	struct socket_address address;
	struct listener *listener;
	struct err why = {0};
	json_t *attributes;
	int result;

	if (socket_resolve(c->input->proxy, listen_address, port, &address, &why) < 0) {
		leave_out(c, document, why.text);
		return 0;
	}
	config.addr = (struct sockaddr *)&address.addr;
	config.addr_len = address.len;
	if (compile_action(&c->groups, doc_array(document, "DefaultActions"),
			   &config.default_action, err) < 0)
		return -1;
	attributes = attributes_of(c->input->store, config.arn);
	compile_listener_attributes(attributes, &edits, &config.attributes);
	listener = snapshot_add_listener(c->builder, &config, err);
	json_decref(attributes);
	if (!listener)
		return -1;
	result = add_rules(c, listener, err);
	note_address(c, &address, port);
	return result;
}

static int add_load_balancer(struct compilation *c, const json_t *document, struct err *err)
{
	const char *arn = doc_str(document, "LoadBalancerArn", "");
	struct load_balancer_config config = {.arn = arn,
					      .resource = resource_suffix(arn),
					      .dns_name = doc_str(document, "DNSName", "")};
	int slot = slot_of(c, counters_lb_slot, config.resource, err);
	struct elb_api api = {.store = c->input->store};
	struct load_balancer *load_balancer;
	json_t *attributes, *listeners;
	const json_t *listener;
	int result = 0;
	size_t i;

	if (slot < 0)
		return -1;
	config.slot = (unsigned)slot;
	attributes = attributes_of(c->input->store, arn);
	read_load_balancer_attributes(attributes, &config.attributes);
	json_decref(attributes);
	load_balancer = snapshot_add_load_balancer(c->builder, &config, err);
	if (!load_balancer)
		return -1;
	listeners = resource_children(&api, arn, RESOURCE_LISTENER);
	json_array_foreach (listeners, i, listener) {
		result = add_listener(c, load_balancer, doc_str(document, "ListenAddress", ""),
				      listener, err);
		if (result < 0)
			break;
	}
	json_decref(listeners);
	return result;
}

typedef int (*add_fn)(struct compilation *c, const json_t *document, struct err *err);

static int add_all(struct compilation *c, const char *prefix, add_fn add, struct err *err)
{
	json_t *documents = resource_list(c->input->store, prefix);
	const json_t *document;
	int result = documents ? 0 : -1;
	size_t i;

	json_array_foreach (documents, i, document) {
		result = add(c, document, err);
		if (result < 0)
			break;
	}
	json_decref(documents);
	return result;
}

int compile_snapshot(const struct compile_input *input, struct compile_output *output,
		     struct err *err)
{
	struct compilation c = {
	    .input = input, .output = output, .builder = snapshot_builder_new(input->n_lanes)};

	*output = (struct compile_output){0};
	if (!c.builder)
		goto oom;
	if (add_all(&c, "elb/targetgroup/", add_group, err) < 0)
		goto drop;
	group_map_sort(&c.groups);
	if (add_all(&c, "elb/loadbalancer/", add_load_balancer, err) < 0)
		goto drop;
	output->snapshot = snapshot_builder_finish(c.builder, err);
	if (!output->snapshot)
		goto fail;
	group_map_fini(&c.groups);
	return 0;
oom:
	err_set(err, ENOMEM, "out of memory");
	goto fail;
drop:
	snapshot_builder_free(c.builder);
fail:
	group_map_fini(&c.groups);
	buf_fini(&output->addresses);
	buf_fini(&output->moved);
	return -1;
}
