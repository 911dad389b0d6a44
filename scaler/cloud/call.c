/*
 * Calls under way: what the callback gets as its argument.
 */
#include <stdlib.h>
#include <string.h>

#include "scaler/cloud/rim_parts.h"

struct call *call_new(struct rim *rim, const struct action *action)
{
	struct call *call = malloc(sizeof *call);

	if (!call)
		return NULL;
	call->rim = rim;
	call->action = *action;
	LIST_INSERT_HEAD(&rim->calls, call, link);
	return call;
}

/* The group may be gone when the answer comes, so it is named, not pointed to. */
struct call *call_about(struct rim *rim, const struct group *group)
{
	struct action about;

	memset(&about, 0, sizeof about);
	memcpy(about.group, group->name, sizeof about.group);
	return call_new(rim, &about);
}

void call_free(struct call *call)
{
	if (!call)
		return;
	LIST_REMOVE(call, link);
	free(call);
}
