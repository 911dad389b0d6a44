/*
 * Messages to topics.  A topic of the file (Scaler.Topics) is served here: each of its
 * subscriptions gets the message, as a POST in SNS's form or as an e-mail (Scaler.Smtp).  Any other
 * topic is told to SNS.  At most TOPICS_MESSAGES_MAX messages are on their way at once; each
 * delivery is tried three times.  A restart drops what is on its way.  Control thread only.
 */
#ifndef SCALER_CLOUD_TOPICS_H
#define SCALER_CLOUD_TOPICS_H

#include <jansson.h>

#include "common/aws/client.h"
#include "common/base/err.h"
#include "common/http/curl_loop.h"

enum { TOPICS_MESSAGES_MAX = 100 };

struct topics_config {
	struct curl_loop *loop; /* borrowed, all of these */
	struct aws_credentials *credentials;
	const char *region, *account_id;
	const char *sns_endpoint; /* NULL: AWS's own */
	const json_t *topics;     /* Scaler.Topics; NULL none */
	const json_t *smtp;       /* Scaler.Smtp; NULL none */
};

struct topics;

MUST_CHECK struct topics *topics_new(const struct topics_config *config, struct err *err);
void topics_free(struct topics *topics); /* NULL is fine */

/* The ARN of the file's topic of that name into arn[ARN_TEXT_MAX]; false: there is none. */
bool topics_named(const struct topics *topics, const char *name, char arn[]);

struct topic_message {
	const char *topic; /* ARN; all are borrowed for the call */
	const char *subject, *text;
	const char *mail; /* the text for people; NULL: text */
};

/* why NULL: it has arrived everywhere.  Called once, never from inside topics_publish(). */
typedef void (*topics_done_fn)(void *arg, const char *why);
/* -1 with err, fn is then never called: EBUSY too many are on their way, ENOMEM. */
MUST_CHECK int topics_publish(struct topics *topics, const struct topic_message *message,
			      topics_done_fn fn, void *arg, struct err *err);

#endif
