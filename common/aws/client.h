/*
 * Our own calls to AWS APIs: asynchronous, signed by libcurl (CURLOPT_AWS_SIGV4),
 * retried with full-jitter backoff on throttling, 5xx and lost connections.  Keys come from
 * the credential chain every SDK uses: environment, shared files, container, IMDSv2.  Control
 * threads only.
 */
#ifndef COMMON_AWS_CLIENT_H
#define COMMON_AWS_CLIENT_H

#include <jansson.h>

#include "common/aws/codec.h"
#include "common/http/curl_loop.h"

struct aws_credentials; /* the chain and what it found; one per program, shared by clients */

MUST_CHECK struct aws_credentials *aws_credentials_new(struct curl_loop *loop, struct err *err);
void aws_credentials_free(struct aws_credentials *credentials);

struct aws_client_config {
	const char *service;  /* "ec2" */
	const char *endpoint; /* "http://127.0.0.1:7003"; NULL = the real service of the region */
	const char *region;
	int timeout_ms;   /* of one attempt; 0 = 10,000 */
	int max_attempts; /* 0 = 3, as the SDKs' standard mode */
};

struct aws_client;
struct aws_client_call;

MUST_CHECK struct aws_client *aws_client_new(struct curl_loop *loop,
					     struct aws_credentials *credentials,
					     const struct aws_client_config *config,
					     struct err *err);
/* Calls under way end without their callback. */
void aws_client_free(struct aws_client *client);

/*
 * output: borrowed, NULL when error->http_status != 0 (see struct aws_error).  Called once, always
 * from the loop, never from inside aws_client_call itself.
 */
typedef void (*aws_done_fn)(void *arg, const json_t *output, const struct aws_error *error);

/* input is borrowed.  The handle is only for cancelling and dies when fn was called; NULL with fn
 * never called: bad input, err says. */
struct aws_client_call *aws_client_call(struct aws_client *client, const char *action,
					const json_t *input, aws_done_fn fn, void *arg,
					struct err *err);
void aws_client_cancel(struct aws_client_call *call);

#endif
