/*
 * Which of many rules can hold for a request at all.  Each rule is filed under the
 * rarest value of its conditions that can be looked up: exact host, path, header, query pair,
 * method, network; the fixed beginning, end or middle of a wildcard pattern, the beginning of an
 * anchored expression.  All
 * keys are 64-bit hashes in one open table, salted with the node they belong to: where many rules
 * share a key, their node is split again by another condition.  What is found is evaluated
 * in full, so a collision costs time, never truth.  Rules with nothing to look up are tried one
 * by one.  Pure, built in the arena; a search allocates nothing.
 */
#ifndef LB_ROUTING_RULE_INDEX_H
#define LB_ROUTING_RULE_INDEX_H

#include "lb/routing/rule_condition.h"

struct rule_index;

/* rules: in order of priority; borrowed.  NULL with err without memory. */
MUST_CHECK struct rule_index *rule_index_new(const struct rule *rules, size_t n_rules,
					     struct arena *arena, struct err *err);

/* The first rule that holds, or n_rules. */
size_t rule_index_find(const struct rule_index *index, const struct rule_request *request);

#endif
