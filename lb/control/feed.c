/* See feed.h. */
#include "lb/control/feed.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/doc/doc.h"
#include "lb/api/resource.h"
#include "lb/control/metric_data.h"

enum { DATA_PER_CALL = 500, CALLS_KEPT = 120, SECOND_MS = 1000 };
enum {
	AFTER_MS = 5,  /* into a second, so that the one before is surely over */
	EARLY_MS = 95, /* that a timer may be, as the clock has it */
};

struct feed_lb {
	char resource[ARN_MAX];
	unsigned slot;
	uint64_t last[LB_COUNTER_COUNT];
	struct group_counters groups;                    /* this second's, summed over its groups */
	bool has_targets, has_lb_cookie, has_app_cookie; /* this second's: any of its groups */
	bool is_seen;
	TAILQ_ENTRY(feed_lb) link;
};

struct feed_group {
	char arn[ARN_MAX], resource[ARN_MAX];
	unsigned slot;
	struct group_counters last;
	bool is_seen;
	TAILQ_ENTRY(feed_group) link;
};

struct batch {
	json_t *input; /* of PutMetricData */
	TAILQ_ENTRY(batch) link;
};

struct feed {
	struct feed_config config;
	struct event *timer;
	struct aws_client_call *call; /* sends the first batch */
	TAILQ_HEAD(, feed_lb) lbs;
	TAILQ_HEAD(, feed_group) groups;
	TAILQ_HEAD(, batch) batches;
	struct feed_state state;
};

static void on_second(int fd, short what, void *arg);
static void send_first(struct feed *feed);

/* A datapoint is named by the start of its period: the second that has just passed.  So it is whole
 * when it arrives, and who reads it need not wait for the rest. */
static int wait_for_second(struct feed *feed)
{
	int pause_ms = SECOND_MS + AFTER_MS - (int)(clock_now_ms(NULL) % SECOND_MS);
	struct timeval pause;

	/* Woken a little early, or late: not twice for one second. */
	if (pause_ms < SECOND_MS / 2)
		pause_ms += SECOND_MS;
	pause = (struct timeval){pause_ms / 1000, pause_ms % 1000 * 1000L};
	return event_add(feed->timer, &pause);
}

struct feed *feed_new(const struct feed_config *config, struct err *err)
{
	struct feed *feed = calloc(1, sizeof(*feed));

	if (!feed)
		goto oom;
	feed->config = *config;
	TAILQ_INIT(&feed->lbs);
	TAILQ_INIT(&feed->groups);
	TAILQ_INIT(&feed->batches);
	feed->timer = event_new(config->base, -1, 0, on_second, feed);
	if (feed->timer && wait_for_second(feed) == 0)
		return feed;
oom:
	feed_free(feed);
	err_set(err, ENOMEM, "out of memory");
	return NULL;
}

static void drop_first(struct feed *feed)
{
	struct batch *batch = TAILQ_FIRST(&feed->batches);

	TAILQ_REMOVE(&feed->batches, batch, link);
	feed->state.n_waiting--;
	json_decref(batch->input);
	free(batch);
}

void feed_free(struct feed *feed)
{
	struct feed_lb *lb;
	struct feed_group *group;

	if (!feed)
		return;
	if (feed->call)
		aws_client_cancel(feed->call);
	while (!TAILQ_EMPTY(&feed->batches))
		drop_first(feed);
	while ((lb = TAILQ_FIRST(&feed->lbs)) != NULL) {
		TAILQ_REMOVE(&feed->lbs, lb, link);
		free(lb);
	}
	while ((group = TAILQ_FIRST(&feed->groups)) != NULL) {
		TAILQ_REMOVE(&feed->groups, group, link);
		free(group);
	}
	if (feed->timer)
		event_free(feed->timer);
	free(feed);
}

static struct feed_lb *find_lb(struct feed *feed, const char *resource)
{
	struct feed_lb *lb;

	TAILQ_FOREACH (lb, &feed->lbs, link) {
		if (strcmp(lb->resource, resource) == 0)
			return lb;
	}
	return NULL;
}

static bool see_lb(void *arg, const char *key, const json_t *document, int64_t revision)
{
	struct feed *feed = arg;
	const char *resource = resource_suffix(doc_str(document, "LoadBalancerArn", ""));
	struct feed_lb *lb = find_lb(feed, resource);
	int slot;

	(void)key;
	(void)revision;
	if (!lb) {
		slot = counters_lb_slot(feed->config.counters, resource, NULL);
		lb = slot < 0 ? NULL : calloc(1, sizeof(*lb));
		if (!lb)
			return true;
		snprintf(lb->resource, sizeof(lb->resource), "%s", resource);
		lb->slot = (unsigned)slot;
		counters_read_lb(feed->config.counters, lb->slot, lb->last);
		TAILQ_INSERT_TAIL(&feed->lbs, lb, link);
	}
	lb->is_seen = true;
	return true;
}

static struct feed_group *find_group(struct feed *feed, const char *arn)
{
	struct feed_group *group;

	TAILQ_FOREACH (group, &feed->groups, link) {
		if (strcmp(group->arn, arn) == 0)
			return group;
	}
	return NULL;
}

/* Groups that a rule forwards to. */
static void see_group(struct feed *feed, const struct live_group *live)
{
	struct feed_group *group = find_group(feed, live->arn);
	int slot;

	if (!live->load_balancer[0])
		return;
	if (!group) {
		slot = counters_group_slot(feed->config.counters, resource_suffix(live->arn), NULL);
		group = slot < 0 ? NULL : calloc(1, sizeof(*group));
		if (!group)
			return;
		snprintf(group->arn, sizeof(group->arn), "%s", live->arn);
		snprintf(group->resource, sizeof(group->resource), "%s",
			 resource_suffix(live->arn));
		group->slot = (unsigned)slot;
		counters_read_group(feed->config.counters, group->slot, &group->last);
		TAILQ_INSERT_TAIL(&feed->groups, group, link);
	}
	group->is_seen = true;
}

void feed_sync(struct feed *feed)
{
	struct live_group *live;
	struct feed_lb *lb, *next_lb;
	struct feed_group *group, *next_group;

	TAILQ_FOREACH (lb, &feed->lbs, link)
		lb->is_seen = false;
	TAILQ_FOREACH (group, &feed->groups, link)
		group->is_seen = false;
	store_scan(feed->config.store, "elb/loadbalancer/", see_lb, feed);
	TAILQ_FOREACH (live, registry_groups(feed->config.registry), link)
		see_group(feed, live);
	TAILQ_FOREACH_SAFE (lb, &feed->lbs, link, next_lb) {
		if (lb->is_seen)
			continue;
		TAILQ_REMOVE(&feed->lbs, lb, link);
		free(lb);
	}
	TAILQ_FOREACH_SAFE (group, &feed->groups, link, next_group) {
		if (group->is_seen)
			continue;
		TAILQ_REMOVE(&feed->groups, group, link);
		free(group);
	}
}

static void add_counts(struct group_counters *into, const struct group_counters *from)
{
	for (size_t i = 0; i < GROUP_COUNTER_COUNT; i++)
		counter_add(&into->values[i],
			    atomic_load_explicit(&from->values[i], memory_order_relaxed));
	hist_merge(&into->response_time_us, &from->response_time_us);
}

/* counts: what happened since last, which becomes now. */
static void take_group_counts(struct feed *feed, struct feed_group *group,
			      struct group_counters *counts)
{
	static struct group_counters now; /* too big for the stack; this thread's only */

	counters_read_group(feed->config.counters, group->slot, &now);
	memcpy(counts, &now, sizeof(now));
	for (size_t i = 0; i < GROUP_COUNTER_COUNT; i++)
		counts->values[i] -= group->last.values[i];
	hist_subtract(&counts->response_time_us, &group->last.response_time_us);
	memcpy(&group->last, &now, sizeof(now));
}

static uint64_t in_flight(const struct live_group *live)
{
	const struct live_target *target;
	uint64_t n = 0;

	TAILQ_FOREACH (target, &live->targets, link)
		n += target->target ? target_in_flight(target->target) : 0;
	return n;
}

static void tick_group(struct feed *feed, struct feed_group *group,
		       const struct metric_context *context)
{
	static struct group_counters counts; /* as above */
	struct live_group *live = registry_group(feed->config.registry, group->arn);
	struct group_second second = {.resource = group->resource, .counts = &counts};
	struct feed_lb *lb;

	take_group_counts(feed, group, &counts);
	if (!live || !live->load_balancer[0])
		return;
	second.hosts = host_counts_of(feed->config.registry, live);
	second.in_flight = in_flight(live);
	second.load_balancer = resource_suffix(live->load_balancer);
	metric_add_group(context, &second);
	lb = find_lb(feed, second.load_balancer);
	if (!lb)
		return;
	add_counts(&lb->groups, &counts);
	lb->has_targets |= second.hosts.registered > 0;
	lb->has_lb_cookie |= live->has_lb_cookie;
	lb->has_app_cookie |= live->has_app_cookie;
}

static void tick_lb(struct feed *feed, struct feed_lb *lb, const struct metric_context *context)
{
	uint64_t now[LB_COUNTER_COUNT], counts[LB_COUNTER_COUNT];
	struct lb_second second = {.resource = lb->resource,
				   .counts = counts,
				   .groups = &lb->groups,
				   .has_targets = lb->has_targets,
				   .has_lb_cookie = lb->has_lb_cookie,
				   .has_app_cookie = lb->has_app_cookie};

	counters_read_lb(feed->config.counters, lb->slot, now);
	for (size_t i = 0; i < LB_COUNTER_COUNT; i++)
		counts[i] = i == LB_COUNTER_ACTIVE_CONNECTIONS ? now[i] : now[i] - lb->last[i];
	memcpy(lb->last, now, sizeof(now));
	metric_add_lb(context, &second);
	memset(&lb->groups, 0, sizeof(lb->groups));
	lb->has_targets = lb->has_lb_cookie = lb->has_app_cookie = false;
}

static void keep_batch(struct feed *feed, json_t *data)
{
	struct batch *batch = calloc(1, sizeof(*batch));

	if (batch)
		batch->input =
		    json_pack("{s:s,s:O}", "Namespace", "AWS/ApplicationELB", "MetricData", data);
	if (!batch || !batch->input) {
		free(batch);
		feed->state.dropped += json_array_size(data);
		return;
	}
	TAILQ_INSERT_TAIL(&feed->batches, batch, link);
	feed->state.n_waiting++;
}

/* The oldest go; not the one on its way. */
static void limit_batches(struct feed *feed)
{
	while (feed->state.n_waiting > CALLS_KEPT) {
		struct batch *oldest = TAILQ_FIRST(&feed->batches);

		if (feed->call)
			oldest = TAILQ_NEXT(oldest, link);
		feed->state.dropped += json_array_size(doc_array(oldest->input, "MetricData"));
		TAILQ_REMOVE(&feed->batches, oldest, link);
		feed->state.n_waiting--;
		json_decref(oldest->input);
		free(oldest);
	}
}

static void keep_all(struct feed *feed, const json_t *data)
{
	size_t n = json_array_size(data);

	for (size_t start = 0; start < n; start += DATA_PER_CALL) {
		json_t *part = json_array();

		for (size_t i = start; i < n && i < start + DATA_PER_CALL; i++)
			json_array_append(part, json_array_get(data, i));
		keep_batch(feed, part);
		json_decref(part);
	}
	limit_batches(feed);
}

static void on_second(int fd, short what, void *arg)
{
	struct feed *feed = arg;
	char start[CLOCK_TEXT_MAX];
	int64_t at_ms = clock_now_ms(NULL) - SECOND_MS + AFTER_MS + EARLY_MS;
	struct metric_context context = {.data = json_array(),
					 .timestamp = clock_format_iso(at_ms, start),
					 .zone = feed->config.zone};
	struct feed_group *group;
	struct feed_lb *lb;

	(void)fd;
	(void)what;
	wait_for_second(feed);
	TAILQ_FOREACH (group, &feed->groups, link)
		tick_group(feed, group, &context);
	TAILQ_FOREACH (lb, &feed->lbs, link)
		tick_lb(feed, lb, &context);
	keep_all(feed, context.data);
	json_decref(context.data);
	if (!feed->call)
		send_first(feed);
}

static void note_state(struct feed *feed, bool is_down, const struct aws_error *error)
{
	if (feed->state.is_down == is_down)
		return;
	feed->state.is_down = is_down;
	if (is_down)
		log_error("feed-down", "code=%s why=\"%s\"", error->code, error->message);
	else
		log_info("feed-up", "dropped=%llu", (unsigned long long)feed->state.dropped);
}

/* Refused for what it says, not for the moment it came: it would be refused again. */
static bool is_refused(const struct aws_error *error)
{
	return error->http_status >= 400 && error->http_status < 500 && error->http_status != 429 &&
	       !strstr(error->code, "Throttl");
}

static void on_sent(void *arg, const json_t *output, const struct aws_error *error)
{
	struct feed *feed = arg;
	struct batch *first = TAILQ_FIRST(&feed->batches);
	size_t n = json_array_size(doc_array(first->input, "MetricData"));

	(void)output;
	feed->call = NULL;
	note_state(feed, error->http_status != 0, error);
	if (error->http_status == 0)
		feed->state.sent += n;
	else if (is_refused(error))
		feed->state.dropped += n;
	else
		return; /* kept, and tried again at the next tick */
	drop_first(feed);
	send_first(feed);
}

static void send_first(struct feed *feed)
{
	struct batch *first = TAILQ_FIRST(&feed->batches);
	struct err err = {0};

	if (!first)
		return;
	feed->call = aws_client_call(feed->config.client, "PutMetricData", first->input, on_sent,
				     feed, &err);
	if (feed->call)
		return;
	log_error("feed-input", "why=\"%s\"", err.text);
	feed->state.dropped += json_array_size(doc_array(first->input, "MetricData"));
	drop_first(feed);
}

struct feed_state feed_state(const struct feed *feed)
{
	return feed->state;
}
