/*
 * Writes the configuration that was made.
 */
#ifndef LB_IMPORT_OUTPUT_H
#define LB_IMPORT_OUTPUT_H

#include <jansson.h>

#include "common/base/err.h"

/* To the file, which is there whole or as it was before, readable by its owner only (user data may
 * hold secrets); NULL = standard output.  -1 with err. */
MUST_CHECK int output_write(const char *path, const json_t *config, struct err *err);

#endif
