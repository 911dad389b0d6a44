/*
 * See stats.h.
 */
#include "scaler/sim/stats.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define WAIT_LEAST_S 1e-4
#define WAIT_STEP 1.05 /* a bucket is so much wider than the one before */
#define EPISODE_S 10   /* a need that is over sooner asks for nothing */

/* ---- waits ---- */

static int bucket_of(double wait_s)
{
	double place;

	if (wait_s < WAIT_LEAST_S)
		return 0;
	place = 1 + floor(log(wait_s / WAIT_LEAST_S) / log(WAIT_STEP));
	return place < SIM_WAIT_BUCKETS ? (int)place : SIM_WAIT_BUCKETS - 1;
}

void sim_stats_wait(struct sim_stats *stats, double wait_s, double weight)
{
	if (!(weight > 0))
		return;
	stats->waits[bucket_of(wait_s)] += weight;
	if (wait_s > stats->max_wait_s)
		stats->max_wait_s = wait_s;
}

double sim_stats_wait_quantile(const struct sim_stats *stats, double part)
{
	double all = 0, below = 0;

	for (int i = 0; i < SIM_WAIT_BUCKETS; i++)
		all += stats->waits[i];
	for (int i = 0; i < SIM_WAIT_BUCKETS; i++) {
		below += stats->waits[i];
		if (all > 0 && below >= part * all)
			return i == 0 ? 0
				      : fmin(WAIT_LEAST_S * pow(WAIT_STEP, i), stats->max_wait_s);
	}
	return 0;
}

/* ---- seconds ---- */

static void note_turn(struct sim_stats *stats, int desired)
{
	int change = (desired > stats->last_desired) - (desired < stats->last_desired);

	if (stats->has_desired && change != 0) {
		stats->turns += stats->direction != 0 && change != stats->direction;
		stats->direction = change;
	}
	stats->has_desired = true;
	stats->last_desired = desired;
}

static void note_reaction(struct sim_stats *stats, size_t seconds)
{
	if (stats->n_reactions < SIM_EPISODES_MAX)
		stats->reactions[stats->n_reactions++] = (float)seconds;
}

/* What was wanted falls short of what is needed: until a launch nobody has reacted. */
static void note_episode(struct sim_stats *stats, const struct sim_second *second)
{
	bool is_short = stats->has_desired && second->needed > stats->last_desired;

	if (is_short && !stats->is_short) {
		stats->short_since = stats->seconds;
		stats->is_answered = false;
	}
	if (second->has_launched && (is_short || stats->is_short) && !stats->is_answered) {
		note_reaction(stats, stats->seconds + 1 - stats->short_since);
		stats->is_answered = true;
	}
	if (!is_short && stats->is_short && !stats->is_answered &&
	    stats->seconds - stats->short_since >= EPISODE_S)
		stats->n_unanswered++;
	stats->is_short = is_short;
}

void sim_stats_add(struct sim_stats *stats, const struct sim_second *second)
{
	int missing = second->needed - second->in_service;

	note_episode(stats, second);
	note_turn(stats, second->desired);
	if (stats->seconds == 0 || second->desired < stats->least)
		stats->least = second->desired;
	stats->seconds++;
	stats->load += second->load;
	stats->served += second->served;
	stats->dropped += second->dropped;
	stats->desired += second->desired;
	stats->in_service += second->in_service;
	stats->busy += second->busy * second->serving;
	stats->serving_seconds += second->serving;
	if (second->desired > stats->peak)
		stats->peak = second->desired;
	if (second->needed > stats->peak_needed)
		stats->peak_needed = second->needed;
	if (missing > 0)
		stats->short_seconds += missing;
	else
		stats->spare_seconds -= missing;
}

void sim_stats_end(struct sim_stats *stats)
{
	if (stats->is_short && !stats->is_answered &&
	    stats->seconds - stats->short_since >= EPISODE_S)
		stats->n_unanswered++;
	stats->is_short = false;
}

static int compare_floats(const void *a, const void *b)
{
	const float *left = a, *right = b;

	return (*left > *right) - (*left < *right);
}

double sim_stats_reaction(const struct sim_stats *stats, double part)
{
	float sorted[SIM_EPISODES_MAX];
	int n = stats->n_reactions, place = (int)ceil(part * n) - 1;

	if (n == 0)
		return NAN;
	memcpy(sorted, stats->reactions, (size_t)n * sizeof sorted[0]);
	qsort(sorted, (size_t)n, sizeof sorted[0], compare_floats);
	return sorted[place < 0 ? 0 : place];
}

double sim_stats_utilization(const struct sim_stats *stats)
{
	return stats->serving_seconds > 0 ? stats->busy / stats->serving_seconds : 0;
}

double sim_stats_overshoot(const struct sim_stats *stats)
{
	double beyond = stats->peak - stats->peak_needed;

	return beyond > 0 && stats->peak_needed > 0 ? beyond / stats->peak_needed : 0;
}
