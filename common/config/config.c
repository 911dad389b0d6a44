/* See config.h: the steps from a file to a checked document, and what is put into one form. */
#include "common/config/config.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/aws/server.h"
#include "common/aws/shapes.h"
#include "common/config/references.h"
#include "common/config/topics_check.h"
#include "common/doc/doc.h"

static int out_of_memory(struct err *err)
{
	err_set(err, ENOMEM, "out of memory");
	return -1;
}

/* Names: AWS says Name when it creates and LoadBalancerName when it describes.  Both may be
 * written; the second is what readers see. */

static int unify_name(json_t *entry, const char *member, struct err *err)
{
	json_t *name = json_object_get(entry, "Name");
	json_t *other = json_object_get(entry, member);

	if (name == NULL && other == NULL) {
		err_set(err, EINVAL, "%s: required, but missing", member);
		return -1;
	}
	if (name == NULL)
		return 0;
	if (other != NULL && !json_equal(name, other)) {
		err_set(err, EINVAL, "Name: '%s', but %s is '%s'", json_string_value(name), member,
			json_string_value(other));
		return -1;
	}
	if (other == NULL && json_object_set(entry, member, name) != 0)
		return out_of_memory(err);
	json_object_del(entry, "Name");
	return 0;
}

static int unify_names(const json_t *config, const char *section, const char *member,
		       struct err *err)
{
	json_t *entry;
	size_t i;

	json_array_foreach (doc_array(config, section), i, entry) {
		if (unify_name(entry, member, err) != 0) {
			err_wrap(err, "%s[%zu].", section, i);
			return -1;
		}
	}
	return 0;
}

/* User data. */

static char *path_in(const char *folder, const char *name)
{
	char *path;

	if (name[0] == '/' || folder[0] == '\0')
		return strdup(name);
	return asprintf(&path, "%s%s%s", folder, folder[strlen(folder) - 1] == '/' ? "" : "/",
			name) < 0
		   ? NULL
		   : path;
}

static json_t *to_base64(const char *bytes, size_t len)
{
	char *text = malloc(4 * ((len + 2) / 3) + 1);
	json_t *value;
	int text_len;

	if (text == NULL)
		return NULL;
	text_len = EVP_EncodeBlock((unsigned char *)text, (const unsigned char *)bytes, (int)len);
	value = json_stringn(text, (size_t)text_len);
	free(text);
	return value;
}

static int read_user_data(json_t *data, const char *folder, const char *name, struct err *err)
{
	char *path, *bytes;
	size_t len;
	int status;

	if (folder == NULL) {
		err_set(err, EINVAL, "no file can be read here; use UserData");
		return -1;
	}
	path = path_in(folder, name);
	if (path == NULL)
		return out_of_memory(err);
	bytes = doc_read_file(path, CONFIG_USER_DATA_MAX, &len, err);
	free(path);
	if (bytes == NULL)
		return -1;
	status = json_object_set_new(data, "UserData", to_base64(bytes, len));
	free(bytes);
	return status == 0 ? 0 : out_of_memory(err);
}

/* EC2 refuses other text than base64 at launch, which would be late. */
static int check_base64(const char *text, struct err *err)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				     "0123456789+/";
	size_t len = strlen(text);
	size_t n_digits = strspn(text, digits);
	size_t n_pads = strspn(text + n_digits, "=");

	if (n_digits + n_pads != len || n_pads > 2 || len % 4 != 0) {
		err_set(err, EINVAL, "not base64; UserDataFile takes a script as it is");
		return -1;
	}
	if (len / 4 * 3 - n_pads > CONFIG_USER_DATA_MAX) {
		err_set(err, EFBIG, "%zu bytes; at most %d are allowed", len / 4 * 3 - n_pads,
			CONFIG_USER_DATA_MAX);
		return -1;
	}
	return 0;
}

/* UserDataFile, of the template or of its data, becomes UserData. */
static int resolve_user_data(json_t *template, const char *folder, struct err *err)
{
	json_t *data = doc_object(template, "LaunchTemplateData");
	const char *place = doc_has(template, "UserDataFile") ? "" : "LaunchTemplateData.";
	const char *file = doc_str(*place ? data : template, "UserDataFile", NULL);
	const char *text = doc_str(data, "UserData", NULL);

	if (file == NULL) {
		if (text == NULL || check_base64(text, err) == 0)
			return 0;
		err_wrap(err, "LaunchTemplateData.UserData: ");
		return -1;
	}
	if (text != NULL || (*place == '\0' && doc_has(data, "UserDataFile"))) {
		err_set(err, EINVAL, "%sUserDataFile: the user data is given twice", place);
		return -1;
	}
	if (read_user_data(data, folder, file, err) != 0) {
		err_wrap(err, "%sUserDataFile: ", place);
		return -1;
	}
	json_object_del(template, "UserDataFile");
	json_object_del(data, "UserDataFile");
	return 0;
}

static int resolve_all_user_data(const json_t *config, const char *folder, struct err *err)
{
	json_t *template;
	size_t i;

	json_array_foreach (doc_array(config, "LaunchTemplates"), i, template) {
		if (resolve_user_data(template, folder, err) != 0) {
			err_wrap(err, "LaunchTemplates[%zu].", i);
			return -1;
		}
	}
	return 0;
}

/* The whole. */

/* What would only be refused when the program starts, where that can be told from the file. */
static int check_settings(const json_t *config, const char *name, struct err *err)
{
	const json_t *section = doc_object(config, name);
	const char *address = doc_str(section, "ApiAddress", NULL);
	bool has_credentials = json_array_size(doc_array(section, "Credentials")) > 0;

	if (address != NULL && aws_server_check_address(address, has_credentials, err) != 0) {
		err_wrap(err, "%s.ApiAddress: ", name);
		return -1;
	}
	if (strncmp(doc_str(section, "StateUrl", ""), "etcd:", 5) == 0) {
		err_set(
		    err, ENOTSUP,
		    "%s.StateUrl: etcd: is not supported yet; use sqlite:PATH or memory:", name);
		return -1;
	}
	return 0;
}

static int check_owned(json_t *config, const char *folder, struct err *err)
{
	const struct aws_model *model = aws_model("config", err);
	const struct shape *shape;

	if (model == NULL)
		return -1;
	shape = aws_shape_find(model, "Config");
	CHECK(shape != NULL);
	if (shape_check(config, shape, NULL, true, err) != 0)
		return -1;
	if (shape_coerce_in_place(config, shape) != 0)
		return out_of_memory(err);
	if (unify_names(config, "LoadBalancers", "LoadBalancerName", err) != 0 ||
	    unify_names(config, "TargetGroups", "TargetGroupName", err) != 0 ||
	    resolve_all_user_data(config, folder, err) != 0 ||
	    config_check_references(config, err) != 0 || config_check_topics(config, err) != 0 ||
	    check_settings(config, "Lb", err) != 0 || check_settings(config, "Scaler", err) != 0 ||
	    check_settings(config, "Lab", err) != 0)
		return -1;
	return 0;
}

json_t *config_check(const json_t *document, const char *folder, struct err *err)
{
	json_t *config = json_deep_copy(document);

	if (config == NULL) {
		out_of_memory(err);
		return NULL;
	}
	if (check_owned(config, folder, err) == 0)
		return config;
	json_decref(config);
	return NULL;
}

json_t *config_load(const char *path, struct err *err)
{
	const char *slash = strrchr(path, '/');
	json_t *config;
	char *folder;

	config = doc_load(path, err);
	if (config == NULL)
		return NULL;
	/* With the slash, so that "/x.json" stands in "/"; "" is the folder of "x.json". */
	folder = strndup(path, slash == NULL ? 0 : (size_t)(slash - path) + 1);
	if (folder == NULL)
		out_of_memory(err);
	else if (check_owned(config, folder, err) == 0)
		goto out;
	err_wrap(err, "%s: ", path);
	json_decref(config);
	config = NULL;
out:
	free(folder);
	return config;
}
