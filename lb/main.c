/*
 * albatross-lb: options, signals, and the loop that the control plane runs on.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include <event2/event.h>
#include <event2/thread.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/config/options.h"
#include "lb/control/control.h"
#include "lb/import/import.h"

enum {
	DRAIN_LIMIT_MS = 30000,
	/* Ctrl-C reaches a whole process group, and its parent passes it on: that is one wish. */
	SAME_SIGNAL_MS = 300,
};

struct program {
	struct event_base *base;
	struct control *control;
	bool is_stopping;
	int64_t stopping_since_us;
};

static void end_loop(void *arg)
{
	struct program *program = arg;

	event_base_loopbreak(program->base);
}

/* The first one drains; the second ends it at once. */
static void on_stop(int number, short what, void *arg)
{
	struct program *program = arg;

	(void)what;
	if (program->is_stopping &&
	    clock_monotonic_us() - program->stopping_since_us < SAME_SIGNAL_MS * 1000)
		return;
	if (program->is_stopping) {
		log_info("stop", "signal=%d note=\"at once\"", number);
		end_loop(program);
		return;
	}
	program->is_stopping = true;
	program->stopping_since_us = clock_monotonic_us();
	control_drain(program->control, DRAIN_LIMIT_MS, end_loop, program);
}

static void on_reload(int number, short what, void *arg)
{
	struct program *program = arg;

	(void)number;
	(void)what;
	if (!program->is_stopping)
		control_reload(program->control);
}

static void on_reopen(int number, short what, void *arg)
{
	struct program *program = arg;

	(void)number;
	(void)what;
	control_reopen_logs(program->control);
}

/* Connections are what this program is made of. */
static void raise_file_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur == limit.rlim_max)
		return;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
		log_warn("file-limit", "why=\"%s\"", strerror(errno));
}

static int run(struct program *program, const char *file)
{
	static const struct {
		int number;
		event_callback_fn fn;
	} signals[] = {
	    {SIGTERM, on_stop}, {SIGINT, on_stop}, {SIGHUP, on_reload}, {SIGUSR1, on_reopen}};
	enum { SIGNALS = sizeof(signals) / sizeof(signals[0]) };
	struct event *events[SIGNALS];
	struct err err = {0};

	/* Before any thread starts: they inherit the handlers' dispositions, not more. */
	for (size_t i = 0; i < SIGNALS; i++) {
		events[i] = evsignal_new(program->base, signals[i].number, signals[i].fn, program);
		if (!events[i] || event_add(events[i], NULL) < 0) {
			fprintf(stderr, "albatross-lb: out of memory\n");
			return 1;
		}
	}
	program->control = control_start(program->base, file, &err);
	if (!program->control) {
		log_error("start-failed", "why=\"%s\"", err.text);
	} else {
		event_base_dispatch(program->base);
	}
	control_stop(program->control);
	for (size_t i = 0; i < SIGNALS; i++)
		event_free(events[i]);
	return program->control ? 0 : 1;
}

static int check(const struct config_options *options)
{
	struct err err = {0};

	if (control_check(options->file, &err) < 0)
		CHECK(err.text[0] != '\0');
	return config_options_verdict(options, &err);
}

int main(int argc, char **argv)
{
	struct config_options options = {
	    .program = "albatross-lb",
	    .summary = "HTTP load balancer with AWS's ELBv2 API\n\n"
		       "albatross-lb import --help: a live load balancer as a "
		       "configuration file\n"
		       "albatross-lb diff --help: what differs between a file "
		       "and what is live"};
	struct program program = {0};
	int status;

	if (import_command(argc, argv, &status))
		return status;
	switch (config_options_parse(argc, argv, &options)) {
	case CONFIG_OPTIONS_DONE:
		return 0;
	case CONFIG_OPTIONS_WRONG:
		return 2;
	case CONFIG_OPTIONS_RUN:
		break;
	}
	log_start(options.program, options.is_verbose ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO);
	if (options.is_check_only)
		return check(&options);
	signal(SIGPIPE, SIG_IGN);
	raise_file_limit();
	evthread_use_pthreads();
	program.base = event_base_new();
	if (!program.base) {
		fprintf(stderr, "albatross-lb: no event loop\n");
		return 1;
	}
	status = run(&program, options.file);
	event_base_free(program.base);
	log_info("stopped", "status=%d", status);
	libevent_global_shutdown();
	return status;
}
