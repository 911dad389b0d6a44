/*
 * A launch on its way: what all the instances of one RunInstances share (run_instances.c gathers
 * and checks it), and the documents made of it (launch_documents.c).  Control thread.
 */
#ifndef LAB_EC2_LAUNCH_H
#define LAB_EC2_LAUNCH_H

#include "common/base/ids.h"
#include "lab/ec2/instance.h"
#include "lab/ec2/instance_types.h"

struct launch {
	json_t *data;         /* parameters, the request's over its template's */
	char template_id[64]; /* "" without a template */
	int64_t template_version;
	json_t *image, *subnet;
	json_t *groups;  /* [{GroupId, GroupName}] */
	json_t *devices; /* BlockDeviceMappings with Ebs: the image's under the request's */
	json_t *tags, *volume_tags, *interface_tags;
	json_t *profile;       /* {Arn, Id}; NULL without one */
	const char *type_name; /* borrowed from data */
	struct instance_type type;
	int64_t count;
	char reservation_id[ID_TEXT_MAX];
};

/* The documents of one instance, each with its noun's id. */
struct launched {
	json_t *instance, *interface;
	json_t *volumes;
	json_t *association; /* with its instance profile; NULL without one */
};

/* The request's first network interface, or NULL. */
const json_t *launch_interface(const struct launch *launch);

/* What is one instance's own. */
struct launch_place {
	char id[ID_TEXT_MAX], address[EC2_ADDRESS_MAX];
	int index; /* among those of the call */
};

/* -1 with error; nothing is written. */
MUST_CHECK int launch_make(struct ec2 *ec2, const struct launch *launch,
			   const struct launch_place *place, struct launched *made,
			   struct aws_error *error);
void launched_put(struct store_txn *txn, const struct launched *made);
void launched_fini(struct launched *made);

#endif
