/*
 * What predictive policies expect of the hour, as AWS/AutoScaling metrics: one datapoint each,
 * stamped with the hour's start.
 */
#include <math.h>

#include "common/base/log.h"
#include "common/doc/doc.h"
#include "scaler/cloud/rim_parts.h"

static void put(struct rim *rim, const struct metric_key *key, double value, int64_t hour_ms,
		int64_t now_ms)
{
	struct metrics *metrics = cloudwatch_metrics(rim->config.cloudwatch);
	struct metric_datum datum = {.key = *key,
				     .unit = METRIC_UNIT_NONE,
				     .resolution_s = 60,
				     .at_ms = hour_ms,
				     .set = {1, value, value, value}};
	struct metric_point point;

	if (isnan(value) || metrics_statistic(metrics, key, "SampleCount", 60, hour_ms,
					      hour_ms + 60000, &point, 1) > 0)
		return;
	if (metrics_put(metrics, &datum, now_ms) != METRICS_OK)
		log_debug("metric-dropped", "metric=%s", key->name);
}

void rim_publish_forecast(struct rim *rim, const struct group *group, const struct policy *policy,
			  int64_t now_ms)
{
	struct metric_dimension dimensions[] = {{"AutoScalingGroupName", group->name},
						{"PolicyName", policy->name},
						{"PairIndex", "0"}};
	struct metric_key key = {"AWS/AutoScaling", "PredictiveScalingLoadForecast", dimensions, 3};
	struct prediction_figures figures;

	if (!policy_prediction_figures(policy, now_ms, &figures))
		return;
	put(rim, &key, figures.load, figures.hour_ms, now_ms);
	key.name = "PredictiveScalingMetricPairCorrelation";
	put(rim, &key, figures.correlation, figures.hour_ms, now_ms);
	key.name = "PredictiveScalingCapacityForecast";
	key.n_dimensions = 2;
	put(rim, &key, figures.capacity, figures.hour_ms, now_ms);
}
