/* See delivery.h. */
#include "scaler/cloud/delivery.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/doc/doc.h"

enum {
	ATTEMPTS = 3,
	PAUSE_S = 1, /* after the first attempt, then five times as long */
	CONNECT_MS = 5000,
	POST_MS = 15000, /* as long as SNS waits */
	MAIL_MS = 30000,
};

struct delivery {
	struct delivery_config config;
	CURL *easy;
	struct curl_slist *list; /* headers, or recipients */
	char *body;
	size_t len, sent; /* of an e-mail's */
	struct event *timer;
	int attempts;
	bool is_mail;
	char trouble[CURL_ERROR_SIZE];
	LIST_ENTRY(delivery) link;
};

void delivery_drop(struct delivery *delivery)
{
	LIST_REMOVE(delivery, link);
	if (delivery->easy) {
		curl_loop_cancel(delivery->config.loop, delivery->easy);
		curl_easy_cleanup(delivery->easy);
	}
	if (delivery->timer)
		event_free(delivery->timer);
	curl_slist_free_all(delivery->list);
	free(delivery->body);
	free(delivery);
}

static void done(struct delivery *delivery, const char *why)
{
	delivery->config.fn(delivery->config.arg, why);
	delivery_drop(delivery);
}

/* ---- attempts ---- */

static void send_again(struct delivery *delivery);

static void on_done(void *arg, CURL *easy, CURLcode result)
{
	struct delivery *delivery = arg;
	struct timeval pause = {.tv_sec = delivery->attempts == 1 ? PAUSE_S : 5 * PAUSE_S};
	char why[CURL_ERROR_SIZE + 64];
	long status = 0;

	curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
	if (result == CURLE_OK && (delivery->is_mail || status / 100 == 2)) {
		done(delivery, NULL);
		return;
	}
	if (result == CURLE_OK)
		snprintf(why, sizeof why, "it was answered with the status %ld", status);
	else
		snprintf(why, sizeof why, "%s%s%s", curl_easy_strerror(result),
			 delivery->trouble[0] ? ": " : "", delivery->trouble);
	if (delivery->attempts >= ATTEMPTS || event_add(delivery->timer, &pause) != 0)
		done(delivery, why);
}

static void send_again(struct delivery *delivery)
{
	delivery->attempts++;
	delivery->sent = 0;
	delivery->trouble[0] = '\0';
	if (curl_loop_add(delivery->config.loop, delivery->easy, on_done, delivery) != 0)
		done(delivery, "out of memory");
}

/* The first attempt is made from here too, so that nobody is told before his call has ended. */
static void on_pause_over(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	send_again(arg);
}

/* ---- life ---- */

static struct delivery *delivery_new(const struct delivery_config *config, const char *body)
{
	struct delivery *delivery = calloc(1, sizeof *delivery);

	if (!delivery)
		return NULL;
	delivery->config = *config;
	LIST_INSERT_HEAD(config->list, delivery, link);
	delivery->easy = curl_easy_init();
	delivery->timer = event_new(curl_loop_base(config->loop), -1, 0, on_pause_over, delivery);
	delivery->body = strdup(body);
	if (delivery->easy && delivery->timer && delivery->body)
		return delivery;
	delivery_drop(delivery);
	return NULL;
}

static int append(struct delivery *delivery, const char *text)
{
	struct curl_slist *longer = curl_slist_append(delivery->list, text);

	if (!longer)
		return -1;
	delivery->list = longer;
	return 0;
}

/* Answers are read to their end and forgotten. */
static size_t forget(char *bytes, size_t size, size_t n, void *arg)
{
	(void)bytes;
	(void)arg;
	return size * n;
}

static int begin(struct delivery *delivery, const char *url, long timeout_ms, struct err *err)
{
	struct timeval now = {0, 0};
	CURL *easy = delivery->easy;
	int failed = 0;

	failed |= curl_easy_setopt(easy, CURLOPT_URL, url);
	failed |= curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS);
	failed |= curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, timeout_ms);
	failed |= curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, forget);
	failed |= curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, delivery->trouble);
	if (!failed && event_add(delivery->timer, &now) == 0)
		return 0;
	delivery_drop(delivery);
	err_set(err, ENOMEM, "out of memory, or the address is none");
	return -1;
}

static int out_of_memory(struct delivery *delivery, struct err *err)
{
	if (delivery)
		delivery_drop(delivery);
	err_set(err, ENOMEM, "out of memory");
	return -1;
}

/* ---- HTTP ---- */

int delivery_post(const struct delivery_config *config, const char *url,
		  const char *const headers[], const char *body, struct err *err)
{
	struct delivery *delivery = delivery_new(config, body);
	int failed = 0;

	if (!delivery)
		return out_of_memory(NULL, err);
	for (; *headers; headers++) {
		if (append(delivery, *headers) < 0)
			return out_of_memory(delivery, err);
	}
	failed |= curl_easy_setopt(delivery->easy, CURLOPT_PROTOCOLS_STR, "http,https");
	failed |= curl_easy_setopt(delivery->easy, CURLOPT_HTTPHEADER, delivery->list);
	failed |= curl_easy_setopt(delivery->easy, CURLOPT_POSTFIELDSIZE_LARGE,
				   (curl_off_t)strlen(delivery->body));
	failed |= curl_easy_setopt(delivery->easy, CURLOPT_POSTFIELDS, delivery->body);
	if (failed)
		return out_of_memory(delivery, err);
	return begin(delivery, url, POST_MS, err);
}

/* ---- e-mail ---- */

static size_t read_mail(char *into, size_t size, size_t n, void *arg)
{
	struct delivery *delivery = arg;
	size_t left = delivery->len - delivery->sent, room = size * n;
	size_t len = left < room ? left : room;

	memcpy(into, delivery->body + delivery->sent, len);
	delivery->sent += len;
	return len;
}

/* A password is never sent in the clear, unless that is asked for. */
static long tls_of(const json_t *smtp)
{
	const char *tls =
	    doc_str(smtp, "Tls", doc_has(smtp, "Password") ? "required" : "opportunistic");

	if (strcmp(tls, "none") == 0)
		return CURLUSESSL_NONE;
	return strcmp(tls, "required") == 0 ? CURLUSESSL_ALL : CURLUSESSL_TRY;
}

static int set_server(CURL *easy, const json_t *smtp)
{
	int failed = 0;

	failed |= curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "smtp,smtps");
	failed |= curl_easy_setopt(easy, CURLOPT_USE_SSL, tls_of(smtp));
	failed |= curl_easy_setopt(easy, CURLOPT_MAIL_FROM, doc_str(smtp, "From", ""));
	if (doc_has(smtp, "User"))
		failed |= curl_easy_setopt(easy, CURLOPT_USERNAME, doc_str(smtp, "User", ""));
	if (doc_has(smtp, "Password"))
		failed |= curl_easy_setopt(easy, CURLOPT_PASSWORD, doc_str(smtp, "Password", ""));
	return failed ? -1 : 0;
}

int delivery_mail(const struct delivery_config *config, const json_t *smtp, const char *to,
		  const char *text, struct err *err)
{
	struct delivery *delivery = delivery_new(config, text);
	int failed = 0;

	if (!delivery || append(delivery, to) < 0)
		return out_of_memory(delivery, err);
	delivery->is_mail = true;
	delivery->len = strlen(delivery->body);
	failed |= set_server(delivery->easy, smtp);
	failed |= curl_easy_setopt(delivery->easy, CURLOPT_MAIL_RCPT, delivery->list);
	failed |= curl_easy_setopt(delivery->easy, CURLOPT_UPLOAD, 1L);
	failed |= curl_easy_setopt(delivery->easy, CURLOPT_READFUNCTION, read_mail);
	failed |= curl_easy_setopt(delivery->easy, CURLOPT_READDATA, delivery);
	if (failed)
		return out_of_memory(delivery, err);
	return begin(delivery, doc_str(smtp, "Url", ""), MAIL_MS, err);
}
