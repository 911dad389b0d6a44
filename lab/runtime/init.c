/* See init.h. */
#include "lab/runtime/init.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "lab/runtime/procs.h"

enum { EXEC_TRIES = 20, EXEC_PAUSE_US = 10000, KILL_PERIOD_MS = 50, MAX_WAIT_MS = 1000 };

struct init {
	pid_t lab;           /* the parent at start */
	pid_t script;        /* 0 when it has ended or there was none */
	int signals;         /* signalfd */
	bool is_ending;      /* told to stop, or the script failed */
	int64_t kill_at_us;  /* monotonic; while ending: SIGKILL from then on */
	bool is_idle_wanted; /* nothing runs, and that is as it should be */
	bool is_left_alone;  /* the script ended well and left processes */
};

static void report(enum init_report_kind kind, int32_t value)
{
	struct init_report text = {.kind = (int32_t)kind, .value = value};

	if (write(INIT_REPORT_FD, &text, sizeof(text)) < 0)
		return; /* the lab is gone; SIGTERM is on its way */
}

/* --- the script --- */

/* In the child; failed is a pipe that closes by itself when exec works. */
static void exec_script(const char *script, int failed)
{
	char *argv[] = {(char *)script, NULL};
	sigset_t none;
	int error;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (int i = 0; i < EXEC_TRIES; i++) {
		execv(script, argv);
		/* Another child of the lab that was between fork and exec may still hold the file
		 * open for writing. */
		if (errno != ETXTBSY)
			break;
		usleep(EXEC_PAUSE_US);
	}
	error = errno;
	if (write(failed, &error, sizeof(error)) < 0)
		_exit(126);
	_exit(127);
}

/* 0, or the errno of the failure. */
static int start_script(struct init *init, const char *script)
{
	int error = 0, ends[2];
	ssize_t got;

	if (pipe2(ends, O_CLOEXEC) != 0)
		return errno;
	init->script = fork();
	if (init->script < 0) {
		error = errno;
		close(ends[0]);
		close(ends[1]);
		return error;
	}
	if (init->script == 0)
		exec_script(script, ends[1]);
	close(ends[1]);
	do {
		got = read(ends[0], &error, sizeof(error));
	} while (got < 0 && errno == EINTR);
	close(ends[0]);
	return got == sizeof(error) ? error : 0;
}

/* --- ending --- */

static int signal_all(int signal)
{
	struct procs procs;
	int n;

	if (procs_read(&procs) != 0)
		return -1;
	n = procs_signal(&procs, getpid(), signal);
	procs_fini(&procs);
	return n;
}

static void begin_end(struct init *init, int grace_ms)
{
	if (init->is_ending)
		return;
	init->is_ending = true;
	init->is_idle_wanted = false;
	init->kill_at_us = clock_monotonic_us() + (int64_t)grace_ms * 1000;
	signal_all(grace_ms > 0 ? SIGTERM : SIGKILL);
	signal_all(SIGCONT); /* a stopped process cannot hear SIGTERM */
}

/* --- events --- */

static void on_script_end(struct init *init, int status)
{
	init->script = 0;
	if (WIFSIGNALED(status)) {
		report(INIT_KILLED, WTERMSIG(status));
		begin_end(init, 0);
		return;
	}
	report(INIT_EXITED, WEXITSTATUS(status));
	if (WEXITSTATUS(status) != 0) {
		begin_end(init, 0);
		return;
	}
	init->is_left_alone = true;
}

/* Waits for all that ended; false when no child is left. */
static bool reap(struct init *init)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		if (pid == init->script)
			on_script_end(init, status);
	return pid == 0 || errno != ECHILD;
}

static void read_signals(struct init *init)
{
	struct signalfd_siginfo info;

	while (read(init->signals, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo == SIGCHLD)
			continue; /* reap() looks anyway */
		/* From the lab, or from the kernel because the lab died: no grace then. */
		begin_end(init, getppid() != init->lab ? 0 : INIT_GRACE_MS);
	}
}

/* A script that did its work and left nothing running leaves the instance up, as on EC2. */
static void run(struct init *init)
{
	bool was_populated = false;

	for (;;) {
		struct pollfd fd = {.fd = init->signals, .events = POLLIN};
		bool has_children = reap(init);

		if (!has_children && init->is_left_alone && !was_populated && !init->is_ending)
			init->is_idle_wanted = true;
		if (!has_children && !init->is_idle_wanted)
			return;
		if (has_children && init->is_left_alone)
			was_populated = true;
		if (init->is_ending && clock_monotonic_us() >= init->kill_at_us)
			signal_all(SIGKILL);
		if (poll(&fd, 1, init->is_ending ? KILL_PERIOD_MS : MAX_WAIT_MS) > 0)
			read_signals(init);
	}
}

static int set_up(struct init *init)
{
	sigset_t signals;

	sigemptyset(&signals);
	sigaddset(&signals, SIGCHLD);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGHUP);
	if (sigprocmask(SIG_SETMASK, &signals, NULL) != 0)
		return -1;
	init->signals = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
	if (init->signals < 0 || prctl(PR_SET_CHILD_SUBREAPER, 1) != 0)
		return -1;
	return fcntl(INIT_REPORT_FD, F_SETFD, FD_CLOEXEC);
}

int init_main(int argc, char *argv[])
{
	struct init init = {.lab = getppid()};
	const char *script = argc > 3 ? argv[3] : "";
	int error;

	if (argc < 3 || set_up(&init) != 0) {
		fprintf(stderr, "albatross-lab %s: only for the lab itself\n", INIT_MODE);
		return 2;
	}
	if (*script == '\0') {
		init.is_idle_wanted = true;
		report(INIT_STARTED, 0);
	} else {
		error = start_script(&init, script);
		report(error != 0 ? INIT_EXEC_FAILED : INIT_STARTED, error);
		if (error != 0)
			return 1;
	}
	run(&init);
	report(INIT_EMPTY, 0);
	return 0;
}
