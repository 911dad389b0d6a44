/*
 * Launch configurations: what launch templates were before.  They never change.
 */
#include <stdio.h>
#include <string.h>

#include "common/base/ids.h"
#include "common/doc/doc.h"
#include "scaler/api/reply.h"

static int refuse(struct aws_error *error, const char *why)
{
	reply_invalid(error, "%s", why);
	return -1;
}

static int check(const json_t *input, struct aws_error *error)
{
	static const char *const unsupported[] = {"InstanceId", "SpotPrice", "ClassicLinkVPCId",
						  "ClassicLinkVPCSecurityGroups"};
	const char *name = doc_str(input, "LaunchConfigurationName", "");

	for (size_t i = 0; i < sizeof unsupported / sizeof unsupported[0]; i++) {
		if (!doc_has(input, unsupported[i]))
			continue;
		reply_invalid(error, "%s is not supported", unsupported[i]);
		return -1;
	}
	for (const char *c = name; *c; c++) {
		if (*c < 33 || *c > 126 || *c == ':')
			return refuse(error, "The launch configuration's name may hold printable "
					     "characters only, no spaces and no colons");
	}
	if (!doc_has(input, "ImageId"))
		return refuse(error, "Valid requests must contain the ImageId parameter");
	if (!doc_has(input, "InstanceType"))
		return refuse(error, "Valid requests must contain the InstanceType parameter");
	return 0;
}

/* AWS shows what was not given as empty. */
static json_t *document_of(const struct autoscaling *as, const json_t *input)
{
	const char *name = doc_str(input, "LaunchConfigurationName", "");
	char arn[ARN_MAX + NAME_MAX_LEN], uuid[ID_TEXT_MAX], at[CLOCK_TEXT_MAX];
	json_t *document;

	snprintf(arn, sizeof arn,
		 "arn:aws:autoscaling:%s:%s:launchConfiguration:%s:launchConfigurationName/%s",
		 as->engine->region, as->engine->account, id_uuid(as->engine->ids, uuid), name);
	document = json_pack(
	    "{s:s, s:s, s:s, s:s, s:s, s:s, s:[], s:[], s:{s:b}, s:b}", "LaunchConfigurationARN",
	    arn, "CreatedTime", clock_format_iso_ms(reply_now_ms(as), at), "KeyName", "",
	    "KernelId", "", "RamdiskId", "", "UserData", "", "SecurityGroups",
	    "BlockDeviceMappings", "InstanceMonitoring", "Enabled", 1, "EbsOptimized", 0);
	if (!document || json_object_update(document, (json_t *)input) == 0)
		return document;
	json_decref(document);
	return NULL;
}

json_t *handle_CreateLaunchConfiguration(void *context, const struct aws_call *call,
					 const json_t *input, struct aws_error *error)
{
	const char *name = doc_str(input, "LaunchConfigurationName", "");
	struct autoscaling *as = context;
	json_t *document;

	(void)call;
	if (check(input, error) < 0)
		return NULL;
	if (json_object_get(as->engine->configs, name)) {
		aws_error_set(error, 400, "AlreadyExists",
			      "Launch Configuration by this name already exists - A launch "
			      "configuration already exists with the name %s",
			      name);
		return NULL;
	}
	if (json_object_size(as->engine->configs) >= MAX_CONFIGS) {
		aws_error_set(error, 400, "LimitExceeded",
			      "There are %d launch configurations already.", MAX_CONFIGS);
		return NULL;
	}
	document = document_of(as, input);
	if (document && engine_add_config(as->engine, document) == 0)
		return reply_written(as, json_object(), error);
	aws_error_set(error, 500, "InternalFailure", "out of memory");
	return NULL;
}

json_t *handle_DescribeLaunchConfigurations(void *context, const struct aws_call *call,
					    const json_t *input, struct aws_error *error)
{
	struct autoscaling *as = context;
	json_t *items = json_array(), *document;
	const char *name;

	(void)call;
	json_object_foreach (as->engine->configs, name, document) {
		if (reply_wants(input, "LaunchConfigurationNames", name))
			json_array_append(items, document);
	}
	return reply_page(input, "LaunchConfigurations", items, 50, 100, error);
}

static const struct group *user_of(const struct autoscaling *as, const char *name)
{
	const struct group *group;

	TAILQ_FOREACH (group, &as->engine->groups, link) {
		if (strcmp(doc_str(group->document, "LaunchConfigurationName", ""), name) == 0)
			return group;
	}
	return NULL;
}

json_t *handle_DeleteLaunchConfiguration(void *context, const struct aws_call *call,
					 const json_t *input, struct aws_error *error)
{
	const char *name = doc_str(input, "LaunchConfigurationName", "");
	struct autoscaling *as = context;
	const struct group *user = user_of(as, name);

	(void)call;
	if (!json_object_get(as->engine->configs, name))
		return reply_invalid(
		    error,
		    "Launch configuration name not found - Launch configuration %s "
		    "not found",
		    name);
	if (user) {
		aws_error_set(error, 400, "ResourceInUse",
			      "Cannot delete launch configuration %s because it is attached to "
			      "AutoScalingGroup %s",
			      name, user->name);
		return NULL;
	}
	engine_remove_config(as->engine, name);
	return reply_written(as, json_object(), error);
}
