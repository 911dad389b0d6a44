/*
 * Connections to targets and their pools: per worker and target, newest first.
 * Plays the upstream party of an exchange (struct upstream_ops).  Worker's thread.
 */
#ifndef LB_PROXY_UPSTREAM_H
#define LB_PROXY_UPSTREAM_H

#include "common/base/check.h"
#include "lb/proxy/exchange.h"

enum upstream_opened {
	UPSTREAM_READY,   /* send at once */
	UPSTREAM_PENDING, /* exchange_upstream_ready or _failed will be called */
	UPSTREAM_REFUSED, /* the kernel said no at once */
};

/*
 * Sets ex->upstream (and its ops) unless refused.  A pooled connection is taken if there is one;
 * with is_careful it is looked at first (a system call), for requests that cannot be sent
 * twice.
 */
MUST_CHECK enum upstream_opened upstream_open(struct exchange *ex, struct target *target,
					      bool is_careful);
/* Never a pooled one. */
MUST_CHECK enum upstream_opened upstream_connect(struct exchange *ex, struct target *target);

#endif
