/*
 * What the parts of applying the file share.  For file_apply.c and file_listeners.c alone.
 */
#ifndef LB_CONTROL_FILE_STEP_H
#define LB_CONTROL_FILE_STEP_H

#include <bsd/sys/queue.h>

#include "lb/api/resource.h"
#include "lb/control/file_memory.h"

struct file_step {
	struct elb_api api; /* its store is the fork */
	const struct aws_call *call;
	const json_t *config;
	/* What an earlier file made, what this one makes: ARNs; targets and attribute keys by ARN.
	 */
	json_t *before, *now;
	json_t *is_before; /* the same as an object {ARN: true}; NULL until it is asked */
	json_t *targets_before, *targets_now;
	json_t *attributes_before, *attributes_now;
	/* Target groups by name, as they were looked up: {name: ARN}. */
	json_t *groups;
	struct file_memory *memory; /* NULL = none */
	/* Rules that were made or modified: remembered when the store has them. */
	STAILQ_HEAD(, file_rule) changed;
};

struct file_rule {
	STAILQ_ENTRY(file_rule) link;
	uint64_t digest;
	char arn[ARN_TEXT_MAX];
};

/* Calls a handler; NULL with err. */
json_t *file_call(struct file_step *step, const char *action, const json_t *input, struct err *err);
/* The same for who needs no answer; takes over input. */
int file_do(struct file_step *step, const char *action, json_t *input, struct err *err);

/* Did an earlier file make it? */
bool file_made(struct file_step *step, const char *arn);
/* This file makes it.  Once for each; arn: a string. */
void file_note(struct file_step *step, json_t *arn);

/* Sets what the map names with the action, whose input has the ARN as member; what only an earlier
 * file named goes back to the default. */
int file_apply_attributes(struct file_step *step, const char *arn, const json_t *map,
			  const char *action, const char *member, struct err *err);

/* err starts with "." when a path inside the load balancer follows. */
int file_apply_listeners(struct file_step *step, const char *load_balancer_arn,
			 const json_t *load_balancer, struct err *err);

#endif
