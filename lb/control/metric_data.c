/* See metric_data.h. */
#include "lb/control/metric_data.h"

#include <string.h>

enum { VALUES_MAX = 150 }; /* of one datum, CloudWatch's limit */

struct dimensions {
	const char *load_balancer, *group; /* NULL = not there */
};

static void add_dimension(json_t *list, const char *name, const char *value)
{
	if (value)
		json_array_append_new(list, json_pack("{s:s,s:s}", "Name", name, "Value", value));
}

/* Takes over value members: {"Value": v} or {"Values": .., "Counts": ..}. */
static void add_one(const struct metric_context *context, const char *name, const char *unit,
		    const struct dimensions *at, const char *zone, json_t *value)
{
	json_t *list = json_array();
	json_t *datum;

	add_dimension(list, "TargetGroup", at->group);
	add_dimension(list, "AvailabilityZone", zone);
	add_dimension(list, "LoadBalancer", at->load_balancer);
	datum = json_pack("{s:s,s:o,s:s,s:s,s:i}", "MetricName", name, "Dimensions", list,
			  "Timestamp", context->timestamp, "Unit", unit, "StorageResolution", 1);
	if (datum && value)
		json_object_update(datum, value);
	json_decref(value);
	json_array_append_new(context->data, datum);
}

/* Which dimensions, beside at. */
enum zones { WITH_AND_WITHOUT_ZONE, WITHOUT_ZONE, WITH_ZONE /* if it is known */ };

static void add_in_zones(const struct metric_context *context, const char *name, const char *unit,
			 const struct dimensions *at, double value, enum zones zones)
{
	bool is_zone_known = context->zone != NULL;

	if (zones != WITH_ZONE || !is_zone_known)
		add_one(context, name, unit, at, NULL, json_pack("{s:f}", "Value", value));
	if (zones != WITHOUT_ZONE && is_zone_known)
		add_one(context, name, unit, at, context->zone, json_pack("{s:f}", "Value", value));
}

static void add_value(const struct metric_context *context, const char *name, const char *unit,
		      const struct dimensions *at, double value)
{
	add_in_zones(context, name, unit, at, value, WITH_AND_WITHOUT_ZONE);
}

static void add_count(const struct metric_context *context, const struct counter_info *info,
		      const struct dimensions *at, uint64_t count, bool is_always)
{
	if (info->name && (count > 0 || is_always))
		add_value(context, info->name, info->unit, at, (double)count);
}

static void add_values(const struct metric_context *context, const struct dimensions *at,
		       json_t *values, json_t *counts)
{
	const char *name = "TargetResponseTime";
	json_t *value = json_pack("{s:o,s:o}", "Values", values, "Counts", counts);

	if (context->zone)
		add_one(context, name, "Seconds", at, context->zone, json_incref(value));
	add_one(context, name, "Seconds", at, NULL, value);
}

/* As Values and Counts, so that percentiles survive; in several data when they are many. */
static void add_times(const struct metric_context *context, const struct hist *hist,
		      const struct dimensions *at)
{
	json_t *values = NULL, *counts = NULL;

	for (size_t bucket = 0; bucket < HIST_BUCKETS; bucket++) {
		uint64_t n = atomic_load_explicit(&hist->buckets[bucket], memory_order_relaxed);

		if (n == 0)
			continue;
		if (values && json_array_size(values) == VALUES_MAX) {
			add_values(context, at, values, counts);
			values = NULL;
		}
		if (!values) {
			values = json_array();
			counts = json_array();
		}
		json_array_append_new(values, json_real((double)hist_bucket_value(bucket) / 1e6));
		json_array_append_new(counts, json_real((double)n));
	}
	if (values)
		add_values(context, at, values, counts);
}

/* Codes and requests are reported as zeroes too while targets are registered. */
static bool is_reported_at_zero(enum group_counter counter)
{
	return counter <= GROUP_COUNTER_TARGET_5XX;
}

static uint64_t group_count(const struct group_counters *counts, size_t counter)
{
	return atomic_load_explicit(&counts->values[counter], memory_order_relaxed);
}

static enum zones zones_of(enum lb_counter counter)
{
	if (counter == LB_COUNTER_RULE_EVALUATIONS)
		return WITHOUT_ZONE;
	if (counter == LB_COUNTER_DROPPED_INVALID_HEADER ||
	    counter == LB_COUNTER_FORWARDED_INVALID_HEADER)
		return WITH_ZONE;
	return WITH_AND_WITHOUT_ZONE;
}

/* "Always", "while targets are registered" and "stickiness on" in AWS's table; the others only when
 * not zero. */
static bool is_sent(const struct lb_second *second, enum lb_counter counter)
{
	if (!lb_counter_info[counter].name)
		return false;
	return second->counts[counter] > 0 || counter == LB_COUNTER_FORWARDED_INVALID_HEADER ||
	       (counter == LB_COUNTER_REQUESTS && second->has_targets) ||
	       (counter == LB_COUNTER_NON_STICKY && second->has_lb_cookie) ||
	       (counter == LB_COUNTER_APP_COOKIE_NON_STICKY && second->has_app_cookie);
}

static void add_lb_count(const struct metric_context *context, const struct lb_second *second,
			 enum lb_counter counter, const struct dimensions *at)
{
	const struct counter_info *info = &lb_counter_info[counter];

	if (is_sent(second, counter))
		add_in_zones(context, info->name, info->unit, at, (double)second->counts[counter],
			     zones_of(counter));
}

void metric_add_lb(const struct metric_context *context, const struct lb_second *second)
{
	struct dimensions at = {.load_balancer = second->resource};

	for (size_t i = 0; i < LB_COUNTER_COUNT; i++)
		add_lb_count(context, second, (enum lb_counter)i, &at);
	for (size_t i = GROUP_COUNTER_TARGET_2XX; i < GROUP_COUNTER_UNHEALTHY_ROUTING; i++)
		add_count(context, &group_counter_info[i], &at, group_count(second->groups, i),
			  is_reported_at_zero((enum group_counter)i) && second->has_targets);
	add_times(context, &second->groups->response_time_us, &at);
}

/* A state metric is a number of zones: this load balancer is in one. */
static void add_hosts(const struct metric_context *context, const struct host_counts *hosts,
		      const struct dimensions *at)
{
	add_value(context, "AnomalousHostCount", "Count", at, hosts->anomalous);
	add_value(context, "MitigatedHostCount", "Count", at, hosts->mitigated);
	add_value(context, "HealthyStateRouting", "Count", at, hosts->is_routing_healthy);
	add_value(context, "UnhealthyStateRouting", "Count", at, !hosts->is_routing_healthy);
	add_value(context, "HealthyStateDNS", "Count", at, hosts->is_dns_healthy);
	add_value(context, "UnhealthyStateDNS", "Count", at, !hosts->is_dns_healthy);
	if (hosts->registered == 0)
		return;
	add_value(context, "HealthyHostCount", "Count", at, hosts->healthy);
	add_value(context, "UnHealthyHostCount", "Count", at, hosts->unhealthy);
}

void metric_add_group(const struct metric_context *context, const struct group_second *second)
{
	struct dimensions at = {.load_balancer = second->load_balancer, .group = second->resource};
	struct dimensions alone = {.group = second->resource};
	const struct host_counts *hosts = &second->hosts;
	unsigned sharing = hosts->healthy > 0 ? hosts->healthy : hosts->registered;
	uint64_t requests = group_count(second->counts, GROUP_COUNTER_REQUESTS);
	double per_target = sharing > 0 ? (double)requests / sharing : 0;

	for (size_t i = 0; i < GROUP_COUNTER_COUNT; i++)
		add_count(context, &group_counter_info[i], &at, group_count(second->counts, i),
			  is_reported_at_zero((enum group_counter)i) && hosts->registered > 0);
	add_times(context, &second->counts->response_time_us, &at);
	/* Not AWS's: what is in flight, for policies that track load. */
	if (hosts->registered > 0 || second->in_flight > 0)
		add_value(context, "InFlightRequestCount", "Count", &at, (double)second->in_flight);
	add_value(context, "RequestCountPerTarget", "Count", &at, per_target);
	add_value(context, "RequestCountPerTarget", "Count", &alone, per_target);
	add_hosts(context, hosts, &at);
}
