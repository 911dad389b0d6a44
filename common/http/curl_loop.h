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
/* Transfers still running are dropped without their callback.  Not from inside a callback. */
void curl_loop_free(struct curl_loop *loop);

struct event_base *curl_loop_base(const struct curl_loop *loop);

/* Called from the loop when the transfer is over; easy is out of the multi by then and may be
 * reused or cleaned up. */
typedef void (*curl_done_fn)(void *arg, CURL *easy, CURLcode result);

/*
 * easy stays the caller's; CURLOPT_PRIVATE is taken for our use, CURLOPT_NOSIGNAL is set.  Timeouts
 * (CURLOPT_CONNECTTIMEOUT_MS, CURLOPT_TIMEOUT_MS) and size limits are the caller's to set: without
 * them a silent peer holds the transfer for ever.  fn is never called from inside curl_loop_add.
 * -1 without memory, or when easy is running already.
 */
MUST_CHECK int curl_loop_add(struct curl_loop *loop, CURL *easy, curl_done_fn fn, void *arg);
/* Stops a transfer without its callback; nothing happens if easy is not running. */
void curl_loop_cancel(struct curl_loop *loop, CURL *easy);

#endif
