/* See anomaly.h. */
#include "lb/routing/anomaly.h"

#include <math.h>

/* A failure rate is out of line when it is above its peers' by more than this, and by more than
 * three standard deviations of what so few requests can tell. */
#define LEAST_MARGIN 0.05
#define DEVIATIONS 3.0
#define LEAST_RATE 0.01 /* of peers: nobody is perfect, and zero has no deviation */

void anomaly_init(struct anomaly *anomaly)
{
	*anomaly = (struct anomaly){.weight = SHARE_FULL};
}

/* The healthy peers that are not under suspicion themselves; all healthy peers if all are. */
static void sum_peers(struct anomaly *const *targets, size_t n, const struct anomaly *self,
		      bool takes_anomalous, double *requests, double *failures)
{
	*requests = *failures = 0;
	for (size_t i = 0; i < n; i++) {
		const struct anomaly *peer = targets[i];

		if (peer == self || !peer->is_healthy || (peer->is_anomalous && !takes_anomalous))
			continue;
		*requests += peer->requests;
		*failures += peer->failures;
	}
}

static bool is_out_of_line(const struct anomaly *target, double peer_requests, double peer_failures)
{
	double peers = peer_failures / peer_requests;
	double own = target->failures / target->requests;
	double rate = peers > LEAST_RATE ? peers : LEAST_RATE;
	double margin = DEVIATIONS * sqrt(rate * (1 - rate) / target->requests);

	if (margin < LEAST_MARGIN)
		margin = LEAST_MARGIN;
	/* Whoever was out of line must come well back. */
	return own > peers + (target->is_anomalous ? margin / 2 : margin);
}

static bool judge(struct anomaly *const *targets, size_t n, const struct anomaly *target)
{
	double requests, failures;

	sum_peers(targets, n, target, false, &requests, &failures);
	if (requests < ANOMALY_LEAST_REQUESTS)
		sum_peers(targets, n, target, true, &requests, &failures);
	/* Too little is known: as it was. */
	if (requests < ANOMALY_LEAST_REQUESTS || target->requests < ANOMALY_LEAST_REQUESTS)
		return target->is_anomalous;
	return is_out_of_line(target, requests, failures);
}

static void take_counts(struct anomaly *target)
{
	target->requests = target->requests / 2 + (double)target->new_requests;
	target->failures = target->failures / 2 + (double)target->new_failures;
	if (target->failures > target->requests)
		target->failures = target->requests; /* those still under way when last counted */
}

static void set_weight(struct anomaly *target, bool mitigates)
{
	if (!mitigates)
		target->weight = SHARE_FULL;
	else if (target->is_anomalous)
		target->weight = ANOMALY_LEAST_WEIGHT;
	else
		target->weight = target->weight >= SHARE_FULL / 2 ? SHARE_FULL : target->weight * 2;
}

void anomaly_judge(struct anomaly *const *targets, size_t n, bool mitigates)
{
	size_t healthy = 0;

	for (size_t i = 0; i < n; i++) {
		take_counts(targets[i]);
		healthy += targets[i]->is_healthy;
	}
	for (size_t i = 0; i < n; i++) {
		struct anomaly *target = targets[i];

		target->is_anomalous = healthy >= ANOMALY_LEAST_HEALTHY && target->is_healthy &&
				       judge(targets, n, target);
		set_weight(target, mitigates);
	}
}
