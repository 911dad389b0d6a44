/*
 * SNS subscriptions: http and https endpoints, which must confirm with the token that they are
 * sent, as at AWS; email addresses, which are kept and written to by nobody.
 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/base/ids.h"
#include "common/doc/doc.h"
#include "lab/neighbours/sns.h"

#define AWS_ACTION(name) AWS_DECLARE_ACTION(name)
#include "lab/neighbours/sns.def"
#undef AWS_ACTION

enum { MAX_ENDPOINT = 2048, MAX_SUBSCRIPTIONS = 1000 };

static bool is_of_topic(const json_t *subscription, const char *topic_arn)
{
	return strcmp(doc_str(subscription, "TopicArn", ""), topic_arn) == 0;
}

json_t *sns_subscriptions_of(struct neighbours *neighbours, const char *topic_arn)
{
	json_t *list = neighbours_list(neighbours, SNS_SUBSCRIPTIONS);

	for (size_t i = json_array_size(list); i-- > 0;)
		if (!is_of_topic(json_array_get(list, i), topic_arn))
			json_array_remove(list, i);
	return list;
}

/* The document and its key by ARN; NULL with NotFound. */
static json_t *find(struct neighbours *neighbours, const char *arn, char key[NEIGHBOURS_KEY_MAX],
		    struct aws_error *error)
{
	const char *id = strrchr(arn, ':');
	json_t *subscription = NULL;

	if (!arn_is(arn) || id == NULL || strlen(id + 1) != 36)
		return sns_invalid(error,
				   "SubscriptionArn Reason: '%.200s' is not the ARN of a "
				   "subscription",
				   arn);
	snprintf(key, NEIGHBOURS_KEY_MAX, SNS_SUBSCRIPTIONS "%.36s", id + 1);
	subscription = store_get(neighbours->store, key, NULL);
	if (subscription != NULL && strcmp(doc_str(subscription, "SubscriptionArn", ""), arn) == 0)
		return subscription;
	json_decref(subscription);
	aws_error_set(error, 404, "NotFound", "Subscription does not exist");
	return NULL;
}

static int check_endpoint(const char *protocol, const char *endpoint, struct aws_error *error)
{
	bool is_http = strcmp(protocol, "http") == 0, is_https = strcmp(protocol, "https") == 0;

	if (strlen(endpoint) > MAX_ENDPOINT) {
		sns_invalid(error, "Endpoint");
	} else if (is_http || is_https) {
		if (strncasecmp(endpoint, is_http ? "http://" : "https://", is_http ? 7 : 8) == 0)
			return 0;
		sns_invalid(error, "Endpoint must match the specified protocol");
	} else if (strcmp(protocol, "email") == 0 || strcmp(protocol, "email-json") == 0) {
		if (strchr(endpoint, '@') != NULL)
			return 0;
		sns_invalid(error, "Email address");
	} else {
		sns_invalid(error,
			    "Protocol Reason: '%.32s' is not supported here; http, https and "
			    "email are",
			    protocol);
	}
	return -1;
}

/* Those that change something here; a filter that is not obeyed would be a lie. */
static int set_attribute(json_t *subscription, const char *name, const char *value,
			 struct aws_error *error)
{
	bool is_flag = strcmp(name, "RawMessageDelivery") == 0;

	if (!is_flag && strcmp(name, "DeliveryPolicy") != 0) {
		sns_invalid(error,
			    "AttributeName Reason: '%.100s' is not supported here; "
			    "RawMessageDelivery and DeliveryPolicy are",
			    name);
		return -1;
	}
	if (is_flag && strcasecmp(value, "true") != 0 && strcasecmp(value, "false") != 0) {
		sns_invalid(error, "Attributes Reason: RawMessageDelivery: true or false");
		return -1;
	}
	if (json_object_set_new(doc_object(subscription, "Attributes"), name, json_string(value)) ==
	    0)
		return 0;
	neighbours_error_memory(error);
	return -1;
}

static json_t *new_subscription(const struct aws_call *call, const json_t *input,
				struct aws_error *error)
{
	char id[ID_TEXT_MAX], token[2][ID_TEXT_MAX], arn[ARN_TEXT_MAX];
	const char *topic = doc_str(input, "TopicArn", ""), *name;
	json_t *subscription, *value;

	snprintf(arn, sizeof(arn), "%.800s:%s", topic, id_uuid(NULL, id));
	subscription = json_pack("{s:s, s:s, s:s, s:s, s:s, s:{}, s:s+, s:b}", "SubscriptionArn",
				 arn, "TopicArn", topic, "Protocol", doc_str(input, "Protocol", ""),
				 "Endpoint", doc_str(input, "Endpoint", ""), "Owner",
				 call->account_id, "Attributes", "Token", id_hex16(NULL, token[0]),
				 id_hex16(NULL, token[1]), "IsConfirmed", false);
	if (subscription == NULL) {
		neighbours_error_memory(error);
		return NULL;
	}
	json_object_foreach (doc_object(input, "Attributes"), name, value)
		if (set_attribute(subscription, name, json_string_value(value), error) != 0) {
			json_decref(subscription);
			return NULL;
		}
	return subscription;
}

/* The one that the topic has for this protocol and endpoint; borrowed from list. */
static const json_t *same_one(const json_t *list, const json_t *input)
{
	const json_t *subscription;
	size_t i;

	json_array_foreach (list, i, subscription)
		if (strcmp(doc_str(subscription, "Protocol", ""), doc_str(input, "Protocol", "")) ==
			0 &&
		    strcmp(doc_str(subscription, "Endpoint", ""), doc_str(input, "Endpoint", "")) ==
			0)
			return subscription;
	return NULL;
}

/* An ARN that nobody has confirmed is told only to whom asks for it. */
static json_t *subscribe_answer(const json_t *subscription, const json_t *input)
{
	bool is_told = doc_bool(subscription, "IsConfirmed", false) ||
		       doc_bool(input, "ReturnSubscriptionArn", false);

	return json_pack("{s:s}", "SubscriptionArn",
			 is_told ? doc_str(subscription, "SubscriptionArn", "")
				 : "pending confirmation");
}

static void ask_for_confirmation(struct neighbours *neighbours, const struct aws_call *call,
				 const json_t *subscription)
{
	const char *topic = doc_str(subscription, "TopicArn", "");
	const char *token = doc_str(subscription, "Token", "");
	char message[ARN_TEXT_MAX + 200], url[ARN_TEXT_MAX + 400];
	char id[ID_TEXT_MAX];
	json_t *more;

	snprintf(message, sizeof(message),
		 "You have chosen to subscribe to the topic %.800s.\nTo confirm the subscription, "
		 "visit the SubscribeURL included in this message.",
		 topic);
	snprintf(url, sizeof(url),
		 "http://%.200s/?Action=ConfirmSubscription&TopicArn=%.800s&Token=%s&Version="
		 "2010-03-31",
		 call->host, topic, token);
	more =
	    json_pack("{s:s, s:s, s:s}", "Message", message, "Token", token, "SubscribeURL", url);
	if (more != NULL)
		sns_send(neighbours, subscription, "SubscriptionConfirmation", id_uuid(NULL, id),
			 more);
	json_decref(more);
}

/* Takes over subscription. */
static json_t *subscribe_new(struct neighbours *neighbours, const struct aws_call *call,
			     const json_t *input, json_t *subscription, struct aws_error *error)
{
	char key[NEIGHBOURS_KEY_MAX];
	json_t *answer = subscribe_answer(subscription, input);

	snprintf(key, sizeof(key), SNS_SUBSCRIPTIONS "%.36s",
		 strrchr(doc_str(subscription, "SubscriptionArn", ":"), ':') + 1);
	if (neighbours_put(neighbours, key, json_incref(subscription), error) != 0) {
		json_decref(answer);
		answer = NULL;
	} else {
		ask_for_confirmation(neighbours, call, subscription);
	}
	json_decref(subscription);
	return answer;
}

json_t *handle_Subscribe(void *context, const struct aws_call *call, const json_t *input,
			 struct aws_error *error)
{
	const char *topic_arn = doc_str(input, "TopicArn", "");
	char key[NEIGHBOURS_KEY_MAX];
	json_t *topic = sns_topic(context, topic_arn, key, error), *list, *answer = NULL, *made;
	const json_t *there;

	if (topic == NULL)
		return NULL;
	json_decref(topic);
	if (check_endpoint(doc_str(input, "Protocol", ""), doc_str(input, "Endpoint", ""), error) !=
	    0)
		return NULL;
	list = sns_subscriptions_of(context, topic_arn);
	there = same_one(list, input);
	if (there != NULL) {
		answer = subscribe_answer(there, input);
	} else if (json_array_size(list) >= MAX_SUBSCRIPTIONS) {
		aws_error_set(error, 403, "SubscriptionLimitExceeded",
			      "The topic has %d subscriptions already", MAX_SUBSCRIPTIONS);
	} else {
		made = new_subscription(call, input, error);
		if (made != NULL)
			answer = subscribe_new(context, call, input, made, error);
	}
	json_decref(list);
	return answer;
}

json_t *handle_ConfirmSubscription(void *context, const struct aws_call *call, const json_t *input,
				   struct aws_error *error)
{
	const char *topic = doc_str(input, "TopicArn", ""), *token = doc_str(input, "Token", "");
	json_t *list = sns_subscriptions_of(context, topic), *one, *confirmed = NULL, *answer;
	char key[NEIGHBOURS_KEY_MAX];
	size_t i;

	(void)call;
	json_array_foreach (list, i, one)
		if (strcmp(doc_str(one, "Token", ""), token) == 0)
			confirmed = json_deep_copy(one);
	json_decref(list);
	if (confirmed == NULL)
		return sns_invalid(error, "Token");
	answer = json_pack("{s:s}", "SubscriptionArn", doc_str(confirmed, "SubscriptionArn", ""));
	snprintf(key, sizeof(key), SNS_SUBSCRIPTIONS "%.36s",
		 strrchr(doc_str(confirmed, "SubscriptionArn", ":"), ':') + 1);
	json_object_set_new(confirmed, "IsConfirmed", json_true());
	if (neighbours_put(context, key, confirmed, error) == 0)
		return answer;
	json_decref(answer);
	return NULL;
}

json_t *handle_Unsubscribe(void *context, const struct aws_call *call, const json_t *input,
			   struct aws_error *error)
{
	char key[NEIGHBOURS_KEY_MAX];
	json_t *subscription = find(context, doc_str(input, "SubscriptionArn", ""), key, error);

	(void)call;
	if (subscription == NULL)
		return error->http_status == 404 ? json_object() : NULL;
	json_decref(subscription);
	return neighbours_delete(context, key, error) == 0 ? json_object() : NULL;
}

/* As the lists show it. */
static json_t *shown(const json_t *subscription)
{
	bool is_confirmed = doc_bool(subscription, "IsConfirmed", false);

	return json_pack("{s:s, s:s, s:s, s:s, s:s}", "SubscriptionArn",
			 is_confirmed ? doc_str(subscription, "SubscriptionArn", "")
				      : "PendingConfirmation",
			 "Owner", doc_str(subscription, "Owner", ""), "Protocol",
			 doc_str(subscription, "Protocol", ""), "Endpoint",
			 doc_str(subscription, "Endpoint", ""), "TopicArn",
			 doc_str(subscription, "TopicArn", ""));
}

/* Takes over all. */
static json_t *list_answer(json_t *all, const json_t *input, struct aws_error *error)
{
	json_t *list = json_array(), *one;
	size_t i;

	json_array_foreach (all, i, one)
		json_array_append_new(list, shown(one));
	json_decref(all);
	return sns_page(list, "Subscriptions", input, error);
}

json_t *handle_ListSubscriptions(void *context, const struct aws_call *call, const json_t *input,
				 struct aws_error *error)
{
	(void)call;
	return list_answer(neighbours_list(context, SNS_SUBSCRIPTIONS), input, error);
}

json_t *handle_ListSubscriptionsByTopic(void *context, const struct aws_call *call,
					const json_t *input, struct aws_error *error)
{
	const char *arn = doc_str(input, "TopicArn", "");
	char key[NEIGHBOURS_KEY_MAX];
	json_t *topic = sns_topic(context, arn, key, error);

	(void)call;
	if (topic == NULL)
		return NULL;
	json_decref(topic);
	return list_answer(sns_subscriptions_of(context, arn), input, error);
}

json_t *handle_GetSubscriptionAttributes(void *context, const struct aws_call *call,
					 const json_t *input, struct aws_error *error)
{
	static const char *const members[] = {"SubscriptionArn", "TopicArn", "Protocol", "Endpoint",
					      "Owner"};
	char key[NEIGHBOURS_KEY_MAX];
	json_t *one = find(context, doc_str(input, "SubscriptionArn", ""), key, error), *answer,
	       *attributes;
	bool is_confirmed = doc_bool(one, "IsConfirmed", false);

	(void)call;
	if (one == NULL)
		return NULL;
	attributes =
	    json_pack("{s:s, s:s, s:s}", "RawMessageDelivery", "false", "PendingConfirmation",
		      is_confirmed ? "false" : "true", "ConfirmationWasAuthenticated", "false");
	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++)
		json_object_set(attributes, members[i], json_object_get(one, members[i]));
	json_object_update(attributes, doc_object(one, "Attributes"));
	answer = json_pack("{s:o}", "Attributes", attributes);
	json_decref(one);
	if (answer == NULL)
		neighbours_error_memory(error);
	return answer;
}

json_t *handle_SetSubscriptionAttributes(void *context, const struct aws_call *call,
					 const json_t *input, struct aws_error *error)
{
	char key[NEIGHBOURS_KEY_MAX];
	json_t *one = find(context, doc_str(input, "SubscriptionArn", ""), key, error);

	(void)call;
	if (one == NULL)
		return NULL;
	if (set_attribute(one, doc_str(input, "AttributeName", ""),
			  doc_str(input, "AttributeValue", ""), error) != 0) {
		json_decref(one);
		return NULL;
	}
	return neighbours_put(context, key, one, error) == 0 ? json_object() : NULL;
}
