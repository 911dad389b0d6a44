/*
 * GetPredictiveScalingForecast: what predictive policies expect, and have expected.
 */
#include <string.h>

#include "common/doc/doc.h"
#include "scaler/api/groups.h"
#include "scaler/api/reply.h"

#define DAY_MS (24 * 3600 * 1000LL)

enum { WINDOW_DAYS = 30, YEAR_DAYS = 365 };

static int read_window(const struct autoscaling *as, const json_t *input, int64_t *from_ms,
		       int64_t *to_ms, struct aws_error *error)
{
	if (clock_parse_iso(doc_str(input, "StartTime", ""), from_ms) < 0 ||
	    clock_parse_iso(doc_str(input, "EndTime", ""), to_ms) < 0)
		reply_invalid(error, "StartTime and EndTime must be times");
	else if (*from_ms >= *to_ms)
		reply_invalid(error, "StartTime must be before EndTime");
	else if (*to_ms - *from_ms > WINDOW_DAYS * DAY_MS)
		reply_invalid(error, "The time between StartTime and EndTime must not be longer "
				     "than 30 days");
	else if (*from_ms < reply_now_ms(as) - YEAR_DAYS * DAY_MS)
		reply_invalid(error, "StartTime must not be more than one year ago");
	else
		return 0;
	return -1;
}

json_t *handle_GetPredictiveScalingForecast(void *context, const struct aws_call *call,
					    const json_t *input, struct aws_error *error)
{
	struct autoscaling *as = context;
	const struct policy *policy;
	struct group *group;
	int64_t from_ms, to_ms;
	json_t *forecast;

	(void)call;
	policy = policy_find(as, input, &group, error);
	if (!policy)
		return NULL;
	if (strcmp(doc_str(policy->document, "PolicyType", ""), "PredictiveScaling") != 0)
		return reply_invalid(error, "The policy %s is not of the type PredictiveScaling",
				     policy->name);
	if (read_window(as, input, &from_ms, &to_ms, error) < 0)
		return NULL;
	forecast = policy_forecast(policy, from_ms, to_ms);
	if (forecast)
		return forecast;
	return reply_invalid(error, "There is no forecast of the policy %s yet", policy->name);
}
