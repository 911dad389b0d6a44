/* Requests that wait for a target: see hold_s of target groups.  See exchange.h. */
#include <string.h>

#include "lb/proxy/exchange_parts.h"
#include "lb/proxy/worker.h"

enum { HELD_MAX = 1024 /* a worker's */, HELD_LOOK_MS = 50 };

void exchange_leave_hold(struct exchange *ex)
{
	TAILQ_REMOVE(&ex->worker->held, ex, held);
	ex->worker->n_held--;
}

/* None is registered, or none has been found healthy or unhealthy yet: it is still being made. */
static bool is_in_the_making(const struct target_group *group)
{
	for (unsigned i = 0; i < group->n_targets; i++) {
		enum target_state state = target_state(group->targets[i]);

		if (state != TARGET_INITIAL && state != TARGET_UNUSED)
			return false;
	}
	return true;
}

static bool may_hold(const struct exchange *ex)
{
	return ex->group->attributes.hold_s > 0 && ex->worker->n_held < HELD_MAX &&
	       !ex->worker->is_draining && is_in_the_making(ex->group);
}

bool exchange_hold(struct exchange *ex)
{
	struct worker *worker = ex->worker;

	if (!may_hold(ex))
		return false;
	exchange_set_state(ex, EXCHANGE_HOLD);
	timer_stop(&ex->timer); /* held_until_us is its timeout now */
	ex->held_until_us = worker->loop.now_us + (int64_t)ex->group->attributes.hold_s * 1000000;
	TAILQ_INSERT_TAIL(&worker->held, ex, held);
	if (worker->n_held++ == 0)
		timer_start(&worker->loop, &worker->held_timer, HELD_LOOK_MS);
	exchange_count(ex, LB_COUNTER_HELD, 1);
	return true;
}

static struct target_group *group_now(const struct worker *worker, const char *arn)
{
	const struct snapshot *snapshot = worker->view->snapshot;

	for (size_t i = 0; i < snapshot_n_groups(snapshot); i++)
		if (strcmp(snapshot_group(snapshot, i)->arn, arn) == 0)
			return snapshot_group(snapshot, i);
	return NULL;
}

/* Targets come with a newer snapshot: the group is looked up there, the rest stays as it began. */
static void wake(struct exchange *ex)
{
	struct worker *worker = ex->worker;
	struct target_group *group = group_now(worker, ex->group->arn);
	bool is_over = !group || worker->loop.now_us >= ex->held_until_us || worker->is_draining;

	if (!is_over && is_in_the_making(group))
		return;
	exchange_leave_hold(ex);
	if (group) {
		struct view *before = ex->group_view;

		ex->group_view = view_ref(worker->view);
		ex->group = group;
		view_unref(before);
	}
	timer_start(&worker->loop, &ex->timer,
		    ex->listener->load_balancer->attributes.idle_timeout_s * 1000);
	exchange_set_state(ex, EXCHANGE_CONNECT);
	exchange_forward(ex);
}

void exchange_wake_held(struct worker *worker)
{
	struct exchange *ex, *next;

	TAILQ_FOREACH_SAFE (ex, &worker->held, held, next)
		wake(ex);
	if (worker->n_held > 0)
		timer_start(&worker->loop, &worker->held_timer, HELD_LOOK_MS);
	else
		timer_stop(&worker->held_timer);
}
