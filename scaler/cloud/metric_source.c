/*
 * Datapoints for the engine, out of what PutMetricData has brought.
 */
#include <math.h>

#include "common/doc/doc.h"
#include "scaler/cloud/rim_parts.h"

enum { DIMENSIONS_MAX = 10, POINTS_MAX = 64 };

int rim_read_metric(void *arg, const struct metric_request *request)
{
	const struct rim *rim = arg;
	struct metric_dimension dimensions[DIMENSIONS_MAX];
	struct metric_key key = {request->namespace, request->name, dimensions, 0};
	struct metric_point points[POINTS_MAX];
	int64_t period_ms = 1000 * (int64_t)request->period_s;
	int64_t start_ms = request->end_ms - request->n * period_ms;
	const json_t *dimension;
	int found = 0;
	size_t i, n;

	json_array_foreach (request->dimensions, i, dimension) {
		if (key.n_dimensions == DIMENSIONS_MAX)
			return 0;
		dimensions[key.n_dimensions].name = doc_str(dimension, "Name", "");
		dimensions[key.n_dimensions++].value = doc_str(dimension, "Value", "");
	}
	n = metrics_statistic(cloudwatch_metrics(rim->config.cloudwatch), &key, request->statistic,
			      request->period_s, start_ms, request->end_ms, points, POINTS_MAX);
	for (i = 0; i < n; i++) {
		int64_t index = (points[i].at_ms - start_ms) / period_ms;

		if (index < 0 || index >= request->n)
			continue;
		request->values[index] = points[i].value;
		found++;
	}
	return found;
}
