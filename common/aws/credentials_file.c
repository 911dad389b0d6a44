/* See credentials_file.h. */
#include "common/aws/credentials_file.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/base/clock.h"

enum {
	MAX_LINE = 8192,
	MAX_LINES = 100000,
	MAX_PATH_TEXT = 1024,
};

/* What a profile says, from one file. */
struct profile {
	bool is_there;
	struct aws_keys keys;
	char unsupported[32]; /* the member that asks for a way we do not know */
};

void aws_keys_fini(struct aws_keys *keys)
{
	free(keys->access_key);
	free(keys->secret);
	free(keys->token);
	*keys = (struct aws_keys){0};
}

static const char *env(const char *name)
{
	const char *value = getenv(name);

	return value != NULL && value[0] != '\0' ? value : NULL;
}

enum keys_found keys_from_environment(struct aws_keys *keys, struct err *err)
{
	const char *access_key = env("AWS_ACCESS_KEY_ID");
	const char *secret = env("AWS_SECRET_ACCESS_KEY");
	const char *token = env("AWS_SESSION_TOKEN");

	if (access_key == NULL)
		return KEYS_ABSENT;
	if (secret == NULL) {
		err_set(err, ENOENT, "AWS_ACCESS_KEY_ID is set and AWS_SECRET_ACCESS_KEY is not");
		return KEYS_REFUSED;
	}
	keys->access_key = strdup(access_key);
	keys->secret = strdup(secret);
	keys->token = token == NULL ? NULL : strdup(token);
	if (keys->access_key != NULL && keys->secret != NULL && (token == NULL || keys->token))
		return KEYS_FOUND;
	aws_keys_fini(keys);
	err_set(err, ENOMEM, "out of memory");
	return KEYS_REFUSED;
}

static char *trim(char *text)
{
	size_t len;

	while (isspace((unsigned char)*text))
		text++;
	len = strlen(text);
	while (len > 0 && isspace((unsigned char)text[len - 1]))
		text[--len] = '\0';
	return text;
}

/* "[name]" and, in the config file, "[profile name]". */
static bool is_section(char *line, const char *name)
{
	char *end = strchr(line, ']');

	if (end == NULL)
		return false;
	*end = '\0';
	line = trim(line + 1);
	if (strncmp(line, "profile", 7) == 0 && isspace((unsigned char)line[7]))
		line = trim(line + 7);
	return strcmp(line, name) == 0;
}

static void replace(char **to, const char *value)
{
	free(*to);
	*to = strdup(value);
}

static void take_member(struct profile *profile, const char *name, const char *value)
{
	static const char *const unsupported[] = {"role_arn", "sso_session", "sso_start_url",
						  "credential_process", "web_identity_token_file"};

	if (strcmp(name, "aws_access_key_id") == 0)
		replace(&profile->keys.access_key, value);
	else if (strcmp(name, "aws_secret_access_key") == 0)
		replace(&profile->keys.secret, value);
	else if (strcmp(name, "aws_session_token") == 0)
		replace(&profile->keys.token, value);
	for (size_t i = 0; i < sizeof(unsupported) / sizeof(unsupported[0]); i++)
		if (strcmp(name, unsupported[i]) == 0 && profile->unsupported[0] == '\0')
			snprintf(profile->unsupported, sizeof(profile->unsupported), "%s", name);
}

static void take_line(struct profile *profile, const char *name, char *line, bool *is_inside)
{
	bool is_nested = isspace((unsigned char)*line);
	char *text = trim(line);
	char *equals = strchr(text, '=');

	if (*text == '\0' || *text == '#' || *text == ';')
		return;
	if (*text == '[') {
		*is_inside = is_section(text, name);
		profile->is_there = profile->is_there || *is_inside;
		return;
	}
	if (!*is_inside || is_nested || equals == NULL)
		return; /* nested lines are of "s3 =" and its like */
	*equals = '\0';
	take_member(profile, trim(text), trim(equals + 1));
}

static void read_profile(const char *path, const char *name, struct profile *profile)
{
	FILE *file = fopen(path, "re");
	char line[MAX_LINE];
	bool is_inside = false;

	if (file == NULL)
		return;
	for (int n = 0; n < MAX_LINES && fgets(line, sizeof(line), file) != NULL; n++)
		take_line(profile, name, line, &is_inside);
	fclose(file);
}

static void file_path(const char *variable, const char *name, char path[MAX_PATH_TEXT])
{
	const char *home = env("HOME"), *given = env(variable);

	if (given != NULL && strncmp(given, "~/", 2) == 0 && home != NULL)
		snprintf(path, MAX_PATH_TEXT, "%s%s", home, given + 1);
	else if (given != NULL)
		snprintf(path, MAX_PATH_TEXT, "%s", given);
	else
		snprintf(path, MAX_PATH_TEXT, "%s/.aws/%s", home == NULL ? "" : home, name);
}

/* Takes the keys if the profile has both. */
static bool take_keys(struct profile *profile, struct aws_keys *keys)
{
	if (profile->keys.access_key == NULL || profile->keys.secret == NULL)
		return false;
	*keys = profile->keys;
	profile->keys = (struct aws_keys){0};
	return true;
}

static enum keys_found choose(struct profile *shared, struct profile *config, const char *name,
			      const char *where, struct aws_keys *keys, struct err *err)
{
	const char *unsupported =
	    shared->unsupported[0] != '\0' ? shared->unsupported : config->unsupported;
	bool is_role = strcmp(unsupported, "role_arn") == 0;

	if (!is_role && (take_keys(shared, keys) || take_keys(config, keys)))
		return KEYS_FOUND;
	if (unsupported[0] != '\0') {
		err_set(err, ENOTSUP,
			"profile '%.64s' uses %s, which is not supported: give it keys, or set "
			"AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
			name, unsupported);
		return KEYS_REFUSED;
	}
	if ((env("AWS_PROFILE") == NULL && env("AWS_DEFAULT_PROFILE") == NULL) ||
	    shared->is_there || config->is_there)
		return KEYS_ABSENT;
	err_set(err, ENOENT, "there is no %s", where);
	return KEYS_REFUSED;
}

enum keys_found keys_from_files(struct aws_keys *keys, char *where, size_t size, struct err *err)
{
	const char *name = env("AWS_PROFILE");
	char shared_path[MAX_PATH_TEXT], config_path[MAX_PATH_TEXT];
	struct profile shared = {0}, config = {0};
	enum keys_found found;

	if (name == NULL)
		name = env("AWS_DEFAULT_PROFILE");
	if (name == NULL)
		name = "default";
	file_path("AWS_SHARED_CREDENTIALS_FILE", "credentials", shared_path);
	file_path("AWS_CONFIG_FILE", "config", config_path);
	snprintf(where, size, "profile '%.64s' in %.160s and %.160s", name, shared_path,
		 config_path);
	read_profile(shared_path, name, &shared);
	read_profile(config_path, name, &config);
	found = choose(&shared, &config, name, where, keys, err);
	aws_keys_fini(&shared.keys);
	aws_keys_fini(&config.keys);
	return found;
}

static char *copy_member(const json_t *object, const char *name)
{
	const json_t *value = json_object_get(object, name);

	return json_string_length(value) > 0 ? strdup(json_string_value(value)) : NULL;
}

int keys_from_json(const char *text, size_t len, struct aws_keys *keys, struct err *err)
{
	json_t *object = json_loadb(text, len, 0, NULL);
	const char *code = json_string_value(json_object_get(object, "Code"));
	const char *expiration = json_string_value(json_object_get(object, "Expiration"));
	int result = -1;

	*keys = (struct aws_keys){0};
	if (object == NULL) {
		err_set(err, EPROTO, "the answer is not JSON");
		goto out;
	}
	if (code != NULL && strcmp(code, "Success") != 0) {
		err_set(err, EPROTO, "the answer says %.64s", code);
		goto out;
	}
	keys->access_key = copy_member(object, "AccessKeyId");
	keys->secret = copy_member(object, "SecretAccessKey");
	keys->token = copy_member(object, "Token");
	if (keys->access_key == NULL || keys->secret == NULL ||
	    (expiration != NULL && clock_parse_iso(expiration, &keys->expires_ms) != 0)) {
		err_set(err, EPROTO,
			"the answer lacks AccessKeyId, SecretAccessKey or a readable Expiration");
		aws_keys_fini(keys);
		goto out;
	}
	result = 0;
out:
	json_decref(object);
	return result;
}

static bool is_container_host(const char *host)
{
	struct in6_addr v6, wanted;
	struct in_addr v4;

	if (strcasecmp(host, "localhost") == 0)
		return true;
	if (inet_pton(AF_INET, host, &v4) == 1)
		return ntohl(v4.s_addr) >> 24 == 127 || strcmp(host, "169.254.170.2") == 0 ||
		       strcmp(host, "169.254.170.23") == 0;
	if (inet_pton(AF_INET6, host, &v6) != 1)
		return false;
	return IN6_IS_ADDR_LOOPBACK(&v6) || (inet_pton(AF_INET6, "fd00:ec2::23", &wanted) == 1 &&
					     memcmp(&v6, &wanted, sizeof(v6)) == 0);
}

bool keys_is_container_url_allowed(const char *url)
{
	CURLU *parts = curl_url();
	char *scheme = NULL, *host = NULL;
	bool is_allowed = false;

	if (parts == NULL || curl_url_set(parts, CURLUPART_URL, url, 0) != CURLUE_OK ||
	    curl_url_get(parts, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK ||
	    curl_url_get(parts, CURLUPART_HOST, &host, 0) != CURLUE_OK)
		goto out;
	if (host[0] == '[') {
		host[strlen(host) - 1] = '\0';
		is_allowed = is_container_host(host + 1);
	} else {
		is_allowed = is_container_host(host);
	}
	is_allowed = strcmp(scheme, "https") == 0 || (is_allowed && strcmp(scheme, "http") == 0);
out:
	curl_free(scheme);
	curl_free(host);
	curl_url_cleanup(parts);
	return is_allowed;
}
