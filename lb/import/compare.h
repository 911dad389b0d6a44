/*
 * What differs between two configurations of the same form (shape.h), in words:
 * a path, then what each side says.  Pure.
 */
#ifndef LB_IMPORT_COMPARE_H
#define LB_IMPORT_COMPARE_H

#include <jansson.h>
#include <stddef.h>

#include "common/base/buf.h"

/* Appends to text; returns how many differences there are.  The order is that
 * of the file, what is only live comes behind. */
size_t compare_configs(const json_t *file, const json_t *live, struct buf *text);

#endif
