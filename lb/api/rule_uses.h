/*
 * What all rules together use, kept up to date by a watch on the store: which priorities of a
 * listener are taken, which load balancers forward to a target group.  So that a change of
 * one rule need not read the others.  Control thread.
 */
#ifndef LB_API_RULE_USES_H
#define LB_API_RULE_USES_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/base/err.h"
#include "common/store/store.h"

struct rule_uses;

/* Watches the store, so it must be freed after the store is closed. NULL with err. */
MUST_CHECK struct rule_uses *rule_uses_new(struct store *store, struct err *err);
void rule_uses_free(struct rule_uses *uses); /* NULL is fine */

/* Hears of the fork's changes too, until it is closed; store_revert() before that, unless they are
 * merged.  -1 without memory. */
MUST_CHECK int rule_uses_follow(struct rule_uses *uses, struct store *fork);

/* False: memory ran out while it watched, what it says is not to be relied on.  NULL: false. */
bool rule_uses_are_complete(const struct rule_uses *uses);
bool rule_uses_priority(const struct rule_uses *uses, const char *listener_arn, int64_t priority);
/* New array of ARNs. */
json_t *rule_uses_load_balancers(const struct rule_uses *uses, const char *group_arn);

#endif
