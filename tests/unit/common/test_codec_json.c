/* common/aws/codec, AWS JSON 1.0 on the server's side. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/aws/codec.h"

static json_t *decode(const char *action, const char *text, struct aws_error *error)
{
	const struct aws_model *model = aws_model("monitoring", NULL);

	memset(error, 0, sizeof(*error));
	return aws_json_request_decode(model, aws_operation_find(model, action), text, strlen(text),
				       error);
}

static void expect_input(const char *action, const char *text, const char *want)
{
	struct aws_error error;
	json_t *input = decode(action, text, &error);
	char *got = input ? json_dumps(input, JSON_COMPACT | JSON_SORT_KEYS) : NULL;

	if (!input)
		fail_msg("%s: %s", error.code, error.message);
	assert_string_equal(got, want);
	free(got);
	json_decref(input);
}

static void expect_error(const char *action, const char *text, const char *code,
			 const char *message)
{
	struct aws_error error;

	assert_null(decode(action, text, &error));
	assert_string_equal(error.code, code);
	assert_string_equal(error.message, message);
	assert_int_equal(error.http_status, 400);
}

static void times_arrive_as_seconds_and_become_text(void **state)
{
	(void)state;
	expect_input("GetMetricStatistics",
		     "{\"Namespace\":\"n\",\"MetricName\":\"m\",\"StartTime\":1767225600.123,"
		     "\"EndTime\":1767229200,\"Period\":60,\"Unit\":null,\"Statistics\":[\"Sum\"],"
		     "\"New\":{\"a\":[1]}}",
		     "{\"EndTime\":\"2026-01-01T01:00:00Z\",\"MetricName\":\"m\",\"Namespace\":"
		     "\"n\",\"Period\":60,\"StartTime\":\"2026-01-01T00:00:00.123Z\","
		     "\"Statistics\":[\"Sum\"]}");
}

static void whole_numbers_do_for_doubles(void **state)
{
	(void)state;
	expect_input("PutMetricData",
		     "{\"Namespace\":\"n\",\"MetricData\":[{\"MetricName\":\"m\",\"Value\":1}]}",
		     "{\"MetricData\":[{\"MetricName\":\"m\",\"Value\":1.0}],\"Namespace\":\"n\"}");
}

static void an_empty_body_is_an_empty_document(void **state)
{
	(void)state;
	expect_input("DescribeAlarms", "", "{}");
}

static void misfits_are_refused(void **state)
{
	(void)state;
	expect_error("PutMetricData", "{\"MetricData\":[]}", "MissingParameter",
		     "The parameter Namespace is required.");
	expect_error("PutMetricData", "[1]", "SerializationException",
		     "The request is not a JSON object");
	expect_error("DescribeAlarms", "{\"MaxRecords\":\"x\"}", "ValidationError",
		     "1 validation error detected: Value 'x' at 'maxRecords' failed to satisfy "
		     "constraint: Member must be of the right type");
	expect_error("DescribeAlarms", "{\"AlarmNames\":{}}", "SerializationException",
		     "The request does not have the form of a DescribeAlarmsInput");
	expect_error("GetMetricStatistics", "{\"StartTime\":1e99}", "SerializationException",
		     "The request does not have the form of a GetMetricStatisticsInput");
	expect_error("GetMetricStatistics", "{\"StartTime\":\"noon\"}", "SerializationException",
		     "The request does not have the form of a GetMetricStatisticsInput");
}

static void answers_have_times_as_seconds_and_empty_lists(void **state)
{
	const struct aws_model *model = aws_model("monitoring", NULL);
	json_t *output = json_pack("{s:[{s:s,s:f},{s:s}]}", "Datapoints", "Timestamp",
				   "2026-01-01T00:00:00.123Z", "Average", 1.5, "Timestamp",
				   "2026-01-01T00:01:00Z");
	struct buf json = {0};

	(void)state;
	aws_json_response_encode(aws_operation_find(model, "GetMetricStatistics"), output, &json);
	assert_string_equal(buf_text(&json),
			    "{\"Datapoints\":[{\"Timestamp\":1767225600.1229999,\"Average\":1.5},"
			    "{\"Timestamp\":1767225660}]}");
	buf_clear(&json);
	aws_json_response_encode(aws_operation_find(model, "DeleteAlarms"), NULL, &json);
	assert_string_equal(buf_text(&json), "{}");
	buf_clear(&json);
	aws_json_response_encode(aws_operation_find(model, "ListMetrics"), NULL, &json);
	assert_string_equal(buf_text(&json), "{}");
	buf_fini(&json);
	json_decref(output);
}

static void errors_carry_the_name_of_the_exception(void **state)
{
	struct aws_error error;
	struct buf json = {0};

	(void)state;
	aws_error_set(&error, 400, "MissingParameter", "no \"%s\"", "a");
	aws_json_error_encode(aws_model("monitoring", NULL), &error, &json);
	assert_string_equal(buf_text(&json), "{\"__type\":\"MissingRequiredParameterException\","
					     "\"message\":\"no \\\"a\\\"\"}");
	buf_clear(&json);
	aws_error_set(&error, 400, "InvalidAction", "cut \xC3");
	aws_json_error_encode(aws_model("monitoring", NULL), &error, &json);
	assert_string_equal(buf_text(&json), "{\"__type\":\"InvalidAction\",\"message\":null}");
	buf_fini(&json);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(times_arrive_as_seconds_and_become_text),
	    cmocka_unit_test(whole_numbers_do_for_doubles),
	    cmocka_unit_test(an_empty_body_is_an_empty_document),
	    cmocka_unit_test(misfits_are_refused),
	    cmocka_unit_test(answers_have_times_as_seconds_and_empty_lists),
	    cmocka_unit_test(errors_carry_the_name_of_the_exception),
	};

	return cmocka_run_group_tests_name("codec_json", tests, NULL, NULL);
}
