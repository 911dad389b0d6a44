/*
 * See capacity.h.  H. Sakasegawa, "An approximation formula Lq = a p^b / (1 - p)", 1977.
 */
#include "scaler/sim/capacity.h"

#include <math.h>

#define BUSY_MAX 0.95 /* beyond it the queue itself is what is waited for */

/* Requests that it works on at once at full load. */
static double servers(const struct sim_capacity *capacity)
{
	return fmax(1, capacity->rps * capacity->service_s);
}

double sim_capacity_chance_wait_s(const struct sim_capacity *capacity, double busy)
{
	double c = servers(capacity), part = fmin(busy, BUSY_MAX);

	if (!(part > 0))
		return 0;
	return pow(part, sqrt(2 * (c + 1)) - 1) / (1 - part) / capacity->rps;
}

struct sim_flow sim_capacity_flow(const struct sim_capacity *capacity, double arrivals,
				  double seconds, double *queue)
{
	double before = *queue, can = capacity->rps * seconds;
	struct sim_flow flow = {.arrived = arrivals};
	double all = before + arrivals;

	flow.served = fmin(all, can);
	*queue = all - flow.served;
	if (*queue > capacity->queue_max) {
		flow.dropped = fmin(*queue - capacity->queue_max, arrivals);
		*queue -= flow.dropped;
	}
	flow.busy = can > 0 ? flow.served / can : 0;
	flow.wait_s = sim_capacity_chance_wait_s(capacity, flow.busy);
	if (capacity->rps > 0)
		flow.wait_s += (before + *queue) / 2 / capacity->rps;
	flow.in_flight = flow.served / seconds * capacity->service_s + (before + *queue) / 2;
	return flow;
}
