/* See registry.h. */
#include "lb/control/registry.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/ids.h"
#include "common/base/log.h"
#include "common/doc/doc.h"
#include "lb/api/resource.h"
#include "lb/control/prober.h"
#include "lb/control/registry_watch.h"
#include "lb/routing/zones.h"

enum { DRAIN_CHECK_MS = 250 };

struct registry {
	struct registry_config config;
	struct prober *prober;
	struct event *drain_timer; /* pending only while something drains */
	struct event *look_timer;  /* pending only while a group has passive checks */
	struct event *judge_timer;
	struct live_groups groups;
};

static void on_drain_timer(int fd, short what, void *arg);
static void on_look_timer(int fd, short what, void *arg);
static void on_judge_timer(int fd, short what, void *arg);

struct registry *registry_new(const struct registry_config *config, struct err *err)
{
	static const struct timeval window = {ANOMALY_WINDOW_MS / 1000, 0};
	struct registry *registry = calloc(1, sizeof(*registry));

	if (!registry) {
		err_set(err, ENOMEM, "out of memory");
		return NULL;
	}
	registry->config = *config;
	TAILQ_INIT(&registry->groups);
	registry->prober = prober_new(config->base, config->curl, config->health_log, err);
	registry->look_timer = event_new(config->base, -1, EV_PERSIST, on_look_timer, registry);
	registry->judge_timer = event_new(config->base, -1, EV_PERSIST, on_judge_timer, registry);
	registry->drain_timer = evtimer_new(config->base, on_drain_timer, registry);
	if (!registry->prober || !registry->drain_timer || !registry->look_timer ||
	    !registry->judge_timer || event_add(registry->judge_timer, &window) < 0) {
		registry_free(registry);
		return NULL;
	}
	return registry;
}

static void free_target(struct live_target *live)
{
	prober_stop(live);
	TAILQ_REMOVE(&live->group->targets, live, link);
	target_unref(live->target);
	free(live);
}

static void free_group(struct registry *registry, struct live_group *group)
{
	while (!TAILQ_EMPTY(&group->targets))
		free_target(TAILQ_FIRST(&group->targets));
	TAILQ_REMOVE(&registry->groups, group, link);
	json_decref(group->zones);
	free(group);
}

void registry_free(struct registry *registry)
{
	if (!registry)
		return;
	while (!TAILQ_EMPTY(&registry->groups))
		free_group(registry, TAILQ_FIRST(&registry->groups));
	if (registry->drain_timer)
		event_free(registry->drain_timer);
	if (registry->look_timer)
		event_free(registry->look_timer);
	if (registry->judge_timer)
		event_free(registry->judge_timer);
	prober_free(registry->prober);
	free(registry);
}

struct live_groups *registry_groups(struct registry *registry)
{
	return &registry->groups;
}

struct live_group *registry_group(struct registry *registry, const char *arn)
{
	struct live_group *group;

	TAILQ_FOREACH (group, &registry->groups, link) {
		if (strcmp(group->arn, arn) == 0)
			return group;
	}
	return NULL;
}

/* The address with the port in it. */
static int make_target(struct registry *registry, struct live_target *live, const char *address)
{
	struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(live->port)};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(live->port)};
	bool is_v4 = inet_pton(AF_INET, address, &v4.sin_addr) == 1;
	struct target_config config = {
	    .id = live->id,
	    .addr = is_v4 ? (struct sockaddr *)&v4 : (struct sockaddr *)&v6,
	    .addr_len = is_v4 ? sizeof(v4) : sizeof(v6),
	    .zone = live->zone,
	    .n_lanes = registry->config.n_lanes,
	};
	struct err err = {0};

	if (!is_v4 && inet_pton(AF_INET6, address, &v6.sin6_addr) != 1)
		return -1;
	live->target = target_new(&config, &err);
	return live->target ? 0 : -1;
}

/* Is the target's zone one of the load balancer's? */
static bool is_zone_enabled(const struct live_target *live)
{
	return json_array_size(live->group->zones) == 0 || !live->zone[0] ||
	       strcmp(live->zone, "all") == 0 ||
	       doc_find(live->group->zones, "ZoneName", live->zone) != NULL;
}

bool registry_serves(const struct registry *registry, const struct live_target *live)
{
	const char *own = registry->config.zone ? registry->config.zone : "";

	return live->group->is_cross_zone || zone_is_near(own, live->zone);
}

/* In use and addressed: probe it.  Otherwise it is unused, or still registering. */
static void settle(struct registry *registry, struct live_target *live)
{
	enum target_state state = live->health.state;

	if (state == TARGET_DRAINING)
		return;
	if (!live->group->load_balancer[0]) {
		prober_stop(live);
		health_set(&live->health, TARGET_UNUSED, HEALTH_NOT_IN_USE);
	} else if (!is_zone_enabled(live)) {
		prober_stop(live);
		health_set(&live->health, TARGET_UNUSED, HEALTH_ZONE_NOT_ENABLED);
	} else if (!live->target) {
		if (live->health.reason != HEALTH_INVALID_STATE)
			health_set(&live->health, TARGET_INITIAL, HEALTH_REGISTRATION_IN_PROGRESS);
	} else if (prober_start(registry->prober, live) < 0) {
		health_set(&live->health, TARGET_UNAVAILABLE, HEALTH_INTERNAL_ERROR);
	}
	live_target_publish(live);
}

static bool is_of(const struct live_target *live, const char *id, int64_t port)
{
	return live->port == port && strcmp(live->id, id) == 0;
}

/* likely: tried first, as both lists are in the order of registration.  NULL = none. */
static struct live_target *find_target(struct live_group *group, struct live_target *likely,
				       const json_t *document)
{
	const char *id = doc_str(document, "Id", "");
	int64_t port = doc_int(document, "Port", 0);
	struct live_target *live;

	if (likely && is_of(likely, id, port))
		return likely;
	TAILQ_FOREACH (live, &group->targets, link) {
		if (is_of(live, id, port))
			return live;
	}
	return NULL;
}

static struct live_target *add_target(struct registry *registry, struct live_group *group,
				      const json_t *document)
{
	struct live_target *live = calloc(1, sizeof(*live));

	if (!live)
		return NULL;
	live->group = group;
	snprintf(live->id, sizeof(live->id), "%s", doc_str(document, "Id", ""));
	live->port = (uint16_t)doc_int(document, "Port", 0);
	snprintf(live->zone, sizeof(live->zone), "%s", doc_str(document, "AvailabilityZone", ""));
	live->is_instance = id_is_ec2(live->id, "i");
	health_init(&live->health);
	anomaly_init(&live->anomaly);
	if (!live->is_instance && make_target(registry, live, live->id) < 0) {
		free(live);
		return NULL;
	}
	live_target_join(live);
	TAILQ_INSERT_TAIL(&group->targets, live, link);
	log_info("target-registered", "group=%s target=%s port=%u", group->arn, live->id,
		 live->port);
	return live;
}

/* Registered again while it drained: it starts over. */
static void revive(struct live_target *live)
{
	log_info("target-registered", "group=%s target=%s port=%u was=draining", live->group->arn,
		 live->id, live->port);
	health_init(&live->health);
}

static void start_draining(struct registry *registry, struct live_target *live)
{
	static const struct timeval soon = {0, DRAIN_CHECK_MS * 1000};

	prober_stop(live);
	health_set(&live->health, TARGET_DRAINING, HEALTH_DEREGISTRATION_IN_PROGRESS);
	live_target_publish(live);
	live->drain_until_ms = clock_monotonic_us() / 1000 + live->group->drain_ms;
	log_info("target-draining", "group=%s target=%s port=%u for_ms=%lld", live->group->arn,
		 live->id, live->port, (long long)live->group->drain_ms);
	if (!evtimer_pending(registry->drain_timer, NULL))
		evtimer_add(registry->drain_timer, &soon);
}

/* Requests in flight may finish until the delay has run out. */
static bool is_drained(const struct live_target *live, int64_t now_ms)
{
	return !live->target || now_ms >= live->drain_until_ms ||
	       target_in_flight(live->target) == 0;
}

/* True while others still drain. */
static bool drain_group(struct registry *registry, struct live_group *group, int64_t now_ms)
{
	struct live_target *live, *next;
	bool is_draining = false;

	TAILQ_FOREACH_SAFE (live, &group->targets, link, next) {
		if (live->health.state != TARGET_DRAINING)
			continue;
		if (!is_drained(live, now_ms)) {
			is_draining = true;
			continue;
		}
		log_info("target-gone", "group=%s target=%s port=%u in_flight=%llu", group->arn,
			 live->id, live->port,
			 live->target ? (unsigned long long)target_in_flight(live->target) : 0);
		if (live->target && registry->config.on_cut && target_in_flight(live->target) > 0)
			registry->config.on_cut(registry->config.arg, live->target);
		free_target(live);
	}
	return is_draining;
}

static void on_drain_timer(int fd, short what, void *arg)
{
	static const struct timeval again = {0, DRAIN_CHECK_MS * 1000};
	struct registry *registry = arg;
	int64_t now_ms = clock_monotonic_us() / 1000;
	bool is_draining = false;
	struct live_group *group;

	(void)fd;
	(void)what;
	TAILQ_FOREACH (group, &registry->groups, link)
		is_draining |= drain_group(registry, group, now_ms);
	if (is_draining)
		evtimer_add(registry->drain_timer, &again);
}

static void on_look_timer(int fd, short what, void *arg)
{
	struct registry *registry = arg;
	struct live_group *group;

	(void)fd;
	(void)what;
	TAILQ_FOREACH (group, &registry->groups, link)
		live_group_look(group);
}

static void on_judge_timer(int fd, short what, void *arg)
{
	struct registry *registry = arg;
	struct live_group *group;

	(void)fd;
	(void)what;
	TAILQ_FOREACH (group, &registry->groups, link)
		live_group_judge(group);
}

/* Looks at streaks as long as a group has passive checks. */
static void set_look_timer(struct registry *registry)
{
	static const struct timeval often = {0, WATCH_LOOK_MS * 1000};
	const struct live_group *group;
	bool is_wanted = false;

	TAILQ_FOREACH (group, &registry->groups, link)
		is_wanted |= group->passive_fives > 0 || group->passive_breaks > 0;
	if (!is_wanted)
		event_del(registry->look_timer);
	else if (!event_pending(registry->look_timer, EV_TIMEOUT, NULL))
		event_add(registry->look_timer, &often);
}

static int sync_targets(struct registry *registry, struct live_group *group, const json_t *targets)
{
	struct live_target *live, *next = TAILQ_FIRST(&group->targets);
	const json_t *document;
	size_t i;

	TAILQ_FOREACH (live, &group->targets, link)
		live->is_seen = false;
	json_array_foreach (targets, i, document) {
		live = find_target(group, next, document);
		if (!live)
			live = add_target(registry, group, document);
		else if (live->health.state == TARGET_DRAINING)
			revive(live);
		if (!live)
			return -1;
		live->is_seen = true;
		settle(registry, live);
		next = TAILQ_NEXT(live, link);
	}
	TAILQ_FOREACH_SAFE (live, &group->targets, link, next) {
		if (!live->is_seen && live->health.state != TARGET_DRAINING)
			start_draining(registry, live);
	}
	return 0;
}

static void read_check(struct health_check *check, const json_t *group)
{
	const char *port = doc_str(group, "HealthCheckPort", "traffic-port");

	check->is_https = strcmp(doc_str(group, "HealthCheckProtocol", "HTTP"), "HTTPS") == 0;
	check->port = (uint16_t)strtoul(port, NULL, 10); /* 0 for traffic-port */
	snprintf(check->path, sizeof(check->path), "%s", doc_str(group, "HealthCheckPath", "/"));
	snprintf(check->matcher, sizeof(check->matcher), "%s",
		 doc_str(doc_object(group, "Matcher"), "HttpCode", "200"));
	check->interval_ms = (int)doc_int(group, "HealthCheckIntervalSeconds", 30) * 1000;
	check->timeout_ms = (int)doc_int(group, "HealthCheckTimeoutSeconds", 5) * 1000;
	check->thresholds.healthy = (unsigned)doc_int(group, "HealthyThresholdCount", 5);
	check->thresholds.unhealthy = (unsigned)doc_int(group, "UnhealthyThresholdCount", 2);
}

static long number_of(const json_t *attributes, const char *key)
{
	return strtol(elb_target_group_attribute(attributes, key), NULL, 10); /* "off" is 0 */
}

static bool is_on(const json_t *attributes, const char *key, const char *value)
{
	return strcmp(elb_target_group_attribute(attributes, key), value) == 0;
}

static void read_minimum(const json_t *attributes, const char *state, struct healthy_minimum *out)
{
	char key[128];

	snprintf(key, sizeof(key), "target_group_health.%s.minimum_healthy_targets.count", state);
	out->count = (unsigned)number_of(attributes, key);
	snprintf(key, sizeof(key), "target_group_health.%s.minimum_healthy_targets.percentage",
		 state);
	out->percent = (unsigned)number_of(attributes, key);
}

static void read_attributes(struct live_group *group, const json_t *attributes)
{
	bool is_sticky = is_on(attributes, "stickiness.enabled", "true");
	bool is_app = is_on(attributes, "stickiness.type", "app_cookie");
	long interval_ms = number_of(attributes, "health_check.interval_ms");
	long timeout_ms = number_of(attributes, "health_check.timeout_ms");

	group->drain_ms = number_of(attributes, "deregistration_delay.timeout_seconds") * 1000;
	group->slow_start_s = (unsigned)number_of(attributes, "slow_start.duration_seconds");
	group->mitigates = is_on(attributes, "load_balancing.algorithm.anomaly_mitigation", "on");
	group->is_cross_zone = !is_on(attributes, "load_balancing.cross_zone.enabled", "false");
	group->has_lb_cookie = is_sticky && !is_app;
	group->has_app_cookie = is_sticky && is_app;
	read_minimum(attributes, "unhealthy_state_routing", &group->routing_minimum);
	read_minimum(attributes, "dns_failover", &group->dns_minimum);
	group->passive_fives =
	    (unsigned)number_of(attributes, "health_check.passive.consecutive_5xx");
	group->passive_breaks =
	    (unsigned)number_of(attributes, "health_check.passive.consecutive_connection_errors");
	if (interval_ms > 0)
		group->check.interval_ms = (int)interval_ms;
	if (timeout_ms > 0)
		group->check.timeout_ms = (int)timeout_ms;
	if (group->check.timeout_ms > group->check.interval_ms)
		group->check.timeout_ms = group->check.interval_ms;
}

/* The zones of the load balancer that uses the group. */
static json_t *zones_of(struct store *store, const char *load_balancer)
{
	char key[ELB_KEY_MAX];
	const json_t *document = NULL;

	if (load_balancer[0] && resource_key(load_balancer, RESOURCE_LOAD_BALANCER, key) == 0)
		document = store_peek(store, key, NULL);
	return json_incref((json_t *)doc_array(document, "AvailabilityZones"));
}

/* Any load balancer whose rules forward to the group; "" = none does. */
static void read_load_balancer(struct live_group *group, const struct elb_api *api)
{
	json_t *users = group_load_balancers(api, group->arn);
	const char *arn = json_string_value(json_array_get(users, 0));

	snprintf(group->load_balancer, sizeof(group->load_balancer), "%s", arn ? arn : "");
	json_decref(users);
}

static void read_group(struct live_group *group, const struct elb_api *api, const json_t *document)
{
	char key[ELB_KEY_MAX];
	const json_t *attributes = NULL;

	snprintf(group->name, sizeof(group->name), "%s", doc_str(document, "TargetGroupName", ""));
	read_load_balancer(group, api);
	json_decref(group->zones);
	group->zones = zones_of(api->store, group->load_balancer);
	if (resource_side_key(group->arn, "attributes", key) == 0)
		attributes = store_peek(api->store, key, NULL);
	read_check(&group->check, document);
	read_attributes(group, attributes);
}

static int sync_group(struct registry *registry, const struct elb_api *api, const json_t *document)
{
	const char *arn = doc_str(document, "TargetGroupArn", "");
	struct live_group *group = registry_group(registry, arn);

	if (!group) {
		group = calloc(1, sizeof(*group));
		if (!group)
			return -1;
		snprintf(group->arn, sizeof(group->arn), "%s", arn);
		TAILQ_INIT(&group->targets);
		TAILQ_INSERT_TAIL(&registry->groups, group, link);
	}
	group->is_seen = true;
	read_group(group, api, document);
	return sync_targets(registry, group, resource_side_peek(api, arn, "targets", "Targets"));
}

int registry_sync(struct registry *registry, const struct elb_api *api, struct err *err)
{
	json_t *documents = resource_list(api->store, "elb/targetgroup/");
	struct live_group *group, *next;
	const json_t *document;
	int result = 0;
	size_t i;

	TAILQ_FOREACH (group, &registry->groups, link)
		group->is_seen = false;
	json_array_foreach (documents, i, document)
		result |= sync_group(registry, api, document);
	json_decref(documents);
	TAILQ_FOREACH_SAFE (group, &registry->groups, link, next) {
		if (!group->is_seen)
			free_group(registry, group);
	}
	set_look_timer(registry);
	if (result < 0)
		err_set(err, ENOMEM, "out of memory");
	return result;
}

static json_t *describe_health(const struct health *health)
{
	char text[HEALTH_DESCRIPTION_MAX];

	return json_pack("{s:s,s:s*,s:s*}", "State", target_state_name(health->state), "Reason",
			 health_reason_name(health->reason), "Description",
			 health_description(health, text));
}

static json_t *describe_target(const struct live_target *live)
{
	uint16_t port = live->group->check.port ? live->group->check.port : live->port;
	char text[8];

	snprintf(text, sizeof(text), "%u", port);
	return json_pack("{s:{s:s,s:i,s:s*},s:s,s:o,s:{s:s,s:s}}", "Target", "Id", live->id, "Port",
			 (int)live->port, "AvailabilityZone", live->zone[0] ? live->zone : NULL,
			 "HealthCheckPort", text, "TargetHealth", describe_health(&live->health),
			 "AnomalyDetection", "Result",
			 live->anomaly.is_anomalous ? "anomalous" : "normal", "MitigationInEffect",
			 live->anomaly.weight < SHARE_FULL ? "yes" : "no");
}

json_t *registry_describe(struct registry *registry, const char *arn)
{
	struct live_group *group = registry_group(registry, arn);
	json_t *list = json_array();
	struct live_target *live;

	if (!group)
		return list;
	TAILQ_FOREACH (live, &group->targets, link)
		json_array_append_new(list, describe_target(live));
	return list;
}

/* One registration of the instance; true when the set of addresses changed. */
static bool set_address(struct registry *registry, struct live_target *live, const char *address,
			const char *zone)
{
	bool had_target = live->target != NULL;

	if (!address) {
		prober_stop(live);
		health_set(&live->health, TARGET_UNUSED, HEALTH_INVALID_STATE);
		live_target_publish(live);
		target_unref(live->target);
		live->target = NULL;
		return had_target;
	}
	if (had_target)
		return false;
	if (zone && !live->zone[0])
		snprintf(live->zone, sizeof(live->zone), "%s", zone);
	if (make_target(registry, live, address) < 0) {
		log_error("target-address", "target=%s address=%s", live->id, address);
		return false;
	}
	health_init(&live->health);
	settle(registry, live);
	return true;
}

void registry_instance(struct registry *registry, const char *id, const char *address,
		       const char *zone)
{
	struct live_group *group;
	struct live_target *live;
	bool is_changed = false;

	TAILQ_FOREACH (group, &registry->groups, link) {
		TAILQ_FOREACH (live, &group->targets, link) {
			if (live->is_instance && live->health.state != TARGET_DRAINING &&
			    strcmp(live->id, id) == 0)
				is_changed |= set_address(registry, live, address, zone);
		}
	}
	if (is_changed)
		registry->config.on_change(registry->config.arg);
}

void registry_instances(struct registry *registry,
			void (*fn)(void *arg, const char *id, bool is_resolved), void *arg)
{
	struct live_group *group;
	struct live_target *live;

	TAILQ_FOREACH (group, &registry->groups, link) {
		TAILQ_FOREACH (live, &group->targets, link) {
			if (live->is_instance && live->health.state != TARGET_DRAINING)
				fn(arg, live->id, live->target != NULL);
		}
	}
}
