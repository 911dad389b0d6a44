/* See delivery.h. */
#include "lab/neighbours/delivery.h"

#include <bsd/sys/queue.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"

enum {
	MAX_POSTS = 256,
	MAX_ATTEMPTS = 3,
	PAUSE_S = 1,
	CONNECT_MS = 3000,
	TIMEOUT_MS = 15000, /* as long as SNS waits */
};

struct post {
	struct delivery *delivery; /* borrowed: it frees its posts */
	CURL *easy;
	struct curl_slist *headers;
	char *body, *url;
	struct event *timer;
	int attempts;
	LIST_ENTRY(post) link;
};

struct delivery {
	struct curl_loop *loop; /* borrowed */
	LIST_HEAD(, post) posts;
	int n_posts;
};

struct delivery *delivery_new(struct curl_loop *loop, struct err *err)
{
	struct delivery *delivery = calloc(1, sizeof(*delivery));

	if (delivery == NULL) {
		err_set(err, ENOMEM, "out of memory");
		return NULL;
	}
	delivery->loop = loop;
	LIST_INIT(&delivery->posts);
	return delivery;
}

static void post_free(struct post *post)
{
	LIST_REMOVE(post, link);
	post->delivery->n_posts--;
	if (post->easy != NULL) {
		curl_loop_cancel(post->delivery->loop, post->easy);
		curl_easy_cleanup(post->easy);
	}
	if (post->timer != NULL)
		event_free(post->timer);
	curl_slist_free_all(post->headers);
	free(post->body);
	free(post->url);
	free(post);
}

void delivery_free(struct delivery *delivery)
{
	struct post *post, *next;

	if (delivery == NULL)
		return;
	LIST_FOREACH_SAFE (post, &delivery->posts, link, next) {
		post_free(post);
	}
	free(delivery);
}

/* Answers are read to their end and forgotten. */
static size_t forget(char *bytes, size_t size, size_t n, void *arg)
{
	(void)bytes;
	(void)arg;
	return size * n;
}

static void give_up(struct post *post, const char *why)
{
	log_warn("message-undelivered", "url=\"%.200s\" attempts=%d why=\"%s\"",
		 post->url == NULL ? "" : post->url, post->attempts, why);
	post_free(post);
}

static void on_done(void *arg, CURL *easy, CURLcode result)
{
	struct timeval pause = {.tv_sec = PAUSE_S};
	struct post *post = arg;
	char why[64];
	long status = 0;

	curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
	if (result == CURLE_OK && status / 100 == 2) {
		post_free(post);
		return;
	}
	snprintf(why, sizeof(why), "status %ld", status);
	if (post->attempts >= MAX_ATTEMPTS || event_add(post->timer, &pause) != 0)
		give_up(post, result == CURLE_OK ? why : curl_easy_strerror(result));
}

static void send_post(struct post *post)
{
	post->attempts++;
	if (curl_loop_add(post->delivery->loop, post->easy, on_done, post) != 0)
		give_up(post, "out of memory");
}

static void on_pause_over(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	send_post(arg);
}

static int set_headers(struct post *post, const char *const headers[DELIVERY_HEADERS_MAX])
{
	for (int i = 0; i < DELIVERY_HEADERS_MAX && headers[i] != NULL; i++) {
		struct curl_slist *longer = curl_slist_append(post->headers, headers[i]);

		if (longer == NULL)
			return -1;
		post->headers = longer;
	}
	return 0;
}

static int set_options(struct post *post)
{
	CURL *easy = post->easy;

	return curl_easy_setopt(easy, CURLOPT_URL, post->url) != CURLE_OK ||
		       curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https") != CURLE_OK ||
		       curl_easy_setopt(easy, CURLOPT_HTTPHEADER, post->headers) != CURLE_OK ||
		       curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE,
					(curl_off_t)strlen(post->body)) != CURLE_OK ||
		       curl_easy_setopt(easy, CURLOPT_POSTFIELDS, post->body) != CURLE_OK ||
		       curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS) !=
			   CURLE_OK ||
		       curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)TIMEOUT_MS) != CURLE_OK ||
		       curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, forget) != CURLE_OK
		   ? -1
		   : 0;
}

void delivery_post(struct delivery *delivery, const char *url,
		   const char *const headers[DELIVERY_HEADERS_MAX], const char *body)
{
	struct post *post = NULL;

	if (delivery->n_posts < MAX_POSTS)
		post = calloc(1, sizeof(*post));
	if (post == NULL) {
		log_warn("message-dropped", "url=\"%.200s\" why=\"%d are on their way\"", url,
			 delivery->n_posts);
		return;
	}
	post->delivery = delivery;
	LIST_INSERT_HEAD(&delivery->posts, post, link);
	delivery->n_posts++;
	post->easy = curl_easy_init();
	post->timer = event_new(curl_loop_base(delivery->loop), -1, 0, on_pause_over, post);
	post->body = strdup(body);
	post->url = strdup(url);
	if (post->easy == NULL || post->timer == NULL || post->body == NULL || post->url == NULL ||
	    set_headers(post, headers) != 0 || set_options(post) != 0)
		give_up(post, "out of memory, or the URL is none");
	else
		send_post(post);
}
