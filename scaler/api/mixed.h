/*
 * MixedInstancesPolicy in requests: checked, and put over what a group has.  Control thread.
 */
#ifndef SCALER_API_MIXED_H
#define SCALER_API_MIXED_H

#include "common/aws/codec.h"
#include "common/base/check.h"
#include "scaler/engine/engine.h"

/* A LaunchTemplateSpecification: by id or by name.  -1 with error; so do the others. */
MUST_CHECK int mixed_check_template(const json_t *spec, struct aws_error *error);
/* What is there is right; an update may leave members out. */
MUST_CHECK int mixed_check(const json_t *policy, struct aws_error *error);
/* And nothing is missing. */
MUST_CHECK int mixed_check_whole(const json_t *policy, struct aws_error *error);
/* The update's policy (a member of input, which is the caller's own copy) gets what it leaves out
 * from the group's. */
MUST_CHECK int mixed_merge(const struct group *group, json_t *input, struct aws_error *error);

#endif
