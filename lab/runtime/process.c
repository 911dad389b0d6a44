/* See process.h. */
#include "lab/runtime/process.h"

#include <bsd/sys/queue.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/ids.h"
#include "common/base/log.h"
#include "common/doc/doc.h"
#include "lab/runtime/addresses.h"
#include "lab/runtime/console.h"
#include "lab/runtime/files.h"
#include "lab/runtime/init.h"
#include "lab/runtime/machine.h"
#include "lab/runtime/procs.h"

enum {
	MAX_LEASE_TRIES = 512,
	BOOT_MS = 300,  /* a script that fails sooner never made the instance "running" */
	KILL_MS = 3000, /* init has had its grace and more: kill it too */
	STRAYS_MS = 20, /* between looks for what a killed init left */
	MAX_STRAY_LOOKS = 100,
	CONSOLE_SHOWN = 64 * 1024,
};

struct process_runtime {
	struct process_runtime_config config;
	TAILQ_HEAD(, machine) machines;
	uint32_t next_address; /* goes round, so that an address rests before it is used again */
};

static void set_timer(struct machine *machine, int ms)
{
	struct timeval delay = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000L};

	event_add(machine->timer, &delay);
}

static struct machine *find(struct process_runtime *runtime, const char *id)
{
	struct machine *machine;

	TAILQ_FOREACH (machine, &runtime->machines, link) {
		if (strcmp(machine->id, id) == 0)
			return machine;
	}
	return NULL;
}

/* --- lease --- */

static void machine_free(struct machine *machine)
{
	if (machine == NULL)
		return;
	imds_free(machine->imds);
	console_close(&machine->console);
	if (machine->report_event != NULL)
		event_free(machine->report_event);
	if (machine->report_pipe >= 0)
		close(machine->report_pipe);
	if (machine->timer != NULL)
		event_free(machine->timer);
	files_remove_tree(machine->dir);
	json_decref(machine->document);
	free(machine->user_data);
	free(machine);
}

static void on_timer(evutil_socket_t fd, short what, void *arg);

static struct machine *machine_new(struct process_runtime *runtime, const char *id)
{
	struct machine *machine = calloc(1, sizeof(*machine));

	if (machine == NULL)
		return NULL;
	machine->runtime = runtime;
	machine->config = &runtime->config;
	machine->report_pipe = -1;
	snprintf(machine->id, sizeof(machine->id), "%s", id);
	snprintf(machine->dir, sizeof(machine->dir), "%s/%s", runtime->config.dir, id);
	machine->timer = evtimer_new(runtime->config.base, on_timer, machine);
	if (machine->timer != NULL && mkdir(machine->dir, 0700) == 0)
		return machine;
	machine_free(machine);
	return NULL;
}

/* The first address of the subnet that nobody on this machine holds. */
static int lease_address(struct process_runtime *runtime, struct machine *machine, const char *cidr,
			 struct err *err)
{
	struct addresses addresses;

	if (addresses_parse(cidr, &addresses) != 0) {
		err_set(err, EINVAL, "%s is not a network of 127.0.0.0/8", cidr);
		return -1;
	}
	for (int i = 0; i < MAX_LEASE_TRIES; i++) {
		addresses_at(&addresses, runtime->next_address++, machine->address);
		machine->imds = imds_new(runtime->config.base, machine->address, machine->id,
					 runtime->config.metadata, runtime->config.arg, err);
		if (machine->imds != NULL)
			return 0;
	}
	return -1;
}

static int lease(void *arg, const char *id, const char *cidr, char address[EC2_ADDRESS_MAX],
		 struct err *err)
{
	struct process_runtime *runtime = arg;
	struct machine *machine = machine_new(runtime, id);

	if (machine == NULL) {
		err_set(err, ENOMEM, "%s: no memory or no folder", id);
		return -1;
	}
	if (lease_address(runtime, machine, cidr, err) != 0) {
		machine_free(machine);
		return -1;
	}
	TAILQ_INSERT_TAIL(&runtime->machines, machine, link);
	snprintf(address, EC2_ADDRESS_MAX, "%s", machine->address);
	return 0;
}

static void release(void *arg, const char *id)
{
	struct machine *machine = find(arg, id);

	if (machine == NULL)
		return;
	TAILQ_REMOVE(&machine->runtime->machines, machine, link);
	machine_free(machine);
}

/* --- end --- */

/* Tells why, in EC2's words; the last thing done with the machine: the callback may release it. */
static void tell_end(struct machine *machine, const char *code, const char *message)
{
	struct process_runtime *runtime = machine->runtime;
	char id[ID_TEXT_MAX];

	snprintf(id, sizeof(id), "%s", machine->id);
	machine->state = MACHINE_LEASED;
	machine->is_stop_wanted = false;
	runtime->config.on_ended(runtime->config.arg, id, code, message);
}

static void fail(struct machine *machine, const char *why)
{
	char message[700];

	snprintf(message, sizeof(message), "Client.InternalError: %s", why);
	tell_end(machine, "Client.InternalError", message);
}

static void explain_exec(const struct machine *machine, char why[600])
{
	bool is_interpreter = machine->exec_errno == ENOENT;

	snprintf(why, 600, "user data cannot run: %s%s", strerror(machine->exec_errno),
		 is_interpreter ? " (the interpreter that its first line names, or the line ends "
				  "in a carriage return)"
				: "");
}

/* All processes are gone: what the reports and the console say about it. */
static void finish(struct machine *machine)
{
	const char *last = console_last_line(&machine->console);
	bool is_new = !machine->is_running_told;
	char why[600], message[700];

	if (machine->is_stop_wanted) {
		tell_end(machine, "", "");
		return;
	}
	if (machine->exec_errno != 0) {
		explain_exec(machine, why);
		fail(machine, why);
		return;
	}
	if (machine->exit_status > 0) {
		snprintf(why, sizeof(why), "user data ended with exit status %d%s%s",
			 machine->exit_status, *last != '\0' ? ": " : "", last);
		if (is_new) {
			fail(machine, why);
			return;
		}
	} else if (machine->end_signal != 0) {
		snprintf(why, sizeof(why), "user data was ended by signal %d", machine->end_signal);
	} else {
		why[0] = '\0';
	}
	snprintf(message, sizeof(message),
		 "Client.InstanceInitiatedShutdown: the instance's processes ended%s%s",
		 why[0] != '\0' ? ": " : "", why);
	tell_end(machine, "Client.InstanceInitiatedShutdown", message);
}

/* --- what init reports --- */

static void tell_running(struct machine *machine)
{
	struct process_runtime *runtime = machine->runtime;

	if (machine->is_running_told || machine->is_stop_wanted)
		return;
	machine->is_running_told = true;
	machine->state = MACHINE_RUNNING;
	runtime->config.on_running(runtime->config.arg, machine->id);
}

static void on_report(struct machine *machine, const struct init_report *report)
{
	switch ((enum init_report_kind)report->kind) {
	case INIT_EXEC_FAILED:
		machine->exec_errno = report->value;
		break;
	case INIT_STARTED:
		set_timer(machine, BOOT_MS);
		break;
	case INIT_EXITED:
		machine->exit_status = report->value;
		if (report->value == 0)
			tell_running(machine);
		break;
	case INIT_KILLED:
		machine->end_signal = report->value;
		break;
	case INIT_EMPTY:
	default:
		break;
	}
}

static void read_reports(struct machine *machine)
{
	struct init_report report;

	while (read(machine->report_pipe, &report, sizeof(report)) == sizeof(report))
		on_report(machine, &report);
}

static void on_report_readable(evutil_socket_t fd, short what, void *arg)
{
	struct machine *machine = arg;

	(void)fd;
	(void)what;
	read_reports(machine);
}

static void on_init_end(void *arg, pid_t pid, int status)
{
	struct machine *machine = arg;

	(void)pid;
	machine->pid = 0;
	event_del(machine->timer);
	read_reports(machine);
	event_free(machine->report_event);
	machine->report_event = NULL;
	close(machine->report_pipe);
	machine->report_pipe = -1;
	if (WIFSIGNALED(status) && machine->end_signal == 0)
		machine->end_signal = WTERMSIG(status);
	machine->state = MACHINE_CLEANING;
	machine->looks = 0;
	set_timer(machine, 0);
}

/* Only where init itself was killed does this find anything. */
static void clean(struct machine *machine)
{
	if (reaper_kill_strays(machine->runtime->config.reaper) > 0 &&
	    machine->looks++ < MAX_STRAY_LOOKS) {
		set_timer(machine, STRAYS_MS);
		return;
	}
	console_close(&machine->console);
	finish(machine);
}

/* --- boot --- */

static void boot(struct machine *machine)
{
	struct err err = {0};

	if (machine->is_stop_wanted) {
		tell_end(machine, "", "");
		return;
	}
	machine->exec_errno = machine->end_signal = 0;
	machine->exit_status = -1;
	machine->is_running_told = false;
	machine->has_sample = false;
	machine->state = MACHINE_BOOTING;
	if (machine_boot(machine, on_report_readable, on_init_end, &err) == 0) {
		log_debug("instance-boot", "id=%s pid=%d address=%s", machine->id, machine->pid,
			  machine->address);
		return;
	}
	fail(machine, err.text);
}

/* --- timer: one for all a machine waits for, by its state --- */

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct machine *machine = arg;

	(void)fd;
	(void)what;
	switch (machine->state) {
	case MACHINE_LEASED:
		if (machine->is_stop_wanted)
			tell_end(machine, "", "");
		break;
	case MACHINE_QUEUED:
		boot(machine);
		break;
	case MACHINE_BOOTING:
		tell_running(machine);
		break;
	case MACHINE_ENDING:
		log_warn("instance-killed", "id=%s why=\"did not end in %d ms\"", machine->id,
			 KILL_MS);
		kill(machine->pid, SIGKILL);
		break;
	case MACHINE_CLEANING:
		clean(machine);
		break;
	case MACHINE_RUNNING:
	default:
		break;
	}
}

/* --- operations --- */

static void start(void *arg, const json_t *document, const char *user_data)
{
	struct machine *machine = find(arg, doc_str(document, "InstanceId", ""));
	const json_t *cpu = doc_object(document, "CpuOptions");

	if (machine == NULL || machine->pid != 0) {
		log_error("instance-not-startable", "id=%s", doc_str(document, "InstanceId", ""));
		return;
	}
	json_decref(machine->document);
	machine->document = json_deep_copy(document);
	free(machine->user_data);
	machine->user_data = strdup(user_data);
	machine->vcpus = (int)(doc_int(cpu, "CoreCount", 1) * doc_int(cpu, "ThreadsPerCore", 1));
	machine->is_stop_wanted = false;
	machine->state = MACHINE_QUEUED;
	set_timer(machine, 0);
}

static void stop(void *arg, const char *id)
{
	struct machine *machine = find(arg, id);

	if (machine == NULL)
		return;
	machine->is_stop_wanted = true;
	if (machine->pid == 0) {
		/* Queued, cleaning or not started: the timer says so in the next turn. */
		if (machine->state != MACHINE_CLEANING)
			set_timer(machine, 0);
		return;
	}
	machine->state = MACHINE_ENDING;
	kill(machine->pid, SIGTERM);
	set_timer(machine, KILL_MS);
}

static char *console_text(void *arg, const char *id, size_t *len)
{
	struct machine *machine = find(arg, id);

	return machine == NULL ? NULL : console_read(machine->dir, CONSOLE_SHOWN, len);
}

const struct ec2_runtime process_runtime_ops = {
    .lease = lease,
    .release = release,
    .start = start,
    .stop = stop,
    .console = console_text,
};

/* --- all of them --- */

struct process_runtime *process_runtime_new(const struct process_runtime_config *config,
					    struct err *err)
{
	struct process_runtime *runtime = calloc(1, sizeof(*runtime));

	if (runtime == NULL) {
		err_set(err, ENOMEM, "out of memory");
		return NULL;
	}
	runtime->config = *config;
	TAILQ_INIT(&runtime->machines);
	return runtime;
}

void process_runtime_free(struct process_runtime *runtime)
{
	struct machine *machine;
	struct procs procs;

	if (runtime == NULL)
		return;
	while ((machine = TAILQ_FIRST(&runtime->machines)) != NULL) {
		TAILQ_REMOVE(&runtime->machines, machine, link);
		if (machine->pid != 0 && procs_read(&procs) == 0) {
			procs_signal(&procs, machine->pid, SIGKILL);
			procs_fini(&procs);
		}
		if (machine->pid != 0)
			kill(machine->pid, SIGKILL);
		machine_free(machine);
	}
	free(runtime);
}

void process_runtime_stop_all(struct process_runtime *runtime)
{
	struct machine *machine;

	TAILQ_FOREACH (machine, &runtime->machines, link) {
		if (machine->pid != 0 && machine->state != MACHINE_ENDING)
			stop(runtime, machine->id);
	}
}

int process_runtime_count(const struct process_runtime *runtime)
{
	const struct machine *machine;
	int n = 0;

	TAILQ_FOREACH (machine, &runtime->machines, link) {
		n += machine->pid != 0 || machine->state == MACHINE_CLEANING;
	}
	return n;
}

/* Less than before: a child was seen here before and not yet in its parent's, or has ended. */
static uint64_t grown(uint64_t now, uint64_t before)
{
	return now > before ? now - before : 0;
}

/*
 * How busy the instance's own vCPUs would be: what its processes used, and what they waited for a
 * core of this machine.  An EC2 instance's neighbours do not lower its CPUUtilization; without
 * the wait, four saturated instances on two cores would look half idle.
 */
static void sample(struct machine *machine, const struct procs *procs, process_cpu_fn fn, void *arg)
{
	int64_t now_us = clock_monotonic_us();
	uint64_t ticks = procs_ticks(procs, machine->pid);
	uint64_t wait_us = procs_wait_us(procs, machine->pid);
	double us_per_tick = 1e6 / (double)sysconf(_SC_CLK_TCK);
	double busy_us = (double)grown(ticks, machine->ticks) * us_per_tick +
			 (double)grown(wait_us, machine->wait_us);
	double percent =
	    100.0 * busy_us / ((double)(now_us - machine->sampled_us) * machine->vcpus);

	if (machine->has_sample)
		fn(arg, machine->id, percent > 100.0 ? 100.0 : percent);
	machine->ticks = ticks;
	machine->wait_us = wait_us;
	machine->sampled_us = now_us;
	machine->has_sample = true;
}

void process_runtime_sample(struct process_runtime *runtime, process_cpu_fn fn, void *arg)
{
	struct machine *machine;
	struct procs procs;

	if (TAILQ_EMPTY(&runtime->machines) || procs_read(&procs) != 0)
		return;
	TAILQ_FOREACH (machine, &runtime->machines, link)
		if (machine->state == MACHINE_RUNNING && machine->pid != 0)
			sample(machine, &procs, fn, arg);
	procs_fini(&procs);
}
