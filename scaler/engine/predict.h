/*
 * A predictive policy's memory: what the last two weeks' hours were like, what was and is forecast
 * for them and the next two days.  Stored as a document of its own.  Inside scaler/engine only.
 */
#ifndef SCALER_ENGINE_PREDICT_H
#define SCALER_ENGINE_PREDICT_H

#include "scaler/engine/forecast.h"
#include "scaler/engine/parts.h"

enum { PREDICTION_SPAN = FORECAST_HISTORY + FORECAST_AHEAD };

#define HOUR_MS 3600000LL

struct prediction {
	/* Hours since the Unix epoch: that of index 0.  Index FORECAST_HISTORY is the hour that was
	 * the present one when this was last brought forward. */
	int64_t first_hour;
	/* Of complete hours; NAN unknown. */
	double load[FORECAST_HISTORY], metric[FORECAST_HISTORY], capacity[FORECAST_HISTORY];
	/* What was forecast for the past, and is for now and later. */
	double forecast_load[PREDICTION_SPAN], forecast_capacity[PREDICTION_SPAN];
	uint64_t source, settings; /* what the history and the forecast were made for, as hashes */
	int64_t updated_ms;        /* the forecast was made; 0 never */
	int64_t acted_hour;        /* the latest hour that has been scaled for */
	bool is_silent;            /* not to be acted on; why says what is wrong */
	char why[MESSAGE_MAX];
	double error, correlation;

	/* Not stored. */
	bool is_dirty;
	int64_t looked_ms; /* the metrics were read; 0: not since the start */
	int current;       /* the capacity forecast for this hour; -1 none */
};

/* What the configuration says of the metrics. */
enum predict_kind {
	PREDICT_CPU,
	PREDICT_NETWORK_IN,
	PREDICT_NETWORK_OUT,
	PREDICT_REQUESTS,
	PREDICT_CUSTOM,
};

struct predict_config {
	const json_t *spec; /* MetricSpecifications[0] */
	double target;
	enum predict_kind load, scaling;
	const char *label;                            /* ResourceLabel; NULL none */
	const json_t *load_queries, *scaling_queries; /* NULL: not customized */
	const json_t *capacity_queries;
};

/* -1: not a predictive policy, or one that cannot be read. */
MUST_CHECK int predict_config_read(const struct policy *policy, struct predict_config *config);

/* predict_read.c: the hours of the history that the metrics know of. */
void predict_read(struct tick *tick, const struct group *group, const struct predict_config *config,
		  struct prediction *prediction);

/* predict_state.c */
MUST_CHECK struct prediction *prediction_new(int64_t now_ms); /* NULL without memory */
/* What was known of hours and forecasts goes. */
void prediction_clear(struct prediction *prediction);
/* hour becomes the present one. */
void prediction_forward(struct prediction *prediction, int64_t hour);

#endif
