/*
 * The configuration file's LoadBalancers and TargetGroups, applied to the store
 * through the API's own handlers: what it names is created or modified, what it created once and
 * no longer names is deleted, what the API made is left alone, run-time registrations are kept.
 * It is done on a fork first; the store sees one transaction, or nothing.
 */
#ifndef LB_CONTROL_FILE_APPLY_H
#define LB_CONTROL_FILE_APPLY_H

#include "lb/api/api.h"
#include "lb/control/file_memory.h"

struct file_changes {
	unsigned created, changed, deleted; /* load balancers, listeners, rules, target groups */
	unsigned settings;                  /* of these: lists of attributes, targets, tags */
};

/*
 * api: its store is changed, its hooks are asked.  -1 with err ("LoadBalancers[0].Listeners[1]:
 * ..."): nothing was changed.  config: from config_load(), not to be changed after it.
 * memory: of the calls before, on the same store; NULL = none, and nothing is remembered.
 * changes: what was done; NULL = of no interest.
 */
MUST_CHECK int file_apply(struct elb_api *api, const struct aws_call *call, const json_t *config,
			  struct file_memory *memory, struct file_changes *changes,
			  struct err *err);

#endif
