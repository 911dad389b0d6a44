/* common/aws/codec, Smithy RPC v2 CBOR on the server's side; the vectors are what SDKs send. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/aws/cbor_read.h"
#include "common/aws/codec.h"

enum { MAX_BYTES = 4096 };

static size_t unhex(const char *hex, char bytes[MAX_BYTES])
{
	size_t n = 0;
	unsigned byte;

	for (; *hex != '\0'; hex += 2) {
		if (*hex == ' ')
			hex++;
		assert_int_equal(sscanf(hex, "%2x", &byte), 1);
		assert_true(n < MAX_BYTES);
		bytes[n++] = (char)byte;
	}
	return n;
}

static json_t *decode(const char *action, const char *hex, struct aws_error *error)
{
	const struct aws_model *model = aws_model("monitoring", NULL);
	char bytes[MAX_BYTES];
	size_t len = unhex(hex, bytes);

	memset(error, 0, sizeof(*error));
	return aws_cbor_request_decode(model, aws_operation_find(model, action), bytes, len, error);
}

static void expect_input(const char *action, const char *hex, const char *want)
{
	struct aws_error error;
	json_t *input = decode(action, hex, &error);
	char *got = input ? json_dumps(input, JSON_COMPACT | JSON_SORT_KEYS) : NULL;

	if (!input)
		fail_msg("%s: %s", error.code, error.message);
	assert_string_equal(got, want);
	free(got);
	json_decref(input);
}

static void expect_error(const char *action, const char *hex, const char *code, const char *message)
{
	struct aws_error error;

	assert_null(decode(action, hex, &error));
	assert_string_equal(error.code, code);
	assert_string_equal(error.message, message);
}

static void expect_refused(const char *hex, const char *want)
{
	char bytes[MAX_BYTES];
	size_t len = unhex(hex, bytes);
	const char *why = NULL;

	assert_null(cbor_read(bytes, len, &why));
	assert_string_equal(why, want);
}

static void expect_json(const char *hex, const char *want)
{
	char bytes[MAX_BYTES];
	size_t len = unhex(hex, bytes);
	const char *why = NULL;
	json_t *value = cbor_read(bytes, len, &why);
	char *got = value ? json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;

	if (!value)
		fail_msg("%s", why);
	assert_string_equal(got, want);
	free(got);
	json_decref(value);
}

static void an_alarm_arrives_whole(void **state)
{
	(void)state;
	expect_input("PutMetricAlarm",
		     "a969416c61726d4e616d6561616a4d65747269634e616d65616d694e616d657370616365616e"
		     "695374617469737469636353756d66506572696f64183c714576616c756174696f6e50657269"
		     "6f647301695468726573686f6c64fb3ff800000000000072436f6d70617269736f6e4f706572"
		     "61746f7274477265617465725468616e5468726573686f6c646a44696d656e73696f6e7381a2"
		     "644e616d6561786556616c75656179",
		     "{\"AlarmName\":\"a\",\"ComparisonOperator\":\"GreaterThanThreshold\","
		     "\"Dimensions\":[{\"Name\":\"x\",\"Value\":\"y\"}],\"EvaluationPeriods\":1,"
		     "\"MetricName\":\"m\",\"Namespace\":\"n\",\"Period\":60,\"Statistic\":\"Sum\","
		     "\"Threshold\":1.5}");
}

static void tagged_times_become_text(void **state)
{
	(void)state;
	expect_input("GetMetricStatistics",
		     "a6694e616d657370616365616e6a4d65747269634e616d65616d69537461727454696d65c11a"
		     "6955b90067456e6454696d65c11a6955c71066506572696f64183c6a53746174697374696373"
		     "816741766572616765",
		     "{\"EndTime\":\"2026-01-01T01:00:00Z\",\"MetricName\":\"m\",\"Namespace\":"
		     "\"n\",\"Period\":60,\"StartTime\":\"2026-01-01T00:00:00Z\","
		     "\"Statistics\":[\"Average\"]}");
}

static void chunks_and_endless_containers_are_put_together(void **state)
{
	(void)state;
	expect_input(
	    "PutMetricData",
	    "bf 694e616d657370616365 7f614e614dff 6a4d657472696344617461"
	    " 9fbf6a4d65747269634e616d65616d6556616c7565f93c00ffff ff",
	    "{\"MetricData\":[{\"MetricName\":\"m\",\"Value\":1.0}],\"Namespace\":\"NM\"}");
}

static void each_type_has_its_json(void **state)
{
	(void)state;
	expect_json("8a00 20 1903e8 3903e7 fa3fc00000 f5 f6 f7 60 43010203",
		    "[0,-1,1000,-1000,1.5,true,null,null,\"\",\"AQID\"]");
	expect_json("83f97e00f97c00f9fc00", "[\"NaN\",\"Infinity\",\"-Infinity\"]");
	expect_json("821b7fffffffffffffff3b7fffffffffffffff",
		    "[9223372036854775807,-9223372036854775808]");
	expect_json("1bffffffffffffffff", "1.8446744073709552e19");
	expect_json("5f42010241 03ff", "\"AQID\"");
	expect_json("828060", "[[],\"\"]");
	expect_json("a0", "{}");
}

static void what_is_not_one_whole_item_is_refused(void **state)
{
	(void)state;
	expect_refused("", "it ends too early");
	expect_refused("a161", "it ends too early");
	expect_refused("9bffffffffffffffff", "it ends too early");
	expect_refused("7bffffffffffffffff61", "it ends too early");
	expect_refused("9f00", "it ends too early");
	expect_refused("1c", "it holds what is no CBOR item");
	expect_refused("0000", "something stands behind it");
	expect_refused("ff", "it holds a break where nothing is open");
	expect_refused("81ff", "it holds a break where nothing is open");
	expect_refused("7f4101ff", "a chunk of a string is no string of its type");
	expect_refused("a10000", "a key is no text");
	expect_refused("a2614101614102", "a key is given twice");
	expect_refused("61ff", "a text is not UTF-8");
	expect_refused("6100", "a text holds a NUL");
}

static void what_would_eat_the_memory_or_the_stack_is_refused(void **state)
{
	size_t n = CBOR_MAX_CONTAINERS + 10;
	char *bytes = malloc(n);
	const char *why = NULL;

	(void)state;
	memset(bytes, 0x81, n);
	assert_null(cbor_read(bytes, n, &why));
	assert_string_equal(why, "it is nested too deeply");
	memset(bytes, 0xc1, n);
	assert_null(cbor_read(bytes, n, &why));
	assert_string_equal(why, "it is nested too deeply");
	memset(bytes, 0x80, n);
	bytes[0] = (char)0x9f;
	assert_null(cbor_read(bytes, n, &why));
	assert_string_equal(why, "it holds too many lists and maps");
	free(bytes);
}

static void misfits_are_refused(void **state)
{
	(void)state;
	expect_error("PutMetricData", "a16a4d65747269634461746180", "MissingParameter",
		     "The parameter Namespace is required.");
	expect_error("PutMetricData", "80", "SerializationException",
		     "The request is not CBOR: it is no map");
	expect_error("PutMetricData", "a1", "SerializationException",
		     "The request is not CBOR: it ends too early");
	expect_error("DescribeAlarms", "a16a4d61785265636f726473f93c00", "ValidationError",
		     "1 validation error detected: Value '1' at 'maxRecords' failed to satisfy "
		     "constraint: Member must be of the right type");
}

static void expect_bytes(struct buf *cbor, const char *hex)
{
	char want[MAX_BYTES];
	size_t len = unhex(hex, want);

	assert_false(buf_failed(cbor));
	assert_int_equal(cbor->len, len);
	assert_memory_equal(cbor->data, want, len);
	buf_clear(cbor);
}

static void answers_have_tagged_times_and_empty_lists(void **state)
{
	const struct aws_model *model = aws_model("monitoring", NULL);
	json_t *output =
	    json_pack("{s:s,s:[{s:s,s:f,s:s}]}", "Label", "l", "Datapoints", "Timestamp",
		      "2026-01-01T00:00:00.5Z", "Average", 1.5, "Nonsense", "dropped");
	struct buf cbor = {0};

	(void)state;
	aws_cbor_response_encode(aws_operation_find(model, "GetMetricStatistics"), output, &cbor);
	expect_bytes(&cbor, "a2 654c6162656c 616c 6a44617461706f696e7473 81"
			    "a2 6954696d657374616d70 c1fb41da556e40200000"
			    " 6741766572616765 fb3ff8000000000000");
	aws_cbor_response_encode(aws_operation_find(model, "DeleteAlarms"), NULL, &cbor);
	expect_bytes(&cbor, "a0");
	json_decref(output);
	output = json_object();
	aws_cbor_response_encode(aws_operation_find(model, "GetMetricStatistics"), output, &cbor);
	expect_bytes(&cbor, "a1 6a44617461706f696e7473 80");
	json_decref(output);
	buf_fini(&cbor);
}

static void errors_carry_the_absolute_name_of_the_exception(void **state)
{
	struct aws_error error;
	struct buf cbor = {0};
	const char *why = NULL;
	json_t *value;

	(void)state;
	aws_error_set(&error, 404, "ResourceNotFound", "no such alarm");
	aws_cbor_error_encode(aws_model("monitoring", NULL), &error, &cbor);
	value = cbor_read(buf_text(&cbor), cbor.len, &why);
	assert_string_equal(json_string_value(json_object_get(value, "__type")),
			    "com.amazonaws.cloudwatch#ResourceNotFound");
	assert_string_equal(json_string_value(json_object_get(value, "message")), "no such alarm");
	json_decref(value);
	buf_clear(&cbor);
	aws_error_set(&error, 400, "InvalidAction", "cut \xC3");
	aws_cbor_error_encode(NULL, &error, &cbor);
	value = cbor_read(buf_text(&cbor), cbor.len, &why);
	assert_string_equal(json_string_value(json_object_get(value, "__type")), "InvalidAction");
	assert_string_equal(json_string_value(json_object_get(value, "message")), "");
	json_decref(value);
	buf_fini(&cbor);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(an_alarm_arrives_whole),
	    cmocka_unit_test(tagged_times_become_text),
	    cmocka_unit_test(chunks_and_endless_containers_are_put_together),
	    cmocka_unit_test(each_type_has_its_json),
	    cmocka_unit_test(what_is_not_one_whole_item_is_refused),
	    cmocka_unit_test(what_would_eat_the_memory_or_the_stack_is_refused),
	    cmocka_unit_test(misfits_are_refused),
	    cmocka_unit_test(answers_have_tagged_times_and_empty_lists),
	    cmocka_unit_test(errors_carry_the_absolute_name_of_the_exception),
	};

	return cmocka_run_group_tests_name("codec_cbor", tests, NULL, NULL);
}
