/*
 * Scaler.Topics of the configuration: what the shapes cannot tell.  Pure.
 */
#ifndef COMMON_CONFIG_TOPICS_CHECK_H
#define COMMON_CONFIG_TOPICS_CHECK_H

#include <jansson.h>

#include "common/base/err.h"

/* -1 with err: the place and the reason. */
MUST_CHECK int config_check_topics(const json_t *config, struct err *err);

#endif
