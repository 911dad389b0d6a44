/*
 * One run: a policy over the load, second by second, in a world of its own.  Repeatable: the same
 * plan and choice give the same figures.
 */
#ifndef SCALER_SIM_RUN_H
#define SCALER_SIM_RUN_H

#include "scaler/sim/scenario.h"
#include "scaler/sim/stats.h"

enum { SIM_SAMPLES_MAX = 86400, SIM_NOTES_MAX = 8 };

/* A stretch of the run, for CSV and plot. */
struct sim_sample {
	float load, served, dropped, wait_s, busy; /* a second's mean; wait: the longest */
	int desired, in_service, needed;           /* the highest */
};

struct sim_run {
	char label[SIM_LABEL_MAX];
	struct sim_stats stats;
	struct sim_sample *samples;
	size_t n_samples;
	int sample_s; /* what one sample stands for */
	uint64_t launches, launch_failures, terminations;
	double instance_hours;
	char notes[SIM_NOTES_MAX][256]; /* what the run leaves out */
	int n_notes;
};

MUST_CHECK int sim_run(struct sim_run *run, const struct sim_plan *plan,
		       const struct sim_choice *choice, struct err *err);
void sim_run_fini(struct sim_run *run);
void sim_run_note(struct sim_run *run, const char *format, ...) PRINTF_LIKE(2, 3);

#endif
