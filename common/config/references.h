/*
 * What the shapes cannot say of a configuration file: names are unique, and what
 * names something in the file names a thing that is there.  Private to common/config; pure.
 */
#ifndef COMMON_CONFIG_REFERENCES_H
#define COMMON_CONFIG_REFERENCES_H

#include <jansson.h>

#include "common/base/err.h"

/* config conforms to its shapes, and its names are LoadBalancerName and TargetGroupName.  0, or -1
 * with err naming the path. */
MUST_CHECK int config_check_references(const json_t *config, struct err *err);

#endif
