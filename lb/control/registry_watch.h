/*
 * What the registry does between probes: tells workers of a change of health, with slow start;
 * looks at what requests met (passive health checks); judges targets by their peers (anomalies).
 * For lb/control/registry.c and prober.c.  Control thread.
 */
#ifndef LB_CONTROL_REGISTRY_WATCH_H
#define LB_CONTROL_REGISTRY_WATCH_H

#include "lb/control/registry.h"

enum { WATCH_LOOK_MS = 100 }; /* how often live_group_look() wants to be called */

/* It has just been registered, and is not among the group's targets yet. */
void live_target_join(struct live_target *live);

/* The state machine was fed or set: workers obey from now on. */
void live_target_publish(struct live_target *live);

/* Passive health checks; cheap where the group has none. */
void live_group_look(struct live_group *group);

/* Every ANOMALY_WINDOW_MS. */
void live_group_judge(struct live_group *group);

#endif
