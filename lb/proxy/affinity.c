/* See affinity.h. */
#include "lb/proxy/affinity.h"

#include "lb/proxy/exchange.h"
#include "lb/proxy/worker.h"
#include "lb/routing/balance.h"

static int64_t now_s(const struct exchange *ex)
{
	return worker_wall_us(ex->worker) / 1000000;
}

static enum sticky_found read_jar(struct exchange *ex, enum sticky_kind kind,
				  struct sticky_jar *jar)
{
	return sticky_read(ex->worker->sticky, kind, ex->request->headers, ex->request->n_headers,
			   jar);
}

/* ---- groups ---- */

/* A binding is to the set of groups, in whatever order and of whatever rule. */
static uint64_t scope_of(const struct action *action)
{
	uint64_t scope = 0;

	for (unsigned i = 0; i < action->forward.n_groups; i++)
		scope += action->forward.groups[i].group->sticky_id;
	return scope ? scope : 1;
}

/* Weight 0 ends new sessions, not those that are bound. */
static struct target_group *bound_group(const struct exchange *ex, const struct action *action)
{
	uint64_t choice;

	if (!sticky_find(&ex->affinity.groups, ex->affinity.group_scope, now_s(ex), &choice))
		return NULL;
	for (unsigned i = 0; i < action->forward.n_groups; i++)
		if (action->forward.groups[i].group->sticky_id == choice)
			return action->forward.groups[i].group;
	return NULL;
}

struct target_group *affinity_choose_group(struct exchange *ex, const struct action *action)
{
	struct affinity *affinity = &ex->affinity;
	struct target_group *group = NULL;

	if (action->forward.sticky_s > 0 && ex->worker->sticky) {
		affinity->group_scope = scope_of(action);
		affinity->group_s = action->forward.sticky_s;
		affinity->is_group_cookie_invalid =
		    read_jar(ex, STICKY_GROUP, &affinity->groups) == STICKY_INVALID;
		if (affinity->is_group_cookie_invalid)
			ex->error_reason = "AWSALBTGCookieInvalid";
		group = bound_group(ex, action);
	}
	return group ? group : balance_group(action, worker_random(ex->worker));
}

/* ---- targets ---- */

/* The client must bring the application's cookie back as well; only its name counts. */
static bool has_app_cookie(const struct exchange *ex)
{
	return sticky_has_cookie(ex->request->headers, ex->request->n_headers,
				 text_of(ex->group->attributes.app_cookie), NULL);
}

void affinity_find_target(struct exchange *ex)
{
	const struct target_group *group = ex->group;
	struct affinity *affinity = &ex->affinity;
	bool is_app = group->attributes.stickiness == STICKINESS_APP;
	uint64_t choice;

	if (group->attributes.stickiness == STICKINESS_OFF || !ex->worker->sticky)
		return;
	if (read_jar(ex, is_app ? STICKY_APP : STICKY_TARGET, &affinity->targets) != STICKY_GOOD)
		return;
	if (is_app && !has_app_cookie(ex))
		return;
	if (!sticky_find(&affinity->targets, group->sticky_id, now_s(ex), &choice))
		return;
	affinity->target = choice;
	affinity->has_app_binding = is_app;
}

/* ---- the response ---- */

static void bind_target(struct exchange *ex, enum sticky_kind kind, struct sticky_cookies *cookies)
{
	sticky_bind(&ex->affinity.targets, ex->group->sticky_id, ex->last_target->sticky_id,
		    now_s(ex), ex->group->attributes.sticky_s);
	sticky_write(ex->worker->sticky, kind, &ex->affinity.targets, now_s(ex), cookies);
}

/* The application begins the session; from then on every response renews it. */
static void write_app(struct exchange *ex, struct sticky_cookies *cookies)
{
	bool begins = sticky_sets_cookie(ex->response->headers, ex->response->n_headers,
					 text_of(ex->group->attributes.app_cookie));

	if (begins || ex->affinity.has_app_binding)
		bind_target(ex, STICKY_APP, cookies);
	else
		sticky_write_removed(ex->worker->sticky, now_s(ex), cookies);
}

const struct sticky_cookies *affinity_cookies(struct exchange *ex)
{
	struct sticky_cookies *cookies = &ex->worker->cookies;

	cookies->n = 0;
	cookies->used = 0;
	if (!ex->worker->sticky)
		return cookies;
	if (ex->group->attributes.stickiness == STICKINESS_LB)
		bind_target(ex, STICKY_TARGET, cookies);
	else if (ex->group->attributes.stickiness == STICKINESS_APP)
		write_app(ex, cookies);
	if (ex->affinity.group_scope == 0)
		return cookies;
	sticky_bind(&ex->affinity.groups, ex->affinity.group_scope, ex->group->sticky_id, now_s(ex),
		    ex->affinity.group_s);
	sticky_write(ex->worker->sticky, STICKY_GROUP, &ex->affinity.groups, now_s(ex), cookies);
	return cookies;
}
