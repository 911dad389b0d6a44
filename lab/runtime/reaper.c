/* See reaper.h. */
#include "lab/runtime/reaper.h"

#include <bsd/sys/queue.h>
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lab/runtime/procs.h"

struct watch {
	pid_t pid;
	reaper_fn fn;
	void *arg; /* borrowed: the caller's, until fn is called or the reaper freed */
	TAILQ_ENTRY(watch) link;
};

struct reaper {
	struct event *signal;
	TAILQ_HEAD(, watch) watches;
};

static struct watch *find(struct reaper *reaper, pid_t pid)
{
	struct watch *watch;

	TAILQ_FOREACH (watch, &reaper->watches, link) {
		if (watch->pid == pid)
			return watch;
	}
	return NULL;
}

static void on_child(evutil_socket_t signal, short what, void *arg)
{
	struct reaper *reaper = arg;
	int status;
	pid_t pid;

	(void)signal;
	(void)what;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		struct watch *watch = find(reaper, pid);

		if (watch == NULL)
			continue;
		TAILQ_REMOVE(&reaper->watches, watch, link);
		watch->fn(watch->arg, pid, status);
		free(watch);
	}
}

struct reaper *reaper_new(struct event_base *base, struct err *err)
{
	struct reaper *reaper = calloc(1, sizeof(*reaper));

	if (reaper == NULL)
		goto oom;
	TAILQ_INIT(&reaper->watches);
	if (prctl(PR_SET_CHILD_SUBREAPER, 1) != 0) {
		err_set(err, errno, "PR_SET_CHILD_SUBREAPER: %s", strerror(errno));
		free(reaper);
		return NULL;
	}
	reaper->signal = evsignal_new(base, SIGCHLD, on_child, reaper);
	if (reaper->signal != NULL && event_add(reaper->signal, NULL) == 0)
		return reaper;
oom:
	reaper_free(reaper);
	err_set(err, ENOMEM, "out of memory");
	return NULL;
}

void reaper_free(struct reaper *reaper)
{
	struct watch *watch;

	if (reaper == NULL)
		return;
	while ((watch = TAILQ_FIRST(&reaper->watches)) != NULL) {
		TAILQ_REMOVE(&reaper->watches, watch, link);
		free(watch);
	}
	if (reaper->signal != NULL)
		event_free(reaper->signal);
	free(reaper);
}

int reaper_watch(struct reaper *reaper, pid_t pid, reaper_fn fn, void *arg)
{
	struct watch *watch = calloc(1, sizeof(*watch));

	if (watch == NULL)
		return -1;
	*watch = (struct watch){.pid = pid, .fn = fn, .arg = arg};
	TAILQ_INSERT_TAIL(&reaper->watches, watch, link);
	return 0;
}

int reaper_kill_strays(struct reaper *reaper)
{
	pid_t me = getpid(), my_session = getsid(0);
	struct procs procs;
	int n = 0;

	if (procs_read(&procs) != 0)
		return 0;
	for (size_t i = 0; i < procs.n; i++) {
		const struct proc *proc = &procs.list[i];

		if (proc->ppid != me || proc->sid == my_session || proc->state == 'Z' ||
		    find(reaper, proc->pid) != NULL)
			continue;
		procs_signal(&procs, proc->pid, SIGKILL);
		kill(proc->pid, SIGKILL);
		n++;
	}
	procs_fini(&procs);
	return n;
}
