/* The health state machine: see health.h. */
#include "lb/routing/health.h"

#include <stdio.h>

static const struct {
	const char *name, *description;
} reasons[HEALTH_REASON_COUNT] = {
    [HEALTH_REGISTRATION_IN_PROGRESS] = {"Elb.RegistrationInProgress",
					 "Target registration is in progress"},
    [HEALTH_INITIAL_HEALTH_CHECKING] = {"Elb.InitialHealthChecking",
					"Initial health checks in progress"},
    [HEALTH_RESPONSE_CODE_MISMATCH] = {"Target.ResponseCodeMismatch",
				       "Health checks failed with these codes"},
    [HEALTH_TIMEOUT] = {"Target.Timeout", "Request timed out"},
    [HEALTH_FAILED_HEALTH_CHECKS] = {"Target.FailedHealthChecks", "Health checks failed"},
    [HEALTH_INTERNAL_ERROR] = {"Elb.InternalError",
			       "Health checks failed due to an internal error"},
    [HEALTH_NOT_REGISTERED] = {"Target.NotRegistered",
			       "Target is not registered to the target group"},
    [HEALTH_NOT_IN_USE] = {"Target.NotInUse", "Target group is not configured to receive "
					      "traffic from the load balancer"},
    [HEALTH_ZONE_NOT_ENABLED] =
	{"Target.NotInUse",
	 "Target is in an Availability Zone that is not enabled for the load balancer"},
    [HEALTH_INVALID_STATE] = {"Target.InvalidState",
			      "Target is in the terminated or stopped state"},
    [HEALTH_DEREGISTRATION_IN_PROGRESS] = {"Target.DeregistrationInProgress",
					   "Target deregistration is in progress"},
    [HEALTH_CHECK_DISABLED] = {"Target.HealthCheckDisabled", "Health checks are disabled"},
};

void health_init(struct health *health)
{
	*health =
	    (struct health){.state = TARGET_INITIAL, .reason = HEALTH_REGISTRATION_IN_PROGRESS};
}

static bool move_to(struct health *health, enum target_state state, enum health_reason reason)
{
	bool is_change = health->state != state;

	health->state = state;
	health->reason = reason;
	return is_change;
}

static bool on_pass(struct health *health, const struct health_thresholds *thresholds)
{
	health->fails = 0;
	health->passes++;
	switch (health->state) {
	case TARGET_INITIAL: /* one pass is enough, whatever the threshold */
		return move_to(health, TARGET_HEALTHY, HEALTH_REASON_NONE);
	case TARGET_UNHEALTHY:
		if (health->passes < thresholds->healthy)
			return false;
		return move_to(health, TARGET_HEALTHY, HEALTH_REASON_NONE);
	case TARGET_HEALTHY:
	case TARGET_UNUSED:
	case TARGET_DRAINING:
	case TARGET_UNAVAILABLE:
	case TARGET_STATE_COUNT:
		break;
	}
	return false;
}

static enum health_reason reason_of(enum probe_result result)
{
	switch (result) {
	case PROBE_WRONG_CODE:
		return HEALTH_RESPONSE_CODE_MISMATCH;
	case PROBE_TIMEOUT:
		return HEALTH_TIMEOUT;
	case PROBE_INTERNAL_ERROR:
		return HEALTH_INTERNAL_ERROR;
	case PROBE_FAILED:
	case PROBE_PASS:
		break;
	}
	return HEALTH_FAILED_HEALTH_CHECKS;
}

static bool on_fail(struct health *health, const struct health_thresholds *thresholds,
		    enum health_reason reason)
{
	health->passes = 0;
	health->fails++;
	if (health->state == TARGET_UNHEALTHY) {
		health->reason = reason; /* the newest failure is the one to tell of */
		return false;
	}
	if (health->fails < thresholds->unhealthy) {
		if (health->state == TARGET_INITIAL)
			health->reason = HEALTH_INITIAL_HEALTH_CHECKING;
		return false;
	}
	return move_to(health, TARGET_UNHEALTHY, reason);
}

bool health_probe(struct health *health, const struct health_thresholds *thresholds,
		  enum probe_result result, int http_status)
{
	bool is_probed = health->state == TARGET_INITIAL || health->state == TARGET_HEALTHY ||
			 health->state == TARGET_UNHEALTHY;

	if (!is_probed)
		return false;
	if (result == PROBE_PASS)
		return on_pass(health, thresholds);
	if (result == PROBE_WRONG_CODE)
		health->last_code = http_status;
	return on_fail(health, thresholds, reason_of(result));
}

bool health_eject(struct health *health, enum probe_result result, int http_status)
{
	if (health->state != TARGET_HEALTHY)
		return false;
	health->passes = 0;
	health->last_code = http_status;
	return move_to(health, TARGET_UNHEALTHY, reason_of(result));
}

bool health_set(struct health *health, enum target_state state, enum health_reason reason)
{
	health->passes = 0;
	health->fails = 0;
	return move_to(health, state, reason);
}

const char *health_reason_name(enum health_reason reason)
{
	CHECK(reason < HEALTH_REASON_COUNT);
	return reasons[reason].name;
}

const char *health_description(const struct health *health, char text[HEALTH_DESCRIPTION_MAX])
{
	const char *description = reasons[health->reason].description;

	if (!description)
		return NULL;
	if (health->reason == HEALTH_RESPONSE_CODE_MISMATCH)
		snprintf(text, HEALTH_DESCRIPTION_MAX,
			 "Health checks failed with these codes: [%d]", health->last_code);
	else
		snprintf(text, HEALTH_DESCRIPTION_MAX, "%s", description);
	return text;
}
