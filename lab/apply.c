/* See apply.h. */
#include "lab/apply.h"

#include <errno.h>
#include <string.h>

#include "common/base/log.h"
#include "common/doc/doc.h"

#define AWS_ACTION AWS_DECLARE_ACTION
#include "lab/ec2/ec2.def"
#undef AWS_ACTION

/* The names that the file created, so that it can take them away again. */
static const char names_key[] = "lab/file/launch-templates";

/* Calls one of our own handlers; input is taken over. */
static json_t *call_own(struct ec2 *ec2, const char *action, json_t *input, struct aws_error *error)
{
	struct aws_call call = {
	    .action = action,
	    .request_id = "file",
	    .region = ec2->region,
	    .account_id = ec2->account_id,
	    .host = "",
	};
	json_t *answer = NULL;

	*error = (struct aws_error){0};
	if (input == NULL)
		ec2_error_memory(error);
	for (size_t i = 0; input != NULL && i < n_ec2_actions; i++)
		if (strcmp(ec2_actions[i].name, action) == 0)
			answer = ec2_actions[i].handle(ec2, &call, input, error);
	json_decref(input);
	return answer;
}

static int fail(struct err *err, const char *name, const struct aws_error *error)
{
	err_set(err, EINVAL, "launch template %s: %s: %s", name, error->code, error->message);
	return -1;
}

/* Is the default version's data what the file says? */
static bool is_current(struct ec2 *ec2, const char *name, const json_t *data)
{
	struct aws_error error;
	json_t *answer = call_own(
	    ec2, "DescribeLaunchTemplateVersions",
	    json_pack("{s:s, s:[s]}", "LaunchTemplateName", name, "Versions", "$Default"), &error);
	const json_t *version = json_array_get(doc_array(answer, "LaunchTemplateVersions"), 0);
	const json_t *old = json_object_get(version, "LaunchTemplateData");
	bool is_equal = old != NULL && json_equal(old, data);

	json_decref(answer);
	return is_equal;
}

static int add_version(struct ec2 *ec2, const char *name, const json_t *data, struct err *err)
{
	struct aws_error error;
	json_t *answer = call_own(
	    ec2, "CreateLaunchTemplateVersion",
	    json_pack("{s:s, s:O}", "LaunchTemplateName", name, "LaunchTemplateData", data),
	    &error);

	if (answer == NULL)
		return fail(err, name, &error);
	json_decref(answer);
	answer = call_own(
	    ec2, "ModifyLaunchTemplate",
	    json_pack("{s:s, s:s}", "LaunchTemplateName", name, "DefaultVersion", "$Latest"),
	    &error);
	if (answer == NULL)
		return fail(err, name, &error);
	json_decref(answer);
	log_info("launch-template-changed", "name=%s", name);
	return 0;
}

static int apply_one(struct ec2 *ec2, const json_t *entry, struct err *err)
{
	const char *name = doc_str(entry, "LaunchTemplateName", "");
	const json_t *data = json_object_get(entry, "LaunchTemplateData");
	struct aws_error error;
	json_t *answer = call_own(ec2, "CreateLaunchTemplate", json_copy((json_t *)entry), &error);

	if (answer != NULL) {
		json_decref(answer);
		log_info("launch-template-created", "name=%s", name);
		return 0;
	}
	if (strcmp(error.code, "InvalidLaunchTemplateName.AlreadyExistsException") != 0)
		return fail(err, name, &error);
	return is_current(ec2, name, data) ? 0 : add_version(ec2, name, data, err);
}

static void delete_unnamed(struct ec2 *ec2, const json_t *templates)
{
	json_t *record = store_get(ec2->store, names_key, NULL);
	const json_t *name;
	struct aws_error error;
	size_t i;

	json_array_foreach (doc_array(record, "Names"), i, name) {
		json_t *answer;

		if (doc_find(templates, "LaunchTemplateName", json_string_value(name)))
			continue;
		answer = call_own(ec2, "DeleteLaunchTemplate",
				  json_pack("{s:O}", "LaunchTemplateName", name), &error);
		if (answer != NULL)
			log_info("launch-template-deleted", "name=%s", json_string_value(name));
		json_decref(answer);
	}
	json_decref(record);
}

int apply_launch_templates(struct ec2 *ec2, const json_t *config, struct err *err)
{
	const json_t *templates = doc_array(config, "LaunchTemplates"), *entry;
	json_t *names = json_array();
	size_t i;

	json_array_foreach (templates, i, entry) {
		if (apply_one(ec2, entry, err) != 0) {
			json_decref(names);
			return -1;
		}
		json_array_append(names, json_object_get(entry, "LaunchTemplateName"));
	}
	delete_unnamed(ec2, templates);
	return store_put_one(ec2->store, names_key, json_pack("{s:o}", "Names", names), err) ==
		       STORE_OK
		   ? 0
		   : -1;
}
