/*
 * The figures of one run, added up second by second: what was there, what was needed, how long
 * requests waited, how fast and how steadily the policy followed.  Pure.
 */
#ifndef SCALER_SIM_STATS_H
#define SCALER_SIM_STATS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SIM_WAIT_BUCKETS = 400, SIM_EPISODES_MAX = 4096 };

/* One second of a run. */
struct sim_second {
	double load; /* requests */
	double served, dropped;
	double wait_s; /* mean of its requests */
	double in_flight;
	double busy; /* of what served, 0..1 */
	int desired, in_service, serving, launching;
	int needed;        /* instances that the load asks for at the yardstick's utilisation */
	bool has_launched; /* RunInstances was called */
};

struct sim_stats {
	size_t seconds;
	double load, served, dropped;
	double desired, in_service; /* sums: instance-seconds */
	double busy, serving_seconds;
	int peak, peak_needed, least;
	double short_seconds;           /* instance-seconds that were needed and not in service */
	double spare_seconds;           /* in service and not needed */
	double waits[SIM_WAIT_BUCKETS]; /* requests by wait */
	double max_wait_s;
	/* Direction changes of the desired capacity. */
	int turns, last_desired, direction;
	bool has_desired;
	/* Episodes of need: from the first second short of it to the launch that answers. */
	bool is_short, is_answered;
	size_t short_since;
	float reactions[SIM_EPISODES_MAX]; /* seconds */
	int n_reactions, n_unanswered;
};

/* Waits of weight requests. */
void sim_stats_wait(struct sim_stats *stats, double wait_s, double weight);
void sim_stats_add(struct sim_stats *stats, const struct sim_second *second);
/* After the last second. */
void sim_stats_end(struct sim_stats *stats);

/* The wait that part (0.95) of all requests do not exceed; seconds, within 5 %. */
double sim_stats_wait_quantile(const struct sim_stats *stats, double part);
/* Seconds from need to launch; NAN: there was no need. */
double sim_stats_reaction(const struct sim_stats *stats, double part);
double sim_stats_utilization(const struct sim_stats *stats); /* 0..1 */
/* The peak beyond the highest need, as a part of it; 0 when it stayed below. */
double sim_stats_overshoot(const struct sim_stats *stats);

#endif
