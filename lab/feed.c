/* See feed.h. */
#include "lab/feed.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/doc/doc.h"

enum {
	SECOND_MS = 1000,
	AFTER_MS = 10, /* into a second, so that the one before is surely over */
	MAX_PENDING = 3,
	QUIET_US = 10 * 1000 * 1000,
};

struct feed {
	struct ec2 *ec2;
	struct process_runtime *runtime;
	struct aws_client *client;
	struct lifecycle *lifecycle;
	struct event *timer;
	int n_pending;
	int64_t complained_us; /* a scaler that is away is mentioned now and then only */
	json_t *metric_data;   /* while sampling */
	char timestamp[CLOCK_TEXT_MAX];
};

static json_t *datum(const char *dimension, const char *value, const char *timestamp)
{
	return json_pack("{s:s, s:[{s:s, s:s}], s:s, s:s, s:i}", "MetricName", "CPUUtilization",
			 "Dimensions", "Name", dimension, "Value", value, "Timestamp", timestamp,
			 "Unit", "Percent", "StorageResolution", 1);
}

/* The group's datum, which carries a value for each of its instances. */
static json_t *group_datum(json_t *metric_data, const char *group, const char *timestamp)
{
	json_t *one;
	size_t i;

	json_array_foreach (metric_data, i, one) {
		const json_t *dimension = json_array_get(doc_array(one, "Dimensions"), 0);

		if (doc_has(one, "Values") && strcmp(doc_str(dimension, "Value", ""), group) == 0)
			return one;
	}
	one = datum("AutoScalingGroupName", group, timestamp);
	if (one == NULL || json_object_set_new(one, "Values", json_array()) != 0 ||
	    json_array_append_new(metric_data, one) != 0)
		return NULL;
	return one;
}

int feed_add(json_t *metric_data, const char *instance_id, const char *group, double percent,
	     const char *timestamp)
{
	json_t *own = datum("InstanceId", instance_id, timestamp), *shared;

	if (own == NULL || json_object_set_new(own, "Value", json_real(percent)) != 0 ||
	    json_array_append_new(metric_data, own) != 0)
		return -1;
	if (group == NULL)
		return 0;
	shared = group_datum(metric_data, group, timestamp);
	return shared == NULL
		   ? -1
		   : json_array_append_new(json_object_get(shared, "Values"), json_real(percent));
}

static void on_cpu(void *arg, const char *instance_id, double percent)
{
	struct feed *feed = arg;
	char key[EC2_KEY_MAX];
	const json_t *tags;
	const char *group;
	json_t *document;

	snprintf(key, sizeof(key), "%s%s", ec2_instances.folder, instance_id);
	document = store_get(feed->ec2->store, key, NULL);
	tags = doc_array(document, "Tags");
	group = doc_kv_get(tags, "aws:autoscaling:groupName",
			   doc_kv_get(tags, "albatross:autoscaling:groupName", NULL));
	if (group != NULL)
		lifecycle_want(feed->lifecycle);
	if (lifecycle_is_warm(feed->lifecycle, instance_id))
		group = NULL;
	if (feed_add(feed->metric_data, instance_id, group, percent, feed->timestamp) != 0)
		log_warn("out-of-memory", "what=cpu-datum");
	json_decref(document);
}

static void complain(struct feed *feed, const char *why)
{
	int64_t now_us = clock_monotonic_us();

	if (now_us - feed->complained_us < QUIET_US)
		return;
	feed->complained_us = now_us;
	log_warn("cpu-not-sent", "why=\"%s\"", why);
}

static void on_sent(void *arg, const json_t *output, const struct aws_error *error)
{
	struct feed *feed = arg;

	(void)output;
	feed->n_pending--;
	if (error->http_status != 0)
		complain(feed, error->message[0] != '\0' ? error->message : error->code);
}

static void send_all(struct feed *feed)
{
	json_t *input =
	    json_pack("{s:s, s:O}", "Namespace", "AWS/EC2", "MetricData", feed->metric_data);
	struct err err = {0};

	if (input != NULL &&
	    aws_client_call(feed->client, "PutMetricData", input, on_sent, feed, &err) != NULL)
		feed->n_pending++;
	else
		complain(feed, err.text);
	json_decref(input);
}

int feed_pause_ms(int64_t now_ms)
{
	int pause_ms = SECOND_MS + AFTER_MS - (int)(now_ms % SECOND_MS);

	/* Woken a little early, or late: not twice for one second. */
	return pause_ms < SECOND_MS / 2 ? pause_ms + SECOND_MS : pause_ms;
}

static int wait_for_second(struct feed *feed)
{
	int ms = feed_pause_ms(clock_now_ms(NULL));
	struct timeval pause = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000L};

	return event_add(feed->timer, &pause);
}

/* A datapoint is named by the start of its period: the second that has just passed.  So it is
 * whole when it arrives, and the scaler need not wait for the rest of it. */
static void on_second(evutil_socket_t fd, short what, void *arg)
{
	int64_t now_ms = clock_now_ms(NULL);
	struct feed *feed = arg;

	(void)fd;
	(void)what;
	wait_for_second(feed);
	feed->metric_data = json_array();
	if (feed->metric_data == NULL)
		return;
	clock_format_iso_ms(now_ms - now_ms % SECOND_MS - SECOND_MS, feed->timestamp);
	process_runtime_sample(feed->runtime, on_cpu, feed);
	/* A scaler that does not answer gets no queue: old seconds are worth nothing. */
	if (json_array_size(feed->metric_data) > 0 && feed->n_pending < MAX_PENDING)
		send_all(feed);
	json_decref(feed->metric_data);
	feed->metric_data = NULL;
}

struct feed *feed_new(struct event_base *base, struct ec2 *ec2, struct process_runtime *runtime,
		      struct aws_client *client, struct lifecycle *lifecycle, struct err *err)
{
	struct feed *feed = calloc(1, sizeof(*feed));

	if (feed == NULL)
		goto oom;
	*feed = (struct feed){.ec2 = ec2,
			      .runtime = runtime,
			      .client = client,
			      .lifecycle = lifecycle,
			      .complained_us = -QUIET_US};
	feed->timer = evtimer_new(base, on_second, feed);
	if (feed->timer != NULL && wait_for_second(feed) == 0)
		return feed;
oom:
	feed_free(feed);
	err_set(err, ENOMEM, "out of memory");
	return NULL;
}

void feed_free(struct feed *feed)
{
	if (feed == NULL)
		return;
	if (feed->timer != NULL)
		event_free(feed->timer);
	free(feed);
}
