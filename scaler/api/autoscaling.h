/*
 * The Auto Scaling API's handlers: one file a noun, each a function of the input and the
 * engine's state.  A handler that changes state writes it to the store before it answers; what
 * follows from it (launches, terminations) is for the next tick.  Control thread only.
 */
#ifndef SCALER_API_AUTOSCALING_H
#define SCALER_API_AUTOSCALING_H

#include <jansson.h>

#include "common/aws/server.h"
#include "common/base/clock.h"
#include "common/base/err.h"
#include "scaler/api/cloudwatch.h"
#include "scaler/engine/engine.h"

#define AWS_ACTION AWS_DECLARE_ACTION
#include "scaler/api/autoscaling.def"
#undef AWS_ACTION

/* The handlers' context; everything is borrowed. */
struct autoscaling {
	struct engine *engine;
	struct cloudwatch *cloudwatch; /* NULL: no alarms (tests) */
	const struct clock *clock;     /* NULL: the real one */
	/* Writes the engine's changes to the store. */
	int (*commit)(void *arg, struct err *err);
	void *commit_arg;
};

extern const struct aws_action autoscaling_actions[];
extern const size_t autoscaling_n_actions;

/*
 * Applies the file's AutoScalingGroups and ScalingPolicies (config is config_load's document):
 * creates or updates what it names, deletes what an earlier file created and this one lacks.
 * autoscaling_check_file first says whether it can be applied; when it can, only the store can
 * still fail.
 */
MUST_CHECK int autoscaling_check_file(struct autoscaling *as, const json_t *config,
				      struct err *err);
MUST_CHECK int autoscaling_apply_file(struct autoscaling *as, const json_t *config,
				      struct err *err);

/* What an alarm's action does to a policy: a cloudwatch_alarm_fn in all but its first argument. */
MUST_CHECK int autoscaling_on_alarm(struct autoscaling *as, const struct alarm_event *event,
				    struct err *err);

#endif
