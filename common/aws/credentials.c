/*
 * See credentials.h.  One look along the chain at a time; who needs keys meanwhile waits in a list.
 *
 *   idle -> start (next turn of the loop) -> environment, files: done
 *                                        '-> container: one GET, done
 *                                        '-> IMDS: PUT token -> GET role -> GET keys, done
 */
#include "common/aws/credentials.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/aws/credentials_file.h"
#include "common/base/buf.h"
#include "common/base/clock.h"
#include "common/base/log.h"

#define IMDS_PATH "/latest/meta-data/iam/security-credentials/"

enum {
	MAX_ANSWER = 64 * 1024,
	MAX_URL = 2048,
	MAX_TOKEN = 8192,
	MAX_ROLE = 128,
	CONTAINER_TIMEOUT_MS = 2000,
	IMDS_TIMEOUT_MS = 1000,
	RENEW_BEFORE_MS = 15 * 60 * 1000, /* from here on, in the background */
	USE_UNTIL_MS = 60 * 1000,         /* before expiry: later, calls wait for new ones */
	RETRY_AFTER_MS = 30 * 1000,       /* of a renewal that failed while keys still work */
	ABSENT_FOR_MS = 2000,             /* calls fail at once for so long after a vain look */
	EXTEND_MS = 15 * 60 * 1000,       /* keys that cannot be renewed are used on, as SDKs do */
};

enum fetch_step { FETCH_CONTAINER, FETCH_TOKEN, FETCH_ROLE, FETCH_KEYS };

struct aws_credentials {
	struct curl_loop *loop; /* borrowed: outlives the chain */
	struct event *start;
	TAILQ_HEAD(, aws_keys_waiter) waiters;
	struct aws_keys keys;
	bool is_looking;
	uint64_t round;        /* of telling: who starts to wait meanwhile is of the next one */
	int64_t not_before_ms; /* no new look until then */
	char why[sizeof(((struct err *)NULL)->text) * 2];
	/* The look under way. */
	CURL *easy;
	struct curl_slist *headers;
	enum fetch_step step;
	struct buf body;
	char imds[MAX_URL / 2];
	char imds_token[MAX_TOKEN / 8];
	char role[MAX_ROLE];
	char where[512]; /* files looked at */
};

static const char *env(const char *name)
{
	const char *value = getenv(name);

	return value != NULL && value[0] != '\0' ? value : NULL;
}

static bool env_is_true(const char *name)
{
	const char *value = env(name);

	return value != NULL && strcasecmp(value, "true") == 0;
}

static void drop_fetch(struct aws_credentials *credentials)
{
	if (credentials->easy != NULL) {
		curl_loop_cancel(credentials->loop, credentials->easy);
		curl_easy_cleanup(credentials->easy);
	}
	curl_slist_free_all(credentials->headers);
	credentials->easy = NULL;
	credentials->headers = NULL;
	buf_fini(&credentials->body);
}

static bool are_usable(const struct aws_credentials *credentials, int64_t now_ms)
{
	const struct aws_keys *keys = &credentials->keys;

	return keys->access_key != NULL &&
	       (keys->expires_ms == 0 || now_ms < keys->expires_ms - USE_UNTIL_MS);
}

static void tell_waiters(struct aws_credentials *credentials)
{
	uint64_t round = credentials->round++;
	struct aws_keys_waiter *waiter;

	while ((waiter = TAILQ_FIRST(&credentials->waiters)) != NULL && waiter->round <= round) {
		bool is_good = are_usable(credentials, clock_now_ms(NULL));

		TAILQ_REMOVE(&credentials->waiters, waiter, link);
		waiter->is_waiting = false;
		waiter->fn(waiter->arg, is_good ? &credentials->keys : NULL, credentials->why);
	}
}

/* The end of a look that found keys, which it takes. */
static void end_found(struct aws_credentials *credentials, struct aws_keys *keys, const char *from)
{
	drop_fetch(credentials);
	aws_keys_fini(&credentials->keys);
	credentials->keys = *keys;
	credentials->is_looking = false;
	credentials->not_before_ms = 0;
	log_info("credentials-found", "from=%s expires=%s", from,
		 keys->expires_ms == 0 ? "never" : "yes");
	tell_waiters(credentials);
}

static void end_vain(struct aws_credentials *credentials, const char *why)
{
	int64_t now_ms = clock_now_ms(NULL);
	bool has_old = credentials->keys.access_key != NULL;

	drop_fetch(credentials);
	credentials->is_looking = false;
	credentials->not_before_ms = now_ms + (has_old ? RETRY_AFTER_MS : ABSENT_FOR_MS);
	snprintf(credentials->why, sizeof(credentials->why), "%s", why);
	log_warn("credentials-missing", "keeps_old=%d why=\"%s\"", has_old, why);
	if (has_old && !are_usable(credentials, now_ms))
		credentials->keys.expires_ms = now_ms + EXTEND_MS;
	tell_waiters(credentials);
}

static void end_fetch_failed(struct aws_credentials *credentials, const char *what)
{
	char why[sizeof(credentials->why)];

	if (credentials->step == FETCH_CONTAINER)
		snprintf(why, sizeof(why), "the container's credentials endpoint: %s", what);
	else
		snprintf(
		    why, sizeof(why),
		    "no credentials: looked at the environment (AWS_ACCESS_KEY_ID), %.500s, the "
		    "container endpoint (no AWS_CONTAINER_CREDENTIALS_RELATIVE_URI), "
		    "instance metadata (%.120s: %.120s)",
		    credentials->where, credentials->imds, what);
	end_vain(credentials, why);
}

static size_t on_bytes(char *bytes, size_t size, size_t n, void *arg)
{
	struct aws_credentials *credentials = arg;

	if (credentials->body.len + size * n > MAX_ANSWER)
		return 0;
	buf_add(&credentials->body, bytes, size * n);
	return buf_failed(&credentials->body) ? 0 : size * n;
}

static void on_fetched(void *arg, CURL *easy, CURLcode result);

/* header may be NULL.  Proxies know nothing of link-local addresses. */
static void fetch(struct aws_credentials *credentials, enum fetch_step step, const char *url,
		  const char *header, long timeout_ms)
{
	drop_fetch(credentials);
	credentials->step = step;
	credentials->easy = curl_easy_init();
	if (header != NULL)
		credentials->headers = curl_slist_append(NULL, header);
	if (credentials->easy == NULL || (header != NULL && credentials->headers == NULL)) {
		end_fetch_failed(credentials, "out of memory");
		return;
	}
	curl_easy_setopt(credentials->easy, CURLOPT_URL, url);
	curl_easy_setopt(credentials->easy, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(credentials->easy, CURLOPT_NOPROXY, "*");
	curl_easy_setopt(credentials->easy, CURLOPT_HTTPHEADER, credentials->headers);
	curl_easy_setopt(credentials->easy, CURLOPT_TIMEOUT_MS, timeout_ms);
	curl_easy_setopt(credentials->easy, CURLOPT_WRITEFUNCTION, on_bytes);
	curl_easy_setopt(credentials->easy, CURLOPT_WRITEDATA, credentials);
	if (step == FETCH_TOKEN)
		curl_easy_setopt(credentials->easy, CURLOPT_CUSTOMREQUEST, "PUT");
	if (curl_loop_add(credentials->loop, credentials->easy, on_fetched, credentials) != 0)
		end_fetch_failed(credentials, "out of memory");
}

static void fetch_imds(struct aws_credentials *credentials, enum fetch_step step)
{
	char url[MAX_URL], header[MAX_TOKEN];
	bool has_token = credentials->imds_token[0] != '\0';

	snprintf(header, sizeof(header), "X-aws-ec2-metadata-token: %s", credentials->imds_token);
	snprintf(url, sizeof(url), "%s" IMDS_PATH "%s", credentials->imds,
		 step == FETCH_KEYS ? credentials->role : "");
	fetch(credentials, step, url, has_token ? header : NULL, IMDS_TIMEOUT_MS);
}

static void fetch_imds_token(struct aws_credentials *credentials)
{
	char url[MAX_URL];

	snprintf(url, sizeof(url), "%s/latest/api/token", credentials->imds);
	fetch(credentials, FETCH_TOKEN, url, "X-aws-ec2-metadata-token-ttl-seconds: 21600",
	      IMDS_TIMEOUT_MS);
}

/* The answer up to the end of its first line; false when it does not fit or has odd bytes: it goes
 * into a header and a path. */
static bool first_line(const struct buf *body, char *line, size_t size)
{
	size_t len = strcspn(buf_text(body), "\r\n");

	if (len == 0 || len >= size)
		return false;
	snprintf(line, size, "%.*s", (int)len, buf_text(body));
	for (const char *p = line; *p != '\0'; p++)
		if (*p <= ' ' || *p > '~' || strchr("?#%\"<>\\", *p) != NULL)
			return false;
	return true;
}

/*
 * IMDSv1 takes over where v2 is not there, or where its answer cannot pass the hop limit (a
 * container's bridge): then the connection stands and the answer never comes.
 */
static bool may_use_v1(CURL *easy, CURLcode result, long status)
{
	curl_off_t connect_us = 0;

	if (env_is_true("AWS_EC2_METADATA_V1_DISABLED"))
		return false;
	curl_easy_getinfo(easy, CURLINFO_CONNECT_TIME_T, &connect_us);
	if (result == CURLE_OPERATION_TIMEDOUT)
		return connect_us > 0;
	return result == CURLE_OK && (status == 403 || status == 404 || status == 405);
}

static void on_token(struct aws_credentials *credentials, CURLcode result, long status)
{
	char text[64];

	credentials->imds_token[0] = '\0';
	if (result == CURLE_OK && status == 200 &&
	    first_line(&credentials->body, credentials->imds_token,
		       sizeof(credentials->imds_token))) {
		fetch_imds(credentials, FETCH_ROLE);
		return;
	}
	if (may_use_v1(credentials->easy, result, status)) {
		fetch_imds(credentials, FETCH_ROLE);
		return;
	}
	snprintf(text, sizeof(text), "no token, status %ld", status);
	end_fetch_failed(credentials, result == CURLE_OK ? text : curl_easy_strerror(result));
}

static void on_keys(struct aws_credentials *credentials)
{
	struct err err = {0};
	struct aws_keys keys;

	if (keys_from_json(buf_text(&credentials->body), credentials->body.len, &keys, &err) != 0)
		end_fetch_failed(credentials, err.text);
	else
		end_found(credentials, &keys,
			  credentials->step == FETCH_CONTAINER ? "container" : "instance-metadata");
}

static void on_fetched(void *arg, CURL *easy, CURLcode result)
{
	struct aws_credentials *credentials = arg;
	char text[64];
	long status = 0;

	curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
	if (credentials->step == FETCH_TOKEN) {
		on_token(credentials, result, status);
		return;
	}
	if (result != CURLE_OK || status != 200) {
		snprintf(text, sizeof(text), "status %ld%s", status,
			 status == 404 ? ", the instance has no role" : "");
		end_fetch_failed(credentials,
				 result == CURLE_OK ? text : curl_easy_strerror(result));
		return;
	}
	if (credentials->step != FETCH_ROLE)
		on_keys(credentials);
	else if (first_line(&credentials->body, credentials->role, sizeof(credentials->role)))
		fetch_imds(credentials, FETCH_KEYS);
	else
		end_fetch_failed(credentials, "the instance has no role");
}

/* The header's value from the file or the variable; false with a message when it is of no use. */
static bool container_token(char *header, size_t size, const char **why)
{
	const char *path = env("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
	const char *token = env("AWS_CONTAINER_AUTHORIZATION_TOKEN");
	char line[MAX_TOKEN / 2] = "";

	header[0] = '\0';
	if (path != NULL) {
		FILE *file = fopen(path, "re");

		*why = "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE cannot be read";
		if (file == NULL)
			return false;
		token = fgets(line, sizeof(line), file);
		fclose(file);
		if (token == NULL)
			return false;
		line[strcspn(line, "\r\n")] = '\0';
	}
	*why = "the authorization token has line breaks, or is too long";
	if (token != NULL && (strpbrk(token, "\r\n") != NULL || strlen(token) > size - 32))
		return false;
	if (token != NULL)
		snprintf(header, size, "Authorization: %s", token);
	return true;
}

static void look_at_container(struct aws_credentials *credentials)
{
	const char *relative = env("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
	const char *full = env("AWS_CONTAINER_CREDENTIALS_FULL_URI"), *why;
	char url[MAX_URL], header[MAX_TOKEN];

	credentials->step = FETCH_CONTAINER;
	if (relative != NULL)
		snprintf(url, sizeof(url), "http://169.254.170.2%s%s", *relative == '/' ? "" : "/",
			 relative);
	else
		snprintf(url, sizeof(url), "%s", full);
	if (!keys_is_container_url_allowed(url)) {
		end_fetch_failed(credentials, "AWS_CONTAINER_CREDENTIALS_FULL_URI must be https, "
					      "or an address of this host");
		return;
	}
	if (!container_token(header, sizeof(header), &why)) {
		end_fetch_failed(credentials, why);
		return;
	}
	fetch(credentials, FETCH_CONTAINER, url, header[0] == '\0' ? NULL : header,
	      CONTAINER_TIMEOUT_MS);
}

static void look_at_imds(struct aws_credentials *credentials)
{
	const char *endpoint = env("AWS_EC2_METADATA_SERVICE_ENDPOINT");
	const char *mode = env("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE");
	size_t len;

	credentials->step = FETCH_TOKEN;
	if (endpoint == NULL)
		endpoint = mode != NULL && strcasecmp(mode, "ipv6") == 0 ? "http://[fd00:ec2::254]"
									 : "http://169.254.169.254";
	snprintf(credentials->imds, sizeof(credentials->imds), "%s", endpoint);
	len = strlen(credentials->imds);
	if (len > 0 && credentials->imds[len - 1] == '/')
		credentials->imds[len - 1] = '\0';
	if (env_is_true("AWS_EC2_METADATA_DISABLED"))
		end_fetch_failed(credentials, "switched off by AWS_EC2_METADATA_DISABLED");
	else
		fetch_imds_token(credentials);
}

static void look(struct aws_credentials *credentials)
{
	struct aws_keys keys = {0};
	struct err err = {0};
	const char *from = "environment";
	enum keys_found found = keys_from_environment(&keys, &err);

	credentials->is_looking = true;
	if (found == KEYS_ABSENT) {
		from = "file";
		found =
		    keys_from_files(&keys, credentials->where, sizeof(credentials->where), &err);
	}
	if (found == KEYS_ABSENT && env("AWS_WEB_IDENTITY_TOKEN_FILE") != NULL) {
		err_set(&err, ENOTSUP,
			"AWS_WEB_IDENTITY_TOKEN_FILE is set and web identity is not supported: "
			"use keys, a container role or an instance role");
		found = KEYS_REFUSED;
	}
	if (found == KEYS_FOUND)
		end_found(credentials, &keys, from);
	else if (found == KEYS_REFUSED)
		end_vain(credentials, err.text);
	else if (env("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI") != NULL ||
		 env("AWS_CONTAINER_CREDENTIALS_FULL_URI") != NULL)
		look_at_container(credentials);
	else
		look_at_imds(credentials);
}

static bool are_fresh(const struct aws_credentials *credentials, int64_t now_ms)
{
	return are_usable(credentials, now_ms) &&
	       (credentials->keys.expires_ms == 0 ||
		now_ms < credentials->keys.expires_ms - RENEW_BEFORE_MS);
}

static void on_start(evutil_socket_t fd, short what, void *arg)
{
	struct aws_credentials *credentials = arg;
	int64_t now_ms = clock_now_ms(NULL);

	(void)fd;
	(void)what;
	if (credentials->is_looking)
		return;
	if (are_fresh(credentials, now_ms) || now_ms < credentials->not_before_ms)
		tell_waiters(credentials);
	else
		look(credentials);
}

struct aws_credentials *aws_credentials_new(struct curl_loop *loop, struct err *err)
{
	struct aws_credentials *credentials = calloc(1, sizeof(*credentials));

	if (credentials == NULL)
		goto oom;
	credentials->loop = loop;
	TAILQ_INIT(&credentials->waiters);
	credentials->start = evtimer_new(curl_loop_base(loop), on_start, credentials);
	if (credentials->start == NULL)
		goto oom;
	return credentials;
oom:
	free(credentials);
	err_set(err, ENOMEM, "out of memory");
	return NULL;
}

void aws_credentials_free(struct aws_credentials *credentials)
{
	struct aws_keys_waiter *waiter;

	if (credentials == NULL)
		return;
	while ((waiter = TAILQ_FIRST(&credentials->waiters)) != NULL)
		aws_credentials_unwait(credentials, waiter);
	drop_fetch(credentials);
	event_free(credentials->start);
	aws_keys_fini(&credentials->keys);
	free(credentials);
}

const struct aws_keys *aws_credentials_now(struct aws_credentials *credentials)
{
	int64_t now_ms = clock_now_ms(NULL);

	if (!are_usable(credentials, now_ms))
		return NULL;
	if (!are_fresh(credentials, now_ms) && !credentials->is_looking &&
	    now_ms >= credentials->not_before_ms)
		event_active(credentials->start, EV_TIMEOUT, 0);
	return &credentials->keys;
}

void aws_credentials_wait(struct aws_credentials *credentials, struct aws_keys_waiter *waiter)
{
	CHECK(!waiter->is_waiting);
	waiter->is_waiting = true;
	waiter->round = credentials->round;
	TAILQ_INSERT_TAIL(&credentials->waiters, waiter, link);
	event_active(credentials->start, EV_TIMEOUT, 0);
}

void aws_credentials_unwait(struct aws_credentials *credentials, struct aws_keys_waiter *waiter)
{
	if (!waiter->is_waiting)
		return;
	TAILQ_REMOVE(&credentials->waiters, waiter, link);
	waiter->is_waiting = false;
}

void aws_credentials_distrust(struct aws_credentials *credentials)
{
	if (credentials->keys.access_key == NULL || credentials->is_looking)
		return;
	credentials->keys.expires_ms = 1;
	credentials->not_before_ms = 0;
}
