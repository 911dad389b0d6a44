/*
 * libcurl's multi interface on a libevent loop: all outgoing HTTP of the control
 * threads (AWS calls, health checks, webhooks).  Never used on the request path.
 */
#ifndef COMMON_HTTP_CURL_LOOP_H
#define COMMON_HTTP_CURL_LOOP_H

#include <curl/curl.h>
#include <event2/event.h>

#include "common/base/err.h"

struct curl_loop;

MUST_CHECK struct curl_loop *curl_loop_new(struct event_base *base, struct err *err);
/* Transfers still running are dropped without their callback. */
void curl_loop_free(struct curl_loop *loop);

/* Called from the loop when the transfer is over; easy is out of the multi by then and may be
 * reused or cleaned up. */
typedef void (*curl_done_fn)(void *arg, CURL *easy, CURLcode result);

/* easy stays the caller's; CURLOPT_PRIVATE is taken for our use.  -1 without memory. */
MUST_CHECK int curl_loop_add(struct curl_loop *loop, CURL *easy, curl_done_fn fn, void *arg);
/* Stops a transfer without its callback. */
void curl_loop_cancel(struct curl_loop *loop, CURL *easy);

#endif
