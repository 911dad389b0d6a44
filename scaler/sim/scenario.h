/*
 * What is simulated: a group of the configuration file, which of its policies (or another file's),
 * and the plan that all runs share.  Reads files: command line only.
 */
#ifndef SCALER_SIM_SCENARIO_H
#define SCALER_SIM_SCENARIO_H

#include <jansson.h>

#include "scaler/sim/capacity.h"
#include "scaler/sim/curve.h"
#include "scaler/sim/world.h"

enum { SIM_POLICIES_MAX = 16, SIM_LABEL_MAX = 64 };

/* One of --policy: a column of the table. */
struct sim_choice {
	char label[SIM_LABEL_MAX];
	bool is_aws;    /* under simulated AWS */
	int fixed;      /* instances, without any policy; -1: policies */
	json_t *config; /* the file with one group, the policies chosen and their alarms */
};

struct sim_plan {
	/* Of the command line. */
	struct sim_params params;
	struct sim_capacity capacity;
	double utilization;   /* yardstick: what an instance is meant to carry; 0: of the policy */
	double noise;         /* of the load: standard deviation as a part of it */
	int step_s;           /* the engine decides this often */
	int settle_s;         /* before the load begins: its first value, not counted */
	int64_t aws_delay_ms; /* from a minute's end to the action it leads to */
	double price;         /* an instance-hour; < 0: by the type */
	const struct sim_curve *curve; /* borrowed */
	/* Of the file. */
	char group[NAME_MAX_LEN];
	char instance_type[ZONE_MAX];
	char load_balancer[ARN_MAX]; /* app/NAME/ID */
};

/* The group's settings into the plan; params.drain_ms and .check_ms only when they are < 0.
 * group NULL: the only one.  -1 with err, which names the file. */
MUST_CHECK int sim_plan_read(struct sim_plan *plan, const char *path, const json_t *config,
			     const char *group, struct err *err);

/*
 * text: "all" the group's policies together, NAME one of them, FILE.json one of a file, "fixed:N"
 * instances without any policy; "aws:" in front of all but the last puts it under simulated AWS.
 */
MUST_CHECK int sim_choice_read(struct sim_choice *choice, const struct sim_plan *plan,
			       const char *path, const json_t *config, const char *text,
			       struct err *err);
void sim_choice_fini(struct sim_choice *choice);

/* An instance-hour of the type in dollars, as EC2 asks in us-east-1 on demand; < 0: unknown. */
double sim_price(const char *instance_type);

#endif
