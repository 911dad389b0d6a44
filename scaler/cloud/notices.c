/*
 * See notices.h.
 */
#include "scaler/cloud/notices.h"

#include <bsd/sys/queue.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { ATTEMPT_MS = 10000, ATTEMPTS = 3 };

/* One on its way. */
struct notice {
	LIST_ENTRY(notice) link;
	struct notices *notices;
	char *alarm, *topic;
};

struct notices {
	struct aws_client *client;
	struct cloudwatch *cloudwatch;
	LIST_HEAD(, notice) list;
	size_t n;
};

static void notice_free(struct notice *notice)
{
	free(notice->alarm);
	free(notice->topic);
	free(notice);
}

static void remove_notice(struct notice *notice)
{
	LIST_REMOVE(notice, link);
	notice->notices->n--;
	notice_free(notice);
}

static void on_published(void *arg, const json_t *output, const struct aws_error *error)
{
	struct notice *notice = arg;

	(void)output;
	cloudwatch_notice_done(notice->notices->cloudwatch, notice->alarm, notice->topic,
			       error->http_status != 0 ? error->message : NULL);
	remove_notice(notice);
}

static struct notice *add_notice(struct notices *notices, const struct cloudwatch_notice *given,
				 struct err *err)
{
	struct notice *notice;

	if (notices->n == NOTICES_MAX) {
		err_set(err, EBUSY, "%d messages are on their way already", NOTICES_MAX);
		return NULL;
	}
	notice = calloc(1, sizeof *notice);
	if (notice) {
		notice->notices = notices;
		notice->alarm = strdup(given->alarm);
		notice->topic = strdup(given->topic);
	}
	if (!notice || !notice->alarm || !notice->topic) {
		if (notice)
			notice_free(notice);
		err_set(err, ENOMEM, "out of memory");
		return NULL;
	}
	LIST_INSERT_HEAD(&notices->list, notice, link);
	notices->n++;
	return notice;
}

static int on_notice(void *arg, const struct cloudwatch_notice *given, struct err *err)
{
	struct notices *notices = arg;
	struct notice *notice = add_notice(notices, given, err);
	json_t *input = json_pack("{s:s, s:s, s:s}", "TopicArn", given->topic, "Subject",
				  given->subject, "Message", given->message);
	bool is_sent =
	    notice && input &&
	    aws_client_call(notices->client, "Publish", input, on_published, notice, err);

	json_decref(input);
	if (is_sent)
		return 0;
	if (notice)
		remove_notice(notice);
	return -1;
}

struct notices *notices_new(struct curl_loop *loop, struct aws_credentials *credentials,
			    const char *region, const char *endpoint, struct cloudwatch *cloudwatch,
			    struct err *err)
{
	struct aws_client_config config = {.service = "sns",
					   .endpoint = endpoint,
					   .region = region,
					   .timeout_ms = ATTEMPT_MS,
					   .max_attempts = ATTEMPTS};
	struct notices *notices = calloc(1, sizeof *notices);

	if (!notices) {
		err_set(err, ENOMEM, "out of memory");
		return NULL;
	}
	LIST_INIT(&notices->list);
	notices->cloudwatch = cloudwatch;
	notices->client = aws_client_new(loop, credentials, &config, err);
	if (!notices->client) {
		free(notices);
		return NULL;
	}
	cloudwatch_on_notice(cloudwatch, on_notice, notices);
	return notices;
}

void notices_free(struct notices *notices)
{
	if (!notices)
		return;
	cloudwatch_on_notice(notices->cloudwatch, NULL, NULL);
	aws_client_free(notices->client);
	while (!LIST_EMPTY(&notices->list))
		remove_notice(LIST_FIRST(&notices->list));
	free(notices);
}
