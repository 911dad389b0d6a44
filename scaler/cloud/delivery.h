/*
 * One message on its way to one place: an HTTP POST or an e-mail, tried three times with pauses
 * between.  Inside scaler/cloud only; control thread only.
 */
#ifndef SCALER_CLOUD_DELIVERY_H
#define SCALER_CLOUD_DELIVERY_H

#include <bsd/sys/queue.h>
#include <jansson.h>

#include "common/base/err.h"
#include "common/http/curl_loop.h"

struct delivery;
LIST_HEAD(deliveries, delivery);

/* why NULL: it has arrived.  The delivery is freed when it returns. */
typedef void (*delivery_done_fn)(void *arg, const char *why);

struct delivery_config {
	struct curl_loop *loop;  /* borrowed, outlives it */
	struct deliveries *list; /* it stands there while it is on its way */
	delivery_done_fn fn;
	void *arg;
};

/* headers and body are copied; headers end with NULL.  -1 with err: fn is not called. */
MUST_CHECK int delivery_post(const struct delivery_config *config, const char *url,
			     const char *const headers[], const char *body, struct err *err);
/* smtp: Scaler.Smtp, borrowed; text: the whole message with its head, copied. */
MUST_CHECK int delivery_mail(const struct delivery_config *config, const json_t *smtp,
			     const char *to, const char *text, struct err *err);
/* Without its callback. */
void delivery_drop(struct delivery *delivery);

#endif
