/*
 * Metrics of the groups themselves, once a second: AWS/AutoScaling's Group... figures, the
 * average CPU use of the instances in service (which CloudWatch makes on AWS), and target
 * tracking's alarms kept as the policy now judges.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "common/base/log.h"
#include "common/doc/doc.h"
#include "scaler/api/policy_alarms.h"
#include "scaler/cloud/rim_parts.h"

enum { QUIET_MS = 60 * 1000 }; /* for so long a shortage is over before it is told again */

static void put(struct rim *rim, const struct group *group, const char *name, double value,
		int64_t at_ms)
{
	struct metric_dimension dimension = {"AutoScalingGroupName", group->name};
	struct metric_key key = {"AWS/AutoScaling", name, &dimension, 1};

	if (metrics_put_value(cloudwatch_metrics(rim->config.cloudwatch), &key, METRIC_UNIT_NONE, 1,
			      value, at_ms) != METRICS_OK)
		log_debug("metric-dropped", "group=%s metric=%s", group->name, name);
}

static int counts_total(const struct group_counts *counts)
{
	return counts->in_service + counts->pending + counts->terminating + counts->standby;
}

static void put_enabled(struct rim *rim, const struct group *group, const char *name, double value,
			int64_t at_ms)
{
	const json_t *entry;
	size_t i;

	json_array_foreach (doc_array(group->document, "EnabledMetrics"), i, entry) {
		if (strcmp(doc_str(entry, "Metric", ""), name) == 0)
			put(rim, group, name, value, at_ms);
	}
}

static void put_pool(struct rim *rim, const struct group *group, const struct group_counts *counts,
		     int64_t at_ms)
{
	int size = warm_pool_size(group);
	int total = counts->warm + counts->warming + counts->warm_terminating;

	put(rim, group, "WarmPoolMinSize", (double)doc_int(group_warm_pool(group), "MinSize", 0),
	    at_ms);
	put(rim, group, "WarmPoolDesiredCapacity", size, at_ms);
	put(rim, group, "WarmPoolPendingCapacity", counts->warming, at_ms);
	put(rim, group, "WarmPoolTerminatingCapacity", counts->warm_terminating, at_ms);
	put(rim, group, "WarmPoolWarmedCapacity", counts->warm, at_ms);
	put(rim, group, "WarmPoolTotalCapacity", total, at_ms);
	put(rim, group, "GroupAndWarmPoolDesiredCapacity", group->desired + size, at_ms);
	put(rim, group, "GroupAndWarmPoolTotalCapacity", total + counts_total(counts), at_ms);
}

static void put_figures(struct rim *rim, const struct group *group, int64_t at_ms)
{
	struct group_counts counts = group_count(group), units = group_capacity(group);

	put(rim, group, "GroupMinSize", group->min, at_ms);
	put(rim, group, "GroupMaxSize", group->max, at_ms);
	put(rim, group, "GroupDesiredCapacity", group->desired, at_ms);
	if (group->wanted >= 0)
		put(rim, group, "WantedCapacity", group->wanted, at_ms);
	put(rim, group, "GroupInServiceInstances", counts.in_service, at_ms);
	put(rim, group, "GroupPendingInstances", counts.pending, at_ms);
	put(rim, group, "GroupTerminatingInstances", counts.terminating, at_ms);
	put(rim, group, "GroupStandbyInstances", counts.standby, at_ms);
	put(rim, group, "GroupTotalInstances", counts_total(&counts), at_ms);
	/* Without weights capacity is the number of instances: only for who asks.  With them
	 * forecasts ask. */
	if (units.in_service != counts.in_service)
		put(rim, group, "GroupInServiceCapacity", units.in_service, at_ms);
	else
		put_enabled(rim, group, "GroupInServiceCapacity", units.in_service, at_ms);
	put_enabled(rim, group, "GroupPendingCapacity", units.pending, at_ms);
	put_enabled(rim, group, "GroupTerminatingCapacity", units.terminating, at_ms);
	put_enabled(rim, group, "GroupStandbyCapacity", units.standby, at_ms);
	put_enabled(rim, group, "GroupTotalCapacity", counts_total(&units), at_ms);
	if (group_warm_pool(group))
		put_pool(rim, group, &counts, at_ms);
}

/* Does somebody send it, as the lab does? */
static bool is_there(const struct rim *rim, const struct metric_key *key, int64_t end_ms)
{
	struct metric_point point;

	return metrics_statistic(cloudwatch_metrics(rim->config.cloudwatch), key, "SampleCount", 1,
				 end_ms - 1000, end_ms, &point, 1) > 0;
}

/* The second that ended a second ago, over the instances in service. */
static void put_cpu(struct rim *rim, const struct group *group, int64_t now_ms)
{
	int64_t end_ms = (now_ms - 1000) / 1000 * 1000;
	struct metric_dimension dimension = {"InstanceId", NULL};
	struct metric_key key = {"AWS/EC2", "CPUUtilization", &dimension, 1};
	struct metric_datum datum = {.unit = metric_unit_from_name("Percent"), .resolution_s = 1};
	const struct instance *instance;

	TAILQ_FOREACH (instance, &group->instances, link) {
		struct metric_point point;
		struct stat_set set;

		dimension.value = instance->id;
		if (instance->state != INSTANCE_IN_SERVICE ||
		    metrics_statistic(cloudwatch_metrics(rim->config.cloudwatch), &key, "Average",
				      1, end_ms - 1000, end_ms, &point, 1) == 0)
			continue;
		set = (struct stat_set){1, point.value, point.value, point.value};
		if (datum.set.count == 0)
			datum.set = set;
		else
			stat_set_merge(&datum.set, &set);
	}
	if (datum.set.count == 0)
		return;
	dimension = (struct metric_dimension){"AutoScalingGroupName", group->name};
	if (is_there(rim, &key, end_ms))
		return;
	datum.key = key;
	datum.at_ms = end_ms - 1000;
	if (metrics_put(cloudwatch_metrics(rim->config.cloudwatch), &datum, now_ms) != METRICS_OK)
		log_debug("metric-dropped", "group=%s metric=CPUUtilization", group->name);
}

/* Told once, when the limit begins to hold the group back. */
static void tell_shortage(struct group *group, int64_t now_ms)
{
	bool is_short = group->wanted > group->max;

	if (is_short && !group->short_ms)
		log_warn("capacity-limited", "group=%s wanted=%d max=%d", group->name,
			 group->wanted, group->max);
	if (is_short)
		group->short_ms = now_ms;
	else if (now_ms - group->short_ms > QUIET_MS)
		group->short_ms = 0;
}

void rim_publish(struct rim *rim, int64_t now_ms)
{
	struct policy *policy;
	struct group *group;

	if (now_ms / 1000 == rim->published_ms / 1000)
		return;
	rim->published_ms = now_ms;
	TAILQ_FOREACH (group, &rim->engine->groups, link) {
		put_figures(rim, group, now_ms);
		tell_shortage(group, now_ms);
		put_cpu(rim, group, now_ms);
		TAILQ_FOREACH (policy, &group->policies, link) {
			policy_alarms_refresh(rim->config.cloudwatch, group, policy);
			rim_publish_forecast(rim, group, policy, now_ms);
		}
	}
}
