/* common/config/alarm_names.h */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/config/alarm_names.h"
#include "common/doc/doc.h"

#define ELB "arn:aws:elasticloadbalancing:us-east-1:000000000000:"

static void arns_tell_names(void **state)
{
	json_t *known = json_object();

	(void)state;
	assert_true(alarm_names_learn(known, ELB "loadbalancer/app/web/1f"));
	assert_true(alarm_names_learn(known, ELB "targetgroup/web/2e"));
	assert_string_equal(doc_str(doc_object(known, "LoadBalancer"), "web", ""), "app/web/1f");
	assert_string_equal(doc_str(doc_object(known, "TargetGroup"), "web", ""),
			    "targetgroup/web/2e");
	assert_false(alarm_names_learn(known, ELB "targetgroup/web/2e"));
	assert_true(alarm_names_learn(known, ELB "targetgroup/web/3d")); /* made anew */
	json_decref(known);
}

static void what_is_no_arn_tells_nothing(void **state)
{
	static const char *const texts[] = {
	    "", "web", ":", ELB "targetgroup/web", ELB "loadbalancer/", ELB "loadbalancer/app"};
	json_t *known = json_object();

	(void)state;
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
		assert_false(alarm_names_learn(known, texts[i]));
	json_decref(known);
}

static void only_known_names_of_the_right_dimension_are_replaced(void **state)
{
	json_t *known = json_pack("{s:{s:s}}", "TargetGroup", "web", "targetgroup/web/2e");
	json_t *alarms =
	    json_pack("[{s:[{s:s, s:s}, {s:s, s:s}, {s:s, s:s}]}]", "Dimensions", "Name",
		      "TargetGroup", "Value", "web", "Name", "LoadBalancer", "Value", "web", "Name",
		      "TargetGroup", "Value", "targetgroup/other/1");
	const json_t *list = doc_array(json_array_get(alarms, 0), "Dimensions");

	(void)state;
	alarm_names_resolve(alarms, NULL);
	alarm_names_resolve(NULL, known);
	alarm_names_resolve(alarms, known);
	assert_string_equal(doc_str(json_array_get(list, 0), "Value", ""), "targetgroup/web/2e");
	assert_string_equal(doc_str(json_array_get(list, 1), "Value", ""), "web");
	assert_string_equal(doc_str(json_array_get(list, 2), "Value", ""), "targetgroup/other/1");
	json_decref(alarms);
	json_decref(known);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(arns_tell_names),
	    cmocka_unit_test(what_is_no_arn_tells_nothing),
	    cmocka_unit_test(only_known_names_of_the_right_dimension_are_replaced),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
