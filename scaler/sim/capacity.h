/*
 * What one instance can do: requests that it serves each second, how long one takes, how many may
 * wait.  A fluid queue, second by second: what comes in and cannot be served waits; what finds the
 * queue full is dropped.  Below full load requests still meet by chance: the mean wait of M/M/c by
 * Sakasegawa's approximation.  Pure.
 */
#ifndef SCALER_SIM_CAPACITY_H
#define SCALER_SIM_CAPACITY_H

struct sim_capacity {
	double rps;       /* at most */
	double service_s; /* one request, without waiting */
	double queue_max; /* requests that may wait */
};

struct sim_flow {
	double arrived, served, dropped;
	double wait_s;    /* mean, of those that arrived and were not dropped */
	double in_flight; /* mean: being served or waiting (Little's law) */
	double busy;      /* part of the capacity used, 0..1 */
};

/* arrivals requests in seconds; *queue is what waits, before and after. */
struct sim_flow sim_capacity_flow(const struct sim_capacity *capacity, double arrivals,
				  double seconds, double *queue);

/* The mean wait of M/M/c below full load: busy is the part of it used. */
double sim_capacity_chance_wait_s(const struct sim_capacity *capacity, double busy);

#endif
