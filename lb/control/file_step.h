/*
 * What the parts of applying the file share.  For file_apply.c and file_listeners.c alone.
 */
#ifndef LB_CONTROL_FILE_STEP_H
#define LB_CONTROL_FILE_STEP_H

#include "lb/api/resource.h"

struct file_step {
	struct elb_api api; /* its store is the copy */
	const struct aws_call *call;
	const json_t *config;
	/* What an earlier file made, what this one makes: ARNs; targets and attribute keys by ARN.
	 */
	json_t *before, *now;
	json_t *is_before, *is_now; /* the same as objects {ARN: true} */
	json_t *targets_before, *targets_now;
	json_t *attributes_before, *attributes_now;
};

/* Calls a handler; NULL with err. */
json_t *file_call(struct file_step *step, const char *action, const json_t *input, struct err *err);
/* The same for who needs no answer; takes over input. */
int file_do(struct file_step *step, const char *action, json_t *input, struct err *err);

/* Did an earlier file make it? */
bool file_made(const struct file_step *step, const char *arn);
/* This file makes it. */
void file_note(struct file_step *step, const char *arn);

/* Sets what the map names with the action, whose input has the ARN as member; what only an earlier
 * file named goes back to the default. */
int file_apply_attributes(struct file_step *step, const char *arn, const json_t *map,
			  const char *action, const char *member, struct err *err);

/* err starts with "." when a path inside the load balancer follows. */
int file_apply_listeners(struct file_step *step, const char *load_balancer_arn,
			 const json_t *load_balancer, struct err *err);

#endif
