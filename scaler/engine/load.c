/*
 * How busy one instance is, for choosing among those that nothing else tells apart.  Pure.
 */
#include <math.h>

#include "scaler/engine/replace.h"

enum { SECONDS = 60, ENOUGH = 10 };

double instance_load(const struct tick *tick, const struct instance *instance)
{
	double values[SECONDS], sum = 0;
	struct metric_request request = {
	    .namespace = "AWS/EC2",
	    .name = "CPUUtilization",
	    .statistic = "Average",
	    .period_s = 1,
	    .end_ms = tick->now_ms / 1000 * 1000,
	    .values = values,
	    .n = SECONDS,
	};
	json_t *dimensions;
	int n = 0;

	if (!tick->metrics->read || !instance->id[0])
		return NAN;
	dimensions = json_pack("[{s:s, s:s}]", "Name", "InstanceId", "Value", instance->id);
	if (!dimensions)
		return NAN;
	request.dimensions = dimensions;
	for (int i = 0; i < SECONDS; i++)
		values[i] = NAN;
	(void)tick->metrics->read(tick->metrics->arg, &request);
	json_decref(dimensions);
	for (int i = 0; i < SECONDS; i++) {
		if (isnan(values[i]))
			continue;
		sum += values[i];
		n++;
	}
	return n >= ENOUGH ? sum / n : NAN;
}

int instance_load_step(const struct tick *tick, const struct instance *instance)
{
	double load = instance_load(tick, instance);

	return isnan(load) ? 0 : (int)(load / 10);
}
