/* See topics.h. */
#include "scaler/cloud/topics.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/ids.h"
#include "common/base/log.h"
#include "common/doc/doc.h"
#include "scaler/cloud/delivery.h"
#include "scaler/cloud/mail.h"

enum {
	ATTEMPT_MS = 10000,
	ATTEMPTS = 3,
	WHY_MAX = 1024,
	HEADERS_MAX = 8,
	HEADER_MAX = ARN_TEXT_MAX + 64,
};

/* One message and all its deliveries. */
struct publication {
	struct topics *topics;
	topics_done_fn fn;
	void *arg;
	int left;          /* deliveries on their way */
	char why[WHY_MAX]; /* of the first that failed; "" none has */
	LIST_ENTRY(publication) link;
};

struct topics {
	struct topics_config config;
	struct aws_client *sns;
	struct deliveries deliveries;
	LIST_HEAD(, publication) publications;
	int n;
};

/* ---- the file's topics ---- */

static void arn_of(const struct topics *topics, const char *name, char arn[])
{
	snprintf(arn, ARN_TEXT_MAX, "arn:aws:sns:%s:%s:%s", topics->config.region,
		 topics->config.account_id, name);
}

static const json_t *find(const struct topics *topics, const char *wanted)
{
	char arn[ARN_TEXT_MAX];
	const json_t *topic;
	size_t i;

	json_array_foreach (topics->config.topics, i, topic) {
		arn_of(topics, doc_str(topic, "Name", ""), arn);
		if (strcmp(arn, wanted) == 0)
			return topic;
	}
	return NULL;
}

bool topics_named(const struct topics *topics, const char *name, char arn[])
{
	const json_t *topic;
	size_t i;

	json_array_foreach (topics->config.topics, i, topic) {
		if (strcmp(doc_str(topic, "Name", ""), name) == 0) {
			arn_of(topics, name, arn);
			return true;
		}
	}
	return false;
}

/* ---- publications ---- */

static struct publication *publication_new(struct topics *topics, topics_done_fn fn, void *arg,
					   struct err *err)
{
	struct publication *publication;

	if (topics->n == TOPICS_MESSAGES_MAX) {
		err_set(err, EBUSY, "%d messages are on their way already", TOPICS_MESSAGES_MAX);
		return NULL;
	}
	publication = calloc(1, sizeof *publication);
	if (!publication) {
		err_set(err, ENOMEM, "out of memory");
		return NULL;
	}
	publication->topics = topics;
	publication->fn = fn;
	publication->arg = arg;
	LIST_INSERT_HEAD(&topics->publications, publication, link);
	topics->n++;
	return publication;
}

static void publication_free(struct publication *publication)
{
	LIST_REMOVE(publication, link);
	publication->topics->n--;
	free(publication);
}

static void note(struct publication *publication, const char *why)
{
	if (why && !publication->why[0])
		snprintf(publication->why, sizeof publication->why, "%s", why);
}

static void on_delivered(void *arg, const char *why)
{
	struct publication *publication = arg;

	note(publication, why);
	if (--publication->left > 0)
		return;
	publication->fn(publication->arg, publication->why[0] ? publication->why : NULL);
	publication_free(publication);
}

static void on_published(void *arg, const json_t *output, const struct aws_error *error)
{
	(void)output;
	on_delivered(arg, error->http_status != 0 ? error->message : NULL);
}

/* ---- subscriptions ---- */

/* What SNS sends, but for the signature, which needs a certificate of AWS's. */
static char *notification(const struct topic_message *message, const char *id)
{
	char at[CLOCK_TEXT_MAX], *text;
	json_t *body =
	    json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "Type", "Notification", "MessageId", id,
		      "TopicArn", message->topic, "Subject", message->subject, "Message",
		      message->text, "Timestamp", clock_format_iso_ms(clock_now_ms(NULL), at));

	text = body ? json_dumps(body, JSON_INDENT(2)) : NULL;
	json_decref(body);
	return text;
}

static int post(const struct delivery_config *config, const json_t *subscription,
		const struct topic_message *message, struct err *err)
{
	bool is_raw = doc_bool(subscription, "RawMessageDelivery", false);
	char topic[HEADER_MAX], id_header[HEADER_MAX], id[ID_TEXT_MAX];
	const char *headers[HEADERS_MAX] = {"x-amz-sns-message-type: Notification",
					    id_header,
					    topic,
					    "Content-Type: text/plain; charset=UTF-8",
					    "User-Agent: albatross-scaler",
					    "Expect:",
					    is_raw ? "x-amz-sns-rawdelivery: true" : NULL};
	char *body = notification(message, id_uuid(NULL, id));
	int result;

	snprintf(id_header, sizeof id_header, "x-amz-sns-message-id: %s", id);
	snprintf(topic, sizeof topic, "x-amz-sns-topic-arn: %s", message->topic);
	if (!body) {
		err_set(err, ENOMEM, "out of memory");
		return -1;
	}
	result = delivery_post(config, doc_str(subscription, "Endpoint", ""), headers,
			       is_raw ? message->text : body, err);
	free(body);
	return result;
}

static int mail(const struct delivery_config *config, const json_t *smtp,
		const json_t *subscription, const struct topic_message *message, struct err *err)
{
	bool is_json = strcmp(doc_str(subscription, "Protocol", ""), "email-json") == 0;
	char id[ID_TEXT_MAX];
	char *json = is_json ? notification(message, id_uuid(NULL, id)) : NULL;
	struct mail one = {.from = doc_str(smtp, "From", ""),
			   .to = doc_str(subscription, "Endpoint", ""),
			   .subject = message->subject,
			   .text = message->mail ? message->mail : message->text,
			   .at_ms = clock_now_ms(NULL)};
	char *text;
	int result;

	if (json)
		one.text = json;
	text = is_json && !json ? NULL : mail_compose(&one);
	free(json);
	if (!text) {
		err_set(err, ENOMEM, "out of memory");
		return -1;
	}
	result = delivery_mail(config, smtp, one.to, text, err);
	free(text);
	return result;
}

static void deliver(struct publication *publication, const json_t *subscription,
		    const struct topic_message *message)
{
	struct topics *topics = publication->topics;
	struct delivery_config config = {topics->config.loop, &topics->deliveries, on_delivered,
					 publication};
	bool is_http = strncmp(doc_str(subscription, "Protocol", ""), "http", 4) == 0;
	struct err err = {0};
	int result = is_http ? post(&config, subscription, message, &err)
			     : mail(&config, topics->config.smtp, subscription, message, &err);

	if (result == 0)
		publication->left++;
	else
		note(publication, err.text);
}

/* To whom the file says. */
static int publish_here(struct publication *publication, const json_t *topic,
			const struct topic_message *message, struct err *err)
{
	const json_t *subscription;
	size_t i;

	json_array_foreach (doc_array(topic, "Subscriptions"), i, subscription)
		deliver(publication, subscription, message);
	if (publication->left > 0)
		return 0;
	err_set(err, EIO, "%s",
		publication->why[0] ? publication->why : "the topic has no subscriptions");
	return -1;
}

static int publish_to_sns(struct publication *publication, const struct topic_message *message,
			  struct err *err)
{
	json_t *input = json_pack("{s:s, s:s, s:s}", "TopicArn", message->topic, "Subject",
				  message->subject, "Message", message->text);
	bool is_sent = input && aws_client_call(publication->topics->sns, "Publish", input,
						on_published, publication, err);

	if (!input)
		err_set(err, ENOMEM, "out of memory");
	json_decref(input);
	publication->left = 1;
	return is_sent ? 0 : -1;
}

int topics_publish(struct topics *topics, const struct topic_message *message, topics_done_fn fn,
		   void *arg, struct err *err)
{
	struct publication *publication = publication_new(topics, fn, arg, err);
	const json_t *topic = find(topics, message->topic);
	int result;

	if (!publication)
		return -1;
	result = topic ? publish_here(publication, topic, message, err)
		       : publish_to_sns(publication, message, err);
	if (result < 0)
		publication_free(publication);
	return result;
}

/* ---- life ---- */

struct topics *topics_new(const struct topics_config *config, struct err *err)
{
	struct aws_client_config settings = {.service = "sns",
					     .endpoint = config->sns_endpoint,
					     .region = config->region,
					     .timeout_ms = ATTEMPT_MS,
					     .max_attempts = ATTEMPTS};
	struct topics *topics = calloc(1, sizeof *topics);

	if (!topics) {
		err_set(err, ENOMEM, "out of memory");
		return NULL;
	}
	topics->config = *config;
	LIST_INIT(&topics->deliveries);
	LIST_INIT(&topics->publications);
	topics->sns = aws_client_new(config->loop, config->credentials, &settings, err);
	if (topics->sns)
		return topics;
	free(topics);
	return NULL;
}

void topics_free(struct topics *topics)
{
	if (!topics)
		return;
	aws_client_free(topics->sns);
	while (!LIST_EMPTY(&topics->deliveries))
		delivery_drop(LIST_FIRST(&topics->deliveries));
	while (!LIST_EMPTY(&topics->publications))
		publication_free(LIST_FIRST(&topics->publications));
	free(topics);
}
