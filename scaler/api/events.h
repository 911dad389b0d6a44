/*
 * Events of EC2 that others pass on: POST /events/ec2 takes what an EventBridge API destination
 * sends. Control thread.
 */
#ifndef SCALER_API_EVENTS_H
#define SCALER_API_EVENTS_H

#include "common/aws/server.h"

/* context: struct autoscaling. */
void events_take(void *context, struct aws_page *page);

#endif
