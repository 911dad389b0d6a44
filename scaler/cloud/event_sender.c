/*
 * See event_sender.h.
 */
#include "scaler/cloud/event_sender.h"

#include <bsd/sys/queue.h>
#include <errno.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/doc/doc.h"

enum {
	TIMEOUT_MS = 10000,
	CONNECT_MS = 3000,
	SHOWN = 100,
	SHOWN_MAX = 1000,
};

/* One delivery under way. */
struct sending {
	struct event_sender *sender;
	uint64_t number; /* the event's */
	size_t place;    /* in its deliveries */
	CURL *easy;      /* of a webhook's */
	char *body;
	LIST_ENTRY(sending) link;
};

struct event_sender {
	struct event_sender_config config;
	struct curl_slist *headers;
	LIST_HEAD(, sending) list;
	int n;
};

static void sending_free(struct sending *sending)
{
	LIST_REMOVE(sending, link);
	sending->sender->n--;
	if (sending->easy) {
		curl_loop_cancel(sending->sender->config.loop, sending->easy);
		curl_easy_cleanup(sending->easy);
	}
	free(sending->body);
	free(sending);
}

/* why NULL: it has arrived. */
static void done(struct sending *sending, const char *why)
{
	struct event_sender *sender = sending->sender;
	bool is_over = engine_delivered(sender->config.engine, sending->number, sending->place, why,
					clock_now_ms(NULL));

	if (why)
		log_warn(is_over ? "event-given-up" : "event-not-delivered",
			 "number=%" PRIu64 " why=\"%s\"", sending->number, why);
	sending_free(sending);
	sender->config.on_done(sender->config.arg);
}

/* ---- topics ---- */

static void on_published(void *arg, const char *why)
{
	done(arg, why);
}

static void publish(struct sending *sending, const json_t *delivery)
{
	struct topic_message message = {.topic = doc_str(delivery, "Target", ""),
					.subject = doc_str(delivery, "Subject", ""),
					.text = doc_str(delivery, "Message", "")};
	struct err err = {0};

	if (topics_publish(sending->sender->config.topics, &message, on_published, sending, &err) <
	    0)
		done(sending, err.text);
}

/* ---- the webhook ---- */

/* Answers are read to their end and forgotten. */
static size_t forget(char *bytes, size_t size, size_t n, void *arg)
{
	(void)bytes;
	(void)arg;
	return size * n;
}

static void on_posted(void *arg, CURL *easy, CURLcode result)
{
	struct sending *sending = arg;
	char why[64];
	long status = 0;

	curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
	snprintf(why, sizeof why, "the webhook answered %ld", status);
	if (result == CURLE_OK && status / 100 == 2)
		done(sending, NULL);
	else
		done(sending, result == CURLE_OK ? why : curl_easy_strerror(result));
}

static int set_options(const struct sending *sending)
{
	const struct event_sender *sender = sending->sender;
	CURL *easy = sending->easy;
	int failed = 0;

	failed |= curl_easy_setopt(easy, CURLOPT_URL, sender->config.webhook);
	failed |= curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	failed |= curl_easy_setopt(easy, CURLOPT_USERAGENT, "albatross-scaler");
	failed |= curl_easy_setopt(easy, CURLOPT_HTTPHEADER, sender->headers);
	failed |=
	    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)strlen(sending->body));
	failed |= curl_easy_setopt(easy, CURLOPT_POSTFIELDS, sending->body);
	failed |= curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS);
	failed |= curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)TIMEOUT_MS);
	failed |= curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, forget);
	return failed ? -1 : 0;
}

static void post(struct sending *sending, const json_t *document)
{
	sending->body = json_dumps(document, JSON_COMPACT);
	sending->easy = curl_easy_init();
	if (!sending->body || !sending->easy || set_options(sending) < 0 ||
	    curl_loop_add(sending->sender->config.loop, sending->easy, on_posted, sending) < 0)
		done(sending, "out of memory");
}

/* ---- what is due ---- */

static bool send_next(struct event_sender *sender, int64_t now_ms)
{
	struct sending *sending = calloc(1, sizeof *sending);
	const struct event *event;
	const json_t *delivery;

	if (!sending)
		return false;
	event = engine_next_delivery(sender->config.engine, now_ms, &sending->place);
	if (!event) {
		free(sending);
		return false;
	}
	delivery = json_array_get(event->deliveries, sending->place);
	sending->sender = sender;
	sending->number = event->number;
	LIST_INSERT_HEAD(&sender->list, sending, link);
	sender->n++;
	if (strcmp(doc_str(delivery, "Kind", ""), "webhook") == 0)
		post(sending, event->document);
	else
		publish(sending, delivery);
	return true;
}

void event_sender_run(struct event_sender *sender, int64_t now_ms)
{
	while (sender->n < SENDING_MAX && send_next(sender, now_ms))
		;
}

/* ---- life ---- */

struct event_sender *event_sender_new(const struct event_sender_config *config, struct err *err)
{
	struct event_sender *sender = calloc(1, sizeof *sender);

	if (!sender)
		goto oom;
	LIST_INIT(&sender->list);
	sender->config = *config;
	sender->headers = curl_slist_append(NULL, "Content-Type: application/json");
	if (sender->headers) {
		engine_set_webhook(config->engine, config->webhook != NULL);
		return sender;
	}
oom:
	event_sender_free(sender);
	err_set(err, ENOMEM, "out of memory");
	return NULL;
}

void event_sender_free(struct event_sender *sender)
{
	if (!sender)
		return;
	while (!LIST_EMPTY(&sender->list))
		sending_free(LIST_FIRST(&sender->list));
	curl_slist_free_all(sender->headers);
	free(sender);
}

void event_sender_print(const struct event_sender *sender, struct buf *text)
{
	const struct events *events = &sender->config.engine->events;

	buf_printf(text,
		   "# HELP albatross_event_deliveries_total Deliveries of events, by outcome.\n"
		   "# TYPE albatross_event_deliveries_total counter\n"
		   "albatross_event_deliveries_total{outcome=\"delivered\"} %" PRIu64 "\n"
		   "albatross_event_deliveries_total{outcome=\"lost\"} %" PRIu64 "\n"
		   "# HELP albatross_event_deliveries_owed Deliveries still to be made.\n"
		   "# TYPE albatross_event_deliveries_owed gauge\n"
		   "albatross_event_deliveries_owed %d\n",
		   events->n_delivered, events->n_lost, events->n_owed);
}

/* ---- GET /events ---- */

/* A whole number up to max; -1: it is none. */
static int64_t number_of(const char *text, int64_t otherwise, int64_t max)
{
	char *end = NULL;
	long long value;

	if (!text)
		return otherwise;
	value = strtoll(text, &end, 10);
	return end == text || *end != '\0' || value < 0 || value > max ? -1 : value;
}

int event_page(const struct engine *engine, const char *query, bool hides_tokens, struct buf *text)
{
	struct event_query wanted = {.hides_tokens = hides_tokens};
	struct evkeyvalq pairs = {0};
	int64_t after = -1, limit = -1;
	json_t *shown = NULL;
	char *page = NULL;
	bool is_fine;

	if (evhttp_parse_query_str(query, &pairs) == 0) {
		wanted.group = evhttp_find_header(&pairs, "group");
		after = number_of(evhttp_find_header(&pairs, "after"), 0, INT64_MAX);
		limit = number_of(evhttp_find_header(&pairs, "limit"), SHOWN, SHOWN_MAX);
	}
	if (after >= 0 && limit >= 0) {
		wanted.after = (uint64_t)after;
		wanted.limit = (size_t)limit;
		shown = engine_events_describe(engine, &wanted);
		page = shown ? json_dumps(shown, JSON_INDENT(1)) : NULL;
	}
	is_fine = page != NULL;
	if (is_fine)
		buf_printf(text, "%s\n", page);
	else
		buf_printf(text, "group=NAME, after=NUMBER and limit=NUMBER (at most %d) are\n",
			   SHOWN_MAX);
	evhttp_clear_headers(&pairs);
	json_decref(shown);
	free(page);
	return is_fine ? 0 : -1;
}
