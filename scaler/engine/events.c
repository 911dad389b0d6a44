/*
 * Events: what happens to instances and refreshes, in EventBridge's form, kept as a list of the
 * newest and delivered to who asked for it: topics of notifications and of lifecycle hooks, and
 * the webhook.  An event is stored with the change that it tells of, and owed until its delivery
 * is acknowledged or given up, so a message survives a crash; one may come twice.  Sending is the
 * owner's.  Pure.  AWS: "EC2 Auto Scaling event reference", "Amazon SNS notification options".
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "scaler/engine/parts.h"

enum {
	ATTEMPTS_MAX = 20,
	DELAY_MAX_MS = 300 * 1000,
	SUBJECT_MAX = 100, /* SNS's limit */
};

static const char *const SERVICE = "AWS Auto Scaling";

/* ---- the list ---- */

static void event_free(struct event *event)
{
	json_decref(event->document);
	json_decref(event->deliveries);
	free(event);
}

static bool is_owed(const json_t *delivery)
{
	return strcmp(doc_str(delivery, "Status", ""), "Pending") == 0;
}

static int count_owed(const struct event *event)
{
	const json_t *delivery;
	int n = 0;
	size_t i;

	json_array_foreach (event->deliveries, i, delivery)
		n += is_owed(delivery);
	return n;
}

static void drop_oldest(struct engine *engine)
{
	struct event *event = TAILQ_LAST(&engine->events.list, events_list);
	int owed = count_owed(event);
	char key[64];

	snprintf(key, sizeof key, "%sevent/%016" PRIu64, ENGINE_KEYS, event->number);
	json_array_append_new(engine->removed, json_string(key));
	TAILQ_REMOVE(&engine->events.list, event, link);
	engine->events.n--;
	engine->events.n_owed -= owed;
	engine->events.n_lost += (uint64_t)owed;
	event_free(event);
}

/* Takes both over. */
static struct event *insert(struct engine *engine, json_t *document, json_t *deliveries)
{
	struct event *event = calloc(1, sizeof *event);

	if (!event || !deliveries) {
		json_decref(document);
		json_decref(deliveries);
		free(event);
		return NULL;
	}
	event->document = document;
	event->deliveries = deliveries;
	event->number = ++engine->events.newest;
	event->is_dirty = engine->events.is_dirty = true;
	TAILQ_INSERT_HEAD(&engine->events.list, event, link);
	engine->events.n++;
	engine->events.n_owed += count_owed(event);
	while (engine->events.n > MAX_EVENTS)
		drop_oldest(engine);
	return event;
}

void events_free(struct engine *engine)
{
	struct event *event;

	while ((event = TAILQ_FIRST(&engine->events.list))) {
		TAILQ_REMOVE(&engine->events.list, event, link);
		event_free(event);
	}
}

/* ---- making ---- */

static void owe(json_t *deliveries, const char *kind, const char *target, const char *subject,
		const json_t *message)
{
	char *text = message ? json_dumps(message, JSON_COMPACT) : NULL;
	json_t *delivery =
	    json_pack("{s:s, s:s, s:s, s:s, s:i, s:i}", "Kind", kind, "Target", target, "Subject",
		      subject, "Status", "Pending", "Attempts", 0, "NextMs", 0);

	if (delivery && text)
		json_object_set_new(delivery, "Message", json_string(text));
	json_array_append_new(deliveries, delivery);
	free(text);
}

static json_t *envelope(const struct group *group, const char *type, const char *instance_id,
			json_t *detail, int64_t now_ms)
{
	const struct engine *engine = group->engine;
	char id[ID_TEXT_MAX], at[CLOCK_TEXT_MAX], arn[ARN_MAX];
	json_t *resources = json_pack("[s]", doc_str(group->document, "AutoScalingGroupARN", ""));

	snprintf(arn, sizeof arn, "arn:aws:ec2:%s:%s:instance/%s", engine->region, engine->account,
		 instance_id);
	if (instance_id[0])
		json_array_append_new(resources, json_string(arn));
	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:o, s:o}", "version", "0", "id",
			 id_uuid(engine->ids, id), "detail-type", type, "source", "aws.autoscaling",
			 "account", engine->account, "time", clock_format_iso(now_ms, at), "region",
			 engine->region, "resources", resources, "detail", detail);
}

/* detail and deliveries are taken over. */
static void add(struct group *group, const char *type, const char *instance_id, json_t *detail,
		json_t *deliveries, int64_t now_ms)
{
	json_t *document = detail ? envelope(group, type, instance_id, detail, now_ms) : NULL;

	if (document && deliveries && group->engine->events.has_webhook)
		owe(deliveries, "webhook", "webhook", "", NULL);
	(void)insert(group->engine, document, deliveries);
}

void event_tell(struct group *group, const char *type, json_t *detail, int64_t now_ms)
{
	add(group, type, doc_str(detail, "EC2InstanceId", ""), detail, json_array(), now_ms);
}

/* What every message to a topic holds. */
static json_t *message_head(const struct group *group, const char *request_id, int64_t now_ms)
{
	char at[CLOCK_TEXT_MAX];

	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "Service", SERVICE, "Time",
			 clock_format_iso_ms(now_ms, at), "RequestId", request_id, "AccountId",
			 group->engine->account, "AutoScalingGroupARN",
			 doc_str(group->document, "AutoScalingGroupARN", ""),
			 "AutoScalingGroupName", group->name);
}

/* SNS takes up to 100 characters of printable ASCII. */
static void make_subject(char subject[SUBJECT_MAX + 1], const char *format, ...) PRINTF_LIKE(2, 3);

static void make_subject(char subject[SUBJECT_MAX + 1], const char *format, ...)
{
	char whole[2 * NAME_MAX_LEN];
	va_list args;

	va_start(args, format);
	vsnprintf(whole, sizeof whole, format, args);
	va_end(args);
	text_copy(subject, SUBJECT_MAX + 1, whole);
	for (char *c = subject; *c != '\0'; c++)
		if (*c < ' ' || *c > '~')
			*c = '?';
}

void event_test(struct group *group, const char *topic, int64_t now_ms)
{
	char id[ID_TEXT_MAX], subject[SUBJECT_MAX + 1];
	json_t *message = message_head(group, id_uuid(group->engine->ids, id), now_ms);
	json_t *deliveries = json_array();

	json_object_set_new(message, "Event", json_string("autoscaling:TEST_NOTIFICATION"));
	make_subject(subject, "Auto Scaling: test notification for group \"%.50s\"", group->name);
	owe(deliveries, "sns", topic, subject, message);
	json_decref(message);
	(void)insert(group->engine, NULL, deliveries);
}

/* ---- activities ---- */

struct course {
	const char *description; /* how the activity's begins */
	bool is_launch;
	const char *origin, *destination;
};

static const char *const POOL = "WarmPool", *const GROUP = "AutoScalingGroup", *const EC2 = "EC2";

/* The longer ones first. */
static const struct course *course_of(const struct activity *activity)
{
	static const struct course courses[] = {
	    {"Launching a new EC2 instance into warm pool", true, "EC2", "WarmPool"},
	    {"Launching a new EC2 instance from warm pool", true, "WarmPool", "AutoScalingGroup"},
	    {"Launching a new EC2 instance", true, "EC2", "AutoScalingGroup"},
	    {"Terminating EC2 instance from warm pool", false, "WarmPool", "EC2"},
	    {"Terminating EC2 instance", false, "AutoScalingGroup", "EC2"},
	    {"Moving EC2 instance to warm pool", false, "AutoScalingGroup", "WarmPool"},
	};

	for (size_t i = 0; i < sizeof courses / sizeof courses[0]; i++) {
		const char *text = courses[i].description;

		if (strncmp(activity->description, text, strlen(text)) == 0)
			return &courses[i];
	}
	return NULL;
}

/* "...: i-0123"; "": it has none. */
static const char *instance_in(const struct activity *activity)
{
	const char *id = strrchr(activity->description, ' ');

	return id && strncmp(id + 1, "i-", 2) == 0 ? id + 1 : "";
}

static json_t *details_of(const struct activity *activity)
{
	json_t *details = json_pack("{s:s}", "Availability Zone", activity->zone);

	if (activity->subnet_id[0])
		json_object_set_new(details, "Subnet ID", json_string(activity->subnet_id));
	if (activity->alarms)
		json_object_set(details, "InvokingAlarms", activity->alarms);
	return details;
}

/* StatusCode of what went well is InProgress, as in AWS's own messages. */
static json_t *detail_of(const struct activity *activity, const struct course *course)
{
	bool is_good = activity->status == ACTIVITY_SUCCESSFUL;
	char start[CLOCK_TEXT_MAX], end[CLOCK_TEXT_MAX];
	json_t *out = json_pack(
	    "{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:o}", "StatusCode",
	    is_good ? "InProgress" : activity_status_name(activity->status), "Description",
	    activity->description, "AutoScalingGroupName", activity->group, "ActivityId",
	    activity->id, "RequestId", activity->id, "StatusMessage", activity->message,
	    "StartTime", clock_format_iso_ms(activity->start_ms, start), "EndTime",
	    clock_format_iso_ms(activity->end_ms, end), "EC2InstanceId", instance_in(activity),
	    "Cause", activity->cause, "Origin", course->origin, "Destination", course->destination,
	    "Details", details_of(activity));

	return out;
}

static void owe_topics(struct group *group, const struct activity *activity,
		       const struct course *course, const json_t *detail, json_t *deliveries)
{
	bool is_good = activity->status == ACTIVITY_SUCCESSFUL;
	const char *what = course->is_launch ? "launch" : "termination";
	json_t *message = message_head(group, activity->id, activity->end_ms), *entry;
	char type[64], subject[SUBJECT_MAX + 1];
	size_t i;

	snprintf(type, sizeof type, "autoscaling:EC2_INSTANCE_%s%s",
		 course->is_launch ? "LAUNCH" : "TERMINATE", is_good ? "" : "_ERROR");
	make_subject(subject, "Auto Scaling: %s%s for group \"%.50s\"", is_good ? "" : "failed ",
		     what, activity->group);
	json_object_update(message, (json_t *)detail);
	json_object_set_new(message, "Event", json_string(type));
	json_object_set_new(message, "Progress",
			    json_integer(!is_good            ? 100
					 : course->is_launch ? 50
							     : 60));
	json_array_foreach (doc_array(group->document, "Notifications"), i, entry) {
		if (doc_list_has(doc_array(entry, "Types"), type))
			owe(deliveries, "sns", doc_str(entry, "TopicARN", ""), subject, message);
	}
	json_decref(message);
}

void event_of_activity(struct activity *activity)
{
	const struct course *course = course_of(activity);
	struct group *group =
	    activity->engine ? engine_group(activity->engine, activity->group) : NULL;
	bool is_good = activity->status == ACTIVITY_SUCCESSFUL;
	json_t *detail, *deliveries;
	char type[64];

	/* A launch that was only waited for has no instance. */
	if (!course || !group ||
	    (activity->status == ACTIVITY_CANCELLED && !instance_in(activity)[0]))
		return;
	snprintf(type, sizeof type, "EC2 Instance %s %s",
		 course->is_launch ? "Launch" : "Terminate",
		 is_good ? "Successful" : "Unsuccessful");
	detail = detail_of(activity, course);
	deliveries = json_array();
	if (detail && deliveries)
		owe_topics(group, activity, course, detail, deliveries);
	add(group, type, instance_in(activity), detail, deliveries, activity->end_ms);
}

/* ---- lifecycle hooks ---- */

static const char *origin_of(const struct instance *instance)
{
	if (instance->state == INSTANCE_PENDING)
		return instance->is_from_pool ? POOL : EC2;
	if (instance->state == INSTANCE_WARMING)
		return EC2;
	return instance->is_warm && instance->state == INSTANCE_TERMINATING ? POOL : GROUP;
}

static const char *destination_of(const struct instance *instance)
{
	if (instance->state == INSTANCE_PENDING)
		return GROUP;
	return instance_is_pooled(instance) ? POOL : EC2;
}

void event_of_hook(struct group *group, const struct instance *instance, const json_t *hook,
		   const json_t *waiting, int64_t now_ms)
{
	const char *transition = doc_str(hook, "LifecycleTransition", "");
	const char *topic = doc_str(hook, "NotificationTargetARN", NULL);
	bool is_launch = strstr(transition, "LAUNCHING") != NULL;
	char id[ID_TEXT_MAX], subject[SUBJECT_MAX + 1];
	json_t *detail, *message, *deliveries = json_array();

	detail = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "LifecycleActionToken",
			   doc_str(waiting, "LifecycleActionToken", ""), "AutoScalingGroupName",
			   group->name, "LifecycleHookName", doc_str(hook, "LifecycleHookName", ""),
			   "EC2InstanceId", instance->id, "LifecycleTransition", transition,
			   "Origin", origin_of(instance), "Destination", destination_of(instance));
	if (doc_has(hook, "NotificationMetadata"))
		json_object_set(detail, "NotificationMetadata",
				json_object_get(hook, "NotificationMetadata"));
	if (topic) {
		message = message_head(group, id_uuid(group->engine->ids, id), now_ms);
		json_object_update(message, detail);
		make_subject(subject,
			     "Auto Scaling:  Lifecycle action '%s' for instance %s in progress.",
			     is_launch ? "LAUNCHING" : "TERMINATING", instance->id);
		owe(deliveries, "sns", topic, subject, message);
		json_decref(message);
	}
	add(group,
	    is_launch ? "EC2 Instance-launch Lifecycle Action"
		      : "EC2 Instance-terminate Lifecycle Action",
	    instance->id, detail, deliveries, now_ms);
}

/* ---- refreshes ---- */

/* The latest that was passed: the highest, where several were passed at once. */
static int checkpoint_passed(const json_t *refresh)
{
	const json_t *points =
	    doc_array(doc_object(refresh, "Preferences"), "CheckpointPercentages");
	int64_t next = doc_int(refresh, "Checkpoint", 0);

	return next < 1 ? 0 : (int)json_integer_value(json_array_get(points, (size_t)next - 1));
}

void event_of_refresh(struct group *group, const json_t *refresh, const char *what, int64_t now_ms)
{
	json_t *detail =
	    json_pack("{s:s, s:s}", "InstanceRefreshId", doc_str(refresh, "InstanceRefreshId", ""),
		      "AutoScalingGroupName", group->name);
	const json_t *preferences = doc_object(refresh, "Preferences");
	char type[96];

	snprintf(type, sizeof type, "EC2 Auto Scaling Instance Refresh %s", what);
	if (strcmp(what, "Checkpoint Reached") == 0) {
		json_object_set_new(detail, "CheckpointPercentage",
				    json_sprintf("%d", checkpoint_passed(refresh)));
		json_object_set_new(
		    detail, "CheckpointDelay",
		    json_sprintf("%d", (int)doc_int(preferences, "CheckpointDelay", 3600)));
	}
	event_tell(group, type, detail, now_ms);
}

/* ---- delivery ---- */

void engine_set_webhook(struct engine *engine, bool has_webhook)
{
	engine->events.has_webhook = has_webhook;
}

static bool is_due(const struct engine *engine, const json_t *delivery, int64_t now_ms)
{
	bool is_webhook = strcmp(doc_str(delivery, "Kind", ""), "webhook") == 0;

	return is_owed(delivery) && !doc_bool(delivery, "IsBusy", false) &&
	       doc_int(delivery, "NextMs", 0) <= now_ms &&
	       (!is_webhook || engine->events.has_webhook);
}

const struct event *engine_next_delivery(struct engine *engine, int64_t now_ms, size_t *place)
{
	struct event *event;
	json_t *delivery;
	size_t i;

	if (engine->events.n_owed == 0)
		return NULL;
	TAILQ_FOREACH_REVERSE(event, &engine->events.list, events_list, link)
	{
		json_array_foreach (event->deliveries, i, delivery) {
			if (!is_due(engine, delivery, now_ms))
				continue;
			json_object_set_new(delivery, "IsBusy", json_true());
			*place = i;
			return event;
		}
	}
	return NULL;
}

/* 1 s, 2 s, ... 5 min. */
static int64_t delay_ms(int attempts)
{
	int64_t delay = 1000;

	for (int i = 1; i < attempts && delay < DELAY_MAX_MS; i++)
		delay *= 2;
	return delay < DELAY_MAX_MS ? delay : DELAY_MAX_MS;
}

static void settle(struct engine *engine, json_t *delivery, const char *status)
{
	json_object_set_new(delivery, "Status", json_string(status));
	json_object_del(delivery, "Message");
	json_object_del(delivery, "NextMs");
	engine->events.n_owed--;
}

bool engine_delivered(struct engine *engine, uint64_t number, size_t place, const char *why,
		      int64_t now_ms)
{
	struct event *event;
	json_t *delivery = NULL;
	int attempts;

	TAILQ_FOREACH (event, &engine->events.list, link) {
		if (event->number == number)
			break;
	}
	delivery = event ? json_array_get(event->deliveries, place) : NULL;
	if (!delivery || !is_owed(delivery))
		return true;
	attempts = (int)doc_int(delivery, "Attempts", 0) + 1;
	event->is_dirty = engine->events.is_dirty = true;
	json_object_del(delivery, "IsBusy");
	json_object_set_new(delivery, "Attempts", json_integer(attempts));
	if (!why) {
		json_object_del(delivery, "Why");
		settle(engine, delivery, "Delivered");
		engine->events.n_delivered++;
		return true;
	}
	json_object_set_new(delivery, "Why", json_string(why));
	json_object_set_new(delivery, "NextMs", json_integer(now_ms + delay_ms(attempts)));
	if (attempts < ATTEMPTS_MAX)
		return false;
	settle(engine, delivery, "Failed");
	engine->events.n_lost++;
	return true;
}

/* ---- to be read ---- */

static json_t *show_deliveries(const struct event *event)
{
	static const char *const members[] = {"Kind", "Target", "Status", "Attempts", "Why"};
	json_t *out = json_array(), *delivery;
	size_t i;

	json_array_foreach (event->deliveries, i, delivery) {
		json_t *shown = json_object();

		for (size_t k = 0; k < sizeof members / sizeof members[0]; k++) {
			if (doc_has(delivery, members[k]))
				json_object_set(shown, members[k],
						json_object_get(delivery, members[k]));
		}
		json_array_append_new(out, shown);
	}
	return out;
}

json_t *engine_events_describe(const struct engine *engine, const struct event_query *query)
{
	json_t *out = json_array();
	const struct event *event;

	TAILQ_FOREACH (event, &engine->events.list, link) {
		const json_t *detail = doc_object(event->document, "detail");
		json_t *shown;

		if (event->number <= query->after || json_array_size(out) >= query->limit)
			break;
		if (!event->document ||
		    (query->group &&
		     strcmp(doc_str(detail, "AutoScalingGroupName", ""), query->group) != 0))
			continue;
		shown = json_deep_copy(event->document);
		if (query->hides_tokens)
			json_object_del(doc_object(shown, "detail"), "LifecycleActionToken");
		json_object_set_new(shown, "Number", json_integer((json_int_t)event->number));
		json_object_set_new(shown, "Deliveries", show_deliveries(event));
		json_array_append_new(out, shown);
	}
	return json_pack("{s:o}", "Events", out);
}

/* ---- documents ---- */

static json_t *save(const struct event *event)
{
	json_t *deliveries = json_deep_copy(event->deliveries), *delivery;
	size_t i;

	json_array_foreach (deliveries, i, delivery)
		json_object_del(delivery, "IsBusy");
	return json_pack("{s:o?, s:o}", "Event", json_deep_copy(event->document), "Deliveries",
			 deliveries);
}

int events_changes(const struct engine *engine, engine_change_fn fn, void *arg)
{
	const struct event *event;
	char key[64];

	if (!engine->events.is_dirty)
		return 0;
	TAILQ_FOREACH (event, &engine->events.list, link) {
		json_t *document = event->is_dirty ? save(event) : NULL;

		if (!event->is_dirty)
			continue;
		if (!document)
			return -1;
		snprintf(key, sizeof key, "%sevent/%016" PRIu64, ENGINE_KEYS, event->number);
		fn(arg, key, document);
	}
	return 0;
}

void events_saved(struct engine *engine)
{
	struct event *event;

	if (!engine->events.is_dirty)
		return;
	TAILQ_FOREACH (event, &engine->events.list, link)
		event->is_dirty = false;
	engine->events.is_dirty = false;
}

/* In the order of their keys: by number. */
int events_load(struct engine *engine, const char *number, const json_t *document)
{
	json_t *shown = doc_object(document, "Event");
	struct event *event = insert(engine, shown ? json_deep_copy(shown) : NULL,
				     json_deep_copy(doc_array(document, "Deliveries")));

	if (!event)
		return -1;
	event->number = strtoull(number, NULL, 10);
	event->is_dirty = false;
	engine->events.newest = event->number;
	return 0;
}
