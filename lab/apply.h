/*
 * The file's LaunchTemplates applied to the lab's EC2 store by the lab's own handlers: created,
 * or given a new default version when the data differs; those that the file once created and no
 * longer names are deleted.  Control thread; start and SIGHUP.
 */
#ifndef LAB_APPLY_H
#define LAB_APPLY_H

#include "lab/ec2/ec2.h"

/* config: from config_load.  -1 with err naming the template. */
MUST_CHECK int apply_launch_templates(struct ec2 *ec2, const json_t *config, struct err *err);

#endif
