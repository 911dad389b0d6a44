/* See children.h. */
#include "lab/children.h"

#include <bsd/sys/queue.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "lab/runtime/spawn.h"

enum {
	FIRST_PAUSE_MS = 200,
	LAST_PAUSE_MS = 5000,
	CALM_US = 10 * 1000 * 1000, /* alive so long: the next pause is the first again */
};

struct child {
	struct children *children; /* borrowed: it owns us */
	char program[64];
	char path[PATH_MAX];
	char config_file[PATH_MAX];
	bool is_verbose;
	pid_t pid; /* 0 = not running */
	int pause_ms;
	int64_t started_us;
	struct event *timer;
	TAILQ_ENTRY(child) link;
};

struct children {
	struct event_base *base;
	struct reaper *reaper;
	children_fatal_fn fatal;
	void *arg;
	bool have_worked, is_stopping;
	TAILQ_HEAD(, child) list;
};

static void on_end(void *arg, pid_t pid, int status);
static void restart_later(struct child *child);

static int launch(struct child *child, struct err *err)
{
	char *argv[] = {child->program, "-c", child->config_file, child->is_verbose ? "-v" : NULL,
			NULL};
	pid_t lab = getpid();

	child->pid = fork();
	if (child->pid == 0) {
		setpgid(0, 0);
		if (spawn_die_with(lab) != 0)
			_exit(125);
		spawn_clean(STDERR_FILENO + 1);
		execv(child->path, argv);
		_exit(126);
	}
	if (child->pid < 0) {
		child->pid = 0;
		err_set(err, errno, "fork: %s", strerror(errno));
		return -1;
	}
	child->started_us = clock_monotonic_us();
	log_info("child-started", "program=%s pid=%d", child->program, child->pid);
	if (reaper_watch(child->children->reaper, child->pid, on_end, child) == 0)
		return 0;
	kill(child->pid, SIGKILL); /* the reaper takes it, nobody else waits */
	child->pid = 0;
	err_set(err, ENOMEM, "out of memory");
	return -1;
}

static void on_pause_over(evutil_socket_t fd, short what, void *arg)
{
	struct child *child = arg;
	struct err err = {0};

	(void)fd;
	(void)what;
	if (child->children->is_stopping || child->pid != 0)
		return;
	if (launch(child, &err) == 0)
		return;
	log_error("child-not-started", "program=%s why=\"%s\"", child->program, err.text);
	restart_later(child); /* no process or no memory now is not for ever */
}

static void restart_later(struct child *child)
{
	struct timeval pause;

	if (clock_monotonic_us() - child->started_us > CALM_US)
		child->pause_ms = FIRST_PAUSE_MS;
	pause = (struct timeval){.tv_sec = child->pause_ms / 1000,
				 .tv_usec = child->pause_ms % 1000 * 1000L};
	event_add(child->timer, &pause);
	child->pause_ms = child->pause_ms * 2 < LAST_PAUSE_MS ? child->pause_ms * 2 : LAST_PAUSE_MS;
}

static void on_end(void *arg, pid_t pid, int status)
{
	struct child *child = arg;
	struct children *children = child->children;
	bool is_error = WIFEXITED(status) && WEXITSTATUS(status) != 0;

	child->pid = 0;
	if (children->is_stopping) {
		log_info("child-ended", "program=%s pid=%d", child->program, pid);
		return;
	}
	if (WIFEXITED(status))
		log_error("child-died", "program=%s pid=%d status=%d", child->program, pid,
			  WEXITSTATUS(status));
	else
		log_error("child-died", "program=%s pid=%d signal=%d", child->program, pid,
			  WTERMSIG(status));
	if (is_error && !children->have_worked)
		children->fatal(children->arg, child->program, WEXITSTATUS(status));
	else
		restart_later(child);
}

struct children *children_new(struct event_base *base, struct reaper *reaper,
			      children_fatal_fn fatal, void *arg, struct err *err)
{
	struct children *children = calloc(1, sizeof(*children));

	if (children == NULL) {
		err_set(err, ENOMEM, "out of memory");
		return NULL;
	}
	*children = (struct children){.base = base, .reaper = reaper, .fatal = fatal, .arg = arg};
	TAILQ_INIT(&children->list);
	return children;
}

void children_free(struct children *children)
{
	struct child *child;

	if (children == NULL)
		return;
	while ((child = TAILQ_FIRST(&children->list)) != NULL) {
		TAILQ_REMOVE(&children->list, child, link);
		if (child->pid != 0) {
			kill(child->pid, SIGKILL);
			waitpid(child->pid, NULL, 0);
		}
		event_free(child->timer);
		free(child);
	}
	free(children);
}

/* Beside our own binary. */
static int find_program(struct child *child, struct err *err)
{
	ssize_t len = readlink("/proc/self/exe", child->path, sizeof(child->path) - 80);
	char *slash;

	if (len < 0) {
		err_set(err, errno, "/proc/self/exe: %s", strerror(errno));
		return -1;
	}
	child->path[len] = '\0';
	slash = strrchr(child->path, '/');
	snprintf(slash + 1, 72, "%s", child->program);
	if (access(child->path, X_OK) == 0)
		return 0;
	err_set(err, errno, "%s: %s", child->path, strerror(errno));
	return -1;
}

int children_start(struct children *children, const char *program, const char *config_file,
		   bool is_verbose, struct err *err)
{
	struct child *child = calloc(1, sizeof(*child));

	if (child == NULL) {
		err_set(err, ENOMEM, "out of memory");
		return -1;
	}
	child->children = children;
	child->is_verbose = is_verbose;
	child->pause_ms = FIRST_PAUSE_MS;
	snprintf(child->program, sizeof(child->program), "%s", program);
	snprintf(child->config_file, sizeof(child->config_file), "%s", config_file);
	child->timer = evtimer_new(children->base, on_pause_over, child);
	if (child->timer == NULL) {
		err_set(err, ENOMEM, "out of memory");
		free(child);
		return -1;
	}
	if (find_program(child, err) == 0 && launch(child, err) == 0) {
		TAILQ_INSERT_TAIL(&children->list, child, link);
		return 0;
	}
	event_free(child->timer);
	free(child);
	return -1;
}

void children_have_worked(struct children *children)
{
	children->have_worked = true;
}

void children_signal(struct children *children, const char *program, int signal)
{
	struct child *child;

	TAILQ_FOREACH (child, &children->list, link) {
		if (child->pid != 0 && (program == NULL || strcmp(program, child->program) == 0))
			kill(child->pid, signal);
	}
}

void children_stop(struct children *children)
{
	children->is_stopping = true;
	children_signal(children, NULL, SIGTERM);
}

int children_count(const struct children *children)
{
	const struct child *child;
	int n = 0;

	TAILQ_FOREACH (child, &children->list, link) {
		n += child->pid != 0;
	}
	return n;
}
