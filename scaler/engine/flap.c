/*
 * Would two policies that alarms run undo each other?  A metric that the instances share falls as
 * they become more: after the step out it is worked out where it lands, and after the step in;
 * beyond the other's threshold the two would take turns for ever.  Pure.
 */
#include <stdio.h>

#include "scaler/engine/parts.h"

/* The capacity that the policy makes of n when its alarm is only just on. */
static int after(const struct group *group, const json_t *policy, int n, bool is_out)
{
	const json_t *steps = doc_array(policy, "StepAdjustments");
	const json_t *step = steps ? adjust_step(steps, is_out ? 0 : -1e-9) : policy;

	if (!step)
		return n;
	return adjust_clamp(
	    group,
	    (int64_t)n + adjust_change(policy, (int)doc_int(step, "ScalingAdjustment", 0), n));
}

bool flap_find(const struct group *group, const struct flap_side *out, const struct flap_side *in,
	       struct flap *flap)
{
	int least = group->min > 1 ? group->min : 1;

	for (int n = least; n <= group->max; n++) {
		int more = after(group, out->policy, n, true);
		int fewer = after(group, in->policy, n, false);
		double low = more > n ? out->threshold * n / more : out->threshold;
		double high = fewer < n && fewer > 0 ? in->threshold * n / fewer : in->threshold;

		if (more > n && low < in->threshold) {
			*flap = (struct flap){n, more, out->threshold, low};
			return true;
		}
		if (fewer < n && high > out->threshold) {
			*flap = (struct flap){n, fewer, in->threshold, high};
			return true;
		}
	}
	return false;
}
