/*
 * SNS messages: what a topic is told goes to each confirmed http(s) subscription, in SNS's form but
 * for the signature, which needs a certificate of AWS's.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/ids.h"
#include "common/base/log.h"
#include "common/doc/doc.h"
#include "lab/neighbours/sns.h"

#define AWS_ACTION(name) AWS_DECLARE_ACTION(name)
#include "lab/neighbours/sns.def"
#undef AWS_ACTION

enum { MAX_MESSAGE = 262144, MAX_SUBJECT = 100, HEADER_MAX = ARN_TEXT_MAX + 64 };

static void post(struct neighbours *neighbours, const json_t *subscription, const char *type,
		 const char *message_id, const char *body, bool is_raw)
{
	char type_header[HEADER_MAX], id_header[HEADER_MAX], topic[HEADER_MAX], arn[HEADER_MAX];
	const char *headers[DELIVERY_HEADERS_MAX] = {
	    type_header,
	    id_header,
	    topic,
	    "Content-Type: text/plain; charset=UTF-8",
	    "User-Agent: Amazon Simple Notification Service Agent",
	    arn,
	    is_raw ? "x-amz-sns-rawdelivery: true" : NULL,
	};

	snprintf(type_header, sizeof(type_header), "x-amz-sns-message-type: %s", type);
	snprintf(id_header, sizeof(id_header), "x-amz-sns-message-id: %s", message_id);
	snprintf(topic, sizeof(topic), "x-amz-sns-topic-arn: %.900s",
		 doc_str(subscription, "TopicArn", ""));
	snprintf(arn, sizeof(arn), "x-amz-sns-subscription-arn: %.900s",
		 doc_str(subscription, "SubscriptionArn", ""));
	delivery_post(neighbours->delivery, doc_str(subscription, "Endpoint", ""), headers, body);
}

void sns_send(struct neighbours *neighbours, const json_t *subscription, const char *type,
	      const char *message_id, const json_t *more)
{
	bool is_raw = strcmp(type, "Notification") == 0 &&
		      strcasecmp(doc_str(doc_object(subscription, "Attributes"),
					 "RawMessageDelivery", "false"),
				 "true") == 0;
	char now[CLOCK_TEXT_MAX];
	json_t *message;
	char *text;

	if (neighbours->delivery == NULL ||
	    strncmp(doc_str(subscription, "Protocol", ""), "http", 4) != 0)
		return;
	message = json_pack("{s:s, s:s, s:s, s:s}", "Type", type, "MessageId", message_id,
			    "TopicArn", doc_str(subscription, "TopicArn", ""), "Timestamp",
			    clock_format_iso_ms(clock_now_ms(NULL), now));
	json_object_update(message, (json_t *)more);
	text = json_dumps(message, JSON_INDENT(2));
	if (text != NULL)
		post(neighbours, subscription, type, message_id,
		     is_raw ? doc_str(more, "Message", "") : text, is_raw);
	free(text);
	json_decref(message);
}

static int check_subject(const char *subject, struct aws_error *error)
{
	for (const char *p = subject; *p != '\0'; p++)
		if (*p < ' ' || *p > '~')
			goto bad;
	if (strlen(subject) <= MAX_SUBJECT)
		return 0;
bad:
	sns_invalid(error, "Subject");
	return -1;
}

/* MessageStructure json: a text by protocol.  New reference to the object, or NULL with error. */
static json_t *read_structure(const char *message, struct aws_error *error)
{
	json_t *texts = json_loads(message, JSON_REJECT_DUPLICATES, NULL);

	if (doc_str(texts, "default", NULL) != NULL)
		return texts;
	json_decref(texts);
	return sns_invalid(error, "Message Structure - No default entry in JSON message body");
}

static int check_publish(const json_t *input, struct aws_error *error)
{
	const char *structure = doc_str(input, "MessageStructure", "");

	if (doc_has(input, "PhoneNumber")) {
		sns_invalid(error, "PhoneNumber Reason: text messages are not supported here");
		return -1;
	}
	if (doc_str(input, "Message", "")[0] == '\0') {
		sns_invalid(error, "Empty message");
		return -1;
	}
	if (strlen(doc_str(input, "Message", "")) > MAX_MESSAGE) {
		sns_invalid(error, "Message too long");
		return -1;
	}
	if (structure[0] != '\0' && strcmp(structure, "json") != 0) {
		sns_invalid(error, "MessageStructure");
		return -1;
	}
	return check_subject(doc_str(input, "Subject", ""), error);
}

/* {"name": {"Type": .., "Value": ..}}; NULL when there are none. */
static json_t *attributes_of(const json_t *input)
{
	json_t *attributes = NULL, *value;
	const char *name;

	json_object_foreach (doc_object(input, "MessageAttributes"), name, value) {
		const char *text = doc_str(value, "StringValue", doc_str(value, "BinaryValue", ""));

		if (attributes == NULL)
			attributes = json_object();
		json_object_set_new(
		    attributes, name,
		    json_pack("{s:s, s:s}", "Type", doc_str(value, "DataType", ""), "Value", text));
	}
	return attributes;
}

static int send_to_all(struct neighbours *neighbours, const char *topic, const char *message_id,
		       const json_t *texts, const json_t *input)
{
	json_t *list = sns_subscriptions_of(neighbours, topic), *attributes = attributes_of(input);
	const json_t *one;
	int n = 0;
	size_t i;

	json_array_foreach (list, i, one) {
		const char *text = doc_str(texts, "default", doc_str(input, "Message", ""));
		json_t *more;

		if (!doc_bool(one, "IsConfirmed", false))
			continue;
		text = doc_str(texts, doc_str(one, "Protocol", ""), text);
		more = json_pack("{s:s, s:s*, s:O*}", "Message", text, "Subject",
				 doc_str(input, "Subject", NULL), "MessageAttributes", attributes);
		if (more != NULL)
			sns_send(neighbours, one, "Notification", message_id, more);
		json_decref(more);
		n++;
	}
	json_decref(attributes);
	json_decref(list);
	return n;
}

json_t *handle_Publish(void *context, const struct aws_call *call, const json_t *input,
		       struct aws_error *error)
{
	const char *arn = doc_str(input, "TopicArn", doc_str(input, "TargetArn", ""));
	char key[NEIGHBOURS_KEY_MAX], id[ID_TEXT_MAX];
	json_t *topic, *texts = NULL;
	int n;

	(void)call;
	if (check_publish(input, error) != 0)
		return NULL;
	topic = sns_topic(context, arn, key, error);
	if (topic == NULL)
		return NULL;
	json_decref(topic);
	if (doc_has(input, "MessageStructure")) {
		texts = read_structure(doc_str(input, "Message", ""), error);
		if (texts == NULL)
			return NULL;
	}
	n = send_to_all(context, arn, id_uuid(NULL, id), texts, input);
	log_info("message-published", "topic=%.200s id=%s subscriptions=%d subject=\"%s\"", arn, id,
		 n, doc_str(input, "Subject", ""));
	json_decref(texts);
	return json_pack("{s:s}", "MessageId", id);
}
