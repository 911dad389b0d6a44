/*
 * Forecasts of an hourly load from its past: by hour of day, by hour of week or by a curve of least
 * squares, whichever would have been nearest in the days just gone.  Pure arithmetic over arrays;
 * an hour without a value is NAN.  Hours are counted from the Unix epoch, in UTC.
 */
#ifndef SCALER_ENGINE_FORECAST_H
#define SCALER_ENGINE_FORECAST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/check.h"

enum {
	FORECAST_HISTORY = 14 * 24, /* hours that are looked at */
	FORECAST_LEAST = 24,        /* known ones that it takes */
	FORECAST_AHEAD = 48,
};

enum forecast_model {
	FORECAST_HOUR_OF_DAY,
	FORECAST_HOUR_OF_WEEK,
	FORECAST_CURVE,
	FORECAST_MODELS, /* how many there are */
};

const char *forecast_model_name(enum forecast_model model);

struct forecast {
	enum forecast_model model;
	double load[FORECAST_AHEAD];  /* the first is the hour after the newest of the past */
	double upper[FORECAST_AHEAD]; /* 90 % of hours stay below */
	/* What the model missed the last two days by, were they forecast from those before: the sum
	 * of errors over that of loads.  NAN: too little is known to tell. */
	double error;
};

/* load: the oldest first, at most FORECAST_HISTORY; first_hour is that of load[0].  -1: fewer than
 * FORECAST_LEAST are known. */
MUST_CHECK int forecast_make(const double load[], size_t n, int64_t first_hour,
			     struct forecast *forecast);

/*
 * How the scaling metric (what the target is set for) follows from load per capacity: metric =
 * relation x load / capacity, by least squares.  NAN when fewer than six hours have all three.
 */
double forecast_relation(const double load[], const double metric[], const double capacity[],
			 size_t n);
/* Pearson's correlation of the metric with load per capacity; NAN when there is none. */
double forecast_correlation(const double load[], const double metric[], const double capacity[],
			    size_t n);

/* The least capacity that keeps the metric at the target. */
int forecast_capacity(double load, double relation, double target);

#endif
