/* See pages.h.  Names follow CloudWatch's: RequestCount is albatross_lb_request_count_total. */
#include "lb/control/pages.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/base/buf.h"
#include "common/doc/doc.h"
#include "lb/api/resource.h"
#include "lb/control/host_counts.h"

enum { NAME_MAX_LEN = 128 };

/* HTTPCode_Target_2XX_Count -> http_code_target_2xx_count */
static void snake(const char *name, char out[NAME_MAX_LEN])
{
	size_t len = 0;

	for (size_t i = 0; name[i] && len < NAME_MAX_LEN - 2; i++) {
		bool starts_word =
		    isupper((unsigned char)name[i]) && i > 0 &&
		    (islower((unsigned char)name[i - 1]) ||
		     (isupper((unsigned char)name[i - 1]) && islower((unsigned char)name[i + 1])));

		if (starts_word)
			out[len++] = '_';
		out[len++] = (char)tolower((unsigned char)name[i]);
	}
	out[len] = '\0';
}

static void head_lines(struct buf *body, const char *name, const char *type, const char *help)
{
	buf_printf(body, "# HELP albatross_lb_%s %s.\n# TYPE albatross_lb_%s %s\n", name, help,
		   name, type);
}

/* Of what CloudWatch has no metric for, or one whose name makes a bad one here. */
static const char *own_name(size_t counter)
{
	switch (counter) {
	case LB_COUNTER_IPV6_REQUESTS:
		return "Ipv6_RequestCount";
	case LB_COUNTER_IPV6_PROCESSED_BYTES:
		return "Ipv6_ProcessedBytes";
	case LB_COUNTER_CLIENT_ABORTS:
		return "ClientAbortCount";
	case LB_COUNTER_STALE_RESENT:
		return "StaleConnectionResendCount";
	case LB_COUNTER_OTHER_TARGET:
		return "OtherTargetTriedCount";
	case LB_COUNTER_REFUSED_SHORT:
		return "ShortOfBuffersRequestCount";
	case LB_COUNTER_HELD:
		return "HeldRequestCount";
	default:
		return lb_counter_info[counter].name;
	}
}

static void lb_metrics(const struct pages_context *context, json_t *load_balancers, size_t counter,
		       struct buf *body)
{
	bool is_gauge = counter == LB_COUNTER_ACTIVE_CONNECTIONS;
	char name[NAME_MAX_LEN + 8];
	json_t *document;
	size_t i;

	snake(own_name(counter), name);
	if (!is_gauge)
		strcat(name, "_total");
	head_lines(body, name, is_gauge ? "gauge" : "counter", lb_counter_info[counter].help);
	json_array_foreach (load_balancers, i, document) {
		const char *resource = resource_suffix(doc_str(document, "LoadBalancerArn", ""));
		int slot = counters_lb_slot(context->counters, resource, NULL);
		uint64_t counts[LB_COUNTER_COUNT];

		if (slot < 0)
			continue;
		counters_read_lb(context->counters, (unsigned)slot, counts);
		buf_printf(body, "albatross_lb_%s{load_balancer=\"%s\"} %llu\n", name, resource,
			   (unsigned long long)counts[counter]);
	}
}

/* Each group's numbers are big: read once, all its lines follow. */
static void latency(const char *group, const struct hist *hist, struct buf *body)
{
	static const double bounds[] = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1,
					0.25,  0.5,    1,     2.5,  5,     10,   60};
	const char *name = "albatross_lb_target_response_time_seconds";
	uint64_t below = 0;
	size_t bucket = 0;

	for (size_t i = 0; i < sizeof(bounds) / sizeof(bounds[0]); i++) {
		while (bucket < HIST_BUCKETS &&
		       (double)hist_bucket_value(bucket) <= bounds[i] * 1e6) {
			below += atomic_load_explicit(&hist->buckets[bucket], memory_order_relaxed);
			bucket++;
		}
		buf_printf(body, "%s_bucket{target_group=\"%s\",le=\"%g\"} %llu\n", name, group,
			   bounds[i], (unsigned long long)below);
	}
	while (bucket < HIST_BUCKETS)
		below += atomic_load_explicit(&hist->buckets[bucket++], memory_order_relaxed);
	buf_printf(body, "%s_bucket{target_group=\"%s\",le=\"+Inf\"} %llu\n", name, group,
		   (unsigned long long)below);
	buf_printf(body, "%s_sum{target_group=\"%s\"} %.6f\n%s_count{target_group=\"%s\"} %llu\n",
		   name, group,
		   (double)atomic_load_explicit(&hist->sum, memory_order_relaxed) / 1e6, name,
		   group, (unsigned long long)below);
}

static bool read_group(const struct pages_context *context, const struct live_group *group,
		       struct group_counters *counts)
{
	int slot = counters_group_slot(context->counters, resource_suffix(group->arn), NULL);

	if (slot < 0)
		return false;
	counters_read_group(context->counters, (unsigned)slot, counts);
	return true;
}

static void group_counter(const struct pages_context *context, size_t counter, struct buf *body)
{
	static struct group_counters counts; /* too big for the stack; this thread's only */
	char name[NAME_MAX_LEN + 8];
	struct live_group *group;

	/* RequestCount is the load balancer's too: another name for the group's. */
	if (counter == GROUP_COUNTER_REQUESTS)
		snprintf(name, sizeof(name), "target_group_request_count");
	else
		snake(group_counter_info[counter].name ? group_counter_info[counter].name
						       : "SentToDraining",
		      name);
	strcat(name, "_total");
	head_lines(body, name, "counter", group_counter_info[counter].help);
	TAILQ_FOREACH (group, registry_groups(context->registry), link) {
		if (read_group(context, group, &counts))
			buf_printf(body, "albatross_lb_%s{target_group=\"%s\"} %llu\n", name,
				   resource_suffix(group->arn),
				   (unsigned long long)atomic_load_explicit(&counts.values[counter],
									    memory_order_relaxed));
	}
}

static void group_latencies(const struct pages_context *context, struct buf *body)
{
	static struct group_counters counts; /* as above */
	struct live_group *group;

	head_lines(body, "target_response_time_seconds", "histogram",
		   "From the request sent to the answer's first byte");
	TAILQ_FOREACH (group, registry_groups(context->registry), link) {
		if (read_group(context, group, &counts))
			latency(resource_suffix(group->arn), &counts.response_time_us, body);
	}
}

enum { HOST_METRICS = 7 };

static void host_metrics(const struct pages_context *context, struct buf *body)
{
	static const char *const names[HOST_METRICS][2] = {
	    {"healthy_host_count", "Targets that are healthy"},
	    {"unhealthy_host_count", "Targets that are unhealthy"},
	    {"registered_host_count", "Targets that are registered and do not drain"},
	    {"anomalous_host_count", "Targets that fail more often than their peers"},
	    {"mitigated_host_count", "Targets that get less for it"},
	    {"healthy_state_routing", "1 while enough targets are healthy to serve alone"},
	    {"healthy_state_dns", "1 while enough targets are healthy for DNS to name us"},
	};
	struct live_group *group;

	for (size_t i = 0; i < HOST_METRICS; i++) {
		head_lines(body, names[i][0], "gauge", names[i][1]);
		TAILQ_FOREACH (group, registry_groups(context->registry), link) {
			struct host_counts hosts = host_counts_of(context->registry, group);
			const unsigned values[HOST_METRICS] = {
			    hosts.healthy,        hosts.unhealthy, hosts.registered,
			    hosts.anomalous,      hosts.mitigated, hosts.is_routing_healthy,
			    hosts.is_dns_healthy,
			};

			buf_printf(body, "albatross_lb_%s{target_group=\"%s\"} %u\n", names[i][0],
				   resource_suffix(group->arn), values[i]);
		}
	}
}

static void target_metrics(const struct pages_context *context, struct buf *body)
{
	struct live_group *group;
	struct live_target *live;

	head_lines(body, "target_requests_total", "counter", "Requests sent, by target");
	TAILQ_FOREACH (group, registry_groups(context->registry), link) {
		TAILQ_FOREACH (live, &group->targets, link) {
			if (live->target)
				buf_printf(body,
					   "albatross_lb_target_requests_total{target_group=\"%s\","
					   "target=\"%s\"} %llu\n",
					   resource_suffix(group->arn), live->target->label,
					   (unsigned long long)target_requests(live->target));
		}
	}
	head_lines(body, "target_requests_in_flight", "gauge",
		   "Requests not yet answered, by target");
	TAILQ_FOREACH (group, registry_groups(context->registry), link) {
		TAILQ_FOREACH (live, &group->targets, link) {
			if (live->target)
				buf_printf(body,
					   "albatross_lb_target_requests_in_flight{target_group="
					   "\"%s\",target=\"%s\"} %llu\n",
					   resource_suffix(group->arn), live->target->label,
					   (unsigned long long)target_in_flight(live->target));
		}
	}
}

/* VmRSS in bytes; 0 when /proc does not tell. */
static unsigned long long resident_bytes(void)
{
	unsigned long long total = 0, resident = 0;
	FILE *file = fopen("/proc/self/statm", "re");

	if (!file)
		return 0;
	if (fscanf(file, "%llu %llu", &total, &resident) != 2)
		resident = 0;
	fclose(file);
	return resident * (unsigned long long)sysconf(_SC_PAGESIZE);
}

static void process_metrics(const struct pages_context *context, struct buf *body)
{
	struct proxy_buffers buffers = proxy_buffers(context->proxy);

	buf_printf(body,
		   "# HELP process_start_time_seconds When the process started, in Unix time.\n"
		   "# TYPE process_start_time_seconds gauge\nprocess_start_time_seconds %.3f\n",
		   (double)context->started_ms / 1000);
	buf_printf(body,
		   "# HELP process_resident_memory_bytes Memory in use.\n"
		   "# TYPE process_resident_memory_bytes gauge\n"
		   "process_resident_memory_bytes %llu\n",
		   resident_bytes());
	head_lines(body, "client_connections", "gauge", "Open connections of clients");
	buf_printf(body, "albatross_lb_client_connections %llu\n",
		   (unsigned long long)proxy_n_connections(context->proxy));
	head_lines(body, "buffer_bytes", "gauge", "Memory of buffers in use");
	buf_printf(body, "albatross_lb_buffer_bytes %llu\n", (unsigned long long)buffers.bytes);
	head_lines(body, "buffer_waits_total", "counter", "Reads that waited for a buffer");
	buf_printf(body, "albatross_lb_buffer_waits_total %llu\n",
		   (unsigned long long)buffers.n_waits);
	if (context->access_log) {
		head_lines(body, "access_log_dropped_total", "counter",
			   "Lines of the access log lost to a slow disk");
		buf_printf(body, "albatross_lb_access_log_dropped_total %llu\n",
			   (unsigned long long)access_log_dropped(context->access_log));
	}
	if (context->feed) {
		struct feed_state state = feed_state(context->feed);

		head_lines(body, "feed_sent_total", "counter", "Metric data sent");
		buf_printf(body, "albatross_lb_feed_sent_total %llu\n",
			   (unsigned long long)state.sent);
		head_lines(body, "feed_dropped_total", "counter",
			   "Metric data that could not be sent");
		buf_printf(body, "albatross_lb_feed_dropped_total %llu\n",
			   (unsigned long long)state.dropped);
		head_lines(body, "feed_up", "gauge", "1 while the metrics' endpoint takes them");
		buf_printf(body, "albatross_lb_feed_up %d\n", state.is_down ? 0 : 1);
	}
}

void page_metrics(void *context, struct aws_page *page)
{
	const struct pages_context *pages = context;
	json_t *load_balancers = resource_list(pages->store, "elb/loadbalancer/");

	page->content_type = "text/plain; version=0.0.4; charset=utf-8";
	for (size_t i = 0; i < LB_COUNTER_COUNT; i++)
		lb_metrics(pages, load_balancers, i, page->body);
	for (size_t i = 0; i < GROUP_COUNTER_COUNT; i++)
		group_counter(pages, i, page->body);
	group_latencies(pages, page->body);
	host_metrics(pages, page->body);
	target_metrics(pages, page->body);
	process_metrics(pages, page->body);
	aws_server_metrics(pages->server, page->body);
	json_decref(load_balancers);
}

void page_healthz(void *context, struct aws_page *page)
{
	const struct pages_context *pages = context;

	page->status = pages->is_draining ? 503 : 200;
	buf_add_str(page->body, pages->is_draining ? "draining\n" : "ok\n");
}
