/*
 * Key pairs.  CreateKeyPair makes a real key and keeps only its public half, as AWS does.  They
 * have no effect in a lab: nobody logs in to an instance.
 */
#include <stdio.h>
#include <string.h>

#include "common/base/ids.h"
#include "common/doc/doc.h"
#include "lab/ec2/resource.h"
#include "lab/ec2/ssh_key.h"

enum { MAX_KEYS = 5000, MAX_NAME = 255 };

static const struct filter_field fields[] = {
    {"key-name", "KeyName"},
    {"key-pair-id", "KeyPairId"},
    {"fingerprint", "KeyFingerprint"},
    {NULL, NULL},
};

const struct ec2_noun ec2_key_pairs = {
    .folder = "ec2/key-pair/",
    .output = "KeyPairs",
    .ids_input = "KeyPairIds",
    .id_member = "KeyPairId",
    .id_prefix = "key",
    .malformed = "InvalidKeyPair.NotFound",
    .not_found = "InvalidKeyPair.NotFound",
    .label = "key pair",
    .sort_member = "KeyName",
    .fields = fields,
    .resource_type = "key-pair",
};

static bool is_asked_name(const json_t *key, const json_t *input)
{
	const json_t *names = doc_array(input, "KeyNames");

	return json_array_size(names) == 0 || doc_list_has(names, doc_str(key, "KeyName", ""));
}

static void hide_public_keys(json_t *answer)
{
	json_t *list = doc_array(answer, "KeyPairs");

	for (size_t i = 0; i < json_array_size(list); i++) {
		json_t *copy = json_copy(json_array_get(list, i));

		json_object_del(copy, "PublicKey");
		json_array_set_new(list, i, copy);
	}
}

EC2_HANDLER(DescribeKeyPairs)
{
	const json_t *name;
	json_t *answer;
	size_t i;

	json_array_foreach (doc_array(input, "KeyNames"), i, name) {
		if (ec2_count_by(ec2, &ec2_key_pairs, "KeyName", json_string_value(name)) > 0)
			continue;
		aws_error_set(error, 400, "InvalidKeyPair.NotFound",
			      "The key pair '%s' does not exist", json_string_value(name));
		return NULL;
	}
	answer = ec2_describe(ec2, &ec2_key_pairs, input, is_asked_name, error);
	if (answer != NULL && !doc_bool(input, "IncludePublicKey", false))
		hide_public_keys(answer);
	return answer;
}

static int check_name(struct ec2 *ec2, const json_t *input, struct aws_error *error)
{
	const char *name = doc_str(input, "KeyName", "");

	if (*name == '\0' || strlen(name) > MAX_NAME) {
		aws_error_set(error, 400, "InvalidParameterValue",
			      "A key name has 1 to %d characters.", MAX_NAME);
		return -1;
	}
	if (ec2_count_by(ec2, &ec2_key_pairs, "KeyName", name) > 0) {
		aws_error_set(error, 400, "InvalidKeyPair.Duplicate", "The keypair already exists");
		return -1;
	}
	if (ec2_count_by(ec2, &ec2_key_pairs, NULL, "") < MAX_KEYS)
		return 0;
	aws_error_set(error, 400, "KeyPairLimitExceeded", "Maximum of %d keypairs reached.",
		      MAX_KEYS);
	return -1;
}

static json_t *put_key(struct ec2 *ec2, const json_t *input, const struct ssh_key *key,
		       struct aws_error *error)
{
	char id[ID_TEXT_MAX], now[CLOCK_TEXT_MAX];

	return ec2_create(ec2, &ec2_key_pairs, input,
			  json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "KeyPairId",
				    id_ec2(NULL, "key", id), "KeyName",
				    doc_str(input, "KeyName", ""), "KeyFingerprint",
				    key->fingerprint, "KeyType", key->type, "CreateTime",
				    ec2_now(ec2, now), "PublicKey", key->public_line),
			  error);
}

EC2_HANDLER(CreateKeyPair)
{
	const char *format = doc_str(input, "KeyFormat", "pem");
	struct ssh_key key = {0};
	json_t *answer;

	if (strcmp(format, "pem") != 0) {
		aws_error_set(error, 400, "UnsupportedOperation",
			      "Only the key format pem is supported here.");
		return NULL;
	}
	if (check_name(ec2, input, error) != 0)
		return NULL;
	if (ssh_key_generate(&key, doc_str(input, "KeyType", "rsa"),
			     doc_str(input, "KeyName", "")) != 0) {
		ec2_error_memory(error);
		return NULL;
	}
	answer = put_key(ec2, input, &key, error);
	/* Shown this once and kept nowhere. */
	if (answer != NULL)
		json_object_set_new(answer, "KeyMaterial", json_string(key.private_pem));
	ssh_key_fini(&key);
	return answer;
}

EC2_HANDLER(ImportKeyPair)
{
	struct ssh_key key = {0};
	json_t *answer;

	if (check_name(ec2, input, error) != 0)
		return NULL;
	if (ssh_key_import(&key, doc_str(input, "PublicKeyMaterial", "")) != 0) {
		ssh_key_fini(&key);
		aws_error_set(error, 400, "InvalidKey.Format",
			      "Key is not in valid OpenSSH public key format");
		return NULL;
	}
	answer = put_key(ec2, input, &key, error);
	ssh_key_fini(&key);
	return answer;
}

/* What is not there is deleted already. */
EC2_HANDLER(DeleteKeyPair)
{
	const char *name = doc_str(input, "KeyName", ""), *id = doc_str(input, "KeyPairId", "");
	struct store_txn *txn;
	json_t *key, *answer;

	if (*name == '\0' && *id == '\0') {
		ec2_error_missing(error, "KeyName");
		return NULL;
	}
	if (*name != '\0')
		key = ec2_find_by(ec2, &ec2_key_pairs, "KeyName", name);
	else
		key = ec2_find_by(ec2, &ec2_key_pairs, "KeyPairId", id);
	txn = store_begin(ec2->store);
	if (key != NULL)
		ec2_txn_delete(txn, &ec2_key_pairs, doc_str(key, "KeyPairId", ""));
	answer =
	    json_pack("{s:b, s:s*}", "Return", 1, "KeyPairId", doc_str(key, "KeyPairId", NULL));
	json_decref(key);
	if (ec2_commit(txn, input, error) == 0)
		return answer;
	json_decref(answer);
	return NULL;
}
