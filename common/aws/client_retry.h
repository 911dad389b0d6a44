/*
 * When is a failed attempt worth another, and after how long?  The SDKs' standard mode.
 * Pure.  Private to the client and its tests.
 */
#ifndef COMMON_AWS_CLIENT_RETRY_H
#define COMMON_AWS_CLIENT_RETRY_H

#include <curl/curl.h>
#include <stdbool.h>

#include "common/aws/codec.h"

enum retry_kind {
	RETRY_NEVER,
	RETRY_FAULT,    /* a 5xx, or no answer */
	RETRY_THROTTLE, /* the peer asks for less */
	RETRY_EXPIRED,  /* once, with new keys */
};

enum retry_kind retry_kind_of_error(const struct aws_error *error);
enum retry_kind retry_kind_of_curl(CURLcode result);

/* Full jitter: random (0..1) x min(base x 2^attempt, 20 s); attempt counts from 0. */
int retry_delay_ms(enum retry_kind kind, int attempt, double random);

#endif
