/*
 * Any bytes as an expression over two metrics, and as the rule of a composite alarm: they are
 * refused with a reason, or evaluated.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"
#include "scaler/metrics/alarm_expression.h"
#include "scaler/metrics/math.h"

#define T0 1767261600000LL
#define MINUTE 60000LL

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct metrics *two_metrics(void)
{
	static struct metrics *metrics;

	if (metrics != NULL)
		return metrics;
	metrics = metrics_new(NULL);
	CHECK(metrics != NULL);
	for (int i = 0; i < 6; i++) {
		struct metric_datum datum = {.key = {"Lab", i % 2 == 0 ? "a" : "b", NULL, 0},
					     .resolution_s = 60,
					     .at_ms = T0 + i / 2 * i * MINUTE,
					     .set = {1, i, i, i}};

		CHECK(metrics_put(metrics, &datum, T0) == METRICS_OK);
	}
	return metrics;
}

static json_t *query(const char *id, const char *name)
{
	return json_pack("{s:s, s:{s:{s:s, s:s}, s:i, s:s}}", "Id", id, "MetricStat", "Metric",
			 "Namespace", "Lab", "MetricName", name, "Period", 60, "Stat", "Sum");
}

static void evaluate(const char *text)
{
	json_t *queries = json_pack("[o, o, {s:s, s:s}]", query("m1", "a"), query("m2", "b"), "Id",
				    "e1", "Expression", text);
	struct math_results results;
	struct err err = {0};
	struct math_set *set = queries != NULL ? math_set_new(queries, &err) : NULL;

	CHECK(set != NULL || queries == NULL || err.text[0] != '\0');
	err = (struct err){0};
	if (set != NULL && math_set_evaluate(set, two_metrics(), T0, T0 + 20 * MINUTE,
					     T0 + 20 * MINUTE, &results, &err) == 0)
		math_results_fini(&results);
	else
		CHECK(set == NULL || err.text[0] != '\0');
	math_set_free(set);
	json_decref(queries);
}

static enum alarm_state state_of(void *arg, const char *name)
{
	(void)arg;
	return (enum alarm_state)(strlen(name) % 3);
}

static void judge(const char *text)
{
	struct err err = {0};
	struct alarm_expression *expression = alarm_expression_parse(text, &err);

	CHECK(expression != NULL || err.text[0] != '\0');
	if (expression != NULL)
		(void)alarm_expression_holds(expression, state_of, NULL);
	alarm_expression_free(expression);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = strndup((const char *)data, size);

	CHECK(text != NULL);
	evaluate(text);
	judge(text);
	free(text);
	return 0;
}
