/*
 * See notices.h.
 */
#include "scaler/cloud/notices.h"

#include <bsd/sys/queue.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* One on its way. */
struct notice {
	LIST_ENTRY(notice) link;
	struct notices *notices;
	char *alarm, *topic;
};

struct notices {
	struct topics *topics;
	struct cloudwatch *cloudwatch;
	LIST_HEAD(, notice) list;
};

static void notice_free(struct notice *notice)
{
	LIST_REMOVE(notice, link);
	free(notice->alarm);
	free(notice->topic);
	free(notice);
}

static void on_done(void *arg, const char *why)
{
	struct notice *notice = arg;

	cloudwatch_notice_done(notice->notices->cloudwatch, notice->alarm, notice->topic, why);
	notice_free(notice);
}

static struct notice *notice_new(struct notices *notices, const struct cloudwatch_notice *given,
				 struct err *err)
{
	struct notice *notice = calloc(1, sizeof *notice);

	if (!notice) {
		err_set(err, ENOMEM, "out of memory");
		return NULL;
	}
	notice->notices = notices;
	LIST_INSERT_HEAD(&notices->list, notice, link);
	notice->alarm = strdup(given->alarm);
	notice->topic = strdup(given->topic);
	if (notice->alarm && notice->topic)
		return notice;
	notice_free(notice);
	err_set(err, ENOMEM, "out of memory");
	return NULL;
}

static int on_notice(void *arg, const struct cloudwatch_notice *given, struct err *err)
{
	struct notices *notices = arg;
	struct topic_message message = {given->topic, given->subject, given->message, given->mail};
	struct notice *notice = notice_new(notices, given, err);

	if (!notice)
		return -1;
	if (topics_publish(notices->topics, &message, on_done, notice, err) == 0)
		return 0;
	notice_free(notice);
	return -1;
}

struct notices *notices_new(struct topics *topics, struct cloudwatch *cloudwatch, struct err *err)
{
	struct notices *notices = calloc(1, sizeof *notices);

	if (!notices) {
		err_set(err, ENOMEM, "out of memory");
		return NULL;
	}
	LIST_INIT(&notices->list);
	notices->topics = topics;
	notices->cloudwatch = cloudwatch;
	cloudwatch_on_notice(cloudwatch, on_notice, notices);
	return notices;
}

void notices_free(struct notices *notices)
{
	if (!notices)
		return;
	cloudwatch_on_notice(notices->cloudwatch, NULL, NULL);
	while (!LIST_EMPTY(&notices->list))
		notice_free(LIST_FIRST(&notices->list));
	free(notices);
}
