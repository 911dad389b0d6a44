/* See tokens.h. */
#include "lab/ec2/tokens.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/doc/doc.h"

#define TOKEN_FOLDER "ec2/token/"

enum { MAX_TOKEN = 64, TOKEN_LIFE_MS = 24 * 3600 * 1000 };

/* SHA-256 of the parameters in one canonical order, without the token itself. */
static int fingerprint(const json_t *input, char hex[65])
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	json_t *copy = json_copy((json_t *)input);
	unsigned len = 0;
	char *text;
	int ok;

	json_object_del(copy, "ClientToken");
	text = json_dumps(copy, JSON_COMPACT | JSON_SORT_KEYS);
	json_decref(copy);
	if (text == NULL)
		return -1;
	ok = EVP_Digest(text, strlen(text), digest, &len, EVP_sha256(), NULL);
	free(text);
	if (ok != 1 || len != 32)
		return -1;
	for (size_t i = 0; i < len; i++)
		snprintf(hex + 2 * i, 3, "%02x", digest[i]);
	return 0;
}

enum token_result token_check(struct ec2 *ec2, const char *scope, const json_t *input,
			      struct token *token, json_t **result, struct aws_error *error)
{
	const char *text = doc_str(input, "ClientToken", "");
	json_t *document;

	token->key[0] = '\0';
	if (*text == '\0')
		return TOKEN_NEW;
	if (strlen(text) > MAX_TOKEN) {
		aws_error_set(error, 400, "InvalidParameterValue",
			      "A ClientToken has at most %d characters", MAX_TOKEN);
		return TOKEN_FAILED;
	}
	if (fingerprint(input, token->fingerprint) != 0) {
		ec2_error_memory(error);
		return TOKEN_FAILED;
	}
	snprintf(token->key, sizeof(token->key), TOKEN_FOLDER "%s/%s", scope, text);
	document = store_get(ec2->store, token->key, NULL);
	if (document == NULL)
		return TOKEN_NEW;
	if (strcmp(doc_str(document, "Fingerprint", ""), token->fingerprint) != 0) {
		aws_error_set(error, 400, "IdempotentParameterMismatch",
			      "Arguments on this idempotent request are inconsistent with "
			      "arguments used in previous request(s).");
		json_decref(document);
		return TOKEN_FAILED;
	}
	*result = json_incref(json_object_get(document, "Result"));
	json_decref(document);
	return TOKEN_REPEATED;
}

void token_put(struct ec2 *ec2, struct store_txn *txn, const struct token *token, json_t *result)
{
	if (token->key[0] == '\0') {
		json_decref(result);
		return;
	}
	store_put(txn, token->key,
		  json_pack("{s:s, s:I, s:o}", "Fingerprint", token->fingerprint, "CreatedMs",
			    (json_int_t)clock_now_ms(ec2->clock), "Result", result));
}

void token_note(struct ec2 *ec2, struct store_txn *txn, const char *scope, const char *id)
{
	char key[EC2_KEY_MAX];

	snprintf(key, sizeof(key), TOKEN_FOLDER "%s/%s", scope, id);
	store_put(txn, key, json_pack("{s:I}", "CreatedMs", (json_int_t)clock_now_ms(ec2->clock)));
}

bool token_is_noted(struct ec2 *ec2, const char *scope, const char *id)
{
	char key[EC2_KEY_MAX];

	snprintf(key, sizeof(key), TOKEN_FOLDER "%s/%.64s", scope, id);
	return store_peek(ec2->store, key, NULL) != NULL;
}

struct sweep {
	struct store_txn *txn;
	int64_t before_ms;
	int n;
};

static bool sweep_one(void *arg, const char *key, const json_t *document, int64_t revision)
{
	struct sweep *sweep = arg;

	(void)revision;
	if (doc_int(document, "CreatedMs", 0) < sweep->before_ms) {
		store_delete(sweep->txn, key);
		sweep->n++;
	}
	return true;
}

void token_sweep(struct ec2 *ec2, int64_t now_ms)
{
	struct sweep sweep = {.txn = store_begin(ec2->store), .before_ms = now_ms - TOKEN_LIFE_MS};
	struct err err = {0};

	if (sweep.txn == NULL)
		return;
	store_scan(ec2->store, TOKEN_FOLDER, sweep_one, &sweep);
	if (sweep.n == 0)
		store_abort(sweep.txn);
	else if (store_commit(sweep.txn, &err) != STORE_OK)
		log_warn("token-sweep-failed", "why=\"%s\"", err.text);
}
