/*
 * The sources of keys that need no network: environment and shared files
 * (~/.aws/credentials and ~/.aws/config).  Private to credentials.c and its tests.
 */
#ifndef COMMON_AWS_CREDENTIALS_FILE_H
#define COMMON_AWS_CREDENTIALS_FILE_H

#include "common/aws/credentials.h"

enum keys_found {
	KEYS_FOUND,
	KEYS_ABSENT,  /* look further */
	KEYS_REFUSED, /* the user asked for what we cannot do, or for what is not there: err says */
};

enum keys_found keys_from_environment(struct aws_keys *keys, struct err *err);
/* where: a sentence's part that names the profile and the files, for the end of the chain. */
enum keys_found keys_from_files(struct aws_keys *keys, char *where, size_t size, struct err *err);

/* {AccessKeyId, SecretAccessKey, Token, Expiration}: what container and instance metadata answer.
 */
MUST_CHECK int keys_from_json(const char *text, size_t len, struct aws_keys *keys, struct err *err);

/* "http://…" of AWS_CONTAINER_CREDENTIALS_FULL_URI: https, or an address that only containers have.
 */
bool keys_is_container_url_allowed(const char *url);

#endif
