/*
 * A prediction's life: new, brought forward by hours, saved and loaded, shown.  Pure.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "scaler/engine/predict.h"

static void fill(double values[], size_t n)
{
	for (size_t i = 0; i < n; i++)
		values[i] = NAN;
}

void prediction_clear(struct prediction *prediction)
{
	fill(prediction->load, FORECAST_HISTORY);
	fill(prediction->metric, FORECAST_HISTORY);
	fill(prediction->capacity, FORECAST_HISTORY);
	fill(prediction->forecast_load, PREDICTION_SPAN);
	fill(prediction->forecast_capacity, PREDICTION_SPAN);
	prediction->error = NAN;
	prediction->correlation = NAN;
	prediction->updated_ms = 0;
	prediction->is_silent = true;
	prediction->current = -1;
	prediction->is_dirty = true;
}

struct prediction *prediction_new(int64_t now_ms)
{
	struct prediction *prediction = calloc(1, sizeof *prediction);

	if (!prediction)
		return NULL;
	prediction_clear(prediction);
	prediction->first_hour = now_ms / HOUR_MS - FORECAST_HISTORY;
	return prediction;
}

void prediction_free(struct prediction *prediction)
{
	free(prediction);
}

/* ---- by hours ---- */

static void shift(double values[], size_t n, int64_t by)
{
	if (by >= (int64_t)n) {
		fill(values, n);
		return;
	}
	memmove(values, values + by, (n - (size_t)by) * sizeof values[0]);
	fill(values + n - by, (size_t)by);
}

void prediction_forward(struct prediction *prediction, int64_t hour)
{
	int64_t by = hour - FORECAST_HISTORY - prediction->first_hour;

	/* A clock that is set back a little is waited for. */
	if (by <= 0 && by > -FORECAST_LEAST)
		return;
	prediction->first_hour += by;
	if (by < 0) {
		prediction_clear(prediction);
		prediction->acted_hour = 0;
		return;
	}
	shift(prediction->load, FORECAST_HISTORY, by);
	shift(prediction->metric, FORECAST_HISTORY, by);
	shift(prediction->capacity, FORECAST_HISTORY, by);
	shift(prediction->forecast_load, PREDICTION_SPAN, by);
	shift(prediction->forecast_capacity, PREDICTION_SPAN, by);
	prediction->is_dirty = true;
}

/* ---- documents ---- */

static json_t *number(double value)
{
	return isnan(value) ? json_null() : json_real(value);
}

static json_t *save_values(const double values[], size_t n)
{
	json_t *list = json_array();

	for (size_t i = 0; i < n; i++)
		json_array_append_new(list, number(values[i]));
	if (json_array_size(list) == n)
		return list;
	json_decref(list);
	return NULL;
}

static void load_values(double values[], size_t n, const json_t *list)
{
	for (size_t i = 0; i < n; i++) {
		const json_t *value = json_array_get(list, i);

		values[i] = json_is_number(value) ? json_number_value(value) : NAN;
	}
}

json_t *prediction_save(const struct policy *policy)
{
	const struct prediction *p = policy->prediction;

	return json_pack(
	    "{s:I, s:o, s:o, s:o, s:o, s:o, s:I, s:I, s:I, s:I, s:b, s:s, s:o, s:o}", "FirstHour",
	    (json_int_t)p->first_hour, "Load", save_values(p->load, FORECAST_HISTORY), "Metric",
	    save_values(p->metric, FORECAST_HISTORY), "Capacity",
	    save_values(p->capacity, FORECAST_HISTORY), "LoadForecast",
	    save_values(p->forecast_load, PREDICTION_SPAN), "CapacityForecast",
	    save_values(p->forecast_capacity, PREDICTION_SPAN), "Source", (json_int_t)p->source,
	    "Settings", (json_int_t)p->settings, "UpdatedMs", (json_int_t)p->updated_ms,
	    "ActedHour", (json_int_t)p->acted_hour, "IsSilent", p->is_silent, "Why", p->why,
	    "Error", number(p->error), "Correlation", number(p->correlation));
}

int prediction_load(struct policy *policy, const json_t *document)
{
	struct prediction *p = prediction_new(0);

	if (!p)
		return -1;
	p->first_hour = doc_int(document, "FirstHour", 0);
	load_values(p->load, FORECAST_HISTORY, doc_array(document, "Load"));
	load_values(p->metric, FORECAST_HISTORY, doc_array(document, "Metric"));
	load_values(p->capacity, FORECAST_HISTORY, doc_array(document, "Capacity"));
	load_values(p->forecast_load, PREDICTION_SPAN, doc_array(document, "LoadForecast"));
	load_values(p->forecast_capacity, PREDICTION_SPAN, doc_array(document, "CapacityForecast"));
	p->source = (uint64_t)doc_int(document, "Source", 0);
	p->settings = (uint64_t)doc_int(document, "Settings", 0);
	p->updated_ms = doc_int(document, "UpdatedMs", 0);
	p->acted_hour = doc_int(document, "ActedHour", 0);
	p->is_silent = doc_bool(document, "IsSilent", true);
	text_copy(p->why, sizeof p->why, doc_str(document, "Why", ""));
	p->error = doc_num(document, "Error", NAN);
	p->correlation = doc_num(document, "Correlation", NAN);
	p->is_dirty = false;
	prediction_free(policy->prediction);
	policy->prediction = p;
	return 0;
}

bool prediction_is_changed(const struct policy *policy)
{
	return policy->prediction && policy->prediction->is_dirty;
}

void prediction_saved(struct policy *policy)
{
	if (policy->prediction)
		policy->prediction->is_dirty = false;
}

/* ---- shown ---- */

static json_t *series(const struct prediction *p, const double values[], int64_t from_ms,
		      int64_t to_ms)
{
	json_t *times = json_array(), *list = json_array();
	char text[CLOCK_TEXT_MAX];

	for (int i = 0; i < PREDICTION_SPAN; i++) {
		int64_t at_ms = (p->first_hour + i) * HOUR_MS;

		if (at_ms < from_ms || at_ms >= to_ms || isnan(values[i]))
			continue;
		json_array_append_new(times, json_string(clock_format_iso(at_ms, text)));
		json_array_append_new(list, json_real(values[i]));
	}
	return json_pack("{s:o, s:o}", "Timestamps", times, "Values", list);
}

json_t *policy_forecast(const struct policy *policy, int64_t from_ms, int64_t to_ms)
{
	const struct prediction *p = policy->prediction;
	struct predict_config config;
	char text[CLOCK_TEXT_MAX];
	json_t *load;

	if (!p || predict_config_read(policy, &config) < 0)
		return NULL;
	load = series(p, p->forecast_load, from_ms, to_ms);
	if (load)
		json_object_set(load, "MetricSpecification", (json_t *)config.spec);
	return json_pack("{s:[o], s:o, s:s}", "LoadForecast", load, "CapacityForecast",
			 series(p, p->forecast_capacity, from_ms, to_ms), "UpdateTime",
			 clock_format_iso(p->updated_ms ? p->updated_ms : p->looked_ms, text));
}

int group_predicted_capacity(const struct group *group)
{
	const struct policy *policy;
	int most = -1;

	TAILQ_FOREACH (policy, &group->policies, link) {
		if (policy->prediction && policy->prediction->current > most)
			most = policy->prediction->current;
	}
	return most;
}

const char *policy_prediction_note(const struct policy *policy)
{
	if (!policy->prediction)
		return NULL;
	return policy->prediction->is_silent ? policy->prediction->why : "";
}

bool policy_prediction_figures(const struct policy *policy, int64_t now_ms,
			       struct prediction_figures *figures)
{
	const struct prediction *p = policy->prediction;
	int64_t index = p ? now_ms / HOUR_MS - p->first_hour : -1;

	if (index < 0 || index >= PREDICTION_SPAN || isnan(p->forecast_load[index]))
		return false;
	*figures =
	    (struct prediction_figures){(p->first_hour + index) * HOUR_MS, p->forecast_load[index],
					p->forecast_capacity[index], p->correlation};
	return true;
}
