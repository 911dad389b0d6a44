/* IAM roles with their policies, kept so that tools converge; nobody's rights hang on them. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/base/clock.h"
#include "common/base/ids.h"
#include "common/doc/doc.h"
#include "lab/neighbours/iam.h"

#define AWS_ACTION(name) AWS_DECLARE_ACTION(name)
#include "lab/neighbours/iam.def"
#undef AWS_ACTION

enum { MAX_ATTACHED = 20, MAX_INLINE = 100, DEFAULT_SESSION_S = 3600 };

json_t *iam_find(struct neighbours *neighbours, const char *folder, const char *noun,
		 const char *name, char key[NEIGHBOURS_KEY_MAX], struct aws_error *error)
{
	json_t *document;

	snprintf(key, NEIGHBOURS_KEY_MAX, "%s%.200s", folder, name);
	document = store_get(neighbours->store, key, NULL);
	if (document == NULL)
		aws_error_set(error, 404, "NoSuchEntity", "%s %.200s cannot be found.", noun, name);
	return document;
}

int iam_check_free(struct neighbours *neighbours, const char *folder, const char *noun,
		   const char *name, char key[NEIGHBOURS_KEY_MAX], struct aws_error *error)
{
	snprintf(key, NEIGHBOURS_KEY_MAX, "%s%.200s", folder, name);
	if (store_peek(neighbours->store, key, NULL) == NULL)
		return 0;
	aws_error_set(error, 409, "EntityAlreadyExists", "%s with name %.200s already exists.",
		      noun, name);
	return -1;
}

void iam_new_id(const char *prefix, char id[32])
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
	uint64_t bits = 0;
	size_t n = strlen(prefix);

	snprintf(id, 32, "%s", prefix);
	for (; n < 21; n++) {
		if (n % 12 == strlen(prefix) % 12)
			bits = id_random(NULL);
		id[n] = digits[bits % 32];
		bits /= 32;
	}
	id[n] = '\0';
}

json_t *iam_list_answer(const char *member, json_t *list, struct aws_error *error)
{
	json_t *answer = json_pack("{s:o, s:b}", member, list, "IsTruncated", false);

	if (answer == NULL)
		neighbours_error_memory(error);
	return answer;
}

/* Documents of policies come back percent-encoded (RFC 3986). */
static json_t *encoded(const char *text)
{
	struct buf out = {0};
	json_t *value;

	for (; *text != '\0'; text++) {
		unsigned char c = (unsigned char)*text;

		if (isalnum(c) || strchr("-_.~", c) != NULL)
			buf_add_char(&out, (char)c);
		else
			buf_printf(&out, "%%%02X", c);
	}
	value = buf_failed(&out) ? NULL : json_string(buf_text(&out));
	buf_fini(&out);
	return value;
}

static int check_policy(const char *text, struct aws_error *error)
{
	json_t *policy = json_loads(text, 0, NULL);
	bool is_good = json_is_object(policy) && doc_has(policy, "Statement");

	json_decref(policy);
	if (is_good)
		return 0;
	aws_error_set(error, 400, "MalformedPolicyDocument",
		      "The policy is not a JSON document with a Statement.");
	return -1;
}

json_t *iam_role_shown(const json_t *role)
{
	json_t *shown = json_copy((json_t *)role);

	json_object_del(shown, "Lab");
	json_object_set_new(shown, "AssumeRolePolicyDocument",
			    encoded(doc_str(role, "AssumeRolePolicyDocument", "")));
	return shown;
}

static json_t *role_answer(const json_t *role, struct aws_error *error)
{
	json_t *answer = json_pack("{s:o}", "Role", iam_role_shown(role));

	if (answer == NULL)
		neighbours_error_memory(error);
	return answer;
}

static json_t *new_role(const struct aws_call *call, const json_t *input)
{
	const char *name = doc_str(input, "RoleName", ""), *path = doc_str(input, "Path", "/");
	char arn[ARN_TEXT_MAX], id[32], now[CLOCK_TEXT_MAX];

	snprintf(arn, sizeof(arn), "arn:aws:iam::%.12s:role%.512s%.64s", call->account_id, path,
		 name);
	iam_new_id("AROA", id);
	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s*, s:i, s:o, s:{s:[], s:{}}}",
			 "RoleName", name, "Path", path, "RoleId", id, "Arn", arn, "CreateDate",
			 clock_format_iso(clock_now_ms(NULL), now), "AssumeRolePolicyDocument",
			 doc_str(input, "AssumeRolePolicyDocument", ""), "Description",
			 doc_str(input, "Description", NULL), "MaxSessionDuration",
			 (int)doc_int(input, "MaxSessionDuration", DEFAULT_SESSION_S), "Tags",
			 json_array(), "Lab", "Attached", "Inline");
}

json_t *handle_CreateRole(void *context, const struct aws_call *call, const json_t *input,
			  struct aws_error *error)
{
	char key[NEIGHBOURS_KEY_MAX];
	json_t *role, *answer;

	if (iam_check_free(context, IAM_ROLES, "Role", doc_str(input, "RoleName", ""), key,
			   error) != 0 ||
	    check_policy(doc_str(input, "AssumeRolePolicyDocument", ""), error) != 0)
		return NULL;
	role = new_role(call, input);
	if (role == NULL) {
		neighbours_error_memory(error);
		return NULL;
	}
	if (neighbours_merge_tags(doc_array(role, "Tags"), doc_array(input, "Tags"),
				  "LimitExceeded", error) != 0) {
		json_decref(role);
		return NULL;
	}
	answer = role_answer(role, error);
	if (neighbours_put(context, key, role, error) == 0)
		return answer;
	json_decref(answer);
	return NULL;
}

static json_t *find_role(void *context, const json_t *input, char key[NEIGHBOURS_KEY_MAX],
			 struct aws_error *error)
{
	return iam_find(context, IAM_ROLES, "The role with name", doc_str(input, "RoleName", ""),
			key, error);
}

json_t *handle_GetRole(void *context, const struct aws_call *call, const json_t *input,
		       struct aws_error *error)
{
	char key[NEIGHBOURS_KEY_MAX];
	json_t *role = find_role(context, input, key, error), *answer;

	(void)call;
	if (role == NULL)
		return NULL;
	answer = role_answer(role, error);
	json_decref(role);
	return answer;
}

json_t *handle_ListRoles(void *context, const struct aws_call *call, const json_t *input,
			 struct aws_error *error)
{
	const char *prefix = doc_str(input, "PathPrefix", "/");
	json_t *all = neighbours_list(context, IAM_ROLES), *list = json_array(), *role;
	size_t i;

	(void)call;
	json_array_foreach (all, i, role)
		if (strncmp(doc_str(role, "Path", "/"), prefix, strlen(prefix)) == 0)
			json_array_append_new(list, iam_role_shown(role));
	json_decref(all);
	return iam_list_answer("Roles", list, error);
}

static int check_deletable(struct neighbours *neighbours, const json_t *role,
			   struct aws_error *error)
{
	const json_t *lab = doc_object(role, "Lab");
	json_t *profiles = iam_profiles_of(neighbours, doc_str(role, "RoleName", ""));
	const char *first = NULL;

	if (json_object_size(doc_object(lab, "Inline")) > 0)
		first = "must delete policies first.";
	else if (json_array_size(doc_array(lab, "Attached")) > 0)
		first = "must detach all policies first.";
	else if (json_array_size(profiles) > 0)
		first = "must remove roles from instance profile first.";
	json_decref(profiles);
	if (first == NULL)
		return 0;
	aws_error_set(error, 409, "DeleteConflict", "Cannot delete entity, %s", first);
	return -1;
}

json_t *handle_DeleteRole(void *context, const struct aws_call *call, const json_t *input,
			  struct aws_error *error)
{
	char key[NEIGHBOURS_KEY_MAX];
	json_t *role = find_role(context, input, key, error);
	int result;

	(void)call;
	if (role == NULL)
		return NULL;
	result = check_deletable(context, role, error);
	json_decref(role);
	if (result != 0 || neighbours_delete(context, key, error) != 0)
		return NULL;
	return json_object();
}

/* --- inline policies --- */

static json_t *inline_of(const json_t *role)
{
	return doc_object(doc_object(role, "Lab"), "Inline");
}

json_t *handle_PutRolePolicy(void *context, const struct aws_call *call, const json_t *input,
			     struct aws_error *error)
{
	const char *text = doc_str(input, "PolicyDocument", "");
	char key[NEIGHBOURS_KEY_MAX];
	json_t *role = find_role(context, input, key, error);

	(void)call;
	if (role == NULL || check_policy(text, error) != 0)
		goto fail;
	if (json_object_size(inline_of(role)) >= MAX_INLINE) {
		aws_error_set(error, 409, "LimitExceeded", "A role has at most %d inline policies",
			      MAX_INLINE);
		goto fail;
	}
	json_object_set_new(inline_of(role), doc_str(input, "PolicyName", ""), json_string(text));
	return neighbours_put(context, key, role, error) == 0 ? json_object() : NULL;
fail:
	json_decref(role);
	return NULL;
}

/* -1 with error when the role has no such policy. */
static int check_has_inline(const json_t *role, const char *name, struct aws_error *error)
{
	if (doc_has(inline_of(role), name))
		return 0;
	aws_error_set(error, 404, "NoSuchEntity",
		      "The role policy with name %.128s cannot be found.", name);
	return -1;
}

json_t *handle_GetRolePolicy(void *context, const struct aws_call *call, const json_t *input,
			     struct aws_error *error)
{
	const char *name = doc_str(input, "PolicyName", "");
	char key[NEIGHBOURS_KEY_MAX];
	json_t *role = find_role(context, input, key, error), *answer = NULL;

	(void)call;
	if (role != NULL && check_has_inline(role, name, error) == 0)
		answer = json_pack("{s:s, s:s, s:o}", "RoleName", doc_str(role, "RoleName", ""),
				   "PolicyName", name, "PolicyDocument",
				   encoded(doc_str(inline_of(role), name, "")));
	json_decref(role);
	return answer;
}

json_t *handle_DeleteRolePolicy(void *context, const struct aws_call *call, const json_t *input,
				struct aws_error *error)
{
	const char *name = doc_str(input, "PolicyName", "");
	char key[NEIGHBOURS_KEY_MAX];
	json_t *role = find_role(context, input, key, error);

	(void)call;
	if (role == NULL || check_has_inline(role, name, error) != 0) {
		json_decref(role);
		return NULL;
	}
	json_object_del(inline_of(role), name);
	return neighbours_put(context, key, role, error) == 0 ? json_object() : NULL;
}

json_t *handle_ListRolePolicies(void *context, const struct aws_call *call, const json_t *input,
				struct aws_error *error)
{
	char key[NEIGHBOURS_KEY_MAX];
	json_t *role = find_role(context, input, key, error), *names = json_array(), *value;
	const char *name;

	(void)call;
	if (role == NULL) {
		json_decref(names);
		return NULL;
	}
	json_object_foreach (inline_of(role), name, value)
		json_array_append_new(names, json_string(name));
	json_decref(role);
	return iam_list_answer("PolicyNames", names, error);
}

/* --- attached policies --- */

static json_t *attached_of(const json_t *role)
{
	return doc_array(doc_object(role, "Lab"), "Attached");
}

/* -1 when it is not attached. */
static int attached_index(const json_t *role, const char *arn)
{
	const json_t *one;
	size_t i;

	json_array_foreach (attached_of(role), i, one)
		if (strcmp(json_string_value(one), arn) == 0)
			return (int)i;
	return -1;
}

static int check_policy_arn(const char *arn, struct aws_error *error)
{
	struct arn parts;

	if (arn_parse(arn, &parts) == 0 && strcmp(parts.service, "iam") == 0 &&
	    strncmp(parts.resource, "policy/", 7) == 0)
		return 0;
	aws_error_set(error, 404, "NoSuchEntity", "Policy %.200s does not exist.", arn);
	return -1;
}

json_t *handle_AttachRolePolicy(void *context, const struct aws_call *call, const json_t *input,
				struct aws_error *error)
{
	const char *arn = doc_str(input, "PolicyArn", "");
	char key[NEIGHBOURS_KEY_MAX];
	json_t *role = find_role(context, input, key, error);

	(void)call;
	if (role == NULL || check_policy_arn(arn, error) != 0)
		goto fail;
	if (attached_index(role, arn) < 0)
		json_array_append_new(attached_of(role), json_string(arn));
	if (json_array_size(attached_of(role)) <= MAX_ATTACHED)
		return neighbours_put(context, key, role, error) == 0 ? json_object() : NULL;
	aws_error_set(error, 409, "LimitExceeded", "A role has at most %d policies attached",
		      MAX_ATTACHED);
fail:
	json_decref(role);
	return NULL;
}

json_t *handle_DetachRolePolicy(void *context, const struct aws_call *call, const json_t *input,
				struct aws_error *error)
{
	const char *arn = doc_str(input, "PolicyArn", "");
	char key[NEIGHBOURS_KEY_MAX];
	json_t *role = find_role(context, input, key, error);
	int index = role == NULL ? -1 : attached_index(role, arn);

	(void)call;
	if (role == NULL)
		return NULL;
	if (index >= 0) {
		json_array_remove(attached_of(role), (size_t)index);
		return neighbours_put(context, key, role, error) == 0 ? json_object() : NULL;
	}
	json_decref(role);
	aws_error_set(error, 404, "NoSuchEntity", "Policy %.200s was not found.", arn);
	return NULL;
}

json_t *handle_ListAttachedRolePolicies(void *context, const struct aws_call *call,
					const json_t *input, struct aws_error *error)
{
	char key[NEIGHBOURS_KEY_MAX];
	json_t *role = find_role(context, input, key, error), *list = json_array();
	const json_t *arn;
	size_t i;

	(void)call;
	json_array_foreach (attached_of(role), i, arn) {
		const char *text = json_string_value(arn);

		json_array_append_new(list, json_pack("{s:s, s:s}", "PolicyName",
						      strrchr(text, '/') + 1, "PolicyArn", text));
	}
	if (role == NULL) {
		json_decref(list);
		return NULL;
	}
	json_decref(role);
	return iam_list_answer("AttachedPolicies", list, error);
}
