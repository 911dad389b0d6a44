/*
 * An e-mail as text (RFC 5322, MIME): head and body.  Pure but for the Message-ID.
 */
#ifndef SCALER_CLOUD_MAIL_H
#define SCALER_CLOUD_MAIL_H

#include <stdint.h>

#include "common/base/check.h"

struct mail {
	const char *from, *to; /* addresses */
	const char *subject;   /* what is no printable ASCII becomes '?' */
	const char *text;      /* UTF-8 */
	int64_t at_ms;
};

/* free() it; NULL without memory. */
MUST_CHECK char *mail_compose(const struct mail *mail);

#endif
