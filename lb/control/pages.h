/*
 * The plain pages of the API port: /metrics in Prometheus's text format, /healthz.
 */
#ifndef LB_CONTROL_PAGES_H
#define LB_CONTROL_PAGES_H

#include "common/aws/server.h"
#include "common/store/store.h"
#include "lb/control/feed.h"
#include "lb/control/registry.h"
#include "lb/control/rollout.h"
#include "lb/observe/access_log.h"
#include "lb/observe/counters.h"
#include "lb/proxy/proxy.h"

/* All borrowed; feed, rollout and access_log may be NULL. */
struct pages_context {
	struct counters *counters;
	struct registry *registry;
	struct store *store;
	const struct rollout *rollout;
	const struct proxy *proxy;
	const struct access_log *access_log;
	const struct feed *feed;
	const struct aws_server *server;
	int64_t started_ms;
	bool is_draining; /* /healthz: whoever sends us traffic shall stop */
};

void page_metrics(void *context, struct aws_page *page);
void page_healthz(void *context, struct aws_page *page);

#endif
