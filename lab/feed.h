/*
 * CPU use of the instances, measured every second and sent to the scaler as CloudWatch's AWS/EC2
 * CPUUtilization: by InstanceId, and by AutoScalingGroupName from the group's tag where the
 * instance is not in a warm pool.  Control thread.
 */
#ifndef LAB_FEED_H
#define LAB_FEED_H

#include "common/aws/client.h"
#include "lab/ec2/ec2.h"
#include "lab/lifecycle.h"
#include "lab/runtime/process.h"

struct feed;

/* client: of service monitoring; everything is borrowed until feed_free. */
MUST_CHECK struct feed *feed_new(struct event_base *base, struct ec2 *ec2,
				 struct process_runtime *runtime, struct aws_client *client,
				 struct lifecycle *lifecycle, struct err *err);
void feed_free(struct feed *feed);

/* Pure: how long to wait from now (Unix ms) for the next second to be over; never under half of
 * one. */
int feed_pause_ms(int64_t now_ms);

/* Pure: adds one instance's datums to MetricData, once by instance and, group not NULL, to the
 * group's Values.  -1 without memory. */
MUST_CHECK int feed_add(json_t *metric_data, const char *instance_id, const char *group,
			double percent, const char *timestamp);

#endif
