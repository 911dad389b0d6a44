/*
 * See client.h.  A call's life:
 *
 *   keys ----> transfer ----> done
 *    ^            | failed, worth another attempt
 *    '-- pause <--'
 *
 * Ending it takes it out of the client before its callback, which may do anything to the client.
 */
#include "common/aws/client.h"

#include <bsd/sys/queue.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/aws/client_retry.h"
#include "common/aws/credentials.h"
#include "common/base/ids.h"
#include "common/base/log.h"

enum {
	DEFAULT_TIMEOUT_MS = 10000,
	DEFAULT_ATTEMPTS = 3,
	CONNECT_TIMEOUT_MS = 3000,
	MAX_ANSWER = 16 * 1024 * 1024,
	MAX_IDLE_HANDLES = 8,
	/* A client that fails and fails stops to retry until something succeeds (SDKs' quota). */
	QUOTA = 500,
	RETRY_COST = 5,
	TIMEOUT_COST = 10,
};

struct aws_client {
	struct curl_loop *loop;              /* borrowed: outlives the client */
	struct aws_credentials *credentials; /* borrowed: outlives the client */
	const struct aws_model *model;
	char *endpoint; /* without a final slash */
	char *signer;   /* of CURLOPT_AWS_SIGV4 */
	bool is_local;  /* the endpoint is this host: proxies are passed by */
	int timeout_ms, max_attempts;
	int quota;
	CURL *idle[MAX_IDLE_HANDLES];
	size_t n_idle;
	TAILQ_HEAD(, aws_client_call) calls;
};

struct aws_client_call {
	/* Set once. */
	struct aws_client *client;
	const struct aws_operation *operation;
	struct buf form;
	aws_done_fn fn;
	void *arg;
	TAILQ_ENTRY(aws_client_call) link;
	/* Of the attempt under way. */
	struct aws_keys_waiter waiter;
	struct event *pause;
	CURL *easy;
	struct curl_slist *headers;
	struct buf answer;
	bool is_too_large;
	char curl_text[CURL_ERROR_SIZE];
	/* Over all attempts. */
	int attempt; /* from 0 */
	int debt;    /* quota taken by the latest retry */
	bool has_new_keys;
	struct aws_error error;
};

static void attempt(struct aws_client_call *call, const struct aws_keys *keys);

static CURL *take_handle(struct aws_client *client)
{
	if (client->n_idle > 0)
		return client->idle[--client->n_idle];
	return curl_easy_init();
}

static void give_back_handle(struct aws_client *client, CURL *easy)
{
	if (client->n_idle == MAX_IDLE_HANDLES) {
		curl_easy_cleanup(easy);
		return;
	}
	curl_easy_reset(easy); /* forgets the keys; connections stay with the loop */
	client->idle[client->n_idle++] = easy;
}

/* The attempt's things; the call stays. */
static void end_attempt(struct aws_client_call *call)
{
	if (call->easy != NULL) {
		curl_loop_cancel(call->client->loop, call->easy);
		give_back_handle(call->client, call->easy);
	}
	curl_slist_free_all(call->headers);
	call->easy = NULL;
	call->headers = NULL;
	buf_clear(&call->answer);
}

static void call_free(struct aws_client_call *call)
{
	if (call->pause != NULL)
		event_free(call->pause);
	curl_slist_free_all(call->headers);
	buf_fini(&call->answer);
	buf_fini(&call->form);
	free(call);
}

/* Takes it out of the client; only call_free() may follow. */
static void detach(struct aws_client_call *call)
{
	aws_credentials_unwait(call->client->credentials, &call->waiter);
	end_attempt(call);
	TAILQ_REMOVE(&call->client->calls, call, link);
	call->client = NULL;
}

/* Takes output. */
static void finish(struct aws_client_call *call, json_t *output)
{
	if (output == NULL)
		log_debug("aws-call-failed", "action=%s attempts=%d status=%d code=%s why=\"%s\"",
			  call->operation->name, call->attempt + 1, call->error.http_status,
			  call->error.code, call->error.message);
	else
		call->error = (struct aws_error){0};
	detach(call);
	call->fn(call->arg, output, &call->error);
	json_decref(output);
	call_free(call);
}

static void fail(struct aws_client_call *call, int status, const char *code, const char *why)
{
	aws_error_set(&call->error, status, code, "%s", why);
	finish(call, NULL);
}

static void on_call_keys(void *arg, const struct aws_keys *keys, const char *why)
{
	struct aws_client_call *call = arg;

	if (keys == NULL)
		fail(call, CURLE_LOGIN_DENIED, "NoCredentials", why);
	else
		attempt(call, keys);
}

static void start_attempt(struct aws_client_call *call)
{
	const struct aws_keys *keys = aws_credentials_now(call->client->credentials);

	if (keys != NULL)
		attempt(call, keys);
	else
		aws_credentials_wait(call->client->credentials, &call->waiter);
}

static void on_pause_over(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	start_attempt(arg);
}

static bool may_retry(struct aws_client_call *call, enum retry_kind kind)
{
	int cost = call->error.http_status == CURLE_OPERATION_TIMEDOUT ? TIMEOUT_COST : RETRY_COST;

	if (kind == RETRY_NEVER || call->attempt + 1 >= call->client->max_attempts)
		return false;
	if (kind == RETRY_EXPIRED) {
		if (call->has_new_keys)
			return false;
		call->has_new_keys = true;
		aws_credentials_distrust(call->client->credentials);
	}
	if (call->client->quota < cost)
		return false;
	call->client->quota -= cost;
	call->debt = cost;
	return true;
}

/* The attempt is over with call->error. */
static void retry_or_fail(struct aws_client_call *call, enum retry_kind kind)
{
	double random = (double)(id_random(NULL) >> 11) / (double)(1ULL << 53);
	struct timeval delay;
	int ms;

	if (!may_retry(call, kind)) {
		finish(call, NULL);
		return;
	}
	ms = retry_delay_ms(kind, call->attempt, random);
	log_debug("aws-call-retry", "action=%s attempt=%d pause_ms=%d code=%s why=\"%s\"",
		  call->operation->name, call->attempt + 1, ms, call->error.code,
		  call->error.message);
	end_attempt(call);
	call->attempt++;
	delay = (struct timeval){.tv_sec = ms / 1000, .tv_usec = (ms % 1000) * 1000L};
	event_add(call->pause, &delay);
}

/* A success pays back what its retry took, and a little where there was none. */
static void refill_quota(struct aws_client_call *call)
{
	struct aws_client *client = call->client;

	client->quota += call->debt > 0 ? call->debt : 1;
	if (client->quota > QUOTA)
		client->quota = QUOTA;
}

static const char *code_of_curl(CURLcode result)
{
	if (result == CURLE_COULDNT_RESOLVE_HOST)
		return "UnknownHost";
	if (result == CURLE_OPERATION_TIMEDOUT)
		return "RequestTimeout";
	return "ConnectionError";
}

/* No whole answer came. */
static void on_no_answer(struct aws_client_call *call, CURLcode result)
{
	long number = 0;
	int status = result > 0 && result < 100 ? (int)result : CURLE_RECV_ERROR;

	if (call->is_too_large) {
		aws_error_set(&call->error, status, "AnswerTooLarge",
			      "%s: the answer to %s is larger than %d bytes",
			      call->client->endpoint, call->operation->name, MAX_ANSWER);
		finish(call, NULL);
		return;
	}
	curl_easy_getinfo(call->easy, CURLINFO_OS_ERRNO, &number);
	aws_error_set(&call->error, status, code_of_curl(result), "%s: %s%s%s",
		      call->client->endpoint,
		      call->curl_text[0] != '\0' ? call->curl_text : curl_easy_strerror(result),
		      number != 0 && result == CURLE_COULDNT_CONNECT ? ": " : "",
		      number != 0 && result == CURLE_COULDNT_CONNECT ? strerror((int)number) : "");
	retry_or_fail(call, retry_kind_of_curl(result));
}

static void on_success(struct aws_client_call *call)
{
	json_t *output =
	    aws_response_decode(call->client->model, call->operation, buf_text(&call->answer),
				call->answer.len, &call->error);

	refill_quota(call);
	if (output == NULL && call->error.http_status == 0)
		aws_error_set(&call->error, 502, "InvalidAnswer", "%s: not an answer to %s",
			      call->client->endpoint, call->operation->name);
	finish(call, output);
}

static void on_transferred(void *arg, CURL *easy, CURLcode result)
{
	struct aws_client_call *call = arg;
	long status = 0;

	curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
	call->error = (struct aws_error){0};
	if (result != CURLE_OK) {
		on_no_answer(call, result);
		return;
	}
	if (status >= 200 && status < 300) {
		on_success(call);
		return;
	}
	aws_error_decode((int)status, buf_text(&call->answer), call->answer.len, &call->error);
	if (call->error.http_status == 0)
		call->error.http_status = (int)status;
	retry_or_fail(call, retry_kind_of_error(&call->error));
}

static size_t on_bytes(char *bytes, size_t size, size_t n, void *arg)
{
	struct aws_client_call *call = arg;

	if (call->answer.len + size * n > MAX_ANSWER) {
		call->is_too_large = true;
		return 0;
	}
	buf_add(&call->answer, bytes, size * n);
	return buf_failed(&call->answer) ? 0 : size * n;
}

static int add_header(struct aws_client_call *call, const char *name, const char *value)
{
	struct buf text = {0};
	struct curl_slist *list = NULL;

	buf_printf(&text, "%s: %s", name, value);
	if (!buf_failed(&text))
		list = curl_slist_append(call->headers, buf_text(&text));
	buf_fini(&text);
	if (list == NULL)
		return -1;
	call->headers = list;
	return 0;
}

/* libcurl signs the headers that are named here, and Host and X-Amz-Date. */
static int add_headers(struct aws_client_call *call, const struct aws_keys *keys)
{
	if (add_header(call, "Content-Type", "application/x-www-form-urlencoded; charset=utf-8") !=
	    0)
		return -1;
	if (keys->token == NULL)
		return 0;
	return add_header(call, "X-Amz-Security-Token", keys->token);
}

static void set_options(struct aws_client_call *call, const struct aws_keys *keys)
{
	const struct aws_client *client = call->client;
	long connect_ms =
	    client->timeout_ms < CONNECT_TIMEOUT_MS ? client->timeout_ms : CONNECT_TIMEOUT_MS;
	CURL *easy = call->easy;

	curl_easy_setopt(easy, CURLOPT_URL, client->endpoint);
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(easy, CURLOPT_USERAGENT, "albatross");
	curl_easy_setopt(easy, CURLOPT_AWS_SIGV4, client->signer);
	curl_easy_setopt(easy, CURLOPT_USERNAME, keys->access_key);
	curl_easy_setopt(easy, CURLOPT_PASSWORD, keys->secret);
	curl_easy_setopt(easy, CURLOPT_HTTPHEADER, call->headers);
	curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)call->form.len);
	curl_easy_setopt(easy, CURLOPT_POSTFIELDS, buf_text(&call->form));
	curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)client->timeout_ms);
	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, connect_ms);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_bytes);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, call);
	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, call->curl_text);
	if (client->is_local)
		curl_easy_setopt(easy, CURLOPT_NOPROXY, "*");
}

/* -1: nothing was started. */
static int try_attempt(struct aws_client_call *call, const struct aws_keys *keys)
{
	call->curl_text[0] = '\0';
	call->is_too_large = false;
	buf_clear(&call->answer);
	call->easy = take_handle(call->client);
	if (call->easy == NULL || add_headers(call, keys) != 0)
		return -1;
	set_options(call, keys);
	return curl_loop_add(call->client->loop, call->easy, on_transferred, call);
}

static void attempt(struct aws_client_call *call, const struct aws_keys *keys)
{
	if (try_attempt(call, keys) != 0)
		fail(call, CURLE_OUT_OF_MEMORY, "OutOfMemory", "out of memory");
}

/* Not through attempt(): the callback must not come from inside aws_client_call(). */
static int start_first(struct aws_client_call *call)
{
	const struct aws_keys *keys = aws_credentials_now(call->client->credentials);

	if (keys != NULL)
		return try_attempt(call, keys);
	aws_credentials_wait(call->client->credentials, &call->waiter);
	return 0;
}

static struct aws_client_call *new_call(struct aws_client *client, const char *action,
					struct err *err)
{
	const struct aws_operation *operation = aws_operation_find(client->model, action);
	struct aws_client_call *call;

	if (operation == NULL) {
		err_set(err, ENOENT, "%s: the shape table has no such action",
			client->model->service);
		return NULL;
	}
	call = calloc(1, sizeof(*call));
	if (call != NULL) {
		call->client = client;
		call->operation = operation;
		call->waiter = (struct aws_keys_waiter){.fn = on_call_keys, .arg = call};
		call->pause = evtimer_new(curl_loop_base(client->loop), on_pause_over, call);
	}
	if (call != NULL && call->pause != NULL)
		return call;
	free(call);
	err_set(err, ENOMEM, "out of memory");
	return NULL;
}

struct aws_client_call *aws_client_call(struct aws_client *client, const char *action,
					const json_t *input, aws_done_fn fn, void *arg,
					struct err *err)
{
	struct aws_client_call *call = new_call(client, action, err);

	if (call == NULL)
		goto fail;
	call->fn = fn;
	call->arg = arg;
	TAILQ_INSERT_TAIL(&client->calls, call, link);
	if (aws_request_encode(client->model, call->operation, input, &call->form, err) != 0)
		goto drop;
	if (buf_failed(&call->form) || start_first(call) != 0) {
		err_set(err, ENOMEM, "out of memory");
		goto drop;
	}
	return call;
drop:
	aws_client_cancel(call);
fail:
	err_wrap(err, "%s: ", action);
	return NULL;
}

void aws_client_cancel(struct aws_client_call *call)
{
	detach(call);
	call_free(call);
}

/* "https://ec2.eu-west-1.amazonaws.com" */
static char *real_endpoint(const struct aws_client_config *config)
{
	const char *domain =
	    strncmp(config->region, "cn-", 3) == 0 ? "amazonaws.com.cn" : "amazonaws.com";
	struct buf text = {0};

	buf_printf(&text, "https://%s.%s.%s", config->service, config->region, domain);
	return buf_take(&text, NULL);
}

/* Is it a URL that we can call, and on this host? */
static int check_endpoint(const char *endpoint, bool *is_local)
{
	CURLU *url = curl_url();
	char *host = NULL;
	int result = -1;

	if ((strncasecmp(endpoint, "http://", 7) == 0 ||
	     strncasecmp(endpoint, "https://", 8) == 0) &&
	    url != NULL && curl_url_set(url, CURLUPART_URL, endpoint, 0) == CURLUE_OK &&
	    curl_url_get(url, CURLUPART_HOST, &host, 0) == CURLUE_OK) {
		*is_local = strncmp(host, "127.", 4) == 0 || strcmp(host, "[::1]") == 0 ||
			    strcasecmp(host, "localhost") == 0;
		result = 0;
	}
	curl_free(host);
	curl_url_cleanup(url);
	return result;
}

static int set_endpoint(struct aws_client *client, const struct aws_client_config *config,
			struct err *err)
{
	size_t len;

	client->endpoint =
	    config->endpoint == NULL ? real_endpoint(config) : strdup(config->endpoint);
	if (client->endpoint == NULL) {
		err_set(err, ENOMEM, "out of memory");
		return -1;
	}
	if (check_endpoint(client->endpoint, &client->is_local) != 0) {
		err_set(err, EINVAL,
			"'%.128s' is not an endpoint: http://HOST:PORT or https://HOST is meant",
			client->endpoint);
		return -1;
	}
	len = strlen(client->endpoint);
	while (len > 0 && client->endpoint[len - 1] == '/')
		client->endpoint[--len] = '\0';
	return 0;
}

struct aws_client *aws_client_new(struct curl_loop *loop, struct aws_credentials *credentials,
				  const struct aws_client_config *config, struct err *err)
{
	struct aws_client *client = calloc(1, sizeof(*client));
	struct buf signer = {0};

	if (client == NULL) {
		err_set(err, ENOMEM, "out of memory");
		return NULL;
	}
	TAILQ_INIT(&client->calls);
	client->loop = loop;
	client->credentials = credentials;
	client->timeout_ms = config->timeout_ms > 0 ? config->timeout_ms : DEFAULT_TIMEOUT_MS;
	client->max_attempts = config->max_attempts > 0 ? config->max_attempts : DEFAULT_ATTEMPTS;
	client->quota = QUOTA;
	client->model = aws_model(config->service, err);
	if (client->model == NULL || set_endpoint(client, config, err) != 0)
		goto fail;
	buf_printf(&signer, "aws:amz:%s:%s", config->region, config->service);
	client->signer = buf_take(&signer, NULL);
	if (client->signer != NULL)
		return client;
	err_set(err, ENOMEM, "out of memory");
fail:
	err_wrap(err, "client of %s: ", config->service);
	aws_client_free(client);
	return NULL;
}

void aws_client_free(struct aws_client *client)
{
	struct aws_client_call *call, *next;

	if (client == NULL)
		return;
	TAILQ_FOREACH_SAFE (call, &client->calls, link, next) {
		aws_client_cancel(call);
	}
	while (client->n_idle > 0)
		curl_easy_cleanup(client->idle[--client->n_idle]);
	free(client->endpoint);
	free(client->signer);
	free(client);
}
