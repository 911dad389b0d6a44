/*
 * What the handlers of all nouns share: from ARN to store key, finding, listing and paging
 * documents, and the errors that come with it.  Only for lb/api and lb/control.
 */
#ifndef LB_API_RESOURCE_H
#define LB_API_RESOURCE_H

#include <jansson.h>
#include <stdbool.h>

#include "common/aws/codec.h"
#include "common/base/ids.h"
#include "lb/api/api.h"

enum resource_kind {
	RESOURCE_LOAD_BALANCER,
	RESOURCE_LISTENER,
	RESOURCE_RULE,
	RESOURCE_TARGET_GROUP,
	RESOURCE_KINDS,
};

enum { ELB_KEY_MAX = 256 };

/* The kind that an ARN names, or RESOURCE_KINDS when it is none of ours. */
enum resource_kind resource_kind_of(const char *arn);

/* "elb/targetgroup/web/0123..." of the ARN; -1 if it is not an ARN of this kind. */
MUST_CHECK int resource_key(const char *arn, enum resource_kind kind, char key[ELB_KEY_MAX]);

/* The key of a document beside the resource: area is "attributes", "tags" or "targets". */
MUST_CHECK int resource_side_key(const char *arn, const char *area, char key[ELB_KEY_MAX]);

/* The part of the ARN after "loadbalancer/", or from "targetgroup/" on: metric dimensions, logs. */
const char *resource_suffix(const char *arn);

/* A copy whose members may be set; what is in them is the store's and stays as it is.  So are all
 * the copies below.  NULL with the kind's NotFound or ValidationError. */
json_t *resource_get(struct elb_api *api, enum resource_kind kind, const char *arn,
		     struct aws_error *error);
/* The store's own, borrowed until the next commit. */
const json_t *resource_peek(const struct elb_api *api, enum resource_kind kind, const char *arn,
			    struct aws_error *error);
bool resource_exists(struct elb_api *api, const char *arn);

/* A copy of the load balancer or target group of this name, or NULL. */
json_t *resource_by_name(struct elb_api *api, enum resource_kind kind, const char *name);

/* A deep copy of a side document's array, or an empty one; NULL without memory. */
json_t *resource_side_list(struct elb_api *api, const char *arn, const char *area,
			   const char *member);
/* The store's own array, borrowed until the next commit; NULL when there is none. */
const json_t *resource_side_peek(const struct elb_api *api, const char *arn, const char *area,
				 const char *member);

/* New array of copies of all documents under a key prefix, in key order; NULL without memory. */
json_t *resource_list(struct store *store, const char *prefix);
/* The keys of a load balancer's listeners, of a listener's rules, begin with it; -1 if the ARN is
 * neither's. */
MUST_CHECK int resource_children_prefix(const char *parent_arn, enum resource_kind kind,
					char prefix[ELB_KEY_MAX + 16]);
/* The listeners of a load balancer, the rules of a listener. */
json_t *resource_children(struct elb_api *api, const char *parent_arn, enum resource_kind kind);

/* The documents of the ARNs asked for; NULL with NotFound for the first that is not there. */
json_t *resource_get_all(struct elb_api *api, enum resource_kind kind, const json_t *arns,
			 struct aws_error *error);
json_t *resource_get_named(struct elb_api *api, enum resource_kind kind, const json_t *names,
			   struct aws_error *error);

/* Puts the resource's side documents and itself among the transaction's deletions. */
void resource_delete(struct store_txn *txn, const char *arn);

/* Keeps the tags of a create call; -1 with error (DuplicateTagKeys, TooManyTags). */
MUST_CHECK int resource_put_tags(struct store_txn *txn, const char *arn, const json_t *tags,
				 struct aws_error *error);
/* -1 with DuplicateTagKeys or TooManyTags. */
MUST_CHECK int resource_check_tags(const json_t *tags, struct aws_error *error);

/*
 * {member: [page of list], "NextMarker": ..}: takes over list, which is in the order of key_of.
 * NULL with ValidationError for a broken Marker.
 */
typedef void (*page_key_fn)(const json_t *item, char key[ELB_KEY_MAX]);
json_t *resource_page(const json_t *input, const char *member, json_t *list, page_key_fn key_of,
		      struct aws_error *error);

/* Commits; -1 with error when the store failed. */
MUST_CHECK int resource_commit(struct store_txn *txn, struct aws_error *error);

/* {member: [document]}, taking over the reference; what a create and a modify answer. */
json_t *resource_answer(const char *member, json_t *document);

void error_validation(struct aws_error *error, const char *format, ...) PRINTF_LIKE(2, 3);
void error_memory(struct aws_error *error);

/* Letters, digits and hyphens, 1-32, no hyphen at the ends; -1 with ValidationError. */
MUST_CHECK int resource_check_name(const char *name, const char *what, struct aws_error *error);

/* Does this list of actions forward to the group? */
bool actions_use_group(const json_t *actions, const char *group_arn);
/* The load balancer that a rule's ARN names: listener-rule/app/NAME/ID/... */
bool rule_load_balancer_arn(const char *rule_arn, char arn[ARN_TEXT_MAX]);
/* New array of the ARNs of the load balancers whose rules forward to the group. */
json_t *group_load_balancers(const struct elb_api *api, const char *group_arn);

#endif
