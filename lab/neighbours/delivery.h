/*
 * Messages on their way to http(s) endpoints: each is posted up to three times, a second apart,
 * until it is answered with 2xx.  What cannot be delivered is logged and gone.  Control thread.
 */
#ifndef LAB_NEIGHBOURS_DELIVERY_H
#define LAB_NEIGHBOURS_DELIVERY_H

#include "common/http/curl_loop.h"

struct delivery;

MUST_CHECK struct delivery *delivery_new(struct curl_loop *loop, struct err *err);
void delivery_free(struct delivery *delivery); /* what is on its way is dropped; NULL is fine */

enum { DELIVERY_HEADERS_MAX = 8 };

/* Posts body to url; headers are "Name: value", NULL ends.  All is copied.  When too many are on
 * their way, or without memory, it is dropped with a line in the log. */
void delivery_post(struct delivery *delivery, const char *url,
		   const char *const headers[DELIVERY_HEADERS_MAX], const char *body);

#endif
