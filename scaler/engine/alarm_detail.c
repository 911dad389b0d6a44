/*
 * What activities say of the alarms behind them (InvokingAlarms), in the shape of the messages that
 * CloudWatch sends.  Pure.
 */
#include <ctype.h>
#include <string.h>

#include "common/base/clock.h"
#include "scaler/engine/parts.h"

static json_t *upper(const char *text)
{
	char out[64];
	size_t i = 0;

	for (; text[i] && i + 1 < sizeof out; i++)
		out[i] = (char)toupper((unsigned char)text[i]);
	out[i] = '\0';
	return json_string(out);
}

/* Messages spell them in lower case. */
static json_t *dimensions_of(const json_t *list)
{
	json_t *out = json_array();
	const json_t *one;
	size_t i;

	json_array_foreach (list, i, one)
		json_array_append_new(out,
				      json_pack("{s:s, s:s}", "value", doc_str(one, "Value", ""),
						"name", doc_str(one, "Name", "")));
	return out;
}

/* Of an alarm on metric math. */
static json_t *metrics_of(const json_t *alarm)
{
	json_t *out = json_deep_copy(doc_array(alarm, "Metrics")), *query;
	size_t i;

	json_array_foreach (out, i, query) {
		json_t *metric = doc_object(doc_object(query, "MetricStat"), "Metric");

		if (metric)
			json_object_set_new(metric, "Dimensions",
					    dimensions_of(doc_array(metric, "Dimensions")));
	}
	return out;
}

static json_t *trigger(const json_t *alarm)
{
	static const char *const same[] = {"MetricName",
					   "Namespace",
					   "Unit",
					   "Period",
					   "EvaluationPeriods",
					   "DatapointsToAlarm",
					   "Threshold",
					   "ComparisonOperator",
					   "TreatMissingData",
					   "EvaluateLowSampleCountPercentile"};
	bool is_extended = doc_has(alarm, "ExtendedStatistic");
	const char *statistic = doc_str(alarm, is_extended ? "ExtendedStatistic" : "Statistic", "");
	json_t *out = json_object();
	size_t i;

	for (i = 0; i < sizeof same / sizeof same[0]; i++) {
		if (doc_has(alarm, same[i]))
			json_object_set(out, same[i], json_object_get(alarm, same[i]));
	}
	if (doc_has(alarm, "Metrics")) {
		json_object_set_new(out, "Metrics", metrics_of(alarm));
		return out;
	}
	json_object_set_new(out, "StatisticType",
			    json_string(is_extended ? "ExtendedStatistic" : "Statistic"));
	json_object_set_new(out, "Statistic",
			    is_extended ? json_string(statistic) : upper(statistic));
	if (json_array_size(doc_array(alarm, "Dimensions")) > 0)
		json_object_set_new(out, "Dimensions",
				    dimensions_of(doc_array(alarm, "Dimensions")));
	return out;
}

json_t *alarm_detail(const struct engine *engine, const json_t *alarm, const char *old_state,
		     const char *new_state, int64_t at_ms)
{
	return alarm_detail_of(engine->account, engine->region, alarm, old_state, new_state, at_ms);
}

json_t *alarm_detail_of(const char *account, const char *region, const json_t *alarm,
			const char *old_state, const char *new_state, int64_t at_ms)
{
	static const char *const same[] = {"AlarmName", "AlarmArn", "AlarmDescription",
					   "AlarmConfigurationUpdatedTimestamp"};
	char at[CLOCK_TEXT_MAX];
	json_t *out = json_pack("{s:s, s:s, s:s, s:s, s:s}", "AWSAccountId", account, "Region",
				region, "OldStateValue", old_state, "NewStateValue", new_state,
				"StateChangeTime", clock_format_iso_ms(at_ms, at));

	if (!out)
		return NULL;
	for (size_t i = 0; i < sizeof same / sizeof same[0]; i++) {
		if (doc_has(alarm, same[i]))
			json_object_set(out, same[i], json_object_get(alarm, same[i]));
	}
	json_object_set_new(out, "Trigger", trigger(alarm));
	return out;
}
