/*
 * Identifiers and ARNs in AWS's formats (reference: AWS "Resource IDs", ARN pages).
 * Random ones come from getrandom(2), or, when an id_source is given, from its
 * seed, so that pure code stays repeatable.
 */
#ifndef COMMON_BASE_IDS_H
#define COMMON_BASE_IDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/check.h"

/* A repeatable sequence; one owner.  NULL in place of one means the kernel's randomness. */
struct id_source {
	uint64_t state;
};

enum { ID_TEXT_MAX = 64, ARN_TEXT_MAX = 1024 };

uint64_t id_random(struct id_source *source);

/* 16 lower-case hex digits (load balancer, listener, rule, target group). */
char *id_hex16(struct id_source *source, char text[ID_TEXT_MAX]);

/* "i-" and 17 hex digits for prefix "i"; returns text. */
char *id_ec2(struct id_source *source, const char *prefix, char text[ID_TEXT_MAX]);

/* RFC 9562 version 4. */
char *id_uuid(struct id_source *source, char text[ID_TEXT_MAX]);

/* Is it prefix, dash, 17 (or 8, from before 2016) lower-case hex digits? */
bool id_is_ec2(const char *text, const char *prefix);

/* The parts of arn:aws:SERVICE:REGION:ACCOUNT:RESOURCE; pointers into buffer. */
struct arn {
	const char *service, *region, *account, *resource;
	char buffer[ARN_TEXT_MAX];
};

/* -1 if text is not an ARN. */
MUST_CHECK int arn_parse(const char *text, struct arn *arn);
bool arn_is(const char *text);

#endif
