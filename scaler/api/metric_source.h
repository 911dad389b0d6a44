/*
 * Datapoints for the engine, out of the scaler's own metrics: an engine_metric_fn over them.
 * Control thread, or a simulation.
 */
#ifndef SCALER_API_METRIC_SOURCE_H
#define SCALER_API_METRIC_SOURCE_H

#include "scaler/engine/engine.h"
#include "scaler/metrics/series.h"

struct metric_store {
	const struct metrics *metrics; /* borrowed */
	int64_t now_ms;
};

/* store: a struct metric_store. */
int metric_source_read(void *store, const struct metric_request *request);

#endif
