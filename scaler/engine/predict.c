/*
 * Predictive scaling: each hour the policy's metrics are read, the next two days forecast from
 * them, and the group brought to what an hour will need a little before it begins.  Only outward:
 * other policies take away, but while the hour lasts not below what was forecast for it.  It keeps
 * silent while it knows less than a day, or where its forecasts have been off by more than half.
 * Pure.  AWS: "Predictive scaling for Amazon EC2 Auto Scaling".
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "common/doc/doc.h"
#include "scaler/engine/predict.h"

enum {
	WANTED_MS = 10 * 1000, /* it says again in each tick what it wants */
	SETTLE_MS = 10 * 1000, /* an hour's last figures may be late */
	RETRY_MS = 10 * 1000,  /* while there is too little to forecast from */
	BUFFER_S = 300,        /* SchedulingBufferTime's default */
};

#define ERROR_MAX 0.5

/* ---- the configuration ---- */

static const json_t *config_of(const struct policy *policy)
{
	return doc_object(policy->document, "PredictiveScalingConfiguration");
}

static bool is_predictive(const struct policy *policy)
{
	return strcmp(doc_str(policy->document, "PolicyType", ""), "PredictiveScaling") == 0;
}

static int kind_of(const char *type, enum predict_kind *kind)
{
	static const struct {
		const char *pair, *scaling, *load;
		enum predict_kind kind;
	} kinds[] = {
	    {"ASGCPUUtilization", "ASGAverageCPUUtilization", "ASGTotalCPUUtilization",
	     PREDICT_CPU},
	    {"ASGNetworkIn", "ASGAverageNetworkIn", "ASGTotalNetworkIn", PREDICT_NETWORK_IN},
	    {"ASGNetworkOut", "ASGAverageNetworkOut", "ASGTotalNetworkOut", PREDICT_NETWORK_OUT},
	    {"ALBRequestCount", "ALBRequestCountPerTarget", "ALBTargetGroupRequestCount",
	     PREDICT_REQUESTS},
	};

	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
		if (strcmp(type, kinds[i].pair) != 0 && strcmp(type, kinds[i].scaling) != 0 &&
		    strcmp(type, kinds[i].load) != 0)
			continue;
		*kind = kinds[i].kind;
		return 0;
	}
	return -1;
}

/* One side of the pair: predefined, or queries. */
static int read_side(const json_t *spec, const char *predefined, const char *customized,
		     enum predict_kind *kind, const json_t **queries, const char **label)
{
	const json_t *own = doc_object(spec, customized);
	const json_t *type = doc_object(spec, predefined);

	if (own) {
		*kind = PREDICT_CUSTOM;
		*queries = doc_array(own, "MetricDataQueries");
		return *queries ? 0 : -1;
	}
	if (doc_has(type, "ResourceLabel"))
		*label = doc_str(type, "ResourceLabel", NULL);
	return kind_of(doc_str(type, "PredefinedMetricType", ""), kind);
}

int predict_config_read(const struct policy *policy, struct predict_config *config)
{
	const json_t *spec =
	    json_array_get(doc_array(config_of(policy), "MetricSpecifications"), 0);
	const char *scaling = "PredefinedScalingMetricSpecification";
	const char *load = "PredefinedLoadMetricSpecification";

	memset(config, 0, sizeof *config);
	config->spec = spec;
	config->target = doc_num(spec, "TargetValue", 0);
	if (!is_predictive(policy) || config->target <= 0)
		return -1;
	if (doc_has(spec, "PredefinedMetricPairSpecification"))
		scaling = load = "PredefinedMetricPairSpecification";
	config->capacity_queries = doc_array(
	    doc_object(spec, "CustomizedCapacityMetricSpecification"), "MetricDataQueries");
	if (read_side(spec, scaling, "CustomizedScalingMetricSpecification", &config->scaling,
		      &config->scaling_queries, &config->label) < 0)
		return -1;
	if (read_side(spec, load, "CustomizedLoadMetricSpecification", &config->load,
		      &config->load_queries, &config->label) < 0)
		return -1;
	/* The file's policies get their label when the load balancer has told it. */
	if (config->load == PREDICT_REQUESTS || config->scaling == PREDICT_REQUESTS)
		return config->label ? 0 : -1;
	return 0;
}

/* ---- forecasting ---- */

static bool is_pair(const struct predict_config *config)
{
	return config->load == config->scaling && config->load != PREDICT_CUSTOM;
}

/* How the metric follows from load per capacity; NAN: not known yet. */
static double relation(const struct predict_config *config, const struct prediction *p)
{
	if (!is_pair(config))
		return forecast_relation(p->load, p->metric, p->capacity, FORECAST_HISTORY);
	/* A load is an hour's, a target a minute's; percents are percents. */
	return config->load == PREDICT_CPU ? 1 : 1.0 / 60;
}

static int count_known(const double values[], int from, int to)
{
	int known = 0;

	for (int i = from; i < to; i++)
		known += !isnan(values[i]);
	return known;
}

static void keep_silent(struct prediction *p, const char *why)
{
	p->is_dirty |= !p->is_silent || strcmp(p->why, why) != 0;
	p->is_silent = true;
	text_copy(p->why, sizeof p->why, why);
}

static void say_error(struct prediction *p)
{
	char why[MESSAGE_MAX];

	snprintf(why, sizeof why,
		 "The forecasts of the last two days were off by %.0f %%, and more than %.0f %% is "
		 "not acted on.",
		 fmin(p->error, 99.99) * 100, ERROR_MAX * 100);
	keep_silent(p, why);
}

/* Are there figures to forecast from?  If not, why says what is missing. */
static bool has_figures(struct prediction *p, double k)
{
	int known = count_known(p->load, 0, FORECAST_HISTORY);
	char why[MESSAGE_MAX];

	if (known < FORECAST_LEAST) {
		snprintf(why, sizeof why, "%d hours of the load metric are known; %d are needed.",
			 known, FORECAST_LEAST);
		keep_silent(p, why);
		return false;
	}
	if (count_known(p->load, FORECAST_HISTORY - 24, FORECAST_HISTORY) == 0) {
		keep_silent(p, "The load metric has been silent for a day.");
		return false;
	}
	if (!isnan(k))
		return true;
	keep_silent(p, "The scaling metric does not follow from load and capacity: too few hours "
		       "have all three.");
	return false;
}

static void forget_forecast(struct prediction *p)
{
	for (int i = FORECAST_HISTORY; i < PREDICTION_SPAN; i++) {
		p->is_dirty |= !isnan(p->forecast_load[i]);
		p->forecast_load[i] = NAN;
		p->forecast_capacity[i] = NAN;
	}
}

static void make_forecast(const struct predict_config *config, struct prediction *p, int64_t now_ms)
{
	double k = relation(config, p);
	struct forecast forecast;

	if (!has_figures(p, k) ||
	    forecast_make(p->load, FORECAST_HISTORY, p->first_hour, &forecast) < 0) {
		forget_forecast(p);
		return;
	}
	for (int i = 0; i < FORECAST_AHEAD; i++) {
		p->forecast_load[FORECAST_HISTORY + i] = forecast.load[i];
		p->forecast_capacity[FORECAST_HISTORY + i] =
		    forecast_capacity(forecast.upper[i], k, config->target);
	}
	p->correlation = forecast_correlation(p->load, p->metric, p->capacity, FORECAST_HISTORY);
	p->error = forecast.error;
	p->updated_ms = now_ms;
	p->is_dirty = true;
	if (forecast.error > ERROR_MAX) {
		say_error(p);
		return;
	}
	p->is_silent = false;
	p->why[0] = '\0';
}

/* ---- keeping up ---- */

/* The digest of what the history is of: the metrics, whatever the target is. */
static uint64_t source_of(const struct predict_config *config)
{
	json_t *spec = json_copy((json_t *)config->spec);
	uint64_t digest;

	json_object_del(spec, "TargetValue");
	digest = doc_digest(spec);
	json_decref(spec);
	return digest;
}

/* Is it time to look at the metrics again? */
static bool is_due(const struct prediction *p, uint64_t settings, int64_t now_ms)
{
	int64_t hour_ms = now_ms / HOUR_MS * HOUR_MS;

	if (p->looked_ms == 0 || p->settings != settings || p->looked_ms > now_ms)
		return true;
	if (isnan(p->forecast_load[FORECAST_HISTORY]))
		return now_ms - p->looked_ms >= RETRY_MS;
	return p->looked_ms < hour_ms + SETTLE_MS && now_ms >= hour_ms + SETTLE_MS;
}

static void keep_up(struct tick *tick, const struct group *group,
		    const struct predict_config *config, struct prediction *p)
{
	uint64_t settings = doc_digest(config->spec), source;

	prediction_forward(p, tick->now_ms / HOUR_MS);
	/* One a tick: it takes a while, and others wait. */
	if (!is_due(p, settings, tick->now_ms) || tick->has_forecast)
		return;
	source = source_of(config);
	if (p->source != source)
		prediction_clear(p);
	if (p->settings != settings) {
		p->acted_hour = 0;
		p->is_dirty = true;
	}
	p->source = source;
	p->settings = settings;
	tick->has_forecast = true;
	p->looked_ms = tick->now_ms;
	predict_read(tick, group, config, p);
	make_forecast(config, p, tick->now_ms);
}

/* ---- acting ---- */

/* The capacity that was forecast for the hour; -1: none, or it is not trusted. */
static int capacity_of(const struct prediction *p, int64_t hour)
{
	int64_t index = hour - p->first_hour;

	if (p->is_silent || index < 0 || index >= PREDICTION_SPAN ||
	    isnan(p->forecast_capacity[index]))
		return -1;
	return (int)p->forecast_capacity[index];
}

static bool does_scale(const struct group *group, const struct policy *policy)
{
	return policy->prediction && doc_bool(policy->document, "Enabled", true) &&
	       strcmp(doc_str(config_of(policy), "Mode", ""), "ForecastAndScale") == 0 &&
	       !group->is_deleting && !group_is_suspended(group, "ScheduledActions");
}

/* The hour that is to be ready for now. */
static int64_t coming_hour(const struct policy *policy, int64_t now_ms)
{
	return (now_ms + 1000 * doc_int(config_of(policy), "SchedulingBufferTime", BUFFER_S)) /
	       HOUR_MS;
}

/* What the policy wants to have now; -1: nothing. */
static int wanted(const struct policy *policy, int64_t now_ms)
{
	int now = capacity_of(policy->prediction, now_ms / HOUR_MS);
	int soon = capacity_of(policy->prediction, coming_hour(policy, now_ms));

	return soon > now ? soon : now;
}

/* A forecast near the maximum or above it may raise it, by so many percent of the forecast.  As on
 * AWS it stays raised. */
static void raise_max(struct group *group, const struct policy *policy, int capacity)
{
	const json_t *config = config_of(policy);
	double buffer = (double)doc_int(config, "MaxCapacityBuffer", 0) / 100;
	int limit = forecast_capacity(capacity, 1 + buffer, 1);

	if (strcmp(doc_str(config, "MaxCapacityBreachBehavior", ""), "IncreaseMaxCapacity") != 0 ||
	    limit <= group->max)
		return;
	group->max = limit;
	group->is_dirty = true;
}

static void act(struct tick *tick, struct group *group, struct policy *policy)
{
	int64_t hour = coming_hour(policy, tick->now_ms);
	struct prediction *p = policy->prediction;
	int capacity = wanted(policy, tick->now_ms);
	char event[NAME_MAX_LEN + 64];

	/* An hour that is far ahead was acted on by a clock that was. */
	if (p->acted_hour > hour + 1)
		p->acted_hour = 0;
	if (capacity < 0 || p->acted_hour >= hour)
		return;
	p->acted_hour = hour;
	p->is_dirty = true;
	raise_max(group, policy, capacity);
	capacity = adjust_clamp(group, capacity);
	if (capacity <= group->desired)
		return;
	snprintf(event, sizeof event, "a predictive scaling policy %s", policy->name);
	policies_propose(group, policy, capacity, event, NULL);
}

int predict_floor(const struct group *group, int64_t now_ms)
{
	const struct policy *policy;
	int most = 0;

	TAILQ_FOREACH (policy, &group->policies, link) {
		int capacity = does_scale(group, policy) ? wanted(policy, now_ms) : -1;

		most = capacity > most ? capacity : most;
	}
	return most;
}

int predict_next(const struct group *group, const struct policy *policy, int64_t now_ms,
		 int64_t *at_ms)
{
	int64_t hour;

	if (!does_scale(group, policy))
		return -1;
	hour = coming_hour(policy, now_ms) + 1;
	*at_ms =
	    hour * HOUR_MS - 1000 * doc_int(config_of(policy), "SchedulingBufferTime", BUFFER_S);
	return capacity_of(policy->prediction, hour);
}

static void run_policy(struct tick *tick, struct group *group, struct policy *policy)
{
	struct predict_config config;

	if (predict_config_read(policy, &config) < 0)
		return;
	if (!policy->prediction)
		policy->prediction = prediction_new(tick->now_ms);
	if (!policy->prediction)
		return;
	keep_up(tick, group, &config, policy->prediction);
	policy->prediction->current = wanted(policy, tick->now_ms);
	if (!does_scale(group, policy))
		return;
	policy->wanted = policy->prediction->current;
	policy->wanted_until_ms = tick->now_ms + WANTED_MS;
	act(tick, group, policy);
}

void predict_run(struct tick *tick, struct group *group)
{
	struct policy *policy;

	TAILQ_FOREACH (policy, &group->policies, link) {
		if (is_predictive(policy))
			run_policy(tick, group, policy);
		else if (policy->prediction)
			prediction_drop(tick->engine, group, policy);
	}
}

void prediction_drop(struct engine *engine, const struct group *group, struct policy *policy)
{
	if (!policy->prediction)
		return;
	engine_forget_key(engine, "prediction", group->name, policy->name);
	prediction_free(policy->prediction);
	policy->prediction = NULL;
}
