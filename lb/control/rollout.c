/* See rollout.h. */
#include "lb/control/rollout.h"

#include <bsd/sys/queue.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/doc/doc.h"

#define RULE_PREFIX "elb/listener-rule/"

enum { SWEEP_MS = 250, PATH_MAX_LEN = 256 };

struct retired {
	SLIST_ENTRY(retired) link;
	struct snapshot *snapshot;
};

SLIST_HEAD(retired_list, retired);

struct rollout {
	struct snapshot *newest; /* NULL before the first */
	json_t *changed;         /* since then: {"app/NAME/ID/LID" of a listener: true} */
	bool is_all_changed;     /* no memory to note which */
	struct retired_list retired;
	struct event *timer; /* pending while there are any */
};

static void drop(struct retired *retired)
{
	snapshot_unref(retired->snapshot);
	free(retired);
}

static void sweep(int fd, short what, void *arg)
{
	static const struct timeval again = {0, SWEEP_MS * 1000};
	struct rollout *rollout = arg;
	struct retired_list kept = SLIST_HEAD_INITIALIZER(kept);
	struct retired *retired;

	(void)fd;
	(void)what;
	while ((retired = SLIST_FIRST(&rollout->retired))) {
		SLIST_REMOVE_HEAD(&rollout->retired, link);
		if (snapshot_is_shared(retired->snapshot))
			SLIST_INSERT_HEAD(&kept, retired, link);
		else
			drop(retired);
	}
	rollout->retired = kept;
	if (!SLIST_EMPTY(&kept))
		event_add(rollout->timer, &again);
}

struct rollout *rollout_new(struct event_base *base, struct err *err)
{
	struct rollout *rollout = calloc(1, sizeof(*rollout));

	if (!rollout)
		goto oom;
	SLIST_INIT(&rollout->retired);
	rollout->changed = json_object();
	rollout->timer = evtimer_new(base, sweep, rollout);
	if (rollout->changed && rollout->timer)
		return rollout;
oom:
	rollout_free(rollout);
	err_set(err, ENOMEM, "out of memory");
	return NULL;
}

void rollout_free(struct rollout *rollout)
{
	struct retired *retired;

	if (!rollout)
		return;
	while ((retired = SLIST_FIRST(&rollout->retired))) {
		SLIST_REMOVE_HEAD(&rollout->retired, link);
		drop(retired);
	}
	snapshot_unref(rollout->newest);
	json_decref(rollout->changed);
	if (rollout->timer)
		event_free(rollout->timer);
	free(rollout);
}

/* "app/NAME/ID/LID" of a rule's key; -1 if it is none. */
static int listener_path(const char *key, char path[PATH_MAX_LEN])
{
	size_t len = strlen(RULE_PREFIX);
	const char *end = strrchr(key, '/');

	if (strncmp(key, RULE_PREFIX, len) != 0 || end < key + len ||
	    (size_t)(end - key) - len >= PATH_MAX_LEN)
		return -1;
	snprintf(path, PATH_MAX_LEN, "%.*s", (int)((size_t)(end - key) - len), key + len);
	return 0;
}

void rollout_note_change(struct rollout *rollout, const char *key, const json_t *document)
{
	char path[PATH_MAX_LEN];

	/* What the default rule says, the listener says itself. */
	if (listener_path(key, path) < 0 || doc_bool(document, "IsDefault", false))
		return;
	if (json_object_set_new(rollout->changed, path, json_true()) < 0)
		rollout->is_all_changed = true;
}

const struct listener *rollout_listener(const struct rollout *rollout, const char *arn)
{
	const char *path = strstr(arn, ":listener/");

	if (!rollout->newest || rollout->is_all_changed || !path ||
	    json_object_get(rollout->changed, path + strlen(":listener/")))
		return NULL;
	for (size_t i = 0; i < snapshot_n_listeners(rollout->newest); i++) {
		const struct listener *listener = snapshot_listener(rollout->newest, i);

		if (strcmp(listener->arn, arn) == 0)
			return listener;
	}
	return NULL;
}

static void retire(struct rollout *rollout, struct snapshot *snapshot)
{
	static const struct timeval soon = {0, SWEEP_MS * 1000};
	struct retired *retired = malloc(sizeof(*retired));

	if (!retired) { /* then the last worker frees it */
		snapshot_unref(snapshot);
		return;
	}
	retired->snapshot = snapshot;
	SLIST_INSERT_HEAD(&rollout->retired, retired, link);
	if (!evtimer_pending(rollout->timer, NULL))
		event_add(rollout->timer, &soon);
}

void rollout_done(struct rollout *rollout, struct snapshot *snapshot)
{
	if (rollout->newest)
		retire(rollout, rollout->newest);
	rollout->newest = snapshot_ref(snapshot);
	rollout->is_all_changed = false;
	json_object_clear(rollout->changed);
}
