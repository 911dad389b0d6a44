/*
 * Launch templates found: shared by the files that create, describe and delete them and their
 * versions.  Control thread.
 */
#ifndef LAB_EC2_LAUNCH_TEMPLATE_H
#define LAB_EC2_LAUNCH_TEMPLATE_H

#include "lab/ec2/resource.h"

#define LAUNCH_TEMPLATE_VERSIONS "ec2/launch-template-version/"

/* By LaunchTemplateId or LaunchTemplateName, exactly one of them; a copy, or NULL with error. */
MUST_CHECK json_t *launch_template_find(struct ec2 *ec2, const json_t *input,
					struct aws_error *error);

/* Numbers are padded so that the store's key order is theirs. */
void launch_template_version_key(const char *id, int64_t version, char key[EC2_KEY_MAX]);

/* Versions may have been deleted in between.  -1 with InvalidLaunchTemplateId.VersionNotFound. */
MUST_CHECK int launch_template_check_version(struct ec2 *ec2, const char *id, int64_t version,
					     struct aws_error *error);

#endif
