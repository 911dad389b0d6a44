/*
 * A machine: the process runtime's side of one instance.  Private to lab/runtime; in the header
 * because process.c and machine_env.c share it.
 *
 *   LEASED --start--> QUEUED --> BOOTING --> RUNNING --(stop)--> ENDING --> CLEANING --> LEASED
 *                                  `------------`--(processes end)-------------^
 */
#ifndef LAB_RUNTIME_MACHINE_H
#define LAB_RUNTIME_MACHINE_H

#include <bsd/sys/queue.h>
#include <stdbool.h>

#include "common/base/ids.h"
#include "lab/runtime/console.h"
#include "lab/runtime/files.h"
#include "lab/runtime/process.h"

enum machine_state {
	MACHINE_LEASED,   /* an address and a folder; no process */
	MACHINE_QUEUED,   /* boots in the next turn of the loop */
	MACHINE_BOOTING,  /* init started; the script has yet to show that it runs */
	MACHINE_RUNNING,  /* told as running */
	MACHINE_ENDING,   /* init was told to end all; killed when the timer is out */
	MACHINE_CLEANING, /* init has ended; looking for what it may have left */
};

struct machine {
	/* Set once at the lease. */
	struct process_runtime *runtime;             /* borrowed: it owns us */
	const struct process_runtime_config *config; /* borrowed: the runtime's */
	char id[ID_TEXT_MAX];
	char dir[FILES_PATH_MAX + ID_TEXT_MAX];
	char address[EC2_ADDRESS_MAX];
	struct imds *imds;
	struct event *timer;
	/* Set at each start. */
	json_t *document;
	char *user_data; /* base64 */
	int vcpus;
	/* Change while it runs. */
	enum machine_state state;
	bool is_stop_wanted, is_running_told;
	pid_t pid; /* of init; 0 = no process */
	int report_pipe;
	struct event *report_event;
	struct console console;
	int exec_errno, exit_status /* -1 = not yet */, end_signal;
	int looks;
	/* CPU. */
	bool has_sample;
	uint64_t ticks, wait_us;
	int64_t sampled_us;
	TAILQ_ENTRY(machine) link;
};

/* The environment of its processes: nothing of the lab's own.  NULL-terminated; NULL without
 * memory. */
MUST_CHECK char **machine_env_new(const struct machine *machine,
				  const struct process_runtime_config *config);
void machine_env_free(char **env);

/* Starts init with the user data; the callbacks get the machine.  -1 with err: no process. */
MUST_CHECK int machine_boot(struct machine *machine, event_callback_fn on_report, reaper_fn on_end,
			    struct err *err);

#endif
