/*
 * What the files of SNS share: topics.c, subscriptions.c, publish.c.  Private to them.
 */
#ifndef LAB_NEIGHBOURS_SNS_H
#define LAB_NEIGHBOURS_SNS_H

#include "lab/neighbours/neighbours.h"

#define SNS_TOPICS "sns/topic/"
#define SNS_SUBSCRIPTIONS "sns/subscription/"

/* Sets InvalidParameter "Invalid parameter: .."; NULL, for returning. */
json_t *sns_invalid(struct aws_error *error, const char *format, ...) PRINTF_LIKE(2, 3);

/* The topic's document by ARN (new reference) and its key; NULL with NotFound. */
json_t *sns_topic(struct neighbours *neighbours, const char *arn, char key[NEIGHBOURS_KEY_MAX],
		  struct aws_error *error);

/* The subscriptions of a topic, shared with the store. */
json_t *sns_subscriptions_of(struct neighbours *neighbours, const char *topic_arn);

/* Posts a message of this type ("Notification", "SubscriptionConfirmation") to a subscription; more
 * are the members beside those that every message has (borrowed). */
void sns_send(struct neighbours *neighbours, const json_t *subscription, const char *type,
	      const char *message_id, const json_t *more);

/* A page of list (taken over) by 100: {member: [..], "NextToken": ..}; NULL with error. */
json_t *sns_page(json_t *list, const char *member, const json_t *input, struct aws_error *error);

#endif
