/*
 * A rule's transforms on one request: the host, path and query that its target sees.  The client's
 * own stay what they were, for the log and for a redirect.  Worker's thread.
 */
#ifndef LB_PROXY_TRANSFORM_H
#define LB_PROXY_TRANSFORM_H

#include "lb/proxy/message.h"
#include "lb/proxy/slab.h"
#include "lb/routing/rewrite.h"

struct transformed {
	struct buffer *buffer; /* leased; what target points into, where it is not the client's */
	struct request_target target;
	bool is_host_new, is_url_new;
	enum rewrite_result result; /* anything but NONE and DONE: answer 500 */
};

/* Give transformed->buffer back in every case. */
void transform_request(const struct transforms *transforms, const struct request_target *target,
		       struct buffer_pool *pool, struct transformed *transformed);

#endif
