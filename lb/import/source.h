/*
 * Where descriptions come from: AWS's Describe calls, over the wire (remote.h)
 * or answered by our own handlers from a file (local.h).  Both look the same,
 * so a file and a live load balancer can be read, and compared, by the same
 * code.
 */
#ifndef LB_IMPORT_SOURCE_H
#define LB_IMPORT_SOURCE_H

#include <jansson.h>

#include "common/aws/codec.h"
#include "common/base/err.h"

enum source_service {
	SOURCE_ELB,
	SOURCE_AUTOSCALING,
	SOURCE_EC2,
	SOURCE_MONITORING,
	SOURCE_SERVICES,
};

enum {
	SOURCE_PAGES_MAX = 500,
	SOURCE_ITEMS_MAX = 200000,
};

struct source {
	/* New reference, or NULL with error. */
	json_t *(*call)(void *context, enum source_service service, const char *action,
			const json_t *input, struct aws_error *error);
	void *context;
};

/* One call; takes over input.  New reference, or NULL with err: its code is
 * ENOENT when the thing is not there, ENOTSUP when the service has no such
 * action, EIO otherwise. */
MUST_CHECK json_t *source_call(const struct source *source, enum source_service service,
			       const char *action, json_t *input, struct err *err);

/* A call that answers in pages, and the member that has the items. */
struct source_listing {
	enum source_service service;
	const char *action, *member;
};

/* The items of all pages, one array; takes over input.  Pages that do not end, and a marker that
 * comes again, are an error. */
MUST_CHECK json_t *source_list(const struct source *source, const struct source_listing *listing,
			       json_t *input, struct err *err);

#endif
