/* IAM instance profiles, each with at most one role; and who the caller is. */
#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/ids.h"
#include "common/doc/doc.h"
#include "lab/neighbours/iam.h"

#define AWS_ACTION(name) AWS_DECLARE_ACTION(name)
#include "lab/neighbours/iam.def"
#undef AWS_ACTION

#define NOUN "Instance Profile"

/* In the store a profile has the role's name under "Lab"; shown, it has the role itself. */
static const char *role_of(const json_t *profile)
{
	return doc_str(doc_object(profile, "Lab"), "RoleName", "");
}

static json_t *shown(struct neighbours *neighbours, const json_t *profile)
{
	json_t *copy = json_copy((json_t *)profile), *roles = json_array();
	char key[NEIGHBOURS_KEY_MAX];
	const json_t *role;

	snprintf(key, sizeof(key), IAM_ROLES "%.200s", role_of(profile));
	role = store_peek(neighbours->store, key, NULL);
	if (role != NULL)
		json_array_append_new(roles, iam_role_shown(role));
	json_object_del(copy, "Lab");
	json_object_set_new(copy, "Roles", roles);
	return copy;
}

json_t *iam_profiles_of(struct neighbours *neighbours, const char *role)
{
	json_t *list = neighbours_list(neighbours, IAM_PROFILES);

	for (size_t i = json_array_size(list); i-- > 0;)
		if (strcmp(role_of(json_array_get(list, i)), role) != 0)
			json_array_remove(list, i);
	return list;
}

static json_t *find_profile(void *context, const json_t *input, char key[NEIGHBOURS_KEY_MAX],
			    struct aws_error *error)
{
	return iam_find(context, IAM_PROFILES, NOUN, doc_str(input, "InstanceProfileName", ""), key,
			error);
}

static json_t *profile_answer(struct neighbours *neighbours, const json_t *profile,
			      struct aws_error *error)
{
	json_t *answer = json_pack("{s:o}", "InstanceProfile", shown(neighbours, profile));

	if (answer == NULL)
		neighbours_error_memory(error);
	return answer;
}

json_t *handle_CreateInstanceProfile(void *context, const struct aws_call *call,
				     const json_t *input, struct aws_error *error)
{
	const char *name = doc_str(input, "InstanceProfileName", "");
	const char *path = doc_str(input, "Path", "/");
	char key[NEIGHBOURS_KEY_MAX], arn[ARN_TEXT_MAX], id[32], now[CLOCK_TEXT_MAX];
	json_t *profile, *answer;

	if (iam_check_free(context, IAM_PROFILES, NOUN, name, key, error) != 0)
		return NULL;
	snprintf(arn, sizeof(arn), "arn:aws:iam::%.12s:instance-profile%.512s%.128s",
		 call->account_id, path, name);
	iam_new_id("AIPA", id);
	profile = json_pack("{s:s, s:s, s:s, s:s, s:s, s:[], s:{}}", "InstanceProfileName", name,
			    "Path", path, "InstanceProfileId", id, "Arn", arn, "CreateDate",
			    clock_format_iso(clock_now_ms(NULL), now), "Tags", "Lab");
	if (profile == NULL) {
		neighbours_error_memory(error);
		return NULL;
	}
	if (neighbours_merge_tags(doc_array(profile, "Tags"), doc_array(input, "Tags"),
				  "LimitExceeded", error) != 0) {
		json_decref(profile);
		return NULL;
	}
	answer = profile_answer(context, profile, error);
	if (neighbours_put(context, key, profile, error) == 0)
		return answer;
	json_decref(answer);
	return NULL;
}

json_t *handle_GetInstanceProfile(void *context, const struct aws_call *call, const json_t *input,
				  struct aws_error *error)
{
	char key[NEIGHBOURS_KEY_MAX];
	json_t *profile = find_profile(context, input, key, error), *answer;

	(void)call;
	if (profile == NULL)
		return NULL;
	answer = profile_answer(context, profile, error);
	json_decref(profile);
	return answer;
}

/* Takes over list. */
static json_t *list_shown(struct neighbours *neighbours, json_t *list, struct aws_error *error)
{
	json_t *all = json_array();
	const json_t *profile;
	size_t i;

	json_array_foreach (list, i, profile)
		json_array_append_new(all, shown(neighbours, profile));
	json_decref(list);
	return iam_list_answer("InstanceProfiles", all, error);
}

json_t *handle_ListInstanceProfiles(void *context, const struct aws_call *call, const json_t *input,
				    struct aws_error *error)
{
	(void)call;
	(void)input;
	return list_shown(context, neighbours_list(context, IAM_PROFILES), error);
}

json_t *handle_ListInstanceProfilesForRole(void *context, const struct aws_call *call,
					   const json_t *input, struct aws_error *error)
{
	const char *name = doc_str(input, "RoleName", "");
	char key[NEIGHBOURS_KEY_MAX];
	json_t *role = iam_find(context, IAM_ROLES, "The role with name", name, key, error);

	(void)call;
	if (role == NULL)
		return NULL;
	json_decref(role);
	return list_shown(context, iam_profiles_of(context, name), error);
}

json_t *handle_DeleteInstanceProfile(void *context, const struct aws_call *call,
				     const json_t *input, struct aws_error *error)
{
	char key[NEIGHBOURS_KEY_MAX];
	json_t *profile = find_profile(context, input, key, error);
	bool has_role = *role_of(profile) != '\0';

	(void)call;
	if (profile == NULL)
		return NULL;
	json_decref(profile);
	if (has_role) {
		aws_error_set(error, 409, "DeleteConflict",
			      "Cannot delete entity, must remove roles from instance profile "
			      "first.");
		return NULL;
	}
	return neighbours_delete(context, key, error) == 0 ? json_object() : NULL;
}

json_t *handle_AddRoleToInstanceProfile(void *context, const struct aws_call *call,
					const json_t *input, struct aws_error *error)
{
	const char *name = doc_str(input, "RoleName", "");
	char key[NEIGHBOURS_KEY_MAX], role_key[NEIGHBOURS_KEY_MAX];
	json_t *role = iam_find(context, IAM_ROLES, "The role with name", name, role_key, error);
	json_t *profile = role == NULL ? NULL : find_profile(context, input, key, error);

	(void)call;
	json_decref(role);
	if (profile == NULL)
		return NULL;
	if (*role_of(profile) != '\0') {
		json_decref(profile);
		aws_error_set(error, 409, "LimitExceeded",
			      "Cannot exceed quota for InstanceSessionsPerInstanceProfile: 1");
		return NULL;
	}
	json_object_set_new(doc_object(profile, "Lab"), "RoleName", json_string(name));
	return neighbours_put(context, key, profile, error) == 0 ? json_object() : NULL;
}

json_t *handle_RemoveRoleFromInstanceProfile(void *context, const struct aws_call *call,
					     const json_t *input, struct aws_error *error)
{
	const char *name = doc_str(input, "RoleName", "");
	char key[NEIGHBOURS_KEY_MAX];
	json_t *profile = find_profile(context, input, key, error);

	(void)call;
	if (profile == NULL)
		return NULL;
	if (strcmp(role_of(profile), name) != 0) {
		json_decref(profile);
		aws_error_set(error, 404, "NoSuchEntity",
			      "The role with name %.64s is not in the instance profile.", name);
		return NULL;
	}
	json_object_del(doc_object(profile, "Lab"), "RoleName");
	return neighbours_put(context, key, profile, error) == 0 ? json_object() : NULL;
}

/* --- the caller --- */

json_t *handle_GetUser(void *context, const struct aws_call *call, const json_t *input,
		       struct aws_error *error)
{
	char arn[64];

	(void)context;
	if (doc_has(input, "UserName")) { /* there is only the account's root */
		aws_error_set(error, 404, "NoSuchEntity",
			      "The user with name %.64s cannot be found.",
			      doc_str(input, "UserName", ""));
		return NULL;
	}
	snprintf(arn, sizeof(arn), "arn:aws:iam::%.12s:root", call->account_id);
	return json_pack("{s:{s:s, s:s, s:s, s:s, s:s}}", "User", "Path", "/", "UserName", "root",
			 "UserId", call->account_id, "Arn", arn, "CreateDate",
			 "2026-01-01T00:00:00Z");
}

json_t *handle_ListAccountAliases(void *context, const struct aws_call *call, const json_t *input,
				  struct aws_error *error)
{
	(void)context;
	(void)call;
	(void)input;
	return iam_list_answer("AccountAliases", json_array(), error);
}
