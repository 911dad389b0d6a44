/*
 * The generic half of the handlers: a resource found, created, changed and deleted, with its tags,
 * its dependencies, dry runs and ARNs.  What is special about a noun stays in its own file.
 * Control thread.
 */
#ifndef LAB_EC2_RESOURCE_H
#define LAB_EC2_RESOURCE_H

#include "lab/ec2/ec2.h"

/* The head of a handler; its body sees ec2, input and error. */
#define EC2_HANDLER(action) \
	static json_t *do_##action(struct ec2 *ec2, const json_t *input, struct aws_error *error); \
	AWS_DECLARE_ACTION(action) \
	json_t *handle_##action(void *context, const struct aws_call *call, const json_t *input, \
				struct aws_error *error) \
	{ \
		(void)call; \
		return do_##action(context, input, error); \
	} \
	static json_t *do_##action(struct ec2 *ec2, const json_t *input, struct aws_error *error)

/* Handlers that are nothing but their noun. */
#define EC2_DESCRIBE(action, noun) \
	EC2_HANDLER(action) \
	{ \
		return ec2_describe(ec2, &(noun), input, NULL, error); \
	}
#define EC2_DELETE(action, noun) \
	EC2_HANDLER(action) \
	{ \
		return ec2_delete(ec2, &(noun), input, error); \
	}

/* The document that the request's own id member (VpcId, ..) names; NULL with MissingParameter or
 * the noun's error.  New reference to a copy. */
MUST_CHECK json_t *ec2_find(struct ec2 *ec2, const struct ec2_noun *noun, const json_t *input,
			    struct aws_error *error);

/* Is it there?  -1 with the noun's error. */
MUST_CHECK int ec2_check_exists(struct ec2 *ec2, const struct ec2_noun *noun, const char *id,
				struct aws_error *error);

/* The first document whose member at path is text: a copy, NULL when there is none. */
json_t *ec2_find_by(struct ec2 *ec2, const struct ec2_noun *noun, const char *path,
		    const char *text);
/* Those whose member at path is text (path NULL: all); borrowed documents in a new list, NULL
 * without memory. */
MUST_CHECK json_t *ec2_find_all(struct ec2 *ec2, const struct ec2_noun *noun, const char *path,
				const char *text);
size_t ec2_count_by(struct ec2 *ec2, const struct ec2_noun *noun, const char *path,
		    const char *text);

/* The tags that the request gives to a new resource, put into document. */
MUST_CHECK int ec2_add_tags(const struct ec2_noun *noun, const json_t *input, json_t *document,
			    struct aws_error *error);

/* --- changes: gathered in a transaction, then committed, or not, all together --- */

/* Takes over the reference. */
void ec2_txn_put(struct store_txn *txn, const struct ec2_noun *noun, json_t *document);
void ec2_txn_delete(struct store_txn *txn, const struct ec2_noun *noun, const char *id);
/* The place where DryRun is obeyed: nothing is written then, and error says DryRunOperation.  Ends
 * txn in every case. */
MUST_CHECK int ec2_commit(struct store_txn *txn, const json_t *input, struct aws_error *error);

/* Tags and writes a new document (taken over): a new reference to it, or NULL with error. */
MUST_CHECK json_t *ec2_create(struct ec2 *ec2, const struct ec2_noun *noun, const json_t *input,
			      json_t *document, struct aws_error *error);
/* The same, and with a ClientToken only once: a repeated request gets the first answer. */
MUST_CHECK json_t *ec2_create_once(struct ec2 *ec2, const struct ec2_noun *noun,
				   const json_t *input, json_t *document, struct aws_error *error);
/* Writes a changed one (taken over): {"Return": true} or NULL with error. */
MUST_CHECK json_t *ec2_update(struct ec2 *ec2, const struct ec2_noun *noun, const json_t *input,
			      json_t *document, struct aws_error *error);
/* Deletes the one that the request names, unless something still uses it. */
MUST_CHECK json_t *ec2_delete(struct ec2 *ec2, const struct ec2_noun *noun, const json_t *input,
			      struct aws_error *error);
/* -1 with DependencyViolation. */
MUST_CHECK int ec2_check_unused(struct ec2 *ec2, const struct ec2_noun *noun, const char *id,
				struct aws_error *error);

/* --- small things --- */

json_t *ec2_answer_true(void); /* {"Return": true} */
/* ISO 8601 into text[CLOCK_TEXT_MAX]; returns text. */
const char *ec2_now(const struct ec2 *ec2, char text[]);
char *ec2_arn(const struct ec2 *ec2, const char *resource_type, const char *id, char arn[256]);
/* For the answer to a create: document (taken over, returned) with a state that has passed by the
 * next describe, so that waiters see both. */
json_t *ec2_now_shown(json_t *document, const char *member, const char *state);
/* document with the member at top level set (copied); NULL without memory.  New reference. */
json_t *ec2_with(const json_t *document, const char *member, json_t *value);
void ec2_error_missing(struct aws_error *error, const char *parameter);

#endif
