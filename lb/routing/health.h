/*
 * The health of one target as a state machine over probe results.  Pure: the
 * caller probes and hands in what came of it.
 *
 *              1 pass                    UnhealthyThreshold fails
 *   initial ------------> healthy -------------------------------> unhealthy
 *      |                     ^                                       |   ^
 *      |                     +---------- HealthyThreshold passes ----+   |
 *      +----------------------- UnhealthyThreshold fails ---------------+
 *
 * draining, unused and unavailable are set from outside and ignore probes.
 */
#ifndef LB_ROUTING_HEALTH_H
#define LB_ROUTING_HEALTH_H

#include <stdbool.h>
#include <stddef.h>

#include "lb/routing/target.h"

enum probe_result {
	PROBE_PASS,
	PROBE_WRONG_CODE,     /* answered, but not with a code of the matcher */
	PROBE_TIMEOUT,        /* no answer in HealthCheckTimeoutSeconds */
	PROBE_FAILED,         /* connection error, malformed answer */
	PROBE_INTERNAL_ERROR, /* ours */
};

/* TargetHealthReasonEnum. */
enum health_reason {
	HEALTH_REASON_NONE,
	HEALTH_REGISTRATION_IN_PROGRESS,
	HEALTH_INITIAL_HEALTH_CHECKING,
	HEALTH_RESPONSE_CODE_MISMATCH,
	HEALTH_TIMEOUT,
	HEALTH_FAILED_HEALTH_CHECKS,
	HEALTH_INTERNAL_ERROR,
	HEALTH_NOT_REGISTERED,
	HEALTH_NOT_IN_USE,
	HEALTH_ZONE_NOT_ENABLED, /* Target.NotInUse too */
	HEALTH_INVALID_STATE,
	HEALTH_DEREGISTRATION_IN_PROGRESS,
	HEALTH_CHECK_DISABLED,
	HEALTH_REASON_COUNT,
};

struct health {
	enum target_state state;
	enum health_reason reason;
	unsigned passes, fails; /* in a row */
	int last_code;          /* of the last answer that mismatched */
};

struct health_thresholds {
	unsigned healthy, unhealthy; /* 2..10 */
};

/* initial, Elb.RegistrationInProgress */
void health_init(struct health *health);

/* Feeds one probe; http_status is read for PROBE_WRONG_CODE only.  True if the state changed. */
bool health_probe(struct health *health, const struct health_thresholds *thresholds,
		  enum probe_result result, int http_status);

/* Passive health checks: healthy becomes unhealthy at once, for what requests met; it comes back
 * as it would after probes.  True if the state changed. */
bool health_eject(struct health *health, enum probe_result result, int http_status);

/* From outside: deregistration, group without listener, stopped instance, back to initial.  True
 * if the state changed. */
bool health_set(struct health *health, enum target_state state, enum health_reason reason);

/* "Target.Timeout"; NULL for HEALTH_REASON_NONE. */
const char *health_reason_name(enum health_reason reason);

enum { HEALTH_DESCRIPTION_MAX = 128 };
/* AWS's sentence into text[HEALTH_DESCRIPTION_MAX]; NULL where there is none (healthy). */
const char *health_description(const struct health *health, char text[HEALTH_DESCRIPTION_MAX]);

#endif
