/*
 * The rim's parts as they see each other; scaler/cloud only.
 */
#ifndef SCALER_CLOUD_RIM_PARTS_H
#define SCALER_CLOUD_RIM_PARTS_H

#include "scaler/cloud/event_sender.h"
#include "scaler/cloud/rim.h"

/* What /metrics tells of calls to one service. */
struct call_counts {
	uint64_t run_instances, run_instances_failed;
	uint64_t terminate_instances, terminate_instances_failed;
	uint64_t describes, describes_failed;
	uint64_t registers, registers_failed;
};

/* Is the service there?  Logged when that changes, not at every call. */
struct reach {
	const char *service, *endpoint;
	bool is_down;
};

/* A question asked again and again. */
struct poll {
	int64_t due_ms;
	int64_t asked_ms;
	bool is_busy;
	int failures;
};

enum { MAX_TARGET_POLLS = 256 };

/* What the load balancer is asked about one target group. */
struct target_poll {
	char arn[ARN_MAX]; /* or a name that has to be looked up */
	struct poll health, attributes, lookup;
	struct rim *rim;
	TAILQ_ENTRY(target_poll) link;
};

/* One call under way, and what it is about. */
struct call {
	struct rim *rim;
	struct action action; /* of a question only the group is set */
	LIST_ENTRY(call) link;
};

struct rim {
	/* Set once. */
	struct rim_config config;
	struct engine *engine;
	struct aws_client *ec2, *elb;
	struct event_sender *sender;
	struct event *timer; /* the next tick */

	/* Changes. */
	json_t *templates; /* the file's; NULL none */
	json_t *names;     /* see rim_names */
	struct poll instances;
	json_t *instances_so_far; /* pages of the answer under way */
	json_t *instances_filter;
	struct poll zones, template;
	TAILQ_HEAD(, target_poll) targets;
	LIST_HEAD(, call) calls; /* so that those dropped at the end are freed */
	struct reach ec2_reach, elb_reach;
	/* What is asked of a CloudWatch elsewhere: metric_polls.c. */
	struct aws_client *monitoring; /* NULL: nothing is */
	struct reach monitoring_reach;
	LIST_HEAD(, metric_ask) metric_asks; /* under way */
	json_t *asked_metrics;               /* {key: metric}; NULL none yet */
	int64_t metrics_asked_ms;
	uint64_t metrics_occasion;
	struct call_counts counts;
	int64_t moving_since_ms;
	int64_t published_ms, ticked_ms, flaps_ms;
	json_t *plans; /* dry run: {group: what was last said that it would do} */
	bool is_store_down;
};

/* rim.c */
int64_t rim_now_ms(void);
/* A tick as soon as the loop turns. */
void rim_wake(struct rim *rim);
/* Notes and logs whether an answer came at all; true if none came. */
bool rim_note_answer(struct reach *reach, const struct aws_error *error);
/* When to ask again after failures. */
int64_t rim_retry_ms(const struct poll *poll);
bool rim_is_moving(const struct rim *rim);

/* call.c */
MUST_CHECK struct call *call_new(struct rim *rim, const struct action *action);
MUST_CHECK struct call *call_about(struct rim *rim, const struct group *group);
void call_free(struct call *call); /* NULL is fine */

/* actions.c: carries one out; every action gets exactly one answer, now or later. */
void rim_carry_out(struct rim *rim, const struct action *action);
/* It was not carried out because the state could not be written. */
void rim_refuse(struct rim *rim, const struct action *action);
void rim_end_stray(struct rim *rim, const char *instance_id, const char *group);

/* launch_input.c: RunInstances' input; NULL with err. */
MUST_CHECK json_t *launch_input(const struct group *group, const json_t *templates,
				const struct action *action, struct err *err);
/* The file's template that the group names; NULL: EC2 knows it. */
const json_t *launch_template_of(const struct group *group, const json_t *templates);
/* The instance's tags; template: the file's, NULL none.  NULL without memory. */
json_t *launch_tags(const struct group *group, const json_t *template);
extern const char *const LAUNCH_TAG; /* marks our instances with their group */

/* dry_run.c: what would be done, where that has changed. */
void rim_tell_plans(struct rim *rim, const struct metric_source *metrics, int64_t now_ms);

/* ec2_polls.c */
void rim_poll_ec2(struct rim *rim, int64_t now_ms);
/* target_polls.c */
void rim_poll_targets(struct rim *rim, int64_t now_ms);
void rim_free_targets(struct rim *rim);
/* publish.c: groups' own metrics and averages, once a second. */
void rim_publish(struct rim *rim, int64_t now_ms);
/* flaps.c: policies that would undo each other, once a minute. */
void rim_find_flaps(struct rim *rim, int64_t now_ms);
/* publish_forecast.c: what a predictive policy expects of the hour. */
void rim_publish_forecast(struct rim *rim, const struct group *group, const struct policy *policy,
			  int64_t now_ms);
/* metric_polls.c */
void rim_poll_metrics(struct rim *rim, int64_t now_ms);
void rim_free_metric_polls(struct rim *rim);
/* An engine_metric_fn over the scaler's own metrics. */
int rim_read_metric(void *rim, const struct metric_request *request);

#endif
