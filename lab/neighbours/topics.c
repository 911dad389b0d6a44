/* SNS topics: made, described, changed, tagged, deleted. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/ids.h"
#include "common/doc/doc.h"
#include "lab/neighbours/sns.h"

#define AWS_ACTION(name) AWS_DECLARE_ACTION(name)
#include "lab/neighbours/sns.def"
#undef AWS_ACTION

enum { MAX_NAME = 256, MAX_TOPICS = 1000, PAGE = 100, TEXT_MAX = 1024 };

json_t *sns_invalid(struct aws_error *error, const char *format, ...)
{
	char text[TEXT_MAX - 32];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	aws_error_set(error, 400, "InvalidParameter", "Invalid parameter: %s", text);
	return NULL;
}

json_t *sns_page(json_t *list, const char *member, const json_t *input, struct aws_error *error)
{
	const char *token = doc_str(input, "NextToken", "0");
	json_t *page = json_array(), *answer;
	char next[24];
	size_t start = strtoul(token, NULL, 10), n = json_array_size(list);

	if (strspn(token, "0123456789") != strlen(token) || strlen(token) > 6) {
		json_decref(page);
		json_decref(list);
		return sns_invalid(error, "NextToken");
	}
	for (size_t i = start; i < n && i < start + PAGE; i++)
		json_array_append(page, json_array_get(list, i));
	snprintf(next, sizeof(next), "%zu", start + PAGE);
	answer =
	    json_pack("{s:o, s:s*}", member, page, "NextToken", start + PAGE < n ? next : NULL);
	json_decref(list);
	if (answer == NULL)
		neighbours_error_memory(error);
	return answer;
}

static bool is_name(const char *name)
{
	size_t len = strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
				  "-_");

	return len > 0 && len <= MAX_NAME && name[len] == '\0';
}

json_t *sns_topic(struct neighbours *neighbours, const char *arn, char key[NEIGHBOURS_KEY_MAX],
		  struct aws_error *error)
{
	json_t *topic = NULL;
	struct arn parts;

	if (arn_parse(arn, &parts) != 0 || strcmp(parts.service, "sns") != 0 ||
	    !is_name(parts.resource))
		return sns_invalid(error, "TopicArn Reason: '%.200s' is not the ARN of a topic",
				   arn);
	snprintf(key, NEIGHBOURS_KEY_MAX, SNS_TOPICS "%.256s", parts.resource);
	topic = store_get(neighbours->store, key, NULL);
	if (topic == NULL || strcmp(doc_str(topic, "TopicArn", ""), arn) != 0) {
		json_decref(topic);
		aws_error_set(error, 404, "NotFound", "Topic does not exist");
		return NULL;
	}
	return topic;
}

/* What AWS lets be set; the others of a topic are computed or not its own. */
static bool is_settable(const char *attribute)
{
	static const char *const names[] = {
	    "DisplayName",   "Policy",           "DeliveryPolicy",      "KmsMasterKeyId",
	    "TracingConfig", "SignatureVersion", "DataProtectionPolicy"};
	static const char *const ends[] = {"SuccessFeedbackRoleArn", "SuccessFeedbackSampleRate",
					   "FailureFeedbackRoleArn"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(names[i], attribute) == 0)
			return true;
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		size_t len = strlen(attribute), end = strlen(ends[i]);

		if (len > end && strcmp(attribute + len - end, ends[i]) == 0)
			return true;
	}
	return false;
}

static int set_attribute(json_t *topic, const char *name, const char *value,
			 struct aws_error *error)
{
	if (!is_settable(name)) {
		sns_invalid(error, "AttributeName Reason: '%.100s' cannot be set", name);
		return -1;
	}
	if (json_object_set_new(doc_object(topic, "Attributes"), name, json_string(value)) == 0)
		return 0;
	neighbours_error_memory(error);
	return -1;
}

/* Only its owner may do anything: the account, which is everybody here. */
static json_t *default_policy(const char *arn, const char *account)
{
	json_t *policy = json_pack(
	    "{s:s, s:s, s:[{s:s, s:s, s:{s:s}, s:[s, s, s, s, s, s, s, s], s:s, s:{s:{s:s}}}]}",
	    "Version", "2008-10-17", "Id", "__default_policy_ID", "Statement", "Sid",
	    "__default_statement_ID", "Effect", "Allow", "Principal", "AWS", "*", "Action",
	    "SNS:GetTopicAttributes", "SNS:SetTopicAttributes", "SNS:AddPermission",
	    "SNS:RemovePermission", "SNS:DeleteTopic", "SNS:Subscribe",
	    "SNS:ListSubscriptionsByTopic", "SNS:Publish", "Resource", arn, "Condition",
	    "StringEquals", "AWS:SourceOwner", account);
	char *text = json_dumps(policy, JSON_COMPACT);
	json_t *value = text == NULL ? NULL : json_string(text);

	free(text);
	json_decref(policy);
	return value;
}

static json_t *new_topic(const struct aws_call *call, const char *name, const json_t *input,
			 struct aws_error *error)
{
	char arn[ARN_TEXT_MAX];
	json_t *topic, *value;
	const char *key;

	snprintf(arn, sizeof(arn), "arn:aws:sns:%.64s:%.12s:%.256s", call->region, call->account_id,
		 name);
	topic = json_pack("{s:s, s:{s:s, s:o, s:s}, s:[]}", "TopicArn", arn, "Attributes",
			  "DisplayName", "", "Policy", default_policy(arn, call->account_id),
			  "Owner", call->account_id, "Tags");
	if (topic == NULL) {
		neighbours_error_memory(error);
		return NULL;
	}
	json_object_foreach (doc_object(input, "Attributes"), key, value)
		if (set_attribute(topic, key, json_string_value(value), error) != 0)
			goto fail;
	if (neighbours_merge_tags(doc_array(topic, "Tags"), doc_array(input, "Tags"),
				  "TagLimitExceeded", error) == 0)
		return topic;
fail:
	json_decref(topic);
	return NULL;
}

/* Does what is there have what is asked for?  Creating it again changes nothing. */
static bool has_all(const json_t *topic, const json_t *input, struct aws_error *error)
{
	const json_t *attributes = doc_object(topic, "Attributes"), *tag;
	json_t *value;
	const char *key;
	size_t i;

	json_object_foreach (doc_object(input, "Attributes"), key, value)
		if (!json_equal(value, json_object_get(attributes, key))) {
			sns_invalid(error, "Attributes Reason: Topic already exists with different "
					   "attributes");
			return false;
		}
	json_array_foreach (doc_array(input, "Tags"), i, tag)
		if (strcmp(doc_kv_get(doc_array(topic, "Tags"), doc_str(tag, "Key", ""), "\n"),
			   doc_str(tag, "Value", "")) != 0) {
			sns_invalid(error, "Tags Reason: Topic already exists with different tags");
			return false;
		}
	return true;
}

static json_t *topic_answer(const json_t *topic, struct aws_error *error)
{
	json_t *answer = json_pack("{s:s}", "TopicArn", doc_str(topic, "TopicArn", ""));

	if (answer == NULL)
		neighbours_error_memory(error);
	return answer;
}

json_t *handle_CreateTopic(void *context, const struct aws_call *call, const json_t *input,
			   struct aws_error *error)
{
	struct neighbours *neighbours = context;
	const char *name = doc_str(input, "Name", "");
	char key[NEIGHBOURS_KEY_MAX];
	json_t *topic, *answer = NULL, *all;
	size_t n;

	if (!is_name(name))
		return sns_invalid(error, "Topic Name");
	snprintf(key, sizeof(key), SNS_TOPICS "%.256s", name);
	topic = store_get(neighbours->store, key, NULL);
	if (topic != NULL) {
		if (has_all(topic, input, error))
			answer = topic_answer(topic, error);
		json_decref(topic);
		return answer;
	}
	all = neighbours_list(neighbours, SNS_TOPICS);
	n = json_array_size(all);
	json_decref(all);
	if (n >= MAX_TOPICS) {
		aws_error_set(error, 403, "TopicLimitExceeded", "There are %d topics already",
			      MAX_TOPICS);
		return NULL;
	}
	topic = new_topic(call, name, input, error);
	if (topic == NULL)
		return NULL;
	answer = topic_answer(topic, error);
	if (neighbours_put(neighbours, key, topic, error) == 0)
		return answer;
	json_decref(answer);
	return NULL;
}

json_t *handle_ListTopics(void *context, const struct aws_call *call, const json_t *input,
			  struct aws_error *error)
{
	json_t *all = neighbours_list(context, SNS_TOPICS), *list = json_array(), *topic;
	size_t i;

	(void)call;
	json_array_foreach (all, i, topic)
		json_array_append_new(list, topic_answer(topic, error));
	json_decref(all);
	return sns_page(list, "Topics", input, error);
}

static json_t *count_text(const json_t *subscriptions, bool is_confirmed)
{
	const json_t *subscription;
	char text[24];
	size_t i;
	int n = 0;

	json_array_foreach (subscriptions, i, subscription)
		n += doc_bool(subscription, "IsConfirmed", false) == is_confirmed;
	snprintf(text, sizeof(text), "%d", n);
	return json_string(text);
}

json_t *handle_GetTopicAttributes(void *context, const struct aws_call *call, const json_t *input,
				  struct aws_error *error)
{
	const char *arn = doc_str(input, "TopicArn", "");
	char key[NEIGHBOURS_KEY_MAX];
	json_t *topic = sns_topic(context, arn, key, error), *attributes, *subscriptions;

	(void)call;
	if (topic == NULL)
		return NULL;
	attributes = doc_object(topic, "Attributes");
	subscriptions = sns_subscriptions_of(context, arn);
	json_object_set_new(attributes, "TopicArn", json_string(arn));
	json_object_set_new(attributes, "SubscriptionsConfirmed", count_text(subscriptions, true));
	json_object_set_new(attributes, "SubscriptionsPending", count_text(subscriptions, false));
	json_object_set_new(attributes, "SubscriptionsDeleted", json_string("0"));
	json_decref(subscriptions);
	attributes = json_pack("{s:O}", "Attributes", attributes);
	json_decref(topic);
	if (attributes == NULL)
		neighbours_error_memory(error);
	return attributes;
}

json_t *handle_SetTopicAttributes(void *context, const struct aws_call *call, const json_t *input,
				  struct aws_error *error)
{
	char key[NEIGHBOURS_KEY_MAX];
	json_t *topic = sns_topic(context, doc_str(input, "TopicArn", ""), key, error);

	(void)call;
	if (topic == NULL)
		return NULL;
	if (set_attribute(topic, doc_str(input, "AttributeName", ""),
			  doc_str(input, "AttributeValue", ""), error) != 0) {
		json_decref(topic);
		return NULL;
	}
	return neighbours_put(context, key, topic, error) == 0 ? json_object() : NULL;
}

/* With its subscriptions.  One that is not there is deleted too. */
json_t *handle_DeleteTopic(void *context, const struct aws_call *call, const json_t *input,
			   struct aws_error *error)
{
	struct neighbours *neighbours = context;
	const char *arn = doc_str(input, "TopicArn", "");
	char key[NEIGHBOURS_KEY_MAX];
	json_t *topic = sns_topic(neighbours, arn, key, error), *list, *one;
	struct err err = {0};
	struct store_txn *txn;
	size_t i;

	(void)call;
	if (topic == NULL)
		return error->http_status == 404 ? json_object() : NULL;
	json_decref(topic);
	list = sns_subscriptions_of(neighbours, arn);
	txn = store_begin(neighbours->store);
	store_delete(txn, key);
	json_array_foreach (list, i, one) {
		snprintf(key, sizeof(key), SNS_SUBSCRIPTIONS "%.40s",
			 strrchr(doc_str(one, "SubscriptionArn", ":"), ':') + 1);
		store_delete(txn, key);
	}
	json_decref(list);
	if (store_commit(txn, &err) == STORE_OK)
		return json_object();
	aws_error_set(error, 500, "InternalFailure", "the state could not be written: %s",
		      err.text);
	return NULL;
}

/* --- tags --- */

static json_t *resource(void *context, const json_t *input, char key[NEIGHBOURS_KEY_MAX],
			struct aws_error *error)
{
	json_t *topic = sns_topic(context, doc_str(input, "ResourceArn", ""), key, error);

	if (topic == NULL && error->http_status == 404)
		aws_error_set(error, 404, "ResourceNotFound", "Resource does not exist");
	return topic;
}

json_t *handle_TagResource(void *context, const struct aws_call *call, const json_t *input,
			   struct aws_error *error)
{
	char key[NEIGHBOURS_KEY_MAX];
	json_t *topic = resource(context, input, key, error);

	(void)call;
	if (topic == NULL)
		return NULL;
	if (neighbours_merge_tags(doc_array(topic, "Tags"), doc_array(input, "Tags"),
				  "TagLimitExceeded", error) != 0) {
		json_decref(topic);
		return NULL;
	}
	return neighbours_put(context, key, topic, error) == 0 ? json_object() : NULL;
}

json_t *handle_UntagResource(void *context, const struct aws_call *call, const json_t *input,
			     struct aws_error *error)
{
	char key[NEIGHBOURS_KEY_MAX];
	json_t *topic = resource(context, input, key, error);
	const json_t *name;
	size_t i;

	(void)call;
	if (topic == NULL)
		return NULL;
	json_array_foreach (doc_array(input, "TagKeys"), i, name)
		doc_kv_remove(doc_array(topic, "Tags"), json_string_value(name));
	return neighbours_put(context, key, topic, error) == 0 ? json_object() : NULL;
}

json_t *handle_ListTagsForResource(void *context, const struct aws_call *call, const json_t *input,
				   struct aws_error *error)
{
	char key[NEIGHBOURS_KEY_MAX];
	json_t *topic = resource(context, input, key, error), *answer;

	(void)call;
	if (topic == NULL)
		return NULL;
	answer = json_pack("{s:O}", "Tags", doc_array(topic, "Tags"));
	json_decref(topic);
	if (answer == NULL)
		neighbours_error_memory(error);
	return answer;
}
