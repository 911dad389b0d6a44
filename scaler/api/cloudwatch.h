/*
 * The part of CloudWatch that scaling needs: takes metrics, answers for them, keeps alarms
 * (documents "cw/alarm/NAME" in the store, in DescribeAlarms' shape), evaluates them and tells
 * the owner what their actions are.  Metric data and history live in memory; cloudwatch_keep() has
 * them written to the store too, every few seconds and at the end. Control thread only; nothing
 * here may be called while a transaction of the store is open.
 *
 * The handlers of monitoring.def take a struct cloudwatch as their context.
 */
#ifndef SCALER_API_CLOUDWATCH_H
#define SCALER_API_CLOUDWATCH_H

#include <jansson.h>
#include <stdint.h>

#include "common/aws/server.h"
#include "common/base/buf.h"
#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/store/store.h"
#include "scaler/metrics/alarm.h"
#include "scaler/metrics/series.h"

#define AWS_ACTION AWS_DECLARE_ACTION
#include "scaler/api/monitoring.def"
#undef AWS_ACTION

struct cloudwatch;

/* clock, region and account are borrowed and outlive it (clock NULL: the real one).  Reads the
 * alarms that are in the store. */
MUST_CHECK struct cloudwatch *cloudwatch_new(struct store *store, const struct clock *clock,
					     const char *region, const char *account,
					     struct err *err);
/*
 * Takes what the store has of metric data and history, and from now on writes them there every 5 s
 * and in cloudwatch_free(): a kill loses at most those seconds.  Call it once, before the first
 * datum.  For a store that survives; the store holds a copy in memory, of at most 48 MiB.
 */
void cloudwatch_keep(struct cloudwatch *cw);
void cloudwatch_free(struct cloudwatch *cw); /* NULL is fine; the store is the caller's */

/* What an alarm's change of state, or its staying there, asks for. */
struct alarm_event {
	const json_t *alarm; /* the document with the new state; borrowed for the call */
	const char *name;
	enum alarm_state old_state, new_state;
	bool is_repeat; /* the state is the old one; scaling policies run once a minute while it
			   lasts */
	bool has_value; /* value: the newest datapoint judged, or the last of StateReasonData's
			   recentDatapoints */
	double value, threshold;
	int64_t at_ms;
	const char *action; /* the ARN to run; NULL: only tells of the change */
};

/*
 * Called once for each change with action NULL, then for each action of an Auto Scaling policy
 * ("arn:aws:autoscaling:..:scalingPolicy:..").  0: done; -1 with err: it failed (goes into the
 * alarm's history).  Other kinds of action are logged as not supported and not passed on.  May be
 * called from cloudwatch_tick and from a handler (SetAlarmState, PutMetricAlarm); must not call
 * cloudwatch_tick; may call the alarm functions below.
 */
typedef int (*cloudwatch_alarm_fn)(void *arg, const struct alarm_event *event, struct err *err);
void cloudwatch_on_alarm(struct cloudwatch *cw, cloudwatch_alarm_fn fn, void *arg);

/* What an alarm has to say to an SNS topic.  Borrowed for the call. */
struct cloudwatch_notice {
	const char *alarm, *topic;     /* name; ARN */
	const char *subject, *message; /* message: CloudWatch's JSON */
	const char *mail;              /* the same for people to read */
};

/* Called for each action of SNS's form when a state is entered.  0: on its way, to end in
 * cloudwatch_notice_done() later (not from inside the call); -1 with err: it failed. */
typedef int (*cloudwatch_notice_fn)(void *arg, const struct cloudwatch_notice *notice,
				    struct err *err);
void cloudwatch_on_notice(struct cloudwatch *cw, cloudwatch_notice_fn fn, void *arg);
/* why NULL: it was published. */
void cloudwatch_notice_done(struct cloudwatch *cw, const char *alarm, const char *topic,
			    const char *why);

/* Called after each PutMetricData that was taken. */
typedef void (*cloudwatch_data_fn)(void *arg);
void cloudwatch_on_data(struct cloudwatch *cw, cloudwatch_data_fn fn, void *arg);

/* Evaluates the alarms that are due and ages the metrics. */
void cloudwatch_tick(struct cloudwatch *cw, int64_t now_ms);
/* When the next tick is due (Unix ms); INT64_MAX when nothing is. */
int64_t cloudwatch_next_due_ms(const struct cloudwatch *cw);

/*
 * The engine's own alarms (target tracking).  input: PutMetricAlarm's; an existing alarm of the
 * name keeps its state.
 */
MUST_CHECK int cloudwatch_put_alarm(struct cloudwatch *cw, const json_t *input, struct err *err);
/* An absent one is fine. */
MUST_CHECK int cloudwatch_delete_alarm(struct cloudwatch *cw, const char *name, struct err *err);
/* The document, borrowed until the alarm changes; NULL when there is none. */
const json_t *cloudwatch_alarm(const struct cloudwatch *cw, const char *name);

/* [{AlarmName, AlarmARN}] of the alarms that name the ARN in an action; new reference. */
json_t *cloudwatch_alarms_with_action(const struct cloudwatch *cw, const char *arn);
/* The thing is gone: alarms no longer name it. */
void cloudwatch_drop_action(struct cloudwatch *cw, const char *arn);

/*
 * Applies the configuration file's MetricAlarms (NULL: none): creates or updates what it names,
 * deletes what an earlier file created and this one lacks.  err names the alarm.
 */
MUST_CHECK int cloudwatch_apply_file(struct cloudwatch *cw, const json_t *alarms, struct err *err);

/* The store of datapoints, for the engine to read and to put its own into. */
struct metrics *cloudwatch_metrics(struct cloudwatch *cw);

/* Prometheus text, for /metrics. */
void cloudwatch_print(const struct cloudwatch *cw, struct buf *text);

/* The service's name in SigV4 scopes and its handlers; for aws_server_add_service. */
extern const struct aws_action cloudwatch_actions[];
extern const size_t cloudwatch_n_actions;

#endif
