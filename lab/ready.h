/*
 * Waiting until the whole lab works: the children answer, the single endpoint answers, every
 * group of the file has its instances in service and every target of its target groups is healthy.
 * Asks the APIs as any client would.  Control thread.
 */
#ifndef LAB_READY_H
#define LAB_READY_H

#include "common/aws/client.h"

struct ready_config {
	struct event_base *base;
	struct curl_loop *loop;
	struct aws_client *autoscaling, *elb; /* NULL: that program does not run */
	/* Pages that must answer 200, in this order; NULL-terminated. */
	const char *pages[5];
	const json_t *groups; /* AutoScalingGroups of the file; a reference is taken */
	void (*on_ready)(void *arg);
	/* All pages have answered once: the children work. */
	void (*on_pages)(void *arg);
	void *arg;
};

struct ready;

/* Starts asking; on_ready is called once.  What it waits for goes to the log. */
MUST_CHECK struct ready *ready_new(const struct ready_config *config, struct err *err);
void ready_free(struct ready *ready);

/* Pure: what a group still lacks, in words ("" = nothing), by the scaler's answer. */
void ready_group_lacks(const json_t *answer, const char *name, char text[160]);

/* Pure: the same for a target group's health; expected: how many targets at least. */
void ready_targets_lack(const json_t *answer, const char *arn, int64_t expected, char text[160]);

#endif
