/* lab/ec2/filter.h */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lab/ec2/filter.h"

static const struct filter_field fields[] = {
    {"is-default", "IsDefault"},
    {"instance-state-name", "State.Name"},
    {"instance-state-code", "State.Code"},
    {"instance.group-id", "Groups.GroupId"},
    {"name", "Name"},
    {NULL, NULL},
};

static bool match(const char *document_text, const char *filters_text)
{
	json_t *document = json_loads(document_text, 0, NULL);
	json_t *filters = json_loads(filters_text, 0, NULL);
	struct aws_error error = {0};
	bool result;

	assert_non_null(document);
	assert_non_null(filters);
	assert_int_equal(filter_check(filters, fields, &error), 0);
	result = filter_match(filters, fields, document);
	json_decref(document);
	json_decref(filters);
	return result;
}

static void wildcards_match_runs_and_single_characters(void **state)
{
	(void)state;
	assert_true(filter_wildcard("*", ""));
	assert_true(filter_wildcard("al2023-ami-*-x86_64", "al2023-ami-2023.9-kernel-x86_64"));
	assert_true(filter_wildcard("a?c", "abc"));
	assert_true(filter_wildcard("a*b*c", "a-b-b-c"));
	assert_true(filter_wildcard("100\\*", "100*"));
	assert_false(filter_wildcard("100\\*", "1000"));
	assert_false(filter_wildcard("a?c", "ac"));
	assert_false(filter_wildcard("abc", "abcd"));
	assert_false(filter_wildcard("", "a"));
}

static void filters_are_anded_and_values_ored(void **state)
{
	const char *document = "{\"Name\":\"web\",\"State\":{\"Name\":\"running\",\"Code\":16}}";

	(void)state;
	assert_true(match(document, "[{\"Name\":\"instance-state-name\","
				    "\"Values\":[\"pending\",\"running\"]}]"));
	assert_true(match(document, "[{\"Name\":\"name\",\"Values\":[\"w*\"]},"
				    "{\"Name\":\"instance-state-code\",\"Values\":[\"16\"]}]"));
	assert_false(match(document, "[{\"Name\":\"name\",\"Values\":[\"w*\"]},"
				     "{\"Name\":\"instance-state-code\",\"Values\":[\"80\"]}]"));
	assert_false(match(document, "[{\"Name\":\"name\",\"Values\":[]}]"));
	assert_true(match(document, "[]"));
}

static void names_are_equal_but_for_dashes_and_case(void **state)
{
	(void)state;
	assert_true(
	    match("{\"IsDefault\":true}", "[{\"Name\":\"isDefault\",\"Values\":[\"true\"]}]"));
	assert_true(filter_name_equal("default-for-az", "defaultForAz"));
	assert_false(filter_name_equal("vpc-id", "vpc"));
	assert_false(filter_name_equal("vpc", "vpc-id"));
}

static void lists_on_the_way_are_searched(void **state)
{
	const char *document = "{\"Groups\":[{\"GroupId\":\"sg-1\"},{\"GroupId\":\"sg-2\"}]}";

	(void)state;
	assert_true(match(document, "[{\"Name\":\"instance.group-id\",\"Values\":[\"sg-2\"]}]"));
	assert_false(match(document, "[{\"Name\":\"instance.group-id\",\"Values\":[\"sg-3\"]}]"));
}

static void tags_match_by_key_and_by_key_and_value(void **state)
{
	const char *document = "{\"Tags\":[{\"Key\":\"Env\",\"Value\":\"prod\"}]}";

	(void)state;
	assert_true(match(document, "[{\"Name\":\"tag:Env\",\"Values\":[\"pr*\"]}]"));
	assert_true(match(document, "[{\"Name\":\"tag-key\",\"Values\":[\"Env\"]}]"));
	assert_false(match(document, "[{\"Name\":\"tag:env\",\"Values\":[\"prod\"]}]"));
	assert_false(match(document, "[{\"Name\":\"tag:Env\",\"Values\":[\"test\"]}]"));
	assert_false(match("{}", "[{\"Name\":\"tag:Env\",\"Values\":[\"*\"]}]"));
}

static void an_unknown_filter_is_refused(void **state)
{
	json_t *filters = json_loads("[{\"Name\":\"colour\",\"Values\":[\"red\"]}]", 0, NULL);
	struct aws_error error = {0};

	(void)state;
	assert_int_equal(filter_check(filters, fields, &error), -1);
	assert_string_equal(error.code, "InvalidParameterValue");
	assert_string_equal(error.message, "The filter 'colour' is invalid");
	json_decref(filters);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(wildcards_match_runs_and_single_characters),
	    cmocka_unit_test(filters_are_anded_and_values_ored),
	    cmocka_unit_test(names_are_equal_but_for_dashes_and_case),
	    cmocka_unit_test(lists_on_the_way_are_searched),
	    cmocka_unit_test(tags_match_by_key_and_by_key_and_value),
	    cmocka_unit_test(an_unknown_filter_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
