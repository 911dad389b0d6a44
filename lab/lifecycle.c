/* See lifecycle.h. */
#include "lab/lifecycle.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/doc/doc.h"

enum {
	SECOND_MS = 1000,
	WANTED_MS = 5000,
	PAGES_MAX = 200,
};

struct lifecycle {
	struct aws_client *client;
	struct event *timer;
	int64_t wanted_ms; /* by somebody, the latest time */
	int64_t asked_ms;  /* the answer that is known */
	json_t *states;    /* {instance id: {LifecycleState, AutoScalingGroupName}} */
	json_t *pools;     /* {group: PoolState} */
	/* The question under way. */
	bool is_busy;
	int64_t began_ms;
	json_t *so_far;
	int n_pages;
};

static void over(struct lifecycle *lifecycle)
{
	json_decref(lifecycle->so_far);
	lifecycle->so_far = NULL;
	lifecycle->is_busy = false;
}

static void finish(struct lifecycle *lifecycle)
{
	json_decref(lifecycle->states);
	lifecycle->states = json_incref(lifecycle->so_far);
	lifecycle->asked_ms = lifecycle->began_ms;
	over(lifecycle);
}

/* ---- warm pools: only asked about while something enters one ---- */

static void on_groups(void *arg, const json_t *output, const struct aws_error *error)
{
	struct lifecycle *lifecycle = arg;
	const json_t *group;
	size_t i;

	(void)error;
	json_array_foreach (doc_array(output, "AutoScalingGroups"), i, group) {
		const json_t *pool = doc_object(group, "WarmPoolConfiguration");

		if (pool != NULL)
			json_object_set_new(lifecycle->pools,
					    doc_str(group, "AutoScalingGroupName", ""),
					    json_string(doc_str(pool, "PoolState", "Stopped")));
	}
	finish(lifecycle);
}

static bool is_warming(const json_t *states)
{
	const char *id;
	json_t *one;

	json_object_foreach ((json_t *)states, id, one) {
		if (strncmp(doc_str(one, "LifecycleState", ""), "Warmed:Pending", 14) == 0)
			return true;
	}
	return false;
}

static void ask_groups(struct lifecycle *lifecycle)
{
	json_t *input = json_pack("{s:b, s:i}", "IncludeInstances", 0, "MaxRecords", 100);
	struct err err = {0};

	if (input == NULL || aws_client_call(lifecycle->client, "DescribeAutoScalingGroups", input,
					     on_groups, lifecycle, &err) == NULL)
		finish(lifecycle);
	json_decref(input);
}

/* ---- instances ---- */

static void ask(struct lifecycle *lifecycle, const char *token);

static void on_instances(void *arg, const json_t *output, const struct aws_error *error)
{
	const char *next = doc_str(output, "NextToken", "");
	struct lifecycle *lifecycle = arg;
	json_t *one;
	size_t i;

	(void)error;
	if (output == NULL) {
		over(lifecycle);
		return;
	}
	json_array_foreach (doc_array(output, "AutoScalingInstances"), i, one)
		json_object_set(lifecycle->so_far, doc_str(one, "InstanceId", ""), one);
	if (next[0] != '\0' && ++lifecycle->n_pages < PAGES_MAX)
		ask(lifecycle, next);
	else if (is_warming(lifecycle->so_far))
		ask_groups(lifecycle);
	else
		finish(lifecycle);
}

static void ask(struct lifecycle *lifecycle, const char *token)
{
	json_t *input = json_pack("{s:i}", "MaxRecords", 50);
	struct err err = {0};

	if (input != NULL && token != NULL)
		json_object_set_new(input, "NextToken", json_string(token));
	if (input == NULL || aws_client_call(lifecycle->client, "DescribeAutoScalingInstances",
					     input, on_instances, lifecycle, &err) == NULL)
		over(lifecycle);
	json_decref(input);
}

static void on_second(evutil_socket_t fd, short what, void *arg)
{
	struct timeval second = {.tv_sec = 1};
	struct lifecycle *lifecycle = arg;
	int64_t now_ms = clock_now_ms(NULL);

	(void)fd;
	(void)what;
	event_add(lifecycle->timer, &second);
	if (lifecycle->is_busy || now_ms - lifecycle->wanted_ms > WANTED_MS)
		return;
	lifecycle->so_far = json_object();
	if (lifecycle->so_far == NULL)
		return;
	lifecycle->is_busy = true;
	lifecycle->began_ms = now_ms;
	lifecycle->n_pages = 0;
	ask(lifecycle, NULL);
}

/* ---- life ---- */

struct lifecycle *lifecycle_new(struct event_base *base, struct aws_client *client, struct err *err)
{
	struct lifecycle *lifecycle = calloc(1, sizeof(*lifecycle));
	struct timeval second = {.tv_sec = 1};

	if (lifecycle == NULL)
		goto oom;
	lifecycle->client = client;
	lifecycle->states = json_object();
	lifecycle->pools = json_object();
	lifecycle->timer = evtimer_new(base, on_second, lifecycle);
	if (lifecycle->states != NULL && lifecycle->pools != NULL && lifecycle->timer != NULL &&
	    event_add(lifecycle->timer, &second) == 0)
		return lifecycle;
oom:
	lifecycle_free(lifecycle);
	err_set(err, ENOMEM, "out of memory");
	return NULL;
}

void lifecycle_free(struct lifecycle *lifecycle)
{
	if (lifecycle == NULL)
		return;
	if (lifecycle->timer != NULL)
		event_free(lifecycle->timer);
	json_decref(lifecycle->states);
	json_decref(lifecycle->pools);
	json_decref(lifecycle->so_far);
	free(lifecycle);
}

void lifecycle_want(struct lifecycle *lifecycle)
{
	lifecycle->wanted_ms = clock_now_ms(NULL);
}

/* ---- what is known ---- */

static const char *state_of(const struct lifecycle *lifecycle, const char *instance_id)
{
	return doc_str(json_object_get(lifecycle->states, instance_id), "LifecycleState", "");
}

bool lifecycle_is_warm(const struct lifecycle *lifecycle, const char *instance_id)
{
	return strncmp(state_of(lifecycle, instance_id), "Warmed:", 7) == 0;
}

const char *lifecycle_target(struct lifecycle *lifecycle, const char *instance_id, int64_t since_ms)
{
	const json_t *one = json_object_get(lifecycle->states, instance_id);
	const char *group = doc_str(one, "AutoScalingGroupName", "");

	lifecycle_want(lifecycle);
	if (lifecycle->asked_ms < since_ms)
		return NULL;
	return lifecycle_target_of(state_of(lifecycle, instance_id),
				   doc_str(lifecycle->pools, group, NULL));
}

const char *lifecycle_target_of(const char *state, const char *pool_state)
{
	static const struct {
		const char *start, *target;
	} states[] = {
	    {"Pending", "InService"},
	    {"InService", "InService"},
	    {"Terminat", "Terminated"},
	    {"EnteringStandby", "Standby"},
	    {"Standby", "Standby"},
	    {"Detach", "Detached"},
	    {"Warmed:Stopped", "Warmed:Stopped"},
	    {"Warmed:Running", "Warmed:Running"},
	    {"Warmed:Hibernated", "Warmed:Hibernated"},
	    {"Warmed:Terminat", "Warmed:Terminated"},
	};

	if (strncmp(state, "Warmed:Pending", 14) == 0 && pool_state != NULL)
		return strcmp(pool_state, "Running") == 0      ? "Warmed:Running"
		       : strcmp(pool_state, "Hibernated") == 0 ? "Warmed:Hibernated"
							       : "Warmed:Stopped";
	for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++)
		if (strncmp(state, states[i].start, strlen(states[i].start)) == 0)
			return states[i].target;
	return NULL;
}
