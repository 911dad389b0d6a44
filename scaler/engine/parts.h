/*
 * The parts of the engine as they see each other.  Who is not in scaler/engine includes
 * engine.h instead.
 */
#ifndef SCALER_ENGINE_PARTS_H
#define SCALER_ENGINE_PARTS_H

#include "common/doc/doc.h"
#include "scaler/engine/engine.h"

struct load_memory;

/* What every part of a tick needs. */
struct tick {
	struct engine *engine;
	const struct metric_source *metrics;
	int64_t now_ms;
	struct actions *actions;
	bool has_forecast; /* one was made in this tick */
};

/* text.c: copies, cutting at the end; NULL is "". */
void text_copy(char *to, size_t size, const char *from);
/* Drops half a character at the end, left there by a function that cuts at bytes. */
void text_mend(char *text);

/* activity.c */

/* "At 2026-08-07T10:00:05Z EVENT." behind two spaces when there is something in front. */
void cause_add(char cause[CAUSE_MAX], int64_t now_ms, const char *format, ...) PRINTF_LIKE(3, 4);
void activity_free(struct activity *activity); /* NULL is fine */
/* NULL without memory; cause is copied. */
MUST_CHECK struct activity *activity_start(struct engine *engine, struct group *group,
					   const char *cause, int64_t now_ms);
struct activity *activity_find(const struct group *group, const char *id);
/* Does nothing when it is over already, or NULL. */
void activity_progress(struct activity *activity, enum activity_status status, int progress);
void activity_say(struct activity *activity, const char *message);
void activity_end(struct activity *activity, enum activity_status status, int64_t now_ms);
void activities_trim(struct engine *engine, struct activities *activities, int max);
/* The launch failed: description, message, end. */
void activity_fail_launch(struct activity *activity, const char *why, int64_t now_ms);

/* group.c */
MUST_CHECK struct group *group_new(struct engine *engine, const char *name);
void group_free(struct group *group);
/* Sets desired and notes why; event is the sentence up to "changing the desired capacity". */
void group_change_desired(struct group *group, int desired, int64_t now_ms, const char *event);
/* alarm (borrowed, InvokingAlarms' entry) is behind the latest change of desired. */
void group_note_alarm(struct group *group, json_t *alarm);
/* Desired has been acted on. */
void group_forget_why(struct group *group);
/* MinSize, MaxSize, DesiredCapacity of input, as an update; who: the cause's sentence up to
 * "update of".  -1 with err: nothing has changed. */
MUST_CHECK int group_set_sizes(struct group *group, const json_t *input, const char *who,
			       int64_t now_ms, struct err *err);
struct instance *group_instance(const struct group *group, const char *id);
struct instance *group_launching(const struct group *group, const char *launch_id);
struct attachment *group_attachment(const struct group *group, const char *arn);
MUST_CHECK struct attachment *group_attachment_add(struct group *group, const char *arn);
void group_attachment_free(struct group *group, struct attachment *attachment);
bool group_checks_elb(const struct group *group);
int64_t group_grace_ms(const struct group *group); /* of health checks */
/* A tick begins with the group, is over with it: between them its document's settings stand. */
void group_learn_facts(struct group *group);
void group_forget_facts(struct group *group);
int64_t group_warmup_ms(const struct group *group);
/* Another template is in force, or other versions of it: EC2 is asked again. */
void group_forget_template(struct group *group);
/* The version number that the group's template stands for now; "" unknown. */
void group_template_version(const struct group *group, char version[ZONE_MAX]);
/* Zones by name only, until EC2 has told the subnets. */
void group_read_zones(struct group *group);
void policy_free(struct policy *policy);

/* instance.c */
/* [{Name: InstanceId, Value}], borrowed; NULL without memory. */
const json_t *instance_dimensions(struct instance *instance);
MUST_CHECK struct instance *instance_new(struct group *group);
void instance_free(struct instance *instance);
bool instance_is_leaving(const struct instance *instance); /* on any way out */
/* On the way in: into the group or into the warm pool. */
bool instance_is_launching(const struct instance *instance);
bool instance_is_running(const struct instance *instance);
void instance_drop_target_group(json_t *list, const char *arn);
/* Registered, or about to be as far as anyone knows. */
bool instance_may_be_in(const struct instance *instance, const char *arn);

/* zones.c */

/* Is it in a zone of the group, as far as is known? */
bool zones_have(const struct group *group, const struct instance *instance);

/* The open zone with the fewest in counts; the first of equals; -1: none is open. */
int zones_poorest(const struct group *group, const int counts[], int64_t now_ms);
/* The same without those that are barred. */
int zones_poorest_but(const struct group *group, const int counts[], const bool is_barred[],
		      int64_t now_ms);
/* Units of live instances in the zone. */
int zones_size(const struct group *group, const char *zone);
/* The same for each zone, without those that are to be replaced. */
void zones_count(const struct group *group, int counts[MAX_ZONES]);

/* breaker.c */

/* How many of needed launches may be decided now; breaker_hold says why not all. */
int breaker_may_launch(const struct group *group, int needed, int64_t now_ms);
/* A launch has failed: refused by EC2 (instance NULL), ended, or never healthy. */
void breaker_failed(struct engine *engine, struct group *group, const struct instance *instance,
		    const char *why, int64_t now_ms);
/* This one works. */
void breaker_succeeded(struct group *group, const struct instance *instance);
void breaker_launched(struct group *group); /* a launch has been decided */
/* Three in a row have failed: launches are probes. */
bool breaker_is_open(const struct group *group);
/* Launches have failed, and the next one is waited for or being watched.  (When it might be tried
 * but nobody needs one, nothing is held.) */
bool breaker_holds(const struct group *group, int64_t now_ms);
/* Does it stay, drained, to be looked at? */
bool breaker_keeps(const struct group *group, const struct instance *instance, int64_t now_ms);
/* How long to wait after so many failures before this one: for other things that are tried again,
 * such as a zone without room. */
int64_t breaker_delay_ms(struct engine *engine, int failures);
/* The entry of SuspendedProcesses for a group that has failed for a day; NULL: it has not. */
json_t *breaker_suspension(const struct group *group);

/* launch.c */
void launch_identify(struct group *group, struct instance *instance, const json_t *ec2);
void launch_progress(struct tick *tick, struct group *group);
/* At most so many launches now. */
int launch_allowed(const struct group *group, int needed, int64_t now_ms);
/* A launch decided: its activity and its instance, PENDING; NULL without memory. */
MUST_CHECK struct instance *launch_decide(struct tick *tick, struct group *group,
					  const struct zone *zone, const char *cause,
					  bool is_replacement);
/* Why n instances are added to actual ones. */
void launch_cause(const struct tick *tick, struct group *group, int actual, int n,
		  bool is_replacement, char cause[CAUSE_MAX]);
/* A launch that cannot succeed: its instance is ended, the next waits. */
void launch_give_up(struct tick *tick, struct group *group, struct instance *instance,
		    const char *why);
/* Ends the activity that said so, when zones are not waited for any more. */
void launch_zones_known(struct tick *tick, struct group *group);
/* units: of capacity. */
void launch_missing(struct tick *tick, struct group *group, int units);
void launch_hand_out(struct tick *tick, struct group *group);
/* It has no instance, or that has ended: its activity fails. */
void launch_fail(struct group *group, struct instance *instance, const char *why, int64_t now_ms);
/* It ended by itself after it was in target groups: its launch has failed, and it still has to
 * leave them. */
void launch_fail_late(struct group *group, struct instance *instance, const char *why,
		      int64_t now_ms);

/* The activity of its way in. */
struct activity *instance_entry(const struct group *group, const struct instance *instance);
/* EC2 has told of it: where it is and what it is made from. */
void launch_take_facts(struct instance *instance, const json_t *ec2);

/* cost.c: how many of so many units may be launched under the limit of cost. */
int cost_room(const struct engine *engine, const struct group *group, int units);

/* membership.c */

/* What was attached cannot serve: it is let go, not ended. */
void attach_failed(struct engine *engine, struct group *group, struct instance *instance,
		   const char *why, int64_t now_ms);
/* Standby, detaching, tags. */
void membership_progress(struct tick *tick, struct group *group);

/* warm_pool.c */
enum pool_state warm_state(const struct group *group); /* in which newcomers are to wait */
int warm_count(const struct group *group);             /* how many are pooled */
/* The cause's sentence ends in why. */
void warm_end(struct engine *engine, struct group *group, struct instance *instance,
	      const char *why, int64_t now_ms);
/* Sets group->pool_surge; takes outdated instances of the pool away.  False: none are left, and the
 * pool is whole. */
bool warm_refresh(struct tick *tick, struct group *group, json_t *refresh);
/* Health and size of the pool, and those on their way back into it. */
void warm_run(struct tick *tick, struct group *group);

/* warm_ways.c */

/* Takes up to n instances out of the pool into the group; how many. */
int warm_take(struct tick *tick, struct group *group, int n);
/* Is the instance, on its way in, stopped or started for the pool, so that nothing else is to be
 * done about it? */
bool warm_progress(struct tick *tick, struct group *group, struct instance *instance);
/* Would an instance that a scale-in takes be kept in the pool? */
bool warm_has_room(const struct group *group, const struct instance *instance);
MUST_CHECK struct activity *warm_return(struct tick *tick, struct group *group,
					struct instance *instance, const char *cause);
void warm_come_back(struct tick *tick, struct group *group, struct instance *instance);
void warm_stop(struct tick *tick, struct group *group, struct instance *instance);

/* hooks.c */
enum hooks_answer { HOOKS_ASK_WAIT, HOOKS_ASK_CONTINUE, HOOKS_ASK_ABANDON };
/* May the instance go on with its way in or out?  The first question begins the hooks. */
enum hooks_answer hooks_pass(struct tick *tick, struct group *group, struct instance *instance);
void hooks_forget(struct instance *instance); /* before another way begins */

/* terminate.c: deregistered everywhere and drained? */
bool terminate_has_left(struct tick *tick, struct group *group, struct instance *instance);

/* spot.c */
bool instance_was_taken_back(const struct instance *instance); /* by EC2, as a Spot instance */
/* So, or by somebody's call: its end says nothing about launches. */
bool instance_was_ended(const struct instance *instance);
void spot_was_taken_back(struct group *group, const struct instance *instance, int64_t now_ms);
/* Marks those that EC2 may take back; the last moment to leave in order. */
void spot_run(struct tick *tick, struct group *group);

/* register.c */
void register_hand_out(struct tick *tick, struct group *group);
void register_progress(struct tick *tick, struct group *group);

/* health.c */
void health_check(struct tick *tick, struct group *group);

/* terminate.c */

/* The instance is to go; cause is complete.  The activity, or NULL without memory. */
struct activity *terminate_begin(struct engine *engine, struct group *group,
				 struct instance *instance, const char *cause, int64_t now_ms);
/* By one termination policy; < 0: a goes before b. */
int terminate_compare(const struct group *group, const char *policy, const struct instance *a,
		      const struct instance *b, int64_t now_ms);
/* Who goes first in a scale-in, of those that count for units at most; NULL: nobody may. */
struct instance *terminate_choose(const struct tick *tick, const struct group *group, int units);
/* < 0: a goes before b, were they all that could go. */
int terminate_order(const struct group *group, const struct instance *a, const struct instance *b,
		    int64_t now_ms);
/* surplus: units. */
void terminate_surplus(struct tick *tick, struct group *group, int surplus);
void terminate_progress(struct tick *tick, struct group *group);

/* adjust.c */

/* The step of StepAdjustments that metric - threshold falls into, borrowed; NULL: none. */
const json_t *adjust_step(const json_t *steps, double difference);
/* By how many instances the adjustment changes a capacity; policy: its document. */
int adjust_change(const json_t *policy, int adjustment, int capacity);
int adjust_clamp(const struct group *group, int64_t capacity); /* between min and max */

/* policies.c */
int64_t policy_warmup_ms(const struct group *group, const struct policy *policy);
/* A policy that was triggered would have this capacity (maybe the present one); the largest of all
 * in a tick wins.  event as for group_change_desired; alarm: InvokingAlarms' entry, borrowed. */
void policies_propose(struct group *group, struct policy *policy, int capacity, const char *event,
		      json_t *alarm);
void policies_forget_proposal(struct group *group);
void policies_run(struct tick *tick, struct group *group);

/* schedules.c */
MUST_CHECK struct schedule *schedule_new(struct group *group,
					 const char *name); /* NULL: no memory */
void schedule_free(struct schedule *schedule);              /* NULL is fine */
void schedules_run(struct tick *tick, struct group *group);
/* The clock was set back. */
void schedules_set_back(struct engine *engine, struct group *group, int64_t now_ms);

/* clock.c: has the clock been set back since the latest tick? */
void clock_look(struct engine *engine, int64_t now_ms);

/* refresh.c */
/* Is it of the template version (or launch configuration) in force? */
bool group_matches_template(const struct group *group, const struct instance *instance);
/* Do its target groups say nothing against it?  Of one that no load balancer uses there is nothing
 * to wait for. */
bool group_has_passed(const struct group *group, const struct instance *instance);
/* Sets group->surge; takes outdated instances away. */
void refresh_run(struct tick *tick, struct group *group);

/* replace.c: see replace.h.  Adds to group->surge; takes away what has a successor. */
void replace_run(struct tick *tick, struct group *group);
/* Why a launch beyond the desired capacity; false: for no replacement. */
bool replace_write_launch(const struct tick *tick, const struct group *group,
			  char cause[CAUSE_MAX]);

/* weigh.c: policies that track something */
void tracking_run(struct tick *tick, struct group *group);

/* load_tracking.c: NULL is fine. */
void load_memory_free(struct load_memory *memory);

/* predict.c */
void predict_run(struct tick *tick, struct group *group);
/* What was forecast for now: other policies do not take away below that. */
int predict_floor(const struct group *group, int64_t now_ms);
/* The capacity that the policy will next have, and when it will ask for it; -1: it will not. */
int predict_next(const struct group *group, const struct policy *policy, int64_t now_ms,
		 int64_t *at_ms);
/* The policy predicts no more. */
void prediction_drop(struct engine *engine, const struct group *group, struct policy *policy);

/* predict_state.c */
void prediction_free(struct prediction *prediction); /* NULL is fine */
bool prediction_is_changed(const struct policy *policy);
json_t *prediction_save(const struct policy *policy); /* NULL without memory */
MUST_CHECK int prediction_load(struct policy *policy, const json_t *document);
void prediction_saved(struct policy *policy);
/* events.c */

/* Of a type of one's own; detail (taken over) names EC2InstanceId where there is one. */
void event_tell(struct group *group, const char *type, json_t *detail, int64_t now_ms);
void event_of_activity(struct activity *activity); /* it has ended */
/* waiting: the instance's entry for the hook. */
void event_of_hook(struct group *group, const struct instance *instance, const json_t *hook,
		   const json_t *waiting, int64_t now_ms);
/* what: "Started", "Succeeded", ... */
void event_of_refresh(struct group *group, const json_t *refresh, const char *what, int64_t now_ms);
void events_free(struct engine *engine);
MUST_CHECK int events_changes(const struct engine *engine, engine_change_fn fn, void *arg);
void events_saved(struct engine *engine);
MUST_CHECK int events_load(struct engine *engine, const char *number, const json_t *document);

/* reconcile.c: the document of the store is to go. */
void engine_forget_key(struct engine *engine, const char *kind, const char *group, const char *id);

/* actions.c (in reconcile.c): a zeroed action to fill in, or NULL without memory. */
struct action *action_add(struct tick *tick, enum action_kind kind, const struct group *group,
			  const struct instance *instance);

#endif
