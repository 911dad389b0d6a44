/* lb/routing/health: the state machine of a target. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lb/routing/health.h"

static const struct health_thresholds thresholds = {.healthy = 3, .unhealthy = 2};

static bool probe_passes(struct health *health)
{
	return health_probe(health, &thresholds, PROBE_PASS, 200);
}

static bool probe_fails(struct health *health, enum probe_result result, int code)
{
	return health_probe(health, &thresholds, result, code);
}

static void one_pass_makes_an_initial_target_healthy(void **state)
{
	struct health health;

	(void)state;
	health_init(&health);
	assert_int_equal(health.state, TARGET_INITIAL);
	assert_string_equal(health_reason_name(health.reason), "Elb.RegistrationInProgress");
	assert_true(probe_passes(&health));
	assert_int_equal(health.state, TARGET_HEALTHY);
	assert_null(health_reason_name(health.reason));
}

static void an_initial_target_that_fails_says_so_and_then_is_unhealthy(void **state)
{
	struct health health;

	(void)state;
	health_init(&health);
	assert_false(probe_fails(&health, PROBE_FAILED, 0));
	assert_string_equal(health_reason_name(health.reason), "Elb.InitialHealthChecking");
	assert_true(probe_fails(&health, PROBE_FAILED, 0));
	assert_int_equal(health.state, TARGET_UNHEALTHY);
	assert_string_equal(health_reason_name(health.reason), "Target.FailedHealthChecks");
}

static void failures_must_be_consecutive(void **state)
{
	struct health health;

	(void)state;
	health_init(&health);
	probe_passes(&health);
	for (int i = 0; i < 5; i++) {
		assert_false(probe_fails(&health, PROBE_TIMEOUT, 0));
		assert_false(probe_passes(&health));
	}
	assert_int_equal(health.state, TARGET_HEALTHY);
	assert_false(probe_fails(&health, PROBE_TIMEOUT, 0));
	assert_true(probe_fails(&health, PROBE_TIMEOUT, 0));
	assert_string_equal(health_reason_name(health.reason), "Target.Timeout");
}

static void an_unhealthy_target_needs_all_its_passes_in_a_row(void **state)
{
	struct health health;

	(void)state;
	health_init(&health);
	probe_fails(&health, PROBE_FAILED, 0);
	probe_fails(&health, PROBE_FAILED, 0);
	assert_false(probe_passes(&health));
	assert_false(probe_passes(&health));
	assert_false(probe_fails(&health, PROBE_FAILED, 0));
	assert_false(probe_passes(&health));
	assert_false(probe_passes(&health));
	assert_int_equal(health.state, TARGET_UNHEALTHY);
	assert_true(probe_passes(&health));
	assert_int_equal(health.state, TARGET_HEALTHY);
}

static void the_newest_failure_is_the_one_described(void **state)
{
	struct health health;
	char text[HEALTH_DESCRIPTION_MAX];

	(void)state;
	health_init(&health);
	probe_fails(&health, PROBE_TIMEOUT, 0);
	probe_fails(&health, PROBE_TIMEOUT, 0);
	assert_string_equal(health_description(&health, text), "Request timed out");
	assert_false(probe_fails(&health, PROBE_WRONG_CODE, 503));
	assert_string_equal(health_reason_name(health.reason), "Target.ResponseCodeMismatch");
	assert_string_equal(health_description(&health, text),
			    "Health checks failed with these codes: [503]");
}

static void draining_ignores_probes(void **state)
{
	struct health health;

	(void)state;
	health_init(&health);
	probe_passes(&health);
	assert_true(health_set(&health, TARGET_DRAINING, HEALTH_DEREGISTRATION_IN_PROGRESS));
	for (int i = 0; i < 5; i++)
		assert_false(probe_fails(&health, PROBE_FAILED, 0));
	assert_false(probe_passes(&health));
	assert_int_equal(health.state, TARGET_DRAINING);
	assert_string_equal(target_state_name(health.state), "draining");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(one_pass_makes_an_initial_target_healthy),
	    cmocka_unit_test(an_initial_target_that_fails_says_so_and_then_is_unhealthy),
	    cmocka_unit_test(failures_must_be_consecutive),
	    cmocka_unit_test(an_unhealthy_target_needs_all_its_passes_in_a_row),
	    cmocka_unit_test(the_newest_failure_is_the_one_described),
	    cmocka_unit_test(draining_ignores_probes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
