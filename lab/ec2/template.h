/*
 * Launch template data: merging of one set of parameters over another (a request over its
 * template, a new version over its source) and naming of versions.  Pure.
 */
#ifndef LAB_EC2_TEMPLATE_H
#define LAB_EC2_TEMPLATE_H

#include <jansson.h>
#include <stdint.h>

#include "common/aws/codec.h"

/*
 * A new document: what over gives replaces what base has, parameter by parameter; block devices by
 * device name, network interfaces by index, tag specifications by resource type.  Security groups
 * by name replace those by id and the other way round.  NULL without memory.
 */
MUST_CHECK json_t *template_merge(const json_t *base, const json_t *over);

/*
 * Block devices of an image under those of a request: [{DeviceName, Ebs}], for each device what
 * the request gives over what the image has.  Devices with NoDevice, or without Ebs, are left out.
 * A new list; NULL without memory.
 */
MUST_CHECK json_t *template_merge_devices(const json_t *of_image, const json_t *of_request);

/* "3", "$Latest", "$Default" or "" (= $Default) of a LaunchTemplate document; -1 with
 * InvalidLaunchTemplateId.VersionNotFound or a malformed-version error. */
MUST_CHECK int template_version(const json_t *launch_template, const char *text, int64_t *version,
				struct aws_error *error);

/* User data as it came: base64 of at most 16 KiB?  "" is fine. */
MUST_CHECK int template_check_user_data(const char *base64, struct aws_error *error);

#endif
