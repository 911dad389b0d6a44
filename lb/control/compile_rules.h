/*
 * Rule documents into the snapshot builder's structs.  For compile.c, and explain_page.c.
 */
#ifndef LB_CONTROL_COMPILE_RULES_H
#define LB_CONTROL_COMPILE_RULES_H

#include <jansson.h>

#include "common/base/err.h"
#include "lb/routing/snapshot.h"

enum { CONDITIONS_MAX = 16, VALUES_MAX = 64 };

/* A rule's conditions and transforms as the builder wants them; strings are the document's. */
struct rule_parts {
	struct condition conditions[CONDITIONS_MAX];
	struct condition_value values[VALUES_MAX];
	size_t n_values;
	struct rule_config config; /* all but the action */
};

/* The snapshot's groups by ARN, while it is built.  {0} is empty. */
struct group_map {
	struct target_group **groups;
	size_t n, cap;
};

MUST_CHECK int group_map_add(struct group_map *map, struct target_group *group, struct err *err);
void group_map_sort(struct group_map *map); /* after the last group, before it is used */
/* After the sort; NULL = none. */
struct target_group *group_map_find(const struct group_map *map, const char *arn);
void group_map_fini(struct group_map *map);

/* Strings in action are borrowed from actions. */
MUST_CHECK int compile_action(const struct group_map *groups, const json_t *actions,
			      struct action *action, struct err *err);
MUST_CHECK int compile_conditions(const json_t *rule, struct rule_parts *parts, struct err *err);
MUST_CHECK int compile_rule(struct snapshot_builder *builder, const struct group_map *groups,
			    struct listener *listener, const json_t *rule, struct err *err);

#endif
