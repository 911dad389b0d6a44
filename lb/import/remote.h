/*
 * A source that calls AWS, or whoever answers like it: one call at a time on an
 * event loop of its own, with timeouts, retries and the credential chain of
 * common/aws/client.  One thread.
 */
#ifndef LB_IMPORT_REMOTE_H
#define LB_IMPORT_REMOTE_H

#include "lb/import/source.h"

struct remote_config {
	const char *region;
	const char *endpoint;                   /* of all services; NULL = AWS's own */
	const char *endpoints[SOURCE_SERVICES]; /* of one service, before endpoint; NULL */
	int timeout_ms;                         /* of one attempt */
};

struct remote;

MUST_CHECK struct remote *remote_new(const struct remote_config *config, struct err *err);
void remote_free(struct remote *remote); /* NULL is fine */

/* Lives as long as remote. */
struct source remote_source(struct remote *remote);

#endif
