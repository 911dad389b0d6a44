/*
 * What the handlers of all nouns share: errors in Auto Scaling's words, finding, paging.  Only for
 * scaler/api.
 */
#ifndef SCALER_API_REPLY_H
#define SCALER_API_REPLY_H

#include "scaler/api/autoscaling.h"

int64_t reply_now_ms(const struct autoscaling *as);
/* ValidationError; returns NULL for the handler to return. */
json_t *reply_invalid(struct aws_error *error, const char *format, ...) PRINTF_LIKE(2, 3);
/* The group that the input's AutoScalingGroupName names; NULL with ValidationError. */
struct group *reply_group(struct autoscaling *as, const json_t *input, struct aws_error *error);
/* The same for what ends, starts or moves instances at once: refused in a dry run. */
struct group *reply_group_to_touch(struct autoscaling *as, const json_t *input,
				   struct aws_error *error);
bool reply_may_touch(const struct autoscaling *as, struct aws_error *error);
/* Writes; output is taken over and returned, or NULL with InternalFailure. */
json_t *reply_written(struct autoscaling *as, json_t *output, struct aws_error *error);

/*
 * A page of items (taken over; JSON array): {list_name: [...], NextToken}.  The token is the place
 * in the list, so a list that changes meanwhile may repeat or skip an item, as AWS's may.
 */
json_t *reply_page(const json_t *input, const char *list_name, json_t *items, int default_max,
		   int max, struct aws_error *error);
/* Is text among the input's list of that name, or is there no such list? */
bool reply_wants(const json_t *input, const char *list_name, const char *text);

#endif
