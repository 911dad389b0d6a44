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

/* Requests and failures of many targets. */
struct sum {
	double requests, failures;
};

/* Of the healthy targets: those under suspicion, and the others. */
struct sums {
	struct sum steady, anomalous;
};

static void add(struct sums *sums, const struct anomaly *target, int by)
{
	struct sum *sum = target->is_anomalous ? &sums->anomalous : &sums->steady;

	if (!target->is_healthy)
		return;
	sum->requests += by * target->requests;
	sum->failures += by * target->failures;
}

static bool is_out_of_line(const struct anomaly *target, const struct sum *sum)
{
	double peers = sum->failures > 0 ? sum->failures / sum->requests : 0;
	double own = target->failures / target->requests;
	double rate = peers > LEAST_RATE ? peers : LEAST_RATE;
	double margin = DEVIATIONS * sqrt(rate * (1 - rate) / target->requests);

	if (margin < LEAST_MARGIN)
		margin = LEAST_MARGIN;
	/* Whoever was out of line must come well back. */
	return own > peers + (target->is_anomalous ? margin / 2 : margin);
}

/* By the healthy peers that are not under suspicion themselves; by all healthy peers if too few are
 * left.  peers: without the target's own. */
static bool judge(const struct sums *peers, const struct anomaly *target)
{
	struct sum sum = peers->steady;

	if (sum.requests < ANOMALY_LEAST_REQUESTS) {
		sum.requests += peers->anomalous.requests;
		sum.failures += peers->anomalous.failures;
	}
	/* Too little is known: as it was. */
	if (sum.requests < ANOMALY_LEAST_REQUESTS || target->requests < ANOMALY_LEAST_REQUESTS)
		return target->is_anomalous;
	return is_out_of_line(target, &sum);
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
	struct sums sums = {0};
	size_t healthy = 0;

	for (size_t i = 0; i < n; i++) {
		take_counts(targets[i]);
		add(&sums, targets[i], 1);
		healthy += targets[i]->is_healthy;
	}
	for (size_t i = 0; i < n; i++) {
		struct anomaly *target = targets[i];

		add(&sums, target, -1);
		target->is_anomalous =
		    healthy >= ANOMALY_LEAST_HEALTHY && target->is_healthy && judge(&sums, target);
		add(&sums, target, 1);
		set_weight(target, mitigates);
	}
}
