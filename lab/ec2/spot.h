/*
 * Spot instances of the lab: ordinary processes, marked, which people can have taken back.
 * Control thread.
 */
#ifndef LAB_EC2_SPOT_H
#define LAB_EC2_SPOT_H

#include "lab/ec2/ec2.h"

/* The instance's metadata service tells it from now on: a rebalance recommendation (ends_ms 0), or
 * an interruption, and the instance ends at ends_ms.  -1 with error: it is no running Spot
 * instance. */
MUST_CHECK int spot_notice(struct ec2 *ec2, const char *instance_id, int64_t ends_ms,
			   struct aws_error *error);
/* Ends those whose time has come.  When the next one's does; 0: there is none. */
int64_t spot_sweep(struct ec2 *ec2, int64_t now_ms);

/* What the metadata service tells of notices goes into meta; -1 without memory. */
MUST_CHECK int spot_metadata(json_t *meta, const json_t *document);
/* "spot" or "on-demand". */
const char *spot_life_cycle(const json_t *document);

#endif
