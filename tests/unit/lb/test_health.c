/* lb/routing/health: the state machine of a target. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lb/observe/health_log.h"
#include "lb/routing/health.h"
#include "lb/routing/zones.h"

static const struct health_thresholds thresholds = {.healthy = 3, .unhealthy = 2};

static bool probe_passes(struct health *health)
{
	return health_probe(health, &thresholds, PROBE_PASS, 200);
}

static bool probe_fails(struct health *health, enum probe_result result, int code)
{
	return health_probe(health, &thresholds, result, code);
}

static void c14_13_one_pass_makes_an_initial_target_healthy(void **state)
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

static void c14_13_an_unhealthy_target_needs_all_its_passes_in_a_row(void **state)
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

static void requests_can_eject_a_healthy_target_only(void **state)
{
	struct health health;
	char text[HEALTH_DESCRIPTION_MAX];

	(void)state;
	health_init(&health);
	assert_false(health_eject(&health, PROBE_FAILED, 0));
	assert_int_equal(health.state, TARGET_INITIAL);
	probe_passes(&health);
	assert_true(health_eject(&health, PROBE_WRONG_CODE, 503));
	assert_int_equal(health.state, TARGET_UNHEALTHY);
	assert_string_equal(health_description(&health, text),
			    "Health checks failed with these codes: [503]");
	assert_false(health_eject(&health, PROBE_FAILED, 0));
	assert_false(probe_passes(&health));
	assert_false(probe_passes(&health));
	assert_true(probe_passes(&health)); /* it comes back as after failed probes */
	assert_true(health_eject(&health, PROBE_FAILED, 0));
	assert_string_equal(health_reason_name(health.reason), "Target.FailedHealthChecks");
	health_set(&health, TARGET_DRAINING, HEALTH_DEREGISTRATION_IN_PROGRESS);
	assert_false(health_eject(&health, PROBE_FAILED, 0));
}

static void every_reason_has_awss_words(void **state)
{
	static const struct {
		enum health_reason reason;
		const char *name, *description;
	} cases[] = {
	    {HEALTH_NOT_IN_USE, "Target.NotInUse",
	     "Target group is not configured to receive traffic from the load balancer"},
	    {HEALTH_ZONE_NOT_ENABLED, "Target.NotInUse",
	     "Target is in an Availability Zone that is not enabled for the load balancer"},
	    {HEALTH_NOT_REGISTERED, "Target.NotRegistered",
	     "Target is not registered to the target group"},
	    {HEALTH_INTERNAL_ERROR, "Elb.InternalError",
	     "Health checks failed due to an internal error"},
	    {HEALTH_CHECK_DISABLED, "Target.HealthCheckDisabled", "Health checks are disabled"},
	    {HEALTH_FAILED_HEALTH_CHECKS, "Target.FailedHealthChecks", "Health checks failed"},
	    {HEALTH_DEREGISTRATION_IN_PROGRESS, "Target.DeregistrationInProgress",
	     "Target deregistration is in progress"},
	};
	char text[HEALTH_DESCRIPTION_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct health health = {.reason = cases[i].reason};

		assert_string_equal(health_reason_name(cases[i].reason), cases[i].name);
		assert_string_equal(health_description(&health, text), cases[i].description);
	}
}

static void zones_that_are_unknown_keep_nobody_out(void **state)
{
	(void)state;
	assert_true(zone_is_near("a", "a"));
	assert_false(zone_is_near("a", "b"));
	assert_true(zone_is_near("a", "all"));
	assert_true(zone_is_near("a", ""));
	assert_true(zone_is_near("", "b"));
}

static void a_probe_is_logged_in_albs_field_order(void **state)
{
	struct health_entry entry = {.type = "http",
				     .started_us = 1772352930111222,
				     .latency_ns = 4512345,
				     .target = "10.0.1.20:8080",
				     .group = "items",
				     .code = 200,
				     .elb = "app/shop/0a1b2c3d4e5f6071",
				     .node = "198.51.100.4"};
	char line[HEALTH_LINE_MAX];
	size_t len = health_log_format(&entry, line);

	(void)state;
	assert_string_equal(line, "http 2026-03-01T08:15:30.111222Z 0.004512345 10.0.1.20:8080 "
				  "items PASS 200 - app/shop/0a1b2c3d4e5f6071 198.51.100.4\n");
	assert_int_equal(len, strlen(line));
	entry.code = 0;
	entry.reason = "TimedOut";
	entry.node = NULL;
	entry.latency_ns = 5000000000;
	health_log_format(&entry, line);
	assert_string_equal(line, "http 2026-03-01T08:15:30.111222Z 5.000000000 10.0.1.20:8080 "
				  "items FAIL - TimedOut app/shop/0a1b2c3d4e5f6071 -\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(c14_13_one_pass_makes_an_initial_target_healthy),
	    cmocka_unit_test(an_initial_target_that_fails_says_so_and_then_is_unhealthy),
	    cmocka_unit_test(failures_must_be_consecutive),
	    cmocka_unit_test(c14_13_an_unhealthy_target_needs_all_its_passes_in_a_row),
	    cmocka_unit_test(the_newest_failure_is_the_one_described),
	    cmocka_unit_test(draining_ignores_probes),
	    cmocka_unit_test(requests_can_eject_a_healthy_target_only),
	    cmocka_unit_test(every_reason_has_awss_words),
	    cmocka_unit_test(zones_that_are_unknown_keep_nobody_out),
	    cmocka_unit_test(a_probe_is_logged_in_albs_field_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
