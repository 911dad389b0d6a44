/* See machine.h: from user data to a running init. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/log.h"
#include "lab/ec2/base64.h"
#include "lab/runtime/init.h"
#include "lab/runtime/machine.h"
#include "lab/runtime/spawn.h"
#include "lab/runtime/user_data.h"

/* In the child, between fork and exec: async-signal-safe calls only. */
static void exec_init(const struct machine *machine, char *const argv[], char *const env[],
		      int console, int report, pid_t lab)
{
	int null = open("/dev/null", O_RDONLY);

	setsid();
	if (spawn_die_with(lab) != 0 || chdir(machine->dir) != 0)
		_exit(125);
	dup2(null, STDIN_FILENO);
	dup2(console, STDOUT_FILENO);
	dup2(console, STDERR_FILENO);
	if (report != INIT_REPORT_FD)
		dup2(report, INIT_REPORT_FD);
	else
		fcntl(report, F_SETFD, 0);
	spawn_clean(INIT_REPORT_FD + 1);
	execve("/proc/self/exe", argv, env);
	_exit(126);
}

static int fork_init(struct machine *machine, const char *script, int console, int report,
		     struct err *err)
{
	char *argv[] = {"albatross-lab", INIT_MODE, machine->id, (char *)script, NULL};
	char **env = machine_env_new(machine, machine->config);
	pid_t lab = getpid();

	if (env == NULL) {
		err_set(err, ENOMEM, "out of memory");
		return -1;
	}
	machine->pid = fork();
	if (machine->pid == 0)
		exec_init(machine, argv, env, console, report, lab);
	machine_env_free(env);
	if (machine->pid > 0)
		return 0;
	machine->pid = 0;
	err_set(err, errno, "fork: %s", strerror(errno));
	return -1;
}

static int open_reports(struct machine *machine, event_callback_fn on_report, int *write_end,
			struct err *err)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) != 0) {
		err_set(err, errno, "pipe: %s", strerror(errno));
		return -1;
	}
	fcntl(ends[0], F_SETFL, O_NONBLOCK);
	machine->report_pipe = ends[0];
	*write_end = ends[1];
	machine->report_event =
	    event_new(machine->config->base, ends[0], EV_READ | EV_PERSIST, on_report, machine);
	if (machine->report_event != NULL && event_add(machine->report_event, NULL) == 0)
		return 0;
	err_set(err, ENOMEM, "out of memory");
	close(ends[1]);
	return -1;
}

/* Writes the script where there is one; script becomes "" for an instance that only idles. */
static int place_script(struct machine *machine, char script[FILES_PATH_MAX + 80], struct err *err)
{
	size_t len = 0;
	unsigned char *bytes = base64_decode(machine->user_data, &len);
	const char *what;
	int result = 0;

	script[0] = '\0';
	if (bytes == NULL) {
		err_set(err, EINVAL, "user data is not base64");
		return -1;
	}
	switch (user_data_kind(bytes, len, &what)) {
	case USER_DATA_SCRIPT:
		snprintf(script, FILES_PATH_MAX + 80, "%s/user-data", machine->dir);
		unlink(script);
		result = files_write(script, bytes, len, 0700, err);
		break;
	case USER_DATA_UNSUPPORTED:
		err_set(err, ENOTSUP,
			"user data of kind %s is not supported by the process runtime, which runs "
			"scripts (#!) only",
			what);
		result = -1;
		break;
	case USER_DATA_TEXT:
		log_warn("user-data-ignored", "id=%s why=\"not a script (#!)\"", machine->id);
		break;
	case USER_DATA_NONE:
	default:
		break;
	}
	free(bytes);
	return result;
}

/* Starts init with the script; every failure before a process exists is in err. */
static int boot_process(struct machine *machine, const char *script, event_callback_fn on_report,
			reaper_fn on_end, struct err *err)
{
	int console = -1, report = -1, result = -1;

	if (open_reports(machine, on_report, &report, err) != 0)
		goto out;
	if (console_open(&machine->console, machine->config->base, machine->dir, &console, err) !=
	    0)
		goto out;
	if (fork_init(machine, script, console, report, err) != 0)
		goto out;
	result = reaper_watch(machine->config->reaper, machine->pid, on_end, machine);
	if (result != 0) {
		kill(machine->pid, SIGKILL);
		err_set(err, ENOMEM, "out of memory");
	}
out:
	if (console >= 0)
		close(console);
	if (report >= 0)
		close(report);
	return result;
}

int machine_boot(struct machine *machine, event_callback_fn on_report, reaper_fn on_end,
		 struct err *err)
{
	char script[FILES_PATH_MAX + 80];

	if (place_script(machine, script, err) != 0)
		return -1;
	return boot_process(machine, script, on_report, on_end, err);
}
