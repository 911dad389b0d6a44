/*
 * Notification configurations: who is told of launches and terminations.  Telling is events.c of
 * the engine.
 */
#include <string.h>

#include "common/base/ids.h"
#include "common/doc/doc.h"
#include "scaler/api/reply.h"

enum { TOPICS_MAX = 10 };

static const char *const LIST = "Notifications"; /* in the group's document: {TopicARN, Types} */

static const char *const types[] = {
    "autoscaling:EC2_INSTANCE_LAUNCH", "autoscaling:EC2_INSTANCE_LAUNCH_ERROR",
    "autoscaling:EC2_INSTANCE_TERMINATE", "autoscaling:EC2_INSTANCE_TERMINATE_ERROR",
    "autoscaling:TEST_NOTIFICATION"};

static bool is_type(const char *name)
{
	for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
		if (strcmp(types[i], name) == 0)
			return true;
	}
	return false;
}

static int check(const json_t *input, struct aws_error *error)
{
	const char *topic = doc_str(input, "TopicARN", "");
	const json_t *type;
	struct arn arn;
	size_t i;

	if (arn_parse(topic, &arn) < 0 || strcmp(arn.service, "sns") != 0) {
		reply_invalid(error, "Invalid topic ARN: %s", topic);
		return -1;
	}
	if (json_array_size(doc_array(input, "NotificationTypes")) == 0) {
		reply_invalid(error, "At least one notification type must be specified");
		return -1;
	}
	json_array_foreach (doc_array(input, "NotificationTypes"), i, type) {
		if (is_type(json_string_value(type)))
			continue;
		reply_invalid(error, "\"%s\" is not a valid Notification Type.",
			      json_string_value(type));
		return -1;
	}
	return 0;
}

/* The place of the topic's entry; the list's size: none. */
static size_t place_of(const json_t *list, const char *topic)
{
	const json_t *entry;
	size_t i;

	json_array_foreach (list, i, entry) {
		if (strcmp(doc_str(entry, "TopicARN", ""), topic) == 0)
			return i;
	}
	return json_array_size(list);
}

json_t *handle_PutNotificationConfiguration(void *context, const struct aws_call *call,
					    const json_t *input, struct aws_error *error)
{
	const char *topic = doc_str(input, "TopicARN", "");
	struct autoscaling *as = context;
	struct group *group = reply_group(as, input, error);
	json_t *list;
	size_t place;

	(void)call;
	if (!group || check(input, error) < 0)
		return NULL;
	list = doc_array(group->document, LIST);
	place = place_of(list, topic);
	if (place >= TOPICS_MAX) {
		aws_error_set(error, 400, "LimitExceeded", "A group can have %d topics at most.",
			      TOPICS_MAX);
		return NULL;
	}
	if (!list) {
		list = json_array();
		json_object_set_new(group->document, LIST, list);
	}
	if (place < json_array_size(list))
		json_array_remove(list, place);
	json_array_append_new(list,
			      json_pack("{s:s, s:o}", "TopicARN", topic, "Types",
					json_deep_copy(doc_array(input, "NotificationTypes"))));
	group->is_dirty = true;
	event_test(group, topic, reply_now_ms(as));
	return reply_written(as, json_object(), error);
}

json_t *handle_DeleteNotificationConfiguration(void *context, const struct aws_call *call,
					       const json_t *input, struct aws_error *error)
{
	struct autoscaling *as = context;
	struct group *group = reply_group(as, input, error);
	json_t *list;
	size_t place;

	(void)call;
	if (!group)
		return NULL;
	list = doc_array(group->document, LIST);
	place = place_of(list, doc_str(input, "TopicARN", ""));
	if (place == json_array_size(list))
		return reply_invalid(error, "Notification configuration not found - %s",
				     doc_str(input, "TopicARN", ""));
	json_array_remove(list, place);
	group->is_dirty = true;
	return reply_written(as, json_object(), error);
}

static void add_all(const struct group *group, json_t *items)
{
	const json_t *entry, *type;
	size_t i, k;

	json_array_foreach (doc_array(group->document, LIST), i, entry) {
		json_array_foreach (doc_array(entry, "Types"), k, type)
			json_array_append_new(
			    items, json_pack("{s:s, s:s, s:s}", "AutoScalingGroupName", group->name,
					     "TopicARN", doc_str(entry, "TopicARN", ""),
					     "NotificationType", json_string_value(type)));
	}
}

json_t *handle_DescribeNotificationConfigurations(void *context, const struct aws_call *call,
						  const json_t *input, struct aws_error *error)
{
	struct autoscaling *as = context;
	json_t *items = json_array();
	const struct group *group;

	(void)call;
	TAILQ_FOREACH (group, &as->engine->groups, link) {
		if (reply_wants(input, "AutoScalingGroupNames", group->name))
			add_all(group, items);
	}
	return reply_page(input, "NotificationConfigurations", items, 50, 100, error);
}

json_t *handle_DescribeAutoScalingNotificationTypes(void *context, const struct aws_call *call,
						    const json_t *input, struct aws_error *error)
{
	json_t *list = json_array();

	(void)context;
	(void)call;
	(void)input;
	(void)error;
	for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
		json_array_append_new(list, json_string(types[i]));
	return json_pack("{s:o}", "AutoScalingNotificationTypes", list);
}
