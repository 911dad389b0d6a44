/*
 * A source that answers from a configuration, through the ELBv2 API's own
 * handlers on a store in memory: what a program that loaded it would say.  Auto
 * Scaling, EC2 and CloudWatch it has not.
 */
#ifndef LB_IMPORT_LOCAL_H
#define LB_IMPORT_LOCAL_H

#include "lb/import/source.h"

struct local;

/* config: as config_check() gives it.  NULL with err: why the load balancer
 * refuses it. */
MUST_CHECK struct local *local_new(const json_t *config, struct err *err);
void local_free(struct local *local); /* NULL is fine */

/* Lives as long as local. */
struct source local_source(struct local *local);

/* Would our programs load it?  document: as it stands in a file.  0, or -1 with
 * err. */
MUST_CHECK int local_check(const json_t *document, struct err *err);

#endif
