/* scaler/metrics/alarm_expression: the rules of composite alarms. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "scaler/metrics/alarm_expression.h"

/* a is in ALARM, b is OK, all others have too little data. */
static enum alarm_state state_of(void *arg, const char *name)
{
	(void)arg;
	if (strcmp(name, "a") == 0)
		return ALARM_ALARM;
	return strcmp(name, "b") == 0 ? ALARM_OK : ALARM_INSUFFICIENT_DATA;
}

static bool holds(const char *text)
{
	struct err err = {0};
	struct alarm_expression *expression = alarm_expression_parse(text, &err);
	bool result;

	if (expression == NULL)
		fail_msg("%s: %s", text, err.text);
	result = alarm_expression_holds(expression, state_of, NULL);
	alarm_expression_free(expression);
	return result;
}

static void refuses(const char *text, const char *why)
{
	struct err err = {0};

	assert_null(alarm_expression_parse(text, &err));
	if (strstr(err.text, why) == NULL)
		fail_msg("%s: %s", text, err.text);
}

static void test_states_and_operators(void **state)
{
	(void)state;
	assert_true(holds("ALARM(a)"));
	assert_false(holds("OK(a)"));
	assert_true(holds("OK(\"b\")"));
	assert_true(holds("INSUFFICIENT_DATA('c (d)')"));
	assert_true(holds("NOT ALARM(b)"));
	assert_true(holds("NOT NOT ALARM(a)"));
	assert_true(holds(" ALARM( a ) AND\n(ALARM(b) OR OK(b)) "));
	assert_true(holds("ALARM(arn:aws:cloudwatch:us-east-1:000000000000:alarm:a)"));
	assert_true(holds("TRUE"));
	assert_false(holds("FALSE"));
}

static void test_not_binds_before_and_before_or(void **state)
{
	(void)state;
	assert_true(holds("TRUE OR TRUE AND FALSE"));
	assert_false(holds("(TRUE OR TRUE) AND FALSE"));
	assert_false(holds("NOT TRUE OR FALSE"));
	assert_true(holds("NOT FALSE AND TRUE"));
	assert_false(holds("NOT (TRUE OR FALSE)"));
}

static void test_names_are_told_once(void **state)
{
	struct err err = {0};
	struct alarm_expression *expression =
	    alarm_expression_parse("ALARM(a) OR OK(b) OR OK(\"a\")", &err);

	(void)state;
	assert_non_null(expression);
	assert_int_equal(alarm_expression_count(expression), 2);
	assert_string_equal(alarm_expression_name(expression, 1), "b");
	assert_true(alarm_expression_names(expression, "a"));
	assert_false(alarm_expression_names(expression, "c"));
	alarm_expression_free(expression);
}

static void test_what_is_no_rule_is_refused_with_its_place(void **state)
{
	(void)state;
	refuses("", "is expected");
	refuses("ALARM", "parenthesis with the name");
	refuses("ALARM()", "name of an alarm is missing");
	refuses("ALARM(\"a)", "quotation mark");
	refuses("ALARM(a", "closing parenthesis");
	refuses("ALARM(a) OK(b)", "at character 10");
	refuses("alarm(a)", "is expected");
	refuses("TRUEAND FALSE", "is expected");
	refuses("TRUE AND", "is expected");
	refuses("(TRUE", "closing parenthesis");
}

static void test_depth_and_length_are_limited(void **state)
{
	char text[ALARM_EXPRESSION_TEXT_MAX + 10];

	(void)state;
	memset(text, '(', 100);
	strcpy(text + 100, "TRUE");
	refuses(text, "too deeply");
	memset(text, ' ', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	refuses(text, "too long");
	text[0] = '\0';
	for (size_t n = 0; n < 2000; n++)
		memcpy(text + n * 4, "NOT ", 5);
	strcat(text, "TRUE");
	assert_true(holds(text));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_states_and_operators),
	    cmocka_unit_test(test_not_binds_before_and_before_or),
	    cmocka_unit_test(test_names_are_told_once),
	    cmocka_unit_test(test_what_is_no_rule_is_refused_with_its_place),
	    cmocka_unit_test(test_depth_and_length_are_limited),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
