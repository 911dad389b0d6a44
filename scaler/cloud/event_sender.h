/*
 * Events on their way: messages to SNS topics, and every event to the webhook as a JSON POST, at
 * most SENDING_MAX at once.  What fails is tried again with growing pauses, as the engine's list
 * says; a restart sends again what was on its way.  Control thread only.
 */
#ifndef SCALER_CLOUD_EVENT_SENDER_H
#define SCALER_CLOUD_EVENT_SENDER_H

#include "common/base/buf.h"
#include "scaler/cloud/topics.h"
#include "scaler/engine/engine.h"

enum { SENDING_MAX = 8 };

struct event_sender_config {
	struct curl_loop *loop; /* borrowed, all of these */
	struct engine *engine;
	struct topics *topics;
	const char *webhook;        /* NULL: none */
	void (*on_done)(void *arg); /* a delivery has ended: there is something to store */
	void *arg;
};

struct event_sender;

MUST_CHECK struct event_sender *event_sender_new(const struct event_sender_config *config,
						 struct err *err);
void event_sender_free(struct event_sender *sender); /* after topics_free(); NULL is fine */
/* Sends what is due; all events must have been stored. */
void event_sender_run(struct event_sender *sender, int64_t now_ms);
/* Prometheus text. */
void event_sender_print(const struct event_sender *sender, struct buf *text);

/* The answer to GET /events: query is undecoded (group, after, limit).  -1: it is not understood,
 * and text says why. */
int event_page(const struct engine *engine, const char *query, bool hides_tokens, struct buf *text);

#endif
