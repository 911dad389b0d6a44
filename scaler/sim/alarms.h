/*
 * The alarms of a run: CloudWatch as the scaler has it, fed from what the run measures.  Ours see
 * each second as soon as it is over; simulated AWS sees minutes, some time after their end, and
 * judges once a minute.
 */
#ifndef SCALER_SIM_ALARMS_H
#define SCALER_SIM_ALARMS_H

#include "scaler/api/cloudwatch.h"
#include "scaler/sim/feed.h"
#include "scaler/sim/run.h"

struct sim_alarms;

struct sim_alarms_config {
	const struct clock *clock; /* borrowed */
	struct sim_feed *feed;     /* borrowed */
	bool is_aws;
	int64_t delay_ms; /* of AWS: from a minute's end until it is judged */
	cloudwatch_alarm_fn on_alarm;
	void *arg;
};

MUST_CHECK struct sim_alarms *sim_alarms_new(const struct sim_alarms_config *config,
					     struct err *err);
void sim_alarms_free(struct sim_alarms *alarms); /* NULL is fine */
/* list: MetricAlarms, actions as ARNs; what they watch and nobody measures is noted in the run. */
MUST_CHECK int sim_alarms_add(struct sim_alarms *alarms, const json_t *list, struct sim_run *run,
			      struct err *err);
/* What metric math (MetricDataQueries) of a policy reads is put into the store of datapoints too.
 */
void sim_alarms_watch(struct sim_alarms *alarms, const json_t *queries, const char *policy,
		      struct sim_run *run);
struct cloudwatch *sim_alarms_cloudwatch(struct sim_alarms *alarms);
/* After each second of the feed. */
void sim_alarms_pass(struct sim_alarms *alarms, int64_t now_ms);

#endif
