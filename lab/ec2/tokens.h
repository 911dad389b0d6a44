/*
 * ClientToken idempotency: the same token with the same parameters gives the first result again,
 * with others IdempotentParameterMismatch.  Kept in the store with the thing it made, in one
 * transaction, so a crash can neither double nor lose it.  Control thread.
 */
#ifndef LAB_EC2_TOKENS_H
#define LAB_EC2_TOKENS_H

#include "lab/ec2/ec2.h"

enum token_result {
	TOKEN_NEW,      /* go on, and put it with the result */
	TOKEN_REPEATED, /* *result is what was put (new reference) */
	TOKEN_FAILED,   /* error is filled */
};

struct token {
	char key[EC2_KEY_MAX]; /* "" when the request has no ClientToken */
	char fingerprint[65];  /* of the parameters but the token */
};

/*
 * scope tells apart what may carry the same token: an action, or an action in a zone (RunInstances
 * is zonal with a zone or subnet in the request, regional without).
 */
MUST_CHECK enum token_result token_check(struct ec2 *ec2, const char *scope, const json_t *input,
					 struct token *token, json_t **result,
					 struct aws_error *error);

/* Adds the token and its result (a new reference is taken over) to txn; nothing without a token. */
void token_put(struct ec2 *ec2, struct store_txn *txn, const struct token *token, json_t *result);

/* Remembers for a day that id was (deregistered, ..: scope), beside the tokens. */
void token_note(struct ec2 *ec2, struct store_txn *txn, const char *scope, const char *id);
bool token_is_noted(struct ec2 *ec2, const char *scope, const char *id);

/* Forgets those of more than a day ago. */
void token_sweep(struct ec2 *ec2, int64_t now_ms);

#endif
