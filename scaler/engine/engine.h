/*
 * The engine: what the groups are to do, from what is known.  Pure: no socket, no clock, no
 * file; the time is a parameter, answers of EC2 and of the load balancer come in through
 * engine_* functions, what is to be done goes out as actions.  The owner's cycle:
 *
 *   inputs -> engine_tick -> engine_changes (write them to the store, in one transaction)
 *          -> carry out the actions -> their answers are inputs again
 *
 * An action whose answer is lost (the program died) is handed out again by a later tick with the
 * same token: launches neither leak nor double.
 */
#ifndef SCALER_ENGINE_ENGINE_H
#define SCALER_ENGINE_ENGINE_H

#include "common/base/check.h"
#include "common/base/err.h"
#include "scaler/engine/model.h"

/* region and account are copied; ids is borrowed, NULL for the kernel's randomness. */
MUST_CHECK struct engine *engine_new(const char *region, const char *account,
				     struct id_source *ids);
/* Seconds that a zone's clock is ahead of UTC at a Unix time; without it every zone is UTC. */
void engine_set_zones(struct engine *engine, int (*offset)(const char *zone, int64_t at_s));
/* No launch that would make the instances of all groups cost more than so many dollars an hour; 0:
 * no limit. */
void engine_limit_cost(struct engine *engine, double dollars);
double engine_hourly_cost(const struct engine *engine); /* of what has a known price */
/* From now on nothing is touched: ticks change desired capacities as policies and schedules say,
 * and hand out no action; group_explain says what would have been done. */
void engine_set_dry_run(struct engine *engine);
bool engine_is_dry_run(const struct engine *engine);
void engine_free(struct engine *engine); /* NULL is fine */

struct group *engine_group(struct engine *engine, const char *name); /* NULL: none */
/* By name or ARN; NULL: none. */
struct policy *group_policy(const struct group *group, const char *name);
/* Is the process ("Launch", ...) suspended? */
bool group_is_suspended(const struct group *group, const char *process);
/* Units of capacity that are live (Pending or InService): as many as instances, unless the mixed
 * instances policy gives types weights. */
int group_actual(const struct group *group);
/* The group that holds the instance, and it; NULL: no group does. */
struct group *engine_group_of(struct engine *engine, const char *instance_id,
			      struct instance **instance);

/* ---- actions ---- */

enum action_kind {
	ACTION_LAUNCH,
	ACTION_TERMINATE,
	ACTION_REGISTER,
	ACTION_DEREGISTER,
	ACTION_TAG, /* the group's mark, so that it is seen as the group's */
	ACTION_UNTAG,
	ACTION_START, /* out of the warm pool */
	ACTION_STOP,  /* into it */
};

struct action {
	enum action_kind kind;
	char group[NAME_MAX_LEN];
	char launch_id[ID_TEXT_MAX];   /* the instance (of a launch: the first) */
	char instance_id[ID_TEXT_MAX]; /* not of a launch */
	char target_group[ARN_MAX];    /* register, deregister */
	char token[TOKEN_MAX];         /* launch: ClientToken */
	char zone[ZONE_MAX], subnet_id[ZONE_MAX];
	char type[ZONE_MAX]; /* launch: "" the template's */
	bool is_spot;
	int count;
	bool hibernates; /* stop */
};

struct actions {
	struct action *items;
	size_t n, cap;
	bool is_failed; /* no memory: the missing ones come with a later tick */
};

void actions_fini(struct actions *actions);

/*
 * One datapoint a period for a metric of the group: values[0] the oldest, values[n-1] the period
 * that ends at end_ms, NAN where there is none.  dimensions: [{Name, Value}].
 */
struct metric_request {
	const char *namespace, *name, *statistic;
	const char *unit; /* NULL: data of every unit */
	const json_t *dimensions;
	/* Instead of those: MetricDataQueries, one of which returns data; all periods are period_s.
	 * What cannot be worked out has no values.  NULL: a metric. */
	const json_t *queries;
	int period_s;
	int64_t end_ms;
	double *values;
	int n;
};
/* Returns how many values are there. */
typedef int (*engine_metric_fn)(void *arg, const struct metric_request *request);

struct metric_source {
	engine_metric_fn read; /* NULL: no metrics, no target tracking */
	void *arg;
};

/* Decides.  Actions are added to actions; call engine_changes before carrying them out. */
void engine_tick(struct engine *engine, const struct metric_source *metrics, int64_t now_ms,
		 struct actions *actions);

/* ---- answers to actions; error_code NULL: done ---- */

/* Besides the services' own codes: "NoAnswer" (it may have been done), and */
#define NOT_ASKED "NotAsked" /* it was not carried out, because the state could not be written */

/* instances: RunInstances' Instances, borrowed.  is_final: the launch was refused (a 4xx);
 * otherwise nobody knows, and it is repeated with its token. */
struct launch_answer {
	const json_t *instances; /* NULL: it failed */
	const char *code, *message;
	bool is_final;
};
void engine_launch_done(struct engine *engine, const struct action *action,
			const struct launch_answer *answer, int64_t now_ms);
void engine_terminate_done(struct engine *engine, const struct action *action,
			   const char *error_code, int64_t now_ms);
void engine_register_done(struct engine *engine, const struct action *action,
			  const char *error_code, const char *message, int64_t now_ms);
void engine_deregister_done(struct engine *engine, const struct action *action,
			    const char *error_code, int64_t now_ms);

/* Of a tag set or taken away. */
void engine_tag_done(struct engine *engine, const struct action *action, const char *error_code,
		     const char *message, int64_t now_ms);

/* Of an instance started or stopped. */
void engine_power_done(struct engine *engine, const struct action *action, const char *error_code,
		       const char *message, int64_t now_ms);

/* ---- views ---- */

/*
 * All instances that carry the group's tag, in EC2's shape (DescribeInstances' Instances[]),
 * terminated ones too, as asked at asked_ms.  Unknown ones are adopted if their ClientToken is of
 * a launch of ours; ids of those to be ended (leaked: our token, unknown launch, older than the
 * guard time) are added to strays.
 */
void engine_instances_seen(struct engine *engine, struct group *group, const json_t *instances,
			   int64_t asked_ms, int64_t now_ms, json_t *strays);

/* TargetHealthDescriptions, as asked at asked_ms; NULL: the load balancer could not be asked. */
void engine_health_seen(struct engine *engine, const char *arn, const json_t *descriptions,
			int64_t asked_ms);
void engine_delay_seen(struct engine *engine, const char *arn, int64_t delay_ms);
/* A target group's name (in the file) has become an ARN. */
void engine_target_group_named(struct engine *engine, const char *name, const char *arn);
/* The zones that the group launches into, [{AvailabilityZone, SubnetId}]. */
void engine_zones_seen(struct group *group, const json_t *subnets);
/* The group's launch template, DescribeLaunchTemplates' shape. */
void engine_template_seen(struct group *group, const json_t *launch_template);

/* EC2 recommends to replace a Spot instance, or (is_interruption) ends it in two minutes.  False:
 * no group has a Spot instance of that id. */
bool engine_spot_notice(struct engine *engine, const char *instance_id, bool is_interruption,
			int64_t now_ms);

/* ---- what people ask for; each returns 0, or -1 with the reason ---- */

/* document: CreateAutoScalingGroup's input, validated; is_from_file: applied from the
 * configuration. */
MUST_CHECK struct group *engine_create_group(struct engine *engine, const json_t *input,
					     int64_t now_ms, struct err *err);
/* input: UpdateAutoScalingGroup's. */
MUST_CHECK int engine_update_group(struct group *group, const json_t *input, int64_t now_ms,
				   struct err *err);
/* Ends every instance (is_forced), then the group goes with a later tick; an empty one with the
 * next. */
void engine_delete_group(struct engine *engine, struct group *group, int64_t now_ms);
MUST_CHECK int engine_set_desired(struct group *group, int desired, int64_t now_ms,
				  struct err *err);
/* The termination's activity, borrowed; NULL with err. */
MUST_CHECK struct activity *engine_terminate_instance(struct engine *engine, struct group *group,
						      struct instance *instance,
						      bool decrements_desired, int64_t now_ms,
						      struct err *err);
/* What a step or simple policy is run with. */
struct policy_run {
	bool has_value; /* step scaling needs it */
	double value, threshold;
	bool honors_cooldown;
	json_t *alarm; /* InvokingAlarms' entry, borrowed; NULL: a person runs it */
};
/* A person's run: at once.  -1 with err: EBUSY it would have to wait for the cooldown, EINVAL it
 * cannot be run so. */
MUST_CHECK int engine_execute_policy(struct group *group, struct policy *policy,
				     const struct policy_run *run, int64_t now_ms, struct err *err);
/* An alarm's run: weighed in the next tick.  What waits, is suspended or disabled is dropped. */
MUST_CHECK int engine_alarm_policy(struct group *group, struct policy *policy,
				   const struct policy_run *run, int64_t now_ms, struct err *err);
/* Does what simple scaling did last still hold the next action back? */
bool group_is_cooling_down(const struct group *group, int64_t now_ms);
/* An entry of InvokingAlarms for the alarm (DescribeAlarms' shape) at its change into new_state;
 * NULL without memory. */
json_t *alarm_detail(const struct engine *engine, const json_t *alarm, const char *old_state,
		     const char *new_state, int64_t at_ms);
json_t *alarm_detail_of(const char *account, const char *region, const json_t *alarm,
			const char *old_state, const char *new_state, int64_t at_ms);
/* The group's scheduled action of that name; NULL: none. */
struct schedule *group_schedule(const struct group *group, const char *name);
/* PutScheduledUpdateGroupAction's input, its members checked one by one; an action of the name is
 * changed.  -1 with err: EEXIST another begins at the same time, EINVAL it cannot be. */
MUST_CHECK int engine_put_schedule(struct engine *engine, struct group *group, const json_t *input,
				   int64_t now_ms, struct err *err);
void engine_remove_schedule(struct engine *engine, struct group *group, struct schedule *schedule);
json_t *schedule_describe(const struct schedule *schedule);
/* Its document is another one: what was remembered for the old one is forgotten. */
void engine_policy_changed(struct policy *policy);
void engine_remove_policy(struct engine *engine, struct group *group, struct policy *policy);
/* Into standby, or (is_for_good) out of the group; it keeps running.  The instance is settled.  The
 * activity, borrowed; NULL without memory.  Desired is the caller's. */
MUST_CHECK struct activity *engine_take_out(struct engine *engine, struct group *group,
					    struct instance *instance, bool is_for_good,
					    int64_t now_ms);
MUST_CHECK struct activity *engine_exit_standby(struct engine *engine, struct group *group,
						struct instance *instance, int64_t now_ms);
/* An instance that nobody's group has; whether EC2 has it shows in the activity. */
MUST_CHECK int engine_attach_instance(struct engine *engine, struct group *group, const char *id,
				      int64_t now_ms, struct err *err);

/* The group's launch configuration, borrowed; NULL: it has a template. */
const json_t *group_config(const struct group *group);
/* Launches are tried again at once: the template, the zones or a person's mind has changed. */
void breaker_reset(struct group *group);
/* What had no room may have it now: all are asked again. */
void pools_forget(struct group *group);
/* Why launches are held, in a sentence put into text, which is returned; NULL: they are not. */
const char *breaker_hold(const struct group *group, int64_t now_ms, char text[MESSAGE_MAX]);

/* What keeps the group from doing what it would; kind: one word for programs, text: a sentence,
 * until_ms: when it ends by itself, 0 nobody knows.  Returns how many. */
enum { MAX_HOLDS = 32 };
struct hold {
	const char *kind;
	int64_t until_ms;
	char text[MESSAGE_MAX];
};
int group_holds(const struct group *group, int64_t now_ms, struct hold holds[MAX_HOLDS]);
/* Why it is to be replaced though it serves; NULL: it is not. */
const char *instance_replace_reason(const struct instance *instance);

/* Launch configurations by name; document: DescribeLaunchConfigurations' entry, taken over.  -1
 * without memory. */
MUST_CHECK int engine_add_config(struct engine *engine, json_t *document);
void engine_remove_config(struct engine *engine, const char *name);

/* The launch template in force: that of the refresh under way, else the group's; borrowed. */
json_t *group_template(const struct group *group);
/* RunInstances' members of this launch over the template's (a LaunchTemplate among them replaces
 * the group's); borrowed, NULL: none. */
const json_t *engine_run_members(const struct group *group, const char *launch_id);
/* RunInstances is not called faster than this: a burst, and then per_s a second.  burst 0: no
 * limit. */
void engine_pace_runs(struct engine *engine, int burst, double per_s);
/* Prices an hour, see prices.h; copied. */
void engine_set_prices(struct engine *engine, const json_t *prices);
/* Is each template that the object (a group's document, a DesiredConfiguration) names, by
 * LaunchTemplate or MixedInstancesPolicy, of a fixed version? */
bool mixed_is_fixed(const json_t *object);
/* input: StartInstanceRefresh's, checked.  The refresh's id, borrowed; NULL with err: EBUSY another
 * is under way. */
MUST_CHECK const char *engine_start_refresh(struct engine *engine, struct group *group,
					    const json_t *input, int64_t now_ms, struct err *err);
/* ENOENT: none is under way. */
MUST_CHECK const char *engine_cancel_refresh(struct group *group, struct err *err);
/* ENOENT; EINVAL: there is nothing to go back to. */
MUST_CHECK const char *engine_roll_back_refresh(struct group *group, int64_t now_ms,
						struct err *err);
bool group_is_refreshing(const struct group *group);
/* The alarm is in ALARM: a refresh that watches it fails. */
void engine_refresh_alarm(struct group *group, const char *alarm, int64_t now_ms);

/* Lifecycle hooks, DescribeLifecycleHooks' shape, borrowed; NULL: none. */
const json_t *group_hooks(const struct group *group);
/* input: PutLifecycleHook's, its members checked one by one.  -1 with err: EINVAL, EDQUOT. */
MUST_CHECK int engine_put_hook(struct group *group, const json_t *input, struct err *err);
/* -1: there is none of that name.  Launches that wait for it are abandoned, terminations go on. */
MUST_CHECK int engine_remove_hook(struct group *group, const char *name);
/* input: CompleteLifecycleAction's, RecordLifecycleActionHeartbeat's. */
MUST_CHECK int engine_complete_hook(struct group *group, const json_t *input, struct err *err);
MUST_CHECK int engine_beat_hook(struct group *group, const json_t *input, int64_t now_ms,
				struct err *err);

/*
 * Warm pools.  input: PutWarmPool's, checked.  -1 with err: EBUSY the pool is being deleted or the
 * group refreshed, ENOMEM.
 */
MUST_CHECK int engine_put_warm_pool(struct group *group, const json_t *input, struct err *err);
/* Its instances are ended (is_forced: without hooks), then it goes.  -1: there is none. */
MUST_CHECK int engine_delete_warm_pool(struct engine *engine, struct group *group, bool is_forced,
				       int64_t now_ms);
/* WarmPoolConfiguration, borrowed; NULL: none. */
const json_t *group_warm_pool(const struct group *group);
int warm_pool_size(const struct group *group);            /* as it should be */
bool instance_is_pooled(const struct instance *instance); /* in the pool, or on its way in */

void engine_attach(struct group *group, const char *arn);
void engine_detach(struct group *group, const char *arn);

/* ---- events ---- */

/* Is there a webhook, to which every event is owed? */
void engine_set_webhook(struct engine *engine, bool has_webhook);
/* A test message for a topic that has just been named. */
void event_test(struct group *group, const char *topic, int64_t now_ms);
/* The oldest event with a delivery that is due: its place in event->deliveries, which is under way
 * from now on until engine_delivered; NULL: none. */
const struct event *engine_next_delivery(struct engine *engine, int64_t now_ms, size_t *place);
/* why NULL: it has arrived.  True when nothing more is to be tried. */
bool engine_delivered(struct engine *engine, uint64_t number, size_t place, const char *why,
		      int64_t now_ms);
struct event_query {
	const char *group; /* NULL: all */
	uint64_t after;    /* only those with a higher number */
	size_t limit;
	bool hides_tokens; /* LifecycleActionToken: who knows it can answer for the instance */
};
/* {Events: [...]}, newest first; NULL without memory. */
json_t *engine_events_describe(const struct engine *engine, const struct event_query *query);

/* Target tracking's arithmetic: instances needed, and the part of the target below which one of n
 * can be spared. */
int tracking_need(int n, double metric, double target);
double tracking_low_fraction(int n);
/* What the high or the low alarm of a target tracking policy says of the metric, in
 * PutMetricAlarm's members: Metrics or MetricName and so on, Period, EvaluationPeriods, Threshold,
 * ComparisonOperator.  New reference; NULL without memory. */
json_t *tracking_alarm(const struct group *group, const struct policy *policy, bool is_high);

/* ---- predictive scaling ---- */

/* GetPredictiveScalingForecast's answer for [from_ms, to_ms), new reference; NULL: the policy has
 * looked at no metric yet, or there is no memory. */
json_t *policy_forecast(const struct policy *policy, int64_t from_ms, int64_t to_ms);
/* Why its forecast is not acted on; "": nothing is wrong; NULL: it makes none. */
const char *policy_prediction_note(const struct policy *policy);
struct prediction_figures {
	int64_t hour_ms;
	double load, capacity;
	double correlation; /* NAN: unknown */
};
/* Of the hour; false: there are none. */
bool policy_prediction_figures(const struct policy *policy, int64_t now_ms,
			       struct prediction_figures *figures);
/* PredictedCapacity; -1: none. */
int group_predicted_capacity(const struct group *group);

/* Two policies that alarms on one metric run, one above and one below a threshold. */
struct flap_side {
	const json_t *policy; /* its document, borrowed */
	double threshold;
};
/* At this capacity the metric, at the one threshold, lands beyond the other. */
struct flap {
	int capacity, becomes;
	double from, lands;
};
/* The first capacity of the group at which one would call the other. */
bool flap_find(const struct group *group, const struct flap_side *out, const struct flap_side *in,
	       struct flap *flap);

/* ---- documents ---- */

/*
 * Calls fn with each changed document's key and a new reference (NULL: delete the key).  After
 * they are safely stored, engine_saved; without it they are handed out again.  -1: there was no
 * memory for some, so nothing of this may be stored.
 */
typedef void (*engine_change_fn)(void *arg, const char *key, json_t *document);
bool engine_has_changes(const struct engine *engine);
MUST_CHECK int engine_changes(struct engine *engine, engine_change_fn fn, void *arg);
void engine_saved(struct engine *engine);
/* One document of the store, in the store's order of keys, before the first tick; then
 * engine_loaded.  -1: not one of ours, or without memory. */
MUST_CHECK int engine_load(struct engine *engine, const char *key, const json_t *document);
void engine_loaded(struct engine *engine);
extern const char *const ENGINE_KEYS; /* the prefix of all keys */

/* DescribeAutoScalingGroups' entry, new reference or NULL without memory. */
json_t *group_describe(const struct group *group, bool with_instances);
/* What it would do next and what holds it back, with the figures behind that; for people.  metrics
 * as for engine_tick.  New reference; NULL without memory. */
json_t *group_explain(struct engine *engine, const struct group *group,
		      const struct metric_source *metrics, int64_t now_ms);
/* DescribeAutoScalingInstances' entry. */
json_t *instance_describe(const struct group *group, const struct instance *instance);
json_t *activity_describe(const struct engine *engine, const struct activity *activity);
json_t *attachment_describe(const struct attachment *attachment);

bool instance_is_live(const struct instance *instance); /* Pending or InService */
/* What it counts for in a capacity: its type's weight, else 1. */
int instance_units(const struct instance *instance);
/* InService, Standby, warm or retained. */
bool instance_is_settled(const struct instance *instance);
/* "Pending:Wait"; returns text. */
const char *instance_lifecycle(const struct instance *instance, char text[ZONE_MAX]);
const char *activity_status_name(enum activity_status status);

struct group_counts {
	int pending, in_service, terminating, standby, unhealthy;
	int warming, warm, warm_terminating; /* the warm pool's, not among the others */
};
struct group_counts group_count(const struct group *group);
/* The same in units of capacity. */
struct group_counts group_capacity(const struct group *group);
/* Does anything change, so that EC2 is to be asked often? */
bool group_is_moving(const struct group *group);

#endif
