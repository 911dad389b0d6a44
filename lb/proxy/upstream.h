/*
 * How targets are spoken to: one table for each protocol, chosen by the target group.  What it
 * opens plays the upstream party of an exchange (struct upstream_ops).  Worker's thread.
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

enum upstream_wish {
	UPSTREAM_ANY,     /* a pooled connection if there is one */
	UPSTREAM_CAREFUL, /* the same, but looked at first (a system call): for requests that cannot
			     be sent twice */
	UPSTREAM_FRESH,   /* never a pooled one */
};

struct upstream_protocol {
	const char *version; /* ProtocolVersion of target groups: "HTTP1" */
	/* Sets ex->upstream (and its ops) unless refused. */
	enum upstream_opened (*open)(struct exchange *ex, struct target *target,
				     enum upstream_wish wish);
};

extern const struct upstream_protocol upstream_h1; /* pools: per worker and target, newest first */

#endif
