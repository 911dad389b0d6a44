/*
 * A listener's rules, compiled, and the choice among them: the lowest priority
 * whose conditions all hold, else the default action.  What it costs hardly depends on the
 * number of rules, as long as they have something to be looked up by (see rule_index.h).
 * Pure; matching allocates nothing and may run on any thread.  The rules of two snapshots may share
 * what is compiled; it goes with the last of them.
 */
#ifndef LB_ROUTING_RULES_H
#define LB_ROUTING_RULES_H

#include "lb/routing/arena.h"
#include "lb/routing/snapshot.h"
#include "lb/routing/text.h"

/* What rules look at, prepared by the caller. */
struct rule_request {
	struct text host;  /* without port */
	struct text path;  /* normalised: see path_normalise() */
	struct text query; /* without '?' */
	struct text method;
	const struct sockaddr *client;
	const struct header *headers;
	size_t n_headers;
};

struct transforms; /* lb/routing/rewrite.h */

struct rule_match {
	const struct action *action;
	const struct transforms *transforms; /* NULL = none */
	unsigned priority;                   /* 0 = the default action */
	/* The rules up to the one that holds, as ALB's metric counts them; the default is not. */
	unsigned evaluated;
};

struct rules;

struct rules *rules_new(const struct action *default_action, struct arena *arena);
/* Where strings of the rules' actions live: not the arena that rules_new() was given. */
struct arena *rules_arena(struct rules *rules);
/* The action's strings must live in rules_arena() already.  -1 with err on a bad condition. */
MUST_CHECK int rules_add(struct rules *rules, const struct rule_config *config, struct err *err);
/* Sorts and indexes; call once after the last rule.  -1 with err when a priority is used twice. */
MUST_CHECK int rules_finish(struct rules *rules, struct arena *arena, struct err *err);
const struct action *rules_default(const struct rules *rules);
bool rules_are_finished(const struct rules *rules);
/* Gives back what is not in the arena; before arena_fini(), finished or not. */
void rules_fini(struct rules *rules);

/*
 * Finished rules once more, for another snapshot: what is compiled is shared, only the actions are
 * copied, with target groups found anew by their ARN.  NULL with err when find() returns NULL.
 */
MUST_CHECK struct rules *rules_again(const struct rules *rules, const struct action *default_action,
				     rules_find_fn find, void *arg, struct arena *arena,
				     struct err *err);

void rules_match(const struct rules *rules, const struct rule_request *request,
		 struct rule_match *match);

/* For explaining: rules in order of priority, their conditions in the order they were given. */
size_t rules_count(const struct rules *rules);
unsigned rules_priority(const struct rules *rules, size_t rule);
bool rules_condition_holds(const struct rules *rules, size_t rule, size_t condition,
			   const struct rule_request *request);

/*
 * The path as path-pattern sees it: dot segments removed, percent-encoded unreserved characters
 * decoded, repeated slashes kept.  Returns path itself when there is nothing to do, else a text in
 * buffer (size bytes); a path that does not fit is returned as it came.
 */
struct text path_normalise(struct text path, char *buffer, size_t size);

#endif
