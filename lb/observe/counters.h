/*
 * The numbers of the request path.  Each worker (lane) has its own, is their only
 * writer and uses plain relaxed stores; the control thread reads and sums them at
 * any time.  Values only grow (gauges: active connections), so a reader keeps its
 * last totals and takes differences.
 */
#ifndef LB_OBSERVE_COUNTERS_H
#define LB_OBSERVE_COUNTERS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/base/check.h"
#include "common/base/err.h"
#include "common/base/hist.h"

/* X(enum suffix, CloudWatch name, unit, help): by load balancer.  Without a name it is for /metrics
 * alone.  ACTIVE_CONNECTIONS is a gauge: it goes down too. */
#define LB_COUNTERS(X) \
	X(REQUESTS, "RequestCount", "Count", "Requests for which a target was chosen") \
	X(ELB_3XX, "HTTPCode_ELB_3XX_Count", "Count", "Redirects that the load balancer made") \
	X(ELB_4XX, "HTTPCode_ELB_4XX_Count", "Count", "4xx answers of our own, 460 among them") \
	X(ELB_5XX, "HTTPCode_ELB_5XX_Count", "Count", "5xx answers of our own") \
	X(ELB_500, "HTTPCode_ELB_500_Count", "Count", "500 answers of our own") \
	X(ELB_502, "HTTPCode_ELB_502_Count", "Count", "502 answers of our own") \
	X(ELB_503, "HTTPCode_ELB_503_Count", "Count", "503 answers of our own") \
	X(ELB_504, "HTTPCode_ELB_504_Count", "Count", "504 answers of our own") \
	X(NEW_CONNECTIONS, "NewConnectionCount", "Count", \
	  "TCP connections opened, of clients and to targets") \
	X(REJECTED_CONNECTIONS, "RejectedConnectionCount", "Count", \
	  "Connections of clients refused at the limit") \
	X(PROCESSED_BYTES, "ProcessedBytes", "Bytes", \
	  "Heads and bodies, of requests and of answers") \
	X(IPV6_REQUESTS, "IPv6RequestCount", "Count", "Requests of clients with an IPv6 address") \
	X(IPV6_PROCESSED_BYTES, "IPv6ProcessedBytes", "Bytes", \
	  "Bytes of clients with an IPv6 address") \
	X(RULE_EVALUATIONS, "RuleEvaluations", "Count", \
	  "Rules looked at, the default one not counted") \
	X(FIXED_RESPONSES, "HTTP_Fixed_Response_Count", "Count", "fixed-response actions") \
	X(REDIRECTS, "HTTP_Redirect_Count", "Count", "redirect actions") \
	X(REDIRECT_URL_LIMIT, "HTTP_Redirect_Url_Limit_Exceeded_Count", "Count", \
	  "Redirects whose Location is over 8 K") \
	X(DESYNC_NON_COMPLIANT, "DesyncMitigationMode_NonCompliant_Request_Count", "Count", \
	  "Requests not of desync class Compliant") \
	X(DROPPED_INVALID_HEADER, "DroppedInvalidHeaderRequestCount", "Count", \
	  "Requests that lost a header with an invalid name") \
	X(FORWARDED_INVALID_HEADER, "ForwardedInvalidHeaderRequestCount", "Count", \
	  "Requests sent on with a header with an invalid name") \
	X(NON_STICKY, "NonStickyRequestCount", "Count", \
	  "Requests that could not follow a session of a duration cookie") \
	X(APP_COOKIE_NON_STICKY, "AppCookieNonStickinessCount", "Count", \
	  "Requests that could not follow a session of an application cookie") \
	X(CLIENT_ABORTS, NULL, "Count", "Clients that left before their answer was whole") \
	X(STALE_RESENT, NULL, "Count", "Requests sent again as the pooled connection was gone") \
	X(OTHER_TARGET, NULL, "Count", "Requests sent to another target as a connect had failed") \
	X(HELD, NULL, "Count", "Requests that waited for a target") \
	X(REFUSED_SHORT, NULL, "Count", "Requests refused while too many buffers were in use") \
	X(ACTIVE_CONNECTIONS, "ActiveConnectionCount", "Count", \
	  "TCP connections open, of clients and to targets")

/* By target group; ALB also sums the HTTPCode_Target ones by load balancer. */
#define GROUP_COUNTERS(X) \
	X(REQUESTS, "RequestCount", "Count", \
	  "Requests for which a target of the group was chosen") \
	X(TARGET_2XX, "HTTPCode_Target_2XX_Count", "Count", "2xx answers of targets") \
	X(TARGET_3XX, "HTTPCode_Target_3XX_Count", "Count", "3xx answers of targets") \
	X(TARGET_4XX, "HTTPCode_Target_4XX_Count", "Count", "4xx answers of targets") \
	X(TARGET_5XX, "HTTPCode_Target_5XX_Count", "Count", "5xx answers of targets") \
	X(CONNECTION_ERRORS, "TargetConnectionErrorCount", "Count", \
	  "Connections to targets that failed") \
	X(UNHEALTHY_ROUTING, "UnhealthyRoutingRequestCount", "Count", \
	  "Requests served though too few targets were healthy") \
	X(SENT_TO_DRAINING, NULL, "Count", "Requests sent to a target that drains: must stay 0")

#define LB_COUNTER_ENUM(suffix, name, unit, help) LB_COUNTER_##suffix,
#define GROUP_COUNTER_ENUM(suffix, name, unit, help) GROUP_COUNTER_##suffix,
enum lb_counter { LB_COUNTERS(LB_COUNTER_ENUM) LB_COUNTER_COUNT };
enum group_counter { GROUP_COUNTERS(GROUP_COUNTER_ENUM) GROUP_COUNTER_COUNT };

struct counter_info {
	const char *name; /* in CloudWatch; NULL = only for /metrics */
	const char *unit;
	const char *help; /* one line */
};
extern const struct counter_info lb_counter_info[LB_COUNTER_COUNT];
extern const struct counter_info group_counter_info[GROUP_COUNTER_COUNT];

enum { MAX_LB_SLOTS = 256, MAX_GROUP_SLOTS = 3072 };

/* Their sizes are multiples of a cache line, so that two workers' never share one; but copies may
 * lie anywhere. */
struct lb_counters {
	_Atomic uint64_t values[(LB_COUNTER_COUNT + 7) / 8 * 8];
};

struct group_counters {
	_Atomic uint64_t values[(GROUP_COUNTER_COUNT + 7) / 8 * 8];
	struct hist response_time_us; /* TargetResponseTime: log field 7 */
	char padding[64 - sizeof(struct hist) % 64];
};

struct counters;

MUST_CHECK struct counters *counters_new(unsigned n_lanes, struct err *err);
void counters_free(struct counters *counters); /* no worker may run */

/*
 * Control thread: the slot of a load balancer ("app/n/id") or group ("targetgroup/n/id"), made on
 * first use and kept for as long as counters_sweep() knows of it, so its numbers go on across
 * snapshots.  -1 with err when all are taken.
 */
MUST_CHECK int counters_lb_slot(struct counters *counters, const char *resource, struct err *err);
MUST_CHECK int counters_group_slot(struct counters *counters, const char *resource,
				   struct err *err);

/*
 * Control thread, whenever something may have been deleted: a slot whose resource is_used() has not
 * known for COUNTERS_KEEP_MS, and which has no open connection, may go to another one, and
 * begins at 0 there.  now_ms: monotonic.
 */
enum { COUNTERS_KEEP_MS = 10 * 60 * 1000 };
void counters_sweep(struct counters *counters, bool (*is_used)(void *arg, const char *resource),
		    void *arg, int64_t now_ms);

/* Control thread: sums of all workers into out, which is overwritten. */
void counters_read_lb(const struct counters *counters, unsigned slot,
		      uint64_t out[LB_COUNTER_COUNT]);
/* out's histogram is overwritten as well. */
void counters_read_group(const struct counters *counters, unsigned slot,
			 struct group_counters *out);

/* Workers: their own, never NULL for a slot that was handed out. */
struct lb_counters *counters_lb(struct counters *counters, unsigned lane, unsigned slot);
struct group_counters *counters_group(struct counters *counters, unsigned lane, unsigned slot);

/* The single writer's increment: no locked instruction. */
static inline void counter_add(_Atomic uint64_t *counter, uint64_t n)
{
	atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + n,
			      memory_order_relaxed);
}

#endif
