/*
 * GET /explain of the scaler: what a group would do next and what holds it back.  Control thread.
 */
#ifndef SCALER_CLOUD_EXPLAIN_PAGE_H
#define SCALER_CLOUD_EXPLAIN_PAGE_H

#include "common/base/buf.h"
#include "scaler/cloud/rim.h"

/* query: group=NAME, without it all groups, as {"AutoScalingGroups": [...]}.  Returns the status:
 * 200, 404 for a name that no group has, 400 for other words, 500 without memory. */
int explain_page(struct rim *rim, const char *query, struct buf *text);

#endif
