/*
 * PutMetricData.  Control thread only.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/doc/doc.h"
#include "scaler/api/cloudwatch_state.h"

enum { MAX_DATA = 1000 };

#define VALUE_LIMIT 0x1p360 /* AWS: -2^360 to 2^360 */

static int bad_value(struct aws_error *error, const char *parameter, double value)
{
	aws_error_set(error, 400, "InvalidParameterValue",
		      "The value %.17g for parameter %s is invalid.", value, parameter);
	return -1;
}

static bool is_value(double value)
{
	return isfinite(value) && fabs(value) <= VALUE_LIMIT;
}

/* ---- PutMetricData ---- */

/* One datum on its way from JSON into the metrics.  prefix: "MetricData.member.3." */
struct reader {
	const json_t *datum;
	char prefix[40];
	struct metric_dimension dimensions[METRIC_DIMENSIONS_MAX];
	struct dist_entry entries[METRIC_VALUES_MAX];
	struct metric_datum result;
	struct aws_error *error;
};

static int refuse(struct reader *reader, const char *parameter, const char *what)
{
	aws_error_set(reader->error, 400, "InvalidParameterValue", "The parameter %s%s %s",
		      reader->prefix, parameter, what);
	return -1;
}

static int read_number(struct reader *reader, const json_t *object, const char *name, double *value)
{
	char parameter[96];

	*value = doc_num(object, name, NAN);
	if (is_value(*value))
		return 0;
	snprintf(parameter, sizeof(parameter), "%s%s%s", reader->prefix,
		 object == reader->datum ? "" : "StatisticValues.", name);
	return bad_value(reader->error, parameter, *value);
}

static int read_set(struct reader *reader)
{
	const json_t *object = doc_object(reader->datum, "StatisticValues");
	struct stat_set *set = &reader->result.set;

	if (read_number(reader, object, "SampleCount", &set->count) != 0 ||
	    read_number(reader, object, "Sum", &set->sum) != 0 ||
	    read_number(reader, object, "Minimum", &set->min) != 0 ||
	    read_number(reader, object, "Maximum", &set->max) != 0)
		return -1;
	if (set->count < 0)
		return refuse(reader, "StatisticValues.SampleCount", "must not be negative.");
	if (set->min > set->max)
		return refuse(reader, "StatisticValues.Maximum",
			      "must be greater than or equal to Minimum.");
	return 0;
}

static int read_value(struct reader *reader)
{
	double value;

	if (read_number(reader, reader->datum, "Value", &value) != 0)
		return -1;
	reader->result.set = (struct stat_set){1, value, value, value};
	return 0;
}

static int read_entry(struct reader *reader, const json_t *values, const json_t *counts, size_t i)
{
	struct dist_entry *entry = &reader->entries[i];
	char parameter[96];

	entry->value = json_number_value(json_array_get(values, i));
	entry->count =
	    json_array_size(counts) > 0 ? json_number_value(json_array_get(counts, i)) : 1;
	if (!is_value(entry->value)) {
		snprintf(parameter, sizeof(parameter), "%sValues.member.%zu", reader->prefix,
			 i + 1);
		return bad_value(reader->error, parameter, entry->value);
	}
	/* Their product is the sum: it must stay a number too. */
	if (!is_value(entry->count) || entry->count < 0 || !is_value(entry->value * entry->count)) {
		snprintf(parameter, sizeof(parameter), "%sCounts.member.%zu", reader->prefix,
			 i + 1);
		return bad_value(reader->error, parameter, entry->count);
	}
	return 0;
}

static int read_values(struct reader *reader)
{
	const json_t *values = doc_array(reader->datum, "Values");
	const json_t *counts = doc_array(reader->datum, "Counts");
	size_t n = json_array_size(values);

	if (n > METRIC_VALUES_MAX) {
		aws_error_set(reader->error, 400, "InvalidParameterValue",
			      "The collection %sValues must not have a size greater than %d.",
			      reader->prefix, METRIC_VALUES_MAX);
		return -1;
	}
	if (json_array_size(counts) > 0 && json_array_size(counts) != n) {
		aws_error_set(reader->error, 400, "InvalidParameterValue",
			      "The parameters %sValues and %sCounts must be of the same size.",
			      reader->prefix, reader->prefix);
		return -1;
	}
	for (size_t i = 0; i < n; i++)
		if (read_entry(reader, values, counts, i) != 0)
			return -1;
	reader->result.values = reader->entries;
	reader->result.n_values = n;
	return 0;
}

/* Exactly one of Value, StatisticValues and Values. */
static int read_samples(struct reader *reader)
{
	static const char *const names[] = {"Value", "StatisticValues", "Values"};
	const char *found = NULL;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const json_t *member = json_object_get(reader->datum, names[i]);

		if (member == NULL || (json_is_array(member) && json_array_size(member) == 0))
			continue;
		if (found != NULL) {
			aws_error_set(reader->error, 400, "InvalidParameterCombination",
				      "The parameters %s%s and %s%s are mutually exclusive and you "
				      "have specified both.",
				      reader->prefix, found, reader->prefix, names[i]);
			return -1;
		}
		found = names[i];
	}
	if (found == NULL) {
		aws_error_set(
		    reader->error, 400, "MissingParameter",
		    "At least one of the parameters %sValue, %sStatisticValues and %sValues "
		    "must be specified.",
		    reader->prefix, reader->prefix, reader->prefix);
		return -1;
	}
	if (found == names[0])
		return read_value(reader);
	return found == names[1] ? read_set(reader) : read_values(reader);
}

static int read_time(struct reader *reader, int64_t now_ms)
{
	const char *text = doc_str(reader->datum, "Timestamp", NULL);
	int64_t *at_ms = &reader->result.at_ms;

	*at_ms = now_ms;
	if (text != NULL && clock_parse_iso(text, at_ms) != 0)
		return refuse(reader, "Timestamp", "must be a time.");
	if (*at_ms < now_ms - METRIC_PAST_MS)
		return refuse(reader, "Timestamp",
			      "must specify a time no more than two weeks in the past.");
	if (*at_ms > now_ms + METRIC_FUTURE_MS)
		return refuse(reader, "Timestamp",
			      "must specify a time no more than two hours in the future.");
	return 0;
}

static int read_key(struct reader *reader, const char *namespace)
{
	const char *name = doc_str(reader->datum, "MetricName", "");
	int n;

	if (cloudwatch_check_name(name, reader->prefix, "MetricName", METRIC_NAME_MAX,
				  reader->error) != 0)
		return -1;
	n = cloudwatch_dimensions(doc_array(reader->datum, "Dimensions"), reader->prefix,
				  reader->dimensions, reader->error);
	if (n < 0)
		return -1;
	reader->result.key = (struct metric_key){namespace, name, reader->dimensions, (size_t)n};
	return 0;
}

/* Fills reader->result, which borrows from the reader and the JSON. */
static int read_datum(struct reader *reader, const char *namespace, int64_t now_ms)
{
	int64_t resolution = doc_int(reader->datum, "StorageResolution", 60);
	const char *unit = doc_str(reader->datum, "Unit", "None");

	reader->result = (struct metric_datum){.resolution_s = (int)resolution,
					       .unit = metric_unit_from_name(unit)};
	if (read_key(reader, namespace) != 0)
		return -1;
	if (resolution != 1 && resolution != 60)
		return refuse(reader, "StorageResolution", "must be a value in the set [ 1, 60 ].");
	if (reader->result.unit < 0) {
		aws_error_set(reader->error, 400, "InvalidParameterValue",
			      "The value %.64s for parameter %sUnit is invalid.", unit,
			      reader->prefix);
		return -1;
	}
	return read_time(reader, now_ms) != 0 ? -1 : read_samples(reader);
}

/* The prefix costs more than all the rest and is only for errors: it is made when there is one. */
static int read_member(struct reader *reader, const json_t *list, size_t i, const char *namespace,
		       int64_t now_ms)
{
	reader->datum = json_array_get(list, i);
	reader->prefix[0] = '\0';
	if (read_datum(reader, namespace, now_ms) == 0)
		return 0;
	snprintf(reader->prefix, sizeof(reader->prefix), "MetricData.member.%zu.", i + 1);
	return read_datum(reader, namespace, now_ms);
}

static int put_error(enum metrics_result result, struct aws_error *error)
{
	if (result == METRICS_FULL)
		aws_error_set(error, 400, "LimitExceeded",
			      "The maximum number of metrics is reached.");
	else
		aws_error_set(error, 500, "InternalServiceError", "The datum could not be kept.");
	return -1;
}

static int put_all(struct cloudwatch *cw, struct reader *reader, const json_t *list,
		   const char *namespace, int64_t now_ms)
{
	/* All of them are looked at before any is kept. */
	for (size_t i = 0; i < json_array_size(list); i++)
		if (read_member(reader, list, i, namespace, now_ms) != 0)
			return -1;
	for (size_t i = 0; i < json_array_size(list); i++) {
		enum metrics_result result;

		if (read_member(reader, list, i, namespace, now_ms) != 0)
			return -1;
		result = metrics_put(cw->metrics, &reader->result, now_ms);
		if (result != METRICS_OK)
			return put_error(result, reader->error);
	}
	return 0;
}

json_t *handle_PutMetricData(void *context, const struct aws_call *call, const json_t *input,
			     struct aws_error *error)
{
	struct cloudwatch *cw = context;
	const json_t *list = doc_array(input, "MetricData");
	const char *namespace = doc_str(input, "Namespace", "");
	struct reader *reader;
	int result;

	(void)call;
	if (json_array_size(list) == 0) {
		aws_error_set(error, 400, "MissingParameter",
			      "The parameter MetricData is required.");
		return NULL;
	}
	if (json_array_size(list) > MAX_DATA) {
		aws_error_set(error, 400, "InvalidParameterValue",
			      "The collection MetricData must not have a size greater than %d.",
			      MAX_DATA);
		return NULL;
	}
	if (cloudwatch_check_namespace(namespace, error) != 0)
		return NULL;
	reader = malloc(sizeof(*reader));
	if (reader == NULL) {
		put_error(METRICS_NO_MEMORY, error);
		return NULL;
	}
	reader->error = error;
	result = put_all(cw, reader, list, namespace, cloudwatch_now_ms(cw));
	free(reader);
	if (result != 0)
		return NULL;
	cw->has_new_data = true;
	if (cw->on_data != NULL)
		cw->on_data(cw->on_data_arg);
	return json_object();
}
