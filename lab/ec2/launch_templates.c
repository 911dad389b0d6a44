/* Launch templates and their numbered, immutable versions. */
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/ids.h"
#include "common/doc/doc.h"
#include "lab/ec2/launch_template.h"
#include "lab/ec2/template.h"
#include "lab/ec2/tokens.h"

static const struct filter_field fields[] = {
    {"launch-template-name", "LaunchTemplateName"},
    {"create-time", "CreateTime"},
    {NULL, NULL},
};

const struct ec2_noun ec2_launch_templates = {
    .folder = "ec2/launch-template/",
    .output = "LaunchTemplates",
    .ids_input = "LaunchTemplateIds",
    .id_member = "LaunchTemplateId",
    .id_prefix = "lt",
    .malformed = "InvalidLaunchTemplateId.Malformed",
    .not_found = "InvalidLaunchTemplateId.NotFound",
    .label = "specified launch template, with template ID",
    .sort_member = "LaunchTemplateName",
    .fields = fields,
    .resource_type = "launch-template",
};

static void template_key(const char *id, char key[EC2_KEY_MAX])
{
	snprintf(key, EC2_KEY_MAX, "%s%s", ec2_launch_templates.folder, id);
}

void launch_template_version_key(const char *id, int64_t version, char key[EC2_KEY_MAX])
{
	snprintf(key, EC2_KEY_MAX, LAUNCH_TEMPLATE_VERSIONS "%s/%09" PRId64, id, version);
}

/* --- finding --- */

struct name_search {
	const char *name;
	json_t *found;
};

static bool match_name(void *arg, const char *key, const json_t *document, int64_t revision)
{
	struct name_search *search = arg;

	(void)key;
	(void)revision;
	if (strcmp(doc_str(document, "LaunchTemplateName", ""), search->name) != 0)
		return true;
	search->found = json_deep_copy(document);
	return false;
}

static json_t *find_by_name(struct ec2 *ec2, const char *name)
{
	struct name_search search = {.name = name};

	store_scan(ec2->store, ec2_launch_templates.folder, match_name, &search);
	return search.found;
}

json_t *launch_template_find(struct ec2 *ec2, const json_t *input, struct aws_error *error)
{
	const char *id = doc_str(input, "LaunchTemplateId", "");
	const char *name = doc_str(input, "LaunchTemplateName", "");
	json_t *found;

	if (*id != '\0' && *name != '\0') {
		aws_error_set(error, 400, "InvalidParameterCombination",
			      "Provide either launch template ID or launch template name to "
			      "specify a launch template.");
		return NULL;
	}
	if (*id != '\0')
		return ec2_get(ec2, &ec2_launch_templates, id, error);
	if (*name == '\0') {
		aws_error_set(error, 400, "MissingParameter",
			      "Either launch template ID or launch template name must be "
			      "specified.");
		return NULL;
	}
	found = find_by_name(ec2, name);
	if (found == NULL)
		aws_error_set(error, 400, "InvalidLaunchTemplateName.NotFoundException",
			      "The specified launch template, with template name %s, does not "
			      "exist.",
			      name);
	return found;
}

int launch_template_check_version(struct ec2 *ec2, const char *id, int64_t version,
				  struct aws_error *error)
{
	char key[EC2_KEY_MAX];

	launch_template_version_key(id, version, key);
	if (store_peek(ec2->store, key, NULL) != NULL)
		return 0;
	aws_error_set(error, 400, "InvalidLaunchTemplateId.VersionNotFound",
		      "Could not find the specified version %lld for the launch template with ID "
		      "%s.",
		      (long long)version, id);
	return -1;
}

json_t *ec2_template_data(struct ec2 *ec2, const json_t *specification, char id[64],
			  int64_t *version, struct aws_error *error)
{
	json_t *launch_template = launch_template_find(ec2, specification, error);
	json_t *document, *data = NULL;
	char key[EC2_KEY_MAX];

	if (launch_template == NULL)
		return NULL;
	if (template_version(launch_template, doc_str(specification, "Version", ""), version,
			     error) != 0)
		goto out;
	snprintf(id, 64, "%s", doc_str(launch_template, "LaunchTemplateId", ""));
	if (launch_template_check_version(ec2, id, *version, error) != 0)
		goto out;
	launch_template_version_key(id, *version, key);
	document = store_get(ec2->store, key, NULL);
	data = json_incref(json_object_get(document, "LaunchTemplateData"));
	json_decref(document);
	if (data == NULL)
		ec2_error_memory(error);
out:
	json_decref(launch_template);
	return data;
}

/* --- creating --- */

static int check_name(const char *name, struct aws_error *error)
{
	size_t len = strlen(name);

	for (const char *c = name; *c != '\0'; c++)
		if (!isalnum((unsigned char)*c) && strchr("().-/_", *c) == NULL)
			len = 0;
	if (len >= 3 && len <= 128)
		return 0;
	aws_error_set(error, 400, "InvalidLaunchTemplateName.MalformedException",
		      "A launch template name must be between 3 and 128 characters, and may "
		      "contain letters, numbers, and the following characters: - ( ) . / _");
	return -1;
}

static int check_data(const json_t *data, struct aws_error *error)
{
	if (json_object_size(data) == 0) {
		aws_error_set(error, 400, "InvalidRequest",
			      "The request must contain the parameter LaunchTemplateData");
		return -1;
	}
	return template_check_user_data(doc_str(data, "UserData", ""), error);
}

static json_t *version_document(const struct ec2 *ec2, const json_t *launch_template,
				int64_t version, const char *description, json_t *data)
{
	char now[CLOCK_TEXT_MAX];

	return json_pack("{s:s, s:s, s:I, s:s*, s:s, s:s, s:o}", "LaunchTemplateId",
			 doc_str(launch_template, "LaunchTemplateId", ""), "LaunchTemplateName",
			 doc_str(launch_template, "LaunchTemplateName", ""), "VersionNumber",
			 (json_int_t)version, "VersionDescription", description, "CreateTime",
			 clock_format_iso(clock_now_ms(ec2->clock), now), "CreatedBy",
			 doc_str(launch_template, "CreatedBy", ""), "LaunchTemplateData", data);
}

static json_t *new_template(const struct ec2 *ec2, const char *name, json_t *tags)
{
	char id[ID_TEXT_MAX], now[CLOCK_TEXT_MAX], creator[64];

	snprintf(creator, sizeof(creator), "arn:aws:iam::%.12s:root", ec2->account_id);
	return json_pack("{s:s, s:s, s:s, s:s, s:i, s:i, s:o}", "LaunchTemplateId",
			 id_ec2(NULL, "lt", id), "LaunchTemplateName", name, "CreateTime",
			 clock_format_iso(clock_now_ms(ec2->clock), now), "CreatedBy", creator,
			 "DefaultVersionNumber", 1, "LatestVersionNumber", 1, "Tags", tags);
}

/* A template with its new version (taken over), and the token that made it, in one go. */
static int commit_version(struct ec2 *ec2, const json_t *launch_template, json_t *version,
			  const struct token *token, json_t *result, struct aws_error *error)
{
	const char *id = doc_str(launch_template, "LaunchTemplateId", "");
	struct store_txn *txn = store_begin(ec2->store);
	char key[EC2_KEY_MAX];
	struct err err = {0};

	if (txn == NULL || version == NULL || result == NULL) {
		if (txn != NULL)
			store_abort(txn);
		json_decref(version);
		json_decref(result);
		ec2_error_memory(error);
		return -1;
	}
	launch_template_version_key(id, doc_int(version, "VersionNumber", 1), key);
	store_put(txn, key, version);
	template_key(id, key);
	store_put(txn, key, json_deep_copy(launch_template));
	token_put(ec2, txn, token, result);
	if (store_commit(txn, &err) == STORE_OK)
		return 0;
	ec2_error_store(error, &err);
	return -1;
}

static int check_create(struct ec2 *ec2, const json_t *input, struct aws_error *error)
{
	const char *name = doc_str(input, "LaunchTemplateName", "");
	json_t *other;

	if (check_name(name, error) != 0 ||
	    check_data(doc_object(input, "LaunchTemplateData"), error) != 0)
		return -1;
	other = find_by_name(ec2, name);
	json_decref(other);
	if (other == NULL)
		return ec2_is_dry_run(input, error) ? -1 : 0;
	aws_error_set(error, 400, "InvalidLaunchTemplateName.AlreadyExistsException",
		      "Launch template name already in use.");
	return -1;
}

EC2_HANDLER(CreateLaunchTemplate)
{
	json_t *launch_template, *version, *tags, *result = NULL;
	struct token token;

	switch (token_check(ec2, "CreateLaunchTemplate", input, &token, &result, error)) {
	case TOKEN_REPEATED:
		return json_pack("{s:o}", "LaunchTemplate", result);
	case TOKEN_FAILED:
		return NULL;
	case TOKEN_NEW:
		break;
	}
	if (check_create(ec2, input, error) != 0)
		return NULL;
	tags = ec2_spec_tags(doc_array(input, "TagSpecifications"), "launch-template", error);
	if (tags == NULL)
		return NULL;
	launch_template = new_template(ec2, doc_str(input, "LaunchTemplateName", ""), tags);
	version =
	    version_document(ec2, launch_template, 1, doc_str(input, "VersionDescription", NULL),
			     json_deep_copy(json_object_get(input, "LaunchTemplateData")));
	if (commit_version(ec2, launch_template, version, &token, json_deep_copy(launch_template),
			   error) != 0) {
		json_decref(launch_template);
		return NULL;
	}
	return json_pack("{s:o}", "LaunchTemplate", launch_template);
}

/* The data of SourceVersion, if one is given, under the request's. */
static json_t *data_over_source(struct ec2 *ec2, const json_t *input, const json_t *launch_template,
				struct aws_error *error)
{
	const char *source = doc_str(input, "SourceVersion", "");
	const json_t *given = doc_object(input, "LaunchTemplateData");
	json_t *specification, *data, *merged;
	int64_t version;
	char id[64];

	if (*source == '\0')
		return json_deep_copy(given);
	specification =
	    json_pack("{s:s, s:s}", "LaunchTemplateId",
		      doc_str(launch_template, "LaunchTemplateId", ""), "Version", source);
	data = ec2_template_data(ec2, specification, id, &version, error);
	json_decref(specification);
	if (data == NULL)
		return NULL;
	merged = template_merge(data, given);
	json_decref(data);
	return merged;
}

/* Adds a version to the template found (changed in place). */
static json_t *add_version(struct ec2 *ec2, const json_t *input, json_t *launch_template,
			   const struct token *token, struct aws_error *error)
{
	/* A number is never used again, though its version be deleted. */
	int64_t latest = doc_int(launch_template, "LatestVersionNumber", 0);
	int64_t number = doc_int(doc_object(launch_template, "Lab"), "LastNumber", latest) + 1;
	json_t *data = NULL, *version, *shown;

	if (number > EC2_MAX_VERSIONS) {
		aws_error_set(error, 400, "LaunchTemplateVersionLimitExceeded",
			      "A launch template has at most %d versions", EC2_MAX_VERSIONS);
		return NULL;
	}
	data = data_over_source(ec2, input, launch_template, error);
	if (data == NULL) {
		if (error->http_status == 0)
			ec2_error_memory(error);
		return NULL;
	}
	if (check_data(data, error) != 0 || ec2_is_dry_run(input, error)) {
		json_decref(data);
		return NULL;
	}
	json_object_set_new(launch_template, "LatestVersionNumber", json_integer(number));
	json_object_set_new(launch_template, "Lab",
			    json_pack("{s:I}", "LastNumber", (json_int_t)number));
	version = version_document(ec2, launch_template, number,
				   doc_str(input, "VersionDescription", NULL), data);
	shown = json_deep_copy(version);
	if (shown != NULL)
		json_object_set_new(shown, "DefaultVersion", json_false());
	if (commit_version(ec2, launch_template, version, token, json_incref(shown), error) == 0)
		return shown;
	json_decref(shown);
	return NULL;
}

EC2_HANDLER(CreateLaunchTemplateVersion)
{
	json_t *launch_template, *version = NULL;
	struct token token;

	switch (token_check(ec2, "CreateLaunchTemplateVersion", input, &token, &version, error)) {
	case TOKEN_REPEATED:
		return json_pack("{s:o}", "LaunchTemplateVersion", version);
	case TOKEN_FAILED:
		return NULL;
	case TOKEN_NEW:
		break;
	}
	launch_template = launch_template_find(ec2, input, error);
	if (launch_template == NULL)
		return NULL;
	version = add_version(ec2, input, launch_template, &token, error);
	json_decref(launch_template);
	return version == NULL ? NULL : json_pack("{s:o}", "LaunchTemplateVersion", version);
}

EC2_HANDLER(ModifyLaunchTemplate)
{
	json_t *launch_template = launch_template_find(ec2, input, error);
	char key[EC2_KEY_MAX];
	int64_t version;

	if (launch_template == NULL)
		return NULL;
	if (template_version(launch_template, doc_str(input, "DefaultVersion", ""), &version,
			     error) != 0 ||
	    launch_template_check_version(ec2, doc_str(launch_template, "LaunchTemplateId", ""),
					  version, error) != 0 ||
	    ec2_is_dry_run(input, error))
		goto fail;
	json_object_set_new(launch_template, "DefaultVersionNumber", json_integer(version));
	template_key(doc_str(launch_template, "LaunchTemplateId", ""), key);
	if (ec2_put(ec2, key, json_deep_copy(launch_template), error) != 0)
		goto fail;
	return json_pack("{s:o}", "LaunchTemplate", launch_template);
fail:
	json_decref(launch_template);
	return NULL;
}

static bool delete_version(void *arg, const char *key, const json_t *document, int64_t revision)
{
	(void)document;
	(void)revision;
	store_delete(arg, key);
	return true;
}

EC2_HANDLER(DeleteLaunchTemplate)
{
	json_t *launch_template = launch_template_find(ec2, input, error);
	char key[EC2_KEY_MAX];
	struct store_txn *txn;
	struct err err = {0};

	if (launch_template == NULL)
		return NULL;
	if (ec2_is_dry_run(input, error))
		goto fail;
	txn = store_begin(ec2->store);
	if (txn == NULL) {
		ec2_error_memory(error);
		goto fail;
	}
	template_key(doc_str(launch_template, "LaunchTemplateId", ""), key);
	store_delete(txn, key);
	snprintf(key, sizeof(key), LAUNCH_TEMPLATE_VERSIONS "%s/",
		 doc_str(launch_template, "LaunchTemplateId", ""));
	store_scan(ec2->store, key, delete_version, txn);
	if (store_commit(txn, &err) == STORE_OK)
		return json_pack("{s:o}", "LaunchTemplate", launch_template);
	ec2_error_store(error, &err);
fail:
	json_decref(launch_template);
	return NULL;
}

/* --- describing --- */

static bool has_asked_name(const json_t *launch_template, const json_t *input)
{
	const json_t *names = doc_array(input, "LaunchTemplateNames");

	return json_array_size(names) == 0 ||
	       doc_list_has(names, doc_str(launch_template, "LaunchTemplateName", ""));
}

EC2_HANDLER(DescribeLaunchTemplates)
{
	const json_t *name;
	size_t i;

	json_array_foreach (doc_array(input, "LaunchTemplateNames"), i, name) {
		json_t *found = find_by_name(ec2, json_string_value(name));

		json_decref(found);
		if (found != NULL)
			continue;
		aws_error_set(error, 400, "InvalidLaunchTemplateName.NotFoundException",
			      "At least one of the launch templates specified in the request "
			      "does not exist.");
		return NULL;
	}
	return ec2_describe(ec2, &ec2_launch_templates, input, has_asked_name, error);
}
