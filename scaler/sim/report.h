/*
 * What a simulation says: a table, JSON, CSV and a plot.  Writes files: command line only.
 */
#ifndef SCALER_SIM_REPORT_H
#define SCALER_SIM_REPORT_H

#include <stdio.h>

#include "scaler/sim/run.h"

void sim_report_table(FILE *file, const struct sim_plan *plan, const struct sim_run runs[],
		      size_t n);
/* One object a run; new reference or NULL without memory. */
json_t *sim_report_json(const struct sim_plan *plan, const struct sim_run runs[], size_t n);
/* The time series, a column or more a run. */
void sim_report_csv(FILE *file, const struct sim_plan *plan, const struct sim_run runs[], size_t n);
/* Load and capacity over time. */
void sim_report_svg(FILE *file, const struct sim_plan *plan, const struct sim_run runs[], size_t n);

#endif
