/*
 * Rule documents into the snapshot builder's structs.  For compile.c alone.
 */
#ifndef LB_CONTROL_COMPILE_RULES_H
#define LB_CONTROL_COMPILE_RULES_H

#include <jansson.h>

#include "common/base/err.h"
#include "lb/routing/snapshot.h"

/* The snapshot's groups by ARN, while it is built.  {0} is empty. */
struct group_map {
	struct target_group **groups;
	size_t n, cap;
};

MUST_CHECK int group_map_add(struct group_map *map, struct target_group *group, struct err *err);
void group_map_fini(struct group_map *map);

/* Strings in action are borrowed from actions. */
MUST_CHECK int compile_action(const struct group_map *groups, const json_t *actions,
			      struct action *action, struct err *err);
MUST_CHECK int compile_rule(struct snapshot_builder *builder, const struct group_map *groups,
			    struct listener *listener, const json_t *rule, struct err *err);

#endif
