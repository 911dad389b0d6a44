/*
 * The process runtime: an instance is a session of processes under an init of its own (init.h),
 * with an address of its own in 127.0.0.0/8 and a metadata service there.  Its user data runs as at
 * first boot, and again at each start: nothing else would bring its programs up.  Needs no
 * privilege.  Control thread.
 */
#ifndef LAB_RUNTIME_PROCESS_H
#define LAB_RUNTIME_PROCESS_H

#include "lab/ec2/ec2.h"
#include "lab/runtime/imds.h"
#include "lab/runtime/reaper.h"

struct process_runtime;

struct process_runtime_config {
	struct event_base *base;
	struct reaper *reaper;
	const char *dir;          /* an existing folder; instances get theirs in it */
	const char *region;       /* all strings are borrowed until _free */
	const char *aws_endpoint; /* for the instances' environment; NULL = none */
	void (*on_running)(void *arg, const char *instance_id);
	void (*on_ended)(void *arg, const char *instance_id, const char *code, const char *message);
	imds_tree_fn metadata;
	void *arg;
};

/* The operations; their arg is the struct process_runtime. */
extern const struct ec2_runtime process_runtime_ops;

MUST_CHECK struct process_runtime *process_runtime_new(const struct process_runtime_config *config,
						       struct err *err);
/* What still runs is killed at once (without a report). */
void process_runtime_free(struct process_runtime *runtime);

/* Shuts all instances down; how many still have processes. */
void process_runtime_stop_all(struct process_runtime *runtime);
int process_runtime_count(const struct process_runtime *runtime);

/* CPU used since the last sample, in percent of the instance's vCPUs (0..100), of each running
 * instance.  Call it once a second. */
typedef void (*process_cpu_fn)(void *arg, const char *instance_id, double percent);
void process_runtime_sample(struct process_runtime *runtime, process_cpu_fn fn, void *arg);

#endif
