/*
 * Table, JSON and CSV of a simulation.  See report.h.
 */
#include "scaler/sim/report.h"

#include <math.h>
#include <string.h>

#include "common/base/clock.h"

static double cost(const struct sim_plan *plan, const struct sim_run *run)
{
	return plan->price * run->instance_hours;
}

/* A duration in the unit that suits it. */
static const char *duration(double seconds, char text[32])
{
	if (isnan(seconds))
		snprintf(text, 32, "-");
	else if (seconds < 0.9995)
		snprintf(text, 32, "%.0f ms", 1000 * seconds);
	else if (seconds < 100)
		snprintf(text, 32, "%.1f s", seconds);
	else
		snprintf(text, 32, "%.0f s", seconds);
	return text;
}

static void print_row(FILE *file, const struct sim_plan *plan, const struct sim_run *run, int width)
{
	const struct sim_stats *stats = &run->stats;
	double seconds = stats->seconds > 0 ? (double)stats->seconds : 1;
	char wait[32], price[32] = "-";

	if (plan->price >= 0)
		snprintf(price, sizeof price, "%.4f", cost(plan, run));
	fprintf(file, "%-*s %8.1f %6d %7.1f%% %9s %12.0f %9.1f %10s %7lu %7lu %6d\n", width,
		run->label, stats->desired / seconds, stats->peak,
		100 * sim_stats_utilization(stats),
		duration(sim_stats_wait_quantile(stats, 0.95), wait), stats->dropped,
		run->instance_hours, price, (unsigned long)run->launches,
		(unsigned long)run->terminations, stats->turns);
}

void sim_report_table(FILE *file, const struct sim_plan *plan, const struct sim_run runs[],
		      size_t n)
{
	int width = (int)strlen("policy");

	for (size_t i = 0; i < n; i++)
		width = (int)strlen(runs[i].label) > width ? (int)strlen(runs[i].label) : width;
	fprintf(file, "%-*s %8s %6s %8s %9s %12s %9s %10s %7s %7s %6s\n", width, "policy",
		"capacity", "peak", "used", "p95 wait", "dropped", "inst-h", "cost $", "launch",
		"ended", "turns");
	for (size_t i = 0; i < n; i++)
		print_row(file, plan, &runs[i], width);
	for (size_t i = 0; i < n; i++) {
		for (int k = 0; k < runs[i].n_notes; k++)
			fprintf(file, "note: %s: %s\n", runs[i].label, runs[i].notes[k]);
	}
}

/* ---- JSON ---- */

static json_t *number(double value)
{
	return isfinite(value) ? json_real(round(value * 1e6) / 1e6) : json_null();
}

static json_t *run_json(const struct sim_plan *plan, const struct sim_run *run)
{
	const struct sim_stats *stats = &run->stats;
	double seconds = stats->seconds > 0 ? (double)stats->seconds : 1;
	json_t *out = json_pack(
	    "{s:s, s:I, s:o, s:i, s:i, s:i, s:o, s:o, s:o, s:o}", "Policy", run->label, "Seconds",
	    (json_int_t)stats->seconds, "CapacityMean", number(stats->desired / seconds),
	    "CapacityPeak", stats->peak, "CapacityLeast", stats->least, "NeededPeak",
	    stats->peak_needed, "Utilization", number(sim_stats_utilization(stats)), "WaitP95",
	    number(sim_stats_wait_quantile(stats, 0.95)), "WaitP99",
	    number(sim_stats_wait_quantile(stats, 0.99)), "WaitMax", number(stats->max_wait_s));

	json_object_update_new(
	    out,
	    json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "Requests",
		      number(stats->load), "Dropped", number(stats->dropped), "InstanceHours",
		      number(run->instance_hours), "Cost",
		      number(plan->price >= 0 ? cost(plan, run) : NAN), "InstanceSeconds",
		      number(3600 * run->instance_hours), "ShortInstanceSeconds",
		      number(stats->short_seconds), "SpareInstanceSeconds",
		      number(stats->spare_seconds), "Overshoot", number(sim_stats_overshoot(stats)),
		      "ReactionMedian", number(sim_stats_reaction(stats, 0.5))));
	json_object_update_new(
	    out, json_pack("{s:o, s:i, s:i, s:I, s:I, s:I, s:i}", "ReactionP90",
			   number(sim_stats_reaction(stats, 0.9)), "Reactions", stats->n_reactions,
			   "Unanswered", stats->n_unanswered, "Launches", (json_int_t)run->launches,
			   "LaunchFailures", (json_int_t)run->launch_failures, "Terminations",
			   (json_int_t)run->terminations, "DirectionChanges", stats->turns));
	for (int k = 0; k < run->n_notes; k++) {
		if (k == 0)
			json_object_set_new(out, "Notes", json_array());
		json_array_append_new(json_object_get(out, "Notes"), json_string(run->notes[k]));
	}
	return out;
}

json_t *sim_report_json(const struct sim_plan *plan, const struct sim_run runs[], size_t n)
{
	json_t *list = json_array();

	for (size_t i = 0; i < n; i++)
		json_array_append_new(list, run_json(plan, &runs[i]));
	return json_pack("{s:s, s:o, s:o, s:o}", "Group", plan->group, "CapacityPerInstance",
			 number(plan->capacity.rps), "TargetUtilization", number(plan->utilization),
			 "Runs", list);
}

/* ---- CSV ---- */

void sim_report_csv(FILE *file, const struct sim_plan *plan, const struct sim_run runs[], size_t n)
{
	char at[CLOCK_TEXT_MAX];

	fprintf(file, "time,load,needed");
	for (size_t i = 0; i < n; i++)
		fprintf(file, ",%s desired,%s in service,%s used,%s wait,%s dropped", runs[i].label,
			runs[i].label, runs[i].label, runs[i].label, runs[i].label);
	fprintf(file, "\n");
	for (size_t k = 0; n > 0 && k < runs[0].n_samples; k++) {
		int64_t second = (int64_t)k * runs[0].sample_s;

		if (plan->curve->start_s)
			fprintf(file, "%s",
				clock_format_iso(1000 * (plan->curve->start_s + second), at));
		else
			fprintf(file, "%lld", (long long)second);
		fprintf(file, ",%.2f,%d", (double)runs[0].samples[k].load,
			runs[0].samples[k].needed);
		for (size_t i = 0; i < n; i++) {
			const struct sim_sample *sample = &runs[i].samples[k];

			fprintf(file, ",%d,%d,%.4f,%.4f,%.2f", sample->desired, sample->in_service,
				(double)sample->busy, (double)sample->wait_s,
				(double)sample->dropped);
		}
		fprintf(file, "\n");
	}
}
