/*
 * The neighbours of EC2 that labs call too, as far as they do: IAM (roles and instance profiles,
 * kept and obeyed by nobody), SNS (topics whose messages go to http and https endpoints) and SSM
 * (the public parameters that name images).
 * Handlers stand one file a noun and are named handle_X.  Control thread.
 *
 * Documents in the store, in the shape that the Get actions print, with more under "Lab":
 *   iam/role/NAME  iam/instance-profile/NAME  iam/server-certificate/NAME
 *   sns/topic/NAME         {"TopicArn", "Attributes": {..}, "Tags": [..]}
 *   sns/subscription/UUID  {"SubscriptionArn", "TopicArn", "Protocol", "Endpoint", "Owner",
 *                           "Attributes": {..}, "Token", "IsConfirmed"}
 */
#ifndef LAB_NEIGHBOURS_NEIGHBOURS_H
#define LAB_NEIGHBOURS_NEIGHBOURS_H

#include "common/aws/server.h"
#include "common/store/store.h"
#include "lab/neighbours/delivery.h"

/* The context of all handlers. */
struct neighbours {
	struct store *store;       /* borrowed: main's, closed after */
	struct delivery *delivery; /* borrowed likewise; NULL: nothing is sent */
};

extern const struct aws_action iam_actions[], sns_actions[], ssm_actions[];
extern const size_t n_iam_actions, n_sns_actions, n_ssm_actions;

/* --- for the handlers --- */

enum { NEIGHBOURS_KEY_MAX = 320, NEIGHBOURS_MAX_TAGS = 50 };

void neighbours_error_memory(struct aws_error *error);

/* Writes one document, which it takes over; 0, or -1 with error. */
MUST_CHECK int neighbours_put(struct neighbours *neighbours, const char *key, json_t *document,
			      struct aws_error *error);
MUST_CHECK int neighbours_delete(struct neighbours *neighbours, const char *key,
				 struct aws_error *error);

/* All documents under a prefix in key order, shared with the store: not to be changed. */
json_t *neighbours_list(struct neighbours *neighbours, const char *prefix);

/* Adds tags to a list of them; -1 with the code and a text for too many. */
MUST_CHECK int neighbours_merge_tags(json_t *tags, const json_t *added, const char *code,
				     struct aws_error *error);

#endif
