/*
 * A listener's rules, compiled, and the choice among them: ascending priority,
 * the first whose conditions all hold, the default action last.  The compiled form
 * is this module's secret.  Pure; matching allocates nothing and may run on any
 * thread.
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

struct rule_match {
	const struct action *action;
	unsigned priority;  /* 0 = the default action */
	unsigned evaluated; /* rules looked at, the default not counted */
};

struct rules;

/* Actions and their strings must live in the arena already (rules keep them by value). */
struct rules *rules_new(const struct action *default_action, struct arena *arena);
/* -1 with err on a bad condition. */
MUST_CHECK int rules_add(struct rules *rules, const struct rule_config *config, struct arena *arena,
			 struct err *err);
/* Sorts; call once after the last rule.  -1 with err when a priority is used twice. */
MUST_CHECK int rules_finish(struct rules *rules, struct err *err);

void rules_match(const struct rules *rules, const struct rule_request *request,
		 struct rule_match *match);

/*
 * The path as path-pattern sees it: dot segments removed, percent-encoded unreserved characters
 * decoded, repeated slashes kept.  Returns path itself when there is nothing to do, else a text in
 * buffer (size bytes); a path that does not fit is returned as it came.
 */
struct text path_normalise(struct text path, char *buffer, size_t size);

#endif
