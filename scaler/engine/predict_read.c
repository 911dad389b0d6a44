/*
 * The hours of a prediction's history, read from the metrics.  An hour that the metrics have
 * nothing of keeps what was read before.
 *
 * Load is what AWS's predefined load metrics are: of CPU the instances' percents taken together,
 * of traffic the bytes of the hour, of requests those of the hour.  Pure but for the seam.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "scaler/engine/predict.h"

enum { HOUR_S = 3600, MINUTES = 60 };

struct reader {
	const struct metric_source *source;
	const struct group *group;
	const struct predict_config *config;
	int64_t end_ms;
};

/* ---- one metric's hours ---- */

static int read_hours(const struct reader *reader, struct metric_request request,
		      double values[FORECAST_HISTORY])
{
	request.period_s = HOUR_S;
	request.end_ms = reader->end_ms;
	request.values = values;
	request.n = FORECAST_HISTORY;
	for (int i = 0; i < FORECAST_HISTORY; i++)
		values[i] = NAN;
	return reader->source->read(reader->source->arg, &request);
}

static json_t *group_dimensions(const struct reader *reader)
{
	return json_pack("[{s:s, s:s}]", "Name", "AutoScalingGroupName", "Value",
			 reader->group->name);
}

/* A metric of the group's. */
static void read_of_group(const struct reader *reader, const char *namespace, const char *name,
			  const char *statistic, double values[])
{
	json_t *dimensions = group_dimensions(reader);
	struct metric_request request = {
	    .namespace = namespace, .name = name, .statistic = statistic, .dimensions = dimensions};

	(void)read_hours(reader, request, values);
	json_decref(dimensions);
}

/* ResourceLabel: app/NAME/ID/targetgroup/NAME/ID. */
static void read_of_targets(const struct reader *reader, const char *name, double values[])
{
	const char *label = reader->config->label ? reader->config->label : "";
	const char *target_group = strstr(label, "/targetgroup/");
	json_t *dimensions =
	    json_pack("[{s:s, s:s%}, {s:s, s:s}]", "Name", "LoadBalancer", "Value", label,
		      target_group ? (size_t)(target_group - label) : 0, "Name", "TargetGroup",
		      "Value", target_group ? target_group + 1 : "");
	struct metric_request request = {.namespace = "AWS/ApplicationELB",
					 .name = name,
					 .statistic = "Sum",
					 .dimensions = dimensions};

	(void)read_hours(reader, request, values);
	json_decref(dimensions);
}

static void read_queries(const struct reader *reader, const json_t *queries, double values[])
{
	(void)read_hours(reader, (struct metric_request){.queries = queries}, values);
}

/* By the minute, since a target may be a minute's sum, and the mean of those that have a value. */
static void read_minutes(const struct reader *reader, const json_t *queries, double values[])
{
	int n = FORECAST_HISTORY * MINUTES;
	double *minutes = calloc((size_t)n, sizeof *minutes);
	struct metric_request request = {.queries = queries,
					 .period_s = HOUR_S / MINUTES,
					 .end_ms = reader->end_ms,
					 .values = minutes,
					 .n = n};

	for (int i = 0; minutes && i < n; i++)
		minutes[i] = NAN;
	if (minutes)
		(void)reader->source->read(reader->source->arg, &request);
	for (int hour = 0; hour < FORECAST_HISTORY; hour++) {
		double sum = 0;
		int known = 0;

		for (int i = 0; minutes && i < MINUTES; i++) {
			double value = minutes[hour * MINUTES + i];

			known += !isnan(value);
			sum += isnan(value) ? 0 : value;
		}
		values[hour] = known > 0 ? sum / known : NAN;
	}
	free(minutes);
}

/* ---- capacity ---- */

/* Where nobody has counted the instances: as many as spoke at once. */
static double count_speakers(const struct reader *reader, int hour)
{
	json_t *dimensions = group_dimensions(reader);
	double minutes[MINUTES], samples = 0;
	struct metric_request request = {
	    .namespace = "AWS/EC2",
	    .name = "CPUUtilization",
	    .statistic = "SampleCount",
	    .dimensions = dimensions,
	    .period_s = HOUR_S / MINUTES,
	    .end_ms = reader->end_ms - (FORECAST_HISTORY - 1 - hour) * HOUR_MS,
	    .values = minutes,
	    .n = MINUTES,
	};
	int known = 0;

	for (int i = 0; i < MINUTES; i++)
		minutes[i] = NAN;
	(void)reader->source->read(reader->source->arg, &request);
	for (int i = 0; i < MINUTES; i++) {
		known += !isnan(minutes[i]);
		samples += isnan(minutes[i]) ? 0 : minutes[i];
	}
	json_decref(dimensions);
	return known > 0 ? samples / known : NAN;
}

/* In units where types have weights: desired capacity is. */
static void read_capacity(const struct reader *reader, double values[])
{
	double units[FORECAST_HISTORY];

	if (reader->config->capacity_queries) {
		read_queries(reader, reader->config->capacity_queries, values);
		return;
	}
	read_of_group(reader, "AWS/AutoScaling", "GroupInServiceInstances", "Average", values);
	read_of_group(reader, "AWS/AutoScaling", "GroupInServiceCapacity", "Average", units);
	for (int i = 0; i < FORECAST_HISTORY; i++)
		values[i] = isnan(units[i]) ? values[i] : units[i];
}

/* ---- load and the scaling metric ---- */

static const char *traffic_name(enum predict_kind kind)
{
	return kind == PREDICT_NETWORK_IN ? "NetworkIn" : "NetworkOut";
}

static void read_load(const struct reader *reader, const struct prediction *known,
		      double capacity[], double values[])
{
	switch (reader->config->load) {
	case PREDICT_CPU:
		read_of_group(reader, "AWS/EC2", "CPUUtilization", "Average", values);
		for (int i = 0; i < FORECAST_HISTORY; i++) {
			if (!isnan(values[i]) && isnan(capacity[i]))
				capacity[i] = isnan(known->capacity[i]) ? count_speakers(reader, i)
									: known->capacity[i];
			values[i] *= capacity[i];
		}
		return;
	case PREDICT_NETWORK_IN:
	case PREDICT_NETWORK_OUT:
		read_of_group(reader, "AWS/EC2", traffic_name(reader->config->load), "Sum", values);
		return;
	case PREDICT_REQUESTS:
		read_of_targets(reader, "RequestCount", values);
		return;
	case PREDICT_CUSTOM:
		read_queries(reader, reader->config->load_queries, values);
		return;
	}
}

/* In what the target is given in: percent, bytes or requests of an instance and minute. */
static void read_scaling(const struct reader *reader, const double capacity[], double values[])
{
	switch (reader->config->scaling) {
	case PREDICT_CPU:
		read_of_group(reader, "AWS/EC2", "CPUUtilization", "Average", values);
		return;
	case PREDICT_NETWORK_IN:
	case PREDICT_NETWORK_OUT:
		read_of_group(reader, "AWS/EC2", traffic_name(reader->config->scaling), "Sum",
			      values);
		for (int i = 0; i < FORECAST_HISTORY; i++)
			values[i] = capacity[i] > 0 ? values[i] / MINUTES / capacity[i] : NAN;
		return;
	case PREDICT_REQUESTS:
		read_of_targets(reader, "RequestCountPerTarget", values);
		for (int i = 0; i < FORECAST_HISTORY; i++)
			values[i] /= MINUTES;
		return;
	case PREDICT_CUSTOM:
		read_minutes(reader, reader->config->scaling_queries, values);
		return;
	}
}

static bool take(double into[], const double read[])
{
	bool is_new = false;

	for (int i = 0; i < FORECAST_HISTORY; i++) {
		if (isnan(read[i]) || (into[i] <= read[i] && into[i] >= read[i]))
			continue;
		into[i] = read[i];
		is_new = true;
	}
	return is_new;
}

void predict_read(struct tick *tick, const struct group *group, const struct predict_config *config,
		  struct prediction *prediction)
{
	struct reader reader = {tick->metrics, group, config,
				(prediction->first_hour + FORECAST_HISTORY) * HOUR_MS};
	double load[FORECAST_HISTORY], metric[FORECAST_HISTORY], capacity[FORECAST_HISTORY];
	bool is_new;

	if (!tick->metrics->read)
		return;
	read_capacity(&reader, capacity);
	read_load(&reader, prediction, capacity, load);
	read_scaling(&reader, capacity, metric);
	is_new = take(prediction->load, load);
	is_new |= take(prediction->metric, metric);
	is_new |= take(prediction->capacity, capacity);
	prediction->is_dirty |= is_new;
}
