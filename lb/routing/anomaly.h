/*
 * Automatic Target Weights: which targets fail more often than their peers, and how
 * little traffic these get while that lasts.  Pure: the caller counts, every ANOMALY_WINDOW_MS.
 * AWS does not tell its formula; ours is a one-sided test of the target's failure rate against
 * that of its peers, over counts that halve each window.
 */
#ifndef LB_ROUTING_ANOMALY_H
#define LB_ROUTING_ANOMALY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lb/routing/target.h"

enum {
	ANOMALY_WINDOW_MS = 5000,
	ANOMALY_LEAST_HEALTHY = 3,
	ANOMALY_LEAST_REQUESTS = 5,             /* to judge a target by */
	ANOMALY_LEAST_WEIGHT = SHARE_FULL / 20, /* enough to keep judging it */
};

/* One target's history; anomaly_init() first. */
struct anomaly {
	/* Set by the caller before each judgement: what happened since the last. */
	bool is_healthy;
	uint64_t new_requests, new_failures; /* failures are among the requests */
	/* The verdict. */
	bool is_anomalous;
	unsigned weight; /* ANOMALY_LEAST_WEIGHT..SHARE_FULL; less than that = mitigation is on */
	/* The judge's own. */
	double requests, failures;
};

void anomaly_init(struct anomaly *anomaly);

/* Judges the targets of one group.  mitigates: weights may be other than SHARE_FULL. */
void anomaly_judge(struct anomaly *const *targets, size_t n, bool mitigates);

#endif
