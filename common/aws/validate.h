/* An input document against its shape, complaining as the service would.  Pure. */
#ifndef COMMON_AWS_VALIDATE_H
#define COMMON_AWS_VALIDATE_H

#include "common/aws/codec.h"

/* 0, or -1 with error. */
MUST_CHECK int aws_validate(const struct aws_model *model, const struct shape *shape,
			    const json_t *input, struct aws_error *error);

#endif
