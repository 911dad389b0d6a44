/*
 * What an instance's lifecycle state leads to, as its metadata service says it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lab/lifecycle.h"

static void each_state_leads_where_its_transition_goes(void **state)
{
	static const char *const pairs[][2] = {
	    {"Pending:Wait", "InService"},
	    {"InService", "InService"},
	    {"Terminating:Wait", "Terminated"},
	    {"EnteringStandby", "Standby"},
	    {"Detaching", "Detached"},
	    {"Warmed:Stopped", "Warmed:Stopped"},
	    {"Warmed:Terminating:Proceed", "Warmed:Terminated"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
		assert_string_equal(lifecycle_target_of(pairs[i][0], NULL), pairs[i][1]);
	assert_null(lifecycle_target_of("", NULL));
}

static void what_enters_a_pool_becomes_what_the_pool_is(void **state)
{
	(void)state;
	assert_string_equal(lifecycle_target_of("Warmed:Pending:Wait", "Running"),
			    "Warmed:Running");
	assert_string_equal(lifecycle_target_of("Warmed:Pending", "Hibernated"),
			    "Warmed:Hibernated");
	assert_string_equal(lifecycle_target_of("Warmed:Pending:Proceed", "Stopped"),
			    "Warmed:Stopped");
	assert_null(lifecycle_target_of("Warmed:Pending", NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(each_state_leads_where_its_transition_goes),
	    cmocka_unit_test(what_enters_a_pool_becomes_what_the_pool_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
